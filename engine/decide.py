"""The deciding desk: whole transactions in, durable state and batches of writes out. One thread, no waiting, no I/O.

It keeps the records in hand (a bounded cache over the store), lets `merge` decide each change, remembers for each
target what is due, forms batches, and takes in what became of them. Everything that must survive a crash goes through
one `Delta` a turn. What it decides depends only on the order of its inputs, so that a simulation can run the real thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from engine.errors import EngineFault, TableTruncated, ValueRefused
from engine.merge import (
    DEFAULT,
    EntityRules,
    Incomplete,
    Step,
    begin,
    carry_over,
    empty_record,
    quick_update,
    read,
    restore,
    settle_hold,
    take_defaults,
)
from engine.plan import Item, in_order, plan
from engine.ports import Applied, Delta, Pending, Request, Store
from engine.record import (
    DEFERRED,
    REREAD,
    UNREAD,
    UNSET_VERSION,
    Held,
    Mark,
    Record,
    Side,
    by_field,
    decode,
    encode,
    held_after,
    held_alive,
    held_row,
    is_fresh,
    rejoin,
    settle,
)
from engine.rulebook import EXISTENCE, RuleBook, Table
from engine.vocabulary import (
    ABSENT,
    DELETE,
    INSERT,
    TRUNCATE,
    UPDATE,
    Batch,
    Change,
    Image,
    Outcome,
    Position,
    Reread,
    Row,
    RowResult,
    Text,
    Transaction,
    Version,
    Write,
)

Name = tuple[str, str]
"""(entity, record key)"""

KEY_SEPARATOR = "\x1f"
"""Joins the values of a composite key into one record key."""

NOTHING: dict[str, Side] = {}
"""The sides of a frozen record: nobody asks for them, and nobody writes them."""

PAGE_RECORDS = 2_000
"""How many records of a batch too large for memory are planned at a time."""


def key_maker(table: Table) -> Callable[[Row], str]:
    """How the record key is read out of a table's row. A key value is never ABSENT."""
    if len(table.key) == 1:
        place = table.key[0]
        return lambda row: row[place]  # type: ignore[return-value]
    places = table.key
    return lambda row: KEY_SEPARATOR.join([str(row[p]) for p in places])


class Decider:
    """See the module. `cache_records_max` bounds the records in memory, `open_rows_max` those waiting to be planned."""

    def __init__(
        self, book: RuleBook, store: Store, *, cache_records_max: int = 20_000, open_rows_max: int = 10_000
    ) -> None:
        self.book = book
        self.store = store
        self.cache_records_max = cache_records_max
        self.open_rows_max = open_rows_max
        self.rules = {e.name: EntityRules(e, rank) for rank, e in enumerate(book.entities.values())}
        self.tables = {
            system: [
                (self.rules[binding.entity], self.rules[binding.entity].layouts[system], key_maker(table))
                for table, binding in zip(book.tables[system], book.bound[system], strict=True)
            ]
            for system in book.systems
        }
        self.marks = {system: Mark() for system in book.systems}
        self.cache: dict[str, dict[str, Record | None]] = {name: {} for name in self.rules}
        self.trimmed = False
        """True: the cache was trimmed since `prefetch` (by a spooled transaction), what it had loaded may be gone."""
        self.half_written = False
        """True: chunks of a spooled transaction are written, not committed; no batch may be formed before they are."""
        self.dirty: dict[Name, Record] = {}
        self.due: dict[Name, None] = {}
        """Records that became due somewhere since the last commit."""
        self.open: dict[str, dict[Name, Record]] = {system: {} for system in book.systems}
        self.spilled: dict[str, bool] = dict.fromkeys(book.systems, False)
        """True: what is due to the system is read back from the store, there is too much of it for memory."""
        self.waiting: dict[str, dict[Name, Position]] = {system: {} for system in book.systems}
        self.deferred: dict[str, dict[Name, None]] = {system: {} for system in book.systems}
        self.rereads: dict[str, dict[Name, None]] = {system: {} for system in book.systems}
        self.unstorable: dict[str, dict[Name, None]] = {system: {} for system in book.systems}
        """Records to be looked at again, for values that cannot be stored, once the batch under way is answered."""
        self.taken_up = False
        self.late_defaults: list[tuple[Name, dict[int, Text], Outcome]] = []
        """Found while the ledgers were asked one by one: what is under way to the other systems is not known yet."""
        self.stuck: dict[tuple[str, Name], int] = {}
        """Since which step a record waits: its pending row must not be forgotten."""
        self.quarantined: dict[tuple[str, str, str], str] = {}
        self.held: set[tuple[str, str, int]] = set()
        self.truncations: dict[tuple[str, str], str] = {}
        """(system, entity) → what a person said that its emptying means; good for one transaction."""
        self.truncated: set[tuple[str, str]] = set()
        """Which of these answers the transaction under decision has used."""
        self.counts: dict[str, int] = {}
        self.delta = Delta()
        self.storing = Delta()
        """Taken, not yet durable."""
        self.storing_applied: dict[str, int] = dict.fromkeys(book.systems, 0)
        self.stored_apart = False
        """True: another thread commits what is taken, while this one goes on deciding."""
        self.wait_until_stored: Callable[[], None] = lambda: None
        """Called before a spooled transaction, which writes into the store's open transaction itself."""
        self.number = 0
        self.forgotten = 0
        self.durable_applied: dict[str, int] = dict.fromkeys(book.systems, 0)
        self.durable_positions: dict[str, Position] = {}
        """What may be acknowledged to the sources."""

    # ------------------------------------------------------------ start

    def start(self) -> None:
        """Takes up where the store left off."""
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

    def recover(self, system: str, outcomes: Iterable[Outcome]) -> None:
        """What the ledger of `system` tells of batches that were committed and never confirmed."""
        for outcome in outcomes:
            if outcome.number_to > self.marks[system].applied:
                # A batch may bear a number that the store never heard of: none is given twice.
                self.number = max(self.number, outcome.number_to)
                self.marks[system].dispatched = outcome.number_to
                self.confirm(outcome)

    def take_up(self) -> None:
        """After all targets have been recovered: what is due is due again, and what waited waits again."""
        for row in list(self.store.pending(0)):
            names = [name for name in row.records if name[0] in self.rules]
            self._load(names)
            for name in names:
                record = self.cache[name[0]].get(name[1])
                if record is not None:
                    self._take_up_record(name, record)
            self._trim()
        self.taken_up = True
        for name, values, outcome in self.late_defaults:
            self._take_defaults(name, values, outcome)
        self.late_defaults = []
        for system in self.marks:
            self._end_waits(system)

    def _take_up_record(self, name: Name, record: Record) -> None:
        for system, side in record.sides.items():
            mark = self.marks[system]
            settle(record, side, mark, self.rules[name[0]].layouts[system])
            if side.sent is not None:
                rejoin(side)  # the batch that was under way when we stopped was never committed
                self.dirty[name] = record
            if side.due > mark.applied and self.rules[name[0]].layouts[system].codecs:
                self._check_values(self.rules[name[0]], name[1], record, system)
            if side.wait:
                self.stuck.setdefault((system, name), self.forgotten)
            if side.wait == REREAD:
                self._ask_again(name, system)
            elif side.wait == DEFERRED:
                self.deferred[system][name] = None
            elif side.wait:
                self.waiting[system][name] = side.wait
            elif side.due > mark.applied:
                self.spilled[system] = True

    # ------------------------------------------------------------ transactions

    def prefetch(self, transactions: Iterable[Transaction]) -> None:
        """Loads the records that these transactions touch, in one query an entity."""
        self.trimmed = False
        self._prefetch(transactions)

    def _prefetch(self, transactions: Iterable[Transaction]) -> None:
        wanted: dict[str, dict[str, None]] = {}
        for transaction in transactions:
            self._wanted(transaction.system, transaction.changes, wanted)
        self._fetch(wanted)

    def _wanted(self, system: str, changes: list[Change], wanted: dict[str, dict[str, None]]) -> None:
        tables = self.tables[system]
        for table, _, new, old in changes:
            rules, _, key_of = tables[table]
            keys = wanted.setdefault(rules.name, {})
            if new is not None:
                keys[key_of(new)] = None
            if old is not None:
                keys[key_of(old)] = None

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

    def blocked(self, transaction: Transaction) -> bool:
        """True if a write of ours to a record of this transaction is under way to its own system.

        Only the outcome of that write tells whether the transaction came before or after it."""
        mark = self.marks[transaction.system]
        if mark.applied == mark.dispatched:
            return False
        if transaction.spool is not None:
            return True
        if self.trimmed:
            self._prefetch([transaction])
        tables = self.tables[transaction.system]
        for table, _, new, old in transaction.changes:
            rules, _, key_of = tables[table]
            for row in (new, old):
                if row is None:
                    continue
                record = self.cache[rules.name].get(key_of(row))
                side = record.sides.get(transaction.system) if record is not None else None
                if side is not None and mark.under_way(side):
                    return True
        return False

    def decide(self, transaction: Transaction) -> None:
        """Decides a whole transaction. It must have been prefetched, and not be blocked."""
        if self.trimmed:
            self._prefetch([transaction])
        self._count("transactions")
        self._count("echoes" if transaction.own else "changes", transaction.rows)
        step = self._step(transaction.system, transaction.committed_at, transaction.position)
        if transaction.spool is None:
            self._decide_changes(transaction, transaction.changes, step)
        else:
            self._decide_spooled(transaction, step)
        self._close(step)
        self.pass_position(transaction.system, transaction.position)
        while self.truncated:
            del self.truncations[self.truncated.pop()]

    def _decide_spooled(self, transaction: Transaction, step: Step) -> None:
        """A transaction larger than memory: its state goes to the store chunk by chunk, and is committed as one."""
        self.wait_until_stored()
        for changes in transaction.chunks():
            wanted: dict[str, dict[str, None]] = {}
            self._wanted(transaction.system, changes, wanted)
            self._fetch(wanted)
            self.number += 1
            step.due = self.number
            self._decide_changes(transaction, changes, step)
            self._close(step)
            self._spill_all()
            self.store.write(self._delta())
            self.half_written = True
            self._trim()

    def _step(self, system: str, committed_at: int, position: Position, note: str = "") -> Step:
        self.number += 1
        return Step(Version(self.number, system, committed_at, position, note), system, self.marks)

    def _close(self, step: Step) -> None:
        """Takes over what came of a step."""
        self.delta.journal += step.journal
        step.journal = []
        if step.holds:
            self.delta.holds.update(step.holds)
            for place, why in step.holds.items():
                self.held.add(place) if why is not None else self.held.discard(place)
            step.holds = {}
        for what, n in step.counts.items():
            self._count(what, n)
        step.counts = {}

    def _decide_changes(self, transaction: Transaction, changes: list[Change], step: Step) -> None:
        tables = self.tables[transaction.system]
        position = transaction.position
        for table, op, new, old in changes:
            rules, layout, key_of = tables[table]
            if op == TRUNCATE:
                self._truncate(rules, transaction, step)
                continue
            if op == UPDATE and old is not None and new is not None and key_of(old) != key_of(new):
                self._rekey(rules, transaction, key_of(old), key_of(new), by_field(new, layout), step)
                continue
            row = new if new is not None else old
            if row is None:
                raise EngineFault(f"a change of `{rules.name}` carries no row")
            key = key_of(row)
            image: Image | None = None
            if op != DELETE:
                image = row if layout.direct else by_field(row, layout)
                record = self.cache[rules.name].get(key)
                if op == UPDATE and record is not None and quick_update(rules, record, image, step):
                    if not step.noise:
                        name = (rules.name, key)
                        self.dirty[name] = record
                        self._note_due(name, record, rules.quick[transaction.system])
                    continue
            self._read(rules, key, op, image, position, step)

    def _read(
        self, rules: EntityRules, key: str, op: str, image: Image | None, position: Position, step: Step
    ) -> None:
        """Lets `merge` decide one change, and notes what it made due."""
        name = (rules.name, key)
        if self.quarantined and self.quarantined.get((*name, step.system), "").startswith(UNREAD):
            self._retry(name, step.system)  # it has changed again: perhaps it can be read now, as a whole
            return
        cache = self.cache[rules.name]
        record = cache.get(key)
        try:
            result = read(rules, key, record, op, image, position, step)
        except Incomplete:
            self._read_later(rules, key, step.system)
            return
        except ValueRefused as error:
            self._refuse_read(rules, key, step.system, error)
            return
        if step.noise or result is None:
            return
        cache[key] = result
        self.dirty[name] = result
        if self.quarantined:
            self._released(name, result, step.system)
        if step.touched:
            touched = sorted(step.touched)
            self._note_due(name, result, touched)

    def _check_values(self, rules: EntityRules, key: str, record: Record, system: str) -> None:
        """A value that a target has no counterpart for is noticed when it is decided, not when it is written."""
        if not record.alive or record.side(system).bad.startswith(UNREAD):
            return
        try:
            rules.layouts[system].stored_strict(record.values)
        except ValueRefused as error:
            if record.side(system).sent is None:
                self._quarantine(rules, key, record, system, f"cannot be stored: {error.found}")
            else:
                self.unstorable[system][(rules.name, key)] = None

    def _read_later(self, rules: EntityRules, key: str, system: str) -> None:
        """The log did not carry all that is needed: the row is read, and what it says is taken for the change."""
        record = self.cache[rules.name].get(key)
        if record is None:
            record = self.cache[rules.name][key] = empty_record(rules)
            record.side(system).held = {EXISTENCE: (None, (False,))}
        begin(rules, record, self.marks)
        side = record.side(system)
        side.wait, side.due = REREAD, 0
        self.dirty[(rules.name, key)] = record
        self.due[(rules.name, key)] = None
        self._ask_again((rules.name, key), system)

    def _ask_again(self, name: Name, system: str) -> None:
        self.rereads[system][name] = None
        self.stuck.setdefault((system, name), self.forgotten)

    def _note_due(self, name: Name, record: Record, systems: Iterable[str]) -> None:
        self.due[name] = None
        for system in systems:
            if not self.spilled[system]:
                self.open[system][name] = record
            if self.rules[name[0]].layouts[system].codecs:
                self._check_values(self.rules[name[0]], name[1], record, system)
            if self.quarantined:
                self._released(name, record, system)

    def _rekey(
        self, rules: EntityRules, transaction: Transaction, old: str, new: str, image: Image, step: Step
    ) -> None:
        """A changed natural key: the old record ends, and one with the new key begins, in the same transaction."""
        record = self.cache[rules.name].get(old)
        if record is not None:
            image = self._completed(rules, record, image, transaction)
        former = record.values if record is not None and record.alive else None
        self._read(rules, old, DELETE, None, transaction.position, step)
        self._read(rules, new, INSERT, image, transaction.position, step)
        made = self.cache[rules.name].get(new)
        if former is not None and made is not None:
            carry_over(rules, made, former, step)

    def _completed(self, rules: EntityRules, record: Record, image: Image, transaction: Transaction) -> Image:
        """A row with a new key, completed by what the old one had, as far as we know what it had at that time."""
        begin(rules, record, self.marks)
        layout = rules.layouts[transaction.system]
        side = record.sides.get(transaction.system)
        if not held_alive(record, side) or (side is not None and (side.out or side.bad or side.wait)):
            return image
        before = held_row(record, side, layout)
        return tuple([
            before[n]
            if value is ABSENT and n in layout.bound
            and not (side is not None and is_fresh(side, rules.register_of[n], transaction.position))
            else value
            for n, value in enumerate(image)
        ])

    def _truncate(self, rules: EntityRules, transaction: Transaction, step: Step) -> None:
        """An emptied table is never taken for a mass deletion: a person says what it means."""
        choice = self.truncations.get((transaction.system, rules.name))
        if choice is None:
            table = self.book.tables[transaction.system][rules.layouts[transaction.system].binding.table]
            raise TableTruncated(
                f"table `{table.schema}.{table.name}` was emptied by TRUNCATE",
                system=transaction.system,
                mend=f"`duolog resolve RULES --truncated {transaction.system}.{rules.name} --restore` fills it again "
                "from the other systems; `--delete` deletes the records everywhere",
            )
        self.truncated.add((transaction.system, rules.name))
        keys = {key for key, record in self.cache[rules.name].items() if record is not None}
        keys |= {key for key, _ in self.store.scan(rules.name)}
        self._fetch({rules.name: dict.fromkeys(sorted(keys))})
        for key in sorted(keys):
            record = self.cache[rules.name].get(key)
            if choice == "restore" and record is not None:
                begin(rules, record, self.marks)
                step.touched.clear()
                restore(rules, key, record, step)
                self.dirty[(rules.name, key)] = record
                self._note_due((rules.name, key), record, sorted(step.touched))
            else:
                self._read(rules, key, DELETE, None, transaction.position, step)

    # ------------------------------------------------------------ positions

    def pass_position(self, system: str, position: Position) -> None:
        """Everything in the log of `system` up to `position` has been decided."""
        mark = self.marks[system]
        if position <= mark.read:
            return
        mark.read = position
        self.delta.positions[system] = position
        if self.waiting[system]:
            self._end_waits(system)
        self._forget_recent(system)

    def _end_waits(self, system: str) -> None:
        """Guards that did not match are tried again now that the log has told what had happened, or the row is read."""
        mark = self.marks[system]
        for name, until in list(self.waiting[system].items()):
            if until > mark.read:
                continue
            del self.waiting[system][name]
            record = self.record(*name)
            side = record.sides.get(system) if record is not None else None
            if record is None or side is None or not side.wait:
                self.stuck.pop((system, name), None)
                continue
            if side.heard:
                side.wait = 0
                self._due_again(name, record, system, side)
            else:
                side.wait = REREAD
                self.dirty[name] = record
                self.rereads[system][name] = None

    def _forget_recent(self, system: str) -> None:
        """Separators that the reader has passed need not be remembered, but for the last of them: it tells that all
        batches before it have been passed too."""
        mark = self.marks[system]
        drop = 0
        while drop < len(mark.recent) - 1 and mark.recent[drop + 1][1] <= mark.read:
            drop += 1
        if drop:
            del mark.recent[:drop]
            self.delta.applied_forget[system] = mark.recent[0][0]

    def _due_again(self, name: Name, record: Record, system: str, side: Side) -> None:
        """A write that did not take place is due as a step of its own."""
        self.stuck.pop((system, name), None)
        self.dirty[name] = record
        if side.out:
            return
        self.number += 1
        side.due = self.number
        self._note_due(name, record, [system])

    # ------------------------------------------------------------ batches

    def backlog(self, system: str) -> int:
        """How many records wait to be planned for a system, as far as they are in memory."""
        return len(self.open[system])

    def spill(self, system: str) -> None:
        """The system is far behind: from here on, what is due to it is read back from the store."""
        if self.open[system]:
            self.open[system] = {}
            self.spilled[system] = True

    def _spill_all(self) -> None:
        for system in self.open:
            self.spill(system)

    def next_batch(self, system: str) -> Batch | None:
        """What is due to a system now; None if nothing is, or a batch is still under way.

        To be sent only when everything decided before is durable: what a batch writes must not be forgotten."""
        mark = self.marks[system]
        if mark.applied != mark.dispatched:
            return None
        if self.spilled[system]:
            return self._paged_batch(system)
        if not self.open[system]:
            return None
        opened, self.open[system] = self.open[system], {}
        items = []
        for name, record in opened.items():
            side = record.sides.get(system)
            if side is None:
                continue
            settle(record, side, mark, self.rules[name[0]].layouts[system])
            if side.due:
                items.append((self.rules[name[0]], name[1], record, side))
        frozen = [_frozen(item) for item in self._free(items, system)]
        mark.dispatched = self.number
        return Batch(
            system, self.number, [], 0, self.durable_applied[system], lambda: plan(frozen, system, _refused_late)
        )

    def _paged_batch(self, system: str) -> Batch | None:
        self.spilled[system] = False
        mark = self.marks[system]
        pages = _Pages(self, system, mark.applied, self.number)
        mark.dispatched = self.number
        return Batch(system, self.number, [], 0, self.durable_applied[system], None, pages)

    def _free(self, items: list[Item], system: str) -> list[Item]:
        """Without those whose parent is in quarantine: they wait with it."""
        if not self.quarantined:
            return items
        free = []
        for item in items:
            rules, key, record, _ = item
            parent = self._bad_parent(rules, record, system)
            if parent is None:
                free.append(item)
            else:
                self._quarantine(rules, key, record, system, f"waits for {parent}, which is in quarantine")
        return free

    def _bad_parent(self, rules: EntityRules, record: Record, system: str) -> str | None:
        for number, entity in rules.references:
            value = record.values[number]
            if isinstance(value, str) and (entity, value, system) in self.quarantined:
                return f"{entity} `{value}`"
        return None

    # ------------------------------------------------------------ outcomes

    def confirm(self, outcome: Outcome) -> None:
        """A batch has been committed by its target."""
        system = outcome.system
        mark = self.marks[system]
        self._load([(e.entity, e.key) for e in outcome.exceptions])
        defaults: list[tuple[Name, dict[int, Text]]] = []
        for exception in outcome.exceptions:
            self._except(outcome, exception, defaults)
        self._count("written", outcome.rows)
        mark.applied = outcome.number_to
        mark.recent.append((outcome.number_to, outcome.separator))
        self.delta.applied.append(Applied(system, outcome.number_to, outcome.separator))
        for name, values in defaults:
            if self.taken_up:
                self._take_defaults(name, values, outcome)
            else:
                self.late_defaults.append((name, values, outcome))
        self._look_again(system)
        self._forget_recent(system)
        self._end_waits(system)

    def _look_again(self, system: str) -> None:
        """Values that cannot be stored, of records that changed while a write of them was under way."""
        names, self.unstorable[system] = self.unstorable[system], {}
        for name in names:
            record = self.record(*name)
            side = record.sides.get(system) if record is not None else None
            if record is not None and side is not None:
                settle(record, side, self.marks[system], self.rules[name[0]].layouts[system])
                self._check_values(self.rules[name[0]], name[1], record, system)

    def _except(
        self, outcome: Outcome, exception: RowResult, defaults: list[tuple[Name, dict[int, Text]]]
    ) -> None:
        """One row of a batch that was not simply written as asked."""
        system = outcome.system
        name = (exception.entity, exception.key)
        record = self.record(*name)
        if record is None:
            raise EngineFault(f"{system} answers for a record of `{exception.entity}` that is not in the store")
        side = record.side(system)
        settle(record, side, self.marks[system], self.rules[name[0]].layouts[system])
        self.dirty[name] = record
        if exception.kind == "stored":
            unset = _note_stored(self.rules[name[0]], record, side, system, exception.stored)
            if unset:
                defaults.append((name, unset))
            return
        changed_since = side.sent is not None
        rejoin(side)
        side.due = 0
        self.stuck.setdefault((system, name), self.marks[system].applied)
        self._count(exception.kind)
        if exception.kind == "unmatched":
            side.wait, side.heard = outcome.separator, False
            self.waiting[system][name] = outcome.separator
        elif exception.kind == "deferred":
            side.wait = DEFERRED
            self.deferred[system][name] = None
        elif changed_since:
            self._due_again(name, record, system, side)  # what was refused is no longer what would be written
        else:
            rules = self.rules[name[0]]
            parent = self._bad_parent(rules, record, system)
            reason = f"waits for {parent}, which is in quarantine" if parent else exception.reason
            self._quarantine(rules, name[1], record, system, reason)

    def _take_defaults(self, name: Name, values: dict[int, Text], outcome: Outcome) -> None:
        """A field that nobody had set got the target's own default; if the target owns it, that is its value now."""
        system = outcome.system
        rules = self.rules[name[0]]
        layout = rules.layouts[system]
        owned = {
            n: v for n, v in values.items() if rules.registers[rules.register_of[n]].owner in (None, system)
        }
        record = self.record(*name)
        if not owned or record is None:
            return
        image = tuple([owned.get(n, ABSENT) for n in range(layout.width)])
        step = self._step(system, 0, outcome.separator, DEFAULT)
        take_defaults(rules, name[1], record, image, step)
        self.dirty[name] = record
        self._note_due(name, record, sorted(step.touched))
        self._close(step)

    def retry_deferred(self, system: str) -> None:
        """The pause for rows that users had locked is over."""
        names, self.deferred[system] = self.deferred[system], {}
        self.number += 1
        for name in names:
            record = self.record(*name)
            side = record.sides.get(system) if record is not None else None
            if record is not None and side is not None and side.wait == DEFERRED:
                side.wait = 0
                self.stuck.pop((system, name), None)
                side.due = self.number  # all under one step: what came together goes together
                self.dirty[name] = record
                self._note_due(name, record, [system])

    def reread(self, answer: Reread) -> None:
        """A row as it is in a system now: what its log did not tell is taken for a user's write."""
        name = (answer.entity, answer.key)
        rules = self.rules[answer.entity]
        self._load([name])
        record = self.cache[name[0]].get(name[1])
        if record is not None and answer.system in record.sides:
            side = record.sides[answer.system]
            if self.marks[answer.system].under_way(side):
                self.rereads[answer.system][name] = None  # only the outcome tells what the row means
                return
            if side.bad.startswith(UNREAD):  # refused once more since it was asked for: this is the whole row
                side.bad = ""
                self.quarantined.pop((*name, answer.system), None)
                self.delta.quarantine[(*name, answer.system)] = None
        self._count("reread")
        step = self._step(answer.system, 0, answer.position)
        step.reason = "unlogged"
        op = DELETE if answer.row is None else UPDATE
        self._read(rules, answer.key, op, answer.row, answer.position, step)
        self._close(step)
        record = self.record(*name)
        if record is None:
            return
        side = record.side(answer.system)
        side.wait = 0
        self.dirty[name] = record
        if side.bad:
            return
        side.fresh.append((answer.position, []))
        self._due_again(name, record, answer.system, side)

    # ------------------------------------------------------------ quarantine and people

    def _quarantine(self, rules: EntityRules, key: str, record: Record, system: str, reason: str) -> None:
        """The record waits, for this system, until it changes or somebody asks to retry it; all else flows."""
        side = record.side(system)
        side.bad, side.due, side.wait = reason, 0, 0
        self.stuck.pop((system, (rules.name, key)), None)
        self.dirty[(rules.name, key)] = record
        self.quarantined[(rules.name, key, system)] = reason
        self.delta.quarantine[(rules.name, key, system)] = reason
        self._count("quarantined")

    def _refuse_read(self, rules: EntityRules, key: str, system: str, error: ValueRefused) -> None:
        record = self.cache[rules.name].get(key)
        if record is None:
            record = self.cache[rules.name][key] = empty_record(rules)
            record.side(system).held = {EXISTENCE: (None, (False,))}
        begin(rules, record, self.marks)
        self._quarantine(rules, key, record, system, f"{UNREAD}: {error.found}")

    def _released(self, name: Name, record: Record, system: str) -> None:
        """A record that changed is out of quarantine; so are those that waited for it."""
        place = (*name, system)
        side = record.sides.get(system)
        if place not in self.quarantined or (side is not None and side.bad):
            return
        del self.quarantined[place]
        self.delta.quarantine[place] = None
        for entity, key, other in list(self.quarantined):
            reason = self.quarantined.get((entity, key, other), "")
            if other == system and reason.startswith("waits for"):
                self._retry((entity, key), system)

    def _retry(self, name: Name, system: str) -> bool:
        record = self.record(*name)
        side = record.sides.get(system) if record is not None else None
        if record is None or side is None or not side.bad:
            return False
        unreadable = side.bad.startswith(UNREAD)
        side.bad = ""
        self.quarantined.pop((*name, system), None)
        self.delta.quarantine[(*name, system)] = None
        if unreadable:
            self._read_later(self.rules[name[0]], name[1], system)
        else:
            self._due_again(name, record, system, side)
        return True

    def request(self, request: Request, asked_at: int) -> None:
        """Carries out what a person asked for; the answer goes to the store with the rest."""
        arguments = request.arguments
        if request.kind == "retry":
            answer = self._request_retry(arguments)
        elif request.kind == "resolve":
            answer = self._request_resolve(arguments, asked_at)
        elif request.kind == "truncated":
            self.truncations[(arguments["system"], arguments["entity"])] = arguments["choice"]
            answer = "noted"
        else:
            answer = f"unknown request `{request.kind}`"
        self.delta.requests_done[request.id] = answer

    def _request_retry(self, arguments: dict[str, str]) -> str:
        entity, key, system = arguments.get("entity"), arguments.get("key"), arguments.get("system")
        chosen = [
            place for place in list(self.quarantined)
            if (not entity or place[0] == entity) and (not key or place[1] == key) and (not system or place[2] == system)
        ]
        done = sum(self._retry((place[0], place[1]), place[2]) for place in chosen if place in self.quarantined)
        return f"{done} retried"

    def _request_resolve(self, arguments: dict[str, str], asked_at: int) -> str:
        rules = self.rules.get(arguments["entity"])
        record = self.record(arguments["entity"], arguments["key"]) if rules is not None else None
        if rules is None or record is None or not record.holds:
            return "nothing is held there"
        system = arguments["take"]
        wanted = arguments.get("field")
        step = self._step("", asked_at, 0, f"resolved by {arguments.get('by', 'a person')}: take {system}")
        done = 0
        for register in sorted(record.holds):
            if wanted and register != EXISTENCE and wanted not in rules.names(register):
                continue
            value = _value_of(rules, record, register, system)
            settle_hold(rules, arguments["key"], record, register, value, step)
            name = (rules.name, arguments["key"])
            self.dirty[name] = record
            self._note_due(name, record, sorted(step.touched))
            done += 1
        self._close(step)
        return f"{done} resolved"

    # ------------------------------------------------------------ commit

    def commit(self) -> None:
        """Makes everything decided so far durable, before it returns."""
        delta = self.take()
        if delta is not None:
            self.store.commit(delta)
            self.stored()

    def urgent(self) -> bool:
        """True if something was decided that nobody could find out again after a crash."""
        return bool(self.dirty or self.due or self.half_written or self.delta.requests_done or self.delta.journal)

    def take(self) -> Delta | None:
        """Everything decided since the last one, to be committed by the store; None if there is nothing.

        Until `stored` is called the records in it stay in memory, and no further one may be taken."""
        delta = self._delta()
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
        if self.due:
            delta.pending.append(Pending(self.number, list(self.due)))
            self.due = {}
        if delta:
            delta.number = self.number
        return delta

    def _trim(self) -> None:
        """Keeps the cache bounded. What is not in the store yet, and what waits to be planned, stays."""
        if sum(len(cache) for cache in self.cache.values()) <= self.cache_records_max:
            return
        self.trimmed = True
        staying: list[Mapping[Name, object]] = [self.dirty, self.storing.records, *self.open.values()]
        staying = [names for names in staying if names]
        for entity, cache in self.cache.items():
            for key in list(islice(cache, len(cache) // 2)):
                name = (entity, key)
                if not any(name in names for names in staying):
                    del cache[key]

    def _count(self, what: str, n: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + n

    def quiet(self) -> bool:
        """True if nothing is due, under way or waiting anywhere, as far as has been read."""
        return not any(self.open.values()) and not any(self.spilled.values()) and not any(
            mark.applied != mark.dispatched for mark in self.marks.values()
        ) and not any(self.waiting.values()) and not any(self.deferred.values()) and not any(self.rereads.values())


class _Pages:
    """The writes of a batch that is too large for memory, planned page by page from what is committed in the store.

    Iterated by a writer thread. What changes meanwhile is told apart by the records' second layer."""

    def __init__(self, decider: Decider, system: str, after: int, upto: int) -> None:
        self.rules = decider.rules
        self.store = decider.store
        self.system = system
        self.after = after
        self.upto = upto

    def __iter__(self) -> Iterator[list[Write]]:
        for rules, deletions in in_order(self.rules.values()):
            if self.system not in rules.layouts:
                continue
            below = self.after
            for row in self.store.pending(self.after):
                if row.number > self.upto:
                    break
                keys = [key for entity, key in row.records if entity == rules.name]
                for at in range(0, len(keys), PAGE_RECORDS):
                    writes = self._page(rules, keys[at : at + PAGE_RECORDS], below, row.number, deletions)
                    if writes:
                        yield writes
                below = row.number

    def _page(self, rules: EntityRules, keys: list[str], below: int, upto: int, deletions: bool) -> list[Write]:
        items: list[Item] = []
        for key, state in self.store.load_committed(rules.name, keys).items():
            record = decode(state)
            side = record.sides.get(self.system)
            if side is None:
                continue
            if side.sent is not None and side.sent_due <= self.after:
                side.held, side.sent = side.sent, None  # confirmed since, but not looked at
            due = side.due if side.sent is None else side.sent_due
            if below < due <= upto:
                items.append((rules, key, record, side))
        writes, _ = plan(items, self.system, _refused_late)
        return [w for w in writes if (w.kind == "delete") == deletions]


def _frozen(item: Item) -> Item:
    """An item as it is now, for the writer's thread to plan while this one goes on deciding."""
    rules, key, record, side = item
    now = Record(record.alive, record.values, record.table, record.index, NOTHING, record.holds.copy())
    return rules, key, now, Side(side.held.copy(), side.due, None, 0, [])


def _refused_late(rules: EntityRules, key: str, reason: str) -> None:
    raise EngineFault(f"a value of `{rules.name}` was accepted that cannot be stored: {reason}")


def _note_stored(
    rules: EntityRules, record: Record, side: Side, system: str, stored: dict[int, Text]
) -> dict[int, Text]:
    """The target stored something else than it was sent: that is what it holds, of the version that was sent.

    Returns the fields among them that nobody had set before."""
    layout = rules.layouts[system]
    after: dict[int, Held] = side.sent if side.sent is not None else held_after(record, side)
    unset: dict[int, Text] = {}
    for number, value in stored.items():
        register = rules.register_of[number]
        if register <= EXISTENCE:
            continue
        version, values = after.get(register) or (record.version(register), layout.stored(register, record.values))
        changed = list(values)
        changed[layout.fields_of[register].index(number)] = value
        after[register] = (version, tuple(changed))
        if version == UNSET_VERSION:
            unset[number] = value
    if side.sent is None:
        side.sent, side.sent_due = after, side.due
    return unset


def _value_of(rules: EntityRules, record: Record, register: int, system: str) -> tuple[Text | bool, ...] | None:
    """The value that a system holds of a register, in canonical form; for existence: () there, None not there."""
    side = record.sides.get(system)
    entry = side.held.get(register) if side is not None else None
    if register == EXISTENCE:
        alive = bool(entry[1][0]) if entry is not None else record.alive
        return () if alive else None
    rule = rules.registers[register]
    now = tuple([record.values[f] for f in rule.fields])
    if entry is None:
        return now
    layout = rules.layouts[system]
    held = dict(zip(layout.fields_of[register], entry[1], strict=True))
    return tuple([
        layout.canonical(f, held[f]) if f in held else n for f, n in zip(rule.fields, now, strict=True)
    ])
