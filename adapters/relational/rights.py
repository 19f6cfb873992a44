"""Turns compiled rules into the least rights that our role needs in a system: by table, by column.

Pure, and without SQL. Ownership shows here: a column that only its own system may write is not ours to UPDATE, and so
the database itself refuses it. Nothing is asked for on what the rules do not bind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.rulebook import Assembly, Binding, Join, Part, RuleBook, Table

Drawn: TypeAlias = Callable[[str], Iterable[str]]
"""The sequences that an expression draws from, as the rules write them."""


@dataclass(frozen=True, slots=True)
class TableRights:
    """What our role has to be able to do with one bound table."""

    table: Table
    insert: tuple[str, ...]
    """Columns we may give a new row; empty: we never insert."""
    update: tuple[str, ...]
    """Columns we may change."""
    delete: bool
    lock: tuple[str, ...] = ()
    """The key, where there is no column that we may change: reading a row again takes its lock, and some databases let
    only those lock a row who may UPDATE one of its columns. Nothing ever sets it."""
    numbers: bool = False
    """We give its rows keys of its own making: also the sequence of an identity column is asked by us then."""
    sequences: tuple[str, ...] = ()
    """Sequences that the rules name for its rows, as they write them."""
    written: tuple[str, ...] = ()
    """Columns that the rules set besides, in every row that we write (`on_write`)."""


def rights(book: RuleBook, system: str, drawn: Drawn) -> list[TableRights]:
    """The rights needed in `system`, by table, in the order of `RuleBook.tables`. `drawn`: the sequences that a value
    of `on_create` or `on_write` draws from."""
    wanted = [_Wanted(drawn) for _ in book.tables[system]]
    for binding in book.bound[system]:
        if binding.assembly is None:
            _want_row(wanted[binding.table], book, system, binding)
        else:
            _want_assembly(wanted, book, system, binding, binding.assembly)
    return [each.of(table) for each, table in zip(wanted, book.tables[system], strict=True)]


@dataclass(slots=True)
class _Wanted:
    """What the bindings of one table come to; the columns in the order in which they were first asked for."""

    drawn: Drawn
    insert: dict[str, None] = field(default_factory=dict)
    update: dict[str, None] = field(default_factory=dict)
    delete: bool = False
    numbers: bool = False
    sequences: dict[str, None] = field(default_factory=dict)
    written: dict[str, None] = field(default_factory=dict)

    def beside(self, written: Iterable[tuple[str, str]], *, inserts: bool) -> None:
        """What is set in every row that we write: asked for once all else is."""
        for column, said in written:
            self.written[column] = None
            self.sequences.update(dict.fromkeys(self.drawn(said)))
            if inserts:
                self.insert[column] = None
            if self.update:
                self.update[column] = None

    def of(self, table: Table) -> TableRights:
        lock = () if self.update else tuple(table.columns[place] for place in table.key[:1])
        return TableRights(
            table, tuple(self.insert), tuple(self.update), self.delete, lock, self.numbers, tuple(self.sequences),
            tuple(self.written),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Ours:
    """What we may come to do with the records of an entity in one system."""

    inserts: bool
    deletes: bool
    fields: frozenset[int]
    """The fields that we may change."""


def _ours(book: RuleBook, system: str, binding: Binding) -> _Ours:
    entity = book.entities[binding.entity]
    others = [name for name in entity.bindings if name != system]
    owners = {number: register.owner for register in entity.registers for number in register.fields}
    restored = entity.delete.get(system) == "restore" or not entity.delete_wins
    changed = [n for n in binding.columns if n not in entity.key and owners.get(n) != system] if others else []
    return _Ours(
        inserts=bool(others) and (restored or any(name in entity.create for name in others)),
        deletes=any(entity.delete.get(name) in ("propagate", "deactivate") for name in others),
        fields=frozenset(changed),
    )


def _want_row(wanted: _Wanted, book: RuleBook, system: str, binding: Binding) -> None:
    ours, table = _ours(book, system, binding), book.tables[system][binding.table]
    if ours.inserts:
        wanted.insert.update(dict.fromkeys(table.columns))
    pairs = zip(table.columns, binding.columns, strict=True)
    wanted.update.update(dict.fromkeys(column for column, number in pairs if number in ours.fields))
    wanted.beside(table.written, inserts=ours.inserts)
    wanted.delete |= any(
        book.entities[binding.entity].delete.get(name) == "propagate"
        for name in book.entities[binding.entity].bindings
        if name != system
    )


def _want_assembly(wanted: list[_Wanted], book: RuleBook, system: str, binding: Binding, assembly: Assembly) -> None:
    ours = _ours(book, system, binding)
    for at, part in enumerate(assembly.parts):
        columns, want = book.tables[system][part.table].columns, wanted[part.table]
        fields = [(number, columns[place]) for number, place in part.fields]
        changed = [name for number, name in fields if number in ours.fields]
        want.update.update(dict.fromkeys(changed))
        if ours.inserts or (changed and at > 0):
            want.insert.update(dict.fromkeys(_inserted(book.tables[system], assembly, part)))
            want.update.update(dict.fromkeys(name for name, _, _ in part.links))  # a link back comes afterwards
            want.numbers = True
            want.sequences.update(dict.fromkeys(n for _, made in part.create for n in want.drawn(made)))
        if at > 0 and (ours.inserts or changed):
            for join in part.joins:  # the one row is made to point at the other, when that is made later
                other = assembly.parts[join.part]
                wanted[other.table].update.update(dict.fromkeys(_pointing(book.tables[system], part, other, join)))
        removed = {"row": part.remove, "membership": at in assembly.members, "columns": False}[assembly.removal]
        want.delete |= (ours.deletes and removed) or part.clear == "delete"
    root = book.tables[system][binding.table].columns
    if ours.deletes and assembly.removal == "columns":
        wanted[binding.table].update.update(dict.fromkeys(root[place] for place, _ in assembly.gone))
    if ours.inserts:
        wanted[binding.table].update.update(dict.fromkeys(root[place] for place, _ in assembly.back))
    for part in assembly.parts:
        wanted[part.table].beside(part.written, inserts=bool(wanted[part.table].insert))
    for lookup in assembly.lookups.values():
        if lookup.missing == "insert":
            wanted[lookup.table].insert.update({book.tables[system][lookup.table].columns[1]: None})


def _inserted(tables: tuple[Table, ...], assembly: Assembly, part: Part) -> list[str]:
    """The columns that a row of a part may be given when we make it."""
    columns = tables[part.table].columns
    places = [*tables[part.table].key, *(place for _, place in part.fields), *(join.column for join in part.joins)]
    places += [place for place, _ in part.constants]
    places += [join.other for other in assembly.parts for join in other.joins if assembly.parts[join.part] is part]
    names = [columns[place] for place in places]
    return [*names, *(name for name, _ in part.create), *(name for name, _, _ in part.links)]


def _pointing(tables: tuple[Table, ...], part: Part, other: Part, join: Join) -> list[str]:
    """The column of the other part's row that points at a row of this one, if that is how they are joined."""
    table = tables[other.table]
    return [table.columns[join.other]] if join.column in tables[part.table].key and join.other not in table.key else []
