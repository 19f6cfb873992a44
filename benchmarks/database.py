"""What a measure asks of one of its two servers, the same for every kind of database.

Statements of a workload are written so that both kinds take them: names of two levels (`public.item`: a schema of
PostgreSQL's, a database of MariaDB's), values as `%s`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

Statement = tuple[str, tuple[Any, ...]]
"""One statement, which changes one row, and its values."""

pack_transactions: Final = 50
"""So many transactions of a backlog are sent at once, where a driver has no pipeline."""


class Looker(Protocol):
    """A session with one statement, with as few microseconds as can be between two looks. Not for two threads."""

    def execute(self, *values: int) -> bool:
        """Runs the statement, in a transaction of its own; True if it found a row."""

    def close(self) -> None:
        """Hangs up."""


class Database(Protocol):
    """One server, with the database of the measures."""

    adapter: str
    """duolog's word for it."""

    @property
    def pid(self) -> int:
        """The server's process, that all others of its come from."""

    def start(self) -> None:
        """Starts it and makes the database, empty."""

    def stop(self) -> None:
        """Ends it, and leaves nothing."""

    def url(self) -> str:
        """The database's address."""

    def connect(self) -> Any:
        """A session, committing each statement by itself: `execute(statement, values)` answers a cursor; a context
        manager that closes it."""

    def load(self, connection: Any, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Fills a table."""

    def settle(self, connection: Any) -> None:
        """After filling: leaves no work of it for later."""

    def write(self, connection: Any, transactions: Iterable[list[Statement]], *, synced: bool) -> int:
        """Commits them one after the other; the number of rows written. `synced`: each is on the disk before the
        next. The log is the same, to the byte."""

    def is_read(self, connection: Any) -> bool:
        """True if somebody reads the log, and everybody who should."""

    def written(self, connection: Any) -> int | None:
        """How many rows were ever written by sessions that have ended; None: it does not count them."""

    def looker(self, statement: str) -> Looker:
        """A session for this statement, whose values are written `%s`."""

    def version(self) -> str:
        """As its program says it."""

    def settings(self) -> dict[str, str]:
        """In what it differs from its defaults."""
