"""`duolog init` writes a file that `check` has nothing against, and finds most of what a person would have written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from typer.testing import CliRunner, Result

from adapters.mariadb.survey import listed_values as mariadb_listed
from adapters.postgresql.survey import listed_values
from service.cli import app
from service.commands.terms import harmless
from service.init import writing
from service.init.draft import Draft
from service.init.drafting import same_meanings
from service.wiring import survey
from tests.docs.test_examples import CHECKED
from tests.ground import Session, account

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = {path.stem: path for path in sorted(EXAMPLES.glob("*.yaml")) if path.stem not in CHECKED}
FILES |= {path.stem: path for path in sorted((EXAMPLES / "demo").glob("*.yaml"))}
DATABASES = {
    "postgresql": ("erp_db", "crm_db", "third_db"), "mariadb": ("erp_maria", "crm_maria", "third_maria"),
    "debezium": ("erp_db", "crm_db"), "sqlite": ("erp_sqlite", "crm_sqlite"), "odbc": ("erp_odbc", "crm_odbc"),
}  # fmt: skip
"""Fixtures, by adapter, in the order of the systems of a file."""
FOUND_MIN = {
    "01_one_table": 1.0, "02_owners_and_conflicts": 1.0, "03_references": 1.0, "04_generated_keys": 1.0,
    "05_parts": 0.15, "06_inheritance_and_links": 0.6, "07_orders": 0.75, "08_owned_by_the_erp": 1.0,
    "09_three_systems": 0.75, "16_crm_on_mariadb": 0.45, "demo": 0.85, "demo_mariadb": 0.85,
}  # fmt: skip
"""How many of the pairs of columns of an example are found at least, of one. In 05 and 16, one row of the CRM is
several of the ERP; which of them counts, nobody can see."""

Pair = frozenset[tuple[str, str]]
"""Two columns: (system, table.column)"""


def duolog(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def pairs_of(columns: dict[str, str]) -> set[Pair]:
    return {frozenset(pair) for pair in combinations(columns.items(), 2)}


def by_hand(path: Path) -> set[Pair]:
    """The pairs of columns of a rule file that a person has written."""
    found: set[Pair] = set()
    for entity in yaml.safe_load(path.read_text(encoding="utf-8"))["entities"].values():
        tables = {system: _tables(bound) for system, bound in entity["bind"].items()}
        for said in entity["fields"].values():
            columns = dict.fromkeys(tables, said) if isinstance(said, str) else said
            here = {system: _named(columns[system], tables[system]) for system in tables if system in columns}
            found |= pairs_of(here)
    return found


def _tables(bound: dict[str, Any]) -> dict[str, str]:
    """By part, the table, without its schema."""
    parts = {"": bound} | bound.get("parts", {})
    return {part: str(said["table"]).rpartition(".")[2] for part, said in parts.items()}


def _named(said: Any, tables: dict[str, str]) -> str:
    part, _, column = str(said["column"] if isinstance(said, dict) else said).rpartition(".")
    return f"{tables[part]}.{column}"


@pytest.fixture
def made(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[list[str], Path]]:
    """The systems of an example, with their tables and the variables of their addresses; the file to write."""
    name = request.param
    text = FILES[name].read_text(encoding="utf-8")
    systems = re.findall(r"(?m)^  (\w+): +\{adapter: (\w+)", text)
    for at, (system, adapter) in enumerate(systems):
        url = request.getfixturevalue(DATABASES[adapter][at])
        own = "_mariadb" if adapter == "mariadb" else ""
        tables = EXAMPLES / "demo" / f"{system}{own}.sql" if "demo" in name else None
        with Session(url) as session:
            session.execute((tables or EXAMPLES / "tables" / f"{name[:2]}_{system}.sql").read_text(encoding="utf-8"))
        monkeypatch.setenv(f"{system.upper()}_URL", account(url) if adapter == "odbc" else url)
    yield [system for system, _ in systems], tmp_path / "first.yaml"


@pytest.mark.parametrize("made", FILES, indirect=True)
def test_the_file_of_every_example_passes_check_and_finds_what_a_person_wrote(
    made: tuple[list[str], Path], request: pytest.FixtureRequest
) -> None:
    systems, path = made
    name = request.node.callspec.params["made"]
    told = duolog("init", *systems, "-o", str(path), "--json")
    assert told.exit_code == 0, told.output
    if "adapter: sqlite" in path.read_text("utf-8") or "adapter: odbc" in path.read_text("utf-8"):
        assert duolog("setup", str(path)).exit_code == 0  # else that is what `check` tells first
    offline, online = duolog("check", str(path), "--offline"), duolog("check", str(path))

    assert (offline.exit_code, online.exit_code) == (0, 0), offline.output + online.output
    found: set[Pair] = set()
    for entity in json.loads(told.stdout)["entities"]:
        tables = yaml.safe_load(path.read_text(encoding="utf-8"))["entities"][entity["name"]]["bind"]
        for columns in entity["fields"].values():
            found |= pairs_of({s: _named(column, _tables(tables[s])) for s, column in columns.items()})
    wanted = by_hand(FILES[name])
    share = len(found & wanted) / len(wanted)
    print(f"{name}: {len(found & wanted)} of {len(wanted)} pairs found, {len(found - wanted)} further ones")
    assert share >= FOUND_MIN.get(name, 0.0), sorted(map(sorted, wanted - found))


MARIA = """
CREATE TABLE party (id int AUTO_INCREMENT PRIMARY KEY);
CREATE TABLE customer (
    id int PRIMARY KEY, customer_no varchar(12) UNIQUE, name varchar(80) NOT NULL, `on` int,
    stage char(1) NOT NULL DEFAULT 'a' CHECK (stage IN ('a', 'b')), kind enum('x', 'it''s'),
    note varchar(9) CHECK (note IN ('it''s', 'back\\\\slash')),
    state varchar(9) CHECK (state IN ('p') OR state IS NULL), is_active boolean NOT NULL,
    token char(36) DEFAULT uuid(), FOREIGN KEY (id) REFERENCES party (id)
);
CREATE TABLE plain (a int, b int);
CREATE VIEW seen AS SELECT id FROM customer;
"""


def test_a_mariadb_is_surveyed_with_what_its_checks_let_in_and_what_it_makes(erp_maria: str, crm_maria: str) -> None:
    with Session(erp_maria) as session:
        session.execute(MARIA)
        session.execute("CREATE DATABASE IF NOT EXISTS surveyed_beside; DROP TABLE IF EXISTS surveyed_beside.other;"
                        "CREATE TABLE surveyed_beside.other (id int PRIMARY KEY)")  # fmt: skip
    found, beside = survey("erp", erp_maria, ()), survey("erp", erp_maria, ["surveyed_beside"])
    with Session(erp_maria) as session:
        session.execute("DROP DATABASE surveyed_beside")

    home = erp_maria.rpartition("/")[2]
    tables = {table.shape.name: table for table in found.tables}
    assert (found.adapter, found.home) == ("mariadb", home)
    assert [table.name for table in beside.tables] == [("surveyed_beside", "other")]
    assert tables.keys() == {"party", "customer", "plain"}
    customer = tables["customer"]
    assert customer.allowed == {"stage": ("a", "b"), "kind": ("x", "it's"), "note": ("it's", "back\\slash")}
    assert (customer.made, tables["party"].made) == ({"id", "token"}, {"id"})
    assert [(key.columns, key.other) for key in customer.foreign] == [(("id",), (home, "party"))]


def test_two_of_mariadb_are_drafted_with_their_truths_as_numbers(
    erp_maria: str, crm_maria: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (erp_maria, crm_maria):
        with Session(url) as session:
            session.execute(MARIA)
    path = tmp_path / "two.yaml"
    told = duolog("init", f"erp={erp_maria}", f"crm={crm_maria}", "-o", str(path))
    monkeypatch.setenv("ERP_URL", erp_maria)
    monkeypatch.setenv("CRM_URL", crm_maria)

    assert told.exit_code == 0, told.output
    text = path.read_text(encoding="utf-8")
    assert text.count("{adapter: mariadb, url:") == 2
    assert text.count('deactivate: {is_active: "0"}') == text.count('reactivate: {is_active: "1"}') == 2
    assert text.count("party: {table: party, on:") == 2
    assert erp_maria.rpartition("/")[2] not in text
    assert duolog("check", str(path)).exit_code == 0, duolog("check", str(path)).output


def test_a_mysqls_lists_are_read_as_it_prints_them() -> None:
    statement = "CREATE TABLE `t` (\n  `a` varchar(9),\n" \
        "  CONSTRAINT `t_chk_1` CHECK ((`a` in (_utf8mb4'x',_utf8mb4'it\\'s'))),\n" \
        "  CONSTRAINT `t_chk_2` CHECK (((`b` in (_utf8mb4'x')) and (`b` <> _utf8mb4'')))\n) ENGINE=InnoDB"

    assert list(mariadb_listed(statement)) == [("a", ("x", "it's"))]


TWO = {
    "erp": """
        CREATE SCHEMA "Sales";
        CREATE TABLE "Sales"."Customer" (
            "customerNo" varchar(12) PRIMARY KEY, name text NOT NULL, "on" int,
            stage char(1) CHECK (stage IN ('A', 'B')), owner int NOT NULL, updated_at timestamptz,
            write_date timestamp, credit_limit numeric(12,2), opened timestamp
        );
        CREATE TABLE sheet (a int, b int);
        CREATE TABLE "a.b c" (code int PRIMARY KEY, "x.y" int, z int);
        CREATE TABLE audit (id serial PRIMARY KEY, what jsonb);
    """,
    "crm": """
        CREATE TABLE "a.b c" (code int PRIMARY KEY, "x.y" int, z int);
        CREATE TABLE accounts (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_no varchar(12) UNIQUE, account_name text,
            "on" int, stage text CHECK (stage IN ('x', 'y')), is_deleted boolean NOT NULL DEFAULT false,
            credit_limit text, opened timestamp
        );
    """,
}


@pytest.fixture
def two(erp_db: str, crm_db: str) -> list[str]:
    """Two databases whose tables are alike, but for what is not; as arguments."""
    for url, tables in ((erp_db, TWO["erp"]), (crm_db, TWO["crm"])):
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(tables.encode())
    return [f"erp={erp_db}", f"crm={crm_db}"]


def test_what_is_not_certain_is_asked_and_no_address_is_in_the_file(two: list[str], tmp_path: Path) -> None:
    path = tmp_path / "erp_crm.yaml"
    told = duolog("init", *two, "-o", str(path))
    text = path.read_text(encoding="utf-8")

    assert told.exit_code == 0, told.output
    assert "customer: erp: Customer, crm: accounts" in told.output
    assert 'url: "${ERP_URL}"' in text and "127.0.0.1" not in text and "postgresql://" not in text
    assert "identity: [customerno]" in text
    assert '      "on": "on"\n' in text
    assert 'deactivate: {is_deleted: "true"}' in text
    assert re.search(r'# \{erp: stage, crm: stage\}: map: \{.*\} .*\?', text)
    assert "# erp.owner: nothing like it elsewhere" in text
    assert "# erp.updated_at: when a row was touched is the application's own affair" in text
    assert "#   sheet: it has no key" in text and "#   audit" in text


def test_what_is_called_alike_but_has_another_type_and_times_without_a_zone_are_asked_for(
    two: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "erp_crm.yaml"
    duolog("init", *two, "-o", str(path))
    text = path.read_text(encoding="utf-8")

    alike = "# {erp: credit_limit, crm: credit_limit}: called alike, but numeric(12,2) and text: `read` and `write`"
    assert alike in text
    assert re.search("      opened: opened +# in which zone are times without one", text)
    assert "# erp.write_date: when a row was touched is the application's own affair" in text


def test_a_file_that_is_there_is_replaced_only_when_asked(two: list[str], tmp_path: Path) -> None:
    path = tmp_path / "erp_crm.yaml"
    path.write_text("mine")

    kept = duolog("init", *two, "-o", str(path))
    assert (kept.exit_code, path.read_text()) == (1, "mine")
    assert "--force" in kept.output
    assert duolog("init", *two, "-o", str(path), "--force").exit_code == 0
    assert path.read_text() != "mine"


def test_names_with_dots_and_blanks_are_quoted(two: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "erp_crm.yaml"
    duolog("init", *two, "-o", str(path))
    for each in two:
        monkeypatch.setenv(f"{each[:3].upper()}_URL", each[4:])

    written = yaml.safe_load(path.read_text(encoding="utf-8"))["entities"]["a_b_c"]
    assert list(written["bind"].values()) == [{"schema": "public", "table": "a.b c"}] * 2
    assert duolog("check", str(path)).exit_code == 0


def test_schemas_are_chosen_and_nothing_is_written_where_nothing_is_alike(two: list[str], tmp_path: Path) -> None:
    path = tmp_path / "erp_crm.yaml"
    told = duolog("init", *two, "--schema", "Sales", "-o", str(path))

    assert told.exit_code == 1
    assert "nothing is written" in told.output
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["erp=postgresql://a/b"], "two systems or more"),
        (["erp=postgresql://a/b", "erp=postgresql://a/c"], "two systems or more"),
        (["ERP=postgresql://a/b", "crm=postgresql://a/c"], "cannot be a system's name"),
        (["erp=postgresql://a/b", "nowhere"], "has no address"),
        (["erp=postgresql://a/b", "crm=oracle://me:hush@a/b"], "postgresql://, postgres://, mariadb://, mysql://"),
    ],
)
def test_arguments_that_are_wrong_are_told(words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = duolog("init", *words)

    assert told.exit_code == 2
    assert said in told.output


def test_init_writes_to_no_database(two: list[str], tmp_path: Path) -> None:
    def written() -> list[Any]:
        found = []
        for url in (each.partition("=")[2] for each in two):
            with psycopg.connect(url) as conn:
                query = "SELECT count(*) FROM pg_class UNION ALL SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM "
                found.append(conn.execute((query + "pg_stat_user_tables").encode()).fetchall())
        return found

    before = written()
    duolog("init", *two, "-o", str(tmp_path / "erp_crm.yaml"))

    assert written() == before


def test_lists_of_values_are_read_as_the_server_prints_them(erp_db: str) -> None:
    with psycopg.connect(erp_db) as conn:
        conn.execute(
            "CREATE TABLE t (a varchar(9) CHECK (a IN ('x', 'it''s')), b char(1) CHECK (b = ANY ('{P,A}')),"
            " c text CHECK (c IN ('a') OR c IS NULL), d text CHECK (d <> 'a'),"
            " e text CHECK (e IN ('a', 'b') AND e <> ''))"
        )
        query = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass ORDER BY conname"
        found = [listed_values(condition) for (condition,) in conn.execute(query).fetchall()]

    assert found == [("x", "it's"), (), (), (), ()]


def test_values_are_paired_only_where_it_is_plain() -> None:
    assert same_meanings(("P", "A"), ("prospect", "active")) == {"P": "prospect", "A": "active"}
    assert same_meanings(("open", "won"), ("won", "open")) == {"open": "open", "won": "won"}
    assert same_meanings(("P", "A"), ("active", "paused", "prospect")) is None
    assert same_meanings(("1", "2"), ("active", "paused")) is None


def test_a_name_with_a_line_in_it_adds_none_to_the_file() -> None:
    """Found by reading: the rest of such a table's name stood in the file as rules."""
    kinds = {"erp": "postgresql", "crm": "mariadb"}
    draft = Draft(("erp", "crm"), [], {"erp": ["public.a\nentities: {}"], "crm": []}, adapters=kinds)
    lines = [line for line, _ in writing.written(draft, "rules.yaml")]

    assert lines[-1] == "#   public.a\\nentities: {}"
    assert yaml.safe_load(harmless(writing.text('a\nb: "c"'))) == 'a\nb: "c"'
