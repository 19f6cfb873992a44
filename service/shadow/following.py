"""`duolog run NEW --shadow OLD`: what the new rules would have done otherwise, while users and the engine go on.

Turns the logs of all systems, from where the engine in force is, into differences. The store of that engine is copied,
its slots are copied as temporary ones, and each user's transaction is decided under both rule files on one state
(`engine.shadowing`). Nothing is written: not to a system, and not to the store.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.store import SqlStore
from engine.desk.records import Name
from engine.errors import DuologError, StoreUnfit
from engine.merge import rules_of
from engine.ports import Source
from engine.record import Record
from engine.rulebook import RuleBook
from engine.shadowing.comparing import Differing, differing
from engine.shadowing.following import Follower
from engine.shadowing.trial import Trial
from engine.vocabulary import Transaction
from service.commands.settled import settled, watermarks
from service.day_one import check_shape, shape_of
from service.shadow.ordering import Order
from service.wiring import Borrowed, Wired, open_store, wire, with_bookmarks

COMMIT_EVERY = 200
"""Transactions between two commits of the copy."""


@dataclass(slots=True)
class Tally:
    """What was seen."""

    transactions: int = 0
    alike: int = 0
    too_large: int = 0
    own: int = 0
    taken_over: int = 0
    """Records that were taken anew from the store of the engine in force, as no log tells what had become of them."""
    differing: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """By (entity, fields, reason under the rules in force, reason under the new ones)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One difference, with the transaction that it is about."""

    system: str
    committed_at: int
    position: str
    what: Differing


class Shadow:
    """One run. `tell`: told (action, detail) of its progress; `found`: each difference."""

    def __init__(
        self, new: Path, old: Path, tell: Callable[[str, str], None], found: Callable[[Seen], None]
    ) -> None:
        self.new, self.old = new, old
        self.tell, self.found = tell, found
        self.tally = Tally()
        self.stopping = threading.Event()
        self.failed: DuologError | None = None
        self.base: Follower | None = None
        """The desk under the rules in force, once it follows."""

    def run(self, for_s: float | None) -> Tally:
        """Follows until `stop`, or for so long. Raises RulesRefused, DuologError."""
        with ExitStack() as stack:
            force, tried = wire(self.old), wire(self.new)
            left_out = _left_out(force, tried)
            for entity in sorted(left_out):
                differs = f"`{entity}` has other fields, groups, conversions or systems"
                self.tell("left out", f"{differs}: `duolog plan` compares it")
            known = open_store(force.rules, create=False)
            stack.callback(known.close)
            with_bookmarks(force.kits, known)
            sources = _reserved(force, known, stack)
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="duolog-shadow-")))
            copy = known.copy(folder / "copy.db", name=force.rules.name)
            stack.callback(copy.close)
            if copy.state().phase != "base":
                raise StoreUnfit("there is no base yet", mend=f"start the engine in force: duolog run {self.old}")
            check_shape(force, copy)
            base = Follower(force.book, copy, _Known(force.book, known).record)
            base.start()
            self.base = base
            _recover(force, base, copy.state().number)
            trial = Trial(tried.book, base, left_out)
            self._follow(force, base, trial, known, sources, stack, for_s)
        if self.failed is not None:
            raise self.failed
        return self.tally

    def stop(self) -> None:
        """Ends it after the transaction in hand. Thread-safe."""
        self.stopping.set()

    # ------------------------------------------------------------ the logs

    def _follow(
        self, force: Wired, base: Follower, trial: Trial, known: SqlStore, sources: Mapping[str, Borrowed],
        stack: ExitStack, for_s: float | None,
    ) -> None:  # fmt: skip
        order = Order(base, known, lambda system: sources[system].nudge(), self.stopping)
        for system, source in sources.items():
            source.open(base.marks[system].read)
            thread = threading.Thread(target=self._read, args=(source, order), name=f"shadow-{system}", daemon=True)
            stack.callback(thread.join, 10)
            thread.start()
        stack.callback(self.stopping.set)
        self.tell("following", ", ".join(sources))
        deadline = None if for_s is None else time.monotonic() + for_s
        decided = 0
        while not self.stopping.is_set() and (deadline is None or time.monotonic() < deadline):
            event = order.next()
            if event is None:
                continue
            if isinstance(event, Transaction):
                self._decide(force, base, trial, event)
            else:
                base.pass_position(event.system, event.position)
            decided += 1
            if decided % COMMIT_EVERY == 0:
                base.commit()
            sources[event.system].acknowledge(event.position)
        self.tally.taken_over = base.taken_over

    def _read(self, source: Source, order: Order) -> None:
        """One log's thread."""
        try:
            while not self.stopping.is_set():
                event = source.read(timeout_s=0.2)
                if event is None:
                    continue
                told = order.told(event)
                while not order.put(told) and not self.stopping.is_set():
                    source.keep_alive()
        except DuologError as error:
            self.failed = self.failed or error
            self.stopping.set()

    # ------------------------------------------------------------ two decisions

    def _decide(self, force: Wired, base: Follower, trial: Trial, transaction: Transaction) -> None:
        base.prefetch([transaction])
        self.tally.transactions += 1
        alone = transaction.own or transaction.spool is not None
        self.tally.own += transaction.own
        if transaction.spool is not None and not transaction.own:
            self.tally.too_large += 1
            self.tell("not tried", f"a transaction of {transaction.rows} rows of {transaction.system}: too large")
        if alone:
            base.decide(transaction)
            return
        before = len(base.delta.journal)
        trial.try_out(transaction)
        base.decide(transaction)
        found = differing(base, trial, (base.delta.journal[before:], trial.delta.journal))
        for entity, stop in trial.stops.items():
            if entity not in base.stops:
                self.tell("would stop", stop.words())
        base.stops = {}
        self.tally.alike += not found
        printed = force.kits[transaction.system].position_text(transaction.position)
        for each in found:
            reasons = (_word(each.in_force.because), _word(each.tried.because))
            self.tally.differing[each.entity, ", ".join(each.fields), *reasons] += 1
            self.found(Seen(transaction.system, transaction.committed_at, printed, each))


class _Known:
    """Records as the engine in force has them now."""

    def __init__(self, book: RuleBook, store: SqlStore) -> None:
        self._rules, self._store, self._systems = rules_of(book), store, book.systems

    def record(self, name: Name) -> Record | None:
        """One of them, brought up to what has been confirmed."""
        marks = watermarks(self._store, self._systems)
        state = self._store.load_committed(name[0], [name[1]]).get(name[1])
        return settled(state, self._rules[name[0]], marks) if state is not None else None


def _left_out(in_force: Wired, new: Wired) -> frozenset[str]:
    """The entities that cannot be decided on the same state. Raises StoreUnfit where nothing can."""
    force, tried = in_force.book, new.book
    if force.name != tried.name or set(force.systems) != set(tried.systems):
        raise StoreUnfit(
            "the two rule files are not of one rule set: their `name` and systems must be the same",
            mend="correct the new file's `name` and systems",
        )
    shapes = [json.loads(shape_of(wired.book, wired.rules)) for wired in (in_force, new)]
    changed = {e for e in force.entities.keys() | tried.entities.keys() if shapes[0].get(e) != shapes[1].get(e)}
    changed |= {e for e in tried.entities if e not in changed and _moved(force, tried, e)}
    crossed = sorted(e for e in changed if any(e in b.entities and b.entities[e].crossed for b in (force, tried)))
    if crossed:
        names = ", ".join(f"`{e}`" for e in crossed)
        raise StoreUnfit(
            f"the fields, groups, conversions, systems or tables of {names} are not those in force",
            mend="`duolog plan` says what merging again under the new rules would write",
        )
    return frozenset(changed)


def _moved(force: RuleBook, tried: RuleBook, entity: str) -> bool:
    """True if the log, read for the rules in force, does not carry what the new ones read, or under another key."""
    if force.entities[entity].key != tried.entities[entity].key:
        return True
    for system, binding in tried.entities[entity].bindings.items():
        table = tried.tables[system][binding.table]
        same = [t for t in force.tables[system] if (t.schema, t.name) == (table.schema, table.name)]
        if not same or not set(table.columns) <= set(same[0].columns):
            return True
    return False


def _reserved(force: Wired, known: SqlStore, stack: ExitStack) -> dict[str, Borrowed]:
    """A reader of each log, before the store is copied: what that has not read by then, they will."""
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="duolog-shadow-spool-")))
    sources: dict[str, Borrowed] = {}
    for system, kit in force.kits.items():
        identity = known.identity(system)
        if identity is None:
            raise StoreUnfit(f"the store does not know which server `{system}` is", mend="start the engine in force")
        sources[system] = kit.borrowed(force.book, identity, spool_dir=folder)
        stack.callback(sources[system].let_go)
        sources[system].reserve()
    return sources


def _recover(force: Wired, base: Follower, number: int) -> None:
    """What had been written when the store was copied, and was not known there yet."""
    for system, kit in force.kits.items():
        outcomes = kit.committed(force.book, base.marks[system].applied)
        base.recover(system, [outcome for outcome in outcomes if outcome.number_to <= number])
    base.take_up()
    base.let_lie()


def _word(reason: str) -> str:
    """What a reason begins with: the policy, mostly."""
    return reason.partition(":")[0]
