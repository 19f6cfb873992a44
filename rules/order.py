"""Entities in the order in which they can be written: parents before the children that refer to them.

Names of entities in, names in order out; a cycle of references is a problem that is told edge by edge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from engine.catalog import Column
from rules.findings import Findings
from rules.problem import Path, quoted
from rules.ruling import column_path, columns_of
from rules.syntax import EntitySyntax


def parents_first(
    entities: Mapping[str, EntitySyntax], crossed: Collection[str], known: Mapping[Path, Column], findings: Findings
) -> list[str]:
    """The entities so that each comes after those it refers to; otherwise as the file has them.

    An entity may refer to itself: rows of one statement may refer to each other in any order. Among crossed entities a
    circle is lawful if one of its references may be NULL everywhere (`known`: the catalogs' columns by the path of
    their names; what no catalog tells may be): it is written by a second statement."""
    rank = {name: index for index, name in enumerate(entities)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(entities)
    edges: dict[tuple[str, str], Path] = {}
    firm: set[tuple[str, str]] = set()
    for name, entity in entities.items():
        for field_name, field in entity.fields.items():
            if field.reference in entities and field.reference != name:
                edge = (str(field.reference), name)
                graph.add_edge(*edge)
                edges.setdefault(edge, ("entities", name, "fields", field_name, "reference"))
                if field.reference not in crossed or not _may_be_null(name, entity, field_name, known):
                    firm.add(edge)
    _open_circles(graph, firm, rank)
    try:
        return list(nx.lexicographical_topological_sort(graph, key=rank.__getitem__))
    except nx.NetworkXUnfeasible:
        for component in nx.strongly_connected_components(graph):
            if len(component) > 1:
                across = component <= set(crossed)
                _tell_cycle(nx.find_cycle(graph.subgraph(component)), edges, rank, across, findings)
        return list(entities)


def _may_be_null(name: str, entity: EntitySyntax, field: str, known: Mapping[Path, Column]) -> bool:
    """Whether a record can be written first without this reference, in every system."""
    columns = [known.get(column_path(name, field, system)) for system in columns_of(entity, entity.fields[field])]
    return all(column is None or column.nullable for column in columns)


def _open_circles(graph: nx.DiGraph[str], firm: Collection[tuple[str, str]], rank: Mapping[str, int]) -> None:
    """Takes out, of each circle that has any, the reference that can wait and stands last in the file."""
    while True:
        circles = (component for component in nx.strongly_connected_components(graph) if len(component) > 1)
        waiting = [
            edge
            for component in circles
            for edge in graph.subgraph(component).edges
            if edge not in firm
        ]  # fmt: skip
        if not waiting:
            return
        graph.remove_edge(*max(waiting, key=lambda edge: (-rank[edge[1]], rank[edge[0]])))


def _tell_cycle(
    cycle: list[tuple[str, str]], edges: Mapping[tuple[str, str], Path], rank: Mapping[str, int], across: bool,
    findings: Findings,
) -> None:  # fmt: skip
    """Edge by edge, from the reference that stands first in the file. `across`: between crossed entities."""
    cycle = [(parent, child) for parent, child, *_ in cycle][::-1]
    start = min(range(len(cycle)), key=lambda index: rank[cycle[index][1]])
    cycle = cycle[start:] + cycle[:start]
    way = " → ".join([cycle[0][1], *(parent for parent, _ in cycle)])
    told = [(f"`{child}` refers to `{parent}` here", edges[parent, child]) for parent, child in cycle]
    mend = "take one `reference` out, and make its foreign key `DEFERRABLE INITIALLY DEFERRED`"
    if across:
        mend = "let the columns of one of them be NULL, in every system: it is written afterwards then"
    findings.error("R320", told[0][1], "references form a cycle: none of them can be written first", found=quoted(way),
                   mend=mend, also=tuple(told[1:]))  # fmt: skip
