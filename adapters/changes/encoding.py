"""Parts of transactions to the bytes of a message, and back, exactly.

A message belongs to one partition and has, in the order of commits, what concerns that partition of one transaction or
many; one of a large transaction may end before it does. It also says up to where its partition has been told
everything. MessagePack keeps NULL and texts; ABSENT travels as `false`, which is no text. What does not fit is refused:
the topic may have been written by anybody.
"""

from __future__ import annotations

from typing import Final

import msgspec

from engine.errors import WireError
from engine.vocabulary import ABSENT, Change, Position, Row

FORMAT: Final = 1

_Row = tuple[str | bool | None, ...]
_Change = tuple[int, str, _Row | None, _Row | None]


class Part(msgspec.Struct, array_like=True):
    """What concerns one partition of one transaction, or a piece of that."""

    position: Position
    committed_at: int
    own: bool
    number: int
    """Of an own one: its batch, where the log told."""
    last: bool
    """False: the transaction goes on in the next part."""
    changes: list[_Change]

    def rows(self) -> list[Change]:
        """The changes as the engine knows them."""
        return [(table, operation, _row(new), _row(old)) for table, operation, new, old in self.changes]


class Message(msgspec.Struct, array_like=True):
    """One record of the topic."""

    format: int
    position: Position
    """That of the last of its parts, or of the news that there was nothing more. Never falls within a partition."""
    complete: bool
    """Everything up to `position` has been told; False: in the midst of a transaction."""
    parts: list[Part]
    begins: bool = False
    """The log is told from `position` on: who has not been told up to there, has lost what was between."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def changes(rows: list[Change]) -> list[_Change]:
    """Changes as a part carries them."""
    return [(table, operation, _packed(new), _packed(old)) for table, operation, new, old in rows]


def encoded(message: Message) -> bytes:
    """The value of a record."""
    return _encode(message)


def decoded(value: bytes, *, system: str) -> Message:
    """What stands in a record. Raises WireError."""
    try:
        message = _decode(value)
    except msgspec.DecodeError:
        raise WireError("a message of the change topic expected", 0, system=system) from None
    if message.format != FORMAT:
        raise WireError(f"a change topic of format {FORMAT} expected, not {message.format}", 1, system=system)
    return message


def _packed(row: Row | None) -> _Row | None:
    if row is None or ABSENT not in row:
        return row  # type: ignore[return-value]
    return tuple([False if value is ABSENT else value for value in row])


def _row(row: _Row | None) -> Row | None:
    if row is None or False not in row:
        return row  # type: ignore[return-value]
    return tuple([ABSENT if value is False else value for value in row])  # type: ignore[misc]
