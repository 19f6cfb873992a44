"""Rule books for tests, made without rule files: what the engine sees, with every policy in it."""

from __future__ import annotations

from engine.rulebook import (
    Binding,
    DeletePolicy,
    Entity,
    Field,
    PolicyName,
    Register,
    RuleBook,
    Table,
)

FIELDS = ("code", "name", "note", "limit", "high", "low", "first", "points", "street", "city", "terms")
POLICIES: dict[str, PolicyName] = {
    "name": "last_writer",
    "note": "system_of_record",
    "high": "max",
    "low": "min",
    "first": "first_writer",
    "points": "delta",
    "terms": "hold",
}
NUMERIC = ("high", "low", "points")


def book(
    systems: tuple[str, ...] = ("erp", "crm"),
    *,
    owner: str = "erp",
    create: frozenset[str] | None = None,
    delete: dict[str, DeletePolicy] | None = None,
    delete_wins: bool = False,
    name: str = "sim",
) -> RuleBook:
    """One entity `item` with a field for every policy, an owned field and a group; the same columns everywhere."""
    registers = [Register(0, (), None, "last_writer", systems)]
    fields = [Field("code", 0, -1)]
    for number, field_name in enumerate(FIELDS[1:8], start=1):
        registers.append(Register(
            len(registers), (number,), owner if field_name == "limit" else None,
            POLICIES.get(field_name, "system_of_record"), systems,
        ))
        family = "integer" if field_name in NUMERIC else "text"
        fields.append(Field(field_name, number, len(registers) - 1, family))
    registers.append(Register(len(registers), (8, 9), None, "last_writer", systems))
    fields += [Field("street", 8, len(registers) - 1), Field("city", 9, len(registers) - 1)]
    registers.append(Register(len(registers), (10,), None, "hold", systems))
    fields.append(Field("terms", 10, len(registers) - 1))
    table = Table("public", "item", FIELDS, (0,))
    bindings = {s: Binding(s, "item", 0, tuple(range(len(FIELDS)))) for s in systems}
    entity = Entity(
        name="item", fields=tuple(fields), key=(0,), registers=tuple(registers), bindings=bindings,
        create=create or frozenset(systems), delete=delete or dict.fromkeys(systems, "propagate"),
        delete_wins=delete_wins,
    )
    return RuleBook(
        name=name, systems=systems, entities={"item": entity}, tables={s: (table,) for s in systems},
        bound={s: (bindings[s],) for s in systems},
    )
