"""Turns a database into one consistent picture of its bound rows, at a position of its log.

Rows come in the order of their record keys by code point: no database is asked for that order, as none has the same.
Memory is flat whatever the table's size. It never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy import pictures, reread, statements
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.layouts import columns_of, layouts
from adapters.alchemy.positions import Positions
from adapters.alchemy.rows import reading
from adapters.alchemy.session import Session, connect, translate
from adapters.alchemy.speech import AlchemySpeech, live
from adapters.relational.layout import Layout, in_field_order
from adapters.relational.sorting import in_key_order
from engine.errors import DuologError, SystemUnavailable
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Row

rows_at_once: Final = 1000
"""Rows that are fetched together."""


class AlchemySnapshot:
    """One consistent picture of one system; implements `engine.ports.Snapshot`.

    `positions`: what the positions of its log are; None: for a look that is read on from nowhere. `begin`: begins the
    picture, if the wrapper knows a better way than `pictures.begin`.

    Raises SystemUnavailable, SchemaChanged, AccessDenied."""

    def __init__(
        self, system: str, url: str, book: RuleBook, positions: Positions | None,
        begin: pictures.Begin = pictures.begin,
    ) -> None:  # fmt: skip
        self.system = system
        self.position: Position = 0
        self._session: Session | None = connect(system, url)
        try:
            self._layouts = layouts(self._session, book)
            self._columns = columns_of(self._session, book)
            self._tables = book.tables[system]
            self.position = begin(self._session, self._bound(), positions)
        except exc.DBAPIError as error:
            self.close()
            raise translate(error, system) from None
        except DuologError:
            self.close()
            raise

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity as (record key, values in field order), ascending by record key (code point order).

        A field that this system does not have is ABSENT. Raises SystemUnavailable, SchemaChanged."""
        yield from self._translated(lambda session: _stream(session, self._layouts[entity]))

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table, in the order of its columns; in any order. Raises SystemUnavailable, SchemaChanged."""
        columns = [self._columns[number][name] for name in self._tables[number].columns]
        yield from self._translated(lambda session: _fetched(session, columns))

    def close(self) -> None:
        """Lets go of the picture."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def _bound(self) -> list[sa.Table]:
        return [next(iter(columns.values())).table for columns in self._columns if columns]

    def _translated(self, rows: Callable[[Session], Iterator[Any]]) -> Iterator[Any]:
        if self._session is None:
            raise SystemUnavailable("the snapshot is closed", system=self.system)
        try:
            yield from rows(self._session)
        except exc.DBAPIError as error:
            raise translate(error, self.system) from None
        except (exc.ResourceClosedError, exc.PendingRollbackError):
            raise SystemUnavailable("the snapshot is closed", system=self.system) from None


class Reading:
    """One connection that reads bound rows, outside any snapshot of ours: for comparing."""

    def __init__(self, session: Session, book: RuleBook) -> None:
        self._session = session
        self._book = book

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity, ascending by record key, in field order."""
        place = layouts(self._session, self._book)[entity]
        yield from self._alone(lambda: _stream(self._session, place))

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table, in the order of its columns; in any order."""
        known: Mapping[str, AlchemyColumn] = columns_of(self._session, self._book)[number]
        columns = [known[name] for name in self._book.tables[self._session.system][number].columns]
        yield from self._alone(lambda: _fetched(self._session, columns))

    def rows_of(self, entity: str, keys: Sequence[str]) -> dict[str, Row]:
        """The rows of these records; a record that has none is not in it."""
        place = layouts(self._session, self._book)[entity]
        try:
            return reread.rows_of_keys(AlchemySpeech(self._session), place, keys)
        except exc.DBAPIError as error:
            raise translate(error, self._session.system) from None
        finally:
            self._session.rollback()

    def _alone(self, stream: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        try:
            yield from stream()
        except exc.DBAPIError as error:
            raise translate(error, self._session.system) from None
        finally:
            self._session.rollback()


def _stream(session: Session, place: Layout) -> Iterator[tuple[str, Row]]:
    here = live(place, sorted(place.columns))
    if not here:
        return
    yield from in_key_order(in_field_order(place, _fetched(session, here)))


def _fetched(session: Session, columns: Sequence[AlchemyColumn]) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, a few at a time."""
    read = reading(columns)
    streaming = {"stream_results": True, "yield_per": rows_at_once}
    with session.conn.execution_options(**streaming).execute(statements.every(columns)) as rows:
        for row in rows:
            yield read(row)
