"""Turns batches into transactions of one MariaDB or MySQL server: guarded, and told in the ledger, first and last.

The usual batch costs two round trips, whatever its size: BEGIN, ledger row, the statements of each `Write` and the
separator go out together; then the ledger row is completed and the transaction committed. A row that a user has locked
ends that at once, as MariaDB's shortest wait is a second and nobody may wait so long for us. In a second try the rows
of each `Write` are locked first, one after the other, and the one that is missing is asked for again until the lock
timeout is over. Then, and when the server refuses a row, `isolation` takes over, in a transaction of its own. Nothing
is ever written that is not guarded by what the target was known to hold.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Final

import pymysql

from adapters.mariadb import alone, fencing, ledger, refusals, reread, separator
from adapters.mariadb.clock import clock_offset
from adapters.mariadb.layouts import layouts, shapes
from adapters.mariadb.names import application_name
from adapters.mariadb.positions import from_text, text
from adapters.mariadb.sending import Question, Sending
from adapters.mariadb.session import Connection, ask, connect, error_number, execute, translate
from adapters.mariadb.speech import MariaSpeech
from adapters.mariadb.switch import MariaSwitch
from adapters.relational.assembled.shapes import Shape
from adapters.relational.executor import Executor
from adapters.relational.isolation import isolated
from adapters.relational.layout import Layout
from adapters.relational.looking import look_again, records_of
from adapters.relational.patience import Patience, Turn
from adapters.relational.refused import Unstorable, Verdict
from engine.errors import EngineFault, NotSetUp, StoreBehind, SystemUnavailable
from engine.fence import Fence
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Outcome, Reread, RowResult

clock_interval_s: Final = 60.0
"""For so long a measured clock is believed: in that time, two clocks drift apart by a few milliseconds at most."""

gone_after_s: Final = 180
"""The server ends a connection of ours that has been silent for so long, with its lock: a machine that lost its power
does not hang up, and nobody else may write meanwhile. The clock is measured more often, so we are never silent."""
gone_within_s: Final = 30
"""The same in a transaction, whose locks users wait for. (MySQL has only the former.)"""

first_pause_s: Final = 0.002
"""Where nothing can be asked for again within a transaction (`MariaSpeech.may_be_patient`): after a first lock that
somebody else holds; twice as long after the next."""

STUCK: Final = "a write of an engine that is gone waited at COMMIT with the users, and no engine read"
SETUP: Final = "duolog setup RULES"


class MariaTarget:
    """Writes one system; implements `engine.ports.Target`. Used by one thread.

    `engine`: the name under which the ledger knows us; `lock_timeout_ms`: how long a batch is usually tried again
    because of rows that a user has locked (see `Patience`); and so long, at most, it holds others meanwhile.
    `fence`: a former holder of this engine's name is ended, and never gets it back."""

    def __init__(
        self, system: str, url: str, *, engine: str, book: RuleBook, lock_timeout_ms: int = 50,
        fence: Fence | None = None,
    ) -> None:  # fmt: skip
        self.system = system
        self._url = url
        self._engine = engine
        self._book = book
        self._fence = fence
        self._lock_timeout_s = lock_timeout_ms / 1000
        self._patience = Patience(self._lock_timeout_s)
        self._opened: MariaSpeech | None = None
        self._layouts: dict[str, Layout] = {}
        self._shapes: dict[str, Shape] = {}
        self._entry: Question | None = None
        """The statement that began the ledger's row of the batch."""
        self._clock = (0, 0)
        self._clock_at = 0.0
        """When the clock is to be measured again."""

    def open(self) -> None:
        """Connects, takes the lock of the only engine that writes here, and reads the columns' types.

        Raises SystemUnavailable (also when another connection has that lock), NotSetUp, SchemaChanged, AccessDenied."""
        self.close()
        conn = connect(self.system, self._url, application_name=application_name(self._engine))
        self._layouts, self._shapes = {}, {}
        self._opened = MariaSpeech(Sending(conn))
        with self._translated(close=True):
            timeouts_end_all = _prepare_session(conn, self.system)
            self._be_alone(conn)
            self._opened = MariaSpeech(Sending(conn), timeouts_end_all=timeouts_end_all)
            self._layouts.update(layouts(conn, self._book, self.system))
            self._shapes.update(shapes(conn, self._book, self.system))
            self._executor = Executor(self._opened, self._layouts, self._shapes)
            self._measure_clock()

    def _be_alone(self, conn: Connection) -> None:
        """Takes our lock; with a fence, from whoever has it. A write of ours that an engine's death has left waiting at
        COMMIT keeps it, behind users who wait for a reader, and nothing is read before it is known what became of that
        write: so all are let go."""
        if self._fence is not None:
            fencing.take_over(conn, self._engine, self.system, self._fence)
            return
        try:
            alone.take(conn, self._engine, self.system)
        except SystemUnavailable:
            rule = self._book.synchronous.get(self.system)
            if rule is None or not alone.is_stuck(conn, self._engine, self.system):
                raise
            with closing(MariaSwitch(self.system, self._url, engine=self._engine, rule=rule)) as switch:
                switch.release(STUCK, "engine")
            alone.take(conn, self._engine, self.system)

    def close(self) -> None:
        """Hangs up; may be opened again."""
        if self._opened is not None and self._opened.sending.conn.open:
            with suppress(pymysql.MySQLError, OSError):  # it may have been lost before
                self._opened.sending.conn.close()
        self._opened = None

    def committed(self, after: int) -> list[Outcome]:
        """The ledger's rows of ours with `number_to > after`, in order.

        Raises StoreBehind if a batch was sent when the store had more than that: nobody but the ledger can tell, as a
        binlog does not keep a place for us. SystemUnavailable, SystemStopped."""
        with self._translated():
            known = ask(self._speech.sending.conn, ledger.known(self._engine, self.system))[0][0]
            if int(known or 0) > after:
                raise StoreBehind(
                    f"the ledger has batches that were sent when our store knew of those up to {known}; now it knows "
                    f"of those up to {after}: it is an old copy",
                    system=self.system,
                    mend="start with the store that belongs to the ledger, or compare both sides with "
                    "`duolog run RULES --merge-again`",
                )
            rows = ask(self._speech.sending.conn, ledger.committed(self._engine, self.system, after))
        return [ledger.outcome(self.system, number, from_text(at), kept) for number, at, kept in rows]

    def apply(self, batch: Batch) -> Outcome:
        """Writes the whole batch in one transaction; see `engine.ports.Target.apply`.

        No record may stand twice in one `Write`, and no `number_to` come twice. Raises SystemUnavailable (the ledger
        tells whether it was committed); AccessDenied, SchemaChanged, SystemStopped (nothing was written)."""
        batch.is_durable()
        with self._translated():
            done = self._applied(batch)
        self._patience.learn(batch, done.exceptions)
        return done

    def _applied(self, batch: Batch) -> Outcome:
        """See `apply`. Raises pymysql.MySQLError, too."""
        batch.prepare()
        turn = self._patience.turn(batch)
        patient = turn.in_order and self._speech.may_be_patient
        pause, deadline = first_pause_s, time.monotonic() + self._lock_timeout_s
        while True:
            try:
                return self._at_once(batch, turn if patient else None)
            except (pymysql.MySQLError, Unstorable) as error:
                verdict = self._verdict(error)
                if verdict == "broken":
                    raise
                self._rollback()
            if verdict == "refused" or patient or time.monotonic() + pause > deadline:
                return self._isolated(batch)
            patient = self._speech.may_be_patient
            if not patient:
                time.sleep(pause)
                pause *= 2

    def reread(self, entity: str, keys: Sequence[str]) -> list[Reread]:
        """The rows of these records as they are now, each under its lock; those that a user has locked are left out.

        Raises SystemUnavailable, SystemStopped."""
        with self._translated():
            if entity in self._shapes:
                records = records_of(self._speech, self.system, self._shapes[entity])
                return look_again(reread.MariaMoments(self._speech), self.system, records, keys)
            return reread.reread(self._speech, self.system, self._layouts[entity], keys)

    def clock(self) -> tuple[int, int]:
        """How far the clock of the server's log is ahead of ours; see `engine.ports.Target.clock`."""
        if time.monotonic() >= self._clock_at:
            with self._translated():
                self._measure_clock()
        return self._clock

    def _measure_clock(self) -> None:
        self._clock = clock_offset(self._speech.sending.conn)
        self._clock_at = time.monotonic() + clock_interval_s

    @property
    def _speech(self) -> MariaSpeech:
        if self._opened is None:
            raise SystemUnavailable("the connection was lost, or was never opened", system=self.system)
        return self._opened

    def _at_once(self, batch: Batch, turn: Turn | None) -> Outcome:
        """The usual way: everything in one go. Raises pymysql.MySQLError, Unstorable; then nothing stands.

        `turn`: see `MariaSpeech.begin`."""
        exceptions: list[RowResult] = []
        self._begin(batch, turn)
        if batch.pages is None:
            answers = self._executor.send(batch.writes)
            end = separator.send(self._speech.sending)
            exceptions += answers()
        else:
            for writes in batch.parts():
                exceptions += self._executor.write(writes)
            end = separator.send(self._speech.sending)
        return self._complete(batch, end(), exceptions)

    def _isolated(self, batch: Batch) -> Outcome:
        """The other way: part by part, under savepoints. Raises pymysql.MySQLError for what no row is to blame for."""
        exceptions = isolated(self._executor, batch.parts, lambda: self._begin(batch), self._rollback)
        return self._complete(batch, separator.send(self._speech.sending)(), exceptions)

    def _begin(self, batch: Batch, turn: Turn | None = None) -> None:
        speech = self._speech
        batch.prepare()
        speech.sending.send("START TRANSACTION READ WRITE")
        begin, forget = ledger.begin_batch(self._engine, self.system, batch.number_to, batch.forget_to)
        self._entry = speech.sending.send(begin)
        speech.sending.send(forget)
        speech.begin(turn)
        self._executor.begin()

    def _complete(self, batch: Batch, end: separator.End, exceptions: list[RowResult]) -> Outcome:
        """Completes the ledger row, and commits."""
        sending, (position, gtid) = self._speech.sending, end
        sending.send(ledger.end_batch(self._engine, self.system, batch.number_to, text(position), gtid, exceptions))
        sending.ask("COMMIT")
        return Outcome(self.system, batch.number_to, position, exceptions)

    def _rollback(self) -> None:
        sending = self._speech.sending
        sending.forget()
        sending.ask("ROLLBACK")
        self._executor.rolled_back()

    def _verdict(self, error: Exception) -> Verdict:
        if isinstance(error, Unstorable):
            return "refused"
        return "broken" if self._is_ledgers(error) else self._speech.verdict(error)

    def _is_ledgers(self, error: Exception) -> bool:
        """True if a batch was begun that is already in the ledger."""
        sending = self._speech.sending
        return error_number(error) == refusals.DUPLICATE and self._entry is not None and sending.failed is self._entry

    @contextmanager
    def _translated(self, *, close: bool = False) -> Iterator[None]:
        """Errors of the driver leave as ours; after any error no transaction is left open, with `close` nothing."""
        try:
            yield
        except (pymysql.MySQLError, OSError) as error:
            twice = self._opened is not None and self._is_ledgers(error)
            self._give_up(close)
            if twice:
                raise EngineFault("a batch was sent that is already in the ledger", system=self.system) from None
            raise translate(error, self.system) from None
        except BaseException:
            self._give_up(close)
            raise

    def _give_up(self, close: bool) -> None:
        if close or self._opened is None or not self._opened.sending.conn.open:
            self.close()
            return
        try:
            self._opened.sending.forget()
            self._opened.sending.ask("ROLLBACK")
        except (pymysql.MySQLError, OSError):
            self.close()


def _prepare_session(conn: Connection, system: str) -> bool:
    """Has the session wait for nobody, and makes sure that what it writes is logged. True if a timeout ends the whole
    transaction here. Raises NotSetUp, pymysql.MySQLError."""
    mariadb = conn.server.flavour == "mariadb"
    least = 0 if mariadb else 1  # seconds; MySQL cannot but wait
    settings = {"innodb_lock_wait_timeout": least, "lock_wait_timeout": least, "wait_timeout": gone_after_s}
    if mariadb:
        settings |= {"skip_replication": 0, "idle_transaction_timeout": gone_within_s}
    execute(conn, "SET " + ", ".join(f"SESSION {name} = {value}" for name, value in settings.items()))
    asked = "SELECT @@log_bin, @@sql_log_bin, @@binlog_format, @@innodb_rollback_on_timeout"
    ((log, session_log, format_, ends_all),) = ask(conn, asked)
    if log != "1":
        raise NotSetUp(
            "the server writes no binlog", system=system, mend="log_bin = ON in the server's configuration; restart it"
        )
    if session_log != "1":
        raise NotSetUp(
            "what our connections write is not logged: `sql_log_bin` is off", system=system,
            mend="take `SET sql_log_bin = 0` out of the server's `init_connect`",
        )  # fmt: skip
    if format_ != "ROW":
        raise NotSetUp(
            f"the server logs statements, not rows: `binlog_format` is {format_}", system=system,
            mend="SET GLOBAL binlog_format = ROW, and in the server's configuration",
        )  # fmt: skip
    there = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'duolog' AND table_name = 'ledger'"
    if ask(conn, there) != [("1",)]:
        raise NotSetUp("there is no table `duolog.ledger`", system=system, mend=SETUP)
    return bool(ends_all == "1")
