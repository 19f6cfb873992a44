"""Turns TABLE_MAP events into what a table was like when its rows were logged: names, types, character sets, labels.

The log describes its own rows (`binlog_row_metadata = FULL`), so rows older than an ALTER TABLE decode rightly; the
live catalog is not asked. It holds no connection and no state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from adapters.mariadb.binlog import charsets
from adapters.mariadb.binlog.events import BODY
from engine.errors import WireError

DECIMAL_OLD, TINY, SHORT, LONG, FLOAT, DOUBLE, NULL = 0, 1, 2, 3, 4, 5, 6
TIMESTAMP_OLD, LONGLONG, INT24, DATE, TIME_OLD, DATETIME_OLD, YEAR, NEWDATE = 7, 8, 9, 10, 11, 12, 13, 14
VARCHAR, BIT, TIMESTAMP, DATETIME, TIME = 15, 16, 17, 18, 19
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141
VECTOR, JSON, DECIMAL, ENUM, SET = 242, 245, 246, 247, 248
TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING, GEOMETRY = 249, 250, 251, 252, 253, 254, 255

_META_BYTES: Final = {
    FLOAT: 1, DOUBLE: 1, TIMESTAMP: 1, DATETIME: 1, TIME: 1, BLOB: 1, GEOMETRY: 1, JSON: 1, VECTOR: 1,
    TINY_BLOB: 1, MEDIUM_BLOB: 1, LONG_BLOB: 1, BLOB_COMPRESSED: 1,
    VARCHAR: 2, VARCHAR_COMPRESSED: 2, BIT: 2, DECIMAL: 2, ENUM: 2, SET: 2, VAR_STRING: 2, STRING: 2,
}  # fmt: skip

_NUMERIC: Final = frozenset({TINY, SHORT, INT24, LONG, LONGLONG, FLOAT, DOUBLE, DECIMAL, DECIMAL_OLD})
_TEXTS: Final = frozenset({
    VARCHAR, VAR_STRING, STRING, BLOB, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, VARCHAR_COMPRESSED, BLOB_COMPRESSED,
})  # fmt: skip


class Column(NamedTuple):
    """One column of a table, as its rows were logged."""

    name: str
    type: int
    """The type's number, the real one of what is logged as a STRING."""
    meta: int
    """What the type needs to know besides: bytes of a length, digits of a second, bits, precision and scale."""
    nullable: bool
    unsigned: bool = False
    collation: int = 0
    """Of a text, enum or set; 63: bytes."""
    labels: tuple[str, ...] = ()
    """Of an enum or set."""


@dataclass(eq=False, slots=True)
class TableMap:
    """A table, as its rows were logged."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    named: bool
    """False: the log tells no names of columns (`binlog_row_metadata` is not FULL)."""
    decoders: dict[object, object] = field(default_factory=dict)
    latest: dict[int, tuple[bytes, int, Any]] = field(default_factory=dict)
    """By the kind of event: (what the last one said of its columns, where its rows began, their decoder)."""
    """What `rows` made of this table, by kind of event and the columns that it has."""


def table_id(packet: bytes) -> bytes:
    """By which number the rows that follow refer to this table."""
    return packet[BODY : BODY + 6]


def read_name(packet: bytes, end: int) -> tuple[str, str]:
    """(schema, table) of a TABLE_MAP event. Raises WireError."""
    schema, at = _terminated(packet, BODY + 8, end)
    name, _ = _terminated(packet, at, end)
    return schema, name


def read_table(packet: bytes, end: int, *, mariadb: bool = True) -> TableMap:
    """All that a TABLE_MAP event says. `mariadb`: that server wrote it, which numbers geometries among the texts.

    Raises WireError."""
    schema, at = _terminated(packet, BODY + 8, end)
    name, at = _terminated(packet, at, end)
    count, at = _packed(packet, at, end)
    types = _slice(packet, at, count, end)
    at += count
    size, at = _packed(packet, at, end)
    metas = _metas(types, _slice(packet, at, size, end), at)
    at += size
    nullable = _slice(packet, at, (count + 7) // 8, end)
    told = _told(packet, at + len(nullable), end)
    columns = [
        Column("", type_, meta, bool(nullable[number // 8] >> number % 8 & 1))
        for number, (type_, meta) in enumerate(metas)
    ]
    _describe(columns, told, at, _TEXTS | {GEOMETRY} if mariadb else _TEXTS)
    return TableMap(schema, name, tuple(columns), named=4 in told)


def _metas(types: bytes, data: bytes, start: int) -> list[tuple[int, int]]:
    """By column, its real type and what that needs to know besides."""
    found = []
    at = 0
    for type_ in types:
        width = _META_BYTES.get(type_, 0)
        if at + width > len(data):
            raise WireError("more about the columns' types expected, it ends", start + at)
        first, second = (data[at : at + width] + b"\0\0")[:2]
        at += width
        if type_ in (ENUM, SET) or (type_ == STRING and first in (ENUM, SET)):
            found.append((first, second))
        elif type_ == STRING:  # lengths above 255 borrow two bits of the type
            found.append((STRING, second | ((first & 0x30) ^ 0x30) << 4))
        elif type_ == BIT:
            found.append((BIT, second * 8 + first))
        elif type_ == DECIMAL:
            found.append((DECIMAL, first << 8 | second))
        else:
            found.append((type_, first | second << 8))
    if at != len(data):
        raise WireError("the end of what is told about the columns' types expected", start + at)
    return found


def _told(packet: bytes, at: int, end: int) -> dict[int, tuple[bytes, int]]:
    """What is told besides, by its kind: the bytes, and where they are."""
    found = {}
    while at < end:
        kind = packet[at]
        size, at = _packed(packet, at + 1, end)
        found[kind] = (_slice(packet, at, size, end), at)
        at += size
    return found


def _describe(
    columns: list[Column], told: dict[int, tuple[bytes, int]], at: int, with_collation: frozenset[int]
) -> None:
    """Puts what is told besides into the columns."""
    numeric = [number for number, column in enumerate(columns) if column.type in _NUMERIC]
    if 1 in told:
        bits, at = told[1]
        if len(bits) < (len(numeric) + 7) // 8:
            raise WireError("whether each number has a sign expected, it ends", at)
        for place, number in enumerate(numeric):
            columns[number] = columns[number]._replace(unsigned=bool(bits[place // 8] >> 7 - place % 8 & 1))
    texts = [number for number, column in enumerate(columns) if column.type in with_collation]
    labelled = [number for number, column in enumerate(columns) if column.type in (ENUM, SET)]
    for numbers, most, each in ((texts, 2, 3), (labelled, 10, 11)):
        for number, collation in _collations(numbers, told.get(most), told.get(each)):
            columns[number] = columns[number]._replace(collation=collation)
    if 4 in told:
        names = _names(*told[4])
        if len(names) != len(columns):
            raise WireError(f"the names of {len(columns)} columns expected, found {len(names)}", told[4][1])
        columns[:] = [column._replace(name=name) for column, name in zip(columns, names, strict=True)]
    for kind, type_ in ((5, SET), (6, ENUM)):
        numbers = [number for number in labelled if columns[number].type == type_]
        if kind in told:
            _label(columns, numbers, *told[kind])


def _collations(
    numbers: list[int], most: tuple[bytes, int] | None, each: tuple[bytes, int] | None
) -> list[tuple[int, int]]:
    """(column, collation): told one by one, or for most of them and then for the others."""
    data, at = each or most or (b"", 0)
    said, place = [], 0
    while place < len(data):
        value, place = _packed(data, place, len(data))
        said.append(value)
    if each is not None:
        if len(said) != len(numbers):
            raise WireError(f"the collations of {len(numbers)} columns expected, found {len(said)}", at)
        return list(zip(numbers, said, strict=True))
    if most is None:
        return []
    if len(said) % 2 == 0:
        raise WireError("a collation for most columns, then pairs expected", at)
    others = dict(zip(said[1::2], said[2::2], strict=True))
    if any(place >= len(numbers) for place in others):
        raise WireError(f"the collations of {len(numbers)} columns expected, found more", at)
    return [(number, others.get(place, said[0])) for place, number in enumerate(numbers)]


def _names(data: bytes, start: int) -> list[str]:
    found, at = [], 0
    while at < len(data):
        size, at = _packed(data, at, len(data))
        found.append(_decoded(_slice(data, at, size, len(data)), charsets.UTF8, start + at))
        at += size
    return found


def _label(columns: list[Column], numbers: list[int], data: bytes, start: int) -> None:
    """Gives enums, or sets, their labels."""
    at = 0
    for number in numbers:
        charset = charsets.character_set(columns[number].collation)
        codec = charsets.codec(charset)
        count, at = _packed(data, at, len(data))
        labels = []
        for _ in range(count):
            size, at = _packed(data, at, len(data))
            label = _slice(data, at, size, len(data))
            # In a character set that is not known, the column is refused if it is bound.
            labels.append(_decoded(label, codec, start + at) if codec is not None else "")
            at += size
        columns[number] = columns[number]._replace(labels=tuple(labels))
    if at != len(data):
        raise WireError("the end of the labels expected", start + at)


def _decoded(data: bytes, codec: str, at: int) -> str:
    try:
        return charsets.decoder(codec)(data)
    except UnicodeDecodeError as error:
        raise WireError("a name or label in its character set expected", at + error.start) from None


def _terminated(packet: bytes, at: int, end: int) -> tuple[str, int]:
    """The text whose length comes first and that ends with 0, and where it ends."""
    if at >= end:
        raise WireError("a name's length expected, the event ends", end)
    stop = at + 1 + packet[at]
    if stop >= end or packet[stop] != 0:
        raise WireError("a name that ends with 0 expected", min(stop, end))
    return _decoded(packet[at + 1 : stop], charsets.UTF8, at + 1), stop + 1


def _packed(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number in the protocol's packed form at `at`, and where it ends."""
    if at >= end:
        raise WireError("a number expected, the bytes end", end)
    first = data[at]
    if first < 251:
        return first, at + 1
    width = {252: 2, 253: 3, 254: 8}.get(first)
    if width is None or at + 1 + width > end:
        raise WireError("a number expected", at)
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def _slice(data: bytes, at: int, size: int, end: int) -> bytes:
    if at + size > end:
        raise WireError(f"{size} bytes expected, found {end - at}", at)
    return data[at : at + size]
