"""A world on one seed: systems with users, skewed clocks, locks and triggers, the real runner between, and crashes.

Every choice comes from the seed, so that a history can be replayed (`make replay SEED=n`). The runner, the desk and the
merge rule are the real ones; only the threads are played, one step at a time, in an order that the seed chooses. What
may happen is drawn by `features`, what users do by `users`, where the engine dies by `faults`; `oracle` judges the end.
`docs/simulation.md` tells it in words. It never reads a clock, an environment or the order of a set.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue

from adapters.memory import MemorySnapshot, MemorySystem
from engine.decide import Decider
from engine.desk.stopping import stops_of
from engine.errors import SystemUnavailable
from engine.first_merge import first_merge
from engine.lanes import STORED, STUCK_TARGET_S
from engine.lanes import Limits as Bounds
from engine.rulebook import Limit, Limits
from engine.runner import Runner
from engine.vocabulary import Batch, Change, Text, Transaction
from tests.simulation.books import FIELDS, GRADES, UNREADABLE, UNSTORABLE, book
from tests.simulation.faults import POINTS, Killer, MortalSource, MortalStore, MortalTarget, SimCrash
from tests.simulation.features import Features, draw, worded
from tests.simulation.oracle import Oracle, Prefixes, Rows
from tests.simulation.users import POISON, Fate, Users

STEPS_MAX = 120
BURSTS_MAX = 4
QUIET_ROUNDS_MAX = 400
REPAIRS_MAX = 12
SPOOLED_ROWS = 4
TIGHT = Limits(Limit(3, 60), Limit(5, 60), Limit(1, 60))
"""`limits`: what a history breaks now and then."""


class SimClock:
    """Time that passes only when the world says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


class World:
    """See the module. `calm`: another schedule of the same users, and no crashes. `tracing`: keep a readable trace.

    `features`: instead of those that the seed draws."""

    def __init__(
        self, seed: int, *, calm: bool = False, tracing: bool = False, features: Features | None = None
    ) -> None:
        self.seed = seed
        self.calm = calm
        self.tracing = tracing
        self.trace: list[str] = []
        dice = random.Random(seed)
        drawn = self._draw(dice)
        self.features: Features = features or _limited(drawn, random.Random(f"{seed} limits"))
        self.systems = self.features.systems
        self.dice = random.Random(f"{seed} calm" if calm else f"{seed} schedule")
        self.crashes = self.features.crashes and not calm
        self.clock = SimClock()
        self.killer = Killer()
        self._people(dice)
        self.prefixes = Prefixes(self.databases, self.oracle) if self.features.kind == "one_way" else None
        self.conflicts = 0
        """Counted by engines that are no more."""
        self.away: set[str] = set()
        """Systems whose targets cannot be reached."""
        self.turn_of: dict[tuple[str, str], str] = {}
        """`turns`: which system has written a record since all were in step."""
        self.runner: Runner | None = None
        if self.features.unlogged:
            self.users.sneak(self.dice.choice(self.systems))
        if self.features.day_one:
            self.merge_first()
        self.start_engine()

    def _draw(self, dice: random.Random) -> Features:
        """What this kind of world has."""
        return worded(draw(dice), random.Random(f"{self.seed} words"))

    def _people(self, dice: random.Random) -> None:
        """The rules, the systems, who uses them, and who judges."""
        self.book = book(
            self.systems, create=self.features.creators, delete=self.features.delete,
            delete_wins=self.features.delete_wins, orders=self.features.orders, codecs=self.features.codecs,
            limits=TIGHT if self.features.limits else None, words=self.features.words,
        )
        self.databases = {s: self._database(s) for s in self.systems}
        self.store = MortalStore(self.killer)
        self.fate = Fate()
        self.users = Users(dice, self.features, self.databases, self.fate, self.tell if self.tracing else None)
        self.oracle = Oracle(self.book, self.features, self.databases, self.store, self.fate)

    def _database(self, system: str) -> MemorySystem:
        features = self.features
        database = MemorySystem(system, self.book)
        database.foreign_keys = features.foreign_keys
        if features.large:
            database.large = frozenset({"note", "terms", "city", "memo"})
        if features.rewriting and system == "crm":
            database.trigger = _shouting
        poisoned = features.poison and system == "crm"

        def constraint(entity: str, row: list[Text]) -> str:
            if entity == "item" and poisoned and POISON in (row[FIELDS.index("name")] or ""):
                return "no shouting"
            if entity == "order" and features.unique and _slot_taken(database, row):
                return "one order a slot"
            return ""

        database.constraint = constraint
        return database

    def tell(self, what: str) -> None:
        """A line of the trace."""
        if self.tracing:
            self.trace.append(what)

    def merge_first(self) -> None:
        """Day one: users have been at work in all systems before the engine comes."""
        for _ in range(self.dice.randrange(2, 14)):
            self.act(self.dice.choice(self.systems))
        self.tell("=== the first merge")
        first_merge(self.book, {s: MemorySnapshot(d) for s, d in self.databases.items()}, self.store)
        self.fate.against.clear()  # whose a field was when it was written, nobody can tell
        whole = set.intersection(*[set(d.rows["item"]) for d in self.databases.values()])
        self.fate.settled |= whole  # what breaks a check everywhere stays as it is

    # ------------------------------------------------------------ the engine

    def start_engine(self) -> None:
        """A new process on the same store, as after a crash."""
        if self.runner is not None:
            self.conflicts += self.runner.decider.counts.get("conflicts", 0)
        self.killer.point = ""
        self.store.crash()
        decider = Decider(self.book, self.store, cache_records_max=self.features.cache_records, open_rows_max=4)
        if self.features.clock_error >= 0:
            decider.clocks = {s: (self.features.skew[s], self.features.clock_error) for s in self.systems}
        decider.start()
        rows_max = SPOOLED_ROWS if self.features.huge else 1_000_000
        self.sources = {s: MortalSource(d, self.store, self.killer, rows_max) for s, d in self.databases.items()}
        self.targets = {s: MortalTarget(d, self._clock_of(s), self.killer) for s, d in self.databases.items()}
        limits = Bounds(
            turn_rows_max=self.features.turn_rows, inbox_rows_max=20, open_rows_max=4, commit_apart_records_min=1
        )
        self.runner = Runner(
            self.book, decider, self.sources, self.targets, self.clock, limits=limits,
            observe=lambda action, detail: self.tell(f"runner: {action} {detail}"),
        )
        if self.features.store_apart:
            self.runner.jobs = SimpleQueue()
            decider.wait_until_stored = self.store_now
        self.runner.last_requests = self.clock.now
        self.reading: set[str] = set()
        for system in self.systems:
            if system not in self.away:
                self.connect(system)
        self.turn()

    @property
    def engine(self) -> Runner:
        """The runner in charge."""
        assert self.runner is not None
        return self.runner

    def connect(self, system: str) -> None:
        """What a writer thread does before it writes."""
        lane = self.engine.lanes[system]
        self.engine._recover(system, lane)
        lane.writer = "running"
        self.away.discard(system)

    def store_on(self) -> bool:
        """What the store's thread does: it commits what it was given; it may die in it."""
        jobs = self.engine.jobs
        if jobs is None or jobs.empty():
            return False
        delta = jobs.get()
        assert delta is not None
        try:
            self.store.commit(delta)
            self.engine.arrive([STORED])
        except SimCrash as crash:
            self.crash(str(crash))
        return True

    def store_now(self) -> None:
        """The deciding thread waits for the store's: it dies with it."""
        jobs = self.engine.jobs
        if jobs is not None and not jobs.empty():
            delta = jobs.get()
            assert delta is not None
            self.store.commit(delta)
            self.engine.arrive([STORED])
        self.engine._wait_until_stored()

    def turn(self) -> bool:
        """One round of the deciding thread; it may die in it."""
        self.clock.now += 0.07
        try:
            worked = self.engine.turn()
        except SimCrash as crash:
            self.crash(str(crash))
            return True
        if self.engine.taken_up:
            for system in self.systems:
                if system not in self.reading:
                    self.reopen(system)
        return worked

    def crash(self, where: str) -> None:
        """The engine dies, and is started again."""
        self.tell(f"--- crash {where}")
        self.start_engine()

    def reopen(self, system: str) -> None:
        """What a reader thread does when its connection was lost; it waits while a spooled transaction is in hand."""
        lane = self.engine.lanes[system]
        if self.engine.taken_up and not any(isinstance(e, Transaction) and e.spool is not None for e in lane.inbox):
            self.engine._open_reader(system, lane)
            self.reading.add(system)

    def our_time(self) -> int:
        """When a batch of ours is committed, microseconds."""
        return self.users.now

    def _clock_of(self, system: str) -> Callable[[], int]:
        """What a system's log says of that: its own clock, where the engine knows how wrong it is."""
        wrong = self.features.skew[system] if self.features.clock_error >= 0 else 0
        return lambda: self.our_time() + wrong

    # ------------------------------------------------------------ histories

    def run(self) -> None:
        """A whole history: things happen, then it becomes quiet, then it is checked."""
        if self.features.kind == "bursts":
            self.run_bursts()
        else:
            self.run_steps()
        self.become_quiet()
        self.check()

    def run_steps(self) -> None:
        """Users and engine at the same time."""
        users = {"one_way": ("erp",)}.get(self.features.kind, self.systems)
        if self.features.kind == "turns":
            self.users.may = self._may_take_turn
        for _ in range(self.dice.randrange(20, STEPS_MAX)):
            if self.dice.random() < 0.30:
                self.act(self.dice.choice(users))
            else:
                self.work()
            if self.features.kind == "turns" and self.dice.random() < 0.05:
                self.become_quiet()
                self.turn_of = {}

    def run_bursts(self) -> None:
        """Users all at once, none having seen the others; then the engine alone, until it is quiet."""
        dice = self.users.dice
        written: set[tuple[str, str, str]] = set()

        def once(system: str, entity: str, key: str) -> bool:
            fresh = (system, entity, key) not in written
            written.add((system, entity, key))
            return fresh

        self.users.may = once
        for _ in range(dice.randrange(1, BURSTS_MAX)):
            written.clear()
            for _ in range(dice.randrange(2, 10)):
                self.act(dice.choice(self.systems))
            for _ in range(self.dice.randrange(40)):
                self.work()
            self.become_quiet()

    def run_calm_twin(self) -> None:
        """L6: the same users in a world with another schedule and without crashes: the same rows."""
        twin = type(self)(self.seed, calm=True, tracing=self.tracing)
        try:
            twin.run()
        finally:
            if self.tracing:
                self.trace += ["=== the calm twin", *twin.trace]
        mine, other = self.final_rows(), twin.final_rows()
        for system in self.systems:
            assert mine[system] == other[system], (
                f"L6: {system} ends otherwise with another schedule: {_difference(mine[system], other[system])}"
            )

    def final_rows(self) -> Rows:
        """All rows, but for what may depend on who was heard first: what a person had to choose among (`terms`), and
        where records are deleted what their owner had left in one that came back (`limit`)."""
        but = {"terms"}
        if self.features.deletes:
            but.add("limit")
        if len(self.systems) > 2:
            but.add("seen")  # of three writes only the first and the last may be far enough apart to be told apart
        places = {s: [n for n, c in enumerate(d.columns("item")) if c in but] for s, d in self.databases.items()}
        return {
            s: {
                entity: {
                    key: row if entity != "item" else self._told_alike(s, key, row, places[s])
                    for key, row in table.items()
                }
                for entity, table in database.rows.items()
            }
            for s, database in self.databases.items()
        }

    def _told_alike(self, system: str, key: str, row: list[Text], but: list[int]) -> list[Text]:
        """A row with what is spelled in several ways by its meaning: whose spelling a third system has may differ.

        Without `rate` if two systems made the record: the first row heard of is judged by itself, the second by what
        the two have agreed on."""
        names = self.databases[system].columns("item")
        but = but + [n for n, name in enumerate(names) if name == "rate" and self.fate.made.get(key, 0) > 1]
        return [
            str(self.oracle.meaning(system, name, value)) if name in ("phone", "stage") else value
            for n, (name, value) in enumerate(zip(names, row, strict=True)) if n not in but
        ]

    def _may_take_turn(self, system: str, entity: str, key: str) -> bool:
        return self.turn_of.setdefault((entity, key), system) == system

    # ------------------------------------------------------------ what can happen

    def act(self, system: str) -> None:
        """A user's transaction."""
        if self.features.unlogged and self.dice.random() < 0.06:
            self.users.sneak(system)
            return
        self.users.transact(system)
        if self.prefixes is not None:
            self.prefixes.committed()

    def work(self) -> None:
        """One thing that the engine does, or that happens to it, chosen by the seed."""
        system = self.dice.choice(self.systems)
        roll = self.dice.random()
        if roll < 0.36:
            self.deliver(system)
        elif roll < 0.64:
            self.turn()
            if self.dice.random() < 0.7:
                self.store_on()
        elif roll < 0.90:
            self.write(system)
        elif roll < 0.925:
            if self.features.locks:
                self.toggle_lock(system)
        elif roll < 0.95:
            if self.crashes:
                self.strike(system)
        elif roll < 0.98:
            if self.features.outages:
                self.disturb(system)
        elif self.features.limits and self.dice.random() < 0.5:
            self.allow()
        elif self.features.people:
            self.ask()

    def deliver(self, system: str) -> None:
        """A reader hands over what it reads next."""
        if system in self.reading:
            event = self.sources[system].read(0)
            if event is not None:
                self.engine.offer(event)

    def write(self, system: str) -> None:
        """A writer carries out the next thing it was asked for."""
        lane = self.engine.lanes[system]
        if not lane.outbox or system in self.away:
            return
        order = lane.outbox[0]
        if self.tracing:
            self.tell(f"{system} <- {_describe(order)}")
        try:
            self.engine.carry_out(self.targets[system], order)
            lane.outbox.popleft()
        except SystemUnavailable:
            self.tell(f"the answer of {system} is lost")
            if self.dice.random() < 0.5:
                self.connect(system)
            else:
                self.crash("after a lost answer")
        except SimCrash as crash:
            self.crash(str(crash))
        if self.prefixes is not None and isinstance(order, Batch):
            self.prefixes.shown(system)

    def toggle_lock(self, system: str) -> None:
        """A user locks a row, or lets it go."""
        database = self.databases[system]
        rows = sorted((entity, key) for entity, table in database.rows.items() for key in table)
        if database.locked:
            database.locked.clear()
        elif rows:
            database.locked.add(self.dice.choice(rows))

    def strike(self, system: str) -> None:
        """The engine dies now, or at a named point soon; or an answer gets lost."""
        roll = self.dice.random()
        if roll < 0.3:
            self.crash("between two rounds")
        elif roll < 0.8:
            self.killer.point = self.dice.choice(POINTS)
        elif self.engine.lanes[system].outbox:
            self.targets[system].lose_answer = True

    def disturb(self, system: str) -> None:
        """A target goes away or comes back, a target is slow, a connection is lost."""
        roll = self.dice.random()
        if system in self.away:
            self.tell(f"{system} is back")
            self.connect(system)
        elif roll < 0.4:
            self.tell(f"{system} is away")
            self.away.add(system)
            self.engine.lanes[system].writer = "unavailable"
        elif roll < 0.6:
            self.clock.now += STUCK_TARGET_S
        elif roll < 0.8:
            self.connect(system)
        else:
            self.reopen(system)

    def ask(self) -> None:
        """A person resolves what is held, or has quarantined records tried again."""
        if self.store.holds and self.dice.random() < 0.6:
            self.resolve(self.dice.choice(sorted(self.store.holds)), self.dice.choice(self.systems))
        elif self.store.quarantine:
            entity, key, system = self.dice.choice(sorted(self.store.quarantine))
            self.store.ask("retry", self.dice.choice(({}, {"entity": entity, "key": key, "system": system})))

    def resolve(self, held: tuple[str, str, int], take: str) -> None:
        """A person decides one held register."""
        entity, key, register = held
        fields = self.book.entities[entity].registers[register].fields
        arguments = {"entity": entity, "key": key, "take": take, "at": str(self.users.now)}
        if fields:
            arguments["field"] = self.book.entities[entity].fields[fields[0]].name
        if entity == "item":
            self.fate.settled.add(key)
        self.tell(f"a person resolves {held}: take {take}")
        self.store.ask("resolve", arguments)

    def allow(self) -> bool:
        """A person lets stopped entities go, some after putting them back. False: none is stopped."""
        stopped = sorted(stops_of(self.store, self.book.entities).items())
        for entity, stop in stopped:
            undo = stop.system if self.dice.random() < 0.5 else ""
            self.fate.put_back |= bool(undo)
            self.tell(f"a person lets {entity} go{f', put back in {undo}' if undo else ''}: {stop.words()}")
            self.store.ask("allow", {"entity": entity, "undo": undo, "at": str(self.users.now)})
        return bool(stopped)

    # ------------------------------------------------------------ the end

    def become_quiet(self) -> None:
        """No users; everything is delivered, decided and written."""
        self.leave_alone()
        if not self.settle_down(QUIET_ROUNDS_MAX):
            raise AssertionError("it does not become quiet")

    def leave_alone(self) -> None:
        """Nothing happens to the engine any more: no locks, no outages, no crashes."""
        self.killer.point = ""
        for system, database in self.databases.items():
            database.locked.clear()
            self.targets[system].lose_answer = False
            if system in self.away:
                self.connect(system)

    def settle_down(self, rounds_max: int) -> bool:
        """Lets the engine work until nothing is left to do. False: that takes more rounds."""
        idle = 0
        for _ in range(rounds_max):
            worked = False
            for system in self.systems:
                before = self.sources[system].read_to
                self.deliver(system)
                worked |= self.sources[system].read_to != before or bool(self.engine.lanes[system].outbox)
                self.write(system)
            worked |= self.turn()
            worked |= self.store_on() or bool(self.engine.arrived) or bool(self.store.asked)
            idle = 0 if worked or not self.at_rest() else idle + 1
            if idle > 3:
                return True
        return False

    def at_rest(self) -> bool:
        """True if nothing is due to anybody."""
        return self.engine.decider.quiet()

    def check(self) -> None:
        """The laws, as it stands; and once more when a person has put everything right."""
        self.engine.decider.commit()
        self.oracle.check(fully=False)
        if self.features.kind != "free":
            assert not self.store.quarantine, f"nothing should be refused: {self.store.quarantine}"
        if self.features.kind == "turns":
            self.check_no_conflict()
        self.check_silence()
        self.put_right()
        self.oracle.check(fully=True)
        self.check_silence()
        if self.features.kind == "bursts" and not self.calm:
            self.run_calm_twin()

    def check_no_conflict(self) -> None:
        """L5: nobody wrote what he had not seen, so no conflict was counted, at any clock."""
        counted = self.conflicts + self.engine.decider.counts.get("conflicts", 0)
        kinds = sorted({entry.kind for entry in self.store.journal} - {"owner", "released"})
        assert counted == 0 and not kinds, f"L5: {counted} conflicts counted, the journal has {kinds}"

    def check_silence(self) -> None:
        """L3: a second pass over the whole, by a new process, writes nothing."""
        written = {s: d.written for s, d in self.databases.items()}
        journal = len(self.store.journal)
        self.start_engine()
        self.become_quiet()
        for system, database in self.databases.items():
            assert database.written == written[system], f"L3: {system} was written after quiet"
        assert len(self.store.journal) == journal, "L3: the journal grew after quiet"

    def put_right(self) -> None:
        """What people do at the end: constraints are lifted, values corrected, holds resolved, the refused retried."""
        self.tell("=== a person puts things right")
        for database in self.databases.values():
            database.constraint = lambda entity, row: ""
            database.foreign_keys = False
        self.users.may = lambda system, entity, key: True
        self.reveal()
        for _ in range(REPAIRS_MAX):
            if not (self.allow() or self.correct() or self.store.holds or self.store.quarantine):
                return
            for held in sorted(self.store.holds):
                self.resolve(held, "erp")
            if self.store.quarantine:
                self.store.ask("retry", {})
            self.become_quiet()
            self.engine.decider.commit()

    def reveal(self) -> None:
        """What was changed outside the log is touched, so that the log tells of it."""
        for system, entity, key in sorted(self.fate.unlogged):
            if key in self.databases[system].rows[entity]:
                changes = self.users.touch(system, entity, key)
            else:
                changes = self.users.insert(system, entity, key)
                changes += self.users.delete(system, entity, key) if changes else []
            if changes:
                self.users.commit(system, changes)
        if self.fate.unlogged:
            self.become_quiet()
            self.engine.decider.commit()

    def correct(self) -> bool:
        """Grades that the value map does not know are corrected, in one system after the other."""
        if not self.features.strange:
            return False
        for system, database in self.databases.items():
            place = database.columns("item").index("grade")
            own = self.features.codecs and system == "crm"
            changes: list[Change] = []
            for key, row in sorted(database.rows["item"].items()):
                if row[place] in (UNSTORABLE, UNREADABLE):
                    changes += database.update("item", key, {"grade": GRADES["B"] if own else "B"})
            if changes:
                self.tell(f"grades are corrected in {system}: {changes}")
                self.users.commit(system, changes)
                return True
        return False


def _limited(drawn: Features, dice: random.Random) -> Features:
    """Some of the histories in which anything may happen also have limits: whatever is stopped is not in step, and what
    is put back is seen in no order, so that the laws of the other kinds would not apply."""
    return replace(drawn, limits=True) if drawn.kind == "free" and dice.random() < 0.25 else drawn


def _describe(order: object) -> str:
    if isinstance(order, Batch):
        writes = [(w.kind, w.entity, w.columns, w.rows) for part in order.parts() for w in part]
        return f"batch up to {order.number_to}: {writes}"
    return str(order)


def _difference(one: dict[str, dict[str, list[Text]]], two: dict[str, dict[str, list[Text]]]) -> list[object]:
    return [
        (entity, key, one[entity].get(key), two[entity].get(key))
        for entity in one for key in sorted({*one[entity], *two[entity]})
        if one[entity].get(key) != two[entity].get(key)
    ]


def _slot_taken(database: MemorySystem, row: list[Text]) -> bool:
    columns = database.columns("order")
    code, slot = columns.index("code"), columns.index("slot")
    return row[slot] is not None and any(
        other[slot] == row[slot] and other[code] != row[code] for other in database.rows["order"].values()
    )


def _shouting(entity: str, row: list[Text]) -> list[Text]:
    """A trigger that stores names in capitals, and puts a dot behind streets."""
    if entity != "item":
        return row
    name, street = FIELDS.index("name"), FIELDS.index("street")
    out = list(row)
    out[name] = out[name].upper() if out[name] is not None else None  # type: ignore[union-attr]
    out[street] = f"{out[street].rstrip('.')}." if out[street] is not None else None  # type: ignore[union-attr]
    return out
