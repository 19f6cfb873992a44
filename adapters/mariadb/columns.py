"""Turns what the information schema says of one column into what the engine and the statements know of it.

Pure. Which family a type is of, how much room it has, and what in its text only this adapter knows: the character set,
the labels, whether the server gives it a value by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.mariadb.session import Server, text_literal
from engine.catalog import Column

FAMILIES: Final[Mapping[str, str]] = {
    "tinyint": "integer", "smallint": "integer", "mediumint": "integer", "int": "integer", "bigint": "integer",
    "year": "integer", "decimal": "numeric", "float": "float", "double": "float", "char": "text", "varchar": "text",
    "tinytext": "text", "text": "text", "mediumtext": "text", "longtext": "text", "set": "text", "enum": "enum",
    "binary": "bytes", "varbinary": "bytes", "tinyblob": "bytes", "blob": "bytes", "mediumblob": "bytes",
    "longblob": "bytes", "date": "date", "datetime": "timestamp", "timestamp": "timestamptz", "time": "time",
    "json": "json", "uuid": "uuid",
}  # fmt: skip
"""Canonical type by `data_type`; what is not here is `other`."""

INTEGER_BITS: Final[Mapping[str, int]] = {
    "tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64, "year": 16
}  # fmt: skip

UNIVERSAL: Final = frozenset({"utf8mb4", "utf16", "utf16le", "utf32", "gb18030"})
"""Character sets that hold every character."""
UTF8: Final = frozenset({"utf8mb4", "utf8mb3", "utf8"})
CHARACTERS: Final = frozenset({"char", "varchar"})
LONG_TEXTS: Final = frozenset({"tinytext", "text", "mediumtext", "longtext"})
GEOMETRIES: Final = frozenset({
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
})  # fmt: skip

EXACT_COLLATIONS: Final = ("_nopad_bin", "_0900_bin")
"""The end of the names of those under which no two different texts are equal. All others think little of case, of
accents or of blanks at the end."""


@dataclass(frozen=True, slots=True)
class MariaColumn:
    """What the statements need to know of one column, beside what the rules do."""

    shape: Column
    data_type: str
    """Lower case, without any measure: `varchar`, `bigint`, `json` (also where MariaDB keeps it as a longtext)."""
    charset: str = ""
    """The character set of a text, enum or set; empty for all else."""
    collation: str = ""
    made_by: str = ""
    """The SQL expression that makes the value of a row that is given none, and can be asked beforehand; empty: there
    is none, as for AUTO_INCREMENT."""
    automatic: bool = False
    """AUTO_INCREMENT: the server numbers rows that are given none."""
    on_update: bool = False
    """The server sets it by itself whenever something else in the row changes."""
    zerofill: bool = False
    compressed: bool = False
    visible: bool = True
    """False: `SELECT *` leaves it out, and so does an INSERT that names no columns."""
    insertable: bool = True
    """Our user may give it to a new row."""
    indexes: tuple[str, ...] = ()
    """The names of the indexes that begin with it."""

    @property
    def bits(self) -> int:
        """How many a BIT has."""
        return self.shape.precision or 1

    @property
    def digits(self) -> int:
        """Digits of a second that are kept."""
        return self.shape.scale or 0


def column(said: Sequence[Any], server: Server, *, is_json: bool) -> MariaColumn:
    """One column of the information schema, in the order of `catalog.COLUMNS`, from its name on.

    `is_json`: a check of its own says that it is."""
    (name, data_type, column_type, nullable, default, length, octets, precision, scale, digits, charset, collation,
     extra, generation) = said  # fmt: skip
    data_type = "json" if is_json else data_type.lower()
    told = column_type.lower()
    extra = (extra or "").lower()
    generated = bool(generation) and "default_generated" not in extra
    automatic = "auto_increment" in extra
    made_by = _made_by(default, data_type, extra, server) if not generated and not automatic else ""
    unsigned = data_type in ("decimal", "float", "double", *INTEGER_BITS) and " unsigned" in told
    least, most = span(data_type, int(digits or 0), server)
    text, bit = data_type in CHARACTERS, data_type == "bit" and int(precision) == 1
    in_utf8 = charset in UTF8
    long = data_type in LONG_TEXTS or data_type == "json"
    shape = Column(
        name=name,
        type="json" if data_type == "json" else re.sub(r" /\*M?!\d+ COMPRESSED\*/", "", column_type),
        family="integer" if bit else FAMILIES.get(data_type, "other"),
        nullable=nullable == "YES",
        length=_characters(data_type, charset, int(length or 0)) if text or long else None,
        precision=_precision(data_type, precision),
        scale=int(digits or 0) if FAMILIES.get(data_type) in ("time", "timestamp", "timestamptz")
        else int(scale or 0) if data_type == "decimal" or (data_type in ("float", "double") and scale is not None)
        else None,
        generated=generated,
        default=bool(made_by) or automatic,
        labels=labels(column_type) if data_type in ("enum", "set") else (),
        exact=not charset or collation.endswith(EXACT_COLLATIONS),
        octets=int(octets) if octets is not None and (charset is None or (in_utf8 and long)) else None,
        unsigned=unsigned or bit or data_type == "year",
        padded="zeros" if data_type == "binary" else "trimmed" if data_type == "char" else "",
        least=least,
        most=most,
        finite=True,
        charset=charset if charset and charset not in UNIVERSAL else "",
    )  # fmt: skip
    return MariaColumn(
        shape=shape,
        data_type=data_type,
        charset=charset or "",
        collation=collation or "",
        made_by=made_by,
        automatic=automatic,
        on_update="on update" in extra,
        zerofill=" zerofill" in told,
        compressed="compressed*/" in told,
        visible="invisible" not in extra,
    )


def labels(column_type: str) -> tuple[str, ...]:
    """The labels in `enum('a','b''c')`, in order."""
    quoted = re.findall(r"'((?:[^'\\]|''|\\.)*)'", column_type[column_type.index("(") :], re.DOTALL)
    return tuple(re.sub(r"''|\\(.)", lambda m: _ESCAPED.get(m[1], m[1]) if m[1] else "'", text) for text in quoted)


_ESCAPED: Final = {"n": "\n", "r": "\r", "0": "\0", "Z": "\x1a", "t": "\t", "b": "\b"}


def span(data_type: str, digits: int, server: Server) -> tuple[str, str]:
    """The first and the last date or moment that a column can hold, as it prints them; empty for other types. (Zero
    dates, and months and days that are 0, it can hold besides.)"""
    last = "." + "9" * digits if digits else ""
    match data_type:
        case "date":
            return "0001-01-01", "9999-12-31"
        case "datetime":
            return "0001-01-01 00:00:00", f"9999-12-31 23:59:59{last}"
        case "timestamp":
            wide = server.flavour == "mariadb" and server.version >= (11, 5, 0)
            end = "2106-02-07 06:28:15" if wide else "2038-01-19 03:14:07"
            return "1970-01-01 00:00:01+00", f"{end}{last}+00"
        case "year":
            return "1901", "2155"
        case _:
            return "", ""


def _characters(data_type: str, charset: str | None, told: int) -> int | None:
    """Most characters; None where bytes are what counts, or where they differ from one character to the next."""
    if data_type in CHARACTERS:
        return told
    if charset in UTF8 or charset is None:
        return None
    widths = {"ucs2": 2, "utf32": 4}
    return told // widths.get(charset, 1) if charset in widths or charset in SINGLE_BYTE else None


SINGLE_BYTE: Final = frozenset({
    "ascii", "latin1", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866",
    "greek", "hebrew", "koi8r", "koi8u", "tis620", "armscii8", "dec8", "geostd8", "hp8", "keybcs2", "macce", "macroman",
    "swe7",
})  # fmt: skip


def _precision(data_type: str, told: Any) -> int | None:
    if data_type in INTEGER_BITS:
        return INTEGER_BITS[data_type]
    return int(told) if data_type in ("decimal", "bit") and told is not None else None


def _made_by(default: str | None, data_type: str, extra: str, server: Server) -> str:
    """The default as an expression. MariaDB tells it as SQL; MySQL tells a text without its quotes."""
    if default is None or (server.flavour == "mariadb" and default.upper() == "NULL"):
        return ""
    if server.flavour == "mariadb" or "default_generated" in extra or data_type == "bit":
        return default
    return default if default.upper().startswith("CURRENT_TIMESTAMP") else text_literal(default)
