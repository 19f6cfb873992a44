"""A world on one seed: systems with users, skewed clocks, locks and triggers, the real runner between them, and crashes.

Every choice comes from the seed, so that a history can be replayed (`make replay SEED=n`). The runner, the desk and the
merge rule are the real ones; only the threads are played, one step at a time, in an order that the seed chooses.
`check` looks at the end of a history with no help from the engine's own decisions: users' writes are tokens, and each
token must be current everywhere, or have been succeeded by a user who saw it, or stand in the journal.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from adapters.memory import MemorySource, MemoryStore, MemorySystem, MemoryTarget
from engine.decide import Decider
from engine.errors import SystemUnavailable
from engine.record import decode
from engine.runner import Limits, Runner
from engine.vocabulary import Batch, Change, Text
from tests.simulation.books import FIELDS, NUMERIC, book

KEYS = tuple(f"k{i}" for i in range(5))
STEPS_MAX = 140
QUIET_ROUNDS_MAX = 400


class SimClock:
    """Time that passes only when the world says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@dataclass
class Fate:
    """What the oracle knows of users' writes, without asking the engine."""

    written: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """token → (system, key, field)"""
    succeeded: set[str] = field(default_factory=set)
    """Tokens that a user saw and overwrote, or deleted with the row."""
    points: dict[str, int] = field(default_factory=dict)
    """By key: the sum of all differences that users made to `points`."""
    deleted: set[str] = field(default_factory=set)
    """Keys that some user deleted at some time."""
    made: dict[str, int] = field(default_factory=dict)
    """How often users inserted a key, in whatever system."""


class World:
    """See the module."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.systems = ("erp", "crm") if self.random.random() < 0.6 else ("erp", "crm", "mes")
        pick = self.random.random
        self.with_deletes = pick() < 0.6
        self.delete_wins = pick() < 0.5
        self.rewriting = pick() < 0.3
        self.faulty = pick() < 0.7
        self.creators = frozenset(self.systems) if pick() < 0.8 else frozenset({"erp"})
        delete = {
            s: self.random.choice(("propagate", "propagate", "propagate", "ignore", "restore", "hold"))
            for s in self.systems
        }
        self.book = book(self.systems, create=self.creators, delete=delete, delete_wins=self.delete_wins)
        self.skew = {s: self.random.choice((0, 0, 3_600_000_000, -3_600_000_000, 7)) for s in self.systems}
        self.databases = {s: MemorySystem(s, self.book) for s in self.systems}
        if self.rewriting:
            self.databases["crm"].trigger = _shouting
        self.clock = SimClock()
        self.store = MemoryStore()
        self.fate = Fate()
        self.tokens = 0
        self.trace: list[str] = []
        self.start_engine()

    # ------------------------------------------------------------ the engine

    def start_engine(self) -> None:
        """A new process on the same store, as after a crash."""
        self.store.crash()
        decider = Decider(self.book, self.store, cache_records_max=3, open_rows_max=4)
        decider.start()
        self.sources = {s: MemorySource(d) for s, d in self.databases.items()}
        self.targets = {s: MemoryTarget(d, self.now) for s, d in self.databases.items()}
        self.runner = Runner(
            self.book, decider, self.sources, self.targets, self.clock,
            limits=Limits(turn_rows_max=6, inbox_rows_max=20, open_rows_max=4),
        )
        for system in self.systems:
            self.connect(system)
        self.turn()
        for system in self.systems:
            self.sources[system].open(decider.marks[system].read)

    def connect(self, system: str) -> None:
        """What a writer thread does before it writes."""
        lane = self.runner.lanes[system]
        self.runner._recover(system, lane)
        lane.writer = "running"

    def turn(self) -> bool:
        """One round of the deciding thread."""
        self.clock.now += 0.07
        return self.runner.turn()

    def now(self) -> int:
        """Commit time, microseconds."""
        self.clock.now += 0.000_001
        return int(self.clock.now * 1_000_000) + 10_000_000_000

    # ------------------------------------------------------------ what can happen

    def run(self) -> None:
        """A whole history: things happen, then it becomes quiet, then it is checked."""
        for _ in range(self.random.randrange(20, STEPS_MAX)):
            self.happen()
        self.become_quiet()
        self.check()

    def happen(self) -> None:
        """One thing, chosen by the seed."""
        system = self.random.choice(self.systems)
        roll = self.random.random()
        if roll < 0.30:
            self.user(system)
        elif roll < 0.55:
            self.deliver(system)
        elif roll < 0.75:
            self.turn()
        elif roll < 0.93:
            self.write(system)
        elif roll < 0.95:
            self.toggle_lock(system)
        elif roll < 0.97 and self.faulty:
            self.trace.append("crash")
            self.start_engine()
        elif self.faulty and self.runner.lanes[system].outbox:
            self.targets[system].lose_answer = True

    def user(self, system: str) -> None:
        """A user's transaction of one to three operations."""
        database = self.databases[system]
        changes: list[Change] = []
        for _ in range(self.random.choice((1, 1, 2, 3))):
            key = self.random.choice(KEYS)
            if ("item", key) in database.locked:
                continue
            if key not in database.rows["item"]:
                changes += self.insert(system, key)
            elif self.with_deletes and self.random.random() < 0.12:
                self.see(system, key, FIELDS[1:])
                self.fate.deleted.add(key)
                self.trace.append(f"{system} deletes {key}")
                changes += database.delete("item", key)
            else:
                changes += self.update(system, key)
        if changes:
            committed_at = self.now() + self.skew[system]
            database.commit(changes, committed_at)

    def insert(self, system: str, key: str) -> list[Change]:
        values: dict[str, Text] = {"code": key}
        for name in FIELDS[1:]:
            values[name] = self.value(system, key, name, None)
        values["points"] = "0"
        self.fate.made[key] = self.fate.made.get(key, 0) + 1
        self.trace.append(f"{system} inserts {key}")
        return self.databases[system].insert("item", values)

    def update(self, system: str, key: str) -> list[Change]:
        row = dict(zip(FIELDS, self.databases[system].rows["item"][key], strict=True))
        names = self.random.sample(FIELDS[1:], self.random.choice((1, 1, 2, 4)))
        if self.random.random() < 0.1:
            names = []  # a touched row: nothing of it changed
        values = {name: self.value(system, key, name, row[name]) for name in names}
        self.see(system, key, names)
        self.trace.append(f"{system} updates {key} {values}")
        return self.databases[system].update("item", key, values)

    def value(self, system: str, key: str, name: str, now: Text) -> Text:
        """A new value: a unique token, a number, a difference, sometimes NULL."""
        if name == "points":
            change = self.random.randrange(-5, 6)
            self.fate.points[key] = self.fate.points.get(key, 0) + (change if now is not None else 0)
            return str(int(now or "0") + change)
        if name in NUMERIC:
            return str(self.random.randrange(1000))
        if self.random.random() < 0.05:
            return None
        self.tokens += 1
        token = f"{system}{self.tokens}"
        self.fate.written[token] = (system, key, name)
        return token

    def see(self, system: str, key: str, names: tuple[str, ...] | list[str]) -> None:
        """The user overwrites what he sees: those writes are succeeded."""
        row = dict(zip(FIELDS, self.databases[system].rows["item"][key], strict=True))
        grouped = set(names) | ({"street", "city"} if {"street", "city"} & set(names) else set())
        self.fate.succeeded.update(_plain(row[name]) for name in grouped if row[name] is not None)

    def deliver(self, system: str) -> None:
        """A reader hands over what it reads next."""
        event = self.sources[system].read(0)
        if event is not None:
            self.runner.offer(event)

    def write(self, system: str) -> None:
        """A writer carries out the next thing it was asked for."""
        lane = self.runner.lanes[system]
        if not lane.outbox:
            return
        try:
            order = lane.outbox[0]
            if isinstance(order, Batch):
                self.trace.append(
                    f"write to {system} up to {order.number_to}: "
                    f"{[(w.kind, w.columns, w.rows) for p in order.parts() for w in p]}"
                )
            self.runner.carry_out(self.targets[system], order)
            lane.outbox.popleft()
        except SystemUnavailable:
            self.trace.append(f"answer of {system} lost")
            if self.random.random() < 0.5:
                self.connect(system)
            else:
                self.start_engine()

    def toggle_lock(self, system: str) -> None:
        """A user locks a row, or lets it go."""
        database = self.databases[system]
        if database.locked:
            database.locked.clear()
        elif database.rows["item"]:
            database.locked.add(("item", self.random.choice(sorted(database.rows["item"]))))

    # ------------------------------------------------------------ the end

    def become_quiet(self) -> None:
        """No more users; everything is delivered, decided and written."""
        for database in self.databases.values():
            database.locked.clear()
        for target in self.targets.values():
            target.lose_answer = False
        idle = 0
        for _ in range(QUIET_ROUNDS_MAX):
            worked = False
            for system in self.systems:
                before = self.sources[system].read_to
                self.deliver(system)
                worked |= self.sources[system].read_to != before or bool(self.runner.lanes[system].outbox)
                self.write(system)
            worked |= self.turn() or bool(self.runner.arrived)
            idle = 0 if worked or not self.runner.decider.quiet() else idle + 1
            if idle > 3:
                return
        raise AssertionError("it does not become quiet")

    def check(self) -> None:
        """The laws."""
        self.runner.decider.commit()
        self.check_equal()
        self.check_tokens()
        self.check_delta()
        self.check_owner()
        self.check_silence()

    def records(self) -> dict[str, object]:
        """The engine's state, decoded."""
        return {key: decode(state) for key, state in self.store.records.get("item", {}).items()}

    def check_equal(self) -> None:
        """L1: every system holds the current version of every field, or the record is listed as held."""
        for key in KEYS:
            state = self.store.records.get("item", {}).get(key)
            record = decode(state) if state is not None else None
            for system, database in self.databases.items():
                row = database.rows["item"].get(key)
                if record is None:
                    assert row is None, f"{system} has {key}, which the engine never saw"
                    continue
                side = record.sides.get(system)
                if (side is not None and side.out) or 0 in record.holds:
                    continue
                if row is not None and not record.alive and system not in self.creators:
                    continue  # a row of its own, which the rule keeps out
                assert (row is not None) == record.alive, f"{key} exists in {system}: {row is not None}"
                if row is None:
                    continue
                for number, name in enumerate(FIELDS):
                    register = self.book.entities["item"].fields[number].register
                    if register in record.holds or record.values[number] is False:
                        continue
                    same = _same(row[number], record.values[number], self.rewriting)
                    assert same, f"{key}.{name} in {system}: {row[number]} instead of {record.values[number]}"

    def check_tokens(self) -> None:
        """L2: every user's write is current, or was succeeded by a user who saw it, or stands in the journal."""
        lost = {_plain(value) for entry in self.store.journal for value in entry.lost}
        current: set[str] = set()
        gone = {entry.key for entry in self.store.journal if not entry.fields or entry.kind == "delete_differs"}
        for database in self.databases.values():
            for row in database.rows["item"].values():
                current.update(_plain(value) for value in row)
        for token, (system, key, name) in self.fate.written.items():
            known = token in lost or token in current or token in self.fate.succeeded
            assert known or key in gone, f"{token} ({system} wrote {key}.{name}) was lost silently"

    def check_delta(self) -> None:
        """Differences are added, none is lost, wherever nobody deleted or created the record twice."""
        for key, total in self.fate.points.items():
            if key in self.fate.deleted or self.fate.made[key] > 1:
                continue
            for system, database in self.databases.items():
                row = database.rows["item"].get(key)
                if row is not None and not self.is_out(system, key):
                    assert row[7] == str(total), f"{key}.points in {system}: {row[7]} instead of {total}"

    def is_out(self, system: str, key: str) -> bool:
        """True if the record is not kept in step with this system."""
        state = self.store.records.get("item", {}).get(key)
        side = decode(state).sides.get(system) if state is not None else None
        return side is not None and side.out

    def check_owner(self) -> None:
        """L4: an owned field never carries what another system wrote."""
        for state in self.store.records.get("item", {}).values():
            record = decode(state)
            value = record.values[3]
            if record.alive and isinstance(value, str):
                assert value.lower().startswith("erp"), f"limit is {value}, which only erp may write"

    def check_silence(self) -> None:
        """L3: a second pass over the whole, by a new process, writes nothing."""
        written = {s: d.written for s, d in self.databases.items()}
        journal = len(self.store.journal)
        self.start_engine()
        self.become_quiet()
        for system, database in self.databases.items():
            assert database.written == written[system], f"{system} was written after quiet"
        assert len(self.store.journal) == journal, "the journal grew after quiet"


def _shouting(entity: str, row: list[Text]) -> list[Text]:
    """A trigger that stores names in capitals, and puts a dot behind streets."""
    name = FIELDS.index("name")
    street = FIELDS.index("street")
    out = list(row)
    out[name] = out[name].upper() if out[name] is not None else None  # type: ignore[union-attr]
    out[street] = f"{out[street].rstrip('.')}." if out[street] is not None else None  # type: ignore[union-attr]
    return out


def _same(stored: Text, canonical: object, rewriting: bool) -> bool:
    if not rewriting or stored is None or not isinstance(canonical, str):
        return stored == canonical
    return _plain(canonical) == _plain(stored)


def _plain(value: object) -> str:
    """A token as it was before any trigger rewrote it."""
    return str(value).lower().rstrip(".")
