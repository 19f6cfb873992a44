"""Turns the bytes of a connection, however they are cut, into whole packets, and a packet out of turn into a WireError.

It holds what has arrived of a packet that is not whole yet, so that a pause in the midst of one loses nothing. It knows
nothing of what packets carry, but for the three that may end a stream.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from engine.errors import WireError

EVENT: Final = 0x00
"""The first byte of a packet that carries an event."""

FAILED: Final = 0xFF
"""The first byte of a packet by which the server says why it ends the stream."""

ENDED: Final = 0xFE
"""The first byte of a (short) packet by which the server says that there is no more."""

whole_bytes: Final = 0xFFFFFF
"""A packet of this length goes on in the next."""

_HEADER: Final = 4
_u32 = struct.Struct("<I").unpack_from


class Failure(NamedTuple):
    """Why the server ended the stream."""

    number: int
    state: str
    """SQLSTATE; empty if none was told."""
    said: str


class Frames:
    """What has arrived of a stream: `feed` it bytes, `take` whole packets."""

    def __init__(self, number: int = 1) -> None:
        """`number`: the sequence number that the first packet must have."""
        self._number = number
        self._restarts = False
        self._buffer = b""
        self._at = 0
        self._fresh: list[bytes] = []
        """What has arrived behind the buffer: it is joined when a packet can be made of it."""
        self._fresh_bytes = 0
        self._parts: list[bytes] = []
        """The beginning of a packet that is longer than one can be."""

    def feed(self, data: bytes) -> None:
        """Some more bytes of the stream."""
        self._fresh.append(data)
        self._fresh_bytes += len(data)

    def restart(self) -> None:
        """The next packet may be the first of a new sequence: the server wants an answer to the last."""
        self._restarts = True

    def take(self) -> bytes | None:
        """The next whole packet, without its header; None: it has not all arrived. Raises WireError."""
        buffer, at = self._buffer, self._at
        while True:
            end = start = at + _HEADER
            word = 0
            if start <= len(buffer):
                (word,) = _u32(buffer, at)
                end = start + (word & whole_bytes)
            if end > len(buffer):
                if not self._joined(end - at):
                    return None
                buffer, at = self._buffer, 0
                continue
            if word >> 24 != self._number and not (self._restarts and word >> 24 == 1):
                raise WireError(f"packet number {self._number} expected, found {word >> 24}", 3)
            self._number = ((word >> 24) + 1) & 0xFF
            self._restarts = False
            self._at = at = end
            packet = buffer[start:end]
            if end - start == whole_bytes:
                self._parts.append(packet)
                continue
            if self._parts:
                packet = b"".join([*self._parts, packet])
                self._parts = []
            return packet

    def _joined(self, needed: int) -> bool:
        """Puts what has arrived behind what is left of the buffer. False: both have fewer bytes than are needed."""
        left = len(self._buffer) - self._at
        if left + self._fresh_bytes < needed:
            return False
        self._buffer = b"".join([self._buffer[self._at :], *self._fresh])
        self._at = 0
        self._fresh = []
        self._fresh_bytes = 0
        return True


def failure(packet: bytes) -> Failure:
    """The value of a packet that begins with FAILED. Raises WireError."""
    if len(packet) < 3:
        raise WireError("an error's number expected, the packet ends", len(packet))
    said = packet[3:].decode("utf-8", "replace")
    state, said = (said[1:6], said[6:]) if said.startswith("#") else ("", said)
    return Failure(int.from_bytes(packet[1:3], "little"), state, said)
