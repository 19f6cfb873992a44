"""Turns writes into statements of an open transaction, and the database's answers into their exceptions.

It knows savepoints and locks, but not batches, ledgers or when to give up: those are the target's and `isolation`'s
affair. It never begins or ends a transaction, and knows a database only by its `speech`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import assert_never, cast

from adapters.relational.answers import row_results
from adapters.relational.assembled.shapes import Shape
from adapters.relational.assembled.writer import Assembled
from adapters.relational.isolation import Blocked, Doomed, Lost, Refused
from adapters.relational.layout import Layout
from adapters.relational.refused import Spot, Unstorable
from adapters.relational.speech import Columns, Speech
from engine.vocabulary import RowResult, Write, WriteRow


class Executor:
    """Writes through one connection; gives `isolation` what it asks of a transaction (`isolation.Writing`).

    `layouts`: by entity with one key everywhere; `shapes`: by entity with keys of this system's own."""

    def __init__(self, speech: Speech, layouts: Mapping[str, Layout], shapes: Mapping[str, Shape]) -> None:
        self._speech = speech
        self._layouts = layouts
        self._assembled = Assembled(speech, shapes)
        self._tried: Sequence[Write] = ()
        """What was written last: of a single row it can be told which field is to blame."""

    def begin(self) -> None:
        """A transaction was begun; what the last one made counts no longer, unless it was committed."""
        self._assembled.begin()

    def rolled_back(self) -> None:
        """The transaction was rolled back."""
        self._assembled.back_to(0)

    def send(self, writes: Sequence[Write]) -> Callable[[], list[RowResult]]:
        """Sends the statements of a list of writes, in their order; answers the question for their exceptions.

        Both raise `Speech.errors`, and Unstorable."""
        writes = [write for write in writes if write.rows]
        self._assembled.prepare(writes)
        tellers = [self._send(at, write) for at, write in enumerate(writes)]
        self._assembled.finish()

        def answers() -> list[RowResult]:
            self._assembled.read()
            return [result for tell in tellers for result in tell()]

        return answers

    def write(self, writes: Sequence[Write]) -> list[RowResult]:
        """Executes a list of writes; answers their exceptions. Raises `Speech.errors`, Unstorable."""
        self._tried = writes
        return self.send(writes)()

    def locked(self, write: Write) -> list[int]:
        """Which rows of a write somebody else has locked, by index; the others' locks are now ours. Rows that are
        inserted anew cannot be locked."""
        if write.entity in self._assembled.shapes:
            return self._assembled.locked(write)
        if write.kind == "insert":
            return []
        keys = cast("Columns", list(zip(*(row[2] for row in write.rows), strict=True)))
        return self._speech.locked(self._layouts[write.entity], write.kind, keys)

    def stop_waiting(self) -> None:
        """Until the end of the transaction, a lock is asked for, and not waited for."""
        self._speech.stop_waiting()

    @contextmanager
    def segment(self) -> Iterator[None]:
        """A savepoint; see `isolation.Writing`. Raises Blocked, Refused, Lost, Doomed, or `Speech.errors` for what no
        row is to blame for."""
        self._speech.savepoint()
        mark = self._assembled.mark()
        try:
            # Within a segment things may come in any order; at its end everything must be right.
            yield
            self._speech.check()
        except (self._speech.errors, Unstorable) as error:
            self._failed(error, mark)
        except (Lost, Doomed):
            raise
        except BaseException:
            self._undo(mark)
            raise
        self._speech.release()

    def _failed(self, error: Exception, mark: int) -> None:
        """Undoes a segment that met an error. Raises what that means."""
        verdict = "refused" if isinstance(error, Unstorable) else self._speech.verdict(error)
        match verdict:
            case "broken":
                raise error
            case "lost":
                self._assembled.back_to(0)
                raise Lost from error
            case "doomed":
                self._assembled.back_to(0)
                raise Doomed(self._reason(error)) from error
            case "blocked":
                self._undo(mark)
                raise Blocked from error
            case "refused":
                self._undo(mark)
                raise Refused(self._reason(error)) from error
            case _:
                assert_never(verdict)

    def _send(self, at: int, write: Write) -> Callable[[], list[RowResult]]:
        """Sends the write number `at` of a list that is prepared."""
        if write.entity in self._assembled.shapes:
            return self._assembled.send(at, write)
        place = self._layouts[write.entity]
        answer = self._speech.write(write.kind, place, write.columns, write.rows)
        return lambda: row_results(write, place, answer())

    def _reason(self, error: Exception) -> str:
        if isinstance(error, Unstorable):
            return str(error)
        rows = [(write, row) for write in self._tried for row in write.rows]
        return self._speech.reason(error, self._spots(*rows[0]) if len(rows) == 1 else ())

    def _spots(self, write: Write, row: WriteRow) -> list[Spot]:
        """The fields of the entity, with what the row gives them."""
        _, _, key, new, _ = row
        given: dict[int, object] = dict(zip(write.columns, new, strict=False))
        shape = self._assembled.shapes.get(write.entity)
        if shape is None:
            place = self._layouts[write.entity]
            given |= zip(place.key, key, strict=True)
            spots = [(place.table, column, number) for number, column in place.columns.items()]
            names = place.names
        else:
            spots = [(shape.places[part].table, shape.column(n), n) for n, (part, _) in shape.spots.items()]
            given = {number: value for number, value in given.items() if number not in shape.codes}
            names = shape.names
        texts = {number: value for number, value in given.items() if isinstance(value, str)}
        return [Spot(names[n], table, column, texts.get(n)) for table, column, n in spots]

    def _undo(self, mark: int) -> None:
        self._assembled.back_to(mark)
        self._speech.rollback_to()
