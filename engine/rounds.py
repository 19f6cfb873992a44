"""One round of the deciding thread after the other: carries what was read to the desk, and batches to the writers.

`turn` is one round and waits for nothing, so that a simulation can drive the very same code from one seed. It never
looks into a change, and never acknowledges a position, nor lets a batch be committed, before the store is durable. The
threads are in `engine.runner`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from engine.decide import Decider
from engine.errors import DuologError, SystemUnavailable
from engine.lanes import (
    DEFERRED_PAUSE_S,
    LAZY_COMMIT_S,
    REQUESTS_EVERY_S,
    STORED,
    STUCK_TARGET_S,
    Arrival,
    Ask,
    Delivered,
    Gate,
    Lane,
    Limits,
    Observer,
    Order,
)
from engine.ports import Clock, Delta, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Outcome, Progress, Reread, Transaction


class Rounds:
    """The deciding thread's part of the runner. See the module."""

    def __init__(
        self,
        book: RuleBook,
        decider: Decider,
        sources: Mapping[str, Source],
        targets: Mapping[str, Target],
        clock: Clock,
        *,
        limits: Limits | None = None,
        observe: Observer = lambda action, detail: None,
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
        decider.attend(book.synchronous)
        self.last_commit = clock.monotonic()

    def turn(self) -> bool:
        """One round of the deciding thread: takes in what arrived, decides, commits, acknowledges, sends batches.

        Returns False if there was nothing to do. Raises DuologError for what stops the engine as a whole."""
        self._take_arrivals()
        if not self.taken_up:
            if not all(lane.recovered for lane in self.lanes.values()):
                return False
            self.decider.take_up()
            self._acknowledge()  # what was durable before: a server that is shut down waits until it hears of it
            self.taken_up = True
        self._retry_deferred()
        self._requests()
        self._deliver()
        worked = self._decide_some()
        while self.decider.news:
            self.observe(*self.decider.news.pop(0))
        if self.storing is not None:
            return worked  # what is decided meanwhile is taken when the store has finished
        sent = self._keep()
        self._deliver()
        return sent or worked

    def _deliver(self) -> None:
        """Tells the readers up to where their users' transactions are in the other systems."""
        for system, queue in self.decider.queues.items():
            lane = self.lanes[system]
            position = self.decider.delivered(system)
            if position > lane.delivered:
                lane.delivered = position
                self.sources[system].delivered(position)
            for expected in reversed(queue.expected):
                if expected.since:
                    break
                expected.since = self.clock.monotonic()
            lane.undelivered = len(queue.expected)
            lane.undelivered_since = queue.expected[0].since if queue.expected else 0.0
            lane.waits_for = self.decider.told(system)
        if self.decider.queues:
            self.decider.untangle(self.clock.monotonic())

    def delivery(self, system: str) -> Delivered:
        """How it stands with those who wait at a synchronous system's COMMIT. May be asked from another thread."""
        lane = self.lanes[system]
        since = lane.undelivered_since
        waited_s = self.clock.monotonic() - since if since else 0.0
        return Delivered(lane.delivered, lane.undelivered, waited_s, lane.waits_for)

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
                self.decider.still_locked(arrival.system, [(arrival.entity, k) for k in arrival.own.values()])
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
        answered = self.decider.delta.requests_done.keys() | self.decider.storing.requests_done.keys()
        for request in self.decider.store.requests():
            if request.id in answered:
                continue  # carried out; its answer is on its way into the store
            self.observe("request", request.kind)
            self.decider.request(request, int(request.arguments.get("at", "0")))

    def _held_back(self) -> bool:
        """True while a healthy target has enough to do: deciding more would only fill memory."""
        now = self.clock.monotonic()
        held = False
        for system, lane in self.lanes.items():
            if self.decider.backlog(system) < self.limits.open_rows_max:
                continue
            healthy = lane.writer == "running" and (lane.busy_since == 0.0 or now - lane.busy_since < STUCK_TARGET_S)
            # Whose lock is in the way may wait for something that is only known when it is decided.
            if healthy and not self.decider.is_locked_out(system):
                held = True
            else:
                self.decider.spill(system)
        return held

    def _decide_some(self) -> bool:
        """Decides transactions of all systems in turn, up to the limit of a round."""
        if self._held_back() or (self.storing is not None and len(self.decider.dirty) >= self.limits.turn_rows_max):
            return False
        taken: dict[str, list[Transaction | Progress]] = {}
        barred = {system for system, lane in self.lanes.items() if lane.barred == self.decider.standing(system)}
        with self.bell:
            for system, lane in self.lanes.items():
                events: list[Transaction | Progress] = []
                share = 0
                for event in lane.inbox:
                    if share >= self.limits.turn_rows_max or (events and system in barred):
                        break
                    share += event.rows if isinstance(event, Transaction) else 0
                    events.append(event)
                taken[system] = events
        self.decider.prefetch(
            event for system, events in taken.items() if system not in barred for event in events
            if isinstance(event, Transaction)
        )  # fmt: skip
        done = [self._decide_lane(system, events, system in barred) for system, events in taken.items()]
        return any(done)

    def _decide_lane(self, system: str, events: list[Transaction | Progress], barred: bool) -> bool:
        """Decides one system's events in order, up to the first that has to wait. `barred`: that is known of the first,
        and not looked for again: whoever reads may ring for each transaction."""
        lane = self.lanes[system]
        done = rows = 0
        for event in events:
            if isinstance(event, Transaction):
                if barred or self.decider.blocked(event):
                    lane.barred = self.decider.standing(system)
                    if event.own:  # its own COMMIT may wait for that, where nobody can opt out
                        self.decider.pass_own(system, event.position)
                    break
                self.decider.decide(event)
                lane.committed_at = event.committed_at
                rows += event.rows
            else:
                self.decider.pass_position(system, event.position)
                self.decider.hurried |= event.awaited
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
        if self.jobs is None or self.decider.half_written or self._is_small():
            self._commit_here(orders)
        elif (delta := self.decider.take()) is not None:
            self.storing = orders
            self.jobs.put(delta)
        else:
            self._send(orders)
        return bool(orders)

    def _commit_here(self, orders: list[Order]) -> None:
        """Commits in this thread, while the targets already do what follows from it, all but their own COMMIT."""
        gate = Gate()
        early, late = list[Order](), list[Order]()
        for order in orders:
            if isinstance(order, Batch) and order.pages is None:
                order.durable = gate.passed
                early.append(order)
            else:
                late.append(order)
        self._send(early)
        try:
            delta = self.decider.take()
            if delta is not None:
                self.decider.store.commit(delta)
        except BaseException:
            gate.give_up()
            raise
        gate.open()
        if delta is None:
            self._send(late)
        else:
            self._kept(late)

    def _is_small(self) -> bool:
        return len(self.decider.dirty) < self.limits.commit_apart_records_min

    def _kept(self, orders: list[Order]) -> None:
        """What was taken is durable: the sources may forget it, the targets may have it."""
        self.decider.stored()
        self.storing = None
        self._acknowledge()
        self._send(orders)

    def _acknowledge(self) -> None:
        for system, lane in self.lanes.items():
            position = self.decider.durable_positions.get(system, 0)
            if position > lane.acknowledged:
                lane.acknowledged = position
                self.sources[system].acknowledge(position)

    def _orders(self) -> list[Order]:
        """What each idle target is to do next, as far as is decided now."""
        orders: list[Order] = []
        for system, lane in self.lanes.items():
            if self.decider.waiting[system]:
                self.sources[system].nudge()
            if lane.writer == "running":
                orders += self._asks(system, lane)
        for system, lane in self.lanes.items():  # a batch bears the number of the last step: none may be decided after
            if lane.writer != "running":
                continue
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
        by_entity: dict[str, dict[str, str]] = {}
        for entity, key in wanted:
            own = self.decider.own_key(system, entity, key)
            if own is None:
                self.decider.not_there(system, entity, key)
            else:
                by_entity.setdefault(entity, {})[own] = key
        return [Ask(system, entity, own) for entity, own in by_entity.items()]

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

    def quiet(self) -> bool:
        """True if all that was read is everywhere, as far as one can tell from another thread."""
        lanes = self.lanes.values()
        return (
            self.taken_up
            and not any(lane.inbox or lane.outbox for lane in lanes)
            and not self.arrived
            and (all(lane.reader == "running" for lane in lanes) and self.decider.quiet())
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

    def _fail(self, error: DuologError) -> None:
        with self.bell:
            if self.failed is None:
                self.failed = error
            self.stopping = True
            self.bell.notify_all()
