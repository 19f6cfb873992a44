"""Turns a MariaDB's log into a semi-synchronous replica that acknowledges what a test tells it to, and nothing else: a
bare client of the replication protocol, so that what the lab measures depends on nothing of ours."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any, Final, NamedTuple, Self

from pymysql.constants import COMMAND

MARK: Final = 0xEF
"""The first byte of what the two sides of semi-synchronous replication say to each other."""
XID_EVENT: Final = 16
ROTATE_EVENT: Final = 4


class Event(NamedTuple):
    """One event of the log."""

    kind: int
    end: int
    """Where the next one begins."""
    asks: bool
    """The server waits for this one to be acknowledged."""
    file: str


class Replica:
    """A reader of the log from its end on, that has announced itself as semi-synchronous."""

    def __init__(self, server: Any, server_id: int = 77) -> None:
        self._connection = server.connect()
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW MASTER STATUS")
            self.file, position, *_ = cursor.fetchone()
            cursor.execute("SET @master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4")
            cursor.execute("SET @rpl_semi_sync_slave = 1")
        self.events: list[Event] = []
        self.ended: str | None = None
        """Why the stream is at its end."""
        command = struct.pack("<IHI", position, 0, server_id) + self.file.encode()
        self._connection._execute_command(COMMAND.COM_BINLOG_DUMP, command)
        self._line: socket.socket = self._connection._sock
        self._line.settimeout(None)
        self._thread = threading.Thread(target=self._live, name="replica", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def asked(self) -> list[Event]:
        """What the server waits for, or has waited for."""
        return [event for event in self.events if event.asks]

    def acknowledge(self, event: Event) -> None:
        """Tells the server that everything up to the end of this event is there."""
        said = struct.pack("<BQ", MARK, event.end) + event.file.encode()
        self._line.sendall(len(said).to_bytes(3, "little") + b"\0" + said)

    def close(self) -> None:
        """Hangs up, as a cut line does."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection._force_close()

    def _live(self) -> None:
        # The driver would read packets, but it counts them, and the server counts anew after each one that it asked
        # to be acknowledged.
        with contextlib.suppress(OSError), self._line.makefile("rb") as arriving:
            while head := arriving.read(4):
                self._take(arriving.read(int.from_bytes(head[:3], "little")))
        self.ended = self.ended or "the server hung up"

    def _take(self, packet: bytes) -> None:
        """`packet`: an OK byte, the two bytes of semi-synchronous replication, and the event."""
        if packet[0] != 0:
            self.ended = packet[3:].decode(errors="replace")
            return
        assert packet[1] == MARK
        event = packet[3:]
        kind, (end,) = event[4], struct.unpack_from("<I", event, 13)
        if kind == ROTATE_EVENT:
            self.file = event[27:].decode().rstrip("\0")
        self.events.append(Event(kind, end, packet[2] == 1, self.file))
