"""Turns names, columns and values into the pieces that all statements are made of.

Pure. Values never stand in a statement one by one: all rows of a write are one JSON document, a user variable, from
which each statement draws them as rows `u` (`given`). The database then has one text to parse, whatever the number of
rows, and the columns of `u` are what was sent, to the byte.

Rows are found natively, so by the index, and compared as *printed text*, byte by byte: MariaDB calls `a`, `A` and `a `
equal in most columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pymysql

from adapters.mariadb import texts
from adapters.mariadb.columns import GEOMETRIES, MariaColumn
from adapters.mariadb.session import TOO_LARGE
from adapters.mariadb.session import text_literal as literal
from engine.vocabulary import Text

KEY_SEPARATOR: Final = "\x1f"
"""Joins the values of a key to a record key."""

DOCUMENT: Final = "@duolog"
"""The user variable that holds the rows of a write."""

_encode: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode

_WHOLE: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_BYTES: Final = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_FLOATS: Final = frozenset({"float", "double"})
_LONG_TEXTS: Final = frozenset({"tinytext", "text", "mediumtext"})
_LARGE_BYTES: Final = frozenset({"mediumblob", "longblob"}) | GEOMETRIES
_LARGE: Final = frozenset({"mediumtext", "longtext", "json"}) | _LARGE_BYTES
"""A value of these may be larger than what a function answers, which is no more than a packet may have: of more, it
makes NULL, and a warning that nobody reads."""

_UNPRINTED: Final = "\\x?"
"""What is printed of such a value."""


def quoted(*names: str) -> str:
    """A name, or one of several levels, as SQL writes it."""
    return ".".join(["`" + name.replace("`", "``") + "`" for name in names])


def document(columns: Sequence[Sequence[Text]]) -> str:
    """The rows of these columns (by column, its value in each row) as a JSON document of lists.

    Raises UnicodeEncodeError for a text that is none: half of a surrogate pair."""
    told = _encode(list(zip(*columns, strict=True)))
    told.encode()
    return told


def sent(columns: Sequence[Sequence[Text]]) -> str:
    """The statement that puts these rows where `given` finds them."""
    return f"SET {DOCUMENT} = {literal(document(columns))}"


def given(names: Sequence[str], first: int = 0) -> str:
    """The rows that were sent, from column number `first` on, as rows `u` with these columns, and `ord` from 1."""
    columns = "".join(
        f", {quoted(name)} LONGTEXT CHARACTER SET utf8mb4 PATH '$[{first + at}]'" for at, name in enumerate(names)
    )
    return f"JSON_TABLE({DOCUMENT}, '$[*]' COLUMNS (ord FOR ORDINALITY{columns})) AS u"


def printed(column: MariaColumn, alias: str = "t", called: str | None = None) -> str:
    """A column as the house spells it, in utf8mb4: what the log decodes to, once `reader` has been over it.
    `called`: its name here, if that is another."""
    name = quoted(alias, column.shape.name if called is None else called)
    kind = column.data_type
    if kind in _WHOLE or kind == "decimal":
        return f"CAST({name} + 0 AS CHAR)" if column.zerofill else f"CAST({name} AS CHAR)"
    if kind == "float":
        # As it is, it would be printed with 6 digits, which is not all of it.
        return f"CAST({name} + 0e0 AS CHAR)"
    if kind in ("datetime", "time"):
        return _fraction(f"CAST({name} AS CHAR)", column)
    if kind == "timestamp":
        return f"CONCAT({_fraction(f'CAST({name} AS CHAR)', column)}, '+00')"
    if kind == "bit":
        return f"LPAD(BIN({name} + 0), {column.bits}, '0')"
    if kind in _BYTES or kind in GEOMETRIES:
        hexed = f"CONCAT('\\\\x', LOWER(HEX({name})))"
        return f"COALESCE({hexed}, IF({name} IS NULL, NULL, '\\\\x?'))" if kind in _LARGE_BYTES else hexed
    if column.charset and column.charset != "utf8mb4":
        return f"CONVERT({name} USING utf8mb4)"
    return name if column.charset and kind not in ("enum", "set") else f"CAST({name} AS CHAR)"


def reader(column: MariaColumn) -> Callable[[str], str] | None:
    """What makes the house's spelling of a text that `printed` fetched; None if it is that already."""
    match column.data_type:
        case "float":
            return texts.single_of_text
        case "double":
            return texts.double_of_text
        case _:
            return None


def reading(columns: Sequence[MariaColumn]) -> Callable[[Sequence[Any]], tuple[Text, ...]]:
    """What makes the house's spellings of a row that `printed` fetched, a column after the other; it raises
    pymysql.MySQLError where a value was too large to be printed."""
    readers = [(at, spell) for at, column in enumerate(columns) if (spell := reader(column)) is not None]
    readers += [(at, _whole) for at, column in enumerate(columns) if column.data_type in _LARGE_BYTES]
    if not readers:
        return tuple

    def read(row: Sequence[Any]) -> tuple[Text, ...]:
        told = list(row)
        for at, spell in readers:
            if told[at] is not None:
                told[at] = spell(told[at])
        return tuple(told)

    return read


def _whole(text: str) -> str:
    """A value that was printed. Raises pymysql.MySQLError if it was not."""
    if text == _UNPRINTED:
        raise pymysql.err.OperationalError(TOO_LARGE, "a value is larger than what can be printed of it")
    return text


def same(column: MariaColumn, alias: str, name: str) -> str:
    """What a column prints is the text of the rows `u` called `name`, to the last byte, NULL and NULL too."""
    text = quoted("u", name)
    if column.data_type in _FLOATS:
        mine, theirs = quoted(alias, column.shape.name), _number(column, text)
        # Zero has two signs, that compare alike.
        return f"({mine} <=> {theirs} AND {_minus(f'CAST({mine} AS CHAR)')} <=> {_minus(text)})"
    equal = f"{exactly(printed(column, alias))} <=> {exactly(text)}"
    if column.data_type not in _LARGE:
        return equal
    return f"(({quoted(alias, column.shape.name)} IS NULL) = ({text} IS NULL) AND {equal})"


def key_matches(key: Sequence[MariaColumn], alias: str = "t", letter: str = "k") -> str:
    """The row of the key `u.k1`, ...: found natively, so by the index, and told apart by its text where the column's
    own idea of equal is laxer."""
    names = lettered(letter, len(key))
    return " AND ".join(found(column, alias, name) for column, name in zip(key, names, strict=True))


def in_key_order(columns: Sequence[MariaColumn], keys: Iterable[Sequence[Text]]) -> list[Sequence[Text]]:
    """Keys in about the order of the index: that in which most users lock several rows. (Negative integers and texts
    are not quite where the server has them: nothing depends on it but how often users and we get in each other's
    way.)"""
    whole = [column.data_type in _WHOLE for column in columns]

    def place(key: Sequence[Text]) -> list[tuple[int, str]]:
        texts = [text if isinstance(text, str) else "" for text in key]
        return [(len(text) if number else 0, text) for number, text in zip(whole, texts, strict=True)]

    return sorted(keys, key=place)


def found(column: MariaColumn, alias: str, name: str) -> str:
    """A column that has a value has that of the rows `u` called `name`: by the index, and to the last byte."""
    natively = f"{quoted(alias, column.shape.name)} = {native(column, name)}"
    if column.data_type in _WHOLE or column.data_type in ("decimal", "uuid", "year"):
        return natively
    return f"{natively} AND {same(column, alias, name)}"


def native(column: MariaColumn, name: str) -> str:
    """A text of the rows `u` as a value that an index on the column can be asked for."""
    return natively(column, quoted("u", name))


def natively(column: MariaColumn, text: str) -> str:
    """An SQL expression of a text in the house's spelling, as a value that an index on the column can be asked for."""
    kind = column.data_type
    if kind in _WHOLE or kind == "year":
        return f"CAST({text} AS {'UNSIGNED' if column.shape.unsigned else 'SIGNED'})"
    if kind == "decimal":
        return f"CAST({text} AS DECIMAL({column.shape.precision},{column.shape.scale}))"
    if kind in ("date", "datetime", "timestamp", "time"):
        type_ = {"date": "DATE", "time": f"TIME({column.digits})"}.get(kind, f"DATETIME({column.digits})")
        return f"CAST({_bare(column, text)} AS {type_})"
    if kind in ("uuid", "inet4", "inet6"):
        return f"CAST({text} AS {kind.upper()})"
    if column.charset:
        return f"CONVERT({text} USING {column.charset}) COLLATE {column.collation}"
    return value(column, text)


def cast(column: MariaColumn, name: str) -> str:
    """A text of the rows `u` as assignment to the column takes it: what is no value of its type is refused."""
    return value(column, quoted("u", name))


def value(column: MariaColumn, text: str) -> str:
    """An SQL expression of a text in the house's spelling, as assignment to the column takes it."""
    kind = column.data_type
    if kind == "timestamp":
        return _bare(column, text)
    if kind in _BYTES or kind in GEOMETRIES:
        return f"UNHEX(SUBSTRING({text}, 3))"
    if kind == "bit":
        return f"CAST(CONV({text}, 2, 10) AS UNSIGNED)"
    if kind in _FLOATS:
        return _number(column, text)
    # MariaDB copies one long text to another without looking at its length, which it cuts to what fits the column's
    # own count of bytes (256 bytes become none of a TINYTEXT): of an expression it does look.
    return f"CONCAT({text})" if kind in _LONG_TEXTS else text


def assigned(column: MariaColumn, name: str, alias: str = "t") -> str:
    """A column takes a text of the rows `u`."""
    return f"{quoted(alias, column.shape.name)} = {cast(column, name)}"


def constant(column: MariaColumn, text: str, alias: str = "t") -> str:
    """A column takes a text of the rules."""
    return f"{quoted(alias, column.shape.name)} = {value(column, literal(text))}"


def besides(written: Iterable[tuple[MariaColumn, str]], alias: str = "t") -> list[str]:
    """Columns take what the rules write besides."""
    return [f"{quoted(alias, column.shape.name)} = ({said})" for column, said in written]


def untold(columns: Iterable[MariaColumn], said: Iterable[MariaColumn]) -> list[tuple[MariaColumn, str]]:
    """(column, NULL) of those columns of a table that must have a value, and are neither said nor made by the database.

    A trigger may give it; but then INSERT ... SELECT has to name them, or they are missed before it is asked. Who may
    not name them is told that they are missed."""
    names = {column.shape.name for column in said}
    shapes = ((each, each.shape) for each in columns if each.insertable and each.shape.name not in names)
    return [(column, "NULL") for column, shape in shapes if not (shape.nullable or shape.default or shape.generated)]


def comma(parts: Iterable[str]) -> str:
    """A list, as SQL writes it."""
    return ", ".join(parts)


def lettered(letter: str, count: int) -> list[str]:
    """So many names of columns of the rows `u`."""
    return [letter + str(at) for at in range(1, count + 1)]


def _fraction(text: str, column: MariaColumn) -> str:
    """Without the zeros that a fraction of a second ends with."""
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text}))" if column.digits else text


def _bare(column: MariaColumn, text: str) -> str:
    """A moment without its offset, which is that of the session."""
    return f"LEFT({text}, CHAR_LENGTH({text}) - 3)" if column.data_type == "timestamp" else text


def _number(column: MariaColumn, text: str) -> str:
    """A floating-point number: of four bytes, rounded as the column rounds it, or it would equal none there."""
    return f"CAST({text} AS {'FLOAT' if column.data_type == 'float' else 'DOUBLE'})"


def _minus(text: str) -> str:
    return f"(LEFT({text}, 1) = '-')"


def exactly(text: str) -> str:
    """An SQL expression of a text, so that it is equal only to what is the same to the last byte."""
    return f"CAST({text} AS BINARY)"
