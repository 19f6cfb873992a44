"""Turns what the writing of records asks of a database into PostgreSQL's statements on an open connection.

Each form of statement is made once, and prepared by the server at first use. In a pipeline, what is asked goes out
together. It never begins or ends a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import psycopg

from adapters.postgresql import blame, refusals
from adapters.postgresql.assembled import codes as code_tables
from adapters.postgresql.assembled import locating, rows
from adapters.postgresql.phrases import array_literal, array_literals
from adapters.postgresql.pipelining import Pipeline, Reply
from adapters.postgresql.statements import lockable, parameters, statement, take
from adapters.relational.answers import Answer
from adapters.relational.assembled.places import Codes, Place
from adapters.relational.assembled.shapes import Shape, Strength
from adapters.relational.layout import Layout
from adapters.relational.live import LiveColumn
from adapters.relational.patience import Turn
from adapters.relational.refused import Spot, Verdict
from adapters.relational.speech import Columns, Deviations, Draw
from engine.vocabulary import Text, WriteKind, WriteRow

WAIT_AT_MOST: Final = "SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true)"
"""Of one statement: for each lock, and for all together."""
WAIT_AS_USUAL: Final = ("SET LOCAL statement_timeout TO DEFAULT", "SELECT set_config('lock_timeout', $1, true)")
CANCELED: Final = "57014"


class PostgresSpeech:
    """Implements `relational.speech.Speech` on one connection."""

    errors: Final = psycopg.Error
    insert_in_order: Final = False
    checks_each_row: Final = False

    def __init__(self, conn: psycopg.Connection[Any], prepared_max: int, lock_timeout_ms: int) -> None:
        """`prepared_max`: how many forms of statements the server keeps prepared; `lock_timeout_ms`: the session's."""
        self.conn = conn
        # After a ROLLBACK, psycopg has the server forget all that is prepared, if anything is of its own: ours, too.
        conn.prepare_threshold = None
        self._lock_timeout_ms = lock_timeout_ms
        self._turn: Turn | None = None
        """If the rows of each write are locked first."""
        self._forms: dict[tuple[object, ...], Any] = {}
        self._pipeline = Pipeline(conn, prepared_max)
        self._together = False

    @contextmanager
    def together(self) -> Iterator[Pipeline]:
        """A context in which statements go out together, and answers are waited for when they are asked for."""
        with self._pipeline as pipeline:
            self._together = True
            try:
                yield pipeline
            finally:
                self._together = False

    def run(self, query: str, given: Sequence[str] = ()) -> Reply:
        """Sends a statement with numbered parameters, prepared, as all of ours come again.

        Raises psycopg.Error; in a pipeline it may be another statement's, or come when the answer is fetched."""
        try:
            if self._together:
                return self._pipeline.run(query, given)
            with self._pipeline:
                return self._pipeline.run(query, given)
        except UnicodeEncodeError:
            raise psycopg.DataError(refusals.UNSTORABLE) from None

    def begin(self, turn: Turn | None = None) -> None:
        """A transaction was begun. `turn`: how it asks for its locks, if they are waited for."""
        self._turn = turn if turn is not None and turn.in_order else None

    # ------------------------------------------------------------ rows that are whole records

    def write(
        self, kind: WriteKind, place: Layout, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> Callable[[], Answer]:
        """See `Speech.write`."""
        if self._turn is not None and kind != "insert":
            self._take(self._turn, kind, place, rows)
        form = self._form(("write", kind, place.entity, columns), lambda: statement(kind, place, columns))
        return _one(self.run(form.query, parameters(kind, form, rows)))

    def locked(self, place: Layout, kind: WriteKind, keys: Columns) -> list[int]:
        """See `Speech.locked`."""
        query = lockable(place, kind).as_string()
        there, ours = _one(self.run(query, array_literals(keys)))()
        return [ordinal - 1 for ordinal in sorted(set(there or ()) - set(ours or ()))]

    # ------------------------------------------------------------ records that lie in several tables

    def lock(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> None:
        """See `Speech.lock`."""
        turn = self._turn
        if turn is None:
            query = self._form(("lock", shape.entity, at, strength), lambda: locating.lock(shape, at, strength))
            self.run(query, array_literals(keys))
            return
        name = ("lock", shape.entity, at, strength, turn.backwards)
        query = self._form(name, lambda: locating.lock_in_order(shape, at, strength, backwards=turn.backwards))
        self._wait(turn, query, keys)

    def contested(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> list[int]:
        """See `Speech.contested`."""
        query = self._form(("contested", shape.entity, at, strength), lambda: locating.contested(shape, at, strength))
        return [ordinal for (ordinal,) in self.run(query, array_literals(keys)).fetchall()]

    def look(
        self, shape: Shape, parts: Sequence[int], keys: Columns
    ) -> list[tuple[int, bool, Sequence[Text]]]:
        """See `Speech.look`."""
        query = self._form(("look", shape.entity, tuple(parts)), lambda: locating.look(shape, parts))
        found = self.run(query, array_literals(keys)).fetchall()
        return [(ordinal, record, texts) for ordinal, record, *texts in found]

    def insert(
        self,
        place: Place,
        sent: Sequence[LiveColumn],
        made: Sequence[tuple[LiveColumn, str]],
        answered: Sequence[LiveColumn],
        values: Columns,
        count: int,
    ) -> Callable[[], tuple[int, list[Sequence[Text]] | None]]:
        """See `Speech.insert`."""
        expressions = tuple((column.shape.name, said) for column, said in made)
        name = ("insert", place.entity, place.at, _names(sent), expressions)
        query = self._form(name, lambda: rows.insert(place, sent, made, answered))
        return _one(self.run(query, [*array_literals(values), str(count)]))

    def update(
        self, place: Place, columns: Sequence[LiveColumn], keys: Columns, values: Columns
    ) -> Callable[[], tuple[int, Deviations | None]]:
        """See `Speech.update`."""
        name = ("update", place.table, place.key, place.part.written, _names(columns))
        query = self._form(name, lambda: rows.update(place, columns))
        return _one(self.run(query, [*array_literals(keys), *array_literals(values)]))

    def delete(self, place: Place, keys: Columns) -> Callable[[], int]:
        """See `Speech.delete`."""
        query = self._form(("delete", place.table, place.key), lambda: rows.delete(place))
        answer = _one(self.run(query, array_literals(keys)))
        return lambda: answer()[0]

    def draw(self, draws: Sequence[Draw], count: int) -> Callable[[], Sequence[Sequence[Text]]]:
        """See `Speech.draw`."""
        return self.run(rows.drawn(draws), [str(count)]).fetchall

    def codes(self, codes: Codes, texts: Sequence[str]) -> Callable[[], Sequence[tuple[str, str]]]:
        """See `Speech.codes`."""
        return self.run(code_tables.read(codes), [array_literal(texts)]).fetchall

    def add_codes(self, codes: Codes, texts: Sequence[str]) -> None:
        """See `Speech.add_codes`."""
        self.run(code_tables.add(codes), [array_literal(texts)])

    def changed_codes(self, codes: Codes, keys: Sequence[str], texts: Sequence[str]) -> Callable[[], int]:
        """See `Speech.changed_codes`."""
        answer = _one(self.run(code_tables.changed(codes), [array_literal(keys), array_literal(texts)]))
        return lambda: answer()[0]

    # ------------------------------------------------------------ savepoints and errors

    def savepoint(self) -> None:
        """See `Speech.savepoint`."""
        self.run("SAVEPOINT segment")
        self.run("SET CONSTRAINTS ALL DEFERRED")

    def check(self) -> None:
        """See `Speech.check`."""
        self.run("SET CONSTRAINTS ALL IMMEDIATE")

    def rollback_to(self) -> None:
        """See `Speech.rollback_to`."""
        self.run("ROLLBACK TO SAVEPOINT segment")
        self.run("RELEASE SAVEPOINT segment")

    def release(self) -> None:
        """See `Speech.release`."""
        self.run("RELEASE SAVEPOINT segment")

    def stop_waiting(self) -> None:
        """See `Speech.stop_waiting`."""
        self.run("SET LOCAL lock_timeout = '1ms'")

    def verdict(self, error: Exception) -> Verdict:
        """See `Speech.verdict`."""
        if self.conn.closed:
            return "broken"
        said = cast("psycopg.Error", error)
        return "blocked" if self._turn is not None and said.sqlstate == CANCELED else refusals.verdict(said)

    def reason(self, error: Exception, spots: Sequence[Spot]) -> str:
        """See `Speech.reason`."""
        said = cast("psycopg.Error", error)
        return blame.reason(self.conn, said, spots) if spots else refusals.reason(said)

    def _take(self, turn: Turn, kind: WriteKind, place: Layout, rows: Sequence[WriteRow]) -> None:
        """Locks rows in the order of their keys."""
        name = ("take", kind == "delete", place.entity, turn.backwards)
        query = self._form(name, lambda: take(place, kind, backwards=turn.backwards).as_string())
        self._wait(turn, query, cast("Columns", list(zip(*(row[2] for row in rows), strict=True))))

    def _wait(self, turn: Turn, query: str, keys: Columns) -> None:
        """Carries out a statement that locks rows. If it takes too long, that is an error of class `blocked`."""
        self.run(WAIT_AT_MOST, [str(round(turn.within_s * 1000))])
        self.run(query, array_literals(keys))
        timeout, lock_timeout = WAIT_AS_USUAL
        self.run(timeout)
        self.run(lock_timeout, [str(self._lock_timeout_ms)])

    def _form(self, name: tuple[object, ...], build: Callable[[], Any]) -> Any:
        form = self._forms.get(name)
        if form is None:
            form = self._forms[name] = build()
        return form


def _one(reply: Reply) -> Callable[[], Any]:
    """The answer of a statement that answers one row."""

    def answer() -> Any:
        row = reply.fetchone()
        assert row is not None, "every form of a write answers one row"
        return row

    return answer


def _names(columns: Sequence[LiveColumn]) -> tuple[str, ...]:
    return tuple(column.shape.name for column in columns)
