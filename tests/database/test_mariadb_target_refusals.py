"""What MariaDB refuses is found, told by field and limit, never by value; everything else of the batch is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.mariadb.address import address
from engine.errors import NotSetUp, SystemUnavailable
from engine.vocabulary import RowResult
from service.embedded.mariadb import EmbeddedMariaDB
from tests.database.books import Bound, row, write
from tests.database.maria_target import User, batch, opened, rules, target

ACCOUNT = Bound("account", ("id", "name", "credit", "note", "born", "mood", "old", "doc"), ("id",))
CREATE = (
    "CREATE TABLE account (id bigint PRIMARY KEY, name varchar(20) UNIQUE NOT NULL, credit decimal(12,2), "
    "note tinytext, born date, mood enum('sad', 'glad'), old varchar(20) CHARACTER SET latin1, doc json, "
    "CONSTRAINT rich CHECK (credit < 1000))"
)
FINE = ("a", "1.00", "x", "2026-02-28", "sad", "é", "{}")


@pytest.fixture
def user(erp_maria: str) -> Iterator[User]:
    """The application's own connection."""
    made = User(erp_maria)
    made.do(CREATE)
    yield made
    made.conn.close()


def given(**changed: Any) -> tuple[Any, ...]:
    """A row that would be fine, but for one thing."""
    return tuple(changed.get(name, fine) for name, fine in zip(ACCOUNT.columns[1:], FINE, strict=True))


TOO_LONG = "1406 data too long: `name` is longer than the 20 characters of `{}.name`"
REFUSALS = [
    (given(name="far too long for its column"), TOO_LONG),
    (given(note="x" * 256), "1406 data too long: `note` is longer than the 255 bytes of `{}.note`"),
    (given(credit="1e30"), "1264 out of range: `credit` does not fit `{}.credit` (`decimal(12,2)`)"),
    (given(credit="one"), "1366 no value of the type: `credit` does not fit `{}.credit` (`decimal(12,2)`)"),
    (given(credit="1000.00"), "4025 check constraint: constraint `rich`"),
    (given(born="2026-02-30"), "1292 no value of the type: `born` does not fit `{}.born` (`date`)"),
    (given(mood="happy"), "1265 no value of the type: `mood` does not fit `{}.mood` (`enum('sad','glad')` utf8mb4)"),
    (given(old="中"), "1366 no value of the type: `old` does not fit `{}.old` (`varchar(20)` latin1)"),
    (given(doc="{x"), "4025 check constraint: constraint `account.doc` about `doc`"),
    (given(name="taken"), "1062 duplicate key: unique index `name` of `{}` about `name`"),
    (given(name="TAKEN "), "1062 duplicate key: unique index `name` of `{}` about `name`"),
    (given(name=None), "1048 null: `name` is NULL, which `{}.name` may not be"),
    (given(name="a\ud800"), "half of a surrogate pair, which is no text"),
]


@pytest.mark.parametrize(("new", "reason"), REFUSALS, ids=[f"{at} {why[:24]}" for at, (_, why) in enumerate(REFUSALS)])
def test_a_refusal_tells_field_and_limit_and_never_the_row(
    erp_maria: str, user: User, new: tuple[Any, ...], reason: str
) -> None:
    user.do("INSERT INTO account (id, name) VALUES (1, 'taken')")
    columns = (1, 2, 3, 4, 5, 6, 7)

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        rows = [row(5, "5", new), row(5, "6", given(name="fine"))]
        outcome = erp.apply(batch(5, write("insert", "account", columns, rows)))
        held = given(name="fine")
        changes = [row(6, "6", (*new[:2], "secret", *new[3:]) if len(new[2]) < 9 else new, held)]
        changed = erp.apply(batch(6, write("update", "account", columns, changes)))
        told = erp.committed(0)

    why = reason.format(f"{address(erp_maria).database}.account")
    assert outcome.exceptions == [RowResult("account", "5", "failed", reason=why)]
    assert changed.exceptions == [RowResult("account", "6", "failed", reason=why)]
    assert told == [outcome, changed]
    assert user.do("SELECT id, name, note FROM account ORDER BY id") == [(1, "taken", None), (6, "fine", "x")]


TRIGGERS = [
    ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret'", "1644 raised by a trigger: {}"),
    ("SIGNAL SQLSTATE 'XY123' SET MESSAGE_TEXT = 'secret', MYSQL_ERRNO = 5000", "5000: {}"),
    ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret', MYSQL_ERRNO = 1213", "1213: {}"),
    ("INSERT INTO nowhere VALUES (1)", "1146: {}"),
    ("SET NEW.note = nothing(1)", "1305: {}"),
    ("UPDATE account SET note = 'x'", "1442 trigger changes its own table: {}"),
    ("SET NEW.id = NEW.id + 1000", "the target stores another key than the one it was given"),
]


@pytest.mark.parametrize(("body", "reason"), TRIGGERS)
def test_what_a_trigger_refuses_is_the_rows_affair(erp_maria: str, user: User, body: str, reason: str) -> None:
    condition = "IF NEW.note = 'forbidden' THEN"
    user.do(f"CREATE TRIGGER refuse BEFORE INSERT ON account FOR EACH ROW BEGIN {condition} {body}; END IF; END")

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        rows = [row(5, str(n), given(name=str(n), note="forbidden" if n == 3 else "x")) for n in range(1, 6)]
        outcome = erp.apply(batch(5, write("insert", "account", (1, 2, 3, 4, 5, 6, 7), rows)))

    why = reason.format(f"by a trigger of `{address(erp_maria).database}.account` (`refuse`)")
    assert outcome.exceptions == [RowResult("account", "3", "failed", reason=why)]
    assert [r[0] for r in user.do("SELECT id FROM account ORDER BY id")] == [1, 2, 4, 5]


def test_one_refused_row_among_five_thousand_is_found_and_all_others_are_written(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO account (id, name, credit) SELECT seq, seq, 0 FROM seq_1_to_5000")

    with opened(erp_maria, rules(erp_maria, ACCOUNT)) as erp:
        rows = [row(n // 10, str(n), ("1000.00" if n == 3333 else "5.00",), ("0.00",)) for n in range(1, 5001)]
        outcome = erp.apply(batch(500, write("update", "account", (2,), rows)))

    why = "4025 check constraint: constraint `rich`"
    assert outcome.exceptions == [RowResult("account", "3333", "failed", reason=why)]
    assert user.do("SELECT count(*), sum(credit = 5) FROM account") == [(5000, 4999)]


def test_a_child_is_not_blamed_for_a_parent_that_halving_put_behind_it(erp_maria: str, user: User) -> None:
    user.do(
        "CREATE TABLE child (id int PRIMARY KEY, parent bigint, "
        "CONSTRAINT c FOREIGN KEY (parent) REFERENCES account (id))"
    )
    name = address(erp_maria).database

    with opened(erp_maria, rules(erp_maria, ACCOUNT, Bound("child", ("id", "parent"), ("id",)))) as erp:
        accounts = [row(1, "1", ("x", "bad")), row(9, "2", ("a", "1.00"))]
        parents = write("insert", "account", (1, 2), accounts)
        children = write("insert", "child", (1,), [row(2, "1", ("2",)), row(9, "2", ("1",))])
        outcome = erp.apply(batch(9, parents, children))
        orphaned = erp.apply(batch(10, write("delete", "account", (1,), [row(10, "2", (), ("a",))])))

    failed = [result for result in outcome.exceptions if result.kind == "failed"]
    assert [(result.key, result.reason) for result in failed] == [
        ("1", f"1366 no value of the type: `credit` does not fit `{name}.account.credit` (`decimal(12,2)`)"),
        ("2", f"1452 foreign key: constraint `c` of `{name}.child` about `parent`"),
    ]
    assert [result.reason for result in orphaned.exceptions] == ["1451 foreign key: constraint `c`"]
    assert user.do("SELECT * FROM child") == [(1, 2)]


def test_a_server_that_logs_nothing_or_statements_is_not_written(own_maria: EmbeddedMariaDB) -> None:
    own_maria.start()
    url = own_maria.create_database("erp")
    User(url).do(CREATE)
    erp = target(url, rules(url, ACCOUNT))

    user = User(url)
    user.do("SET GLOBAL binlog_format = MIXED")
    with pytest.raises(NotSetUp, match="`binlog_format` is MIXED\n  mend: SET GLOBAL binlog_format = ROW"):
        erp.open()
    user.do("SET GLOBAL binlog_format = ROW; CREATE USER app; GRANT ALL ON *.* TO app")
    user.do("REVOKE SUPER, BINLOG ADMIN ON *.* FROM app")
    erp.open()
    own_maria.kill9()
    with pytest.raises(SystemUnavailable):
        erp.apply(batch(1))
    own_maria.start()
    erp.open()
    assert erp.apply(batch(1)).exceptions == []
    erp.close()
