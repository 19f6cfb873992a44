"""The types of expressions, and their values: text to value and back, as PostgreSQL reads and prints them.

A value is a bool, an int, a Decimal (with as many digits after the point as PostgreSQL would show), a str, and for
dates and times an int: days or microseconds since 2000, as PostgreSQL counts them. What comes out again is canonical.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, TypeAlias

from engine.errors import ValueRefused
from rules.expressions import moments
from rules.values.codecs import to_uuid

Kind: TypeAlias = Literal[
    "boolean", "smallint", "integer", "bigint", "numeric", "text", "date", "time", "timestamp", "timestamptz", "uuid",
    "interval", "unknown",
]  # fmt: skip
"""`unknown`: a text in quotes, NULL, or a field whose type nobody has told: it takes the type that is needed."""

TYPE_NAMES: Final[Mapping[str, Kind]] = {
    "boolean": "boolean", "bool": "boolean", "smallint": "smallint", "int2": "smallint", "integer": "integer",
    "int": "integer", "int4": "integer", "bigint": "bigint", "int8": "bigint", "numeric": "numeric",
    "decimal": "numeric", "text": "text", "varchar": "text", "date": "date", "time": "time",
    "timestamp": "timestamp", "timestamptz": "timestamptz", "uuid": "uuid",
}  # fmt: skip
"""How they can be written in a cast."""

OF_FAMILY: Final[Mapping[str, Kind]] = {
    "": "unknown", "boolean": "boolean", "integer": "bigint", "numeric": "numeric", "float": "numeric",
    "date": "date", "time": "time", "timestamp": "timestamp", "timestamptz": "timestamptz", "uuid": "uuid",
}  # fmt: skip
"""What a field of a canonical family is here; of every other family, its text."""

FAMILY: Final[Mapping[str, str]] = {"smallint": "integer", "integer": "integer", "bigint": "integer"}
"""The canonical family of a type, where it is called otherwise."""

INTEGERS: Final = ("smallint", "integer", "bigint")
NUMBERS: Final = (*INTEGERS, "numeric")
MOMENTS: Final = ("date", "timestamp", "timestamptz")

LARGEST: Final[Mapping[str, int]] = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}

DIGITS_MAX: Final = 1_000
TEXT_MAX: Final = 1_000_000
"""In characters."""

_BLANKS: Final = " \t\n\r\f\v"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_UUID = re.compile(r"\{?(?:[0-9A-Fa-f]{4}-?){7}[0-9A-Fa-f]{4}\}?")
_SPECIAL = re.compile(r"(nan)|([+-]?)inf(?:inity)?", re.IGNORECASE)
_TRUTHS: Final = {
    **{word[:size]: word == "true" or word == "yes" for word in ("true", "false", "yes", "no") for size in range(1, 6)},
    "on": True, "of": False, "off": False, "1": True, "0": False,
}  # fmt: skip


def truth(text: str) -> bool:
    """As PostgreSQL reads one."""
    answer = _TRUTHS.get(text.strip(_BLANKS).lower())
    if answer is None:
        raise ValueRefused("a text is no boolean")
    return answer


def integer(text: str, kind: str = "bigint") -> int:
    """A whole number in digits."""
    text = text.strip(_BLANKS)
    if len(text) > DIGITS_MAX or not _INTEGER.fullmatch(text):
        raise ValueRefused("a text is no whole number")
    return fitting(int(text), kind)


def fitting(number: int, kind: str) -> int:
    """The number itself, if the type can hold it."""
    largest = LARGEST[kind]
    if not -largest - 1 <= number <= largest:
        raise ValueRefused(f"a number is out of the range of {kind}")
    return number


def number(text: str) -> Decimal:
    """A number in digits, NaN or an infinite one."""
    text = text.strip(_BLANKS)
    special = _SPECIAL.fullmatch(text)
    if special is not None:
        return Decimal("NaN" if special[1] else special[2] + "Infinity")
    if len(text) > DIGITS_MAX + 2 or not _NUMBER.fullmatch(text):
        raise ValueRefused("a text is no number, or has too many digits")
    found = Decimal(text)
    exponent = found.as_tuple().exponent
    assert isinstance(exponent, int)
    if found.adjusted() > DIGITS_MAX or exponent < -DIGITS_MAX:
        raise ValueRefused(f"a number has more than {DIGITS_MAX:,} digits")
    return Decimal(int(found)) if exponent > 0 else found


def uuid(text: str) -> str:
    """In its usual form. PostgreSQL allows a hyphen behind any four digits."""
    if not _UUID.fullmatch(text) or text.startswith("{") != text.endswith("}"):
        raise ValueRefused("a text is no uuid")
    return to_uuid(text.strip("{}").replace("-", ""))


def plain_integer(text: str) -> int:
    """The canonical text of an integer."""
    try:
        return int(text)
    except ValueError:
        raise ValueRefused("a value is no whole number") from None


def plain_number(text: str) -> Decimal:
    """The canonical text of a number."""
    try:
        if len(text) <= DIGITS_MAX and "e" not in text:
            return Decimal(text)
    except InvalidOperation:
        pass
    return number(text)


def plain_truth(text: str) -> bool:
    """The canonical text of a boolean."""
    return text == "t" or (text != "f" and truth(text))


def number_text(value: Decimal) -> str:
    """As PostgreSQL prints it, with the zeros that show how exact it is."""
    if value.is_finite():
        return f"{value if value else abs(value):f}"
    return str(value)


def canonical(value: Decimal) -> str:
    """The same without them."""
    if not value or not value.is_finite():
        return number_text(value).partition(".")[0]
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if len(text) > DIGITS_MAX + 2:
        raise ValueRefused(f"a number has more than {DIGITS_MAX:,} digits")
    return text


def bounded(text: str) -> str:
    """The text itself, if it is not too long."""
    if len(text) > TEXT_MAX:
        raise ValueRefused(f"a text has more than {TEXT_MAX:,} characters")
    return text


def _same(text: str) -> str:
    return text


INPUT: Final[Mapping[str, Callable[[str], Any]]] = {
    "boolean": truth, "smallint": lambda text: integer(text, "smallint"),
    "integer": lambda text: integer(text, "integer"), "bigint": integer, "numeric": number, "text": _same,
    "date": moments.date, "time": moments.time, "timestamp": moments.timestamp, "timestamptz": moments.timestamptz,
    "uuid": uuid, "interval": moments.interval,
}  # fmt: skip
"""Any text to a value, as a cast from text does."""

READ: Final[Mapping[str, Callable[[str], Any]]] = {
    **INPUT, "boolean": plain_truth, "bigint": plain_integer, "numeric": plain_number, "uuid": _same,
}  # fmt: skip
"""Canonical (or stored) text to a value."""

TEXT: Final[Mapping[str, Callable[[Any], str]]] = {
    "boolean": lambda value: "true" if value else "false", "smallint": str, "integer": str, "bigint": str,
    "numeric": number_text, "text": _same, "date": moments.date_text, "time": moments.time_text,
    "timestamp": moments.timestamp_text, "timestamptz": moments.timestamptz_text, "uuid": _same,
}  # fmt: skip
"""A value to text, as a cast to text does."""

OUTPUT: Final[Mapping[str, Callable[[Any], str]]] = {**TEXT, "boolean": lambda value: "t" if value else "f"}
"""A value as PostgreSQL prints it."""

CANONICAL: Final[Mapping[str, Callable[[Any], str]]] = {**OUTPUT, "numeric": canonical, "text": bounded}
"""A value to canonical text."""
