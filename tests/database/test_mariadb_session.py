"""Tries connections to MariaDB and their errors: what is retried, what needs a person, and that no secret is told."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mariadb import names, positions
from adapters.mariadb.address import address
from adapters.mariadb.session import SETTINGS, ask, ask_all, connect, execute, translate
from engine.errors import (
    AccessDenied,
    DuologError,
    SchemaChanged,
    SystemStopped,
    SystemUnavailable,
    ValueRefused,
)
from service.embedded import EmbeddedMariaDB


def test_every_fixed_setting_is_in_force_whatever_the_server_has(erp_maria: str) -> None:
    with contextlib.closing(connect("erp", erp_maria, application_name="try")) as connection:
        for name, value in SETTINGS.items():
            found = ask(connection, f"SELECT @@SESSION.{name}")[0][0]
            assert set(str(found).split(",")) == set(value.strip("'").split(",")), name
        assert ask(connection, "SELECT @@autocommit, @@tx_isolation, @@collation_connection") == [
            ("1", "READ-COMMITTED", "utf8mb4_bin")
        ]
        assert connection.server.flavour == "mariadb" and connection.server.version >= (10, 6)


def test_several_statements_go_together_and_none_after_the_first_that_fails(erp_maria: str) -> None:
    with contextlib.closing(connect("erp", erp_maria, application_name="try")) as connection:
        execute(connection, "CREATE TABLE t (id int PRIMARY KEY)")

        assert execute(connection, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2), (3)") == 2
        assert ask_all(connection, "SET @a = 7; SELECT @a; SELECT 8, 9") == [[], [("7",)], [("8", "9")]]
        with pytest.raises(pymysql.MySQLError):
            execute(connection, "INSERT INTO t VALUES (4); INSERT INTO t VALUES (1); INSERT INTO t VALUES (5)")
        assert ask(connection, "SELECT id FROM t ORDER BY id") == [("1",), ("2",), ("3",), ("4",)]


@pytest.mark.parametrize(("url", "mode"), [
    ("mariadb://u@db.example.com/x", "verify_identity"),
    ("mysql://u@db.example.com/x?ssl_mode=required", "required"),
    ("mariadb://u@db.example.com/x?ssl_mode=disabled", "disabled"),
    ("mariadb://u@127.0.0.1/x", "disabled"),
    ("mariadb://u@[::1]:3307/x", "disabled"),
    ("mariadb://u@localhost/x?ssl_ca=/ca.pem", "verify_identity"),
    ("mariadb://u@db.example.com/x?socket=/run/s", "disabled"),
])  # fmt: skip
def test_what_leaves_this_machine_is_encrypted_and_verified_unless_told_otherwise(url: str, mode: str) -> None:
    assert address(url).tls == mode


def test_an_address_is_read_whole_with_what_is_percent_encoded() -> None:
    told = address("MariaDB://us%40er:p%2F%3A%40%20w@Host.example:3307/da%20ta?connect_timeout=3&ssl_ca=/a%20b.pem")

    assert (told.user, told.password, told.host, told.port, told.database, told.connect_timeout_s, told.ca) == (
        "us@er", "p/:@ w", "host.example", 3307, "da ta", 3, "/a b.pem"
    )  # fmt: skip
    assert "p/:@ w" not in repr(told)


@pytest.mark.parametrize("url", [
    "postgresql://u:hunter2@h/x", "mariadb://u:hunter2@h", "mariadb://u:hunter2@h/", "mariadb://u:hunter2@h:x/d",
    "mariadb://u:hunter2@h/d?local_infile=1", "mariadb://u:hunter2@h/d?ssl_mode=maybe", "hunter2",
    "mariadb://u:hunter2@h/d?ssl_ca=/a&ssl_ca=/b", "mariadb://u:hunter2@h/d/e", "mariadb://u:hunter2@h/d?init_command",
])  # fmt: skip
def test_what_is_no_address_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        address(url, system="erp")

    assert "hunter2" not in str(refused.value)
    assert "mariadb://user@host:3306/database" in refused.value.mend


@pytest.mark.parametrize(("change", "kind", "found"), [
    ({"database": "missing"}, AccessDenied, "Unknown database 'missing' (error 1049)"),
    ({"user": "nobody", "password": "hunter2"}, AccessDenied, "Access denied for user 'nobody'@"),
    ({"port": "1"}, SystemUnavailable, "Can't connect to MySQL server on '127.0.0.1'"),
    ({"query": "?ssl_mode=required"}, AccessDenied, "SSL is required but the server doesn't support it (error 2026)"),
    ({"query": "?ssl_ca=/no/such/file"}, AccessDenied, "a file that the address names for TLS cannot be used"),
])  # fmt: skip
def test_a_connection_that_fails_says_whether_waiting_helps(
    erp_maria: str, change: dict[str, str], kind: type[DuologError], found: str
) -> None:
    told = address(erp_maria)
    user, password = change.get("user", told.user), change.get("password", told.password)
    url = (f"mariadb://{user}:{password}@{told.host}:{change.get('port', told.port)}"
           f"/{change.get('database', told.database)}{change.get('query', '')}")  # fmt: skip

    with pytest.raises(kind) as failed:
        connect("erp", url, application_name="try")

    assert str(failed.value.found).startswith(found)
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(("statement", "kind", "found"), [
    ("INSERT INTO t VALUES (1, 'secret', 1)", ValueRefused, "error 1062: key `PRIMARY`"),
    ("INSERT INTO t VALUES (NULL, 'secret', 1)", ValueRefused, "error 1048: column `id`"),
    ("INSERT INTO t VALUES (2, repeat('secret', 9), 1)", ValueRefused, "error 1406: column `name`"),
    ("INSERT INTO t VALUES ('secret', 'x', 1)", ValueRefused, "error 1366: column `id`"),
    ("INSERT INTO t VALUES (3, 'x', 99999999999)", ValueRefused, "error 1264: column `n`"),
    ("INSERT INTO t (id, n) VALUES (3, 1)", ValueRefused, "error 1364: column `name`"),
    ("INSERT INTO t VALUES (3, 'x'' for key ''q', 1), (3, 'x', 1)", ValueRefused, "error 1062: key `PRIMARY`"),
    ("INSERT INTO child VALUES (7)", ValueRefused, "error 1452: constraint `fk_t`"),
    ("DELETE FROM t", ValueRefused, "error 1451: constraint `fk_t`"),
    ("INSERT INTO t VALUES (-1, 'secret', 1)", ValueRefused, "error 4025: constraint `not_below`"),
    ("SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret'", ValueRefused, "error 1644"),
    ("SELECT * FROM missing", SchemaChanged, "doesn't exist (error 1146)"),
    ("SELECT missing FROM t", SchemaChanged, "Unknown column 'missing' in 'SELECT' (error 1054)"),
    ("SELECT 'secret' secret secret", SystemStopped, "the server answers error 1064"),
])  # fmt: skip
def test_an_error_of_a_statement_names_things_and_never_values(
    erp_maria: str, statement: str, kind: type[DuologError], found: str
) -> None:
    with contextlib.closing(connect("erp", erp_maria, application_name="try")) as connection:
        execute(connection, "CREATE TABLE t (id int PRIMARY KEY, name varchar(20) NOT NULL, n int,"
                            " CONSTRAINT not_below CHECK (id >= 0));"
                            "CREATE TABLE child (t int, CONSTRAINT fk_t FOREIGN KEY (t) REFERENCES t (id));"
                            "INSERT INTO t VALUES (1, 'x', 1); INSERT INTO child VALUES (1)")  # fmt: skip
        with pytest.raises(pymysql.MySQLError) as failed:
            execute(connection, statement)

    told = translate(failed.value, "erp")

    assert type(told) is kind
    assert found.lower() in told.found.lower()
    assert "secret" not in str(told)


def test_a_lock_that_is_not_given_and_a_server_that_goes_are_waited_out(own_maria: EmbeddedMariaDB) -> None:
    own_maria.start()
    url = own_maria.create_database("x")
    first, second = (connect("erp", url, application_name="try") for _ in range(2))
    execute(first, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); BEGIN; DELETE FROM t")
    execute(second, "SET innodb_lock_wait_timeout = 1")

    with pytest.raises(pymysql.MySQLError) as blocked:
        execute(second, "DELETE FROM t")
    own_maria.stop()
    with pytest.raises(pymysql.MySQLError) as gone:
        execute(first, "COMMIT")

    assert translate(blocked.value, "erp").found == "another transaction was in the way (error 1205)"
    assert type(translate(blocked.value, "erp")) is SystemUnavailable
    assert type(translate(gone.value, "erp")) is SystemUnavailable


@given(st.integers(0, positions.FILES_MAX - 1), st.integers(0, (1 << positions.OFFSET_BITS) - 1))
def test_positions_go_there_and_back_in_order(file: int, offset: int) -> None:
    position = positions.number(file, offset)

    assert positions.parts(position) == (file, offset)
    assert positions.from_text(positions.text(position)) == position
    assert position < 1 << 63
    assert position < positions.number(file + 1, 0) if file + 1 < positions.FILES_MAX else True
    assert positions.file_number(positions.file_name("mariadb-bin.000001", file)) == file


@pytest.mark.parametrize("said", ["", "3:4711", "000003", "000003:", "000003:-1", "x00003:1", "000003:4711 "])
def test_what_is_no_position_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="is not a log position such as"):
        positions.from_text(said)


@given(st.text(), st.text())
def test_a_reader_has_a_number_that_nobody_gives_a_server_by_hand(engine: str, system: str) -> None:
    assert names.reader_id(engine, system) in range(0x4000_0000, 0x8000_0000)
    assert names.reader_id(engine, system) == names.reader_id(engine, system)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that whoever a server runs as can read: pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="duolog-tls-") as folder:
        yield Path(folder)


@pytest.mark.skipif(which("openssl") is None, reason="nobody here makes certificates: no openssl")
def test_a_server_is_believed_only_with_a_certificate_of_the_authority_and_for_its_name(open_path: Path) -> None:
    def made(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=open_path)

    new = ("req", "-newkey", "rsa:2048", "-nodes")
    made(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority")
    made(*new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (open_path / "names").write_text("subjectAltName=DNS:localhost\n", encoding="utf-8")
    made("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
         "server.pem", "-extfile", "names")  # fmt: skip
    for path in (open_path, *open_path.iterdir()):  # the server may run as somebody else
        path.chmod(0o755)
    files = {"ssl_ca": "ca.pem", "ssl_cert": "server.pem", "ssl_key": "server.key"}
    with EmbeddedMariaDB(settings={name: str(open_path / file) for name, file in files.items()}) as server:
        server.start()
        told = address(server.create_database("x"))
        password = f":{told.password}" if told.password else ""

        def cipher(host: str, options: str) -> str:
            url = f"mariadb://{told.user}{password}@{host}:{told.port}/x?{options}"
            with contextlib.closing(connect("erp", url, application_name="try")) as connection:
                return str(ask(connection, "SHOW STATUS LIKE 'Ssl_cipher'")[0][1])

        authority = f"ssl_ca={open_path / 'ca.pem'}"
        assert cipher("localhost", authority)
        assert cipher("127.0.0.1", f"{authority}&ssl_mode=verify_ca")
        assert cipher("127.0.0.1", "ssl_mode=required")
        assert not cipher("127.0.0.1", "ssl_mode=disabled")
        for host, options in (("127.0.0.1", authority), ("localhost", "ssl_mode=verify_identity")):
            with pytest.raises(AccessDenied) as refused:
                cipher(host, options)
            assert "ssl_ca=" in refused.value.mend
