"""Turns the bytes of pgoutput messages (protocol version 1) into values, and garbage into a WireError that says where.

It holds no connection, no schema and no state: one message in, one value out. Row messages, of which there are
millions, come back as plain tuples; the others as named ones. Messages of modes that duolog never asks for
(streaming of open transactions, two-phase commit, binary values) are refused rather than guessed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import EllipsisType
from typing import Final, NamedTuple, TypeAlias

from engine.errors import WireError
from engine.vocabulary import ABSENT, DELETE, INSERT, UPDATE, Row

EPOCH_2000_US: Final = 946_684_800_000_000
"""PostgreSQL counts from 2000-01-01; duolog from 1970-01-01 UTC. In microseconds."""

short_row_bytes_max: Final = 256
"""A message up to here cannot hold a value of 256 bytes or more, which the fast way could not read."""

RowMessage: TypeAlias = "tuple[int, str, Row | None, Row | None, str]"
"""(relation id, operation, new row, old row, kind of the old row): all columns of the relation, in its order.

The kind is "" without an old row, "O" for a whole one, "K" when only the columns of the replica identity count: the
others stand there as None without being NULL."""


class Begin(NamedTuple):
    """A committed transaction follows."""

    commit_lsn: int
    """Where its commit record begins."""
    committed_at: int
    """Microseconds since 1970 UTC."""
    xid: int


class Commit(NamedTuple):
    """The transaction is complete."""

    commit_lsn: int
    end_lsn: int
    """Where the commit record ends: reading resumes here."""
    committed_at: int
    """Microseconds since 1970 UTC."""


class Origin(NamedTuple):
    """The transaction was written under this replication origin: it is a replicator's, not a user's."""

    origin_lsn: int
    name: str


class RelationColumn(NamedTuple):
    """One column of a relation, as published."""

    name: str
    key: bool
    """It belongs to the replica identity."""
    type_oid: int
    type_modifier: int


class Relation(NamedTuple):
    """What the rows of this relation look like from here on."""

    id: int
    schema: str
    name: str
    identity: str
    """Replica identity: `d` the primary key, `i` an index, `f` the full row, `n` nothing."""
    columns: tuple[RelationColumn, ...]


class TypeName(NamedTuple):
    """The name of a type that is not built in."""

    oid: int
    schema: str
    name: str


class Truncate(NamedTuple):
    """These relations were emptied."""

    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool


class LogicalMessage(NamedTuple):
    """Something written by pg_logical_emit_message."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


Message: TypeAlias = "Begin | Commit | Origin | Relation | TypeName | Truncate | LogicalMessage | RowMessage"

_u16 = struct.Struct(">H").unpack_from
_u32 = struct.Struct(">I").unpack_from
_TEXT_BELOW_256: Final = b"t\0\0\0"
_TEXT_BELOW_64K: Final = b"t\0\0"
_TEXT: Final = ord("t")
_NULL: Final = ord("n")
_UNCHANGED: Final = ord("u")
_MARKS: Final[dict[int, None | EllipsisType]] = {_NULL: None, _UNCHANGED: ABSENT}


def decode(message: bytes) -> Message:
    """The value of one whole message. Raises WireError, and nothing else, whatever the bytes are."""
    decoder = _DECODERS.get(message[:1])
    if decoder is not None:
        return decoder(message)
    if not message:
        raise WireError("a message type expected, the message is empty", 0)
    refused = _REFUSED.get(message[:1])
    if refused is not None:
        raise WireError(f"{refused} was not asked for, but is sent", 0)
    raise WireError(f"a message type expected, found byte 0x{message[0]:02x}", 0)


def decode_insert(message: bytes) -> RowMessage:
    """An `I` message. Raises WireError."""
    if message[5:6] != b"N":
        raise WireError("an insert's new row (`N`) expected", min(5, len(message)))
    return _u32(message, 1)[0], INSERT, _last_row(message, 6), None, ""


def decode_update(message: bytes) -> RowMessage:
    """A `U` message. Raises WireError."""
    kind = message[5:6]
    if kind == b"N":
        return _u32(message, 1)[0], UPDATE, _last_row(message, 6), None, ""
    if kind not in (b"K", b"O"):
        raise WireError("an update's row (`N`, `K` or `O`) expected", min(5, len(message)))
    old, at = _row(message, 6)
    if message[at : at + 1] != b"N":
        raise WireError("an update's new row (`N`) expected", at)
    return _u32(message, 1)[0], UPDATE, _last_row(message, at + 1), old, "K" if kind == b"K" else "O"


def decode_delete(message: bytes) -> RowMessage:
    """A `D` message. Raises WireError."""
    kind = message[5:6]
    if kind not in (b"K", b"O"):
        raise WireError("a delete's old row (`K` or `O`) expected", min(5, len(message)))
    return _u32(message, 1)[0], DELETE, None, _last_row(message, 6), "K" if kind == b"K" else "O"


def _last_row(message: bytes, at: int) -> Row:
    """The row that begins at `at` and ends with the message. Raises WireError."""
    # The two counts differ where a value has 256 to 65,535 bytes: then the fast way would be tried in vain.
    if len(message) <= short_row_bytes_max or message.count(_TEXT_BELOW_64K) == message.count(_TEXT_BELOW_256):
        row = _split_row(message, at)
        if row is not None:
            return row
    row, end = _row(message, at)
    if end != len(message):
        raise WireError(f"the end of the message expected, {len(message) - end} bytes follow", end)
    return row


def _split_row(message: bytes, at: int) -> Row | None:
    """The same in half the time, or None: then `_row` reads it, or says what is wrong with it.

    Cutting at the headers of values below 256 bytes splits a row in C. The cut is right if and only if each piece
    has the length that its header says, which is checked."""
    values: list[str | None | EllipsisType] = []
    add = values.append
    try:
        count = _u16(message, at)[0]
        pieces = message[at + 2 :].split(_TEXT_BELOW_256)
        for mark in pieces.pop(0):
            add(_MARKS[mark])
        for piece in pieces:
            size = piece[0] + 1
            if len(piece) == size:
                add(piece[1:].decode())
            elif len(piece) > size:  # then values of one byte follow: NULL or unchanged
                add(piece[1:size].decode())
                for mark in piece[size:]:
                    add(_MARKS[mark])
            else:
                return None
    except (IndexError, KeyError, UnicodeDecodeError, struct.error):
        return None
    return tuple(values) if len(values) == count else None


def _row(message: bytes, at: int) -> tuple[Row, int]:
    """The row that begins at `at`, and where it ends. Raises WireError."""
    values: list[str | None | EllipsisType] = []
    add = values.append
    end = len(message)
    try:
        count = _u16(message, at)[0]
        at += 2
        for _ in range(count):
            kind = message[at]
            if kind == _TEXT:
                stop = at + 5 + _u32(message, at + 1)[0]
                if stop > end:
                    raise WireError(f"{stop - end} more bytes of a value expected", end)
                add(message[at + 5 : stop].decode())
                at = stop
            elif kind in _MARKS:
                add(_MARKS[kind])
                at += 1
            else:
                raise WireError(f"a value (`t`, `n` or `u`) expected, found byte 0x{kind:02x}", at)
    except (IndexError, struct.error):
        raise WireError("more of a row expected, the message ends", end) from None
    except UnicodeDecodeError as error:
        raise WireError("a value in UTF-8 expected", at + 5 + error.start) from None
    return tuple(values), at


def _decode_begin(message: bytes) -> Begin:
    lsn, committed_at, xid = _whole(_BEGIN, message)
    return Begin(lsn, committed_at + EPOCH_2000_US, xid)


def _decode_commit(message: bytes) -> Commit:
    flags, lsn, end_lsn, committed_at = _whole(_COMMIT, message)
    if flags:
        raise WireError(f"commit flags 0 expected, found {flags}", 1)
    return Commit(lsn, end_lsn, committed_at + EPOCH_2000_US)


def _decode_origin(message: bytes) -> Origin:
    lsn, at = _number(message, 1, 8)
    name, at = _text(message, at)
    _end(message, at)
    return Origin(lsn, name)


def _decode_relation(message: bytes) -> Relation:
    relation, at = _number(message, 1, 4)
    schema, at = _text(message, at)
    name, at = _text(message, at)
    identity = message[at : at + 1]
    if identity not in (b"d", b"i", b"f", b"n"):
        raise WireError("a replica identity (`d`, `i`, `f` or `n`) expected", at)
    count, at = _number(message, at + 1, 2)
    columns = []
    for _ in range(count):
        flags, at = _number(message, at, 1)
        column, at = _text(message, at)
        type_oid, at = _number(message, at, 4)
        modifier, at = _number(message, at, 4)
        signed = modifier - (1 << 32) if modifier >> 31 else modifier
        columns.append(RelationColumn(column, bool(flags & 1), type_oid, signed))
    _end(message, at)
    # An empty namespace stands for pg_catalog.
    return Relation(relation, schema or "pg_catalog", name, identity.decode(), tuple(columns))


def _decode_type(message: bytes) -> TypeName:
    oid, at = _number(message, 1, 4)
    schema, at = _text(message, at)
    name, at = _text(message, at)
    _end(message, at)
    return TypeName(oid, schema or "pg_catalog", name)


def _decode_truncate(message: bytes) -> Truncate:
    count, at = _number(message, 1, 4)
    options, at = _number(message, at, 1)
    if at + 4 * count != len(message):
        raise WireError(f"{count} relation ids expected, {len(message) - at} bytes follow", at)
    relations = struct.unpack_from(f">{count}I", message, at)
    return Truncate(relations, bool(options & 1), bool(options & 2))


def _decode_logical_message(message: bytes) -> LogicalMessage:
    flags, at = _number(message, 1, 1)
    lsn, at = _number(message, at, 8)
    prefix, at = _text(message, at)
    size, at = _number(message, at, 4)
    if at + size != len(message):
        raise WireError(f"{size} bytes of content expected, {len(message) - at} follow", at)
    return LogicalMessage(bool(flags & 1), lsn, prefix, message[at:])


def _whole(form: struct.Struct, message: bytes) -> tuple[int, ...]:
    """All numbers of a message of fixed length, without its type."""
    if len(message) != form.size:
        raise WireError(f"{form.size} bytes expected, found {len(message)}", min(form.size, len(message)))
    return form.unpack(message)


def _number(message: bytes, at: int, size: int) -> tuple[int, int]:
    """The unsigned number of `size` bytes at `at`, and where it ends."""
    if at + size > len(message):
        raise WireError(f"a number of {size} bytes expected, the message ends", len(message))
    return int.from_bytes(message[at : at + size], "big"), at + size


def _text(message: bytes, at: int) -> tuple[str, int]:
    """The zero-terminated text at `at`, and where it ends."""
    stop = message.find(b"\0", at)
    if stop < 0:
        raise WireError("a zero-terminated text expected, the message ends", len(message))
    try:
        return message[at:stop].decode(), stop + 1
    except UnicodeDecodeError as error:
        raise WireError("a text in UTF-8 expected", at + error.start) from None


def _end(message: bytes, at: int) -> None:
    if at != len(message):
        raise WireError(f"the end of the message expected, {len(message) - at} bytes follow", at)


_BEGIN: Final = struct.Struct(">xQqI")
_COMMIT: Final = struct.Struct(">xBQQq")

_DECODERS: Final[dict[bytes, Callable[[bytes], Message]]] = {
    b"I": decode_insert,
    b"U": decode_update,
    b"D": decode_delete,
    b"B": _decode_begin,
    b"C": _decode_commit,
    b"O": _decode_origin,
    b"R": _decode_relation,
    b"Y": _decode_type,
    b"T": _decode_truncate,
    b"M": _decode_logical_message,
}

_REFUSED: Final[dict[bytes, str]] = {
    b"S": "streaming of open transactions",
    b"E": "streaming of open transactions",
    b"c": "streaming of open transactions",
    b"A": "streaming of open transactions",
    b"b": "two-phase commit",
    b"P": "two-phase commit",
    b"K": "two-phase commit",
    b"r": "two-phase commit",
    b"p": "streaming of two-phase commit",
}
"""Message types of modes that are off: they would tell of changes that may still be rolled back."""
