"""Turns rules into what Debezium's connector has to be told, so that nothing is missing and nothing is lost on the way.

What is no matter of the rules (hosts, users, passwords) stands there as a name to be filled in: never a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from adapters.debezium.decoding.modes import EXACT, EXACT_BESIDES
from adapters.debezium.layout import LEDGER, Topics
from engine.rulebook import Table

heartbeat_ms: Final = 5_000

CLASSES: Final[Mapping[str, str]] = {
    "postgresql": "io.debezium.connector.postgresql.PostgresConnector",
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnector",
    "mysql": "io.debezium.connector.mysql.MySqlConnector",
    "mssql": "io.debezium.connector.sqlserver.SqlServerConnector",
    "oracle": "io.debezium.connector.oracle.OracleConnector",
    "db2": "io.debezium.connector.db2.Db2Connector",
}

LOGIN: Final = {
    "database.hostname": "<host>",
    "database.port": "<port>",
    "database.user": "<user with REPLICATION>",
    "database.password": "${file:/path/to/secrets.properties:password}",
}

ITS_OWN: Final[Mapping[str, Mapping[str, str]]] = {
    "postgresql": {
        "database.dbname": "<database>",
        "plugin.name": "pgoutput",
        "slot.name": "debezium",
        "publication.autocreate.mode": "filtered",
    },
    "mssql": {"database.names": "<database>"},
}
"""What one kind of database needs besides."""

HISTORY: Final = {
    "schema.history.internal.kafka.bootstrap.servers": "<host:port>",
    "schema.history.internal.kafka.topic": "<topic of its own>",
}


def configuration(kind: str, topics: Topics, tables: Sequence[Table], *, ledger: bool) -> dict[str, str]:
    """By option, the value; in the order in which a person would write them. `ledger`: it has to be told, too."""
    named = [*((table.schema, table.name) for table in tables), *([LEDGER] if ledger else [])]
    listed = dict.fromkeys(named)
    said = {
        "connector.class": CLASSES[kind],
        **LOGIN,
        **ITS_OWN.get(kind, {}),
        "topic.prefix": topics.prefix,
        "table.include.list": ",".join(f"{_pattern(schema)}\\.{_pattern(name)}" for schema, name in listed),
        **EXACT,
        **EXACT_BESIDES.get("sqlserver" if kind == "mssql" else kind, {}),
        "heartbeat.interval.ms": str(heartbeat_ms),
        "snapshot.mode": "no_data",
    }
    if kind != "postgresql":
        said |= HISTORY | {"include.schema.changes": "true"}
    if kind in ("mariadb", "mysql"):
        said |= {"database.server.id": "<a number that no other server or replica has>"}
    if kind in ("mariadb", "mysql", "oracle", "mssql", "db2"):
        said.pop("interval.handling.mode", None)
    return said


def _pattern(name: str) -> str:
    """A name as a regular expression of Java's."""
    return "".join(letter if letter.isalnum() or letter == "_" else f"\\{letter}" for letter in name)
