"""What is asked of one column, and what is answered: how its values stand in a message, and how they are spelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from adapters.debezium.decoding.modes import Modes
from adapters.debezium.decoding.shown import Shown
from adapters.debezium.decoding.unfit import Unfit
from engine.catalog import Column

Spell: TypeAlias = Callable[[Any], str]

BINLOG: Final = frozenset({"mysql", "mariadb"})
"""Connectors of databases whose log is a binlog."""
PAST: Final = "take the column out of the rules"
SECOND_DIGITS: Final = 6
"""As fine as values are told."""


class Reading(NamedTuple):
    """How the values of a column are read."""

    type: Any
    """What must stand in the message, NULL apart."""
    spell: Spell | None
    """What makes the text; None: it is that already."""
    doubts: tuple[tuple[str, str], ...] = ()
    """(what is not exact in rare cases, the mend)"""


class Asked(NamedTuple):
    """What a column is in the catalog, and how a connector shows it."""

    column: Column
    shown: Shown
    modes: Modes
    connector: str

    @property
    def wide(self) -> bool:
        """Years before Christ, of five digits, and infinity."""
        return self.connector == "postgresql"

    def must(self, *families: str) -> None:
        """Raises Unfit unless the catalog's column is of one of these families."""
        if self.column.family not in families:
            told = self.shown.name or self.shown.type
            raise Unfit(
                f"is `{self.column.type}` in the catalog, but told as `{told}`",
                "let the connector read the table's schema anew (restart it); see also its option `converters`",
            )

    @property
    def digits(self) -> int:
        """Of a second, that the column has."""
        return self.column.scale if self.column.scale is not None else SECOND_DIGITS


def plain_type(column: Column) -> str:
    """The column's type without its measures: `numeric` of `numeric(12,2)`, `timestamp without time zone`."""
    head, _, tail = column.type.lower().partition("(")
    return (head.strip() + tail.partition(")")[2].replace("[]", "")).strip() if tail else head.replace("[]", "").strip()
