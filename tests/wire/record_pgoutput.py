"""Records what a real PostgreSQL sends, case by case, into `golden/*.hex`: one message a line, in hexadecimal.

Run it as `python -m tests.wire.record_pgoutput` after adding a case; look at the difference before committing it.
Commit times, transaction numbers and log positions differ from run to run, so only new or changed cases are written
unless `--all` is given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from adapters.postgresql.session import connect
from service.embedded import EmbeddedServer

GOLDEN: Final = Path(__file__).parent / "golden"

SETUP: Final = """
    CREATE TYPE mood AS ENUM ('sad', 'ok', '高兴');
    CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(12,2));
    CREATE TABLE whole (id int PRIMARY KEY, name text, price numeric(12,2));
    ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE pair (a text, b text, c text, PRIMARY KEY (b, a));
    CREATE TABLE long (id int PRIMARY KEY, body text, note text);
    ALTER TABLE long ALTER body SET STORAGE EXTERNAL;
    CREATE TABLE long_whole (id int PRIMARY KEY, body text, note text);
    ALTER TABLE long_whole ALTER body SET STORAGE EXTERNAL;
    ALTER TABLE long_whole REPLICA IDENTITY FULL;
    CREATE TABLE feeling (id int PRIMARY KEY, mood mood, moods mood[]);
    CREATE SCHEMA "客户 Schema";
    CREATE TABLE "客户 Schema"."客户 ""主"" 表" ("编号" int PRIMARY KEY, "Name, with comma" text);
    CREATE TABLE kinds (id int PRIMARY KEY, n numeric, f float8, r real, t timestamp, z timestamptz, d date, c time,
                        i interval, b bytea, u uuid, j jsonb, y boolean, m money, a text[], p char(5));
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent);
    CREATE TABLE foreign_table (id int);
    INSERT INTO item VALUES (1, 'one', 1.5), (2, 'two', 2.5), (3, NULL, NULL);
    INSERT INTO whole VALUES (1, 'one', 1.5), (2, NULL, 2.5);
    INSERT INTO pair VALUES ('a', 'b', 'c');
    INSERT INTO long VALUES (1, repeat('long ', 2000), 'note');
    INSERT INTO long_whole VALUES (1, repeat('long ', 2000), 'note');
    CREATE PUBLICATION golden FOR TABLE item, whole, pair, long, long_whole, feeling, kinds, parent, child,
        "客户 Schema"."客户 ""主"" 表";
    SELECT pg_replication_origin_create('duolog_golden')"""

CASES: Final[dict[str, Sequence[str]]] = {
    "insert": ["INSERT INTO item VALUES (10, 'ten', 10)"],
    "insert_null_values": ["INSERT INTO item VALUES (11, NULL, NULL)"],
    "insert_empty_text": ["INSERT INTO item VALUES (12, '', 0)"],
    "insert_chinese_text": ["INSERT INTO item VALUES (13, '上海市浦东新区 🙂', 0)"],
    "insert_text_like_headers": ["INSERT INTO item VALUES (14, 'tttnnnuuutn', 0)"],
    "insert_255_and_256_bytes": ["INSERT INTO pair VALUES (repeat('x', 255), repeat('y', 256), repeat('é', 127))"],
    "insert_large_value": ["INSERT INTO long VALUES (2, repeat('large ', 1000), NULL)"],
    "insert_numbers_and_times": ["""
        INSERT INTO kinds VALUES (1, 12345678901234567890.123456789, 0.1, 1e-20, '2026-02-28 23:59:59.999999',
            '2026-02-28 23:59:59.5+08', '0044-03-15 BC', '24:00', '1 year -2 days 03:04:05.6', '\\x00ff41',
            '00000000-0000-0000-0000-00000000000a', '{"a": [1, null]}', true, '12.34', '{a,NULL,"b c"}',
            'ab')"""],
    "insert_special_numbers": ["INSERT INTO kinds (id, n, f, r, t) VALUES (2, 'NaN', '-Infinity', 'NaN', 'infinity')"],
    "relation_chinese_and_quoted_names": ['INSERT INTO "客户 Schema"."客户 ""主"" 表" VALUES (1, $$甲$$)'],
    "type_enum": ["INSERT INTO feeling VALUES (1, '高兴', '{sad,ok}')"],
    "update_without_key_change": ["UPDATE item SET name = 'uno' WHERE id = 1"],
    "update_to_null": ["UPDATE item SET name = NULL WHERE id = 2"],
    "update_key_changed": ["UPDATE item SET id = 20 WHERE id = 2"],
    "update_composite_key_changed": ["UPDATE pair SET a = 'aa' WHERE a = 'a'"],
    "update_full_identity": ["UPDATE whole SET name = 'uno' WHERE id = 1"],
    "update_full_identity_key_changed": ["UPDATE whole SET id = 20 WHERE id = 2"],
    "update_unchanged_toast": ["UPDATE long SET note = 'other' WHERE id = 1"],
    "update_unchanged_toast_full_identity": ["UPDATE long_whole SET note = 'other' WHERE id = 1"],
    "delete_default": ["DELETE FROM item WHERE id = 3"],
    "delete_full": ["DELETE FROM whole WHERE id = 1"],
    "truncate_one_table": ["TRUNCATE item"],
    "truncate_two_tables": ["TRUNCATE parent, child RESTART IDENTITY CASCADE"],
    "several_tables": ["INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1, 1)", "DELETE FROM child"],
    "message_transactional": [
        "INSERT INTO item VALUES (30, 'with a message', 1)",
        "SELECT pg_logical_emit_message(true, 'duolog', 'content 内容')",
    ],
    "message_not_transactional": [
        "SELECT pg_logical_emit_message(false, 'duolog', 'at once')",
        "INSERT INTO item VALUES (31, 'its commit flushes the message', 1)",
    ],
    "origin": [
        "SELECT pg_replication_origin_session_setup('duolog_golden')",
        "SELECT pg_replication_origin_xact_setup('16/B374D848', '2026-02-28 12:00:00Z')",
        "INSERT INTO item VALUES (40, 'ours', 1)",
    ],
    "schema_changed_between_rows": [
        "INSERT INTO item VALUES (50, 'before', 1)",
        "ALTER TABLE item ADD extra text",
        "INSERT INTO item VALUES (51, 'after', 1, 'more')",
        "ALTER TABLE item DROP extra",
    ],
    # Until version 14 a beginning and a commit; from 15 on, nothing at all.
    "empty_transaction": ["INSERT INTO foreign_table VALUES (1)"],
}
"""What one transaction does, by the name of its case."""


def record(url: str, statements: Sequence[str]) -> list[bytes]:
    """Commits the statements as one transaction of a session of its own; returns the messages it became."""
    with connect("golden", url, application_name="record") as connection:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
        return _messages(connection)


def _messages(connection: psycopg.Connection[Any]) -> list[bytes]:
    rows = connection.execute(
        "SELECT data FROM pg_logical_slot_get_binary_changes('golden', NULL, NULL, "
        "'proto_version', '1', 'publication_names', 'golden', 'messages', 'true')"
    )
    return [row[0] for row in rows]


def main() -> None:
    """Writes the golden files that are missing, or all."""
    GOLDEN.mkdir(exist_ok=True)
    with EmbeddedServer() as server:
        url = server.create_database("golden")
        with connect("golden", url, application_name="record") as connection:
            connection.execute(SETUP)
            connection.execute("SELECT pg_create_logical_replication_slot('golden', 'pgoutput')")
        for case, statements in CASES.items():
            path = GOLDEN / f"{case}.hex"
            messages = record(url, statements)
            if "--all" in sys.argv or not path.exists():
                path.write_text("".join(f"{message.hex()}\n" for message in messages))
                print(f"{case}: {len(messages)} messages")


if __name__ == "__main__":
    main()
