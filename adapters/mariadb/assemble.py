"""Turns the binlog's events into whole transactions of bound rows; the state of the fold is all in one place, in sight.

It does no I/O but for one thing: a transaction too large for memory goes to an anonymous temporary file. It decides
nothing: what a change means is the engine's business. Where the log does not tell what was done to a bound table, it
stops by name, as a change passed over would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, assert_never

from adapters.mariadb import ledger, positions, unlogged
from adapters.mariadb.binlog import events
from adapters.mariadb.binlog.events import BODY, Gtid, Header
from adapters.mariadb.binlog.reading import Hint, Unreadable
from adapters.mariadb.binlog.rows import NO_TABLE, OPERATIONS, Missing, Wanted, read_rows
from adapters.mariadb.binlog.statements import Bound, Effect, judge
from adapters.mariadb.binlog.tables import TableMap, read_name, read_table, table_id
from adapters.relational.live import TableName
from adapters.relational.spool import Receiving
from engine.errors import WireError
from engine.rulebook import Table
from engine.vocabulary import INSERT, TRUNCATE, Position, Progress, Transaction

Hints = Mapping[TableName, Mapping[str, Hint]]
"""By table and column, what only the live catalog knows of it."""

tables_kept: Final = 1_000
"""Descriptions of tables that are remembered: the log repeats them before every statement."""

_LEDGER: Final = -1
"""In the place of a bound table's number."""

_GIGABYTES: Final = 1 << 32
"""Events tell the last 32 bits of their offset only."""


@dataclass(frozen=True, slots=True)
class _Described:
    """A table of the log whose rows are read."""

    table: TableMap
    wanted: Wanted


@dataclass(slots=True)
class _Group:
    """The events that are being received: a transaction, or one statement that is none."""

    gtid: Gtid
    receiving: Receiving
    single: bool | None
    """It is over after one statement; None: the first statement will tell (MySQL)."""
    judged: bool = False
    """Whether it is ours is known: the ledger's row is the first of all rows."""
    savepoints: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By name, (how often it was spilled, changes in memory) at that moment."""
    spills: int = 0


class Assembler:
    """Folds events into transactions: feed it each packet of a stream, in order. One stream at a time.

    `tables`: the bound ones, whose numbers the changes bear. `engine`: whose rows in the ledger make a transaction
    ours (or any of `engines`). `skip_own`: tell own ones as Progress. `spool_dir`: where large ones are kept."""

    def __init__(
        self,
        system: str,
        tables: Sequence[Table],
        *,
        engine: str,
        engines: Sequence[str] = (),
        skip_own: bool = False,
        spool_dir: Path | None = None,
    ) -> None:
        self.system = system
        self.altered = False
        """A bound table's definition changed: what the live catalog says of it is to be told again, by `describe`."""
        self._engines = frozenset(engines) or frozenset((engine,))
        self._skip_own = skip_own
        self._spool_dir = spool_dir
        self._tables = {(table.schema, table.name): (number, table) for number, table in enumerate(tables)}
        self._bound = Bound(self._tables)
        self._hints: Hints = {}
        self._known: dict[bytes, _Described | None] = {}
        """By the description's bytes; None: not bound."""
        self._maps: dict[bytes, _Described | None] = {}
        """By the number under which the rows of this group refer to a table."""
        self._prepared: dict[str, Receiving] = {}
        """XA transactions that are neither committed nor rolled back, by name."""
        self._group: _Group | None = None
        self._file = 0
        self._offset = 0
        self._checksummed: bool | None = None
        """None: the stream has not told yet."""
        self._mariadb = True
        """Which server writes the log: a few things mean something else in MySQL's."""

    @property
    def idle(self) -> bool:
        """True between transactions."""
        return self._group is None

    @property
    def position(self) -> Position:
        """How far the log was fed."""
        return self._position()

    def describe(self, hints: Hints, *, folded: bool) -> None:
        """Tells what the live catalog knows. `folded`: names of tables are the same in capital letters."""
        self._hints = hints
        self._bound = Bound(self._tables, folded=folded)
        self._known.clear()
        self.altered = False

    def reset(self) -> None:
        """Forgets what is half received, and where the log was read."""
        self._forget_group()
        for receiving in self._prepared.values():
            receiving.close()
        self._prepared.clear()
        self._known.clear()
        self._file = self._offset = 0
        self._checksummed = None

    def feed(self, packet: bytes) -> Transaction | Progress | None:
        """Takes the next packet that carries an event; returns the transaction that it completes, or Progress.

        Raises WireError for bytes that break the protocol, SchemaChanged for a table that lost what is bound,
        LogIncomplete or LogUnreadable for what the log does not tell, or not so that it can be read."""
        try:
            kind, stop, flags = events.opened(packet)
            if kind != events.TABLE_MAP and kind not in OPERATIONS:
                return self._feed_other(packet, events.read_header(packet))
            end = self._end(packet)
            self._advance(stop, flags)
            if kind == events.TABLE_MAP:
                self._describe_table(packet, end)
            else:
                self._rows(packet, end, kind)
            return None
        except WireError as error:
            error.system = error.system or self.system
            raise

    # ------------------------------------------------------------ where the log is

    def _end(self, packet: bytes) -> int:
        """Where the body of an event ends, whose checksum is right, if there is to be one."""
        if self._checksummed is None:
            return events.sum_end(packet)
        return events.check_sum(packet) if self._checksummed else len(packet)

    def _on_notice(self, packet: bytes, end: int, header: Header) -> Progress | None:
        """Another file, or a sign of life."""
        if header.kind == events.ROTATE:
            rotate = events.read_rotate(packet, end)
            # Of a group that a crash of the server cut off, the next file knows nothing.
            self._forget_group()
            self._file, self._offset = _file_number(rotate.file), rotate.offset
            return self._progress()
        file = events.heartbeat_file(packet, end)
        if not self.idle or header.kind != events.HEARTBEAT or _file_number(file) != self._file:
            return None
        offset = self._offset & -_GIGABYTES | header.end
        return Progress(self.system, positions.number(self._file, max(offset, self._offset)))

    def _advance(self, end: int, flags: int) -> None:
        """The log was read up to the `end` of an event with these `flags`, as its header has them."""
        if end == 0 or flags & events.ARTIFICIAL:
            return
        offset = self._offset & -_GIGABYTES | end
        if offset < self._offset:
            offset += _GIGABYTES
            if offset - self._offset > _GIGABYTES // 2:
                raise WireError("an event behind the one before expected", events.START + 13)
        self._offset = offset

    def _position(self) -> Position:
        return positions.number(self._file, self._offset)

    def _progress(self) -> Progress:
        return Progress(self.system, self._position())

    # ------------------------------------------------------------ groups

    def _feed_other(self, packet: bytes, header: Header) -> Transaction | Progress | None:
        """Every event but those of rows and tables."""
        if header.kind == events.FORMAT:
            said = events.read_format(packet)
            self._checksummed, self._mariadb = said.checksummed, "mariadb" in said.server.lower()
            self._advance(header.end, header.flags)
            return None
        end = self._end(packet)
        if header.kind in (events.ROTATE, events.HEARTBEAT, events.HEARTBEAT_V2):
            return self._on_notice(packet, end, header)
        self._advance(header.end, header.flags)
        return self._logged(packet, end, header)

    def _logged(self, packet: bytes, end: int, header: Header) -> Transaction | Progress | None:
        """Of these, every one that stands in the log."""
        match header.kind:
            case events.GTID_MARIADB | events.GTID_MYSQL | events.GTID_ANONYMOUS | events.GTID_TAGGED:
                if self._group is not None:
                    raise WireError("the end of a group expected before the next", events.START + 4)
                gtid = events.read_gtid(packet, end, header)
                single = gtid.standalone if header.kind == events.GTID_MARIADB else None
                self._group = _Group(gtid, Receiving(self._spool_dir), single)
            case events.XID:
                return self._complete(header)
            case events.QUERY | events.QUERY_COMPRESSED | events.EXECUTE_LOAD:
                query = events.read_query(packet, end, header.kind)
                return self._statement(judge(query, self._bound), header)
            case events.XA_PREPARE:
                return self._prepare(*events.read_xa_prepare(packet, end), header)
            case events.INCIDENT:
                raise unlogged.incident(self.system, self._where())
            case kind if kind not in events.SAYS_NOTHING and not header.flags & events.IGNORABLE:
                raise unlogged.unknown_event(self.system, self._where(), kind)
            case _:
                return self._progress() if self.idle else None
        return None

    def _opened(self) -> _Group:
        if self._group is None:
            raise WireError("the beginning of a group expected before what belongs to one", events.START + 4)
        return self._group

    def _complete(self, header: Header) -> Transaction | Progress:
        """The group took effect."""
        group = self._opened()
        self._group = None
        self._maps.clear()
        return group.receiving.complete(self.system, self._position(), _time(group.gtid, header))

    def _forget_group(self) -> None:
        if self._group is not None:
            self._group.receiving.close()
        self._group = None
        self._maps.clear()

    def _prepare(self, name: str, committed: bool, header: Header) -> Transaction | Progress:
        """An XA transaction waits for its end, which is a group of its own."""
        if committed:
            return self._complete(header)
        self._prepared[name.lower()] = self._opened().receiving
        self._group = None
        self._maps.clear()
        return self._progress()

    def _finish(self, name: str, header: Header, *, committed: bool) -> Transaction | Progress:
        """An XA transaction that was prepared has come to its end."""
        group = self._opened()
        self._group = None
        receiving = self._prepared.pop(name.lower(), None)
        if committed and receiving is None:
            raise unlogged.unknown_xa(self.system, self._where())
        if committed and receiving is not None:
            return receiving.complete(self.system, self._position(), _time(group.gtid, header))
        if receiving is not None:
            receiving.close()
        return self._progress()

    def _statement(self, effect: Effect, header: Header) -> Transaction | Progress | None:
        """A statement that is logged as such."""
        group = self._opened()
        match effect.kind:
            case "begin" | "xa_begin":
                group.single = False
                return None
            case "commit":
                return self._complete(header)
            case "rollback":
                # Rows of tables without transactions have groups of their own: these here were undone.
                self._forget_group()
                return self._progress()
            case "xa_commit":
                return self._finish(effect.said, header, committed=True)
            case "xa_rollback":
                return self._finish(effect.said, header, committed=False)
            case "savepoint":
                group.savepoints[effect.said.lower()] = (group.spills, len(group.receiving.changes))
            case "rollback_to":
                self._roll_back(group, effect.said.lower())
            case "truncated":
                numbers = [self._tables[table][0] for table in effect.tables]
                group.receiving.changes += [(number, TRUNCATE, None, None) for number in numbers]
            case "altered":
                self.altered = True
                self._skip_own = False  # our writes may change more from now on
            case "dropped" | "renamed" | "unlogged":
                raise unlogged.statement(self.system, self._where(), effect)
            case "none" | "xa_end":
                pass
            case _:
                assert_never(effect.kind)
        if group.single is None:
            group.single = True
        return self._complete(header) if group.single else None

    def _roll_back(self, group: _Group, name: str) -> None:
        """Undoes what came after a savepoint. (Usually the server leaves it out of the log by itself.)"""
        spills, count = group.savepoints.get(name, (-1, 0))
        if spills != group.spills:
            raise unlogged.savepoint(self.system, self._where())
        del group.receiving.changes[count:]

    # ------------------------------------------------------------ rows

    def _describe_table(self, packet: bytes, end: int) -> None:
        group = self._opened()
        if group.receiving.skipped:
            return
        said = packet[BODY + 6 : end]
        try:
            found = self._known[said]
        except KeyError:
            if len(self._known) >= tables_kept:
                self._known.clear()
            found = self._known[said] = self._describe(packet, end)
        self._maps[table_id(packet)] = found

    def _describe(self, packet: bytes, end: int) -> _Described | None:
        """What is to be read of a table's rows; None: nothing."""
        name = read_name(packet, end)
        if name == ledger.TABLE:
            return self._described(packet, end, Table(*name, ("engine", "system", "number_to"), (0, 1, 2)), _LEDGER, {})
        bound = self._bound.find(name)
        if bound is None:
            return None
        number, table = self._tables[bound]
        return self._described(packet, end, table, number, self._hints.get(bound, {}))

    def _described(
        self, packet: bytes, end: int, table: Table, number: int, hints: Mapping[str, Hint]
    ) -> _Described | None:
        found = read_table(packet, end, mariadb=self._mariadb)
        if not found.named:
            raise unlogged.unnamed(self.system, self._where(), table)
        there = {column.name for column in found.columns}
        lost = [name for name in table.columns if name not in there]
        if lost:
            raise unlogged.lost_columns(self.system, self._where(), table, lost)
        return _Described(found, Wanted(number, table.columns, table.key, hints))

    def _rows(self, packet: bytes, end: int, kind: int) -> None:
        group = self._opened()
        receiving = group.receiving
        if receiving.skipped:
            return
        try:
            described = self._maps[packet[BODY : BODY + 6]]
        except KeyError:
            if packet[BODY : BODY + 6] == NO_TABLE:
                return
            raise WireError("a table's description expected before its rows", BODY) from None
        if described is None:
            group.judged = True
            return
        if described.wanted.number == _LEDGER and group.judged:
            return
        try:
            changes = read_rows(packet, end, kind, described.table, described.wanted)
        except Missing as missing:
            raise unlogged.missing(self.system, self._where(), described.table, missing) from None
        except Unreadable as unreadable:
            raise unlogged.unreadable(self.system, self._where(), described.table, unreadable) from None
        if described.wanted.number == _LEDGER:
            for _, done, new, _ in changes:
                if done == INSERT and new and new[0] in self._engines and new[1] == self.system:
                    group.judged, receiving.engine, receiving.number = True, str(new[0]), int(str(new[2]))
                    receiving.mark(own=True, skipped=self._skip_own)
            return
        group.judged = True
        receiving.changes += changes
        receiving.size += len(packet)
        if len(receiving.changes) > receiving.rows_max or receiving.size > receiving.bytes_max:
            receiving.spill()
            group.spills += 1

    def _where(self) -> str:
        """The place in the log that is being read, for messages."""
        return positions.text(self._position())


def _time(gtid: Gtid, header: Header) -> int:
    """When a group was committed: as the server says it, or in whole seconds when the last statement began."""
    return gtid.committed_at or header.at * 1_000_000


def _file_number(name: str) -> int:
    try:
        return positions.file_number(name)
    except ValueError:
        raise WireError("the name of a file of the log expected", BODY) from None
