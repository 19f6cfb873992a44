"""SQL Server's target keeps what every adapter promises of one, and what its own statements promise besides.

Runs where Docker and an ODBC driver of SQL Server's are; it is skipped elsewhere, and says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pytest

from adapters.alchemy.catalog import read_columns
from adapters.alchemy.session import WRITE, connect
from adapters.relational.answers import Answer
from adapters.relational.layout import Layout
from adapters.sqlserver.speech import SqlServerSpeech
from adapters.sqlserver.statements import Subject, insert_made
from engine.vocabulary import Row, Text, WriteKind
from tests.contract.ground import Made, batch
from tests.contract.snapshot_promises import SnapshotPromises
from tests.contract.suite import contract
from tests.contract.target_promises import TargetPromises
from tests.contract.waiting_promises import WaitingPromises
from tests.database.books import row, write
from tests.sqlserver.ground import SqlServerGround, sqlserver_ground

TestSqlServer = contract(sqlserver_ground, TargetPromises, WaitingPromises, SnapshotPromises)

UUID = "d10be316-9bcc-4a6e-b3c1-5624d0878a77"
LONG = 100_000
VALUES = {
    "nvarchar(40)": ("a", "A"), "varchar(40)": ("é", "e"), "nchar(5)": ("ab   ", "b    "),
    "nvarchar(max)": ("x" * LONG, "中 🙂 "), "ntext": ("c\\", "c "), "decimal(14,2)": ("-0.50", "7.00"),
    "decimal(5,0)": ("7", "-8"), "numeric(38,10)": ("1234567890123456789012345678.0123456789", "-1.0000000000"),
    "money": ("1.2345", "-922337203685477.5808"), "smallmoney": ("1.0000", "2.0000"), "float": ("0.1", "-1e-300"),
    "real": ("0.1", "3.4e+38"), "bit": ("t", "f"), "tinyint": ("255", "0"), "smallint": ("-32768", "1"),
    "int": ("-2147483648", "2147483647"), "bigint": ("9223372036854775807", "-9223372036854775808"),
    "date": ("0001-01-01", "9999-12-31"), "time(7)": ("23:59:59.123456", "00:00:00"),
    "time(0)": ("23:59:59", "00:00:00"), "datetime2(7)": ("0001-01-01 00:00:00", "2026-01-31 12:00:00.123456"),
    "datetime2(3)": ("2026-01-31 12:00:00.12", "2026-01-31 12:00:00"),
    "datetime": ("1753-01-01 00:00:00", "2026-01-31 12:00:00.003"),
    "smalldatetime": ("2026-01-31 12:01:00", "1900-01-01 00:00:00"),
    "datetimeoffset(7)": ("2026-01-31 12:00:00.5+00", "0001-01-01 00:00:00+00"),
    "datetimeoffset(0)": ("2026-01-31 12:00:00+00", "2026-01-31 12:00:01+00"),
    "uniqueidentifier": (UUID, "00000000-0000-0000-0000-000000000000"), "varbinary(20)": ("\\x00ff00", "\\x"),
    "binary(4)": ("\\x00ff0000", "\\x00000001"), "varbinary(max)": ("\\x" + "0a" * LONG, "\\x00"),
    "image": ("\\x00", "\\x0000"), "xml": ("<a>b</a>", "<a/>"),
}  # fmt: skip
"""By type: two values as the house spells them, that the type's or the collation's own idea may hold equal."""


class Bench:
    """One table of a key and a value, and a speech on it, in a transaction that is never committed."""

    def __init__(self, ground: SqlServerGround, kind: str, key: str = "int NOT NULL") -> None:
        self.ground = ground
        with ground.server.connect(ground.database) as session:
            session.execute(f"CREATE TABLE dbo.bench (id {key} PRIMARY KEY, v {kind} NULL)")
        self.session = connect("erp", ground.kit._url, purpose=WRITE)
        known = read_columns(self.session, [("dbo", "bench")])[("dbo", "bench")]
        self.columns = list(known.values())
        self.place = Layout("bench", "dbo", "bench", (0,), 2, dict(enumerate(self.columns)))
        self.speech = SqlServerSpeech(self.session)
        self.session.conn.begin()
        self.speech.begin()

    def user(self, statement: str) -> list[tuple[object, ...]]:
        """What somebody says in the same transaction."""
        found = self.session.conn.exec_driver_sql(statement)
        return [tuple(each) for each in found] if found.returns_rows else []

    def write(self, kind: WriteKind, *rows: tuple[str, Sequence[Text], Sequence[Text]]) -> Answer:
        """Writes (key, new values, held values)."""
        return self.speech.write(
            kind, self.place, (1,), [(1, key, (key,), tuple(new), tuple(held)) for key, new, held in rows]
        )()

    def rows(self, *keys: str) -> list[Row]:
        """The rows of these keys."""
        return self.speech.found(self.place, [keys], lock=False)

    def close(self) -> None:
        """Undoes everything."""
        self.session.rollback()
        self.session.close()


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Iterator[SqlServerGround]:
    """A fresh database."""
    made = sqlserver_ground(request)
    assert isinstance(made, SqlServerGround)
    with closing(made):
        yield made


@contextmanager
def benched(ground: SqlServerGround, kind: str, key: str = "int NOT NULL") -> Iterator[Bench]:
    with closing(Bench(ground, kind, key)) as made:
        yield made


@pytest.mark.parametrize("kind", VALUES)
def test_values_of_a_type_go_and_come_and_are_told_apart_to_the_last_bit(ground: SqlServerGround, kind: str) -> None:
    one, other = VALUES[kind]

    with benched(ground, kind) as bench:
        made = bench.write("insert", ("1", (one,), ()), ("2", (other,), ()), ("3", (None,), ()))
        first = bench.rows("1", "2", "3")
        wrong = bench.write("update", ("1", (one,), (other,)), ("2", (one,), (None,)), ("3", (one,), (other,)))
        right = bench.write("update", ("1", (other,), (one,)), ("2", (None,), (other,)), ("3", (one,), (None,)))
        second = bench.rows("1", "2", "3")
        gone = bench.write("delete", ("1", (), (other,)), ("2", (), (None,)), ("3", (), (one,)))

    assert (made, wrong, right, gone) == ((3, None, None), (0, [], None), (3, None, None), (3, None, None))
    assert first == [("1", one), ("2", other), ("3", None)]
    assert second == [("1", other), ("2", None), ("3", one)]


@pytest.mark.parametrize("kind", ["datetime2(7)", "datetimeoffset(7)"])
def test_what_is_not_told_of_a_moment_stays_as_long_as_it_is_the_same(ground: SqlServerGround, kind: str) -> None:
    with benched(ground, kind) as bench:
        offset, zone = ("+02:00", "+00") if "offset" in kind else ("", "")
        bench.user(f"INSERT INTO dbo.bench VALUES (1, '2026-01-31 12:00:00.1234567{offset}')")
        ((_, told),) = bench.rows("1")
        before = bench.user("SELECT CONVERT(varchar(40), v, 121) FROM dbo.bench")

        kept = bench.write("update", ("1", (told,), (told,)))
        stayed = bench.user("SELECT CONVERT(varchar(40), v, 121) FROM dbo.bench")
        changed = bench.write("update", ("1", (f"2026-02-01 00:00:00{zone}",), (told,)))
        ((_, after),) = bench.rows("1")

    assert told == f"2026-01-31 {'10' if zone else '12'}:00:00.123456{zone}"
    assert (kept, changed) == ((1, None, None), (1, None, None))
    assert stayed == before
    assert after == f"2026-02-01 00:00:00{zone}"


def test_what_is_rounded_or_padded_is_told(ground: SqlServerGround) -> None:
    with benched(ground, "nchar(5)") as bench:
        assert bench.write("insert", ("1", ("ab",), ())) == (1, [1], [[1, ["ab   "]]])


def test_a_key_that_differs_in_nothing_but_case_is_another_and_refused_by_the_index(ground: SqlServerGround) -> None:
    with benched(ground, "int", "nvarchar(10) NOT NULL") as bench:
        assert bench.write("insert", ("a", ("1",), ()))[0] == 1
        assert bench.write("update", ("A", ("2",), ("1",)), ("a ", ("2",), ("1",))) == (0, [], None)
        assert bench.write("insert", ("a", ("2",), ())) == (0, [], None)


def test_keys_that_the_database_makes_are_told_in_the_order_of_the_rows(ground: SqlServerGround) -> None:
    with benched(ground, "int", "int IDENTITY(10, 1) NOT NULL") as bench:
        key, value = bench.columns
        asked = insert_made(Subject(("dbo", "bench"), (key,)), [value], [], [value])
        rows = bench.speech.rows.ask(asked, [["30", "10", "20"]], 3)  # type: ignore[attr-defined]
        said = bench.write("insert", ("99", ("40",), ()))

    assert [tuple(map(int, each)) for each in rows] == [(1, 10, 30), (2, 11, 10), (3, 12, 20)]
    assert said == (1, None, None)


ENDING = {
    "an error inside a trigger": "RAISERROR('no', 16, 1); ROLLBACK",
    "a trigger that rolls back": "ROLLBACK",
    "a trigger that throws": "THROW 51000, 'no', 1",
}


@pytest.mark.parametrize("how", ENDING)
def test_a_row_that_ends_the_whole_transaction_is_found_and_all_others_are_written(
    ground: SqlServerGround, how: str
) -> None:
    rules, user = ground.make(Made("account", {"id": "integer", "name": "word"})), ground.user()
    user.insert("account", *((str(n), "n") for n in range(1, 101)))
    user.session.execute(
        "CREATE TRIGGER strict ON account AFTER UPDATE AS "
        f"IF EXISTS (SELECT 1 FROM inserted WHERE name = 'bad') BEGIN {ENDING[how]} END"
    )

    with ground.writing(rules) as target:
        rows = [row(n // 4, str(n), ("bad" if n == 77 else "fine",), ("n",)) for n in range(1, 101)]
        outcome = target.apply(batch(30, write("update", "account", (1,), rows)))

    assert [(each.key, each.kind) for each in outcome.exceptions] == [("77", "failed")]
    assert [key for key, name in user.rows("account") if name == "n"] == ["77"]
