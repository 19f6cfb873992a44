"""Tries the MariaDB source on real servers: order, resumption, large transactions, XA, statements in the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import LogIncomplete, SchemaChanged, SystemUnavailable
from engine.rulebook import Table
from engine.vocabulary import ABSENT, Progress, Transaction
from tests.database.maria_erp import MariaErp, names, patience_s, transaction
from tests.memory import counted_memory


@pytest.fixture
def erp(erp_maria: str) -> Iterator[MariaErp]:
    made = MariaErp(erp_maria)
    yield made
    made.close()


# Reading


def test_transactions_come_whole_and_in_commit_order(erp: MariaErp) -> None:
    source = erp.opened()
    slow = erp.another()
    slow.run("BEGIN")
    slow.run("INSERT INTO item VALUES (1, 'began first')")
    erp.run("INSERT INTO item VALUES (2, 'committed first'), (3, 'with it')")
    slow.run("INSERT INTO item VALUES (4, 'committed last')")
    slow.run("COMMIT")

    first, second = transaction(source), transaction(source)

    assert first.changes == [(0, "I", ("2", "committed first"), None), (0, "I", ("3", "with it"), None)]
    assert second.changes == [(0, "I", ("1", "began first"), None), (0, "I", ("4", "committed last"), None)]
    assert erp.start < first.position < second.position <= erp.position()
    assert abs(second.committed_at / 1e6 - time.time()) < 60
    assert second.committed_at % 1_000_000 == 0
    assert source.read(0.0) is None


def test_a_rolled_back_transaction_never_comes(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("BEGIN; INSERT INTO item VALUES (1, 'rolled back'); ROLLBACK")
    erp.run("INSERT INTO item VALUES (2, 'kept')")

    assert names(transaction(source)) == ["kept"]


def test_rows_that_were_undone_beside_a_table_without_transactions_never_come(erp: MariaErp) -> None:
    erp.run("CREATE TABLE plain (id int PRIMARY KEY, name text) ENGINE = MyISAM")
    source = erp.opened(tables=[erp.item, Table(erp.database, "plain", ("id", "name"), (0,))])
    erp.run("BEGIN; INSERT INTO item VALUES (1, 'undone'); INSERT INTO plain VALUES (1, 'stays'); ROLLBACK")
    erp.run(
        "BEGIN; SAVEPOINT s; INSERT INTO item VALUES (2, 'undone'); INSERT INTO plain VALUES (2, 'stays, too'); "
        "ROLLBACK TO s; INSERT INTO item VALUES (3, 'kept'); COMMIT"
    )

    read = [transaction(source) for _ in range(3)]

    assert [item.changes for item in read] == [
        [(1, "I", ("1", "stays"), None)], [(1, "I", ("2", "stays, too"), None)], [(0, "I", ("3", "kept"), None)],
    ]  # fmt: skip
    assert source.read(0.0) is None


def test_what_went_back_to_a_savepoint_never_comes(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run(
        "BEGIN; INSERT INTO item VALUES (1, 'before'); SAVEPOINT `my point`; INSERT INTO item VALUES (2, 'undone'); "
        "ROLLBACK TO `my point`; INSERT INTO item VALUES (3, 'after'); COMMIT"
    )

    assert names(transaction(source)) == ["before", "after"]


def test_updates_and_deletions_bear_what_the_engine_needs(erp: MariaErp) -> None:
    erp.run("INSERT INTO item VALUES (1, 'one'), (2, NULL)")
    source = erp.opened(erp.position())
    erp.run("UPDATE item SET name = 'uno' WHERE id = 1")
    erp.run("UPDATE item SET id = 3, name = '' WHERE id = 2")
    erp.run("DELETE FROM item WHERE id = 1")

    assert [transaction(source).changes for _ in range(3)] == [
        [(0, "U", ("1", "uno"), None)],
        [(0, "U", ("3", ""), ("2", None))],
        [(0, "D", None, ("1", "uno"))],
    ]


def test_a_unit_of_work_over_several_tables_is_one_transaction(erp: MariaErp) -> None:
    erp.run("CREATE TABLE `Second item` (`编号` int PRIMARY KEY, x int, `note``s` varchar(20))")
    second = Table(erp.database, "Second item", ("note`s", "编号"), (1,))
    source = erp.opened(tables=[erp.item, second])
    erp.run(
        "BEGIN; INSERT INTO item VALUES (1, 'a'); INSERT INTO `Second item` VALUES (7, 1, '甲'); "
        "UPDATE item SET name = 'b'; COMMIT"
    )

    assert transaction(source).changes == [
        (0, "I", ("1", "a"), None), (1, "I", ("甲", "7"), None), (0, "U", ("1", "b"), None),
    ]  # fmt: skip


def test_reading_resumes_after_a_position_without_loss_or_repetition(erp: MariaErp) -> None:
    source = erp.opened()
    for number in range(1, 6):
        erp.run(f"INSERT INTO item VALUES ({number}, 'number {number}')")
    read = [transaction(source) for _ in range(3)]
    source.close()

    again = erp.opened(read[1].position)

    assert [names(transaction(again)) for _ in range(3)] == [["number 3"], ["number 4"], ["number 5"]]
    assert again.read(0.0) is None


def test_the_same_source_may_be_opened_again(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    first = transaction(source)
    source.close()
    erp.run("INSERT INTO item VALUES (2, 'two')")

    source.open(first.position)

    assert names(transaction(source)) == ["two"]


def test_reading_goes_on_over_the_ends_of_files(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one'); FLUSH BINARY LOGS; FLUSH BINARY LOGS")
    erp.run("INSERT INTO item VALUES (2, 'two')")
    first, second = transaction(source), transaction(source)
    source.close()

    assert second.position >> 40 == (first.position >> 40) + 2
    assert names(transaction(erp.opened(first.position))) == ["two"]


# Our own


@pytest.mark.parametrize("skip_own", [False, True])
def test_our_own_transaction_is_known_by_the_ledgers_row(erp: MariaErp, skip_own: bool) -> None:
    source = erp.opened(skip_own=skip_own)
    erp.run(f"BEGIN; {erp.ledger_row('unit', 4711)}; INSERT INTO item VALUES (1, 'ours'); COMMIT")
    erp.run(f"{erp.as_engine('another')}; INSERT INTO item VALUES (2, 'another engine''s'); COMMIT")
    erp.run(f"{erp.as_engine('unit', system='crm')}; INSERT INTO item VALUES (3, 'of another system'); COMMIT")
    erp.run(f"BEGIN; INSERT INTO item VALUES (4, 'late'); {erp.ledger_row('unit', 4)}; COMMIT")

    read = [transaction(source) for _ in range(3 if skip_own else 4)]

    expected = [
        (True, 4711, ["ours"]), (False, 0, ["another engine's"]), (False, 0, ["of another system"]),
        (False, 0, ["late"]),
    ]  # fmt: skip
    assert [(item.own, item.number, names(item)) for item in read] == expected[skip_own:]


@pytest.mark.parametrize("change", [
    "CREATE TRIGGER t BEFORE INSERT ON foreign_table FOR EACH ROW INSERT INTO item VALUES (NEW.id, 'by a trigger')",
    "ALTER TABLE item ADD touched timestamp NULL ON UPDATE CURRENT_TIMESTAMP",
])  # fmt: skip
def test_what_our_writes_do_is_told_as_soon_as_they_may_do_more(erp: MariaErp, change: str) -> None:
    source = erp.opened(skip_own=True)
    erp.run(f"{erp.as_engine('unit')}; INSERT INTO item (id, name) VALUES (1, 'ours'); COMMIT")
    erp.run(change)
    erp.run(f"BEGIN; {erp.ledger_row('unit', 2)}; INSERT INTO item (id, name) VALUES (2, 'ours'); COMMIT")

    item = transaction(source)

    assert (item.own, item.number) == (True, 2)


# Large transactions


def test_a_transaction_of_200_000_rows_is_spooled_with_flat_memory(erp: MariaErp, tmp_path: Path) -> None:
    source = erp.opened(spool_dir=tmp_path)
    erp.run("INSERT INTO item SELECT seq, CONCAT('name of number ', seq) FROM seq_1_to_200000")

    with counted_memory() as peak:
        item = transaction(source)
        count, last = 0, None
        for chunk in item.chunks():
            count += len(chunk)
            last = chunk[-1]
        assert peak() < 24 << 20

    assert item.rows == count == 200_000
    assert last == (0, "I", ("200000", "name of number 200000"), None)
    assert list(tmp_path.iterdir()) == []


def test_a_value_larger_than_a_packet_comes_whole(erp: MariaErp) -> None:
    erp.run("SET GLOBAL max_allowed_packet = 1073741824")
    erp.run("ALTER TABLE item MODIFY name longtext")
    source = erp.opened(erp.position())
    writer = erp.another()
    writer.run("INSERT INTO item VALUES (1, REPEAT('0123456789abcdef', 2200000))")
    writer.run("INSERT INTO item VALUES (2, REPEAT('x', 16777215 - 50))")

    assert names(transaction(source)) == ["0123456789abcdef" * 2_200_000]
    assert names(transaction(source)) == ["x" * (16_777_215 - 50)]


# The server's position


def test_progress_tells_what_other_tables_wrote(erp: MariaErp) -> None:
    source = erp.opened()
    for number in range(10):
        erp.run(f"INSERT INTO foreign_table VALUES ({number})")
    end = erp.position()
    told = []

    deadline = time.monotonic() + patience_s
    while not told or told[-1] < end:
        assert time.monotonic() < deadline
        item = source.read(0.2)
        assert item is None or isinstance(item, Progress)
        told += [item.position] if item is not None else []

    assert told == sorted(set(told))
    assert told[-1] == end


def test_a_separator_right_behind_a_new_file_is_passed(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("FLUSH BINARY LOGS")
    end = erp.position()

    deadline = time.monotonic() + patience_s
    while (item := source.read(0.2)) is None or item.position < end:
        assert time.monotonic() < deadline


def test_a_nudge_wakes_who_reads(erp: MariaErp) -> None:
    source = erp.opened()
    source.read(0.0)
    reader = threading.Thread(target=source.read, args=(5.0,))
    reader.start()
    source.nudge()
    source.acknowledge(erp.start)
    erp.run("INSERT INTO item VALUES (1, 'one')")
    reader.join(patience_s)

    assert not reader.is_alive()


# XA


def test_an_xa_transaction_comes_when_it_is_committed(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("XA START 'one','b',7; INSERT INTO item VALUES (1, 'prepared'); XA END 'one','b',7; XA PREPARE 'one','b',7")
    other = erp.another()
    other.run("INSERT INTO item VALUES (2, 'meanwhile')")
    assert names(transaction(source)) == ["meanwhile"]
    before = erp.position()
    erp.run("XA COMMIT 'one','b',7")

    item = transaction(source)

    assert names(item) == ["prepared"]
    assert item.position > before


def test_an_xa_transaction_that_is_rolled_back_never_comes(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("XA START 'two'; INSERT INTO item VALUES (1, 'prepared'); XA END 'two'; XA PREPARE 'two'")
    erp.run("XA ROLLBACK 'two'")
    erp.run("XA START 'three'; INSERT INTO item VALUES (2, 'in one'); XA END 'three'; XA COMMIT 'three' ONE PHASE")

    assert names(transaction(source)) == ["in one"]


def test_an_xa_transaction_that_was_prepared_before_reading_began_stops(erp: MariaErp) -> None:
    erp.run("XA START 'four'; INSERT INTO item VALUES (1, 'prepared'); XA END 'four'; XA PREPARE 'four'")
    source = erp.opened(erp.position())
    erp.run("XA COMMIT 'four'")

    with pytest.raises(LogIncomplete, match="XA transaction was committed") as stopped:
        transaction(source)

    assert stopped.value.mend == "`duolog run RULES --merge-again` compares both sides"


# What statements do


def test_an_emptied_table_is_told(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("TRUNCATE TABLE foreign_table; TRUNCATE item")

    assert transaction(source).changes == [(0, "T", None, None)]


def test_a_table_that_is_altered_is_read_on(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'before')")
    erp.run("ALTER TABLE item ADD COLUMN extra json FIRST, MODIFY name varchar(40) CHARACTER SET latin1")
    erp.run("INSERT INTO item (id, name, extra) VALUES (2, 'après', '[]')")
    erp.run("CREATE INDEX by_name ON item (name); DROP INDEX by_name ON item; ANALYZE TABLE item")
    erp.run("INSERT INTO item (id, name) VALUES (3, NULL)")

    assert [names(transaction(source)) for _ in range(3)] == [["before"], ["après"], [None]]


def test_a_uuid_that_was_bytes_before_is_read_as_what_it_is_now(erp: MariaErp) -> None:
    erp.run("ALTER TABLE item MODIFY name binary(16)")
    source = erp.opened(erp.position())
    erp.run("INSERT INTO item VALUES (1, UNHEX('a0eebc999c0b4ef8bb6d6bb9bd380a11'))")
    assert names(transaction(source)) == ["\\xa0eebc999c0b4ef8bb6d6bb9bd380a11"]
    erp.run("ALTER TABLE item DROP name, ADD name uuid")
    erp.run("UPDATE item SET name = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'")

    assert names(transaction(source)) == ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]


def test_a_table_that_is_rebuilt_and_swapped_in_is_read_on(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("CREATE TABLE _item_new LIKE item; ALTER TABLE _item_new ADD more int")
    erp.run("INSERT INTO _item_new VALUES (1, 'copied', NULL)")
    erp.run("RENAME TABLE item TO _item_old, _item_new TO item; DROP TABLE IF EXISTS _item_old")
    erp.run("INSERT INTO item VALUES (2, 'new', 3)")

    assert names(transaction(source)) == ["new"]


def stop(erp: MariaErp, statement: str, *, again: str = "") -> str:
    """How reading stops after a statement; `again`: what makes the next test's world whole."""
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'before')")
    assert names(transaction(source)) == ["before"]
    erp.run(statement)
    erp.run(again)
    with pytest.raises((SchemaChanged, LogIncomplete)) as stopped:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            source.read(0.2)
    return erp.plain(str(stopped.value))


COMPARE = "`duolog run RULES --merge-again` compares both sides"


@pytest.mark.parametrize(("statement", "said"), [
    ("DROP TABLE item", "D210 erp: the table `DB.item` was dropped (log at POSITION)\n"
     f"  mend: make it again, or take it out of the rules; then {COMPARE}"),
    ("CREATE OR REPLACE TABLE item (id int)", "D210 erp: the table `DB.item` was dropped (log at POSITION)\n"
     f"  mend: make it again, or take it out of the rules; then {COMPARE}"),
    ("RENAME TABLE foreign_table TO x, item TO `it's`", "D210 erp: the table `DB.item` was renamed to `DB.it's` "
     f"(log at POSITION)\n  mend: rename it back, or change the rules; then {COMPARE}"),
    ("ALTER TABLE item ADD x int, RENAME TO elsewhere", "D210 erp: the table `DB.item` was renamed to `DB.elsewhere` "
     f"(log at POSITION)\n  mend: rename it back, or change the rules; then {COMPARE}"),
    ("SET STATEMENT binlog_format = STATEMENT FOR UPDATE item SET name = 'secret'",
     "D214 erp: the log has a statement that begins with `UPDATE` (at POSITION), not the rows that it changed; they "
     "may be those of bound tables\n  mend: SET GLOBAL binlog_format = 'ROW', and in the session that set it "
     f"otherwise; then {COMPARE}"),
    ("SET STATEMENT binlog_row_image = MINIMAL FOR INSERT INTO item (id) VALUES (9)",
     "D214 erp: an INSERT into `DB.item` was logged without `name` (at POSITION)\n  mend: SET GLOBAL binlog_row_image "
     f"= 'FULL', and in the session that set it otherwise; then {COMPARE}"),
])  # fmt: skip
def test_what_the_log_does_not_tell_stops_by_name(erp: MariaErp, statement: str, said: str) -> None:
    assert stop(erp, statement) == said


def test_rows_that_go_with_a_partition_stop(erp: MariaErp) -> None:
    erp.run("ALTER TABLE item PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS"
            " THAN MAXVALUE)")  # fmt: skip
    erp.start = erp.position()

    assert stop(erp, "ALTER TABLE item DROP PARTITION p1") == (
        "D214 erp: `ALTER TABLE ... DROP PARTITION` moved rows of `DB.item` that the log does not tell (log at "
        f"POSITION)\n  mend: {COMPARE}"
    )


def test_rows_that_go_with_a_new_unique_key_stop(erp: MariaErp) -> None:
    assert stop(erp, "ALTER TABLE item MODIFY name varchar(20); INSERT INTO item VALUES (2, 'before');"
                     " ALTER IGNORE TABLE item ADD UNIQUE (name); DELETE FROM foreign_table") == (
        "D214 erp: `ALTER IGNORE TABLE` moved rows of `DB.item` that the log does not tell (log at "
        f"POSITION)\n  mend: {COMPARE}"
    )  # fmt: skip
    assert erp.sql.value("SELECT COUNT(*) FROM item") == 1


def test_a_table_that_keeps_former_rows_from_now_on_stops(erp: MariaErp) -> None:
    said = stop(erp, "ALTER TABLE item ADD SYSTEM VERSIONING; UPDATE item SET name = 'after'")
    assert said.startswith("D214 erp: `ALTER TABLE ... SYSTEM VERSIONING` moved rows of `DB.item` that the log does")


def test_a_database_that_is_made_anew_stops(erp: MariaErp) -> None:
    assert stop(erp, f"CREATE OR REPLACE DATABASE {erp.database}; USE {erp.database};"
                     "CREATE TABLE item (id int PRIMARY KEY, name text)") == (
        "D210 erp: the table `DB.item` was dropped (log at POSITION)\n"
        f"  mend: make it again, or take it out of the rules; then {COMPARE}"
    )  # fmt: skip


def test_a_bound_column_that_the_log_no_longer_has_stops(erp: MariaErp) -> None:
    said = stop(erp, "ALTER TABLE item CHANGE name label text; INSERT INTO item VALUES (2, 'x')")

    assert said == (
        "D210 erp: the table `DB.item` no longer has the bound column `name`\n"
        "  mend: bring it back; or change the rules, and let `duolog check RULES` confirm it"
    )


def test_rows_that_were_logged_without_a_bound_column_stop(erp: MariaErp) -> None:
    said = stop(
        erp, "ALTER TABLE item DROP name; INSERT INTO item VALUES (2); ALTER TABLE item ADD name text", again="DO 1"
    )

    assert said == (
        "D210 erp: the table `DB.item` has rows in the log without the bound column `name` (at POSITION)\n"
        "  mend: bring the column back, or change the rules, and let `duolog check RULES` confirm it; then " + COMPARE
    )


def test_names_that_are_not_in_the_log_stop(erp: MariaErp) -> None:
    erp.run("SET GLOBAL binlog_row_metadata = 'NO_LOG'")
    try:
        erp.run("INSERT INTO item VALUES (1, 'no names')")
    finally:
        erp.run("SET GLOBAL binlog_row_metadata = 'FULL'")
    source = erp.opened()

    with pytest.raises(LogIncomplete) as stopped:
        transaction(source)

    assert erp.plain(str(stopped.value)) == (
        "D214 erp: the log does not name the columns of `DB.item` (at POSITION)\n"
        "  mend: SET GLOBAL binlog_row_metadata = 'FULL'; then " + COMPARE
    )


def test_smaller_images_of_updates_and_deletions_are_enough(erp: MariaErp) -> None:
    erp.run("ALTER TABLE item ADD n int")
    erp.run("INSERT INTO item VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)")
    tables = [Table(erp.database, "item", ("id", "name", "n"), (0,))]
    source = erp.opened(erp.position(), tables=tables)
    for image in ("MINIMAL", "NOBLOB"):
        erp.run(f"SET SESSION binlog_row_image = {image}; UPDATE item SET n = n + 10 WHERE id = 1")
    erp.run("UPDATE item SET id = 20 WHERE id = 2")
    erp.run("SET SESSION binlog_row_image = MINIMAL; UPDATE item SET id = 30 WHERE id = 3")
    erp.run("DELETE FROM item WHERE id = 1")

    assert [transaction(source).changes[0] for _ in range(5)] == [
        (0, "U", ("1", ABSENT, "11"), None),
        (0, "U", ("1", ABSENT, "21"), None),
        (0, "U", ("20", ABSENT, "2"), ("2", ABSENT, "2")),
        (0, "U", ("30", ABSENT, ABSENT), ("3", ABSENT, ABSENT)),
        (0, "D", None, ("1", ABSENT, ABSENT)),
    ]


def test_statements_of_other_databases_are_passed_over(erp: MariaErp) -> None:
    erp.run("CREATE DATABASE IF NOT EXISTS elsewhere; CREATE OR REPLACE TABLE elsewhere.item (id int, name text)")
    source = erp.opened(erp.position())
    other = erp.another("elsewhere")
    other.run("SET SESSION binlog_format = STATEMENT; INSERT INTO item VALUES (1, 'x'); DELETE FROM item")
    other.run("DROP TABLE item; CREATE TABLE item (id int); CREATE TABLE copy AS SELECT * FROM item")
    mixed = erp.another()
    mixed.run("SET SESSION binlog_format = STATEMENT; REPLACE INTO elsewhere.copy SELECT id FROM item")
    erp.run("DROP DATABASE elsewhere")
    erp.run("CREATE TEMPORARY TABLE item (id int, name text); INSERT INTO item VALUES (1, 'hidden'); DROP TABLE item")
    erp.run("CREATE OR REPLACE VIEW v AS SELECT * FROM item; DROP VIEW v; GRANT SELECT ON *.* TO nobody@localhost"
            " IDENTIFIED BY 'x'; DROP USER nobody@localhost")  # fmt: skip
    erp.run("INSERT INTO item VALUES (1, 'seen')")

    assert names(transaction(source)) == ["seen"]


@pytest.mark.parametrize("setting", ["log_bin_compress = ON", "binlog_checksum = NONE", "binlog_checksum = CRC32"])
def test_the_log_may_be_compressed_or_without_checksums(erp: MariaErp, setting: str) -> None:
    erp.run(f"SET GLOBAL log_bin_compress_min_len = 10; SET GLOBAL {setting}")
    try:
        writer = erp.another()
        source = erp.opened(erp.position())
        writer.run("INSERT INTO item SELECT seq, REPEAT('long ', 100) FROM seq_1_to_50")
        writer.run("UPDATE item SET name = CONCAT(name, 'er')")
        writer.run("ALTER TABLE item COMMENT 'long enough to be compressed long enough to be compressed'")
        writer.run("DELETE FROM item")
        read = [transaction(source) for _ in range(3)]
    finally:
        erp.run("SET GLOBAL log_bin_compress = OFF; SET GLOBAL binlog_checksum = CRC32")

    assert [(item.rows, item.changes[0][1]) for item in read] == [(50, "I"), (50, "U"), (50, "D")]
    assert read[1].changes[7] == (0, "U", ("8", "long " * 100 + "er"), None)


def test_checksums_may_come_and_go_while_the_log_is_read(erp: MariaErp) -> None:
    source = erp.opened()
    try:
        for number, checksum in enumerate(("NONE", "CRC32", "NONE")):
            erp.run(f"SET GLOBAL binlog_checksum = {checksum}; INSERT INTO item VALUES ({number}, '{checksum}')")
            assert names(transaction(source)) == [checksum]
            deadline = time.monotonic() + 2.5
            while time.monotonic() < deadline:  # signs of life, too
                assert not isinstance(source.read(0.5), Transaction)
    finally:
        erp.run("SET GLOBAL binlog_checksum = CRC32")


def test_a_closed_source_is_not_connected(erp: MariaErp) -> None:
    source = erp.source()

    with pytest.raises(SystemUnavailable, match="not connected"):
        source.read(0.0)
    with pytest.raises(SystemUnavailable, match="not connected"):
        source.keep_alive()


def test_a_transaction_of_another_kind_is_progress(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("BEGIN; INSERT INTO foreign_table VALUES (1); COMMIT")

    item = source.read(patience_s)

    assert isinstance(item, Progress)
    assert not isinstance(item, Transaction)
