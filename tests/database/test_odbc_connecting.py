"""What goes wrong on the way to a database by ODBC is told as what it is, with a mend, and never with a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote_plus, urlsplit

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.kit import AlchemyKit
from adapters.alchemy.refusals import Meaning, meaning
from adapters.alchemy.session import READ, WRITE, Session, connect, translate, url_of
from engine.errors import AccessDenied, SystemUnavailable
from tests.database.assembled import FIXTURES
from tests.ground import MARIADB, POSTGRESQL, account, by_odbc, series
from tests.ground import Session as User
from tests.servers import need_odbc

SQL_DRIVER_VER = 7
"""As ODBC numbers it."""
SECRET = "se;sa}me"
KINDS = (POSTGRESQL, MARIADB)
BACKENDS = {POSTGRESQL: "SELECT pg_backend_pid()", MARIADB: "SELECT connection_id()"}
ENDED = {POSTGRESQL: "SELECT pg_terminate_backend({}, 5000)", MARIADB: "KILL {}"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which database it is."""
    need_odbc(request.param)
    return str(request.param)


@pytest.fixture
def address(request: pytest.FixtureRequest, kind: str) -> str:
    """The address of an empty one, of its own driver."""
    return str(request.getfixturevalue(FIXTURES[kind]))


@pytest.fixture
def session(address: str) -> Iterator[Session]:
    """A session that writes it."""
    with closing(connect("erp", account(by_odbc(address)), purpose=WRITE)) as made:
        yield made


def altered(address: str, **parts: str) -> str:
    """An address by ODBC with another user, host, database or driver."""
    made = sa.make_url(account(by_odbc(address)))
    driver = parts.pop("driver", "")
    words = {"username": "", "password": "", "host": "", "port": "", "database": ""} | parts
    given = {word: int(text) if word == "port" else text for word, text in words.items() if text}
    made = made.set(**given)
    return (made.update_query_dict({"driver": driver}) if driver else made).render_as_string(hide_password=False)


def test_the_database_behind_a_driver_is_asked_which_one_it_is(kind: str, address: str) -> None:
    assert url_of(account(by_odbc(address))).drivername == f"{kind}+pyodbc"


def test_a_kit_opens_nothing_before_it_is_asked() -> None:
    AlchemyKit("erp", "odbc://ann@nowhere.invalid/erp?driver=Nobody", insecure=False)


def test_a_whole_connection_string_leads_there_too(kind: str, address: str) -> None:
    place = urlsplit(address)
    driver = "PostgreSQL Unicode" if kind == POSTGRESQL else "MariaDB Unicode"
    words = f"Driver={{{driver}}};Server=127.0.0.1;Port={place.port};Database={place.path[1:]};UID={place.username}"

    with closing(connect("erp", f"odbc:///?odbc_connect={quote_plus(words)}")) as made, made.transaction() as conn:
        assert conn.execute(sa.text("SELECT 1")).scalar_one() == 1


@pytest.mark.parametrize(
    "parts", [{"username": "nobody", "password": SECRET}, {"database": "nowhere", "password": SECRET}]
)
def test_who_is_not_let_in_is_told_so_without_the_password(kind: str, address: str, parts: dict[str, str]) -> None:
    if kind == MARIADB and "username" not in parts:
        with User(address) as user:
            user.execute(f"CREATE USER IF NOT EXISTS let_in@'%' IDENTIFIED BY '{SECRET}'")
        parts = parts | {"username": "let_in"}

    with pytest.raises(AccessDenied) as denied:
        connect("erp", altered(address, **parts))

    assert "sesame" not in str(denied.value)
    assert SECRET not in str(denied.value)


@pytest.mark.parametrize("parts", [{"port": "1"}, {"host": "nowhere.invalid"}])
def test_a_server_that_is_not_there_is_tried_again(address: str, parts: dict[str, str]) -> None:
    url = altered(address, password=SECRET, **parts)

    with pytest.raises(SystemUnavailable) as unavailable:
        AlchemyKit("erp", url, insecure=True).catalog([])

    assert SECRET not in str(unavailable.value)


def test_a_server_without_tls_is_refused_where_the_address_leaves_this_machine(kind: str, address: str) -> None:
    # Another way to write this machine's own address, which nobody here knows for that.
    url = altered(address, host="127.1")

    with pytest.raises(AccessDenied) as denied:
        connect("erp", url)

    assert "SSL" in denied.value.found

    assert "insecure: true" in str(denied.value.mend)


def test_a_driver_that_is_not_installed_is_missed_with_those_that_are(kind: str, address: str) -> None:
    wanted = "PostgreSQL Nine" if kind == POSTGRESQL else "MariaDB Nine"

    with pytest.raises(AccessDenied) as denied:
        connect("erp", altered(address, driver=wanted, password=SECRET))

    assert f"no ODBC driver `{wanted}`" in denied.value.found
    assert "`PostgreSQL Unicode`" in denied.value.found
    assert f"apt-get install odbc-{kind}" in str(denied.value.mend)
    assert SECRET not in str(denied.value)


def test_a_data_source_that_is_not_there_is_missed_by_its_name() -> None:
    with pytest.raises(AccessDenied, match="no data source `ledger`"):
        connect("erp", "odbc://ann:sesame@ledger")


@pytest.mark.parametrize("statement", ["SELECT 1", "SELECT CAST(:x AS CHAR(1))"])
def test_a_session_that_the_server_ends_is_gone_whatever_the_driver_calls_it(
    kind: str, address: str, session: Session, statement: str
) -> None:
    conn = session.conn
    conn.begin()
    number = conn.exec_driver_sql(BACKENDS[kind]).scalar_one()
    with User(address) as user:
        user.rows(ENDED[kind].format(number))
        for _ in range(2):
            with pytest.raises((exc.DBAPIError, exc.PendingRollbackError)) as ended:
                conn.execute(sa.text(statement), {"x": "a"} if ":x" in statement else {})
            if isinstance(ended.value, exc.DBAPIError):
                assert meaning(ended.value) is Meaning.GONE
                assert isinstance(translate(ended.value, "erp"), SystemUnavailable)


MEANT = {
    "twice": ("INSERT INTO kept VALUES (1, 'a')", Meaning.REFUSED),
    "too long": ("INSERT INTO kept VALUES (2, 'abcdef')", Meaning.REFUSED),
    "null": ("INSERT INTO kept VALUES (NULL, 'a')", Meaning.REFUSED),
    "checked": ("INSERT INTO kept VALUES (3, 'no')", Meaning.REFUSED),
    "no table": ("SELECT * FROM nowhere", Meaning.CHANGED),
    "no column": ("SELECT nothing FROM kept", Meaning.CHANGED),
    "locked": ("UPDATE kept SET x = 'b' WHERE id = 1", Meaning.BLOCKED),
}


@pytest.mark.parametrize("what", MEANT)
def test_an_error_means_what_it_means_by_another_driver(address: str, session: Session, what: str) -> None:
    statement, means = MEANT[what]
    with User(address) as user:
        user.execute("CREATE TABLE kept (id bigint PRIMARY KEY, x varchar(3) CHECK (x <> 'no'))")
        user.execute("INSERT INTO kept VALUES (1, 'a')")
        with user.transaction():
            if what == "locked":
                user.rows("SELECT * FROM kept WHERE id = 1 FOR UPDATE")
            with pytest.raises(exc.DBAPIError) as refused, session.transaction() as conn:
                conn.execute(sa.text(statement))

    assert meaning(refused.value) is means
    assert "abcdef" not in str(translate(refused.value, "erp"))


def test_a_large_table_does_not_fill_the_memory_of_whoever_reads_it(kind: str, address: str) -> None:
    with User(address) as user:
        user.execute("CREATE TABLE kept (id bigint PRIMARY KEY, x varchar(1000))")
        user.execute(f"INSERT INTO kept SELECT i, repeat('x', 1000) FROM {series(kind, 1, 200_000)}")  # noqa: S608
    with closing(connect("erp", account(by_odbc(address)), purpose=READ)) as made:
        made.conn.begin()
        wire = made.conn.connection.dbapi_connection
        assert wire is not None
        if kind == MARIADB and wire.getinfo(SQL_DRIVER_VER) < "03.01.0017":
            pytest.skip("MariaDB's driver reads no rows one by one before its version 3.1.17")
        before = resident_kb()
        streaming = {"stream_results": True, "yield_per": 1000}
        rows = made.conn.execution_options(**streaming).execute(sa.text("SELECT id, x FROM kept"))

        assert sum(1 for _ in rows) == 200_000
        assert peak_kb() - before < 100_000


def resident_kb() -> int:
    """What this process holds now; its peak is counted anew."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as peak:
        peak.write("5")
    return _status("VmRSS")


def peak_kb() -> int:
    """The most that it held since."""
    return _status("VmHWM")


def _status(word: str) -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        found = re.search(rf"^{word}:\s+(\d+) kB", status.read(), re.MULTILINE)
    assert found is not None
    return int(found[1])
