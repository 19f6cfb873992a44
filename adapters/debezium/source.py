"""Turns Debezium's topics into whole transactions of bound rows, as the database committed them.

The shell around the pure parts: `kafka.tail` reads partitions, `decoding` what is in a message, `joining` makes
transactions. Here is the one reading loop. It never reconnects or waits to try again (the runner does). Positions are
the database's own; where in Kafka they are is kept in bookmarks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.debezium.bookmark import Bookmark, Bookmarker, Kept, TopicMark
from adapters.debezium.coordinates import COORDINATES, unreadable
from adapters.debezium.decoding.events import Begin, End, Event, Heartbeat, RowEvent, TruncateEvent
from adapters.debezium.joining import Found, Joining
from adapters.debezium.layout import LEDGER, Topics, called
from adapters.debezium.opening import Opened, look, opened
from adapters.kafka.broker import Broker
from adapters.kafka.tail import OutOfRange, Tail
from adapters.kafka.topics import Place, TopicLook
from engine.errors import LogIncomplete, LogReset, SystemUnavailable
from engine.rulebook import Table
from engine.vocabulary import Position, Progress, Transaction

events_in_memory: Final = 20_000
"""So many events are gathered ahead at most; then only what the next transaction lacks is read."""
endings_max: Final = 5_000
"""So many ENDs are read ahead at most."""
missing_after_s: Final = 30.0
"""So long the events of a transaction whose END was read may take to come."""
topics_every_s: Final = 0.5
"""How often topics are looked for that are not there yet: Debezium makes them with the first row."""
silent_after_s: Final = 60.0
"""A connector that has given no sign of life for so long is told of."""
beat_every_s: Final = 0.25
"""How often the database's log is made to move, at most."""

RUN_HEADER: Final = "__debezium.context.runId"


class Decode(Protocol):
    """What makes events of messages; see `adapters.debezium.decoding`."""

    def decode(
        self, topic: str, partition: int, offset: int, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> Event:
        """What a message says. Raises LogUnreadable, SchemaChanged, LogIncomplete."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a source reads, and how. `own`: of an event, (engine, number of the batch) if it bears our mark.
    `beat`: makes the database's log move, so that Debezium tells of it; raises SystemUnavailable."""

    broker: Broker
    database: str
    """The kind of database."""
    topics: Topics
    tables: Sequence[Table]
    ledger: bool
    """Our own transactions are known by their row in the ledger, which is captured, too."""
    own: Callable[[RowEvent | TruncateEvent], tuple[str, int] | None]
    decoder: Callable[[], Decode]
    beat: Callable[[], None]
    make_sure: Callable[[Position], None]
    """Raises WrongServer or PositionForeign if the database's log is not the one that a position is of."""
    skip_own: bool = False
    spool_dir: Path | None = None


class DebeziumSource:
    """A Source (see `engine/ports.py`) of one database that Debezium reads. `bookmarks`: where they are kept; None:
    nowhere, and reading begins at the beginning of the topics."""

    def __init__(self, system: str, stream: Stream, bookmarks: Kept | None) -> None:
        self.system = system
        self._stream = stream
        self._bookmarks = bookmarks
        self._wanted = stream.topics.wanted(stream.tables, ledger=stream.ledger)
        self._tail: Tail | None = None
        self._opened = Opened()
        self._acknowledged: Position = 0
        self._lock = threading.Lock()
        self._nudged = False
        self._heard_at = time.monotonic()
        self._hold: set[Place] = set()
        self._ledger_topic = stream.topics.of_table(*LEDGER)

    def open(self, resume: Position) -> None:
        """Begins to read where the transactions after `resume` are.

        Raises SystemUnavailable, AccessDenied; LogLost, LogReset if what follows is not in Kafka any more."""
        self.close()
        stream = self._stream
        stream.make_sure(resume)
        self._decoder = stream.decoder()
        with TopicLook(stream.broker, system=self.system) as topics:
            kept = self._bookmarks.newest(resume) if self._bookmarks is not None else None
            self._opened = opened(self.system, topics, stream.topics, self._wanted, kept)
        self._joining = Joining(
            self.system, COORDINATES[stream.database], called(stream.tables, ledger=stream.ledger),
            ledger=len(stream.tables), own=stream.own, resume=resume, joined=self._opened.joined,
            skip_own=stream.skip_own, spool_dir=stream.spool_dir,
        )  # fmt: skip
        self._joining.next_end = self._opened.offsets.get((stream.topics.of_transactions, 0), 0)
        self._marker = Bookmarker(self._bookmarks)
        self._tail = Tail(stream.broker, system=self.system, client=f"duolog {self.system}")
        self._tail.read_from(self._opened.offsets)
        self._hold = set()
        self._heard_at = self._looked_at = time.monotonic()
        self._lacking_since = 0.0
        self._beaten_at = 0.0
        self._unseen_since = 0.0
        """When a row was written into the ledger of which nothing has been told yet; 0: all were."""

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """See the port."""
        assert self._tail is not None, "it was opened"
        deadline = time.monotonic() + timeout_s
        while True:
            event = self._joining.next(self._is_at_end) if self._knows_own else None
            now = time.monotonic()
            self._keep(now)
            if event is not None:
                self._lacking_since = 0.0
                return event
            self._beat(now)
            self._find_topics(now)
            self._look_for_ledger(now)
            self._balance()
            self._look_for_lacking(now)
            if now >= deadline:
                return None
            self._take(self._read(min(deadline - now, 0.1)))

    def _read(self, timeout_s: float) -> list[Any]:
        assert self._tail is not None
        try:
            return self._tail.read(timeout_s)
        except OutOfRange as error:
            with TopicLook(self._stream.broker, system=self.system) as topics:
                look(self.system, topics, error.asked, self._opened.ids)
            return []  # it is in range now: the broker was just starting

    def _take(self, records: list[Any]) -> None:
        for record in records:
            headers = record.headers
            event = self._decoder.decode(record.topic, record.partition, record.offset, record.value, headers)
            run = next((value for name, value in headers if name == RUN_HEADER), b"")
            size = len(record.value) if record.value else 0
            found = Found((record.topic, record.partition), record.offset, size, run)
            try:
                if isinstance(event, RowEvent | TruncateEvent):
                    if event.table == len(self._stream.tables):
                        self._unseen_since = 0.0
                    self._joining.row(event, found)
                elif isinstance(event, End):
                    self._joining.end(event, found)
                elif isinstance(event, Begin):
                    self._joining.begin(event, found)
            except ValueError as error:
                raise unreadable(self.system, str(found), error) from None
            self._heard_at = time.monotonic() if isinstance(event, Heartbeat) else self._heard_at

    def _is_at_end(self) -> bool:
        """All that the topics of tables have now was handed over."""
        assert self._tail is not None
        return self._tail.is_at_end([place for place in self._tail.places() if place[0] in self._wanted])

    def _find_topics(self, now: float) -> None:
        """Topics and partitions that have come since."""
        if now - self._looked_at < topics_every_s or not self._opened.missing(self._wanted, self._stream.topics):
            return
        assert self._tail is not None
        self._looked_at = now
        if not self._opened.missing(self._wanted, self._stream.topics) & self._tail.names():
            return
        with TopicLook(self._stream.broker, system=self.system) as topics:
            new = self._opened.find(topics, self._wanted, self._stream.topics)
        if new:
            self._tail.read_from(new)

    def _balance(self) -> None:
        """Holds back what is too far ahead: memory is bounded, whatever topic is read faster."""
        assert self._tail is not None
        held: set[Place] = set()
        if self._joining.in_memory > events_in_memory:
            needed = {topic for topic, number in self._wanted.items() if number in self._lacking_numbers()}
            held = {place for place in self._tail.places() if place[0] in self._wanted and place[0] not in needed}
        if self._joining.waiting > endings_max:
            held.add((self._stream.topics.of_transactions, 0))
        if held != self._hold:
            self._tail.hold(held - self._hold, back=True)
            self._tail.hold(self._hold - held, back=False)
            self._hold = held

    @property
    def _knows_own(self) -> bool:
        """Our own transactions can be told from those of users."""
        return not self._stream.ledger or self._ledger_topic in self._opened.ids

    def _look_for_ledger(self, now: float) -> None:
        """Raises LogIncomplete if the ledger is not told, though rows were written into it."""
        if not self._stream.ledger:
            return
        if not self._knows_own and self._unseen_since == 0.0:
            self.nudge()
        if self._unseen_since and now - self._unseen_since > missing_after_s and self._heard_at > self._unseen_since:
            raise LogIncomplete(
                "Debezium does not tell what is written into the table `duolog.ledger`, by which our own transactions "
                "are known", system=self.system,
                mend="put it (and its database) into `table.include.list` and `database.include.list` of the connector",
            )  # fmt: skip

    def _lacking_numbers(self) -> set[int]:
        names = called(self._stream.tables, ledger=self._stream.ledger)
        return {names[name] for name in self._joining.lacking()}

    def _look_for_lacking(self, now: float) -> None:
        """Raises LogIncomplete if events of the next transaction do not come."""
        lacking = self._joining.lacking() if self._joining.waiting else {}
        if not lacking:
            self._lacking_since = 0.0
        elif self._lacking_since == 0.0:
            self._lacking_since = now
        elif now - self._lacking_since > missing_after_s and self._is_at_end():
            told = ", ".join(f"`{name}` {have} of {wanted}" for name, (have, wanted) in sorted(lacking.items()))
            names = called(self._stream.tables, ledger=self._stream.ledger)
            topics = {number: topic for topic, number in self._wanted.items()}
            where = ", ".join(f"`{topics[names[name]]}`" for name in sorted(lacking))
            raise LogIncomplete(
                f"changes of a transaction are not in Kafka: {told}; looked for in {where}", system=self.system,
                mend="if these topics are called otherwise, say so by `topics: {prefix: …, tables: {…}}`; if something "
                "drops messages (a filter, a transform, retention), mend it, then `duolog run RULES --merge-again`",
            )  # fmt: skip

    # ---- bookmarks

    def _keep(self, now: float) -> None:
        if not self._marker.is_due(now):
            return
        with self._lock:
            acknowledged = self._acknowledged
        self._marker.confirm(acknowledged)
        if self._joining.told > acknowledged:
            self._marker.propose(self._joining.told, self._here(), now)

    def _here(self) -> Bookmark:
        assert self._tail is not None
        first = self._joining.first_offsets()
        transactions = (self._stream.topics.of_transactions, 0)
        topics: dict[str, dict[int, int]] = {}
        for place in self._tail.places():
            if place[0] == self._stream.topics.of_heartbeats:
                continue
            at = first.get(place, self._tail.next_offset(place)) if place != transactions else self._joining.next_end
            topics.setdefault(place[0], {})[place[1]] = at
        joined = self._joining.joined
        return Bookmark(
            {name: TopicMark(self._opened.ids[name], offsets) for name, offsets in topics.items()},
            joined.ended, dict(joined.marks),
        )  # fmt: skip

    # ---- what other threads ask

    def keep_alive(self) -> None:
        """Nobody hangs up: partitions are assigned."""

    def acknowledge(self, position: Position) -> None:
        """See the port: what is durable becomes a bookmark."""
        with self._lock:
            self._acknowledged = max(self._acknowledged, position)

    def delivered(self, position: Position) -> None:
        """Nobody waits at COMMIT for what comes over Kafka."""

    def nudge(self) -> None:
        """Has the database's log move: Debezium tells no position where nothing happens."""
        with self._lock:
            self._nudged = True

    def _beat(self, now: float) -> None:
        with self._lock:
            due = self._nudged and now - self._beaten_at >= beat_every_s
            if due:
                self._nudged, self._beaten_at = False, now
        if due:
            self._stream.beat()
            self._unseen_since = self._unseen_since or now

    def verify(self) -> None:
        """See the port. Raises LogReset for a topic that was made anew, SystemUnavailable if Debezium is silent."""
        ids = dict(self._opened.ids)
        with TopicLook(self._stream.broker, system=self.system) as topics:
            found = topics.find(ids)
        for name, id in ids.items():
            if name not in found or found[name].id != id:
                raise LogReset(
                    f"the topic `{name}` was {'made anew' if name in found else 'removed'}", system=self.system,
                    mend="`duolog run RULES --merge-again`, which compares both sides and reads on from there",
                )  # fmt: skip
        silent_s = time.monotonic() - self._heard_at
        if self._stream.topics.of_heartbeats in ids and silent_s > silent_after_s:
            raise SystemUnavailable(
                f"Debezium has given no sign of life for {silent_s:.0f} s", system=self.system,
                mend="look at its connector: GET /connectors/NAME/status of Kafka Connect",
            )  # fmt: skip

    def close(self) -> None:
        """Hangs up, and keeps the last bookmark."""
        tail, self._tail = self._tail, None
        if tail is None:
            return
        try:
            self._marker.confirm(self._acknowledged)
            self._joining.close()
        finally:
            tail.close()
