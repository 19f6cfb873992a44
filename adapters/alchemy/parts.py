"""Turns what is asked about records of several tables into questions about one table's rows, and puts the answers
together here.

The part of `adapters.relational.speech.Speech` that has to do with parts and codes; `adapters.alchemy.speech` is the
whole. Joins are followed from row to row, and whether a row is a record is the engine's to say: no SQL is asked twice
what it may answer otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from adapters.alchemy import statements
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.rows import Key, Rows, parameters, reading
from adapters.alchemy.statements import NEW, Mode
from adapters.relational.assembled.judging import Answer, Judge, judge_of, judged
from adapters.relational.assembled.ordering import steps
from adapters.relational.assembled.places import Codes, Place
from adapters.relational.assembled.shapes import Shape, Strength
from adapters.relational.live import ForeignKey, LiveColumn
from adapters.relational.refused import Unstorable
from adapters.relational.speech import Columns, Deviations, Draw
from engine.rulebook import Assembly
from engine.vocabulary import Row, Text

Found = dict[int, dict[int, list[Row]]]
"""By ordinal and part: rows."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a root row is a record is for the engine to say, out of its own row and those of all members."""

    assembly: Assembly
    places: tuple[Place, ...]


def belonging(assembly: Assembly, places: Sequence[Place]) -> Judged | None:
    """When a root row is a record. None: it always is."""
    plain = assembly.parts[0].where is None and not assembly.gone and not assembly.members
    return None if plain else Judged(assembly, tuple(places))


class Parts:
    """The statements about parts and codes of one connection."""

    insert_in_order = True
    checks_each_row = True

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._judges: dict[str, Judge] = {}
        """By entity."""

    # ------------------------------------------------------------ rows that are there

    def lock(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> None:
        """See `Speech.lock`. A lock that somebody else has is an error, where the database can tell at once."""
        self._found(shape.places, [at], keys, {at: "lock"})

    def contested(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> list[int]:
        """See `Speech.contested`."""
        place = shape.places[at]
        key = live(place.key_columns())
        found = self._found(shape.places, [at], keys, {})
        named: dict[int, set[Key]] = {
            ordinal: {cast("Key", tuple(row[position] for position in place.key)) for row in rows.get(at, ())}
            for ordinal, rows in found.items()
        }
        others = self.rows.others(key, sorted({each for some in named.values() for each in some}))
        return sorted(ordinal for ordinal, some in named.items() if some & others)

    def look(self, shape: Shape, parts: Sequence[int], keys: Columns) -> list[Answer]:
        """See `Speech.look`."""
        return self._look(shape.entity, Judged(shape.assembly, shape.places), parts, keys)

    def records(self, entity: str, belongs: Judged, keys: Columns) -> list[int]:
        """Locks the root rows with these keys; tells which of them are records, by index."""
        self._found(belongs.places, [0], keys, {0: "lock"})
        return [ordinal - 1 for ordinal, record, _ in self._look(entity, belongs, (0,), keys) if record]

    def _look(self, entity: str, what: Judged, parts: Sequence[int], keys: Columns) -> list[Answer]:
        if entity not in self._judges:
            self._judges[entity] = judge_of(what.assembly, what.places)
        found = self._found(what.places, [*parts, *what.assembly.members], keys, {})
        return judged(self._judges[entity], parts, found)

    def _found(self, places: Sequence[Place], parts: Iterable[int], keys: Columns, modes: dict[int, Mode]) -> Found:
        """The rows of these parts, and of all by which they are found, for each of these root keys."""
        given = list(zip(*keys, strict=True))
        root = places[0]
        rows = self.rows.by_keys(live(root.key_columns()), live(root.columns), given, modes.get(0, "look"))
        found: Found = {ordinal: {0: [rows[key]]} for ordinal, key in enumerate(given, 1) if key in rows}
        for at in chain(places, parts)[1:]:
            self._follow(places, at, found, modes.get(at, "look"))
        return found

    def _follow(self, places: Sequence[Place], at: int, found: Found, mode: Mode) -> None:
        """Adds the rows of one part, which are joined to those of parts before it."""
        place = places[at]
        first = place.part.joins[0]
        wanted = {
            text
            for rows in found.values()
            for row in rows.get(first.part, ())
            if isinstance(text := row[first.other], str)
        }
        by_text: dict[str, list[Row]] = {}
        column = cast("AlchemyColumn", place.columns[first.column])
        for row in self.rows.joined(column, live(place.columns), sorted(wanted), mode) if wanted else ():
            by_text.setdefault(str(row[first.column]), []).append(row)
        for rows in found.values():
            texts = dict.fromkeys(row[first.other] for row in rows.get(first.part, ()))
            rows[at] = [
                row for text in texts if isinstance(text, str) for row in by_text.get(text, ())
                if _is_joined(place, row, rows)
            ]  # fmt: skip

    # ------------------------------------------------------------ rows that are written

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
        known, key = live(sent), live(place.key_columns())
        expressions = cast("Sequence[tuple[AlchemyColumn, str]]", made)
        given: list[Sequence[Text]] = list(zip(*values, strict=True)) if values else [()] * count
        names = [column.shape.name for column in known]
        if all(column.shape.name in names for column in key):
            self.rows.insert(known, given, expressions)
            at = [names.index(column.shape.name) for column in key]
            keys = [tuple(row[position] for position in at) for row in given]
        else:
            keys = [self._insert_one(place, known, expressions, row) for row in given]
        stored = self.rows.by_keys(key, live(answered), keys, "look")
        told = [each for each in map(stored.get, keys) if each is not None]
        if len(told) < len(keys):
            raise Unstorable(f"`{'.'.join(place.table)}` stores another key than the one it was given")
        if told == _echo(names, answered, given):
            return lambda: (len(given), None)
        return lambda: (len(given), list(told))

    def _insert_one(
        self, place: Place, sent: Sequence[AlchemyColumn], made: Sequence[tuple[AlchemyColumn, str]],
        row: Sequence[Text],
    ) -> Key:  # fmt: skip
        """Makes a row that gets its key from the database; the key."""
        key = live(place.key_columns())
        statement = statements.insert(sent, made, key[0].table)
        (given,) = parameters(NEW, sent, [row]) if sent else ({},)
        session = self.rows.session
        if session.can.returning and session.dialect.insert_returning:
            asked = statement.returning(*[column.selected for column in key])
            return reading(key)(session.conn.execute(asked, given).one())
        told = session.conn.execute(statement, given).inserted_primary_key
        names = [column.name for column in key[0].table.primary_key.columns]
        by_name = dict(zip(names, told or (), strict=False))
        if any(by_name.get(column.shape.name) is None for column in key):
            raise Unstorable(f"the database does not tell the key that it made in `{'.'.join(place.table)}`")
        return tuple(column.text(by_name[column.shape.name]) for column in key)

    def update(
        self, place: Place, columns: Sequence[LiveColumn], keys: Columns, values: Columns
    ) -> Callable[[], tuple[int, Deviations | None]]:
        """See `Speech.update`."""
        key, known = live(place.key_columns()), live(columns)
        given: list[Key] = list(zip(*keys, strict=True))
        new: list[Sequence[Text]] = list(zip(*values, strict=True))
        written = cast("list[tuple[AlchemyColumn, str]]", place.written(known))
        there = self.rows.by_keys(key, key, given, "lock")
        self.rows.update(key, known, given, new, written)
        names = [column.shape.name for column in known]
        after = [
            tuple(
                texts[names.index(column.shape.name)] if column.shape.name in names else text
                for column, text in zip(key, each, strict=True)
            )
            for each, texts in zip(given, new, strict=True)
        ]  # a part's key may be among what is changed
        stored = self.rows.by_keys(key, known, after, "look")
        deviating: Deviations = [
            (ordinal, texts)
            for ordinal, (each, sent) in enumerate(zip(after, new, strict=True), 1)
            if (texts := stored.get(each)) is not None and tuple(texts) != tuple(sent)
        ]
        return lambda: (len(there), deviating or None)

    def delete(self, place: Place, keys: Columns) -> Callable[[], int]:
        """See `Speech.delete`. Rows that refer to others of the same table go before these."""
        key = live(place.key_columns())
        given: list[Key] = list(zip(*keys, strict=True))
        own = [each for each in place.foreign if each.other == place.table]
        if not own:
            count = self.rows.delete(key, given)
            return lambda: count
        order, circles = steps(len(given), [pair for each in own for pair in self._references(place, each, given)])
        if circles:
            self._let_go(place, own, [given[ordinal - 1] for ordinal in circles])
            order = [*order, circles]
        count = sum(self.rows.delete(key, [given[ordinal - 1] for ordinal in step]) for step in order)
        return lambda: count

    def _references(self, place: Place, foreign: ForeignKey, keys: Sequence[Key]) -> list[tuple[int, int]]:
        """(ordinal, ordinal that it refers to), among the rows of these keys."""
        columns = live([place.known[name] for name in (*foreign.columns, *foreign.other_columns)])
        width = len(foreign.columns)
        rows = self.rows.by_keys(live(place.key_columns()), columns, keys, "look")
        ordinals = {rows[key][width:]: ordinal for ordinal, key in enumerate(keys, 1) if key in rows}
        pairs = [(ordinal, rows[key][:width]) for ordinal, key in enumerate(keys, 1) if key in rows]
        return [(ordinal, ordinals[other]) for ordinal, other in pairs if other in ordinals]

    def _let_go(self, place: Place, own: Sequence[ForeignKey], keys: Sequence[Key]) -> None:
        """Takes away the references of rows that are about to be deleted, where they can be; all else is for the
        database to refuse."""
        names = dict.fromkeys(name for key in own for name in key.columns if place.known[name].shape.nullable)
        keyed = {column.shape.name for column in place.key_columns()}
        free = live([place.known[name] for name in names if name not in keyed])
        if free:
            self.rows.unbind(live(place.key_columns()), keys, free)

    def draw(self, draws: Sequence[Draw], count: int) -> Callable[[], Sequence[Sequence[Text]]]:
        """See `Speech.draw`. One question a row: how many rows a SELECT without a table has is one thing everywhere."""
        known = cast("list[tuple[str, AlchemyColumn]]", list(draws))
        asked = statements.drawn(known)
        read = reading([column for _, column in known])
        rows = [read(self.rows.session.conn.execute(asked).one()) for _ in range(count)]
        return lambda: rows

    # ------------------------------------------------------------ code tables

    def codes(self, codes: Codes, texts: Sequence[str]) -> Callable[[], Sequence[tuple[str, str]]]:
        """See `Speech.codes`."""
        wanted = set(texts)
        (key, natural) = live((codes.key, codes.natural))
        rows = self.rows.joined(natural, [natural, key], texts, "look")
        found = [(str(code), str(each)) for code, each in rows if code in wanted]
        found.sort(key=lambda pair: _in_order(pair[1]), reverse=True)
        return lambda: found

    def add_codes(self, codes: Codes, texts: Sequence[str]) -> None:
        """See `Speech.add_codes`. What the table's own idea of equal says is there is left as it is."""
        (natural,) = live((codes.natural,))
        for text in texts:
            if not self.rows.joined(natural, [natural], [text], "look"):
                self.rows.insert([natural], [(text,)], ())

    def changed_codes(self, codes: Codes, keys: Sequence[str], texts: Sequence[str]) -> Callable[[], int]:
        """See `Speech.changed_codes`."""
        (key, natural) = live((codes.key, codes.natural))
        found = self.rows.by_keys([key], [natural], [(each,) for each in keys], "look")
        count = sum(found.get((each,)) != (text,) for each, text in zip(keys, texts, strict=True))
        return lambda: count


def live(columns: Iterable[LiveColumn]) -> list[AlchemyColumn]:
    """Columns as what they are here."""
    return cast("list[AlchemyColumn]", list(columns))


def chain(places: Sequence[Place], parts: Iterable[int]) -> list[int]:
    """These parts and all by which they are found, the root among them, ascending."""
    found = {0}
    waiting = list(parts)
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += [join.part for join in places[at].part.joins]
    return sorted(found)


def _echo(
    names: Sequence[str], answered: Sequence[LiveColumn], given: Sequence[Sequence[Text]]
) -> list[tuple[Text, ...]] | None:
    """What is answered of rows that are stored as they were sent; None if not all of it was sent."""
    if not all(column.shape.name in names for column in answered):
        return None
    at = [names.index(column.shape.name) for column in answered]
    return [tuple(row[position] for position in at) for row in given]


def _is_joined(place: Place, row: Row, rows: dict[int, list[Row]]) -> bool:
    """Every join of a part leads from this row to one of the rows that were found: of each other part, to one that
    fulfils all joins to it."""
    by_part: dict[int, list[tuple[int, int]]] = {}
    for join in place.part.joins:
        by_part.setdefault(join.part, []).append((join.column, join.other))
    return all(
        any(all(row[mine] is not None and row[mine] == other[theirs] for mine, theirs in pairs) for other in rows[part])
        for part, pairs in by_part.items()
    )


def _in_order(key: str) -> tuple[int, int, str]:
    """Numbers as numbers, all else by its characters."""
    digits = key.removeprefix("-")
    return (0, int(key), "") if digits.isdigit() and digits.isascii() else (1, 0, key)
