"""Turns Debezium's topics into whole transactions of bound rows, as the database committed them.

The shell around the pure parts: `kafka.tail` reads partitions, `decoding` what is in a message, `joining` makes
transactions. Here is the one reading loop. It never reconnects or waits to try again (the runner does). Positions are
the database's own; where in Kafka they are is kept in bookmarks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.debezium.bookmark import Bookmark, Bookmarker, Kept, TopicMark
from adapters.debezium.coordinates import COORDINATES, Marks, unreadable
from adapters.debezium.decoding.events import Begin, End, Event, Heartbeat, RowEvent, SchemaEvent, TruncateEvent
from adapters.debezium.joining import Found, Joining
from adapters.debezium.layout import LEDGER, Topics, called
from adapters.debezium.life import Lacking, Life
from adapters.debezium.opening import Opened, look, opened
from adapters.kafka.broker import Broker
from adapters.kafka.tail import OutOfRange, Tail
from adapters.kafka.topics import Place, TopicLook
from engine.errors import LogIncomplete, LogReset, SystemUnavailable
from engine.rulebook import Table
from engine.vocabulary import Position, Progress, Transaction

events_in_memory: Final = 20_000
"""So many events are gathered ahead at most; then only what the next transaction lacks is read."""
bytes_in_memory: Final = 128 << 20
"""So long are the messages of events that are gathered ahead, at most, or a little more."""
endings_max: Final = 5_000
"""So many ENDs are read ahead at most."""
missing_after_s: Final = 30.0
"""So long the events of a transaction whose END was read may take to come, while the connector lives."""
settles_after_s: Final = 0.25
"""What was told before a message that has been read is in Kafka so much later, at the latest: topics know no order."""
lacking_after_s: Final = 5.0
"""When something is lacking for so long, it is looked for in partitions that have come since."""
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
    marks: Callable[[], Marks]
    """How far the database's log reaches, by names of transactions; {} where they have none that are in order. Raises
    SystemUnavailable."""
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
        tables = [*((table.schema, table.name) for table in stream.tables), *([LEDGER] if stream.ledger else [])]
        self._topic_of = {number: stream.topics.of_table(*table) for number, table in enumerate(tables)}
        """Several tables may be told in one topic."""
        self._tail: Tail | None = None
        self._opened = Opened()
        self._acknowledged: Position = 0
        self._lock = threading.Lock()
        self._nudged = False
        self._heard_at = time.monotonic()
        self._hold: set[Place] = set()
        self._ledger_number = len(stream.tables)
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
        self._unread: set[Place] = set()
        """Where something may be, unread, of a transaction that seems to be complete, or to have been none."""
        self._ends: dict[Place, int] = {}
        """How far topics reached once."""
        self._ends_at = 0.0
        self._heard_at = self._lives_since = self._event_at = self._looked_at = time.monotonic()
        self._life = Life(self._heard_at)
        self._lacking = Lacking(self._life)
        self._beaten_at = 0.0
        self._unseen_since = 0.0
        """When a row was written into the ledger of which nothing has been told yet; 0: all were."""
        self._unseen_marks: Marks = {}
        """How far the log reached some time after that; {}: not known."""

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """See the port."""
        assert self._tail is not None, "it was opened"
        deadline = time.monotonic() + timeout_s
        while True:
            self._unread = set()
            event = self._joining.next(self._is_at_end) if self._knows_own else None
            now = time.monotonic()
            self._keep(now)
            if event is not None:
                self._lacking.nothing()
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
            now = time.monotonic()
            self._life.told(now, run)
            found = Found((record.topic, record.partition), record.offset, size, run, now)
            try:
                if isinstance(event, RowEvent | TruncateEvent):
                    self._event_at = now
                    self._joining.row(event, found)
                elif isinstance(event, End):
                    self._event_at = now
                    if self._ledger_number in self._joining.end(event, found):
                        self._unseen_since = 0.0
                elif isinstance(event, Begin):
                    self._joining.begin(event, found)
                elif isinstance(event, SchemaEvent):
                    self._joining.schema(event, found)
            except ValueError as error:
                raise unreadable(self.system, str(found), error) from None
            if isinstance(event, Heartbeat):
                self._lives_since = self._lives_since if now - self._heard_at < silent_after_s else now
                self._heard_at = now

    def _is_at_end(self, read_at: float) -> bool:
        """All was handed over that the topics of tables had at `read_at`, and that may be of the next transaction."""
        self._unread = self._behind(self._of_tables(), read_at)
        return not self._unread

    def _of_tables(self, numbers: Collection[int] | None = None) -> set[Place]:
        """The partitions that tables are told in; or some of the tables."""
        assert self._tail is not None
        names = {topic for number, topic in self._topic_of.items() if numbers is None or number in numbers}
        return {place for place in self._tail.places() if place[0] in names}

    def _behind(self, places: set[Place], read_at: float) -> set[Place]:
        """Those that may have something of the next transaction that was in Kafka at `read_at` and was not read.

        Where a later transaction was read, nothing is left; elsewhere the ends are asked for once: who asks again and
        again never gets there while users write."""
        assert self._tail is not None
        open_ = {place for place in places if not self._joining.is_past(place)}
        since = read_at + settles_after_s
        if open_ and (self._ends_at < since or not open_ <= self._ends.keys()):
            if time.monotonic() < since:
                return open_
            self._ends, self._ends_at = self._tail.ends(self._of_tables()), time.monotonic()
        return {place for place in open_ if self._tail.next_offset(place) < self._ends.get(place, 0)}

    def _find_topics(self, now: float) -> None:
        """Topics that have come since; and partitions, where something of a transaction does not come."""
        lacking = self._lacking.since and now - self._lacking.since > lacking_after_s
        missing = self._opened.missing(self._wanted, self._stream.topics)
        if now - self._looked_at < topics_every_s or not (missing or lacking):
            return
        assert self._tail is not None
        self._looked_at = now
        if not (lacking or missing & self._tail.names()):
            return
        with TopicLook(self._stream.broker, system=self.system) as topics:
            new = self._opened.find(topics, self._wanted, self._stream.topics)
        if new:
            self._tail.read_from(new)

    def _balance(self) -> None:
        """Holds back what is too far ahead: memory is bounded, whatever topic is read faster."""
        assert self._tail is not None
        held: set[Place] = set()
        if self._joining.in_memory > events_in_memory or self._joining.bytes_in_memory > bytes_in_memory:
            lacking = self._of_tables(self._lacking_numbers())
            needed = {place for place in lacking if not self._joining.is_past(place)} | self._unread
            held = self._of_tables() - needed
        if self._joining.waiting > endings_max:
            held.add((self._stream.topics.of_transactions, 0))
        if held != self._hold:
            self._tail.hold(self._hold - held, back=False)
            self._tail.hold(held - self._hold, back=True)
            self._hold = held

    @property
    def _knows_own(self) -> bool:
        """Our own transactions can be told from those of users."""
        return not self._stream.ledger or self._ledger_topic in self._opened.ids

    def _look_for_ledger(self, now: float) -> None:
        """Raises LogIncomplete if the ledger is not told, though rows were written into it."""
        if not self._stream.ledger:
            return
        if not self._knows_own and (self._unseen_since == 0.0 or now - self._beaten_at > missing_after_s):
            self.nudge()
        if self._unseen_since and now - self._unseen_since > missing_after_s and self._is_passed_over(now):
            raise LogIncomplete(
                "Debezium does not tell what is written into the table `duolog.ledger`, by which our own transactions "
                "are known", system=self.system,
                mend="put it (and its database) into `table.include.list` and `database.include.list` of the connector",
            )  # fmt: skip

    def _is_passed_over(self, now: float) -> bool:
        """Debezium has come to where the log has that row: it was not merely away, or is not merely behind."""
        if not self._unseen_marks:
            self._unseen_marks = self._stream.marks()
        if self._unseen_marks:
            heard = self._joining.heard
            return all(heard.get(series, -1) >= number for series, number in self._unseen_marks.items())
        # Transactions have no names in order: it lives, and has had nothing to tell for long.
        return min(now - self._lives_since, now - self._event_at) > missing_after_s > now - self._heard_at

    def _lacking_numbers(self) -> set[int]:
        names = called(self._stream.tables, ledger=self._stream.ledger)
        return {names[name] for name in self._joining.lacking()}

    def _look_for_lacking(self, now: float) -> None:
        """Raises LogIncomplete if events of the next transaction do not come."""
        lacking = self._joining.lacking() if self._joining.waiting else {}
        if not lacking:
            self._lacking.nothing()
            return
        beats = self._stream.topics.of_heartbeats in self._opened.ids
        due = self._lacking.due(self._joining.turn, now, missing_after_s, beats=beats)
        numbers = self._lacking_numbers()
        if not due or self._behind(self._of_tables(numbers), due - settles_after_s):
            return
        told = ", ".join(f"`{name}` {have} of {wanted}" for name, (have, wanted) in sorted(lacking.items()))
        where = ", ".join(sorted({f"`{self._topic_of[number]}`" for number in numbers}))
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
        self._marker.propose(self._joining.told, self._here(), now)
        self._marker.confirm(acknowledged)

    def _here(self) -> Bookmark:
        assert self._tail is not None
        first = self._joining.first_offsets()
        transactions = (self._stream.topics.of_transactions, 0)
        topics: dict[str, dict[int, int]] = {}
        for place in self._tail.places():
            if place[0] in self._stream.topics.beside:
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
        """Nobody hangs up: partitions are assigned. While nobody reads, no sign of life can be seen."""
        self._heard_at = time.monotonic()

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
            self._unseen_marks = self._unseen_marks if self._unseen_since < now else {}

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
