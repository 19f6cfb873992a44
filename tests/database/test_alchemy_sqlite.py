"""What SQLite stores of a value, and shows of it, is the text that was sent; and who finds it locked, waits."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from engine.errors import Fenced, PositionForeign, SystemUnavailable, WrongServer
from engine.fence import Fence
from engine.vocabulary import Text, Write, WriteKind
from tests.contract.alchemy_ground import SqliteGround
from tests.contract.ground import Made, batch
from tests.contract.target_promises import ACCOUNT, NAME, NOTE, accounts
from tests.contract.whole_promises import HELD, KINDS, TURNED, Texts, tables
from tests.database.books import row, write


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[SqliteGround]:
    with closing(SqliteGround(tmp_path)) as made:
        yield made


def test_every_value_is_stored_compared_and_shown_as_the_text_that_was_sent(ground: SqliteGround) -> None:
    rules, user = ground.make(*tables()), ground.user()

    def writes(kind: WriteKind, new: Texts | None, held: Texts | None) -> list[Write]:
        return [
            write(kind, f"of {name}", (1,), [
                row(1, str(n), (new[name][n],) if new else (), (held[name][n],) if held else ())
                for n in range(len(HELD[name]))
            ])
            for name in KINDS
        ]  # fmt: skip

    with ground.writing(rules) as target:
        inserted = target.apply(batch(1, *writes("insert", HELD, None)))
        updated = target.apply(batch(2, *writes("update", TURNED, HELD)))
        read = {kind: target.reread(f"of {kind}", [str(n) for n in range(len(HELD[kind]))]) for kind in KINDS}
        with closing(ground.snapshot(rules)) as picture:
            shown = {kind: dict(picture.rows(f"of {kind}")) for kind in KINDS}
        there = {kind: user.rows(f"of {kind}") for kind in KINDS}
        deleted = target.apply(batch(3, *writes("delete", None, TURNED)))

    assert [inserted.exceptions, updated.exceptions, deleted.exceptions] == [[], [], []]
    for kind in KINDS:
        rows: dict[str, tuple[Text, ...]] = {str(n): (str(n), value) for n, value in enumerate(TURNED[kind])}
        assert shown[kind] == {answer.key: answer.row for answer in read[kind]} == rows
        assert set(there[kind]) == set(rows.values())


def test_rows_that_one_statement_changes_are_changed_once(ground: SqliteGround) -> None:
    rules, user = ground.make(ACCOUNT), ground.user()
    user.insert("account", *accounts(1, 5))
    user.session.execute("CREATE TABLE seen (id)")
    user.session.execute("CREATE TRIGGER see AFTER UPDATE ON account BEGIN INSERT INTO seen VALUES (NEW.id); END")
    change = write("update", "account", (NAME,), [row(1, str(n), ("x",), ("n",)) for n in range(1, 6)])

    with ground.writing(rules) as target:
        assert target.apply(batch(1, change)).exceptions == []

    assert sorted(user.session.execute("SELECT id FROM seen")) == [(n,) for n in range(1, 6)]


def test_a_user_who_has_the_database_is_not_waited_for_long_and_nothing_is_lost(ground: SqliteGround) -> None:
    rules, user = ground.make(ACCOUNT), ground.user()
    user.insert("account", *accounts(1, 1))
    change = batch(1, write("update", "account", (NAME,), [row(1, "1", ("x",), ("n",))]))

    with ground.writing(rules) as target:
        with user.transaction():
            user.update("account", ["1"], credit="5.00")
            with pytest.raises(SystemUnavailable, match="lock"):
                target.apply(change)
        assert target.committed(0) == []
        assert target.apply(change).exceptions == []

    assert user.rows("account") == [("1", "x", "5.00", None)]


def test_only_one_engine_writes_a_file(ground: SqliteGround) -> None:
    rules = ground.make(ACCOUNT)

    with ground.writing(rules), pytest.raises(SystemUnavailable, match="already"):
        ground.target(rules).open()
    with ground.writing(rules) as target:
        assert target.apply(batch(1)).exceptions == []


def test_a_journal_that_keeps_readers_from_writers_is_told_with_its_mend(ground: SqliteGround) -> None:
    rules = ground.make(ACCOUNT)
    assert ground.alchemy.findings(rules)[0] == []
    with closing(sqlite3.connect(ground.path)) as session:
        session.execute("PRAGMA journal_mode = DELETE")

    found = ground.alchemy.findings(rules)[0]

    assert [(finding.code, finding.mend) for finding in found] == [("P180", "PRAGMA journal_mode = WAL;")]


def test_a_worker_that_was_taken_over_writes_nothing_more(ground: SqliteGround) -> None:
    rules, user = ground.make(ACCOUNT), ground.user()
    user.insert("account", *accounts(1, 1))
    former = ground.alchemy.target(rules, fence=Fence(3, lambda: None))
    later = ground.alchemy.target(rules, fence=Fence(4, lambda: None))
    former.open()
    with closing(former), closing(later):
        first = former.apply(batch(1, write("update", "account", (NAME,), [row(1, "1", ("a",), ("n",))])))
        later.open()
        with pytest.raises(Fenced, match="epoch 4, we are in 3"):
            former.apply(batch(2, write("update", "account", (NAME,), [row(2, "1", ("b",), ("a",))])))
        second = later.apply(batch(2, write("update", "account", (NAME,), [row(2, "1", ("c",), ("a",))])))
        with pytest.raises(Fenced):
            former.open()

        assert later.committed(0) == [first, second]
    assert user.rows("account") == [("1", "c", "0.00", None)]


def test_a_beat_is_no_batch_and_another_database_is_told(ground: SqliteGround) -> None:
    rules = ground.make(ACCOUNT)
    kit = ground.alchemy
    kit.beat(rules)
    kit.beat(rules)

    assert kit.committed(rules, 0) == []
    assert kit.ledger_name() == "main.duolog_ledger"
    kit.make_sure(rules, kit.identity(), 0)
    with pytest.raises(WrongServer):
        kit.make_sure(rules, "elsewhere", 0)
    with pytest.raises(PositionForeign):
        kit.make_sure(rules, kit.identity(), 1 << 60)
    assert kit.teardown(rules) == ["table `duolog_ledger`"]
    assert kit.teardown(rules) == []


def test_what_is_wrong_with_tables_is_told_with_its_mend(ground: SqliteGround) -> None:
    rules = ground.make(
        Made("account", {"id": "integer", "name": "word"}), Made("order", {"id": "integer"}),
        Made("line", {"id": "integer", "text": "text"}),
    )  # fmt: skip
    with closing(sqlite3.connect(ground.path)) as session:
        session.executescript(
            'DROP TABLE account; CREATE TABLE accounts (id BIGINT); DROP TABLE "order"; '
            'CREATE VIEW "order" AS SELECT 1 AS id; DROP TABLE line; CREATE TABLE line (id REAL, txt TEXT)'
        )

    found = {(each.code, each.table): each.mend for each in ground.alchemy.findings(rules)[0]}

    assert found[("P201", "main.account")] == "did you mean `accounts`?"
    assert found[("P203", "main.line")] == "did you mean `txt`?"
    assert found[("P210", "main.line")] == "CREATE UNIQUE INDEX line_key ON main.line (id);"
    assert ("P211", "main.line") in found and ("P212", "main.line") in found


HURRIED = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
while True:
    file.execute("UPDATE account SET note = coalesce(note, 0) + 1 WHERE id = 1")
"""


@pytest.mark.alone
def test_a_writer_gets_its_turn_beside_a_user_who_never_pauses(ground: SqliteGround) -> None:
    """SQLite's own waiting looks so seldom that such a user kept us out for seconds: the target gave up."""
    rules, user = ground.make(ACCOUNT), ground.user()
    user.insert("account", *accounts(1, 3))

    with ground.writing(rules) as target, ExitStack() as stack:
        hurried = subprocess.Popen([sys.executable, "-c", HURRIED, str(ground.path)])
        stack.callback(hurried.wait)
        stack.callback(hurried.kill)
        for number in range(1, 31):
            noted = user.rows("account")[0][NOTE]
            deadline = time.monotonic() + 30
            while user.rows("account")[0][NOTE] == noted:
                assert time.monotonic() < deadline, "nobody is in the way"
            guarded = row(1, "2", (f"o{number}",), (f"o{number - 1}" if number > 1 else "n",))
            outcome = target.apply(batch(number, write("update", "account", (NAME,), [guarded])))
            assert outcome.exceptions == [], number

    assert next(told for told in user.rows("account") if told[0] == "2")[NAME] == "o30"
