"""The page about types says what happens: every line of it is what real servers make of real values, both ways.

`DUOLOG_REWRITE=1 pytest tests/database/test_types_page.py` writes the tables anew; read them before committing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pymysql
import pytest
from psycopg import sql

from adapters.mariadb import phrases
from adapters.mariadb import session as maria_session
from adapters.postgresql.session import SETTINGS
from engine.catalog import Column
from engine.errors import ValueRefused
from engine.rulebook import Codec
from engine.vocabulary import Text
from rules.problem import Problem
from service.embedded import EmbeddedServer
from tests.database.maria_values import KINDS
from tests.rules.catalogs import column
from tests.rules.conversions import Conversion, judged
from tests.rules.maria import maria_column
from tests.servers import MariaServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "types.md"
MARK = "<!-- from here on written by the test tests/database/test_types_page.py -->\n"

PAIRS: Sequence[tuple[str, str, str]] = (
    ("tinyint(1)", "boolean", ""), ("bit(1)", "boolean", ""), ("tinyint", "smallint", ""),
    ("tinyint unsigned", "smallint", ""), ("smallint", "smallint", ""), ("smallint unsigned", "smallint", ""),
    ("mediumint", "int", ""), ("int", "int", ""), ("int unsigned", "int", ""), ("int unsigned", "bigint", ""),
    ("int(7) zerofill", "bigint", ""), ("bigint", "bigint", ""), ("bigint unsigned", "bigint", ""),
    ("bigint unsigned", "numeric", ""), ("year", "smallint", ""), ("decimal(12,2)", "numeric(12,2)", ""),
    ("decimal(65,30)", "numeric(65,30)", ""), ("decimal(12,2)", "numeric", ""),
    ("decimal(9,3) unsigned zerofill", "numeric(9,3)", ""), ("float", "real", ""), ("float", "float8", ""),
    ("float(7,2)", "real", ""), ("double", "float8", ""), ("bit(8)", "bit(8)", ""), ("bit(8)", "int", ""),
    ("char(4)", "text", ""), ("char(4)", "char(4)", ""), ("varchar(40)", "text", ""),
    ("varchar(40)", "varchar(40)", ""), ("varchar(40) collate utf8mb4_nopad_bin", "text", ""),
    ("varchar(40) character set latin1", "text", ""), ("varchar(40) character set utf8mb3", "text", ""),
    ("varchar(40) compressed", "text", ""), ("tinytext", "text", ""), ("text", "text", ""), ("longtext", "text", ""),
    ("binary(4)", "bytea", ""), ("varbinary(40)", "bytea", ""), ("blob", "bytea", ""), ("longblob", "bytea", ""),
    ("enum('a','Bc','中')", "text", ""), ("enum('a','Bc','中')", "enum stage(a, Bc, 中)", ""),
    ("set('a','B','it''s','ü')", "text", ""), ("set('a','B','it''s','ü')", "text[]", 'list: ","'),
    ("varchar(40)", "text[]", 'list: ","'), ("json", "jsonb", ""), ("json", "json", ""), ("longtext", "jsonb", ""),
    ("date", "date", ""), ("datetime(6)", "timestamp", ""), ("datetime", "timestamp", ""),
    ("datetime(6)", "timestamptz", ""), ("datetime(6)", "timestamptz", "time_zone: Europe/Berlin"),
    ("timestamp(6) null", "timestamptz", ""), ("timestamp null", "timestamptz", "on_overflow: nearest"),
    ("timestamp(6) null", "timestamp", ""), ("time(6)", "time", ""), ("time", "time", ""), ("time(6)", "interval", ""),
    ("uuid", "uuid", ""), ("char(36)", "uuid", ""), ("binary(16)", "uuid", ""), ("inet6", "inet", ""),
    ("inet6", "text", ""), ("point", "bytea", ""),
)  # fmt: skip
"""(type on MariaDB, type on PostgreSQL, words of MariaDB's column)"""

MORE: Mapping[str, tuple[str, ...]] = {
    "enum('a','Bc','中')": ("a", "Bc", "中"), "bit(8)": ("00000000", "10000001"),
    "char(36)": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "none"),
    "longtext": ("", "a", "x" * 65_536, "中😀", "[1, 2]"), "text": ("", "a ", "\x00", "x" * 65_535), "blob": ("\\x",
    "\\x00ff"),
    "varchar(40)": ("", " ", "a", "A", "a ", "中😀", "\\", "a,b"), "tinyint(1)": ("0", "1", "2", "-1"),
}  # fmt: skip
"""Values of MariaDB's columns where those of the table of all values are not the ones that tell something."""

_MOMENTS = ("2026-01-31 12:00:00", "2026-01-31 12:00:00.123456", "1969-12-31 23:59:59", "2038-01-19 03:14:08",
            "9999-12-31 23:59:59.999999")  # fmt: skip
OF_POSTGRESQL: Mapping[str, tuple[str, ...]] = {
    "boolean": ("t", "f"), "smallint": ("0", "-1", "255", "1900", "2155", "-32768", "32767"),
    "int": ("0", "-1", "2147483647", "-2147483648"), "bigint": ("0", "-1", "9223372036854775807",
    "-9223372036854775808"),
    "numeric": ("0", "-1.005", "18446744073709551616", "NaN", "1.50"),
    "numeric(12,2)": ("0.00", "-0.01", "9999999999.99", "NaN"), "numeric(9,3)": ("0.000", "-1.500", "999999.999"),
    "numeric(65,30)": ("0." + "0" * 30, "-" + "9" * 35 + "." + "9" * 30),
    "real": ("0", "-0", "0.1", "3.4028235e+38", "NaN", "-Infinity"),
    "float8": ("0", "-0", "0.1", "1.7976931348623157e+308", "NaN", "Infinity"), "bit(8)": ("00000000", "10000001"),
    "text": ("", "a", "A", "a ", "中", "😀", "é", "\\", "x" * 300, "x" * 70_000, "a,B", "B,a"),
    "char(4)": ("a   ", "abcd", "中   "), "varchar(40)": ("", "a ", "😀", "\\"),
    "bytea": ("\\x", "\\x61", "\\x00ff00ff", "\\x" + "61" * 300, "\\x" + "00" * 70_000),
    "enum stage(a, Bc, 中)": ("a", "Bc", "中"), "text[]": ("{}", "{a}", "{a,B}", "{B,a}", '{"a,b"}', '{""}'),
    "json": ("{}", '{"b":1,"a":[1.50,1e2]}', '"\\u0000"'), "jsonb": ("{}", '{"a": [1.50, 100], "b": 1}', '"é"'),
    "date": ("2026-01-31", "0001-01-01", "9999-12-31", "0044-03-15 BC", "12026-01-01", "infinity"),
    "timestamp": (*_MOMENTS, "0044-03-15 12:00:00 BC", "infinity"),
    "timestamptz": (*(text + "+00" for text in (*_MOMENTS, "2026-10-25 00:30:00", "2026-10-25 01:30:00")),
    "-infinity"),
    "time": ("00:00:00", "12:00:00.123456", "23:59:59.999999", "24:00:00"), "interval": ("PT1H",),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",), "inet": ("10.0.0.1", "10.0.0.0/8"),
}  # fmt: skip
"""Values of PostgreSQL's columns, as they print them."""

SHOWN, LONG = 3, 40
"""How many examples a cell has; from how many characters on a value is told instead of shown."""


@dataclass
class Place:
    """Where values of one column are stored, and how they are read."""

    put: Callable[[str], str]
    """Stores a text, and tells what is then printed. Raises what the driver raises."""
    codec: Codec | None

    def told(self, stored: str) -> Text:
        """The canonical text. Raises ValueRefused."""
        return stored if self.codec is None else self.codec.decode(stored)

    def written(self, value: str) -> Text:
        """What is printed once it has been written. Raises ValueRefused, or what the driver raises."""
        text = value if self.codec is None else self.codec.encode(value)
        return None if text is None else self.put(text)


@pytest.fixture(scope="module")
def maria(erp_maria_server: MariaServer) -> Iterator[maria_session.Connection]:
    url = erp_maria_server.create_database("types_page")
    with contextlib.closing(maria_session.connect("erp", url, application_name="test")) as connection:
        yield connection
    erp_maria_server.drop_database("types_page")


@pytest.fixture(scope="module")
def postgres(erp_server: EmbeddedServer) -> Iterator[psycopg.Connection[tuple[str]]]:
    address = erp_server.create_database("types_page")
    with psycopg.connect(address, autocommit=True) as connection:
        for name, value in SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        connection.execute("CREATE TYPE stage AS ENUM ('a', 'Bc', '中')")
        yield connection
    erp_server.drop_database("types_page")


def described(name: str, text: str) -> Column:
    """A column of either database; PostgreSQL is `crm`."""
    kind, _, type_ = text.partition(" ")
    return maria_column(name, type_).shape if kind == "maria" else column(f"{name} {type_}")


def maria_place(maria: maria_session.Connection, ddl: str, codec: Codec | None) -> Place:
    """A table of one column, made anew."""
    known = maria_column("x", ddl)
    maria_session.execute(maria, f"DROP TABLE IF EXISTS one; CREATE TABLE one (x {ddl})")

    def put(text: str) -> str:
        maria_session.execute(maria, f"DELETE FROM one; {phrases.sent([[text]])}")
        maria_session.execute(maria, f"INSERT INTO one SELECT {phrases.cast(known, 'x')} FROM {phrases.given(['x'])}")
        printed = maria_session.ask(maria, f"SELECT {phrases.printed(known)} FROM one t")[0][0]
        return (phrases.reader(known) or str)(printed)

    return Place(put, codec)


def postgres_place(postgres: psycopg.Connection[tuple[str]], type_: str, codec: Codec | None) -> Place:
    """The same on PostgreSQL."""
    ddl = "stage" if type_.startswith("enum") else type_
    postgres.execute("DROP TABLE IF EXISTS one")
    postgres.execute(sql.SQL("CREATE TABLE one (x {})").format(sql.SQL(ddl)))

    def put(text: str) -> str:
        cursor = postgres.execute("INSERT INTO one VALUES (%s) RETURNING x", [text])
        assert cursor.pgresult is not None
        value = cursor.pgresult.get_value(0, 0)
        assert value is not None
        return value.decode()

    return Place(put, codec)


def crossed(values: Sequence[str], source: Place, target: Place) -> str:
    """What a cell says of these values on their way there and back."""
    waiting: list[str] = []
    changed: list[str] = []
    lost: list[str] = []
    for value in values:
        held = source.put(value)
        assert held == value, f"{value!r} is no value of the source: {held!r}"
        try:
            meant = source.told(held)
            there = None if meant is None else target.written(meant)
        except (ValueRefused, psycopg.Error, pymysql.MySQLError):
            waiting.append(shown(value))
            continue
        again = None if there is None else target.told(there)
        if again != meant:
            changed.append(f"{shown(value)} becomes {shown(there)}")
            continue
        back = None if again is None else source.written(again)
        kept = source.codec is not None and source.codec.many and back is not None and source.told(back) == meant
        if back != held and not kept:
            lost.append(f"{shown(value)} comes back as {shown(back)}")
    said = [*_some(waiting, " waits", " wait"), *changed[:SHOWN], *lost[:SHOWN]]
    return "; ".join(said) or "exact"


def _some(values: list[str], one: str, many: str) -> list[str]:
    if not values:
        return []
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return [", ".join(values[:SHOWN]) + more + (one if len(values) == 1 else many)]


def shown(text: Text) -> str:
    """A value in a cell."""
    if text is None:
        return "NULL"
    if len(text) > LONG:
        if text.startswith("\\x") and len(set(text[2:])) < LONG:
            return f"a value of {(len(text) - 2) // 2:,} bytes"
        if text.lstrip("-").replace(".", "").isdigit():
            return f"`{text[:12]}…`"
        return f"a text of {len(text):,} characters"
    told = text.replace("\x00", "␀").replace("|", "\\|")
    return f"`{told}`" if told.strip(" ") == told and told else f"`'{told}'`"


def line(
    maria: maria_session.Connection, postgres: psycopg.Connection[tuple[str]], conversion: Conversion,
    problems: list[Problem], pair: tuple[str, str, str],
) -> str:  # fmt: skip
    """One line of the tables."""
    ddl, type_, words = pair
    told = ddl.removesuffix(" null") + (f" with `{words}`" if words else "")
    head = f"| `{ddl.removesuffix(' null')}`{told.removeprefix(ddl.removesuffix(' null'))} | `{type_}` |"
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        why = errors[0].what.partition(": ")[2] or "only columns of one type can be kept in step"
        return f"{head} {errors[0].code} | refused: {why} | |"
    here = maria_place(maria, ddl, conversion.codecs.get("erp"))
    there = postgres_place(postgres, type_, conversion.codecs.get("crm"))
    values = MORE.get(ddl) or KINDS[ddl].texts
    codes = " ".join(sorted({problem.code for problem in problems}))
    return f"{head} {codes} | {crossed(values, here, there)} | {crossed(OF_POSTGRESQL[type_], there, here)} |"


def test_the_page_says_what_servers_do(
    maria: maria_session.Connection, postgres: psycopg.Connection[tuple[str]]
) -> None:
    lines = [
        "", "## Both ways", "",
        "*Waits*: the record waits in quarantine, and the field and its limit are told. Codes are what `check` says of"
        "\nsuch a pair before anything runs. What means the same (JSON in another spelling) stays as it is.", "",
        "| MariaDB | PostgreSQL | `check` | from MariaDB and back | from PostgreSQL and back |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for pair in PAIRS:
        ddl, type_, words = pair
        # Words stand at MariaDB's column: it is the second of the rules.
        ((conversion, problems),) = [
            (_turned(found), said)
            for found, said in judged({"f": (f"pg {type_}", f"maria {ddl}", words)}, columns=described_or_key)
        ]
        lines.append(line(maria, postgres, conversion, problems, pair))
    page = PAGE.read_text(encoding="utf-8")
    head, mark, _ = page.partition(MARK)
    assert mark, "the page has lost its mark"
    written = head + MARK + "\n".join(lines) + "\n"

    if os.environ.get("DUOLOG_REWRITE"):
        PAGE.write_text(written, encoding="utf-8")
    assert page == written or os.environ.get("DUOLOG_REWRITE"), "run this test with DUOLOG_REWRITE=1, and read the page"


def described_or_key(name: str, text: str) -> Column:
    """The helper's own key column is said without a database."""
    return column(f"{name} {text}") if " " not in text else described(name, text)


def _turned(conversion: Conversion) -> Conversion:
    """The rules' `erp` is PostgreSQL there; here MariaDB is."""
    codecs = {"crm" if system == "erp" else "erp": codec for system, codec in conversion.codecs.items()}
    return Conversion(conversion.label, conversion.columns, conversion.types, codecs, conversion.warned)
