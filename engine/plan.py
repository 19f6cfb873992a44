"""What is due to one system, as set-based guarded writes: records that differ in, statements' rows out.

Parents are inserted before children and children deleted before parents (the rule book's entities stand in that order).
Rows that set the same columns share a statement. Nothing here executes anything; a plan is a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from engine.assembly import KEY_SEPARATOR
from engine.errors import ValueRefused
from engine.merge import EntityRules
from engine.record import FOREIGN, Held, Layout, Record, Side, held_alive, held_row, is_due
from engine.rulebook import EXISTENCE
from engine.vocabulary import UNSET, KeyOf, Text, Values, Write, WriteKind, WriteRow

Item = tuple[EntityRules, str, Record, Side]
"""(the entity's rules, record key, record, the side that is due)"""

Refuse = Callable[[EntityRules, str, str], None]
"""Told (rules, key, reason) of a record that cannot be written at all."""

_PHASES: tuple[WriteKind, ...] = ("insert", "update", "delete")


Keys = Mapping[tuple[str, str], str]
"""By (entity, record id): the key that the system has of that record."""


def parents_of(items: Iterable[Item], system: str) -> list[tuple[str, str]]:
    """(entity, id) of all records that these refer to, or referred to, where the systems have keys of their own."""
    names: dict[tuple[str, str], None] = {}
    for rules, _, record, side in items:
        for number, parent in rules.crossed_references:
            register = rules.register_of[number]
            values = [record.values[number]]
            for layer in (side.held, side.sent or {}):
                if register in layer and number in rules.layouts[system].bound:
                    values.append(layer[register][1][rules.layouts[system].fields_of[register].index(number)])
            for value in values:
                if isinstance(value, str):
                    names[parent, value.partition(FOREIGN)[0]] = None
    return list(names)


def plan(items: Iterable[Item], system: str, refuse: Refuse, keys: Keys) -> tuple[list[Write], int]:
    """The writes that bring `system` up to date with these records, and how many rows they have.

    `keys`: of the records that these refer to."""
    groups: dict[tuple[str, WriteKind, tuple[int, ...]], list[WriteRow]] = {}
    order: dict[str, int] = {}
    rows = 0
    for rules, key, record, side in items:
        try:
            planned = row_of(rules, key, record, side, system)
        except ValueRefused as error:
            refuse(rules, key, str(error.found))
            continue
        if planned is not None:
            kind, columns, row = planned
            if rules.crossed_references:
                row = _outward(rules, columns, row, keys)
            order.setdefault(rules.name, rules.rank)
            groups.setdefault((rules.name, kind, columns), []).append(row)
            rows += 1
    writes = [Write(kind, entity, columns, group) for (entity, kind, columns), group in groups.items()]
    writes.sort(key=lambda w: _place(w, order))
    return writes, rows


def _outward(rules: EntityRules, columns: tuple[int, ...], row: WriteRow, keys: Keys) -> WriteRow:
    """A row with the system's own keys in place of the ids of the records that it refers to."""
    parents = dict(rules.crossed_references)
    due, id, key, new, held = row

    def own(number: int, value: Text | bool) -> Text | bool:
        if not isinstance(value, str) or number not in parents:
            return value
        name, _, foreign = value.partition(FOREIGN)
        parent = parents[number]
        return foreign or keys.get((parent, name)) or KeyOf(parent, name)  # type: ignore[return-value]

    return (
        due,
        id,
        key,
        tuple([own(n, v) for n, v in zip(columns, new, strict=False)]),
        tuple([own(n, v) for n, v in zip(columns, held, strict=False)]),
    )


def _place(write: Write, order: dict[str, int]) -> tuple[int, int]:
    rank = order[write.entity]
    return (_PHASES.index(write.kind), -rank if write.kind == "delete" else rank)


def row_of(
    rules: EntityRules, key: str, record: Record, side: Side, system: str
) -> tuple[WriteKind, tuple[int, ...], WriteRow] | None:
    """The one row to write for a record, or None if nothing has to be written. Raises ValueRefused."""
    if side.out or (side.sent is None and (side.bad or side.wait)):
        return None  # of what is under way, a wait that began since concerns the next write only
    layout = rules.layouts[system]
    after, wanted, due = _wanted(record, side)
    there = held_alive(record, side)
    if there != wanted:
        if after is None and EXISTENCE in record.holds:
            return None
        make = _insert if wanted else _delete
        return make(rules, key, record, side, layout, after, due)
    if not there:
        return None
    return _update(rules, key, record, side, layout, after, due)


def _wanted(record: Record, side: Side) -> tuple[dict[int, Held] | None, bool, int]:
    """What this batch is to bring about: (registers that changed again since it was formed, exists, deciding step)."""
    if side.sent is None:
        return None, record.alive, side.due
    entry = side.sent.get(EXISTENCE)
    return side.sent, bool(entry[1][0]) if entry is not None else record.alive, side.sent_due


def _new(register: int, record: Record, layout: Layout, after: dict[int, Held] | None) -> tuple[Text | bool, ...]:
    """The stored values that a register is to have after this batch."""
    if after is not None and register in after:
        return after[register][1]
    return layout.stored(register, record.values)


def _update(
    rules: EntityRules, key: str, record: Record, side: Side, layout: Layout, after: dict[int, Held] | None, due: int
) -> tuple[WriteKind, tuple[int, ...], WriteRow] | None:
    columns: list[int] = []
    new: list[Text | bool] = []
    held: list[Text | bool] = []
    table, index, values = record.table, record.index, record.values
    plain = after is None and not record.holds and rules.alike
    for register in sorted(side.held):
        entry = side.held[register]
        if register == EXISTENCE:
            continue
        if plain and len(layout.fields_of[register]) == 1:  # the usual case, without a call
            number = layout.fields_of[register][0]
            wrote, had, current = values[number], entry[1][0], table[index[register]]
            if current != entry[0] and wrote != had and wrote is not UNSET and had is not UNSET:
                columns.append(number)
                new.append(wrote)
                held.append(had)
            continue
        if not _is_written(record, register, entry, after):
            continue
        wanted = _new(register, record, layout, after)
        if wanted != entry[1] and UNSET not in entry[1] and UNSET not in wanted:
            columns += layout.fields_of[register]
            new += wanted
            held += entry[1]
    if not columns:
        return None
    if not layout.key_fields.isdisjoint(columns):
        _guard_whole_row(record, side, layout, columns, new, held)
    return "update", tuple(columns), (due, key, _key(rules, record, layout), tuple(new), tuple(held))


def _guard_whole_row(
    record: Record,
    side: Side,
    layout: Layout,
    columns: list[int],
    new: list[Text | bool],
    held: list[Text | bool],
) -> None:
    """A key that is written may be another row's by now: it is only if everything else is as it was, too."""
    row = held_row(record, side, layout)
    for number in layout.binding.columns:
        if number not in columns and row[number] is not UNSET:
            columns.append(number)
            new.append(row[number])
            held.append(row[number])


def _is_written(record: Record, register: int, entry: Held, after: dict[int, Held] | None) -> bool:
    if after is not None:  # as it was when the batch was formed: what it was to write is not in `after` unchanged
        return register not in after or after[register][0] != entry[0]
    return is_due(record, register, entry)


def _insert(
    rules: EntityRules, key: str, record: Record, side: Side, layout: Layout, after: dict[int, Held] | None, due: int
) -> tuple[WriteKind, tuple[int, ...], WriteRow]:
    if after is None:
        row = list(layout.stored_strict(record.values))
    else:
        row = list(layout.stored_row(record.values))  # what cannot be stored came later: `after` has it as it was
        for register, (_, stored) in after.items():
            if register != EXISTENCE:
                for number, value in zip(layout.fields_of[register], stored, strict=True):
                    row[number] = value
    columns = tuple([f for f in layout.binding.columns if row[f] is not UNSET])
    return "insert", columns, (due, key, _key(rules, record, layout), tuple([row[f] for f in columns]), ())


def _delete(
    rules: EntityRules, key: str, record: Record, side: Side, layout: Layout, after: dict[int, Held] | None, due: int
) -> tuple[WriteKind, tuple[int, ...], WriteRow]:
    row = held_row(record, side, layout)
    columns = tuple([f for f in layout.binding.columns if row[f] is not UNSET and f not in rules.entity.key])
    return "delete", columns, (due, key, _key(rules, record, layout), (), tuple([row[f] for f in columns]))


def _key(rules: EntityRules, record: Record, layout: Layout) -> Values:
    values = record.values
    if rules.entity.crossed:
        own = record.keys.get(layout.binding.system)
        return tuple(own.split(KEY_SEPARATOR)) if own is not None else ()
    return tuple([values[f] for f in rules.entity.key])


def in_order(entities: Iterable[EntityRules]) -> Iterator[tuple[EntityRules, bool]]:
    """The passes over a batch that is too large for memory: (entity, deletions only), parents first, then backwards."""
    ranked = sorted(entities, key=lambda rules: rules.rank)
    for rules in ranked:
        yield rules, False
    for rules in reversed(ranked):
        yield rules, True
