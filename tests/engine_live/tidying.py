"""Takes away what a file's shared databases leave on their servers: the databases, our origins, our ledger's rows, our
change tables."""

from __future__ import annotations

from collections.abc import Mapping

from service.embedded import EmbeddedServer
from tests.servers import OdbcServer, Server, SqliteFolder, maria_tables


def swept(servers: Mapping[str, Server], names: Mapping[str, str], engine: str) -> None:
    """Drops the database of each system, and what an engine of this name left beside it."""
    for system, lent in servers.items():
        server = lent.server if isinstance(lent, OdbcServer) else lent
        server.start()
        server.drop_database(names[system])
        if isinstance(server, SqliteFolder):
            continue
        with server.connect() as connection:
            if isinstance(server, EmbeddedServer):
                connection.execute("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")
                continue
            with connection.cursor() as cursor:
                if not isinstance(lent, OdbcServer):
                    cursor.execute("DELETE FROM duolog.ledger WHERE engine = %s", [engine])
                    continue
                for table in maria_tables(server):
                    cursor.execute(f"DROP TABLE duolog.`{table}`")
