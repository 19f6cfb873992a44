"""Where the demo's records live: table and column names of the ERP and the CRM, their codes, and SQL made of
them.

Turns canonical records into rows of one system and a user's intent ("set the phone of customer C100017") into
that system's own statement. It repeats what `examples/demo/demo.yaml` says on purpose: the demo's users and
the loader must not depend on the rules that they test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from service.demo.data import FIELDS, Record, World

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

Connection = psycopg.Connection[Any]


def connect(address: str) -> Connection:
    """A session that commits each statement by itself."""
    return psycopg.connect(address, autocommit=True)


def stored(system: str, entity: str, field: str, value: Any) -> Any:
    """The value as that system writes it."""
    codes = ERP_CODES.get((entity, field)) if system == "erp" else None
    return codes[value] if codes else value


def load(connection: Connection, system: str, world: World) -> None:
    """Fills the system's empty tables with its picture of the world, parents first."""
    for entity, fields in FIELDS.items():
        with connection.cursor() as cursor, cursor.copy(copy_statement(system, entity)) as copy:
            for record in world.table(entity).values():
                copy.write_row(
                    [stored(system, entity, field, value) for field, value in zip(fields, record, strict=True)]
                )


def copy_statement(system: str, entity: str) -> sql.Composed:
    """COPY into the entity's table, columns in the order of its fields."""
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS[system][entity]))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(table(system, entity), columns)


def insert(connection: Connection, system: str, entity: str, record: Record) -> int:
    """A user enters a new record; the number of rows made."""
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS[system][entity]))
    marks = sql.SQL(", ").join([sql.Placeholder()] * len(record))
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(table(system, entity), columns, marks)
    values = [stored(system, entity, field, value) for field, value in zip(FIELDS[entity], record, strict=True)]
    return connection.execute(statement, values).rowcount


def change(connection: Connection, system: str, entity: str, key: str, values: dict[str, Any]) -> int:
    """A user sets some fields of a record; the number of rows changed (0: it is gone)."""
    pairs = [sql.SQL("{} = %s").format(column(system, entity, field)) for field in values]
    statement = sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(
        table(system, entity), sql.SQL(", ").join(pairs), column(system, entity, FIELDS[entity][0])
    )
    arguments = [stored(system, entity, field, value) for field, value in values.items()]
    return connection.execute(statement, [*arguments, key]).rowcount


def add(connection: Connection, system: str, entity: str, key: str, field: str, amount: int) -> int:
    """A user adds to a number where it stands; the number of rows changed."""
    name = column(system, entity, field)
    statement = sql.SQL("UPDATE {} SET {} = {} + %s WHERE {} = %s").format(
        table(system, entity), name, name, column(system, entity, FIELDS[entity][0])
    )
    return connection.execute(statement, [amount, key]).rowcount


def delete(connection: Connection, system: str, entity: str, key: str) -> int:
    """A user deletes a record; the number of rows deleted."""
    statement = sql.SQL("DELETE FROM {} WHERE {} = %s").format(
        table(system, entity), column(system, entity, FIELDS[entity][0])
    )
    return connection.execute(statement, [key]).rowcount


def records(connection: Connection, system: str, entity: str) -> Iterator[tuple[str, ...]]:
    """All records as the system has them, as canonical text."""
    chosen = sql.SQL(", ").join(sql.SQL("{}::text").format(column(system, entity, field)) for field in FIELDS[entity])
    statement = sql.SQL("SELECT {} FROM {}").format(chosen, table(system, entity))
    words = backwards(system, entity)
    for row in connection.execute(statement):
        yield tuple(words[place].get(value, value) if place in words else value for place, value in enumerate(row))


def backwards(system: str, entity: str) -> dict[int, dict[str, str]]:
    """By column: what the system's codes mean in words."""
    if system != "erp":
        return {}
    return {
        FIELDS[of].index(field): {code: word for word, code in codes.items()}
        for (of, field), codes in ERP_CODES.items()
        if of == entity
    }


def table(system: str, entity: str) -> sql.Identifier:
    """The entity's table, quoted."""
    return sql.Identifier(*TABLES[system][entity])


def column(system: str, entity: str, field: str) -> sql.Identifier:
    """The field's column, quoted."""
    return sql.Identifier(COLUMNS[system][entity][FIELDS[entity].index(field)])


def differences(left: Iterable[tuple[str, ...]], right: Iterable[tuple[str, ...]]) -> list[str]:
    """The keys of records that are not the same on both sides, ascending; made without any code of the
    engine."""
    one, other = {row[0]: row for row in left}, {row[0]: row for row in right}
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
