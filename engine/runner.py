"""The threads: a reader a source, a writer a target, one for the store's commits, and the deciding one.

Turns ports into queues: reconnecting with growing pauses happens here, and stopping at a transaction's edge. What the
deciding thread does in a round is in `engine.rounds`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Literal

from engine.errors import DuologError, EngineFault, SystemStopped, SystemUnavailable
from engine.lanes import PAUSE_FIRST_S, PAUSE_MOST_S, STORED, Ask, Lane, State
from engine.ports import Target
from engine.rounds import Rounds
from engine.vocabulary import Batch, Outcome, Transaction


class Runner(Rounds):
    """Runs one rule book between sources and targets, until it is stopped."""

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
        threads.append(
            threading.Thread(target=self._guard, args=(self._store_loop, "store"), name="store", daemon=True)
        )
        for thread in threads:
            thread.start()
        try:
            self.around(self._decide_loop)
        except DuologError:
            raise
        except Exception as error:
            raise _unforeseen(error) from error
        finally:
            self.stop()
            self.jobs.put(None)
            for thread in threads:
                thread.join(timeout=10)
        if self.failed is not None:
            raise self.failed

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
            fault = _unforeseen(error)
            fault.__cause__ = error
            self._fail(fault)

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
            self.decider.clocks[system] = target.clock()
            with self.bell:
                if not lane.outbox:
                    if self.stopping:
                        return
                    self.bell.wait(timeout=0.5)
                    continue
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
        answers = target.reread(order.entity, list(order.own))
        told = {answer.key for answer in answers}
        locked = {own: key for own, key in order.own.items() if own not in told}
        for answer in answers:
            answer.own, answer.key = answer.key, order.own[answer.key]
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


def _unforeseen(error: BaseException) -> EngineFault:
    """A defect, told by kind and place only: what a driver says of an error may hold the content of a row."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" at {frame.tb_frame.f_code.co_name}:{frame.tb_lineno}" if frame is not None else ""
    state = getattr(error, "sqlstate", None)
    kind = type(error).__name__ + (f" ({state})" if state else "")
    return EngineFault(
        f"the thread {threading.current_thread().name} died of {kind}{place}",
        mend="this is a defect of duolog: report it; nothing is lost, and a restart goes on from the last commit",
    )
