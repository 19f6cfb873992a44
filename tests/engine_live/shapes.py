"""A pair of databases with an awkward schema, for one test: made, started, looked at, and found to agree in the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, Protocol

from psycopg import sql

from tests.engine_live.pair import Pair
from tests.engine_live.world import eventually


class ShapeOf(Protocol):
    """Makes a shape, and sets the engine to work."""

    def __call__(self, entities: str, erp: LiteralString, crm: LiteralString, *, dies_at: str = "") -> Shape:
        """`erp`, `crm`: their tables. `dies_at`: the point at which the engine's first start ends."""


class Shape(Pair):
    """See the module."""

    def written(self) -> int:
        """How many rows the engine has written since it was started, now that it has nothing left to do."""
        asked = time.time()
        told: dict[str, Any] = {}

        def at_rest() -> bool:
            told.clear()
            told.update(self.live.document())
            return bool(told.get("quiet")) and float(told["engine"]["at"]) > asked

        eventually(at_rest, 15, self.live.log_tail)
        return int(told["counters"]["written"])

    def mark(self, system: str, table: str) -> str:
        """Changes whenever anybody writes a row of the table, even one that stays the same."""
        query: LiteralString = "SELECT md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ctid)) FROM {table}"
        return str(self.sql(system, query, table=sql.Identifier(*table.split(".")))[0][0])

    def agrees(self) -> None:
        """Nothing waits for anybody, and the systems are the same, compared through the rules."""
        found = self.live.json("verify", "--values", expected=(0, 1))
        assert found["differences"] == [], f"{found}\n{self.quarantine()}\n{self.live.log_tail()}"
        self.comes_to(self.quarantine, {})
        assert self.live.json("held") == []
        self.stop()


@contextmanager
def shapes(folder: Path, addresses: dict[str, str]) -> Iterator[ShapeOf]:
    """Makes one shape between these databases, and takes it home."""
    made: list[Shape] = []

    def make(entities: str, erp: LiteralString, crm: LiteralString, *, dies_at: str = "") -> Shape:
        shape = Shape(folder, "shape", addresses, entities, {"erp": erp, "crm": crm})
        made.append(shape)
        if dies_at:
            shape.live.run(failpoint=dies_at)
            assert shape.live.ended(60) == -signal.SIGKILL, shape.live.log_tail()
        shape.start()
        return shape

    try:
        yield make
    finally:
        for shape in made:
            shape.close()
