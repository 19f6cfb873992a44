"""The plain workload: one table of thirteen columns, the same on both sides, under a key that both share.

Turns a seed into its rows and a backlog: of ten changes, seven are updates of two or three columns, two inserts, one a
delete. With two writing sides each keeps to its own rows (even ids the ERP, odd ids the CRM). Never reads a row back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.database import Database, Statement
from benchmarks.sizes import Sizes
from benchmarks.workload import CITIES, SEED, SIDES

SENTINEL: Final = 9_000_000_000
"""Rows from this id on say "everything before me has arrived": two for each lap, one a side."""

COLUMNS: Final = "id, code, name, street, city, postcode, country, email, phone, price, quantity, active, changed_on"
INSERT: Final = "INSERT INTO public.item VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
DELETE: Final = "DELETE FROM public.item WHERE id = %s"
UPDATES: Final = (
    "UPDATE public.item SET price = %s, quantity = %s, changed_on = %s WHERE id = %s",
    "UPDATE public.item SET email = %s, phone = %s WHERE id = %s",
    "UPDATE public.item SET street = %s, city = %s, postcode = %s WHERE id = %s",
    "UPDATE public.item SET name = %s, active = %s WHERE id = %s",
)
BIG: Final = (
    "INSERT INTO public.item SELECT 10000000 + n, 'BIG-' || n, 'Large transaction item number ' || n, "
    "'Gewerbepark ' || n %% 977, 'Nürnberg', '90402', 'DE', 'b' || n || '@example.com', '+49 911 ' || n, "
    "n %% 100000 / 100.0, n %% 500, n %% 2 = 0, date '2026-01-05' + n %% 300 FROM generate_series(1, %s) AS n"
)
BIG_FIRST: Final = 10_000_000
"""The rows of the large transaction come after this id."""


class Items:
    """The workload of one table."""

    rules = Path(__file__).with_name("rules.yaml")

    def tables(self, side: str) -> tuple[str, ...]:
        """The one table."""
        return ("item",)

    def compared(self) -> tuple[str, ...]:
        """The one table."""
        return ("item",)

    def create(self, side: str, database: Database, connection: Any, sizes: Sizes) -> None:
        """Both sides get the same rows."""
        connection.execute(Path(__file__).with_name("item.sql").read_text(encoding="utf-8"))
        chance = Random(SEED)
        database.load(connection, "item", COLUMNS, (row(chance, key) for key in range(1, sizes.preload_rows + 1)))

    def backlog(self, side: str, both: bool, sizes: Sizes) -> Iterator[list[Statement]]:
        """With `both`, of the side's own rows only."""
        chance = Random(SEED + 1 + SIDES[side])
        changes = sizes.backlog_changes
        step, first = (2, 2 - SIDES[side]) if both else (1, 1)
        own = list(range(first, sizes.preload_rows + 1, step))
        chance.shuffle(own)
        doomed = own[: changes // 10]
        lasting = own[changes // 10 :]
        fresh = iter(range(1_000_000 + first, 9_000_000, step))
        for _ in range(changes // sizes.transaction_rows):
            statements: list[Statement] = []
            for place in range(sizes.transaction_rows):
                if place % 10 in (3, 7):
                    statements.append((INSERT, row(chance, next(fresh))))
                elif place % 10 == 9 and doomed:
                    statements.append((DELETE, (doomed.pop(),)))
                else:
                    statements.append(update(chance, chance.choice(lasting)))
            yield statements

    def last(self, side: str, lap: int) -> list[Statement]:
        """A row of its own."""
        return [(INSERT, row(Random(SEED), sentinel(side, lap)))]

    def arrived(self, side: str, target: Any, lap: int) -> bool:
        """That row is there."""
        return present(target, sentinel(side, lap))


def sentinel(side: str, lap: int) -> int:
    """The key of that row."""
    return SENTINEL + 2 * lap + SIDES[side]


def present(connection: Any, key: int) -> bool:
    """True if the row is visible."""
    return connection.execute("SELECT 1 FROM public.item WHERE id = %s", [key]).fetchone() is not None


def row(chance: Random, key: int) -> tuple[Any, ...]:
    """One row of the table."""
    city, postcode, country = chance.choice(CITIES)
    return (
        key,
        f"IT-{key:09d}",
        f"Item number {key} in {chance.choice(('steel', 'brass', 'Edelstahl', '不锈钢'))}",
        f"Königstraße {chance.randrange(1, 300)}",
        city,
        postcode,
        country,
        f"item{key}@example.com",
        f"+49 911 {chance.randrange(10**5, 10**7)}",
        Decimal(chance.randrange(100, 10**6)) / 100,
        chance.randrange(0, 10_000),
        chance.random() < 0.9,
        date(2026, 1, 5) + timedelta(days=chance.randrange(300)),
    )


def update(chance: Random, key: int) -> Statement:
    """Two or three columns of one row."""
    new = row(chance, key)
    match chance.randrange(4):
        case 0:
            return UPDATES[0], (new[9], new[10], new[12], key)
        case 1:
            return UPDATES[1], (f"new{chance.randrange(10**6)}.{new[7]}", new[8], key)
        case 2:
            return UPDATES[2], (new[3], new[4], new[5], key)
        case _:
            return UPDATES[3], (f"{new[2]}, lot {chance.randrange(10**6)}", new[11], key)
