"""Rule books for tests, made without rule files: what the engine sees, with every policy in it.

Turns a few choices (systems, owner, who may create, what deleting means, whether there is a child entity, whether one
system stores values in its own form) into a `RuleBook`. It never reads a file and never draws anything itself.

`item` has a field for every policy, an owned field, a group and a value map; `order` refers to it. Everywhere columns
are named as fields are; `mes` has them in another order, and has no `note`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.errors import ValueRefused
from engine.rulebook import (
    Binding,
    Codec,
    DeletePolicy,
    Entity,
    Field,
    Limits,
    PolicyName,
    Register,
    RuleBook,
    Table,
)
from tests.simulation.wording import APART, names_of, wording

FIELDS = ("code", "name", "note", "limit", "high", "low", "first", "points", "street", "city", "terms", "grade")
POLICIES: dict[str, PolicyName] = {
    "name": "last_writer",
    "note": "system_of_record",
    "high": "max",
    "low": "min",
    "first": "first_writer",
    "points": "delta",
    "terms": "hold",
    "grade": "last_writer",
}
NUMERIC = ("high", "low", "points")
ORDER_FIELDS = ("code", "item", "memo", "slot")
LACKING = {"mes": frozenset({"note"})}
"""By system: columns that it does not have."""

GRADES = {"A": "1", "B": "2", "C": "3"}
"""canonical → as `crm` stores it"""
UNSTORABLE, UNREADABLE = "Z", "9"
"""A grade that `crm` has no counterpart for, and one of `crm` that the rules have none for."""
MARK = "#"
"""What `crm` puts before every `first`."""


def _looked_up(table: Mapping[str, str], value: str) -> str:
    if value not in table:
        raise ValueRefused(f"`{value}` has no counterpart")
    return table[value]


def _unmarked(value: str) -> str:
    if not value.startswith(MARK):
        raise ValueRefused("the mark is missing")
    return value[len(MARK) :]


GRADE_CODEC = Codec(
    "map grade",
    decode=lambda stored: _looked_up({there: here for here, there in GRADES.items()}, stored),
    encode=lambda canonical: _looked_up(GRADES, canonical),
)
MARK_CODEC = Codec("mark first", decode=_unmarked, encode=lambda canonical: MARK + canonical)


def book(
    systems: tuple[str, ...] = ("erp", "crm"),
    *,
    owner: str = "erp",
    create: frozenset[str] | None = None,
    delete: Mapping[str, DeletePolicy] | None = None,
    delete_wins: bool = False,
    orders: bool = False,
    codecs: bool = False,
    limits: Limits | None = None,
    words: frozenset[str] = frozenset(),
    name: str = "sim",
) -> RuleBook:
    """The entity `item`, with `orders` its child `order`; with `codecs`, `crm` stores two fields in its own form.

    `words`: what `item` has besides (`wording`)."""
    entities = {"item": _item(systems, owner, create, delete, delete_wins, codecs, words)}
    if orders:
        entities["order"] = _order(systems, delete_wins)
    entities = {made: replace(entity, limits=limits or Limits()) for made, entity in entities.items()}
    return RuleBook(
        name=name,
        systems=systems,
        entities=entities,
        tables={s: tuple(_table(e, e.bindings[s]) for e in entities.values()) for s in systems},
        bound={s: tuple(e.bindings[s] for e in entities.values()) for s in systems},
    )


def _item(
    systems: tuple[str, ...], owner: str, create: frozenset[str] | None, delete: Mapping[str, DeletePolicy] | None,
    delete_wins: bool, codecs: bool, words: frozenset[str],
) -> Entity:
    registers = [Register(0, (), None, "last_writer", systems)]
    fields = [Field("code", 0, -1)]
    for number, field_name in enumerate(FIELDS[1:], start=1):
        if field_name != "city":  # it is decided together with `street`
            registers.append(Register(
                len(registers), (number, number + 1) if field_name == "street" else (number,),
                owner if field_name == "limit" else None, POLICIES.get(field_name, "last_writer"), systems,
            ))
        fields.append(Field(field_name, number, len(registers) - 1, "integer" if field_name in NUMERIC else "text"))
    own = {FIELDS.index("grade"): GRADE_CODEC, FIELDS.index("first"): MARK_CODEC} if codecs else {}
    more = wording(words, systems, FIELDS, len(registers))
    own |= more.codecs
    names = (*FIELDS, *names_of(words))
    return Entity(
        name="item", fields=(*fields, *more.fields), key=(0,), registers=(*registers, *more.registers),
        bindings={s: _binding(s, "item", 0, names, own if s == "crm" else {}) for s in systems},
        create=create or frozenset(systems), delete=delete or dict.fromkeys(systems, "propagate"),
        delete_wins=delete_wins, checks=more.checks,
    )


def _order(systems: tuple[str, ...], delete_wins: bool) -> Entity:
    registers = tuple(Register(n, (n,) if n else (), None, "last_writer", systems) for n in range(len(ORDER_FIELDS)))
    fields = tuple(
        Field(name, n, n if n else -1, reference="item" if name == "item" else None)
        for n, name in enumerate(ORDER_FIELDS)
    )
    return Entity(
        name="order", fields=fields, key=(0,), registers=registers,
        bindings={s: _binding(s, "order", 1, ORDER_FIELDS, {}) for s in systems},
        create=frozenset(systems), delete=dict.fromkeys(systems, "propagate"), delete_wins=delete_wins,
    )


def _binding(
    system: str, entity: str, table: int, fields: tuple[str, ...], codecs: Mapping[int, Codec]
) -> Binding:
    lacking = LACKING.get(system, frozenset()) | APART[system]
    columns = [n for n, name in enumerate(fields) if name not in lacking]
    if system == "mes":
        columns.reverse()
    return Binding(system, entity, table, tuple(columns), codecs)


def _table(entity: Entity, binding: Binding) -> Table:
    names = tuple(entity.fields[n].name for n in binding.columns)
    return Table("public", entity.name, names, (binding.columns.index(0),))
