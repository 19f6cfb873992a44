"""What real connectors told of a story of changes leads, event by event, to the rows that the database then had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import pytest

from adapters.debezium.decoding.decoder import Decoder
from adapters.debezium.decoding.events import (
    Begin,
    End,
    Event,
    Heartbeat,
    LogMessage,
    OtherRow,
    RowEvent,
    SchemaEvent,
    Tombstone,
    TruncateEvent,
    changes,
)
from engine.catalog import Column
from engine.rulebook import Table
from engine.vocabulary import ABSENT, DELETE, INSERT, TRUNCATE, UPDATE, Change, Row
from tests.kafka import recordings
from tests.kafka.recordings import Recording
from tests.wire.debezium import catalog, decoder, told_modes

NASTY: Final = '客户 "主" 表'

TABLES: Final[Mapping[str, Mapping[tuple[str, str], tuple[tuple[tuple[str, str], ...], tuple[int, ...]]]]] = {
    "postgresql": {
        ("public", "customer"): (
            (("id", "int"), ("name", "text"), ("price", "numeric(12,2)"), ("changed", "timestamptz")), (0,),
        ),
        ("public", "whole"): ((("id", "int"), ("name", "text")), (0,)),
        ("public", "pair"): ((("a", "text"), ("b", "text"), ("c", "text")), (1, 0)),
        ("public", "long"): (
            (("id", "int"), ("body", "text"), ("bytes", "bytea"), ("list", "text[]"), ("doc", "jsonb"),
             ("numbers", "int[]"), ("note", "text")), (0,),
        ),
        ("客户 Schema", NASTY): ((("编号", "int"), ("Name, with comma", "text")), (0,)),
    },
    "mariadb": {
        ("erp", "customer"): (
            (("id", "int"), ("name", "varchar(40)"), ("price", "decimal(12,2)"),
             ("changed", "timestamp(6) null")), (0,),
        ),
        ("erp", "pair"): ((("a", "varchar(10)"), ("b", "varchar(10)"), ("c", "varchar(10)")), (1, 0)),
        ("erp", "客户 表"): ((("编号", "int"), ("Name, with comma", "varchar(40)")), (0,)),
    },
}  # fmt: skip
"""By (schema, name): (name, type) of the columns, and where the key's are."""

WHOLE: Final = 1
"""The number of the table with REPLICA IDENTITY FULL."""


def rules(database: str) -> list[Table]:
    """The recorded tables, bound."""
    return [
        Table(schema, name, tuple(column for column, _ in columns), key)
        for (schema, name), (columns, key) in TABLES[database].items()
    ]


def known(database: str) -> dict[tuple[str, str], dict[str, Column]]:
    """Their catalog."""
    return {name: catalog(database, columns) for name, (columns, _) in TABLES[database].items()}


def reader(database: str, recording: Recording) -> Decoder:
    """Reads what was recorded."""
    whole = [WHOLE] if database == "postgresql" else []
    return decoder(database, rules(database), known(database), told_modes(recording, database), whole=whole)


def events(database: str, name: str) -> list[Event]:
    """All that was recorded, each topic's in order."""
    recording = recordings.load(database, name)
    read = reader(database, recording)
    ordered = sorted(recording.messages, key=lambda each: (each.topic, each.partition, each.offset))
    return [read.decode(each.topic, each.partition, each.offset, each.value, each.headers) for each in ordered]


def replayed(told: Iterable[Change], keys: Mapping[int, tuple[int, ...]]) -> dict[int, dict[tuple[object, ...], Row]]:
    """What these changes leave."""
    left: dict[int, dict[tuple[object, ...], Row]] = {}
    for number, operation, new, old in told:
        rows = left.setdefault(number, {})
        if operation == TRUNCATE:
            rows.clear()
            continue
        former = tuple((old or new or ())[at] for at in keys[number])
        was = rows.pop(former, None)
        if operation == DELETE:
            assert was is not None, "a row is deleted that was there"
            continue
        assert new is not None
        if operation == UPDATE:
            assert was is not None, "a row is updated that was there"
            new = tuple(then if now is ABSENT else now for now, then in zip(new, was, strict=True))
        rows[tuple(new[at] for at in keys[number])] = new
    return left


@pytest.mark.parametrize("name", ["events", "events_schemas"])
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_the_events_lead_to_the_rows_of_the_database(database: str, name: str) -> None:
    kept = [each for each in events(database, name) if isinstance(each, RowEvent | TruncateEvent)]
    keys = {number: key for number, (_, key) in enumerate(TABLES[database].values())}
    left = replayed(changes(kept), keys)
    printed = recordings.load(database, name).facts["printed"]

    for number, (schema, table) in enumerate(TABLES[database]):
        rows = printed.get(table) or printed.get(f'"{schema}"."{table.replace(chr(34), chr(34) * 2)}"') or []
        # Of rows that no change told after the connector's snapshot only the key is known.
        found = [_where_told(row, rows, keys[number]) for row in left.get(number, {}).values()]
        assert sorted(found, key=str) == sorted(map(tuple, rows), key=str)


def _where_told(row: Row, rows: Iterable[Iterable[str | None]], key: tuple[int, ...]) -> tuple[str | None, ...]:
    """The row, with what it does not tell as the database has it."""
    for other in map(tuple, rows):
        if all(other[at] == row[at] for at in key):
            return tuple(theirs if ours is ABSENT else ours for ours, theirs in zip(row, other, strict=True))  # type: ignore[misc]
    return row  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["events", "events_schemas"])
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_a_changed_key_is_one_update_with_both_keys(database: str, name: str) -> None:
    kept = [each for each in events(database, name) if isinstance(each, RowEvent | TruncateEvent)]
    halves = [each.half for each in kept if isinstance(each, RowEvent) and each.half]
    moved = [(new, old) for number, kind, new, old in changes(kept) if (number, kind) == (0, UPDATE) and old]

    assert halves[:2] == ["former", "latter"] and len(halves) >= 8
    assert [(old[0], new[0]) for new, old in moved if new] == [("2", "20"), ("4", "104"), ("5", "105")]
    told = {ABSENT} if database == "postgresql" else {"two", "中😀", "before"}
    assert {old[1] for _, old in moved} == told


def test_rows_of_the_connectors_snapshot_tell_their_key_alone() -> None:
    read = [each for each in events("postgresql", "events") if isinstance(each, RowEvent) and each.operation == "r"]

    assert {each.new for each in read if each.table == 0} == {
        ("1", ABSENT, ABSENT, ABSENT),
        ("2", ABSENT, ABSENT, ABSENT),
    }
    assert all(each.source.snapshotted for each in read)


def test_a_value_that_was_stored_beside_its_row_and_did_not_change_is_absent() -> None:
    told = [each for each in events("postgresql", "events") if isinstance(each, RowEvent) and each.table == 3]
    first, second = (each.new for each in told if each.operation == "u")

    assert first == ("1", *[ABSENT] * 5, "the others were not sent")
    assert second is not None and second[1:6] == ("short", "\\x00", "{}", "{}", "{}")


@pytest.mark.parametrize("name", ["events", "events_schemas"])
def test_ends_count_what_was_told(name: str) -> None:
    told = events("postgresql", name)
    ends = {each.id.partition(":")[0]: each for each in told if isinstance(each, End)}
    counted: dict[str, int] = {}
    for each in told:
        if isinstance(each, RowEvent | TruncateEvent | OtherRow | LogMessage) and each.order is not None:
            counted[each.order.name] = counted.get(each.order.name, 0) + 1

    assert counted == {number: end.total for number, end in ends.items()}
    assert {each.id.partition(":")[0] for each in told if isinstance(each, Begin)} == ends.keys()
    assert sum(end.counts.get("public.customer", 0) for end in ends.values()) == sum(
        1 for each in told if isinstance(each, RowEvent) and each.table == 0 and each.order is not None
    )


def test_own_rows_bear_our_origin_and_messages_their_content() -> None:
    told = events("postgresql", "events")
    ours = {each.new[0] for each in told if isinstance(each, RowEvent) and each.source.origin and each.new}
    said = {(each.prefix, each.content, each.order is None) for each in told if isinstance(each, LogMessage)}

    assert ours == {"40"}
    assert ("duolog", b"ours", False) in said and ("duolog", b"a message at once", True) in said


def test_every_kind_of_event_was_met() -> None:
    found = {type(each) for each in [*events("postgresql", "events"), *events("mariadb", "events")]}

    assert found == {
        Begin, End, Heartbeat, LogMessage, OtherRow, RowEvent, SchemaEvent, Tombstone, TruncateEvent
    }  # fmt: skip


def test_what_was_told_again_after_a_crash_is_told_in_the_same_words() -> None:
    told = [each for each in events("postgresql", "killed") if isinstance(each, RowEvent) and each.operation == "c"]
    by_place: dict[object, set[Row | None]] = {}
    for each in told:
        by_place.setdefault((each.source.lsn, each.new and each.new[0]), set()).add(each.new)

    assert len(by_place) < len(told), "the recording has duplicates"
    assert all(len(rows) == 1 for rows in by_place.values())


def test_inserts_are_told_as_such() -> None:
    kept = [each for each in events("mariadb", "events") if isinstance(each, RowEvent | TruncateEvent)]

    assert (0, INSERT, ("30", "long", "1.00", None), None) in changes(kept)
