"""Tries connections and their errors: what is retried, what needs a person, and that no secret or value is told."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgresql.session import SETTINGS, connect, connection_string, lsn_number, lsn_text, translate
from engine.errors import (
    AccessDenied,
    DuologError,
    SchemaChanged,
    SystemStopped,
    SystemUnavailable,
    ValueRefused,
)
from service.embedded import EmbeddedServer, NoServerProgram


def test_every_fixed_setting_is_in_force_whatever_the_role_has(erp_db: str) -> None:
    with psycopg.connect(erp_db, autocommit=True) as admin:
        admin.execute("ALTER ROLE postgres SET statement_timeout = '5s'")
        admin.execute("ALTER ROLE postgres SET intervalstyle = 'sql_standard'")
    try:
        with connect("erp", erp_db, application_name="try") as connection:
            for name, value in SETTINGS.items():
                row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
                assert row is not None and row[0].replace(", ", ",") == value, name
            assert connection.autocommit
    finally:
        with psycopg.connect(erp_db, autocommit=True) as admin:
            admin.execute("ALTER ROLE postgres RESET ALL")


@pytest.mark.parametrize(("url", "expected"), [
    ("postgresql://u@db.example.com/x", "verify-full"),
    ("postgresql://u@db.example.com,127.0.0.1/x", "verify-full"),
    ("postgresql://u@db.example.com/x?sslmode=require", "require"),
    ("postgresql://u@127.0.0.1/x", None),
    ("postgresql://u@localhost/x", None),
    ("postgresql://u@[::1]/x", None),
    ("postgresql:///x?host=/run/postgresql", None),
    ("dbname=x", None),
])
def test_what_leaves_this_machine_is_encrypted_and_verified_unless_told_otherwise(
    url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGSSLMODE", "PGHOST"):
        monkeypatch.delenv(name, raising=False)

    made = psycopg.conninfo.conninfo_to_dict(connection_string(url, application_name="try"))

    assert made.get("sslmode") == expected


def test_what_the_address_says_goes_before_our_defaults() -> None:
    text = connection_string(
        "postgresql://u@localhost/x?connect_timeout=3&options=-c%20search_path%3Dapp", application_name="try"
    )
    made = psycopg.conninfo.conninfo_to_dict(text)

    assert made["connect_timeout"] == "3"
    assert str(made["options"]).startswith("-c search_path=app -c client_encoding=UTF8 ")


@pytest.mark.parametrize(("statement", "kind", "found"), [
    ("INSERT INTO t VALUES (1, 'secret')", ValueRefused,
     "UniqueViolation (SQLSTATE 23505): table `t`, constraint `t_pkey`"),
    ("INSERT INTO t VALUES (NULL, 'secret')", ValueRefused,
     "NotNullViolation (SQLSTATE 23502): table `t`, column `id`"),
    ("INSERT INTO t VALUES (2, repeat('secret', 9))", ValueRefused,
     "StringDataRightTruncation (SQLSTATE 22001)"),
    ("SELECT 'secret'::int", ValueRefused, "InvalidTextRepresentation (SQLSTATE 22P02)"),
    ("DO $$ BEGIN RAISE 'secret'; END $$", ValueRefused, "RaiseException (SQLSTATE P0001)"),
    ("SELECT * FROM missing", SchemaChanged, 'relation "missing" does not exist (SQLSTATE 42P01)'),
    ("SELECT missing FROM t", SchemaChanged, 'column "missing" does not exist (SQLSTATE 42703)'),
    ("SET ROLE poor; SELECT * FROM t", AccessDenied, "permission denied for table t (SQLSTATE 42501)"),
    ("SET lock_timeout = '1ms'; LOCK t", SystemUnavailable,
     "canceling statement due to lock timeout (SQLSTATE 55P03)"),
    ("SET statement_timeout = '10ms'; SELECT pg_sleep(5)", SystemUnavailable,
     "canceling statement due to statement timeout (SQLSTATE 57014)"),
    ("SELECT pg_terminate_backend(pg_backend_pid())", SystemUnavailable,
     "terminating connection due to administrator command (SQLSTATE 57P01)"),
    ("BEGIN READ ONLY; INSERT INTO t VALUES (3, 'x')", SystemUnavailable,
     "the server is read-only: a standby, or set so"),
    ("SELECT 1 FROM", SystemStopped, "syntax error at end of input (SQLSTATE 42601)"),
])
def test_each_error_becomes_the_kind_that_says_what_to_do(
    erp_db: str, statement: str, kind: type[DuologError], found: str
) -> None:
    with psycopg.connect(erp_db, autocommit=True) as admin, psycopg.connect(erp_db) as locker:
        admin.execute("CREATE TABLE t (id int PRIMARY KEY, name varchar(10)); INSERT INTO t VALUES (1, 'one')")
        admin.execute("CREATE ROLE poor")
        locker.execute("LOCK t IN ROW SHARE MODE")
        try:
            with pytest.raises(psycopg.Error) as raised, connect("erp", erp_db, application_name="try") as connection:
                connection.execute(statement.encode())
        finally:
            admin.execute("DROP ROLE poor")

    translated = translate(raised.value, "erp")

    assert type(translated) is kind
    assert translated.found == found
    assert translated.system == "erp"


def test_no_password_is_told_when_the_address_cannot_be_understood() -> None:
    with pytest.raises(AccessDenied) as refused:
        connect("erp", "postgresql://u:hush hush@127.0.0.1/x", application_name="try")

    assert str(refused.value) == (
        "D211 erp: the address is not a PostgreSQL URL or connection string\n"
        "  mend: write it as postgresql://user@host:5432/database, special characters percent-encoded"
    )


def test_an_unreachable_server_is_unavailable_and_an_unknown_database_needs_a_person(erp_db: str) -> None:
    with pytest.raises(AccessDenied, match='database "unknown" does not exist'):
        connect("erp", erp_db.rpartition("/")[0] + "/unknown", application_name="try")
    with pytest.raises(SystemUnavailable, match="Connection refused"):
        connect("erp", "postgresql://u:hush@127.0.0.1:1/x", application_name="try")


@given(st.integers(0, (1 << 64) - 1))
def test_a_position_survives_its_text(position: int) -> None:
    assert lsn_number(lsn_text(position)) == position


@pytest.mark.parametrize("text", ["", "/", "16", "16/", "G/1", "1/123456789", "-1/0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        lsn_number(text)


def test_positions_print_as_postgresql_prints_them() -> None:
    assert lsn_text(0x16_B374D848) == "16/B374D848"


def test_a_killed_server_comes_back_on_its_port_with_what_was_committed(own_server: EmbeddedServer) -> None:
    own_server.start()
    with own_server.connect() as connection:
        connection.execute("CREATE TABLE kept (id int)")
    port = own_server.port

    own_server.kill9()
    assert not own_server.running
    own_server.start()

    assert own_server.port == port
    with own_server.connect() as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert "not properly shut down" in own_server.log.read_text()


def test_a_temporary_server_leaves_nothing_behind() -> None:
    server = EmbeddedServer()
    try:
        server.start()
    except NoServerProgram as missing:
        pytest.skip(str(missing))
    folder = server.folder

    server.close()

    assert folder is not None and not folder.exists()


def test_a_server_in_a_folder_of_ours_keeps_its_data(tmp_path: Path) -> None:
    for _ in range(2):
        try:
            with EmbeddedServer(tmp_path / "server") as server, server.connect() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
                connection.execute("INSERT INTO kept VALUES (1)")
                row = connection.execute("SELECT count(*) FROM kept").fetchone()
        except NoServerProgram as missing:
            pytest.skip(str(missing))

    assert row == (2,)


def test_a_setting_that_the_server_refuses_is_told_from_its_log(own_server: EmbeddedServer) -> None:
    own_server.settings["no_such_setting"] = "1"

    with pytest.raises(NoServerProgram, match="no_such_setting"):
        own_server.start()
