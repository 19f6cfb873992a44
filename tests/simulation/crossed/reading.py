"""What a person would see in each system: its records, put together by hand from its tables.

Turns a database's rows into {own key: {field: text}} for each entity. It shares no code with the engine or the
adapters, so that the oracle may compare with it what they made of the same rows.
"""

from __future__ import annotations

from adapters.memory import MemorySystem
from engine.vocabulary import Text
from tests.simulation.crossed.books import (
    ADDRESS,
    COUNTRY,
    GONE,
    MEMBERS,
    PARTY,
    PARTY_ADDRESS,
    PARTY_CODE,
    PARTY_GROUP,
    SINGLE,
)

Seen = dict[str, dict[str, Text]]
"""own key → field → text: a reference is the system's own key, a country its code, an empty text None"""


def records(database: MemorySystem, entity: str, *, ended: bool = False) -> Seen:
    """The records of an entity; `ended`: those, instead, whose root row is there although they are none."""
    if (database.system, entity) == ("erp", "customer"):
        return {key: party(database, key) for key in database.stored[PARTY] if is_customer(database, key) != ended}
    table, columns = SINGLE[database.system, entity]
    return {
        key: {name: row[column] for name, column in columns.items()}
        for key, row in database.stored[table].items()
        if (entity == "customer" and row[9] == GONE and by_column(database)) == ended
    }


def by_column(database: MemorySystem) -> bool:
    """True if a column says that a customer is deleted here."""
    return database.assemblies["customer"].removal == "columns"


def is_customer(database: MemorySystem, key: str) -> bool:
    """True if this party of `erp` is a customer."""
    gone = by_column(database) and database.stored[PARTY][key][4] == GONE
    return f"{key}\x1f{MEMBERS}" in database.stored[PARTY_GROUP] and not gone


def party(database: MemorySystem, key: str) -> dict[str, Text]:
    """What is to be seen of a party of `erp`."""
    _, name, phone, country, _ = database.stored[PARTY][key]
    address = address_of(database, key)
    _, street, city = database.stored[ADDRESS][address] if address is not None else (None, None, None)
    codes = {kind: code_of(database, key, kind) for kind in ("vat", "mail")}
    texts = {kind: database.stored[PARTY_CODE][code][3] if code is not None else None for kind, code in codes.items()}
    iso = database.stored[COUNTRY][country][1] if country in database.stored[COUNTRY] else None
    return {
        "vat": texts["vat"], "email": texts["mail"], "name": name, "phone": phone or None, "street": street,
        "city": city, "country": iso,
    }  # fmt: skip


def code_of(database: MemorySystem, key: str, kind: str) -> str | None:
    """The key of the row that is a party's code of a kind: the one with the lowest seq, then the oldest."""
    found = [
        (seq is None, int(seq or 0), int(id or 0))
        for id, owner, what, _, seq in database.stored[PARTY_CODE].values() if owner == key and what == kind
    ]
    return str(min(found)[2]) if found else None


def link_of(database: MemorySystem, key: str) -> str | None:
    """The key of the row that leads to a party's address: the one with the highest seq, then the oldest."""
    found = [
        (seq is None, -int(seq or 0), int(id or 0))
        for id, owner, _, seq in database.stored[PARTY_ADDRESS].values() if owner == key
    ]
    return str(min(found)[2]) if found else None


def address_of(database: MemorySystem, key: str) -> str | None:
    """The key of a party's address."""
    link = link_of(database, key)
    address = database.stored[PARTY_ADDRESS][link][2] if link is not None else None
    return address if address in database.stored[ADDRESS] else None
