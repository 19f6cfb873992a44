"""Turns a layout into SQL: set-based guarded writes, the questions that go with them, and row reads.

Pure: it opens no connection and runs nothing. All statements of a write draw on the same rows `u` (see
`phrases.given`): key, new values, held values. No statement here waits for what another answers, so that all go out
together.

No UPDATE of MariaDB's tells which rows it found. So a question goes before it, that locks the rows whose guard holds
and tells their ordinals; the UPDATE has the same guards, and as those rows cannot change any more, it found the same
ones if it found as many. What is stored otherwise than it was sent is asked afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never, cast

from adapters.mariadb.busy import FREE
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.phrases import (
    assigned,
    besides,
    comma,
    constant,
    given,
    key_matches,
    lettered,
    printed,
    quoted,
    same,
    untold,
)
from adapters.mariadb.phrases import cast as casted
from adapters.relational.answers import Sent, sent
from adapters.relational.layout import Layout
from engine.rulebook import Table
from engine.vocabulary import WriteKind

THERE = "@duolog_there"
"""Holds the ordinals of the keys of an insert that have a row already, joined by commas; NULL: there are none."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One form of a `Write`: the SQL that is sent after its rows."""

    sent: Sent
    before: tuple[str, ...]
    """The last of these answers (ordinals joined by commas or NULL): of an insert, of the keys that have a row; of an
    update and a delete, of the rows whose guard holds, which are locked from then on."""
    change: str
    """Its count is how many rows it found; empty: there is nothing to be changed."""
    after: str
    """Answers (ordinal, whether the key is there, stored texts) of rows where something else is stored than was sent,
    in the order of `Sent.answers`; empty: there are none."""


def statement(kind: WriteKind, place: Layout, columns: tuple[int, ...]) -> Statement:
    """The SQL that executes a `Write` of `kind` with these field numbers."""
    form = sent(kind, place, columns)
    fields = tuple(columns[at] for at in form.picked)
    match kind:
        case "update":
            return _update(form, place, fields)
        case "insert":
            return _insert(form, place, fields)
        case "delete":
            return _delete(form, place, fields)
        case _:
            assert_never(kind)


def read_all(place: Layout) -> str:
    """All rows in the order of fields that are here, ascending by record key in code point order."""
    key = ", ".join(f"CAST({printed(column)} AS BINARY)" for column in live(place, place.key))
    if len(place.key) > 1:
        key = f"CONCAT_WS(x'1f', {key})"
    return f"SELECT {_printed_list(place)} FROM {_table(place)} AS t ORDER BY {key}"


def select_table(table: Table, columns: Mapping[str, MariaColumn]) -> str:
    """All rows of a table, in the order of its columns."""
    listed = comma(printed(columns[name]) for name in table.columns)
    return f"SELECT {listed} FROM {quoted(table.schema, table.name)} AS t"


def read_by_key(place: Layout, mode: Literal["lock", "look"]) -> str:
    """The rows of the keys that were sent, in the order of fields that are here.

    `lock`: takes each row's lock and leaves out the rows that somebody else has locked (`busy.find` goes before)."""
    return f"SELECT {_printed_list(place)} FROM {keyed(place)}{_SKIPPING if mode == 'lock' else ''}"


def ordinals_there(place: Layout, mode: Literal["lock", "look"]) -> str:
    """The ordinals, joined by commas, of the keys that were sent and have a row; `lock`: as above."""
    return f"SELECT GROUP_CONCAT(u.ord) FROM {keyed(place)}{_SKIPPING if mode == 'lock' else ''}"


def take(place: Layout) -> str:
    """Locks the rows of the keys that were sent, in the order of these. Answers their number."""
    return f"SELECT COUNT(*) FROM {keyed(place)} FOR UPDATE"


def probe(place: Layout) -> str:
    """Answers nothing, and fails if the table or one of its columns is not as the rules need it."""
    return f"SELECT {_printed_list(place)} FROM {_table(place)} AS t WHERE FALSE"


_SKIPPING = f" WHERE {FREE} FOR UPDATE SKIP LOCKED"


def _update(form: Sent, place: Layout, fields: tuple[int, ...]) -> Statement:
    names = _names(place, fields)
    columns = live(place, fields)
    changes = [assigned(column, name) for column, name in zip(columns, names.new, strict=True)]
    changes += besides(_besides(place, columns))
    rows = f"{given(names.all)} STRAIGHT_JOIN {_table(place)} AS t ON {_matches(place)}"
    guards = _guards(place, fields, names.held)
    return Statement(
        sent=form,
        before=(f"SELECT GROUP_CONCAT(u.ord) FROM {rows} WHERE {guards} FOR UPDATE",),
        change=f"UPDATE {rows} SET {comma(changes)} WHERE {guards}" if changes else "",
        after=_deviating(rows, columns, names.new, columns) if columns else "",
    )


def _insert(form: Sent, place: Layout, fields: tuple[int, ...]) -> Statement:
    names = _names(place, fields, held=False)
    key, answered = live(place, place.key), live(place, form.answers)
    columns = [*key, *live(place, fields)]
    further = _besides(place, columns)
    every = cast("Sequence[MariaColumn]", [*place.columns.values(), *place.others])
    further += untold(every, [*columns, *(column for column, _ in further)])
    named = comma(quoted(column.shape.name) for column in [*columns, *(column for column, _ in further)])
    values = [casted(column, name) for column, name in zip(columns, names.all, strict=True)]
    values += [f"({said})" for _, said in further]
    rows = f"{given(names.all)} LEFT JOIN {_table(place)} AS t ON {_matches(place)}"
    there = ordinals_there(place, "look")
    return Statement(
        sent=form,
        before=(f"{there} INTO {THERE}", f"SELECT {THERE}"),
        change=f"INSERT INTO {_table(place)} ({named}) SELECT {comma(values)} FROM {given(names.all)}"
        f" WHERE {THERE} IS NULL OR NOT FIND_IN_SET(u.ord, {THERE})",
        after=_deviating(rows, columns[len(key) :], names.new, answered, key[0], every=len(answered) > len(fields)),
    )


def _delete(form: Sent, place: Layout, fields: tuple[int, ...]) -> Statement:
    names = _names(place, fields, new=False)
    rows = f"{given(names.all)} STRAIGHT_JOIN {_table(place)} AS t ON {_matches(place)}"
    guards = _guards(place, fields, names.held)
    gone = cast("tuple[tuple[MariaColumn, str], ...]", place.gone)
    change = f"DELETE t FROM {rows} WHERE {guards}"
    if gone:
        marked = [constant(column, text) for column, text in gone] + besides(_besides(place, [c for c, _ in gone]))
        change = f"UPDATE {rows} SET {comma(marked)} WHERE {guards}"
    return Statement(
        sent=form,
        before=(f"SELECT GROUP_CONCAT(u.ord) FROM {rows} WHERE {guards} FOR UPDATE",),
        change=change,
        after="",
    )


@dataclass(frozen=True, slots=True)
class _Names:
    """What the columns of the rows `u` are called: key, new values, held values."""

    key: list[str]
    new: list[str]
    held: list[str]

    @property
    def all(self) -> list[str]:
        return [*self.key, *self.new, *self.held]


def _names(place: Layout, fields: Sequence[int], *, new: bool = True, held: bool = True) -> _Names:
    count = len(fields)
    return _Names(
        lettered("k", len(place.key)), lettered("n", count) if new else [], lettered("h", count) if held else []
    )


def _deviating(
    rows: str,
    columns: Sequence[MariaColumn],
    names: Sequence[str],
    answered: Sequence[MariaColumn],
    key: MariaColumn | None = None,
    *,
    every: bool = False,
) -> str:
    """The question for what is stored otherwise than it was sent. `key`: rows whose key is not there are told too;
    `every`: all rows are told."""
    missing = f"{quoted('t', key.shape.name)} IS NULL" if key is not None else "FALSE"
    equal = " AND ".join(f"({same(column, 't', name)})" for column, name in zip(columns, names, strict=True)) or "TRUE"
    where = "" if every else f" WHERE {missing} OR NOT ({equal})"
    return f"SELECT {comma(['u.ord', missing, *(printed(column) for column in answered)])} FROM {rows}{where}"


def _guards(place: Layout, fields: Sequence[int], held: Sequence[str]) -> str:
    """The row is a record, and holds what it is known to hold."""
    parts = []
    for number, name in zip(fields, held, strict=True):
        column = live(place, (number,))[0]
        guard = same(column, "t", name)
        if number in place.empty:
            empty = f"CHAR_LENGTH({quoted('u', name)}) = 0 AND {quoted('t', column.shape.name)} IS NULL"
            guard = f"({guard} OR ({empty}))"
        parts.append(f"({guard})")
    if place.belongs is not None:
        assert isinstance(place.belongs, str), "what is no SQL is judged before a statement is made"
        parts.append(f"({place.belongs})")
    return " AND ".join(parts) or "TRUE"


def _matches(place: Layout) -> str:
    return key_matches(live(place, place.key))


def keyed(place: Layout) -> str:
    """The keys `u` that were sent with their rows `t`, as it stands behind FROM."""
    keys = given(lettered("k", len(place.key)))
    return f"{keys} STRAIGHT_JOIN {_table(place)} AS t ON {_matches(place)}"


def live(place: Layout, numbers: Sequence[int]) -> list[MariaColumn]:
    """The columns of these fields."""
    return [cast("MariaColumn", place.columns[number]) for number in numbers]


def _besides(place: Layout, columns: Sequence[MariaColumn]) -> list[tuple[MariaColumn, str]]:
    return cast("list[tuple[MariaColumn, str]]", place.besides(columns))


def _printed_list(place: Layout) -> str:
    return comma(printed(column) for column in live(place, sorted(place.columns)))


def _table(place: Layout) -> str:
    return quoted(place.schema, place.name)
