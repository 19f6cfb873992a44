"""The companies, orders and employees of the workload of records, before they become rows of either side.

Pure: a seeded chance and a number in, values out. The number is the record's, never a key of either system.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Final

from benchmarks.workload import CITIES, SEED

EMPLOYEES: Final = 100
FRESH: Final = 10_000_000
"""Companies from this number on are new."""
SENTINEL: Final = 900_000_000
"""Companies from this number on say "everything before me has arrived"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What both systems know of a customer."""

    number: int
    name: str
    vat_no: str
    street: str
    city: str
    postcode: str
    phone: str | None
    rep: int
    """The number of an employee, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What both systems know of an order."""

    number: str
    customer: int
    """The number of a company, from 1."""
    rep: int
    subject: str
    total: Decimal
    due: date


def is_prospect(number: int) -> bool:
    """True for a company that the ERP knows, but that is no customer yet: the CRM has no row of it."""
    return number % 10 == 2


def orders_nothing(number: int) -> bool:
    """True for a customer without orders, who may cease to be one."""
    return number % 10 == 1


def companies(count: int) -> Iterator[Company]:
    """Those that are there from the beginning; a fifth of them without a phone."""
    chance = Random(SEED + 3)
    for number in range(1, count + 1):
        yield company(chance, number, phone=number % 5 != 3)


def orders(count: int) -> Iterator[Order]:
    """Those that are there from the beginning, one for each company that orders at all."""
    chance = Random(SEED + 4)
    for number in range(1, count + 1):
        if not is_prospect(number) and not orders_nothing(number):
            yield order(chance, number, number)


def employees() -> Iterator[tuple[str, str]]:
    """Addresses and names, in the order of their numbers."""
    return ((f"employee{number}@example.com", f"Jürgen Müller {number}") for number in range(1, EMPLOYEES + 1))


def company(chance: Random, number: int, *, phone: bool = True) -> Company:
    """One company."""
    city, postcode, _ = chance.choice(CITIES)
    return Company(
        number=number,
        name=f"Company number {number} for {chance.choice(('steel', 'brass', 'Edelstahl', '不锈钢'))}",
        vat_no=vat_no(number),
        street=f"Königstraße {chance.randrange(1, 300)}",
        city=city,
        postcode=postcode,
        phone=f"+49 911 {chance.randrange(10**5, 10**7)}" if phone else None,
        rep=chance.randrange(1, EMPLOYEES + 1),
    )


def vat_no(number: int) -> str:
    """By what a company is recognised in both systems."""
    return f"DE{number:09d}"


def order(chance: Random, number: int, customer: int) -> Order:
    """One order of this customer."""
    return Order(
        number=f"D-{number:09d}",
        customer=customer,
        rep=chance.randrange(1, EMPLOYEES + 1),
        subject=f"Order number {number} of {chance.choice(('pipes', 'Bleche', '齿轮'))}",
        total=Decimal(chance.randrange(100, 10**8)) / 100,
        due=date(2026, 1, 5) + timedelta(days=chance.randrange(300)),
    )
