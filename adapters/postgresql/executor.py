"""Turns writes into statements on an open connection, and the server's answers into their exceptions.

It knows savepoints and locks, but not batches, ledgers or when to give up: those are `target`'s and `isolation`'s
affair. It never begins or ends a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from adapters.postgresql import blame, refusals
from adapters.postgresql.answers import row_results
from adapters.postgresql.assembled.shapes import Shape
from adapters.postgresql.assembled.writer import Assembled
from adapters.postgresql.isolation import Blocked, Refused
from adapters.postgresql.phrases import array_literal
from adapters.postgresql.statements import Layout, Statement, lockable, parameters, statement
from engine.vocabulary import RowResult, Write, WriteKind, WriteRow


class Executor:
    """Writes through one connection; gives `isolation` what it asks of a transaction (`isolation.Writing`).

    `layouts`: by entity with one key everywhere; `shapes`: by entity with keys of this system's own. Statement forms
    are made once, and prepared by the server at first use."""

    def __init__(
        self, conn: psycopg.Connection[Any], layouts: Mapping[str, Layout], shapes: Mapping[str, Shape]
    ) -> None:
        self.conn = conn
        self._layouts = layouts
        self._assembled = Assembled(self.run, shapes)
        self._tried: Sequence[Write] = ()
        """What was written last: of a single row it can be told which field is to blame."""
        self._forms: dict[tuple[WriteKind, str, tuple[int, ...]], Statement] = {}

    def run(self, query: str, given: Sequence[str] = ()) -> psycopg.RawCursor[Any]:
        """Sends a statement with numbered parameters, prepared, as all of ours come again.

        Raises psycopg.Error; in a pipeline it may be another statement's, or come when the answer is fetched."""
        cursor = psycopg.RawCursor(self.conn)
        try:
            return cursor.execute(query.encode(), given, prepare=True)
        except UnicodeEncodeError:
            raise psycopg.DataError(refusals.UNSTORABLE) from None

    def begin(self) -> None:
        """A transaction was begun; what the last one made counts no longer, unless it was committed."""
        self._assembled.begin()

    def rolled_back(self) -> None:
        """The transaction was rolled back."""
        self._assembled.back_to(0)

    def send(self, writes: Sequence[Write]) -> Callable[[], list[RowResult]]:
        """Sends the statements of a list of writes, in their order; answers the question for their exceptions.

        Both raise psycopg.Error."""
        writes = [write for write in writes if write.rows]
        self._assembled.prepare(writes)
        tellers = [self._send(at, write) for at, write in enumerate(writes)]
        self._assembled.finish()

        def answers() -> list[RowResult]:
            self._assembled.read()
            return [result for tell in tellers for result in tell()]

        return answers

    def write(self, writes: Sequence[Write]) -> list[RowResult]:
        """Executes a list of writes; answers their exceptions. Raises psycopg.Error."""
        self._tried = writes
        return self.send(writes)()

    def locked(self, write: Write) -> list[int]:
        """Which rows of a write somebody else has locked, by index; the others' locks are now ours. Rows that are
        inserted anew cannot be locked."""
        if write.entity in self._assembled.shapes:
            return self._assembled.locked(write)
        if write.kind == "insert":
            return []
        query = lockable(self._layouts[write.entity], write.kind).as_string()
        keys = zip(*(row[2] for row in write.rows), strict=True)
        answer = self.run(query, [array_literal(column) for column in keys]).fetchone()
        there, ours = answer or (None, None)
        return [ordinal - 1 for ordinal in sorted(set(there or ()) - set(ours or ()))]

    def stop_waiting(self) -> None:
        """Until the end of the transaction, a lock is asked for, and not waited for."""
        self.run("SET LOCAL lock_timeout = '1ms'")

    @contextmanager
    def segment(self) -> Iterator[None]:
        """A savepoint; see `isolation.Writing`. Raises Blocked, Refused, or psycopg.Error for what no row is to blame
        for."""
        self.run("SAVEPOINT segment")
        mark = self._assembled.mark()
        try:
            # Within a segment things may come in any order; at its end everything must be right.
            self.run("SET CONSTRAINTS ALL DEFERRED")
            yield
            self.run("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            verdict = refusals.verdict(error)
            if self.conn.closed or verdict == "broken":
                raise
            self._undo(mark)
            if verdict == "blocked":
                raise Blocked from error
            raise Refused(self._reason(error)) from error
        except BaseException:
            self._undo(mark)
            raise
        self.run("RELEASE SAVEPOINT segment")

    def _send(self, at: int, write: Write) -> Callable[[], list[RowResult]]:
        """Sends the write number `at` of a list that is prepared."""
        if write.entity in self._assembled.shapes:
            return self._assembled.send(at, write)
        form = self._form(write)
        cursor = self.run(form.query, parameters(write.kind, form, write.rows))
        return lambda: self._answer(write, cursor)

    def _answer(self, write: Write, cursor: psycopg.RawCursor[Any]) -> list[RowResult]:
        answer = cursor.fetchone()
        assert answer is not None, "every form of a write answers one row"
        if answer[0] == len(write.rows) and answer[2] is None:
            return []
        return row_results(write, self._form(write), self._layouts[write.entity], answer)

    def _reason(self, error: psycopg.Error) -> str:
        rows = [(write, row) for write in self._tried for row in write.rows]
        return refusals.reason(error) if len(rows) != 1 else blame.reason(self.conn, error, self._spots(*rows[0]))

    def _spots(self, write: Write, row: WriteRow) -> list[blame.Spot]:
        """The fields of the entity, with what the row gives them."""
        _, _, key, new, _ = row
        given: dict[int, object] = dict(zip(write.columns, new, strict=False))
        shape = self._assembled.shapes.get(write.entity)
        if shape is None:
            place = self._layouts[write.entity]
            given |= zip(place.key, key, strict=True)
            spots = [((place.schema, place.name), column, number) for number, column in place.columns.items()]
            names = place.names
        else:
            spots = [(shape.places[part].table, shape.column(n), n) for n, (part, _) in shape.spots.items()]
            given = {number: value for number, value in given.items() if number not in shape.codes}
            names = shape.names
        texts = {number: value for number, value in given.items() if isinstance(value, str)}
        return [blame.Spot(names[n], table, column, texts.get(n)) for table, column, n in spots]

    def _undo(self, mark: int) -> None:
        self._assembled.back_to(mark)
        self.run("ROLLBACK TO SAVEPOINT segment")
        self.run("RELEASE SAVEPOINT segment")

    def _form(self, write: Write) -> Statement:
        key = (write.kind, write.entity, write.columns)
        made = self._forms.get(key)
        if made is None:
            made = self._forms[key] = statement(write.kind, self._layouts[write.entity], write.columns)
        return made
