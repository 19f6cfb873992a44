"""Turns batches into rows of the ledger's table: its shape and its statements, in portable SQL.

One row per apply transaction, written inside it: first, so that a batch that is already there is noticed before it is
written again, and whoever reads the log knows a transaction of ours by it; and once more at the end, when the separator
is known. It lies in a schema `duolog`, or beside the user's own tables where there are no such schemas.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import LONGTEXT

from adapters.alchemy.abilities import Abilities
from adapters.alchemy.positions import Positions
from adapters.relational import ledger
from engine.vocabulary import Outcome, Position, RowResult

MYSQL: Final = ("mysql", "mariadb")
SCHEMA: Final = "duolog"
NAME: Final = "ledger"
name_length: Final = 120
position_length: Final = 60

BEAT: Final = 0
"""The number of the row that has the log move, of no batch: those are counted from 1."""
HELD: Final = -1
"""The number of the row that the only engine of a system holds (`alone`), of no batch."""
EPOCH: Final = -2
"""The number of the row whose `forget_to` counts the engines that have written a system, one after the other."""


def table(can: Abilities, place: tuple[str, str] | None = None) -> sa.Table:
    """The table. `place`: (schema, name), if it is not where a ledger usually is; the schema may be empty."""
    schema, name = place or ((SCHEMA, NAME) if can.home == "schema" else ("", f"{SCHEMA}_{NAME}"))
    return sa.Table(
        name, sa.MetaData(),
        sa.Column("engine", sa.String(name_length), primary_key=True),
        sa.Column(sa.quoted_name("system", quote=True), sa.String(name_length), primary_key=True, key="system"),
        sa.Column("number_to", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("forget_to", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column(sa.quoted_name("separator", quote=True), sa.String(position_length), key="separator"),
        # MySQL's TEXT ends at 65,535 bytes: a few hundred exceptions.
        sa.Column("outcome", sa.Text().with_variant(sa.UnicodeText(), "mssql").with_variant(LONGTEXT(), *MYSQL)),
        schema=schema or None, implicit_returning=False,
    )  # fmt: skip


class Ledger:
    """The rows of one engine and system. Everything raises sqlalchemy.exc.DBAPIError."""

    def __init__(self, made: sa.Table, engine: str, system: str, positions: Positions) -> None:
        self.table = made
        self._engine = engine
        self._system = system
        self._positions = positions
        self._ours = sa.and_(made.c.engine == engine, made.c.system == system)
        self._is_epoch = sa.and_(self._ours, made.c.number_to == EPOCH)

    def begin(self, conn: sa.Connection, number_to: int, forget_to: int) -> None:
        """Begins a batch's row, and forgets older ones. Raises sqlalchemy.exc.IntegrityError if it is there."""
        conn.execute(sa.insert(self.table).values(self._row(number_to, forget_to)))
        old = sa.and_(self._ours, self.table.c.number_to > 0, self.table.c.number_to <= forget_to)
        conn.execute(sa.delete(self.table).where(old, self.table.c.number_to < number_to))

    def end(self, conn: sa.Connection, number_to: int, separator: Position, exceptions: list[RowResult]) -> None:
        """Completes a batch's row."""
        told = {"separator": self._positions.text(separator), "outcome": ledger.encode(exceptions)}
        row = sa.and_(self._ours, self.table.c.number_to == number_to)
        conn.execute(sa.update(self.table).where(row).values(told))

    def committed(self, conn: sa.Connection, after: int) -> list[Outcome]:
        """The batches above a number, ascending."""
        columns = (self.table.c.number_to, self.table.c.separator, self.table.c.outcome)
        asked = sa.select(*columns).where(self._ours, self.table.c.number_to > max(after, 0))
        rows: Sequence[Any] = conn.execute(asked.order_by(self.table.c.number_to)).all()
        return [
            ledger.outcome(self._system, int(number), self._positions.number(at), json.loads(kept))
            for number, at, kept in rows
        ]

    def known(self, conn: sa.Connection) -> int:
        """How far the store knew of batches when the newest was sent."""
        asked = sa.select(sa.func.max(self.table.c.forget_to)).where(self._ours, self.table.c.number_to > 0)
        return int(conn.execute(asked).scalar() or 0)

    def forget_all(self, conn: sa.Connection) -> None:
        """Takes out all rows of batches."""
        conn.execute(sa.delete(self.table).where(self._ours, self.table.c.number_to > 0))

    def remove(self, conn: sa.Connection) -> None:
        """Takes out every row, those that are of no batch too."""
        conn.execute(sa.delete(self.table).where(self._ours))

    def is_empty(self, conn: sa.Connection) -> bool:
        """True if no engine has a row."""
        return conn.execute(sa.select(self.table.c.number_to).limit(1)).first() is None

    # ------------------------------------------------------------ rows that are of no batch

    def beat(self, conn: sa.Connection) -> None:
        """Changes a row, so that the log moves."""
        row = sa.and_(self._ours, self.table.c.number_to == BEAT)
        conn.execute(sa.delete(self.table).where(row))
        conn.execute(sa.insert(self.table).values(self._row(BEAT, 0)))

    def provide(self, conn: sa.Connection) -> None:
        """Makes the rows that `alone` needs, where they are not there."""
        there = {row[0] for row in conn.execute(
            sa.select(self.table.c.number_to).where(self._ours, self.table.c.number_to < 0)
        )}  # fmt: skip
        for number in (HELD, EPOCH):
            if number not in there:
                conn.execute(sa.insert(self.table).values(self._row(number, 0)))

    def hold(self) -> sa.Select[Any]:
        """The question for the row that is to be held."""
        return sa.select(self.table.c.number_to).where(self._ours, self.table.c.number_to == HELD)

    def next_epoch(self, conn: sa.Connection) -> int:
        """One more engine writes from now on; which it is."""
        conn.execute(sa.update(self.table).where(self._is_epoch).values({"forget_to": self.table.c.forget_to + 1}))
        return self.epoch(conn)

    def raise_epoch(self, conn: sa.Connection, epoch: int) -> int:
        """The holder of this epoch writes from now on, unless there is a later one; which it is then."""
        older = sa.and_(self._is_epoch, self.table.c.forget_to < epoch)
        conn.execute(sa.update(self.table).where(older).values({"forget_to": epoch}))
        return self.epoch(conn)

    def epoch(self, conn: sa.Connection) -> int:
        """Whose turn it is to write."""
        return int(conn.execute(sa.select(self.table.c.forget_to).where(self._is_epoch)).scalar_one())

    def is_epoch(self, conn: sa.Connection, epoch: int) -> bool:
        """True if no other engine has begun to write since; until the transaction ends, none can."""
        row = sa.and_(self._is_epoch, self.table.c.forget_to == epoch)
        # A change of nothing: MySQL counts it as none, so the row is locked by it and asked for afterwards.
        conn.execute(sa.update(self.table).where(row).values({"forget_to": epoch}))
        return self.epoch(conn) == epoch

    def _row(self, number_to: int, forget_to: int) -> dict[str, Any]:
        return {"engine": self._engine, "system": self._system, "number_to": number_to, "forget_to": forget_to}
