"""A TCP line between duolog and one server that can be cut, stalled and slowed down while it is in use.

`cut` resets every connection, as a router that lost its tables does; `stall` keeps them open and passes nothing, as a
line that has died without a word; `slow` passes a few bytes at a time, each after a pause. It looks into nothing.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Final

CHUNK: Final = 65_536
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER for zero seconds: closing sends RST."""


@dataclass(slots=True, eq=False)
class _Line:
    """One connection: the client's end and the server's end."""

    ends: tuple[socket.socket, socket.socket]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Ends both ends by RST."""
        with self.lock:
            for end in self.ends:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


class Proxy:
    """Passes connections on to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        self._lines: set[_Line] = set()
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._over = threading.Event()
        self._refusing = False
        self._pause_s = 0.0
        self._chunk = CHUNK
        self.cuts = 0
        """Connections that were reset."""
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def address(self, address: str) -> str:
        """The address of a database, by way of this line."""
        return address.replace(f":{self._target}/", f":{self.port}/")

    def cut(self, *, refuse: bool = False) -> None:
        """Resets all connections; with `refuse`, new ones too, until `mend`."""
        self._refusing = refuse
        with self._lock:
            lines, self._lines = self._lines, set()
        self.cuts += len(lines)
        for line in lines:
            line.reset()

    def stall(self) -> None:
        """Passes nothing any more, and tells nobody."""
        self._open.clear()

    def slow(self, pause_s: float, chunk: int = CHUNK) -> None:
        """Passes `chunk` bytes at a time, after a pause."""
        self._pause_s, self._chunk = pause_s, chunk

    def mend(self) -> None:
        """A good line again. What was stalled goes on where it stood."""
        self._refusing = False
        self._pause_s, self._chunk = 0.0, CHUNK
        self._open.set()

    def close(self) -> None:
        """Ends everything."""
        self._over.set()
        self._listening.close()
        self.mend()
        self.cut(refuse=True)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                if self._refusing:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = _Line((client, server))
            with self._lock:
                self._lines.add(line)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(line, source, target), daemon=True).start()

    def _pass_on(self, line: _Line, source: socket.socket, target: socket.socket) -> None:
        try:
            while received := source.recv(CHUNK):
                at = 0
                while at < len(received):
                    self._open.wait()
                    if self._pause_s:
                        self._over.wait(self._pause_s)
                    part = received[at : at + self._chunk]
                    target.sendall(part)
                    at += len(part)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
        except OSError:
            line.reset()
        finally:
            with self._lock:
                if line in self._lines and any(end.fileno() < 0 for end in line.ends):
                    self._lines.discard(line)
