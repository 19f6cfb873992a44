"""Entities in the order in which they can be written: parents before the children that refer to them.

Names of entities in, names in order out; a cycle of references is a problem that is told edge by edge.
"""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from rules.findings import Findings
from rules.problem import Path, quoted
from rules.syntax import EntitySyntax


def parents_first(entities: Mapping[str, EntitySyntax], findings: Findings) -> list[str]:
    """The entities so that each comes after those it refers to; otherwise as the file has them.

    An entity may refer to itself: rows of one statement may refer to each other in any order."""
    rank = {name: index for index, name in enumerate(entities)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(entities)
    edges: dict[tuple[str, str], Path] = {}
    for name, entity in entities.items():
        for field_name, field in entity.fields.items():
            if field.reference in entities and field.reference != name:
                parent = str(field.reference)
                graph.add_edge(parent, name)
                edges.setdefault((parent, name), ("entities", name, "fields", field_name, "reference"))
    try:
        return list(nx.lexicographical_topological_sort(graph, key=rank.__getitem__))
    except nx.NetworkXUnfeasible:
        for component in nx.strongly_connected_components(graph):
            if len(component) > 1:
                _tell_cycle(nx.find_cycle(graph.subgraph(component)), edges, rank, findings)
        return list(entities)


def _tell_cycle(
    cycle: list[tuple[str, str]], edges: Mapping[tuple[str, str], Path], rank: Mapping[str, int], findings: Findings
) -> None:
    """Edge by edge, from the reference that stands first in the file."""
    cycle = [(parent, child) for parent, child, *_ in cycle][::-1]
    start = min(range(len(cycle)), key=lambda index: rank[cycle[index][1]])
    cycle = cycle[start:] + cycle[:start]
    way = " → ".join([cycle[0][1], *(parent for parent, _ in cycle)])
    told = [(f"`{child}` refers to `{parent}` here", edges[parent, child]) for parent, child in cycle]
    findings.error("R320", told[0][1], "references form a cycle: none of them can be written first", found=quoted(way),
                   mend="take one `reference` out, and make its foreign key `DEFERRABLE INITIALLY DEFERRED`",
                   also=tuple(told[1:]))  # fmt: skip
