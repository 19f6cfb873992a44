"""One picture of a database in memory, taken at the end of its log, as `engine.ports.Snapshot` promises.

Turns the rows of a moment into what the first merge compares. What users write afterwards it never shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.memory.system import MemorySystem
from engine.errors import SystemUnavailable
from engine.vocabulary import ABSENT, Row


class MemorySnapshot:
    """See the module."""

    def __init__(self, database: MemorySystem) -> None:
        self.system = database.system
        self.position = database.end
        self._database = database
        self._closed = False
        self._tables: list[dict[str, Row]] = [
            {key: tuple(row) for key, row in table.items()} for table in database.stored
        ]

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity that lives in one table, in field order, ascending by record key.

        Raises SystemUnavailable when closed."""
        self._open()
        layout = self._database.layouts[entity]
        for key, row in sorted(self._tables[layout.binding.table].items()):
            by_number = dict(zip(layout.binding.columns, row, strict=True))
            yield key, tuple([by_number.get(number, ABSENT) for number in range(layout.width)])

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table, in the order of its columns. Raises SystemUnavailable when closed."""
        self._open()
        yield from self._tables[number].values()

    def close(self) -> None:
        """Lets go of the picture."""
        self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise SystemUnavailable("the snapshot is closed", system=self.system)
