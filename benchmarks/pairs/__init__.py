"""The plain workload between databases that are not both PostgreSQL, read by its log.

Turns a pair of kinds into the items' rule file with these adapters. Tables, rows and backlog are those of the items;
a truth is a `boolean` in PostgreSQL and a `tinyint(1)` in MariaDB. Who only copies tables has databases of one kind on
both sides, as no server copies into one of another kind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.items import Items

BY_ODBC: Final = " by ODBC"
"""How the kind of a database ends that duolog reaches by ODBC."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Which databases, and who writes to them."""

    kinds: tuple[str, str]
    """Of the ERP and of the CRM."""
    sides: tuple[str, ...]
    """Who writes; nobody: a trickle on both sides is measured."""
    called: str

    @property
    def copied(self) -> tuple[str, str]:
        """The kinds for who only copies tables."""
        plain = {kind.removesuffix(BY_ODBC) for kind in self.kinds}
        kind = plain.pop() if len(plain) == 1 else "mariadb"
        return (kind, kind)


PAIRS: Final[Mapping[str, Pair]] = {
    "postgresql_to_mariadb": Pair(("postgresql", "mariadb"), ("erp",), "PostgreSQL → MariaDB"),
    "mariadb_to_postgresql": Pair(("mariadb", "postgresql"), ("erp",), "MariaDB → PostgreSQL"),
    "mariadb_to_mariadb": Pair(("mariadb", "mariadb"), ("erp",), "MariaDB → MariaDB"),
    "mariadb_both_ways": Pair(("mariadb", "mariadb"), ("erp", "crm"), "MariaDB ↔ MariaDB"),
    "latency_postgresql_mariadb": Pair(("postgresql", "mariadb"), (), "PostgreSQL ↔ MariaDB"),
    "latency_mariadb": Pair(("mariadb", "mariadb"), (), "MariaDB ↔ MariaDB"),
    "odbc_postgresql": Pair((f"postgresql{BY_ODBC}",) * 2, ("erp",), "PostgreSQL → PostgreSQL, by ODBC"),
    "odbc_mariadb": Pair((f"mariadb{BY_ODBC}",) * 2, ("erp",), "MariaDB → MariaDB, by ODBC"),
    "sqlite_to_sqlite": Pair(("sqlite", "sqlite"), ("erp",), "SQLite → SQLite"),
}
"""By measure."""


class Paired(Items):
    """The workload of one pair."""

    def __init__(self, kinds: tuple[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="duolog-bench-rules-")
        self.rules = Path(self._folder.name) / "rules.yaml"
        said = Items.rules.read_text(encoding="utf-8")
        for side, kind in zip(("erp", "crm"), kinds, strict=True):
            adapter = "odbc" if kind.endswith(BY_ODBC) else kind
            said = said.replace(f"{side}: {{adapter: postgresql", f"{side}: {{adapter: {adapter}")
            if kind == "sqlite":
                said = said.replace(f"{side}: {{table: public.item}}", f"{side}: {{table: item}}")
        self.rules.write_text(said, encoding="utf-8")
