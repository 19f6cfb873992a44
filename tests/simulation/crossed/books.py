"""A rule book of records with keys of each system's own: customers, employees who have bosses, orders of both.

Turns what a seed has drawn into a `RuleBook`, made without rule files. It never reads a file and draws nothing.

| | `crm` | `erp` | `mes` |
|---|---|---|---|
| customer | one row, deleted by a column or as a row | a party, codes, an address two tables away, a membership | |
| employee | own key | own key | the number is the key; no boss |
| order | own key | own key | the code is the key; no customer |
"""

from __future__ import annotations

from engine.conditions import In
from engine.rulebook import (
    Assembly,
    Binding,
    Entity,
    Field,
    Form,
    Join,
    Lookup,
    Order,
    Part,
    Register,
    RuleBook,
    Table,
)
from tests.simulation.crossed.features import CrossedFeatures

CUSTOMER = ("vat", "email", "name", "phone", "street", "city", "country", "note")
EMPLOYEE = ("number", "name", "boss")
ORDER = ("code", "customer", "rep", "memo")
REFERENCES = {("employee", "boss"): "employee", ("order", "customer"): "customer", ("order", "rep"): "employee"}

TABLES = {
    "crm": (
        Table(
            "public", "accounts",
            ("id", "vat_number", "email", "name", "phone", "street", "city", "country", "note", "state"), (0,),
        ),
        Table("public", "users", ("id", "number", "name", "boss"), (0,)),
        Table("public", "deals", ("id", "code", "account", "owner", "memo"), (0,)),
    ),
    "erp": (
        Table("public", "party", ("id", "name", "phone", "country", "state"), (0,)),
        Table("public", "party_code", ("id", "party", "kind", "code", "seq"), (0,)),
        Table("public", "party_address", ("id", "party", "address", "seq"), (0,)),
        Table("public", "address", ("id", "street", "city"), (0,)),
        Table("public", "party_group", ("party", "grp"), (0, 1)),
        Table("public", "country", ("id", "iso"), (0,), whole=True),
        Table("public", "staff", ("id", "number", "name", "boss"), (0,)),
        Table("public", "orders", ("id", "code", "party", "rep", "memo"), (0,)),
    ),
    "mes": (
        Table("public", "workers", ("number", "name"), (0,)),
        Table("public", "jobs", ("code", "rep", "memo"), (0,)),
    ),
}  # fmt: skip
PARTY, PARTY_CODE, PARTY_ADDRESS, ADDRESS, PARTY_GROUP, COUNTRY = range(6)
"""The tables of `erp` that make up its customers."""
MEMBERS = "7"
"""The group whose members are customers."""
LIVE, GONE = "live", "gone"

SINGLE: dict[tuple[str, str], tuple[int, dict[str, int]]] = {
    ("crm", "customer"): (0, {name: at for at, name in enumerate(CUSTOMER, start=1)}),
    ("crm", "employee"): (1, {"number": 1, "name": 2, "boss": 3}),
    ("crm", "order"): (2, {"code": 1, "customer": 2, "rep": 3, "memo": 4}),
    ("erp", "employee"): (6, {"number": 1, "name": 2, "boss": 3}),
    ("erp", "order"): (7, {"code": 1, "customer": 2, "rep": 3, "memo": 4}),
    ("mes", "employee"): (0, {"number": 0, "name": 1}),
    ("mes", "order"): (1, {"code": 0, "rep": 1, "memo": 2}),
}
"""By (system, entity) that is one row: its table, and the column of each field."""
FIELDS_OF_PARTIES = ("vat", "email", "name", "phone", "street", "city", "country")


def book(features: CrossedFeatures) -> RuleBook:
    """The rules of one history."""
    entities = [_customer(features)]
    if features.orders_too:
        entities = [*entities, _employee(features), _order(features)]
    return RuleBook(
        name="sim",
        systems=features.systems,
        entities={entity.name: entity for entity in entities},
        tables={s: TABLES[s] for s in features.systems},
        bound={s: tuple(e.bindings[s] for e in entities if s in e.bindings) for s in features.systems},
    )


def _customer(features: CrossedFeatures) -> Entity:
    ways: tuple[tuple[tuple[int, Form], ...], ...] = (((0, "compact"),), ((1, "case"),))
    assemblies = {"erp": _party(features), "crm": _account(features)}
    return _entity(
        features, "customer", CUSTOMER, assemblies, ways if features.alternatives else ways[:1], {"street": "city"},
        {"phone": "erp"} if features.owned else {}, leave=True,
    )  # fmt: skip


def _employee(features: CrossedFeatures) -> Entity:
    return _entity(features, "employee", EMPLOYEE, _rows(features, "employee", EMPLOYEE), (((0, "exact"),),))


def _order(features: CrossedFeatures) -> Entity:
    return _entity(features, "order", ORDER, _rows(features, "order", ORDER), (((0, "exact"),),))


def _entity(
    features: CrossedFeatures, name: str, names: tuple[str, ...], assemblies: dict[str, Assembly],
    identities: tuple[tuple[tuple[int, Form], ...], ...], groups: dict[str, str] | None = None,
    owners: dict[str, str] | None = None, *, leave: bool = False,
) -> Entity:  # fmt: skip
    groups, systems = groups or {}, tuple(s for s in features.systems if s in assemblies)
    registers = [Register(0, (), None, "last_writer", systems)]
    fields = []
    for number, field_name in enumerate(names):
        if field_name not in groups.values():
            both = (number, number + 1) if field_name in groups else (number,)
            owner = (owners or {}).get(field_name)
            registers.append(Register(len(registers), both, owner, "last_writer", systems))
        reference = REFERENCES.get((name, field_name))
        fields.append(Field(field_name, number, len(registers) - 1, reference=reference))
    return Entity(
        name=name, fields=tuple(fields), key=(), registers=tuple(registers),
        bindings={s: _binding(s, name, assemblies[s]) for s in systems},
        create=features.creators & frozenset(systems), delete={s: features.delete[s] for s in systems},
        delete_wins=features.delete_wins, identities=identities,
        leave={s: features.leave[s] for s in systems if s in features.leave} if leave else {},
    )  # fmt: skip


def _binding(system: str, entity: str, assembly: Assembly) -> Binding:
    columns = sorted(number for part in assembly.parts for number, _ in part.fields)
    return Binding(system, entity, assembly.parts[0].table, tuple(columns), {}, assembly)


def _rows(features: CrossedFeatures, entity: str, names: tuple[str, ...]) -> dict[str, Assembly]:
    """An entity that is one row everywhere; in `mes` its first field is the key."""
    found = {}
    for system in features.systems:
        table, columns = SINGLE[system, entity]
        part = Part("root", table, fields=tuple((names.index(name), column) for name, column in columns.items()))
        found[system] = Assembly(parts=(part,), key_fields=(0,) if system == "mes" else ())
    return found


def _account(features: CrossedFeatures) -> Assembly:
    by_column = features.removal["crm"] == "columns"
    _, columns = SINGLE["crm", "customer"]
    root = Part(
        "root", 0, fields=tuple((CUSTOMER.index(name), column) for name, column in columns.items()),
        create=(("state", f"'{LIVE}'"),),
    )  # fmt: skip
    return Assembly(
        parts=(root,), removal="columns" if by_column else "row", gone=((9, GONE),) if by_column else (),
        back=((9, LIVE),) if by_column else (),
    )  # fmt: skip


def _party(features: CrossedFeatures) -> Assembly:
    by_column = features.removal["erp"] == "columns"
    root = Part("root", PARTY, fields=((2, 1), (3, 2), (6, 3)), create=(("state", f"'{LIVE}'"),))
    codes = [
        Part(
            kind, PARTY_CODE, fields=((number, 3),), joins=(Join(1, 0, 0),), where=In(2, (kind,)),
            first_by=(Order(4, "integer"),), constants=((2, kind),), clear=features.clear,
        )
        for number, kind in ((0, "vat"), (1, "mail"))
    ]  # fmt: skip
    link = Part("link", PARTY_ADDRESS, joins=(Join(1, 0, 0),), first_by=(Order(3, "integer", descending=True),))
    address = Part("address", ADDRESS, fields=((4, 1), (5, 2)), joins=(Join(0, 3, 2),), clear=features.clear)
    member = Part("member", PARTY_GROUP, joins=(Join(0, 0, 0),), where=In(1, (MEMBERS,)), constants=((1, MEMBERS),))
    return Assembly(
        parts=(root, *codes, link, address, member),
        members=(5,),
        gone=((4, GONE),) if by_column else (),
        back=((4, LIVE),) if by_column else (),
        removal=features.removal["erp"],
        lookups={6: Lookup(COUNTRY, "insert" if features.adds_codes else "quarantine")},
        empty=frozenset({3}),
    )
