"""Turns writes of tables' rows into T-SQL of an open connection, whole sets at a time, and its answers into texts.

A set of guarded rows is one batch: what is to be compared is compared by the server, to the last blank, and only what
there is to tell comes back. Around it all is as for every database of `adapters.alchemy`.

A transaction begins with XACT_ABORT ON: any error ends it at once, also where the client is cut off in the middle. The
search for the row that is to blame goes on after errors, so its transactions turn that off. Some errors end a
transaction all the same: an error inside a trigger, or its ROLLBACK. That is found out by going back to the savepoint,
as sessions begin transactions by themselves and so look as if theirs went on; then the verdict is `doomed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from sqlalchemy import exc

from adapters.alchemy import refusals
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.rows import reading
from adapters.alchemy.session import Session
from adapters.alchemy.speech import AlchemySpeech, live
from adapters.relational.answers import Answer, Sent, sent
from adapters.relational.assembled.places import Codes, Place
from adapters.relational.layout import Layout
from adapters.relational.live import LiveColumn
from adapters.relational.refused import Unstorable, Verdict
from adapters.relational.speech import Columns, Deviations, Draw
from adapters.sqlserver import statements
from adapters.sqlserver.rows import (
    UNFIT,
    SqlServerRows,
    held_sent,
    keys_sent,
    new_sent,
    pieces,
)
from adapters.sqlserver.statements import Fate, Subject
from engine.vocabulary import Text, WriteKind, WriteRow

OTHER_KEY: Final = "the target stores another key than the one it was given"
ANEW: Final = "IF @@TRANCOUNT = 0 BEGIN TRANSACTION"
"""Drivers differ in whether a transaction that the server has ended may be rolled back. This one may."""
AT_ONCE: Final = "SET XACT_ABORT ON"
GO_ON: Final = "SET XACT_ABORT OFF"
NO_WAIT: Final = "SET LOCK_TIMEOUT 0"


class SqlServerSpeech(AlchemySpeech):
    """Implements `adapters.relational.speech.Speech`.

    `mark`: what stands in front of every statement that changes a table of the application's."""

    binds = False

    def __init__(self, session: Session, mark: str = "") -> None:
        super().__init__(session)
        self._rows = SqlServerRows(session, mark)
        self.rows = self._rows
        self._is_back = False
        """The innermost savepoint has been gone back to, and is still counted."""
        self._said: dict[str, str] = {}
        """What the session was told last, by setting."""
        self._waiting = next((said for said in session.can.session if said.startswith("SET LOCK_TIMEOUT")), "")

    def begin(self) -> None:
        """A transaction was begun."""
        super().begin()
        self._is_back = False
        self._say("abort", AT_ONCE)
        if self._waiting and "wait" in self._said:
            self._say("wait", self._waiting)

    # ------------------------------------------------------------ rows that are whole records

    def _written(self, kind: WriteKind, place: Layout, columns: tuple[int, ...], rows: Sequence[WriteRow]) -> Answer:
        form = sent(kind, place, columns)
        fields = live(place, [columns[at] for at in form.picked])
        answered = live(place, form.answers)
        subject = Subject(place.table, tuple(live(place, place.key)), self._rows.mark)
        empty = [columns[at] in place.empty for at in form.picked]
        asked = self._rows.form(
            ("write", kind, id(place), columns),
            lambda: statements.write(kind, subject, place, fields, answered, empty),
        )
        read = reading(answered)
        written: list[int] = []
        deviations: list[list[Any]] = []
        first = 0
        for piece in pieces(rows):
            told = self._rows.ask(asked, _columns(kind, subject.key, fields, form, piece), len(piece))
            unwritten = set()
            for ordinal, fate, *values in told:
                if fate in _RAISED:
                    raise Unstorable(_RAISED[fate])
                if fate == Fate.UNMATCHED:
                    unwritten.add(ordinal)
                    continue
                texts = list(read(values))
                if texts != [piece[ordinal - 1][3][at] for at in form.picked]:
                    deviations.append([first + ordinal, texts])
            written += [first + ordinal for ordinal in range(1, len(piece) + 1) if ordinal not in unwritten]
            first += len(piece)
        everything = len(written) == len(rows) and not deviations
        return len(written), None if everything else written, sorted(deviations, key=_ordinal) or None

    # ------------------------------------------------------------ records that lie in several tables

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
        key = cast("list[AlchemyColumn]", place.key_columns())
        known, told = cast("list[AlchemyColumn]", list(sent)), cast("list[AlchemyColumn]", list(answered))
        written = cast("list[tuple[AlchemyColumn, str]]", list(made))
        if all(column in sent for column in key) or any(statements.draws(said) for _, said in made):
            return super().insert(place, sent, made, answered, values, count)
        subject = Subject(place.table, tuple(key), self._rows.mark)
        asked = statements.insert_made(subject, known, written, told)
        given = list(zip(*values, strict=True)) if values else [()] * count
        read = reading(told)
        found: list[Sequence[Text]] = []
        for piece in pieces(given):
            rows = self._rows.ask(asked, new_sent(known, piece), len(piece))
            if len(rows) < len(piece):
                raise Unstorable(UNFIT)
            found += [read(each[1 + len(key) :]) for each in rows]
        return lambda: (len(found), found)

    def update(
        self, place: Place, columns: Sequence[LiveColumn], keys: Columns, values: Columns
    ) -> Callable[[], tuple[int, Deviations | None]]:
        """See `Speech.update`."""
        key, known = cast("list[AlchemyColumn]", place.key_columns()), cast("list[AlchemyColumn]", list(columns))
        written = cast("list[tuple[AlchemyColumn, str]]", place.written(known))
        given: list[tuple[Text, ...]] = list(zip(*keys, strict=True))
        new: list[Sequence[Text]] = list(zip(*values, strict=True))
        missing = 0
        deviating: Deviations = []
        for at, fate, stored in self._rows.changed(key, known, given, new, written):
            if fate == Fate.UNMATCHED:
                missing += 1
            elif fate == Fate.STORED and tuple(stored) != tuple(new[at]):
                deviating.append((at + 1, stored))
        return lambda: (len(given) - missing, deviating or None)

    def draw(self, draws: Sequence[Draw], count: int) -> Callable[[], Sequence[Sequence[Text]]]:
        """See `Speech.draw`."""
        known = cast("list[tuple[str, AlchemyColumn]]", list(draws))
        read = reading([column for _, column in known])
        rows = [read(row) for row in self._rows.ask(statements.drawn(known), (), count)]
        return lambda: rows

    def add_codes(self, codes: Codes, texts: Sequence[str]) -> None:
        """See `Speech.add_codes`."""
        natural = cast("AlchemyColumn", codes.natural)
        asked = statements.add_codes(Subject(codes.table, (), self._rows.mark), natural)
        for piece in pieces([(text,) for text in texts]):
            if self._rows.ask(asked, new_sent([natural], piece), len(piece)):
                raise Unstorable(UNFIT)

    # ------------------------------------------------------------ savepoints and errors

    def savepoint(self) -> None:
        """See `Speech.savepoint`."""
        self._say("abort", GO_ON)
        super().savepoint()

    def stop_waiting(self) -> None:
        """See `Speech.stop_waiting`."""
        self._say("wait", NO_WAIT)

    def rollback_to(self) -> None:
        """See `Speech.rollback_to`; the verdict may have gone back already."""
        if self._is_back:
            self._is_back = False
            self._savepoints.pop()
            return
        super().rollback_to()

    def verdict(self, error: Exception) -> Verdict:
        """See `Speech.verdict`. Whether the transaction can go on is found out by going back to the savepoint."""
        said = refusals.verdict(error)
        if said not in ("blocked", "refused"):
            return said
        try:
            if self._savepoints and self._go_back():
                return said
            self.session.conn.exec_driver_sql(ANEW)
        except exc.DBAPIError:
            return "broken"
        if not self._savepoints:
            return said
        return "doomed" if said == "refused" else "lost"

    def _go_back(self) -> bool:
        """Goes back to the innermost savepoint, if that is still there."""
        try:
            self._savepoints[-1].rollback()
        except exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            return False
        self._is_back = True
        return True

    def _say(self, setting: str, words: str) -> None:
        """Tells the session, where it is not told that already."""
        if self._said.get(setting) != words:
            self.session.conn.exec_driver_sql(words)
            self._said[setting] = words


_RAISED: Final = {Fate.LOST: OTHER_KEY, Fate.UNFIT: UNFIT}


def _columns(
    kind: WriteKind, key: Sequence[AlchemyColumn], fields: Sequence[AlchemyColumn], form: Sent,
    rows: Sequence[WriteRow],
) -> list[Sequence[Text]]:  # fmt: skip
    """What is sent: key, new values, held values, by column."""
    keys: list[Sequence[Text]] = [row[2] for row in rows]  # type: ignore[misc]
    new = [[cast("Text", row[3][at]) for at in form.picked] for row in rows] if kind != "delete" else []
    if kind == "insert":
        return [*new_sent(key, keys), *new_sent(fields, new)]
    held, unfit = held_sent(fields, [[cast("Text", row[4][at]) for at in form.picked] for row in rows])
    for at in unfit:
        keys[at] = (None,) * len(key)  # the key of no row
    sent = keys_sent(key, keys)
    return [*sent, *(new_sent(fields, new) if kind == "update" else ()), *held]


def _ordinal(deviation: Sequence[Any]) -> int:
    return int(deviation[0])
