"""Floating-point numbers as text between PostgreSQL's `real` and `double precision`.

Canonical is what `double precision` prints: the shortest digits that give the number back. `real` has digits of its own
and another threshold for the exponent, so that one number has two texts. No arithmetic is done on the values.
"""

from __future__ import annotations

import struct
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from engine.errors import ValueRefused

_SPECIAL = frozenset({"NaN", "Infinity", "-Infinity"})
_SINGLE_DIGITS, _DOUBLE_DIGITS = 6, 15
"""From so many digits before the point PostgreSQL writes an exponent."""


def widened(text: str) -> str:
    """A real's text → the canonical text with the same digits."""
    return text if text in _SPECIAL else _printed(Decimal(text), _DOUBLE_DIGITS)


def narrowed(text: str) -> str:
    """The canonical text → what a real prints after storing it."""
    if text in _SPECIAL:
        return text
    number = Decimal(text)
    try:
        single = _single(number)
    except OverflowError:
        raise ValueRefused("a number is too large for real") from None
    if single == 0 and number != 0:
        raise ValueRefused("a number is too small for real")
    return _printed(_shortest(single), _SINGLE_DIGITS)


def _single(number: Decimal) -> float:
    """The nearest number that four bytes can hold."""
    value: float = struct.unpack("f", struct.pack("f", float(number)))[0]
    return value


def _shortest(single: float) -> Decimal:
    """The fewest digits that are nearer to this number than to any other of four bytes; of those, the nearest."""
    exact = Decimal(single)
    if exact.is_zero():
        return exact
    for digits in range(1, 10):
        near = {Context(digits, rounding).plus(exact) for rounding in (ROUND_FLOOR, ROUND_CEILING)}
        good = [candidate for candidate in near if _fits(candidate, single)]
        if good:
            return min(good, key=lambda candidate: abs(candidate - exact))
    raise AssertionError("nine digits always tell a number of four bytes")


def _fits(candidate: Decimal, single: float) -> bool:
    try:
        return _single(candidate) == single
    except OverflowError:
        return False


def _printed(number: Decimal, digits_max: int) -> str:
    """As PostgreSQL prints a floating-point number of these digits."""
    sign, digit_tuple, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple)).lstrip("0")
    minus = "-" if sign else ""
    if not digits:
        return minus + "0"
    point = len(digits) + exponent
    digits = digits.rstrip("0")
    if -4 < point <= digits_max:
        if point <= 0:
            return f"{minus}0.{'0' * -point}{digits}"
        whole = digits[:point].ljust(point, "0")
        return minus + whole + ("." + digits[point:] if len(digits) > point else "")
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{minus}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1):02}"
