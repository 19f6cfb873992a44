"""Debezium's events become whole transactions, whatever order topics are read in, and whatever is told again."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from adapters.debezium.bookmark import Bookmark, Bookmarker, TopicMark, bookmark
from adapters.debezium.coordinates import COORDINATES
from adapters.debezium.decoding.events import Begin, End, Order, RowEvent, Source, TruncateEvent
from adapters.debezium.joining import Found, Joined, Joining
from engine.errors import LogIncomplete, LogLost
from engine.vocabulary import Change, Position, Progress, Transaction

TABLES = {"public.item": 0, "public.part": 1, "duolog.ledger": 2}
LEDGER = 2


class Log:
    """A joining under test, and how many messages each partition has had."""

    def __init__(self, kind: str, resume: Position = 0, joined: Joined | None = None, **words: object) -> None:
        self.joining = Joining(
            "erp", COORDINATES[kind], TABLES, ledger=LEDGER, own=own, resume=resume, joined=joined or Joined(), **words
        )  # type: ignore[arg-type]
        self.offsets: dict[tuple[str, int], int] = {}

    def found(self, topic: str, partition: int = 0, run: bytes = b"") -> Found:
        place = (topic, partition)
        self.offsets[place] = self.offsets.get(place, -1) + 1
        return Found(place, self.offsets[place], 10, run)

    def row(self, event: RowEvent | TruncateEvent, partition: int = 0, run: bytes = b"") -> None:
        self.joining.row(event, self.found(f"t{event.table}", partition, run))

    def begin(self, name: str) -> None:
        self.joining.begin(Begin(name, 0), self.found("transaction"))

    def end(self, name: str, **counts: int) -> None:
        told = {f"public.{table}" if table != "ledger" else "duolog.ledger": n for table, n in counts.items()}
        self.joining.end(End(name, 0, sum(counts.values()), told), self.found("transaction"))

    def next(self, *, at_end: bool = True) -> Transaction | Progress | None:
        return self.joining.next(lambda _: at_end)

    def all(self) -> list[Transaction]:
        found: list[Transaction] = []
        while (event := self.next()) is not None:
            found += [event] if isinstance(event, Transaction) else []
        return found


def own(event: RowEvent | TruncateEvent) -> tuple[str, int] | None:
    if event.source.origin == "ours":
        return "unit", 0
    if isinstance(event, RowEvent) and event.table == LEDGER and event.new is not None:
        return "unit", int(str(event.new[2]))
    return None


def pg(xid: int, order: int, lsn: int, key: str, *, table: int = 0, before: int | None = None, origin: str | None = None
       ) -> RowEvent:  # fmt: skip
    sequence = f'["{before}","{lsn}"]' if before is not None else f'[null,"{lsn}"]'
    source = Source("postgresql", ts_us=xid, lsn=lsn, sequence=sequence, origin=origin)
    return RowEvent(table, "c", (key,), None, "", source, Order(f"{xid}:{lsn}", order, order))


def maria(gtid: str, order: int, pos: int, row: int, key: str, *, table: int = 0) -> RowEvent:
    source = Source("mariadb", file="bin.000003", pos=pos, row=row, ts_us=order)
    new = (key,) if table != LEDGER else ("unit", "erp", key)
    return RowEvent(table, "c", new, None, "", source, Order(gtid, order, order))


def at(pos: int) -> Position:
    return 3 << 40 | pos


def keys(item: Transaction | Progress | None) -> list[str | None]:
    assert isinstance(item, Transaction)
    return [key(change) for chunk in item.chunks() for change in chunk]


def key(change: Change) -> str | None:
    row = change[2] or change[3]
    assert row is not None
    return str(row[0])


def test_a_transaction_of_postgresql_ends_where_its_end_says() -> None:
    log = Log("postgresql")
    log.row(pg(758, 1, 100, "a"))
    log.row(pg(758, 2, 130, "b", table=1))
    assert log.next() is None
    log.end("758:200", item=1, part=1)

    item = log.next()

    assert isinstance(item, Transaction)
    assert (item.position, item.committed_at, item.own, keys(item)) == (200, 758, False, ["a", "b"])


def test_the_order_is_that_of_ends_whatever_was_read_first() -> None:
    log = Log("postgresql")
    log.end("1:100", item=1)
    log.end("2:200", part=1)
    log.row(pg(2, 1, 20, "second", table=1))
    assert log.next() is None
    log.row(pg(1, 1, 90, "first"))

    assert [(item.position, keys(item)) for item in log.all()] == [(100, ["first"]), (200, ["second"])]


def test_rows_of_several_partitions_come_in_the_order_of_the_log() -> None:
    log = Log("postgresql")
    for order, partition in ((2, 1), (4, 1), (1, 0), (3, 0)):
        log.row(pg(7, order, 100 + order, str(order)), partition)
    log.end("7:300", item=4)

    assert keys(log.next()) == ["1", "2", "3", "4"]


def test_what_ends_at_the_position_or_before_is_dropped() -> None:
    log = Log("postgresql", resume=200)
    for xid, end in ((1, 100), (2, 200), (3, 300)):
        log.row(pg(xid, 1, end - 10, str(xid)))
        log.end(f"{xid}:{end}", item=1)

    assert [item.position for item in log.all()] == [300]


def test_transactions_told_again_from_further_back_are_dropped() -> None:
    log = Log("postgresql")
    for _ in range(2):
        for xid, end in ((1, 100), (2, 200)):
            log.row(pg(xid, 1, end - 10, str(xid), before=end - 100))
            log.end(f"{xid}:{end}", item=1)

    assert [item.position for item in log.all()] == [100, 200]
    assert log.next() is None
    assert log.joining.first_offsets() == {}


def test_a_connector_of_postgresql_that_was_interrupted_goes_on_counting() -> None:
    """As recorded: 5 rows, then from the 4th on again."""
    log = Log("postgresql")
    for order in (1, 2, 3, 4, 5, 4, 5, 6, 7):
        log.row(pg(9, order, 100 + order, str(order), before=50), run=b"one" if order == 1 else b"")
    log.end("9:300", item=7)

    assert keys(log.next()) == list("1234567")


@pytest.mark.parametrize("runs", [(b"one", b"two"), (b"", b"")], ids=["named", "not named"])
def test_a_connector_of_a_binlog_that_was_interrupted_counts_anew_and_its_end_tells_the_last_run_only(
    runs: tuple[bytes, bytes],
) -> None:
    """As recorded of MariaDB: 6 of 10 rows, then from the 5th on again, counted from 1; END tells 6 events."""
    log = Log("mariadb")
    log.begin("0-1-7")
    for n in range(1, 7):
        log.row(maria("0-1-7", n, 500, n, str(n)), run=runs[0])
    log.begin("0-1-7")
    log.end("0-1-7", item=6)
    assert log.next(at_end=False) is None, "that the first six are what END means is not known yet"
    for n in range(5, 11):
        log.row(maria("0-1-7", n - 4, 500, n, str(n)), run=runs[1])

    assert keys(log.next()) == [str(n) for n in range(1, 11)]


def test_an_end_that_tells_all_is_met_by_rows_of_two_runs_together() -> None:
    """One row of the first run was still on its way when Kafka Connect was killed, and its END was not."""
    log = Log("mariadb")
    log.begin("0-1-7")
    log.row(maria("0-1-7", 1, 500, 0, "a"), run=b"one")
    log.end("0-1-7", item=1, part=1)
    log.begin("0-1-7")
    log.row(maria("0-1-7", 1, 600, 0, "b", table=1), run=b"two")
    log.end("0-1-7", part=1)

    assert log.next(at_end=False) is None
    assert [keys(item) for item in log.all()] == [["a", "b"]]


def test_an_end_of_nothing_waits_for_what_was_told_before_the_interruption() -> None:
    """All rows were told when Kafka Connect was killed; the next run told the beginning and the end."""
    log = Log("mariadb")
    log.begin("0-1-7")
    log.begin("0-1-7")
    log.end("0-1-7")
    assert log.next(at_end=False) is None
    log.row(maria("0-1-7", 1, 500, 0, "a"), run=b"one")

    assert [keys(item) for item in log.all()] == [["a"]]


def test_what_comes_behind_a_transaction_that_was_told_stops() -> None:
    log = Log("mariadb")
    log.row(maria("0-1-7", 1, 500, 0, "a"))
    log.end("0-1-7", item=1)
    assert keys(log.next()) == ["a"]

    with pytest.raises(LogIncomplete, match="complete without it"):
        log.row(maria("0-1-7", 2, 600, 0, "b"))


def test_a_binlog_transaction_is_where_its_last_rows_are() -> None:
    log = Log("mariadb")
    log.row(maria("0-1-7", 1, 500, 0, "12", table=LEDGER))
    log.row(maria("0-1-7", 2, 700, 0, "a"))
    log.end("0-1-7", ledger=1, item=1)

    item = log.next()

    assert isinstance(item, Transaction)
    assert (item.position, item.own, item.engine, item.number, keys(item)) == (at(700), True, "unit", 12, ["a"])


def test_a_row_of_the_ledger_alone_is_progress() -> None:
    log = Log("mariadb")
    log.row(maria("0-1-7", 1, 500, 0, "0", table=LEDGER))
    log.end("0-1-7", ledger=1)

    assert log.next() == Progress("erp", at(500))


def test_an_end_before_the_picture_whose_rows_were_never_read_is_passed_over() -> None:
    """The topics were read from their ends on; the END of an earlier transaction came behind."""
    log = Log("mariadb", resume=at(900), joined=Joined(0, {"0": 7}))
    log.end("0-1-7", item=3)
    log.row(maria("0-1-8", 1, 950, 0, "b"))
    log.end("0-1-8", item=1)

    assert keys(log.next()) == ["b"]


def test_a_transaction_that_ends_at_the_position_is_counted_and_dropped() -> None:
    log = Log("mariadb", resume=at(900))
    log.row(maria("0-1-7", 1, 500, 0, "a"))
    log.end("0-1-7", item=1)
    log.row(maria("0-1-8", 1, 950, 0, "b"))
    log.end("0-1-8", item=1)

    assert [keys(item) for item in log.all()] == [["b"]]


def test_an_emptied_table_has_a_beginning_only() -> None:
    log = Log("mariadb", resume=at(500))
    source = Source("mariadb", file="bin.000003", pos=500)
    log.begin("0-1-7")
    log.row(TruncateEvent(0, source, Order("0-1-7", 1, 1)))
    assert log.next() is None
    log.begin("0-1-8")

    item = log.next()

    assert isinstance(item, Transaction)
    assert (item.position, item.changes) == (at(501), [(0, "T", None, None)])


def test_a_beginning_without_end_of_an_interrupted_connector_ends_nothing() -> None:
    log = Log("mariadb")
    log.begin("0-1-8")
    log.row(maria("0-1-8", 1, 800, 0, "b"))
    log.begin("0-1-7")
    assert log.next() is None
    log.row(maria("0-1-7", 1, 700, 0, "a"))
    log.end("0-1-7", item=1)
    log.begin("0-1-8")
    log.row(maria("0-1-8", 1, 800, 0, "b"), run=b"two")
    log.row(maria("0-1-8", 2, 850, 0, "c"), run=b"two")
    log.end("0-1-8", item=2)

    assert [keys(item) for item in log.all()] == [["a"], ["b", "c"]]


def test_what_a_snapshot_reads_before_our_position_is_ignored_and_after_it_stops() -> None:
    log = Log("postgresql", resume=500)
    log.row(RowEvent(0, "r", ("a",), None, "", Source("postgresql", lsn=400, snapshot="true"), None))
    assert log.next() is None

    with pytest.raises(LogLost, match="lost its place"):
        log.row(RowEvent(0, "r", ("a",), None, "", Source("postgresql", lsn=600, snapshot="true"), None))


def test_a_change_without_its_transaction_stops() -> None:
    with pytest.raises(LogIncomplete, match="to which transaction"):
        Log("postgresql").row(RowEvent(0, "c", ("a",), None, "", Source("postgresql", lsn=600), None))


def test_ours_is_told_as_progress_where_nothing_else_can_be_in_it() -> None:
    log = Log("postgresql", skip_own=True)
    log.row(pg(1, 1, 100, "a", origin="ours"))
    log.end("1:200", item=1)

    assert log.next() == Progress("erp", 200)


def test_a_large_transaction_comes_in_pieces_in_order(tmp_path: object) -> None:
    log = Log("postgresql", spool_dir=tmp_path)
    count = 25_000
    for order in range(1, count + 1):
        log.row(pg(1, order, 1000 + order, str(order)), order % 3)
    log.end(f"1:{count * 2}", item=count)

    item = log.next()

    assert isinstance(item, Transaction)
    assert item.rows == count and item.spool is not None
    pieces = list(item.chunks())
    assert max(map(len, pieces)) <= 1001
    assert [key(change) for piece in pieces for change in piece] == [str(n) for n in range(1, count + 1)]


def test_a_number_that_postgresql_gives_again_is_another_transaction() -> None:
    """Numbers of transactions have 32 bits: the second one was taken for the first told again, and dropped."""
    log = Log("postgresql")
    log.row(pg(7, 1, 100, "first", before=50))
    log.end("7:200", item=1)
    assert [(item.position, keys(item)) for item in log.all()] == [(200, ["first"])]
    log.row(pg(7, 1, 900, "again", before=800))
    log.end("7:950", item=1)
    assert [(item.position, keys(item)) for item in log.all()] == [(950, ["again"])]
    log.row(pg(7, 1, 1100, "later", before=1000))
    log.row(pg(7, 1, 900, "again", before=800))
    log.end("7:1200", item=1)
    assert [(item.position, keys(item)) for item in log.all()] == [(1200, ["later"])]


def test_an_emptied_table_that_is_told_behind_a_later_transaction_stops() -> None:
    log = Log("mariadb")
    log.begin("0-1-7")
    log.row(maria("0-1-8", 1, 900, 0, "a"))
    log.begin("0-1-8")
    log.end("0-1-8", item=1)
    assert [keys(item) for item in log.all()] == [["a"]]

    with pytest.raises(LogIncomplete, match="complete without it"):
        log.row(TruncateEvent(0, Source("mariadb", file="bin.000003", pos=500), Order("0-1-7", 1, 1)))


@pytest.mark.parametrize(
    ("kind", "end", "same", "later"),
    [
        ("postgresql", "7:200", pg(7, 1, 150, "a", before=100), pg(8, 1, 120, "b", before=200)),
        ("mariadb", "0-1-7", maria("0-1-7", 1, 150, 0, "a"), maria("0-1-8", 1, 400, 0, "b")),
    ],
)
def test_a_partition_in_which_a_later_transaction_was_read_has_no_more_of_the_next(
    kind: str, end: str, same: RowEvent, later: RowEvent
) -> None:
    log = Log(kind)
    log.end(end, item=2)
    log.row(same, 0)
    log.row(later, 1)

    assert log.next() is None
    assert [log.joining.is_past(("t0", partition)) for partition in (0, 1, 2)] == [False, True, False]


@pytest.mark.parametrize("seed", range(300))
def test_any_interleaving_of_topics_and_any_restart_give_each_transaction_once_and_whole(seed: int) -> None:
    """The topics are read in any order among each other, and the connector begins again further back at any place."""
    chance = random.Random(seed)
    log = list(transactions(chance))
    told = [(name, pos, row, n) for name, rows in log for n, (pos, row) in enumerate(rows)]
    cut = chance.randrange(len(told))
    back = chance.randrange(cut + 1)
    first = list(run(told[:cut], log, b"one", whole=False))
    second = list(run(told[back:], log, b"two", whole=True))
    queues: dict[str, list[object]] = {}
    for topic, message in first + second:
        queues.setdefault(topic, []).append(message)
    joined = Log("mariadb")
    got: list[Transaction] = []
    while any(queues.values()):
        topic = chance.choice([topic for topic, queue in queues.items() if queue])
        message = queues[topic].pop(0)
        if isinstance(message, tuple) and isinstance(message[0], RowEvent):
            joined.row(message[0], run=message[1])
        elif isinstance(message, tuple):
            joined.end(message[0], **message[1])
        else:
            joined.begin(str(message))
        done = not any(queues.values())
        while (event := joined.next(at_end=done)) is not None:
            got += [event] if isinstance(event, Transaction) else []

    assert [keys(item) for item in got] == [[f"{name}/{pos}/{row}" for pos, row in rows] for name, rows in log]


def transactions(chance: random.Random) -> Iterable[tuple[str, list[tuple[int, int]]]]:
    pos = 100
    for number in range(6):
        rows = []
        for _ in range(chance.randint(1, 3)):
            pos += 50
            rows += [(pos, row) for row in range(chance.randint(1, 4))]
        yield f"0-1-{number}", rows


def run(
    told: list[tuple[str, int, int, int]], log: list[tuple[str, list[tuple[int, int]]]], name: bytes, *, whole: bool
) -> Iterable[tuple[str, object]]:
    """What a connector tells in one run: it counts from 1 in each transaction, also in the one it begins within."""
    sizes = {gtid: len(rows) for gtid, rows in log}
    current, counts = "", {0: 0, 1: 0}
    for gtid, pos, row, n in told:
        if gtid != current:
            current, counts = gtid, {0: 0, 1: 0}
            yield "transaction", gtid
        table = pos % 100 // 50
        counts[table] += 1
        order = sum(counts.values())
        yield f"t{table}", (maria(gtid, order, pos, row, f"{gtid}/{pos}/{row}", table=table), name)
        if n == sizes[gtid] - 1:
            yield "transaction", (gtid, {"item": counts[0], "part": counts[1]})


def test_a_bookmark_is_kept_once_what_it_stands_for_is_durable() -> None:
    kept: list[tuple[Position, str]] = []

    class Notes:
        def keep(self, position: Position, document: str) -> None:
            kept.append((position, document))

        def newest(self, resume: Position) -> str | None:
            return None

    marker = Bookmarker(Notes())
    marks = {n: Bookmark({"t": TopicMark("id", {0: n})}, n, {"0": n}) for n in (10, 20, 30)}
    for n, mark in marks.items():
        marker.propose(n, mark, float(n))

    marker.confirm(5)
    marker.confirm(25)
    marker.confirm(26)

    assert [position for position, _ in kept] == [20]
    assert bookmark(kept[0][1]) == marks[20]
