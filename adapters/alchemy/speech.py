"""Turns writes of one table's rows into portable statements of an open connection, and its answers into texts.

Rows are locked and read, compared here with what they are known to hold, and only then written; what is stored is read
again in the same transaction. So no collation, no rounding and no trigger of the database's is ever taken on trust.
Every statement answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy import refusals
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.parts import Judged, Parts
from adapters.alchemy.rows import Key, Rows
from adapters.alchemy.session import Session
from adapters.relational.answers import Answer, Sent, sent
from adapters.relational.layout import Layout
from adapters.relational.refused import Spot, Unstorable, Verdict
from adapters.relational.speech import Columns
from engine.vocabulary import Row, Text, WriteKind, WriteRow

ALL_NOW = "SET CONSTRAINTS ALL IMMEDIATE"
ALL_LATE = "SET CONSTRAINTS ALL DEFERRED"


class AlchemySpeech(Parts):
    """Implements `adapters.relational.speech.Speech`; what concerns records of several tables is in `Parts`."""

    errors: type[Exception] = exc.DBAPIError
    binds: bool = True
    """Values go one by one, each as a parameter of the driver's own making; False: as texts that the database reads."""

    def __init__(self, session: Session) -> None:
        super().__init__(Rows(session))
        self.session = session
        self._savepoints: list[sa.NestedTransaction] = []
        self._plain: dict[int, Layout] = {}
        """Layouts of which the engine says what belongs to them, without that; by the id of the layout."""

    # ------------------------------------------------------------ rows that are whole records

    def write(
        self, kind: WriteKind, place: Layout, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> Callable[[], Answer]:
        """See `Speech.write`."""
        if isinstance(place.belongs, Judged):
            answer = self._judged(kind, place, place.belongs, columns, rows)
        else:
            answer = self._written(kind, place, columns, rows)
        return lambda: answer

    def locked(self, place: Layout, kind: WriteKind, keys: Columns) -> list[int]:
        """See `Speech.locked`."""
        key = live(place, place.key)
        given = list(zip(*keys, strict=True))
        others = self.rows.others(key, given)
        return [at for at, each in enumerate(given) if each in others]

    def found(self, place: Layout, keys: Columns, *, lock: bool) -> list[Row]:
        """The rows of these keys, in the order of the fields that are here. Those that somebody else has locked are
        left out with `lock`, and the others are locked. Raises sqlalchemy.exc.DBAPIError."""
        given = list(zip(*keys, strict=True))
        columns = live(place, sorted(place.columns))
        key = live(place, place.key)
        others = self.rows.others(key, given) if lock else set()
        free = [each for each in given if each not in others]
        rows = self.rows.by_keys(key, columns, free, "look")
        return [rows[each] for each in free if each in rows]

    def _written(self, kind: WriteKind, place: Layout, columns: tuple[int, ...], rows: Sequence[WriteRow]) -> Answer:
        form = sent(kind, place, columns)
        written: list[int] = []
        deviations: list[list[Any]] = []
        for first in range(0, len(rows), self.session.can.keys_at_once):
            piece = rows[first : first + self.session.can.keys_at_once]
            chosen = self._chosen(kind, place, form, columns, piece)
            self._carry_out(kind, place, form, columns, [piece[at] for at in chosen])
            deviations += [
                [first + chosen[at] + 1, texts]
                for at, texts in self._deviating(kind, place, form, columns, [piece[at] for at in chosen])
            ]
            written += [first + at + 1 for at in chosen]
        everything = len(written) == len(rows) and not deviations
        return len(written), None if everything else written, deviations or None

    def _chosen(
        self, kind: WriteKind, place: Layout, form: Sent, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> list[int]:
        """Which of these rows are to be written, by index: those whose guard holds. They are locked."""
        key = live(place, place.key)
        keys = [cast("Key", row[2]) for row in rows]
        if kind == "insert":
            there = self.rows.by_keys(key, key, keys, "look")
            return [at for at, each in enumerate(keys) if each not in there]
        fields = [columns[at] for at in form.picked]
        found = self.rows.by_keys(key, live(place, fields), keys, "lock")
        empty = [number in place.empty for number in fields]
        chosen = []
        for at, row in enumerate(rows):
            stored = found.get(keys[at])
            if stored is None:
                continue
            held = [row[4][number] for number in form.picked]
            if all(
                mine == text or (lax and (mine or "") == (text or ""))
                for mine, text, lax in zip(stored, held, empty, strict=True)
            ):
                chosen.append(at)
        return chosen

    def _carry_out(
        self, kind: WriteKind, place: Layout, form: Sent, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> None:
        if not rows:
            return
        key = live(place, place.key)
        keys = [cast("Key", row[2]) for row in rows]
        if kind == "delete":
            if place.gone:
                gone = cast("tuple[tuple[AlchemyColumn, str], ...]", place.gone)
                texts: list[Sequence[Text]] = [[text for _, text in gone]] * len(rows)
                self.rows.update(key, [column for column, _ in gone], keys, texts, besides(place, gone))
            else:
                self.rows.delete(key, keys)
            return
        fields = live(place, [columns[at] for at in form.picked])
        new = [[cast("Text", row[3][at]) for at in form.picked] for row in rows]
        if kind == "update":
            self.rows.update(key, fields, keys, new, besides(place, [(each, "") for each in fields]))
            return
        given = [*key, *fields]
        values = [[*mine, *texts] for mine, texts in zip(keys, new, strict=True)]
        self.rows.insert(given, values, besides(place, [(each, "") for each in given]))

    def _deviating(
        self, kind: WriteKind, place: Layout, form: Sent, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> Iterator[tuple[int, list[Text]]]:
        """(index, stored texts) of the rows where something else is stored than was sent, or was left to a default."""
        if kind == "delete" or not form.answers or not rows:
            if kind == "insert":
                self._check_keys(place, rows)
            return
        keys = [cast("Key", row[2]) for row in rows]
        stored = self.rows.by_keys(live(place, place.key), live(place, form.answers), keys, "look")
        for at, row in enumerate(rows):
            texts = stored.get(keys[at])
            if texts is None:
                raise Unstorable("the target stores another key than the one it was given")
            given = [row[3][number] for number in form.picked]
            if list(texts) != given:
                yield at, list(texts)

    def _check_keys(self, place: Layout, rows: Sequence[WriteRow]) -> None:
        key = live(place, place.key)
        keys = [cast("Key", row[2]) for row in rows]
        if len(self.rows.by_keys(key, key, keys, "look")) < len(keys):
            raise Unstorable("the target stores another key than the one it was given")

    def _judged(
        self, kind: WriteKind, place: Layout, belongs: Judged, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> Answer:
        """Writes the rows of which the engine says that they are records, which are locked before it looks."""
        keys = cast("Columns", list(zip(*(row[2] for row in rows), strict=True)))
        records = self.records(place.entity, belongs, keys)
        if id(place) not in self._plain:
            self._plain[id(place)] = replace(place, belongs=None)
        if not records:
            return 0, [], None
        count, ordinals, told = self._written(kind, self._plain[id(place)], columns, [rows[at] for at in records])
        if count == len(rows) and told is None:
            return count, None, None
        written = range(1, len(records) + 1) if ordinals is None else ordinals
        deviations = [[records[ordinal - 1] + 1, texts] for ordinal, texts in told or ()]
        return count, [records[ordinal - 1] + 1 for ordinal in written], deviations or None

    # ------------------------------------------------------------ savepoints and errors

    def savepoint(self) -> None:
        """See `Speech.savepoint`."""
        self._savepoints.append(self.session.conn.begin_nested())
        if self.session.can.defers:
            self.session.conn.exec_driver_sql(ALL_LATE)

    def check(self) -> None:
        """See `Speech.check`."""
        if self.session.can.defers:
            self.session.conn.exec_driver_sql(ALL_NOW)

    def rollback_to(self) -> None:
        """See `Speech.rollback_to`."""
        self._savepoints.pop().rollback()

    def release(self) -> None:
        """See `Speech.release`."""
        self._savepoints.pop().commit()

    def begin(self) -> None:
        """A transaction was begun."""
        self._savepoints = []

    def stop_waiting(self) -> None:
        """See `Speech.stop_waiting`: rows are never waited for, and how long else is the session's affair."""

    def verdict(self, error: Exception) -> Verdict:
        """See `Speech.verdict`."""
        return refusals.verdict(error)

    def reason(self, error: Exception, spots: Sequence[Spot]) -> str:
        """See `Speech.reason`."""
        return refusals.reason(error, spots)


def live(place: Layout, numbers: Sequence[int]) -> list[AlchemyColumn]:
    """The columns of these fields."""
    return [cast("AlchemyColumn", place.columns[number]) for number in numbers]


def besides(place: Layout, given: Sequence[tuple[AlchemyColumn, str]]) -> list[tuple[AlchemyColumn, str]]:
    """What is written besides these columns."""
    return cast("list[tuple[AlchemyColumn, str]]", place.besides([column for column, _ in given]))
