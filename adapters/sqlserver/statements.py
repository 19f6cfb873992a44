"""Turns tables, keys and columns into T-SQL: guarded writes of whole sets, and the questions that go with them. Pure.

Each form is one batch with one parameter, the rows as JSON, and ends in one SELECT: so any error comes before an
answer, and a batch costs one round trip. A guarded write first locks the rows whose guard holds and keeps their
ordinals in `@told`; then it changes just these, which nobody else can change any more; then it answers only what there
is to tell (`Fate`): rows that it did not write, and rows that hold something else than was sent. What is stored is read
again, as `OUTPUT` shows values before the triggers of the table have run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from adapters.alchemy.columns import AlchemyColumn
from adapters.relational.layout import Layout
from adapters.relational.live import TableName
from adapters.sqlserver import phrases
from adapters.sqlserver.phrases import HINTS, IN_ORDER, ROWS, Mode, comma, given, lettered, quoted
from engine.vocabulary import WriteKind

Written = Sequence[tuple[AlchemyColumn, str]]
"""(column, expression): what is written besides."""

ORD: Final = quoted("ord")
TOLD: Final = f"DECLARE @told TABLE ({ORD} int NOT NULL PRIMARY KEY)"
SILENT: Final = "SET NOCOUNT ON"


class Fate(IntEnum):
    """What became of a row that an answer tells of."""

    UNMATCHED = 0
    """It was not written, as its guard does not hold."""
    STORED = 1
    """It was written; what is stored follows."""
    LOST = 2
    """It was written, and no row has its key."""
    UNFIT = 3
    """It was not written, as one of its texts is no value of its column's type."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The rows of a table, as they are found and written."""

    table: TableName
    key: Sequence[AlchemyColumn]
    mark: str = ""
    """What stands in front of every statement that changes the table."""

    @property
    def name(self) -> str:
        """As SQL writes it."""
        return phrases.table(self.table)

    @property
    def keys(self) -> list[str]:
        """What the key's columns are called in the rows `u`."""
        return lettered("k", len(self.key))

    def found(self, names: Sequence[str] = ()) -> str:
        """The row of `t` that has the key of a row of `u`; `names`: what that is called there."""
        return phrases.key_matches(self.key, names or self.keys)


def write(
    kind: WriteKind, subject: Subject, place: Layout, fields: Sequence[AlchemyColumn],
    answered: Sequence[AlchemyColumn], empty: Sequence[bool],
) -> str:  # fmt: skip
    """A guarded write of rows `u`: key `k`, new values `n`, held values `h`. `fields`: the columns of these values;
    `answered`: those that a `STORED` row tells; `empty`: by field, if NULL is the same as an empty text.

    Answers (ordinal, fate, what is answered) of the rows that there is something to tell of."""
    besides: Written = place.besides([*subject.key, *fields] if kind == "insert" else fields)  # type: ignore[assignment]
    if kind == "insert":
        return _insert(subject, fields, answered, besides)
    held = lettered("h", len(fields))
    if kind == "update":
        return update(subject, fields, besides, answered, guard=phrases.same(fields, held, empty), held=held)
    gone: Written = place.gone  # type: ignore[assignment]
    marked = [phrases.constant(column, text) for column, text in gone]
    besides = place.besides([column for column, _ in gone])  # type: ignore[assignment]
    marked += phrases.besides(besides) if gone else []
    return _delete(subject, phrases.same(fields, held, empty), held, marked)


def update(
    subject: Subject, fields: Sequence[AlchemyColumn], besides: Written, answered: Sequence[AlchemyColumn], *,
    guard: str = "", held: Sequence[str] = (),
) -> str:  # fmt: skip
    """Gives the rows of the keys `k` new values `n`. Answers as `write` does."""
    new = lettered("n", len(fields))
    rows = given([*subject.keys, *new, *held])
    fit = phrases.fits(fields, new)
    changes = [phrases.assigned(column, name) for column, name in zip(fields, new, strict=True)]
    changes += phrases.besides(besides)
    change = [f"{subject.mark}UPDATE t SET {comma(changes)} {_chosen(subject, rows)}"] if changes else []
    # A part's key may be among what is changed.
    names = [new[fields.index(column)] if column in fields else name
             for column, name in zip(subject.key, subject.keys, strict=True)]  # fmt: skip
    told = _told(subject, rows, names, fit, answered, phrases.same(fields, new))
    return _batch(TOLD, _choose(subject, rows, fit, guard), *change, told)


def _insert(
    subject: Subject, fields: Sequence[AlchemyColumn], answered: Sequence[AlchemyColumn], besides: Written
) -> str:
    columns, new = [*subject.key, *fields], lettered("n", len(fields))
    names = [*subject.keys, *new]
    rows = given(names)
    fit = phrases.fits(columns, names)
    free = f"NOT EXISTS (SELECT 1 FROM {subject.name} AS t WHERE {subject.found()})"
    chosen = f"INSERT INTO @told ({ORD}) SELECT u.{ORD} FROM {rows} WHERE {' AND '.join(filter(None, (fit, free)))}"
    # What was left to a default is told of every row.
    same = phrases.same(fields, new) if len(answered) == len(fields) else ""
    return _batch(
        TOLD, f"{chosen} {IN_ORDER}", *_inserted(subject, columns, names, besides, f"{rows} {_KEPT}"),
        _told(subject, rows, subject.keys, fit, answered, same),
    )  # fmt: skip


_KEPT: Final = f"INNER JOIN @told AS o ON o.{ORD} = u.{ORD}"


def insert(subject: Subject, columns: Sequence[AlchemyColumn], besides: Written) -> str:
    """Makes rows of values `n`. Answers the ordinals of those that are unfit, which are not made."""
    names = lettered("n", len(columns))
    fit = phrases.fits(columns, names)
    rows = given(names)
    chosen = f"{rows} WHERE {fit}" if fit else rows
    unfit = f"SELECT u.{ORD} FROM {rows} WHERE {f'NOT ({fit})' if fit else '1 = 0'}"
    return _batch(*_inserted(subject, columns, names, besides, chosen), unfit)


def insert_made(
    subject: Subject, columns: Sequence[AlchemyColumn], besides: Written, answered: Sequence[AlchemyColumn]
) -> str:
    """Makes rows of values `n`, of which the database makes the keys. Answers (ordinal, key, what is answered) of those
    that were made, by ordinals: of no other statement can `OUTPUT` tell which row got which key."""
    names = lettered("n", len(columns))
    fit = phrases.fits(columns, names)
    keys = [f"{quoted(name)} {_declared(column)}" for column, name in zip(subject.key, subject.keys, strict=True)]
    made = f"DECLARE @made TABLE ({comma([f'{ORD} int NOT NULL PRIMARY KEY', *keys])})"
    listed = [quoted(column.shape.name) for column in [*columns, *(column for column, _ in besides)]]
    values = [phrases.value(column, quoted("u", name)) for column, name in zip(columns, names, strict=True)]
    values += [f"({said})" for _, said in besides]
    what = f"INSERT ({comma(listed)}) VALUES ({comma(values)})" if listed else "INSERT DEFAULT VALUES"
    told = [f"u.{ORD}", *(f"inserted.{quoted(column.shape.name)}" for column in subject.key)]
    merge = (
        f"{subject.mark}MERGE INTO {subject.name} AS t USING (SELECT * FROM {given(names)}) AS u ON 1 = 0 "
        f"WHEN NOT MATCHED{f' AND {fit}' if fit else ''} THEN {what} "
        f"OUTPUT {comma(told)} INTO @made"
    )
    found = " AND ".join(
        f"t.{quoted(column.shape.name)} = m.{quoted(name)}"
        for column, name in zip(subject.key, subject.keys, strict=True)
    )
    read = [phrases.read(column) for column in [*subject.key, *answered]]
    asked = (
        f"SELECT {comma([f'm.{ORD}', *read])} FROM @made AS m INNER JOIN {subject.name} AS t ON {found} "
        f"ORDER BY m.{ORD} {IN_ORDER}"
    )
    return _batch(made, merge, asked)


def _delete(subject: Subject, guard: str, held: Sequence[str], marked: Sequence[str]) -> str:
    rows = given([*subject.keys, *held])
    verb = f"UPDATE t SET {comma(marked)}" if marked else "DELETE t"
    unmatched = f"WHERE NOT EXISTS (SELECT 1 FROM @told AS o WHERE o.{ORD} = u.{ORD})"
    return _batch(
        TOLD, _choose(subject, rows, guard), f"{subject.mark}{verb} {_chosen(subject, rows)}",
        f"SELECT u.{ORD}, {Fate.UNMATCHED:d} FROM {rows} {unmatched}",
    )  # fmt: skip


def _choose(subject: Subject, rows: str, *conditions: str) -> str:
    """Locks the rows that fulfil the conditions, and keeps their ordinals."""
    where = " AND ".join(filter(None, conditions)) or "1 = 1"
    found = f"FROM {rows} INNER JOIN {subject.name} AS t{HINTS['lock']} ON {subject.found()} WHERE {where} {IN_ORDER}"
    return f"INSERT INTO @told ({ORD}) SELECT u.{ORD} {found}"


def _chosen(subject: Subject, rows: str) -> str:
    """The rows whose ordinals are kept."""
    return f"FROM {rows} {_KEPT} INNER JOIN {subject.name} AS t ON {subject.found()} {IN_ORDER}"


# ---------------------------------------------------------------- rows by their keys


def by_keys(subject: Subject, columns: Sequence[AlchemyColumn], mode: Mode) -> str:
    """The rows of the keys `k`: (ordinal, what these columns hold)."""
    listed = [f"u.{ORD}", *map(phrases.read, columns)]
    joined = f"FROM {given(subject.keys)} INNER JOIN {subject.name} AS t{HINTS[mode]} ON {subject.found()}"
    return _batch(f"SELECT {comma(listed)} {joined} {IN_ORDER}")


def locked(subject: Subject) -> str:
    """Locks those rows of the keys `k` that nobody else has locked. Answers the ordinals of the others."""
    rows = given(subject.keys)
    ours = f"SELECT u.{ORD} FROM {rows} INNER JOIN {subject.name} AS t{HINTS['skip']} ON {subject.found()} {IN_ORDER}"
    there = f"FROM {rows} INNER JOIN {subject.name} AS t{HINTS['there']} ON {subject.found()}"
    others = f"WHERE NOT EXISTS (SELECT 1 FROM @told AS o WHERE o.{ORD} = u.{ORD})"
    return _batch(TOLD, f"INSERT INTO @told ({ORD}) {ours}", f"SELECT u.{ORD} {there} {others} {IN_ORDER}")


def delete(subject: Subject) -> str:
    """Removes the rows of the keys `k`. Answers how many there were."""
    joined = f"FROM {given(subject.keys)} INNER JOIN {subject.name} AS t ON {subject.found()} {IN_ORDER}"
    return _batch(f"{subject.mark}DELETE t {joined}", "SELECT @@ROWCOUNT")


def unbind(subject: Subject, columns: Sequence[AlchemyColumn]) -> str:
    """These columns of the rows of the keys `k` become NULL. Answers how many rows there were."""
    changes = comma(f"{quoted('t', column.shape.name)} = NULL" for column in columns)
    joined = f"FROM {given(subject.keys)} INNER JOIN {subject.name} AS t ON {subject.found()} {IN_ORDER}"
    return _batch(f"{subject.mark}UPDATE t SET {changes} {joined}", "SELECT @@ROWCOUNT")


def add_codes(subject: Subject, natural: AlchemyColumn) -> str:
    """Adds the codes `n1` that the table does not have yet, by its own idea of equal; of those that are equal so, the
    first. Answers the ordinals of those that are unfit, which are not added."""
    name = quoted("u", "n1")
    there = f"{quoted('t', natural.shape.name)} = {phrases.native(natural, name)}"
    fit = phrases.fits([natural], ["n1"])
    rows = given(["n1"])
    free = f"NOT EXISTS (SELECT 1 FROM {subject.name} AS t WHERE {there})"
    first = f"u.{ORD} IN (SELECT MIN(u.{ORD}) FROM {rows} GROUP BY {phrases.native(natural, name)})"
    where = " AND ".join(filter(None, (fit, free, first)))
    unfit = f"SELECT u.{ORD} FROM {rows} WHERE {f'NOT ({fit})' if fit else '1 = 0'}"
    return _batch(*_inserted(subject, [natural], ["n1"], (), f"{rows} WHERE {where}"), unfit)


def drawn(draws: Sequence[tuple[str, AlchemyColumn]]) -> str:
    """A fresh value of each expression for each row that is sent. (A sequence is asked in no inner SELECT.)"""
    listed = [phrases.shown(column, f"({said})") for said, column in draws]
    return _batch(f"SELECT {comma(listed)} FROM {given(())}")


# ---------------------------------------------------------------- pieces


def _batch(*statements: str) -> str:
    return ";\n".join([SILENT, ROWS, *statements]) + ";"


def _inserted(
    subject: Subject, columns: Sequence[AlchemyColumn], names: Sequence[str], besides: Written, rows: str
) -> list[str]:
    """The INSERT of rows `u`, in their order. A number that the database would make has to be allowed to be said."""
    listed = [quoted(column.shape.name) for column in [*columns, *(column for column, _ in besides)]]
    values = [phrases.value(column, quoted("u", name)) for column, name in zip(columns, names, strict=True)]
    values += [f"({said})" for _, said in besides]
    # NEXT VALUE FOR stands in no SELECT that is sorted.
    order = "" if any(draws(said) for _, said in besides) else f" ORDER BY u.{ORD}"
    insert = f"{subject.mark}INSERT INTO {subject.name} ({comma(listed)}) SELECT {comma(values)} FROM {rows}{order}"
    if not any(column.numbered for column in columns):
        return [insert]
    allow = f"SET IDENTITY_INSERT {subject.name}"
    return [f"{allow} ON", insert, f"{allow} OFF"]


def _told(
    subject: Subject, rows: str, names: Sequence[str], fit: str, answered: Sequence[AlchemyColumn], same: str
) -> str:
    """The question for what there is to tell. `names`: what the key of a written row is called; `same`: of a row of
    which nothing is to be told; empty: each is told."""
    key = quoted("t", subject.key[0].shape.name)
    cases = [f"WHEN {key} IS NOT NULL THEN {Fate.STORED:d}", f"WHEN o.{ORD} IS NOT NULL THEN {Fate.LOST:d}"]
    cases += [f"WHEN NOT ({fit}) THEN {Fate.UNFIT:d}"] if fit else []
    listed = [f"u.{ORD}", f"CASE {' '.join(cases)} ELSE {Fate.UNMATCHED:d} END", *map(phrases.read, answered)]
    joined = (
        f"{rows} LEFT JOIN @told AS o ON o.{ORD} = u.{ORD} "
        f"LEFT JOIN {subject.name} AS t ON o.{ORD} IS NOT NULL AND {subject.found(names)}"
    )
    where = f" WHERE {key} IS NULL OR NOT {same}" if same else ""
    return f"SELECT {comma(listed)} FROM {joined}{where} {IN_ORDER}"


def _declared(column: AlchemyColumn) -> str:
    """The type of a key's column, as a table variable has it."""
    collation = getattr(column.element.type, "collation", None)
    plain = column.shape.type.partition(" collate")[0]
    return f"{plain} COLLATE {collation}" if collation else plain


def draws(said: str) -> bool:
    """True if an expression takes a number from a sequence, which not every statement may."""
    return "NEXT VALUE FOR" in " ".join(said.upper().split())
