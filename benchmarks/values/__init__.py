"""The plain workload, stored otherwise in the CRM: what maps, conversions, spellings and expressions cost a row.

Turns a variant into a rule file (that of the items, with other words for some fields) and into both tables; rows and
backlog are those of the items, and only the ERP writes. Who only copies tables gets the ERP's table on both sides.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from psycopg import sql

from benchmarks.database import Database, Statement
from benchmarks.items import COLUMNS, Items, row, sentinel
from benchmarks.sizes import Sizes
from benchmarks.values.variants import Columns, Variant
from benchmarks.workload import SEED

NAMES: Final = COLUMNS.split(", ")
PLAIN_ROW: Final = "json_populate_record(NULL::public.plain, %s::json) AS item"


class Values(Items):
    """The workload of one variant."""

    def __init__(self, variant: Variant, *, copied: bool) -> None:
        """`copied`: the ERP's table stands on both sides."""
        self._variant = variant
        self._copied = copied
        self._folder = tempfile.TemporaryDirectory(prefix="duolog-bench-rules-")
        self.rules = Path(self._folder.name) / "rules.yaml"
        self.rules.write_text(ruled(variant), encoding="utf-8")

    def compared(self) -> tuple[str, ...]:
        """What the rows mean."""
        return ("item_shown",)

    def create(self, side: str, database: Database, connection: Any, sizes: Sizes) -> None:
        """The plain table, its columns then changed into those that this side has."""
        super().create(side, database, connection, sizes)
        connection.execute("CREATE TABLE public.plain (LIKE public.item)")
        for statement in altered(self._columns(side)):
            connection.execute(statement)
        shown = sql.SQL(", ").join(self._shown(side))
        connection.execute(sql.SQL("CREATE VIEW public.item_shown AS SELECT {} FROM public.item").format(shown))

    def backlog(self, side: str, both: bool, sizes: Sizes) -> Iterator[list[Statement]]:
        """That of the items."""
        assert side == "erp" and not both, "the CRM's table is not the one that the backlog is made for"
        return super().backlog(side, both, sizes)

    def last(self, side: str, lap: int) -> list[Statement]:
        """A row of its own, as this side stores it."""
        columns = self._columns(side)
        names = list(dict.fromkeys([*NAMES, *columns]))
        stored = ", ".join(columns[name][1] if name in columns else name for name in names)
        insert = f"({', '.join(names)}) SELECT {stored}".replace("%", "%%")
        plain = dict(zip(NAMES, row(Random(SEED), sentinel(side, lap)), strict=True))
        return [(f"INSERT INTO public.item {insert} FROM {PLAIN_ROW}", (json.dumps(plain, default=str),))]

    def _columns(self, side: str) -> Columns:
        return self._variant.crm if side == "crm" and not self._copied else self._variant.erp

    def _shown(self, side: str) -> Iterator[sql.Composable]:
        place = 1 if side == "crm" and not self._copied else 0
        for name in dict.fromkeys([*NAMES, *self._variant.shown]):
            pair = self._variant.shown.get(name)
            told = sql.SQL(pair[place]) if pair is not None else sql.Identifier(name)
            yield sql.SQL("{} AS {}").format(told, sql.Identifier(name))


def ruled(variant: Variant) -> str:
    """The items' rule file, with what a variant says of its fields."""
    lines = Items.rules.read_text(encoding="utf-8").splitlines()
    for name, said in variant.fields.items():
        line = f"      {name}: {said}"
        if name in NAMES:
            lines[lines.index(f"      {name}: {name}")] = line
        else:
            lines.append(line)
    return "\n".join([*lines, ""])


def altered(columns: Columns) -> Iterator[sql.Composed]:
    """What makes the plain table's columns these; all new types at once, as they are told of the plain row."""
    change, add = sql.SQL("ALTER COLUMN {} TYPE {} USING {}"), sql.SQL("ALTER TABLE public.item ADD COLUMN {} {}")
    said = {name: (sql.Identifier(name), sql.SQL(type), sql.SQL(told)) for name, (type, told) in columns.items()}
    changed = [change.format(*of_column) for name, of_column in said.items() if name in NAMES]
    if changed:
        yield sql.SQL("ALTER TABLE public.item {}").format(sql.SQL(", ").join(changed))
    for name, (column, type, told) in said.items():
        if name not in NAMES:
            yield add.format(column, type)
            yield sql.SQL("UPDATE public.item SET {} = {}").format(column, told)
