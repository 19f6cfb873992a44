"""Turns the values of a write into what the columns take: codes into keys, NULL into the empty text; and keeps which
records the open transaction has made.

A record on its way is a `Record`: what it is to have, the keys of its rows, and what the target stored instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from adapters.relational.assembled.codebook import Codebook, Wanted
from adapters.relational.assembled.places import Codes
from adapters.relational.assembled.shapes import Shape
from adapters.relational.refused import Unstorable
from engine.vocabulary import MISSING_CODE, MISSING_PARENT, KeyOf, Text, Values, Write

Value: TypeAlias = "Text | KeyOf"


@dataclass(slots=True)
class Record:
    """One record that is being written."""

    id: str
    new: dict[int, Value]
    """By field number: what the column takes; a `KeyOf` until it is filled."""
    rows: dict[int, Sequence[Text]] = field(default_factory=dict)
    """By part: the row that is there, in the order of the table's columns."""
    keys: dict[int, tuple[Text, ...]] = field(default_factory=dict)
    """By part: the key of its row, there or made."""
    late: set[int] = field(default_factory=set)
    """Fields that are filled only after all inserts."""
    stored: dict[int, Text] = field(default_factory=dict)
    """By field number: what is stored where that is not what was sent."""


class Made:
    """Which records the open transaction has made, and under which keys; in order, so that it can be taken back."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], str] = {}
        self._expected: dict[tuple[str, str], str | None] = {}

    def begin(self) -> None:
        """A transaction begins."""
        self._keys, self._expected = {}, {}

    def mark(self) -> int:
        """Where one may have to go back to."""
        return len(self._keys)

    def back_to(self, mark: int) -> None:
        """What was made since is no longer so."""
        while len(self._keys) > mark:
            self._keys.popitem()
        self._expected = {}

    def expect(self, entity: str, id: str, key: str | None) -> None:
        """The record is going to be made; None: under a key that is not known yet."""
        self._expected[entity, id] = key

    def give_up(self, entity: str, id: str) -> None:
        """The record is not made after all."""
        self._expected.pop((entity, id), None)

    def add(self, entity: str, id: str, key: str) -> None:
        """The record is made, or will be within the statement that is sent next."""
        self._keys[entity, id] = key

    def key(self, parent: KeyOf) -> str | None:
        """The key of a record that has been made."""
        return self._keys.get((parent.entity, parent.id))

    def is_expected(self, parent: KeyOf) -> bool:
        """True if the record is going to be made."""
        return (parent.entity, parent.id) in self._expected

    def expected(self, parent: KeyOf) -> str | None:
        """The key under which a record is going to be made, if that is known."""
        return self._expected.get((parent.entity, parent.id))


def missing(parent: KeyOf) -> Unstorable:
    """Why a row that refers to this record cannot be written."""
    return Unstorable(f"{MISSING_PARENT} ({parent.entity} `{parent.id}`)")


def parents_first(entity: str, records: list[Record]) -> list[Record]:
    """Records of one entity, each after those among them that it refers to, as far as they form no circle; those that
    refer to none first, then those that refer to these, and so on."""
    at = {record.id: number for number, record in enumerate(records)}
    edges = [
        (at[value.id], child)
        for child, record in enumerate(records)
        for value in record.new.values()
        if isinstance(value, KeyOf) and value.entity == entity and at.get(value.id, child) != child
    ]
    if not edges:
        return records
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(records)))
    graph.add_edges_from(edges)
    circles = nx.condensation(graph)
    return [
        records[number]
        for generation in nx.topological_generations(circles)
        for number in sorted(each for circle in generation for each in circles.nodes[circle]["members"])
    ]


class Translation:
    """Puts the values of one write, in the order of its columns, into what the columns take."""

    def __init__(self, shape: Shape, columns: Sequence[int], codebook: Codebook) -> None:
        self._shape = shape
        self._columns = columns
        self._coded = [(at, shape.codes[number]) for at, number in enumerate(columns) if number in shape.codes]
        self._empty = [at for at, number in enumerate(columns) if number in shape.assembly.empty]
        self._codebook = codebook

    def new(self, values: Values) -> list[Value]:
        """What the columns are to have. Raises Unstorable if a code table lacks a code."""
        translated, absent = self._translated(values)
        if absent is not None:
            number, codes = absent
            raise Unstorable(f"`{self._shape.names[number]}`: {MISSING_CODE} `{codes.name}`")
        return translated

    def held(self, values: Values) -> list[Text] | None:
        """What the columns are known to have; None if they cannot have it, as there is no such code."""
        translated, absent = self._translated(values)
        return cast("list[Text]", translated) if absent is None else None

    def _translated(self, values: Values) -> tuple[list[Value], tuple[int, Codes] | None]:
        """What the columns have; and the field whose code its table lacks, if there is one."""
        translated = cast("list[Value]", list(values))
        for at in self._empty:
            if translated[at] is None:
                translated[at] = ""
        for at, codes in self._coded:
            text = translated[at]
            if isinstance(text, str):
                key = self._codebook.key(codes, text)
                if key is None:
                    return translated, (self._columns[at], codes)
                translated[at] = key
        return translated, None


def codes_in(shape: Shape, write: Write, wanted: dict[str, Wanted]) -> None:
    """Adds the codes that a write speaks of to those that are wanted, by code table."""
    for at, number in enumerate(write.columns):
        codes = shape.codes.get(number)
        if codes is None:
            continue
        here = wanted.setdefault(codes.name, Wanted(codes))
        for _, _, _, new, held in write.rows:
            if new and isinstance(new[at], str):
                here.new.add(cast("str", new[at]))
            if held and isinstance(held[at], str):
                here.held.add(cast("str", held[at]))
