"""Two fresh PostgreSQL servers with the tables of a workload, filled alike: what every measure starts from.

Settings are PostgreSQL's own but for those named in `SETTINGS`: durable (fsync, full_page_writes and
synchronous_commit on), because that is how the databases of a business run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.sizes import Sizes
from benchmarks.workload import Connection, Workload
from service.embedded import EmbeddedServer

SETTINGS: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "max_wal_size": "4GB"}
DATABASE: Final = "bench"
poll_interval_s: Final = 0.02


class TooSlow(Exception):
    """What was waited for did not happen in time: the measure has failed."""


@dataclass(slots=True)
class Bench:
    """The two servers, what stands there, and how long one may wait for anything."""

    servers: dict[str, EmbeddedServer]
    workload: Workload
    sizes: Sizes

    def url(self, side: str) -> str:
        """The address of one side's database."""
        return self.servers[side].url(DATABASE)

    def connect(self, side: str) -> Connection:
        """A session of one side, committing each statement by itself."""
        return self.servers[side].connect(DATABASE)

    def wait(self, what: str, ready: Callable[[], bool], interval_s: float = poll_interval_s) -> float:
        """Asks until it is so; the clock's reading when it was. Raises TooSlow."""
        deadline = time.perf_counter() + self.sizes.patience_s
        while not ready():
            if time.perf_counter() > deadline:
                raise TooSlow(f"{what}: not within {self.sizes.patience_s} s")
            time.sleep(interval_s)
        return time.perf_counter()


@contextmanager
def two_servers(sizes: Sizes, workload: Workload) -> Iterator[Bench]:
    """Starts them, makes and fills the tables on both, ends them."""
    with EmbeddedServer(fsync=True, settings=SETTINGS) as erp, EmbeddedServer(fsync=True, settings=SETTINGS) as crm:
        bench = Bench({"erp": erp, "crm": crm}, workload, sizes)
        for side, server in bench.servers.items():
            server.create_database(DATABASE)
            with bench.connect(side) as connection:
                workload.create(side, connection, sizes)
                connection.execute("VACUUM ANALYZE")
                connection.execute("CHECKPOINT")
        yield bench


def other(side: str) -> str:
    """The side that a change of `side` must reach."""
    return {"erp": "crm", "crm": "erp"}[side]


def streaming(connection: Connection) -> bool:
    """True if a reader is attached to every logical slot of this server, and there is one."""
    found = connection.execute(
        "SELECT count(*) > 0 AND bool_and(active) FROM pg_replication_slots WHERE slot_type = 'logical'"
    ).fetchone()
    return found is not None and bool(found[0])
