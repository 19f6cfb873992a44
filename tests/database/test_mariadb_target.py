"""A MariaDB target writes exactly what it was asked, where its guard matches, and tells about everything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.mariadb.address import address
from engine.errors import EngineFault, NotSetUp, SchemaChanged, StoreBehind, SystemUnavailable
from engine.vocabulary import ABSENT, Batch, RowResult
from tests.database.books import Bound, row, write
from tests.database.maria_target import User, batch, history, mark, opened, rules, target

ACCOUNT = Bound("account", ("id", "name", "credit", "note"), ("id",))


@pytest.fixture
def user(erp_maria: str) -> Iterator[User]:
    """The application's own connection."""
    made = User(erp_maria)
    made.do("CREATE TABLE account (id bigint PRIMARY KEY, name varchar(20), credit decimal(12,2), note text)")
    yield made
    made.conn.close()


def table(user: User, query: str = "SELECT * FROM account ORDER BY id") -> list[Any]:
    return [tuple(map(str, r)) for r in user.do(query)]


def test_guard_tells_values_apart_that_the_type_holds_equal(erp_maria: str, user: User) -> None:
    user.do(
        "CREATE TABLE lax (id int PRIMARY KEY, c varchar(9) COLLATE utf8mb4_general_ci, p varchar(9), "
        "b varchar(9) COLLATE utf8mb4_bin, f double, d datetime(3), l varchar(9) CHARACTER SET latin1, j json)"
    )
    user.do("INSERT INTO lax SELECT seq, 'a', 'x', 'y', 0, '2026-01-01', 'é', '{\"a\": 1}' FROM seq_1_to_8")
    held = ("a", "x", "y", "0", "2026-01-01 00:00:00", "é", '{"a": 1}')
    wrong = ("A", "x ", "y ", "-0", "2026-01-01 00:00:00.001", "e", '{"a":1}')
    new = ("b", "y", "z", "3", "2026-01-02 00:00:00.5", "f", "{}")
    rows = [row(1, "8", new, held)]
    rows += [row(1, str(at + 1), new, held[:at] + wrong[at : at + 1] + held[at + 1 :]) for at in range(7)]

    book = rules(erp_maria, Bound("lax", ("id", "c", "p", "b", "f", "d", "l", "j"), ("id",)))
    with opened(erp_maria, book) as opened_target:
        outcome = opened_target.apply(batch(1, write("update", "lax", (1, 2, 3, 4, 5, 6, 7), rows)))

    assert outcome.exceptions == [RowResult("lax", str(k), "unmatched") for k in range(1, 8)]


LAX_KEYS = [("a", "A"), ("a", "a "), ("e", "é")]


@pytest.mark.parametrize(("theirs", "ours"), LAX_KEYS)
def test_a_key_that_is_the_same_only_for_the_collation_is_another_row(
    erp_maria: str, user: User, theirs: str, ours: str
) -> None:
    user.do("CREATE TABLE word (w varchar(9) PRIMARY KEY, n int)")
    user.do(f"INSERT INTO word VALUES ('{theirs}', 1)")

    with opened(erp_maria, rules(erp_maria, Bound("word", ("w", "n"), ("w",)))) as erp:
        changed = erp.apply(batch(1, write("update", "word", (1,), [row(1, ours, ("2",), ("1",))])))
        removed = erp.apply(batch(2, write("delete", "word", (1,), [row(2, ours, (), ("1",))])))
        made = erp.apply(batch(3, write("insert", "word", (1,), [row(3, ours, ("2",)), row(3, "b", ("2",))])))
        read = erp.reread("word", [ours, theirs])

    name = address(erp_maria).database
    why = f"1062 duplicate key: unique index `PRIMARY` of `{name}.word` about `w`"
    assert changed.exceptions == removed.exceptions == [RowResult("word", ours, "unmatched")]
    assert made.exceptions == [RowResult("word", ours, "failed", reason=why)]
    assert table(user, "SELECT * FROM word ORDER BY n") == [(theirs, "1"), ("b", "2")]
    assert {r.key: r.row for r in read} == {ours: None, theirs: (theirs, "1")}


def test_what_is_stored_differently_is_told(erp_maria: str, user: User) -> None:
    user.do(
        "CREATE TABLE lossy (id int PRIMARY KEY, n decimal(8,1), c char(4), t text, u datetime(1), f float);"
        "CREATE TRIGGER shout BEFORE INSERT ON lossy FOR EACH ROW SET NEW.t = upper(NEW.t);"
        "CREATE TRIGGER shout_again BEFORE UPDATE ON lossy FOR EACH ROW SET NEW.t = upper(NEW.t)"
    )
    user.do("INSERT INTO lossy (id) VALUES (1), (2)")
    nothing = (None,) * 5
    rounded = ("1.26", "ab  ", "hi", "2026-01-01 00:00:00.77", "0.123456789")
    exact = ("1.3", "ab", "HI", "2026-01-01 00:00:00.7", "0.12345679")
    stored: dict[int, str | None] = dict(zip((1, 2, 3, 4, 5), exact, strict=True))

    book = rules(erp_maria, Bound("lossy", ("id", "n", "c", "t", "u", "f"), ("id",)))
    with opened(erp_maria, book) as erp:
        update = write("update", "lossy", (1, 2, 3, 4, 5), [row(1, "1", rounded, nothing), row(1, "2", exact, nothing)])
        insert = write("insert", "lossy", (1, 2, 3, 4, 5), [row(1, "3", rounded), row(1, "4", exact)])
        outcome = erp.apply(batch(1, insert, update))

    assert outcome.exceptions == [RowResult("lossy", "3", "stored", stored), RowResult("lossy", "1", "stored", stored)]


def test_fields_that_an_insert_leaves_unset_come_back_as_the_targets_defaults(erp_maria: str, user: User) -> None:
    user.do("ALTER TABLE account ALTER note SET DEFAULT 'none'")
    user.do("ALTER TABLE account ADD doubled decimal(14,2) AS (credit * 2) STORED, ADD tripled int AS (credit * 3)")

    book = rules(erp_maria, Bound("account", ("id", "name", "credit", "note", "doubled", "tripled"), ("id",)))
    with opened(erp_maria, book) as erp:
        outcome = erp.apply(batch(1, write("insert", "account", (1, 2), [row(1, "1", ("a", "1.50"))])))

    assert outcome.exceptions == [RowResult("account", "1", "stored", {3: "none", 4: "3.00", 5: "5"})]


def test_an_auto_increment_column_takes_the_key_it_is_given_and_0_is_one(erp_maria: str, user: User) -> None:
    user.do("CREATE TABLE made (id int AUTO_INCREMENT PRIMARY KEY, name text)")

    with opened(erp_maria, rules(erp_maria, Bound("made", ("id", "name"), ("id",)))) as erp:
        outcome = erp.apply(batch(1, write("insert", "made", (1,), [row(1, "77", ("a",)), row(1, "0", ("b",))])))
    user.do("INSERT INTO made (name) VALUES ('theirs')")

    assert outcome.exceptions == []
    assert table(user, "SELECT * FROM made ORDER BY id") == [("0", "b"), ("77", "a"), ("78", "theirs")]


def test_many_rows_of_which_some_do_not_match_go_in_several_pieces(erp_maria: str, user: User) -> None:
    count = 12_000  # more than one statement takes
    user.do(f"INSERT INTO account SELECT seq, 'n', 0, NULL FROM seq_1_to_{count}")
    odd = [1, 4_999, 5_000, 5_001, 9_999, count]
    user.do(f"UPDATE account SET name = 'other' WHERE id IN ({','.join(map(str, odd))})")

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        keys = [str(n) for n in range(1, count + 1)]
        changed = erp.apply(batch(1, write("update", "account", (1,), [row(1, k, ("m",), ("n",)) for k in keys])))
        made = [row(2, str(n), ("m", "1.005", None)) for n in range(count - 5, 2 * count)]
        inserted = erp.apply(batch(2, write("insert", "account", (1, 2, 3), made)))
        removed = erp.apply(batch(3, write("delete", "account", (1,), [row(3, k, (), ("m",)) for k in keys])))

    unmatched = [RowResult("account", str(n), "unmatched") for n in odd]
    stored = [RowResult("account", str(n), "stored", {2: "1.01"}) for n in range(count + 1, 2 * count)]
    there = [RowResult("account", str(n), "unmatched") for n in range(count - 5, count + 1)]
    assert changed.exceptions == removed.exceptions == unmatched
    assert sorted(inserted.exceptions, key=lambda r: int(r.key)) == there + stored
    assert table(user, f"SELECT count(*) FROM account WHERE id <= {count}") == [(str(len(odd)),)]


@pytest.mark.parametrize("order", [1, -1])
def test_rows_that_refer_to_others_of_the_same_statement_get_in_and_out(erp_maria: str, user: User, order: int) -> None:
    user.do("CREATE TABLE node (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES node (id))")
    rows = [(1, None), (2, "1"), (3, "2"), (4, "1")][::order]

    with opened(erp_maria, rules(erp_maria, Bound("node", ("id", "parent"), ("id",)))) as erp:
        made = erp.apply(batch(4, write("insert", "node", (1,), [row(1, str(k), (p,)) for k, p in rows])))
        gone = erp.apply(batch(8, write("delete", "node", (1,), [row(2, str(k), (), (p,)) for k, p in rows])))

    assert made.exceptions == gone.exceptions == []
    assert table(user, "SELECT * FROM node") == []


AWKWARD = ["order", "with-hyphen", "with space", "Capital", 'quo"te', "单价", "per%cent", "semi;colon", "b`tick", "u"]
VALUES = ["", "NULL", "back\\slash", "it's", 'quo"te', "\n\t\r\b", "emoji 😀 中", "nul\0nul", "\x1f\x7f\u2028", "é"]


def test_awkward_names_and_values_work_everywhere(erp_maria: str, user: User) -> None:
    named = ", ".join("`" + name.replace("`", "``") + "` varchar(99) COLLATE utf8mb4_nopad_bin" for name in AWKWARD)
    user.do(f"CREATE TABLE `ta-ble` ({named}, PRIMARY KEY (`order`, `with-hyphen`))")
    book = rules(erp_maria, Bound("awkward", AWKWARD, AWKWARD[:2], table="ta-ble"))
    rest = tuple(range(2, len(AWKWARD)))
    given = tuple(VALUES[n % len(VALUES)] for n in rest)
    turned = given[1:] + given[:1]
    keys = [(first, second) for first in VALUES for second in ("k2", "2 k")]
    named_keys = ["\x1f".join(key) for key in keys if "\x1f" not in key[0]]

    with opened(erp_maria, book) as erp:
        insert = [(1, "\x1f".join(key), key, given, ()) for key in keys]
        update = [(2, "\x1f".join(key), key, turned, given) for key in keys]
        delete = [(3, "\x1f".join(key), key, (), turned) for key in keys]
        first = erp.apply(batch(1, write("insert", "awkward", rest, insert)))
        second = erp.apply(batch(2, write("update", "awkward", rest, update)))
        read = erp.reread("awkward", named_keys)
        third = erp.apply(batch(3, write("delete", "awkward", rest, delete)))

    assert [first.exceptions, second.exceptions, third.exceptions] == [[], [], []]
    assert [r.row for r in read] == [(*k.split("\x1f"), *turned) for k in named_keys]
    assert user.do("SELECT count(*) FROM `ta-ble`") == [(0,)]


def test_a_page_after_the_other_is_one_transaction(erp_maria: str, user: User) -> None:
    pages = [
        [write("insert", "account", (1, 2, 3), [row(n, str(n), ("a", "1.00", None)) for n in range(at, at + 100)])]
        for at in range(1, 1000, 100)
    ]

    since = mark(erp_maria)
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        outcome = erp.apply(Batch("erp", 1000, [], 1000, 0, pages=pages))

    assert outcome.exceptions == []
    ends = {end for end, name, _ in history(erp_maria, since) if name == "account"}
    assert len(ends) == 1 and outcome.separator < ends.pop()


# ---------------------------------------------------------------- ledger


def test_the_ledger_is_the_first_row_of_a_transaction_and_its_last(erp_maria: str, user: User) -> None:
    since = mark(erp_maria)
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        outcome = erp.apply(batch(7, write("insert", "account", (1,), [row(1, "1", ("a",))])))

    own = [(end, row or {}) for end, name, row in history(erp_maria, since, schema="duolog") if name == "ledger"]
    (end,) = {end for end, name, _ in history(erp_maria, since) if name == "account"}
    first, last = [row for at, row in own if at == end and row]
    assert (first["engine"], first["system"], first["number_to"], first["separator"]) == ("unit", "erp", 7, None)
    assert last["separator"] and last["gtid"] and outcome.separator < end


def test_after_a_crash_the_ledger_tells_what_was_committed(erp_maria: str, user: User) -> None:
    book = rules(erp_maria, ACCOUNT)
    user.do("INSERT INTO account VALUES (1, 'a', 1, NULL)")
    with opened(erp_maria, book) as erp:
        rows = [row(1, "1", ("A",), ("other",)), row(1, "\\x\0", ("A",), ("a",)), row(1, "2", ("x" * 30,), ("a",))]
        outcomes = [erp.apply(batch(n, write("update", "account", (1,), rows))) for n in (5, 6, 7)]

    with opened(erp_maria, book) as erp:
        assert erp.committed(5) == outcomes[1:]
        erp.apply(batch(8, forget_to=6))
        assert [outcome.number_to for outcome in erp.committed(6)] == [7, 8]
        with pytest.raises(EngineFault, match="already in the ledger"):
            erp.apply(batch(8, write("update", "account", (1,), [row(1, "1", ("B",), ("a",))])))
        assert [outcome.number_to for outcome in erp.committed(6)] == [7, 8]
    assert table(user)[0][1] == "a"


def test_an_old_copy_of_the_store_is_known_by_what_a_newer_one_had_written(erp_maria: str, user: User) -> None:
    book = rules(erp_maria, ACCOUNT)
    with opened(erp_maria, book) as erp:
        erp.apply(batch(7))
        erp.apply(batch(8, forget_to=7))
        assert [outcome.number_to for outcome in erp.committed(7)] == [8]
        with pytest.raises(StoreBehind) as old:
            erp.committed(6)
    assert str(old.value) == (
        "D205 erp: the ledger has batches that were sent when our store knew of those up to 7; now it knows of those "
        "up to 6: it is an old copy\n"
        "  mend: start with the store that belongs to the ledger, or compare both sides with "
        "`duolog run RULES --merge-again`"
    )


def test_two_systems_of_one_server_do_not_share_numbers(erp_maria: str, user: User) -> None:
    book = rules(erp_maria, ACCOUNT)
    with opened(erp_maria, book) as erp, opened(erp_maria, book, engine="other") as other:
        assert erp.apply(batch(1)).number_to == other.apply(batch(1)).number_to == 1
        assert len(erp.committed(0)) == len(other.committed(0)) == 1


# ---------------------------------------------------------------- connections


def test_a_second_engine_is_told_who_writes_already(erp_maria: str, user: User) -> None:
    book = rules(erp_maria, ACCOUNT)
    with opened(erp_maria, book) as erp:
        holder = erp._speech.sending.conn.thread_id()
        with pytest.raises(SystemUnavailable) as refused:
            target(erp_maria, book).open()
        assert str(refused.value).startswith(
            f"D100 erp: the connection {holder} writes this system as the engine `unit` already\n  mend: none needed"
        )
        user.do(f"KILL {holder}")
        with opened(erp_maria, book) as next_one:
            assert next_one.apply(batch(1)).exceptions == []
        with pytest.raises(SystemUnavailable):
            erp.apply(batch(2))
        erp.open()
        assert [outcome.number_to for outcome in erp.committed(0)] == [1]


def test_missing_setup_and_missing_columns_are_told_with_the_mend(erp_maria: str, user: User) -> None:
    name = address(erp_maria).database
    made = target(erp_maria, rules(erp_maria, Bound("account", ("id", "vat"), ("id",))))
    with pytest.raises(SchemaChanged, match=rf"`{name}\.account` has no column `vat`"):
        made.open()

    user.do("RENAME TABLE duolog.ledger TO duolog.elsewhere")
    try:
        with pytest.raises(NotSetUp) as missing:
            made.open()
    finally:
        user.do("RENAME TABLE duolog.elsewhere TO duolog.ledger")
    assert str(missing.value) == "D208 erp: there is no table `duolog.ledger`\n  mend: duolog setup RULES"


def test_a_column_that_goes_while_we_run_stops_the_system_and_not_the_row(erp_maria: str, user: User) -> None:
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        user.do("ALTER TABLE account DROP note")
        with pytest.raises(SchemaChanged):
            erp.apply(batch(1, write("insert", "account", (1, 2, 3), [row(1, "1", ("a", None, "b"))])))
        user.do("ALTER TABLE account ADD note text")
        again = erp.apply(batch(1, write("insert", "account", (1, 2, 3), [row(1, "1", ("a", None, "b"))])))
    assert again.exceptions == []


def test_a_row_larger_than_a_packet_is_refused_and_many_rows_are_split(erp_maria: str, user: User) -> None:
    user.do("ALTER TABLE account MODIFY note longtext")
    ((before,),) = user.do("SELECT @@global.max_allowed_packet")
    user.do("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
            rows = [row(1, str(n), ("a", "1.00", "'" * 2000)) for n in range(2000)]  # about 8 MB, escaped
            rows[1000] = row(1, "1000", ("a", "1.00", "x" * 1_100_000))
            outcome = erp.apply(batch(1, write("insert", "account", (1, 2, 3), rows)))
    finally:
        user.do(f"SET GLOBAL max_allowed_packet = {before}")

    why = "1153 a row needs a larger packet: `max_allowed_packet` is 1048576 bytes"
    assert outcome.exceptions == [RowResult("account", "1000", "failed", reason=why)]
    assert table(user, "SELECT count(*), sum(length(note)) FROM account") == [("1999", str(1999 * 2000))]


def test_a_large_value_is_written_and_compared(erp_maria: str, user: User) -> None:
    user.do("ALTER TABLE account MODIFY note longtext")
    large = "中'\\" * 1_000_000
    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        made = erp.apply(batch(1, write("insert", "account", (1, 2, 3), [row(1, "1", (None, None, large))])))
        changed = erp.apply(batch(2, write("update", "account", (3,), [row(1, "1", ("b",), (large,))])))

    assert made.exceptions == changed.exceptions == []


def test_reread_tells_rows_and_leaves_out_what_a_user_has_locked(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO account VALUES (0, 'z', 1, NULL), (1, 'a', 1, NULL), (2, 'b', 2, 'x')")
    bound = Bound("account", ("id", "name", "credit"), ("id",), missing=("phone",))

    with opened(erp_maria, rules(erp_maria, bound)) as erp:
        user.do("BEGIN; SELECT * FROM account WHERE id = 2 FOR UPDATE")
        answers = {r.key: r for r in erp.reread("account", ["1", "2", "3", "not a number", "\ud800"])}
        user.do("ROLLBACK")

    assert set(answers) == {"1", "3", "not a number", "\ud800"}
    assert answers["1"].row == ("1", "a", "1.00", ABSENT)
    assert answers["3"].row is None and answers["not a number"].row is None


def test_what_is_written_as_it_stands_already_counts_as_written(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO account VALUES (1, 'a', 1, NULL), (2, 'b', 2, NULL)")

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        rows = [row(1, "1", ("a", None), ("a", None)), row(1, "2", ("b", "x"), ("b", None))]
        outcome = erp.apply(batch(1, write("update", "account", (1, 3), rows)))

    assert outcome.exceptions == []
