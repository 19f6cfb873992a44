"""What a PostgreSQL target promises beside the contract: its types, its triggers, its refusals and their words."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.postgresql.names import origin_name, publication_name
from adapters.postgresql.pgoutput import LogicalMessage, decode
from adapters.postgresql.setup import setup
from adapters.postgresql.target import PostgresTarget
from engine.errors import NotSetUp, SchemaChanged, SystemUnavailable
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, RowResult, Write, WriteKind
from tests.database.books import Bound, book, row, write

ACCOUNT = Bound("account", ("id", "name", "credit", "note"), ("id",))
BOOK = book(ACCOUNT)


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The application's own connection."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute("CREATE TABLE account (id bigint PRIMARY KEY, name varchar(20), credit numeric(12,2), note text)")
        yield conn


@contextmanager
def opened(url: str, rules: RuleBook = BOOK, **settings: Any) -> Iterator[PostgresTarget]:
    """A target on a database that has been set up."""
    with psycopg.connect(url, autocommit=True) as conn:
        setup(conn, rules, "erp")
    target = PostgresTarget(
        "erp", url, engine=rules.name, origin=origin_name(rules.name, "erp"), book=rules, **settings
    )
    target.open()
    with closing(target):
        yield target


def batch(number: int, *writes: Write, forget_to: int = 0) -> Batch:
    return Batch("erp", number, list(writes), sum(len(w.rows) for w in writes), forget_to)


def table(user: psycopg.Connection[Any], query: str = "SELECT * FROM account ORDER BY id") -> list[Any]:
    return [tuple(map(str, r)) for r in user.execute(query.encode()).fetchall()]


def test_guard_tells_values_apart_that_the_type_holds_equal(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("CREATE EXTENSION citext")
    user.execute("CREATE COLLATION blind (provider = builtin, locale = 'C', deterministic = true)")
    user.execute("CREATE TABLE lax (id int PRIMARY KEY, c citext, n numeric, f float8, i interval, j jsonb)")
    user.execute("INSERT INTO lax SELECT g, 'a', 1.0, '-0', '1 mon', '{\"a\": 1.0}' FROM generate_series(1, 6) g")
    held = ("a", "1.0", "-0", "P1M", '{"a": 1.0}')
    wrong = ("A", "1.00", "0", "P30D", '{"a": 1.00}')
    new = ("b", "2", "3", "P1D", "{}")
    rows = [row(1, "6", new, held)]
    rows += [row(1, str(at + 1), new, held[:at] + wrong[at : at + 1] + held[at + 1 :]) for at in range(5)]

    rules = book(Bound("lax", ("id", "c", "n", "f", "i", "j"), ("id",)))
    with opened(erp_db, rules) as target:
        outcome = target.apply(batch(1, write("update", "lax", (1, 2, 3, 4, 5), rows)))

    assert outcome.exceptions == [RowResult("lax", str(k), "unmatched") for k in range(1, 6)]


def test_what_is_stored_differently_is_told(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("CREATE TABLE lossy (id int PRIMARY KEY, n numeric(8,1), c char(4), t text, u timestamptz(0))")
    user.execute(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.t := upper(NEW.t); RETURN NEW; END $$;"
        "CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON lossy FOR EACH ROW EXECUTE FUNCTION shout()"
    )
    user.execute("INSERT INTO lossy (id) VALUES (1), (2)")
    nothing = (None, None, None, None)
    rounded = ("1.26", "ab", "hi", "2026-01-01 00:00:00.7+00")
    exact = ("1.3", "ab  ", "HI", "2026-01-01 00:00:01+00")
    stored = dict(zip((1, 2, 3, 4), exact, strict=True))

    rules = book(Bound("lossy", ("id", "n", "c", "t", "u"), ("id",)))
    with opened(erp_db, rules) as target:
        update = write("update", "lossy", (1, 2, 3, 4), [row(1, "1", rounded, nothing), row(1, "2", exact, nothing)])
        insert = write("insert", "lossy", (1, 2, 3, 4), [row(1, "3", rounded), row(1, "4", exact)])
        outcome = target.apply(batch(1, insert, update))

    assert outcome.exceptions == [RowResult("lossy", "3", "stored", stored), RowResult("lossy", "1", "stored", stored)]


def test_fields_that_an_insert_leaves_unset_come_back_as_the_targets_defaults(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    user.execute("ALTER TABLE account ALTER note SET DEFAULT 'none'")
    user.execute("ALTER TABLE account ADD doubled numeric GENERATED ALWAYS AS (credit * 2) STORED")

    rules = book(Bound("account", ("id", "name", "credit", "note", "doubled"), ("id",)))
    with opened(erp_db, rules) as target:
        outcome = target.apply(batch(1, write("insert", "account", (1, 2), [row(1, "1", ("a", "1.50"))])))

    assert outcome.exceptions == [RowResult("account", "1", "stored", {3: "none", 4: "3.00"})]


def test_an_identity_column_takes_the_key_it_is_given(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")

    with opened(erp_db, book(Bound("made", ("id", "name"), ("id",)))) as target:
        outcome = target.apply(batch(1, write("insert", "made", (1,), [row(1, "77", ("a",))])))

    assert outcome.exceptions == []
    assert table(user, "SELECT * FROM made") == [("77", "a")]


TOO_LONG = "`name` is longer than the 20 characters of `public.account.name`"
TOO_LARGE = "`credit` does not fit `public.account.credit` (`numeric(12,2)`)"
UNSTORABLE = "22021 character_not_in_repertoire: a NUL character, or half of a surrogate pair, in `name`"
NO_CREDIT = "`credit` is no value of `public.account.credit` (`numeric(12,2)`)"
ORPHAN = "23503 foreign_key_violation: constraint `child_parent_fkey` of `public.child` about `parent`"
REFUSALS = [
    (("far too long for its column", "1.00", None), f"22001 string_data_right_truncation: {TOO_LONG}"),
    (("a", "1e30", None), f"22003 numeric_value_out_of_range: {TOO_LARGE}"),
    (("a", "one", None), f"22P02 invalid_text_representation: {NO_CREDIT}"),
    (("taken", "1.00", None), "23505 unique_violation: constraint `account_name_key` of `public.account` about `name`"),
    ((None, "1.00", None), "23502 not_null_violation: `name` is NULL, which `public.account.name` may not be"),
    (("a\x00b", "1.00", None), UNSTORABLE),
    (("\ud800", "1.00", None), UNSTORABLE),
    (("a", "1.00", "forbidden"), "P0001 raise_exception: raised in function `refuse`"),
    (("a", "1.00", "own code"), "XY123: raised in function `refuse`"),
    (("b", "1.00", "rename"), "the target stores another key than the one it was given"),
    (("b", "1.00", "broken"), "42703 undefined_column: raised in function `refuse`"),
]


@pytest.mark.parametrize(("new", "reason"), REFUSALS, ids=[reason[:24] for _, reason in REFUSALS])
def test_a_refusal_tells_the_condition_and_never_the_row(
    erp_db: str, user: psycopg.Connection[Any], new: tuple[Any, ...], reason: str
) -> None:
    user.execute("ALTER TABLE account ADD UNIQUE (name), ALTER name SET NOT NULL")
    user.execute("INSERT INTO account VALUES (1, 'taken', 1, NULL)")
    user.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.note = 'forbidden' THEN RAISE EXCEPTION 'secret %', NEW.name; END IF; "
        "IF NEW.note = 'own code' THEN RAISE EXCEPTION 'secret' USING ERRCODE = 'XY123'; END IF; "
        "IF NEW.note = 'broken' THEN NEW.credit := nowhere; END IF; "
        "IF NEW.note = 'rename' THEN NEW.id := NEW.id + 1000; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION refuse()"
    )

    with opened(erp_db) as target:
        rows = [row(5, "5", new), row(5, "6", ("fine", "1.00", None))]
        outcome = target.apply(batch(5, write("insert", "account", (1, 2, 3), rows)))
        told = target.committed(0)

    assert outcome.exceptions == [RowResult("account", "5", "failed", reason=reason)]
    assert told == [outcome]
    assert [r[0] for r in table(user)] == ["1", "6"]


def test_a_child_is_not_blamed_for_a_parent_that_halving_put_behind_it(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    user.execute("CREATE TABLE child (id int PRIMARY KEY, parent bigint REFERENCES account)")
    rules = book(ACCOUNT, Bound("child", ("id", "parent"), ("id",)))

    with opened(erp_db, rules) as target:
        accounts = [row(1, "1", ("x", "bad", None)), row(9, "2", ("a", "1.00", None))]
        parents = write("insert", "account", (1, 2, 3), accounts)
        children = write("insert", "child", (1,), [row(2, "1", ("2",)), row(9, "2", ("1",))])
        outcome = target.apply(batch(9, parents, children))

    assert outcome.exceptions == [
        RowResult("account", "1", "failed", reason=f"22P02 invalid_text_representation: {NO_CREDIT}"),
        RowResult("child", "2", "failed", reason=ORPHAN),
    ]
    assert table(user, "SELECT * FROM child") == [("1", "2")]


def test_a_deferred_constraint_is_isolated_too(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("CREATE TABLE child (id int PRIMARY KEY, parent bigint)")
    user.execute("ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES account DEFERRABLE INITIALLY DEFERRED")
    user.execute("INSERT INTO account VALUES (1, 'a', 1, NULL)")
    rules = book(ACCOUNT, Bound("child", ("id", "parent"), ("id",)))

    with opened(erp_db, rules) as target:
        rows = [row(n, str(n), (str(n),)) for n in (1, 2, 3)]
        outcome = target.apply(batch(3, write("insert", "child", (1,), rows)))

    assert outcome.exceptions == [RowResult("child", k, "failed", reason=ORPHAN) for k in ("2", "3")]


def time_of_a_refusal(address: str) -> float:
    """What it costs on this machine now to ask for a lock that is not to be had, in seconds."""
    tried = 100
    with psycopg.connect(address) as asking:
        asking.execute("SET lock_timeout = '1ms'")
        began = time.monotonic()
        for _ in range(tried):
            with pytest.raises(psycopg.errors.LockNotAvailable), asking.transaction():
                asking.execute("UPDATE account SET credit = 1 WHERE id = 1")
        return (time.monotonic() - began) / tried


@pytest.mark.alone
def test_a_locked_table_costs_a_few_lock_timeouts_not_one_a_row(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("INSERT INTO account SELECT g, 'n', 0, NULL FROM generate_series(1, 500) g")

    with opened(erp_db, lock_timeout_ms=50) as target, user.transaction():
        user.execute("LOCK TABLE account IN SHARE MODE")
        rows = [row(n, str(n), ("5.00",), ("0.00",)) for n in range(1, 501)]
        began = time.monotonic()
        outcome = target.apply(batch(500, write("update", "account", (2,), rows)))
        took = time.monotonic() - began
        refused = time_of_a_refusal(erp_db)

    assert {r.kind for r in outcome.exceptions} == {"deferred"} and len(outcome.exceptions) == 500
    # A few that are waited for; then the halves of 500 are 999 segments, which only ask. One a row would be 25 s.
    assert took < 10 * 0.05 + 2 * 999 * refused


@pytest.mark.parametrize("allowed", [True, False])
def test_a_batch_tells_its_number_in_the_log_where_the_role_may_write_messages(
    erp_db: str, user: psycopg.Connection[Any], allowed: bool
) -> None:
    setup(user, BOOK, "erp")
    options = ["messages", "true", "proto_version", "1", "publication_names", publication_name(BOOK.name, "erp")]
    changes = "SELECT data FROM pg_logical_slot_get_binary_changes('numbers', NULL, NULL, VARIADIC %s)"
    user.execute("SELECT pg_create_logical_replication_slot('numbers', 'pgoutput')")
    user.execute("CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA duolog TO plain")
    user.execute("GRANT ALL ON duolog.ledger, account TO plain")
    user.execute("GRANT EXECUTE ON FUNCTION pg_replication_origin_session_setup(text) TO plain")
    if not allowed:
        functions = "SELECT oid::regprocedure FROM pg_proc WHERE proname = 'pg_logical_emit_message'"
        for (function,) in user.execute(functions).fetchall():
            user.execute(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)))
    place = conninfo_to_dict(erp_db)
    url = f"postgresql://plain@{place['host']}:{place['port']}/{place['dbname']}"
    target = PostgresTarget("erp", url, engine=BOOK.name, origin=origin_name(BOOK.name, "erp"), book=BOOK)
    try:
        target.open()
        with closing(target):
            target.apply(batch(17, write("insert", "account", (1, 2, 3), [row(1, "1", ("a", "1.00", None))])))
        told = [decode(bytes(data)) for (data,) in user.execute(changes, [options]).fetchall()]
    finally:
        user.execute("SELECT pg_drop_replication_slot('numbers')")
        user.execute("DROP OWNED BY plain; DROP ROLE plain")

    assert [m.content for m in told if isinstance(m, LogicalMessage)] == [b"17"] * allowed
    assert [r[1] for r in table(user)] == ["a"]


def test_missing_setup_and_missing_columns_are_told_with_the_mend(erp_db: str, user: psycopg.Connection[Any]) -> None:
    def target(rules: RuleBook) -> PostgresTarget:
        return PostgresTarget("erp", erp_db, engine="unit", origin="duolog_unit_erp", book=rules)

    with pytest.raises(NotSetUp) as missing:
        target(BOOK).open()
    assert str(missing.value) == (
        "D208 erp: there is no replication origin `duolog_unit_erp`\n  mend: duolog setup RULES"
    )

    with opened(erp_db) as first:
        with pytest.raises(SystemUnavailable, match=r"`duolog_unit_erp` is in use by the process [0-9]+"):
            target(BOOK).open()
        first.close()

    with pytest.raises(SchemaChanged, match=r"`public\.account` has no column `vat`"):
        target(book(Bound("account", ("id", "vat"), ("id",)))).open()


def test_a_deadlock_is_survived(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("INSERT INTO account VALUES (1, 'a', 1, NULL), (2, 'b', 1, NULL), (3, 'c', 1, NULL)")
    user.execute("SET deadlock_timeout = '10s'")  # so that it is us whom the server chooses

    with opened(erp_db, lock_timeout_ms=20_000) as target:
        user.execute("BEGIN")
        user.execute("UPDATE account SET note = 'x' WHERE id = 2")
        with psycopg.connect(erp_db, autocommit=True) as watcher:
            blocked = _in_background(lambda: _then_cross(user, watcher))
            rows = [row(n, str(n), (f"n{n}",), (name,)) for n, name in ((1, "a"), (2, "b"), (3, "c"))]
            outcome = target.apply(batch(3, write("update", "account", (1,), rows)))
            blocked()
        user.execute("COMMIT")

    written = {r[0] for r in table(user) if r[1].startswith("n")}
    assert {r.key for r in outcome.exceptions if r.kind == "deferred"} | written == {"1", "2", "3"}
    assert "3" in written


def test_what_stepped_aside_is_locked_in_the_order_of_its_keys_and_users_go_on_meanwhile(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    """A user who goes upwards waits for nobody who goes upwards behind him."""
    user.execute("INSERT INTO account SELECT g, 'a', 1, NULL FROM generate_series(1, 10) g")
    user.execute("SET deadlock_timeout = '30s'")  # so that it is never the user whom the server chooses
    keys = ("10", "9", "2", "1")

    def change(number: int) -> Batch:
        return batch(number, write("update", "account", (1,), [row(number, key, ("new",), ("a",)) for key in keys]))

    with opened(erp_db, lock_timeout_ms=3000) as target, psycopg.connect(erp_db, autocommit=True) as watcher:
        user.execute("BEGIN")
        user.execute("UPDATE account SET note = 'x' WHERE id = 2")
        before = target.apply(change(1)).exceptions
        gone = _in_background(lambda: _goes_upwards(user, watcher))
        after = target.apply(change(2)).exceptions
        gone()

    assert sorted(before) == sorted(RowResult("account", key, "deferred") for key in keys)
    assert after == []
    assert [r[0] for r in table(user) if r[1] == "new"] == ["1", "2", "9", "10"]


def test_a_plan_made_for_an_empty_table_is_not_kept_when_it_has_grown(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    user.execute("ALTER TABLE account SET (autovacuum_enabled = off)")
    prepared = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%(UPDATE \"public\".\"account\"%'"

    def update(number: int) -> Write:
        old, new = ("a", "b") if number % 2 else ("b", "a")
        return write("update", "account", (1,), [row(1, "1", (new,), (old,))])

    with opened(erp_db) as target:
        target.apply(batch(1, write("insert", "account", (1, 2, 3), [row(1, "1", ("a", None, None))])))
        target.apply(batch(3, update(3)))
        grown = [row(1, str(n), ("a", None, None)) for n in range(2, 30_000)]
        target.apply(batch(5, write("insert", "account", (1, 2, 3), grown)))
        target.apply(batch(6, update(6)))
        session = target._speech.conn
        (name,) = session.execute(prepared.encode()).fetchone() or ("",)
        plan = session.execute(f"EXPLAIN EXECUTE {name} ('{{}}', '{{}}', '{{}}', '0')".encode()).fetchall()

    assert any("Index Scan using account_pkey" in line for (line,) in plan)
    assert not any("Seq Scan" in line for (line,) in plan)


AWKWARD = ["order", "with-hyphen", "with space", "Capital", 'quo"te', "单价", "per%cent", "semi;colon", "$1", "u", "t"]


def test_awkward_names_work_everywhere(erp_db: str, user: psycopg.Connection[Any]) -> None:
    names = [sql.Identifier(name) for name in AWKWARD]
    user.execute('CREATE SCHEMA "Sche ma"')
    user.execute(
        sql.SQL('CREATE TABLE "Sche ma"."ta-ble" ({} text, PRIMARY KEY ({}, {}))').format(
            sql.SQL(" text, ").join(names), names[0], names[1]
        )
    )
    rules = book(Bound("awkward", AWKWARD, AWKWARD[:2], table="ta-ble", schema="Sche ma"))
    rest = tuple(range(2, len(AWKWARD)))
    given = tuple(f"v{n}" for n in rest)
    key = ("k1", "k2")

    with opened(erp_db, rules) as target:
        first = target.apply(batch(1, write("insert", "awkward", rest, [(1, "k1\x1fk2", key, given, ())])))
        changed = tuple(v + "'" for v in given)
        second = target.apply(batch(2, write("update", "awkward", rest, [(2, "k1\x1fk2", key, changed, given)])))
        read = target.reread("awkward", ["k1\x1fk2"])
        third = target.apply(batch(3, write("delete", "awkward", rest, [(3, "k1\x1fk2", key, (), changed)])))

    assert [first.exceptions, second.exceptions, third.exceptions] == [[], [], []]
    assert read[0].row == key + changed


VALUES = {
    "smallint": ["-32768"],
    "bigint": ["9223372036854775807"],
    "numeric": ["NaN", "Infinity", "0.00000000000000000000000000000000000001", "1.10"],
    "numeric(20,4)": ["1234567890123456.7890"],
    "real": ["1e-45", "-0", "NaN", "0.1"],
    "double precision": ["1e-320", "Infinity", "0.1", "-0"],
    "boolean": ["t", "f"],
    "text": ["", "NULL", "null", "a,b", '{"x"}', "back\\slash", 'quo"te', "it's", "\n\t\r", "emoji 😀 中", " sp "],
    "varchar(9)": ["x"],
    "char(5)": ["ab   ", "     "],
    '"char"': ["x"],
    "name": ["x"],
    "date": ["infinity", "0044-03-15 BC", "10000-01-01", "2024-02-29"],
    "time": ["24:00:00", "12:34:56.789012"],
    "timetz": ["12:34:56+05:30"],
    "timestamp": ["-infinity", "2024-02-29 23:59:59.999999"],
    "timestamptz": ["infinity", "2024-02-29 23:59:59.999999+00"],
    "interval": ["P1Y2M3DT4H5M6.789S", "PT-1S"],
    "uuid": ["0197bbd0-0000-7000-8000-000000000000"],
    "bytea": ["\\x00ff5c22", "\\x"],
    "json": ['{"a":  1e400, "a": [null, "\\u00e9"]}'],
    "jsonb": ['{"a": 1.10, "b": "\\\\"}'],
    "inet": ["192.168.1.5", "::1/64"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "bit(5)": ["10101"],
    "varbit": ["", "101"],
    "money": ["$1,234.50"],
    "point": ["(1.5,-2)"],
    "box": ["(2,2),(1,1)"],
    "int4range": ["[1,5)", "empty"],
    "tsvector": ["'a':1 'b''c':2"],
    "oid": ["4294967295"],
    "mood": ["sad", "it's"],
    "short": ["12.30"],
    "pair": ['(1,"a,b")'],
    "integer[]": ["{1,NULL,3}", "{}", "{{1,2},{3,4}}", "[2:3]={1,2}"],
    "text[]": ['{"a,b",NULL,"NULL","","q\\"\\\\"}'],
    "mood[]": ["{sad}"],
    "citext": ["MiXed"],
    "hstore": ['"a"=>"b", "c"=>NULL'],
}


def test_every_type_round_trips_as_text(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('sad', 'it''s')")
    user.execute("CREATE DOMAIN short AS numeric(6,2) CHECK (value > 0); CREATE TYPE pair AS (a int, b text)")
    for name in VALUES:
        create = sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, v {})")
        user.execute(create.format(sql.Identifier("of " + name), sql.SQL(name)))  # type: ignore[arg-type]
    rules = book(*(Bound(name, ("id", "v"), ("id",), table="of " + name) for name in VALUES))
    columns = {name: [*values, None] for name, values in VALUES.items()}
    shifted = {name: values[1:] + values[:1] for name, values in columns.items()}

    def writes(kind: WriteKind, new: dict[str, Any] | None, held: dict[str, Any] | None) -> list[Write]:
        return [
            write(
                kind,
                name,
                (1,),
                [
                    row(1, str(n), (new[name][n],) if new else (), (held[name][n],) if held else ())
                    for n in range(len(columns[name]))
                ],
            )
            for name in VALUES
        ]

    with opened(erp_db, rules) as target:
        inserted = target.apply(batch(1, *writes("insert", columns, None)))
        updated = target.apply(batch(2, *writes("update", shifted, columns)))
        read = {name: target.reread(name, [str(n) for n in range(len(shifted[name]))]) for name in VALUES}
        deleted = target.apply(batch(3, *writes("delete", None, shifted)))

    assert [inserted.exceptions, updated.exceptions, deleted.exceptions] == [[], [], []]
    for name, answers in read.items():
        assert [answer.row for answer in answers] == [(str(n), value) for n, value in enumerate(shifted[name])]


@pytest.mark.parametrize("trouble", ["a lock", "a refused row"])
def test_a_batch_after_trouble_goes_at_once_again(erp_db: str, user: psycopg.Connection[Any], trouble: str) -> None:
    """What is written under a savepoint bears another transaction number than the ledger row."""
    user.execute("INSERT INTO account SELECT g, 'a', 1, NULL FROM generate_series(1, 9) g")
    user.execute("ALTER TABLE account ADD CHECK (note <> 'bad')")

    def change(number: int, key: int, note: str) -> Batch:
        return batch(number, write("update", "account", (3,), [row(number, str(key), (note,), (None,))]))

    with opened(erp_db) as target, psycopg.connect(erp_db) as other:
        target.apply(change(1, 1, "x"))
        if trouble == "a lock":
            other.execute("SELECT FROM account WHERE id = 2 FOR UPDATE")
        for number in range(2, 8):  # a driver prepares by itself what it has been told so often
            (told,) = target.apply(change(number, 2, "bad")).exceptions
            assert told.kind == ("deferred" if trouble == "a lock" else "failed")
            target.reread("account", ["3"])
        for number, key in ((8, 8), (9, 9)):
            assert target.apply(change(number, key, "x")).exceptions == []

    together = "SELECT count(*) FROM account a JOIN duolog.ledger l ON l.xmin = a.xmin WHERE a.id > 7"
    assert table(user, together) == [("2",)]


def test_a_record_that_is_being_committed_is_not_told_to_be_missing(
    erp_db: str, user: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.postgresql.reread.visibility_wait_s", 30.0)  # the writer may be held up, too
    with opened(erp_db) as target, psycopg.connect(erp_db) as writer:
        writer.execute("INSERT INTO account VALUES (1, 'a', 1, NULL)")
        join = _in_background(lambda: (time.sleep(0.05), writer.commit()))
        answers = target.reread("account", ["1", "2"])
        join()

    assert [(answer.key, answer.row) for answer in answers] == [("2", None)]


def _in_background(work: Any) -> Any:
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join


def _goes_upwards(user: psycopg.Connection[Any], watcher: psycopg.Connection[Any]) -> None:
    """When our batch waits for the user, has the user take another row, and commit."""
    _until_we_wait(watcher)
    user.execute("UPDATE account SET note = 'y' WHERE id = 9")
    user.execute("COMMIT")


def _until_we_wait(watcher: psycopg.Connection[Any]) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'duolog_unit_erp' AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 20
    while watcher.execute(waiting.encode()).fetchone() is None:
        assert time.monotonic() < deadline, "our batch never waits"


def _then_cross(user: psycopg.Connection[Any], watcher: psycopg.Connection[Any]) -> None:
    """When our batch waits for the user, has the user wait for our batch."""
    _until_we_wait(watcher)
    user.execute("UPDATE account SET note = 'y' WHERE id = 1")
