"""Makes the demo's customers, products and orders out of a seed: the same seed, the same records, on every
machine.

Records are canonical: one tuple each, in the order of the fields of `examples/demo/demo.yaml`. How a system
stores them is `places`' affair. `day_one` makes of one world the two pictures that the ERP and the CRM have
of it before anybody has compared them: mostly alike, some rows different, some known to one side only.

Never asks a clock or the machine for anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from service.demo.names import ADJECTIVES, COUNTRIES, GOODS, MATERIALS, PHRASES, SIZES, Country

Record = tuple[Any, ...]
Table = dict[str, Record]
"""Records by their natural key."""

FIELDS: Final = {
    "customer": (
        "customer_no", "name", "email", "phone", "vat_no", "street", "city", "postcode", "country", "stage",
        "credit_limit", "payment_terms", "loyalty_points", "last_contact", "notes",
    ),
    "product": ("sku", "description", "unit", "price", "currency", "weight", "discontinued"),
    "order": (
        "order_no", "customer", "product", "quantity", "amount", "currency", "status", "ordered_on",
        "promised", "note",
    ),
}  # fmt: skip
"""The fields of each entity, parents before children; the first is the key."""

EPOCH: Final = date(2026, 1, 5)
"""The day from which the demo's dates are counted."""

ORDERING_SHARE: Final = 0.9
"""Only the first nine customers in ten have orders; the others may be deleted without breaking a foreign
key."""


@dataclass(slots=True)
class World:
    """What really is, before two applications have made two pictures of it."""

    customers: Table
    products: Table
    orders: Table

    def table(self, entity: str) -> Table:
        """The records of one entity."""
        return {"customer": self.customers, "product": self.products, "order": self.orders}[entity]

    def ordering(self) -> list[str]:
        """The customers that may have orders."""
        keys = list(self.customers)
        return keys[: int(len(keys) * ORDERING_SHARE)]

    def idle(self) -> list[str]:
        """The customers that no order ever refers to."""
        keys = list(self.customers)
        return keys[int(len(keys) * ORDERING_SHARE) :]


def make_world(seed: int, customers: int = 3000, products: int = 500, orders: int = 4000) -> World:
    """A world of that size; the same seed gives the same world."""
    chance = Random(seed)
    world = World({}, {}, {})
    for number in range(customers):
        record = make_customer(chance, f"C{100001 + number}")
        world.customers[record[0]] = record
    for number in range(products):
        record = make_product(chance, number)
        world.products[record[0]] = record
    buyers, goods = world.ordering(), list(world.products)
    for number in range(orders):
        sku = chance.choice(goods)
        record = make_order(chance, f"SO-{260001 + number}", chance.choice(buyers), world.products[sku])
        world.orders[record[0]] = record
    return world


def make_customer(chance: Random, key: str) -> Record:
    """One customer: a name, an address and a telephone number that belong to one country."""
    country = chance.choice(COUNTRIES)
    name = company(chance, country)
    city, postcode = chance.choice(country.cities)
    return (
        key,
        name,
        f"{chance.choice(('info', 'einkauf', 'orders', 'office', 'kontakt'))}.{key[1:]}@{country.domain}",
        phone(chance, country),
        f"{country.code}{chance.randrange(10**8, 10**9)}-{key[-3:]}" if chance.random() < 0.9 else None,
        f"{chance.choice(country.streets)} {chance.randrange(1, 240)}",
        city,
        postcode,
        country.code,
        chance.choices(("prospect", "active", "dormant"), (2, 7, 1))[0],
        Decimal(chance.randrange(0, 200)) * 500,
        chance.choices(("CASH", "N14", "N30", "N60"), (1, 2, 6, 1))[0],
        chance.randrange(0, 5000),
        EPOCH - timedelta(days=chance.randrange(0, 700)) if chance.random() < 0.8 else None,
        remarks(chance),
    )


def company(chance: Random, country: Country) -> str:
    """A company's name as that country writes it."""
    return country.pattern.format(
        family=chance.choice(country.families),
        other=chance.choice(country.families),
        trade=chance.choice(country.trades),
    )


def phone(chance: Random, country: Country) -> str:
    """A telephone number with its country's prefix."""
    return f"{country.prefix} {chance.randrange(20, 999)} {chance.randrange(10**5, 10**7)}"


def remarks(chance: Random) -> str | None:
    """Mostly nothing or a sentence; now and then a text so long that PostgreSQL stores it out of line
    (TOAST)."""
    kind = chance.random()
    if kind < 0.6:
        return None
    sentences = 1 if kind < 0.98 else 160
    return " ".join(f"{chance.choice(PHRASES)} ({chance.randrange(10**6):06d})" for _ in range(sentences))


def make_product(chance: Random, number: int) -> Record:
    """One article of a fastener and fittings trade."""
    good, unit = GOODS[number % len(GOODS)]
    size = SIZES[(number // len(GOODS)) % len(SIZES)]
    material = chance.choice(MATERIALS)
    return (
        f"{good[:3].upper()}-{number + 1000:05d}",
        f"{chance.choice(ADJECTIVES)} {good} {size}, {material}",
        unit,
        Decimal(chance.randrange(5, 90_000)) / 100,
        "EUR",
        Decimal(chance.randrange(1, 40_000)) / 1000 if chance.random() < 0.9 else None,
        "t" if chance.random() < 0.05 else "f",
    )


def make_order(chance: Random, key: str, customer: str, product: Record) -> Record:
    """One order of one article by one customer."""
    quantity = chance.randrange(1, 250)
    ordered = EPOCH + timedelta(days=chance.randrange(0, 300))
    return (
        key,
        customer,
        product[0],
        quantity,
        product[3] * quantity,
        product[4],
        chance.choices(("open", "confirmed", "shipped", "cancelled"), (3, 3, 6, 1))[0],
        ordered,
        ordered + timedelta(days=chance.randrange(2, 40)) if chance.random() < 0.7 else None,
        chance.choice(PHRASES) if chance.random() < 0.3 else None,
    )


def day_one(world: World, seed: int) -> dict[str, World]:
    """The two pictures that the ERP and the CRM have of the world before duolog comes."""
    chance = Random(seed + 1)
    sides = {name: World(dict(world.customers), dict(world.products), dict(world.orders)) for name in ("erp", "crm")}
    for key in chance.sample(list(world.customers), len(world.customers) // 30):
        side = sides[chance.choice(("erp", "crm"))]
        side.customers[key] = grow_apart(chance, side.customers[key])
    for key in chance.sample(list(world.products), len(world.products) // 20):
        record = world.products[key]
        sides["crm"].products[key] = (*record[:3], record[3] + Decimal("0.55"), *record[4:])
    for key in chance.sample(world.idle(), len(world.idle()) // 4):
        del sides[chance.choice(("erp", "crm"))].customers[key]
    for key in chance.sample(list(world.orders), len(world.orders) // 40):
        del sides[chance.choice(("erp", "crm"))].orders[key]
    return sides


def grow_apart(chance: Random, customer: Record) -> Record:
    """The customer as one side has it who was told of a change that the other side never heard of."""
    record = list(customer)
    match chance.randrange(3):
        case 0:
            record[2] = f"neu.{record[2]}"
        case 1:
            record[3] = f"{record[3]}-{chance.randrange(10, 99)}"
        case _:
            country = next(one for one in COUNTRIES if one.code == record[8])
            record[5] = f"{chance.choice(country.streets)} {chance.randrange(1, 240)}"
            record[6], record[7] = chance.choice(country.cities)
    return tuple(record)
