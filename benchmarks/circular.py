"""The contender to be measured against where MariaDB is: its own replication, each server a replica of the other.

Circular replication by GTID, as its documentation has it: numbers of servers, domains of GTIDs and steps of
auto_increment of their own (`benchmarks.mariadb`); a server passes over the events that bear its own number, and does
not log what it has applied. All else is MariaDB's default: one applying thread, no merging, a conflict stops it.

It runs in threads of the servers: one that sends, one that receives, one that applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from benchmarks.bench import Bench, other
from benchmarks.mariadb import MariaDB, Session
from benchmarks.probe import Process, Thread

THREADS = (
    "SELECT TID FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%%' OR command LIKE 'Slave%%'"
    " OR user = 'system user'"
)


class Circular:
    """MariaDB's own replication."""

    name = "built-in"
    one_to_one = True
    both_ways = False

    def __init__(self) -> None:
        self._bench: Bench | None = None
        self._sources: tuple[str, ...] = ()
        self._watchers: dict[str, Session] = {}
        self._samplers: dict[str, Session] = {}
        """Of the thread that samples."""

    def connect(self, bench: Bench, sources: Sequence[str]) -> None:
        """Has each target follow its source from here on, and waits until it is sent the log."""
        self._bench = bench
        self._sources = tuple(sources)
        self._watchers = {side: bench.connect(side) for side in bench.servers}
        self._samplers = {side: bench.connect(side) for side in bench.servers}
        for source in self._sources:
            server = bench.servers[source]
            assert isinstance(server, MariaDB)
            target = self._watchers[other(source)]
            # Both domains: a server wants its own told, too.
            places = [end(self._watchers[source]), end(target)]
            target.execute("SET GLOBAL gtid_slave_pos = %s", [",".join(places)])
            target.execute(
                "CHANGE MASTER TO master_host = '127.0.0.1', master_user = 'root', master_port = %s,"
                " master_use_gtid = slave_pos",
                [server.port],
            )
        self.resume()
        for source in self._sources:
            bench.wait("the replica to be sent the log", partial(bench.servers[source].is_read, self._watchers[source]))

    def pause(self) -> None:
        """Stops the replicas, and waits until nobody is sent the log."""
        assert self._bench is not None
        for source in self._sources:
            self._watchers[other(source)].execute("STOP SLAVE")
        for source in self._sources:
            # A server notices that a replica is gone when it next has something for it.
            watcher = self._watchers[source]
            for (session,) in watcher.execute(
                "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%%'"
            ).fetchall():
                watcher.execute("KILL %s", [session])
            self._bench.wait("the sending to end", partial(self._silent, source))

    def resume(self) -> None:
        """Starts the replicas."""
        for source in self._sources:
            self._watchers[other(source)].execute("START SLAVE")

    def processes(self) -> Iterable[Process]:
        """Its threads in both servers."""
        assert self._bench is not None
        return [
            Thread(self._bench.servers[side].pid, thread)
            for side, sampler in self._samplers.items()
            for (thread,) in sampler.execute(THREADS).fetchall()
        ]

    def must_live(self) -> None:
        """It is a part of the servers."""

    def threads(self) -> Mapping[str, float]:
        """Not told."""
        return {}

    def close(self) -> None:
        """The servers go away with it; only our sessions are ours."""
        for session in (*self._watchers.values(), *self._samplers.values()):
            session.close()

    def _silent(self, source: str) -> bool:
        assert self._bench is not None
        return not self._bench.servers[source].is_read(self._watchers[source])


def end(session: Session) -> str:
    """The GTID of what a server has logged last."""
    found = session.execute("SELECT @@gtid_binlog_pos").fetchone()
    assert found is not None
    return str(found[0])
