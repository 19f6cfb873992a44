"""Arithmetic as PostgreSQL does it: whole numbers that overflow, and numerics with PostgreSQL's digits after the point.

Decimals in, Decimals out; their exponent is the scale that PostgreSQL would show. More than 1,000 digits are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_05UP,
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    Inexact,
    Rounded,
)
from functools import lru_cache
from typing import Final

from engine.errors import ValueRefused
from rules.expressions.kinds import DIGITS_MAX, fitting

_EXACT: Final = Context(prec=DIGITS_MAX, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, Rounded])
_PLENTY: Final = Context(prec=4 * DIGITS_MAX + 100, rounding=ROUND_HALF_UP, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_SIGNIFICANT: Final = 16
"""So many digits a division gives at least (NUMERIC_MIN_SIG_DIGITS)."""
_GROUP: Final = 4
"""PostgreSQL counts in groups of so many digits (DEC_DIGITS)."""

_NAN: Final = Decimal("NaN")
_ZERO: Final = Decimal(0)


def _exactly(function: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Decimal, Decimal], Decimal]:
    def exact(left: Decimal, right: Decimal) -> Decimal:
        try:
            return function(left, right)
        except (Inexact, Rounded):
            raise ValueRefused(f"a number would have more than {DIGITS_MAX:,} digits") from None

    return exact


add: Final = _exactly(_EXACT.add)
subtract: Final = _exactly(_EXACT.subtract)
multiply: Final = _exactly(_EXACT.multiply)


def divide(left: Decimal, right: Decimal) -> Decimal:
    """To as many digits as PostgreSQL gives, rounded half away from zero."""
    if not (left.is_finite() and right.is_finite()):
        return _divide_special(left, right)
    if not right:
        raise ValueRefused("a division by zero")
    scale = _division_scale(left, right)
    if not left:
        return _ZERO.scaleb(-scale, _PLENTY)
    digits = max(1, left.adjusted() - right.adjusted() + scale + 3)
    quotient = _towards_five(digits).divide(left, right)
    return quotient.quantize(Decimal((0, (1,), -scale)), context=_PLENTY)


@lru_cache(maxsize=256)
def _towards_five(digits: int) -> Context:
    """Rounds so that a second rounding, to fewer digits, is right."""
    return Context(prec=digits, rounding=ROUND_05UP, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


def _divide_special(left: Decimal, right: Decimal) -> Decimal:
    if left.is_nan() or right.is_nan():
        return _NAN
    if right.is_infinite():
        return _NAN if left.is_infinite() else _ZERO
    if not right:
        raise ValueRefused("a division by zero")
    return left if right > 0 else -left


def _division_scale(left: Decimal, right: Decimal) -> int:
    """As `select_div_scale` of PostgreSQL's numeric.c chooses it."""
    weight, first = _leading(left)
    other_weight, other_first = _leading(right)
    weight -= other_weight + (first <= other_first)
    return min(max(_SIGNIFICANT - weight * _GROUP, scale_of(left), scale_of(right), 0), 1000)


def _leading(number: Decimal) -> tuple[int, int]:
    """The weight of the first group of digits that is not zero, and that group."""
    if not number:
        return 0, 0
    adjusted = number.adjusted()
    digits = number.as_tuple().digits[: adjusted % _GROUP + 1]
    group = int("".join(map(str, digits)).ljust(adjusted % _GROUP + 1, "0"))
    return adjusted // _GROUP, group


def scale_of(number: Decimal) -> int:
    """Digits after the point."""
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def modulo(left: Decimal, right: Decimal) -> Decimal:
    """What is left; with the sign of what was divided."""
    if left.is_nan() or right.is_nan():
        return _NAN
    if not right:
        raise ValueRefused("a division by zero")
    if left.is_infinite():
        return _NAN
    if right.is_infinite():
        return left
    scale = max(scale_of(left), scale_of(right))
    return _PLENTY.remainder(left, right).quantize(Decimal((0, (1,), -scale)), context=_PLENTY)


def rounded(number: Decimal, scale: int = 0, rounding: str = ROUND_HALF_UP) -> Decimal:
    """To so many digits after the point (before it, if negative)."""
    if not number.is_finite():
        return number
    if scale > DIGITS_MAX:
        raise ValueRefused(f"a number would have more than {DIGITS_MAX:,} digits")
    scale = max(scale, -2 * DIGITS_MAX)
    result = number.quantize(Decimal((0, (1,), -scale)), rounding=rounding, context=_PLENTY)
    return result if scale >= 0 else result.quantize(Decimal(1), context=_PLENTY)


def truncated(number: Decimal, scale: int = 0) -> Decimal:
    """The same, towards zero."""
    return rounded(number, scale, ROUND_DOWN)


def ceiling(number: Decimal) -> Decimal:
    """The next whole number up."""
    return rounded(number, 0, ROUND_CEILING)


def floor(number: Decimal) -> Decimal:
    """The next whole number down."""
    return rounded(number, 0, ROUND_FLOOR)


def sign(number: Decimal) -> Decimal:
    """-1, 0 or 1."""
    return number if number.is_nan() else Decimal((number > 0) - (number < 0))


def absolute(number: Decimal) -> Decimal:
    """Without its sign."""
    return number.copy_abs()


def negative(number: Decimal) -> Decimal:
    """With the other sign."""
    return number if number.is_nan() else number.copy_negate()


def to_integer(number: Decimal, kind: str) -> int:
    """Rounded half away from zero, if the type can hold it."""
    if not number.is_finite():
        raise ValueRefused("a number that is NaN or infinite is no whole number")
    return fitting(int(rounded(number)), kind)


def to_precision(number: Decimal, precision: int, scale: int) -> Decimal:
    """As `numeric(precision, scale)` stores it."""
    if number.is_nan():
        return number
    result = rounded(number, scale)
    if result.is_infinite() or (result and result.adjusted() >= precision - scale):
        raise ValueRefused(f"a number is out of the range of numeric({precision},{scale})")
    return result


def whole_divide(left: int, right: int) -> int:
    """Towards zero."""
    if not right:
        raise ValueRefused("a division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def whole_modulo(left: int, right: int) -> int:
    """What is left; with the sign of what was divided."""
    if not right:
        raise ValueRefused("a division by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def equal(left: Decimal, right: Decimal) -> bool:
    """NaN is equal to itself."""
    return left == right or (left != left and right != right)


def less(left: Decimal, right: Decimal) -> bool:
    """NaN is more than every other number."""
    if left != left or right != right:
        return left == left
    return left < right


def less_or_equal(left: Decimal, right: Decimal) -> bool:
    """NaN is more than every other number."""
    return not less(right, left)
