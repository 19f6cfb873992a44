"""What a codec says that a column of MariaDB will print is what it prints, of all that `check` lets through.

Each value is stored as duolog stores it, out of a document of rows under the settings of duolog's sessions, and read as
duolog reads it. What a column has no room for, it refuses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pymysql
import pytest

from adapters.mariadb.phrases import cast, given, printed, reader, sent
from adapters.mariadb.session import Connection, ask, connect, execute
from engine.errors import ValueRefused
from tests.database.maria_values import KINDS, make, table
from tests.rules.maria import maria_column
from tests.rules.test_values_mariadb import MARIA, every, values
from tests.servers import MariaServer

ROUNDED = ("float(7,2)", "double(10,3)")
"""Old types that round floating-point numbers in their own way: `check` tells of it, no codec does it."""


@pytest.fixture(scope="module")
def conn(erp_maria_server: MariaServer) -> Iterator[Connection]:
    url = erp_maria_server.create_database("foretold")
    with contextlib.closing(connect("erp", url, application_name="test")) as connection:
        make(connection)
        yield connection
    erp_maria_server.drop_database("foretold")


def foretold() -> dict[str, set[str]]:
    """By kind of column, what the codecs say that it will print."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for conversion in every():
        for source, stored in ((s, v) for s in ("erp", "crm") for v in values(conversion.types[s == "crm"])):
            decode = conversion.codecs.get(source)
            try:
                value = decode.decode(stored) if decode is not None else stored
            except ValueRefused:
                continue
            for system, described in zip(("erp", "crm"), conversion.types[:2], strict=True):
                codec = conversion.codecs.get(system)
                if not described.startswith(MARIA) or codec is None or value is None:
                    continue
                with contextlib.suppress(ValueRefused):
                    text = codec.encode(value)
                    if text is not None:
                        found[described.removeprefix(MARIA)].add(text)
    return found


def test_values_are_printed_as_foretold(conn: Connection) -> None:
    wrong: list[str] = []
    stored = 0
    for number, (kind, texts) in enumerate(foretold().items()):
        if kind in ROUNDED:
            continue
        column = maria_column("x", kind)
        spelled = reader(column) or str
        for at, text in enumerate(sorted(texts)):
            execute(conn, sent([[str(at)], [text]]))
            try:
                execute(conn, f"INSERT INTO {table(number)} SELECT u.id, {cast(column, 'x')} FROM {given(['id', 'x'])}")
            except pymysql.MySQLError:
                continue
            told = ask(conn, f"SELECT {printed(column)} FROM {table(number)} t WHERE id = {at}")[0][0]
            stored += 1
            if spelled(told) != text:
                wrong.append(f"{kind}: {text!r} is printed as {spelled(told)!r}")

    assert not wrong, "\n".join(wrong[:40])
    assert stored > 500
