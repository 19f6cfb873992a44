"""The CRM's side of the records: an account is one row, and so is a deal.

Turns companies and orders into rows and a backlog: of ten changes, two insert an account and two a deal, three each
change one that is there. Its keys come from its sequences; a statement names an account by its VAT number.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.database import Statement
from benchmarks.postgresql import Connection, load
from benchmarks.records.company import (
    FRESH,
    Company,
    Order,
    companies,
    company,
    employees,
    is_prospect,
    order,
    orders,
    vat_no,
)
from benchmarks.sizes import Sizes
from benchmarks.workload import SEED

TABLES: Final = ("users", "account", "deal")

USER: Final = "email, full_name"
ACCOUNT: Final = "id, name, vat_number, billing_street, billing_city, billing_postcode, phone, rep_id"
DEAL: Final = "id, account_id, rep_id, number, title, total, closes_on"
INSERT_ACCOUNT: Final = (
    "INSERT INTO public.account (name, vat_number, billing_street, billing_city, billing_postcode, phone, rep_id) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
INSERT_DEAL: Final = (
    "INSERT INTO public.deal (account_id, rep_id, number, title, total, closes_on) "
    "SELECT id, %s, %s, %s, %s, %s FROM public.account WHERE vat_number = %s"
)
UPDATES_ACCOUNT: Final = (
    "UPDATE public.account SET billing_street = %s, billing_city = %s, billing_postcode = %s WHERE vat_number = %s",
    "UPDATE public.account SET phone = %s WHERE vat_number = %s",
    "UPDATE public.account SET name = %s, rep_id = %s WHERE vat_number = %s",
)
UPDATES_DEAL: Final = (
    "UPDATE public.deal SET total = %s, closes_on = %s WHERE number = %s",
    "UPDATE public.deal SET title = %s, rep_id = %s WHERE number = %s",
)


def create(connection: Connection, sizes: Sizes) -> None:
    """Makes and fills the tables: all customers and their deals."""
    connection.execute(Path(__file__).with_name("crm.sql").read_text(encoding="utf-8"))
    known = (one for one in companies(sizes.preload_records) if not is_prospect(one.number))
    load(connection, "users", USER, employees())
    load(connection, "account", ACCOUNT, ((one.number, *account(one)) for one in known))
    deals = enumerate(orders(sizes.preload_records), 1)
    load(connection, "deal", DEAL, ((key, one.customer, *deal(one)) for key, one in deals))


def backlog(sizes: Sizes) -> Iterator[list[Statement]]:
    """The transactions, in order. A new deal may be one of a new account, but of an earlier transaction's."""
    chance = Random(SEED + 5)
    accounts = [one.number for one in companies(sizes.preload_records) if not is_prospect(one.number)]
    deals = [one.number for one in orders(sizes.preload_records)]
    fresh = count(FRESH)
    for _ in range(sizes.record_changes // sizes.transaction_rows):
        statements: list[Statement] = []
        for place in range(sizes.transaction_rows):
            match place % 10:
                case 1 | 6:
                    new = company(chance, next(fresh))
                    accounts.append(new.number)
                    statements += customer(new)
                case 3 | 8:
                    made = order(chance, next(fresh), chance.choice(accounts))
                    deals.append(made.number)
                    statements.append((INSERT_DEAL, (*deal(made), vat_no(made.customer))))
                case 0 | 4 | 7:
                    statements.append(changed_account(chance, chance.choice(accounts)))
                case _:
                    statements.append(changed_deal(chance, chance.choice(deals)))
        yield statements


def customer(one: Company) -> list[Statement]:
    """What makes this company a customer: its account."""
    return [(INSERT_ACCOUNT, account(one))]


def has_customer(connection: Connection, vat_no: str) -> bool:
    """True if there is an account of this VAT number."""
    found = connection.execute("SELECT 1 FROM public.account WHERE vat_number = %s", [vat_no])
    return found.fetchone() is not None


def account(one: Company) -> tuple[Any, ...]:
    """The row of an account, without its key."""
    return (one.name, one.vat_no, one.street, one.city, one.postcode, one.phone, one.rep)


def deal(one: Order) -> tuple[Any, ...]:
    """The row of a deal, without its key and its account."""
    return (one.rep, one.number, one.subject, one.total, one.due)


def changed_account(chance: Random, number: int) -> Statement:
    """One to three columns of an account; one phone in ten goes."""
    new = company(chance, number, phone=chance.random() < 0.9)
    match chance.randrange(3):
        case 0:
            return UPDATES_ACCOUNT[0], (new.street, new.city, new.postcode, new.vat_no)
        case 1:
            return UPDATES_ACCOUNT[1], (new.phone, new.vat_no)
        case _:
            return UPDATES_ACCOUNT[2], (f"{new.name}, lot {chance.randrange(10**6)}", new.rep, new.vat_no)


def changed_deal(chance: Random, number: str) -> Statement:
    """Two columns of a deal."""
    new = order(chance, 0, 0)
    match chance.randrange(2):
        case 0:
            return UPDATES_DEAL[0], (new.total, new.due, number)
        case _:
            return UPDATES_DEAL[1], (f"{new.subject}, lot {chance.randrange(10**6)}", new.rep, number)
