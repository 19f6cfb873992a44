"""Turns a PostgreSQL replication slot into whole transactions of bound rows, our acknowledgements into its feedback.

The shell around the pure parts: `resume.py` says whether reading may go on, `walsender.py` knows the frames,
`pgoutput.py` the messages, `assemble.py` the transactions. Here is the connection with its one reading loop. It never
reconnects (the runner does), and it confirms nothing to the server but what `acknowledge` was told: positions of
Progress, too, go into our store first. So the slot never gets ahead of the store. Of a synchronous system the server
hears no position that was not `delivered`, as its users wait for that at COMMIT.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import pq

from adapters.postgresql import session, walsender
from adapters.postgresql.assemble import Assembler
from adapters.postgresql.feedback import Feedback
from adapters.postgresql.resume import (
    ServerIdentity,
    check_identity,
    check_publication,
    check_slot,
    lost,
    read_identity,
)
from engine.errors import (
    DuologError,
    PublicationMissing,
    SlotBusy,
    SlotMissing,
    SystemUnavailable,
    WireError,
    WrongServer,
)
from engine.rulebook import Table
from engine.vocabulary import Position, Progress, Transaction

__all__ = ["PostgresSource", "ServerIdentity", "read_identity"]

status_interval_s: Final = 10.0
"""We report by ourselves at least this often, as the server hangs up after wal_sender_timeout (60 s by default)."""
repeat_s: Final = 0.1
"""The same where users wait for us: a walsender that is still catching up, or has not read a changed setting yet, lets
nobody go by what it is told, and neither comes back to it nor says when it would."""

PUBLICATION_MEND: Final = (
    "`duolog setup RULES`, then `duolog run RULES --merge-again`: what was written meanwhile was not sent"
)

PUBLICATION_WARNINGS: Final = (b"55000", b"42704")
"""SQLSTATEs of a stream's notices that mean: something that it was to send from is not there."""

origin_filter_version: Final = 160_000
"""The first server that can leave out replicated transactions (`origin none`)."""


class PostgresSource:
    """A Source (see `engine/ports.py`) of one PostgreSQL database, version 14 or later.

    `slot`, `publication`, `origin`: the names that `duolog setup` gave them; our own writes bear the origin (or one
    of `origins`). `tables`: by their number in changes. `identity`: which server the positions belong to; None: not
    known yet. `skip_own`: tell own transactions as Progress. `origin_none`: have the server leave out every
    replicator's transactions, where it can. `spool_dir`: where large transactions go. `application_name`: how
    pg_stat_replication (and synchronous_standby_names) call us; None: as the slot. `synchronous`: users wait at
    COMMIT for what `delivered` tells."""

    _messages = False
    """The server is asked for messages, too: they tell the numbers of own transactions."""

    def __init__(
        self,
        system: str,
        url: str,
        *,
        slot: str,
        publication: str,
        origin: str,
        tables: Sequence[Table],
        identity: ServerIdentity | None,
        skip_own: bool = False,
        origin_none: bool = False,
        spool_dir: Path | None = None,
        application_name: str | None = None,
        synchronous: bool = False,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.system = system
        self._url = url
        self._slot = slot
        self._publication = publication
        self._tables = tuple(tables)
        self._identity = identity
        self._origin_none = origin_none
        self._name = application_name or slot
        self._assembler = Assembler(
            system, tables, origin=origin, origins=origins, skip_own=skip_own, spool_dir=spool_dir
        )
        self._stream: pq.abc.PGconn | None = None
        self._selector: selectors.BaseSelector | None = None
        self._warning: str | None = None
        """What the server said when it could not find something that it needs."""
        self._told: Position = 0
        """Everything up to here has been handed over, or told as Progress."""
        self._quiet: Position = 0
        """Nothing for us up to here: Progress that has not been told yet, if beyond `_told`."""
        self._awaited: Position = 0
        """Somebody may wait for this position, which ends no transaction that we were sent: what is beside our tables
        and databases waits for us, too."""
        self._reported_at = 0.0
        self._synchronous = synchronous
        self._interval_s = repeat_s if synchronous else status_interval_s
        self._feedback = Feedback(synchronous=synchronous)
        """What was acknowledged, not where reading resumes: that may be read already, and not be durable."""
        self._lock = threading.Lock()
        """Guards what follows: written by any thread, read by the reading one."""
        self._nudged = False
        self._news = False
        """There is something to tell the server."""
        self._waker: socket.socket | None = None
        self._woken: socket.socket | None = None

    def open(self, resume: Position) -> None:
        """Connects, checks that nothing after `resume` is lost, and starts the stream there.

        Raises SystemUnavailable or SlotBusy (try again), or a SystemStopped that names what is wrong and its mend."""
        self.close()
        identity, version = self._check(resume)
        stream = self._start(resume, identity, origin_none=self._origin_none and version >= origin_filter_version)
        stream.nonblocking = 1
        with self._lock:
            self._nudged = self._news = False
            self._woken, self._waker = socket.socketpair()
            self._woken.setblocking(False)
            self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(stream.socket, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._told = self._quiet = resume
        self._warning = None
        self._stream = stream
        self._report()

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """The next whole transaction, Progress, or None after `timeout_s` seconds.

        Raises SystemUnavailable when the connection is lost, WireError, SchemaChanged, and what stopped the stream."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._news:  # also while one transaction follows the other
                self._attend()
            transaction = self._drain()
            if transaction is not None:
                return transaction
            now = time.monotonic()
            if self._quiet > self._told:
                self._told = self._quiet
                return Progress(self.system, self._quiet, awaited=self._synchronous and self._awaited == self._quiet)
            if now >= deadline:
                return None
            self._wait(min(deadline, self._reported_at + self._interval_s) - now)

    def keep_alive(self) -> None:
        """Reports to the server without reading on: to be called at least every second while nobody reads."""
        self._attend()

    def acknowledge(self, position: Position) -> None:
        """Everything up to `position` is durable in our store: the server may forget it. Any thread; never blocks."""
        if self._feedback.acknowledge(position):
            self._wake()

    def delivered(self, position: Position) -> None:
        """Users need not wait for what they committed up to `position`. Any thread; never blocks."""
        if self._feedback.deliver(position):
            self._wake()

    @contextlib.contextmanager
    def withholding(self) -> Iterator[None]:
        """Inside, the server hears of nothing newly delivered, so that a commit can be seen to wait. Any thread."""
        try:
            with self._feedback.withholding():
                yield
        finally:
            self._wake()

    def nudge(self) -> None:
        """Asks the server for its position now: `read` soon tells it as Progress, if it is news. Any thread."""
        self._wake(nudge=True)

    def verify(self) -> None:
        """Looks again at the server's catalog while the stream runs: a table taken out of the publication falls silent
        without a word in the stream. To be called now and then, by any thread; it opens a connection of its own.

        Raises PublicationMissing, SchemaChanged or WrongServer; SystemUnavailable if it could not look."""
        name = f"{self._name}:check"
        with contextlib.closing(session.connect(self.system, self._url, application_name=name)) as connection:
            try:
                if self._identity is not None:
                    check_identity(connection, self.system, self._identity)
                check_publication(connection, self.system, self._publication, self._tables)
            except psycopg.Error as error:
                raise session.translate(error, self.system) from None

    def close(self) -> None:
        """Hangs up, and forgets what was half received. The slot keeps its place."""
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        if self._stream is not None:
            self._stream.finish()
            self._stream = None
        self._assembler.reset()
        with self._lock:
            for end in (self._waker, self._woken):
                if end is not None:
                    end.close()
            self._waker = self._woken = None

    def _check(self, resume: Position) -> tuple[ServerIdentity, int]:
        """Judges the server by its catalog; returns which one it is, and its version."""
        name = f"{self._name}:check"
        with contextlib.closing(session.connect(self.system, self._url, application_name=name)) as connection:
            try:
                if self._identity is not None:
                    check_identity(connection, self.system, self._identity)
                self._check_slot(connection, resume)
                check_publication(connection, self.system, self._publication, self._tables)
                return read_identity(connection, self.system), connection.info.server_version
            except psycopg.Error as error:
                raise session.translate(error, self.system) from None

    def _check_slot(self, connection: psycopg.Connection[Any], resume: Position) -> None:
        check_slot(connection, self.system, self._slot, resume)

    def _connect(self) -> pq.abc.PGconn:
        """A connection that may stream."""
        text = session.connection_string(
            self._url, application_name=self._name, replication=True, system=self.system
        )
        stream: pq.abc.PGconn = pq.PGconn.connect(text.encode())
        if stream.status != pq.ConnStatus.OK:
            failure = psycopg.OperationalError(stream.get_error_message())
            stream.finish()
            raise session.translate_connect(failure, self.system, self._url)
        return stream

    def _start(self, resume: Position, identity: ServerIdentity, *, origin_none: bool) -> pq.abc.PGconn:
        """A connection that streams from `resume` on."""
        stream = self._connect()
        try:
            self._check_same_server(stream, identity)
            stream.notice_handler = self._on_notice
            command = walsender.start_replication(
                self._slot, resume, [self._publication], origin_none=origin_none, messages=self._messages
            )
            result = stream.exec_(command.encode())
            if result.status != pq.ExecStatus.COPY_BOTH:
                raise self._stream_error(result)
        except BaseException:
            stream.finish()
            raise
        return stream

    def _check_same_server(self, stream: pq.abc.PGconn, identity: ServerIdentity) -> None:
        """A name may stand for several servers: what was checked must be what is read."""
        result = stream.exec_(b"IDENTIFY_SYSTEM")
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise self._stream_error(result)
        found = (result.get_value(0, 0) or b"").decode()
        if found != identity.system_identifier:
            raise WrongServer(
                f"the address led to two servers: {identity.system_identifier}, then {found}",
                system=self.system,
                mend="name one server in the address, not a balancer",
            )

    def _drain(self) -> Transaction | None:
        """Takes what has arrived, up to the end of the next transaction for us."""
        stream = self._connected()
        receive, feed = stream.get_copy_data, self._assembler.feed
        header = walsender.data_header_bytes
        try:
            while True:
                size, frame = receive(1)
                if size <= 0:
                    break
                if frame[0] != walsender.DATA:
                    self._on_keepalive(bytes(frame))
                    continue
                item = feed(bytes(frame[header:]))
                if item is None or item.position <= self._told:
                    continue
                if type(item) is Transaction:
                    self._told = item.position
                    return item
                self._quiet = max(self._quiet, item.position)
        except psycopg.Error as error:
            raise session.translate(error, self.system) from None
        except WireError as error:
            error.system = self.system
            raise
        if self._warning is not None:
            raise PublicationMissing(self._warning, system=self.system, mend=PUBLICATION_MEND)
        if size < 0:
            raise self._stream_error(stream.get_result())
        return None

    def _on_keepalive(self, frame: bytes) -> None:
        if frame[0] != walsender.KEEPALIVE:
            raise WireError(f"a frame `w` or `k` expected, found byte 0x{frame[0]:02x}", 0)
        keepalive = walsender.decode_keepalive(frame)
        # In the midst of a transaction its position says nothing of that transaction's end.
        if self._assembler.idle and keepalive.position > max(self._quiet, self._told):
            self._quiet = self._awaited = keepalive.position
        if keepalive.reply:
            self._report()

    def _wait(self, seconds: float) -> None:
        """Waits for the server, for `acknowledge` or `nudge`, or for the time to report; attends to which it was."""
        stream = self._connected()
        assert self._selector is not None
        try:
            if unsent := stream.flush():
                self._selector.modify(stream.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            ready = [key.fileobj for key, _ in self._selector.select(max(0.0, seconds))]
            if unsent:
                self._selector.modify(stream.socket, selectors.EVENT_READ)
            if stream.socket in ready:
                stream.consume_input()
        except psycopg.Error as error:
            raise session.translate(error, self.system) from None
        if self._woken in ready or time.monotonic() - self._reported_at >= self._interval_s:
            self._attend()

    def _attend(self) -> None:
        """Reports, and asks for the server's position if somebody wants to know it."""
        with self._lock:
            nudged, self._nudged, self._news = self._nudged, False, False
            if self._woken is not None:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(4096)
        self._report(reply=nudged)

    def _report(self, *, reply: bool = False) -> None:
        """Tells the server what it may forget, and whom it may answer."""
        stream = self._connected()
        frame = self._feedback.frame(time.time_ns() // 1000, reply=reply)
        self._reported_at = time.monotonic()
        try:
            stream.put_copy_data(frame)
            stream.flush()
        except psycopg.Error as error:
            raise session.translate(error, self.system) from None

    def _wake(self, *, nudge: bool = False) -> None:
        """Interrupts `_wait`."""
        with self._lock:
            self._nudged |= nudge
            if self._waker is not None and not self._news:
                self._news = True
                with contextlib.suppress(BlockingIOError):  # then enough wakes are under way
                    self._waker.send(b"\0")

    def _connected(self) -> pq.abc.PGconn:
        if self._stream is None:
            raise SystemUnavailable("not connected", system=self.system, mend=session.KEEPS_TRYING)
        return self._stream

    def _on_notice(self, notice: pq.abc.PGresult) -> None:
        """Called by libpq. Newer servers only warn of a dropped publication, and silently send nothing from then on."""
        if notice.error_field(pq.DiagnosticField.SQLSTATE) in PUBLICATION_WARNINGS:
            said = notice.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"the publication is gone"
            self._warning = said.decode(errors="replace")

    def _stream_error(self, result: pq.abc.PGresult | None) -> DuologError:
        """Why the server ended the stream, or did not start it."""
        if result is None or result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.COPY_IN):
            return SystemUnavailable("the server ended the stream", system=self.system, mend=session.KEEPS_TRYING)
        error = psycopg.errors.error_from_result(result)
        said = error.diag.message_primary or ""
        match error.sqlstate:
            case "55006":
                return SlotBusy(said, system=self.system, mend="stop the other reader of the slot")
            case "42704" if "publication" in said:
                return PublicationMissing(said, system=self.system, mend=PUBLICATION_MEND)
            case "42704":
                mend = "`duolog setup RULES`, then `duolog run RULES --merge-again`"
                return SlotMissing(said, system=self.system, mend=mend)
            case "55000" | "58P01":
                return lost(self.system, self._slot, said)
            case _:
                return session.translate(error, self.system)
