"""Setup and teardown on a real MariaDB: what is made, what is left alone, and what is taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.mariadb import ledger, positions
from adapters.mariadb.kit import MariaKit
from adapters.mariadb.resume import read_end
from adapters.mariadb.session import Connection, ask, connect, execute
from adapters.mariadb.setup import read_facts, setup, statements, teardown
from engine.errors import AccessDenied, SystemUnavailable
from engine.rulebook import Synchronous
from tests.database.books import Bound, book

ROWS = "INSERT INTO duolog.ledger (engine, `system`, number_to) VALUES ('unit', 'erp', 1), ('unit', 'crm', 1)"


@pytest.fixture
def dba(erp_maria: str) -> Iterator[Connection]:
    """The superuser's connection to a server without our database."""
    conn = connect("erp", erp_maria, application_name="test")
    execute(conn, "DROP DATABASE IF EXISTS duolog; CREATE TABLE item (id int PRIMARY KEY, v text)")
    yield conn
    conn.close()


def database_of(conn: Connection) -> str:
    ((name,),) = ask(conn, "SELECT DATABASE()")
    return str(name)


def tables_of_ours(conn: Connection) -> list[str]:
    return [name for (name,) in ask(conn, "SHOW TABLES FROM duolog")]


def test_the_ledger_is_made_once_and_each_step_is_told_before(dba: Connection) -> None:
    rules = book(Bound("item", ("id", "v"), ("id",), schema=database_of(dba)))
    told: list[str] = []
    assert [step.done for step in statements(rules, "erp", read_facts(dba, rules, "erp"))] == [False, False]

    made = setup(dba, rules, "erp", told=lambda step: told.append(step.what))

    assert told == [step.what for step in made] == ["database `duolog`", "table `duolog.ledger`"]
    assert [step.done for step in statements(rules, "erp", read_facts(dba, rules, "erp"))] == [True, True]
    assert setup(dba, rules, "erp") == []
    assert tables_of_ours(dba) == ["ledger"]


def test_teardown_takes_away_what_setup_made_and_nothing_of_others(dba: Connection) -> None:
    rules = book(Bound("item", ("id", "v"), ("id",), schema=database_of(dba)))
    setup(dba, rules, "erp")
    execute(dba, ROWS)

    assert teardown(dba, rules, "erp") == []
    assert ask(dba, "SELECT `system` FROM duolog.ledger") == [("crm",)]

    execute(dba, "DELETE FROM duolog.ledger; CREATE TABLE duolog.note (id int)")
    assert teardown(dba, rules, "erp") == ["table `duolog.ledger`"]
    execute(dba, "DROP TABLE duolog.note")
    assert teardown(dba, rules, "erp") == ["database `duolog`"]
    assert teardown(dba, rules, "erp") == []


def test_nothing_is_taken_away_while_the_engine_writes(dba: Connection, erp_maria: str) -> None:
    rules = book(Bound("item", ("id", "v"), ("id",), schema=database_of(dba)))
    setup(dba, rules, "erp")
    kit = MariaKit("erp", erp_maria, insecure=False)
    writing = kit.target(rules)
    writing.open()
    try:
        with pytest.raises(SystemUnavailable, match="is at work here, with the connection") as refused:
            kit.teardown(rules)
        assert refused.value.mend == "stop duolog first"
        with pytest.raises(SystemUnavailable):
            kit.forget(rules)
    finally:
        writing.close()

    execute(dba, ROWS)
    kit.forget(rules)
    assert ask(dba, "SELECT `system` FROM duolog.ledger") == [("crm",)]


def test_a_user_who_may_not_make_it_is_told_so(dba: Connection, erp_maria: str) -> None:
    execute(dba, f"CREATE USER clerk@'127.0.0.1'; GRANT SELECT ON `{database_of(dba)}`.* TO clerk@'127.0.0.1'")
    try:
        clerk = connect("erp", erp_maria.replace("root@", "clerk@"), application_name="test")
        with pytest.raises(AccessDenied, match="duolog"):
            setup(clerk, book(Bound("item", ("id", "v"), ("id",))), "erp")
        clerk.close()
    finally:
        execute(dba, "DROP USER clerk@'127.0.0.1'")


def test_of_a_synchronous_system_it_is_told_from_the_beginning_when_commits_did_not_wait(dba: Connection) -> None:
    rules = replace(
        book(Bound("item", ("id", "v"), ("id",), schema=database_of(dba))),
        synchronous={"erp": Synchronous(5.0, "release")},
    )
    end = read_end(dba)

    made = [step.what for step in setup(dba, rules, "erp")]

    table = "table `duolog.degraded`"
    assert made == ["database `duolog`", "table `duolog.ledger`", table, f"{table}: never armed yet"]
    assert setup(dba, rules, "erp") == []
    asked = "SELECT engine, since_position, until_position, why, `by`, stays FROM duolog.degraded"
    assert ask(dba, asked) == [(rules.name, positions.text(end), None, "never armed yet", "setup", "0")]

    execute(
        dba, "INSERT INTO duolog.degraded (engine, since_position, why, `by`) VALUES ('another', '000001:4', '', '')"
    )
    assert teardown(dba, rules, "erp") == ["table `duolog.ledger`"]
    execute(dba, f"DELETE FROM duolog.degraded; {ledger.CREATE}")
    assert teardown(dba, rules, "erp") == ["table `duolog.ledger`", table, "database `duolog`"]
