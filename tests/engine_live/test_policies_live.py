"""Every policy, owner, group, value map and deletion rule, on two real servers.

All conflicts are made while the engine is stopped (`Pair.apart`), so that no write can have seen the other; commit
times are those of the servers, the later statement's being later. One start of the engine decides them all, and each
test looks at its own record.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from service.embedded import EmbeddedServer
from tests.engine_live.pair import Pair
from tests.engine_live.world import pause

THING = """
CREATE TABLE thing (
    id text PRIMARY KEY, lw text, fw text, sor text, mx int, mn int, dl numeric(20, 2) NOT NULL DEFAULT 0, hd text,
    of_erp text, of_crm text, st text, street text, city text, big text, opt text
);
"""
FILL = """
INSERT INTO thing SELECT 'T' || i, 'a', 'a', 'a', 5, 5, 100, 'a', 'a', 'a', '{stage}', 'Street', 'City', 'small', 'x'
FROM generate_series(1, 60) AS i
"""
MORTAL = """
CREATE TABLE {gone} (id text PRIMARY KEY, what text);
INSERT INTO {gone} SELECT 'D' || i, 'old' FROM generate_series(1, 9) AS i;
"""
RULES = """
  thing:
    identity: [id]
    conflict: last_writer
    order: [crm, erp]
    bind: {erp: {table: thing}, crm: {table: thing}}
    fields:
      id: id
      lw: lw
      fw: {erp: fw, crm: fw, conflict: first_writer}
      sor: {erp: sor, crm: sor, conflict: system_of_record}
      mx: {erp: mx, crm: mx, conflict: max}
      mn: {erp: mn, crm: mn, conflict: min}
      dl: {erp: dl, crm: dl, conflict: delta}
      hd: {erp: hd, crm: hd, conflict: hold}
      of_erp: {erp: of_erp, crm: of_crm, owner: erp}
      of_crm: {erp: of_crm, crm: of_erp, owner: crm}
      st: {erp: {column: st, map: {P: prospect, A: active, D: dormant}}, crm: st}
      street: street
      city: city
      big: big
      opt: opt
    groups: {address: [street, city]}
"""
DELETES = {
    "prop": "delete: propagate", "igno": "delete: {erp: propagate, crm: ignore}",
    "rest": "delete: {erp: propagate, crm: restore}", "hold": "delete: hold",
    "keep": "delete: propagate\n    on_delete_conflict: keep",
    "kill": "delete: propagate\n    on_delete_conflict: delete",
}  # fmt: skip
"""Entities of two columns, each with another meaning of a deletion."""


def _entity(name: str) -> str:
    return f"""  {name}:
    identity: [id]
    conflict: last_writer
    {DELETES[name]}
    bind: {{erp: {{table: {name}}}, crm: {{table: {name}}}}}
    fields: {{id: id, what: what}}
"""


@pytest.fixture(scope="module")
def pair(
    erp_server: EmbeddedServer, crm_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """A base, then every conflict of this file at once, then the engine at work."""
    addresses = {"erp": erp_server.create_database("policies"), "crm": crm_server.create_database("policies")}
    tables = THING + "".join(MORTAL.replace("{gone}", name) for name in DELETES)
    ddl = {s: tables + FILL.replace("{stage}", stage) for s, stage in (("erp", "P"), ("crm", "prospect"))}
    entities = RULES + "".join(_entity(name) for name in DELETES)
    made = Pair(tmp_path_factory.mktemp("policies"), "policies", addresses, entities, ddl)
    made.start()
    with made.apart():
        _quarrel(made)
    yield made
    made.close()
    for server in (erp_server, crm_server):
        server.drop_database("policies")
        with server.connect() as connection:
            connection.execute("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")


def _quarrel(pair: Pair) -> None:
    """All that happens while nobody carries anything. Of two lines the second commits later."""
    for system, key in (("erp", "T1"), ("crm", "T1"), ("crm", "T2"), ("erp", "T2")):
        everything = "UPDATE thing SET lw = {of}, fw = {of}, sor = {of}, hd = {of} WHERE id = {key}"
        pair.sql(system, everything, of=f"of {system}", key=key)
        pause(0.5)  # further apart than a busy machine's clocks can be told: else the order of the systems decides
    pair.both("UPDATE thing SET mx = 7, mn = 7 WHERE id = 'T1'", "UPDATE thing SET mx = 9, mn = 3 WHERE id = 'T1'")
    pair.both("UPDATE thing SET mx = 70, mn = -70 WHERE id = 'T2'",
              "UPDATE thing SET mx = 9, mn = NULL WHERE id = 'T2'")  # fmt: skip
    pair.both("UPDATE thing SET dl = dl + 10.25 WHERE id = 'T1'", "UPDATE thing SET dl = dl - 0.5 WHERE id = 'T1'")
    pair.both("UPDATE thing SET dl = dl + 1 WHERE id = 'T1'", "UPDATE thing SET dl = dl + 2 WHERE id = 'T1'")
    pair.both("UPDATE thing SET of_erp = 'theirs', of_crm = 'mine' WHERE id = 'T3'")
    pair.both("UPDATE thing SET st = 'A' WHERE id = 'T4'", "UPDATE thing SET st = 'dormant' WHERE id = 'T4'")
    pair.both("UPDATE thing SET street = 'Erp Street' WHERE id = 'T5'",
              "UPDATE thing SET city = 'Crm City' WHERE id = 'T5'")  # fmt: skip
    pair.both("UPDATE thing SET opt = NULL WHERE id = 'T6'", "UPDATE thing SET opt = '' WHERE id = 'T7'")
    pair.both("UPDATE thing SET lw = 'only erp', mx = 6 WHERE id = 'T8'",
              "UPDATE thing SET fw = 'only crm' WHERE id = 'T8'")  # fmt: skip
    pair.both("INSERT INTO thing (id, lw, mx, st) VALUES ('N1', 'new erp', 1, 'P')",
              "INSERT INTO thing (id, lw, mx, st) VALUES ('N1', 'new crm', 2, 'prospect')")  # fmt: skip
    for name in DELETES:
        gone = sql.Identifier(name)
        pair.sql("erp", "DELETE FROM {gone} WHERE id IN ('D1', 'D3')", gone=gone)
        pair.sql("crm", "UPDATE {gone} SET what = 'new' WHERE id = 'D3'", gone=gone)
        pair.sql("erp", "UPDATE {gone} SET what = 'new' WHERE id = 'D4'", gone=gone)
        pair.sql("crm", "DELETE FROM {gone} WHERE id IN ('D2', 'D4')", gone=gone)


def test_last_writer_takes_the_later_commit_and_journals_the_other(pair: Pair) -> None:
    pair.become("SELECT id, lw FROM thing WHERE id IN ('T1', 'T2') ORDER BY id", [("T1", "of crm"), ("T2", "of erp")])
    lost = {(e["key"], *e["lost"]) for key in ("T1", "T2") for e in pair.journal("thing", key) if e["fields"] == ["lw"]}
    assert lost == {("T1", "of erp"), ("T2", "of crm")}


def test_first_writer_takes_the_earlier_commit(pair: Pair) -> None:
    pair.become("SELECT id, fw FROM thing WHERE id IN ('T1', 'T2') ORDER BY id", [("T1", "of erp"), ("T2", "of crm")])


def test_system_of_record_asks_the_order_and_not_the_clock(pair: Pair) -> None:
    pair.become("SELECT id, sor FROM thing WHERE id IN ('T1', 'T2') ORDER BY id", [("T1", "of crm"), ("T2", "of crm")])


def test_max_and_min_take_the_number_and_never_null(pair: Pair) -> None:
    pair.become("SELECT id, mx, mn FROM thing WHERE id IN ('T1', 'T2') ORDER BY id", [("T1", 9, 3), ("T2", 70, -70)])


def test_delta_adds_what_both_added(pair: Pair) -> None:
    pair.become("SELECT dl::text FROM thing WHERE id = 'T1'", [("112.75",)])
    assert not [e for e in pair.journal("thing", "T1") if e["fields"] == ["dl"]], "nobody lost"


def test_hold_leaves_each_side_its_value_until_a_person_resolves_it(pair: Pair) -> None:
    pair.become("SELECT lw FROM thing WHERE id = 'T1'", [("of crm",)])
    query = "SELECT hd FROM thing WHERE id = 'T1'"
    assert (pair.sql("erp", query), pair.sql("crm", query)) == ([("of erp",)], [("of crm",)])
    held = {h["key"]: h["values"] for h in pair.live.json("held") if h["entity"] == "thing"}
    assert held["T1"] == {"erp": ["of erp"], "crm": ["of crm"]}
    pair.sql("crm", "UPDATE thing SET hd = 'later crm' WHERE id = 'T1'")

    answer = pair.live.json("resolve", "thing", "T1", "hd", "--take", "erp")

    assert answer["answer"] == "1 resolved"
    pair.become(query, [("of erp",)])
    assert "T1" not in {h["key"] for h in pair.live.json("held")}
    lost = [e["lost"] for e in pair.journal("thing", "T1") if e["kind"] == "resolved"]
    assert lost[-1] == ["later crm"]


def test_the_owner_is_never_written_and_the_other_is_put_right_and_told(pair: Pair) -> None:
    # The columns are crossed: ERP's `of_erp` is the field that ERP owns, and CRM keeps it in `of_crm`.
    pair.becomes("erp", "SELECT of_erp, of_crm FROM thing WHERE id = 'T3'", [("theirs", "theirs")])
    pair.becomes("crm", "SELECT of_erp, of_crm FROM thing WHERE id = 'T3'", [("theirs", "theirs")])
    assert {(tuple(e["fields"]), *e["lost"]) for e in pair.journal("thing", "T3") if e["kind"] == "owner"} == {
        (("of_erp",), "mine"), (("of_crm",), "mine"),
    }  # fmt: skip


def test_a_map_goes_both_ways(pair: Pair) -> None:
    pair.becomes("erp", "SELECT st FROM thing WHERE id = 'T4'", [("D",)])
    pair.becomes("crm", "SELECT st FROM thing WHERE id = 'T4'", [("dormant",)])


def test_a_value_that_the_map_does_not_know_waits_in_quarantine_and_comes_when_it_is_mended(pair: Pair) -> None:
    pair.sql("erp", "UPDATE thing SET st = 'X' WHERE id = 'T9'")
    pair.sql("erp", "UPDATE thing SET lw = 'flows' WHERE id = 'T10'")
    pair.becomes("crm", "SELECT lw FROM thing WHERE id = 'T10'", [("flows",)])
    pair.comes_to(lambda: list(pair.quarantine()), [("thing", "T9", "erp")])

    pair.sql("erp", "UPDATE thing SET st = 'A' WHERE id = 'T9'")

    pair.becomes("crm", "SELECT st FROM thing WHERE id = 'T9'", [("active",)])
    pair.comes_to(pair.quarantine, {})


def test_a_group_is_decided_whole(pair: Pair) -> None:
    pair.become("SELECT street, city FROM thing WHERE id = 'T5'", [("Street", "Crm City")])
    assert [e["lost"] for e in pair.journal("thing", "T5")] == [["Erp Street", "City"]]


def test_null_and_empty_text_stay_two_things(pair: Pair) -> None:
    pair.become("SELECT id, opt FROM thing WHERE id IN ('T6', 'T7') ORDER BY id", [("T6", None), ("T7", "")])


def test_different_columns_of_one_row_are_no_conflict(pair: Pair) -> None:
    pair.become("SELECT lw, fw, mx FROM thing WHERE id = 'T8'", [("only erp", "only crm", 6)])
    assert pair.journal("thing", "T8") == []


def test_the_same_key_made_on_both_sides_is_one_record(pair: Pair) -> None:
    pair.become("SELECT lw, mx FROM thing WHERE id = 'N1'", [("new crm", 2)])
    assert {e["kind"] for e in pair.journal("thing", "N1")} == {"insert_exists"}


def test_a_large_value_that_did_not_change_is_never_lost(pair: Pair) -> None:
    large = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 4000) AS i)"
    pair.sql("erp", "UPDATE thing SET big = {large} WHERE id = 'T20'", large=sql.SQL(large))
    whole = "SELECT length(big), md5(big), lw FROM thing WHERE id = 'T20'"
    pair.become("SELECT length(big) FROM thing WHERE id = 'T20'", [(128_000,)])
    (length, digest, _), = pair.sql("erp", whole)

    pair.sql("erp", "UPDATE thing SET lw = 'small change' WHERE id = 'T20'")
    pair.become(whole, [(length, digest, "small change")])
    pair.sql("crm", "UPDATE thing SET lw = 'and back' WHERE id = 'T20'")
    pair.become(whole, [(length, digest, "and back")])
    with pair.apart():
        pair.sql("erp", "UPDATE thing SET big = big || 'erp', lw = 'a' WHERE id = 'T20'")
        pair.sql("crm", "UPDATE thing SET fw = 'b' WHERE id = 'T20'")

    pair.become("SELECT length(big), right(big, 3), lw, fw FROM thing WHERE id = 'T20'", [(128_003, "erp", "a", "b")])
    assert pair.journal("thing", "T20") == []


@pytest.mark.parametrize(
    ("entity", "erp", "crm"),
    [
        # D1 was deleted in ERP, D2 in CRM; D3 deleted in ERP and changed in CRM, D4 changed in ERP and deleted in CRM.
        ("prop", "D3 new, D4 new", "D3 new, D4 new"),
        ("keep", "D3 new, D4 new", "D3 new, D4 new"),
        ("kill", "", ""),
        ("igno", "D2 old, D3 new, D4 new", "D3 new"),
        ("rest", "D2 old, D3 new, D4 new", "D2 old, D3 new, D4 new"),
        ("hold", "D2 old, D4 new", "D1 old, D3 new"),
    ],
)
def test_a_deletion_means_what_the_rule_says(entity: str, erp: str, crm: str, pair: Pair) -> None:
    query = "SELECT coalesce(string_agg(id || ' ' || what, ', ' ORDER BY id), '') FROM {gone} WHERE id < 'D5'"
    pair.becomes("erp", query, [(erp,)], gone=sql.Identifier(entity))
    pair.becomes("crm", query, [(crm,)], gone=sql.Identifier(entity))


def test_a_held_deletion_is_resolved_either_way(pair: Pair) -> None:
    query = "SELECT id FROM hold WHERE id IN ('D1', 'D2') ORDER BY id"
    pair.becomes("erp", query, [("D2",)])

    assert pair.live.json("resolve", "hold", "D1", "--take", "erp")["answer"] == "1 resolved"  # it is gone there
    assert pair.live.json("resolve", "hold", "D2", "--take", "erp")["answer"] == "1 resolved"  # it is there

    pair.become(query, [("D2",)])


def test_a_deleted_record_may_be_made_again(pair: Pair) -> None:
    pair.sql("erp", "DELETE FROM prop WHERE id = 'D7'")
    pair.becomes("crm", "SELECT id FROM prop WHERE id = 'D7'", [])
    pair.sql("crm", "INSERT INTO prop VALUES ('D7', 'again')")
    pair.become("SELECT what FROM prop WHERE id = 'D7'", [("again",)])
