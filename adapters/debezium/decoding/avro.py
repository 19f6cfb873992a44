"""Turns a message in Confluent's framing of Avro (a zero, the number of a schema, the value) into plain values.

The text of a schema is asked for once, by its number. Dates and decimals stay the numbers and bytes that they are in
Avro. What reads Avro, `fastavro`, is an extra: `pip install 'duolog[avro]'`.
"""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from adapters.debezium.decoding import refused
from adapters.debezium.decoding.refused import Refused
from adapters.debezium.decoding.shown import Shown, columns_of_avro, without_logical_types

_HEAD: Final = struct.Struct(">xI")
_BROKEN: Final = (ValueError, TypeError, KeyError, IndexError, EOFError, ArithmeticError, RecursionError, StopIteration)
"""What fastavro raises for bytes, or a schema, that it cannot read."""


class Avro:
    """Reads messages; keeps the schemas that it has met."""

    def __init__(self, schemas: Callable[[int], str] | None) -> None:
        """`schemas`: the text of the schema with a number; None: there is no registry."""
        self._schemas = schemas
        self._known: dict[int, tuple[Any, dict[str, Shown]]] = {}
        self._library: Any = None

    def read(self, value: bytes) -> tuple[int, dict[str, Shown], Mapping[str, Any]]:
        """(the number of its schema, its columns, what the message says). Raises Refused, and what `schemas` does."""
        if self._schemas is None:
            raise refused.NO_REGISTRY
        if len(value) < _HEAD.size:
            raise Refused("the message is Avro, and ends within the number of its schema")
        (number,) = _HEAD.unpack_from(value)
        if number not in self._known:
            self._known[number] = self._parsed(self._schemas(number), number)
        schema, columns = self._known[number]
        try:
            told = self._library.schemaless_reader(io.BytesIO(value[_HEAD.size :]), schema, None)
        except _BROKEN:
            raise Refused(f"the message is no value of its Avro schema (number {number})") from None
        if not isinstance(told, dict):
            raise Refused(f"the message's Avro schema (number {number}) is no record")
        return number, columns, told

    def _parsed(self, text: str, number: int) -> tuple[Any, dict[str, Shown]]:
        if self._library is None:
            try:
                self._library = importlib.import_module("fastavro")
            except ImportError:
                raise refused.NO_FASTAVRO from None
        try:
            said = msgspec.json.decode(text)
            return self._library.parse_schema(without_logical_types(said)), columns_of_avro(said)
        except (*_BROKEN, self._library.schema.SchemaParseException):
            raise Refused(f"the registry's schema with the number {number} is none of Avro's") from None
