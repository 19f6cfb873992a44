"""Turns the payload of a message, JSON or Avro, into what stands in its envelope; and what breaks it into words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from adapters.debezium.decoding import refused
from adapters.debezium.decoding.events import End, Order, SchemaEvent, Source
from adapters.debezium.decoding.refused import Refused
from adapters.debezium.decoding.rows import RowReader
from adapters.debezium.decoding.shown import Malformed


class Written(msgspec.Struct, gc=False):
    """What `pg_logical_emit_message` wrote."""

    prefix: str
    content: bytes | None = None


class Head(msgspec.Struct, rename={"changes": "tableChanges", "collections": "data_collections"}):
    """All that a payload may have, but for the rows."""

    op: str | None = None
    source: Source | None = None
    transaction: Order | None = None
    message: Written | None = None
    status: str | None = None
    id: Any = None
    ts_ms: int | None = None
    event_count: int | None = None
    collections: list[dict[str, Any]] | None = None
    ddl: Any = None
    changes: list[dict[str, Any]] | None = None


class Framed(msgspec.Struct):
    """A message with its schema beside it."""

    schema: msgspec.Raw
    payload: msgspec.Raw


_decode_head: Final = msgspec.json.Decoder(Head).decode
decode_framed: Final = msgspec.json.Decoder(Framed).decode


class _Rows(msgspec.Struct):
    before: dict[str, msgspec.Raw] | None = None
    after: dict[str, msgspec.Raw] | None = None


_decode_names: Final = msgspec.json.Decoder(_Rows).decode


class JsonPayload:
    """A payload that is still JSON."""

    def __init__(self, payload: bytes, marked: Callable[[bytes], bool]) -> None:
        self._payload = payload
        self._marked = marked

    def head(self) -> Head:
        """All but the rows. Raises msgspec.MsgspecError."""
        return _decode_head(self._payload)

    def names(self) -> set[str]:
        """What it consists of."""
        return set(msgspec.json.decode(self._payload, type=dict[str, msgspec.Raw]))

    def columns(self) -> set[str]:
        """The columns of its rows."""
        rows = _decode_names(self._payload)
        return set(rows.after or rows.before or ())

    def envelope(self, reader: RowReader) -> Any:
        """With the rows, as `reader` wants them. Raises msgspec.MsgspecError."""
        return reader.decode(self._payload)

    def marked(self) -> bool:
        """True if there may be a value in it that is not told."""
        return self._marked(self._payload)


class AvroPayload:
    """A payload that was Avro."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    def head(self) -> Head:
        """All but the rows. Raises msgspec.MsgspecError."""
        plain = {name: each for name, each in self._told.items() if name not in ("before", "after")}
        return msgspec.convert(plain, Head, strict=True)

    def names(self) -> set[str]:
        """What it consists of."""
        return set(self._told)

    def columns(self) -> set[str]:
        """The columns of its rows."""
        return set(self._told.get("after") or self._told.get("before") or ())

    def envelope(self, reader: RowReader) -> Any:
        """With the rows, as `reader` wants them. Raises msgspec.MsgspecError."""
        return msgspec.convert(self._told, reader.envelope, strict=True)

    def marked(self) -> bool:
        """True if there may be a value in it that is not told."""
        return True


def end(head: Head, transaction: str, at: int) -> End:
    """The end of a transaction. Raises Refused."""
    if head.event_count is None:
        raise Refused("the end of a transaction does not say how many events it has")
    counts: dict[str, int] = {}
    for each in head.collections or ():
        name, count = each.get("data_collection"), each.get("event_count")
        if not isinstance(name, str) or not isinstance(count, int):
            raise Refused("the end of a transaction does not say how many events each table has")
        counts[name] = counts.get(name, 0) + count
    return End(transaction, at, head.event_count, counts)


def schema_event(head: Head, source: Source) -> SchemaEvent:
    """What became of tables."""
    changed = head.changes or []
    kinds = tuple(str(each.get("type")) for each in changed)
    return SchemaEvent(source, kinds, tuple(str(each.get("id")).replace('"', "") for each in changed))


_PLACE: Final = re.compile(r"got `([\w ]+)` - at `\$\.(?:after|before)\.(.+)`$")


def said(error: Exception) -> Refused:
    """What an error of a parser says, without what it quotes."""
    match error:
        case RecursionError():
            return refused.DEEP
        case UnicodeDecodeError():
            return refused.NOT_TEXT
        case msgspec.ValidationError():
            found = _PLACE.search(str(error))
            if found is None:
                return Refused("the message is no envelope of Debezium's")
            column = found[2].partition("[")[0]
            return Refused(
                f"the column `{column}` has a value of the kind `{found[1]}`, which is not how it is said to be told",
                "correct what the rules say of the connector's options, or set `value.converter.schemas.enable=true`",
            )
        case msgspec.DecodeError():
            return refused.TRUNCATED
        case Malformed():
            return Refused(str(error))
        case _:
            return Refused("the message is no envelope of Debezium's")
