"""What the recordings of Debezium say of positions, transactions and repetitions: facts that the adapter rests on."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.kafka.recordings import FOLDER, Message, Recording, load, names

DATABASES = ("postgresql", "mariadb", "mysql", "sqlserver", "oracle", "db2")
REAL = {"postgresql": "public", "mariadb": "erp"}
"""Those that were recorded, and the schema of their stories."""
STORIES = [(database, name) for database in REAL for name in ("events", "events_schemas", "killed")]
BYTES_MAX = 1_500_000


def payload(message: Message) -> dict[str, Any]:
    """What a message says; {} for a tombstone."""
    said = json.loads(message.value or b"{}")
    found: dict[str, Any] = said.get("payload", said)
    return found


def rows(recording: Recording) -> list[dict[str, Any]]:
    """Events of rows that belong to a transaction, each repetition too."""
    said = [payload(message) for message in recording.messages]
    return [each for each in said if "op" in each and each["transaction"] is not None]


def ends(recording: Recording) -> list[dict[str, Any]]:
    """Ends of transactions, in their order, each once."""
    said = [payload(message) for message in recording.of("transaction")]
    found: dict[str, dict[str, Any]] = {end["id"]: end for end in said if end["status"] == "END"}
    return list(found.values())


def number(name: str) -> str:
    """What the parts of one transaction have in common."""
    return name.partition(":")[0]


def test_they_are_small() -> None:
    assert 100_000 < sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < BYTES_MAX


@pytest.mark.parametrize("database", DATABASES)
def test_each_can_be_loaded_and_says_how_it_came_about(database: str) -> None:
    assert names(database)
    for name in names(database):
        recording = load(database, name)
        assert recording.messages and ("handwritten" in recording.facts) == (database not in REAL)
        assert all(json.loads(message.value) for message in recording.messages if message.value is not None)


@pytest.mark.parametrize(("database", "name"), STORIES)
def test_an_end_counts_the_events_of_its_transaction(database: str, name: str) -> None:
    recording = load(database, name)
    told = {(number(row["transaction"]["id"]), row["transaction"]["total_order"]) for row in rows(recording)}
    counted = Counter(id_ for id_, _ in told)
    for end in ends(recording):
        assert counted[number(end["id"])] == end["event_count"]


@pytest.mark.parametrize("name", ["events", "events_schemas", "killed"])
def test_an_end_of_postgresql_tells_where_its_commit_record_ends(name: str) -> None:
    recording = load("postgresql", name)
    log = {str(each["number"]): each["end"] for each in recording.facts["log"]}
    told = [end["id"].split(":") for end in ends(recording)]
    in_log = [(number, int(lsn)) for number, lsn in told if number in log]
    assert len(in_log) == len(log) and in_log == list(log.items())  # in the order of the commits


def test_rows_of_postgresql_come_in_the_order_of_commits_not_of_their_positions() -> None:
    found = [row["source"]["lsn"] for row in rows(load("postgresql", "events")) if row["source"]["table"] == "customer"]
    assert found != sorted(found)


@pytest.mark.parametrize("name", ["events", "events_schemas", "killed"])
def test_a_row_of_mariadb_tells_a_place_within_its_transaction(name: str) -> None:
    recording = load("mariadb", name)
    log = {each["gtid"]: each for each in recording.facts["log"]}
    for row in rows(recording):
        source = row["source"]
        within = log[source["gtid"]]
        assert source["file"] == within["file"] and within["begin"] < source["pos"] < within["end"]


def test_mariadb_tells_no_end_of_what_is_a_statement_of_ddl() -> None:
    recording = load("mariadb", "events")
    ended = {end["id"] for end in ends(recording)}
    ddl = {each["gtid"] for each in recording.facts["log"] if each["ddl"]}
    assert ddl and not ddl & ended
    assert {each["gtid"] for each in recording.facts["log"]} - ddl == ended


def test_postgresql_tells_what_was_written_under_an_origin() -> None:
    recording = load("postgresql", "events")
    ours = {str(each["number"]) for each in recording.facts["log"] if each["origin"] == "duolog_erp"}
    told = {number(row["transaction"]["id"]) for row in rows(recording) if row["source"]["origin"] == "duolog_erp"}
    assert ours == told and len(ours) == 1


@pytest.mark.parametrize("database", REAL)
def test_a_killed_debezium_tells_again_with_the_same_coordinates(database: str) -> None:
    recording = load(database, "killed")
    where = [(row["transaction"]["id"], row["transaction"]["total_order"]) for row in rows(recording)]
    again = [each for each, times in Counter(where).items() if times > 1]
    assert again
    said = {each: set[str]() for each in again}
    for row, each in zip(rows(recording), where, strict=True):
        if each in said:
            said[each].add(json.dumps([row["after"], row["source"].get("lsn"), row["source"].get("pos")]))
    assert all(len(found) == 1 for found in said.values())


@pytest.mark.parametrize(("database", "schema"), REAL.items())
def test_events_replayed_are_what_the_table_holds(database: str, schema: str) -> None:
    recording = load(database, "events")
    held: set[int] = set()
    for message in recording.of(f"{schema}.customer"):
        said = payload(message)
        if said and said["op"] == "d":
            held.remove(said["before"]["id"])
        elif said:
            held.add(said["after"]["id"])
    assert held == {int(row[0]) for row in recording.facts["printed"]["customer"]}
