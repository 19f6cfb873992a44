"""Lines that are records only while the deal they hang on is won: the deal's row is looked at, and never made or
removed for their sake; between real servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from tests.engine_live.shapes import Shape, ShapeOf, shapes

RULES = """
  deal:
    identity: [no]
    conflict: last_writer
    leave: {crm: delete}
    bind:
      erp: {table: sale, key: id}
      crm: {table: deal, key: id, where: "stage = 'won'"}
    fields: {no: no}
  line:
    identity: [deal, place]
    conflict: last_writer
    leave: {crm: delete}
    bind:
      erp: {table: line, key: id}
      crm:
        table: line
        key: id
        parts: {won: {table: deal, on: "id = root.deal", where: "stage = 'won'"}}
        member_when: won
    fields: {deal: {erp: sale, crm: deal, reference: deal}, place: place, what: what}
"""
ERP: LiteralString = """
CREATE TABLE sale (id serial PRIMARY KEY, no text NOT NULL UNIQUE);
CREATE TABLE line (id serial PRIMARY KEY, sale integer NOT NULL REFERENCES sale, place integer NOT NULL, what text);
"""
CRM: LiteralString = """
CREATE TABLE deal (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), no text NOT NULL UNIQUE, stage text NOT NULL);
CREATE TABLE line (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), deal uuid NOT NULL REFERENCES deal, place integer NOT NULL, what text
);
INSERT INTO deal (no, stage) VALUES ('D1', 'open'), ('D2', 'open');
INSERT INTO line (deal, place, what) SELECT id, i, no FROM deal, generate_series(1, 2) AS i;
"""
IN_ERP: LiteralString = "SELECT no, place, what FROM sale LEFT JOIN line ON sale = sale.id ORDER BY 1, 2"
IN_CRM: LiteralString = "SELECT no, place, what FROM deal LEFT JOIN line ON deal = deal.id ORDER BY 1, 2"
REST = [("D2", 1, "D2"), ("D2", 2, "D2")]
"""What stays the CRM's own."""


@pytest.fixture
def won(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[Shape]:
    """Two systems between which one of two deals has been won."""
    make: ShapeOf
    with shapes(tmp_path, {"erp": erp_db, "crm": crm_db}) as make:
        pair = make(RULES, ERP, CRM)
        pair.sql("crm", "UPDATE deal SET stage = 'won' WHERE no = 'D1'")
        pair.becomes("erp", IN_ERP, [("D1", 1, "D1"), ("D1", 2, "D1")])
        yield pair


def test_lines_are_made_and_removed_on_either_side_and_their_deal_stays(won: Shape) -> None:
    won.sql("erp", "INSERT INTO line (sale, place, what) SELECT id, 3, 'new' FROM sale")
    won.becomes("crm", IN_CRM, [("D1", 1, "D1"), ("D1", 2, "D1"), ("D1", 3, "new"), *REST])
    won.sql("erp", "DELETE FROM line WHERE place < 3")
    won.becomes("crm", IN_CRM, [("D1", 3, "new"), *REST])
    won.sql("crm", "DELETE FROM line WHERE place = 3")
    won.becomes("erp", IN_ERP, [("D1", None, None)])
    assert won.sql("crm", "SELECT stage FROM deal WHERE no = 'D1'") == [("won",)]
    won.agrees()


def test_a_line_that_was_changed_there_and_deleted_here_is_made_again_under_its_deal(won: Shape) -> None:
    with won.apart():
        won.sql("erp", "UPDATE line SET what = 'changed' WHERE place = 1")
        won.sql("crm", "DELETE FROM line WHERE place = 1 AND what = 'D1'")
    won.becomes("crm", IN_CRM, [("D1", 1, "changed"), ("D1", 2, "D1"), *REST])
    won.agrees()


def test_a_deal_that_is_lost_after_all_takes_its_lines_with_it_and_brings_them_back(won: Shape) -> None:
    won.sql("crm", "UPDATE deal SET stage = 'lost' WHERE no = 'D1'")
    won.becomes("erp", IN_ERP, [])
    assert won.sql("crm", IN_CRM) == [("D1", 1, "D1"), ("D1", 2, "D1"), *REST]

    won.sql("crm", "UPDATE deal SET stage = 'won'")
    won.becomes("erp", IN_ERP, [("D1", 1, "D1"), ("D1", 2, "D1"), *REST])
    won.agrees()
