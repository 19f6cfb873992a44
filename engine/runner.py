"""The only loop: carries transactions from the sources to the desk, and batches from the desk to the targets.

One thread a source reads, one thread a target writes, one thread decides; bounded queues between. `turn` is one round
of the deciding thread and waits for nothing, so that a simulation can drive the very same code from one seed; `run`
adds the threads. Reconnecting with growing pauses happens here; stopping happens at a transaction's edge.

It never looks into a change, and never acknowledges a position before the store is durable.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final, Literal

from engine.decide import Decider
from engine.errors import DuologError, EngineFault, SystemStopped, SystemUnavailable
from engine.ports import Clock, Delta, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Outcome, Position, Progress, Reread, Transaction

DEFERRED_PAUSE_S = 0.1
"""How long rows that a user had locked are left alone before they are tried again."""
REQUESTS_EVERY_S = 0.5
"""How often the store is asked for what people want."""
LAZY_COMMIT_S = 0.2
"""How long confirmations alone may wait before they are made durable (the ledger has them anyway)."""
COMMIT_APART_RECORDS_MIN = 200
"""From how many records on a commit is left to the store's thread."""
STUCK_TARGET_S = 2.0
"""A target that has not answered for so long no longer holds the others back: what is due to it goes to the store."""
PAUSE_FIRST_S, PAUSE_MOST_S = 0.1, 10.0
"""Between attempts to reach a system."""

State = Literal["connecting", "running", "unavailable", "stopped"]


@dataclass(slots=True)
class Limits:
    """The bounds of every queue and batch."""

    turn_rows_max: int = 5_000
    """Changes decided between two commits of the store."""
    inbox_rows_max: int = 20_000
    """Changes read from one source and not yet decided."""
    open_rows_max: int = 10_000
    """Records due to one healthy target before the sources have to wait."""
    commit_apart_records_min: int = COMMIT_APART_RECORDS_MIN
    """From how many records on a commit is left to the store's thread."""


@dataclass(slots=True)
class Ask:
    """Rows that a target is asked to read again."""

    system: str
    entity: str
    keys: list[str]


@dataclass(slots=True)
class Lane:
    """What the runner knows of one system."""

    system: str
    inbox: deque[Transaction | Progress] = field(default_factory=deque)
    """Read, not yet decided."""
    inbox_rows: int = 0
    outbox: deque[Batch | Ask] = field(default_factory=deque)
    """To be carried out by the writer: at most one batch, and rows to be read again."""
    reader: State = "connecting"
    writer: State = "connecting"
    trouble: str = ""
    """Why the reader or writer is not running, in words."""
    error: DuologError | None = None
    """What stopped it."""
    busy_since: float = 0.0
    """Since when a batch has been under way; 0: none is."""
    deferred_at: float = 0.0
    """When rows locked by users were last put aside; 0: there are none."""
    committed_at: int = 0
    """Commit time of the last transaction decided, microseconds since 1970."""
    acknowledged: Position = 0
    ask_again_at: float = 0.0
    """Rows that a user had locked are not asked for before."""
    recovered: bool = False
    """The ledger has been asked what was committed before."""


Order = Batch | Ask
"""What a writer is asked to do."""

STORED: Final = "stored"
"""The store's thread has committed what it was given."""

Arrival = Outcome | Reread | Ask | tuple[str, list[Outcome]] | str
"""What the other threads have to tell the deciding one: an outcome, a row read again, rows that could not be read, what
a ledger knew (system, outcomes), or STORED."""

Observer = Callable[[str, str], None]
"""Told (action, detail) of what happens; must not raise or block."""


class Runner:
    """Runs one rule book between sources and targets. See the module."""

    def __init__(
        self, book: RuleBook, decider: Decider, sources: Mapping[str, Source], targets: Mapping[str, Target],
        clock: Clock, *, limits: Limits | None = None, observe: Observer = lambda action, detail: None,
        around: Callable[[Callable[[], None]], None] = lambda body: body(),
    ) -> None:
        """`observe` is told what happens; `around` runs the body of each thread (to profile it, say)."""
        self.book = book
        self.decider = decider
        self.sources = sources
        self.targets = targets
        self.clock = clock
        self.limits = limits or Limits()
        self.observe = observe
        self.around = around
        self.lanes = {system: Lane(system) for system in book.systems}
        self.arrived: deque[Arrival] = deque()
        """What the writers have to tell: an outcome, a row read again, rows still to be read, what the ledger knew."""
        self.rings = 0
        """Grows whenever there is something new to look at."""
        self.bell = threading.Condition()
        """Guards lanes and `arrived`, and wakes whoever waits for them."""
        self.jobs: SimpleQueue[Delta | None] | None = None
        """What the store's thread is to commit; None: there is no such thread, and commits are made in place."""
        self.storing: list[Order] | None = None
        """While the store's thread commits: what is to be sent afterwards."""
        self.stopping = False
        self.failed: DuologError | None = None
        self.taken_up = False
        self.last_requests = -REQUESTS_EVERY_S
        self.last_commit = clock.monotonic()

    # ------------------------------------------------------------ one round

    def turn(self) -> bool:
        """One round of the deciding thread: takes in what arrived, decides, commits, acknowledges, sends batches.

        Returns False if there was nothing to do. Raises DuologError for what stops the engine as a whole."""
        self._take_arrivals()
        if not self.taken_up:
            if not all(lane.recovered for lane in self.lanes.values()):
                return False
            self.decider.take_up()
            self.taken_up = True
        self._retry_deferred()
        self._requests()
        worked = self._decide_some()
        if self.storing is not None:
            return worked  # what is decided meanwhile is taken when the store has finished
        return self._keep() or worked

    def _take_arrivals(self) -> None:
        while True:
            with self.bell:
                if not self.arrived:
                    return
                arrival = self.arrived.popleft()
            if isinstance(arrival, tuple):
                system, outcomes = arrival
                self.decider.recover(system, outcomes)
                self.lanes[system].recovered = True
            elif arrival is STORED:
                self._kept(self.storing or [])
            elif isinstance(arrival, Reread):
                self.decider.reread(arrival)
            elif isinstance(arrival, Ask):
                self.lanes[arrival.system].ask_again_at = self.clock.monotonic() + DEFERRED_PAUSE_S
                self.decider.rereads[arrival.system].update(dict.fromkeys((arrival.entity, k) for k in arrival.keys))
            elif isinstance(arrival, Outcome):
                lane = self.lanes[arrival.system]
                lane.busy_since = 0.0
                if arrival.number_to > self.decider.marks[arrival.system].applied:
                    self.decider.confirm(arrival)

    def _retry_deferred(self) -> None:
        now = self.clock.monotonic()
        for system, names in self.decider.deferred.items():
            lane = self.lanes[system]
            if not names:
                lane.deferred_at = 0.0
            elif lane.deferred_at == 0.0:
                lane.deferred_at = now
            elif now - lane.deferred_at >= DEFERRED_PAUSE_S:
                lane.deferred_at = 0.0
                self.decider.retry_deferred(system)

    def _requests(self) -> None:
        now = self.clock.monotonic()
        if now - self.last_requests < REQUESTS_EVERY_S:
            return
        self.last_requests = now
        for request in self.decider.store.requests():
            self.observe("request", request.kind)
            self.decider.request(request, int(request.arguments.get("at", "0")))

    def _held_back(self) -> bool:
        """True while a healthy target has enough to do: deciding more would only fill memory."""
        now = self.clock.monotonic()
        held = False
        for system, lane in self.lanes.items():
            if self.decider.backlog(system) < self.limits.open_rows_max:
                continue
            healthy = lane.writer == "running" and (
                lane.busy_since == 0.0 or now - lane.busy_since < STUCK_TARGET_S
            )
            if healthy:
                held = True
            else:
                self.decider.spill(system)
        return held

    def _decide_some(self) -> bool:
        """Decides transactions of all systems in turn, up to the limit of a round."""
        if self._held_back() or (self.storing is not None and len(self.decider.dirty) >= self.limits.turn_rows_max):
            return False
        taken: dict[str, list[Transaction | Progress]] = {}
        rows = 0
        with self.bell:
            for system, lane in self.lanes.items():
                events: list[Transaction | Progress] = []
                share = 0
                for event in lane.inbox:
                    if share >= self.limits.turn_rows_max:
                        break
                    share += event.rows if isinstance(event, Transaction) else 0
                    events.append(event)
                taken[system] = events
                rows += share
        self.decider.prefetch(
            event for events in taken.values() for event in events if isinstance(event, Transaction)
        )
        done = [self._decide_lane(system, events) for system, events in taken.items()]
        return any(done)

    def _decide_lane(self, system: str, events: list[Transaction | Progress]) -> bool:
        """Decides one system's events in order, up to the first that has to wait."""
        lane = self.lanes[system]
        done = rows = 0
        for event in events:
            if isinstance(event, Transaction):
                if self.decider.blocked(event):
                    break
                self.decider.decide(event)
                lane.committed_at = event.committed_at
                rows += event.rows
            else:
                self.decider.pass_position(system, event.position)
            done += 1
        if done:
            with self.bell:
                for _ in range(done):
                    lane.inbox.popleft()
                lane.inbox_rows -= rows
                self.bell.notify_all()
        return done > 0

    def _keep(self) -> bool:
        """Makes decisions durable, and sends what follows from them. True if anything was sent.

        What a crash would only make us read or ask again may wait a moment."""
        now = self.clock.monotonic()
        orders = self._orders()
        urgent = self.decider.urgent()
        if not urgent and now - self.last_commit < LAZY_COMMIT_S:
            self._send(orders)
            return bool(orders)
        self.last_commit = now
        # A small commit is sooner made than handed over; one after a spooled transaction must be made by this thread.
        alone = self.jobs is None or self.decider.half_written or self._is_small()
        delta = self.decider.take()
        if delta is None:
            self._send(orders)
        elif alone:
            self.decider.store.commit(delta)
            self._kept(orders)
        else:
            self.storing = orders
            assert self.jobs is not None
            self.jobs.put(delta)
        return bool(orders)

    def _is_small(self) -> bool:
        return len(self.decider.dirty) < self.limits.commit_apart_records_min

    def _kept(self, orders: list[Order]) -> None:
        """What was taken is durable: the sources may forget it, the targets may have it."""
        self.decider.stored()
        self.storing = None
        for system, lane in self.lanes.items():
            position = self.decider.durable_positions.get(system, 0)
            if position > lane.acknowledged:
                lane.acknowledged = position
                self.sources[system].acknowledge(position)
        self._send(orders)

    def _orders(self) -> list[Order]:
        """What each idle target is to do next, as far as is decided now."""
        orders: list[Order] = []
        for system, lane in self.lanes.items():
            if self.decider.waiting[system]:
                self.sources[system].nudge()
            if lane.writer != "running":
                continue
            orders += self._asks(system, lane)
            batch = self.decider.next_batch(system)
            if batch is not None:
                lane.busy_since = self.clock.monotonic()
                orders.append(batch)
        return orders

    def _asks(self, system: str, lane: Lane) -> list[Order]:
        """Rows to be read again; those that a user had locked after a pause."""
        now = self.clock.monotonic()
        if now < lane.ask_again_at:
            return []
        wanted, self.decider.rereads[system] = self.decider.rereads[system], {}
        by_entity: dict[str, list[str]] = {}
        for entity, key in wanted:
            by_entity.setdefault(entity, []).append(key)
        return [Ask(system, entity, keys) for entity, keys in by_entity.items()]

    def _send(self, orders: list[Order]) -> None:
        if orders:
            with self.bell:
                for order in orders:
                    lane = self.lanes[order.system]
                    if self.stopping:  # the writer may have gone home: what is due stays due, for the next start
                        lane.busy_since = 0.0
                    else:
                        lane.outbox.append(order)
                self.bell.notify_all()

    def _store_loop(self, name: str) -> None:
        """The store's thread: commits what is taken, while the deciding thread decides on."""
        assert self.jobs is not None
        while (delta := self.jobs.get()) is not None:
            self.decider.store.commit(delta)
            self.arrive([STORED])

    def _wait_until_stored(self) -> None:
        """The deciding thread needs the store for itself."""
        with self.bell:
            while self.storing is not None and STORED not in self.arrived and self.failed is None:
                self.bell.wait(timeout=0.5)
            if self.failed is not None:
                raise self.failed
            if self.storing is None:
                return
            self.arrived.remove(STORED)
        self._kept(self.storing)

    def offer(self, event: Transaction | Progress) -> None:
        """What a source has read, to be decided in order. Thread-safe."""
        lane = self.lanes[event.system]
        with self.bell:
            lane.inbox.append(event)
            lane.inbox_rows += event.rows if isinstance(event, Transaction) else 0
            self._ring()

    def arrive(self, arrivals: Sequence[Arrival]) -> None:
        """What a target answers. Thread-safe."""
        with self.bell:
            self.arrived.extend(arrivals)
            self._ring()

    def _ring(self) -> None:
        self.rings += 1
        self.bell.notify_all()

    # ------------------------------------------------------------ threads

    def run(self) -> None:
        """Runs until `stop`. Raises the error that stopped the engine, if one did."""
        threads = [
            threading.Thread(target=self._guard, args=(loop, system), name=f"{name}-{system}", daemon=True)
            for system in self.book.systems
            for name, loop in (("reader", self._read_loop), ("writer", self._write_loop))
        ]
        self.jobs = SimpleQueue()
        self.decider.stored_apart = True
        self.decider.wait_until_stored = self._wait_until_stored
        threads.append(threading.Thread(target=self._guard, args=(self._store_loop, "store"), name="store", daemon=True))
        for thread in threads:
            thread.start()
        try:
            self.around(self._decide_loop)
        finally:
            self.stop()
            self.jobs.put(None)
            for thread in threads:
                thread.join(timeout=10)
        if self.failed is not None:
            raise self.failed

    def quiet(self) -> bool:
        """True if all that was read is everywhere, as far as one can tell from another thread."""
        lanes = self.lanes.values()
        return self.taken_up and not any(lane.inbox or lane.outbox for lane in lanes) and not self.arrived and (
            all(lane.reader == "running" for lane in lanes) and self.decider.quiet()
        )

    def verify_sources(self) -> None:
        """Has every source look whether it still gets all that it should. Stops the engine if one does not."""
        for system, source in self.sources.items():
            if self.lanes[system].reader != "running":
                continue
            try:
                source.verify()
            except SystemUnavailable as error:
                self.observe("source not verified", str(error))
            except DuologError as error:
                self._fail(error)

    def stop(self) -> None:
        """Asks all threads to stop at the next transaction's edge. Thread-safe."""
        with self.bell:
            self.stopping = True
            self.bell.notify_all()

    def _guard(self, loop: Callable[[str], None], system: str) -> None:
        """A thread that ends by an unforeseen error stops the engine: nothing runs on half alive."""
        try:
            self.around(lambda: loop(system))
        except DuologError as error:
            self._fail(error)
        except BaseException as error:  # noqa: BLE001 - told by `run`, with its cause
            fault = EngineFault(f"thread {threading.current_thread().name} died of {type(error).__name__}: {error}")
            fault.__cause__ = error
            self._fail(fault)

    def _fail(self, error: DuologError) -> None:
        with self.bell:
            if self.failed is None:
                self.failed = error
            self.stopping = True
            self.bell.notify_all()

    def _decide_loop(self) -> None:
        while not self.stopping:
            seen = self.rings
            if not self.turn():
                with self.bell:
                    if not self.stopping and self.rings == seen:
                        self.bell.wait(timeout=0.02 if self._impatient() else 0.1)
        self._finish()

    def _impatient(self) -> bool:
        return any(self.decider.deferred.values()) or any(self.decider.waiting.values())

    def _finish(self) -> None:
        """A clean stop: what the writers have in hand is awaited, what was decided is durable."""
        deadline = self.clock.monotonic() + 10
        while self.failed is None and self.clock.monotonic() < deadline:
            self._take_arrivals()
            idle = all(lane.busy_since == 0.0 or lane.writer != "running" for lane in self.lanes.values())
            if idle and self.storing is None:
                break
            with self.bell:
                if not self.arrived:
                    self.bell.wait(timeout=0.1)
        if self.failed is None and self.taken_up and self.storing is None:
            self.decider.commit()
            self._kept([])

    def _read_loop(self, system: str) -> None:
        lane = self.lanes[system]
        pause = PAUSE_FIRST_S
        while not self.stopping:
            try:
                self._open_reader(system, lane)
                if self.stopping:
                    break
                pause = PAUSE_FIRST_S
                self._read_on(system, lane)
            except SystemUnavailable as error:
                self._troubled(lane, "reader", "unavailable", error)
                pause = self._rest(pause)
            except SystemStopped as error:
                self._troubled(lane, "reader", "stopped", error)
                self._fail(error)
            finally:
                self.sources[system].close()

    def _open_reader(self, system: str, lane: Lane) -> None:
        """Starts reading after what has been read already: the inbox, or what the desk has decided."""
        with self.bell:
            while not self.taken_up and not self.stopping:
                self.bell.wait(timeout=0.5)
            while any(isinstance(event, Transaction) and event.spool is not None for event in lane.inbox):
                self.bell.wait(timeout=0.5)
            resume = lane.inbox[-1].position if lane.inbox else self.decider.marks[system].read
        if not self.stopping:
            self.sources[system].open(resume)
            self._running(lane, "reader")

    def _read_on(self, system: str, lane: Lane) -> None:
        source = self.sources[system]
        while not self.stopping:
            event = source.read(timeout_s=0.5)
            if event is None:
                continue
            with self.bell:
                while lane.inbox_rows > self.limits.inbox_rows_max and not self.stopping:
                    self.bell.wait(timeout=0.5)
                    source.keep_alive()
            self.offer(event)

    def _write_loop(self, system: str) -> None:
        lane = self.lanes[system]
        pause = PAUSE_FIRST_S
        while not self.stopping:
            try:
                self.targets[system].open()
                self._recover(system, lane)
                self._running(lane, "writer")
                pause = PAUSE_FIRST_S
                self._write_on(system, lane)
            except SystemUnavailable as error:
                self._troubled(lane, "writer", "unavailable", error)
                pause = self._rest(pause)
            except SystemStopped as error:
                self._troubled(lane, "writer", "stopped", error)
                self._fail(error)
            finally:
                self.targets[system].close()

    def _recover(self, system: str, lane: Lane) -> None:
        """Asks the ledger what became of a batch whose answer never came. A batch it does not know is sent again."""
        outcomes = self.targets[system].committed(self.decider.marks[system].applied)
        self.arrive([(system, outcomes)])
        with self.bell:
            committed = max((outcome.number_to for outcome in outcomes), default=0)
            while lane.outbox and isinstance(lane.outbox[0], Batch) and lane.outbox[0].number_to <= committed:
                lane.outbox.popleft()
                lane.busy_since = 0.0
            self.bell.notify_all()

    def _write_on(self, system: str, lane: Lane) -> None:
        target = self.targets[system]
        while True:
            with self.bell:
                while not lane.outbox:
                    if self.stopping:
                        return
                    self.bell.wait(timeout=0.5)
                order = lane.outbox[0]
            self.carry_out(target, order)
            with self.bell:
                lane.outbox.popleft()
                self.bell.notify_all()

    def carry_out(self, target: Target, order: Batch | Ask) -> None:
        """Has a target do one thing, and hands its answer to the deciding thread."""
        if isinstance(order, Batch):
            # A batch of which nothing is left to write needs no transaction: nothing is guarded, nothing separated.
            outcome = target.apply(order) if order.prepare() else Outcome(order.system, order.number_to, 0)
            outcome.rows = order.rows
            self.arrive([outcome])
            return
        answers = target.reread(order.entity, order.keys)
        told = {answer.key for answer in answers}
        locked = [key for key in order.keys if key not in told]
        self.arrive([*answers, Ask(order.system, order.entity, locked)] if locked else [*answers])

    def _running(self, lane: Lane, role: Literal["reader", "writer"]) -> None:
        with self.bell:
            setattr(lane, role, "running")
            if lane.reader == lane.writer == "running":
                lane.trouble = ""
            self._ring()
        self.observe(f"{role} running", lane.system)

    def _troubled(self, lane: Lane, role: Literal["reader", "writer"], state: State, error: DuologError) -> None:
        with self.bell:
            setattr(lane, role, state)
            lane.trouble = str(error)
            lane.error = error
            self.bell.notify_all()
        self.observe(f"{role} {state}", str(error))

    def _rest(self, pause: float) -> float:
        with self.bell:
            if not self.stopping:
                self.bell.wait_for(lambda: self.stopping, timeout=pause)
        return min(pause * 2, PAUSE_MOST_S)
