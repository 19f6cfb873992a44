"""What the short words of an entity amount to: columns by system, tables, and who decides which fields.

Turns the models of one entity into plain values, filling in every default. Judges nothing: `rules/check.py` does.

Who decides a field is said by the nearest level that says anything (the field, its group, the entity), and by that
level alone: a field's own `conflict` sets aside the entity's owner. A level that says both is an owner's; where the
owner depends on the record's state, the conflict's policy is asked about the rest, and if the level has none, the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

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

Levels: TypeAlias = "list[tuple[list[OwnerSyntax] | None, ConflictSyntax | None, Path]]"
"""What the field, its group and the entity say of owners and conflicts, and where they stand."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Who decides a field or a group."""

    owner: str | None
    """The only system whose writes count, whatever the record's state."""
    policy: PolicyName | None
    """None: nobody said."""
    said: Path
    """Where."""
    owners: tuple[OwnerSyntax, ...] = ()
    """Who owns it in turn, where that depends on the record's state."""
    conflict: ConflictSyntax | None = None
    """What is said of conflicts."""
    asked: Path = ()
    """Where."""
    closed: frozenset[str] = frozenset()
    """Systems from which nothing is taken."""

    @property
    def ended(self) -> bool:
        """True if somebody owns it in every state."""
        return self.owner is not None or any(one.when is None for one in self.owners)

    def writers(self, systems: Iterable[str]) -> frozenset[str]:
        """Those of `systems` whose writes can ever count."""
        if self.owner is not None:
            may = {self.owner}
        elif self.ended:
            may = {one.system for one in reachable(self.owners)}
        else:
            may = set(systems)
        return frozenset(may & set(systems) - self.closed)


def reachable(owners: Sequence[OwnerSyntax]) -> Sequence[OwnerSyntax]:
    """The owners up to the first that is one always."""
    always = next((at for at, one in enumerate(owners) if one.when is None), len(owners))
    return owners[: always + 1]


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
    """Who decides a field (its group, where it is in one); both None: what the entity says.

    A field that is a part of another is decided with the whole, a derived one by nobody."""
    top: Path = ("entities", name)
    levels: Levels = []
    members: tuple[str, ...] = ()
    if field is not None:
        field = whole_of(entity).get(field, field)
        own = entity.fields[field]
        if own.derive is not None:
            return Ruling(None, "system_of_record", (*top, "fields", field, "derive"), closed=frozenset(entity.bind))
        levels.append((own.owner, own.conflict, (*top, "fields", field)))
        members = (field, *(own.join.of if own.join is not None else ()))
    if group is not None:
        both = entity.groups[group]
        levels.append((both.owner, both.conflict, (*top, "groups", group)))
        members = tuple(both.fields)
    levels.append((entity.owner, entity.conflict, top))
    return _ruled(levels, *_taken_from(entity, members))


def _ruled(levels: Levels, closed: frozenset[str], sole: str | None) -> Ruling:
    """What the nearest level says that says anything; and if that leaves something open, the next for conflicts."""
    for index, (owners, conflict, path) in enumerate(levels):
        owner = sole_owner(owners)
        if owner is not None:
            return Ruling(owner, "system_of_record", (*path, "owner"), closed=closed)
        if owners is not None:
            asked = next(((c, p) for _, c, p in levels[index:] if c is not None), None)
            asked = (conflict, path) if conflict is not None else asked
            ended = any(one.when is None for one in owners)
            if asked is None or (ended and conflict is None):
                policy: PolicyName | None = "system_of_record" if ended else None
                return Ruling(None, policy, (*path, "owner"), tuple(owners), closed=closed)
            said, where = asked
            assert said is not None
            return Ruling(None, said.policy, (*path, "owner"), tuple(owners), said, (*where, "conflict"), closed)
        if conflict is not None:
            said_at = (*path, "conflict")
            if sole is not None:  # the others are not listened to: no conflict can arise
                return Ruling(sole, "system_of_record", said_at, closed=closed)
            return Ruling(None, conflict.policy, said_at, (), conflict, said_at, closed)
    return Ruling(sole, "system_of_record" if sole is not None else None, levels[-1][2], closed=closed)


def _taken_from(entity: EntitySyntax, members: Iterable[str]) -> tuple[frozenset[str], str | None]:
    """(systems that have one of the fields as `one_way`; the only one of the others, if something is closed)"""
    columns = [columns_of(entity, entity.fields[name]) for name in members if name in entity.fields]
    closed = frozenset(system for each in columns for system, column in each.items() if column.one_way)
    opened = {system for each in columns for system in each} - closed
    return closed, (next(iter(opened)) if closed and len(opened) == 1 else None)


def whole_of(entity: EntitySyntax) -> dict[str, str]:
    """By field that is a part of another: that one."""
    return {
        part: name
        for name, field in entity.fields.items()
        if field.join is not None
        for part in field.join.of
        if part in entity.fields and part != name
    }


def registers(entity: EntitySyntax, key: Collection[str]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """What is decided as one, in the order of the file: (group or None, its fields). Fields of a shared `key` never
    are; a whole and its parts always are, the whole first if no group has them."""
    group_of, whole = groups_by_field(entity), whole_of(entity)
    told: set[str] = set()
    for field in entity.fields:
        if field in key or field in told:
            continue
        group = group_of.get(field)
        if group is not None:
            members = [f for f in entity.fields if f in entity.groups[group].fields and f not in key]
        else:
            main = whole.get(field, field)
            members = [main, *(part for part, of in whole.items() if of == main)]
        told.update(members)
        yield group, tuple(members)


def order_of(entity: EntitySyntax, systems: tuple[str, ...], owner: str | None = None) -> tuple[str, ...]:
    """The systems of the entity, the most trusted first; an owner before all."""
    order = entity.order or [system for system in systems if system in entity.bind]
    return tuple(sorted(order, key=lambda system: system != owner))


def create_of(entity: EntitySyntax) -> frozenset[str]:
    """Whose inserts make a record: the owners', if there is one in every state, or everybody's."""
    if entity.create is not None:
        return frozenset(entity.create)
    owners = entity.owner or []
    ended = any(one.when is None for one in owners)
    return frozenset({one.system for one in reachable(owners)} if ended else entity.bind)


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
