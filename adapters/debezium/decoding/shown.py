"""Turns a schema of Kafka Connect, as JSON or Avro carries it, into how a connector shows the values of a column.

Pure. Of a whole envelope only the row's columns are kept: what else stands there has one form for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_AVRO_TYPES: Final[Mapping[str, str]] = {
    "int": "int32", "long": "int64", "float": "float", "double": "double", "boolean": "boolean", "string": "string",
    "bytes": "bytes", "fixed": "bytes", "enum": "string", "array": "array", "map": "map", "record": "struct",
}  # fmt: skip

EITHER: Final = "duolog.DecimalInDigitsOrBytes"
"""Of a column with digits after the point: its values tell by themselves how they are shown."""
WHOLE_NUMBER: Final = "duolog.IntegerInDigitsOrBytes"
"""Of an integer column: a number, or a `Decimal` of none."""
HSTORE: Final = "duolog.HstoreInMapOrJson"
"""Of an hstore: a map, or a JSON document of one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How the values of one column are shown."""

    type: str
    """Connect's: `int8` to `int64`, `float` (of four bytes), `double`, `boolean`, `string`, `bytes`, `array`, `map`,
    `struct`"""
    name: str = ""
    """What is meant by it: `io.debezium.time.MicroTimestamp`; empty: nothing but what the type says."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    items: Shown | None = None
    """Of an array."""
    optional: bool = True
    default: bool = False
    """The column has a default, which the connector's converter may tell in the place of NULL."""


class Malformed(ValueError):
    """A schema is not one of an envelope's. Its text says what is missing, and no content."""


def columns_of_json(schema: Any) -> dict[str, Shown]:
    """The columns of the rows of an envelope, by name, in the table's order; of what is no envelope of rows: {}.

    `schema`: the JSON beside the payload, parsed. Raises Malformed."""
    for part in _fields(schema):
        if part.get("field") in ("after", "before") and part.get("type") == "struct":
            return {str(each.get("field")): _of_json(each) for each in _fields(part)}
    return {}


def columns_of_avro(schema: Any) -> dict[str, Shown]:
    """The same of an Avro schema, parsed. Raises Malformed."""
    known: dict[str, Any] = {}
    _collect(schema, known)
    top = _resolved(schema, known)
    if not isinstance(top, dict) or not isinstance(top.get("fields"), list):
        raise Malformed("the schema is no record")
    for part in top["fields"]:
        if isinstance(part, dict) and part.get("name") in ("after", "before"):
            record = _resolved(part.get("type"), known)
            if isinstance(record, dict) and isinstance(record.get("fields"), list):
                return {_avro_name(each): _of_avro(each.get("type"), known, each) for each in record["fields"]}
    return {}


def without_logical_types(schema: Any) -> Any:
    """An Avro schema whose values are read as they are stored: no library's idea of a date comes between."""
    if isinstance(schema, dict):
        return {key: without_logical_types(each) for key, each in schema.items() if key != "logicalType"}
    return [without_logical_types(each) for each in schema] if isinstance(schema, list) else schema


def _fields(schema: Any) -> Sequence[dict[str, Any]]:
    fields = schema.get("fields") if isinstance(schema, dict) else None
    if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
        raise Malformed("the schema has no fields")
    return fields


def _of_json(said: Any) -> Shown:
    if not isinstance(said, dict):
        raise Malformed("the schema of a column is none")
    items = said.get("items")
    return Shown(
        type=str(said.get("type")), name=str(said.get("name") or ""), parameters=_texts(said.get("parameters")),
        items=None if items is None else _of_json(items), optional=said.get("optional") is not False,
        default=said.get("default") is not None,
    )  # fmt: skip


def _of_avro(said: Any, known: Mapping[str, Any], named: Mapping[str, Any]) -> Shown:
    optional = isinstance(said, list) and "null" in said
    one = _resolved(said, known)
    given = one if isinstance(one, dict) else {"type": one}
    kind = given.get("type")
    kind = kind if isinstance(kind, str) else str(one)
    items = given.get("items")
    # Connect tells a record's own name in `connect.name`, or lets it be that of the record.
    own = f"{given.get('namespace', '')}.{given.get('name', '')}".strip(".") if kind == "record" else ""
    # A default of null says that there is none; Connect's own has its place beside the type.
    default = named.get("default") is not None or given.get("connect.default") is not None
    return Shown(
        type=str(given.get("connect.type") or _AVRO_TYPES.get(kind, kind)), name=str(given.get("connect.name") or own),
        parameters=_texts(given.get("connect.parameters")), optional=optional, default=default,
        items=None if items is None else _of_avro(items, known, {}),
    )  # fmt: skip


def _avro_name(said: Any) -> str:
    if not isinstance(said, dict):
        raise Malformed("the schema of a column is none")
    return str(said.get("name"))


def _resolved(said: Any, known: Mapping[str, Any]) -> Any:
    """What a type is, apart from that it may be null; a name is what was defined under it."""
    if isinstance(said, list):
        said = next((each for each in said if each != "null"), None)
    if isinstance(said, dict) and isinstance(said.get("type"), dict | list):
        return _resolved(said["type"], known)
    return known.get(said, said) if isinstance(said, str) else said


def _collect(said: Any, known: dict[str, Any], space: str = "") -> None:
    """Everything that has a name, by it."""
    if isinstance(said, list):
        for each in said:
            _collect(each, known, space)
    elif isinstance(said, dict):
        if "name" in said and said.get("type") in ("record", "fixed", "enum"):
            space = str(said.get("namespace", space))
            name = str(said["name"])
            known[name] = known[f"{space}.{name}"] = said
        for key in ("type", "fields", "items", "values"):
            _collect(said.get(key), known, space)


def _texts(said: Any) -> dict[str, str]:
    return {str(key): str(each) for key, each in said.items()} if isinstance(said, dict) else {}
