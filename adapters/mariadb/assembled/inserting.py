"""Turns new rows of one part into INSERTs, and what the server tells of them into texts, in the order of the rows.

Where all keys are ours, what is stored is asked by them afterwards, and only rows that are stored otherwise come back.
Where the server makes keys, MariaDB returns what it inserts, in the order in which it does; MySQL has no such words, so
there rows are inserted one by one, and each is found by the number that it got.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from adapters.mariadb.assembled import rows
from adapters.mariadb.assembled.belonging import live
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.phrases import reading, untold
from adapters.mariadb.sending import Question, Sending
from adapters.relational.assembled.places import Place
from adapters.relational.refused import Unstorable
from engine.vocabulary import Text

Told: TypeAlias = "tuple[int, list[Sequence[Text]] | None]"
"""(how many rows were inserted, the texts of each, or None if all are stored as they were sent)"""


class Inserting:
    """New rows of one part, of which the same columns are said."""

    def __init__(
        self, sending: Sending, place: Place, sent: Sequence[MariaColumn], made: rows.Made,
        answered: Sequence[MariaColumn],
    ) -> None:  # fmt: skip
        self._sending = sending
        self._place = place
        self._sent = sent
        self._made = [*made, *untold(live([*place.known.values()]), [*sent, *(column for column, _ in made)])]
        self._answered = answered
        self._read = reading(answered)
        names = [column.shape.name for column in sent]
        self._keyed = all(column.shape.name in names for column in place.key_columns())
        """The keys are ours."""
        self._echo = [names.index(column.shape.name) if column.shape.name in names else -1 for column in answered]
        """By what is answered: which of the columns that are sent it is; -1 for none."""
        self._returns = sending.conn.server.flavour == "mariadb"

    def send(self, document: bytes, given: Sequence[Sequence[Text]]) -> Callable[[], Told]:
        """Sends new rows; the answer is told later. `document`: sets these rows."""
        self._sending.send(document)
        if self._keyed and -1 not in self._echo:
            return self._checked(given, every=False)
        if self._returns:
            question = self._sending.send(self._insert(len(given)) + rows.returning(self._place, self._answered))
            return lambda: _listed(list(map(self._read, question.ask().rows)))
        return self._checked(given, every=True) if self._keyed else self._one_by_one(len(given))

    def as_sent(self, given: Sequence[Sequence[Text]]) -> list[Sequence[Text]]:
        """What is answered of rows that are stored as they were sent."""
        return [[row[at] for at in self._echo] for row in given]

    def _checked(self, given: Sequence[Sequence[Text]], *, every: bool) -> Callable[[], Told]:
        made = self._sending.send(self._insert(len(given)))
        stored = self._sending.send(rows.inserted(self._place, self._sent, self._answered, every=every))

        def answer() -> Told:
            count, found = made.ask().count, stored.ask().rows
            if not found:
                return count, None
            told: list[Sequence[Text]] = self.as_sent(given) if not every else [()] * count
            for ordinal, *texts in found:
                told[int(ordinal) - 1] = self._read(texts)
            return count, told

        return answer

    def _one_by_one(self, count: int) -> Callable[[], Told]:
        automatic = next((column for column in live([*self._place.known.values()]) if column.automatic), None)
        if automatic is None:
            table = ".".join(self._place.table)
            raise Unstorable(f"only a trigger of `{table}` knows the new key, and MySQL does not tell it")
        asked: list[Question] = []
        for ordinal in range(1, count + 1):
            self._sending.send(self._insert(1, str(ordinal)))
            asked.append(self._sending.send(rows.numbered(self._place, self._answered, automatic)))
        return lambda: _listed([self._read(row[1:]) for question in asked for row in question.ask().rows])

    def _insert(self, count: int, one: str = "") -> str:
        if not self._sent and not self._made:
            return rows.insert_defaults(self._place, count)
        return rows.insert(self._place, self._sent, self._made, one=one)


def _listed(told: list[Sequence[Text]]) -> Told:
    return len(told), told
