"""Turns a column's values into the house's exact texts and back: as PostgreSQL spells its family, one text for a value.

SQL is left to spell what drivers lose (moments with a zone, dates that Python has not); of everything else the driver's
own value is spelled here. Digits of a second beyond the sixth are cut off. It asks no database.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from adapters.alchemy.abilities import Abilities
from adapters.relational.refused import Unstorable
from engine.catalog import Column
from engine.errors import ValueRefused
from engine.floats import double, narrowed, of_double, of_single
from engine.vocabulary import Text

Element: TypeAlias = "sa.ColumnElement[Any]"

EXACT: Final = Context(prec=70_000, rounding=ROUND_HALF_UP)
"""For numbers as they come: more digits than any of these databases has."""
TO_CHAR: Final = {
    "date": "SYYYY-MM-DD", "time": "HH24:MI:SS.FF6", "timestamp": "YYYY-MM-DD HH24:MI:SS.FF6",
    "timestamptz": "YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM",
}  # fmt: skip
VARCHAR_FORMAT: Final = {
    "date": "YYYY-MM-DD", "time": "HH24:MI:SS", "timestamp": "YYYY-MM-DD HH24:MI:SS.FF6"
}  # fmt: skip
CONVERT_STYLE: Final = 121
"""Of SQL Server's: `2026-01-31 12:00:00.5000000`."""
TEXT_LENGTH: Final = 64
"""Characters of a date or a moment as a text, at most."""

_SINGLE: Final = struct.Struct("<f")
_FRACTION: Final = re.compile(r"\.(\d+)")
_ZONE: Final = re.compile(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$")
_INTEGER: Final = re.compile(r"-?\d+")
_TIME: Final = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the values of one column go and come."""

    shown: Callable[[Element], Element]
    """The column as it is selected."""
    read: Callable[[Any], str]
    """What was selected, not NULL, as a text."""
    given: Callable[[str], Any]
    """A text as a parameter of the column's type. Raises ValueError, ArithmeticError for what is no such value."""
    placed: Callable[[Element], Element]
    """The parameter as it stands in a statement."""
    type: sa.types.TypeEngine[Any]
    """What SQLAlchemy is told of the parameter."""

    def text(self, value: Any) -> Text:
        """What was selected, as a text."""
        return None if value is None else self.read(value)

    def value(self, text: Text) -> Any:
        """A text as a parameter. Raises Unstorable, without quoting it."""
        if text is None:
            return None
        try:
            return self.given(text)
        except (ValueError, ArithmeticError, ValueRefused):
            raise Unstorable("a value is none of its column's type") from None


def spelling(column: Column, kind: sa.types.TypeEngine[Any], can: Abilities) -> Spelling:
    """How the values of a column of this type go and come where the dialect `can` do so much."""
    read, given = _by_python(column, can)
    word = can.shown.get(column.family, "")
    shown = SHOWN[word](column.family) if word else _as_it_is
    if word and column.family in ("timestamp", "timestamptz", "date", "time"):
        read = _READ_TEXT[column.family]
    elif word:
        read = str
    if can.texts and column.family in ("timestamp", "timestamptz", "date", "time"):
        given = _unzoned
    if can.untyped:
        return Spelling(_as_it_is, read, given, _as_it_is, sa.types.NullType())
    if word == "cast" and column.family in ("json", "array", "other", "enum", "interval"):
        # What SQLAlchemy or a driver would take apart goes as a text, which the database reads by itself.
        placed = _as_it_is if isinstance(kind, sa.types.NullType) else lambda given: sa.cast(given, kind)
        return Spelling(shown, read, str, placed, sa.Text())
    return Spelling(shown, read, given, _as_it_is, _bound_as(column, kind))


def _as_it_is(element: Element) -> Element:
    return element


def _to_text(family: str) -> Callable[[Element], Element]:
    return lambda element: sa.cast(element, sa.Text())


def _to_char(family: str) -> Callable[[Element], Element]:
    def shown(element: Element) -> Element:
        moment = sa.func.sys_extract_utc(element) if family == "timestamptz" else element
        form = TO_CHAR["timestamp" if family == "timestamptz" else family]
        plain = sa.cast(moment, sa.TIMESTAMP()) if family == "timestamp" else moment  # a DATE has a time, but no FF
        return sa.func.to_char(plain, sa.literal_column(f"'{form}'"))

    return shown


def _varchar_format(family: str) -> Callable[[Element], Element]:
    return lambda element: sa.func.varchar_format(element, sa.literal_column(f"'{VARCHAR_FORMAT[family]}'"))


def _convert(family: str) -> Callable[[Element], Element]:
    style: Element = sa.literal_column(str(CONVERT_STYLE))
    length: Element = sa.literal_column(f"varchar({TEXT_LENGTH})")
    return lambda element: sa.func.convert(length, element, style)


def _convert_at_utc(family: str) -> Callable[[Element], Element]:
    inner = _convert(family)
    return lambda element: inner(sa.func.switchoffset(element, sa.literal_column("'+00:00'")))


SHOWN: Final[Mapping[str, Callable[[str], Callable[[Element], Element]]]] = {
    "cast": _to_text, "to_char": _to_char, "varchar_format": _varchar_format, "convert": _convert,
    "at utc": _convert_at_utc,
}  # fmt: skip
"""By the word in `Abilities.shown`."""


# ---------------------------------------------------------------- values that the driver tells


def _by_python(column: Column, can: Abilities) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    match column.family:
        case "integer":
            return _integer, _to_integer
        case "numeric":
            return _number_reader(column.scale), _number_giver(column.scale, as_text=can.untyped)
        case "float":
            single = column.precision == 24
            return _single if single else _double, _to_single if single else _to_double
        case "boolean":
            return lambda value: "t" if value else "f", _to_boolean
        case "bytes":
            return lambda value: "\\x" + bytes(value).hex(), _to_bytes
        case "date":
            return _date, (str if can.untyped else date.fromisoformat)
        case "time":
            return _clock_time, (str if can.untyped else _to_time)
        case "timestamp" | "timestamptz":
            zoned = column.family == "timestamptz"
            return (_zoned if zoned else _moment), (str if can.untyped else _to_moment)
        case "uuid":
            return lambda value: str(value).lower(), str
        case _:
            return _plain, str


def _bound_as(column: Column, kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """The type of the parameter: the column's own, but where SQLAlchemy would work on the value."""
    match column.family:
        case "integer":
            return sa.BigInteger()
        case "numeric":
            return sa.Numeric(asdecimal=True)
        case "float":
            return sa.Double() if column.precision != 24 else sa.REAL()
        case "uuid" if isinstance(kind, sa.Uuid):
            return sa.Uuid(as_uuid=False)
        case _:
            return kind


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else bytes(value).decode() if isinstance(value, bytes) else str(value)


def _integer(value: Any) -> str:
    return str(int(value)) if not isinstance(value, str) else value


def _to_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


def _number_reader(scale: int | None) -> Callable[[Any], str]:
    step = None if scale is None else Decimal(1).scaleb(-scale)

    def read(value: Any) -> str:
        number = value if isinstance(value, Decimal) else _decimal(value)
        if number is None:
            return str(value)
        if not number.is_finite():
            return "NaN" if number.is_nan() else str(number)
        if step is not None:
            rounded = EXACT.quantize(number, step)
            number = rounded if rounded == number else number
        return format(number, "f")

    return read


def _decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError, TypeError):
        return None


def _number_giver(scale: int | None, *, as_text: bool) -> Callable[[str], Any]:
    """`as_text`: the column has no scale that holds, so the number gets it here."""
    step = None if scale is None else Decimal(1).scaleb(-scale)

    def give(text: str) -> Any:
        number = Decimal(text)
        if not as_text:
            return number
        return format(number if step is None else EXACT.quantize(number, step), "f")

    return give


def _double(value: Any) -> str:
    number = float(value)
    return of_double(number) if math.isfinite(number) else _endless(number)


def _single(value: Any) -> str:
    number = float(value)
    if not math.isfinite(number):
        return _endless(number)
    return of_single(number) if _SINGLE.unpack(_SINGLE.pack(number))[0] == number else narrowed(repr(number))


def _endless(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _to_double(text: str) -> float:
    return float(double(text))


def _to_single(text: str) -> float:
    return float(narrowed(text))


def _to_boolean(text: str) -> bool:
    if text not in ("t", "f"):
        raise ValueError
    return text == "t"


def _to_bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


# ---------------------------------------------------------------- dates and times


def _date(value: Any) -> str:
    return _read_date(value if isinstance(value, str) else value.isoformat()[:10])


def _clock_time(value: Any) -> str:
    if isinstance(value, timedelta):
        value = (datetime.min + value).time()
    return _trimmed(value if isinstance(value, str) else value.isoformat())


def _moment(value: Any) -> str:
    return _read_moment(value if isinstance(value, str) else value.isoformat(" "))


def _zoned(value: Any) -> str:
    if isinstance(value, datetime):
        value = (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat(" ")
    return _read_zoned(value)


def _read_date(text: str) -> str:
    return text.strip()


def _read_moment(text: str) -> str:
    return _trimmed(text.replace("T", " ", 1).strip() if text[:1].isdigit() else text.strip())


def _read_zoned(text: str) -> str:
    said = _read_moment(text)
    zone = _ZONE.search(said, 11)
    if zone is None:
        return said + "+00" if said[:1].isdigit() and not said.endswith("BC") else said
    plain = said[: zone.start()].strip()
    if zone[0].strip("Z+-0:"):
        moment = datetime.fromisoformat(plain + zone[0]).astimezone(UTC).replace(tzinfo=None)
        plain = _trimmed(moment.isoformat(" "))
    return plain + "+00"


def _trimmed(text: str) -> str:
    """Six digits of a second at most, and no zeros behind them."""
    if "." not in text:
        return text

    def digits(found: re.Match[str]) -> str:
        kept = found[1][:6].rstrip("0")
        return "." + kept if kept else ""

    return _FRACTION.sub(digits, text, count=1)


_READ_TEXT: Final[Mapping[str, Callable[[str], str]]] = {
    "date": _read_date, "time": _trimmed, "timestamp": _read_moment, "timestamptz": _read_zoned,
}  # fmt: skip


def _to_moment(text: str) -> datetime:
    """In UTC, without saying so: every session's own zone is UTC, and some drivers would drop it."""
    return datetime.fromisoformat(_padded(text.removesuffix("+00")))


def _to_time(text: str) -> time:
    if not _TIME.fullmatch(text):
        raise ValueError
    return time.fromisoformat(_padded(text))


def _unzoned(text: str) -> str:
    """In UTC, without saying so."""
    return text.removesuffix("+00")


def _padded(text: str) -> str:
    whole, point, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if point else text
