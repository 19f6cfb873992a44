"""Every example runs as it stands: its tables are made, its rules checked, both ways carried, and the systems agree.

Only the addresses are replaced, where the file names machines that are not here; nothing else is touched. An example
with a synchronous system has servers of its own: there every commit waits, whichever database it is in.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from rules import compile_book, load
from service.embedded import EmbeddedServer
from tests.cli.desk import NOTED, Desk
from tests.docs.scenarios import SCENARIOS
from tests.docs.scenarios.rounds import Round
from tests.engine_live.world import pause

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CHECKED = ("22_erp_on_sqlserver",)
"""What no server can be had for here: held against what its tables would be, and not run."""
NAMES = sorted({path.stem for path in EXAMPLES.glob("*.yaml")} - set(CHECKED))
TRIED = [name for name in NAMES if "    tests:\n" in (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")]


LENT = {
    "postgresql": ("erp_db", "crm_db", "third_db"), "mariadb": ("erp_maria", "crm_maria", "third_maria"),
    "debezium": ("erp_db", "crm_db", "third_db"), "sqlite": ("erp_sqlite", "crm_sqlite"),
    "odbc": ("erp_odbc", "crm_odbc"),
}  # fmt: skip
"""By adapter: the databases that stand for an example's systems, in their order."""

EVERYBODY_WAITS = "SELECT bool_and(until_at IS NOT NULL) FROM duolog.degraded"
"""No range of the log is open in which commits do not wait."""


@pytest.fixture
def lent(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """A fresh database (or two), by the name of its fixture: only those that an example asks for are made."""
    return request.getfixturevalue


@pytest.fixture
def own_pair() -> Iterator[list[str]]:
    """A database on each of two servers of its own. Whatever becomes of the engine, nobody waits at the end."""
    with EmbeddedServer() as one, EmbeddedServer() as other:
        yield [server.create_database("example") for server in (one, other)]
        for server in (one, other):
            with server.connect() as connection:
                connection.execute("SET synchronous_commit = local")
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
                connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def urls(erp_db: str, crm_db: str, third_db: str) -> Iterator[list[str]]:
    """Databases enough for any example."""
    yield [erp_db, crm_db, third_db]


def test_every_example_has_a_scenario() -> None:
    assert set(NAMES) == SCENARIOS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_as_it_stands(
    name: str, lent: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "${KAFKA_URL}" in (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"):
        monkeypatch.setenv("KAFKA_URL", lent("kafka"))
    desk = desk_of(name, addresses_of(name, lent), tmp_path)
    with connected(name, desk, lent):
        if not NOTED.isdisjoint(adapter for _, adapter in systems_of(name)):
            desk.call("setup")  # else that is what `check` tells first
        assert "nothing wrong" in desk.call("check").stdout
        desk.call("setup")
        follow(name, desk)


@pytest.mark.parametrize("name", CHECKED)
def test_an_example_without_a_server_fits_the_tables_that_stand_beside_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    for variable in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(variable, "postgresql://crm.example/crm")
    loaded = load(EXAMPLES / f"{name}.yaml", os.environ)
    assert loaded.rules is not None and loaded.warnings == [], loaded.problems
    book, problems = compile_book(loaded.rules, None)
    assert problems == []

    for system, kind in (("erp", "tsql"), ("crm", "postgres")):
        made = made_by((EXAMPLES / "tables" / f"{name[:2]}_{system}.sql").read_text(encoding="utf-8"), kind)
        bound = {(table.schema, table.name): set(table.columns) for table in book.tables[system]}
        assert bound.keys() == made.keys()
        assert {name: columns - made[name] for name, columns in bound.items()} == {name: set() for name in bound}


def made_by(text: str, dialect: str) -> dict[tuple[str, str], set[str]]:
    """By table: the columns of what these statements would make, which have to be that dialect's."""
    tables = [tree.this for tree in sqlglot.parse(text, dialect=dialect) if tree and tree.args.get("kind") == "TABLE"]
    return {
        (table.this.db, table.this.name): {column.name for column in table.find_all(exp.ColumnDef)} for table in tables
    }


def follow(name: str, desk: Desk) -> None:
    """What an example's users do, and what is to be seen then."""
    desk.start()
    try:
        for number, turn in enumerate(SCENARIOS[name], 1):
            carry_out(desk, turn)
            for system, (query, rows) in turn.seen.items():
                assert desk.sql(system, query) == rows, f"round {number}, {system}\n{desk.log_tail()}"
    finally:
        code = desk.stop()

    assert code == 0, desk.log_tail()
    assert desk.call("verify").stdout.endswith("no difference\n")


def test_what_the_examples_say_about_the_loser_is_so(urls: list[str], tmp_path: Path) -> None:
    desk = desk_of("02_owners_and_conflicts", dict(zip(("erp", "crm"), urls, strict=False)), tmp_path)
    desk.call("setup")
    with desk.running():
        desk.sql("erp", "INSERT INTO customer VALUES ('C1', 'Ada', 'A', 10, 'N30', 100, '2026-01-01', 'a', 'b', 'c')")
        desk.settle()
        desk.sql("crm", "DELETE FROM sales.account")  # the CRM may not delete a customer: the row comes back
        desk.settle()
    desk.sql("erp", "UPDATE customer SET loyalty_points = 110, last_contact_on = '2026-03-01', payment_terms = 'N14'")
    desk.sql("crm", "UPDATE sales.account SET bonus_points = 105, last_contact = '2026-02-01', terms = 'N60', "
                    "credit_limit = 9999")  # fmt: skip
    with desk.running():
        pass

    said = "SELECT loyalty_points, last_contact_on::text, payment_terms, credit_limit::text FROM customer"
    assert desk.sql("erp", said) == [(115, "2026-03-01", "N14", "10.00")]
    said = "SELECT bonus_points, last_contact::text, terms, credit_limit::text FROM sales.account"
    assert desk.sql("crm", said) == [(115, "2026-03-01", "N60", "10.00")]


@pytest.mark.parametrize("name", TRIED)
def test_the_tests_of_an_example_pass_without_a_database(name: str, tmp_path: Path) -> None:
    assert desk_of(name, {}, tmp_path).call("test").stdout.endswith(" passed, 0 failed\n")


def carry_out(desk: Desk, turn: Round) -> None:
    """One round, until all of it has arrived; or until its last COMMIT has returned, where that is to say the same."""
    desk.settle()
    if turn.at_once:
        desk.eventually(lambda: all(desk.sql(system, EVERYBODY_WAITS)[0][0] for system in desk.urls))
    if turn.unseen:
        assert desk.stop() == 0, desk.log_tail()
    for number, (system, transactions) in enumerate(turn.written.items()):
        if number and turn.unseen:
            pause(0.5)  # further apart than a busy machine's clocks can be told: else the order of the systems decides
        for transaction in transactions:
            desk.sql(system, transaction)
    if turn.unseen:
        desk.start()
    if turn.at_once:
        return
    desk.settle()
    for command, answer in turn.asked.items():
        answered(desk, command, answer)
    desk.settle()


def answered(desk: Desk, command: str, answer: str) -> None:
    """A command's answer has these words; the status in the end, for a feed begins when Kafka lets it."""
    verb, *rest = shlex.split(command)
    if verb == "status":
        desk.eventually(lambda: answer in desk.call(verb, *rest).stdout)
    else:
        assert answer in desk.call(verb, *rest).stdout, command


@contextmanager
def connected(name: str, desk: Desk, lent: Callable[[str], Any]) -> Iterator[None]:
    """While the example's connector streams, if it has one: as its file has it, but for where the database is."""
    file = EXAMPLES / f"{name[:2]}_connector.json"
    if not file.exists():
        yield
        return
    words = json.loads(file.read_text(encoding="utf-8"))
    elsewhere = {key: None for key in words if key.startswith("topic.creation.")}  # as the broker has it
    given = {key: value for key, value in words.items() if not key.startswith("database.")}
    with lent("connect").connector(desk.urls["erp"], words["topic.prefix"], **given | elsewhere):
        yield


def systems_of(name: str) -> list[tuple[str, str]]:
    """The systems of an example, in its order, each with its adapter."""
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    return re.findall(r"(?m)^  (\w+): +\{adapter: (\w+)", text)


def addresses_of(name: str, lent: Callable[[str], Any]) -> dict[str, str]:
    """By system of the example: the database that stands for it."""
    systems = systems_of(name)
    if "commit: synchronous" in (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"):
        return dict(zip((system for system, _ in systems), lent("own_pair"), strict=True))
    return {system: lent(LENT[adapter][at]) for at, (system, adapter) in enumerate(systems)}


def desk_of(name: str, urls: dict[str, str], folder: Path) -> Desk:
    """The example between these databases, with its tables made."""
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^store: .*$", f'store: "sqlite:///{folder}/{name}.store.db"', text)
    for system in urls:
        text = re.sub(rf'({system}: +{{adapter: \w+, url: )"[^"]*"', rf'\1"${{{system.upper()}_URL}}"', text)
    desk = Desk(text, urls, folder, f"{name}.yaml")
    for system in urls:
        desk.sql(system, (EXAMPLES / "tables" / f"{name[:2]}_{system}.sql").read_text(encoding="utf-8"))
    return desk
