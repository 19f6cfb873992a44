"""Which entities have keys of the systems' own, so that their records need an id of ours: the crossed ones.

Turns the models of all entities into a set of names. An entity is crossed if it says so by any word that only such
records have, if it shares a table, or if it refers to a crossed one; every other is kept in step by its shared key, as
one table against one table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from rules.ruling import columns_of, identities, identity_fields, parts_of, table_of
from rules.syntax import EntitySyntax, TableSyntax


def crossed_entities(entities: Mapping[str, EntitySyntax]) -> frozenset[str]:
    """The names of all entities with keys of the systems' own."""
    own = {name for name, entity in entities.items() if _says_so(entity)} | set(_sharing(entities))
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(entities)
    for name, entity in entities.items():
        graph.add_edges_from((field.reference, name) for field in entity.fields.values() if field.reference in entities)
    return frozenset(own.union(*(nx.descendants(graph, name) for name in own)))


def shared_key(name: str, entity: EntitySyntax, crossed: Collection[str]) -> tuple[str, ...]:
    """The fields that are the entity's key in every system; none if the systems have keys of their own."""
    return () if name in crossed else identity_fields(entity)


def _says_so(entity: EntitySyntax) -> bool:
    """Any word that only a record with keys of the systems' own can have."""
    alternatives = identities(entity)
    return (
        any(_is_put_together(table) for table in entity.bind.values())
        or "restrict" in entity.delete.values()  # who refers to a record is known by its id
        or len(alternatives) > 1
        or any(item.same != "exact" for alternative in alternatives for item in alternative)
        or any(
            column.lookup is not None or column.empty is not None
            for field in entity.fields.values()
            for column in columns_of(entity, field).values()
        )
    )


def _is_put_together(table: TableSyntax) -> bool:
    return bool(
        table.key is not None
        or table.where is not None
        or table.parts
        or table.member_when
        or table.deactivate
        or table.reactivate
        or table.on_create
        or table.remove is not None
    )


def _sharing(entities: Mapping[str, EntitySyntax]) -> Iterator[str]:
    """Entities that have a table in common with another, in the same system."""
    users: dict[tuple[str, tuple[str, str]], set[str]] = defaultdict(set)
    for name, entity in entities.items():
        for system, table in entity.bind.items():
            for used in parts_of(table).values():
                users[system, table_of(used)].add(name)
    for names in users.values():
        if len(names) > 1:
            yield from names
