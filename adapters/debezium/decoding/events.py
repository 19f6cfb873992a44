"""What a message of Debezium's says, once decoded: values only, one class for each kind of event.

Nothing here computes but `changes`, which turns the events of one transaction into the engine's changes: Debezium tells
a changed key as a deletion and an insert, each half marked, and the engine knows one update with an old and a new key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from engine.errors import LogUnreadable
from engine.vocabulary import DELETE, INSERT, TRUNCATE, UPDATE, Change, Row

Operation: TypeAlias = Literal["c", "u", "d", "r"]
"""As Debezium says it: created, updated, deleted, read by a snapshot."""

Half: TypeAlias = Literal["", "former", "latter"]
"""Of a row whose key was changed: its deletion under the former key, its insert under the latter."""


class Source(msgspec.Struct, frozen=True, gc=False, rename={"transaction": "txId"}):
    """Where the database's own log has it. What a connector does not tell is None."""

    connector: str = ""
    """`postgresql`, `mysql`, `mariadb`, `sqlserver`, `oracle`, `db2`"""
    db: str | None = None
    schema: str | None = None
    table: str | None = None
    ts_ms: int | None = None
    ts_us: int | None = None
    snapshot: str | bool | None = None
    transaction: int | str | None = None
    """PostgreSQL and Oracle: its number in the database."""
    sequence: str | None = None
    """PostgreSQL: a JSON list of two texts, the LSN of the last commit before and the one of this event."""
    lsn: int | None = None
    origin: str | None = None
    """PostgreSQL: the replication origin that wrote it."""
    file: str | None = None
    pos: int | None = None
    row: int | None = None
    gtid: str | None = None
    server_id: int | None = None
    commit_lsn: str | None = None
    """SQL Server and Db2, as is `change_lsn`."""
    change_lsn: str | None = None
    event_serial_no: int | None = None
    scn: str | int | None = None
    commit_scn: str | int | None = None

    @property
    def committed_at(self) -> int:
        """Microseconds since 1970 UTC; 0 if it is not told. (Most connectors tell when the row was committed; those of
        binlogs when its statement ran.)"""
        return self.ts_us if self.ts_us is not None else (self.ts_ms or 0) * 1_000

    @property
    def snapshotted(self) -> bool:
        """It was read by a snapshot of the connector's, not from the log."""
        return self.snapshot not in (None, False, "false")


class Order(msgspec.Struct, frozen=True, gc=False):
    """Where in its transaction an event stands, if the connector has `provide.transaction.metadata=true`."""

    id: str
    """The same for all of one transaction *up to a colon*: PostgreSQL puts an LSN behind it, which differs."""
    total_order: int
    """From 1, over all tables that are captured."""
    data_collection_order: int
    """From 1, in its own table."""

    @property
    def name(self) -> str:
        """What all events of the transaction have in common. (A GTID's colons are of another kind: they are kept.)"""
        number, _, lsn = self.id.rpartition(":")
        return number if number.isdigit() and lsn.isdigit() else self.id


class RowEvent(NamedTuple):
    """A row of a bound table."""

    table: int
    """Its number in the list that the decoder was made with."""
    operation: Operation
    new: Row | None
    """In the order of `Table.columns`; None for `d`. Of `r` only the key is told, all else is ABSENT: a snapshot of the
    connector's may print values otherwise than the database does."""
    old: Row | None
    """For `d`; for `u` where the key changed in place; else None."""
    half: Half
    source: Source
    order: Order | None


class TruncateEvent(NamedTuple):
    """A bound table was emptied. (Connectors tell it only with `skipped.operations` without `t`.)"""

    table: int
    source: Source
    order: Order | None


class OtherRow(NamedTuple):
    """A row, or the emptying, of a table that is not bound."""

    table: tuple[str, str]
    source: Source
    order: Order | None


class LogMessage(NamedTuple):
    """What `pg_logical_emit_message` wrote."""

    prefix: str
    content: bytes
    source: Source
    order: Order | None


class Begin(NamedTuple):
    """A transaction begins (topic of transactions)."""

    id: str
    at: int
    """Microseconds since 1970 UTC; 0 if not told."""


class End(NamedTuple):
    """A transaction is complete, once so many of its events have been read (topic of transactions)."""

    id: str
    at: int
    """Microseconds since 1970 UTC; 0 if not told."""
    total: int
    counts: dict[str, int]
    """By table, as Debezium names it: `schema.table`, `database.table`, or `database.schema.table`."""


class Heartbeat(NamedTuple):
    """The connector lives."""

    at: int
    """Microseconds since 1970 UTC."""


class Tombstone(NamedTuple):
    """Nothing happened: it follows a deletion, for Kafka's compaction."""


class SchemaEvent(NamedTuple):
    """A table was made, altered or dropped (topic of the schema's history; connectors but PostgreSQL's)."""

    source: Source
    kinds: tuple[str, ...]
    """`CREATE`, `ALTER`, `DROP`; () if not told."""
    tables: tuple[str, ...]
    """As Debezium names them."""


Event: TypeAlias = (
    "RowEvent | TruncateEvent | OtherRow | LogMessage | Begin | End | Heartbeat | Tombstone | SchemaEvent"
)


_OPERATIONS: Final[dict[str, str]] = {"c": INSERT, "r": INSERT, "u": UPDATE, "d": DELETE}


def changes(events: Iterable[RowEvent | TruncateEvent], *, system: str = "") -> list[Change]:
    """The changes of one transaction, whose events are given in their order: halves of a changed key become one.

    Raises LogUnreadable for a half whose other half is not there."""
    made: list[Change] = []
    former: dict[int, Row | None] = {}
    for event in events:
        if isinstance(event, TruncateEvent):
            made.append((event.table, TRUNCATE, None, None))
        elif event.half == "former":
            if event.table in former:
                raise _alone(system)
            former[event.table] = event.old
        elif event.half == "latter":
            if event.table not in former:
                raise _alone(system)
            made.append((event.table, UPDATE, event.new, former.pop(event.table)))
        else:
            made.append((event.table, _OPERATIONS[event.operation], event.new, event.old))
    if former:
        raise _alone(system)
    return made


def _alone(system: str) -> LogUnreadable:
    return LogUnreadable(
        "a changed key is told by half: its deletion without its insert, or the other way round", system=system,
        mend="let each table's topic have one partition, and no transform of the connector drop events; then "
        "`duolog run RULES --merge-again` compares both sides",
    )  # fmt: skip
