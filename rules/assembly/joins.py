"""`on` of every part of a binding: the equations by which its rows are found, and all parts in an order.

Turns `party = root.id and type = 'invoice'` into joins and, for the constants, conditions that count as `where`. Each
part comes after those that it is joined to; a circle is a problem that is told edge by edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import networkx as nx  # type: ignore[import-untyped,unused-ignore]
from sqlglot import exp

from rules.assembly.condition import constant
from rules.assembly.sql import Sql, column_name, conjuncts, parsed
from rules.findings import Findings
from rules.problem import Path, did_you_mean, quoted
from rules.ruling import ROOT
from rules.syntax import TableSyntax

ALLOWED = ("column = part.column", "column = constant", "and")


@dataclass(frozen=True, slots=True)
class Equation:
    """`column = part.other`."""

    column: str
    part: str
    other: str
    sql: Sql
    own: exp.Expr
    theirs: exp.Expr


@dataclass(slots=True)
class Joined:
    """What `on` says of one part."""

    equations: list[Equation] = field(default_factory=list)
    constants: list[tuple[Sql, exp.Expr]] = field(default_factory=list)


def joined_parts(table: TableSyntax, top: Path, findings: Findings) -> dict[str, Joined]:
    """All parts, each after those that it is joined to (otherwise as the file has them). Without the root.

    A part whose `on` is faulty is left out."""
    joined: dict[str, Joined] = {}
    for name, part in table.parts.items():
        path: Path = (*top, "parts", name, "on")
        sql = parsed(part.on, path, findings)
        if sql is None:
            continue
        before = len(findings.problems)
        said = Joined()
        for term in conjuncts(sql.tree):
            _term(sql, term, name, table, said)
        if not said.equations and len(findings.problems) == before:
            findings.error("R333", path, f"{quoted(name)} is joined to no other part", found=quoted(part.on),
                           mend="say which of its columns is which of another part's: `party = root.id`")  # fmt: skip
        elif len(findings.problems) == before:
            joined[name] = said
    return _in_order(joined, findings)


def _term(sql: Sql, term: exp.Expr, name: str, table: TableSyntax, said: Joined) -> None:
    """One equation, with another part's column or with a constant."""
    sides = [term.this.unnest(), term.expression.unnest()] if isinstance(term, exp.EQ) else []
    columns = [side for side in sides if isinstance(side, exp.Column) and column_name(side) is not None]
    own = [column for column in columns if column.table in ("", name)]
    others = [column for column in columns if column.table not in ("", name)]
    if len(own) == 1 and len(others) == 1:
        (column,), (other,) = own, others
        known = (ROOT, *(part for part in table.parts if part != name))
        if other.table in known:
            said.equations.append(Equation(column.name, other.table, other.name, sql, column, other))
        else:
            sql.refuse(other, f"there is no part {quoted(other.table)}", code="R332", allowed=known,
                       mend=did_you_mean(other.table, known))  # fmt: skip
    elif len(own) == 1 and any(constant(side) is not None for side in sides):
        own[0].set("table", None)
        said.constants.append((sql, term))
    elif len(columns) == 2:
        sql.refuse(term, f"one side must be a column of {quoted(name)}, the other one of another part",
                   found=sql.shown(term), allowed=ALLOWED[:1])  # fmt: skip
    else:
        sql.refuse(term, "this cannot stand in `on`", found=sql.shown(term), allowed=ALLOWED,
                   mend="say it in `where`, if it is about this table alone")  # fmt: skip


def _in_order(joined: Mapping[str, Joined], findings: Findings) -> dict[str, Joined]:
    rank = {name: index for index, name in enumerate(joined)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(joined)
    edges: dict[tuple[str, str], Equation] = {}
    for name, said in joined.items():
        for equation in said.equations:
            if equation.part in joined:
                graph.add_edge(equation.part, name)
                edges.setdefault((equation.part, name), equation)
    try:
        return {name: joined[name] for name in nx.lexicographical_topological_sort(graph, key=rank.__getitem__)}
    except nx.NetworkXUnfeasible:
        for component in nx.strongly_connected_components(graph):
            if len(component) > 1:
                _tell_circle(list(_circle(graph, component)), edges, rank, findings)
        return {}


def _circle(graph: nx.DiGraph[str], component: set[str]) -> Iterator[tuple[str, str]]:
    for edge in nx.find_cycle(graph.subgraph(component)):
        yield edge[0], edge[1]


def _tell_circle(cycle: list[tuple[str, str]], edges: Mapping[tuple[str, str], Equation], rank: Mapping[str, int],
                 findings: Findings) -> None:  # fmt: skip
    """Edge by edge, from the part that stands first in the file."""
    cycle = cycle[::-1]
    start = min(range(len(cycle)), key=lambda index: rank[cycle[index][1]])
    cycle = cycle[start:] + cycle[:start]
    way = " → ".join([cycle[0][1], *(earlier for earlier, _ in cycle)])
    told = [(f"{quoted(part)} is joined to {quoted(earlier)} here", edges[earlier, part]) for earlier, part in cycle]
    first = told[0][1]
    findings.error("R334", first.sql.path, "parts are joined in a circle: none of them can be found first",
                   found=quoted(way), mend="join one of them to the root", within=first.sql.span(first.theirs),
                   also=tuple((label, equation.sql.path) for label, equation in told[1:]))  # fmt: skip
