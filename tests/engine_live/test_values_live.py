"""Ping-pong: applications that round, trim, change case and reformat on both sides at once, and many spellings of one
meaning; between real servers.

Every write of a row leaves a line in its table `trail`, whoever made it; so the engine's own are those that no user
made. After them all there must be quiet: a second start of the engine, and a row that crosses then, add nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import pytest

from tests.engine_live.pair import Pair

TABLE = """
CREATE TABLE item (
    no text PRIMARY KEY, price numeric(12, {digits}), name text, code text, raw text, phone text, flag {flag},
    tags {tags}, share numeric(6, {share}), at {at}, body {body}, note varchar({note})
);
CREATE TABLE trail (number int GENERATED ALWAYS AS IDENTITY, no text, before jsonb, after jsonb);
CREATE FUNCTION trailed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trail (no, before, after) VALUES (NEW.no, to_jsonb(OLD), to_jsonb(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER trailed AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION trailed();
ALTER TABLE item ENABLE ALWAYS TRIGGER trailed;
"""
HABITS = """
CREATE FUNCTION tidied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {habits}
    RETURN NEW;
END $$;
CREATE TRIGGER tidied BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION tidied();
ALTER TABLE item ENABLE ALWAYS TRIGGER tidied;
"""
ERP: Any = TABLE.format(
    digits=4, flag="text", tags="text", share=4, at="timestamp", body="json", note=40
) + HABITS.format(habits=r"""
    NEW.price := round(NEW.price, 3); NEW.name := btrim(NEW.name); NEW.code := upper(NEW.code);
    NEW.raw := upper(NEW.raw); NEW.phone := regexp_replace(NEW.phone, '[^0-9]', '', 'g');
""")  # fmt: skip
CRM: Any = TABLE.format(
    digits=1, flag="boolean", tags="text[]", share=2, at="timestamptz", body="jsonb", note=8
) + HABITS.format(habits=r"""
    NEW.price := round(NEW.price * 2) / 2; NEW.name := '  ' || btrim(NEW.name) || ' '; NEW.code := lower(NEW.code);
    NEW.raw := lower(NEW.raw);
    NEW.phone := regexp_replace(regexp_replace(NEW.phone, '[^0-9]', '', 'g'), '(..)(?=.)', '\1 ', 'g');
""")  # fmt: skip
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
      flag: {erp: {column: flag, map: {Y: true, y: true, 1: true, N: false, "": false}}, crm: flag}
      tags: {erp: {column: tags, list: ",", trim: true}, crm: tags}
      share: {erp: {column: share, scale: 100}, crm: share}
      at: {erp: {column: at, time_zone: America/New_York}, crm: at}
      body: body
      note: {erp: note, crm: {column: note, on_overflow: cut}}
"""
ROWS = 12
FILL: Any = """
INSERT INTO item (no, price, name, code, raw, phone, flag, tags, share, at, body, note)
SELECT 'I' || i, 1.5, 'Name', 'Code', 'Raw', '4930', {flag}, {tags}, {share}, '2026-01-31 12:00:00', '[]', 'note'
FROM generate_series(1, 12) AS i
"""


@pytest.fixture
def pair(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[Pair]:
    """Twelve items that mean the same on both sides."""
    made = Pair(tmp_path, "values", {"erp": erp_db, "crm": crm_db}, RULES, {"erp": ERP, "crm": CRM})
    made.sql("erp", FILL, flag="Y", tags="a, b", share="0.25")
    made.sql("crm", FILL, flag="t", tags="{a,b}", share="25")
    made.sql("crm", "UPDATE item SET at = '2026-01-31 17:00:00+00'")
    made.both("TRUNCATE trail")
    yield made
    made.close()


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
    pair.sql("erp", """
        UPDATE item SET price = {step} + 0.12345, name = '  Erp ' || {step} || ' ', code = 'eRp' || {step},
            raw = 'eRp' || {step}, phone = '+49 (30) ' || {step},
            flag = (ARRAY['Y', 'y', '1', 'N', ''])[1 + {step} % 5], tags = 'x , y' || {step},
            share = {step} / 10000.0, at = timestamp '2026-11-01 00:30' + {step} * interval '37 min',
            body = json_build_object('b', {step}, 'a', 1.50), note = repeat('é', {step} + 4)
        WHERE no LIKE 'I%' AND right(no, 1)::int % 3 <> 0
    """, step=step)  # fmt: skip
    pair.sql("crm", """
        UPDATE item SET price = {step} + 0.6, name = 'Crm ' || {step}, code = 'cRm' || {step}, raw = 'cRm' || {step},
            phone = '49/40/' || {step}, flag = {step} % 2 = 0, tags = ARRAY['p q', {step}::text],
            share = {step} + 0.05, at = timestamptz '2026-11-01 04:30Z' + {step} * interval '41 min',
            body = jsonb_build_object('c', {step}), note = 'crm' || {step}
        WHERE no LIKE 'I%' AND right(no, 1)::int % 3 <> 1
    """, step=step)  # fmt: skip
    return 2 * ROWS


def test_what_both_applications_rewrite_comes_to_rest(pair: Pair) -> None:
    steps = 6
    by_users = 0
    pair.start()
    fence(pair, 0)
    pair.both("TRUNCATE trail")
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


def test_what_the_sides_have_in_the_end_means_the_same(pair: Pair) -> None:
    pair.start()
    users_write(pair, 1)
    fence(pair, 1)

    query: LiteralString = (
        "SELECT price, name, code, raw, phone, flag, tags, share, at::text, body::text, note FROM item WHERE no = 'I1'"
    )
    (erp,), (crm,) = pair.sql("erp", query), pair.sql("crm", query)

    assert [*map(str, erp)] == [
        "1.1240", "Erp 1", "ERP1", "ERP1", "49301", "y", "x , y1", "0.0001", "2026-11-01 01:07:00",
        '{"b" : 1, "a" : 1.50}', "ééééé",
    ]  # fmt: skip
    assert (str(crm[0]), crm[1:4], crm[4]) == ("1.0", ("  Erp 1 ", "erp1", "erp1"), "49 30 1")
    assert (crm[5], crm[6], str(crm[7])) == (True, ["x", "y1"], "0.01")
    assert crm[9:] == ('{"a": 1.50, "b": 1}', "ééééé")


def test_a_spelling_stays_where_it_means_what_it_should(pair: Pair) -> None:
    pair.start()
    pair.sql("erp", "UPDATE item SET flag = '1', tags = 'a,b' WHERE no = 'I1'")
    pair.sql("crm", "UPDATE item SET note = 'other', flag = NOT NOT flag WHERE no = 'I1'")
    pair.becomes("erp", "SELECT note, flag, tags FROM item WHERE no = 'I1'", [("other", "1", "a,b")])

    pair.sql("crm", "UPDATE item SET flag = NOT flag WHERE no = 'I1'")
    pair.becomes("erp", "SELECT flag FROM item WHERE no = 'I1'", [("N",)])
    pair.sql("erp", "UPDATE item SET flag = '' WHERE no = 'I1'")
    fence(pair, 1)

    assert pair.sql("erp", "SELECT flag FROM item WHERE no = 'I1'") == [("",)]
    assert [entry for entry in pair.journal("item", "I1") if entry["fields"] != ["raw"]] == []


def test_a_value_without_room_waits_and_says_the_limit_and_not_the_value(pair: Pair) -> None:
    pair.start()
    pair.sql("crm", "UPDATE item SET share = 9999.99 WHERE no = 'I2'")
    pair.sql("crm", "INSERT INTO item (no, flag, tags) VALUES ('N1', true, ARRAY['a,hunter2'])")
    fence(pair, 1)

    pair.comes_to(lambda: list(pair.quarantine()), [("item", "N1", "erp")])
    reasons = pair.quarantine()

    assert "`tags` of `erp`: an element of a list has `,` in it" in reasons["item", "N1", "erp"]
    assert "hunter2" not in str(reasons)
    pair.becomes("erp", "SELECT share FROM item WHERE no = 'I2'", [(pair.sql("crm", "SELECT 99.9999")[0][0],)])
