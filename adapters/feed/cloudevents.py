"""The form of CloudEvents 1.0: one JSON document in structured mode, values as people read them.

Turns agreed changes and events into messages, and entities into JSON Schemas. It sends nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.feed.message import Change, Fields, Message, Where, event_row, headers, json
from adapters.feed.texts import JSON_TYPES, PLAIN
from engine.agreed import Event
from engine.rulebook import Entity

TYPES: Final = {"c": "created", "u": "updated", "d": "deleted", "r": "read"}
"""By Debezium's word for what was done: the end of the event's type."""
CONTENT: Final = ("content-type", b"application/cloudevents+json; charset=UTF-8")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CloudEventsForm:
    """Implements `Speech`."""

    def __init__(self, entities: Mapping[str, Entity], where: Where) -> None:
        self.where = where
        self.fields = {name: Fields(entity, PLAIN) for name, entity in entities.items() if name in where.topics}
        self.schemas = {name: schema_of(fields) for name, fields in self.fields.items()}
        """By entity: the JSON Schema of what stands in `data`."""
        self.names = {name: f"urn:duolog:{where.name}:{name}:{_digest(s)}" for name, s in self.schemas.items()}

    def change(self, entity: str, change: Change, now_us: int) -> list[Message]:
        """The event; after an end, a tombstone as well."""
        fields, version = self.fields[entity], change.version
        at_us = version.committed_at or now_us
        row_key = json(fields.key_of(change.key))
        told: dict[str, Any] = {
            **self._about(f"{entity}.{TYPES[change.op]}", change.number, change.index, at_us),
            "subject": row_key.decode(), "dataschema": self.names[entity], "duologsystem": version.system,
            "duologposition": str(version.position), "duologstep": str(version.number),
            "data": {"before": fields.row(change.before), "after": fields.row(change.after)},
        }  # fmt: skip
        if change.beginning:
            told["id"] = f"{told['id']}-{entity}-{change.key}"  # many of them have one place in the order
        if self.where.inline:
            told["data"]["schema"] = self.schemas[entity]
        about = [CONTENT, *headers(change.number, change.index, version)]
        topic, at_ms = self.where.topics[entity], at_us // 1000
        sent = [Message(topic, row_key, json(told), at_ms, about)]
        if change.after is None:
            sent.append(Message(topic, row_key, None, at_ms, about[1:]))
        return sent

    def event(self, event: Event, now_us: int) -> Message:
        """What the journal says."""
        key = json({"entity": event.entry.entity, "key": event.entry.key})
        told = {
            **self._about(f"journal.{event.entry.kind}", event.number, event.index, now_us),
            "subject": key.decode(), "data": event_row(event, self.where.values),
        }  # fmt: skip
        about = [CONTENT, *headers(event.number, event.index, None)]
        return Message(self.where.journal, key, json(told), now_us // 1000, about)

    def _about(self, kind: str, number: int, index: int, at_us: int) -> dict[str, Any]:
        return {
            "specversion": "1.0", "id": f"{number}-{index}", "source": f"/duolog/{self.where.owner}",
            "type": f"duolog.{kind}", "time": _time(at_us), "datacontenttype": "application/json",
            "duolognumber": str(number), "duologindex": str(index),
        }  # fmt: skip


def schema_of(fields: Fields) -> dict[str, Any]:
    """The JSON Schema of an event's `data`."""
    columns: dict[str, Any] = {}
    for field in fields.entity.fields:
        known = dict(JSON_TYPES.get(field.family, {"type": "string"}))
        if field.number not in fields.entity.key:
            known["type"] = [known["type"], "null"]
        columns[field.name] = known
    row = {"type": ["object", "null"], "properties": columns, "required": list(columns)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": fields.entity.name, "type": "object",
        "properties": {"before": row, "after": row}, "required": ["before", "after"],
    }  # fmt: skip


def _digest(schema: dict[str, Any]) -> str:
    return hashlib.sha256(json(schema)).hexdigest()[:12]


def _time(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
