"""One transaction's changes of tables, as what they did to records.

Turns changes into the keys that were renamed and the records that were touched, each with its rows as they are after
the transaction. It brings the kept rows up to date on the way, and knows neither record ids nor values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.assembly import PartRows, key_of, part_rows, roots_of
from engine.crossing.rows import KeptRows
from engine.rulebook import Assembly, RuleBook, Table
from engine.vocabulary import ABSENT, INSERT, Change, Row

Place = tuple[str, str]
"""(entity, root key in the system)"""


@dataclass(slots=True)
class Staged:
    """What a transaction did."""

    rows: dict[Place, PartRows | None] = field(default_factory=dict)
    """For every record that it touched: its rows as they are now; None if there is no root row."""
    renamed: list[tuple[str, str, str]] = field(default_factory=list)
    """(entity, former root key, new one), in order."""
    codes: set[int] = field(default_factory=set)
    """Code tables that it changed."""


class Staging:
    """How the tables of one system make up records."""

    def __init__(self, book: RuleBook, system: str, rows: KeptRows) -> None:
        self.tables: tuple[Table, ...] = book.tables[system]
        self.rows = rows
        self.assemblies: dict[str, Assembly] = {}
        self.direct: dict[int, list[str]] = {}
        """By table: the entities that have all their fields in it."""
        self.parts: dict[int, list[tuple[str, int]]] = {}
        """By table: (entity, part) of the records that are spread over several tables."""
        for binding in book.bound[system]:
            assembly = binding.assembly
            if assembly is None:
                continue
            self.assemblies[binding.entity] = assembly
            if len(assembly.parts) == 1:
                self.direct.setdefault(assembly.parts[0].table, []).append(binding.entity)
            else:
                for number, part in enumerate(assembly.parts):
                    self.parts.setdefault(part.table, []).append((binding.entity, number))
        whole = {number for number, table in enumerate(self.tables) if table.whole}
        self.concerned = frozenset(self.direct) | frozenset(self.parts) | whole
        """The tables that this is about."""

    def direct_rows(self, changes: Iterable[Change]) -> dict[str, dict[str, Row | None]]:
        """The changes of records that are one row: by entity and root key the row, if that is not gone."""
        roots: dict[str, dict[str, Row | None]] = {}
        for table, _, new, old in changes:
            for entity in self.direct.get(table, ()):
                for row in (old, new):
                    if row is not None:
                        roots.setdefault(entity, {})[key_of(self.tables[table], row)] = new
        return roots

    def stage(self, changes: Sequence[Change]) -> Staged:
        """Works through the changes, in order."""
        staged = Staged()
        touched: dict[Place, None] = {}
        for table, op, new, old in changes:
            former = key_of(self.tables[table], old) if old is not None else None
            key = key_of(self.tables[table], new) if new is not None else None
            for entity in self.direct.get(table, ()):
                self._direct(staged, entity, op, former, key, new)
            if table in self.rows:
                self._kept(staged, touched, table, former, key, new)
        for entity, root in touched:
            staged.rows[entity, root] = self.assembled(entity, root)
        return staged

    def assembled(self, entity: str, root: str) -> PartRows | None:
        """The rows of a record that has parts, as they are now."""
        return part_rows(self.assemblies[entity], self.tables, self.rows, root)

    def _direct(
        self, staged: Staged, entity: str, op: str, former: str | None, key: str | None, new: Row | None
    ) -> None:
        """A change of a record that is one row."""
        if key is None or new is None:
            staged.rows[entity, former or ""] = None
            return
        before = staged.rows.get((entity, key))
        if former is not None and former != key:
            before = staged.rows.pop((entity, former), None)
            staged.renamed.append((entity, former, key))
        if op != INSERT and before is not None and before[0] is not None:
            new = tuple([b if v is ABSENT else v for v, b in zip(new, before[0], strict=True)])
        staged.rows[entity, key] = (new,)

    def _kept(
        self, staged: Staged, touched: dict[Place, None], table: int, former: str | None, key: str | None,
        new: Row | None,
    ) -> None:  # fmt: skip
        """A change of a row that is kept: whose it was, and whose it is now, are touched."""
        rows = self.rows
        if self.tables[table].whole:
            staged.codes.add(table)
        named = former or key or ""
        had = rows.row(table, named)
        has = rows.completed(table, named, new) if new is not None else None
        for entity, part in self.parts.get(table, ()):
            for row in (had, has):
                if row is not None:
                    self._touch(touched, entity, part, row)
            if part == 0 and key is not None and former is not None and former != key:
                staged.renamed.append((entity, former, key))
        if key is None or former not in (None, key):
            rows.remove(table, named)
        if has is not None:
            rows.put(table, has)

    def _touch(self, touched: dict[Place, None], entity: str, part: int, row: Row) -> None:
        for root in sorted(roots_of(self.assemblies[entity], self.tables, self.rows, part, row)):
            touched[entity, root] = None
