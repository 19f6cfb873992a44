"""Takes away what a file's shared databases leave on their servers: the databases, our origins, our ledger's rows."""

from __future__ import annotations

from collections.abc import Mapping

from service.embedded import EmbeddedServer
from tests.servers import Server


def swept(servers: Mapping[str, Server], names: Mapping[str, str], engine: str) -> None:
    """Drops the database of each system, and what an engine of this name left beside it."""
    for system, server in servers.items():
        server.start()
        server.drop_database(names[system])
        with server.connect() as connection:
            if isinstance(server, EmbeddedServer):
                connection.execute("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")
            else:
                with connection.cursor() as cursor:
                    cursor.execute("DELETE FROM duolog.ledger WHERE engine = %s", [engine])
