"""A MariaDB target waits for nobody, overtakes nobody, and its separators divide what was before from what comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pymysql
import pytest

from adapters.mariadb.sending import Question
from adapters.mariadb.target import MariaTarget
from engine.vocabulary import Outcome, RowResult, WriteKind
from service.embedded.mariadb import EmbeddedMariaDB
from tests.crowd import within
from tests.database.books import Bound, row, write
from tests.database.maria_target import User, batch, history, in_background, mark, opened, rules

ACCOUNT = Bound("account", ("id", "name", "credit", "note"), ("id",))
CREATE = "CREATE TABLE account (id bigint PRIMARY KEY, name varchar(20), credit decimal(12,2), note text)"


@pytest.fixture
def user(erp_maria: str) -> Iterator[User]:
    """The application's own connection."""
    made = User(erp_maria)
    made.do(CREATE)
    yield made
    made.conn.close()


def _thousand(user: User) -> list[Any]:
    user.do("INSERT INTO account SELECT seq, 'n', 0, NULL FROM seq_1_to_1000")
    return [row(n // 10, str(n), ("5.00",), ("0.00",)) for n in range(1, 1001)]


@pytest.mark.alone
def test_only_the_source_transaction_that_meets_a_users_lock_steps_aside_and_soon(erp_maria: str, user: User) -> None:
    rows = _thousand(user)

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp, user.transaction():
        user.do("UPDATE account SET note = 'busy' WHERE id = 500")
        began = time.monotonic()
        outcome = erp.apply(batch(100, write("update", "account", (2,), rows)))
        took = time.monotonic() - began

    assert outcome.exceptions == [RowResult("account", str(n), "deferred") for n in range(500, 510)]
    assert user.do("SELECT count(*) FROM account WHERE credit = 5") == [(990,)]
    assert took < 1.0


def test_a_lock_that_is_held_for_a_moment_only_costs_nobody_a_turn(erp_maria: str, user: User) -> None:
    rows = _thousand(user)[:30]

    with opened(erp_maria, rules(erp_maria, ACCOUNT), lock_timeout_ms=5000) as erp:
        user.do("BEGIN; UPDATE account SET note = 'busy' WHERE id = 5")
        timer = threading.Timer(0.02, lambda: user.do("COMMIT"))
        timer.start()
        outcome = erp.apply(batch(100, write("update", "account", (2,), rows)))
        timer.join()

    assert outcome.exceptions == []


def test_rows_that_are_never_all_free_at_once_are_taken_one_after_the_other(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO account VALUES (9, 'a', 1, NULL), (10, 'b', 1, NULL)")
    first, second, third = User(erp_maria), User(erp_maria), User(erp_maria)
    first.do("BEGIN; UPDATE account SET note = 'first' WHERE id = 9")
    second.do("BEGIN; UPDATE account SET note = 'second' WHERE id = 10")
    answers: list[Outcome] = []

    with opened(erp_maria, rules(erp_maria, ACCOUNT), lock_timeout_ms=20_000) as erp:
        rows = [row(1, "10", ("B",), ("b",)), row(1, "9", ("A",), ("a",))]
        ours = in_background(lambda: answers.append(erp.apply(batch(1, write("update", "account", (1,), rows)))))
        first.do("COMMIT")
        while user.do("SELECT id FROM account WHERE id = 9 FOR UPDATE SKIP LOCKED"):
            pass  # until we have it
        theirs = in_background(lambda: third.do("UPDATE account SET credit = (name = BINARY 'A') WHERE id = 9"))
        second.do("COMMIT")
        ours()
        theirs()

    assert answers[0].exceptions == []
    assert user.do("SELECT name, credit, note FROM account ORDER BY id") == [("A", 1, "first"), ("B", 1, "second")]
    for each in (first, second, third):
        each.conn.close()


@pytest.mark.alone
def test_others_are_held_no_longer_than_the_lock_timeout_for_a_row_that_stays_locked(
    erp_maria: str, user: User
) -> None:
    rows = _thousand(user)
    other = User(erp_maria)
    waits: list[float] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            began = time.monotonic()
            other.do("UPDATE account SET note = 'x' WHERE id = 3")
            waits.append(time.monotonic() - began)

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp, user.transaction():
        user.do("UPDATE account SET note = 'busy' WHERE id = 500")
        join = in_background(work)
        for number in range(1, 20):
            erp.apply(batch(number, write("update", "account", (2,), rows[489:] + rows[:10])))
        stop.set()
        join()

    assert max(waits) < 1.0
    other.conn.close()


@pytest.mark.alone
@pytest.mark.parametrize("lock", ["LOCK TABLES account WRITE", "LOCK TABLES account READ"])
def test_a_table_that_is_locked_costs_no_time(erp_maria: str, user: User, lock: str) -> None:
    rows = _thousand(user)
    user.do("CREATE TABLE other (id int PRIMARY KEY, v text)")
    book = rules(erp_maria, ACCOUNT, Bound("other", ("id", "v"), ("id",)))

    with opened(erp_maria, book) as erp:
        user.do(lock)
        began = time.monotonic()
        other = write("insert", "other", (1,), [row(200, "1", ("a",))])
        outcome = erp.apply(batch(200, write("update", "account", (2,), rows), other))
        took = time.monotonic() - began
        user.do("UNLOCK TABLES")

    assert outcome.exceptions == [RowResult("account", str(n), "deferred") for n in range(1, 1001)]
    assert user.do("SELECT count(*) FROM other") == [(1,)]
    assert took < 2.0


def test_a_source_transaction_of_several_tables_steps_aside_whole(erp_maria: str, user: User) -> None:
    user.do("CREATE TABLE child (id int PRIMARY KEY, parent bigint)")
    user.do("INSERT INTO account VALUES (1, 'a', 1, NULL), (2, 'b', 1, NULL)")
    book = rules(erp_maria, ACCOUNT, Bound("child", ("id", "parent"), ("id",)))

    with opened(erp_maria, book) as erp, user.transaction():
        user.do("INSERT INTO child VALUES (5, 5)")  # not yet committed: its key is locked
        updates = [row(1, "1", ("A",), ("a",)), row(2, "2", ("B",), ("b",))]
        inserts = [row(1, "5", ("1",)), row(2, "6", ("2",))]
        outcome = erp.apply(
            batch(2, write("update", "account", (1,), updates), write("insert", "child", (1,), inserts))
        )

    assert sorted(outcome.exceptions) == [RowResult("account", "1", "deferred"), RowResult("child", "5", "deferred")]
    assert user.do("SELECT name FROM account ORDER BY id") == [("a",), ("B",)]


def test_a_user_who_waits_for_us_is_not_the_deadlocks_victim(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO account VALUES (1, 'a', 1, NULL), (2, 'b', 1, NULL), (3, 'c', 1, NULL)")
    failed: list[Exception] = []
    stop = threading.Event()

    def cross() -> None:
        with closing(User(erp_maria).conn) as conn, conn.cursor() as cursor:
            while not stop.is_set():
                try:
                    cursor.execute("BEGIN")
                    cursor.execute("UPDATE account SET note = 'x' WHERE id = 2")
                    cursor.execute("UPDATE account SET note = 'y' WHERE id = 1")
                    cursor.execute("COMMIT")
                except pymysql.MySQLError as error:
                    failed.append(error)

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        join = in_background(cross)
        written = 0
        for number in range(1, 300):
            now = {str(key): name for key, name in user.do("SELECT id, name FROM account")}
            rows = [row(number, key, (f"{key}{number}",), (now[key],)) for key in ("1", "2", "3")]
            outcome = erp.apply(batch(number, write("update", "account", (1,), rows)))
            written += not outcome.exceptions
        stop.set()
        join()

    assert failed == []
    assert written > 0


def test_rows_that_users_have_locked_are_found_without_a_place_in_the_queue(own_maria: EmbeddedMariaDB) -> None:
    """Who stands there for a moment only (as SKIP LOCKED does) may make a user a deadlock's victim."""
    own_maria.start()
    url = own_maria.create_database("queue")
    user, other = User(url), User(url)
    user.do(CREATE)
    rows = [row(n // 10, str(n), ("5.00",), ("0.00",)) for n in range(1, 101)]
    user.do("INSERT INTO account SELECT seq, 'n', 0, NULL FROM seq_1_to_100")
    user.do("SET GLOBAL innodb_monitor_enable = 'lock_rec_lock_waits'")
    waits = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_rec_lock_waits'"

    with opened(url, rules(url, ACCOUNT)) as erp, user.transaction():
        user.do("UPDATE account SET note = 'busy' WHERE id IN (1, 17, 18, 55, 100)")
        outcome = erp.apply(batch(100, write("update", "account", (2,), rows)))
        told = erp.reread("account", ["1", "2", "18", "19", "100", "404"])
        queued = other.do(waits)

    assert queued == [(0,)]
    assert {each.key for each in outcome.exceptions} == {str(n) for n in range(1, 101) if n // 10 in (0, 1, 5, 10)}
    assert [(each.key, each.row is not None) for each in told] == [("2", True), ("19", True), ("404", False)]
    user.conn.close()
    other.conn.close()


def test_more_locked_rows_than_are_found_one_by_one_are_left_out_all_the_same(erp_maria: str, user: User) -> None:
    rows = _thousand(user)

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp, user.transaction():
        twentieth = ",".join(str(n) for n in range(20, 1001, 20))
        user.do(f"UPDATE account SET note = 'busy' WHERE id IN ({twentieth})")
        outcome = erp.apply(batch(100, write("update", "account", (2,), rows)))
        told = erp.reread("account", [str(n) for n in range(1, 1001)])

    assert {int(each.key) for each in outcome.exceptions} == {n for n in range(10, 1001) if n // 10 % 2 == 0}
    assert {int(each.key) for each in told} == {n for n in range(1, 1001) if n % 20}
    assert user.do("SELECT count(*) FROM account WHERE credit = 5") == [(1000 - len(outcome.exceptions),)]


def test_where_a_timeout_ends_the_whole_transaction_nothing_is_lost(own_maria: EmbeddedMariaDB) -> None:
    own_maria.close()
    with EmbeddedMariaDB(settings={"innodb_rollback_on_timeout": "ON"}) as server:
        server.start()
        url = server.create_database("erp")
        user = User(url)
        user.do(CREATE)
        rows = _thousand(user)
        new = [row(n, str(n), ("n", "1.00", None)) for n in range(1001, 1011)]
        with opened(url, rules(url, ACCOUNT)) as erp, user.transaction():
            user.do("UPDATE account SET note = 'busy' WHERE id = 500; INSERT INTO account (id) VALUES (1005)")
            inserts = write("insert", "account", (1, 2, 3), new)
            outcome = erp.apply(batch(1100, write("update", "account", (2,), rows), inserts))

        deferred = [RowResult("account", str(n), "deferred") for n in [*range(500, 510), 1005]]
        assert sorted(outcome.exceptions, key=lambda r: int(r.key)) == deferred
        assert user.do("SELECT count(*), sum(credit = 5) FROM account") == [(1009, 990)]


# ---------------------------------------------------------------- separators


def test_under_a_running_writer_every_separator_stands_right_behind_what_was_matched(
    erp_maria: str, user: User
) -> None:
    user.do("INSERT INTO account VALUES (1, 'u0', 1, NULL)")
    since = mark(erp_maria)
    stop = threading.Event()

    def work() -> None:
        writer, number = User(erp_maria), 0
        while not stop.is_set():
            number += 1
            writer.do(f"UPDATE account SET name = 'u{number}' WHERE id = 1")

    seen: list[tuple[int, str]] = []
    missed: list[tuple[int, str]] = []
    others = [in_background(lambda: _noise(erp_maria, stop)) for _ in range(2)]
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        join, number, deadline = in_background(work), 0, time.monotonic() + within(30)
        while (len(seen) < 60 or len(missed) < 30) and time.monotonic() < deadline:
            number += 1
            (known,) = erp.reread("account", ["1"]) or (None,)
            if known is None or known.row is None:
                continue
            seen.append((known.position, str(known.row[1])))
            change = write("update", "account", (1,), [row(number, "1", (f"o{number}",), (str(known.row[1]),))])
            outcome = erp.apply(batch(number, change))
            if not outcome.exceptions:
                seen.append((outcome.separator, str(known.row[1])))
            elif outcome.exceptions[0].kind == "unmatched":
                missed.append((outcome.separator, str(known.row[1])))
        stop.set()
        for each in (join, *others):
            each()

    told = [(end, row["name"]) for end, name, row in history(erp_maria, since) if name == "account" and row]
    for position, value in seen:
        before = [written for end, written in told if end <= position]
        assert (before or ["u0"])[-1] == value
    for position, value in missed:
        before = [written for end, written in told if end <= position]
        assert (before or ["u0"])[-1] != value  # what came in between is explained by the log up to there
    assert len(seen) >= 60 and len(missed) >= 30


def test_what_is_told_to_be_missing_comes_behind_the_position_if_it_comes(erp_maria: str, user: User) -> None:
    since = mark(erp_maria)
    stop = threading.Event()
    others = [in_background(lambda: _noise(erp_maria, stop)) for _ in range(2)]
    number = [0]

    def work() -> None:
        writer = User(erp_maria)
        while not stop.is_set():
            number[0] += 1
            writer.do(f"BEGIN; INSERT INTO account (id) VALUES ({number[0]}); COMMIT")

    missing: dict[int, int] = {}
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        join, deadline = in_background(work), time.monotonic() + within(20)
        while len(missing) < 300 and time.monotonic() < deadline:
            soon = number[0]
            for answer in erp.reread("account", [str(at) for at in range(soon, soon + 12)]):
                if answer.row is None:
                    missing[int(answer.key)] = answer.position
        stop.set()
        for each in (join, *others):
            each()

    born = {int(row["id"]): end for end, name, row in history(erp_maria, since) if name == "account" and row}
    checked = [(key, at, born[key]) for key, at in missing.items() if key in born]
    assert len(checked) > 150
    assert [each for each in checked if each[1] >= each[2]] == []


def test_a_record_that_is_being_committed_is_not_told_to_be_missing(erp_maria: str, user: User) -> None:
    since = mark(erp_maria)
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        user.do("BEGIN; INSERT INTO account VALUES (1, 'a', 1, NULL)")
        (answer,) = [each for each in erp.reread("account", ["1"]) if each.row is None]
        user.do("COMMIT")

    ((end, _, _),) = [each for each in history(erp_maria, since) if each[1] == "account"]
    assert answer.position < end


BETWEEN = [
    # what a user does, before which statement of ours, whether he is stopped by our locks, what is not matched
    ("UPDATE account SET name = 'a' WHERE id = 2", "UPDATE", "update", False, ["7"]),
    ("UPDATE account SET name = 'theirs' WHERE id = 1", "UPDATE", "update", True, ["2", "7"]),
    ("INSERT INTO account VALUES (7, 'a', 1, NULL)", "UPDATE", "update", False, ["2"]),
    ("INSERT INTO account VALUES (7, 'a', 1, NULL)", "DELETE t", "delete", False, ["2"]),
    ("INSERT INTO account VALUES (7, 'theirs', 1, NULL)", "INSERT INTO `", "insert", False, ["1", "2", "7"]),
    ("DELETE FROM account WHERE id = 2", "INSERT INTO `", "insert", False, ["1", "2"]),
]


@pytest.mark.parametrize(("theirs", "before", "kind", "stopped", "unmatched"), BETWEEN)
def test_a_user_who_comes_in_between_question_and_write_is_seen_or_has_to_wait(
    erp_maria: str, user: User, theirs: str, before: str, kind: WriteKind, stopped: bool, unmatched: list[str]
) -> None:
    user.do("INSERT INTO account VALUES (1, 'a', 1, NULL), (2, 'other', 1, NULL)")
    user.do("SET innodb_lock_wait_timeout = 0")
    errors: list[Exception] = []

    def come() -> None:
        try:
            user.do(theirs)
        except pymysql.err.OperationalError as error:
            errors.append(error)

    with opened(erp_maria, rules(erp_maria, ACCOUNT), lock_timeout_ms=5000) as erp:
        _interrupt(erp, before, come)
        held, new = () if kind == "insert" else ("a",), () if kind == "delete" else ("ours",)
        rows = [row(1, key, new, held) for key in ("1", "2", "7")]
        outcome = erp.apply(batch(1, write(kind, "account", (1,), rows)))

    assert bool(errors) == stopped
    assert [result.key for result in outcome.exceptions if result.kind == "unmatched"] == unmatched
    left = {str(key): name for key, name in user.do("SELECT id, name FROM account")}
    ours = {"1", "2", "7"} - set(unmatched)
    assert {key for key, name in left.items() if name == "ours"} == (set() if kind == "delete" else ours)
    assert not (kind == "delete" and ours & left.keys())


def test_a_user_who_comes_in_between_two_of_our_statements_is_never_overwritten(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO account SELECT seq, 'a', 0, NULL FROM seq_1_to_40")
    since = mark(erp_maria)
    stop = threading.Event()

    def work() -> None:
        writer, number = User(erp_maria), 0
        while not stop.is_set():
            number += 1
            key = number % 40 + 1
            writer.do(f"UPDATE account SET name = 'u{number}' WHERE id = {key}")
            writer.do(f"DELETE FROM account WHERE id = {100 + key}")
            with suppress(pymysql.err.IntegrityError):  # ours is there already
                writer.do(f"INSERT INTO account (id, name) VALUES ({100 + key}, 'theirs')")

    ours: set[tuple[str, str, str]] = set()
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        join = in_background(work)
        for number in range(1, 200):
            now = {str(key): str(name) for key, name in user.do("SELECT id, name FROM account WHERE id <= 40")}
            rows = [row(at, key, (f"o{number}",), (name,)) for at, (key, name) in enumerate(now.items())]
            made = [row(50 + key, str(100 + key), (f"o{number}",)) for key in range(1, 41)]
            changes = [write("update", "account", (1,), rows), write("insert", "account", (1,), made)]
            outcome = erp.apply(batch(number, *changes))
            assert {r.kind for r in outcome.exceptions} <= {"unmatched", "deferred", "stored"}
            amiss = {(r.key, r.kind) for r in outcome.exceptions if r.kind != "stored"}
            missed = {key for key, _ in amiss}
            ours |= {(key, f"o{number}", now[key]) for key in now if key not in missed}
            ours |= {(str(100 + k), f"o{number}", "") for k in range(1, 41) if str(100 + k) not in missed}
        stop.set()
        join()

    told: set[tuple[str, str, str]] = set()
    last: dict[str, str] = {}
    for _, _, values in [each for each in history(erp_maria, since) if each[2]]:
        assert values is not None
        key, name = str(values["id"]), str(values["name"])
        if name.startswith("o"):
            told.add((key, name, last.get(key, "a") if int(key) <= 40 else ""))
        last[key] = name
    assert told == ours


def _interrupt(erp: MariaTarget, before: str, work: Callable[[], object]) -> None:
    """Has a user do something just before a statement that begins so is carried out for the first time."""
    sending = erp._speech.sending
    send, waiting = sending.send, [work]

    def slowly(statement: str | bytes) -> Question:
        if waiting and isinstance(statement, str) and statement.startswith(before):
            sending.flush()
            waiting.pop()()
        return send(statement)

    sending.send = slowly  # type: ignore[method-assign]


def _noise(url: str, stop: threading.Event) -> None:
    """Commits that have nothing to do with the rows in question."""
    writer = User(url)
    name = f"noise_{threading.get_ident()}"
    writer.do(f"CREATE TABLE {name} (n int)")
    while not stop.is_set():
        writer.do(f"INSERT INTO {name} VALUES (1)")
        stop.wait(0.001)
