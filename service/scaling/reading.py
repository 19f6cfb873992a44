"""One system's reader: its log into the change topic, under a lease, for all partitions.

Turns a system's number into a running publisher. Who took the reading over before is hung up on by the database, fenced
by Kafka, and told by the lease. It decides nothing about a change.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from adapters.changes.publisher import Publisher
from adapters.changes.topic import reach
from engine.errors import DuologError, StoreMissing, StoreUnfit, SystemUnavailable
from engine.vocabulary import Position
from service.day_one import BASE
from service.running import spool_folder
from service.scaling.job import Job, Tell
from service.scaling.lease import Lease
from service.scaling.partition import STATUS_EVERY_S
from service.scaling.share import Sharing
from service.wiring import open_part, with_bookmarks

VERIFY_EVERY_S: Final = 60.0
"""How often a source looks whether it is still sent everything."""


class SystemReader(Job):
    """See the module."""

    def __init__(self, sharing: Sharing, system: str, tell: Tell, *, anew: bool = False) -> None:
        """`anew`: all is compared again, so the log is read from here on, whatever was lost of it."""
        super().__init__(tell)
        self.name = f"reader of {system}"
        self.system = system
        self._sharing = sharing
        self._anew = anew
        self._publisher: Publisher | None = None
        self._lease: Lease | None = None
        self._written_at = self._verified_at = 0.0
        self._failed: DuologError | None = None

    def work(self) -> None:
        """Publishes until it is taken away. Raises DuologError."""
        self.state, self.trouble = "starting", ""
        wired = self._sharing.passed.wired
        kit = wired.kits[self.system]
        lease = self._lease = Lease(wired.rules, f"r_{self.system}")
        try:
            self.tell("taken over", f"epoch {lease.epoch}")
            with_bookmarks({self.system: kit}, lease.store)
            identity = lease.store.identity(self.system)
            if identity is None or self._anew:
                identity = kit.identity()
                lease.store.set_identity(self.system, identity)
            capabilities = self._sharing.passed.capabilities[self.system]
            source = kit.source(wired.book, identity, capabilities=capabilities, spool_dir=spool_folder(wired))
            engines = {engine: number for number, engine in enumerate(wired.book.partitions)}
            publisher = Publisher(source, self._sharing.broker, self._sharing.name, self._sharing.plan, engines)
            kit.end_reader(wired.book)
            self._verified_at = time.monotonic()
            try:
                publisher.open(self._now if self._anew else self._start, anew=self._anew)
                self._anew = False
                self._publisher, self.state = publisher, "running"
                publisher.run(self._must_end)
            finally:
                self._publisher = None
                publisher.close()
            if self._failed is not None:
                failed, self._failed = self._failed, None
                raise failed
        except (SystemUnavailable, StoreUnfit) as error:
            lease.explain(error)
            raise
        finally:
            self._lease = None
            self.write_status(lease, running=False)
            lease.close()

    def ask(self) -> None:
        """See `Job.ask`: who does not reach Kafka is not told by the group that it went on without him."""
        reach(self._sharing.broker)

    def _must_end(self) -> bool:
        return self.stopping.is_set() or self._failed is not None

    def _start(self) -> Position:
        """Where a topic without messages begins: where the partitions are; without any, here and now."""
        known: list[Position] = []
        for number in range(self._sharing.plan.partitions):
            with suppress(StoreMissing):
                store = open_part(self._sharing.passed.wired.rules, f"p{number}", create=False)
                try:
                    state = store.state()
                finally:
                    store.close()
                if state.phase == BASE and self.system in state.positions:
                    known.append(state.positions[self.system])
        return min(known) if known else self._now()

    def _now(self) -> Position:
        """Up to where the log goes now, and may be read on from."""
        picture = self._sharing.passed.wired.kits[self.system].snapshot(self._sharing.passed.wired.book)
        try:
            return picture.position
        finally:
            picture.close()

    @property
    def has_begun(self) -> bool:
        """True once what is written from now on is on its way, whatever was before."""
        return self._publisher is not None and not self._anew

    def look_after(self) -> None:
        """To be called now and then by the worker: tells how it is doing, and has the source verify itself."""
        lease, publisher = self._lease, self._publisher
        now = time.monotonic()
        if lease is not None and now - self._written_at > STATUS_EVERY_S:
            self._written_at = now
            self.write_status(lease, running=True)
        if publisher is not None and now - self._verified_at > VERIFY_EVERY_S:
            self._verified_at = now
            try:
                publisher.source.verify()
            except SystemUnavailable as error:
                self.tell("source not verified", str(error))
            except DuologError as error:
                self._failed = error

    def write_status(self, lease: Lease, *, running: bool) -> None:
        """Into the reader's own store."""
        trouble = lease.tell(self.document(), running=running)
        if trouble:
            self.tell("status not written", trouble)

    def document(self) -> dict[str, Any]:
        """How it is doing, for `duolog status`."""
        publisher, known = self._publisher, super().document() | {"system": self.system}
        if publisher is None:
            return known
        text = self._sharing.passed.wired.kits[self.system].position_text
        counts = {"transactions": publisher.transactions, "changes": publisher.changes}
        return known | counts | {"position": text(publisher.position)}
