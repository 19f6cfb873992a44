"""Turns Debezium's events, of several topics that know no order among each other, into whole transactions in commit
order.

The topic of transactions gives the order: an END says how many events of which tables belong to it, and they are
gathered until they are there. What was told before is dropped: Debezium tells everything at least once. Pure: it is
handed messages that were decoded, and told how far partitions were read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from adapters.debezium.coordinates import Coordinates, Marks
from adapters.debezium.decoding.events import Begin, End, Order, RowEvent, SchemaEvent, Source, TruncateEvent
from adapters.debezium.gathering import Gathering
from adapters.kafka.topics import Place
from engine.errors import LogIncomplete, LogLost
from engine.vocabulary import Position, Progress, Transaction

over_max: Final = 10_000
"""So many transactions that are over are remembered by name."""

AGAIN: Final = "`duolog run RULES --merge-again`, which compares both sides and reads on from there"


class Found(NamedTuple):
    """Where a message was."""

    place: Place
    offset: int
    size: int
    """In bytes."""
    run: bytes
    """What the connector calls its run; empty if it does not."""
    read_at: float = 0.0
    """When it was read, in seconds that never go back."""

    def __str__(self) -> str:
        return f"{self.place[0]}:{self.place[1]}:{self.offset}"


@dataclass(slots=True)
class _Ending:
    """A transaction whose END was read."""

    name: str
    position: Position | None
    counts: dict[int, int]
    """By bound table, or the ledger: how many events there are."""
    offset: int
    """Of END."""
    begun: int
    """How often its beginning was told."""
    read_at: float = 0.0
    ends: bool = True
    """False: only that it began was told, and then that another one did. So connectors of binlogs tell of a statement
    that alters or empties a table; and so it looks when one was interrupted, and begins again further back."""


@dataclass(slots=True)
class Joined:
    """How far transactions were joined."""

    ended: Position = 0
    """The highest position that the log itself told."""
    marks: Marks = field(default_factory=dict)


class Joining:
    """Joins the transactions of one system that end after `resume`.

    `tables`: by name as Debezium has it, the numbers of the bound tables and of the ledger. `ledger`: the number of the
    latter. `own`: of an event, the engine whose mark it bears, and the number of its batch, if it bears ours.
    `skip_own`: tell own transactions as Progress. `spool_dir`: for transactions too large for memory."""

    def __init__(
        self, system: str, coordinates: Coordinates, tables: Mapping[str, int], *, ledger: int,
        own: Callable[[RowEvent | TruncateEvent], tuple[str, int] | None], resume: Position, joined: Joined,
        skip_own: bool = False, spool_dir: Path | None = None,
    ) -> None:  # fmt: skip
        self._system = system
        self._coordinates = coordinates
        self._tables = tables
        self._ledger = ledger
        self._own = own
        self._skip_own = skip_own
        self._folder = spool_dir
        self.told = resume
        """Everything up to here was handed over, or is not wanted."""
        self.joined = joined
        self._open: dict[str, Gathering] = {}
        self._old: dict[str, Gathering] = {}
        """Those that end at `told` or before: counted only."""
        self._over: dict[str, Position] = {}
        """Names of transactions that are over, and where they ended, at the latest."""
        self._passed: dict[str, _Ending] = {}
        """Those of which only the beginning was told, and passed over."""
        self._latest: dict[Place, tuple[str, Source]] = {}
        """By partition, of which transaction its last event was, and what that told of its place."""
        self._endings: deque[_Ending] = deque()
        self._begun: dict[str, int] = {}
        self.next_end = 0
        """The offset behind the last END that was dealt with, in the topic of transactions."""
        self.heard: Marks = dict(joined.marks)
        """By series of names, of which transaction the END was read."""
        self.repeated = 0
        """Events that were told before."""

    def close(self) -> None:
        """What was gathered is forgotten."""
        for gathering in self._open.values():
            gathering.close()

    # ---- what comes

    def begin(self, event: Begin, found: Found) -> None:
        """A transaction begins."""
        name = _name(event.id)
        for other in [each for each in self._begun if each != name and self._coordinates.counts_anew]:
            begun = self._begun.pop(other)
            self._endings.append(_Ending(other, None, {}, found.offset - 1, begun, found.read_at, ends=False))
        self._begun[name] = self._begun.get(name, 0) + 1

    def end(self, event: End, found: Found) -> dict[int, int]:
        """A transaction is complete, once its events have come. Returns how many of which table, or of the ledger,
        those are. Raises ValueError."""
        counts: dict[int, int] = {}
        for table, count in event.counts.items():
            number = self._tables.get(table, self._tables.get(table.partition(".")[2]))
            if number is not None and count:
                counts[number] = counts.get(number, 0) + count
        name = _name(event.id)
        position = self._coordinates.of_end(event.id)
        self._passed.pop(name, None)
        self._endings.append(_Ending(name, position, counts, found.offset, self._begun.pop(name, 1), found.read_at))
        series = self._coordinates.series(name)
        if series is not None:
            self.heard[series[0]] = max(series[1], self.heard.get(series[0], 0))
        return counts

    def row(self, event: RowEvent | TruncateEvent, found: Found) -> None:
        """An event of a bound table, or of the ledger. Raises ValueError, LogIncomplete, LogLost."""
        source, order = event.source, event.order
        if order is None:
            self._without_order(event, found)
            return
        name = order.name
        position = self._coordinates.of_event(source)
        if position and isinstance(event, TruncateEvent):
            position += 1  # it has the place where the transaction before it ended
        self._latest[found.place] = (name, source)
        if name in self._over and (position or not self._coordinates.is_later(source, self._over[name])):
            if position > self.told:
                raise self._came_late(found)
            self.repeated += 1
            return
        if name in self._passed and isinstance(event, TruncateEvent):
            self._emptied_late(name, position, found)
        old = self._coordinates.is_over(source, self.joined.ended) or (
            0 < position < self.told + (not self._coordinates.shared)
        )
        gathering = (self._old if old else self._open).get(name)
        if gathering is None:
            gathering = (self._old if old else self._open)[name] = Gathering(self._folder)
            if len(self._old) > over_max:
                self._old.pop(next(iter(self._old)))
        half = 1 if isinstance(event, RowEvent) and event.half == "latter" else 0
        mark = (*self._coordinates.mark(source, order), half)
        if not gathering.note(found.place, found.offset, event.table, mark, order.total_order, found.run) or old:
            self.repeated += 1
            return
        gathering.position = max(gathering.position, position)
        gathering.committed_at = max(gathering.committed_at, source.committed_at)
        own = self._own(event)
        if own is not None:
            gathering.engine, gathering.number = own[0], own[1] or gathering.number
        if event.table != self._ledger:
            gathering.keep(found.place, mark, event, found.size)

    def _without_order(self, event: RowEvent | TruncateEvent, found: Found) -> None:
        """It was read by a snapshot; or the connector does not tell transactions."""
        if not event.source.snapshotted:
            raise LogIncomplete(
                f"{found}: Debezium does not tell to which transaction a change belongs", system=self._system,
                mend="set `provide.transaction.metadata` to true for the connector; then " + AGAIN,
            )  # fmt: skip
        self._must_be_past(event.source, found)

    def schema(self, event: SchemaEvent, found: Found) -> None:
        """What became of tables. A connector that begins anew tells all of them again. Raises LogLost."""
        if event.source.snapshotted:
            self._must_be_past(event.source, found)

    def _must_be_past(self, source: Source, found: Found) -> None:
        """Raises LogLost for a snapshot that was taken behind what we were told: from there on it reads."""
        if source.snapshot == "incremental":
            return
        taken = self._coordinates.of_snapshot(source)
        if taken > self.told:
            raise LogLost(
                f"{found}: Debezium has lost its place in the log and began anew: what was changed in between was "
                "never told", system=self._system, mend=AGAIN,
            )  # fmt: skip

    # ---- what goes

    def next(self, is_at_end: Callable[[float], bool]) -> Transaction | Progress | None:
        """The next transaction; or that there was nothing for us up to a position; None if more has to come first.
        `is_at_end`: whether all was handed over that tables' topics had at a time and that may be of the next one."""
        quiet: Position = 0
        while self._endings:
            ending = self._endings[0]
            if not ending.ends and not self._was_emptied(ending):
                if not is_at_end(ending.read_at):
                    break
                self._pass_over(self._endings.popleft())
                continue
            if not self._is_old(ending):
                gathering = self._open.get(ending.name)
                if not self._is_complete(ending, gathering, is_at_end):
                    break
                if gathering is not None and quiet:
                    break  # what is known already is told first
                event = self._handed_over(ending, gathering)
                if isinstance(event, Transaction):
                    return event
                quiet = event or quiet
            self._done(ending)
        return Progress(self._system, quiet) if quiet else None

    @property
    def turn(self) -> str:
        """The name of the next transaction; empty if none is awaited."""
        return self._endings[0].name if self._endings else ""

    def lacking(self) -> dict[str, tuple[int, int]]:
        """By table: how many events of the next transaction have come, and how many have to; {} if none is awaited."""
        if not self._endings:
            return {}
        ending = self._endings[0]
        gathering = self._open.get(ending.name) or self._old.get(ending.name) or Gathering(None)
        if gathering.is_complete(ending.counts, anew=self._coordinates.counts_anew):
            return {}
        names = {number: name for name, number in self._tables.items()}
        return {names[n]: (have, ending.counts[n]) for n, have in gathering.lacks(ending.counts).items()}

    def is_past(self, place: Place) -> bool:
        """True if the last event of a partition is of a later transaction than the next one: no more of that comes
        there. (False if nobody knows.)"""
        if not self._endings or place not in self._latest:
            return False
        ending, (name, source) = self._endings[0], self._latest[place]
        mine, other = self._coordinates.series(ending.name), self._coordinates.series(name)
        if mine is not None and other is not None:
            return mine[0] == other[0] and other[1] > mine[1]
        return ending.position is not None and self._coordinates.is_later(source, ending.position)

    @property
    def in_memory(self) -> int:
        """How many events are in memory."""
        return sum(gathering.in_memory for gathering in self._open.values())

    @property
    def bytes_in_memory(self) -> int:
        """How long the messages of these events were."""
        return sum(gathering.size for gathering in self._open.values())

    @property
    def waiting(self) -> int:
        """How many ENDs have been read whose turn has not come."""
        return len(self._endings)

    def first_offsets(self) -> dict[Place, int]:
        """By partition, the first event of a transaction that is not over: reading has to begin there at the latest."""
        first: dict[Place, int] = {}
        for gathering in self._open.values():
            for place, offset in gathering.first_offsets():
                first[place] = min(offset, first.get(place, offset))
        return first

    def _is_old(self, ending: _Ending) -> bool:
        """True if the transaction is over, or was before we began: END came again, or its events before ours."""
        if ending.position is not None:
            return ending.position <= self.told
        if ending.name in self._over:
            return True
        if ending.name in self._open:
            return False
        series = self._coordinates.series(ending.name)
        if series is not None and series[1] <= self.joined.marks.get(series[0], -1):
            return True
        gathering = self._old.get(ending.name)
        return gathering is not None and gathering.is_complete(ending.counts, anew=self._coordinates.counts_anew)

    def _pass_over(self, ending: _Ending) -> None:
        self._passed[ending.name] = ending
        if len(self._passed) > over_max:
            self._passed.pop(next(iter(self._passed)))

    def _emptied_late(self, name: str, position: Position, found: Found) -> None:
        """That a table was emptied has come behind the beginning of a later transaction: it is told before that one.
        Raises LogIncomplete if that was told already."""
        if position <= self.told:
            raise self._came_late(found)
        self._endings.appendleft(self._passed.pop(name))

    def _was_emptied(self, ending: _Ending) -> bool:
        gathering = self._open.get(ending.name)
        return gathering is not None and gathering.truncated

    def _is_complete(self, ending: _Ending, gathering: Gathering | None, is_at_end: Callable[[float], bool]) -> bool:
        anew = self._coordinates.counts_anew
        runs = gathering.runs if gathering is not None else 0
        if not anew or (ending.begun == 1 and runs <= 1):
            return not ending.counts or (gathering is not None and gathering.is_complete(ending.counts, anew=anew))
        # It was interrupted, and END tells of one run only: what came before may lie in any of the topics. Or it tells
        # of all, and some of that was lost with the connector, and told again by the next.
        if ending.counts and (
            gathering is None
            or not any(gathering.is_complete(ending.counts, anew=counted) for counted in (True, False))
        ):
            return False
        return is_at_end(ending.read_at)

    def _handed_over(self, ending: _Ending, gathering: Gathering | None) -> Transaction | Position:
        """The transaction; or where it ended, 0 if that is not told, if it has nothing for us."""
        position = ending.position or (gathering.position if gathering is not None else 0)
        if position:
            self.told = max(self.told, position)
            self.joined.ended = max(self.joined.ended, position)
        if gathering is None:
            return position
        self.repeated += gathering.repeated
        if not gathering.rows or (gathering.engine and self._skip_own):
            gathering.close()
            return position
        rows, engine, number = gathering.rows, gathering.engine, gathering.number
        changes, spool = gathering.take()
        self._done(ending)
        return Transaction(
            system=self._system, position=position, committed_at=gathering.committed_at, own=bool(engine),
            changes=changes, rows=rows, spool=spool, number=number, engine=engine,
        )  # fmt: skip

    def _done(self, ending: _Ending) -> None:
        self._endings.popleft()
        self.next_end = ending.offset + 1
        self._open.pop(ending.name, None)
        self._old.pop(ending.name, None)
        self._over.pop(ending.name, None)
        self._over[ending.name] = self.told if ending.position is None else ending.position
        if len(self._over) > over_max:
            self._over.pop(next(iter(self._over)))
        series = self._coordinates.series(ending.name)
        if series is not None:
            marks = self.joined.marks
            marks[series[0]] = max(series[1], marks.get(series[0], 0))

    def _came_late(self, found: Found) -> LogIncomplete:
        return LogIncomplete(
            f"{found}: this belongs to a transaction that was told to be complete without it", system=self._system,
            mend=AGAIN,
        )  # fmt: skip


def _name(id: str) -> str:
    """What all records of a transaction have in common."""
    return Order(id, 0, 0).name
