"""A rule book and a number of partitions to the plan that shares the records out among them.

Entities that refer to each other, use a table together, or add codes to one, are a flow: their records have to be
decided in one order. A flow is spread over all partitions if each of its records bears the key of the root record that
it belongs to in its own; else it lives in one partition, the larger flows first, each where least is. Pure: the same
rules always make the same plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from engine.flows import Flow, Plan, Route
from engine.rulebook import Entity, RuleBook
from rules.problem import listed, quoted


def plan_of(book: RuleBook, partitions: int) -> Plan:
    """The plan for so many partitions."""
    flows: list[Flow] = []
    load = [0] * partitions
    places: dict[str, tuple[int, ...]] = {}
    components = sorted(_components(book), key=lambda names: (-len(names), sorted(names)))
    for names in components:
        by, why = _spread([book.entities[name] for name in names])
        if by:
            places.update(by)
            root = next(name for name in names if _is_root(book.entities[name], names))
            flows.append(Flow(tuple(names), root, tuple(range(partitions)), why))
            continue
        home = min(range(partitions), key=lambda at: (load[at], at))
        load[home] += len(names)
        flows.append(Flow(tuple(names), names[0], (home,), why))
    ordered = sorted(flows, key=lambda flow: list(book.entities).index(flow.entities[0]))
    return Plan(partitions, tuple(ordered), _routes(book, ordered, places), places)


def _components(book: RuleBook) -> list[list[str]]:
    """The flows' entities, each in the book's order: parents first."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(book.entities)
    users: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name, entity in book.entities.items():
        graph.add_edges_from((name, field.reference) for field in entity.fields if field.reference in book.entities)
        for system, table in _written(entity):
            users[system, table].append(name)
    for names in users.values():
        nx.add_path(graph, names)
    order = {name: at for at, name in enumerate(book.entities)}
    return [sorted(found, key=order.__getitem__) for found in nx.connected_components(graph)]


def _written(entity: Entity) -> Iterable[tuple[str, int]]:
    """The tables that an entity's records are written to: (system, number)."""
    for system, binding in entity.bindings.items():
        yield system, binding.table
        if binding.assembly is not None:
            yield from ((system, part.table) for part in binding.assembly.parts)
            yield from ((system, look.table) for look in binding.assembly.lookups.values() if look.missing == "insert")


def _read(entity: Entity) -> Iterable[tuple[str, int]]:
    """The code tables that they are only translated by."""
    for system, binding in entity.bindings.items():
        if binding.assembly is not None:
            yield from ((system, look.table) for look in binding.assembly.lookups.values())


def _is_root(entity: Entity, names: Collection[str]) -> bool:
    return not any(field.reference is not None and field.reference in names for field in entity.fields)


def _spread(entities: list[Entity]) -> tuple[dict[str, tuple[int, ...]], str]:
    """By entity, which parts of its key are the root's; or none, and why not. In words also, if it is spread."""
    names = {entity.name for entity in entities}
    crossed = [quoted(entity.name) for entity in entities if entity.crossed]
    if crossed:
        return {}, f"{listed(crossed)}: the systems have keys of their own"
    roots = [entity.name for entity in entities if _is_root(entity, names)]
    if len(roots) != 1:
        told = listed([quoted(name) for name in roots]) if roots else "a circle"
        return {}, f"records of several roots refer to each other: {told}"
    places: dict[str, tuple[int, ...]] = {}
    for entity in entities:
        if entity.name == roots[0]:
            places[entity.name] = tuple(range(len(entity.key)))
            continue
        ways = [field for field in entity.fields if field.reference in names]
        within = [field for field in ways if field.number in entity.key]
        if len(ways) > 1:
            return {}, f"{quoted(entity.name)} refers to several: {listed([quoted(field.name) for field in ways])}"
        if not within:
            return {}, f"the key of {quoted(entity.name)} does not contain that of {quoted(str(ways[0].reference))}"
        parent = places.get(str(ways[0].reference))
        if parent != (0,):
            return {}, f"{quoted(entity.name)} refers to {quoted(str(ways[0].reference))}, whose key is another's"
        places[entity.name] = (entity.key.index(ways[0].number),)
    return places, f"spread by the key of {quoted(roots[0])}"


def _routes(book: RuleBook, flows: list[Flow], places: dict[str, tuple[int, ...]]) -> dict[str, tuple[Route, ...]]:
    found: dict[tuple[str, int], Route] = {}
    readers: dict[tuple[str, int], set[int]] = defaultdict(set)
    for flow in flows:
        for name in flow.entities:
            entity = book.entities[name]
            if flow.spread:
                for system, binding in entity.bindings.items():
                    key = book.tables[system][binding.table].key
                    at = tuple(key[place] for place in places[name])
                    found[system, binding.table] = Route(flow.partitions, at, flow.root)
                continue
            for at_ in (*_written(entity), *_read(entity)):
                readers[at_].update(flow.partitions)
    for at_, partitions in readers.items():
        found[at_] = Route(tuple(sorted(partitions)))
    return {
        system: tuple(found.get((system, number), Route(())) for number in range(len(tables)))
        for system, tables in book.tables.items()
    }
