"""Turns what a message lacks into the error that says so: what, where in Kafka, and the mend. None quotes a content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.errors import LogUnreadable, SchemaChanged

AGAIN: Final = "`duolog run RULES --merge-again` compares both sides"
SKIPS: Final = "see the log of the connector and its options; once it tells what it should, " + AGAIN


class Refused(ValueError):
    """A message that cannot be read; where it stands is added by who knows."""

    def __init__(self, found: str, mend: str = SKIPS) -> None:
        """`found`: in words, without any content of the message."""
        super().__init__(found)
        self.found = found
        self.mend = mend


def at(topic: str, partition: int, offset: int) -> str:
    """A place in Kafka, for messages."""
    return f"topic {topic}, partition {partition}, offset {offset}"


def unreadable(system: str, found: str, where: str, mend: str = SKIPS) -> LogUnreadable:
    """A message that cannot be read."""
    return LogUnreadable(f"{found} ({where})", system=system, mend=mend)


def lost_columns(system: str, table: tuple[str, str], lost: Iterable[str], where: str) -> SchemaChanged:
    """Rows are told without columns that are bound."""
    columns = ", ".join(f"`{name}`" for name in lost)
    return SchemaChanged(
        f"the rows of `{table[0]}.{table[1]}` are told without the bound column {columns} ({where})", system=system,
        mend="bring the column back (or out of the connector's `column.exclude.list`), or change the rules, and let "
        f"`duolog check RULES` confirm it; then {AGAIN}",
    )  # fmt: skip


FLATTENED: Final = Refused(
    "rows come without their envelope", "take the transform ExtractNewRecordState out of the connector"
)
TRUNCATED: Final = Refused("the message is no whole JSON document")
NOT_TEXT: Final = Refused("the message is no JSON in UTF-8")
DEEP: Final = Refused("the message has more levels than any of Debezium's")
EMPTY: Final = Refused("the message is empty, and no tombstone")
NO_TABLE: Final = Refused("a row does not say of which table it is", "take transforms out that change `source`")
NO_REGISTRY: Final = Refused(
    "the message is Avro, and no registry of schemas is named", "name it in the rules: `registry: ${REGISTRY_URL}`"
)
NO_FASTAVRO: Final = Refused("the message is Avro, and what reads it is not installed", "pip install 'duolog[avro]'")


def no_row(operation: str, table: tuple[str, str]) -> Refused:
    """A change without the row that it made, or took away."""
    if operation == "d":
        return Refused(
            f"a deletion from `{table[0]}.{table[1]}` does not say of which row",
            "give the table a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL; then " + AGAIN,
        )
    return Refused(f"a change of `{table[0]}.{table[1]}` has no row")


def unknown_operation() -> Refused:
    """An `op` that is none of Debezium's."""
    return Refused("the operation (`op`) is none of c, u, d, r, t, m", "use a version of duolog that knows it")
