"""What a column has room for, and what becomes of a value that it has not: `on_overflow`.

Turns a value that is too long or too large into what the rules say, as the column then prints it. Never guesses: where
nothing is said, the value is refused, and the refusal tells the limit and not the value.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeAlias, assert_never

from engine.catalog import Column
from engine.errors import ValueRefused
from engine.rulebook import Codec
from engine.vocabulary import Text
from rules.values.codecs import is_year, same

Overflow: TypeAlias = Literal["quarantine", "cut", "nearest", "null"]

FITTING: Final[dict[str, tuple[Overflow, ...]]] = {
    "text": ("quarantine", "cut", "null"),
    "integer": ("quarantine", "nearest", "null"),
    "numeric": ("quarantine", "nearest", "null"),
    "bytes": ("quarantine", "cut", "null"),
    "date": ("quarantine", "nearest", "null"),
    "timestamp": ("quarantine", "nearest", "null"),
    "timestamptz": ("quarantine", "nearest", "null"),
}
"""What may be said of a column, by its family."""

_BITS = 64
_UTF8_MAX: Final = 4
"""Bytes of one character."""
_USUAL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_HEX: Final = "\\x"


def is_limited(column: Column) -> bool:
    """Whether there are values of its family that it has no room for."""
    match column.family:
        case "text":
            return column.length is not None or column.octets is not None
        case "bytes":
            return column.octets is not None
        case "numeric":
            return column.precision is not None
        case "date" | "timestamp" | "timestamptz":
            return bool(column.most)
        case family:
            return family == "integer" and not is_year(column)


def for_text(column: Column, overflow: Overflow, *, trim: bool = False) -> Codec | None:
    """The step above the column's own: before blanks are added to fill it. `trim`: blanks at the end mean nothing."""
    if column.family == "bytes":
        return _for_bytes(column, overflow)
    if column.family != "text" or (column.length is None and column.octets is None):
        return None
    length, octets = column.length, column.octets
    trimmed = trim or column.padded in ("blanks", "trimmed")
    safe = min(most for most in (length, None if octets is None else octets // _UTF8_MAX) if most is not None)

    def encode(text: str) -> Text:
        if len(text) <= safe:
            return text
        kept = text if length is None else text[:length]
        if octets is not None and len(told := kept.encode("utf-8", "surrogatepass")) > octets:
            kept = told[:octets].decode("utf-8", "ignore")
        if kept == text:
            return text
        if not text[len(kept) :].strip(" "):
            return kept  # the database itself lets go of blanks that are too many
        match overflow:
            case "cut":
                return kept.rstrip(" ") if trimmed else kept
            case "null":
                return None
            case "quarantine" | "nearest":
                fit = f"{length} fit" if octets is None else f"{octets} bytes fit"
                raise ValueRefused(f"a text of {len(text)} characters, and {fit} into {column.type}")
            case _:
                assert_never(overflow)

    return Codec("", same, encode)


def _for_bytes(column: Column, overflow: Overflow) -> Codec | None:
    if column.octets is None:
        return None
    octets, digits = column.octets, 2 * column.octets + len(_HEX)

    def encode(text: str) -> Text:
        if len(text) <= digits:
            return text
        match overflow:
            case "cut":
                return text[:digits]
            case "null":
                return None
            case "quarantine" | "nearest":
                size = (len(text) - len(_HEX)) // 2
                raise ValueRefused(f"{size} bytes, and {octets} fit into {column.type}")
            case _:
                assert_never(overflow)

    return Codec("", same, encode)


def for_time(column: Column, overflow: Overflow) -> Codec | None:
    """The step below the column's own: what was rounded may have become too late."""
    if not is_limited(column) or column.family not in ("date", "timestamp", "timestamptz"):
        return None
    least, most = column.least, column.most

    def encode(text: str) -> Text:
        early = text.endswith(" BC") or text == "-infinity"
        usual = not early and _USUAL_DATE.match(text) is not None
        if usual and (text[:4] == "0000" or text[5:7] == "00" or text[8:10] == "00"):
            return text  # no date in any calendar, but the column has its own mind about that
        if usual and _moment(least) <= _moment(text) <= _moment(most):
            return text
        match overflow:
            case "nearest":
                return least if early or (usual and _moment(text) < _moment(least)) else most
            case "null":
                return None
            case "quarantine" | "cut":
                raise ValueRefused(f"a time that {column.type} cannot hold: it has {least} to {most}")
            case _:
                assert_never(overflow)

    return Codec("", same, encode)


def _moment(text: str) -> str:
    """What compares as the moments do, among years of four digits."""
    return text.removesuffix("+00")


def for_number(column: Column, overflow: Overflow) -> Codec | None:
    """The step below the column's own: what was rounded may have become too large."""
    if not is_limited(column) or column.family not in ("integer", "numeric"):
        return None
    largest, least = bounds(column)
    safe = len(largest.partition(".")[0]) - 1 if Decimal(largest) >= 1 else 0
    high, low, unsigned = Decimal(largest), Decimal(least), column.unsigned

    def encode(text: str) -> Text:
        if len(text.partition(".")[0]) <= safe and not (unsigned and text[0] == "-"):
            return text
        number = _number(text)
        if number.is_nan() or low <= number <= high:
            return text
        match overflow:
            case "nearest":
                return largest if number > 0 else least
            case "null":
                return None
            case "quarantine" | "cut":
                raise ValueRefused(f"a number too large for {column.type}: it holds {least} to {largest}")
            case _:
                assert_never(overflow)

    return Codec("", same, encode)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueRefused("a number is not written in plain digits") from None


def bounds(column: Column) -> tuple[str, str]:
    """The largest and the least number of a limited column, as it prints them."""
    if column.family == "integer":
        if is_year(column):
            return column.most, "0000"
        bits = column.precision or _BITS
        return (str(2**bits - 1), "0") if column.unsigned else (str(2 ** (bits - 1) - 1), str(-(2 ** (bits - 1))))
    assert column.precision is not None
    largest = Decimal((0, (9,) * column.precision, -(column.scale or 0)))
    nothing = Decimal((0, (0,), -(column.scale or 0)))
    return f"{largest:f}", f"{nothing if column.unsigned else -largest:f}"
