"""Turns keys into the rows that have them, and rows into what is stored: the floor that every dialect has.

A key is looked for as a value of its column and told apart by its text: what a collation takes for the same, or what is
no value of the type, is no such row. Whatever was sent, exactly so many rows must have been found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from sqlalchemy import exc

from adapters.alchemy import statements
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.refusals import Meaning, meaning
from adapters.alchemy.session import Session
from adapters.alchemy.sets import Sets
from adapters.alchemy.spelling import UNFIT, texts_of
from adapters.alchemy.statements import KEY, NEW, Mode
from adapters.relational.refused import Unstorable
from engine.vocabulary import Text

Key: TypeAlias = "tuple[Text, ...]"
Found: TypeAlias = "dict[Key, tuple[Text, ...]]"


class Rows:
    """The rows of one connection. Everything raises sqlalchemy.exc.DBAPIError; what writes, Unstorable."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._sets = Sets(session.dialect, session.can)

    def by_keys(
        self, key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn], keys: Sequence[Key], mode: Mode
    ) -> Found:
        """By key, of those that have a row: the texts of these columns."""
        found: Found = {}
        width = len(key)
        read = reading_all([*key, *columns])
        for some in self._pieces(self._values(key, keys)):
            asked = statements.by_keys([*key, *columns], key, some, mode, self.session.can)
            for texts in read(self.session.conn.execute(asked).all()):
                found[texts[:width]] = texts[width:]
        return found

    def joined(
        self, column: AlchemyColumn, columns: Sequence[AlchemyColumn], texts: Sequence[str], mode: Mode
    ) -> list[tuple[Text, ...]]:
        """The rows of a table of which a column may have one of these texts."""
        read = reading_all(columns)
        found: list[tuple[Text, ...]] = []
        for some in self._pieces(self._values([column], [(text,) for text in texts])):
            asked = statements.by_keys(columns, [column], some, mode, self.session.can)
            found += read(self.session.conn.execute(asked).all())
        return found

    def others(self, key: Sequence[AlchemyColumn], keys: Sequence[Key]) -> set[Key]:
        """Which of these keys have a row that somebody else has locked; the others' locks are ours from now on."""
        match self.session.can.skipping:
            case "whole":
                return set()
            case "one by one":
                return {each for each in keys if self._is_locked(key, each)}
            case _:
                ours = self.by_keys(key, key, keys, "skip")
                missing = [each for each in keys if each not in ours]
                return set(self.by_keys(key, key, missing, "look")) if missing else set()

    def _is_locked(self, key: Sequence[AlchemyColumn], each: Key) -> bool:
        """Tries one row, at a savepoint."""
        nested = self.session.conn.begin_nested()
        try:
            self.by_keys(key, key, [each], "lock")
        except exc.DBAPIError as error:
            if meaning(error) is not Meaning.BLOCKED:
                raise
            nested.rollback()
            return True
        nested.commit()
        return False

    def insert(
        self, columns: Sequence[AlchemyColumn], values: Sequence[Sequence[Text]],
        made: Sequence[tuple[AlchemyColumn, str]],
    ) -> None:  # fmt: skip
        """Makes rows of these columns, and of what the expressions say, in this order."""
        if self.session.can.inserts and columns and len(values) > 1:
            form = self._sets.given(columns)
            for piece in self._sets.pieces(len(values), len(columns)):
                some = values[piece]
                self._carry_out(self._sets.insert(form, made, len(some)), form.parameters(some))
            return
        given = parameters(NEW, columns, values)
        self.session.conn.execute(statements.insert(columns, made, columns[0].table), given)

    def update(
        self, key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn], keys: Sequence[Key],
        values: Sequence[Sequence[Text]], written: Sequence[tuple[AlchemyColumn, str]],
    ) -> int:  # fmt: skip
        """Gives values to the rows of these keys, which are there. Answers how many there were."""
        if not keys or not (columns or written):
            return len(keys)
        done = self._update_together(key, columns, keys, values, written)
        if done >= len(keys) or (done and written):
            return done  # what expressions count up must not be counted up again
        given = [
            old | new
            for old, new in zip(parameters(KEY, key, keys), parameters(NEW, columns, values), strict=True)
        ] if columns else parameters(KEY, key, keys)  # fmt: skip
        result = self.session.conn.execute(statements.update(key, columns, written), given)
        sane = self.session.dialect.supports_sane_multi_rowcount if len(given) > 1 else True
        return result.rowcount if sane and result.rowcount >= 0 else len(keys)

    def _update_together(
        self, key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn], keys: Sequence[Key],
        values: Sequence[Sequence[Text]], written: Sequence[tuple[AlchemyColumn, str]],
    ) -> int:  # fmt: skip
        """The same by few statements, where there are words for that. How many rows were found: where it is not all of
        them, they are to be changed one by one, which does no harm to those that have been."""
        form = self._sets.given([*key, *columns])
        if len(keys) == 1 or len(set(keys)) < len(keys) or not self._sets.may_update(form, key, columns):
            return 0
        rows = [(*old, *new) for old, new in zip(keys, values, strict=True)] if columns else keys
        pieces = [rows[piece] for piece in self._sets.pieces(len(rows), len(form.columns))]
        return sum(
            self._carry_out(self._sets.update(form, len(key), written, len(some)), form.parameters(some))
            for some in pieces
        )

    def _carry_out(self, said: str, given: tuple[Any, ...]) -> int:
        """How many rows it changed or made, where the driver tells."""
        return max(self.session.conn.exec_driver_sql(said, given).rowcount, 0)

    def delete(self, key: Sequence[AlchemyColumn], keys: Sequence[Key]) -> int:
        """Removes the rows of these keys, which are there. Raises Unstorable if it were more."""
        count = 0
        for some in self._pieces(self._values(key, keys)):
            done = self.session.conn.execute(statements.delete(key, some)).rowcount
            if done > len(some):
                raise Unstorable("a key is not unique in the table")
            count += done if done >= 0 else len(some)
        return count

    def unbind(self, key: Sequence[AlchemyColumn], keys: Sequence[Key], columns: Sequence[AlchemyColumn]) -> None:
        """These columns of the rows with these keys become NULL."""
        for some in self._pieces(self._values(key, keys)):
            self.session.conn.execute(statements.unbound(key, some, columns))

    def _pieces(self, keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
        size = max(1, self.session.can.keys_at_once // max(1, len(keys[0]) if keys else 1))
        for first in range(0, len(keys), size):
            yield keys[first : first + size]

    def _values(self, key: Sequence[AlchemyColumn], keys: Sequence[Key]) -> list[tuple[Any, ...]]:
        """Keys as parameters, without those that can have no row: NULL, and what is no value of a column."""
        found: list[tuple[Any, ...]] = []
        ways = [column.spelling.given for column in key]
        for each in keys:
            texts = [text for text in each if text is not None]
            if len(texts) < len(each):
                continue
            try:
                found.append(tuple([given(text) for given, text in zip(ways, texts, strict=True)]))
            except UNFIT:
                continue
        return found


def reading(columns: Sequence[AlchemyColumn]) -> Callable[[Sequence[Any]], tuple[Text, ...]]:
    """Makes texts of what a SELECT of these columns answers."""
    ways = [column.spelling.read for column in columns]

    def read(row: Sequence[Any]) -> tuple[Text, ...]:
        return tuple([None if value is None else way(value) for way, value in zip(ways, row, strict=True)])

    return read


def reading_all(columns: Sequence[AlchemyColumn]) -> Callable[[Sequence[Sequence[Any]]], list[tuple[Text, ...]]]:
    """The same of many rows at once, a column at a time, which takes a fraction of the time."""
    ways = [column.spelling.read for column in columns]

    def read(rows: Sequence[Sequence[Any]]) -> list[tuple[Text, ...]]:
        found = [texts_of(way, values) for way, values in zip(ways, zip(*rows, strict=True), strict=bool(rows))]
        return list(zip(*found, strict=True))

    return read


def parameters(name: str, columns: Sequence[AlchemyColumn], rows: Sequence[Sequence[Text]]) -> list[dict[str, Any]]:
    """The parameters of each row, by name. Raises Unstorable."""
    names = [(f"{name}{at}", column) for at, column in enumerate(columns)]
    return [{named: column.value(text) for (named, column), text in zip(names, row, strict=True)} for row in rows]
