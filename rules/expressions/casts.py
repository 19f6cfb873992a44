"""From one type to another: what PostgreSQL does by itself (an integer becomes numeric), and what a cast does.

`settled` gives a text in quotes, or a field of unknown type, the type that its context needs; `widened` is what needs
no cast; `cast` everything else that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from engine.conditions import Quoted
from engine.errors import ValueRefused
from rules.expressions import moments
from rules.expressions.kinds import DIGITS_MAX, INPUT, INTEGERS, MOMENTS, NUMBERS, TEXT, TEXT_MAX, Kind
from rules.expressions.kinds import fitting as fitting_in
from rules.expressions.numbers import to_integer, to_precision
from rules.expressions.pieces import Piece, Sql, built, constant, joined, one, sql_type, told
from rules.expressions.tree import Cast
from rules.expressions.words import Refusal

_CASTS: Final[dict[tuple[Kind, Kind], Callable[[Any], Any]]] = {
    ("boolean", "integer"): int,
    ("integer", "boolean"): bool,
    ("date", "timestamp"): moments.to_timestamp,
    ("date", "timestamptz"): moments.to_timestamp,
    ("timestamp", "date"): moments.to_date,
    ("timestamptz", "date"): moments.to_date,
    ("timestamp", "timestamptz"): int,
    ("timestamptz", "timestamp"): int,
    ("timestamp", "time"): moments.to_time,
    ("timestamptz", "time"): moments.to_time,
}
"""Besides those from and to text, and between numbers."""


def settled(piece: Piece, kind: Kind) -> Piece:
    """A piece of unknown type becomes one of this type; every other is left as it is."""
    if piece.kind != "unknown":
        return piece
    sql = joined("(", piece.sql, f")::{sql_type(kind)}")
    if not piece.constant:
        run = piece.run if kind == "text" else one(INPUT[kind], piece.run)
        return Piece(piece.tree, kind, run, sql, fails=None if kind == "text" else piece.tree)
    text = piece.now()
    if text is None:
        return constant(piece.tree, kind, None, sql)
    try:
        return constant(piece.tree, kind, INPUT[kind](text), literal(text, kind))
    except ValueRefused as refused:
        raise Refusal("R426", f"{told(kind)} is needed here: {refused.found}", piece.place, found=text) from None


def literal(text: str, kind: Kind) -> Sql:
    """A constant of PostgreSQL."""
    return (Quoted(text), f"::{sql_type(kind)}")


def widened(piece: Piece, kind: Kind, *, compared: bool = False) -> Piece:
    """The same value in a type that has it too: an integer as numeric, a date as its midnight. `compared`: it is only
    held against another, which PostgreSQL does without a cast."""
    piece = settled(piece, kind)
    if piece.kind == kind:
        return piece
    sql = joined("(", piece.sql, f")::{sql_type(kind)}")
    run = piece.run
    if kind == "numeric":
        run = one(Decimal, run)
    elif piece.kind == "date":
        run = one(moments.to_comparable if compared else moments.to_timestamp, run)
        sql = piece.sql if compared else sql
    return built(piece.tree, kind, run, sql, [piece], settings=kind == "timestamptz")


def common(pieces: Sequence[Piece], where: str) -> Kind:
    """The type that values of all have without a cast; text, if none says one.

    A field of which nobody has told the type may have digits after the point: beside whole numbers it is a numeric."""
    kinds = dict.fromkeys(piece.kind for piece in pieces if piece.kind != "unknown")
    if kinds and all(kind in INTEGERS for kind in kinds) and any(is_untold(piece) for piece in pieces):
        return "numeric"
    for family in (NUMBERS, MOMENTS):
        if kinds and all(kind in family for kind in kinds):
            return max(kinds, key=family.index)
    if len(kinds) > 1:
        first, other = list(kinds)[:2]
        piece = next(piece for piece in pieces if piece.kind == other)
        raise Refusal("R423", f"{where} of different types: {told(first)} and {told(other)}", piece.place,
                      mend=f"cast one of them: `…::{_type_name(first)}`")  # fmt: skip
    return next(iter(kinds), "text")


def is_untold(piece: Piece) -> bool:
    """True for a field whose type nobody has told (no catalog was asked)."""
    return piece.kind == "unknown" and not piece.constant


def cast(tree: Cast, piece: Piece) -> Piece:
    """`::type`, `::numeric(p,s)`, `::varchar(n)`"""
    kind: Kind = tree.type  # type: ignore[assignment]
    result = piece if piece.kind == kind else _cast(tree, piece, kind)
    if not tree.parameters:
        return result
    sizes = tree.parameters
    if kind == "text" and len(sizes) == 1 and 1 <= sizes[0] <= TEXT_MAX:
        run, sql = one(lambda text: text[: sizes[0]], result.run), f")::pg_catalog.varchar({sizes[0]})::text"
    elif kind == "numeric" and len(sizes) <= 2 and 1 <= sizes[0] <= DIGITS_MAX and sizes[-1] <= sizes[0]:
        precision, scale = (*sizes, 0)[:2]
        run = one(lambda number: to_precision(number, precision, scale), result.run)
        sql = f")::pg_catalog.numeric({precision},{scale})"
    else:
        raise Refusal("R421", "these sizes cannot stand in an expression", (tree.start, tree.end),
                      allowed=("numeric(p,s)", "varchar(n)"))  # fmt: skip
    return built(tree, kind, run, joined("(", result.sql, sql), [result], fails=kind == "numeric")


def _cast(tree: Cast, piece: Piece, kind: Kind) -> Piece:
    old = piece.kind
    if old == "unknown":
        return settled(piece, kind)
    run, fails = piece.run, False
    if old == "text":
        run, fails = one(INPUT[kind], run), True
    elif kind == "text":
        run = one(TEXT[old], run)
    elif old in INTEGERS and kind in INTEGERS:
        run, fails = one(lambda number: fitting_in(number, kind), run), INTEGERS.index(kind) < INTEGERS.index(old)
    elif old in INTEGERS and kind == "numeric":
        run = one(Decimal, run)
    elif old == "numeric" and kind in INTEGERS:
        run, fails = one(lambda number: to_integer(number, kind), run), True
    elif (old, kind) in _CASTS:
        run = one(_CASTS[old, kind], run)
    else:
        raise Refusal("R423", f"{told(old)} cannot be cast to {told(kind)}", (tree.start, tree.end))
    sql = joined("(", piece.sql, f")::{sql_type(kind)}")
    return built(tree, kind, run, sql, [piece], fails=fails, settings=by_settings(old, kind))


def by_settings(old: Kind, kind: Kind) -> bool:
    """Whether PostgreSQL looks at the time zone or the way of writing dates, which are settings, for this cast."""
    return "timestamptz" in (old, kind) or ({old, kind} > {"text"} and (old in MOMENTS or kind in (*MOMENTS, "time")))


def _type_name(kind: Kind) -> str:
    return "integer" if kind in INTEGERS else kind
