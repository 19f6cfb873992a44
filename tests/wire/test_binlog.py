"""Tries the binlog's decoding and folding on recorded packets: whole, cut, damaged, and fed byte by byte."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.mariadb import positions
from adapters.mariadb.assemble import Assembler
from adapters.mariadb.binlog import events, tables
from adapters.mariadb.binlog.columns import decimal_reader
from adapters.mariadb.binlog.frames import Failure, Frames, failure
from adapters.mariadb.binlog.reading import Hint
from engine.errors import DuologError, LogIncomplete, LogUnreadable, WireError
from engine.rulebook import Table
from engine.vocabulary import ABSENT, Progress, Transaction
from tests.wire.record_binlog import GOLDEN, ITEM, KINDS

CASES = sorted(path.stem for path in GOLDEN.glob("*.hex"))
HINTS = {("golden", "kinds"): {"s": Hint("uuid"), "t": Hint("inet6")}}


def golden(case: str) -> list[bytes]:
    """The packets of a recorded case."""
    return [bytes.fromhex(line) for line in (GOLDEN / f"{case}.hex").read_text().split()]


def assembler(*tables: Table, skip_own: bool = False, spool_dir: Path | None = None) -> Assembler:
    made = Assembler("erp", tables or (ITEM, KINDS), engine="unit", skip_own=skip_own, spool_dir=spool_dir)
    made.describe(HINTS, folded=False)
    return made


def fold(folded: Assembler, packets: Iterable[bytes]) -> list[Transaction | Progress]:
    """What packets become."""
    return [item for item in map(folded.feed, packets) if item is not None]


def changes(case: str, *tables: Table, skip_own: bool = False) -> list[object]:
    """All changes of a case."""
    items = fold(assembler(*tables, skip_own=skip_own), golden(case))
    return [change for item in items if isinstance(item, Transaction) for change in item.changes]


@pytest.mark.parametrize(("case", "expected"), [
    ("insert", [(0, "I", ("10", "ten", "10.00"), None), (0, "I", ("11", None, None), None),
                (0, "I", ("12", "", "-0.01"), None)]),
    ("update", [(0, "U", ("1", "uno", "1.50"), None)]),
    ("update_key", [(0, "U", ("20", None, "2.50"), ("2", None, "2.50"))]),
    ("update_minimal", [(0, "U", ("1", ABSENT, "7.00"), None)]),
    ("delete", [(0, "D", None, ("3", "three", None))]),
    ("kinds", [(1, "I", (
        "1", "18446744073709551615", "-8388608", "-1.000000000000000000000000000001", "0.1", "1e-20", "100000001", "ab",
        "上海市 🙂", "é€", "\\x61000000", "\\x00ff", "高兴", "a,c", "2026-01-31", "2026-01-31 12:00:00.5",
        "2038-01-19 03:14:07.999+00", "-838:59:59.000001", "0000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "2001:db8::1", '{"a": [1, null]}', "compressed " * 50, "中", "1",
    ), None)]),
    ("kinds_null", [(1, "I", ("2", *[None] * 24), None)]),
    ("kinds_zero", [(1, "I", (
        "3", None, None, "0." + "0" * 30, *[None] * 8, "", "", "0000-00-00", "2026-00-10 00:00:00",
        "0000-00-00 00:00:00+00", "-00:00:00.1", "2155", *[None] * 6,
    ), None)]),
    ("truncate", [(0, "T", None, None)]),
    ("own", [(0, "I", ("30", "ours", "1.00"), None)]),
    ("another_database", []),
    ("xa", [(0, "I", ("40", "xa", "1.00"), None)]),
    ("rolled_back", []),
    ("altered", [(0, "I", ("60", "six", "6.00"), None)]),
    ("files", [(0, "I", ("70", None, None), None)]),
    ("compressed", [(0, "I", ("80", "long " * 100, None), None)]),
])  # fmt: skip
def test_recorded_packets_become_changes_of_bound_rows(case: str, expected: list[object]) -> None:
    assert changes(case) == expected


def test_every_case_is_looked_at() -> None:
    assert len(CASES) == 17


def test_bound_columns_come_in_the_order_of_the_rules() -> None:
    table = Table("golden", "item", ("price", "id"), (1,))

    assert changes("insert", table)[0] == (0, "I", ("10.00", "10"), None)
    assert changes("update_key", table) == [(0, "U", ("2.50", "20"), ("2.50", "2"))]
    assert changes("delete", Table("golden", "item", ("id",), (0,))) == [(0, "D", None, ("3",))]


def test_a_transaction_bears_its_end_and_its_second() -> None:
    packets = golden("insert")
    header = events.read_header(packets[-1])

    (item,) = (item for item in fold(assembler(), packets) if isinstance(item, Transaction))

    assert item.position == positions.number(1, header.end)
    assert item.committed_at == header.at * 1_000_000
    assert item.rows == 3


def test_our_own_transaction_is_marked_or_skipped() -> None:
    (item,) = (item for item in fold(assembler(), golden("own")) if isinstance(item, Transaction))

    assert item.own
    assert changes("own", skip_own=True) == []
    assert fold(Assembler("erp", [ITEM], engine="unit", skip_own=True), golden("own"))[-1].position == item.position


def test_another_file_goes_on_in_order() -> None:
    items = fold(assembler(), golden("files"))

    assert [item.position for item in items] == sorted(item.position for item in items)
    assert items[-1].position >> 40 == (items[0].position >> 40) + 1


def test_a_statement_in_place_of_rows_stops() -> None:
    with pytest.raises(LogIncomplete, match="begins with `DELETE`"):
        fold(assembler(), golden("statement"))


def test_a_group_that_a_crash_cut_off_is_forgotten_in_the_next_file() -> None:
    folded = assembler()
    fold(folded, golden("insert")[:-1])
    assert not folded.idle

    again = fold(folded, golden("update"))

    assert [item.changes for item in again if isinstance(item, Transaction)] == [
        [(0, "U", ("1", "uno", "1.50"), None)]
    ]


def test_reset_forgets_what_was_half_received() -> None:
    folded = assembler()
    fold(folded, golden("insert")[:-1])
    folded.reset()

    assert folded.idle
    assert changes("update") == [(0, "U", ("1", "uno", "1.50"), None)]


@pytest.mark.parametrize(("order", "expected"), [
    ((0, 1, 4), "the beginning of a group expected before what belongs to one"),
    ((0, 1, 2, 4), "a table's description expected before its rows"),
    ((0, 1, 2, 3, 4, 2), "an event behind the one before expected"),
    ((0, 1, 5), "the beginning of a group expected before what belongs to one"),
])  # fmt: skip
def test_events_out_of_order_are_refused(order: tuple[int, ...], expected: str) -> None:
    packets = golden("insert")

    with pytest.raises(WireError) as refused:
        fold(assembler(), [packets[place] for place in order])

    assert refused.value.expected == expected
    assert refused.value.system == "erp"


# Damage


def sealed(packet: bytes) -> bytes:
    """The packet with its size and its checksum put right."""
    body = packet[:10] + (len(packet) - 1).to_bytes(4, "little") + packet[14:-4]
    return body + zlib.crc32(body[1:]).to_bytes(4, "little")


def test_a_changed_bit_is_noticed() -> None:
    for case in set(CASES) - {"statement"}:
        packets = golden(case)
        for number, packet in enumerate(packets[1:], 1):
            for at in range(1, len(packet), 7):
                folded = assembler()
                for former in packets[:number]:
                    folded.feed(former)
                damaged = bytearray(packet)
                damaged[at] ^= 1 << at % 8
                with pytest.raises(WireError):
                    folded.feed(bytes(damaged))


@pytest.mark.parametrize("case", ["insert", "update_key", "kinds", "compressed", "own", "xa"])
def test_events_that_end_too_soon_are_refused_wherever_they_are_cut(case: str) -> None:
    packets = golden(case)
    for number, packet in enumerate(packets):
        for size in range(0, len(packet), 3):
            folded = assembler()
            for former in packets[:number]:
                folded.feed(former)
            with pytest.raises(WireError):
                folded.feed(packet[:size])
            if size < 25 or number == 0:
                continue
            folded = assembler()
            for former in packets[:number]:
                folded.feed(former)
            try:
                folded.feed(sealed(packet[:size]))  # a server that wrote it so
            except DuologError:
                continue
            assert packet[5] in (events.FORMAT, events.QUERY, events.XID, events.GTID_MARIADB, events.TABLE_MAP,
                                 events.XA_PREPARE, *events.SAYS_NOTHING), (number, size)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["insert", "update_key", "update_minimal", "kinds", "compressed", "own"]), st.data())
def test_garbage_is_an_error_of_ours_and_nothing_else(case: str, data: st.DataObject) -> None:
    packets = golden(case)
    number = data.draw(st.integers(1, len(packets) - 1))
    packet = bytearray(packets[number])
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(20, len(packet) - 5))] = data.draw(st.integers(0, 255))
    folded = assembler()
    with contextlib.suppress(DuologError):
        fold(folded, [*packets[:number], sealed(bytes(packet)), *packets[number + 1 :]])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_an_error(data: bytes) -> None:
    folded = assembler()
    fold(folded, golden("insert")[:3])
    with pytest.raises(WireError):
        folded.feed(b"\0" + data)


@pytest.mark.parametrize(("kind", "said"), [
    (events.INCIDENT, "the server says that its log is not whole (an INCIDENT event at"),
    (events.PAYLOAD, "the log compresses whole transactions (at"),
    (events.PARTIAL_UPDATE, "the log tells parts of JSON documents (at"),
    (99, "the log has events of kind 99, which this duolog does not know (at"),
])  # fmt: skip
def test_kinds_that_cannot_be_read_stop_by_name(kind: int, said: str) -> None:
    packets = golden("insert")
    packet = bytearray(packets[2])
    packet[5] = kind

    with pytest.raises((LogIncomplete, LogUnreadable)) as stopped:
        fold(assembler(), [*packets[:2], sealed(bytes(packet))])

    assert stopped.value.found.startswith(said)
    assert "--merge-again" in stopped.value.mend


def test_an_unknown_kind_that_may_be_passed_over_is() -> None:
    packets = golden("insert")
    packet = bytearray(packets[2])
    packet[5] = 99
    packet[18] |= events.IGNORABLE

    assert all(isinstance(item, Progress) for item in fold(assembler(), [*packets[:2], sealed(bytes(packet))]))


# Frames


def framed(packets: Iterable[bytes]) -> bytes:
    """Packets as they travel."""
    stream, number = b"", 1
    for packet in packets:
        at = 0
        while True:
            part = packet[at : at + 0xFFFFFF]
            stream += len(part).to_bytes(3, "little") + bytes([number]) + part
            number = (number + 1) & 0xFF
            at += len(part)
            if len(part) < 0xFFFFFF:
                break
    return stream


@pytest.mark.parametrize("case", CASES)
def test_packets_are_the_same_when_they_come_byte_by_byte(case: str) -> None:
    frames, found = Frames(), []
    for byte in framed(golden(case)):
        frames.feed(bytes([byte]))
        while (packet := frames.take()) is not None:
            found.append(packet)

    assert found == golden(case)


def test_numbers_of_packets_begin_again_after_255() -> None:
    packets = [bytes([number & 0xFF]) * (number % 7) for number in range(600)]
    frames = Frames()
    frames.feed(framed(packets))

    assert [frames.take() for _ in range(601)] == [*packets, None]


@pytest.mark.parametrize("size", [0xFFFFFE, 0xFFFFFF, 0x1000000, 2 * 0xFFFFFF])
def test_a_packet_that_is_longer_than_one_can_be_comes_whole(size: int) -> None:
    packet = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    frames = Frames()
    stream = framed([packet, b"next"])
    for at in range(0, len(stream), 1 << 20):
        frames.feed(stream[at : at + (1 << 20)])

    assert frames.take() == packet
    assert frames.take() == b"next"


def test_a_packet_out_of_turn_is_refused() -> None:
    frames = Frames()
    frames.feed(b"\1\0\0\2x")

    with pytest.raises(WireError, match="packet number 1 expected, found 2"):
        frames.take()


def test_the_servers_reason_is_read() -> None:
    assert failure(b"\xff\xd4\x04#HY000could not") == Failure(1236, "HY000", "could not")
    assert failure(b"\xff\xd4\x04bad\xff") == Failure(1236, "", "bad\ufffd")
    with pytest.raises(WireError):
        failure(b"\xff")


# Numbers


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 65), st.data())
def test_a_decimal_is_spelled_with_all_its_digits(precision: int, data: st.DataObject) -> None:
    scale = data.draw(st.integers(0, min(precision, 38)))
    digits = data.draw(st.integers(0, 10**precision - 1))
    negative = data.draw(st.booleans()) and digits > 0

    text = decimal_reader(precision, scale)(_decimal(digits, precision, scale, negative=negative))

    whole = f"{digits:0{scale + 1}}"
    expected = f"{whole[:-scale]}.{whole[-scale:]}" if scale else whole
    assert text == ("-" if negative else "") + expected


def _decimal(number: int, precision: int, scale: int, *, negative: bool) -> bytes:
    """A DECIMAL's bytes, written out of the server's documentation: groups of nine digits in four bytes."""
    sizes = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
    digits = f"{number:0{precision}}"
    whole, part = digits[: precision - scale], digits[precision - scale :]
    groups = []
    if len(whole) % 9:
        groups.append(whole[: len(whole) % 9])
    groups += [whole[at : at + 9] for at in range(len(whole) % 9, len(whole), 9)]
    groups += [part[at : at + 9] for at in range(0, len(part), 9)]
    data = bytearray(b"".join(int(group).to_bytes(sizes[len(group)], "big") for group in groups))
    data[0] ^= 0x80
    return bytes(byte ^ 0xFF for byte in data) if negative else bytes(data)


def test_a_description_without_names_is_noticed() -> None:
    packet = golden("insert")[3]
    table = tables.read_table(packet, len(packet) - 4)

    assert [column.name for column in table.columns] == ["id", "name", "price"]
    assert table.named
