"""Turns every kind of change into what Debezium tells of it, beside what the database's own log says.

Each story is one connector's: inserts, updates, changed keys, deletions, TRUNCATE, values that were not sent, writes of
our own, transactions that overlap, a changed table; and a Debezium that is killed in the middle of a transaction, and
tells again what it had not noted. `log` in a recording lists the transactions in the order of their commits, `printed`
what the tables held at the end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
from psycopg import pq

from adapters.mariadb import phrases
from adapters.mariadb import session as maria
from adapters.mariadb.catalog import read_columns
from adapters.postgresql import pgoutput
from adapters.postgresql.session import SETTINGS
from service.embedded import EmbeddedMariaDB, EmbeddedServer
from tests.kafka import recordings
from tests.kafka.connect import Connector, ConnectServer
from tests.kafka.ended import until_ended

CONVERTERS: Final = {
    f"{side}_converter{words}": value for side in ("key", "value")
    for words, value in (("", "org.apache.kafka.connect.json.JsonConverter"), ("_schemas_enable", True))
}  # fmt: skip
STORIES: Final = ("events", "events_schemas", "killed")
KILLED_ROWS: Final = 1500
KILLED_AT: Final = 50
READ_TIMEOUT_S: Final = 60.0

POSTGRESQL: Final = """
CREATE SCHEMA "客户 Schema";
CREATE TABLE customer (id int PRIMARY KEY, name text, price numeric(12,2), changed timestamptz);
CREATE TABLE whole (id int PRIMARY KEY, name text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE pair (a text, b text, c text, PRIMARY KEY (b, a));
CREATE TABLE long (id int PRIMARY KEY, body text, bytes bytea, list text[], doc jsonb, numbers int[], note text);
ALTER TABLE long ALTER body SET STORAGE EXTERNAL, ALTER bytes SET STORAGE EXTERNAL, ALTER list SET STORAGE EXTERNAL,
    ALTER doc SET STORAGE EXTERNAL, ALTER numbers SET STORAGE EXTERNAL;
CREATE TABLE "客户 Schema"."客户 ""主"" 表" ("编号" int PRIMARY KEY, "Name, with comma" text);
CREATE TABLE keyless (name text);
CREATE TABLE unread (id int);
CREATE TABLE marker (id int PRIMARY KEY);
INSERT INTO customer VALUES (1, 'before', 1.50, '2026-01-31 12:00:00Z'), (2, 'before', NULL, NULL);
INSERT INTO long VALUES (1, repeat('long ', 2000), decode(repeat('00ff', 4000), 'hex'),
    array_fill('many'::text, ARRAY[3000]), jsonb_build_object('a', repeat('x', 9000)), array_fill(7, ARRAY[3000]), 'a');
SELECT pg_replication_origin_create('duolog_erp')
"""
POSTGRESQL_TABLES: Final = ("customer", "whole", "pair", "long", '"客户 Schema"."客户 ""主"" 表"', "keyless")

MARIADB: Final = """
CREATE TABLE customer (id int PRIMARY KEY, name varchar(40), price decimal(12,2), changed timestamp(6) NULL);
CREATE TABLE pair (a varchar(10), b varchar(10), c varchar(10), PRIMARY KEY (b, a));
CREATE TABLE `客户 表` (`编号` int PRIMARY KEY, `Name, with comma` text);
CREATE TABLE loose (id int PRIMARY KEY) ENGINE=MyISAM;
CREATE TABLE unread (id int);
CREATE TABLE marker (id int PRIMARY KEY);
CREATE DATABASE IF NOT EXISTS duolog;
CREATE TABLE duolog.ledger (engine varchar(64), target varchar(64), number_to bigint, PRIMARY KEY (engine, target));
INSERT INTO duolog.ledger VALUES ('e1', 'erp', 0);
INSERT INTO customer VALUES (1, 'before', 1.50, '2026-01-31 12:00:00'), (2, 'before', NULL, NULL)
"""
MARIADB_TABLES: Final = ("customer", "pair", "客户 表", "loose")


def record_postgresql(connect: ConnectServer, name: str) -> int:
    """Records one story of PostgreSQL; tells how many bytes the file has."""
    prefix = f"postgresql_{name}"
    with EmbeddedServer() as server:
        url = server.create_database("erp")
        with _session(url) as one, _session(url) as other:
            one.execute(POSTGRESQL.encode())
            options: dict[str, Any] = {"table_exclude_list": "public.unread", "skipped_operations": "none"}
            options |= CONVERTERS if name.endswith("_schemas") else {}
            options |= SLOW if name == "killed" else {}
            with connect.connector(url, prefix, **options) as connector:
                one.execute("SELECT pg_create_logical_replication_slot('own', 'pgoutput')")

                def execute(text: str) -> object:
                    return one.execute(text.encode())

                if name == "killed":
                    _killed(connect, connector, "public", execute, _series("generate_series(1, {})", KILLED_ROWS))
                else:
                    _postgresql_story(one, other)
                messages = until_ended(connector, execute, "public")
                facts = {
                    **_facts(connector, options, POSTGRESQL), "log": _postgresql_log(one, f"debezium_{prefix}"),
                    "printed": {table: _printed(one, table) for table in POSTGRESQL_TABLES},
                }  # fmt: skip
    return recordings.save("postgresql", name, recordings.Recording(facts, messages)).stat().st_size


def record_mariadb(connect: ConnectServer, name: str) -> int:
    """The same of MariaDB."""
    prefix = f"mariadb_{name}"
    with EmbeddedMariaDB() as server:
        url = server.create_database("erp")
        with (
            contextlib.closing(maria.connect("erp", url, application_name="record")) as one,
            contextlib.closing(maria.connect("erp", url, application_name="record")) as other,
        ):
            maria.execute(one, MARIADB)
            begin = maria.ask(one, "SHOW SESSION STATUS LIKE 'Binlog_snapshot_position'")[0][1]
            options: dict[str, Any] = {"table_exclude_list": "erp.unread", "skipped_operations": "none"}
            options |= CONVERTERS if name.endswith("_schemas") else {}
            options |= SLOW if name == "killed" else {}
            with connect.connector(url, prefix, **options) as connector:

                def execute(text: str) -> object:
                    return maria.execute(one, text)

                if name == "killed":
                    _killed(connect, connector, "erp", execute, _series("seq_1_to_{}", KILLED_ROWS, "seq"))
                else:
                    _mariadb_story(one, other)
                messages = until_ended(connector, execute, "erp")
                facts = {
                    **_facts(connector, options, MARIADB), "log": _mariadb_log(one, int(begin)),
                    "printed": {table: _maria_printed(one, table) for table in MARIADB_TABLES},
                }  # fmt: skip
    return recordings.save("mariadb", name, recordings.Recording(facts, messages)).stat().st_size


SLOW: Final = {"max_batch_size": 20, "max_queue_size": 40}
"""So that a transaction takes many steps, and can be interrupted."""


def _facts(connector: Connector, options: dict[str, Any], ddl: str) -> dict[str, Any]:
    return {
        "prefix": connector.prefix, "ddl": ddl.strip(),
        "options": {key.replace("_", "."): value for key, value in options.items()},
        "versions": {"connector": connector.status()["connector"]["version"]},
    }  # fmt: skip


def _series(rows: str, count: int, name: str = "n") -> str:
    said = rows.format(count) + (f" AS {name}" if name == "n" else "")
    return f"INSERT INTO customer (id, name) SELECT 1000 + {name}, 'many' FROM {said}"


def _killed(
    connect: ConnectServer, connector: Connector, schema: str, execute: Callable[[str], object], many: str
) -> None:
    """A small transaction, a large one, in the middle of which Connect is killed, and a small one while it is away."""
    execute("INSERT INTO customer (id, name) VALUES (10, 'first')")
    execute(many)
    deadline = time.monotonic() + READ_TIMEOUT_S
    topic = f"{connector.prefix}.{schema}.customer"
    while _count(connect, connector, topic) < KILLED_AT:
        assert time.monotonic() < deadline
    connect.kill9()
    execute("INSERT INTO customer (id, name) VALUES (11, 'while it was away')")
    told = _count(connect, connector, topic)
    assert told < KILLED_ROWS, f"{told} rows were told before it was killed: it was too late"
    connect.start()
    connector.until_streaming()


def _count(connect: ConnectServer, connector: Connector, topic: str) -> int:
    told = recordings.told(connect.settings["bootstrap.servers"], connector.prefix)
    return sum(message.topic == topic for message in told)


# ---------------------------------------------------------------- PostgreSQL


@contextlib.contextmanager
def _session(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as conn:
        for name, value in SETTINGS.items():
            conn.execute("SELECT set_config(%s, %s, false)", [name, value])
        yield conn


def _postgresql_story(one: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> None:
    one.execute("INSERT INTO customer VALUES (3, 'one', 2.50, '2026-01-31 12:00:00.5Z')")
    with one.transaction():
        one.execute("INSERT INTO customer VALUES (4, 'two', NULL, NULL), (5, '中😀', 0, NULL)")
        one.execute("INSERT INTO whole VALUES (1, 'two')")
    one.execute("UPDATE customer SET name = 'uno' WHERE id = 1")
    one.execute("UPDATE whole SET name = NULL WHERE id = 1")
    one.execute("UPDATE customer SET id = 20 WHERE id = 2")
    one.execute("UPDATE whole SET id = 20 WHERE id = 1")
    with one.transaction():
        one.execute("UPDATE customer SET id = id + 100 WHERE id IN (4, 5)")  # several at once
    one.execute("INSERT INTO pair VALUES ('a', 'b', 'c'), ('x', 'y', 'z')")
    one.execute("UPDATE pair SET a = 'aa' WHERE a = 'a'")
    one.execute("DELETE FROM customer WHERE id = 3")
    one.execute("DELETE FROM whole")
    one.execute("UPDATE long SET note = 'the others were not sent' WHERE id = 1")
    one.execute("UPDATE long SET body = 'short', bytes = '\\x00', list = '{}', doc = '{}', numbers = '{}' WHERE id = 1")
    one.execute("INSERT INTO keyless VALUES ('no key')")
    one.execute("""INSERT INTO "客户 Schema"."客户 ""主"" 表" VALUES (1, 'x')""")
    one.execute("INSERT INTO unread VALUES (1)")
    # The longer one began first and ends last.
    with one.transaction():
        one.execute("INSERT INTO customer VALUES (30, 'long', 1, NULL)")
        other.execute("INSERT INTO customer VALUES (31, 'short', 1, NULL)")
        one.execute("UPDATE customer SET price = 2 WHERE id = 30")
    with one.transaction():
        one.execute("INSERT INTO customer VALUES (32, 'kept', 1, NULL)")
        with contextlib.suppress(psycopg.errors.UniqueViolation), one.transaction():
            one.execute("INSERT INTO customer VALUES (33, 'rolled back', 1, NULL), (32, 'twice', 1, NULL)")
    one.execute("SELECT pg_replication_origin_session_setup('duolog_erp')")
    with one.transaction():
        one.execute("SELECT pg_logical_emit_message(true, 'duolog', 'ours')")
        one.execute("INSERT INTO customer VALUES (40, 'ours', 1, NULL)")
        one.execute("UPDATE customer SET name = 'ours too' WHERE id = 40")
    one.execute("SELECT pg_replication_origin_session_reset()")
    one.execute("SELECT pg_logical_emit_message(true, 'duolog', 'a message alone')")
    one.execute("SELECT pg_logical_emit_message(false, 'duolog', 'a message at once')")
    one.execute("ALTER TABLE customer ADD extra text DEFAULT 'added'")
    one.execute("INSERT INTO customer VALUES (50, 'after', 1, NULL, 'more')")
    one.execute("UPDATE customer SET name = 'again' WHERE id = 1")
    one.execute("ALTER TABLE customer DROP extra")
    one.execute("INSERT INTO customer VALUES (51, 'without', 1, NULL)")
    one.execute("TRUNCATE pair, whole")
    one.execute("INSERT INTO pair VALUES ('new', 'b', 'c')")


def _postgresql_log(conn: psycopg.Connection[Any], publication: str) -> list[dict[str, Any]]:
    """Transactions as pgoutput has them: number, LSN of the end, origin, how many changes."""
    rows = conn.execute(
        "SELECT data FROM pg_logical_slot_peek_binary_changes('own', NULL, NULL, 'proto_version', '1', "
        "'publication_names', %s, 'messages', 'true')", [publication],
    )  # fmt: skip
    log: list[dict[str, Any]] = []
    for (data,) in rows.fetchall():
        match pgoutput.decode(bytes(data)):
            case pgoutput.Begin() as begin:
                log.append({"number": begin.xid, "at": begin.committed_at, "origin": None, "changes": 0})
            case pgoutput.Origin() as origin:
                log[-1]["origin"] = origin.name
            case pgoutput.Commit() as commit:
                log[-1]["end"] = commit.end_lsn
            case pgoutput.Truncate() as truncate:
                log[-1]["changes"] += len(truncate.relations)
            case pgoutput.LogicalMessage() | pgoutput.Relation() | pgoutput.TypeName():
                pass
            case _:
                log[-1]["changes"] += 1
    conn.execute("SELECT pg_drop_replication_slot('own')")
    return log


def _printed(conn: psycopg.Connection[Any], table: str) -> list[list[str | None]]:
    found: pq.abc.PGresult | None = conn.execute(f"SELECT * FROM {table} ORDER BY 1".encode()).pgresult
    assert found is not None
    values = [[found.get_value(y, x) for x in range(found.nfields)] for y in range(found.ntuples)]
    return [[None if value is None else value.decode() for value in row] for row in values]


# ---------------------------------------------------------------- MariaDB


def _mariadb_story(one: maria.Connection, other: maria.Connection) -> None:
    for text in (
        "INSERT INTO customer VALUES (3, 'one', 2.50, '2026-01-31 12:00:00.5')",
        "BEGIN; INSERT INTO customer VALUES (4, 'two', NULL, NULL), (5, '中😀', 0, NULL); "
        "INSERT INTO pair VALUES ('a', 'b', 'c'), ('x', 'y', 'z'); COMMIT",
        "UPDATE customer SET name = 'uno' WHERE id = 1",
        "UPDATE customer SET id = 20 WHERE id = 2",
        "UPDATE customer SET id = id + 100 WHERE id IN (4, 5)",  # several at once
        "UPDATE pair SET a = 'aa' WHERE a = 'a'",
        "DELETE FROM customer WHERE id = 3",
        "INSERT INTO `客户 表` VALUES (1, 'x')",
        "INSERT INTO unread VALUES (1)",
        "INSERT INTO loose VALUES (1), (2)",
    ):
        maria.execute(one, text)
    # The longer one began first and ends last.
    maria.execute(one, "BEGIN; INSERT INTO customer VALUES (30, 'long', 1, NULL)")
    maria.execute(other, "INSERT INTO customer VALUES (31, 'short', 1, NULL)")
    for text in (
        "UPDATE customer SET price = 2 WHERE id = 30; COMMIT",
        "BEGIN; INSERT INTO customer VALUES (32, 'kept', 1, NULL); SAVEPOINT s; "
        "INSERT INTO customer VALUES (33, 'rolled back', 1, NULL); ROLLBACK TO s; COMMIT",
        "BEGIN; UPDATE duolog.ledger SET number_to = 7; INSERT INTO customer VALUES (40, 'ours', 1, NULL); COMMIT",
        "FLUSH BINARY LOGS",
        "ALTER TABLE customer ADD extra varchar(10) DEFAULT 'added'",
        "INSERT INTO customer VALUES (50, 'after', 1, NULL, 'more')",
        "UPDATE customer SET name = 'again' WHERE id = 1",
        "ALTER TABLE customer DROP extra",
        "INSERT INTO customer VALUES (51, 'without', 1, NULL)",
        "TRUNCATE pair",
        "INSERT INTO pair VALUES ('new', 'b', 'c')",
    ):
        maria.execute(one, text)


def _mariadb_log(conn: maria.Connection, begin: int) -> list[dict[str, object]]:
    """Transactions as the binlog has them: GTID, file, offsets where they begin and end."""
    log: list[dict[str, object]] = []
    for name, _ in maria.ask(conn, "SHOW BINARY LOGS"):
        open_: dict[str, object] | None = None
        for _, offset, kind, _, end, said in maria.ask(conn, f"SHOW BINLOG EVENTS IN '{name}'"):
            if kind == "Gtid":
                gtid = said.split("GTID ")[1].split()[0]
                open_ = {"gtid": gtid, "file": name, "begin": int(offset), "ddl": not said.startswith("BEGIN")}
            elif open_ is not None and (kind == "Xid" or (kind == "Query" and (said == "COMMIT" or open_["ddl"]))):
                log.append(open_ | {"end": int(end)})
                open_ = None
    first = log[0]["file"] if log else ""
    return [each for each in log if each["file"] != first or int(str(each["begin"])) >= begin]


def _maria_printed(conn: maria.Connection, table: str) -> list[list[str | None]]:
    known = read_columns(conn, [("erp", table)])[("erp", table)]
    shown = ", ".join(phrases.printed(column) for column in known.values())
    readers = [phrases.reader(column) or str for column in known.values()]
    rows = maria.ask(conn, f"SELECT {shown} FROM {phrases.quoted(table)} t ORDER BY 1")
    return [[None if v is None else read(v) for read, v in zip(readers, row, strict=True)] for row in rows]
