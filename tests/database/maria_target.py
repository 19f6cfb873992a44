"""What tests of a MariaDB target share: the application's own connection, an opened target, batches, and the binlog.

The binlog is read by mysql-replication here, so that positions are told by somebody else than ourselves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.event import RotateEvent, XidEvent
from pymysqlreplication.row_event import DeleteRowsEvent, RowsEvent, UpdateRowsEvent

from adapters.mariadb import ledger
from adapters.mariadb.address import address
from adapters.mariadb.positions import file_number, number
from adapters.mariadb.target import MariaTarget
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Write
from tests.database.books import Bound, book


class User:
    """The application's own connection, each statement its own transaction unless it says otherwise."""

    def __init__(self, url: str) -> None:
        where = address(url)
        self.conn: Any = pymysql.connect(
            host=where.host, port=where.port, user=where.user, password=where.password, database=where.database,
            charset="utf8mb4", autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS,
        )  # fmt: skip

    def do(self, statements: str) -> list[tuple[Any, ...]]:
        """Executes statements; the rows of the first."""
        with self.conn.cursor() as cursor:
            cursor.execute(statements)
            rows = list(cursor.fetchall())
            while cursor.nextset():
                pass
        return rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction that is rolled back."""
        self.do("BEGIN")
        yield
        self.do("ROLLBACK")


def rules(url: str, *bound: Bound) -> RuleBook:
    """A book of these tables of the database, as the ERP's."""
    schema = address(url).database
    return book(*(Bound(b.entity, b.columns, b.key, b.table, schema, b.missing) for b in bound))


def target(url: str, book: RuleBook, **settings: Any) -> MariaTarget:
    """A target, not opened, on a server that has the ledger."""
    user = User(url)
    user.do(f"{ledger.CREATE_DATABASE}; {ledger.CREATE}")
    user.conn.close()
    return MariaTarget("erp", url, **{"engine": book.name, "book": book, **settings})


@contextmanager
def opened(url: str, book: RuleBook, **settings: Any) -> Iterator[MariaTarget]:
    """A target that is open."""
    made = target(url, book, **settings)
    made.open()
    with closing(made):
        yield made


def batch(number: int, *writes: Write, forget_to: int = 0) -> Batch:
    """A batch of these writes."""
    return Batch("erp", number, list(writes), sum(len(w.rows) for w in writes), forget_to)


def in_background(work: Callable[[], object]) -> Callable[[], None]:
    """Starts some work; answers how to wait for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join


Told = tuple[int, str, dict[str, Any] | None]
"""(end of the transaction, table, the row after the change; None: it was deleted)"""


def mark(url: str) -> tuple[str, int]:
    """Where the binlog ends now: (file, offset)."""
    user = User(url)
    with closing(user.conn):
        file, offset = user.do("SHOW MASTER STATUS")[0][:2]
    return str(file), int(offset)


def history(url: str, since: tuple[str, int], *, schema: str = "") -> list[Told]:
    """All that the server's binlog tells of the rows of a database since then, in its order."""
    where = address(url)
    schema = schema or where.database
    stream = BinLogStreamReader(
        connection_settings={"host": where.host, "port": where.port, "user": where.user, "password": where.password},
        server_id=4711, log_file=since[0], log_pos=since[1], resume_stream=True, blocking=False,
        only_schemas=[schema],
    )  # fmt: skip
    told: list[Told] = []
    waiting: list[tuple[str, dict[str, Any] | None]] = []
    file = file_number(since[0])
    with closing(stream):
        for event in stream:
            if isinstance(event, RotateEvent):
                file = file_number(event.next_binlog)
            elif isinstance(event, RowsEvent):
                for row in event.rows:
                    after = None if isinstance(event, DeleteRowsEvent) else row.get("values")
                    waiting.append((event.table, row["after_values"] if isinstance(event, UpdateRowsEvent) else after))
            elif isinstance(event, XidEvent):
                end = number(file, event.packet.log_pos)
                told += [(end, table, row) for table, row in waiting]
                waiting = []
    return told
