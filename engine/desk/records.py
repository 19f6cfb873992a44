"""The records in hand: a bounded cache over the store, and what of it is to become durable.

Turns names into records, and what was decided into one `Delta` at a time. It holds the state that the other rooms of
the desk share, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from engine.assembly import KEY_SEPARATOR
from engine.crossing import Crossing
from engine.desk.quarantine import Quarantine
from engine.merge import EntityRules, Step, rules_of
from engine.ports import Delta, Pending, Store
from engine.record import Layout, Mark, Record, decode, encode
from engine.rulebook import RuleBook, Table
from engine.vocabulary import Outcome, Position, Row, Text, Version

Name = tuple[str, str]
"""(entity, record key)"""

Debt = tuple[str, Name]
"""(system, record): something that is due there."""

ANYWHERE = ""
"""In the place of a system: the record is left to a person, so that nobody knows yet to whom it is due."""

OVERRULED = "acknowledged, then overruled"
"""What the journal says of a write that lost, whose user is answered only when the others have what is current."""


def key_maker(table: Table) -> Callable[[Row], str]:
    """How the record key is read out of a table's row. A key value is never ABSENT."""
    if len(table.key) == 1:
        place = table.key[0]
        return lambda row: row[place]  # type: ignore[return-value]
    places = table.key
    return lambda row: KEY_SEPARATOR.join([str(row[p]) for p in places])


PlainTable = tuple[EntityRules, Layout, Callable[[Row], str]]
"""(an entity that lives in one table, its layout there, how the record key is read out of a row)"""


class Records:
    """The lowest room of the desk. `cache_records_max` bounds the records in memory, `open_rows_max` those to be
    planned."""

    def __init__(
        self, book: RuleBook, store: Store, *, cache_records_max: int = 20_000, open_rows_max: int = 10_000
    ) -> None:
        self.book = book
        self.store = store
        self.cache_records_max = cache_records_max
        self.open_rows_max = open_rows_max
        self.rules = rules_of(book)
        self.tables = {system: self._plain_tables(system) for system in book.systems}
        """By system and table: the entity that lives in this one table alone."""
        self.crossing = Crossing(book, self.rules, self._find)
        self.marks = {system: Mark() for system in book.systems}
        self.cache: dict[str, dict[str, Record | None]] = {name: {} for name in self.rules}
        self.trimmed = False
        """True: the cache was trimmed since `prefetch` (by a spooled transaction), what it had loaded may be gone."""
        self.half_written = False
        """True: a part of what is to be committed at once is written, and no batch may be sent before the rest is."""
        self.dirty: dict[Name, Record] = {}
        self.due: dict[Name, None] = {}
        """Records that became due somewhere since the last commit."""
        self._nothing_waits(book.systems)
        self.taken_up = False
        self.late_defaults: list[tuple[Name, dict[int, Text], Outcome]] = []
        """Found while the ledgers were asked one by one: what is under way to the other systems is not known yet."""
        self.truncations: dict[tuple[str, str], str] = {}
        """(system, entity) → what a person said that its emptying means; good for one transaction."""
        self.truncated: set[tuple[str, str]] = set()
        """Which of these answers the transaction under decision has used."""
        self.clocks: dict[str, tuple[int, int]] = {}
        """By system: how far its clock is ahead of ours, and how exactly that is known, in microseconds. Commit times
        are told by our clock from here on. Its writer's thread keeps it up to date."""
        self.counts: dict[str, int] = {}
        self.delta = Delta()
        self.storing = Delta()
        """Taken, not yet durable."""
        self.storing_applied: dict[str, int] = dict.fromkeys(book.systems, 0)
        self.stored_apart = False
        """True: another thread commits what is taken, while this one goes on deciding."""
        self.wait_until_stored: Callable[[], None] = lambda: None
        """Called before this thread writes into the store's open transaction itself, a part at a time."""
        self.number = 0
        self.owed: dict[Debt, None] | None = None
        """What the transaction under decision made due, if its user waits for that."""
        self.hurried = False
        """Somebody waits for a position that is not durable yet, though nothing was decided there."""
        self.forgotten = 0
        self.durable_applied: dict[str, int] = dict.fromkeys(book.systems, 0)
        self.written_positions: dict[str, Position] = {}
        """What is in the store's open transaction of these."""
        self.durable_positions: dict[str, Position] = {}
        """What may be acknowledged to the sources."""

    def _nothing_waits(self, systems: Iterable[str]) -> None:
        """What is due, and what waits, by system or record: nothing so far."""
        self.open: dict[str, dict[Name, Record]] = {system: {} for system in systems}
        self.spilled: dict[str, bool] = dict.fromkeys(systems, False)
        """True: what is due to the system is read back from the store, there is too much of it for memory."""
        self.waiting: dict[str, dict[Name, Position]] = {system: {} for system in systems}
        self.deferred: dict[str, dict[Name, int]] = {system: {} for system in systems}
        """What users had locked, and as which step it was due: what came together goes together."""
        self.rereads: dict[str, dict[Name, None]] = {system: {} for system in systems}
        self.unstorable: dict[str, dict[Name, None]] = {system: {} for system in systems}
        """Records to be looked at again, for values that cannot be stored, once the batch under way is answered."""
        self.stuck: dict[Debt, int] = {}
        """Since which step a record waits: its pending row must not be forgotten."""
        self.quarantined = Quarantine()
        self.held: set[tuple[str, str, int]] = set()
        self.again: dict[Debt, tuple[int, int]] = {}
        """Writes that did not take place: the step by which they are due again, and since which they wait."""

    def _plain_tables(self, system: str) -> list[PlainTable | None]:
        tables: list[PlainTable | None] = [None] * len(self.book.tables[system])
        for binding in self.book.bound[system]:
            if binding.assembly is None:
                rules = self.rules[binding.entity]
                tables[binding.table] = (
                    rules,
                    rules.layouts[system],
                    key_maker(self.book.tables[system][binding.table]),
                )
        return tables

    def _find(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Reads the store's multimap, beside the commit that may be under way."""
        find = self.store.find_committed if self.stored_apart and not self.half_written else self.store.find
        return find(space, values)

    def start(self) -> None:
        """Takes up where the store left off."""
        self.crossing.load_codes(self.store)
        state = self.store.state()
        self.number = state.number
        for system, position in state.positions.items():
            if system in self.marks:
                self.marks[system].read = position
                self.durable_positions[system] = position
        for applied in state.applied:
            if applied.system in self.marks:
                mark = self.marks[applied.system]
                mark.recent.append((applied.number_to, applied.separator))
                mark.applied = mark.dispatched = applied.number_to
        self.durable_applied = {system: mark.applied for system, mark in self.marks.items()}
        for entity, key, system, reason in self.store.quarantined():
            self.quarantined[(entity, key, system)] = reason
        self.held.update(self.store.held())

    def _load(self, names: Iterable[Name]) -> None:
        wanted: dict[str, dict[str, None]] = {}
        for entity, key in names:
            wanted.setdefault(entity, {})[key] = None
        self._fetch(wanted)

    def _fetch(self, wanted: dict[str, dict[str, None]]) -> None:
        for entity, keys in wanted.items():
            cache = self.cache[entity]
            missing = [key for key in keys if key not in cache]
            if missing:
                load = self.store.load_committed if self.stored_apart and not self.half_written else self.store.load
                found = load(entity, missing)
                for key in missing:
                    state = found.get(key)
                    cache[key] = None if state is None else decode(state)

    def record(self, entity: str, key: str) -> Record | None:
        """One record, from the cache or the store."""
        if key not in self.cache[entity]:
            self._load([(entity, key)])
        return self.cache[entity][key]

    def _step(self, system: str, committed_at: int, position: Position, note: str = "") -> Step:
        self.number += 1
        if committed_at and system in self.clocks:
            committed_at -= self.clocks[system][0]
        errors = {name: error for name, (_, error) in self.clocks.items()}
        return Step(Version(self.number, system, committed_at, position, note), system, self.marks, clock_errors=errors)

    def _close(self, step: Step) -> None:
        """Takes over what came of a step."""
        for entry in step.journal if self.book.synchronous else ():
            if entry.loser is not None and entry.loser.system in self.book.synchronous and entry.kind != "hold":
                entry.because = f"{entry.because}; {OVERRULED}"
        self.delta.journal += step.journal
        step.journal = []
        if step.holds:
            self._owe([(ANYWHERE, place[:2]) for place, why in step.holds.items() if why is not None])
            self.delta.holds.update(step.holds)
            for place, why in step.holds.items():
                self.held.add(place) if why is not None else self.held.discard(place)
            step.holds = {}
        for what, n in step.counts.items():
            self._count(what, n)
        step.counts = {}

    def _owe(self, debts: Sequence[Debt]) -> None:
        """The transaction under decision made something due, or nobody knows yet where."""
        if self.owed is not None:
            self.owed.update(dict.fromkeys(debts))

    def commit(self) -> None:
        """Makes everything decided so far durable, before it returns."""
        delta = self.take()
        if delta is not None:
            self.store.commit(delta)
            self.stored()

    def urgent(self) -> bool:
        """True if something was decided that nobody could find out again after a crash."""
        return bool(
            self.dirty
            or self.due
            or self.hurried
            or self.half_written
            or self.delta.requests_done
            or self.delta.journal
            or self.crossing.entries.dirty
        )

    def _write(self) -> None:
        """What was decided so far goes into the store's open transaction, and is committed with the rest."""
        delta = self._delta()
        self.written_positions.update(delta.positions)
        self.store.write(delta)
        self.half_written = True

    def take(self) -> Delta | None:
        """Everything decided since the last one, to be committed by the store; None if there is nothing.

        Until `stored` is called the records in it stay in memory, and no further one may be taken."""
        delta = self._delta()
        delta.positions = self.written_positions | delta.positions
        self.written_positions = {}
        self.hurried = False
        floor = min([mark.applied for mark in self.marks.values()] + list(self.stuck.values()))
        if floor > self.forgotten:
            self.forgotten = floor
            delta.pending_done_to = floor
        if not delta and not self.half_written:
            return None
        self.storing = delta
        self.storing_applied = {system: mark.applied for system, mark in self.marks.items()}
        return delta

    def stored(self) -> None:
        """What was last taken is durable."""
        self.half_written = False
        self.durable_positions.update(self.storing.positions)
        self.durable_applied = self.storing_applied
        self.storing = Delta()
        self._trim()

    def _delta(self) -> Delta:
        delta, self.delta = self.delta, Delta()
        if self.dirty:
            delta.records = {name: encode(record) for name, record in self.dirty.items()}
            self.dirty = {}
        delta.entries = self.crossing.entries.taken()
        if self.due:
            delta.pending.append(Pending(self.number, list(self.due)))
            self.due = {}
        if delta:
            delta.number = self.number
        return delta

    def _trim(self) -> None:
        """Keeps the cache bounded. What is not in the store yet, and what waits to be planned, stays."""
        self.crossing.entries.trim(self.storing.entries)
        if sum(len(cache) for cache in self.cache.values()) <= self.cache_records_max:
            return
        self.trimmed = True
        staying: list[Mapping[Name, object]] = [self.dirty, self.storing.records, *self.open.values()]
        staying = [names for names in staying if names]
        for entity, cache in self.cache.items():
            for key in list(islice(cache, len(cache) // 2)):
                name = (entity, key)
                for names in staying:
                    if name in names:
                        break
                else:
                    del cache[key]

    def _count(self, what: str, n: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + n
