"""Turns a MariaDB or MySQL binlog into whole transactions of bound rows.

The shell around the pure parts: `resume` says whether reading may go on, `binlog.frames` knows the packets, `assemble`
the transactions. Here are the connection, as a replica has one, and its one reading loop. It never reconnects or waits
to try again (the runner does). The server keeps its log for as long as it was told to, whoever reads it: what is
acknowledged is our own store's affair.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import pymysql
from pymysql.constants import COMMAND

from adapters.mariadb import alone, names, positions, resume, semisync, session
from adapters.mariadb.assemble import Assembler
from adapters.mariadb.binlog.frames import ENDED, EVENT, FAILED, Frames, failure
from adapters.mariadb.endings import failed
from adapters.mariadb.resume import LogFacts, ServerIdentity, read_identity
from adapters.mariadb.waiting import is_held_up
from engine.errors import DuologError, SystemUnavailable, WireError
from engine.rulebook import Table
from engine.vocabulary import Position, Progress, Transaction

__all__ = ["MariaSource", "ServerIdentity", "read_identity"]

heartbeat_s: Final = 1.0
"""The server gives a sign of life, with its position, after so long without an event."""

silence_max_s: Final = 30.0
"""A server that has given none for so long is taken for dead."""

chunk_bytes: Final = 1 << 18
"""How much is received at once."""

turn_bytes: Final = 4 << 20
"""After so much log without a transaction for us, `read` tells how far it has come."""

offset_max: Final = 0xFFFF_FFFF
"""The server can be asked for a file from an offset up to here; beyond it, what we know already is passed over."""

_SETTINGS: Final = (
    "SET @master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum, "
    "@master_heartbeat_period = {ns}, @source_heartbeat_period = {ns}, @mariadb_slave_capability = 4, "
    # The engine may be busy elsewhere, and does not read: that must not look like a reader that is gone.
    "SESSION net_write_timeout = 2147483"
)

_T = TypeVar("_T")


class MariaSource:
    """A Source (see `engine/ports.py`) of one MariaDB or MySQL server.

    `engine`: whose rows in the ledger make a transaction ours (or any of `engines`). `tables`: the bound ones, by
    their number in changes. `identity`: which server the positions belong to; None: not known yet. `skip_own`: tell
    own transactions as Progress. `synchronous`: users may wait at COMMIT for what `delivered` says. `spool_dir`:
    where transactions too large for memory are kept meanwhile. `server_id`: the number by which the server tells its
    readers apart; None: the one that belongs to engine and system."""

    def __init__(
        self,
        system: str,
        url: str,
        *,
        engine: str,
        tables: Sequence[Table],
        identity: ServerIdentity | None,
        engines: Sequence[str] = (),
        skip_own: bool = False,
        synchronous: bool = False,
        spool_dir: Path | None = None,
        server_id: int | None = None,
    ) -> None:
        self.system = system
        self._url = url
        self._engine = engine
        self._tables = tuple(tables)
        self._identity = identity
        self._server_id = names.reader_id(engine, system) if server_id is None else server_id
        self._assembler = Assembler(
            system, tables, engine=engine, engines=engines, skip_own=skip_own, spool_dir=spool_dir
        )
        self._answers = semisync.Answers() if synchronous else None
        self._unsent = b""
        """What the line has not taken yet of an answer."""
        self._stream: session.Connection | None = None
        self._frames = Frames()
        self._facts: LogFacts | None = None
        self._selector: selectors.BaseSelector | None = None
        self._told: Position = 0
        """Everything up to here has been handed over, or told as Progress."""
        self._quiet: Position = 0
        """Nothing for us up to here: Progress that has not been told yet, if beyond `_told`."""
        self._empty = True
        """All that had arrived has been looked at."""
        self._heard_at = 0.0
        self._lock = threading.Lock()
        """Guards what follows: written by any thread, read by the reading one."""
        self._waker: socket.socket | None = None
        self._woken: socket.socket | None = None

    def open(self, resume: Position) -> None:
        """Connects, checks that nothing after `resume` is lost, and has the server send its log from there on.

        Raises SystemUnavailable (try again), or a SystemStopped that names what is wrong and its mend."""
        self.close()
        stream = self._connect()
        try:
            self._facts = self._translated(lambda: self._check(stream, resume))
            self._translated(lambda: self._start(stream, resume))
        except BaseException:
            stream.close()
            raise
        with self._lock:
            self._woken, self._waker = socket.socketpair()
            self._woken.setblocking(False)
            self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(stream._sock, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._frames = Frames()
        self._told = self._quiet = resume
        self._heard_at = time.monotonic()
        self._stream = stream

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """The next whole transaction, Progress, or None after `timeout_s` seconds.

        Raises SystemUnavailable when the connection is lost, WireError, and what stopped the reading."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._answer()
            transaction = self._drain()
            if transaction is not None:
                return transaction
            if self._quiet > self._told:
                self._told = self._quiet
                return Progress(self.system, self._quiet)
            now = time.monotonic()
            if now >= deadline:
                return None
            if self._empty:
                self._wait(deadline - now)

    def keep_alive(self) -> None:
        """To be called at least every second while nobody reads: the server's patience needs nothing from us."""
        self._connected()
        self._answer()
        self._heard_at = time.monotonic()

    def acknowledge(self, position: Position) -> None:
        """Everything up to `position` is durable in our store. The server does not want to know."""

    def delivered(self, position: Position) -> None:
        """Users need not wait for what they committed up to `position`. Any thread; never blocks."""
        if self._answers is not None and position > self._answers.delivered:
            self._answers.delivered = position
            if self._answers:
                self.nudge()

    def nudge(self) -> None:
        """Somebody waits for the server's position. It sends every event at once, so there is nothing to ask it; a
        `read` that waits looks again. Any thread."""
        with self._lock:
            if self._waker is not None:
                with contextlib.suppress(BlockingIOError):  # then enough wakes are under way
                    self._waker.send(b"\0")

    def verify(self) -> None:
        """Looks again at the server's settings and catalog while the log is read: a log that is switched to another
        format, or a table that is gone, may fall silent. Any thread; it opens a connection of its own.

        Raises LogIncomplete, SchemaChanged, WrongServer, PositionForeign or LogReset; SystemUnavailable if it could
        not look."""
        with contextlib.closing(self._connect("check")) as conn:
            self._translated(lambda: self._verify(conn))

    def close(self) -> None:
        """Hangs up, and forgets what was half received."""
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        if self._stream is not None:
            _hang_up(self._stream)
            self._stream = None
        self._assembler.reset()
        self._unsent = b""
        if self._answers is not None:
            self._answers.forget()
        with self._lock:
            for end in (self._waker, self._woken):
                if end is not None:
                    end.close()
            self._waker = self._woken = None

    # ------------------------------------------------------------ before reading

    def _connect(self, what: str = "") -> session.Connection:
        name = " ".join(filter(None, (names.application_name(self._engine), what)))
        return session.connect(self.system, self._url, application_name=name)

    def _check(self, conn: session.Connection, position: Position) -> LogFacts:
        """Judges the server, on the very connection that will read."""
        facts = self._look(conn, newest=True)
        resume.check_position(conn, self.system, facts, position, engine=self._engine)
        return facts

    def _look(self, conn: session.Connection, *, newest: bool) -> LogFacts:
        facts = resume.read_facts(conn)
        if self._identity is not None:
            resume.check_identity(conn, self.system, facts, self._identity, engine=self._engine, newest=newest)
        resume.check_settings(conn, self.system, facts, self._tables)
        hints = resume.check_tables(conn, self.system, self._tables)
        if newest:
            self._assembler.describe(hints, folded=facts.folded)
        return facts

    def _verify(self, conn: session.Connection) -> None:
        told = self._told
        facts = self._look(conn, newest=False)
        # After RESET MASTER the server goes on giving signs of life, at the former position, and sends nothing. But
        # we have also read more than is done where somebody waits for us.
        if not is_held_up(conn) and resume.read_end(conn) < told:
            resume.check_position(conn, self.system, facts, told, engine=self._engine)

    def _start(self, conn: session.Connection, position: Position) -> None:
        """From here on the connection is a stream."""
        facts = self._facts
        assert facts is not None
        session.execute(conn, _SETTINGS.format(ns=int(heartbeat_s * 1e9)))
        begin = position
        if self._answers is not None:
            begin = semisync.reading_from(conn, facts, position, self._answers.delivered)
            alone.take_reading(conn, self._engine, self.system)
            session.execute(conn, semisync.BEGIN)
        _, offset = positions.parts(begin)
        asked = struct.pack("<IHI", offset if offset <= offset_max else 4, 0, self._server_id)
        conn._execute_command(COMMAND.COM_BINLOG_DUMP, asked + facts.file_name(begin).encode())
        conn._sock.setblocking(False)

    def _describe(self) -> None:
        """Asks the live catalog again what the log does not say: a bound table was altered."""
        with contextlib.closing(self._connect("check")) as conn:
            self._translated(lambda: self._look(conn, newest=True))

    def _translated(self, asked: Callable[[], _T]) -> _T:
        try:
            return asked()
        except (pymysql.MySQLError, OSError) as error:
            raise session.translate(error, self.system) from None

    # ------------------------------------------------------------ reading

    def _drain(self) -> Transaction | None:
        """Takes what has arrived, up to the end of the next transaction for us; but not for ever."""
        self._connected()
        take, feed = self._frames.take, self._assembler.feed
        taken, self._empty = 0, False
        try:
            while taken < turn_bytes:
                packet = take()
                if packet is None:
                    if not self._receive():
                        self._empty = True
                        return None
                    continue
                taken += len(packet)
                if not packet or packet[0] != EVENT:
                    raise self._ended(packet)
                item = feed(packet) if self._answers is None else self._fed(self._answers, packet)
                if self._assembler.altered:
                    self._describe()
                if item is None or item.position <= self._told:
                    continue
                if type(item) is Transaction:
                    self._told = item.position
                    return item
                self._quiet = max(self._quiet, item.position)
        except WireError as error:
            error.system = self.system
            raise
        return None

    def _fed(self, answers: semisync.Answers, packet: bytes) -> Transaction | Progress | None:
        """Feeds an event that comes with what the server wants to be told about it."""
        packet, wanted = answers.stripped(packet)
        item = self._assembler.feed(packet)
        if wanted:
            self._frames.restart()
            answers.want(self._assembler.position)
        return item

    def _answer(self) -> None:
        """Lets those go on who need not wait any longer. Never blocks."""
        due = self._answers.due() if self._answers is not None else None
        if due is not None and self._facts is not None:
            _, offset = positions.parts(due)
            self._unsent += semisync.answer(self._facts.file_name(due), offset)
        if not self._unsent:
            return
        try:
            self._unsent = self._unsent[self._connected()._sock.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError, InterruptedError):
            return
        except OSError as error:
            raise self._cut(f"the connection was lost ({type(error).__name__})") from None

    def _receive(self) -> bool:
        """Receives what is there. False: nothing is."""
        stream = self._connected()
        try:
            data = stream._sock.recv(chunk_bytes)
        except (BlockingIOError, ssl.SSLWantReadError, InterruptedError):
            return False
        except OSError as error:
            raise self._cut(f"the connection was lost ({type(error).__name__})") from None
        if not data:
            raise self._cut("the server hung up")
        self._heard_at = time.monotonic()
        self._frames.feed(data)
        self._answer()
        return True

    def _wait(self, seconds: float) -> None:
        """Waits for the server, or for `nudge`."""
        assert self._selector is not None
        silent_at = self._heard_at + silence_max_s
        now = time.monotonic()
        if now >= silent_at:
            raise self._cut(f"the server has given no sign of life for {silence_max_s:.0f} s")
        ready = [key.fileobj for key, _ in self._selector.select(min(seconds, silent_at - now))]
        if self._woken in ready and self._woken is not None:
            with contextlib.suppress(BlockingIOError):
                while self._woken.recv(4096):
                    pass

    def _connected(self) -> session.Connection:
        if self._stream is None:
            raise self._cut("not connected")
        return self._stream

    def _cut(self, found: str) -> SystemUnavailable:
        return SystemUnavailable(found, system=self.system, mend=session.KEEPS_TRYING)

    def _ended(self, packet: bytes) -> DuologError:
        """Why the server ended the stream, or did not start it."""
        kind = packet[0] if packet else -1
        if kind == FAILED:
            assert self._facts is not None
            return failed(
                self.system, self._facts, self._told, failure(packet), engine=self._engine, server_id=self._server_id
            )
        if kind == ENDED and len(packet) < 9:
            return self._cut("the server ended the stream")
        return WireError(f"a packet with an event expected, found byte 0x{max(kind, 0):02x}", 0)


def _hang_up(stream: session.Connection) -> None:
    """Closes the connection without a word: the server is not listening for any."""
    stream._force_close()
