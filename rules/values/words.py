"""What the words of a column make of its values: one named pair for each, put together in one order.

From the column upwards (reading; writing goes the other way): what its type does by itself, `on_overflow`, `trim`,
`case`, `round`, then the one word that makes something else of it (`map`, `list`, `scale`, `read` and `write`, or a
time zone), and last what two families need to be told in one. A word that stands elsewhere does nothing here; which
words go together is for `rules/values/suits` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from engine import lists
from engine.catalog import Column
from engine.errors import ValueRefused
from engine.floats import widened
from engine.rulebook import Codec, Formula
from engine.vocabulary import Text
from rules.problem import quoted
from rules.values import codecs, documents, room
from rules.values.codecs import PLENTY, composed, same
from rules.values.stored import Stored
from rules.values.zones import zoned

LOSSY_DIGITS: Final = 20
"""Digits after the point of a quotient that does not end, where no column says how many."""

_TWO_AND_FIVE: Final = (2, 5)


@dataclass(frozen=True, slots=True)
class Meant:
    """What is known of a column's values once its words are done with them."""

    family: str
    """What family they are of then."""
    values: Mapping[str, str] | None = None
    """Its map, both sides in their usual form."""
    read: Formula | None = None
    write: Formula | None = None
    zoned: bool = False
    """Its times without a zone are told as moments."""
    elements: str = "text"
    """What stands in a list."""


def column_codec(field: str, family: str, stored: Stored, meant: Meant) -> Codec | None:
    """The pair of one column for a field of that family; None if nothing is to be done."""
    words, column = stored.words, stored.column
    steps = [*_plain_words(stored), _making(field, stored, meant), codecs.lifted(meant.family, family)]
    own: list[Codec | None] = []
    if column is not None:
        above = "numeric" if column.family == "integer" and _has_fractions(family, stored) else column.family
        own = [codecs.own(above, column), _as_printed(column) if words.write is not None else None]
        if any(steps) or any(own) or "on_overflow" in words.model_fields_set:
            overflow = words.on_overflow
            below = [room.for_number(column, overflow), room.for_time(column, overflow)]
            own = [*below, *own, room.for_text(column, overflow, trim=words.trim)]
    found = composed([*own, *steps], f"{quoted(field)} of {quoted(stored.system)}")
    if found is not None and words.one_way:
        # Nobody asks what its values mean; but a journal shows them.
        return replace(found, decode=same, many=False)
    return found


def _as_printed(column: Column) -> Codec | None:
    """What an expression yields, as a column prints it that has a way of its own."""
    match column.family:
        case "json":
            return Codec("", same, documents.canonical)
        case "float" if not codecs.is_single(column):
            return Codec("", same, widened)
        case _:
            return None


def _has_fractions(family: str, stored: Stored) -> bool:
    return stored.words.scale is not None or (
        family == "numeric" and stored.map is None and stored.words.read is None
    ) or stored.words.write is not None  # fmt: skip


def _plain_words(stored: Stored) -> list[Codec | None]:
    """The words that leave a value what it is."""
    words = stored.words
    return [
        Codec("trimmed", _trimmed, _trimmed, many=True) if words.trim and words.list_ is None else None,
        None if words.case is None else Codec(f"{words.case} case", same, _CASES[words.case]),
        None if words.round is None else _rounded(words.round),
    ]


def _making(field: str, stored: Stored, meant: Meant) -> Codec | None:
    """The word that makes something else of a value."""
    words, column = stored.words, stored.column
    if meant.values is not None:
        return mapped(field, meant.values)
    if words.list_ is not None:
        kept = None if column is None else 0 if column.padded in ("blanks", "trimmed") else column.length
        return parted(words.list_, trim=words.trim, numbers=meant.elements == "integer", kept=kept)
    if words.scale is not None:
        digits = words.round
        if digits is None and column is not None:
            digits = 0 if column.family == "integer" else column.scale
        return scaled(words.scale, LOSSY_DIGITS if digits is None else digits)
    if meant.read is not None or meant.write is not None:
        return Codec("read and write", _worked_out(meant.read), _worked_out(meant.write), many=True)
    if meant.zoned and stored.zone is not None:
        return zoned(stored.zone)
    return None


def mapped(field: str, values: Mapping[str, str]) -> Codec:
    """A value map, stored → meant. Of several that mean the same, the first is written."""
    meanings = dict(values)
    stored: dict[str, str] = {}
    for value, meaning in meanings.items():
        stored.setdefault(meaning, value)
    known_stored, known = ", ".join(meanings), ", ".join(stored)

    def decode(text: str) -> str:
        try:
            return meanings[text]
        except KeyError:
            raise ValueRefused(f"a stored value is not in the map, which has: {known_stored}") from None

    def encode(text: str) -> str:
        try:
            return stored[text]
        except KeyError:
            raise ValueRefused(f"a value has no counterpart in the map, which has: {known}") from None

    return Codec(f"map of {field}", decode, encode, many=len(stored) < len(meanings))


def parted(by: str, *, trim: bool, numbers: bool, kept: int | None = None) -> Codec:
    """A text of several values, parted by `by` ↔ the list of them. `kept`: behind so many characters, blanks at its end
    are not kept there; None: they always are."""

    def decode(text: str) -> str:
        if not (text.strip(" ") if trim else text):
            return "{}"
        found = text.split(by)
        if trim:
            found = [element.strip(" ") for element in found]
        return lists.listed([codecs.canonical_number(element) for element in found] if numbers else found)

    def encode(text: str) -> str:
        found = lists.elements(text)
        if trim:
            found = [element if element is None else element.strip(" ") for element in found]
        if found == [""]:
            raise ValueRefused("a list of one empty text cannot be told from an empty list there")
        out: list[str] = []
        for element in found:
            if element is None:
                raise ValueRefused("a list with NULL in it cannot be told there")
            if by in element:
                raise ValueRefused(f"an element of a list has {quoted(by)} in it, which parts the elements there")
            out.append(element)
        joined = by.join(out)
        if joined.split(by) != out and out:
            raise ValueRefused(f"the elements of a list cannot be told apart by {quoted(by)}")
        if kept is not None and len(joined) > kept and joined.endswith(" "):
            raise ValueRefused("a list ends with a blank, and those at the end of the text are not kept there")
        return joined

    return Codec("list", decode, codecs.remembered(encode), many=trim or numbers)


def scaled(scale: str, digits: int) -> Codec:
    """What is stored times `scale` is what is meant. `digits`: how many are written of a quotient that does not end."""
    factor = Decimal(scale)
    inverse = inverse_of(scale)
    special = {"NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}
    if factor < 0:
        special |= {"Infinity": "-Infinity", "-Infinity": "Infinity"}

    def times(by: Decimal) -> Callable[[str], str]:
        def multiply(text: str) -> str:
            if text in special:
                return special[text]
            return codecs.canonical_number(f"{PLENTY.multiply(Decimal(codecs.canonical_number(text)), by):f}")

        return multiply

    def divide(text: str) -> str:
        if text in special:
            return special[text]
        quotient = Fraction(Decimal(codecs.canonical_number(text))) / Fraction(factor) * 10**digits
        whole = (2 * abs(quotient.numerator) + quotient.denominator) // (2 * quotient.denominator)
        return codecs.canonical_number(f"{Decimal((int(quotient < 0), _digits(whole), -digits)):f}")

    back = divide if inverse is None else times(inverse)
    return Codec(f"times {scale}", codecs.remembered(times(factor)), codecs.remembered(back))


def inverse_of(scale: str) -> Decimal | None:
    """What to multiply by to undo it; None if no number with finitely many digits does."""
    ratio = 1 / Fraction(Decimal(scale))
    rest = ratio.denominator
    power = 0
    for prime in _TWO_AND_FIVE:
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        power = max(power, count)
    if rest != 1:
        return None
    whole = ratio.numerator * (10**power // ratio.denominator)
    return Decimal((int(whole < 0), _digits(abs(whole)), -power))


def _digits(whole: int) -> tuple[int, ...]:
    return Decimal(whole).as_tuple().digits


def _rounded(digits: int) -> Codec:
    return Codec(f"{digits} digits", same, lambda text: codecs.canonical_number(codecs.to_scale(text, digits)))


def _trimmed(text: str) -> str:
    return text.strip(" ")


_CASES: Final[dict[Literal["upper", "lower"], Callable[[str], str]]] = {"upper": str.upper, "lower": str.lower}


def _worked_out(formula: Formula | None) -> Callable[[str], Text]:
    if formula is None:
        return same
    value: Callable[[Sequence[Text | bool]], Text] = formula.value
    return lambda text: value((text,))
