"""What a real server makes of `synchronous_standby_names` as we print it, and of texts that we refuse."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from psycopg import sql

from adapters.postgresql.standbys import Standbys
from service.embedded import EmbeddedServer
from tests.database.armed import waiting_server
from tests.lab.standby import Standby
from tests.unit.test_standbys import READ, REFUSED, US, standbys

__all__ = ["waiting_server"]


def takes(conn: psycopg.Connection[object], text: str) -> bool:
    """Whether the server takes it; it is not put in force."""
    try:
        conn.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(text)))
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.SyntaxError):
        return False
    finally:
        conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
    return True


@given(standbys.filter(lambda some: not any("\n" in name for name in some.names)))  # ALTER SYSTEM takes no lines
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_server_takes_what_we_print(waiting_server: EmbeddedServer, some: Standbys) -> None:
    with waiting_server.connect() as conn:
        assert takes(conn, str(some))
        assert takes(conn, str(some.with_us(US))) and takes(conn, str(some.without(US)))


@pytest.mark.parametrize("text", [text for text, _ in READ if "\n" not in text] + REFUSED)
def test_the_server_takes_what_we_understand_and_nothing_else(waiting_server: EmbeddedServer, text: str) -> None:
    with waiting_server.connect() as conn:
        assert takes(conn, text) is (text not in REFUSED)


def test_the_server_ranks_a_standby_as_we_do(waiting_server: EmbeddedServer) -> None:
    with waiting_server.connect() as conn:
        conn.execute("SET synchronous_commit = local")
        conn.execute("CREATE PUBLICATION nothing")
        conn.execute("SELECT pg_create_logical_replication_slot('ranked', 'pgoutput')")
        row = conn.execute("SELECT pg_current_wal_flush_lsn() - '0/0'").fetchone()
        assert row is not None
        with Standby(waiting_server.url(), "Duolog_Demo_Erp") as standby:
            standby.start("ranked", "nothing")
            standby.confirm(int(row[0]))
            for text in ("s1, *", f"FIRST 2 (s1, {US})", f"ANY 1 (s1, {US})", "s1", f'"{US.upper()}", s1', ""):
                conn.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(text)))
                conn.execute("SELECT pg_reload_conf()")
                wanted = Standbys.parse(text).rank(US)
                for _ in range(2000):
                    row = conn.execute("SELECT sync_priority FROM pg_stat_replication").fetchone()
                    if row == (wanted,):
                        break
                assert row == (wanted,), text
        conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
        conn.execute("SELECT pg_reload_conf()")
