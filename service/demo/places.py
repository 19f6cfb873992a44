"""Where the demo's records live: table and column names of the ERP and the CRM, their codes, and SQL made of
them.

Turns canonical records into rows of one system and a user's intent ("set the phone of customer C100017") into
that system's own statement. It repeats what `examples/demo/demo.yaml` says on purpose: the demo's users and
the loader must not depend on the rules that they test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from service.demo.data import FIELDS, Record, World
from service.demo.sessions import MariaSession, Session

TABLES: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "erp": {
        "customer": ("public", "customer"),
        "product": ("public", "product"),
        "order": ("public", "sales_order"),
    },
    "crm": {"customer": ("sales", "account"), "product": ("sales", "item"), "order": ("sales", "deal")},
}

COLUMNS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "erp": {
        "customer": (
            "customer_no", "name", "email", "phone", "vat_no", "street", "city", "postcode", "country",
            "stage", "credit_limit", "payment_terms", "loyalty_points", "last_contact_on", "remarks",
        ),
        "product": ("sku", "description", "unit", "list_price", "currency", "weight_kg", "discontinued"),
        "order": (
            "order_no", "customer_no", "sku", "quantity", "amount", "currency", "status", "ordered_on",
            "promised_on", "delivery_note",
        ),
    },
    "crm": {
        "customer": (
            "account_no", "account_name", "email_address", "phone", "tax_id", "billing_street",
            "billing_city", "billing_zip", "billing_country", "stage", "credit_limit", "payment_terms",
            "bonus_points", "last_contact", "notes",
        ),
        "product": ("code", "title", "sold_by", "unit_price", "price_currency", "weight", "retired"),
        "order": (
            "reference", "account_no", "item_code", "pieces", "total", "total_currency", "state", "closed_on",
            "wanted_by", "shipping_note",
        ),
    },
}  # fmt: skip
"""By system and entity, in the order of `data.FIELDS`."""

ERP_CODES: Final = {
    ("customer", "stage"): {"prospect": "P", "active": "A", "dormant": "D"},
    ("product", "unit"): {"piece": "PCE", "kilogram": "KGM", "metre": "MTR", "set": "SET"},
    ("order", "status"): {"open": "10", "confirmed": "20", "shipped": "30", "cancelled": "90"},
}
"""The ERP's short codes of what the CRM writes in words."""

SWITCH: Final = ("product", "discontinued")
"""A field of two values, which MariaDB has as 0 and 1."""


def stored(session: Session, system: str, entity: str, field: str, value: Any) -> Any:
    """The value as that system writes it."""
    if (entity, field) == SWITCH and isinstance(session, MariaSession):
        return int(value == "t")
    codes = ERP_CODES.get((entity, field)) if system == "erp" else None
    return codes[value] if codes else value


def load(session: Session, system: str, world: World) -> None:
    """Fills the system's empty tables with its picture of the world, parents first."""
    for entity, fields in FIELDS.items():
        rows = (
            [stored(session, system, entity, field, value) for field, value in zip(fields, record, strict=True)]
            for record in world.table(entity).values()
        )
        session.load(table(session, system, entity), COLUMNS[system][entity], rows)


def insert(session: Session, system: str, entity: str, record: Record) -> int:
    """A user enters a new record; the number of rows made."""
    columns = ", ".join(map(session.quoted, COLUMNS[system][entity]))
    marks = ", ".join(["%s"] * len(record))
    fields = zip(FIELDS[entity], record, strict=True)
    values = [stored(session, system, entity, field, value) for field, value in fields]
    into = table(session, system, entity)
    statement = f"INSERT INTO {into} ({columns}) VALUES ({marks})"  # noqa: S608 - all names are quoted
    return session.execute(statement, values)


def change(session: Session, system: str, entity: str, key: str, values: dict[str, Any]) -> int:
    """A user sets some fields of a record; the number of rows changed (0: it is gone)."""
    pairs = ", ".join(column(session, system, entity, field) + " = %s" for field in values)
    arguments = [stored(session, system, entity, field, value) for field, value in values.items()]
    return update(session, system, entity, key, pairs, arguments)


def add(session: Session, system: str, entity: str, key: str, field: str, amount: int) -> int:
    """A user adds to a number where it stands; the number of rows changed."""
    name = column(session, system, entity, field)
    return update(session, system, entity, key, name + " = " + name + " + %s", [amount])


def update(session: Session, system: str, entity: str, key: str, pairs: str, arguments: list[Any]) -> int:
    """An UPDATE of one record; `pairs`: what is set, in SQL."""
    found = where(session, system, entity)
    statement = f"UPDATE {table(session, system, entity)} SET {pairs} {found}"  # noqa: S608 - all names are quoted
    return session.execute(statement, [*arguments, key])


def delete(session: Session, system: str, entity: str, key: str) -> int:
    """A user deletes a record; the number of rows deleted."""
    found = where(session, system, entity)
    statement = f"DELETE FROM {table(session, system, entity)} {found}"  # noqa: S608 - all names are quoted
    return session.execute(statement, [key])


def records(session: Session, system: str, entity: str) -> Iterator[tuple[str, ...]]:
    """All records as the system has them, as canonical text."""
    columns = COLUMNS[system][entity]
    chosen = ", ".join(map(session.printed, columns))
    words = backwards(session, system, entity)
    statement = f"SELECT {chosen} FROM {table(session, system, entity)}"  # noqa: S608 - all names are quoted
    for row in session.rows(statement):
        yield tuple(words[place].get(value, value) if place in words else value for place, value in enumerate(row))


def backwards(session: Session, system: str, entity: str) -> dict[int, dict[str, str]]:
    """By column: what the system's codes mean in words."""
    found = {}
    if entity == SWITCH[0] and isinstance(session, MariaSession):
        found[FIELDS[entity].index(SWITCH[1])] = {"0": "false", "1": "true"}
    for (of, field), codes in ERP_CODES.items() if system == "erp" else ():
        if of == entity:
            found[FIELDS[of].index(field)] = {code: word for word, code in codes.items()}
    return found


def table(session: Session, system: str, entity: str) -> str:
    """The entity's table, quoted. What is a schema in PostgreSQL is a database in MariaDB, of the same name."""
    return session.quoted(*TABLES[system][entity])


def column(session: Session, system: str, entity: str, field: str) -> str:
    """The field's column, quoted."""
    return session.quoted(COLUMNS[system][entity][FIELDS[entity].index(field)])


def where(session: Session, system: str, entity: str) -> str:
    """The condition that finds one record by its key."""
    return f"WHERE {column(session, system, entity, FIELDS[entity][0])} = %s"


def differences(left: Iterable[tuple[str, ...]], right: Iterable[tuple[str, ...]]) -> list[str]:
    """The keys of records that are not the same on both sides, ascending; made without any code of the
    engine."""
    one, other = {row[0]: row for row in left}, {row[0]: row for row in right}
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
