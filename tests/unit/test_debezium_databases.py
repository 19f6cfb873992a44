"""Every database that rules may name beside Debezium is one that duolog can write, with positions that compare."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from adapters.alchemy import positions
from adapters.debezium.coordinates import COORDINATES, squeezed, widened
from adapters.debezium.decoding.events import Source
from adapters.debezium.kit import DebeziumKit
from adapters.debezium.layout import LEDGER
from engine.errors import SystemStopped
from rules import load
from service.wiring import ELSEWHERE, kits, offline_book

RULES = """
duolog: 1
name: shop
systems:
  erp: {adapter: debezium, url: "${ERP}", kafka: "${KAFKA}", topics: erp}
  crm: {adapter: postgresql, url: "${CRM}"}
entities:
  item:
    identity: [id]
    conflict: last_writer
    bind: {erp: {table: ERP.ITEM}, crm: {table: item}}
    fields: {id: {erp: ID, crm: id}, v: {erp: V, crm: v}}
"""
ADDRESSES = {
    "postgresql": "postgresql://u@127.0.0.1:1/erp",
    "mariadb": "mariadb://u@127.0.0.1:1/erp",
    "mysql": "mysql://u@127.0.0.1:1/erp",
    "oracle": "oracle+oracledb://u@127.0.0.1:1/?service_name=erp",
    "mssql": "mssql+pyodbc://u@127.0.0.1:1/erp?driver=any",
    "db2": "db2+ibm_db://u@127.0.0.1:1/erp",
}


def wired(tmp_path: Path, kind: str):
    """The rules' kits, and their book; nothing is opened."""
    given = {"ERP": ADDRESSES[kind], "KAFKA": "kafka://127.0.0.1:1", "CRM": "postgresql://u@127.0.0.1:1/crm"}
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    loaded = load(file, given)
    assert loaded.rules is not None, loaded.problems
    assert loaded.rules.systems["erp"].database == kind
    return kits(loaded.rules), offline_book(loaded)


@pytest.mark.parametrize("kind", sorted(ADDRESSES))
def test_every_database_that_rules_may_name_has_a_kit(tmp_path, kind):
    made, _ = wired(tmp_path, kind)

    assert isinstance(made["erp"], DebeziumKit)
    assert set(ADDRESSES) == set(ELSEWHERE) == set(COORDINATES)


def test_db2_is_not_written_and_says_why(tmp_path):
    made, book = wired(tmp_path, "db2")

    with pytest.raises(SystemStopped, match="no log whose positions are known"):
        made["erp"].target(book)


def test_the_ledger_is_where_debezium_is_told_to_capture_it():
    for kind in ("oracle", "mssql", "db2"):
        assert ELSEWHERE[kind]("erp", ADDRESSES[kind], insecure=False)._ledger_place == LEDGER


def test_what_sql_server_tells_and_what_debezium_tells_is_one_position():
    chance = Random(7)
    for _ in range(500):
        text = f"{chance.randrange(1 << 23):08x}:{chance.randrange(1 << 28):08x}:{chance.randrange(1 << 12):04x}"
        assert squeezed(text) == positions.squeezed(text)
        assert widened(squeezed(text)) == positions.widened(squeezed(text)) == text


def test_what_oracle_tells_and_what_debezium_tells_is_one_position():
    told = COORDINATES["oracle"].of_event(Source(commit_scn="4711"))

    assert told == 4711 << positions.SAME_SCN_BITS
