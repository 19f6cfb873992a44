"""Turns one `Write` into one statement on an open connection, and the server's answer into its exceptions.

It knows savepoints and locks, but not batches, ledgers or when to give up: those are `target`'s and `isolation`'s
affair. It never begins or ends a transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from adapters.postgresql import refusals
from adapters.postgresql.answers import row_results
from adapters.postgresql.isolation import Blocked, Refused
from adapters.postgresql.phrases import array_literal
from adapters.postgresql.statements import Layout, Statement, lockable, parameters, statement
from engine.vocabulary import RowResult, Write, WriteKind


class Executor:
    """Writes through one connection; gives `isolation` what it asks of a transaction (`isolation.Writing`).

    `layouts`: by entity. Statement forms are made once, and prepared by the server at first use."""

    def __init__(self, conn: psycopg.Connection[Any], layouts: Mapping[str, Layout]) -> None:
        self.conn = conn
        self._layouts = layouts
        self._forms: dict[tuple[WriteKind, str, tuple[int, ...]], Statement] = {}

    def run(self, query: str, given: Sequence[str] = ()) -> psycopg.RawCursor[Any]:
        """Sends a statement with numbered parameters, prepared, as all of ours come again.

        Raises psycopg.Error; in a pipeline it may be another statement's, or come when the answer is fetched."""
        cursor = psycopg.RawCursor(self.conn)
        try:
            return cursor.execute(query.encode(), given, prepare=True)
        except UnicodeEncodeError:
            raise refusals.Unstorable(refusals.UNSTORABLE) from None

    def send(self, write: Write) -> psycopg.RawCursor[Any]:
        """Sends the statement of a `Write`, which must have rows. Raises psycopg.Error."""
        form = self._form(write)
        return self.run(form.query, parameters(write.kind, form, write.rows))

    def answer(self, write: Write, cursor: psycopg.RawCursor[Any]) -> list[RowResult]:
        """The exceptions of a `Write` that was sent. Raises psycopg.Error."""
        answer = cursor.fetchone()
        assert answer is not None, "every form of a write answers one row"
        if answer[0] == len(write.rows) and answer[2] is None:
            return []
        return row_results(write, self._form(write), self._layouts[write.entity], answer)

    def write(self, write: Write) -> list[RowResult]:
        """Executes one `Write`; answers its exceptions. Raises psycopg.Error."""
        return self.answer(write, self.send(write))

    def locked(self, write: Write) -> list[int]:
        """Which rows of an update or delete somebody else has locked, by index; the others' locks are now ours."""
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
        try:
            # Within a segment things may come in any order; at its end everything must be right.
            self.run("SET CONSTRAINTS ALL DEFERRED")
            yield
            self.run("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            verdict = refusals.verdict(error)
            if self.conn.closed or verdict == "broken":
                raise
            self._undo()
            if verdict == "blocked":
                raise Blocked from error
            raise Refused(refusals.reason(error)) from error
        except BaseException:
            self._undo()
            raise
        self.run("RELEASE SAVEPOINT segment")

    def _undo(self) -> None:
        self.run("ROLLBACK TO SAVEPOINT segment")
        self.run("RELEASE SAVEPOINT segment")

    def _form(self, write: Write) -> Statement:
        key = (write.kind, write.entity, write.columns)
        made = self._forms.get(key)
        if made is None:
            made = self._forms[key] = statement(write.kind, self._layouts[write.entity], write.columns)
        return made
