"""At `check` hard values of each bound column's type go through the ODBC driver, and one that lies is found out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.alchemy import probe
from adapters.alchemy.catalog import read_columns
from adapters.alchemy.kit import AlchemyKit
from adapters.alchemy.session import READ, WRITE, Session, connect
from adapters.alchemy.speech import AlchemySpeech
from tests.database.assembled import FIXTURES
from tests.database.books import Bound, book
from tests.database.maria_values import KINDS
from tests.database.odbc_values import VALUES
from tests.database.test_odbc_values import GEOMETRY
from tests.ground import MARIADB, POSTGRESQL, account, by_odbc
from tests.ground import Session as User
from tests.servers import need_odbc

SQL_CHAR, SQL_WCHAR = 1, -8
"""As ODBC numbers them."""
TYPES = {POSTGRESQL: tuple(VALUES), MARIADB: tuple(each for each in KINDS if each not in GEOMETRY)}


@contextmanager
def reached(address: str, purpose: str = READ) -> Iterator[Session]:
    session = connect("erp", address, purpose=purpose)
    try:
        yield session
    finally:
        session.close()


def lent(request: pytest.FixtureRequest, kind: str) -> tuple[str, str]:
    """The address by ODBC of a database with a column of every type, and its schema."""
    need_odbc(kind)
    address = request.getfixturevalue(FIXTURES[kind])
    with User(address) as user:
        if kind == POSTGRESQL:
            user.execute("CREATE TYPE stage AS ENUM ('a', 'Bc', '中', 'b c')")
        schema = "public" if kind == POSTGRESQL else str(user.value("SELECT database()"))
        lines = [f"c{number} {type_}" for number, type_ in enumerate(TYPES[kind])]
        user.execute(f"CREATE TABLE every (id bigint PRIMARY KEY, {', '.join(lines)})")
    return account(by_odbc(address)), schema


def found(session: Session, schema: str) -> dict[str, str]:
    """By the family of the type: what is said of it."""
    known = read_columns(session, [(schema, "every")])[(schema, "every")]
    return {column.shape.family: told for column, told in probe.differences(session, known.values())}


@pytest.mark.parametrize("purpose", [READ, WRITE])
@pytest.mark.parametrize("kind", [POSTGRESQL, MARIADB])
def test_a_driver_that_is_told_what_it_needs_lets_every_value_through(
    request: pytest.FixtureRequest, kind: str, purpose: str
) -> None:
    address, schema = lent(request, kind)

    with reached(address, purpose) as session:
        assert found(session, schema) == {}


@pytest.mark.parametrize(
    ("keywords", "families"), [("&BoolsAsChar=1", {"boolean"}), ("&ByteaAsLongVarBinary=0", {"bytes"})]
)
def test_a_driver_that_is_told_otherwise_is_found_out(
    request: pytest.FixtureRequest, keywords: str, families: set[str]
) -> None:
    address, schema = lent(request, POSTGRESQL)

    with reached(address + keywords) as session:
        assert found(session, schema).keys() == families


def test_the_finding_names_the_column_and_no_value_of_a_row(request: pytest.FixtureRequest) -> None:
    address, schema = lent(request, POSTGRESQL)
    rules = book(Bound("thing", ["id", "c0", "c9"], ["id"], table="every", schema=schema))

    findings, _ = AlchemyKit("erp", f"{address}&BoolsAsChar=1", insecure=True).findings(rules)

    (lie,) = [finding for finding in findings if finding.code == "P254"]
    assert lie.severity == "error"
    assert lie.found == (
        "values of `c0` of `public.every` do not pass through the ODBC driver: `f` comes back as `t`"
    )  # fmt: skip


class AsTexts(AlchemySpeech):
    """Values go as texts that the database reads, as SQL Server's do."""

    binds = False


def test_a_driver_whose_own_parameters_nobody_takes_may_lie(request: pytest.FixtureRequest) -> None:
    address, schema = lent(request, POSTGRESQL)
    rules = book(Bound("thing", ["id", "c0", "c9"], ["id"], table="every", schema=schema))

    findings, _ = AlchemyKit("erp", f"{address}&BoolsAsChar=1", insecure=True, speech=AsTexts).findings(rules)

    assert "P254" not in [finding.code for finding in findings]


def test_a_wrong_encoding_is_found_out(request: pytest.FixtureRequest) -> None:
    address, schema = lent(request, MARIADB)

    with reached(address) as session:
        wire = session.conn.connection.dbapi_connection
        assert wire is not None
        wire.setdecoding(SQL_WCHAR, encoding="latin-1", ctype=SQL_CHAR)
        told = found(session, schema)

    assert "comes back as" in told["text"]


def test_no_table_is_written_or_locked_meanwhile(request: pytest.FixtureRequest) -> None:
    address, schema = lent(request, POSTGRESQL)

    with User(request.getfixturevalue(FIXTURES[POSTGRESQL])) as user, user.transaction():
        user.execute("INSERT INTO every (id) VALUES (1)")
        user.execute("LOCK TABLE every IN EXCLUSIVE MODE")
        with reached(address) as session:
            assert found(session, schema) == {}
