"""Turns what a MariaDB or MySQL server wants acknowledged into answers that are due when the other systems have it,
never before.

Here is what the source knows of semi-synchronous replication, without its connection: the bytes that go before each
event and those of an answer, what is still to be answered, and where the log has to be read from. For the server takes
the place from which a replica reads for an answer of everything before it.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

from adapters.mariadb import positions
from adapters.mariadb.resume import LogFacts, gtids_at, read_end
from adapters.mariadb.session import Connection, ask
from adapters.mariadb.waiting import is_held_up
from engine.errors import WireError
from engine.vocabulary import Position

BEGIN: Final = "SET @rpl_semi_sync_slave = 1, @rpl_semi_sync_replica = 1"
"""Makes the reading that follows one of a semi-synchronous replica. MySQL has the second name too."""

MAGIC: Final = 0xEF
"""What marks the two bytes before an event, and an answer."""

WANTED: Final = 0x01
"""The second of the two: the server wants an answer."""

_ENABLED: Final = """SHOW GLOBAL VARIABLES WHERE Variable_name IN
('rpl_semi_sync_master_enabled', 'rpl_semi_sync_source_enabled')"""


class Answers:
    """What the server wants acknowledged, and what of it may be. Read by one thread; `delivered` is any thread's."""

    def __init__(self) -> None:
        self.delivered: Position = 0
        """Who committed up to here need not wait."""
        self._wanted: deque[Position] = deque()

    def __bool__(self) -> bool:
        """True if something is to be answered sooner or later."""
        return bool(self._wanted)

    def stripped(self, packet: bytes) -> tuple[bytes, bool]:
        """(a packet that carries an event as others get it, whether the server wants it acknowledged).

        Raises WireError."""
        if len(packet) < 3 or packet[1] != MAGIC:
            raise WireError(f"0x{MAGIC:02x} and a flag before an event expected", 1)
        return b"\0" + packet[3:], bool(packet[2] & WANTED)

    def want(self, position: Position) -> None:
        """The server wants to be told when what stands before `position` is delivered."""
        if not self._wanted or position > self._wanted[-1]:
            self._wanted.append(position)

    def due(self) -> Position | None:
        """The last place that may be acknowledged now: that counts for all before it. It is not told twice."""
        found = None
        while self._wanted and self._wanted[0] <= self.delivered:
            found = self._wanted.popleft()
        return found

    def forget(self) -> None:
        """The connection is gone, and with it what was asked there. What is delivered stays so."""
        self._wanted.clear()


def answer(file: str, offset: int) -> bytes:
    """The packet that acknowledges everything up to an offset in a file of the log."""
    body = struct.pack("<BQ", MAGIC, offset) + file.encode()
    return struct.pack("<I", len(body)) + body  # the length's fourth byte is the packet's number: 0


def reading_from(conn: Connection, facts: LogFacts, resume: Position, delivered: Position) -> Position:
    """Where reading has to begin that goes on after `resume`, so that nobody is let go by it who waits.

    `delivered`: who committed up to here need not wait; 0: not known. Raises pymysql.MySQLError."""
    if not any(value not in ("OFF", "0") for _, value in ask(conn, _ENABLED)):
        return resume
    if delivered >= resume:
        return resume
    # Where the server does not tell (MySQL), it begins a new file when nobody waits: so nobody waits before this one.
    head = positions.number(positions.parts(resume)[0], 4)
    return min(resume, max(delivered, committed_before(conn, facts) or head))


def committed_before(conn: Connection, facts: LogFacts) -> Position:
    """A place in the log before which every commit is done, and before everybody who waits; as late as can be told.
    0: MySQL does not tell while somebody waits.

    Raises pymysql.MySQLError."""
    held_up = is_held_up(conn)
    if held_up and conn.server.flavour == "mysql":
        return 0
    end = read_end(conn)
    if not held_up and not is_held_up(conn):
        return end
    file, _ = positions.parts(end)
    # Commits are done in order, so what is done in a file is behind all of the files before it. But when a file is
    # begun while somebody waits, the server takes its head for the place where all is done.
    before = gtids_at(conn, facts, positions.number(file, 4))
    if gtids_at(conn, facts, end) != before:
        return end
    while file > 1:
        file -= 1
        there = gtids_at(conn, facts, positions.number(file, 4))
        if there is None:
            return positions.number(file + 1, 4)
        if there != before:
            return positions.number(file, 4)
    return positions.number(file, 4)
