"""Tries the fold of events into transactions on events built here: what MySQL writes otherwise, files beyond 4 GiB,
savepoints in the log, and large transactions."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from adapters.mariadb import positions
from adapters.mariadb.assemble import Assembler
from adapters.mariadb.binlog import events
from engine.errors import LogIncomplete, LogUnreadable, WireError
from engine.rulebook import Table
from engine.vocabulary import ABSENT, Change, Progress, Transaction

ITEM = Table("erp", "item", ("id", "name"), (0,))


class Log:
    """Writes packets as a server sends them."""

    def __init__(self, server: str = "8.0.36", *, at: int = 4) -> None:
        self.at = at
        self._server = server

    def begin(self) -> list[bytes]:
        rotate = self.event(events.ROTATE, struct.pack("<Q", self.at) + b"log.000007", end=0, flags=events.ARTIFICIAL)
        body = struct.pack("<H50sIB", 4, self._server.encode(), 0, 19) + bytes(40) + b"\1"
        return [rotate, self.event(events.FORMAT, body, end=0)]

    def event(self, kind: int, body: bytes, *, end: int | None = None, flags: int = 0) -> bytes:
        size = 19 + len(body) + 4
        if end is None:
            self.at += size
            end = self.at & 0xFFFFFFFF
        data = struct.pack("<IBIIIH", 1_700_000_000, kind, 1, size, end, flags) + body
        return b"\0" + data + struct.pack("<I", zlib.crc32(data))

    def gtid(self, *, committed_at: int = 0) -> bytes:
        body = b"\0" + bytes(range(16)) + struct.pack("<Q", 77) + b"\2" + struct.pack("<QQ", 1, 2)
        return self.event(events.GTID_MYSQL, body + committed_at.to_bytes(7, "little"))

    def maria_gtid(self, *, standalone: bool = False) -> bytes:
        return self.event(events.GTID_MARIADB, struct.pack("<QIB", 5, 0, standalone) + bytes(6))

    def query(self, text: str, schema: str = "erp") -> bytes:
        variables = b"\x00\0\0\0\0\x01\0\0\0\0\0\0\0\0\x06\x03std\x04\x2d\0\x2d\0\x2d\0"
        header = struct.pack("<IIBHH", 1, 0, len(schema), 0, len(variables))
        return self.event(events.QUERY, header + variables + schema.encode() + b"\0" + text.encode())

    def table(self) -> bytes:
        names = b"\x02id\x04name"
        told = b"\x01\x01\x00" + b"\x02\x01\x2d" + bytes([4, len(names)]) + names
        body = bytes([9, 0, 0, 0, 0, 0, 1, 0]) + b"\x03erp\0\x04item\0\x02\x03\x0f\x02\x50\x00\x02" + told
        return self.event(events.TABLE_MAP, body)

    def rows(self, *rows: tuple[int, str], kind: int = events.WRITE) -> bytes:
        body = bytes([9, 0, 0, 0, 0, 0, 1, 0]) + b"\x02\0" + b"\x02\xff"
        for id_, name in rows:
            body += b"\0" + struct.pack("<i", id_) + bytes([len(name.encode())]) + name.encode()
        return self.event(kind, body)

    def updates(self, before: int, after: int, *rows: tuple[str, ...]) -> bytes:
        """Updated rows: which columns the old and the new one have, as bits; then the values that there are."""
        body = bytes([9, 0, 0, 0, 0, 0, 1, 0]) + b"\x02\0\x02" + bytes([before, after])
        for row in rows:
            values = iter(row)
            for image in (before, after):
                body += b"\0"
                body += struct.pack("<i", int(next(values))) if image & 1 else b""
                if image & 2:
                    name = next(values).encode()
                    body += bytes([len(name)]) + name
        return self.event(events.UPDATE, body)

    def xid(self) -> bytes:
        return self.event(events.XID, bytes(8))

    def one(self, *rows: tuple[int, str]) -> list[bytes]:
        return [self.gtid(), self.query("BEGIN"), self.table(), self.rows(*rows), self.xid()]


def assembler(spool_dir: Path | None = None) -> Assembler:
    made = Assembler("erp", [ITEM], engine="unit", spool_dir=spool_dir)
    made.describe({}, folded=False)
    return made


def fold(folded: Assembler, packets: Iterable[bytes]) -> list[Transaction | Progress]:
    return [item for item in map(folded.feed, packets) if item is not None]


def changes(items: Iterable[Transaction | Progress]) -> list[list[Change]]:
    return [[*chunk] for item in items if isinstance(item, Transaction) for chunk in item.chunks()]


def inserted(*rows: tuple[int, str]) -> list[Change]:
    return [(0, "I", (str(id_), name), None) for id_, name in rows]


def test_a_transaction_of_mysql_ends_with_its_xid() -> None:
    log = Log()
    moment = 1_700_000_000_123_456
    packets = [
        *log.begin(), log.gtid(committed_at=moment | 1 << 55), log.query("BEGIN"), log.table(), log.rows((1, "é")),
        log.xid(),
    ]  # fmt: skip

    (item,) = (item for item in fold(assembler(), packets) if isinstance(item, Transaction))

    assert item.changes == inserted((1, "é"))
    assert item.committed_at == moment
    assert item.position == positions.number(7, log.at)


def test_a_statement_of_mysql_that_is_no_transaction_is_a_group_of_its_own() -> None:
    log = Log()
    packets = [
        *log.begin(), log.gtid(), log.query("TRUNCATE TABLE item"), log.gtid(), log.query("CREATE TABLE x (a int)"),
        *log.one((2, "after")),
    ]  # fmt: skip

    assert changes(fold(assembler(), packets)) == [[(0, "T", None, None)], inserted((2, "after"))]


def test_a_table_that_mysql_makes_of_a_select_is_one_group() -> None:
    log = Log()
    packets = [
        *log.begin(), log.gtid(), log.query("BEGIN"), log.query("CREATE TABLE item (id int) START TRANSACTION"),
        log.table(), log.rows((1, "one")), log.xid(),
    ]  # fmt: skip

    assert changes(fold(assembler(), packets)) == [inserted((1, "one"))]


def test_what_mysql_logs_of_an_xa_transaction_waits_for_its_end() -> None:
    log = Log()
    prepare = bytes([0]) + struct.pack("<III", 1, 2, 1) + b"abc"
    packets = [
        *log.begin(), log.gtid(), log.query("XA START X'6162',X'63',1"), log.table(), log.rows((1, "xa")),
        log.query("XA END X'6162',X'63',1"), log.event(events.XA_PREPARE, prepare),
        *log.one((2, "meanwhile")),
        log.gtid(), log.query("XA COMMIT X'6162',X'63',1"),
    ]  # fmt: skip

    assert changes(fold(assembler(), packets)) == [inserted((2, "meanwhile")), inserted((1, "xa"))]


def test_an_xa_transaction_in_one_phase_is_committed_at_once() -> None:
    log = Log()
    packets = [
        *log.begin(), log.gtid(), log.query("XA START X'61',X'',1"), log.table(), log.rows((1, "xa")),
        log.event(events.XA_PREPARE, bytes([1]) + struct.pack("<III", 1, 1, 0) + b"a"),
    ]  # fmt: skip

    assert changes(fold(assembler(), packets)) == [inserted((1, "xa"))]


def test_an_xa_transaction_that_began_before_is_a_stop_only_when_committed() -> None:
    log = Log()
    begun = [*log.begin(), log.gtid(), log.query("XA ROLLBACK X'61',X'',1"), log.gtid()]

    folded = assembler()
    assert changes(fold(folded, begun)) == []
    with pytest.raises(LogIncomplete, match="XA transaction was committed"):
        folded.feed(log.query("XA COMMIT X'61',X'',1"))


def test_what_came_after_a_savepoint_is_undone_when_the_log_says_so() -> None:
    log = Log()
    packets = [
        *log.begin(), log.gtid(), log.query("BEGIN"), log.table(), log.rows((1, "kept")), log.query("SAVEPOINT `a`"),
        log.rows((2, "undone")), log.query("SAVEPOINT `b`"), log.rows((3, "undone")), log.query("ROLLBACK TO `a`"),
        log.rows((4, "kept, too")), log.query("COMMIT"),
    ]  # fmt: skip

    assert changes(fold(assembler(), packets)) == [inserted((1, "kept"), (4, "kept, too"))]


def test_a_savepoint_that_went_to_the_spool_cannot_be_found_again(tmp_path: Path) -> None:
    log = Log()
    folded = assembler(tmp_path)
    fold(folded, [*log.begin(), log.gtid(), log.query("BEGIN"), log.table(), log.query("SAVEPOINT `a`")])
    for first in range(0, 10_200, 300):
        folded.feed(log.rows(*((first + at, "x") for at in range(300))))

    with pytest.raises(LogUnreadable, match="savepoint"):
        folded.feed(log.query("ROLLBACK TO `a`"))


def test_a_group_that_was_rolled_back_is_progress() -> None:
    log = Log("10.11.19-MariaDB")
    packets = [*log.begin(), log.maria_gtid(), log.table(), log.rows((1, "undone")), log.query("ROLLBACK")]

    items = fold(assembler(), packets)

    assert items[-1] == Progress("erp", positions.number(7, log.at))
    assert changes(items) == []


def test_a_statement_of_mariadb_that_is_no_transaction_is_over_at_once() -> None:
    log = Log("10.11.19-MariaDB")
    packets = [*log.begin(), log.maria_gtid(standalone=True), log.query("TRUNCATE item")]

    assert changes(fold(assembler(), packets)) == [[(0, "T", None, None)]]


def test_offsets_go_on_beyond_what_an_event_can_tell() -> None:
    log = Log(at=0xFFFFFF00)
    folded = assembler()
    items = fold(folded, [*log.begin(), *log.one((1, "before")), *log.one((2, "after"))])

    ends = [item.position for item in items if isinstance(item, Transaction)]
    assert ends[1] > ends[0]
    assert ends[1] == positions.number(7, log.at)
    assert log.at > 1 << 32
    beat = log.event(events.HEARTBEAT, b"log.000007", end=log.at & 0xFFFFFFFF)
    assert folded.feed(beat) == Progress("erp", positions.number(7, log.at))


def test_a_heartbeat_of_another_file_or_in_the_midst_of_a_group_says_nothing() -> None:
    log = Log()
    folded = assembler()
    fold(folded, [*log.begin(), *log.one((1, "one"))])
    assert folded.feed(log.event(events.HEARTBEAT, b"log.000008", end=900)) is None
    assert folded.feed(log.event(events.HEARTBEAT, b"log.000007", end=log.at)) == Progress(
        "erp", positions.number(7, log.at)
    )
    folded.feed(log.gtid())
    assert folded.feed(log.event(events.HEARTBEAT, b"log.000007", end=log.at)) is None


def test_a_file_without_checksums_is_read_as_one() -> None:
    log = Log()
    folded = assembler()
    body = struct.pack("<H50sIB", 4, b"8.0.36", 0, 19) + bytes(40) + b"\0"
    fold(folded, [log.begin()[0], log.event(events.FORMAT, body, end=0)])
    plain = [packet[:10] + struct.pack("<I", len(packet) - 5) + packet[14:-4] for packet in log.one((1, "one"))]

    assert changes(fold(folded, plain)) == [inserted((1, "one"))]


def test_a_group_in_a_group_is_refused() -> None:
    log = Log()

    with pytest.raises(WireError, match="the end of a group expected before the next"):
        fold(assembler(), [*log.begin(), log.gtid(), log.gtid()])


def test_an_event_that_only_ends_a_statement_says_nothing() -> None:
    log = Log()
    packets = [
        *log.begin(), log.gtid(), log.query("BEGIN"), log.table(), log.rows((1, "one")),
        log.event(events.WRITE, b"\xff\xff\xff\0\0\0\1\0\x02\0\0"), log.xid(),
    ]  # fmt: skip

    assert changes(fold(assembler(), packets)) == [inserted((1, "one"))]


@pytest.mark.parametrize(("before", "after", "row", "expected"), [
    (3, 3, ("1", "old", "1", "new"), (0, "U", ("1", "new"), None)),
    (3, 3, ("1", "old", "2", "new"), (0, "U", ("2", "new"), ("1", "old"))),
    (3, 2, ("1", "old", "new"), (0, "U", ("1", "new"), None)),  # only what changed is told again
    (3, 1, ("1", "old", "2"), (0, "U", ("2", "old"), ("1", "old"))),
    (1, 2, ("1", "new"), (0, "U", ("1", "new"), None)),
    (1, 1, ("1", "2"), (0, "U", ("2", ABSENT), ("1", ABSENT))),
    (1, 3, ("1", "1", "new"), (0, "U", ("1", "new"), None)),
])  # fmt: skip
def test_an_update_tells_what_its_images_know(before: int, after: int, row: tuple[str, ...], expected: Change) -> None:
    log = Log()
    packets = [
        *log.begin(), log.gtid(), log.query("BEGIN"), log.table(), log.updates(before, after, row, row), log.xid()
    ]  # fmt: skip

    assert changes(fold(assembler(), packets)) == [[expected, expected]]


@pytest.mark.parametrize(("before", "after", "row"), [(2, 3, ("old", "1", "new")), (2, 2, ("old", "new"))])
def test_an_update_whose_row_cannot_be_told_stops(before: int, after: int, row: tuple[str, ...]) -> None:
    log = Log()
    packets = [*log.begin(), log.gtid(), log.query("BEGIN"), log.table(), log.updates(before, after, row)]

    with pytest.raises(LogIncomplete, match=r"an UPDATE of `erp\.item` was logged without `id`"):
        fold(assembler(), packets)
