"""The ERP's side of the records: a customer is six rows of six tables, and an order is one.

Turns companies and orders into rows and a backlog in which every change is one of a part: of ten, four change an
address, two a VAT number and two a phone; one adds or removes a phone; one adds or removes the row that makes a party a
customer. Its keys are far from the CRM's, so that none is mistaken for the other.
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
    orders,
    orders_nothing,
    vat_no,
)
from benchmarks.sizes import Sizes
from benchmarks.workload import SEED

TABLES: Final = ("employee", "party", "party_code", "address", "party_address", "contact", "party_group", "sale")
CUSTOMERS: Final = 7
"""The group of the parties that are customers."""

FIRST: Final = {"employee": 1_000, "party": 500_000, "address": 700_000}
"""By table: behind which key the records' numbers begin."""

COLUMNS: Final = {
    "party": "id, name, representative",
    "party_code": "party, type, code, sequence",
    "address": "id, street, city, zip",
    "party_address": "party, address, sequence",
    "contact": "party, type, value, sequence",
    "party_group": "party, group_id",
}
"""What makes a customer, by table, in the order of their making."""

SALE: Final = "party, employee, number, subject, total, due_on"

INSERTS: Final = {
    "party": "INSERT INTO public.party (id, name, representative) VALUES (%s, %s, %s)",
    "party_code": "INSERT INTO public.party_code (party, type, code, sequence) VALUES (%s, %s, %s, %s)",
    "address": "INSERT INTO public.address (id, street, city, zip) VALUES (%s, %s, %s, %s)",
    "party_address": "INSERT INTO public.party_address (party, address, sequence) VALUES (%s, %s, %s)",
    "contact": "INSERT INTO public.contact (party, type, value, sequence) VALUES (%s, %s, %s, %s)",
    "party_group": "INSERT INTO public.party_group (party, group_id) VALUES (%s, %s)",
}
UPDATE_ADDRESS: Final = "UPDATE public.address SET street = %s, city = %s, zip = %s WHERE id = %s"
UPDATE_CODE: Final = "UPDATE public.party_code SET code = %s WHERE party = %s AND type = 'vat'"
UPDATE_PHONE: Final = "UPDATE public.contact SET value = %s WHERE party = %s AND type = 'phone'"
DELETE_PHONE: Final = "DELETE FROM public.contact WHERE party = %s AND type = 'phone'"
DELETE_MEMBER: Final = "DELETE FROM public.party_group WHERE party = %s AND group_id = %s"


def create(connection: Connection, sizes: Sizes) -> None:
    """Makes and fills the tables: all customers, the prospects too, and the orders."""
    connection.execute(Path(__file__).with_name("erp.sql").read_text(encoding="utf-8"))
    numbered = enumerate(employees(), FIRST["employee"] + 1)
    load(connection, "employee", "id, email, name", ((key, *employee) for key, employee in numbered))
    each = [rows(one, member=not is_prospect(one.number)) for one in companies(sizes.preload_records)]
    for table, columns in COLUMNS.items():
        load(connection, table, columns, (made[table] for made in each if table in made))
    load(connection, "sale", SALE, (sale(one) for one in orders(sizes.preload_records)))


def backlog(sizes: Sizes) -> Iterator[list[Statement]]:
    """The transactions, in order."""
    parts = Parts(sizes)
    for number in range(sizes.record_changes // sizes.transaction_rows):
        statements: list[Statement] = []
        for place in range(sizes.transaction_rows):
            match place % 10:
                case 1 | 6:
                    statements.append(parts.code())
                case 3 | 8:
                    statements.append(parts.phone())
                case 5:
                    statements.append(parts.phone_gone() if number % 2 else parts.phone_new())
                case 9:
                    statements.append(parts.member_gone() if number % 2 else parts.member_new())
                case _:
                    statements.append(parts.address())
        yield statements


class Parts:
    """Draws one change after the other, each of a company of which it can be made."""

    def __init__(self, sizes: Sizes) -> None:
        numbers = range(1, sizes.preload_records + 1)
        self._chance = Random(SEED + 6)
        self._lasting = [n for n in numbers if not is_prospect(n) and not orders_nothing(n)]
        self._prospects = [n for n in numbers if is_prospect(n)]
        self._leaving = [n for n in numbers if orders_nothing(n)]
        phones = {one.number: one.phone is not None for one in companies(sizes.preload_records)}
        self._with_phone = [n for n in self._lasting if phones[n]]
        self._without_phone = [n for n in self._lasting if not phones[n]]
        for drawn in (self._prospects, self._leaving, self._with_phone, self._without_phone):
            self._chance.shuffle(drawn)
        self._fresh = count(FRESH)

    def address(self) -> Statement:
        """Another address."""
        new = self._drawn(self._lasting)
        return UPDATE_ADDRESS, (new.street, new.city, new.postcode, FIRST["address"] + new.number)

    def code(self) -> Statement:
        """Another VAT number, of nobody else."""
        return UPDATE_CODE, (vat_no(next(self._fresh)), self._party(self._lasting))

    def phone(self) -> Statement:
        """Another phone, where there is one."""
        new = self._drawn(self._with_phone)
        return UPDATE_PHONE, (new.phone, FIRST["party"] + new.number)

    def phone_new(self) -> Statement:
        """A phone, where there was none."""
        number = self._without_phone.pop()
        return INSERTS["contact"], rows(company(self._chance, number), member=True)["contact"]

    def phone_gone(self) -> Statement:
        """A phone that is no more."""
        return DELETE_PHONE, (FIRST["party"] + self._with_phone.pop(),)

    def member_new(self) -> Statement:
        """A prospect becomes a customer."""
        return INSERTS["party_group"], (FIRST["party"] + self._prospects.pop(), CUSTOMERS)

    def member_gone(self) -> Statement:
        """A customer without orders is one no more."""
        return DELETE_MEMBER, (FIRST["party"] + self._leaving.pop(), CUSTOMERS)

    def _drawn(self, numbers: list[int]) -> Company:
        return company(self._chance, self._chance.choice(numbers))

    def _party(self, numbers: list[int]) -> int:
        return FIRST["party"] + self._chance.choice(numbers)


def customer(one: Company) -> list[Statement]:
    """What makes this company a customer: six rows."""
    return [(INSERTS[table], row) for table, row in rows(one, member=True).items()]


def has_customer(connection: Connection, vat_no: str) -> bool:
    """True if there are a code of this VAT number and the membership of its party."""
    found = connection.execute(
        "SELECT 1 FROM public.party_code JOIN public.party_group USING (party) WHERE code = %s",
        [vat_no],
    )
    return found.fetchone() is not None


def rows(one: Company, *, member: bool) -> dict[str, tuple[Any, ...]]:
    """The rows of a company, by table."""
    party, address = FIRST["party"] + one.number, FIRST["address"] + one.number
    made: dict[str, tuple[Any, ...]] = {
        "party": (party, one.name, FIRST["employee"] + one.rep),
        "party_code": (party, "vat", one.vat_no, 1),
        "address": (address, one.street, one.city, one.postcode),
        "party_address": (party, address, 1),
    }
    if one.phone is not None:
        made["contact"] = (party, "phone", one.phone, 1)
    if member:
        made["party_group"] = (party, CUSTOMERS)
    return made


def sale(one: Order) -> tuple[Any, ...]:
    """The row of an order, without its key."""
    keys = (FIRST["party"] + one.customer, FIRST["employee"] + one.rep)
    return (*keys, one.number, one.subject, one.total, one.due)
