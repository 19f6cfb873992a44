"""What a column has room for, and what becomes of a value that it has not: `on_overflow`.

Turns a value that is too long or too large into what the rules say, as the column then prints it. Never guesses: where
nothing is said, the value is refused, and the refusal tells the limit and not the value.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeAlias, assert_never

from engine.catalog import Column
from engine.errors import ValueRefused
from engine.rulebook import Codec
from engine.vocabulary import Text
from rules.values.codecs import is_blank_padded, same

Overflow: TypeAlias = Literal["quarantine", "cut", "nearest", "null"]

FITTING: Final[dict[str, tuple[Overflow, ...]]] = {
    "text": ("quarantine", "cut", "null"),
    "integer": ("quarantine", "nearest", "null"),
    "numeric": ("quarantine", "nearest", "null"),
}
"""What may be said of a column, by its family."""

_BITS = 64


def is_limited(column: Column) -> bool:
    """Whether there are values of its family that it has no room for."""
    return {"text": column.length is not None, "numeric": column.precision is not None}.get(
        column.family, column.family == "integer"
    )


def for_text(column: Column, overflow: Overflow) -> Codec | None:
    """The step above the column's own: before blanks are added to fill it."""
    length = column.length
    if column.family != "text" or length is None:
        return None
    padded = is_blank_padded(column)

    def encode(text: str) -> Text:
        if len(text) <= length:
            return text
        kept = text[:length]
        if not text[length:].strip(" "):
            return kept  # the database itself lets go of blanks that are too many
        match overflow:
            case "cut":
                return kept.rstrip(" ") if padded else kept
            case "null":
                return None
            case "quarantine" | "nearest":
                raise ValueRefused(f"a text of {len(text)} characters, and {length} fit into {column.type}")
            case _:
                assert_never(overflow)

    return Codec("", same, encode)


def for_number(column: Column, overflow: Overflow) -> Codec | None:
    """The step below the column's own: what was rounded may have become too large."""
    if not is_limited(column) or column.family not in ("integer", "numeric"):
        return None
    largest, least = _bounds(column)
    safe = len(largest.partition(".")[0]) - 1 if Decimal(largest) >= 1 else 0
    high, low = Decimal(largest), Decimal(least)

    def encode(text: str) -> Text:
        if len(text.partition(".")[0]) <= safe:
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


def _bounds(column: Column) -> tuple[str, str]:
    """The largest and the least number, as the column prints them."""
    if column.family == "integer":
        half = 2 ** ((column.precision or _BITS) - 1)
        return str(half - 1), str(-half)
    assert column.precision is not None
    largest = Decimal((0, (9,) * column.precision, -(column.scale or 0)))
    return f"{largest:f}", f"{-largest:f}"
