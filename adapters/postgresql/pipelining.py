"""Turns statements that are asked one after the other into one trip to the server, on a connection of psycopg's.

psycopg's own pipeline does the same, but comes back to Python's event loop for each statement: of a batch of one row it
took 0.7 ms, most of the time that a user waited at COMMIT for the other system. Here statements are handed to libpq,
which sends them when the first answer is asked for. It never begins or ends a transaction.
"""

from __future__ import annotations

import select
from collections import OrderedDict, deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

OK: Final = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK})
IGNORED: Final = "the statement was not executed, as one before it failed"


class Reply:
    """The answer of one statement, read from the server when it is asked for. As a cursor's."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.result: pq.abc.PGresult | None = None
        """None until it is read."""

    def fetchone(self) -> Any:
        """The first row, or None. Raises psycopg.Error: of this statement, or of one before it."""
        rows = self.fetchall()
        return rows[0] if rows else None

    def fetchall(self) -> list[Any]:
        """All rows. Raises psycopg.Error: of this statement, or of one before it."""
        return self._pipeline.rows(self)

    @property
    def statusmessage(self) -> str:
        """What the server says was done: `COMMIT`. Raises as the others."""
        return (self._pipeline.read(self).command_status or b"").decode()


class Pipeline:
    """A context in which statements go out together. The statements stay prepared for those that follow.

    Leaving it waits for all answers, and raises psycopg.Error for the first statement that failed."""

    def __init__(self, conn: psycopg.Connection[Any], prepared_max: int) -> None:
        """`prepared_max`: statements kept prepared on the server; the one longest unused makes room."""
        self._conn = conn
        self._prepared_max = prepared_max
        self._prepared: OrderedDict[bytes, bytes] = OrderedDict()
        self._number = 0
        self._expected: deque[Reply | tuple[bytes, bytes]] = deque()
        """Answers to come, in order: of a statement, or of the preparation of one (its text and name)."""
        self._unsent = False
        self._poll = select.poll()
        self._poll.register(conn.pgconn.socket, select.POLLIN)
        self._failed: psycopg.Error | None = None

    def __enter__(self) -> Pipeline:
        self._failed = None
        self._make_room()
        self._conn.pgconn.enter_pipeline_mode()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._leave()
        except psycopg.Error:
            if error is None:
                raise
        if error is None and self._failed is not None:
            raise self._failed

    def run(self, query: str, given: Sequence[str]) -> Reply:
        """Asks for a statement with numbered parameters. Raises psycopg.Error if the connection is lost."""
        pgconn = self._conn.pgconn
        text = query.encode()
        values = [value.encode() for value in given]
        if any(b"\0" in value for value in values):
            raise psycopg.DataError("PostgreSQL text cannot contain NUL")
        name = self._prepared.get(text)
        if name is None:
            self._number += 1
            name = b"duolog_%d" % self._number
            pgconn.send_prepare(name, text)
            self._expected.append((text, name))
            self._prepared[text] = name
        else:
            self._prepared.move_to_end(text)
        pgconn.send_query_prepared(name, values)
        reply = Reply(self)
        self._expected.append(reply)
        self._unsent = True
        return reply

    def send(self) -> None:
        """Has the server begin with what was asked for so far, without waiting for an answer."""
        if self._unsent:
            self._unsent = False
            self._conn.pgconn.send_flush_request()
            self._flush()

    def read(self, reply: Reply) -> pq.abc.PGresult:
        """The result of a statement."""
        self.send()
        while reply.result is None:
            if self._failed is not None:
                raise self._failed
            self._read_next()
        return reply.result

    def rows(self, reply: Reply) -> list[Any]:
        """The rows of a statement."""
        result = self.read(reply)
        transformer = Transformer(self._conn)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def _read_next(self) -> None:
        """Reads the next answer. Raises psycopg.Error if it is a failure."""
        expected = self._expected.popleft()
        result = self._result()
        assert result is not None, "each statement has an answer"
        while self._result() is not None:
            pass
        if result.status in OK:
            if isinstance(expected, Reply):
                expected.result = result
            return
        if isinstance(expected, tuple):
            self._prepared.pop(expected[0], None)
        if self._failed is None:
            self._failed = self._error(result)
            raise self._failed

    def _error(self, result: pq.abc.PGresult) -> psycopg.Error:
        if self._conn.pgconn.status != pq.ConnStatus.OK and not result.error_field(pq.DiagnosticField.SQLSTATE):
            return psycopg.OperationalError(result.get_error_message())
        if result.status == pq.ExecStatus.PIPELINE_ABORTED:
            return psycopg.errors.PipelineAborted(IGNORED)
        return psycopg.errors.error_from_result(result)

    def _leave(self) -> None:
        """Reads what is still to come, to the end of the pipeline. Raises psycopg.Error if the connection is lost."""
        pgconn = self._conn.pgconn
        pgconn.pipeline_sync()
        self._flush()
        while self._expected:
            try:
                self._read_next()
            except psycopg.Error:
                if pgconn.status != pq.ConnStatus.OK:
                    self._expected.clear()
                    raise
        result = self._result()
        assert result is not None
        assert result.status == pq.ExecStatus.PIPELINE_SYNC, "the end of a pipeline follows its statements"
        pgconn.exit_pipeline_mode()
        self._unsent = False

    def _result(self) -> pq.abc.PGresult | None:
        """The next result. Others may run while we wait."""
        pgconn = self._conn.pgconn
        while pgconn.is_busy():
            self._poll.poll()
            pgconn.consume_input()
        return pgconn.get_result()

    def _flush(self) -> None:
        """Sends what libpq has; reads meanwhile, as the server may wait for that."""
        pgconn = self._conn.pgconn
        while pgconn.flush():
            self._poll.modify(pgconn.socket, select.POLLIN | select.POLLOUT)
            self._poll.poll()
            self._poll.modify(pgconn.socket, select.POLLIN)
            pgconn.consume_input()

    def _make_room(self) -> None:
        """Forgets the statements that were not used for longest."""
        while len(self._prepared) > self._prepared_max:
            _, name = self._prepared.popitem(last=False)
            self._conn.execute(b"DEALLOCATE " + name)
