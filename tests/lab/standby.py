"""Turns a PostgreSQL slot into a standby that confirms what a test tells it to, and nothing else: a bare client of the
streaming protocol, so that what the lab measures depends on nothing of ours."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Self

import psycopg
from psycopg import pq

from tests.crowd import within

NOTHING: Final = 0
"""A position that PostgreSQL takes for none."""
EPOCH_2000_S: Final = 946_684_800


class Commit(NamedTuple):
    """A transaction's end, as the server sent it."""

    start: int
    """Where its commit record begins."""
    end: int
    """Where it ends."""


class Standby:
    """A reader of one slot. It confirms what `confirm` says, and answers no keepalive unless `answers` is set.

    `name`: its application_name. `reads`: False leaves what the server sends lying in the line."""

    def __init__(self, address: str, name: str) -> None:
        self._stream = connected(address, name)
        self.name = name
        self.commits: list[Commit] = []
        self.keepalives = 0
        """How many have arrived."""
        self.told = 0
        """What the last one told of."""
        self.answers = False
        """Each keepalive is answered at once: everything that it tells of is there."""
        self.reads = True
        self.cut_because: str | None = None
        self._confirmed = (NOTHING, NOTHING, NOTHING)
        self._lock = threading.Lock()
        self._woken, self._waker = socket.socketpair()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"standby {name}", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, slot: str, publication: str) -> Self:
        """Reads from now on."""
        options = f"proto_version '1', publication_names '{publication}'"
        result = self._stream.exec_(f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0 ({options})'.encode())
        if result.status != pq.ExecStatus.COPY_BOTH:
            raise psycopg.errors.error_from_result(result)
        self._stream.nonblocking = 1
        self._thread.start()
        return self

    def confirm(self, position: int = NOTHING, *, write: int = 0, flush: int = 0, apply: int = 0) -> None:
        """Tells the server what is there: `position` stands for all three. Told again and again, until something else
        is to be told."""
        with self._lock:
            self._confirmed = (write or position, flush or position, apply or position)
            self._waker.send(b"\0")

    def close(self) -> None:
        """Hangs up."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")
        if self._thread.ident is not None:
            self._thread.join()
        self._stream.finish()
        self._waker.close()
        self._woken.close()

    def _live(self) -> None:
        with selectors.DefaultSelector() as waits:
            waits.register(self._woken, selectors.EVENT_READ)
            listening = False
            try:
                while not self._over.is_set():
                    if self.reads and not listening:
                        waits.register(self._stream.socket, selectors.EVENT_READ)
                        listening = True
                        self._take()  # what came along with the answer to START_REPLICATION
                    ready = [key.fileobj for key, _ in waits.select(timeout=1.0)]
                    if self._woken in ready:
                        self._woken.recv(4096)
                        self._report()
                    if self._stream.socket in ready:
                        self._stream.consume_input()
                        self._take()
            except psycopg.OperationalError as error:
                self.cut_because = str(error)

    def _take(self) -> None:
        while True:
            size, frame = self._stream.get_copy_data(1)
            if size == 0:
                return
            if size < 0:
                raise psycopg.OperationalError("the server ended the stream")
            frame = bytes(frame)
            if frame[:1] == b"w" and frame[25:26] == b"C":
                start, end = struct.unpack_from(">QQ", frame, 27)
                self.commits.append(Commit(start, end))
            elif frame[:1] == b"k":
                self.keepalives += 1
                (self.told,) = struct.unpack_from(">Q", frame, 1)
                if self.answers:
                    with self._lock:
                        self._confirmed = (self.told, self.told, self.told)
                    self._report()

    def _report(self) -> None:
        with self._lock:
            told = self._confirmed
        now_us = int((time.time() - EPOCH_2000_S) * 1_000_000)
        self._stream.put_copy_data(struct.pack(">cQQQqB", b"r", *told, now_us, 0))
        self._stream.flush()


def connected(address: str, name: str) -> pq.abc.PGconn:
    """A connection that may stream."""
    text = psycopg.conninfo.make_conninfo(address, application_name=name, replication="database")
    stream: pq.abc.PGconn = pq.PGconn.connect(text.encode())
    if stream.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError(stream.get_error_message())
    return stream


def until(ready: Callable[[], object], within_s: float = 10.0, what: str = "") -> None:
    """Polls until `ready` answers something true; fails after `within_s`, or more if other tests run beside."""
    within_s = within(within_s)
    deadline = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or ready}"
        time.sleep(0.005)  # the pause between two looks
