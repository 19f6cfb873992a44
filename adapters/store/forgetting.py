"""What a store forgets when its systems are compared anew, or what was found is accepted: as statements.

It runs them inside the transaction that the caller has open. It never begins or commits.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete

from adapters.store import schema
from engine.crossing import OWN_KEYS
from engine.first_report import REPORT


def forget_base(writing: Connection, since: int | None, keys: bool) -> None:
    """Records, multimap, what is due, holds, quarantine. How far the deciding steps are, the journal, and which key
    means which record stay, unless they were never accepted: `since` drops the journal from that step on, `keys` the
    keys."""
    for table in (schema.record, schema.pending, schema.applied, schema.quarantine, schema.hold):
        writing.execute(delete(table))
    writing.execute(delete(schema.entry) if keys else delete(schema.entry).where(~_begins(OWN_KEYS)))
    if since is not None:
        writing.execute(delete(schema.journal).where(schema.journal.c.number >= since))


def forget_report(writing: Connection) -> None:
    """What day one found, because it has been accepted."""
    writing.execute(delete(schema.entry).where(_begins(REPORT)))


def _begins(prefix: str) -> ColumnElement[bool]:
    return schema.entry.c.space.startswith(prefix, autoescape=True)
