"""Makes the benchmark's rows and the backlog: the same seed, the same statements, for every contender.

A backlog is a list of transactions of ten changes: seven updates of two or three columns, two inserts, one
delete. With two writing sides each keeps to its own rows (even ids the ERP, odd ids the CRM), so that nothing
conflicts and built-in replication, which does not merge, can do the same work.

Never measures anything; writes without waiting for the disk (`synchronous_commit = off`), which changes no
byte of the log that is drained afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

import psycopg

SEED: Final = 20_261_121
SENTINEL: Final = 9_000_000_000
"""Rows from this id on say "everything before me has arrived"; the id's last digit is the side's."""

SIDES: Final = {"erp": 0, "crm": 1}
"""By name: the remainder of the ids that a side writes when both write."""

COLUMNS: Final = "id, code, name, street, city, postcode, country, email, phone, price, quantity, active, changed_on"
CITIES: Final = (
    ("Nürnberg", "90402", "DE"),
    ("上海市", "200040", "CN"),
    ("Łódź", "90-001", "PL"),
    ("Orléans", "45000", "FR"),
)

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

Statement = tuple[str, tuple[Any, ...]]
Connection = psycopg.Connection[Any]


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


def preload(connection: Connection, rows: int) -> None:
    """Fills the empty table; both sides get the same rows."""
    chance = Random(SEED)
    with connection.cursor() as cursor, cursor.copy(f"COPY public.item ({COLUMNS}) FROM STDIN") as copy:
        for key in range(1, rows + 1):
            copy.write_row(row(chance, key))


def backlog(side: str, both: bool, rows: int, changes: int, per_transaction: int) -> Iterator[list[Statement]]:
    """The transactions of one side, in order; with `both`, of its own rows only."""
    chance = Random(SEED + 1 + SIDES[side])
    step, first = (2, 2 - SIDES[side]) if both else (1, 1)
    own = list(range(first, rows + 1, step))
    chance.shuffle(own)
    doomed = own[: changes // 10]
    lasting = own[changes // 10 :]
    fresh = iter(range(1_000_000 + first, 9_000_000, step))
    for _ in range(changes // per_transaction):
        statements: list[Statement] = []
        for place in range(per_transaction):
            if place % 10 in (3, 7):
                statements.append((INSERT, row(chance, next(fresh))))
            elif place % 10 == 9 and doomed:
                statements.append((DELETE, (doomed.pop(),)))
            else:
                statements.append(update(chance, chance.choice(lasting)))
        yield statements


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


def write(connection: Connection, transactions: Iterator[list[Statement]], side: str) -> int:
    """Commits them one after the other, then the sentinel; the number of rows written."""
    connection.execute("SET synchronous_commit = off")
    written = 0
    with connection.pipeline():
        for count, statements in enumerate(transactions):
            connection.execute("BEGIN")
            for statement, values in statements:
                connection.execute(statement, values, prepare=True)
            connection.execute("COMMIT")
            written += len(statements)
            if count % 200 == 0:
                connection.pgconn.send_flush_request()
    connection.execute(INSERT, row(Random(SEED), SENTINEL + SIDES[side]))
    connection.execute("RESET synchronous_commit")
    connection.execute("CHECKPOINT")
    return written + 1


def checksum(connection: Connection) -> tuple[int, str]:
    """Number of rows, and one hash of all of them in any order: equal on both sides when all has arrived."""
    found = connection.execute(
        "SELECT count(*), coalesce(sum(hashtextextended(item::text, 0)::numeric), 0)::text FROM public.item"
    ).fetchone()
    assert found is not None
    return int(found[0]), str(found[1])
