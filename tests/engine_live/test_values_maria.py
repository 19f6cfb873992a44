"""Ping-pong with MariaDB: applications that round, trim, pad, change case and reformat on both sides at once, and many
spellings of one meaning.

What `test_values_live` shows between PostgreSQL servers, in the words and types of MariaDB: triggers that rewrite what
duolog writes, columns that round it, an ENUM and a TINYINT that have many spellings on the other side. After all there
must be quiet: a second start of the engine, and a row that crosses then, add nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.engine_live.conftest import PAIRS, names
from tests.engine_live.pair import Pair
from tests.ground import MARIADB, POSTGRESQL

COLUMNS = "no varchar(40) PRIMARY KEY, price {price}, name varchar(80), code varchar(40), raw varchar(40), "
COLUMNS += "phone varchar(40), flag {flag}, stage {stage}, share {share}, at {at}, note {note}"

POSTGRESQL_TABLES = """
CREATE TABLE item ({columns});
CREATE TABLE trail (number int GENERATED ALWAYS AS IDENTITY, no text);
CREATE FUNCTION trailed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trail (no) VALUES (NEW.no);
    RETURN NULL;
END $$;
CREATE TRIGGER trailed AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION trailed();
ALTER TABLE item ENABLE ALWAYS TRIGGER trailed;
CREATE FUNCTION tidied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.price := round(NEW.price, 3); NEW.name := btrim(NEW.name); NEW.code := upper(NEW.code);
    NEW.raw := upper(NEW.raw); NEW.phone := regexp_replace(NEW.phone, '[^0-9]', '', 'g');
    RETURN NEW;
END $$;
CREATE TRIGGER tidied BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION tidied();
ALTER TABLE item ENABLE ALWAYS TRIGGER tidied;
"""
MARIADB_TABLES = """
CREATE TABLE item ({columns}) CHARACTER SET utf8mb4;
CREATE TABLE trail (number int AUTO_INCREMENT PRIMARY KEY, no varchar(40));
CREATE TRIGGER trailed_new AFTER INSERT ON item FOR EACH ROW INSERT INTO trail (no) VALUES (NEW.no);
CREATE TRIGGER trailed_old AFTER UPDATE ON item FOR EACH ROW INSERT INTO trail (no) VALUES (NEW.no);
CREATE TRIGGER tidied_new BEFORE INSERT ON item FOR EACH ROW SET {habits};
CREATE TRIGGER tidied_old BEFORE UPDATE ON item FOR EACH ROW SET {habits};
"""
HABITS = {
    "erp": "NEW.price = round(NEW.price, 3), NEW.name = trim(NEW.name), NEW.code = upper(NEW.code), "
           "NEW.raw = upper(NEW.raw), NEW.phone = regexp_replace(NEW.phone, '[^0-9]', '')",
    "crm": "NEW.price = round(NEW.price * 2) / 2, NEW.name = concat('  ', trim(NEW.name), ' '), "
           "NEW.code = lower(NEW.code), NEW.raw = lower(NEW.raw), "
           "NEW.phone = regexp_replace(regexp_replace(NEW.phone, '[^0-9]', ''), '(..)(?=.)', '\\\\1 ')",
}  # fmt: skip
"""What each application does to every row that is written, whoever writes it."""
TYPES = {
    ("erp", POSTGRESQL): {"price": "numeric(12, 4)", "flag": "text", "stage": "text", "share": "numeric(6, 4)",
                          "at": "timestamp", "note": "varchar(40)"},
    ("erp", MARIADB): {"price": "decimal(12, 4)", "flag": "varchar(4)", "stage": "varchar(12)",
                       "share": "decimal(6, 4)", "at": "datetime(6)", "note": "varchar(40)"},
    ("crm", MARIADB): {"price": "decimal(12, 1)", "flag": "tinyint(1)",
                       "stage": "enum('prospect', 'active', 'dormant')", "share": "decimal(6, 2)", "at": "timestamp",
                       "note": "varchar(8)"},
}  # fmt: skip
"""The CRM's `at` has whole seconds: duolog rounds what it sends to them, as PostgreSQL would."""
RULES = """
  item:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: item}, crm: {table: item}}
    fields:
      no: no
      price: {erp: price, crm: {column: price, round: 1}}
      name: {erp: {column: name, trim: true}, crm: {column: name, trim: true}}
      code: {erp: {column: code, case: upper}, crm: {column: code, case: lower}, same: case}
      raw: raw
      phone: {erp: phone, crm: phone, same: digits}
      flag: {erp: {column: flag, map: {Y: "1", y: "1", 1: "1", N: "0", "": "0"}}, crm: flag}
      stage: {erp: {column: stage, map: {P: prospect, A: active, a: active, D: dormant}}, crm: stage}
      share: {erp: {column: share, scale: 100}, crm: share}
      at: {erp: {column: at, time_zone: America/New_York}, crm: at}
      note: {erp: note, crm: {column: note, on_overflow: cut}}
"""
FILL = """
INSERT INTO item (no, price, name, code, raw, phone, flag, stage, share, at, note)
SELECT 'I' || i, 1.5, 'Name', 'Code', 'Raw', '4930', {flag}, {stage}, {share}, {at}, 'note' FROM {numbers}
"""


def tables(system: str, kind: str) -> str:
    """The DDL of a side."""
    columns = COLUMNS.format(**TYPES[system, kind])
    if kind == POSTGRESQL:
        return POSTGRESQL_TABLES.replace("{columns}", columns)
    return MARIADB_TABLES.format(columns=columns, habits=HABITS[system])


@pytest.fixture
def pair(tmp_path: Path, both: Mapping[str, str]) -> Iterator[Pair]:
    """Twelve items that mean the same on both sides."""
    kinds = {system: address.partition(":")[0] for system, address in both.items()}
    made = Pair(tmp_path, "values", both, RULES, {s: tables(s, k) for s, k in kinds.items()})
    erp = {"flag": "Y", "stage": "A", "share": "0.25", "at": "2026-01-31 12:00:00"}
    crm = {"flag": "1", "stage": "active", "share": "25", "at": "2026-01-31 17:00:00"}
    for system, given in (("erp", erp), ("crm", crm)):
        made.sql(system, FILL, **given, numbers=made.series(system, 1, 12))
    made.both("TRUNCATE TABLE trail")
    yield made
    made.close()


with_mariadb = pytest.mark.parametrize("both", PAIRS[1:], ids=names, indirect=True)
beside_postgresql = pytest.mark.parametrize("both", PAIRS[1:2], ids=names, indirect=True)


def written(pair: Pair) -> int:
    """How often a row was written, by anybody, on both sides."""
    return sum(pair.sql(system, "SELECT count(*) FROM trail")[0][0] for system in pair.addresses)


def fence(pair: Pair, number: int) -> None:
    """Something that goes from each side to the other: what was written before is there now."""
    for system, other in (("erp", "crm"), ("crm", "erp")):
        pair.sql(system, "INSERT INTO item (no, note) VALUES ({no}, 'fence')", no=f"{system} {number}")
        pair.becomes(other, "SELECT count(*) FROM item WHERE no = {no}", [(1,)], no=f"{system} {number}")


def users_write(pair: Pair, step: int) -> int:
    """Everything at once, on both sides, in other rows and in the same; how many rows they wrote at most."""
    flag, stage = ("Y", "y", "1", "N", "")[step % 5], ("P", "A", "a", "D")[step % 4]
    pair.sql("erp", """
        UPDATE item SET price = {step} + 0.12345, name = '  Erp ' || {step} || ' ', code = 'eRp' || {step},
            raw = 'eRp' || {step}, phone = '+49 (30) ' || {step}, flag = {flag}, stage = {stage},
            share = {step} / 10000.0, at = {at}, note = repeat('é', {step} + 4)
        WHERE no IN ('I1', 'I2', 'I4', 'I5', 'I7', 'I8', 'I11', 'I12')
    """, step=step, flag=flag, stage=stage, at=f"2026-11-01 00:3{step}:07.6")  # fmt: skip
    pair.sql("crm", """
        UPDATE item SET price = {step} + 0.6, name = 'Crm ' || {step}, code = 'cRm' || {step}, raw = 'cRm' || {step},
            phone = '49/40/' || {step}, flag = {step} % 2 = 0, stage = 1 + {step} % 3, share = {step} + 0.05, at = {at},
            note = 'crm' || {step}
        WHERE no IN ('I2', 'I3', 'I5', 'I6', 'I8', 'I9', 'I10', 'I12')
    """, step=step, at=f"2026-11-01 04:4{step}:00")  # fmt: skip
    return 16


@with_mariadb
def test_what_both_applications_rewrite_comes_to_rest(pair: Pair) -> None:
    steps = 6
    by_users = 0
    pair.start()
    fence(pair, 0)
    pair.both("TRUNCATE TABLE trail")
    for step in range(1, steps // 2 + 1):
        by_users += users_write(pair, step)
    with pair.apart():
        for step in range(steps // 2 + 1, steps + 1):
            by_users += users_write(pair, step)
    fence(pair, 1)
    quiet = written(pair)

    # Each write of a user's goes to the other side once, and so does each row of the fence.
    assert quiet <= 2 * by_users + 4, pair.sql("erp", "SELECT * FROM trail")
    pair.stop()
    pair.start()
    fence(pair, 2)

    assert written(pair) == quiet + 4, "something was written after all was quiet"
    assert pair.quarantine() == {}


@beside_postgresql
def test_what_the_sides_have_in_the_end_means_the_same(pair: Pair) -> None:
    pair.start()
    users_write(pair, 1)
    fence(pair, 1)

    query = "SELECT price, name, code, raw, phone, flag, stage, share, at, note FROM item WHERE no = 'I1'"
    (erp,), (crm,) = pair.sql("erp", query), pair.sql("crm", query)

    assert [*map(str, erp)] == [
        "1.1240", "Erp 1", "ERP1", "ERP1", "49301", "y", "A", "0.0001", "2026-11-01 00:31:07.600000", "ééééé",
    ]  # fmt: skip
    assert (str(crm[0]), crm[1:4], crm[4]) == ("1.0", ("  Erp 1 ", "erp1", "erp1"), "49 30 1")
    assert (crm[5], crm[6], str(crm[7]), str(crm[8]), crm[9]) == (1, "active", "0.01", "2026-11-01 04:31:08", "ééééé")


@beside_postgresql
def test_a_spelling_stays_where_it_means_what_it_should(pair: Pair) -> None:
    pair.start()
    pair.sql("erp", "UPDATE item SET flag = '1', stage = 'a' WHERE no = 'I1'")
    pair.sql("crm", "UPDATE item SET note = 'other', name = 'Name' WHERE no = 'I1'")
    pair.becomes("erp", "SELECT note, flag, stage FROM item WHERE no = 'I1'", [("other", "1", "a")])

    pair.sql("crm", "UPDATE item SET flag = 1 - flag, stage = 'dormant' WHERE no = 'I1'")
    pair.becomes("erp", "SELECT flag, stage FROM item WHERE no = 'I1'", [("N", "D")])
    pair.sql("erp", "UPDATE item SET flag = '' WHERE no = 'I1'")
    fence(pair, 1)

    assert pair.sql("erp", "SELECT flag FROM item WHERE no = 'I1'") == [("",)]
    assert [entry for entry in pair.journal("item", "I1") if entry["fields"] != ["raw"]] == []
