"""What the short words of an entity amount to: columns by system, tables, and who decides which fields.

Turns the models of one entity into plain values, filling in every default. Judges nothing: `rules/check.py` does.

Who decides a field is said by the nearest level that says anything (the field, its group, the entity), and by that
level alone: a field's own `conflict` sets aside the entity's owner. A level that says both is an owner's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from engine.rulebook import DeletePolicy, PolicyName
from rules.problem import Path
from rules.syntax import (
    ColumnSyntax,
    ConflictSyntax,
    EntitySyntax,
    FieldSyntax,
    IdentitySyntax,
    Leaving,
    LookupSyntax,
    OwnerSyntax,
    PartSyntax,
    TableSyntax,
)

DEFAULT_SCHEMA = "public"
ROOT = "root"
"""What the table that is bound is called among its parts."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Who decides a field or a group."""

    owner: str | None
    policy: PolicyName | None
    """None: nobody said."""
    said: Path
    """Where."""


def table_of(table: TableSyntax | PartSyntax | LookupSyntax) -> tuple[str, str]:
    """(schema, name), exactly as the catalog should have them."""
    if table.schema_ is not None:
        return table.schema_, table.table
    schema, dot, name = table.table.partition(".")
    return (schema, name) if dot else (DEFAULT_SCHEMA, table.table)


def columns_of(entity: EntitySyntax, field: FieldSyntax) -> dict[str, ColumnSyntax]:
    """A field's column in each system that has one, in the order in which the entity is bound."""
    if field.everywhere is not None:
        column = ColumnSyntax(column=field.everywhere)
        return dict.fromkeys(entity.bind, column)
    return {system: field.columns[system] for system in entity.bind if system in field.columns}


def part_of(table: TableSyntax, column: str) -> tuple[str, str]:
    """(part, column) of a column as a field names it. Only where there are parts does a dot part anything."""
    part, dot, name = column.partition(".")
    return (part, name) if dot and table.parts else (ROOT, column)


def parts_of(table: TableSyntax) -> dict[str, TableSyntax | PartSyntax]:
    """All parts of a binding by name, the root first."""
    return {ROOT: table, **table.parts}


def part_path(entity: str, system: str, part: str) -> Path:
    """Where a part is described."""
    top: Path = ("entities", entity, "bind", system)
    return top if part == ROOT else (*top, "parts", part)


def identities(entity: EntitySyntax) -> tuple[tuple[IdentitySyntax, ...], ...]:
    """The alternatives by which a record is recognised, in the order in which they are tried."""
    alone = tuple(item for item in entity.identity if isinstance(item, IdentitySyntax))
    return (alone,) if alone else tuple(tuple(item) for item in entity.identity if isinstance(item, list))


def identity_fields(entity: EntitySyntax) -> tuple[str, ...]:
    """All fields of the identity, each once."""
    return tuple(dict.fromkeys(item.field for alternative in identities(entity) for item in alternative))


def identity_places(top: Path, entity: EntitySyntax) -> Iterator[tuple[Path, IdentitySyntax]]:
    """Every field of the identity, with its place."""
    for index, item in enumerate(entity.identity):
        if isinstance(item, IdentitySyntax):
            yield (*top, "identity", index, "field"), item
        else:
            for inner, one in enumerate(item):
                yield (*top, "identity", index, inner, "field"), one


def column_path(entity: str, field: str, system: str) -> Path:
    """Where the name of a field's column stands (`Document.place` finds it in the short forms, too)."""
    return ("entities", entity, "fields", field, system, "column")


def groups_by_field(entity: EntitySyntax) -> dict[str, str]:
    """The group of each field that is in one."""
    return {field: name for name, group in entity.groups.items() for field in group.fields}


def sole_owner(owners: list[OwnerSyntax] | None) -> str | None:
    """The one system that owns it, whatever the record's state; None if there is no such."""
    return owners[0].system if owners and owners[0].when is None else None


def ruling(name: str, entity: EntitySyntax, field: str | None, group: str | None) -> Ruling:
    """Who decides a field (its group, where it is in one); both None: what the entity says."""
    top: Path = ("entities", name)
    levels: list[tuple[list[OwnerSyntax] | None, ConflictSyntax | None, Path]] = []
    if field is not None:
        own = entity.fields[field]
        levels.append((own.owner, own.conflict, (*top, "fields", field)))
    if group is not None:
        both = entity.groups[group]
        levels.append((both.owner, both.conflict, (*top, "groups", group)))
    levels.append((entity.owner, entity.conflict, top))
    for owners, conflict, path in levels:
        if owners is not None:
            return Ruling(sole_owner(owners), "system_of_record", (*path, "owner"))
        if conflict is not None:
            return Ruling(None, conflict.policy, (*path, "conflict"))
    return Ruling(None, None, top)


def registers(entity: EntitySyntax, key: Collection[str]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """What is decided as one, in the order of the file: (group or None, its fields). Fields of a shared `key` never
    are."""
    group_of = groups_by_field(entity)
    told: set[str] = set()
    for field in entity.fields:
        group = group_of.get(field)
        if field in key or (group is not None and group in told):
            continue
        if group is None:
            yield None, (field,)
        else:
            told.add(group)
            members = entity.groups[group].fields
            yield group, tuple(f for f in entity.fields if f in members and f not in key)


def order_of(entity: EntitySyntax, systems: tuple[str, ...], owner: str | None = None) -> tuple[str, ...]:
    """The systems of the entity, the most trusted first; an owner before all."""
    order = entity.order or [system for system in systems if system in entity.bind]
    return tuple(sorted(order, key=lambda system: system != owner))


def create_of(entity: EntitySyntax) -> frozenset[str]:
    """Whose inserts make a record."""
    if entity.create is not None:
        return frozenset(entity.create)
    owner = sole_owner(entity.owner)
    return frozenset({owner} if owner is not None else entity.bind)


def delete_of(entity: EntitySyntax) -> dict[str, DeletePolicy]:
    """What a deletion means, by system."""
    create = create_of(entity)
    default: dict[bool, DeletePolicy] = {True: "propagate", False: "restore"}
    return {system: entity.delete.get(system, default[system in create]) for system in entity.bind}


def leave_of(entity: EntitySyntax) -> dict[str, DeletePolicy]:
    """What it means that a record's row is there, but no longer a member, by system."""
    meaning: dict[Leaving, DeletePolicy] = {
        "ignore": "ignore", "deactivate": "deactivate", "delete": "propagate", "hold": "hold"
    }  # fmt: skip
    return {system: meaning[entity.leave.get(system, "ignore")] for system in entity.bind}
