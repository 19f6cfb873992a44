"""Turns the rows that are joined to root keys into the rows that count, and says whether they are a record.

Pure. `engine.assembly` decides, as it does for rows in memory: each part is given to it as a table of its own, which
has the rows that were found for one record. It asks no database and knows no order but the rules'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.relational.assembled.places import Place
from engine.assembly import belongs, key_of, part_rows
from engine.rulebook import Assembly, Table
from engine.vocabulary import Row, Text

Answer = tuple[int, bool, Sequence[Text]]
"""(ordinal, whether it is a record, the texts of the parts' rows that count)"""


@dataclass(frozen=True, slots=True)
class Judge:
    """Puts records together out of the rows of these parts."""

    assembly: Assembly
    """As the rules have it, but that each part's table has the number of the part."""
    tables: tuple[Table, ...]
    """By part."""
    single: bool
    """The root row is all there is, and always a record."""


def judge_of(assembly: Assembly, places: Sequence[Place]) -> Judge:
    """The judge of an assembly's records."""
    parts = tuple(replace(part, table=at) for at, part in enumerate(assembly.parts))
    tables = tuple(
        Table(*place.table, tuple(column.shape.name for column in place.columns), place.key) for place in places
    )
    root = assembly.parts[0]
    single = len(parts) == 1 and root.where is None and not assembly.gone
    return Judge(replace(assembly, parts=parts), tables, single)


def judged(judge: Judge, parts: Sequence[int], rows: Mapping[int, Mapping[int, Sequence[Row]]]) -> list[Answer]:
    """What stands at each ordinal that has a root row. `parts`: whose rows are told; `rows`: by ordinal and part."""
    if judge.single:
        return [(ordinal, True, found[0][0]) for ordinal, found in rows.items() if found.get(0)]  # type: ignore[misc]
    empty = {at: (None,) * len(judge.tables[at].columns) for at in parts}
    answers: list[Answer] = []
    for ordinal, found in rows.items():
        roots = found.get(0)
        if not roots:
            continue
        key = key_of(judge.tables[0], roots[0])
        counting = part_rows(judge.assembly, judge.tables, _Rows(judge.tables, found), key)
        assert counting is not None, "the root row is there"
        texts = [text for at in parts for text in counting[at] or empty[at]]
        answers.append((ordinal, belongs(judge.assembly, counting), texts))  # type: ignore[arg-type]
    return answers


class _Rows:
    """The rows that were found for one record, as the engine asks for them."""

    __slots__ = ("_rows", "_tables")

    def __init__(self, tables: Sequence[Table], rows: Mapping[int, Sequence[Row]]) -> None:
        self._tables = tables
        self._rows = rows

    def row(self, table: int, key: str) -> Row | None:
        """The row with this key."""
        return next((row for row in self._rows.get(table, ()) if key_of(self._tables[table], row) == key), None)

    def rows_with(self, table: int, column: int, text: str) -> list[Row]:
        """The rows whose column has this text."""
        return [row for row in self._rows.get(table, ()) if row[column] == text]
