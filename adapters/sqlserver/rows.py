"""Turns keys into the rows that have them, and sets of rows into what is stored, a statement a set.

What `adapters.alchemy.rows` does for every database, in SQL Server's words. A set is written in pieces, so that no
statement takes so many locks that the server makes one of the whole table of them. It never begins or ends a
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import exc

from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.rows import Found, Key, Rows, reading
from adapters.alchemy.session import Session
from adapters.alchemy.statements import Mode
from adapters.relational.refused import Unstorable
from adapters.sqlserver import phrases, statements, texts
from adapters.sqlserver.statements import Subject
from engine.vocabulary import Text

rows_max: Final = 2000
"""Rows of one statement: at 5,000 locks of rows and pages the server takes the whole table's instead."""
UNFIT: Final = "a value is none of its column's type"
NUL: Final = "a text holds U+0000"


class SqlServerRows(Rows):
    """The rows of one connection. Everything raises sqlalchemy.exc.DBAPIError; what writes, Unstorable.

    `mark`: what stands in front of every statement that changes a table."""

    def __init__(self, session: Session, mark: str = "") -> None:
        super().__init__(session)
        self.mark = mark
        self._forms: dict[tuple[object, ...], str] = {}
        self._failures: type[Exception] = session.dialect.loaded_dbapi.Error

    def subject(self, key: Sequence[AlchemyColumn]) -> Subject:
        """The rows of these columns' table, found by them."""
        table = key[0].table
        return Subject((str(table.schema or ""), str(table.name)), tuple(key), self.mark)

    def ask(self, statement: str, columns: Sequence[Sequence[Text]], count: int) -> list[Any]:
        """What a batch answers of so many rows, given by column: its last answer, as what a trigger prints or selects
        comes before it."""
        return self._carried_out(statement, (phrases.document(columns, count),))

    def carry_out(self, statement: str) -> None:
        """Carries out a batch to its end: an error may come after something that a procedure prints or selects, and who
        hangs up before that stops the procedure."""
        self._carried_out(statement, ())

    def _carried_out(self, statement: str, given: Sequence[str]) -> list[Any]:
        conn = self.session.conn
        if not conn.in_transaction():
            conn.begin()
        wire = conn.connection
        cursor = wire.cursor()
        try:
            cursor.execute(statement, given)
            answer = _last(cursor)
        except self._failures as error:
            raise self._failed(statement, error) from None
        finally:
            cursor.close()
        return answer

    def _failed(self, statement: str, error: Exception) -> BaseException:
        """The driver's error as SQLAlchemy passes it on."""
        conn, dialect = self.session.conn, self.session.dialect
        gone = dialect.is_disconnect(error, conn.connection, None)  # type: ignore[arg-type]
        if gone:
            conn.invalidate(error)
        return exc.DBAPIError.instance(
            statement, None, error, self._failures, hide_parameters=True, connection_invalidated=gone, dialect=dialect
        )

    def form(self, name: tuple[object, ...], build: Callable[[], str]) -> str:
        """The statement of this name, which is built once."""
        if name not in self._forms:
            self._forms[name] = build()
        return self._forms[name]

    # ------------------------------------------------------------ what the floor does, too

    def by_keys(
        self, key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn], keys: Sequence[Key], mode: Mode
    ) -> Found:
        """See `Rows.by_keys`."""
        asked = self.form(
            ("by keys", mode, _names(key), _names(columns)),
            lambda: statements.by_keys(self.subject(key), [*key, *columns], mode),
        )
        width, read = len(key), reading([*key, *columns])
        found: Found = {}
        for piece in pieces(keys):
            for _, *values in self.ask(asked, keys_sent(key, piece), len(piece)):
                told = read(values)
                found[told[:width]] = told[width:]
        return found

    def joined(
        self, column: AlchemyColumn, columns: Sequence[AlchemyColumn], texts: Sequence[str], mode: Mode
    ) -> list[tuple[Text, ...]]:
        """See `Rows.joined`: those that have one of these texts to the last blank."""
        asked = self.form(
            ("joined", mode, _names([column]), _names(columns)),
            lambda: statements.by_keys(self.subject([column]), columns, mode),
        )
        read = reading(columns)
        wanted = [(text,) for text in dict.fromkeys(texts)]
        return [
            read(values)
            for piece in pieces(wanted)
            for _, *values in self.ask(asked, keys_sent([column], piece), len(piece))
        ]

    def others(self, key: Sequence[AlchemyColumn], keys: Sequence[Key]) -> set[Key]:
        """See `Rows.others`."""
        asked = self.form(("others", _names(key)), lambda: statements.locked(self.subject(key)))
        return {
            piece[ordinal - 1]
            for piece in pieces(keys)
            for (ordinal,) in self.ask(asked, keys_sent(key, piece), len(piece))
        }

    def insert(
        self, columns: Sequence[AlchemyColumn], values: Sequence[Sequence[Text]],
        made: Sequence[tuple[AlchemyColumn, str]],
    ) -> None:  # fmt: skip
        """See `Rows.insert`."""
        if not columns:
            super().insert(columns, values, made)
            return
        subject = Subject(self.subject(columns).table, (), self.mark)
        asked = self.form(("insert", _names(columns), _said(made)), lambda: statements.insert(subject, columns, made))
        for piece in pieces(values):
            if self.ask(asked, new_sent(columns, piece), len(piece)):
                raise Unstorable(UNFIT)

    def update(
        self, key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn], keys: Sequence[Key],
        values: Sequence[Sequence[Text]], written: Sequence[tuple[AlchemyColumn, str]],
    ) -> int:  # fmt: skip
        """See `Rows.update`."""
        if not keys or not (columns or written):
            return len(keys)
        return len(keys) - sum(fate == statements.Fate.UNMATCHED for _, fate, _ in
                               self.changed(key, columns, keys, values, written))  # fmt: skip

    def changed(
        self, key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn], keys: Sequence[Key],
        values: Sequence[Sequence[Text]], written: Sequence[tuple[AlchemyColumn, str]],
    ) -> Iterator[tuple[int, int, tuple[Text, ...]]]:  # fmt: skip
        """Gives values to the rows of these keys: (index, fate, stored texts) of those that there is something to tell
        of. Raises Unstorable for one that is unfit."""
        asked = self.form(
            ("update", _names(key), _names(columns), _said(written)),
            lambda: statements.update(self.subject(key), columns, written, columns),
        )
        read = reading(columns)
        first = 0
        for piece in pieces(keys):
            new = values[first : first + len(piece)]
            sent = [*keys_sent(key, piece), *new_sent(columns, new)]
            for ordinal, fate, *stored in self.ask(asked, sent, len(piece)):
                if fate == statements.Fate.UNFIT:
                    raise Unstorable(UNFIT)
                yield first + ordinal - 1, fate, read(stored)
            first += len(piece)

    def delete(self, key: Sequence[AlchemyColumn], keys: Sequence[Key]) -> int:
        """See `Rows.delete`."""
        asked = self.form(("delete", _names(key)), lambda: statements.delete(self.subject(key)))
        count = 0
        for piece in pieces(keys):
            ((done,),) = self.ask(asked, keys_sent(key, piece), len(piece))
            if done > len(piece):
                raise Unstorable("a key is not unique in the table")
            count += done
        return count

    def unbind(self, key: Sequence[AlchemyColumn], keys: Sequence[Key], columns: Sequence[AlchemyColumn]) -> None:
        """See `Rows.unbind`."""
        asked = statements.unbind(self.subject(key), columns)
        for piece in pieces(keys):
            self.ask(asked, keys_sent(key, piece), len(piece))


def _last(cursor: Any) -> list[Any]:
    """The last answer of a batch. Raises the driver's error, whichever of the statements it is of."""
    answer: list[Any] = []
    while True:
        if cursor.description is not None:
            answer = cursor.fetchall()
        if not cursor.nextset():
            return answer


def pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """So many rows at a time as one statement takes."""
    for first in range(0, len(rows), rows_max):
        yield rows[first : first + rows_max]


def by_column(rows: Sequence[Sequence[Text]], width: int) -> list[Sequence[Text]]:
    """Rows as columns, of which there are so many, also of no rows."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def keys_sent(key: Sequence[AlchemyColumn], keys: Sequence[Sequence[Text]]) -> list[Sequence[Text]]:
    """Keys by column, as they are sent. What is no value of its type is NULL, which is the key of no row."""
    return [_each(column, told)[0] for column, told in zip(key, by_column(keys, len(key)), strict=True)]


def held_sent(
    columns: Sequence[AlchemyColumn], rows: Sequence[Sequence[Text]]
) -> tuple[list[Sequence[Text]], set[int]]:
    """Held values by column, as they are sent; and the rows with one that is no value of its type, by index: such a row
    holds it nowhere."""
    sent, unfit = [], set()
    for column, told in zip(columns, by_column(rows, len(columns)), strict=True):
        made, wrong = _each(column, told)
        sent.append(made)
        unfit.update(wrong)
    return sent, unfit


def new_sent(columns: Sequence[AlchemyColumn], rows: Sequence[Sequence[Text]]) -> list[Sequence[Text]]:
    """New values by column, as they are sent. Raises Unstorable for what is no value of its type, or U+0000."""
    made: list[Sequence[Text]] = []
    for column, told in zip(columns, by_column(rows, len(columns)), strict=True):
        encode = phrases.column_encoder(column)
        if encode is not None:
            told = [None if text is None else texts.encoded(encode, text) for text in told]
        elif any("\0" in text for text in told if text is not None):
            raise Unstorable(NUL)
        made.append(told)
    return made


def _each(column: AlchemyColumn, told: Sequence[Text]) -> tuple[Sequence[Text], list[int]]:
    """Texts of a column as they are sent, NULL for what is no value of its type; and which these are, by index."""
    encode = phrases.column_encoder(column)
    if encode is None:
        return told, []
    made: list[Text] = []
    unfit = []
    for at, text in enumerate(told):
        try:
            made.append(None if text is None else texts.encoded(encode, text))
        except Unstorable:
            made.append(None)
            unfit.append(at)
    return made, unfit


def _names(columns: Sequence[AlchemyColumn]) -> tuple[str, ...]:
    """What tells columns from those of other tables."""
    return tuple(f"{column.table.schema}.{column.table.name}.{column.shape.name}" for column in columns)


def _said(written: Sequence[tuple[AlchemyColumn, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((column.shape.name, said) for column, said in written)
