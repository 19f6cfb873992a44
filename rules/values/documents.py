"""JSON as jsonb prints it: the canonical form of every JSON value, whatever it is stored as.

Turns any JSON text into that one: keys by length and then by their bytes, the last of two that are the same, numbers
in plain digits with the zeros that they were written with, one blank after `,` and `:`. Exact: no number becomes a
floating-point one. It refuses what jsonb refuses, and never shows what stands in a document.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn

from engine.errors import ValueRefused

WHOLE_DIGITS_MAX: Final = 131_072
FRACTION_DIGITS_MAX: Final = 16_383
"""What PostgreSQL's numeric can hold before and after the point."""
GROWTH_MAX: Final = 1_000_000
"""By how many digits a document may grow when its exponents are written out: `1e131071` is 8 characters, and 131,072
digits, so that a small document could take all memory."""

_ESCAPES: Final = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_SPECIAL = re.compile(r'[\x00-\x1f"\\]')
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_NO_JSON = "a text is no JSON that jsonb could hold"


class _Number(str):
    """A number as it was written."""


def _constant(_: str) -> NoReturn:
    raise ValueRefused(_NO_JSON)


_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_constant)


def canonical(text: str) -> str:
    """A JSON text → the same as jsonb prints it."""
    try:
        return _printed(_DECODER.decode(text), [GROWTH_MAX])
    except (ValueError, RecursionError, InvalidOperation):
        raise ValueRefused(_NO_JSON) from None


def _printed(value: object, left: list[int]) -> str:
    """`left`: by how many digits the document may still grow."""
    if isinstance(value, _Number):
        return _number(value, left)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(encoded := _bytes(key)), encoded))
        return "{" + ", ".join([f"{_string(key)}: {_printed(value[key], left)}" for key in keys]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join([_printed(item, left) for item in value]) + "]"
    return "null" if value is None else "true" if value else "false"


def _bytes(key: str) -> bytes:
    if _UNFIT.search(key):
        raise ValueRefused(_NO_JSON)
    return key.encode()


def _string(text: str) -> str:
    if _UNFIT.search(text):
        raise ValueRefused(_NO_JSON)
    return '"' + _SPECIAL.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", text) + '"'


def _number(text: str, left: list[int]) -> str:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if number.adjusted() >= WHOLE_DIGITS_MAX or -exponent > FRACTION_DIGITS_MAX:
        raise ValueRefused(_NO_JSON)
    left[0] -= max(0, number.adjusted() - len(text), -exponent - len(text))
    if left[0] < 0:
        raise ValueRefused(f"the numbers of a JSON text, written out, have over {GROWTH_MAX:,} digits more than it")
    return f"{number.copy_abs() if number.is_zero() else number:f}"
