"""Every value comes out of a column through an ODBC driver as it went in, and as the database's own driver has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from adapters.alchemy.catalog import read_columns
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.rows import Rows
from adapters.alchemy.session import READ, WRITE, Session, connect
from adapters.relational.refused import Unstorable
from engine.vocabulary import Text
from tests.database.assembled import FIXTURES
from tests.database.maria_values import KINDS
from tests.database.odbc_values import EMOJI, LONG, VALUES
from tests.ground import MARIADB, POSTGRESQL, account, by_odbc
from tests.ground import Session as User
from tests.servers import need_odbc

GEOMETRY = ("point", "geometry")
"""SQLAlchemy knows nothing of them."""
HALF = "a\ud800b"
ZERO = "a\x00b"


@dataclass
class Lent:
    """A database, and the two ways to it: by ODBC, writing and streaming; and by SQLAlchemy's own driver."""

    kind: str
    user: User
    schema: str
    writing: Session
    streaming: Session
    native: Session
    known: dict[int, dict[str, AlchemyColumn]] = field(default_factory=dict)

    def table(self, type_: str) -> None:
        """A table of one row with one value."""
        self.known.clear()
        self.user.execute("DROP TABLE IF EXISTS kept")
        self.user.execute(f"CREATE TABLE kept (id bigint PRIMARY KEY, other int, x {type_} NULL)")

    def columns(self, session: Session) -> dict[str, AlchemyColumn]:
        """Its columns, as a session sees them."""
        if id(session) not in self.known:
            self.known[id(session)] = read_columns(session, [(self.schema, "kept")])[(self.schema, "kept")]
        return self.known[id(session)]

    def written(self, session: Session, text: Text, *, updated: bool = False) -> None:
        """Puts a value into the row."""
        self.user.execute("DELETE FROM kept")
        columns, rows = self.columns(session), Rows(session)
        with session.transaction():
            if updated:
                rows.insert([columns["id"]], [("1",)], ())
                assert rows.update([columns["id"]], [columns["x"]], [("1",)], [(text,)], ()) == 1
            else:
                rows.insert([columns["id"], columns["x"]], [("1", text)], ())

    def read(self, session: Session) -> Text:
        """What is in the row."""
        columns = self.columns(session)
        with session.transaction():
            return Rows(session).by_keys([columns["id"]], [columns["x"]], [("1",)], "look")[("1",)][0]


@pytest.fixture
def lent(request: pytest.FixtureRequest) -> Iterator[Lent]:
    """A database of a kind, empty."""
    kind = request.param
    need_odbc(kind)
    address = request.getfixturevalue(FIXTURES[kind])
    with User(address) as user:
        if kind == MARIADB:
            schema = str(user.value("SELECT database()"))
            user.execute("SET sql_mode = ''")
        else:
            schema = "public"
            user.execute("CREATE TYPE stage AS ENUM ('a', 'Bc', '中', 'b c')")
        odbc = account(by_odbc(address))
        sessions = [connect("erp", odbc, purpose=WRITE), connect("erp", odbc, purpose=READ), connect("erp", address)]
        with closing(sessions[0]), closing(sessions[1]), closing(sessions[2]):
            yield Lent(kind, user, schema, *sessions)


def kept(lent: Lent, type_: str, texts: tuple[Text, ...]) -> None:
    one_by_one(lent, type_, texts)
    for session in (lent.writing, lent.native):
        together(lent, session, type_, texts)


def together(lent: Lent, session: Session, type_: str, texts: tuple[Text, ...]) -> None:
    """Many rows by one statement: what one of them has must not become what another has."""
    lent.table(type_)
    columns, rows = lent.columns(session), Rows(session)
    key, given = [columns["id"]], [columns["id"], columns["x"]]
    keys = [(str(number),) for number in range(len(texts))]
    with session.transaction():
        rows.insert(given, [(*key, text) for key, text in zip(keys, reversed(texts), strict=True)], ())
        inserted = rows.by_keys(key, given[1:], keys, "look")
        assert rows.update(key, given[1:], keys, [(text,) for text in texts], ()) == len(texts)
        updated = rows.by_keys(key, given[1:], keys, "look")

    assert inserted == dict(zip(keys, [(text,) for text in reversed(texts)], strict=True))
    assert updated == dict(zip(keys, [(text,) for text in texts], strict=True))


def one_by_one(lent: Lent, type_: str, texts: tuple[Text, ...]) -> None:
    lent.table(type_)
    for text in texts:
        for updated in (False, True):
            lent.written(lent.writing, text, updated=updated)
            assert [lent.read(each) for each in (lent.native, lent.writing, lent.streaming)] == [text] * 3
        lent.written(lent.native, text)
        assert [lent.read(each) for each in (lent.writing, lent.streaming)] == [text] * 2


@pytest.mark.parametrize("lent", [POSTGRESQL], indirect=True)
@pytest.mark.parametrize("type_", VALUES)
def test_a_value_of_postgresql_stays_what_it_is(lent: Lent, type_: str) -> None:
    kept(lent, type_, (*VALUES[type_], None))


@pytest.mark.parametrize("lent", [MARIADB], indirect=True)
@pytest.mark.parametrize("type_", [each for each in KINDS if each not in GEOMETRY])
def test_a_value_of_mariadb_stays_what_it_is(lent: Lent, type_: str) -> None:
    kept(lent, type_, (*KINDS[type_].texts, None))


@pytest.mark.parametrize("lent", [MARIADB], indirect=True)
def test_what_mariadb_holds_and_no_driver_has_a_value_for_is_read_as_a_text(lent: Lent) -> None:
    told = {}
    for type_, said in (("date", "0000-00-00"), ("datetime", "2026-00-00 00:00:00"), ("time(6)", "-838:59:58.999999")):
        lent.table(type_)
        lent.user.execute(f"INSERT INTO kept (id, x) VALUES (1, '{said}')")  # noqa: S608
        told[said] = lent.read(lent.streaming)

    assert told == {each: each for each in told}


@pytest.mark.parametrize("lent", [MARIADB], indirect=True)
def test_long_texts_and_emoji_lose_nothing_on_the_way_to_mariadb(lent: Lent) -> None:
    kept(lent, "longtext", (*("x" * length for length in (255, 256, 1999, 2000, 2001, 65_536)), EMOJI, LONG, ZERO))


@pytest.mark.parametrize("lent", [POSTGRESQL, MARIADB], indirect=True)
def test_a_half_of_a_pair_of_surrogates_is_refused_by_itself(lent: Lent) -> None:
    lent.table("text")

    with pytest.raises(Unstorable):
        lent.written(lent.writing, HALF)


@pytest.mark.parametrize("lent", [POSTGRESQL], indirect=True)
def test_a_text_with_a_zero_character_is_refused_where_the_driver_would_cut_it_off(lent: Lent) -> None:
    lent.table("text")

    with pytest.raises(Unstorable):
        lent.written(lent.writing, ZERO)


@pytest.mark.parametrize("lent", [POSTGRESQL, MARIADB], indirect=True)
def test_the_catalog_is_what_another_driver_tells(lent: Lent) -> None:
    types = VALUES if lent.kind == POSTGRESQL else {each: () for each in KINDS if each not in GEOMETRY}
    lines = [f"c{number} {type_}" for number, type_ in enumerate(types)]
    lent.user.execute(f"CREATE TABLE kept (id bigint PRIMARY KEY, {', '.join(lines)})")

    assert lent.columns(lent.writing) == lent.columns(lent.native)
