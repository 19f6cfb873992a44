"""The MariaDB that tests and demo start for themselves: its port, its crash, its folder, its accounts."""

from __future__ import annotations

from pathlib import Path

import pymysql
import pytest

from service.embedded import EmbeddedMariaDB, NoServerProgram, mariadb
from tests.ground import Session
from tests.servers import without_mariadb

FILL = "CREATE TABLE t (n int PRIMARY KEY); INSERT INTO t VALUES (1), (2)"


def test_what_was_committed_survives_kill9_and_the_port_stays(own_maria: EmbeddedMariaDB) -> None:
    own_maria.start()
    address, port = own_maria.create_database("mine"), own_maria.port
    with Session(address) as session:
        session.execute(FILL)

    own_maria.kill9()
    assert not own_maria.running
    own_maria.start()
    own_maria.restart()

    assert own_maria.port == port
    with Session(address) as session:
        assert session.rows("SELECT n FROM t") == [(1,), (2,)]


def test_a_folder_with_a_long_name_is_kept_and_used_again(tmp_path: Path) -> None:
    without_mariadb()
    folder = tmp_path / ("long" * 30)
    with EmbeddedMariaDB(folder) as server, Session(server.create_database("mine")) as session:
        session.execute(FILL)

    with EmbeddedMariaDB(folder) as server, Session(server.url("mine")) as session:
        assert session.value("SELECT count(*) FROM t") == 2
    assert folder.is_dir()


def test_a_database_goes_with_the_sessions_that_are_in_it(own_maria: EmbeddedMariaDB) -> None:
    own_maria.start()
    session = Session(own_maria.create_database("mine"), autocommit=False)
    session.execute(FILL)
    session.execute("SELECT n FROM t FOR UPDATE")

    own_maria.drop_database("mine")

    with pytest.raises(pymysql.Error):
        session.execute("SELECT n FROM t")
    with own_maria.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = 'mine'")
        assert cursor.fetchall() == ()


def test_it_listens_on_this_machine_only_and_logs_whole_rows(own_maria: EmbeddedMariaDB) -> None:
    own_maria.start()
    query = "SELECT @@bind_address, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, @@log_bin, @@datadir"
    with Session(own_maria.url()) as session:
        (row,) = session.rows(query)

    assert row[:5] == ("127.0.0.1", "ROW", "FULL", "FULL", 1)
    assert Path(row[5]).resolve() == own_maria.data.resolve()


def test_a_server_that_does_not_start_tells_the_end_of_its_log(tmp_path: Path) -> None:
    without_mariadb()
    server = EmbeddedMariaDB(tmp_path, settings={"no_such_setting": "1"})

    with pytest.raises(NoServerProgram, match="unknown variable 'no-such-setting=1'"):
        server.start()


def test_programs_are_looked_for_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("mariadbd", "mariadb-install-db"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("MARIADB_BIN", str(tmp_path))
    assert mariadb.find_programs() == mariadb.Programs(tmp_path / "mariadbd", tmp_path / "mariadb-install-db")

    (tmp_path / "mariadbd").unlink()
    with pytest.raises(NoServerProgram, match="no MariaDB server program"):
        mariadb.find_programs()
