"""Turns what is asked about records of several tables into packets of statements, and rows of answers into texts.

The part of `adapters.relational.speech.Speech` that has to do with parts and codes; `adapters.mariadb.speech` is the
whole. What needs no answer goes out with what does: to lock, look at, and change a batch of records costs as many round
trips as there are questions in it. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from adapters.mariadb import busy
from adapters.mariadb.assembled import codes as coding
from adapters.mariadb.assembled import locating, rows
from adapters.mariadb.assembled.belonging import Judged, chain, live
from adapters.mariadb.assembled.inserting import Inserting, Told
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.phrases import in_key_order, reading
from adapters.mariadb.sending import Answered, Question, Sending
from adapters.relational.assembled.judging import Answer, Judge, judge_of, judged
from adapters.relational.assembled.ordering import steps
from adapters.relational.assembled.places import Codes, Place
from adapters.relational.assembled.shapes import Shape, Strength
from adapters.relational.live import ForeignKey, LiveColumn
from adapters.relational.speech import Columns, Deviations, Draw
from engine.vocabulary import Row, Text

Found = dict[int, dict[int, list[Row]]]
"""By ordinal and part: rows."""


class Parts:
    """The statements about parts and codes of one connection."""

    insert_in_order: Final = True
    checks_each_row: Final = True

    def __init__(self, sending: Sending, *, may_be_patient: bool) -> None:
        self._sending = sending
        self.may_be_patient = may_be_patient
        """A lock that somebody else has may be asked for again, as the transaction stands, and at once, as the server
        can do without a wait."""
        self._made: dict[tuple[object, ...], str] = {}
        """Statements, by what they do to what."""
        self._judges: dict[str, Judge] = {}
        """By entity."""

    # ------------------------------------------------------------ rows that are there

    def lock(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> None:
        """See `Speech.lock`. InnoDB has one lock that keeps others from writing, whatever the `strength`."""
        self._lock(shape.entity, at, shape.places, keys)

    def contested(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> list[int]:
        """See `Speech.contested`."""
        found: set[int] = set()
        for first, document in self._documents(keys):
            self._sending.send(document)
            self._find_busy(self._text(("found", shape.entity, at), locating.found, shape.places, at))
            free = self._sending.send(self._text(("free", shape.entity, at), locating.free, shape.places, at))
            there = self._sending.send(self._text(("there", shape.entity, at), locating.there, shape.places, at))
            others = set(map(tuple, there.ask().rows)) - set(map(tuple, free.ask().rows))
            found.update(first + int(row[0]) for row in others)
        return sorted(found)

    def _find_busy(self, rows: str) -> None:
        """What is sent next with SKIP LOCKED leaves out, without asking, the rows that others have locked."""
        if self.may_be_patient:
            busy.find(self._sending, rows)
        else:
            busy.know(self._sending, [])

    def look(self, shape: Shape, parts: Sequence[int], keys: Columns) -> list[Answer]:
        """See `Speech.look`."""
        return self._look(shape.entity, Judged(shape.assembly, shape.places), parts, keys)

    def records(self, entity: str, belongs: Judged, keys: Columns) -> list[int]:
        """Locks the root rows with these keys, waiting for them; tells which of them are records, by index."""
        self._lock(entity, 0, belongs.places, keys)
        return [ordinal - 1 for ordinal, record, _ in self._look(entity, belongs, (0,), keys) if record]

    def _lock(self, entity: str, at: int, places: Sequence[Place], keys: Columns) -> None:
        if self._sending.patient_until is not None and all(keys):
            columns = live(places[0].key_columns())
            keys = cast("Columns", list(zip(*in_key_order(columns, zip(*keys, strict=True)), strict=True)))
        for _, document in self._documents(keys):
            self._sending.send(document)
            self._sending.lock(self._text(("lock", entity, at), locating.lock, places, at))

    def _look(self, entity: str, what: Judged, parts: Sequence[int], keys: Columns) -> list[Answer]:
        needed = chain(what.places, [*parts, *what.assembly.members])
        found: Found = {}
        for first, document in self._documents(keys):
            self._sending.send(document)
            texts = [self._text(("read", entity, at), locating.read, what.places, at) for at in needed]
            asked = [self._sending.send(text) for text in texts]
            for at, question in zip(needed, asked, strict=True):
                _sort_in(found, first, at, what.places, question.ask())
        # What is no value of a key's column may have found another's row: `abc` is 0 to MariaDB.
        key = what.places[0].key
        given = list(zip(*keys, strict=True))
        found = {
            ordinal: rows
            for ordinal, rows in found.items()
            if 0 in rows and tuple(rows[0][0][position] for position in key) == given[ordinal - 1]
        }
        if entity not in self._judges:
            self._judges[entity] = judge_of(what.assembly, what.places)
        return judged(self._judges[entity], parts, found)

    # ------------------------------------------------------------ rows that are written

    def insert(
        self,
        place: Place,
        sent: Sequence[LiveColumn],
        made: Sequence[tuple[LiveColumn, str]],
        answered: Sequence[LiveColumn],
        values: Columns,
        count: int,
    ) -> Callable[[], Told]:
        """See `Speech.insert`."""
        inserting = Inserting(self._sending, place, live(sent), rows.made_live(made), live(answered))
        given: list[tuple[Text, ...]] = list(zip(*values, strict=True)) if values else [()] * count
        parts, start = [], 0
        for number, document in self._sending.documents(given):
            rows_of_it = given[start : start + number]
            parts.append((inserting.send(document, rows_of_it), rows_of_it))
            start += number

        def answer() -> Told:
            answers = [(part(), rows_of_it) for part, rows_of_it in parts]
            count = sum(number for (number, _), _ in answers)
            if all(texts is None for (_, texts), _ in answers):
                return count, None
            return count, [
                row
                for (_, texts), rows_of_it in answers
                for row in (texts if texts is not None else inserting.as_sent(rows_of_it))
            ]

        return answer

    def update(
        self, place: Place, columns: Sequence[LiveColumn], keys: Columns, values: Columns
    ) -> Callable[[], tuple[int, Deviations | None]]:
        """See `Speech.update`."""
        known = live(columns)
        read = reading(known)
        name = (place.table, place.key, place.part.written, tuple(column.shape.name for column in known))
        parts: list[tuple[int, Question, Question]] = []
        for first, document in self._documents([*keys, *values]):
            self._sending.send(document)
            change = self._sending.send(self._text(("update", *name), rows.update, place, known))
            deviating = self._sending.send(self._text(("updated", *name), rows.updated, place, known))
            parts.append((first, change, deviating))

        def answer() -> tuple[int, Deviations | None]:
            count = sum(change.ask().count for _, change, _ in parts)
            found: Deviations = [
                (first + int(row[0]), read(row[1:])) for first, _, asked in parts for row in asked.ask().rows
            ]
            return count, found or None

        return answer

    def delete(self, place: Place, keys: Columns) -> Callable[[], int]:
        """See `Speech.delete`. Rows that refer to others of the same table go before these."""
        own = [key for key in place.foreign if key.other == place.table]
        if not own:
            questions = self._delete(place, keys)
            return lambda: sum(question.ask().count for question in questions)
        order, circles = steps(len(keys[0]), [pair for key in own for pair in self._references(place, key, keys)])
        if circles:
            self._let_go(place, own, _picked(keys, circles))
            order = [*order, circles]
        stepwise = [question for step in order for question in self._delete(place, _picked(keys, step))]
        return lambda: sum(question.ask().count for question in stepwise)

    def draw(self, draws: Sequence[Draw], count: int) -> Callable[[], Sequence[Sequence[Text]]]:
        """See `Speech.draw`."""
        told = [(said, cast("MariaColumn", column)) for said, column in draws]
        read = reading([column for _, column in told])
        questions = []
        for _, document in self._sending.documents([()] * count):
            self._sending.send(document)
            questions.append(self._sending.send(rows.drawn(told)))
        return lambda: [read(row) for question in questions for row in question.ask().rows]

    # ------------------------------------------------------------ code tables

    def codes(self, codes: Codes, texts: Sequence[str]) -> Callable[[], Sequence[tuple[str, str]]]:
        """See `Speech.codes`."""
        questions = self._about_codes(coding.read(codes), [texts])
        read = reading(live([codes.natural, codes.key]))
        return lambda: [
            cast("tuple[str, str]", tuple(read(row))) for question in questions for row in question.ask().rows
        ]

    def add_codes(self, codes: Codes, texts: Sequence[str]) -> None:
        """See `Speech.add_codes`."""
        for question in self._about_codes(coding.add(codes), [texts]):
            question.ask()

    def changed_codes(self, codes: Codes, keys: Sequence[str], texts: Sequence[str]) -> Callable[[], int]:
        """See `Speech.changed_codes`."""
        questions = self._about_codes(coding.changed(codes), [keys, texts])
        return lambda: sum(int(question.ask().rows[0][0]) for question in questions)

    def _about_codes(self, statement: str, columns: Columns) -> list[Question]:
        questions = []
        for _, document in self._documents(columns):
            self._sending.send(document)
            questions.append(self._sending.send(statement))
        return questions

    # ------------------------------------------------------------ deletions of rows that refer to one another

    def _delete(self, place: Place, keys: Columns) -> list[Question]:
        questions = []
        for _, document in self._documents(keys):
            self._sending.send(document)
            questions.append(self._sending.send(self._text(("delete", place.table, place.key), rows.delete, place)))
        return questions

    def _references(self, place: Place, key: ForeignKey, keys: Columns) -> list[tuple[int, int]]:
        """(ordinal, ordinal that it refers to), among the rows of these keys."""
        width = len(key.columns)
        refers: list[tuple[int, tuple[Text, ...]]] = []
        ordinals: dict[tuple[Text, ...], int] = {}
        for first, document in self._documents(keys):
            self._sending.send(document)
            for row in self._sending.ask(rows.referring(place, key)).rows:
                ordinal = first + int(row[0])
                refers.append((ordinal, tuple(row[1 : 1 + width])))
                ordinals[tuple(row[1 + width :])] = ordinal
        return [(ordinal, ordinals[other]) for ordinal, other in refers if other in ordinals]

    def _let_go(self, place: Place, own: Sequence[ForeignKey], keys: Columns) -> None:
        """Takes away the references of rows that are about to be deleted, where they can be; all else is for the
        database to refuse."""
        names = dict.fromkeys(name for key in own for name in key.columns if place.known[name].shape.nullable)
        keyed = {column.shape.name for column in place.key_columns()}
        free = [name for name in names if name not in keyed]
        for _, document in self._documents(keys) if free else ():
            self._sending.send(document)
            self._sending.send(rows.let_go(place, free))

    # ------------------------------------------------------------ what is sent

    def _text(self, name: tuple[object, ...], build: Callable[..., str], *given: object) -> str:
        text = self._made.get(name)
        if text is None:
            text = self._made[name] = build(*given)
        return text

    def _documents(self, columns: Columns) -> list[tuple[int, bytes]]:
        """What sets the rows of the next statements: (how many rows went before, statement), as often as their size
        asks for."""
        given: list[tuple[Text, ...]] = list(zip(*columns, strict=True))
        found, first = [], 0
        for number, document in self._sending.documents(given) if given else ():
            found.append((first, document))
            first += number
        return found


def _sort_in(found: Found, first: int, at: int, places: Sequence[Place], answer: Answered) -> None:
    """Puts the rows of a part to the ordinals that they were found for. Where parts lie between it and the root, a row
    may be found more than once."""
    read = reading(live(places[at].columns))
    distant = any(join.part for join in places[at].part.joins)
    for ordinal, *texts in answer.rows:
        row: Row = read(texts)
        listed = found.setdefault(first + int(ordinal), {}).setdefault(at, [])
        if not distant or row not in listed:
            listed.append(row)


def _picked(columns: Columns, ordinals: Sequence[int]) -> Columns:
    """Those rows of these columns alone."""
    return [[column[ordinal - 1] for ordinal in ordinals] for column in columns]
