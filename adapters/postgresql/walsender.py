"""Turns what we want of a PostgreSQL walsender into the bytes of its streaming protocol, its keepalives into values.

Pure: no connection, no clock. What it carries inside, pgoutput's messages, is `pgoutput.py`'s business.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from adapters.postgresql.pgoutput import EPOCH_2000_US
from adapters.postgresql.session import lsn_text
from engine.errors import WireError

DATA: Final = ord("w")
"""The first byte of a frame that carries a message of the output plugin."""

KEEPALIVE: Final = ord("k")
"""The first byte of a frame by which the server asks whether we are there, and tells its position."""

data_header_bytes: Final = 25
"""Type, start, end and time of a data frame; the message follows."""

_KEEPALIVE: Final = struct.Struct(">xQqB")
_STATUS: Final = struct.Struct(">cQQQqB")


class Keepalive(NamedTuple):
    """The server's position, and whether it wants an answer at once."""

    position: int
    """Everything that committed up to here has been sent."""
    reply: bool


def decode_keepalive(frame: bytes) -> Keepalive:
    """The value of a keepalive frame. Raises WireError."""
    if len(frame) != _KEEPALIVE.size:
        raise WireError(f"a keepalive of {_KEEPALIVE.size} bytes expected, found {len(frame)}", len(frame))
    position, _, reply = _KEEPALIVE.unpack(frame)
    return Keepalive(position, reply != 0)


def status_update(written: int, flushed: int, applied: int, now_us: int, *, reply: bool) -> bytes:
    """The frame that tells the server how far we are.

    `written`, `flushed`, `applied`: ends of commits, 0 for not known; `flushed` is what the slot may forget.
    `now_us`: microseconds since 1970 UTC. `reply`: the server shall tell its position."""
    return _STATUS.pack(b"r", written, flushed, applied, now_us - EPOCH_2000_US, reply)


def start_replication(
    slot: str, resume: int, publications: Sequence[str], *, origin_none: bool, messages: bool = False
) -> str:
    """The command that starts the stream after `resume`.

    `origin_none` has the server (16 or later) leave out what any replicator wrote, ourselves included; `messages` has
    it send what was written by pg_logical_emit_message."""
    names = ",".join(_quoted(name, '"') for name in publications)
    options = [("proto_version", "1"), ("publication_names", names)]
    if origin_none:
        options.append(("origin", "none"))
    if messages:
        options.append(("messages", "true"))
    listed = ", ".join(f"{name} {_quoted(value, chr(39))}" for name, value in options)
    return f"START_REPLICATION SLOT {_quoted(slot, chr(34))} LOGICAL {lsn_text(resume)} ({listed})"


def _quoted(text: str, quote: str) -> str:
    """Quoted as the replication grammar has it, which knows no other escape than doubling."""
    return quote + text.replace(quote, quote + quote) + quote
