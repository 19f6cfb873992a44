"""What a new row must have and nobody gives it: NOT NULL columns without a default, of every part of a record.

Columns that are joined or linked have one value, which any of them may bring: a field, a constant, `on_create`, or a
default of the database's. Where none does, it is told once, of the key before all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypeAlias

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from engine.assembly import looked_at
from engine.catalog import Column
from engine.rulebook import Assembly
from rules.assembly.assemble import Site
from rules.assembly.columns import TableInUse
from rules.findings import Findings
from rules.problem import Path, listed, quoted
from rules.ruling import ROOT, part_path

Node: TypeAlias = "tuple[str, str]"
"""(part, column)"""


def check_filled(site: Site, assembly: Assembly, findings: Findings) -> None:
    """Every part whose table a catalog has told, and whose rows are made."""
    rank = {part: index for index, part in enumerate(site.parts)}
    others = {list(site.parts)[at] for at in looked_at(assembly, site.tables.tables())}
    given, lacking = set(_given(site, assembly)), set[Node]()
    for nodes in nx.connected_components(_values(site, assembly)):
        needed = [node for node in nodes if node[0] not in others and _is_needed(site, node)]
        if needed and not any(node in given or _has_default(site, node) for node in nodes):
            lacking.add(min(needed, key=lambda node: (node[1] not in site.parts[node[0]].key, rank[node[0]], node[1])))
    for part in site.parts:
        _tell(site, part, {column for other, column in lacking if other == part}, findings)


def _values(site: Site, assembly: Assembly) -> nx.Graph[Node]:
    """All columns; those with an edge between them have one value."""
    graph: nx.Graph[Node] = nx.Graph()
    names = list(site.parts)
    for part, table in site.parts.items():
        graph.add_nodes_from((part, column) for column in (table.shape.columns if table.shape is not None else ()))
    for name, part_rules in zip(names, assembly.parts, strict=True):
        columns = site.parts[name].columns
        for join in part_rules.joins:
            other = names[join.part]
            graph.add_edge((name, columns[join.column]), (other, site.parts[other].columns[join.other]))
        for column, index, position in part_rules.links:
            graph.add_edge((name, column), (names[index], site.parts[names[index]].columns[position]))
    return graph


def _given(site: Site, assembly: Assembly) -> Iterator[Node]:
    """What the rules give a new row by themselves."""
    for name, part in zip(site.parts, assembly.parts, strict=True):
        columns = site.parts[name].columns
        yield from ((name, columns[position]) for _, position in part.fields)
        yield from ((name, columns[position]) for position, _ in part.constants)
        yield from ((name, column) for column, _ in part.create)


def _is_needed(site: Site, node: Node) -> bool:
    column = site.parts[node[0]].known(node[1])
    return column is not None and is_needed(column)


def is_needed(column: Column) -> bool:
    """A row without it is refused."""
    return not (column.nullable or column.default or column.generated)


def _has_default(site: Site, node: Node) -> bool:
    column = site.parts[node[0]].known(node[1])
    return column is not None and (column.default or column.generated)


def told_apart(table: TableInUse, lacking: Collection[str]) -> tuple[list[str], list[str]]:
    """(of the key, not of the key), in the order of the table."""
    names = [column for column in (table.shape.columns if table.shape is not None else ()) if column in lacking]
    return [name for name in names if name in table.key], [name for name in names if name not in table.key]


def _tell(site: Site, part: str, lacking: set[str], findings: Findings) -> None:
    table = site.parts[part]
    if not lacking or table.shape is None:
        return
    path: Path = (*part_path(site.entity, site.system, part), "table")
    shown = f"{site.system}'s {table.schema}.{table.name}"
    keys, others = told_apart(table, lacking)
    owner = "" if part == ROOT else f"{part}."
    if keys:
        findings.error("R418", path, f"nobody makes the key of a new row of {shown}", found=listed(map(quoted, keys)),
                       mend=f"say how it is made: `on_create: {{{owner}{keys[0]}: \"nextval('…')\"}}`")  # fmt: skip
    if others:
        findings.error("R417", path, f"a new row of {shown} needs values that nobody gives it",
                       found=listed(map(quoted, others)),
                       mend=f"bind them to fields, or give them: `on_create: {{{owner}{others[0]}: …}}`")  # fmt: skip
