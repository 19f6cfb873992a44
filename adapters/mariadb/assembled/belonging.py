"""Turns joins and conditions of the rules into SQL: which rows hang together, and whether a root row is a record.

Pure. What `engine.assembly` answers for rows in memory, this answers in the database, as far as that is plain: equal
are printed texts, byte by byte. What is not plain (an expression of the rules, of several rows the one that counts) is
not put into SQL a second time: it is left to the engine (`Judged`). In all of it the root row is called `t`, a row of
part 2 `p2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never, cast

from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.phrases import exactly, natively, printed, quoted, reader
from adapters.mariadb.session import text_literal
from adapters.relational.assembled.places import Place
from adapters.relational.live import LiveColumn
from engine.conditions import All, Any, Condition, Holds, In, IsNull, Not
from engine.rulebook import Assembly

EXACT: Final = frozenset({"integer", "uuid", "date"})
"""Families of which equal values print the same text."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a root row is a record is for the engine to say, out of its own row and those of all members."""

    assembly: Assembly
    places: tuple[Place, ...]


Belongs: TypeAlias = "str | Judged"
"""What `Layout.belongs` of `adapters.relational` is here: a condition on the row `t`, or the engine is to be asked."""


def belonging(assembly: Assembly, places: Sequence[Place]) -> Belongs | None:
    """When a root row is a record: it belongs, is not gone, and its members are there. None: it always is."""
    root = places[0]
    found: list[str | None] = []
    if root.part.where is not None:
        found.append(condition(root.part.where, live(root.columns), "t"))
    if assembly.gone:
        gone = condition(All(tuple(In(position, (text,)) for position, text in assembly.gone)), live(root.columns), "t")
        found.append(None if gone is None else f"({gone}) IS NOT TRUE")
    found += [_is_there(places, member) for member in assembly.members]
    told = [each for each in found if each is not None]
    if len(told) < len(found):
        return Judged(assembly, tuple(places))
    return " AND ".join(f"({each})" for each in told) if told else None


def alias(at: int) -> str:
    """What the row of a part is called."""
    return "t" if at == 0 else f"p{at}"


def live(columns: Sequence[LiveColumn]) -> Sequence[MariaColumn]:
    """The columns of a place as what they are here."""
    return cast("Sequence[MariaColumn]", columns)


def chain(places: Sequence[Place], parts: Iterable[int]) -> list[int]:
    """These parts and all by which they are found, the root among them, ascending."""
    found = {0}
    waiting = list(parts)
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += [join.part for join in places[at].part.joins]
    return sorted(found)


def joined(places: Sequence[Place], at: int) -> str:
    """Whether a row of a part's table is joined to the rows of the parts before it: found by the index of its own
    column, and told apart by text where that is laxer."""
    equations = []
    for join in places[at].part.joins:
        mine, theirs = live((places[at].columns[join.column], places[join.part].columns[join.other]))
        equations.append(_equal(mine, alias(at), theirs, alias(join.part)))
    return " AND ".join(equations)


def condition(where: Condition, columns: Sequence[MariaColumn], name: str) -> str | None:
    """A condition of the rules about the row `name`; None if only the engine can tell."""
    match where:
        case In(column, texts):
            if reader(columns[column]) is not None:
                return None
            text = printed(columns[column], name)
            if not texts:
                return f"CASE WHEN {text} IS NOT NULL THEN FALSE END"
            return f"{exactly(text)} IN ({', '.join(map(text_literal, texts))})"
        case IsNull(column):
            return f"{quoted(name, columns[column].shape.name)} IS NULL"
        case Not(inner):
            told = condition(inner, columns, name)
            return None if told is None else f"NOT ({told})"
        case All(inner):
            return _folded([condition(each, columns, name) for each in inner], " AND ", "TRUE")
        case Any(inner):
            return _folded([condition(each, columns, name) for each in inner], " OR ", "FALSE")
        case Holds():
            return None
        case _:
            assert_never(where)


def _is_there(places: Sequence[Place], member: int) -> str | None:
    """A row of this part counts for the root row `t`. Of the parts that lead to it there must be no more than one row
    each, or it would have to be known which of them counts; None then."""
    rows, conditions = [], []
    for at in chain(places, [member])[1:]:
        place = places[at]
        if at != member and not {join.column for join in place.part.joins}.issuperset(place.key):
            return None
        if any(reader(column) is not None for column in _compared(places, at)):
            return None
        where = "TRUE" if place.part.where is None else condition(place.part.where, live(place.columns), alias(at))
        if where is None:
            return None
        rows.append(f"{quoted(*place.table)} AS {alias(at)}")
        conditions += [joined(places, at), f"({where})"]
    return f"EXISTS (SELECT 1 FROM {' JOIN '.join(rows)} WHERE {' AND '.join(conditions)})"


def _compared(places: Sequence[Place], at: int) -> Sequence[MariaColumn]:
    """All columns that the joins of a part speak of."""
    joins = places[at].part.joins
    mine, theirs = places[at].columns, [places[join.part].columns[join.other] for join in joins]
    return live([*(mine[join.column] for join in joins), *theirs])


def _equal(mine: MariaColumn, name: str, theirs: MariaColumn, other: str) -> str:
    left, right = quoted(name, mine.shape.name), quoted(other, theirs.shape.name)
    if mine.shape.family == theirs.shape.family and mine.shape.family in EXACT:
        return f"{left} = {right}"
    text = printed(theirs, other)
    found = f"{left} = {natively(mine, text)}"
    if reader(mine) is not None or reader(theirs) is not None:
        return found  # SQL does not spell these as the house does: who reads the rows tells them apart
    return f"{found} AND {exactly(printed(mine, name))} = {exactly(text)}"


def _folded(conditions: Sequence[str | None], word: str, nothing: str) -> str | None:
    told = [f"({each})" for each in conditions if each is not None]
    if len(told) < len(conditions):
        return None
    return f"({word.join(told)})" if told else nothing
