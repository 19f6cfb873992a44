"""Two fresh servers with the tables of a workload, filled alike: what every measure starts from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.database import Database
from benchmarks.mariadb import MariaDB
from benchmarks.postgresql import PostgreSQL
from benchmarks.sizes import Sizes
from benchmarks.triggered import MariaDBByOdbc, PostgreSQLByOdbc, SQLite
from benchmarks.workload import Workload

KINDS: Final[Mapping[str, Callable[[], Database]]] = {
    "postgresql": PostgreSQL, "mariadb": MariaDB, "postgresql by ODBC": PostgreSQLByOdbc,
    "mariadb by ODBC": MariaDBByOdbc, "sqlite": SQLite,
}  # fmt: skip
"""By duolog's word, and by how it gets there."""

POSTGRESQL: Final = ("postgresql", "postgresql")
"""The kinds of the ERP and of the CRM, of most measures."""

poll_interval_s: Final = 0.02


class TooSlow(Exception):
    """What was waited for did not happen in time: the measure has failed."""


@dataclass(slots=True)
class Bench:
    """The two servers, what stands there, and how long one may wait for anything."""

    servers: dict[str, Database]
    workload: Workload
    sizes: Sizes

    def url(self, side: str) -> str:
        """The address of one side's database."""
        return self.servers[side].url()

    def connect(self, side: str) -> Any:
        """A session of one side, committing each statement by itself."""
        return self.servers[side].connect()

    def wait(self, what: str, ready: Callable[[], bool], interval_s: float = poll_interval_s) -> float:
        """Asks until it is so; the clock's reading when it was. Raises TooSlow."""
        deadline = time.perf_counter() + self.sizes.patience_s
        while not ready():
            if time.perf_counter() > deadline:
                raise TooSlow(f"{what}: not within {self.sizes.patience_s} s")
            time.sleep(interval_s)
        return time.perf_counter()


@contextmanager
def two_servers(sizes: Sizes, workload: Workload, kinds: tuple[str, str] = POSTGRESQL) -> Iterator[Bench]:
    """Starts them, makes and fills the tables on both, ends them. `kinds`: of the ERP's and of the CRM's server."""
    servers = dict(zip(("erp", "crm"), (KINDS[kind]() for kind in kinds), strict=True))
    with ExitStack() as stack:
        bench = Bench(servers, workload, sizes)
        for side, server in bench.servers.items():
            stack.callback(server.stop)
            server.start()
            with bench.connect(side) as connection:
                workload.create(side, server, connection, sizes)
                server.settle(connection)
        yield bench


def other(side: str) -> str:
    """The side that a change of `side` must reach."""
    return {"erp": "crm", "crm": "erp"}[side]
