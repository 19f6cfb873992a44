"""Named pairs there and back: a column's text as stored ↔ the field's canonical text.

Stored text is what PostgreSQL prints under fixed settings (ISO dates, UTC, hexadecimal bytea, `t` and `f`), and what
the adapters of other databases spell as it does; canonical text is the one form in which a value of a family is
compared everywhere. `encode` gives exactly what the column will print after storing it, rounded and padded as the
database does, so that what was written is known without reading it.

Where nothing has to change there is no codec at all. A codec never sees NULL, and its refusals never tell a value.
What a column's words make of values is in `rules/values/words`; here is what its type does by itself.
Laws (tests/rules/test_codecs.py): what was read and written back is unchanged, up to what the canonical form leaves out
(zeros after the point of an unconstrained numeric); what was written and read back is the value, up to what the column
cannot hold, and a second time nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Final

from engine.catalog import Column
from engine.errors import ValueRefused
from engine.floats import narrowed, widened
from engine.rulebook import Codec
from engine.vocabulary import Text
from rules.values import documents
from rules.values.moments import rounded

PLENTY = Context(prec=200_000, rounding=ROUND_HALF_UP, Emin=-200_000, Emax=200_000)
"""More digits than PostgreSQL's numeric can have (131,072 before the point, 16,383 after)."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_SPECIAL_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_UUID = re.compile(r"\{?[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?")

UUID_IN_TEXT = "uuid in text"

SHORT = 64
"""Characters of a text that is worked on, or remembered, in the way that is quick for usual values."""

REMEMBERED = 1_024
"""Texts whose counterpart a codec remembers: a value is read and written several times on its way."""

SECOND_DIGITS = 6
"""As fine as PostgreSQL tells time."""


def codec(family: str, column: Column) -> Codec | None:
    """The pair for a column of a field of that canonical family; None if the stored form is the canonical one."""
    above = "numeric" if family == "numeric" else column.family
    return composed([own(above, column), lifted(column.family, family)])


def own(above: str, column: Column) -> Codec | None:
    """What the column's own type does to a value of the family `above` it: rounds and pads it, prints it in its way."""
    match above, column.family:
        case _, "integer" if is_year(column):
            return Codec("year", canonical_number, _year)
        case "numeric", "integer":
            return Codec("numeric in integer", same, remembered(to_integer))
        case "numeric", "numeric":
            return _numeric(column.scale)
        case _, "text" if column.labels:
            return _set(column.labels)
        case _, "text":
            return _blanks(column)
        case _, "enum":
            return None if column.exact else Codec("", same, _one_of(column.labels))
        case _, "bytes" if column.padded == "zeros" and column.octets:
            digits = 2 * column.octets + len("\\x")
            return Codec("", same, lambda text: text.ljust(digits, "0"))
        case _, ("timestamp" | "timestamptz" | "time") if column.scale is not None and column.scale < SECOND_DIGITS:
            scale = column.scale
            return Codec(f"{above} to {scale} digits", same, lambda text: rounded(text, scale))
        case _, "float":
            narrow = Codec("float in real", widened, narrowed) if is_single(column) else None
            return composed([Codec("", same, _unsigned_zero), narrow]) if column.finite else narrow
        case _, "other" if column.precision is not None:
            digits = column.precision
            return Codec("", same, lambda text: text.zfill(digits))
        case _, "json":
            # Of what a json column keeps as it was written, blanks and the order of keys mean nothing.
            return Codec("json", documents.canonical, same, many=True) if column.type == "json" else None
        case _:
            return None


def lifted(below: str, family: str) -> Codec | None:
    """A value of one family told in another."""
    match below, family:
        case ("text" | "enum"), "uuid":
            return Codec(UUID_IN_TEXT, to_uuid, same, many=True)
        case "integer", "boolean":
            return Codec("boolean in integer", _to_boolean, _from_boolean)
        case "text", "json":
            return Codec("json in text", documents.canonical, same, many=True)
        case _:
            return None


def composed(steps: Iterable[Codec | None], where: str = "") -> Codec | None:
    """One pair of several, from the column upwards; None if nothing is left to do. `where`: opens every refusal."""
    pairs = [step for step in steps if step is not None]
    if not pairs:
        return None
    return Codec(
        ", ".join([pair.name for pair in pairs if pair.name]),
        _one([pair.decode for pair in pairs], where),
        _one([pair.encode for pair in reversed(pairs)], where),
        any(pair.many for pair in pairs),
    )


def _one(ways: Iterable[Callable[[str], Text]], where: str) -> Callable[[str], Text]:
    changing = tuple([way for way in ways if way is not same])
    if not changing:
        return same
    if len(changing) == 1 and not where:
        return changing[0]

    def go(text: Text) -> Text:
        try:
            for way in changing:
                if text is None:
                    return None
                text = way(text)
        except ValueRefused as refused:
            raise ValueRefused(f"{where}: {refused.found}" if where else refused.found) from None
        return text

    return go


def same(text: str) -> str:
    """Nothing to do."""
    return text


def remembered(way: Callable[[str], Text]) -> Callable[[str], Text]:
    """The same way, for one that takes long: what the last short texts became is not worked out again."""
    known = lru_cache(maxsize=REMEMBERED)(way)
    return lambda text: known(text) if len(text) <= SHORT else way(text)


SINGLE_BITS: Final = 24
"""Of the digits of a floating-point number of four bytes."""


def is_blank_padded(column: Column) -> bool:
    """char(n) of PostgreSQL: blanks at the end mean nothing, and are printed."""
    return column.padded == "blanks"


def is_single(column: Column) -> bool:
    """A floating-point number of four bytes: as the catalog counts its digits, or else as PostgreSQL and MariaDB call
    it. (Other databases call by these names what is not.)"""
    if column.family == "float" and column.precision is not None:
        return column.precision <= SINGLE_BITS
    return re.match(r"(real|float4|float)\b", column.type) is not None


def is_year(column: Column) -> bool:
    """A year of four digits, of which 0 is one."""
    return column.family == "integer" and column.type.startswith("year")


def is_zoned_time(column: Column) -> bool:
    """A time of day that carries its own offset: nothing else can hold it."""
    return column.family == "time" and ("with time zone" in column.type or column.type.startswith("timetz"))


def canonical_number(text: str) -> str:
    """Plain digits: no plus, no zeros that mean nothing, no minus before zero."""
    if text in _SPECIAL_NUMBERS:
        return text
    if not _NUMBER.fullmatch(text):
        raise ValueRefused("a number is not written in plain digits")
    whole, _, fraction = text.partition(".")
    negative, whole = whole.startswith("-"), whole.lstrip("-").lstrip("0") or "0"
    fraction = fraction.rstrip("0")
    if whole == "0" and not fraction:
        return "0"
    return ("-" if negative else "") + whole + ("." + fraction if fraction else "")


def to_scale(text: str, scale: int) -> str:
    """As `numeric(p, scale)` prints it: rounded half away from zero, padded with zeros."""
    if text in _SPECIAL_NUMBERS:
        return text
    if not _NUMBER.fullmatch(text):
        raise ValueRefused("a number is not written in plain digits")
    if len(text) > SHORT or not 0 <= scale <= SHORT:
        number = PLENTY.quantize(Decimal(text), Decimal((0, (1,), -scale)))
        return f"{abs(number) if number.is_zero() else number:f}"
    whole, _, fraction = text.removeprefix("-").partition(".")
    units = int(whole + fraction[:scale].ljust(scale, "0")) + (fraction[scale : scale + 1] >= "5")
    digits = f"{units:0{scale + 1}}"
    printed = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return "-" + printed if units and text[0] == "-" else printed


def to_integer(text: str) -> str:
    """As an integer column stores a numeric: rounded half away from zero."""
    if text in _SPECIAL_NUMBERS:
        raise ValueRefused(f"an integer cannot be {text}")
    return to_scale(text, 0)


def to_uuid(text: str) -> str:
    """Lower case, with the usual hyphens."""
    text = text.rstrip(" ")
    if not _UUID.fullmatch(text):
        raise ValueRefused("a text is not a uuid")
    digits = re.sub(r"[{}-]", "", text).lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _numeric(scale: int | None) -> Codec:
    if scale is None:
        return Codec("numeric", canonical_number, canonical_number, many=True)
    return Codec(f"numeric to {scale} digits", canonical_number, remembered(lambda text: to_scale(text, scale)))


def _blanks(column: Column) -> Codec | None:
    """What becomes of blanks at the end."""
    length = column.length
    if column.padded == "trimmed":
        return Codec("", same, lambda text: text.rstrip(" "))
    if column.padded != "blanks" or length is None:
        return None
    return Codec(f"char({length})", lambda text: text.rstrip(" "), lambda text: text.rstrip(" ").ljust(length))


def _set(labels: tuple[str, ...]) -> Codec:
    """A list of labels, which the database brings into its own order."""
    places = {label: at for at, label in enumerate(labels)}

    def encode(text: str) -> str:
        given = set(text.split(",")) if text else set()
        if not given <= places.keys():
            raise ValueRefused(f"a text is no list of the values there, parted by commas: {', '.join(labels)}")
        return ",".join(sorted(given, key=places.__getitem__))

    return Codec("set", same, remembered(encode))


def _one_of(labels: tuple[str, ...]) -> Callable[[str], str]:
    """Refuses what the database would take for the label that it likes best."""
    known = frozenset(labels)

    def encode(text: str) -> str:
        if text not in known:
            raise ValueRefused(f"a text is none of the values there: {', '.join(labels)}")
        return text

    return encode


def _year(text: str) -> str:
    text = to_integer(text)
    if text != "0" and not ("1901" <= text <= "2155" and len(text) == len("2155")):
        raise ValueRefused("a number is no year that fits: 1901 to 2155, or 0")
    return text.zfill(len("2155"))


def _unsigned_zero(text: str) -> str:
    """Such a database stores no zero below zero."""
    return "0" if text == "-0" else text


def _to_boolean(text: str) -> str:
    try:
        return {"1": "t", "0": "f"}[text]
    except KeyError:
        raise ValueRefused("an integer is neither 0 nor 1, and that is all that it may be here") from None


def _from_boolean(text: str) -> str:
    return "1" if text == "t" else "0"
