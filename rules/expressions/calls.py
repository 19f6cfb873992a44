"""Calls of functions: those of the table in `functions`, and those whose type depends on what they are given.

An unknown function is refused with the nearest of those that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from rules.expressions import moments, numbers
from rules.expressions.casts import common, settled, widened
from rules.expressions.functions import FUNCTIONS, ROUNDING, Function
from rules.expressions.kinds import INTEGERS, NUMBERS, OUTPUT, Kind, fitting
from rules.expressions.operators import lower_sql, operated, upper_sql
from rules.expressions.pieces import Piece, Values, built, called, joined, many, one, told
from rules.expressions.tree import Call
from rules.expressions.words import Refusal
from rules.problem import did_you_mean

_AGGREGATES: Final = frozenset({
    "count", "sum", "avg", "min", "max", "string_agg", "array_agg", "every", "bool_and", "bool_or", "row_number",
    "rank", "lag", "lead",
})  # fmt: skip


def called_function(tree: Call, parts: list[Piece]) -> Piece:
    """A function, called."""
    special = _SPECIAL.get(tree.name)
    if special is not None:
        least, most, build = special
        if not least <= len(parts) <= most:
            _wrong_number(tree, f"{least}" if least == most else f"{least} or more")
        return build(tree, parts)
    known = FUNCTIONS.get(tree.name)
    if known is None:
        _unknown(tree)
    for function in known:
        if function.fewest <= len(parts) <= len(function.takes):
            return _plain(tree, parts, function)
    _wrong_number(tree, " or ".join(dict.fromkeys(str(n) for f in known for n in (f.fewest, len(f.takes)))))


def _plain(tree: Call, parts: list[Piece], function: Function) -> Piece:
    given: list[Piece] = []
    for part, kind in zip(parts, function.takes, strict=False):
        rounding = tree.name in ROUNDING and kind == "numeric"
        if rounding and part.kind == "unknown" and part.constant and part.now() is not None:
            raise Refusal("R423", f"`{tree.name}` is for numbers", part.place, found="text")
        part = settled(part, kind)
        if rounding and part.kind in INTEGERS and len(parts) == 1:
            raise Refusal("R423", f"an integer needs no `{tree.name}`: PostgreSQL would make a floating-point number"
                          " of it", part.place, mend="leave it out, or cast it: `…::numeric`")  # fmt: skip
        fits = part.kind == kind or (kind == "numeric" and part.kind in NUMBERS) or (
            kind == "integer" and part.kind == "smallint")  # fmt: skip
        if not fits:
            mend = f"cast it: `…::{kind}`"
            raise Refusal("R423", f"`{tree.name}` takes {told(kind)} here", part.place, found=told(part.kind),
                          mend=mend)  # fmt: skip
        given.append(widened(part, kind))
    fails = function.fails and not all(part.constant for part in given[1:])
    case = {"lower": lower_sql, "upper": upper_sql}.get(tree.name)
    sql = case(given[0].sql) if case is not None else called("pg_catalog." + tree.name, given)
    return built(tree, function.gives, many(function.does, given), sql, given, fails=fails)


def _coalesce(tree: Call, parts: list[Piece]) -> Piece:
    """The first that is not NULL; those behind it are not worked out."""
    kind = common(parts, "what `coalesce` chooses from is")
    given = [widened(part, kind) for part in parts]
    runs = tuple(part.run for part in given)

    def run(values: Values) -> Any:
        for inner in runs:
            value = inner(values)
            if value is not None:
                return value
        return None

    return built(tree, kind, run, called("COALESCE", given), given, strict=False)


def _nullif(tree: Call, parts: list[Piece]) -> Piece:
    """NULL, if they are equal."""
    first = settled(parts[0], common(parts[:1], ""))
    if parts[0].kind == "unknown" and parts[1].kind != "unknown":
        first = settled(parts[0], parts[1].kind)
    equal = operated(Call(tree.start, tree.end, "=", tree.arguments), [first, parts[1]])
    inner, same = first.run, equal.run

    def run(values: Values) -> Any:
        value, found = inner(values), same(values)
        return None if found else value

    sql = joined("(CASE WHEN ", equal.sql, " THEN NULL ELSE ", first.sql, " END)")
    return built(tree, first.kind, run, sql, [first, equal], strict=False)


def _extreme(tree: Call, parts: list[Piece]) -> Piece:
    """`greatest` and `least`: NULL does not count."""
    kind = common(parts, f"what `{tree.name}` chooses from is")
    given = [widened(part, kind) for part in parts]
    runs = tuple(part.run for part in given)
    greatest = tree.name == "greatest"
    less: Callable[[Any, Any], bool] = numbers.less if kind == "numeric" else lambda one, other: one < other

    def run(values: Values) -> Any:
        best = None
        for inner in runs:
            value = inner(values)
            if best is None or (value is not None and (less(best, value) if greatest else less(value, best))):
                best = value
        return best

    collated = [joined("(", part.sql, ') COLLATE "C"') if kind == "text" else part.sql for part in given]
    sql = joined(tree.name.upper() + "(", collated[0], *(joined(", ", each) for each in collated[1:]), ")")
    return built(tree, kind, run, sql, given, strict=False)


def _absolute(tree: Call, parts: list[Piece]) -> Piece:
    part = parts[0] if parts[0].kind != "unknown" or parts[0].constant else settled(parts[0], "numeric")
    if part.kind not in NUMBERS:
        raise Refusal("R423", "`abs` takes a number", part.place, found=told(part.kind))
    kind = part.kind
    function: Callable[[Any], Any] = numbers.absolute
    if kind in INTEGERS:
        function = lambda number: fitting(abs(number), kind)  # noqa: E731
    return built(tree, kind, one(function, part.run), called("pg_catalog.abs", [part]), [part])


def _modulo(tree: Call, parts: list[Piece]) -> Piece:
    return operated(Call(tree.start, tree.end, "%", tree.arguments), parts)


def printed(part: Piece) -> Piece:
    """A value as PostgreSQL prints it, which is what `concat` puts together."""
    part = settled(part, "text")
    if part.kind == "text":
        return part
    sql = joined("(", part.sql, ")::pg_catalog.text")
    if part.kind == "boolean":
        sql = joined("pg_catalog.left((", part.sql, ")::pg_catalog.text, 1)")
    return built(part.tree, "text", one(OUTPUT[part.kind], part.run), sql, [part], settings=True)


def _concat(tree: Call, parts: list[Piece]) -> Piece:
    """All that is not NULL, one after the other."""
    given = [printed(part) for part in parts]
    runs = tuple(part.run for part in given)
    return built(tree, "text", lambda values: "".join([text for run in runs if (text := run(values)) is not None]),
                 called("pg_catalog.concat", given), given, strict=False, settings=True)  # fmt: skip


def _concat_ws(tree: Call, parts: list[Piece]) -> Piece:
    """The same with something between; NULL, if that is."""
    first = settled(parts[0], "text")
    if first.kind != "text":
        raise Refusal("R423", "`concat_ws` takes a text first", first.place, found=told(first.kind))
    given = [printed(part) for part in parts[1:]]
    between, runs = first.run, tuple(part.run for part in given)

    def run(values: Values) -> Any:
        sign, found = between(values), [text for run in runs if (text := run(values)) is not None]
        return None if sign is None else sign.join(found)

    return built(tree, "text", run, called("pg_catalog.concat_ws", [first, *given]), [first, *given],
                 strict=False, settings=True)  # fmt: skip


def _unit(tree: Call, part: Piece, allowed: Sequence[str]) -> str:
    """The name of a field of a date or time, which must stand there itself."""
    unit = part.now().lower() if part.constant and part.kind == "unknown" and part.now() is not None else ""
    if unit not in allowed:
        raise Refusal("R423", f"`{tree.name}` needs one of these here", part.place, found=unit, allowed=tuple(allowed))
    return unit


def _extract(tree: Call, parts: list[Piece]) -> Piece:
    """`extract(field from moment)`"""
    part = settled(parts[1], "timestamp") if not parts[1].constant else parts[1]
    fields = moments.FIELDS.get(part.kind)
    if fields is None:
        raise Refusal("R423", "`extract` takes a date or a time", part.place, found=told(part.kind),
                      mend="cast it: `…::date`, `…::timestamp`")  # fmt: skip
    unit = _unit(tree, parts[0], tuple(fields))
    sql = joined(f"EXTRACT({unit} FROM ", part.sql, ")")
    return built(tree, "numeric", one(fields[unit], part.run), sql, [part], settings=part.kind == "timestamptz")


def _truncated(tree: Call, parts: list[Piece]) -> Piece:
    """`date_trunc('month', moment)`"""
    unit = _unit(tree, parts[0], moments.TRUNCATED)
    part = settled(parts[1], "timestamp") if not parts[1].constant else parts[1]
    kind: Kind = "timestamptz" if part.kind == "date" else part.kind
    if kind not in ("timestamp", "timestamptz"):
        raise Refusal("R423", "`date_trunc` takes a date or a time", part.place, found=told(part.kind),
                      mend="cast it: `…::timestamp`")  # fmt: skip
    part = widened(part, kind)
    sql = joined(f"pg_catalog.date_trunc('{unit}', ", part.sql, ")")
    return built(tree, kind, one(lambda at: moments.truncated(at, unit), part.run), sql, [part],
                 settings=kind == "timestamptz")  # fmt: skip


_MANY: Final = 100
_SPECIAL: Final[dict[str, tuple[int, int, Callable[[Call, list[Piece]], Piece]]]] = {
    "coalesce": (1, _MANY, _coalesce),
    "nullif": (2, 2, _nullif),
    "greatest": (1, _MANY, _extreme),
    "least": (1, _MANY, _extreme),
    "abs": (1, 1, _absolute),
    "mod": (2, 2, _modulo),
    "concat": (1, _MANY, _concat),
    "concat_ws": (2, _MANY, _concat_ws),
    "extract": (2, 2, _extract),
    "date_trunc": (2, 2, _truncated),
}
"""Fewest and most arguments, and what is made of them."""

_OTHER_NAMES: Final = {"strpos", "substr", "char_length", "ceiling"}
NAMES: Final = tuple(sorted({*FUNCTIONS, *_SPECIAL, "position", "trim"} - _OTHER_NAMES))


def _unknown(tree: Call) -> NoReturn:
    name = tree.name
    place = (tree.start, tree.start + len(name))
    if name in _AGGREGATES:
        raise Refusal("R421", "an expression looks at one record only: nothing can be counted or added up in it", place,
                      found=name, mend="keep what it should ask for in a field")  # fmt: skip
    raise Refusal("R421", "this function cannot stand in an expression", place, found=name, allowed=NAMES,
                  mend=did_you_mean(name, NAMES))  # fmt: skip


def _wrong_number(tree: Call, wanted: str) -> NoReturn:
    raise Refusal("R423", f"`{tree.name}` takes {wanted} arguments", (tree.start, tree.start + len(tree.name)),
                  found=str(len(tree.arguments)))  # fmt: skip
