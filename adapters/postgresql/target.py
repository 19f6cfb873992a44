"""Turns batches into transactions of one PostgreSQL database: guarded, marked with our origin, told in the ledger.

The usual batch costs two round trips, whatever its size: BEGIN, ledger row, one statement a `Write`, and the ledger row
again with the separator go out together; then the transaction is committed. The first of them does not wait for our
store, only the second. Only when the server refuses a row or
a user holds a lock does `isolation` take over, in a transaction of its own. Nothing is ever written that is not
guarded by what the target was known to hold, and no user is waited for longer than the lock timeout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import sql

from adapters.postgresql import ledger
from adapters.postgresql.clock import clock_offset
from adapters.postgresql.fencing import holder, raise_epoch, take_origin
from adapters.postgresql.layouts import layouts, shapes
from adapters.postgresql.pipelining import Reply
from adapters.postgresql.reread import PostgresMoments, reread
from adapters.postgresql.session import connect, lsn_number, translate
from adapters.postgresql.speech import PostgresSpeech
from adapters.relational.assembled.shapes import Shape
from adapters.relational.executor import Executor
from adapters.relational.isolation import isolated
from adapters.relational.layout import Layout
from adapters.relational.ledger import encode, outcome
from adapters.relational.looking import look_again, records_of
from adapters.relational.patience import Patience, Turn
from adapters.relational.refused import Unstorable
from engine.errors import EngineFault, NotSetUp, SystemUnavailable
from engine.fence import Fence
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Outcome, Reread, RowResult

prepared_max: Final = 1000
"""Statement forms kept prepared: tables times kinds times the sets of changed columns that really occur."""

replan_rows_min: Final = 1000
replan_interval_s: Final = 10.0
"""Prepared plans are made anew when we have written so many rows, twice as many, and so on; and after this time. A plan
made for a small table reads all of it, and would be kept while the table grows."""

clock_interval_s: Final = 60.0
"""For so long a measured clock is believed: in that time, two clocks drift apart by a few milliseconds at most."""

DEFERRABLE: Final = (
    "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgdeferrable AND tgrelid IN ("
    "SELECT c.oid FROM unnest(%s::text[], %s::text[]) AS w(schema, name) "
    "JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name))"
)
"""Whether a bound table has anything that is checked, or fired, only at COMMIT."""

Answers: TypeAlias = psycopg.RawCursor[Any] | Reply

SETUP: Final = "duolog setup RULES"


class PostgresTarget:
    """Writes one system; implements `engine.ports.Target`. Used by one thread.

    `engine`: the name under which the ledger knows us; `origin`: the replication origin that marks our transactions;
    `lock_timeout_ms`: how long a batch usually waits for a row that a user has locked; see `Patience`.
    `fence`: a former holder of this engine's name is ended, and never gets it back."""

    def __init__(
        self, system: str, url: str, *, engine: str, origin: str, book: RuleBook, lock_timeout_ms: int = 50,
        fence: Fence | None = None,
    ) -> None:  # fmt: skip
        self.system = system
        self._url = url
        self._engine = engine
        self._origin = origin
        self._book = book
        self._fence = fence
        self._lock_timeout_ms = lock_timeout_ms
        self._patience = Patience(lock_timeout_ms / 1000)
        self._opened: PostgresSpeech | None = None
        self._layouts: dict[str, Layout] = {}
        self._shapes: dict[str, Shape] = {}
        self._deferrable = False
        self._end_batch = ledger.END_BATCH
        self._rows = 0
        self._replan_rows = replan_rows_min
        self._replan_at = 0.0
        self._clock = (0, 0)
        self._clock_at = 0.0
        """When the clock is to be measured again."""

    def open(self) -> None:
        """Connects, marks the session with our origin, and reads the columns' types.

        Raises SystemUnavailable (also when another session has our origin), NotSetUp, SchemaChanged, AccessDenied."""
        self.close()
        conn = connect(self.system, self._url, application_name=self._origin)
        self._layouts, self._shapes = {}, {}
        self._opened = PostgresSpeech(conn, prepared_max, self._lock_timeout_ms)
        self._executor = Executor(self._opened, self._layouts, self._shapes)
        with self._translated(close=True):
            self._mark(conn)
            self._prepare_session(conn)
            if self._fence is not None:
                raise_epoch(conn, self._engine, self.system, self._fence)
            self._read_layouts(conn)
            self._measure_clock()

    def close(self) -> None:
        """Hangs up; may be opened again."""
        if self._opened is not None:
            self._opened.conn.close()
        self._opened = None

    def committed(self, after: int) -> list[Outcome]:
        """The ledger's rows of ours with `number_to > after`, in order. Raises SystemUnavailable, SystemStopped."""
        with self._translated():
            rows = self._speech.run(ledger.COMMITTED, [self._engine, str(after)]).fetchall()
        return [outcome(self.system, number, lsn_number(at), kept) for number, at, kept in rows]

    def apply(self, batch: Batch) -> Outcome:
        """Writes the whole batch in one transaction; see `engine.ports.Target.apply`.

        No record may stand twice in one `Write`, and no `number_to` come twice. Raises SystemUnavailable (the ledger
        tells whether it was committed); AccessDenied, SchemaChanged, SystemStopped (nothing was written)."""
        with self._translated():
            done = self._applied(batch)
        self._patience.learn(batch, done.exceptions)
        return done

    def _applied(self, batch: Batch) -> Outcome:
        """See `apply`. Raises psycopg.Error, too."""
        batch.prepare()
        self._replan(batch.rows)
        try:
            done = self._at_once(batch, self._patience.turn(batch))
            if done is not None:
                return done
        except (psycopg.Error, Unstorable) as error:
            if isinstance(error, psycopg.Error) and (_is_ledgers(error) or self._speech.verdict(error) == "broken"):
                raise
        self._speech.conn.execute("ROLLBACK")
        self._executor.rolled_back()
        batch.is_durable()
        return self._isolated(batch)

    def reread(self, entity: str, keys: Sequence[str]) -> list[Reread]:
        """The rows of these records as they are now, each under its lock; those that a user has locked are left out.

        See `adapters.postgresql.reread` for the position of a record that is not there. Raises SystemUnavailable,
        SystemStopped."""
        with self._translated():
            if entity in self._shapes:
                records = records_of(self._speech, self.system, self._shapes[entity])
                return look_again(PostgresMoments(self._speech.conn), self.system, records, keys)
            return reread(self._speech.conn, self.system, self._layouts[entity], keys)

    def clock(self) -> tuple[int, int]:
        """How far the server's clock is ahead of ours; see `engine.ports.Target.clock`."""
        if time.monotonic() >= self._clock_at:
            with self._translated():
                self._measure_clock()
        return self._clock

    def _measure_clock(self) -> None:
        self._clock = clock_offset(self._speech.conn)
        self._clock_at = time.monotonic() + clock_interval_s

    @property
    def _speech(self) -> PostgresSpeech:
        if self._opened is None:
            raise SystemUnavailable("the connection was lost, or was never opened", system=self.system)
        return self._opened

    def _replan(self, rows: int) -> None:
        """Has the server forget its plans where tables may have grown; see `replan_rows_min`."""
        now = time.monotonic()
        if self._rows >= self._replan_rows or now >= self._replan_at:
            self._speech.run("DISCARD PLANS")
            self._replan_rows = max(replan_rows_min, 2 * self._rows)
            self._replan_at = now + replan_interval_s
        self._rows += rows

    def _at_once(self, batch: Batch, turn: Turn) -> Outcome | None:
        """The usual way: everything in one go. None if our store took longer than the lock timeout, in which users
        might wait for our rows. Raises psycopg.Error; in both cases nothing was written."""
        speech, executor = self._speech, self._executor
        exceptions: list[RowResult] = []
        with speech.together() as pipeline:
            self._begin(batch, turn)
            if batch.pages is None:
                answers = executor.send(batch.writes)
                ended = self._end(batch, self._deferrable)
                exceptions += answers()
            else:
                for writes in batch.parts():
                    exceptions += executor.write(writes)
                ended = self._end(batch, self._deferrable)
            position = self._complete(batch, ended, exceptions)
            pipeline.send()
            if not batch.is_durable(self._lock_timeout_ms / 1000):
                return None
            commit = speech.run("COMMIT")
        return self._outcome(batch, commit, position, exceptions)

    def _isolated(self, batch: Batch) -> Outcome:
        """The other way: part by part, under savepoints. Raises psycopg.Error for what no row is to blame for."""
        speech, executor = self._speech, self._executor

        def rollback() -> None:
            speech.run("ROLLBACK")
            executor.rolled_back()

        exceptions = isolated(executor, batch.parts, lambda: self._begin(batch), rollback)
        position = self._complete(batch, self._end(batch, constraints=True), exceptions)
        return self._outcome(batch, speech.run("COMMIT"), position, exceptions)

    def _begin(self, batch: Batch, turn: Turn | None = None) -> None:
        self._speech.begin(turn)
        self._speech.run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        given = [self._engine, str(batch.number_to), str(batch.forget_to)]
        self._speech.run(ledger.BEGIN_BATCH, given)
        self._executor.begin()

    def _end(self, batch: Batch, constraints: bool) -> Answers:
        """Completes the ledger row when all row locks are held: with `constraints` also those of deferred triggers."""
        if constraints:
            self._speech.run("SET CONSTRAINTS ALL IMMEDIATE")
        return self._speech.run(self._end_batch, [self._engine, str(batch.number_to)])

    def _complete(self, batch: Batch, ended: Answers, exceptions: list[RowResult]) -> str:
        """Adds to the ledger row what was not written as asked; answers the separator as text."""
        answer = ended.fetchone()
        assert answer is not None, "the ledger row is there"
        if exceptions:
            self._speech.run(ledger.PUT_OUTCOME, [self._engine, str(batch.number_to), encode(exceptions)])
        return str(answer[0])

    def _outcome(
        self, batch: Batch, commit: Answers, position: str, exceptions: list[RowResult]
    ) -> Outcome:
        if commit.statusmessage != "COMMIT":
            raise EngineFault("the server ended a transaction without an error", system=self.system)
        return Outcome(self.system, batch.number_to, lsn_number(position), exceptions)

    def _mark(self, conn: psycopg.Connection[Any]) -> None:
        """From now on, every transaction of this session bears our origin in the log."""
        try:
            take_origin(conn, self._origin, self._fence)
        except psycopg.errors.UndefinedObject:
            raise NotSetUp(
                f"there is no replication origin `{self._origin}`", system=self.system, mend=SETUP
            ) from None
        except psycopg.errors.ObjectInUse as error:
            raise SystemUnavailable(
                f"the replication origin `{self._origin}` is in use by the process {holder(error) or '?'}",
                system=self.system,
                mend="none needed if that is a broken connection of ours: the server will notice by itself; "
                "otherwise another duolog runs with these rules: stop it",
            ) from None

    def _prepare_session(self, conn: psycopg.Connection[Any]) -> None:
        conn.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(self._lock_timeout_ms)))
        # The plan for a handful of rows (nested loop, index) is right for any number of them, and made once.
        conn.execute("SET plan_cache_mode = force_generic_plan")
        if conn.execute("SELECT to_regclass('duolog.ledger')").fetchone() == (None,):
            raise NotSetUp("there is no table `duolog.ledger`", system=self.system, mend=SETUP)
        may_number = conn.execute(ledger.MAY_NUMBER).fetchone() == (True,)
        self._end_batch = ledger.END_NUMBERED_BATCH if may_number else ledger.END_BATCH

    def _read_layouts(self, conn: psycopg.Connection[Any]) -> None:
        self._layouts.update(layouts(conn, self._book, self.system))
        self._shapes.update(shapes(conn, self._book, self.system))
        tables = self._book.tables[self.system]
        given = [[table.schema for table in tables], [table.name for table in tables]]
        self._deferrable = conn.execute(DEFERRABLE, given).fetchone() == (True,)

    @contextmanager
    def _translated(self, *, close: bool = False) -> Iterator[None]:
        """Errors of the driver leave as ours; after any error no transaction is left open, with `close` nothing."""
        try:
            yield
        except psycopg.Error as error:
            self._give_up(close)
            if _is_ledgers(error):
                raise EngineFault("a batch was sent that is already in the ledger", system=self.system) from None
            raise translate(error, self.system) from None
        except BaseException:
            self._give_up(close)
            raise

    def _give_up(self, close: bool) -> None:
        if close or self._opened is None:
            self.close()
            return
        try:
            if self._opened.conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._opened.conn.execute("ROLLBACK")
        except psycopg.Error:
            self.close()


def _is_ledgers(error: psycopg.Error) -> bool:
    """True if a batch was begun that is already in the ledger."""
    return error.sqlstate == "23505" and (error.diag.schema_name, error.diag.table_name) == ("duolog", "ledger")
