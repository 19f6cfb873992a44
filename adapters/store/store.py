"""The store: turns `Delta`s into durable commits, and answers what was last committed.

It keeps what the engine hands it and never looks inside a record's state. The deciding thread writes on one connection
that is never made anew; every other thread reads on a connection of its own and sees only what is committed. After the
first error of the database the store is unfit for good: nothing is retried, a restart goes on from the last commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, select

from adapters.store import schema
from adapters.store.bookmarks import Bookmarks
from adapters.store.forgetting import forget_base, forget_report
from adapters.store.journal import JournalRow, from_row, newest, size
from adapters.store.lock import Holder
from adapters.store.opening import open_place
from adapters.store.place import Place, told
from adapters.store.requests import Waiting, ask
from adapters.store.writing import put
from engine.errors import StoreUnfit
from engine.ports import Applied, Delta, Pending, Request, StoreState

SCAN_PAGE_ROWS: Final = 2000
PRUNE_ROWS: Final = 5000
_LAST_ROW: Final = 2**63 - 1
"""Above every row id."""


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A conflict that is left to a person."""

    entity: str
    key: str
    register: int
    since: int
    """Microseconds since 1970 UTC."""
    why: str


def _wall_clock_us() -> int:
    return time.time_ns() // 1000


class SqlStore:
    """Implements `engine.ports.Store` on SQLite or PostgreSQL; see there for what the methods of the port promise.

    Every method raises StoreUnfit when the database fails, and ever after."""

    def __init__(self, place: Place, now_us: Callable[[], int]) -> None:
        """Use `SqlStore.open`."""
        self._place = place
        self._now_us = now_us
        self._writer: Connection | None = None
        self._threads = threading.local()
        self._readers: list[Connection] = []
        self._waiting = Waiting()
        self._open_rows = -1  # below 0: no transaction is open
        self._unfit: StoreUnfit | None = None

    @classmethod
    def open(
        cls, url: str, *, name: str, create: bool = True, part: str | None = None,
        now_us: Callable[[], int] = _wall_clock_us,
    ) -> SqlStore:  # fmt: skip
        """Opens the store at `url` (`sqlite:///path` or `postgresql+psycopg://...`) of the engine `name`; `create`:
        makes it if it is not there. `part`: which of several in one database. `now_us`: microseconds since 1970
        UTC, for all stamps. Raises StoreUnfit if the place or what is found there cannot be used."""
        return cls(open_place(url, name=name, create=create, part=part), now_us)

    @property
    def where(self) -> str:
        """The address, without a password."""
        return self._place.where

    @property
    def warnings(self) -> list[str]:
        """What the DBA should know about the place, in words."""
        return self._place.warnings

    def lock(self, patience_s: float | None = None) -> None:
        """Becomes the one engine of this store until `close` or death. Raises StoreBusy, naming who is it already; but
        with `patience_s`, who still is it after so many seconds is ended. Called once, before the first commit."""
        with self._telling():
            self._place.lock(self._writing(), Holder.this(self._now_us()), patience_s)

    def close(self) -> None:
        """Rolls back what is not committed and lets go of everything. Readers must have stopped."""
        try:
            if self._unfit is None:
                self.rollback()
        finally:
            for connection in [*self._readers, *([self._writer] if self._writer is not None else [])]:
                with suppress(StoreUnfit), told(self.where):
                    connection.close()
            self._readers.clear()
            self._writer = None
            self._place.close()
            self._unfit = self._unfit or StoreUnfit(f"{self.where}: the store is closed")

    # ---- the port: the deciding thread

    def load(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Encoded states of the known ones among `keys`, including what is not committed yet. Deciding thread only."""
        with self._telling():
            return self._place.load(self._writing(), entity, keys)

    def find(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """The items of those values of the multimap that have any, including what is not committed yet. Deciding thread
        only."""
        with self._telling():
            return self._place.find(self._writing(), space, values)

    def entries(self, space: str) -> Iterator[tuple[str, str, bytes]]:
        """A whole space of the multimap, in code point order, including what is not committed yet. Read in pages, each
        as it then is. Deciding thread only."""
        last: tuple[str, str] | None = None
        while True:
            with self._telling():
                page = self._place.entries_from(self._writing(), space, last or ("", ""), SCAN_PAGE_ROWS)
            yield from page[1:] if page and page[0][:2] == last else page
            if len(page) < SCAN_PAGE_ROWS:
                return
            last = page[-1][:2]

    def write(self, delta: Delta) -> None:
        """Adds `delta` to the open transaction. Deciding thread only."""
        with self._telling():
            writing = self._begun()
            self._open_rows += put(self._place, writing, delta, self._now_us())

    def commit(self, delta: Delta) -> None:
        """Makes `delta`, and what was written before it, durable, all or nothing. Deciding thread only."""
        if not delta and self._open_rows < 0:
            return
        self.write(delta)
        with self._telling():
            rows, self._open_rows = self._open_rows, -1
            self._place.end(self._writing(), rows)

    def rollback(self) -> None:
        """Forgets what was written and not committed. Deciding thread only."""
        if self._writer is not None:
            with self._telling():
                self._place.undo(self._writer)
                self._open_rows = -1

    def prune_journal(self, before_us: int) -> int:
        """Removes journal rows older than `before_us` (microseconds since 1970 UTC); returns how many. Deciding thread
        only, with no open transaction; commits every few thousand rows."""
        removed = 0
        old = select(schema.journal.c.id).where(schema.journal.c.at < before_us).limit(PRUNE_ROWS)
        while True:
            with self._telling():
                writing = self._writing()
                self._place.begin(writing)
                count = writing.execute(delete(schema.journal).where(schema.journal.c.id.in_(old))).rowcount
                self._place.end(writing, count)
            removed += count
            if count < PRUNE_ROWS:
                return removed

    def set_identity(self, system: str, text: str) -> None:
        """Remembers which server stands behind `system`. Deciding thread only, with no open transaction."""
        with self._telling():
            writing = self._writing()
            self._place.begin(writing)
            self._place.insert(writing, schema.PUT_IDENTITY, [(system, text)])
            self._place.end(writing, 1)

    def remember(self, name: str, value: str) -> None:
        """Keeps a note about the store as a whole. Deciding thread only, with no open transaction."""
        with self._telling():
            writing = self._writing()
            self._place.begin(writing)
            self._place.insert(writing, schema.PUT_META, [(name, value)])
            self._place.end(writing, 1)

    def forget_base(self, since: int | None = None, *, keys: bool = False) -> None:
        """Forgets what was agreed, because it is agreed anew; see `forgetting`. Written, not committed: the first merge
        commits. Deciding thread only."""
        with self._telling():
            forget_base(self._begun(), since, keys)

    def forget_report(self) -> None:
        """Forgets what day one found. Written, not committed. Deciding thread only."""
        with self._telling():
            forget_report(self._begun())

    # ---- the port: any thread, committed only

    def state(self) -> StoreState:
        """What was last committed, of the engine as a whole."""
        with self._telling():
            reading = self._reader()
            named = {row.name: row.value for row in reading.execute(select(schema.meta))}
            systems = reading.execute(select(schema.system).where(schema.system.c.position.is_not(None)))
            applied = reading.execute(
                select(schema.applied).order_by(schema.applied.c.system, schema.applied.c.number_to)
            )
            return StoreState(
                number=int(named.get("number", "0")),
                phase=named.get("phase", ""),
                positions={row.name: row.position for row in systems},
                applied=[Applied(*row) for row in applied],
            )

    def load_committed(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Like `load`, but only what is committed."""
        with self._telling():
            return self._place.load(self._reader(), entity, keys)

    def find_committed(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Like `find`, but only what is committed."""
        with self._telling():
            return self._place.find(self._reader(), space, values)

    def pending(self, after: int, *, written: bool = False) -> Iterator[Pending]:
        """Pending rows with a number above `after`, ascending, read in pages; `written`: of the deciding thread's open
        transaction, too. A step that was written in several deltas comes as several, in the order written."""
        number, row = after, _LAST_ROW
        while True:
            with self._telling():
                page = self._place.pending_after(self._writing() if written else self._reader(), number, row)
            for _, number, records in page:
                yield Pending(number, _pairs(records))
            if not page:
                return
            row, number, _ = page[-1]

    def scan(self, entity: str, start: str = "") -> Iterator[tuple[str, bytes]]:
        """All committed records of an entity from a key on, ascending by key (code point order). Each page is read as
        it then is."""
        last: str | None = None
        while True:
            with self._telling():
                page = self._place.records_from(self._reader(), entity, start if last is None else last, SCAN_PAGE_ROWS)
            yield from page if last is None else page[1:]
            if len(page) < SCAN_PAGE_ROWS:
                return
            last = page[-1][0]

    def quarantined(self) -> list[tuple[str, str, str, str]]:
        """(entity, key, system, reason), in that order."""
        row = schema.quarantine.c
        query = select(row.entity, row.key, row.system, row.reason).order_by(row.entity, row.key, row.system)
        with self._telling():
            return [(found[0], found[1], found[2], found[3]) for found in self._reader().execute(query)]

    def held(self) -> list[tuple[str, str, int]]:
        """(entity, key, register) of what is left to a person, in that order."""
        return sorted((hold.entity, hold.key, hold.register) for hold in self.holds())

    def recall(self, name: str) -> str | None:
        """What `remember` was told under this name."""
        with self._telling():
            query = select(schema.meta.c.value).where(schema.meta.c.name == name)
            return self._reader().execute(query).scalar_one_or_none()

    def requests(self) -> list[Request]:
        """What people asked for and has not been answered, oldest first."""
        with self._telling():
            return self._waiting.read(self._asking(), self._reader())

    # ---- for commands

    def ask(self, kind: str, arguments: dict[str, str], by: str) -> int:
        """Leaves a request for the running engine and returns its id. Never waits for the engine's transaction."""
        with told(self.where):
            return ask(self._asking(), kind, arguments, by, self._now_us())

    def answer(self, number: int) -> str | None:
        """What came of request `number`, in words; None while it waits (or was never asked)."""
        with self._telling():
            query = select(schema.answer.c.answer).where(schema.answer.c.id == number)
            return self._reader().execute(query).scalar_one_or_none()

    def identity(self, system: str) -> str | None:
        """What `set_identity` was told of `system`."""
        with self._telling():
            query = select(schema.system.c.identity).where(schema.system.c.name == system)
            return self._reader().execute(query).scalar_one_or_none()

    def journal(
        self, entity: str | None = None, key: str | None = None, since: int | None = None, limit: int = 100
    ) -> list[JournalRow]:
        """The newest journal entries first: of an entity, of one record, since a time (microseconds since 1970 UTC)."""
        with self._telling():
            return [from_row(row) for row in self._reader().execute(newest(entity, key, since, limit))]

    def journal_size(self, entity: str | None = None, key: str | None = None) -> int:
        """How many journal entries there are: of an entity, of one record."""
        with self._telling():
            return int(self._reader().execute(size(entity, key)).scalar_one())

    def holds(self) -> list[HoldRow]:
        """The conflicts that are left to a person, the oldest first."""
        row = schema.hold.c
        query = select(schema.hold).order_by(row.since, row.entity, row.key, row.register)
        with self._telling():
            return [HoldRow(*found) for found in self._reader().execute(query)]

    def stats(self) -> dict[str, int]:
        """How many `records`, `entries`, `pending`, `journal`, `holds` and `quarantine` rows there are. Counts: not for
        every second on a store of millions."""
        counted = {
            "records": schema.record, "entries": schema.entry, "pending": schema.pending, "journal": schema.journal,
            "holds": schema.hold, "quarantine": schema.quarantine,
        }  # fmt: skip
        with self._telling():
            reading = self._reader()
            return {
                name: reading.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in counted.items()
            }

    def set_status(self, json_text: str) -> None:
        """Replaces the document that tells how the running engine is doing. Any thread; touches no transaction."""
        with told(self.where):
            self._place.set_status(json_text)

    def status(self) -> str | None:
        """The document that a running engine wrote last."""
        with told(self.where):
            return self._place.status()

    def bookmarks(self, system: str) -> Bookmarks:
        """Where the reading of a system's log may begin. Any thread; touches no transaction."""
        return Bookmarks(self._place, system)

    def copy(self, path: Path, *, name: str) -> SqlStore:
        """What is committed, as of one moment, in a new file at `path`: a store of its own, to be tried on and thrown
        away. Only reads here. `name`: the rule set's."""
        with self._telling():
            self._place.copy(path)
        return SqlStore.open(f"sqlite:///{path}", name=name, create=False)

    def verify(self) -> int:
        """Reads the whole store, checks every record's checksum, and returns how many there are. Raises StoreUnfit."""
        with self._telling():
            self._place.verify()
            entities = self._reader().execute(select(schema.record.c.entity).distinct()).scalars().all()
        return sum(1 for entity in entities for _ in self.scan(entity))

    # ---- connections

    def _writing(self) -> Connection:
        """The deciding thread's connection: made once."""
        if self._writer is None:
            self._writer = self._place.connect(writing=True)
        return self._writer

    def _begun(self) -> Connection:
        """The same, with its transaction open."""
        writing = self._writing()
        if self._open_rows < 0:
            self._place.begin(writing)
            self._open_rows = 0
        return writing

    def _reader(self) -> Connection:
        """This thread's connection for reading what is committed."""
        found: Connection | None = getattr(self._threads, "reader", None)
        if found is None:
            found = self._threads.reader = self._place.connect(writing=False)
            self._readers.append(found)
        return found

    def _asking(self) -> Connection:
        """This thread's connection to the inbox."""
        found: Connection | None = getattr(self._threads, "asking", None)
        if found is None:
            found = self._threads.asking = self._place.inbox()
            self._readers.append(found)
        return found

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Refuses if the store is unfit, and makes it so for good if the database fails meanwhile."""
        if self._unfit is not None:
            raise StoreUnfit(self._unfit.found, mend=self._unfit.mend)
        try:
            with told(self.where):
                yield
        except StoreUnfit as unfit:
            self._unfit = unfit
            raise


_pairs = msgspec.msgpack.Decoder(list[tuple[str, str]]).decode
