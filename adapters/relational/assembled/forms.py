"""Turns a pattern (which parts a record has, which are to be made, which fields are given) into a form: what is done to
its rows, in what order, and where each value comes from.

Pure. Columns that the rules hold equal (by a join, or because a new row is given another's value) are one *class*, with
one value for all of them: known from a row that is there, said by the rules, given as a field, drawn from an
expression, or told only by the target when it inserts. Rows are inserted in the order of the foreign keys between them;
where these form a circle, a column that may be NULL is left out and set afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from adapters.relational.assembled.shapes import Shape
from adapters.relational.live import LiveColumn
from engine.vocabulary import Text

Node: TypeAlias = "tuple[int, str]"
"""(part, column name)"""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What records have in common that are written by the same statements."""

    fields: tuple[int, ...]
    """The fields that are given, by number."""
    there: frozenset[int]
    """Parts whose rows are there, and stay."""
    made: frozenset[int]
    """Parts whose rows are to be made."""
    cleared: frozenset[int] = frozenset()
    """Parts whose rows are there and become none of the record's."""
    void: frozenset[int] = frozenset()
    """Given fields that are NULL, and stand in a column that joins or identifies rows."""
    back: bool = False
    """A record that comes back: its root row is given what it must have to belong."""


@dataclass(frozen=True, slots=True)
class There:
    """The value stands in a row that is there."""

    part: int
    position: int


@dataclass(frozen=True, slots=True)
class Constant:
    """The rules say the value."""

    text: Text


@dataclass(frozen=True, slots=True)
class Given:
    """The value is a field's."""

    number: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """The value is made by an expression, before anything is inserted."""

    number: int
    """In `Form.draws`."""


@dataclass(frozen=True, slots=True)
class Told:
    """The target tells the value when it inserts the row of this part."""

    part: int


Source: TypeAlias = There | Constant | Given | Drawn | Told


@dataclass(frozen=True, slots=True)
class Insert:
    """The rows of one part are made."""

    part: int
    columns: tuple[tuple[LiveColumn, int], ...]
    """(column, class of its value)"""
    made: tuple[tuple[LiveColumn, str], ...]
    """(column, expression): what nobody else needs to know is made in the statement itself."""
    told: tuple[tuple[LiveColumn, int], ...]
    """Key columns whose values are taken as the target tells them, with their classes."""


@dataclass(frozen=True, slots=True)
class Update:
    """The rows of one part are given values, found by their own keys."""

    part: int
    columns: tuple[tuple[LiveColumn, int], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What is done to the rows of all records of one pattern: inserts, then updates, then removals."""

    sources: tuple[Source, ...]
    """By class."""
    draws: tuple[tuple[str, LiveColumn], ...]
    """(expression, a column of the type that it is to have)"""
    inserts: tuple[Insert, ...]
    updates: tuple[Update, ...]
    removals: tuple[int, ...]
    keys: Mapping[int, tuple[int, ...]]
    """By part that is made: the classes of its key."""


def form(shape: Shape, pattern: Pattern) -> Form:
    """What is done to the rows of records of this pattern."""
    classes = _Classes(shape, pattern)
    order, later = arranged(shape, pattern.made, classes.number)
    inserts = tuple(_insert(shape, classes, at, later.get(at, set())) for at in order)
    updates = [_update(shape, classes, at) for at in sorted(pattern.there | pattern.cleared)]
    updates += [
        Update(at, tuple((shape.places[at].known[name], classes.number((at, name))) for name in sorted(names)))
        for at, names in sorted(later.items())
    ]
    return Form(
        sources=tuple(classes.sources),
        draws=tuple(classes.draws),
        inserts=inserts,
        updates=tuple(update for update in updates if update.columns),
        removals=tuple(reversed(_deleted(shape, pattern)[0])),
        keys={at: tuple(classes.number((at, c.shape.name)) for c in shape.places[at].key_columns()) for at in order},
    )


def removal(shape: Shape, parts: frozenset[int]) -> Form:
    """How the rows of these parts are taken away: those that refer to others first."""
    numbers = _joined_nodes(shape, parts, made=parts)
    order, later = arranged(shape, parts, numbers)
    updates = tuple(
        Update(at, tuple((shape.places[at].known[name], 0) for name in sorted(names)))
        for at, names in sorted(later.items())
    )
    return Form((Constant(None),), (), (), updates, tuple(reversed(order)), {})


def arranged(shape: Shape, parts: frozenset[int], number: _Numbering) -> tuple[list[int], dict[int, set[str]]]:
    """(parts, each after those that its foreign keys lead to; the columns by part that are set only afterwards)."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(parts)
    for at in parts:
        for before, names in _referred(shape, at, parts, number):
            known = graph.edges[before, at]["names"] if graph.has_edge(before, at) else set()
            graph.add_edge(before, at, names=known | names)
    later: dict[int, set[str]] = {}
    while not nx.is_directed_acyclic_graph(graph):
        circle = [(before, at) for before, at, *_ in nx.find_cycle(graph)]
        loose = [(edge, _nullable(shape, edge[1], graph.edges[edge]["names"])) for edge in circle]
        edge, names = next(((edge, names) for edge, names in loose if names), (circle[0], set()))
        graph.remove_edge(*edge)
        if names:
            later.setdefault(edge[1], set()).update(names)
    return list(nx.lexicographical_topological_sort(graph)), later


def _referred(
    shape: Shape, at: int, parts: Iterable[int], number: _Numbering
) -> Iterable[tuple[int, set[str]]]:
    """(part, columns): the row of `at` refers to that part's row by these columns of its own."""
    for key in shape.places[at].foreign:
        pairs = list(zip(key.columns, key.other_columns, strict=True))
        for other in parts:
            if other != at and shape.places[other].table == key.other:
                names = {mine for mine, theirs in pairs if number((at, mine)) == number((other, theirs)) >= 0}
                if names:
                    yield other, names


def _nullable(shape: Shape, at: int, names: Iterable[str]) -> set[str]:
    place = shape.places[at]
    key = {column.shape.name for column in place.key_columns()}
    return {name for name in names if place.known[name].shape.nullable and name not in key}


class _Numbering:
    """Which class a column of a part is in; -1 if in none."""

    def __init__(self, groups: Iterable[set[Node]]) -> None:
        self.groups = [sorted(group) for group in groups]
        self._numbers = {node: number for number, group in enumerate(self.groups) for node in group}

    def __call__(self, node: Node) -> int:
        return self._numbers.get(node, -1)


def _joined_nodes(
    shape: Shape, parts: Iterable[int], nodes: Iterable[Node] = (), made: Iterable[int] = ()
) -> _Numbering:
    """The classes of the columns that join rows of these parts, and of some further columns, each by itself."""
    graph: nx.Graph[Node] = nx.Graph()
    graph.add_nodes_from(nodes)
    present = set(parts)
    for at in sorted(present):
        place = shape.places[at]
        for join in place.part.joins:
            if join.part in present:
                other = shape.places[join.part].columns[join.other].shape.name
                graph.add_edge((at, place.columns[join.column].shape.name), (join.part, other))
        for name, part, position in place.part.links if at in made else ():
            if part in present:
                graph.add_edge((at, name), (part, shape.places[part].columns[position].shape.name))
    return _Numbering(sorted(nx.connected_components(graph), key=min))


@dataclass(slots=True)
class _Words:
    """What is said of the columns of one pattern, by node."""

    constants: dict[Node, Text] = field(default_factory=dict)
    given: dict[Node, int] = field(default_factory=dict)
    expressions: dict[Node, str] = field(default_factory=dict)
    nodes: set[Node] = field(default_factory=set)
    """All columns that a new row may be given."""


class _Classes:
    """The classes of a pattern, and where the value of each comes from."""

    def __init__(self, shape: Shape, pattern: Pattern) -> None:
        self.shape = shape
        self.pattern = pattern
        self.words = _words(shape, pattern)
        present = pattern.there | pattern.made
        self.number = _joined_nodes(shape, present, self.words.nodes, pattern.made)
        self.draws: list[tuple[str, LiveColumn]] = []
        self.embedded: dict[Node, str] = {}
        """Expressions of columns that stand alone: made in the statement itself."""
        self.sources: list[Source] = []
        self.known: list[bool] = []
        """By class: it has a value at all."""
        for group in self.number.groups:
            source = self._source(group)
            self.sources.append(source if source is not None else Constant(None))
            self.known.append(source is not None)

    def is_key(self, node: Node) -> bool:
        """True if the column belongs to the key of its part's table."""
        return any(column.shape.name == node[1] for column in self.shape.places[node[0]].key_columns())

    def _source(self, group: Sequence[Node]) -> Source | None:
        made = [node for node in group if node[0] in self.pattern.made]
        there = [node for node in group if node[0] not in self.pattern.made]
        key = any(self.is_key(node) for node in made)
        words = self.words
        for node in there:  # what a row is to have from now on
            if node in words.constants:
                return Constant(words.constants[node])
            if node in words.given:
                return Given(words.given[node])
        for node in there:
            if self.is_key(node) or not key:
                return There(node[0], self._position(node))
        for node in made:
            if node in words.constants:
                return Constant(words.constants[node])
        for node in made:
            if node in words.given and words.given[node] not in self.pattern.void:
                return Given(words.given[node])
        for node in made:
            if node in words.expressions:
                return self._made_by(node, words.expressions[node], alone=len(group) == 1 and not key)
        if key or len(group) > 1:
            origin = self._origin(group, made)
            if origin is not None:
                return self._made_by(origin, self.shape.places[origin[0]].known[origin[1]].made_by, alone=False)
        if key:
            return Told(min(made, key=lambda node: (not self.is_key(node), self._refers(node, group), node))[0])
        return next((Given(words.given[node]) for node in made if node in words.given), None)

    def _made_by(self, node: Node, expression: str, *, alone: bool) -> Source | None:
        if alone:
            self.embedded[node] = expression
            return None
        self.draws.append((expression, self.shape.places[node[0]].known[node[1]]))
        return Drawn(len(self.draws) - 1)

    def _origin(self, group: Sequence[Node], made: Sequence[Node]) -> Node | None:
        """The column of the class whose own default makes the value: rather one that refers to none of the others."""
        able = [node for node in made if self.shape.places[node[0]].known[node[1]].made_by]
        return min(able, key=lambda node: (self._refers(node, group), node), default=None)

    def _refers(self, node: Node, group: Sequence[Node]) -> bool:
        tables = {self.shape.places[at].table for at, _ in group if at != node[0]}
        keys = self.shape.places[node[0]].foreign
        return any(node[1] in key.columns and key.other in tables for key in keys)

    def _position(self, node: Node) -> int:
        names = [column.shape.name for column in self.shape.places[node[0]].columns]
        return names.index(node[1])


def _words(shape: Shape, pattern: Pattern) -> _Words:
    words = _Words()
    fields = set(pattern.fields)
    for at in sorted(pattern.there | pattern.made | pattern.cleared):
        place = shape.places[at]
        names = [column.shape.name for column in place.columns]
        if at not in pattern.cleared:
            words.given |= {(at, names[position]): number for number, position in place.part.fields if number in fields}
        if at in pattern.made:
            words.constants |= {(at, names[position]): text for position, text in place.part.constants}
            words.expressions |= {(at, name): expression for name, expression in place.part.create}
            words.nodes |= {(at, names[position]) for position in place.key}
    if pattern.back:
        root = shape.places[0]
        said = [*root.part.constants, *shape.assembly.back]
        words.constants |= {(0, root.columns[position].shape.name): text for position, text in said}
    for at in pattern.cleared:
        words.constants |= dict.fromkeys(_pointing(shape, at))
    for at, linking in _deleted(shape, pattern)[1].items():
        words.constants |= {(at, name): None for name in linking}
    words.nodes |= words.constants.keys() | words.given.keys() | words.expressions.keys()
    return words


def _deleted(shape: Shape, pattern: Pattern) -> tuple[list[int], dict[int, set[str]]]:
    """The cleared parts whose rows are deleted, as `arranged` has them."""
    removed = frozenset(at for at in pattern.cleared if shape.places[at].part.clear == "delete")
    return arranged(shape, removed, _joined_nodes(shape, removed, made=removed))


def _pointing(shape: Shape, at: int) -> list[Node]:
    """The columns of other parts that point at a part's row."""
    place, found = shape.places[at], []
    for join in place.part.joins:
        if join.column in place.key and join.other not in shape.places[join.part].key:
            found.append((join.part, shape.places[join.part].columns[join.other].shape.name))
    return found


def _insert(shape: Shape, classes: _Classes, at: int, later: set[str]) -> Insert:
    place, number = shape.places[at], classes.number
    columns, told = [], []
    for group_number, group in enumerate(number.groups):
        for part, name in group:
            if part != at:
                continue
            column, source = place.known[name], classes.sources[group_number]
            origin = source == Told(at)
            if classes.known[group_number] and not origin and name not in later:
                columns.append((column, group_number))
            if classes.is_key((at, name)) and (origin or at in shape.told):
                told.append((column, group_number))
    made = [(place.known[name], said) for (part, name), said in classes.embedded.items() if part == at]
    return Insert(at, tuple(columns), tuple(made), tuple(told))


def _update(shape: Shape, classes: _Classes, at: int) -> Update:
    """What a row that is there is given: fields, what the rules say, the keys of new rows that it is to point at."""
    columns = []
    for group_number, group in enumerate(classes.number.groups):
        source = classes.sources[group_number]
        for node in group:
            if node[0] != at or not classes.known[group_number] or isinstance(source, There):
                continue
            if node in classes.words.given or node in classes.words.constants or not classes.is_key(node):
                columns.append((shape.places[at].known[node[1]], group_number))
    return Update(at, tuple(columns))
