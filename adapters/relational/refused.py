"""What a write can meet that it cannot overcome, as the words and errors that all adapters of SQL databases share.

Which of a server's own errors means what is each adapter's to say (`speech.Speech.verdict`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapters.relational.live import LiveColumn, TableName
from engine.vocabulary import Text

Verdict: TypeAlias = Literal["blocked", "lost", "refused", "doomed", "broken"]
"""What a failed write means. `blocked`: somebody is in the way, it may pass by itself; the transaction stands, its
savepoint can be gone back to. `lost`: the same, but the whole transaction is gone with its savepoints, and with it what
was written before. `refused`: the target will never store this row as it is. `doomed`: it never will, and the whole
transaction is gone for it. `broken`: the connection, the rights or the table; no row is to blame."""


class Unstorable(Exception):
    """A row that we can tell by ourselves the target will not store, whether the server was asked or not.

    Its text is a reason: it quotes no value."""


class Unreadable(Exception):
    """A key that is no value of the key column's type: there is no such row."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One field of a refused record."""

    field: str
    table: TableName
    column: LiveColumn
    value: Text
    """What its column was given; None also where it was given nothing, or what only the server knows."""

    @property
    def place(self) -> str:
        """The column as our sentences write it."""
        return f"`{'.'.join(self.table)}.{self.column.shape.name}`"
