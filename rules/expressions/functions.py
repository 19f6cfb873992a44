"""The functions that an expression may call: what each takes and gives, and how it is done here.

One line a function. Those whose type depends on what they are given (`coalesce`, `greatest`), or that see NULL
(`concat`), are in `calls`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rules.expressions import numbers, texts
from rules.expressions.kinds import Kind


@dataclass(frozen=True, slots=True)
class Function:
    """One way of calling a function of PostgreSQL."""

    takes: tuple[Kind, ...]
    gives: Kind
    does: Callable[..., Any]
    least: int = 0
    """So many arguments must be given; 0: all of them."""
    fails: bool = False
    """It raises an error for some values, unless these arguments are constants."""

    @property
    def fewest(self) -> int:
        """How many arguments there are at least."""
        return self.least or len(self.takes)


_TEXT: Final[tuple[Kind, ...]] = ("text",)
_TEXTS: Final[tuple[Kind, ...]] = ("text", "text")

FUNCTIONS: Final[Mapping[str, tuple[Function, ...]]] = {
    "length": (Function(_TEXT, "integer", len),),
    "char_length": (Function(_TEXT, "integer", len),),
    "lower": (Function(_TEXT, "text", texts.lower),),
    "upper": (Function(_TEXT, "text", texts.upper),),
    "btrim": (Function(_TEXTS, "text", texts.trim, 1),),
    "ltrim": (Function(_TEXTS, "text", texts.trim_left, 1),),
    "rtrim": (Function(_TEXTS, "text", texts.trim_right, 1),),
    "left": (Function(("text", "integer"), "text", texts.left),),
    "right": (Function(("text", "integer"), "text", texts.right),),
    "substring": (Function(("text", "integer", "integer"), "text", texts.substring, 2, fails=True),),
    "substr": (Function(("text", "integer", "integer"), "text", texts.substring, 2, fails=True),),
    "replace": (Function(("text", "text", "text"), "text", texts.replace),),
    "strpos": (Function(_TEXTS, "integer", texts.place),),
    "split_part": (Function(("text", "text", "integer"), "text", texts.split_part, fails=True),),
    "lpad": (Function(("text", "integer", "text"), "text", texts.pad_left, 2),),
    "rpad": (Function(("text", "integer", "text"), "text", texts.pad_right, 2),),
    "reverse": (Function(_TEXT, "text", texts.backwards),),
    "starts_with": (Function(_TEXTS, "boolean", texts.starts),),
    "round": (Function(("numeric", "integer"), "numeric", numbers.rounded, 1),),
    "trunc": (Function(("numeric", "integer"), "numeric", numbers.truncated, 1),),
    "ceil": (Function(("numeric",), "numeric", numbers.ceiling),),
    "ceiling": (Function(("numeric",), "numeric", numbers.ceiling),),
    "floor": (Function(("numeric",), "numeric", numbers.floor),),
    "sign": (Function(("numeric",), "numeric", numbers.sign),),
}

ROUNDING: Final = frozenset({"round", "trunc", "ceil", "ceiling", "floor", "sign"})
"""For an integer, PostgreSQL would do these as floating-point numbers."""
