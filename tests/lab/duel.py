"""Pairs of users who write the same rows on both sides at the same moment, each synchronous.

Turns a kind of quarrel into pairs of transactions, what each user saw and was told, and how long he waited. What must
hold of them is judged in `test_collisions.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import psycopg

Quarrel: TypeAlias = Literal["same row", "opposite order", "mixed owners", "different fields"]

PATIENCE_S: Final = 120.0

Write: TypeAlias = tuple[int, str]
"""Row 1 or 2 of the pair, and the column that is written."""

WRITES: Final[Mapping[Quarrel, Mapping[str, Sequence[Write]]]] = {
    "same row": {"erp": [(1, "value")], "crm": [(1, "value")]},
    "opposite order": {"erp": [(1, "value"), (2, "value")], "crm": [(2, "value"), (1, "value")]},
    # Each wins one of the two rows, and each one's winning write needs a row that the other has locked.
    "mixed owners": {"erp": [(1, "of_erp"), (2, "of_crm")], "crm": [(2, "of_crm"), (1, "of_erp")]},
    # Nobody loses, and each needs the row that the other has locked.
    "different fields": {"erp": [(1, "of_erp")], "crm": [(1, "of_crm")]},
}
COLUMNS: Final = ("value", "of_erp", "of_crm")


@dataclass(slots=True)
class Told:
    """What one user of a pair met."""

    saw: dict[Write, str] = field(default_factory=dict)
    """By what he overwrote: what stood there."""
    answered: str = ""
    """`ok`, `warned`, or `rolled back`: the server had him, or us, give way."""
    took_s: float = 0.0
    """From his first write to his answer."""


@dataclass(slots=True)
class Pair:
    """One quarrel. Its rows are `first` and `first + 1`."""

    quarrel: Quarrel
    first: int
    told: dict[str, Told] = field(default_factory=lambda: {"erp": Told(), "crm": Told()})

    def value(self, system: str) -> str:
        """What this side's user writes."""
        return f"{system} {self.first}"


class Duellists:
    """One user a side, who carry out pair after pair, both at once."""

    def __init__(self, addresses: Mapping[str, str], pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self._barrier = threading.Barrier(len(addresses), timeout=PATIENCE_S)
        self.done = 0
        self._threads = [
            threading.Thread(target=self._fights, args=(system, address), name=f"duellist of {system}", daemon=True)
            for system, address in addresses.items()
        ]
        for thread in self._threads:
            thread.start()

    @property
    def at_work(self) -> bool:
        """True until the last pair was answered."""
        return any(thread.is_alive() for thread in self._threads)

    def _fights(self, system: str, address: str) -> None:
        warnings: list[Any] = []
        with psycopg.connect(address) as connection:
            connection.add_notice_handler(warnings.append)
            for pair in self._pairs:
                self._barrier.wait()
                warnings.clear()
                told = pair.told[system]
                begun = time.monotonic()
                try:
                    for row, column in WRITES[pair.quarrel][system]:
                        told.saw[row, column] = _written(connection, pair.first + row - 1, column, pair.value(system))
                    connection.commit()
                    told.answered = "warned" if warnings else "ok"
                except psycopg.errors.OperationalError as error:
                    if connection.broken:
                        raise
                    connection.rollback()
                    told.answered = f"rolled back: {error.sqlstate}"
                told.took_s = time.monotonic() - begun
                self.done += 1


def _written(connection: psycopg.Connection[Any], row: int, column: str, value: str) -> str:
    """Writes into a field; what stood there when its lock was ours."""
    seen = connection.execute(f"SELECT {column} FROM item WHERE id = {row} FOR UPDATE".encode()).fetchone()  # noqa: S608
    connection.execute(f"UPDATE item SET {column} = %s WHERE id = {row}".encode(), [value])  # noqa: S608
    assert seen is not None
    return str(seen[0])
