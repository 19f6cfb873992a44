"""Turns what SQLAlchemy reflects of one column into what the engine and the statements know of it.

Pure. Which family a type is of, how much room it has, and how its values go and come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.abilities import Abilities
from adapters.alchemy.spelling import Element, Spelling, spelling
from engine.catalog import Column
from engine.vocabulary import Text

INTEGER_BITS: Final = ((sa.SmallInteger, 16), (sa.BigInteger, 64), (sa.Integer, 32))
LARGEST_BITS: Final = 64
"""Of every integer, where columns have no types that hold."""
BITS_BY_NAME: Final[Mapping[str, int]] = {"TINYINT": 8, "MEDIUMINT": 24}
SINGLE_BITS: Final = 24
"""Of the digits of a floating-point number of four bytes."""
DOUBLE_BITS: Final = 53
"""The same of eight bytes."""
LONG: Final = 18
"""So many digits fit an integer of 64 bits, whatever they are."""
DIGITS: Final = 6
"""Of a second: as fine as values are told."""
NAMED: Final[Mapping[str, str]] = {"money": "numeric", "smallmoney": "numeric", "interval": "interval"}
"""Families of types that are of no class that SQLAlchemy has for all."""
MONEY_DIGITS: Final = 4
"""Behind the point of SQL Server's money."""
ZONED: Final = frozenset({"TIMESTAMPTZ", "DATETIMEOFFSET"})
"""Types of moments that SQLAlchemy has no flag for."""
UTC_STAMPS: Final = ("mysql", "mariadb", "sqlite")
"""Dialects in which a TIMESTAMP is a moment, in UTC where its text says no more, and a DATETIME is none."""
KEY_NUMBERED: Final = "sqlite"
"""The dialect that numbers a key of one column of the type `ROW_NUMBER`, and does not say so in its catalog."""
ROW_NUMBER: Final = "INTEGER"
DATE_AND_TIME: Final = "oracle"
"""The dialect whose DATE has a time."""


@dataclass(frozen=True, slots=True)
class AlchemyColumn:
    """What the statements need to know of one column, beside what the rules do."""

    shape: Column
    made_by: str = ""
    """No database tells a value beforehand in the same words as another: always empty."""
    numbered: bool = False
    """The database numbers rows that are given none."""
    element: sa.Column[Any] = field(compare=False, kw_only=True)
    """The column of SQLAlchemy's table."""
    spelling: Spelling = field(compare=False, kw_only=True)

    @property
    def table(self) -> sa.Table:
        """SQLAlchemy's table."""
        return self.element.table

    @property
    def selected(self) -> Element:
        """As it stands in a SELECT."""
        return self.spelling.shown(self.element)

    def parameter(self, name: str) -> Element:
        """A parameter of this name, as a value of the column."""
        return self.spelling.placed(sa.bindparam(name, type_=self.spelling.type))

    def text(self, value: Any) -> Text:
        """What was selected, as a text."""
        return self.spelling.text(value)

    def value(self, text: Text) -> Any:
        """A text as a parameter. Raises Unstorable."""
        return self.spelling.value(text)


def column(told: Mapping[str, Any], stored: str, dialect: sa.Dialect, can: Abilities) -> AlchemyColumn:
    """One column as the inspector tells it; `stored`: its name as the database stores it. Its element is to be put
    into a table."""
    kind = told["type"]
    name = _printed(kind, dialect)
    family = family_of(kind, dialect.name, name)
    identity = told.get("identity") or {}
    numbered = bool(identity) or told.get("autoincrement") is True
    shape = Column(
        name=stored,
        type=name,
        family=family,
        nullable=bool(told.get("nullable", True)),
        length=getattr(kind, "length", None) if family == "text" else None,
        precision=LARGEST_BITS if can.untyped and family == "integer" else _precision(kind, family, name, dialect.name),
        scale=_scale(kind, family, dialect.name),
        generated=told.get("computed") is not None or bool(identity.get("always")) or _stamps(dialect.name, name),
        default=told.get("default") is not None or numbered,
        labels=tuple(getattr(kind, "enums", None) or ()) if family == "enum" else (),
        octets=getattr(kind, "length", None) if family == "bytes" else None,
        unsigned=bool(getattr(kind, "unsigned", False)),
        padded="blanks" if isinstance(kind, sa.CHAR) and dialect.name in ("oracle", "mssql", "ibm_db_sa") else "",
        least=_LEAST.get(family, "") if not can.texts else "",
        most=_MOST.get(family, "") if not can.texts else "",
        finite=can.finite,
    )  # fmt: skip
    way = spelling(shape, kind, can)
    # An identity that the database always makes is no column that SQLAlchemy may send, nor is a computed one.
    counts = numbered and isinstance(way.type, sa.Integer)  # SQLAlchemy lets nothing else count
    element = sa.Column(sa.quoted_name(stored, quote=True), way.type, nullable=shape.nullable, autoincrement=counts)
    return AlchemyColumn(shape, numbered=numbered, element=element, spelling=way)


def family_of(kind: sa.types.TypeEngine[Any], dialect: str, name: str) -> str:
    """The canonical type; `name`: the type as it prints, in lower case."""
    plain = name.split("(")[0].split(" ")[0]
    family = next((family for known, family in _FAMILIES if isinstance(kind, known)), NAMED.get(plain, "other"))
    if family == "numeric" and getattr(kind, "scale", None) == 0 and 0 < (getattr(kind, "precision", 0) or 0) <= LONG:
        return "integer"
    if family == "date" and dialect == DATE_AND_TIME:
        return "timestamp"
    if family == "timestamp" and _is_zoned(kind, dialect, name):
        return "timestamptz"
    return family


_FAMILIES: Final[tuple[tuple[type, str], ...]] = (
    (sa.Boolean, "boolean"), (sa.Float, "float"), (sa.Numeric, "numeric"), (sa.Integer, "integer"), (sa.Uuid, "uuid"),
    (sa.Date, "date"), (sa.Time, "time"), (sa.DateTime, "timestamp"), (sa.Interval, "interval"),
    (sa.JSON, "json"), (sa.ARRAY, "array"), (sa.Enum, "enum"), (sa.LargeBinary, "bytes"),
    (sa.types._Binary, "bytes"), (sa.String, "text"),
)  # fmt: skip
"""The first that fits."""
_LEAST: Final = {"date": "0001-01-01", "timestamp": "0001-01-01 00:00:00", "timestamptz": "0001-01-01 00:00:00+00"}
_MOST: Final = {
    "date": "9999-12-31", "timestamp": "9999-12-31 23:59:59.999999", "timestamptz": "9999-12-31 23:59:59.999999+00"
}  # fmt: skip
"""What Python's own dates can hold, where values go as such."""


def _stamps(dialect: str, name: str) -> bool:
    """The database writes a number of its own with every change of a row: SQL Server's ROWVERSION."""
    return dialect == "mssql" and name in ("timestamp", "rowversion")


def _is_zoned(kind: sa.types.TypeEngine[Any], dialect: str, name: str) -> bool:
    if dialect in UTC_STAMPS:
        return isinstance(kind, sa.TIMESTAMP)
    zoned = getattr(kind, "timezone", False) or getattr(kind, "local_timezone", False)
    return bool(zoned) or name.upper().split("(")[0] in ZONED


def _printed(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    try:
        return kind.compile(dialect).lower()
    except (sa.exc.CompileError, sa.exc.UnsupportedCompilationError):
        return type(kind).__name__.lower()


def _precision(kind: sa.types.TypeEngine[Any], family: str, name: str, dialect: str) -> int | None:
    match family:
        case "integer" if isinstance(kind, sa.Numeric):
            return 64
        case "integer":
            known = BITS_BY_NAME.get(name.upper().split("(")[0].split(" ")[0])
            return known or next(bits for each, bits in INTEGER_BITS if isinstance(kind, each))
        case "numeric":
            return getattr(kind, "precision", None)
        case "float" if dialect in ("mysql", "mariadb"):
            # Its digits in brackets are those that it shows.
            return SINGLE_BITS if name.startswith("float") else DOUBLE_BITS
        case "float" if dialect == KEY_NUMBERED:
            return DOUBLE_BITS  # a REAL of SQLite's has eight bytes
        case "float":
            digits = getattr(kind, "precision", None)
            single = name.split("(")[0] in ("real", "float4", "binary_float") or (digits or 53) <= SINGLE_BITS
            return SINGLE_BITS if single else DOUBLE_BITS
        case _:
            return None


def _scale(kind: sa.types.TypeEngine[Any], family: str, dialect: str) -> int | None:
    match family:
        case "numeric" if not isinstance(kind, sa.Numeric):
            return MONEY_DIGITS
        case "numeric":
            scale = getattr(kind, "scale", None)
            if scale is None and getattr(kind, "precision", None) is None:
                return None
            return max(scale or 0, 0)
        case "time" | "timestamp" | "timestamptz":
            if dialect == DATE_AND_TIME and isinstance(kind, sa.Date):
                return 0
            if dialect in ("mysql", "mariadb"):
                return int(getattr(kind, "fsp", None) or 0)
            told = getattr(kind, "precision", None)
            return DIGITS if told is None else min(int(told), DIGITS)
        case _:
            return None
