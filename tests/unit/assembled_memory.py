"""Records of several tables in a database in memory: parties, whose parts lie in either direction.

Turns short calls (`insert`, `update`, `delete`) into batches that a target carries out (`apply`), and tables into rows
by key. No desk, no store, no clock.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.memory import MemorySystem, MemoryTarget
from engine.conditions import In
from engine.rulebook import (
    Assembly,
    Binding,
    Entity,
    Field,
    Join,
    Lookup,
    Order,
    Part,
    Register,
    RuleBook,
    Table,
)
from engine.vocabulary import Batch, Outcome, RowResult, Text, Write

NAME, VAT, CITY, STREET, COUNTRY, PARENT = range(6)
"""The fields of a customer."""

PARTY, CODE, ADDRESS, GROUP, COUNTRIES = range(5)
PARTY_TABLES = (
    Table("public", "party", ("id", "name", "active", "address_id", "country_id", "parent_id"), (0,)),
    Table("public", "party_code", ("id", "party", "kind", "code", "seq"), (0,)),
    Table("public", "address", ("id", "city", "street"), (0,)),
    Table("public", "party_group", ("party", "grp"), (0, 1)),
    Table("public", "country", ("id", "iso"), (0,), whole=True),
)
PARTY_ASSEMBLY = Assembly(
    parts=(
        Part("root", PARTY, fields=((NAME, 1), (COUNTRY, 4), (PARENT, 5)), create=(("active", "true"),)),
        Part(
            "vat", CODE, fields=((VAT, 3),), joins=(Join(1, 0, 0),), where=In(2, ("vat",)),
            first_by=(Order(4, "integer"),), constants=((2, "vat"),), create=(("seq", "1"), ("not_read", "'x'")),
        ),
        Part("address", ADDRESS, fields=((CITY, 1), (STREET, 2)), joins=(Join(0, 0, 3),)),
        Part("member", GROUP, joins=(Join(0, 0, 0),), where=In(1, ("7",)), constants=((1, "7"),)),
    ),
    members=(3,),
    lookups={COUNTRY: Lookup(COUNTRIES)},
)  # fmt: skip


def book(tables: tuple[Table, ...], assembly: Assembly, fields: tuple[str, ...], reference: int | None) -> RuleBook:
    """One system with one entity, which may refer to itself."""
    entity = Entity(
        name="customer",
        fields=tuple(
            Field(name, n, n + 1, reference="customer" if n == reference else None) for n, name in enumerate(fields)
        ),
        key=(),
        registers=tuple(Register(n, (n - 1,) if n else (), None, "last_writer", ("erp",)) for n in range(len(fields))),
        bindings={},
        create=frozenset({"erp"}),
        delete={"erp": "propagate"},
        delete_wins=False,
    )
    binding = Binding("erp", "customer", assembly.parts[0].table, tuple(range(len(fields))), {}, assembly)
    entity = replace(entity, bindings={"erp": binding})
    return RuleBook("test", ("erp",), {"customer": entity}, {"erp": tables}, {"erp": (binding,)})


def parties(foreign_keys: bool = False, **changed: object) -> MemorySystem:
    """An empty system of parties; `changed`: what is otherwise in its assembly."""
    assembly = replace(PARTY_ASSEMBLY, **changed)  # type: ignore[arg-type]
    fields = ("name", "vat", "city", "street", "country", "parent")
    return MemorySystem("erp", book(PARTY_TABLES, assembly, fields, PARENT), foreign_keys=foreign_keys)


def apply(database: MemorySystem, *writes: Write) -> Outcome:
    """Carries out a batch."""
    number = len(database.ledger) + 1
    return MemoryTarget(database).apply(Batch("erp", number, list(writes), sum(len(w.rows) for w in writes), 0))


def insert(id: str, values: dict[int, object], key: tuple[str, ...] = (), step: int = 1) -> Write:
    """Our INSERT of a record."""
    return Write("insert", "customer", tuple(values), [(step, id, key, tuple(values.values()), ())])  # type: ignore[list-item]


def update(id: str, key: str, values: dict[int, object], held: dict[int, Text], step: int = 1) -> Write:
    """Our UPDATE of a record."""
    assert values.keys() == held.keys()
    row = (step, id, (key,), tuple(values.values()), tuple(held.values()))
    return Write("update", "customer", tuple(values), [row])  # type: ignore[list-item]


def delete(id: str, key: str, held: dict[int, Text], step: int = 1) -> Write:
    """Our DELETE of a record."""
    return Write("delete", "customer", tuple(held), [(step, id, (key,), (), tuple(held.values()))])


def rows(database: MemorySystem, table: int) -> list[tuple[Text, ...]]:
    """The rows of a table, by key."""
    return [tuple(row) for _, row in sorted(database.stored[table].items())]


def whole() -> MemorySystem:
    """A party `1` with all its parts, made by a user: vat A with seq 2, address 2001, a member of group 7."""
    database = parties()
    changes = database.insert("country", {"id": "49", "iso": "DE"})
    changes += database.insert("address", {"city": "Ulm", "street": "Gasse"})
    changes += database.insert("party", {"name": "Anna", "address_id": "2001", "country_id": "49", "active": "t"})
    changes += database.insert("party_code", {"party": "1", "kind": "vat", "code": "A", "seq": "2"})
    changes += database.insert("party_group", {"party": "1", "grp": "7"})
    database.commit(changes, 5)
    return database


def only(outcome: Outcome) -> RowResult:
    """The one thing that a target has to tell."""
    (result,) = outcome.exceptions
    return result
