"""The form that Debezium's consumers understand: an envelope of before, after, source and op; a tombstone after an end.

Turns agreed changes and events into messages, with the schema of Kafka Connect where it is asked for. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.feed.message import Change, Fields, Message, Where, event_row, headers, json
from adapters.feed.texts import CONNECT, CONNECT_TYPES
from engine.agreed import Event
from engine.rulebook import Entity

VERSION: Final = "1"
"""Of what stands in `source`."""


def _field(name: str, kind: str, *, optional: bool = False, semantic: str = "") -> dict[str, Any]:
    named = {"name": semantic, "version": 1} if semantic else {}
    return {"type": kind, "optional": optional, **named, "field": name}


SOURCE: Final = [
    _field("version", "string"), _field("connector", "string"), _field("name", "string"), _field("ts_ms", "int64"),
    _field("snapshot", "string", optional=True), _field("db", "string"), _field("sequence", "string", optional=True),
    _field("ts_us", "int64", optional=True), _field("ts_ns", "int64", optional=True), _field("table", "string"),
    _field("entity", "string"), _field("system", "string"), _field("position", "int64"), _field("step", "int64"),
    _field("number", "int64"), _field("index", "int64"), _field("note", "string", optional=True),
]  # fmt: skip
TRANSACTION: Final = [_field("id", "string"), _field("total_order", "int64"), _field("data_collection_order", "int64")]
EVENT: Final = [
    _field("number", "int64"), _field("index", "int64"), _field("entity", "string"), _field("key", "string"),
    {"type": "array", "items": {"type": "string", "optional": False}, "optional": False, "field": "fields"},
    _field("kind", "string"), _field("because", "string"), _field("system", "string"),
    *[
        _field(f"{who}_{what}", kind, optional=True)
        for who in ("winner", "loser") for what, kind in (("system", "string"), ("at", "int64"), ("number", "int64"))
    ],
]  # fmt: skip


class DebeziumForm:
    """Implements `Speech`."""

    def __init__(self, entities: Mapping[str, Entity], where: Where) -> None:
        self.where = where
        self.fields = {name: Fields(entity, CONNECT) for name, entity in entities.items() if name in where.topics}
        self.schemas = {name: self._schemas(fields, where.topics[name]) for name, fields in self.fields.items()}
        """By entity: the schemas of key and envelope."""
        won = [_field(name, "string", optional=True) for name in ("won", "lost")] if where.values else []
        key = [_field("entity", "string"), _field("key", "string")]
        self.journal = (_struct(f"{where.journal}.Key", key), _envelope(where.journal, [*EVENT, *won]))
        self.heads = {id(schema): json(schema) for pair in (*self.schemas.values(), self.journal) for schema in pair}

    @staticmethod
    def _schemas(fields: Fields, topic: str) -> tuple[dict[str, Any], dict[str, Any]]:
        typed = [
            _field(field.name, kind, optional=field.number not in fields.entity.key, semantic=semantic)
            for field in fields.entity.fields
            for kind, semantic in (CONNECT_TYPES.get(field.family, ("string", "")),)
        ]
        key = [typed[n] for n, _ in fields.key] if fields.key else [_field("id", "string")]
        return _struct(f"{topic}.Key", key), _envelope(topic, typed)

    def change(self, entity: str, change: Change, now_us: int) -> list[Message]:
        """The envelope; after an end, a tombstone as well."""
        fields, version = self.fields[entity], change.version
        at_us = version.committed_at or now_us
        order = change.index + 1
        payload = {
            "before": fields.row(change.before), "after": fields.row(change.after),
            "source": {
                "version": VERSION, "connector": "duolog", "name": self.where.name, "ts_ms": at_us // 1000,
                "snapshot": "true" if change.beginning else "false", "db": self.where.name,
                "sequence": f'["{change.number}","{change.index}"]', "ts_us": at_us, "ts_ns": at_us * 1000,
                "table": entity, "entity": entity, "system": version.system, "position": version.position,
                "step": version.number, "number": change.number, "index": change.index, "note": version.note or None,
            },
            "transaction": None if change.beginning else {
                "id": str(version.number), "total_order": order, "data_collection_order": order,
            },
            "op": change.op, **_now(now_us),
        }  # fmt: skip
        key_schema, schema = self.schemas[entity]
        key = self._stated(key_schema, json(fields.key_of(change.key)))
        topic, at_ms = self.where.topics[entity], at_us // 1000
        about = headers(change.number, change.index, version)
        told = [Message(topic, key, self._stated(schema, json(payload)), at_ms, about)]
        if change.after is None:
            told.append(Message(topic, key, None, at_ms, about))
        return told

    def event(self, event: Event, now_us: int) -> Message:
        """The same envelope around what is told of an event: each is a row that comes."""
        payload = {
            "before": None, "after": event_row(event, self.where.values),
            "source": {
                "version": VERSION, "connector": "duolog", "name": self.where.name, "ts_ms": now_us // 1000,
                "snapshot": "false", "db": self.where.name, "sequence": f'["{event.number}","{event.index}"]',
                "ts_us": now_us, "ts_ns": now_us * 1000, "table": "journal", "entity": event.entry.entity,
                "system": event.system, "position": 0, "step": event.entry.number, "number": event.number,
                "index": event.index, "note": None,
            },
            "transaction": None, "op": "c", **_now(now_us),
        }  # fmt: skip
        key = {"entity": event.entry.entity, "key": event.entry.key}
        key_schema, schema = self.journal
        about = headers(event.number, event.index, None)
        stated = self._stated(key_schema, json(key)), self._stated(schema, json(payload))
        return Message(self.where.journal, *stated, now_us // 1000, about)

    def _stated(self, schema: dict[str, Any], payload: bytes) -> bytes:
        if not self.where.inline:
            return payload
        return b'{"schema":' + self.heads[id(schema)] + b',"payload":' + payload + b"}"


def _now(now_us: int) -> dict[str, int]:
    return {"ts_ms": now_us // 1000, "ts_us": now_us, "ts_ns": now_us * 1000}


def _struct(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "struct", "fields": fields, "optional": False, "name": name}


def _envelope(topic: str, row: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of an envelope around such rows."""
    value = {"type": "struct", "fields": row, "optional": True, "name": f"{topic}.Value"}
    return {
        "type": "struct", "optional": False, "name": f"{topic}.Envelope", "version": 2,
        "fields": [
            {**value, "field": "before"}, {**value, "field": "after"},
            {"type": "struct", "fields": SOURCE, "optional": False, "name": "duolog.Source", "field": "source"},
            {"type": "struct", "fields": TRANSACTION, "optional": True, "name": "event.block", "version": 1,
             "field": "transaction"},
            _field("op", "string"),
            *[_field(name, "int64", optional=True) for name in ("ts_ms", "ts_us", "ts_ns")],
        ],
    }  # fmt: skip
