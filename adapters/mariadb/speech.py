"""Turns writes of one table's rows into statements of an open MariaDB connection, and its answers into texts.

What is sent is answered later, and goes out together with whatever else waits (`sending`). Nobody is waited for: a lock
that somebody holds is an error at once, and whether that is worth another try, of all or of the lock, is the target's
to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

import pymysql

from adapters.mariadb import blame, refusals, statements
from adapters.mariadb.assembled.belonging import Judged
from adapters.mariadb.assembled.speech import Parts
from adapters.mariadb.phrases import in_key_order, reading
from adapters.mariadb.sending import Question, Sending
from adapters.mariadb.statements import Statement
from adapters.relational.answers import Answer
from adapters.relational.layout import Layout
from adapters.relational.patience import Turn
from adapters.relational.refused import Spot, Unstorable, Verdict
from adapters.relational.speech import Columns
from engine.vocabulary import Row, Text, WriteKind, WriteRow

rows_max: Final = 5000
"""Rows of one statement: ordinals are told as one text, and looked up in one."""


class MariaSpeech(Parts):
    """Implements `adapters.relational.speech.Speech`; what concerns records of several tables is in `Parts`."""

    errors: type[Exception] = pymysql.MySQLError

    def __init__(self, sending: Sending, *, timeouts_end_all: bool = False) -> None:
        """`timeouts_end_all`: the server has `innodb_rollback_on_timeout`."""
        patient = sending.conn.server.flavour == "mariadb" and not timeouts_end_all
        super().__init__(sending, may_be_patient=patient)
        self.sending = sending
        self._timeouts_end_all = timeouts_end_all
        self._forms: dict[tuple[WriteKind, int, tuple[int, ...]], tuple[Layout, Statement]] = {}
        self._plain: dict[int, Layout] = {}
        """Layouts of which the engine says what belongs to them, without that; by the id of the layout."""
        self._depth = 0
        self._backwards = False
        """Rows are locked in the opposite order of their keys."""
        self._tried: list[Layout] = []
        """The tables that the transaction has written."""

    def begin(self, turn: Turn | None = None) -> None:
        """A transaction was begun. `turn`: how the locks of rows that are to be changed are tried again, from now on;
        None: they are not."""
        self.sending.patient_until = time.monotonic() + turn.within_s if turn is not None else None
        self._backwards = turn is not None and turn.backwards
        self._depth = 0
        self._tried = []

    # ------------------------------------------------------------ rows that are whole records

    def write(
        self, kind: WriteKind, place: Layout, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> Callable[[], Answer]:
        """See `Speech.write`."""
        self._tried.append(place)
        if isinstance(place.belongs, Judged):
            return self._judged(kind, place, place.belongs, columns, rows)
        if self.sending.patient_until is not None and kind != "insert":
            self._take(place, rows)
        form = self._form(kind, place, columns)
        told = [self._sent(kind, place, form, rows[at : at + rows_max]) for at in range(0, len(rows), rows_max)]
        asked = [each for piece in told for each in piece]
        return lambda: self._answer(kind, place, form, asked)

    def locked(self, place: Layout, kind: WriteKind, keys: Columns) -> list[int]:
        """See `Speech.locked`."""
        found: list[int] = []
        given = list(zip(*keys, strict=True))
        for first, count, document in self._pieces(given):
            self.sending.send(document)
            self._find_busy(statements.keyed(place))
            ours = self.sending.send(statements.ordinals_there(place, "lock"))
            there = self.sending.send(statements.ordinals_there(place, "look"))
            found += [first + ordinal - 1 for ordinal in _ordinals(there) - _ordinals(ours) if ordinal <= count]
        return sorted(found)

    def rows(self, place: Layout, keys: Columns, *, lock: bool) -> list[Row]:
        """The rows of these keys, in the order of the fields that are here. Those that somebody else has locked are
        left out with `lock`, and the others are locked. Raises pymysql.MySQLError, Unstorable."""
        asked = []
        for _, _, document in self._pieces(list(zip(*keys, strict=True))):
            self.sending.send(document)
            if lock:
                self._find_busy(statements.keyed(place))
            asked.append(self.sending.send(statements.read_by_key(place, "lock" if lock else "look")))
        read = reading(statements.live(place, sorted(place.columns)))
        return [read(row) for question in asked for row in question.ask().rows]

    # ------------------------------------------------------------ savepoints and errors

    def savepoint(self) -> None:
        """See `Speech.savepoint`. (A second savepoint of one name would take the place of the first.)"""
        self._depth += 1
        # It has to be there before anything is sent that may be forgotten.
        self.sending.ask(f"SAVEPOINT duolog_{self._depth}")

    def check(self) -> None:
        """See `Speech.check`."""
        self.sending.flush()

    def rollback_to(self) -> None:
        """See `Speech.rollback_to`."""
        self.sending.forget()
        self.sending.send(f"ROLLBACK TO SAVEPOINT duolog_{self._depth}")
        self.release()
        self.sending.flush()

    def release(self) -> None:
        """See `Speech.release`."""
        self.sending.send(f"RELEASE SAVEPOINT duolog_{self._depth}")
        self._depth -= 1

    def stop_waiting(self) -> None:
        """See `Speech.stop_waiting`: nobody is ever waited for."""

    def verdict(self, error: Exception) -> Verdict:
        """See `Speech.verdict`."""
        if not self.sending.conn.open:
            return "broken"
        state = getattr(error, "sqlstate", None) or ""
        inside = refusals.is_doubtful(error) and self._is_as_bound()
        return refusals.verdict(error, sqlstate=state, timeouts_end_all=self._timeouts_end_all, inside=inside)

    def reason(self, error: Exception, spots: Sequence[Spot]) -> str:
        """See `Speech.reason`."""
        return blame.reason(self.sending, error, spots)

    # ------------------------------------------------------------ inside

    def _judged(
        self, kind: WriteKind, place: Layout, belongs: Judged, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> Callable[[], Answer]:
        """Writes the rows of which the engine says that they are records, which are locked before it looks."""
        keys = cast("Columns", list(zip(*(row[2] for row in rows), strict=True)))
        records = self.records(place.entity, belongs, keys)
        if id(place) not in self._plain:
            self._plain[id(place)] = replace(place, belongs=None)
        ask = self.write(kind, self._plain[id(place)], columns, [rows[at] for at in records]) if records else None

        def answer() -> Answer:
            count, ordinals, deviations = ask() if ask is not None else (0, [], None)
            if count == len(rows) and deviations is None:
                return count, None, None
            written = range(1, len(records) + 1) if ordinals is None else ordinals
            told = [[records[ordinal - 1] + 1, texts] for ordinal, texts in deviations or ()]
            return count, [records[ordinal - 1] + 1 for ordinal in written], told or None

        return answer

    def _take(self, place: Layout, rows: Sequence[WriteRow]) -> None:
        """Locks rows in the order of their keys, or backwards. Raises pymysql.MySQLError, Unstorable."""
        keys = in_key_order(statements.live(place, place.key), (cast("Sequence[Text]", row[2]) for row in rows))
        if self._backwards:
            keys.reverse()
        for _, _, document in self._pieces(keys):
            self.sending.send(document)
            self.sending.lock(statements.take(place))

    def _form(self, kind: WriteKind, place: Layout, columns: tuple[int, ...]) -> Statement:
        key = (kind, id(place), columns)
        if key not in self._forms:
            # The layout is kept with its form: so no other can get its id.
            self._forms[key] = place, statements.statement(kind, place, columns)
        return self._forms[key][1]

    def _sent(
        self, kind: WriteKind, place: Layout, form: Statement, rows: Sequence[WriteRow]
    ) -> list[tuple[Sequence[WriteRow], _Asked]]:
        asked = []
        for first, count, document in self._pieces(_given(kind, form, rows)):
            self.sending.send(document)
            before = [self.sending.send(question) for question in form.before][-1]
            change = self.sending.send(form.change) if form.change else None
            after = self.sending.send(form.after) if form.after else None
            asked.append((rows[first : first + count], _Asked(before, change, after)))
        return asked

    def _pieces(self, rows: Sequence[Sequence[Any]]) -> list[tuple[int, int, bytes]]:
        """(index of the first row, how many, the statement that sends them)"""
        pieces, first = [], 0
        for count, document in self.sending.documents(rows):
            pieces.append((first, count, document))
            first += count
        return pieces

    def _answer(
        self, kind: WriteKind, place: Layout, form: Statement, pieces: Sequence[tuple[Sequence[WriteRow], _Asked]]
    ) -> Answer:
        written: list[int] = []
        deviations: list[list[Any]] = []
        first = complete = 0
        read = reading(statements.live(place, form.sent.answers))
        for rows, asked in pieces:
            count = len(rows)
            found = self._found(kind, count, asked)
            complete += len(found) == count
            written += [first + ordinal for ordinal in sorted(found)]
            for ordinal, missing, *texts in asked.after.ask().rows if asked.after is not None else ():
                if int(ordinal) not in found:
                    continue
                if missing == "1":
                    raise Unstorable("the target stores another key than the one it was given")
                deviations.append([first + int(ordinal), list(read(texts))])
            first += count
        everything = complete == len(pieces) and not deviations
        return len(written), None if everything else written, deviations or None

    def _found(self, kind: WriteKind, count: int, asked: _Asked) -> set[int]:
        """The ordinals of the rows that were written."""
        told = _ordinals(asked.before)
        found = set(range(1, count + 1)) - told if kind == "insert" else told
        changed = asked.change.ask().count if asked.change is not None else len(found)
        if changed != len(found):
            raise refusals.Overtaken
        return found

    def _is_as_bound(self) -> bool:
        """True if every table that the transaction has written is there, with all columns."""
        self.sending.forget()
        try:
            for place in {id(place): place for place in self._tried}.values():
                self.sending.ask(statements.probe(place))
        except pymysql.MySQLError:
            return False
        return True


class _Asked:
    """The questions about one piece of a write."""

    __slots__ = ("after", "before", "change")

    def __init__(self, before: Question, change: Question | None, after: Question | None) -> None:
        self.before, self.change, self.after = before, change, after


def _given(kind: WriteKind, form: Statement, rows: Sequence[WriteRow]) -> Sequence[Sequence[Any]]:
    """The rows `u` of a write: key, new values, held values."""
    picked = form.sent.picked
    plain = list(picked) == list(range(max(len(rows[0][3]), len(rows[0][4]))))
    if plain and kind == "update":
        return [(*key, *new, *held) for _, _, key, new, held in rows]
    if plain:
        return [(*row[2], *row[3], *row[4]) for row in rows]
    return [
        (*key, *(new[at] for at in picked if new), *(held[at] for at in picked if held))
        for _, _, key, new, held in rows
    ]


def _ordinals(question: Question) -> set[int]:
    """What a list of ordinals says."""
    told = question.ask().rows[0][0]
    return set(map(int, told.split(","))) if told else set()
