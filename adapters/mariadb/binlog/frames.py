"""Turns the bytes of a connection, however they are cut, into whole packets, and a packet out of turn into a WireError.

It holds what has arrived of a packet that is not whole yet, so that a pause in the midst of one loses nothing. It knows
nothing of what packets carry, but for the three that may end a stream.
"""

from __future__ import annotations

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
_KEPT: Final = 1 << 20
"""What has been read of the buffer is thrown away when it is more than this, or all."""


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
        self._buffer = bytearray()
        self._at = 0
        self._parts: list[bytes] = []
        """The beginning of a packet that is longer than one can be."""

    def feed(self, data: bytes) -> None:
        """Some more bytes of the stream."""
        if self._at == len(self._buffer):
            self._buffer.clear()
            self._at = 0
        elif self._at > _KEPT:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    def take(self) -> bytes | None:
        """The next whole packet, without its header; None: it has not all arrived. Raises WireError."""
        buffer, at = self._buffer, self._at
        while True:
            if len(buffer) - at < _HEADER:
                return None
            size = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16
            end = at + _HEADER + size
            if end > len(buffer):
                return None
            if buffer[at + 3] != self._number:
                raise WireError(f"packet number {self._number} expected, found {buffer[at + 3]}", 3)
            self._number = (self._number + 1) & 0xFF
            packet = bytes(memoryview(buffer)[at + _HEADER : end])
            self._at = at = end
            if size == whole_bytes:
                self._parts.append(packet)
                continue
            if self._parts:
                packet = b"".join([*self._parts, packet])
                self._parts = []
            return packet


def failure(packet: bytes) -> Failure:
    """The value of a packet that begins with FAILED. Raises WireError."""
    if len(packet) < 3:
        raise WireError("an error's number expected, the packet ends", len(packet))
    said = packet[3:].decode("utf-8", "replace")
    state, said = (said[1:6], said[6:]) if said.startswith("#") else ("", said)
    return Failure(int.from_bytes(packet[1:3], "little"), state, said)
