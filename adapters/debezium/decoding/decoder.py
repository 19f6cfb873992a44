"""Turns one message of Debezium's into one event, and what cannot be one into an error that says where it stands.

Made for millions: a message's schema is recognised by its bytes, not parsed again, and a row is decoded by what was
compiled for its table. Everything else (a new schema, another table, the end of a transaction) goes a slower way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec

from adapters.debezium.decoding import refused
from adapters.debezium.decoding.avro import Avro
from adapters.debezium.decoding.events import (
    Begin,
    Event,
    Half,
    Heartbeat,
    LogMessage,
    OtherRow,
    RowEvent,
    Source,
    Tombstone,
    TruncateEvent,
)
from adapters.debezium.decoding.modes import Modes
from adapters.debezium.decoding.payloads import (
    AvroPayload,
    Head,
    JsonPayload,
    Written,
    decode_framed,
    end,
    said,
    schema_event,
)
from adapters.debezium.decoding.refused import Refused
from adapters.debezium.decoding.rows import FOLDING, Lost, RowReader, Unavailable, forms
from adapters.debezium.decoding.shown import Shown, columns_of_json
from adapters.debezium.decoding.unfit import Unfit
from engine.catalog import Column
from engine.rulebook import Table
from engine.vocabulary import ABSENT

forms_kept: Final = 64
"""So many forms of a topic's messages are remembered: a table that is altered has one more."""

_NEW_KEY, _OLD_KEY = "__debezium.newkey", "__debezium.oldkey"
_TOMBSTONE: Final = Tombstone()
_FAULTS: Final = (ValueError, TypeError, KeyError, RecursionError, ArithmeticError)
"""What a message that is none of Debezium's may lead to, and no more than these."""


@dataclass(slots=True)
class _Form:
    """One form of a topic's messages."""

    prefix: bytes
    """What all of them begin with, up to the payload: their schema; empty: they have none."""
    columns: dict[str, Shown] | None
    """Of a row, by name; None: no schema tells them."""
    readers: dict[int, RowReader] = field(default_factory=dict)
    """By table."""
    latest: RowReader | None = None


class Decoder:
    """Decodes the messages of one connector. Used by one thread.

    `connector`: `postgresql`, `mysql`, `mariadb`, `sqlserver`, `oracle` or `db2`. `tables`: the bound ones, whose
    numbers the events bear. `columns`: their catalog, by (schema, name). `whole`: numbers of tables whose former rows
    are told whole, of PostgreSQL (REPLICA IDENTITY FULL); of others they always are. `schemas`: the text of the Avro
    schema with a number, from the registry; it may raise our errors. `expected`: by topic, the only table that may be
    told in it, as (schema, name)."""

    def __init__(
        self,
        system: str,
        connector: str,
        tables: Sequence[Table],
        columns: Mapping[tuple[str, str], Mapping[str, Column]],
        modes: Modes | None = None,
        *,
        whole: Collection[int] = (),
        schemas: Callable[[int], str] | None = None,
        expected: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.system = system
        self._connector = connector
        self._modes = modes or Modes()
        self._tables = {(table.schema, table.name): (number, table) for number, table in enumerate(tables)}
        if connector in FOLDING:
            for (schema, name), found in [*self._tables.items()]:
                self._tables.setdefault((schema.upper(), name.upper()), found)
        self._columns = columns
        self._whole = frozenset(range(len(tables)) if connector != "postgresql" else whole)
        self._expected = expected or {}
        self._forms: dict[str, list[_Form]] = {}
        self._marked = Unavailable(self._modes.placeholder).marked
        self._avro = Avro(schemas)
        self._avro_forms: dict[tuple[str, int], _Form] = {}

    def decode(
        self,
        topic: str,
        partition: int,
        offset: int,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
    ) -> Event:
        """The event of one message. Raises LogUnreadable, or SchemaChanged for a table that lost what is bound; and
        what the registry raises."""
        if value is None:
            return _TOMBSTONE
        try:
            if value[:1] == b"\0":
                return self._decode_avro(topic, value, headers)
            for form in self._forms.get(topic, ()):
                if value.startswith(form.prefix):
                    reader = form.latest
                    payload = value[len(form.prefix) : -1] if form.prefix else value
                    if reader is not None and (not form.prefix or value[-1] == 125):  # a closing brace
                        event = self._quick(
                            reader, partial(reader.decode, payload), headers, partial(self._marked, payload)
                        )
                        if event is not None:
                            return event
                    break
            return self._slow(topic, value, headers)
        except Lost as lost:
            where = refused.at(topic, partition, offset)
            raise refused.lost_columns(self.system, lost.table, lost.columns, where) from None
        except (Refused, Unfit) as why:
            where = refused.at(topic, partition, offset)
            raise refused.unreadable(self.system, why.found, where, why.mend) from None
        except _FAULTS as error:
            broken, where = said(error), refused.at(topic, partition, offset)
            raise refused.unreadable(self.system, broken.found, where, broken.mend) from None

    # ------------------------------------------------------------ the usual way

    def _quick(
        self, reader: RowReader, decode: Callable[[], Any], headers: Iterable[tuple[str, bytes | None]],
        marked: Callable[[], bool],
    ) -> Event | None:  # fmt: skip
        """The event of a message that is like the one before in its topic; None if it is not."""
        try:
            envelope = decode()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        source = envelope.source
        if (source.schema or source.db, source.table) != reader.told:
            return None
        try:
            return self._row(reader, envelope, headers, marked=marked())
        except Lost:
            return None

    def _row(
        self, reader: RowReader, envelope: Any, headers: Iterable[tuple[str, bytes | None]], *, marked: bool
    ) -> Event:
        operation, before, after = envelope.op, envelope.before, envelope.after
        half: Half = ""
        new = old = None
        if operation == "d":
            if before is None:
                raise refused.no_row("d", reader.name)
            old = reader.former(before, marked=marked)
            half = "former" if _has(headers, _NEW_KEY) else ""
        elif operation in ("c", "u", "r"):
            if after is None:
                raise refused.no_row(operation, reader.name)
            half = "latter" if operation == "c" and _has(headers, _OLD_KEY) else ""
            # PostgreSQL's log has all values of an insert: a text that looks like the placeholder is one.
            marked = marked and (operation == "u" or half == "latter" or self._connector != "postgresql")
            new = reader.key_only(after) if operation == "r" else reader.row(after, marked=marked)
            if operation == "u" and before is not None:
                same = reader.same_key(before, after)
                if not same or (marked and ABSENT in new and reader.whole):
                    was = reader.former(before, marked=marked)
                    if reader.whole:
                        new = tuple([then if now is ABSENT else now for now, then in zip(new, was, strict=True)])
                    old = None if same else was
        elif operation == "t":
            return TruncateEvent(reader.number, envelope.source, envelope.transaction)
        else:
            raise refused.unknown_operation()
        return RowEvent(reader.number, operation, new, old, half, envelope.source, envelope.transaction)

    # ------------------------------------------------------------ the other way

    def _slow(self, topic: str, value: bytes, headers: Iterable[tuple[str, bytes | None]]) -> Event:
        form, payload = self._framed(topic, value)
        if payload == b"null":
            return _TOMBSTONE
        return self._event(topic, form, JsonPayload(payload, self._marked), headers)

    def _framed(self, topic: str, value: bytes) -> tuple[_Form, bytes]:
        """The form of a message, new or known, and its payload."""
        if not value:
            raise refused.EMPTY
        known = self._forms.setdefault(topic, [])
        try:
            framed = decode_framed(value)
        except msgspec.ValidationError:
            return _kept(known, b"", lambda: None), value
        schema, payload = bytes(framed.schema), bytes(framed.payload)
        if schema == b"null":
            return _kept(known, b"", lambda: None), payload
        prefix = value[: len(value) - len(payload) - 1]
        if value != prefix + payload + b"}" or not prefix.endswith(b'"payload":'):
            raise Refused("the schema and the payload do not stand one after the other, as JsonConverter writes them")
        return _kept(known, prefix, lambda: columns_of_json(msgspec.json.decode(schema))), payload

    def _decode_avro(self, topic: str, value: bytes, headers: Iterable[tuple[str, bytes | None]]) -> Event:
        number, columns, told = self._avro.read(value)
        form = self._avro_forms.get((topic, number))
        if form is None:
            form = self._avro_forms[topic, number] = _Form(b"", columns)
        if form.latest is not None:
            convert = partial(msgspec.convert, told, form.latest.envelope)
            event = self._quick(form.latest, convert, headers, _always)
            if event is not None:
                return event
        return self._event(topic, form, AvroPayload(told), headers)

    def _event(
        self, topic: str, form: _Form, payload: JsonPayload | AvroPayload, headers: Iterable[tuple[str, bytes | None]]
    ) -> Event:
        head = payload.head()
        if head.op is not None and head.source is not None:
            return self._told(topic, form, payload, head, head.source, headers)
        if head.status in ("BEGIN", "END") and isinstance(head.id, str):
            at = (head.ts_ms or 0) * 1_000
            return Begin(head.id, at) if head.status == "BEGIN" else end(head, head.id, at)
        if head.source is not None and (head.ddl is not None or head.changes is not None):
            return schema_event(head, head.source)
        if head.ts_ms is not None and payload.names() == {"ts_ms"}:
            return Heartbeat(head.ts_ms * 1_000)
        raise refused.FLATTENED

    def _told(
        self, topic: str, form: _Form, payload: JsonPayload | AvroPayload, head: Head, source: Source,
        headers: Iterable[tuple[str, bytes | None]],
    ) -> Event:  # fmt: skip
        """A message with an operation: nearly always, of a row."""
        if head.op == "m":
            written = head.message or Written("")
            return LogMessage(written.prefix, written.content or b"", source, head.transaction)
        name = (source.schema or source.db or "", source.table or "")
        if not name[1]:
            raise refused.NO_TABLE
        expected = self._expected.get(topic, name)
        if expected != name:
            raise Refused(
                f"rows of `{name[0]}.{name[1]}` stand in the topic of `{expected[0]}.{expected[1]}`",
                "correct `topics` in the rules, or the transform of the connector that chooses topics",
            )
        if source.connector and source.connector != self._connector:
            raise Refused(
                f"the connector `{source.connector}` tells it, where the rules say `{self._connector}`",
                "correct `url` or `topics` in the rules",
            )
        number, table = self._tables.get(name, (-1, None))
        if table is None:
            return OtherRow(name, source, head.transaction)
        if head.op == "t":
            return TruncateEvent(number, source, head.transaction)
        if head.op not in ("c", "u", "d", "r"):
            raise refused.unknown_operation()
        reader = form.readers.get(number)
        try:
            if reader is not None:
                form.latest = reader
                return self._row(reader, payload.envelope(reader), headers, marked=payload.marked())
        except (Lost, msgspec.ValidationError):
            if form.columns:
                raise
        columns = form.columns or payload.columns()
        if not columns:
            raise refused.no_row(head.op, name)
        reader = self._compiled(number, table, columns)
        event = self._row(reader, payload.envelope(reader), headers, marked=payload.marked())
        reader.told = name
        form.readers[number] = form.latest = reader
        return event

    def _compiled(self, number: int, table: Table, told: Mapping[str, Shown] | Iterable[str]) -> RowReader:
        columns = self._columns.get((table.schema, table.name), {})
        try:
            shown, names = forms(table, columns, told, self._modes, self._connector)
            return RowReader(
                number, table, columns, shown, names, self._modes, self._connector, whole=number in self._whole
            )
        except Unfit as unfit:
            raise Refused(f"`{table.schema}.{table.name}`: {unfit.found}", unfit.mend) from None


def _kept(known: list[_Form], prefix: bytes, columns: Callable[[], dict[str, Shown] | None]) -> _Form:
    """The form with this prefix; one without any stands last, as every message begins with it."""
    for form in known:
        if form.prefix == prefix:
            return form
    form = _Form(prefix, columns())
    if len(known) >= forms_kept:
        known.clear()
    if prefix:
        known.insert(0, form)
    else:
        known.append(form)
    return form


def _always() -> bool:
    """Values of Avro do not tell by their bytes whether one is unchanged."""
    return True


def _has(headers: Iterable[tuple[str, bytes | None]], name: str) -> bool:
    return any(key == name for key, _ in headers)
