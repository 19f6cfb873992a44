"""The contender to be measured against: PostgreSQL's built-in logical replication, one publication and
subscription a way.

`copy_data = false` because the tables are alike already; `origin = none` where both ways run, as the
documentation asks. All else is PostgreSQL's default (streaming = parallel since 18). It detects conflicts but
merges nothing; the measures give it nothing to merge.

Its processes are the walsenders of the sources and the apply workers of the targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from psycopg import sql

from benchmarks.bench import Bench, other
from benchmarks.postgresql import Connection, streaming
from benchmarks.standby import name_nobody, name_standby

WORKERS = (
    "SELECT pid FROM pg_stat_activity WHERE backend_type IN "
    "('walsender', 'logical replication apply worker', 'logical replication parallel worker')"
)


class BuiltIn:
    """Built-in logical replication."""

    name = "built-in"
    one_to_one = True
    both_ways = False

    def __init__(self) -> None:
        self._bench: Bench | None = None
        self._sources: tuple[str, ...] = ()
        self._watchers: list[Connection] = []

    def connect(self, bench: Bench, sources: Sequence[str]) -> None:
        """Makes publications and subscriptions, and waits until every slot is streaming."""
        self._bench = bench
        self._sources = tuple(sources)
        self._watchers = [bench.connect(side) for side in bench.servers]
        for source in self._sources:
            with bench.connect(source) as connection:
                tables = [sql.Identifier("public", table) for table in bench.workload.tables(source)]
                publish = sql.SQL("CREATE PUBLICATION bench FOR TABLE {}")
                connection.execute(publish.format(sql.SQL(", ").join(tables)))
        for source in self._sources:
            create = sql.SQL(
                "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION bench WITH (copy_data = false, origin = none)"
            )
            with bench.connect(other(source)) as connection:
                connection.execute(create.format(subscription(source), sql.Literal(bench.url(source))))
        self._until_streaming()

    def pause(self) -> None:
        """Disables the subscriptions, and waits until no walsender is left."""
        self._subscriptions("DISABLE")
        assert self._bench is not None
        for source in self._sources:
            with self._bench.connect(source) as connection:
                self._bench.wait("walsender to end", partial(idle, connection))

    def resume(self) -> None:
        """Enables the subscriptions; the launcher starts the workers."""
        self._subscriptions("ENABLE")

    def processes(self) -> Iterable[int]:
        """All walsenders and apply workers of both servers."""
        return [row[0] for watcher in self._watchers for row in watcher.execute(WORKERS)]

    def arm(self, bench: Bench, side: str) -> None:
        """Its subscription becomes the synchronous standby of this side; it commits durably, as documented for that."""
        statement = sql.SQL("ALTER SUBSCRIPTION {} SET (synchronous_commit = local)").format(subscription(side))
        with bench.connect(other(side)) as connection:
            connection.execute(statement)
        self._until_streaming()
        name_standby(bench, side)

    def disarm(self, bench: Bench, side: str) -> None:
        """Nobody waits for it any more."""
        name_nobody(bench, side)

    def _subscriptions(self, verb: str) -> None:
        assert self._bench is not None
        for source in self._sources:
            statement = sql.SQL("ALTER SUBSCRIPTION {} {}").format(subscription(source), sql.SQL(verb))
            with self._bench.connect(other(source)) as connection:
                connection.execute(statement)

    def _until_streaming(self) -> None:
        assert self._bench is not None
        for source in self._sources:
            with self._bench.connect(source) as connection:
                self._bench.wait("the subscription to stream", partial(streaming, connection))

    def must_live(self) -> None:
        """It is a part of the servers."""

    def threads(self) -> Mapping[str, float]:
        """Not told."""
        return {}

    def close(self) -> None:
        """The servers go away with their subscriptions; only our sessions are ours."""
        for watcher in self._watchers:
            watcher.close()


def subscription(source: str) -> sql.Identifier:
    """The name of the subscription (and slot) that carries the changes of `source`."""
    return sql.Identifier(f"from_{source}")


def idle(connection: Connection) -> bool:
    """True if nobody reads this server's log."""
    return not streaming(connection)
