"""Tries the fold of messages into transactions, on recorded bytes and on messages built here."""

from __future__ import annotations

import gc
import os
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

from adapters.postgresql.assemble import Assembler
from adapters.postgresql.pgoutput import Commit, decode
from adapters.relational import spool
from engine.errors import SchemaChanged, WireError
from engine.rulebook import Table
from engine.vocabulary import ABSENT, Progress, Transaction
from tests.memory import counted_memory
from tests.wire.test_golden import LONG, golden

ITEM = Table("public", "item", ("id", "name", "price"), (0,))
WHOLE = Table("public", "whole", ("id", "name", "price"), (0,))
TABLES = (
    ITEM,
    WHOLE,
    Table("public", "pair", ("a", "b", "c"), (0, 1)),
    Table("public", "long", ("id", "body", "note"), (0,)),
    Table("public", "long_whole", ("id", "body", "note"), (0,)),
    Table("public", "parent", ("id",), (0,)),
    Table("public", "child", ("id", "parent"), (0,)),
)


def assembler(*tables: Table, skip_own: bool = False, spool_dir: Path | None = None) -> Assembler:
    return Assembler(
        "erp", tables or TABLES, origin="duolog_golden", skip_own=skip_own, spool_dir=spool_dir
    )


def fold(folded: Assembler, messages: Iterable[bytes]) -> Transaction | Progress:
    """The only thing that the messages of one transaction become."""
    (item,) = (item for item in map(folded.feed, messages) if item is not None)
    assert folded.idle
    return item


def changes(case: str, *tables: Table) -> list[object]:
    item = fold(assembler(*tables), golden(case))
    assert isinstance(item, Transaction)
    assert item.rows == len(item.changes)
    return list(item.changes)


@pytest.mark.parametrize(("case", "expected"), [
    ("insert", [(0, "I", ("10", "ten", "10.00"), None)]),
    ("insert_null_values", [(0, "I", ("11", None, None), None)]),
    ("update_without_key_change", [(0, "U", ("1", "uno", "1.50"), None)]),
    ("update_key_changed", [(0, "U", ("20", None, "2.50"), ("2", ABSENT, ABSENT))]),
    ("update_composite_key_changed", [(2, "U", ("aa", "b", "c"), ("a", "b", ABSENT))]),
    ("update_full_identity", [(1, "U", ("1", "uno", "1.50"), None)]),
    ("update_full_identity_key_changed", [(1, "U", ("20", None, "2.50"), ("2", None, "2.50"))]),
    ("update_unchanged_toast", [(3, "U", ("1", ABSENT, "other"), None)]),
    ("update_unchanged_toast_full_identity", [(4, "U", ("1", LONG, "other"), None)]),
    ("delete_default", [(0, "D", None, ("3", ABSENT, ABSENT))]),
    ("delete_full", [(1, "D", None, ("1", "uno", "1.50"))]),
    ("truncate_two_tables", [(5, "T", None, None), (6, "T", None, None)]),
    ("several_tables", [(5, "I", ("1",), None), (6, "I", ("1", "1"), None), (6, "D", None, ("1", ABSENT))]),
    ("schema_changed_between_rows", [
        (0, "I", ("50", "before", "1.00"), None), (0, "I", ("51", "after", "1.00"), None),
    ]),
])
def test_recorded_transactions_become_changes_of_bound_rows(case: str, expected: list[object]) -> None:
    assert changes(case) == expected


def test_bound_columns_come_in_the_order_of_the_rules() -> None:
    assert changes("insert", Table("public", "item", ("price", "id"), (1,))) == [(0, "I", ("10.00", "10"), None)]
    assert changes("insert", Table("public", "item", ("id",), (0,))) == [(0, "I", ("10",), None)]
    assert changes("delete_default", Table("public", "item", ("name", "id"), (1,))) == [(0, "D", None, (ABSENT, "3"))]


def test_a_transaction_bears_the_end_of_its_commit_and_its_time() -> None:
    (commit,) = (m for m in map(decode, golden("insert")) if isinstance(m, Commit))

    item = fold(assembler(), golden("insert"))

    assert isinstance(item, Transaction)
    assert (item.system, item.position, item.committed_at, item.own) == (
        "erp", commit.end_lsn, commit.committed_at, False
    )


def test_a_transaction_without_a_bound_row_is_progress() -> None:
    (commit,) = (m for m in map(decode, golden("type_enum")) if isinstance(m, Commit))

    assert fold(assembler(), golden("type_enum")) == Progress("erp", commit.end_lsn)
    assert isinstance(fold(assembler(), [golden("insert")[0], golden("insert")[-1]]), Progress)


def test_our_own_transaction_is_marked_by_its_origin() -> None:
    item = fold(assembler(), golden("origin"))

    assert isinstance(item, Transaction)
    assert item.own
    assert item.changes == [(0, "I", ("40", "ours", "1.00"), None)]


def numbered(messages: list[bytes], prefix: bytes = b"duolog") -> list[bytes]:
    """A transaction with the log message that tells which batch it is."""
    told = b"M\x01" + bytes(8) + prefix + b"\0" + (2).to_bytes(4, "big") + b"17"
    return [*messages[:-1], told, messages[-1]]


def test_our_own_transaction_bears_the_number_of_its_batch_if_the_log_tells_it() -> None:
    ours, users = golden("origin"), golden("insert")

    items = [fold(assembler(), told) for told in (ours, numbered(ours), numbered(ours, b"app"), numbered(users))]

    assert [item.number for item in items if isinstance(item, Transaction)] == [0, 17, 0, 0]


def test_another_replicators_transaction_is_not_ours() -> None:
    item = fold(Assembler("erp", TABLES, origin="duolog_other", skip_own=True), golden("origin"))

    assert isinstance(item, Transaction)
    assert not item.own


def test_our_own_transaction_is_progress_where_it_may_be_skipped() -> None:
    folded = assembler(skip_own=True)

    assert isinstance(fold(folded, golden("origin")), Progress)
    assert isinstance(fold(folded, golden("insert")), Transaction)


def test_a_lost_bound_column_stops_with_table_column_and_mend() -> None:
    with pytest.raises(SchemaChanged) as stopped:
        changes("insert", Table("public", "item", ("id", "name", "colour", "size"), (0,)))

    assert str(stopped.value) == (
        "D210 erp: the table `public.item` no longer sends the bound column `colour`, `size`\n"
        "  mend: bring it back (or publish it); or change the rules, and let `duolog check RULES` confirm it"
    )


def test_a_key_outside_the_replica_identity_stops_with_the_exact_sql() -> None:
    with pytest.raises(SchemaChanged) as stopped:
        changes("insert", Table("public", "item", ("id", "name"), (1,)))

    assert str(stopped.value) == (
        "D210 erp: the table `public.item` has a replica identity without the key column `name`\n"
        '  mend: ALTER TABLE "public"."item" REPLICA IDENTITY FULL; '
        "or change the rules, and let `duolog check RULES` confirm it"
    )


def test_a_renamed_table_stops_instead_of_falling_silent() -> None:
    folded = assembler()
    fold(folded, golden("insert"))
    renamed = [message.replace(b"\0item\0", b"\0item_old\0") for message in golden("insert")]

    with pytest.raises(SchemaChanged) as stopped:
        fold(folded, renamed)

    assert stopped.value.found == "the table `public.item` is now named `public.item_old`"


@pytest.mark.parametrize(("order", "expected"), [
    ((2,), "a transaction's beginning expected before a row"),
    ((0, 2), "a relation's description expected before its rows"),
    ((0, 0), "a commit expected before the next beginning"),
    ((3,), "the commit of the transaction that began expected"),
])
def test_messages_out_of_order_are_refused(order: tuple[int, ...], expected: str) -> None:
    folded, messages = assembler(), golden("insert")

    with pytest.raises(WireError) as refused:
        for place in order:
            folded.feed(messages[place])

    assert refused.value.expected == expected
    assert refused.value.system == "erp"


def test_a_row_of_another_width_than_described_is_refused() -> None:
    folded, messages = assembler(), golden("insert")
    folded.feed(messages[0])
    folded.feed(messages[1])

    with pytest.raises(WireError, match="a row of 3 columns expected"):
        folded.feed(messages[2][:6] + b"\0\1n")


def test_reset_forgets_what_was_half_received() -> None:
    folded = assembler()
    for message in golden("insert")[:-1]:
        assert folded.feed(message) is None
    assert not folded.idle

    folded.reset()

    assert folded.idle
    assert isinstance(fold(folded, golden("update_without_key_change")), Transaction)


def large(rows: int) -> Iterable[bytes]:
    """A transaction of that many rows."""
    begin, relation, row, commit = golden("insert")
    yield begin
    yield relation
    for number in range(rows):
        text = str(number).encode()
        yield row[:6] + struct.pack(">H", 3) + b"t" + struct.pack(">I", len(text)) + text + b"nu"
    yield commit


def test_a_large_transaction_is_spooled_and_comes_back_in_order(tmp_path: Path) -> None:
    count = spool.transaction_rows_max * 2 + 7

    item = fold(assembler(spool_dir=tmp_path), large(count))

    assert isinstance(item, Transaction)
    assert (item.rows, item.changes) == (count, [])
    chunks = list(item.chunks())
    assert max(map(len, chunks)) <= spool.transaction_rows_max + 1
    assert [change for chunk in chunks for change in chunk] == [
        (0, "I", (str(number), None, ABSENT), None) for number in range(count)
    ]


def test_a_transaction_of_the_most_rows_stays_in_memory() -> None:
    item = fold(assembler(), large(spool.transaction_rows_max))

    assert isinstance(item, Transaction)
    assert item.spool is None
    assert len(item.changes) == spool.transaction_rows_max


def test_few_but_long_rows_are_spooled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "transaction_bytes_max", 1000)

    item = fold(assembler(), large(100))

    assert isinstance(item, Transaction)
    assert item.spool is not None
    assert sum(map(len, item.chunks())) == item.rows == 100


def test_a_spool_leaves_no_file_behind(tmp_path: Path) -> None:
    item = fold(assembler(spool_dir=tmp_path), large(spool.transaction_rows_max + 1))

    assert os.listdir(tmp_path) == []
    assert isinstance(item, Transaction) and item.spool is not None
    opened = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    list(item.chunks())
    if opened:
        assert len(os.listdir("/proc/self/fd")) == opened - 1


def test_memory_stays_flat_over_a_transaction_of_a_hundred_thousand_rows(tmp_path: Path) -> None:
    folded = assembler(spool_dir=tmp_path)
    fold(folded, large(20_000))
    gc.collect()

    with counted_memory() as peak:
        item = fold(folded, large(100_000))
        assert isinstance(item, Transaction)
        assert sum(map(len, item.chunks())) == 100_000
        assert peak() < 16 << 20
