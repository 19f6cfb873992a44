"""What MariaDB does in a way of its own does not show: how it counts, checks foreign keys, and compares texts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from adapters.mariadb.assembled.belonging import condition
from adapters.mariadb.catalog import read_catalog, read_columns
from adapters.mariadb.layouts import columns_of
from adapters.mariadb.phrases import printed, untold
from adapters.mariadb.session import ask, connect
from adapters.relational.assembled.ordering import steps
from engine.conditions import All, Any, Condition, Holds, In, IsNull, Not, holds, truth
from engine.rulebook import RuleBook
from engine.vocabulary import KeyOf, RowResult, Text, WriteRow
from rules import compile_book
from service.embedded.mariadb import EmbeddedMariaDB
from tests.database.assembled import Ground, batch
from tests.database.books import Bound, book, row, write
from tests.database.crossed import Code, Crossed, Rows, crossed_book
from tests.ground import MARIADB, Session
from tests.rules.test_compile import HEAD, rules_of

PERSON = Crossed("person", {"root": Rows("person", {"name": "name", "boss": "boss"})}, references={"boss": "person"})
PERSON_SQL = "CREATE TABLE person (id serial PRIMARY KEY, name text, boss int REFERENCES person)"


def ground_of(address: str, session: Session) -> Ground:
    """The database behind an address."""
    session.execute("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
    return Ground(MARIADB, address, session)


@pytest.fixture
def user(erp_maria: str) -> Iterator[Ground]:
    """The application's own session."""
    with Session(erp_maria) as session:
        yield ground_of(erp_maria, session)


# ---------------------------------------------------------------- keys that the server counts up


def test_each_record_is_told_its_own_key_whoever_counts_beside_us(own_maria: EmbeddedMariaDB) -> None:
    """Also where counting is interleaved, and a trigger has a say in every row."""
    own_maria.settings["innodb_autoinc_lock_mode"] = "2"
    own_maria.start()
    address = own_maria.create_database("counting")
    stop = threading.Event()

    def application() -> None:
        with Session(address) as session:
            while not stop.is_set():
                session.execute("INSERT INTO person (name) SELECT 'user' FROM seq_1_to_20")

    with Session(address) as session:
        user = ground_of(address, session)
        user.run(PERSON_SQL)
        user.run("CREATE TRIGGER t BEFORE INSERT ON person FOR EACH ROW SET NEW.name = concat(NEW.name, '!')")
        threads = [threading.Thread(target=application) for _ in range(3)]
        with user.opened(crossed_book(PERSON)) as target:
            for thread in threads:
                thread.start()
            try:
                told = []
                for number in range(1, 6):
                    rows = [(number, f"{number}.{n}", "", (f"{number}.{n}",)) for n in range(500)]
                    told += target.apply(batch(number, PERSON.write("insert", "name", *rows))).exceptions
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
        names = {row[0]: row[1] for row in user.table("SELECT id, name FROM person WHERE name <> 'user!'")}

    keys = [int(result.made) for result in told]
    assert {result.made: f"{result.key}!" for result in told} == names
    assert len(set(keys)) == 2500
    assert max(keys) - min(keys) >= 2500, "somebody else counted, too"


def test_a_trigger_may_give_what_a_new_row_must_have(user: Ground) -> None:
    user.run("CREATE TABLE person (id serial PRIMARY KEY, name text, boss int, token varchar(9) NOT NULL)")
    user.run("CREATE TRIGGER t BEFORE INSERT ON person FOR EACH ROW SET NEW.token = 'T'")

    with user.opened(crossed_book(PERSON)) as target:
        outcome = target.apply(batch(1, PERSON.write("insert", "name", (1, "a", "", ("A",)))))

    assert [result.kind for result in outcome.exceptions] == ["created"]
    assert user.table("SELECT name, token FROM person") == [("A", "T")]


def test_it_may_also_where_a_row_is_a_whole_record(user: Ground) -> None:
    user.run("CREATE TABLE item (id int PRIMARY KEY, name varchar(9), kind varchar(9) NOT NULL, no int NOT NULL)")
    user.run("CREATE TRIGGER t BEFORE INSERT ON item FOR EACH ROW SET NEW.no = 7, NEW.kind = coalesce(NEW.kind, 'K')")

    with user.opened(book(Bound("item", ("id", "name", "kind"), ("id",)))) as target:
        outcome = target.apply(batch(1, write("insert", "item", (1,), [row(1, "1", ("A",))])))

    assert outcome.exceptions == [RowResult("item", "1", "stored", {2: "K"})]
    assert user.table("SELECT * FROM item") == [("1", "A", "K", "7")]


def test_who_may_not_name_such_a_column_does_not(user: Ground) -> None:
    user.run(
        "CREATE TABLE item (id int PRIMARY KEY, name varchar(9), no int NOT NULL);"
        "CREATE TABLE person (id serial PRIMARY KEY, name text, boss int, no int NOT NULL);"
        "CREATE USER clerk@'127.0.0.1'; GRANT SELECT, INSERT (id, name), UPDATE ON item TO clerk@'127.0.0.1';"
        "GRANT SELECT, INSERT (id, name, boss), UPDATE ON person TO clerk@'127.0.0.1'"
    )
    try:
        with closing(connect("erp", user.address.replace("root@", "clerk@"), application_name="clerk")) as conn:
            known = read_columns(conn, [(user.schema, "item"), (user.schema, "person")])
    finally:
        user.run("DROP USER clerk@'127.0.0.1'")

    for columns in known.values():
        assert [name for name, column in columns.items() if not column.insertable] == ["no"]
        assert untold(columns.values(), [columns["id"]]) == []


# ---------------------------------------------------------------- foreign keys, row by row


def test_steps_delete_who_refers_before_whom_he_refers_to() -> None:
    assert steps(5, [(2, 1), (3, 2), (4, 2)]) == ([[3, 4, 5], [2], [1]], [])
    assert steps(4, [(1, 1), (2, 3), (3, 2), (3, 4)]) == ([], [1, 2, 3, 4])
    assert steps(2, []) == ([[1, 2]], [])


def test_records_that_refer_to_one_another_are_removed_together(user: Ground) -> None:
    """A boss with his people, two that are each other's boss, and one that is his own."""
    user.run(PERSON_SQL)
    user.run(
        "INSERT INTO person (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'), (7, 'g');"
        "UPDATE person SET boss = CASE id WHEN 2 THEN 1 WHEN 3 THEN 2 WHEN 4 THEN 5 WHEN 5 THEN 4 WHEN 6 THEN 6 END"
    )
    bosses = {"1": None, "2": "1", "3": "2", "4": "5", "5": "4", "6": "6"}
    rows = [(1, id, id, ("abcdefg"[int(id) - 1], boss)) for id, boss in bosses.items()]

    with user.opened(crossed_book(PERSON)) as target:
        outcome = target.apply(batch(1, PERSON.write("delete", "name boss", *rows)))

    assert outcome.exceptions == []
    assert user.table("SELECT name FROM person") == [("g",)]


def test_a_row_that_must_have_a_boss_is_made_after_him_and_removed_before_him(user: Ground) -> None:
    user.run("CREATE TABLE person (id char(36) DEFAULT uuid() PRIMARY KEY, name text, boss char(36) NOT NULL)")
    user.run("ALTER TABLE person ADD FOREIGN KEY (boss) REFERENCES person (id)")
    user.run("INSERT INTO person VALUES ('top', 'top', 'top')")
    chain = [("d", "c"), ("b", "a"), ("c", "b")]

    with user.opened(crossed_book(PERSON)) as target:
        rows = [(1, id, "", (id, KeyOf("person", boss))) for id, boss in chain] + [(1, "a", "", ("a", "top"))]
        first = target.apply(batch(1, PERSON.write("insert", "name boss", *rows)))
        keys = {result.key: result.made for result in first.exceptions}
        gone = [(2, id, keys[id], (id, keys.get(boss, "top"))) for id, boss in [("a", "top"), *chain]]
        second = target.apply(batch(2, PERSON.write("delete", "name boss", *gone)))

    assert {result.kind for result in first.exceptions} == {"created"}
    assert second.exceptions == []
    assert user.table("SELECT name FROM person") == [("top",)]


def test_a_user_who_adds_a_child_to_a_key_that_is_not_the_primary_one_is_not_overlooked(user: Ground) -> None:
    user.run(
        "CREATE TABLE shop (no int AUTO_INCREMENT PRIMARY KEY, code varchar(20) NOT NULL UNIQUE, name text);"
        "CREATE TABLE tag (id serial PRIMARY KEY, shop varchar(20) REFERENCES shop (code), tag text);"
        "INSERT INTO shop (code, name) VALUES ('s', 'S'), ('t', 'T')"
    )
    parts = {
        "root": Rows("shop", {"name": "name"}, key=("code",)),
        "tag": Rows("tag", {"tag": "tag"}, {"shop": "root.code"}),
    }
    shop = Crossed("shop", parts)
    change = shop.write("update", "tag", (1, "s", "s", ("ours", None)), (2, "t", "t", ("ours", None)))

    with user.opened(crossed_book(shop)) as target:
        with user.transaction():
            user.run("INSERT INTO tag (shop, tag) VALUES ('s', 'user')")
            waiting = target.apply(batch(2, change))
            overlooked = [result.key for result in target.reread("shop", ["s", "t"])]
        late = target.apply(batch(3, shop.write("update", "tag", (3, "s", "s", ("ours", None)))))

    assert waiting.exceptions == [RowResult("shop", "s", "deferred")]
    assert overlooked == ["t"]
    assert late.exceptions == [RowResult("shop", "s", "unmatched")]
    assert user.table("SELECT shop, tag FROM tag ORDER BY shop") == [("s", "user"), ("t", "ours")]


def test_rows_of_records_that_users_have_locked_are_found_without_a_place_in_the_queue(
    own_maria: EmbeddedMariaDB,
) -> None:
    """A record has several rows of a part, of which the first, the last, or one in the midst is locked."""
    own_maria.start()
    address = own_maria.create_database("queue")
    keys = range(1, 9)
    with Session(address) as session, Session(address) as other:
        user = ground_of(address, session)
        user.run(
            "CREATE TABLE firm (id serial PRIMARY KEY, name text);"
            "CREATE TABLE seat (id serial PRIMARY KEY, firm bigint, city text, KEY (firm));"
            "INSERT INTO firm (name) SELECT seq FROM seq_1_to_8;"
            "INSERT INTO seat (id, firm, city) SELECT 10 * f.seq + s.seq, f.seq, 'x' FROM seq_1_to_8 f, seq_1_to_3 s"
        )
        firm = Crossed(
            "firm",
            {"root": Rows("firm", {"name": "name"}),
             "seat": Rows("seat", {"city": "city"}, {"firm": "root.id"}, first_by=[("id", "number")])},
        )  # fmt: skip
        other.execute("SET GLOBAL innodb_monitor_enable = 'lock_rec_lock_waits'")
        rows = [(n, str(n), str(n), ("y", "x")) for n in keys]
        with user.opened(crossed_book(firm)) as target:
            with user.transaction():
                user.run("UPDATE seat SET city = 'busy' WHERE id IN (21, 32, 63, 71, 72)")
                user.run("UPDATE firm SET name = 'busy' WHERE id IN (4, 7)")
                outcome = target.apply(batch(8, firm.write("update", "city", *rows)))
                read = {each.key for each in target.reread("firm", [str(n) for n in keys])}
            query = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_rec_lock_waits'"
            queued = other.rows(query)

    assert queued == [(0,)]
    assert {each.key for each in outcome.exceptions} == {"2", "3", "4", "6", "7"}
    assert read == {"1", "5", "8"}


# ---------------------------------------------------------------- texts that MariaDB holds equal


def test_rows_are_joined_by_what_is_the_same_to_the_last_byte_in_any_character_set(user: Ground) -> None:
    user.run(
        "CREATE TABLE firm (id serial PRIMARY KEY, code varchar(9) CHARACTER SET latin1, name text);"
        "CREATE TABLE seat (id serial PRIMARY KEY, firm varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,"
        " city text, KEY (firm));"
        "INSERT INTO firm (code, name) VALUES ('ä', 'lower'), ('Ä', 'upper'), ('a ', 'blank'), ('a', 'none');"
        "INSERT INTO seat (firm, city) VALUES ('ä', 'x'), ('Ä', 'X'), ('a ', '_'), ('ae', 'no'), ('中', 'no')"
    )
    firm = Crossed(
        "firm",
        {"root": Rows("firm", {"name": "name"}), "seat": Rows("seat", {"city": "city"}, {"firm": "root.code"})},
        members=["seat"],
    )  # fmt: skip
    same = [(1, str(n), str(n), (name, name)) for n, name in enumerate(("lower", "upper", "blank", "none"), 1)]

    with user.opened(crossed_book(firm)) as target:
        found = target.reread("firm", ["1", "2", "3", "4"])
        outcome = target.apply(batch(1, firm.write("update", "name", *same)))

    cities = {r.key: r.parts[1][1] if r.parts and r.parts[1] else None for r in found}
    assert cities == {"1": "x", "2": "X", "3": "_", "4": None}
    assert outcome.exceptions == [RowResult("firm", "4", "unmatched")]


def test_what_is_no_key_finds_no_record_and_what_is_set_to_itself_is_written(user: Ground) -> None:
    user.run(
        "CREATE TABLE firm (id int PRIMARY KEY, name text);"
        "CREATE TABLE mail (id serial PRIMARY KEY, firm int, m text);"
        "INSERT INTO firm VALUES (0, 'zero'), (1, 'one'); INSERT INTO mail (firm, m) VALUES (0, '0@'), (1, '1@')"
    )
    firm = Crossed(
        "firm", {"root": Rows("firm", {"name": "name"}), "mail": Rows("mail", {"m": "m"}, {"firm": "root.id"})}
    )
    no_keys = ["abc", "1x", "01", " 1", "1.0"]

    with user.opened(crossed_book(firm)) as target:
        found = target.reread("firm", ["1", *no_keys])
        rows = [(1, key, key, ("own@", "0@")) for key in no_keys] + [(1, "own", "1", ("1@", "1@"))]
        outcome = target.apply(batch(1, firm.write("update", "m", *rows)))

    assert {r.key: r.parts is not None for r in found} == {"1": True} | dict.fromkeys(no_keys, False)
    assert sorted(r.key for r in outcome.exceptions if r.kind == "unmatched") == sorted(no_keys)
    assert user.table("SELECT firm, m FROM mail ORDER BY firm") == [("0", "0@"), ("1", "1@")]


def test_a_code_is_another_one_if_its_case_is_another(user: Ground) -> None:
    user.run(
        "CREATE TABLE land (id serial PRIMARY KEY, iso varchar(9) UNIQUE); INSERT INTO land (iso) VALUES ('de');"
        "CREATE TABLE place (id serial PRIMARY KEY, land int REFERENCES land)"
    )
    place = Crossed(
        "place", {"root": Rows("place", {"land": "land"})}, lookups={"land": Code("land", "id", "iso", "insert")}
    )

    with user.opened(crossed_book(place)) as target:
        rows = [(1, code, "", (code,)) for code in ("de", "DE", "fr")]
        outcome = target.apply(batch(3, place.write("insert", "land", *rows)))

    failed = [(result.key, result.reason) for result in outcome.exceptions if result.kind == "failed"]
    assert failed == [("DE", f"`land`: no such code in `{user.schema}.land`")]
    assert user.table("SELECT iso FROM place p JOIN land l ON l.id = p.land ORDER BY 1") == [("de",), ("fr",)]


# ---------------------------------------------------------------- more than one packet


def test_records_that_do_not_fit_into_one_packet_are_made_changed_and_removed_all_the_same(user: Ground) -> None:
    user.run(
        "CREATE TABLE doc (id serial PRIMARY KEY, name varchar(20));"
        "CREATE TABLE page (id char(36) DEFAULT uuid() PRIMARY KEY, doc int REFERENCES doc, body longtext)"
    )
    doc = Crossed(
        "doc", {"root": Rows("doc", {"name": "name"}), "page": Rows("page", {"body": "body"}, {"doc": "root.id"})}
    )
    bodies = [str(n) * 700_000 for n in range(10)]

    with user.opened(crossed_book(doc)) as target:
        rows = [(1, str(n), "", (str(n), body)) for n, body in enumerate(bodies)]
        first = target.apply(batch(1, doc.write("insert", "name body", *rows)))
        keys = {result.key: result.made for result in first.exceptions}
        changes = [(2, str(n), keys[str(n)], ("N" + body, body if n else "?")) for n, body in enumerate(bodies)]
        second = target.apply(batch(2, doc.write("update", "body", *changes)))
        gone = [(3, str(n), keys[str(n)], (str(n), "N" + bodies[n])) for n in range(1, 10)]
        third = target.apply(batch(3, doc.write("delete", "name body", *gone)))

    assert [result.kind for result in first.exceptions] == ["created"] * 10
    assert second.exceptions == [RowResult("doc", "0", "unmatched")]
    assert third.exceptions == []
    assert user.table("SELECT name, left(body, 3), length(body) FROM doc JOIN page ON page.doc = doc.id") == [
        ("0", "000", "700000")
    ]


# ---------------------------------------------------------------- which rows are records

PARTY = """
CREATE TABLE party (
    id serial PRIMARY KEY, name varchar(40), code char(5), n int, paid decimal(12,2), share double, fine float,
    since date, at datetime(3), stage enum('won','lost','a%b'), kind varchar(9) CHARACTER SET latin1, u uuid
);
CREATE TABLE accounts (id serial PRIMARY KEY, name text);
INSERT INTO party VALUES
    (1, 'Ünïcode', 'AB', 3, 1.50, 0.1, 0.1, '2024-02-29', '2024-02-29 10:00:00.5', 'won', 'ä',
     '6f2c1e0a-7d2b-4c1e-9a53-0c5f6e1d2b3a'),
    (2, 'straße 100%', 'ab', 0, 0, 1e20, 1e20, '1999-12-31', '1999-12-31 23:59:59', 'a%b', 'Ä', NULL),
    (3, 'O''Neill \\\\ ', '', -7, 99999999.99, -1.5, 3.5, '2030-01-01', '2030-01-01', 'lost', '',
     '00000000-0000-0000-0000-000000000000'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, '中文字 😀', 'x', 2147483647, -0.01, 0, 0, '2026-12-28', '2026-12-28', 'won', 'ä ', NULL);
"""
FILTERS = (
    "stage = 'won'", "stage in ('won', 'a%b')", "not (stage = 'won')", "stage = 'won' or n is null", "n = 3",
    "code = 'AB'", "code in ('AB', 'x')", "kind = 'ä'", "kind <> 'ä'", "name is not null and kind <> ''",
    "u = '6F2C1E0A-7d2b-4c1e-9a53-0c5f6e1d2b3a'", "paid > 1", "paid = 1.5", "paid * n >= paid", "share > 0.05",
    "share = 0", "fine = 0.1", "n % 2 = 1", "lower(name) = 'ünïcode'", "name like '%ü%'", "since < at",
    "since > '2000-01-01' and stage <> 'lost'", "extract(year from since) in (2024, 2026)", "n + 1 > 3",
    "name is null or n is null", "case when n > 0 then stage = 'won' else false end", "length(code) = 2",
    r"name like '%\\%'", "coalesce(name, code, 'none') = 'none'", "at + interval '1 month' > '2027-01-01'",
)  # fmt: skip


def filtered(user: Ground, text: str, folder: Path) -> RuleBook:
    """A rule book whose ERP has this filter, and reads all columns."""
    quoted = "'" + text.replace("'", "''") + "'"
    rules = HEAD + (
        "  customer:\n    identity: [name]\n    conflict: last_writer\n    bind:\n"
        f"      erp: {{schema: {user.schema}, table: party, key: id, where: {quoted}}}\n"
        f"      crm: {{schema: {user.schema}, table: accounts, key: id}}\n"
        "    create: [erp]\n    fields:\n      name: {erp: name, crm: name}\n"
    )
    tables = [(user.schema, "party"), (user.schema, "accounts")]
    with closing(connect("erp", user.address, application_name="test")) as conn:
        catalogs = {system: read_catalog(conn, system, tables) for system in ("erp", "crm")}
    book, problems = compile_book(rules_of(rules, folder), catalogs)
    assert [problem for problem in problems if problem.severity == "error"] == [], text
    return book


def test_every_filter_means_the_same_to_the_engine_and_to_what_is_written(user: Ground, tmp_path: Path) -> None:
    user.run(PARTY)
    wrong, answers, judged = [], set(), 0
    for text in FILTERS:
        book = filtered(user, text, tmp_path)
        assembly = book.entities["customer"].bindings["erp"].assembly
        assert assembly is not None
        where = assembly.parts[0].where
        judged += _has_expression(where)
        rows = {str(row[0]): row for row in user.rows(book, 0)}
        mine = {key for key, row in rows.items() if holds(where, row)}
        at = book.tables["erp"][0].columns.index("name")
        same: list[WriteRow] = [(1, key, (key,), (_text(row[at]),), (_text(row[at]),)) for key, row in rows.items()]
        with user.opened(book) as target:
            outcome = target.apply(batch(1, write("update", "customer", (0,), same)))
            user.run("DELETE FROM duolog.ledger")
        theirs = rows.keys() - {result.key for result in outcome.exceptions}
        answers.add(frozenset(theirs))
        if mine != theirs:
            wrong.append((text, mine, theirs))

    assert wrong == []
    assert len(answers) > 10, "the filters tell rows apart"
    assert 5 < judged < len(FILTERS), "some in the database, some by the engine"


def _has_expression(where: Condition | None) -> bool:
    match where:
        case Holds():
            return True
        case All(inner) | Any(inner):
            return any(map(_has_expression, inner))
        case Not(inner):
            return _has_expression(inner)
        case _:
            return False


def _text(value: object) -> Text:
    assert value is None or isinstance(value, str)
    return value


def test_any_plain_condition_is_as_true_in_the_database_as_in_the_engine(user: Ground) -> None:
    user.run(PARTY)
    names = ("name", "code", "n", "paid", "since", "at", "stage", "kind", "u")
    book = crossed_book(Crossed("party", {"root": Rows("party", {name: name for name in names})}))
    rows = user.rows(book, 0)
    random = Random(11)
    texts = {str(value) for row in rows for value in row if value is not None}
    pool = sorted(texts | {"AB ", "WON", "3.0", "1.5", "A", "ä", "a", ""})

    def some(depth: int) -> Condition:
        match random.randrange(5 if depth else 2):
            case 0:
                return IsNull(random.randrange(len(rows[0])))
            case 1:
                return In(random.randrange(len(rows[0])), tuple(random.sample(pool, random.randrange(4))))
            case 2:
                return Not(some(depth - 1))
            case 3:
                return All(tuple(some(depth - 1) for _ in range(random.randrange(4))))
            case _:
                return Any(tuple(some(depth - 1) for _ in range(random.randrange(4))))

    conditions = [some(3) for _ in range(400)]
    with closing(connect("erp", user.address, application_name="test")) as conn:
        placed = user.placed(book)
        known = columns_of(conn, placed, "erp")[0]
        columns = [known[name] for name in placed.tables["erp"][0].columns]
        for asked in conditions:
            query = f"SELECT ({condition(asked, columns, 't')}) + 0 FROM party AS t ORDER BY t.id"
            told = [None if value is None else value == "1" for (value,) in ask(conn, query)]
            assert told == [truth(asked, row) for row in rows], (asked, printed(columns[0]))
