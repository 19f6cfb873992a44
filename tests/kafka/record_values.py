"""Turns values of every type into what Debezium tells of them, in each of its modes, beside what the database prints.

One table, `kinds`, has a column of each type (`c0`, `c1`, ...), and in row n the n-th value of each, or NULL. Each mode
has a connector of its own: the rows as its snapshot reads them, then the same rows (ids from 1001 on) from the log,
then their deletion.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from adapters.mariadb import phrases
from adapters.mariadb import session as maria
from adapters.mariadb.catalog import read_columns
from adapters.postgresql.session import SETTINGS
from service.embedded import EmbeddedMariaDB, EmbeddedServer
from tests.database.maria_values import KINDS as MARIA_KINDS
from tests.kafka import kinds, recordings
from tests.kafka.connect import ConnectServer
from tests.kafka.ended import until_ended

STREAMED_FROM: Final = 1000
"""What is added to a row's id where the log tells of it."""
LONG: Final = 400
"""Longer texts are left out, so that recordings stay small."""
RAW_FROM: Final = 501
"""The ids of rows with values that cannot be written as they print."""

COMMON_MODES: Final[Mapping[str, dict[str, object]]] = {
    "default": {},
    "decimal_string": {"decimal_handling_mode": "string"},
    "decimal_double": {"decimal_handling_mode": "double"},
    "time_connect": {"time_precision_mode": "connect"},
    "time_isostring": {"time_precision_mode": "isostring"},
    "time_microseconds": {"time_precision_mode": "microseconds"},
    "time_nanoseconds": {"time_precision_mode": "nanoseconds"},
    "binary_base64": {"binary_handling_mode": "base64"},
    "binary_base64_url_safe": {"binary_handling_mode": "base64-url-safe"},
    "binary_hex": {"binary_handling_mode": "hex"},
}
POSTGRESQL_MODES: Final[Mapping[str, dict[str, object]]] = {
    **COMMON_MODES,
    "time_adaptive_time_microseconds": {"time_precision_mode": "adaptive_time_microseconds"},
    "interval_string": {"interval_handling_mode": "string"},
    "hstore_map": {"hstore_handling_mode": "map"},
    "unknown_types": {"include_unknown_datatypes": True},
}
MARIADB_MODES: Final[Mapping[str, dict[str, object]]] = {
    **COMMON_MODES,
    "bigint_precise": {"bigint_unsigned_handling_mode": "precise"},
    "years_as_they_are": {"enable_time_adjuster": False},
}


@dataclass(frozen=True)
class Ground:
    """A database with the table of all values. `printed`: its rows with ids below `STREAMED_FROM`."""

    database: str
    url: str
    topic: str
    """Of the table's rows, without the prefix."""
    ddl: str
    columns: Sequence[tuple[str, str]]
    """(name, type)"""
    printed: Sequence[Sequence[str | None]]
    execute: Callable[[str], object]


@contextlib.contextmanager
def postgresql() -> Iterator[Ground]:
    """The table on a PostgreSQL."""
    columns = [(f"c{number}", kind) for number, kind in enumerate(kinds.KINDS)]
    rows = max(len(values) for values in kinds.KINDS.values()) + 1
    with EmbeddedServer() as server:
        url = server.create_database("kinds")
        with psycopg.connect(url, autocommit=True) as conn:
            for name, value in SETTINGS.items():
                conn.execute("SELECT set_config(%s, %s, false)", [name, value])
            conn.execute(kinds.BEFORE.encode())
            ddl = "CREATE TABLE kinds (id int PRIMARY KEY" + "".join(f", {n} {t}" for n, t in columns) + ")"
            conn.execute(ddl.encode())
            conn.execute("CREATE TABLE marker (id int PRIMARY KEY)")
            insert = sql.SQL("INSERT INTO kinds VALUES ({})").format(
                sql.SQL(", ").join([sql.Placeholder()] * (len(columns) + 1))
            )
            for at in range(rows):
                values = [texts[at] if at < len(texts) else None for texts in kinds.KINDS.values()]
                conn.execute(insert, [str(at + 1), *values])
            found = conn.execute("SELECT * FROM kinds ORDER BY id").pgresult
            assert found is not None
            printed = [
                [None if (v := found.get_value(y, x)) is None else v.decode() for x in range(found.nfields)]
                for y in range(found.ntuples)
            ]
            yield Ground(
                "postgresql", url, "public.kinds", ddl, columns, printed, lambda text: conn.execute(text.encode())
            )


@contextlib.contextmanager
def mariadb() -> Iterator[Ground]:
    """The table on a MariaDB."""
    # Debezium cannot parse a table with the first, and cannot read the log of one with the second.
    known_to_it = [kind for kind in MARIA_KINDS if not kind.startswith("inet") and "compressed" not in kind]
    columns = [(f"c{number}", kind) for number, kind in enumerate(known_to_it)]
    names = ["id", *(name for name, _ in columns)]
    texts = [[text for text in MARIA_KINDS[kind].texts if len(text) <= LONG] for kind in known_to_it]
    rows = max(map(len, texts)) + 1
    with EmbeddedMariaDB() as server:
        url = server.create_database("shop")
        with contextlib.closing(maria.connect("erp", url, application_name="record")) as conn:
            ddl = "CREATE TABLE kinds (id int PRIMARY KEY" + "".join(f", {n} {t}" for n, t in columns) + ")"
            maria.execute(conn, ddl)
            maria.execute(conn, "CREATE TABLE marker (id int PRIMARY KEY)")
            known = read_columns(conn, [("shop", "kinds")])[("shop", "kinds")]
            given: list[list[str | None]] = [[str(at + 1) for at in range(rows)]]
            given += [[each[at] if at < len(each) else None for at in range(rows)] for each in texts]
            maria.execute(conn, phrases.sent(given))
            casts = ", ".join(phrases.cast(known[name], name) for name in names)
            maria.execute(conn, f"INSERT INTO kinds SELECT {casts} FROM {phrases.given(names)}")
            maria.execute(conn, "SET SESSION sql_mode = ''")
            raw = [(name, said) for name, kind in columns for said, _ in MARIA_KINDS[kind].raw]
            for id_, (name, said) in enumerate(raw, RAW_FROM):
                maria.execute(conn, f"INSERT IGNORE INTO kinds (id, {name}) VALUES ({id_}, {said})")
            shown = ", ".join(phrases.printed(known[name]) for name in names)
            found = maria.ask(conn, f"SELECT {shown} FROM kinds t ORDER BY t.id")
            readers = [phrases.reader(known[name]) or str for name in names]
            printed = [[None if v is None else read(v) for read, v in zip(readers, row, strict=True)] for row in found]
            yield Ground("mariadb", url, "shop.kinds", ddl, columns, printed, lambda text: maria.execute(conn, text))


def record(connect: ConnectServer, ground: Ground, name: str, options: dict[str, object], *, schemas: bool) -> int:
    """Records one mode; tells how many bytes the file has."""
    called = name + ("_schemas" if schemas else "")
    prefix = f"{ground.database}_{called}"
    asked: dict[str, Any] = dict(options)
    if ground.database == "mariadb":
        asked["driver_yearIsDateType"] = False  # its driver fails on a YEAR in a snapshot otherwise
    if schemas:
        asked |= {"key_converter": CONVERTER, "value_converter": CONVERTER, "key_converter_schemas_enable": True,
                  "value_converter_schemas_enable": True}  # fmt: skip
    with connect.connector(ground.url, prefix, **asked) as connector:
        listed = ", ".join(column for column, _ in ground.columns)
        ground.execute(f"INSERT INTO kinds (id, {listed}) SELECT id + {STREAMED_FROM}, {listed} FROM kinds ORDER BY id")
        ground.execute(f"DELETE FROM kinds WHERE id > {STREAMED_FROM}")
        until_ended(connector, ground.execute, ground.topic.split(".")[0])
        facts = {
            "prefix": prefix, "options": {key.replace("_", "."): value for key, value in asked.items()},
            "versions": {"connector": connector.status()["connector"]["version"]}, "ddl": ground.ddl,
            "columns": {ground.topic: [["id", "int"], *ground.columns]}, "printed": {ground.topic: ground.printed},
        }  # fmt: skip
        messages = recordings.told(connect.settings["bootstrap.servers"], prefix)
    ground.execute("DELETE FROM marker")
    return recordings.save(ground.database, called, recordings.Recording(facts, messages)).stat().st_size


CONVERTER: Final = "org.apache.kafka.connect.json.JsonConverter"
