"""Floating-point numbers as text, as PostgreSQL's `real` and `double precision` print them.

Canonical is what `double precision` prints: the shortest digits that give the number back. A number of four bytes has
digits of its own and another threshold for the exponent, so that one number has two texts. No arithmetic is done on the
values.
"""

from __future__ import annotations

import math
import struct
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation

from engine.errors import ValueRefused

_EXACT = Context(prec=1_500)
"""Enough digits for the difference of any two numbers of eight bytes."""
_TWO = Decimal(2)
_SINGLE_EXPONENT, _SINGLE_SIGN = 0x7F80_0000, 0x8000_0000
_SINGLE = struct.Struct("<f")
_SINGLE_NORMAL, _SINGLE_PLAIN, _SINGLE_SHORT = 1e-4, 1e6, (6, 7, 8, 9)
"""From where to where its text has no exponent, and how many digits are tried."""
_PLAIN, _SPARSE = 1e15, 2.0**53
"""Below the one, the text of eight bytes has no exponent; from the other on, not every whole number is one."""
_SPECIAL = frozenset({"NaN", "Infinity", "-Infinity"})
_SINGLE_DIGITS, _DOUBLE_DIGITS = 6, 15
"""From so many digits before the point PostgreSQL writes an exponent."""


def widened(text: str) -> str:
    """A real's text → the canonical text: what double precision prints after storing it."""
    if text in _SPECIAL:
        return text
    double = float(_number(text))
    digits = len(Decimal(repr(double)).normalize().as_tuple().digits)
    bounds = Decimal(math.nextafter(double, -math.inf)), Decimal(math.nextafter(double, math.inf))
    return _printed(_shortest(Decimal(double), bounds, digits), _DOUBLE_DIGITS)


def narrowed(text: str) -> str:
    """The canonical text → what a real prints after storing it."""
    if text in _SPECIAL:
        return text
    number = _number(text)
    try:
        single = _rounded(float(number))
    except OverflowError:
        raise ValueRefused("a number is too large for real") from None
    if single == 0 and number != 0:
        raise ValueRefused("a number is too small for real")
    (bits,) = struct.unpack("<I", struct.pack("<f", single))
    bounds = Decimal(_single(bits - 1)), Decimal(_single(bits + 1))
    return _printed(_shortest(Decimal(single), bounds, 1), _SINGLE_DIGITS)


def double(text: str) -> str:
    """A number in digits → what double precision prints after storing it."""
    if text in _SPECIAL:
        return text
    number = float(text)
    if math.isinf(number) or (number == 0 and Decimal(text) != 0):
        raise ValueRefused("a number is too large or too small for double precision")
    return _printed(Decimal(repr(number)), _DOUBLE_DIGITS)


def of_single(number: float) -> str:
    """A number of four bytes → its text, as a real prints it. `number`: finite, and exactly such a number."""
    size = abs(number)
    if not _SINGLE_NORMAL <= size < _SINGLE_PLAIN:
        return narrowed(repr(number))
    for digits in _SINGLE_SHORT:
        text = f"{number:.{digits}g}"
        told = float(text)
        if _rounded(told) == number:
            beyond = 2 * told - number
            # Just between two numbers: then only the exact way will do.
            return text if beyond == number or _rounded(beyond) != beyond else narrowed(repr(number))
    return narrowed(repr(number))


def of_double(number: float) -> str:
    """A number of eight bytes → its text, as double precision prints it. `number`: finite."""
    text = repr(number)
    size = abs(number)
    if size < _PLAIN and "e" not in text:
        return text.removesuffix(".0")
    if size < _SPARSE:
        return _printed(Decimal(text), _DOUBLE_DIGITS)
    return widened(text)


def _rounded(number: float) -> float:
    """As four bytes hold it."""
    value: float = _SINGLE.unpack(_SINGLE.pack(number))[0]
    return value


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueRefused("a number is not written as PostgreSQL writes it") from None


def _single(bits: int) -> float:
    """The number of four bytes with these bits; beyond the largest, as if there were one more."""
    if bits & _SINGLE_EXPONENT == _SINGLE_EXPONENT:
        return 2.0**128 if bits < _SINGLE_SIGN else -(2.0**128)
    value: float = struct.unpack("<f", struct.pack("<I", bits % 2**32))[0]
    return value


def _shortest(exact: Decimal, neighbours: tuple[Decimal, Decimal], digits: int) -> Decimal:
    """The fewest digits (`digits` or more) that are nearer to this number than to either neighbour; of those with so
    many, the nearest, and of two as near, the even one. Just between two numbers is not near enough for PostgreSQL."""
    if exact.is_zero():
        return exact
    reach = [_EXACT.divide(_EXACT.subtract(neighbour, exact), _TWO) for neighbour in neighbours]
    low, high = min(reach), max(reach)
    while True:
        near = {Context(digits, rounding).plus(exact) for rounding in (ROUND_FLOOR, ROUND_CEILING)}
        good = [candidate for candidate in near if low < _EXACT.subtract(candidate, exact) < high]
        if good:
            return min(good, key=lambda candidate: (abs(_EXACT.subtract(candidate, exact)), _last(candidate) % 2))
        digits += 1


def _last(number: Decimal) -> int:
    return number.as_tuple().digits[-1]


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
