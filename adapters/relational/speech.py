"""What the writing of records asks of a database: all that an adapter of a SQL database has to put into words.

Everything else (which rows a record needs, in what order, what is compared with what, what is told of it) lies around
it and knows no SQL. Values come and go as texts, by column; SQL, drivers and their errors stay behind this door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from adapters.relational.answers import Answer
from adapters.relational.assembled.places import Codes, Place
from adapters.relational.assembled.shapes import Shape, Strength
from adapters.relational.layout import Layout
from adapters.relational.live import LiveColumn
from adapters.relational.refused import Spot, Verdict
from engine.vocabulary import Text, WriteKind, WriteRow

Columns: TypeAlias = Sequence[Sequence[Text]]
"""Values by column: for each column its value in each row."""

Draw: TypeAlias = tuple[str, LiveColumn]
"""(expression, a column of the type that it is to have)"""

Deviations: TypeAlias = "list[tuple[int, Sequence[Text]]]"
"""(ordinal, stored texts) of rows where something else is stored than was sent."""


class Speech(Protocol):
    """The statements of one connection, inside a transaction that somebody else began and will end.

    What answers a callable sends a question whose answer is asked for later, once, so that an adapter may send several
    together; an error may come with the question or with the answer, of this statement or of one that was sent before.
    All others answer at once. Everything may raise `errors`; what can be told without asking, Unstorable.

    A value is text as the column prints it, NULL is None. Equal is what is the same to the last byte. `ordinals` count
    from 1. Rows that are given or answered have no more order than is said."""

    errors: type[Exception]
    """What the driver raises."""
    insert_in_order: bool
    """`insert` answers its rows in the order given, always, also where the database made their keys: so they can be
    inserted together."""
    checks_each_row: bool
    """A foreign key must be right as soon as its row is written, not only at the end of the statement."""

    # ------------------------------------------------------------ rows that are whole records

    def write(
        self, kind: WriteKind, place: Layout, columns: tuple[int, ...], rows: Sequence[WriteRow]
    ) -> Callable[[], Answer]:
        """Writes rows of one table, each only where the guard holds: for an update and a delete, the row of the key is
        a record (`place.belongs`) and holds what it is known to hold (fields of `place.empty`: an empty text is NULL);
        for an insert, there is no row with the key. No key comes twice. Of the other fields an insert leaves the
        defaults; `place.written` is written besides by inserts and updates, `place.gone` instead of a deletion.

        `columns`: field numbers, in the order of the rows' values. The answer is told in `answers.Answer`."""

    def locked(self, place: Layout, kind: WriteKind, keys: Columns) -> list[int]:
        """Which of these keys have a row that somebody else has locked, by index; the others' locks are ours from now
        on. Waits for nobody. `kind`: what is to be done, which is no insert."""

    # ------------------------------------------------------------ records that lie in several tables

    def lock(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> None:
        """Locks all rows of the part `at` that are joined to the records with these root keys, waiting for them. Of a
        part all such rows, as a change of another may make that one count."""

    def contested(self, shape: Shape, at: int, strength: Strength, keys: Columns) -> list[int]:
        """Locks those of the same rows that are free; the ordinals of the records of which others have one."""

    def look(
        self, shape: Shape, parts: Sequence[int], keys: Columns
    ) -> list[tuple[int, bool, Sequence[Text]]]:
        """Of each root row that is there: (its ordinal, whether it is a record, the texts of these parts' rows that
        count), the texts of one part after the other in the order of `Place.columns`, all None where a part has no row.
        The root is one of the parts, and so are all that a part is joined through; they ascend. Sees what has been
        committed until now, not the state of an earlier look."""

    def insert(
        self,
        place: Place,
        sent: Sequence[LiveColumn],
        made: Sequence[tuple[LiveColumn, str]],
        answered: Sequence[LiveColumn],
        values: Columns,
        count: int,
    ) -> Callable[[], tuple[int, list[Sequence[Text]] | None]]:
        """Inserts `count` rows: columns `sent` take the values, columns `made` what their expression says, all others
        their defaults. Answers how many were inserted, and the texts of the columns `answered` in each, or None if all
        of these were sent and are stored as they were sent. The order is that of `values` if `insert_in_order`."""

    def update(
        self, place: Place, columns: Sequence[LiveColumn], keys: Columns, values: Columns
    ) -> Callable[[], tuple[int, Deviations | None]]:
        """Gives values to the rows with these keys, and what `place.written` says besides. Answers how many rows there
        were (also where nothing changed), and what is stored otherwise than it was sent."""

    def delete(self, place: Place, keys: Columns) -> Callable[[], int]:
        """Deletes the rows with these keys. Answers how many there were."""

    def draw(self, draws: Sequence[Draw], count: int) -> Callable[[], Sequence[Sequence[Text]]]:
        """Makes fresh values: so many rows, one value of each expression in each."""

    def codes(self, codes: Codes, texts: Sequence[str]) -> Callable[[], Sequence[tuple[str, str]]]:
        """(code, key) of those of these codes that are there; of several rows with one code, the lowest key comes
        last. Sees what has been committed until now."""

    def add_codes(self, codes: Codes, texts: Sequence[str]) -> None:
        """Adds codes; one that somebody else has added meanwhile is left as it is."""

    def changed_codes(self, codes: Codes, keys: Sequence[str], texts: Sequence[str]) -> Callable[[], int]:
        """How many of these pairs of key and code are not in the table."""

    # ------------------------------------------------------------ savepoints and errors

    def savepoint(self) -> None:
        """Sets the savepoint, of which there may be one within another. From here on, what may be checked late is
        checked late."""

    def check(self) -> None:
        """All that was sent has been answered without an error, and all that is checked late is right."""

    def rollback_to(self) -> None:
        """Goes back to the innermost savepoint, which is no more then. May follow an error of any kind but
        `lost`, `doomed` and `broken`."""

    def release(self) -> None:
        """The innermost savepoint is no more; what was written since stands as far as the transaction does."""

    def stop_waiting(self) -> None:
        """Until the end of the transaction, a lock is asked for, and not waited for."""

    def verdict(self, error: Exception) -> Verdict:
        """What an error of `errors` means; a closed connection is `broken`."""

    def reason(self, error: Exception, spots: Sequence[Spot]) -> str:
        """Why a row was refused, in a transaction that can go on; names fields and columns, never a value. `spots`:
        the fields of the one record that is to blame; empty if it is not known which."""
