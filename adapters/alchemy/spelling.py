"""Turns a column's values into the house's exact texts and back: as PostgreSQL spells its family, one text for a value.

SQL is left to spell what drivers lose (moments with a zone, dates that Python has not); of everything else the driver's
own value is spelled here. Digits of a second beyond the sixth are cut off. It asks no database.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from adapters.alchemy import moments
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

UNFIT: Final = (ValueError, ArithmeticError, ValueRefused)
"""What `Spelling.given` raises for a text that is no value of its column."""

_SINGLE: Final = struct.Struct("<f")
_INTEGER: Final = re.compile(r"-?\d+")


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
        except UNFIT:
            raise Unstorable("a value is none of its column's type") from None


def texts_of(read: Callable[[Any], str], values: Sequence[Any]) -> Sequence[Text]:
    """What was selected of one column, row by row, as texts. `read`: of its spelling. What is a text already, as most
    is, costs no call for each value."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds or (kinds == {str} and read in _AS_TOLD):
        return values
    return [None if value is None else read(value) for value in values]


def spelling(column: Column, kind: sa.types.TypeEngine[Any], can: Abilities) -> Spelling:
    """How the values of a column of this type go and come where the dialect `can` do so much."""
    read, given = _by_python(column, can)
    if can.signed and column.family == "integer" and column.unsigned:
        return _unsigned(column)
    word = can.named.get(column.type.split("(")[0].split(" ")[0], can.shown.get(column.family, ""))
    if word == "bits":
        return _bits(column, kind)
    shown = SHOWN[word](column.family) if word else _as_it_is
    if word and column.family in ("timestamp", "timestamptz", "date", "time"):
        read = moments.READ_TEXT[column.family]
    elif word == "cast":
        read = str
    if can.texts and column.family in ("timestamp", "timestamptz", "date", "time"):
        given = moments.unzoned
    if can.untyped:
        return Spelling(_as_it_is, read, given, _as_it_is, sa.types.NullType())
    if word == "cast" and column.family in ("json", "array", "other", "enum", "interval"):
        # What SQLAlchemy or a driver would take apart goes as a text, which the database reads by itself.
        unknown = isinstance(kind, sa.types.NullType)
        plain = unknown or column.family in can.uncast
        placed = _as_it_is if plain else lambda given: sa.cast(given, kind)
        return Spelling(shown, read, _text_giver(can), placed, kind if unknown else sa.Text())
    return Spelling(shown, read, given, _as_it_is, _bound_as(column, kind))


def _unsigned(column: Column) -> Spelling:
    """What a driver would take for an integer with a sign goes and comes as digits."""
    exact: sa.types.TypeEngine[Any] = sa.Numeric(len(str(1 << 64)), 0)
    return Spelling(_to_text(""), _plain_digits, _to_digits, lambda given: sa.cast(given, exact), sa.Text())


def _bits(column: Column, kind: sa.types.TypeEngine[Any]) -> Spelling:
    """MySQL's BIT, as its digits; one digit is a number."""
    length = int(getattr(kind, "length", None) or 1)

    def shown(element: Element) -> Element:
        digits = sa.func.bin(element + 0)
        return sa.cast(sa.func.lpad(digits, length, sa.literal_column("'0'")), sa.Text())

    def given(text: str) -> str:
        if set(text) - {"0", "1"} or len(text) != length:
            raise ValueError
        return text

    def placed(given: Element) -> Element:
        number: Element = sa.func.conv(given, sa.literal_column("2"), sa.literal_column("10"))
        return sa.cast(number, sa.Numeric(len(str(1 << 64)), 0))

    return Spelling(shown, str, given, placed, sa.Text())


def _as_it_is(element: Element) -> Element:
    return element


def _to_text(family: str) -> Callable[[Element], Element]:
    return lambda element: sa.cast(element, sa.Text())


def _double_of(family: str) -> Callable[[Element], Element]:
    """MySQL prints six digits of a FLOAT, and all of a DOUBLE."""
    return lambda element: sa.type_coerce(element + sa.literal_column("0e0"), sa.Double())


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


def _raw(element: Element) -> Element:
    """As the driver has it. SQLAlchemy would take SQL Server's UUID for a text, and fail."""
    return sa.type_coerce(element, sa.types.NullType())


SHOWN: Final[Mapping[str, Callable[[str], Callable[[Element], Element]]]] = {
    "cast": _to_text, "to_char": _to_char, "varchar_format": _varchar_format, "convert": _convert,
    "at utc": _convert_at_utc, "double": _double_of, "raw": lambda family: _raw,
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
            if can.untyped:
                return _double, _to_real
            single = column.precision == 24
            return _single if single else _double, _to_wide if single else _to_double
        case "boolean":
            return lambda value: "t" if value else "f", _to_boolean
        case "bytes":
            return lambda value: "\\x" + bytes(value).hex(), _to_bytes
        case "date":
            return moments.date_text, (str if can.untyped else date.fromisoformat)
        case "time":
            return moments.time_text, (str if can.untyped else moments.to_time)
        case "timestamp" | "timestamptz":
            zoned = column.family == "timestamptz"
            return (moments.zoned_text if zoned else moments.moment_text), (str if can.untyped else moments.to_moment)
        case "uuid":
            return lambda value: str(value).lower(), str
        case _:
            return _plain, _text_giver(can)


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


_AS_TOLD: Final[tuple[Callable[[Any], str], ...]] = (_plain, _integer, str)
"""These leave a text as it is."""


def _plain_digits(text: str) -> str:
    """Without the zeros in front that MySQL shows."""
    return text.lstrip("0") or "0"


def _to_digits(text: str) -> str:
    return str(_to_integer(text))


def _text_giver(can: Abilities) -> Callable[[str], str]:
    def give(text: str) -> str:
        if not text.isascii():
            text.encode()  # half a surrogate pair is no text
        if "\0" in text and not can.nul:
            raise ValueError
        return text

    return give


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


def _to_real(text: str) -> float:
    """A number that is one: where columns have no types, what is none is stored as NULL."""
    number = float(double(text))
    if math.isnan(number):
        raise ValueError
    return number


def _to_wide(text: str) -> float:
    """The number that a column of four bytes makes of it: some other one might be out of its range."""
    number = float(narrowed(text))
    return float(_SINGLE.unpack(_SINGLE.pack(number))[0]) if math.isfinite(number) else number


def _to_boolean(text: str) -> bool:
    if text not in ("t", "f"):
        raise ValueError
    return text == "t"


def _to_bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))
