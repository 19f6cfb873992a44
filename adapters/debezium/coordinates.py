"""Turns what Debezium says of where the log has a transaction into a position that compares with the database's own.

One class for each kind of log. A position is what the database itself, asked under row locks, would compare with: a
user who committed before has a lower one or the same, one who comes later a higher one. Pure; measured, not deduced:
see `docs/decisions/0036-positions-of-the-database-itself.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, Protocol, TypeAlias

from adapters.debezium.decoding.events import Order, Source
from engine.errors import LogUnreadable
from engine.vocabulary import Position

Mark: TypeAlias = "tuple[int, ...]"
"""Where in its transaction an event is: the same when it is told again, and growing in the order of the transaction."""

Marks: TypeAlias = "dict[str, int]"
"""How far transactions were ended that have a name and no position: by series of names, the number of the last."""

OFFSET_BITS: Final = 40
POSITION_BITS: Final = 63

_FILE: Final = re.compile(r"\.([0-9]{1,10})\Z", re.ASCII)
_GTID_MARIADB: Final = re.compile(r"([0-9]+)-[0-9]+-([0-9]+)", re.ASCII)
_GTID_MYSQL: Final = re.compile(r"([0-9a-fA-F-]{36}(?::[A-Za-z_]\w*)?):([0-9]+)", re.ASCII)
_PLACE: Final = re.compile(r"file=(.+),\s*pos=([0-9]+)", re.ASCII)
_LSN: Final = re.compile(r"([0-9a-fA-F]{8}):([0-9a-fA-F]{8}):([0-9a-fA-F]{4})", re.ASCII)

BLOCK_BITS: Final = 28
SLOT_BITS: Final = 12
SEQUENCE_BITS: Final = POSITION_BITS - BLOCK_BITS - SLOT_BITS
"""How much of SQL Server's `file:block:slot` (32, 32 and 16 bits) a position has room for."""

SAME_SCN_BITS: Final = 8
"""So many transactions may have one commit SCN of Oracle's, as a power of two."""


class Coordinates(Protocol):
    """One kind of log."""

    counts_anew: bool
    """A connector that was interrupted in a transaction counts its events anew when it goes on: END tells what came
    since. (The one of PostgreSQL goes on counting.)"""

    def of_end(self, name: str) -> Position | None:
        """The position that the id of an END record tells; None where ids tell none. Raises ValueError."""

    def of_event(self, source: Source) -> Position:
        """The position that an event tells of its transaction, at least; 0 where events tell none. Raises
        ValueError."""

    def of_snapshot(self, source: Source) -> Position:
        """Behind what a snapshot of the connector's was taken; 0 where that is not told. Raises ValueError."""

    shared: bool
    """Several transactions may have one position."""

    def is_over(self, source: Source, ended: Position) -> bool:
        """Where events tell no position: true if one cannot be of a transaction that ends after `ended`, where another
        one ended that was told. Raises ValueError."""

    def is_later(self, source: Source, ended: Position) -> bool:
        """True if an event is surely of a transaction that ends after `ended`, where another one ended. Raises
        ValueError."""

    def mark(self, source: Source, order: Order) -> Mark:
        """Where in its transaction an event is. Raises ValueError."""

    def series(self, name: str) -> tuple[str, int] | None:
        """(series, number) of a transaction's name, where names are numbered in the order of commits."""


class PostgresCoordinates:
    """The LSN at the end of the commit, as `adapters.postgresql` has it: it stands in the id of the END record."""

    counts_anew = False
    shared = False

    def of_end(self, name: str) -> Position | None:
        """`758:28311088`"""
        number, _, lsn = name.rpartition(":")
        if not (number.isdecimal() and lsn.isdecimal()):
            raise ValueError("the id of an END is not `transaction:lsn`")
        return int(lsn)

    def of_event(self, source: Source) -> Position:
        """No row tells where its transaction ends."""
        return 0

    def of_snapshot(self, source: Source) -> Position:
        """The LSN, as of a row."""
        return source.lsn or 0

    def is_over(self, source: Source, ended: Position) -> bool:
        """Beside its own LSN a row tells where the last transaction ended that was told before its own."""
        before = _before(source)
        return before is not None and before < ended

    def is_later(self, source: Source, ended: Position) -> bool:
        """See `is_over`."""
        before = _before(source)
        return before is not None and before >= ended

    def mark(self, source: Source, order: Order) -> Mark:
        """All rows of a COPY have one LSN."""
        if source.lsn is None:
            raise ValueError("an event without `lsn`")
        return source.lsn, order.total_order

    def series(self, name: str) -> tuple[str, int] | None:
        """Numbers of transactions are given when they begin."""
        return None


class BinlogCoordinates:
    """Number of the binlog's file and offset there, of the last rows: between beginning and end of the transaction."""

    counts_anew = True
    shared = False

    def of_end(self, name: str) -> Position | None:
        """A GTID has no place; without GTIDs, the id is one."""
        found = _PLACE.fullmatch(name)
        return _place(found[1], int(found[2])) if found is not None else None

    def of_event(self, source: Source) -> Position:
        """Where the rows are in the log."""
        if not source.file or source.pos is None:
            raise ValueError("an event without `file` and `pos`")
        return _place(source.file, source.pos)

    def of_snapshot(self, source: Source) -> Position:
        """Where the log ended then, as of a row."""
        return self.of_event(source)

    def is_over(self, source: Source, ended: Position) -> bool:
        """Events tell their positions."""
        return False

    def is_later(self, source: Source, ended: Position) -> bool:
        """Events tell their positions."""
        return self.of_event(source) > ended

    def mark(self, source: Source, order: Order) -> Mark:
        """Connectors count the events of a transaction anew if they were interrupted in it: its order is no mark."""
        return self.of_event(source), source.row or 0

    def series(self, name: str) -> tuple[str, int] | None:
        """`0-1-42` is the 42nd of the domain 0; of MySQL, `uuid:42` that of a server."""
        found = _GTID_MARIADB.fullmatch(name) or _GTID_MYSQL.fullmatch(name)
        return (found[1], int(found[2])) if found is not None else None


class SqlServerCoordinates:
    """The LSN of the commit, squeezed from 80 bits; also Db2's, which is told in the same form."""

    counts_anew = True
    shared = False

    def of_end(self, name: str) -> Position | None:
        """The id of a transaction is its commit LSN; Db2's may be another."""
        return squeezed(name) if _LSN.fullmatch(name) else None

    def of_event(self, source: Source) -> Position:
        """Each row tells it."""
        if source.commit_lsn is None:
            raise ValueError("an event without `commit_lsn`")
        return squeezed(source.commit_lsn)

    def of_snapshot(self, source: Source) -> Position:
        """The last LSN then, as of a row; that tables were looked at may be told without one."""
        return self.of_event(source) if source.commit_lsn is not None else 0

    def is_over(self, source: Source, ended: Position) -> bool:
        """Events tell their positions."""
        return False

    def is_later(self, source: Source, ended: Position) -> bool:
        """Events tell their positions."""
        return self.of_event(source) > ended

    def mark(self, source: Source, order: Order) -> Mark:
        """Within a commit, changes are ordered by an LSN and a number of their own."""
        return _wide(source.change_lsn or ""), source.event_serial_no or 0

    def series(self, name: str) -> tuple[str, int] | None:
        """Names are positions."""
        return None


class OracleCoordinates:
    """The commit's SCN. Several transactions may have one: they have one position, too, and are told as one."""

    counts_anew = True
    shared = True

    def of_end(self, name: str) -> Position | None:
        """The number of a transaction tells no time."""
        return None

    def of_event(self, source: Source) -> Position:
        """Each row tells it."""
        if source.commit_scn is None:
            raise ValueError("an event without `commit_scn`")
        return _of_scn(source.commit_scn)

    def of_snapshot(self, source: Source) -> Position:
        """The SCN of which it is a picture."""
        return _of_scn(source.scn) if source.scn is not None else 0

    def is_over(self, source: Source, ended: Position) -> bool:
        """Events tell their positions."""
        return False

    def is_later(self, source: Source, ended: Position) -> bool:
        """Events tell their positions."""
        return self.of_event(source) > ended

    def mark(self, source: Source, order: Order) -> Mark:
        """Its rows come in order, and are counted."""
        return (order.total_order,)

    def series(self, name: str) -> tuple[str, int] | None:
        """Numbers of transactions are those of their place in the undo segments."""
        return None


COORDINATES: Final[Mapping[str, Coordinates]] = {
    "postgresql": PostgresCoordinates(),
    "mariadb": BinlogCoordinates(),
    "mysql": BinlogCoordinates(),
    "mssql": SqlServerCoordinates(),
    "db2": SqlServerCoordinates(),
    "oracle": OracleCoordinates(),
}
"""By kind of database, as rules call it."""


def squeezed(lsn: str) -> Position:
    """SQL Server's `0000002d:00000a48:0003` as one number of 63 bits. Raises ValueError if it does not fit: it would be
    a lower one than those before."""
    found = _LSN.fullmatch(lsn)
    if found is None:
        raise ValueError("an LSN that is not `file:block:slot`")
    sequence, block, slot = (int(part, 16) for part in found.groups())
    if sequence >> SEQUENCE_BITS or block >> BLOCK_BITS or slot >> SLOT_BITS:
        raise ValueError("an LSN beyond what a position has room for")
    return (sequence << BLOCK_BITS | block) << SLOT_BITS | slot


def widened(position: Position) -> str:
    """The LSN that `squeezed` made a position of, as SQL Server writes it."""
    rest, slot = position >> SLOT_BITS, position & (1 << SLOT_BITS) - 1
    return f"{rest >> BLOCK_BITS:08x}:{rest & (1 << BLOCK_BITS) - 1:08x}:{slot:04x}"


def gtid_marks(said: str) -> Marks:
    """How far a server has come, by what it says: MariaDB's `0-1-42,1-7-9`, MySQL's `uuid:1-42:45,uuid:tag:1-9`."""
    marks: Marks = {}
    for part in filter(None, (each.strip() for each in said.replace("\n", "").split(","))):
        if found := _GTID_MARIADB.fullmatch(part):
            marks[found[1]] = max(int(found[2]), marks.get(found[1], 0))
            continue
        series, *ranges = part.split(":")
        for each in ranges:
            number = each.rpartition("-")[2]
            if number.isdecimal():
                marks[series] = max(int(number), marks.get(series, 0))
            else:
                series = f"{series.partition(':')[0]}:{each}"
    return marks


def _before(source: Source) -> Position | None:
    """Where the last transaction ended that PostgreSQL's connector told before this event's; None: not told."""
    before = json.loads(source.sequence)[0] if source.sequence else None
    return int(before) if before is not None else None


def _place(file: str, offset: int) -> Position:
    found = _FILE.search(file)
    if found is None or offset >> OFFSET_BITS or int(found[1]) >> POSITION_BITS - OFFSET_BITS:
        raise ValueError("a place that is none in a binlog")
    return int(found[1]) << OFFSET_BITS | offset


def _of_scn(told: str | int) -> Position:
    scn = int(str(told).partition(",")[0])
    if not 0 <= scn < 1 << (POSITION_BITS - SAME_SCN_BITS):
        raise ValueError("an SCN beyond what a position has room for")
    return scn << SAME_SCN_BITS


def _wide(lsn: str) -> int:
    """All bits of an LSN: it is compared within one transaction only."""
    digits = lsn.replace(":", "")
    if not digits:
        raise ValueError("an event without `change_lsn`")
    return int(digits, 16)


def unreadable(system: str, where: str, error: ValueError) -> LogUnreadable:
    """`error`, which says what a message lacks, as what stops a source. `where`: topic, partition and offset."""
    return LogUnreadable(
        f"{where}: {error}", system=system,
        mend="if the connector was changed: set it right, then `duolog run RULES --merge-again`; else report it",
    )  # fmt: skip
