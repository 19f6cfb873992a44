"""The operators: comparisons, logic with three values, arithmetic, `||`, `in`, `between`, `like` and the tests of `is`.

Each turns the pieces of its operands into one piece, and refuses types that PostgreSQL has no such operator for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from engine.conditions import Quoted
from rules.expressions import moments, numbers, texts
from rules.expressions.casts import by_settings, common, is_untold, settled, widened
from rules.expressions.kinds import INTEGERS, MOMENTS, NUMBERS, TEXT, Kind, fitting
from rules.expressions.pieces import Piece, Sql, Values, between, built, constant, joined, one, told, two
from rules.expressions.tree import Call, Constant
from rules.expressions.words import Refusal

_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

_NUMERIC: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": numbers.equal,
    "<>": lambda left, right: not numbers.equal(left, right),
    "<": numbers.less,
    "<=": numbers.less_or_equal,
    ">": lambda left, right: numbers.less(right, left),
    ">=": lambda left, right: numbers.less_or_equal(right, left),
}

_ARITHMETIC: Final[Mapping[str, tuple[Callable[[int, int], int], Callable[[Any, Any], Any]]]] = {
    "+": (operator.add, numbers.add),
    "-": (operator.sub, numbers.subtract),
    "*": (operator.mul, numbers.multiply),
    "/": (numbers.whole_divide, numbers.divide),
    "%": (numbers.whole_modulo, numbers.modulo),
}
"""By sign: for whole numbers, and for numerics."""

OPERATORS: Final = frozenset({
    *_COMPARED, *_ARITHMETIC, "and", "or", "not", "unary +", "unary -", "||", "in", "between", "like", "ilike",
    "is null", "is true", "is false", "is unknown", "is distinct from",
})  # fmt: skip


def operated(tree: Call, parts: list[Piece]) -> Piece:
    """An operator, applied."""
    match tree.name:
        case "and" | "or":
            return _logical(tree, [_truth(part) for part in parts])
        case "not":
            part = _truth(parts[0])
            return built(tree, "boolean", one(operator.not_, part.run), joined("(NOT ", part.sql, ")"), [part])
        case "unary +" | "unary -":
            return _signed(tree, parts[0])
        case "||":
            return _concatenated(tree, parts)
        case "in":
            return _in(tree, parts)
        case "between":
            low = compared(Call(tree.start, tree.end, ">=", tree.arguments[:2]), parts[0], parts[1])
            high = compared(Call(tree.start, tree.end, "<=", tree.arguments), parts[0], parts[2])
            return _logical(Call(tree.start, tree.end, "and", tree.arguments), [low, high])
        case "like" | "ilike":
            return _like(tree, parts)
        case "is distinct from":
            return _distinct(tree, *parts)
        case name if name.startswith("is "):
            return _tested(tree, parts[0])
        case name if name in _COMPARED:
            return compared(tree, parts[0], parts[1])
        case _:
            return _computed(tree, parts[0], parts[1])


def compared(tree: Call, left: Piece, right: Piece) -> Piece:
    """Two values of one type, by size. Texts by the numbers of their characters."""
    kind = common([left, right], "the two sides of a comparison are")
    mixed = kind == "timestamptz" and {left.kind, right.kind} & {"date", "timestamp"} != set()
    left, right = (widened(part, kind, compared=True) for part in (left, right))
    function = (_NUMERIC if kind == "numeric" else _COMPARED)[tree.name]
    return built(tree, "boolean", two(function, left, right), _compared_sql(tree.name, kind, left, right),
                 [left, right], settings=mixed)  # fmt: skip


def _compared_sql(sign: str, kind: Kind, left: Piece, right: Piece) -> Sql:
    collated = ' COLLATE "C"' if kind == "text" else ""
    return joined("(", left.sql, f"{collated} {sign} ", right.sql, ")")


def _truth(part: Piece) -> Piece:
    part = settled(part, "boolean")
    if part.kind != "boolean":
        raise Refusal("R423", "this is no condition", part.place, found=told(part.kind),
                      mend="compare it with something")  # fmt: skip
    return part


def _logical(tree: Call, parts: list[Piece]) -> Piece:
    """What decides, decides; else NULL, if there is one."""
    decisive = tree.name == "or"
    if any(part.constant and part.now() is decisive for part in parts):
        return constant(tree, "boolean", decisive, (str(decisive).lower(),))
    first, second = parts[0].run, parts[1].run

    def run(values: Values) -> Any:
        left = first(values)
        if left is decisive:
            return decisive
        right = second(values)
        if right is decisive:
            return decisive
        return None if left is None or right is None else not decisive

    return built(tree, "boolean", run, between(tree.name.upper(), parts[0], parts[1]), parts,
                 strict=False)  # fmt: skip


def _signed(tree: Call, part: Piece) -> Piece:
    if is_untold(part):
        part = settled(part, "numeric")
    if part.kind not in NUMBERS:
        raise Refusal("R423", "a sign stands before a number", part.place, found=told(part.kind))
    if tree.name == "unary +":
        return part
    kind = part.kind
    negate: Callable[[Any], Any] = numbers.negative
    if kind in INTEGERS:
        negate = lambda number: fitting(-number, kind)  # noqa: E731
    return built(tree, kind, one(negate, part.run), joined("(- ", part.sql, ")"), [part])


def _computed(tree: Call, left: Piece, right: Piece) -> Piece:
    """`+ - * / %`"""
    if all(part.kind == "unknown" and part.constant for part in (left, right)):
        raise Refusal("R423", f"nobody says of what type the two sides of `{tree.name}` are", (tree.start, tree.end),
                      mend="cast one of them: `…::numeric`")  # fmt: skip
    if "unknown" in (left.kind, right.kind):
        other = left.kind if right.kind == "unknown" else right.kind
        if other == "interval":
            return _moved(tree, settled(left, "timestamp"), settled(right, "timestamp"))
        if not any(part.kind == "unknown" and part.constant and part.now() is not None for part in (left, right)):
            # What is divided by a whole number is taken for one, too: a division says best what is counted.
            untold = is_untold(left) or is_untold(right)
            needed = other if other in INTEGERS and (tree.name in "/%" or not untold) else "numeric"
            left, right = settled(left, needed), settled(right, needed)
        elif other in NUMBERS:
            left, right = settled(left, other), settled(right, other)
    if left.kind not in NUMBERS or right.kind not in NUMBERS:
        return _moved(tree, left, right)
    kind = common([left, right], "the two sides are")
    left, right = widened(left, kind), widened(right, kind)
    if tree.name in "/%" and right.constant and right.now() == 0:
        raise Refusal("R426", "this can never be worked out: a division by zero", (tree.start, tree.end))
    whole, exact = _ARITHMETIC[tree.name]
    fails = tree.name in "/%" and not _is_never_zero(right)
    function: Callable[[Any, Any], Any] = exact
    if kind in INTEGERS:
        function = lambda one, other: fitting(whole(one, other), kind)  # noqa: E731
    sql = joined("pg_catalog.mod(", left.sql, ", ", right.sql, ")") if tree.name == "%" else between(
        tree.name, left, right)  # fmt: skip
    return built(tree, kind, two(function, left, right), sql, [left, right], fails=fails)


def _is_never_zero(part: Piece) -> bool:
    """A constant, or `nullif(…, 0)`."""
    if part.constant:
        return bool(part.now() != 0)
    match part.tree:
        case Call(name="nullif", arguments=(_, Constant(kind="number", text=text))):
            return text in ("0", "0.0")
        case _:
            return False


def _moved(tree: Call, left: Piece, right: Piece) -> Piece:
    """Dates and times: what can be added to them, and taken from them."""
    sign = tree.name
    if sign == "+" and (left.kind in INTEGERS or left.kind == "interval") and right.kind in MOMENTS:
        return _moved(Call(tree.start, tree.end, "+", tree.arguments[::-1]), right, left)
    function: Callable[[Any, Any], Any] | None = None
    kind: Kind = left.kind
    back = sign == "-"
    if sign in "+-" and left.kind == "date" and right.kind in ("integer", "smallint"):
        function = lambda day, many: moments.later_date(day, -many if back else many)  # noqa: E731
    elif sign == "-" and left.kind == right.kind == "date":
        function, kind = moments.between_dates, "integer"
    elif sign in "+-" and left.kind in ("date", "timestamp", "timestamptz") and right.kind == "interval":
        kind = "timestamp" if left.kind == "date" else left.kind
        left = widened(left, kind)
        function = lambda at, span: moments.later(at, moments.opposite(span) if back else span)  # noqa: E731
    if function is None:
        mend = "cast what is meant as a number: `…::numeric`"
        if sign == "-" and left.kind in ("timestamp", "timestamptz"):
            mend = "count seconds: `extract(epoch from a) - extract(epoch from b)`"
        elif {left.kind, right.kind} & {"date", "timestamp", "timestamptz"}:
            mend = "add days to a date, an interval to a time: `interval '1 day'`"
        raise Refusal("R423", f"`{sign}` cannot be done with {told(left.kind)} and {told(right.kind)}",
                      (tree.start, tree.end), mend=mend)  # fmt: skip
    return built(tree, kind, two(function, left, right), between(sign, left, right), [left, right],
                 settings=kind == "timestamptz")  # fmt: skip


def _concatenated(tree: Call, parts: Sequence[Piece]) -> Piece:
    """`||`: one side must be a text, the other is printed."""
    if not any(part.kind in ("text", "unknown") for part in parts):
        raise Refusal("R423", "one side of `||` must be a text", (tree.start, tree.end),
                      found=" and ".join(told(part.kind) for part in parts), mend="cast one: `…::text`")  # fmt: skip
    written = [as_text(part) for part in parts]
    return built(tree, "text", two(operator.add, *written), between("||", *written), written)


def as_text(part: Piece) -> Piece:
    """A value as a cast to text prints it."""
    part = settled(part, "text")
    if part.kind == "text":
        return part
    return built(part.tree, "text", one(TEXT[part.kind], part.run), joined("(", part.sql, ")::pg_catalog.text"), [part],
                 settings=by_settings(part.kind, "text"))  # fmt: skip


def _in(tree: Call, parts: Sequence[Piece]) -> Piece:
    """Equal to one of them; NULL if not, and NULL is among them."""
    kind = common(parts, "the values of `in` are")
    subject, *others = (widened(part, kind, compared=True) for part in parts)
    if subject.constant and subject.now() is None:
        return constant(tree, "boolean", None, ("NULL::pg_catalog.bool",))
    sql = joined("(", subject.sql, ' COLLATE "C"' if kind == "text" else "", " IN (", others[0].sql,
                 *(joined(", ", other.sql) for other in others[1:]), "))")  # fmt: skip
    equal = _NUMERIC["="] if kind == "numeric" else operator.eq
    constants = [other for other in others if other.constant]
    if kind != "numeric" and len(constants) == len(others):
        known = frozenset(other.now() for other in others)
        missed = None if None in known else False
        return built(tree, "boolean", one_of(subject.run, known, missed), sql, [subject, *others], strict=False)
    # PostgreSQL looks at the constants first.
    ordered = sorted(others, key=lambda other: not other.constant) if len(constants) > 1 else others
    inner, runs = subject.run, tuple(other.run for other in ordered)

    def run(values: Values) -> Any:
        value = inner(values)
        answer: bool | None = False
        for other in runs:
            against = other(values)
            if value is None or against is None:
                answer = None
            elif equal(value, against):
                return True
        return answer

    return built(tree, "boolean", run, sql, [subject, *others], strict=False)


def one_of(inner: Callable[[Values], Any], known: frozenset[Any], missed: bool | None) -> Callable[[Values], Any]:
    """`in` a list of constants."""

    def run(values: Values) -> Any:
        value = inner(values)
        return None if value is None else True if value in known else missed

    return run


def _like(tree: Call, parts: Sequence[Piece]) -> Piece:
    """`like` and `ilike`, a constant pattern divided beforehand."""
    text, pattern, *rest = (settled(part, "text") for part in parts)
    for part in (text, pattern, *rest):
        if part.kind != "text":
            raise Refusal("R423", f"`{tree.name}` is for texts", part.place, found=told(part.kind),
                          mend="cast it: `…::text`")  # fmt: skip
    escape = rest[0].now() if rest and rest[0].constant else None if rest else "\\"
    if not isinstance(escape, str) or len(escape) > 1:
        raise Refusal("R426", "behind `escape` stands one character", rest[0].place)
    fold = texts.lower if tree.name == "ilike" else None
    sql = _like_sql(tree.name, text, pattern, escape)
    if pattern.constant and (said := pattern.now()) is not None:
        if texts.is_unfinished(said, escape):
            raise Refusal("R426", "a pattern ends with its escape character", pattern.place, found=said)
        matches = texts.like(said, escape, fold)
        return built(tree, "boolean", one(matches, text.run), sql, [text, pattern])
    return built(tree, "boolean", two(lambda one, other: texts.like(other, escape, fold)(one), text, pattern), sql,
                 [text, pattern], fails=True)  # fmt: skip


def _like_sql(name: str, text: Piece, pattern: Piece, escape: str) -> Sql:
    sides = [text.sql, pattern.sql]
    if name == "ilike":
        sides = [lower_sql(side) for side in sides]
    return joined("(", sides[0], ' COLLATE "C" LIKE ', sides[1], " ESCAPE ", (Quoted(escape),), ")")


def lower_sql(sql: Sql) -> Sql:
    """Lower case, in any database and under any collation."""
    return joined("pg_catalog.translate(", sql, ", ", (Quoted(texts.CAPITALS),), ", ", (Quoted(texts.SMALL),), ")")


def upper_sql(sql: Sql) -> Sql:
    """Upper case, in any database and under any collation."""
    sides = (Quoted(texts.WITH_CAPITAL),), (Quoted(texts.THEIR_CAPITAL),)
    return joined("pg_catalog.translate(", sql, ", ", sides[0], ", ", sides[1], ")")


def _distinct(tree: Call, left: Piece, right: Piece) -> Piece:
    """Never NULL: NULL is not distinct from NULL."""
    kind = common([left, right], "the two sides of a comparison are")
    left, right = (widened(part, kind, compared=True) for part in (left, right))
    first, second = left.run, right.run
    equal = _NUMERIC["="] if kind == "numeric" else operator.eq

    def run(values: Values) -> bool:
        one, other = first(values), second(values)
        if one is None or other is None:
            return one is not other
        return not equal(one, other)

    return built(tree, "boolean", run, _compared_sql("IS DISTINCT FROM", kind, left, right), [left, right],
                 strict=False)  # fmt: skip


def _tested(tree: Call, part: Piece) -> Piece:
    """`is null` of anything; `is true`, `is false`, `is unknown` of a condition. Never NULL."""
    if tree.name != "is null":
        part = _truth(part)
    wanted = {"is true": True, "is false": False}.get(tree.name)
    inner = part.text if tree.name == "is null" and part.text is not None else part.run
    return built(tree, "boolean", lambda values: inner(values) is wanted,
                 joined("(", part.sql, " " + tree.name.upper() + ")"), [part], strict=False)  # fmt: skip
