"""Tries what tests are lent to have Debezium read a database: it streams, and it tells again what it did not note."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.crowd import within
from tests.kafka.connect import ConnectorEnded, ConnectServer
from tests.kafka_servers import Topics

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
READ_TIMEOUT_S = within(30)


def read(server: ConnectServer, topic: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """The values of a topic of one partition from its beginning, until there are enough."""
    consumer = KafkaConsumer(bootstrap_servers=server.settings["bootstrap.servers"])
    where = TopicPartition(topic, 0)
    consumer.assign([where])
    consumer.seek_to_beginning(where)
    found: list[Any] = []
    deadline = time.monotonic() + READ_TIMEOUT_S
    while not enough(found) and time.monotonic() < deadline:
        for record in consumer.poll(timeout_ms=200).get(where, ()):
            found.append(None if record.value is None else json.loads(record.value))
    consumer.close()
    assert enough(found), found
    return found


def test_debezium_streams_a_postgresql_by_transactions(connect: ConnectServer, topics: Topics, erp_db: str) -> None:
    with psycopg.connect(erp_db, autocommit=True) as erp:
        erp.execute("CREATE TABLE customer (id int PRIMARY KEY, name text)")
        erp.execute("INSERT INTO customer VALUES (1, 'before')")
        with connect.connector(erp_db, topics.prefix) as connector:
            with erp.transaction():
                erp.execute("INSERT INTO customer VALUES (2, 'a'), (3, 'ü')")
            rows = read(connect, f"{topics.prefix}.public.customer", lambda found: len(found) == 3)
            ends = read(connect, connector.transactions, lambda found: any(_counts(end, 2) for end in found))
    assert [(row["op"], row["after"]["name"]) for row in rows] == [("r", "before"), ("c", "a"), ("c", "ü")]
    assert ends[-1]["id"].split(":")[0] == rows[1]["transaction"]["id"].split(":")[0]


def test_debezium_streams_a_mariadb_by_transactions(connect: ConnectServer, topics: Topics, erp_maria: str) -> None:
    database = erp_maria.rpartition("/")[2]
    port = int(erp_maria.rpartition("/")[0].rpartition(":")[2])
    with pymysql.connect(host="127.0.0.1", port=port, user="root", database=database) as erp, erp.cursor() as cursor:
        cursor.execute("CREATE TABLE customer (id int PRIMARY KEY, name varchar(40) CHARACTER SET utf8mb4)")
        with connect.connector(erp_maria, topics.prefix) as connector:
            cursor.execute("INSERT INTO customer VALUES (2, 'a'), (3, 'ü')")
            erp.commit()
            rows = read(connect, f"{topics.prefix}.{database}.customer", lambda found: len(found) == 2)
            ends = read(connect, connector.transactions, lambda found: any(_counts(end, 2) for end in found))
    assert [(row["op"], row["after"]["name"]) for row in rows] == [("c", "a"), ("c", "ü")]
    assert ends[-1]["id"] == rows[0]["transaction"]["id"]


def test_a_killed_connect_tells_again_what_it_had_not_noted(
    own_connect: ConnectServer, topics: Topics, erp_db: str
) -> None:
    own_connect.start()
    with psycopg.connect(erp_db, autocommit=True) as erp:
        erp.execute("CREATE TABLE customer (id int PRIMARY KEY)")
        with own_connect.connector(erp_db, topics.prefix) as connector:
            erp.execute("INSERT INTO customer VALUES (1)")
            read(own_connect, f"{topics.prefix}.public.customer", lambda found: len(found) == 1)
            own_connect.kill9()
            erp.execute("INSERT INTO customer VALUES (2)")
            own_connect.start()
            connector.until_streaming()
            rows = read(own_connect, f"{topics.prefix}.public.customer", lambda found: len(found) == 3)
    assert [row["after"]["id"] for row in rows] == [1, 1, 2]


def test_a_paused_connector_goes_on_where_it_was(connect: ConnectServer, topics: Topics, erp_db: str) -> None:
    with psycopg.connect(erp_db, autocommit=True) as erp:
        erp.execute("CREATE TABLE customer (id int PRIMARY KEY)")
        with connect.connector(erp_db, topics.prefix) as connector:
            for number, (halt, resume) in enumerate([(connector.pause, connector.resume),
                                                     (connector.stop, connector.resume)]):  # fmt: skip
                halt()
                erp.execute("INSERT INTO customer VALUES (%s)", [number])
                resume()
                read(connect, f"{topics.prefix}.public.customer", lambda found, last=number: len(found) == last + 1)


def test_what_ended_a_connector_is_told(connect: ConnectServer, topics: Topics, erp_db: str) -> None:
    with (
        pytest.raises(ConnectorEnded, match="Publication autocreation is disabled"),
        connect.connector(
            erp_db, topics.prefix, publication_name="no_such_publication", publication_autocreate_mode="disabled"
        ),
    ):
        pass


def _counts(end: dict[str, Any], count: int) -> bool:
    return bool(end["status"] == "END" and end["event_count"] == count)


def test_the_connector_of_the_example_tells_whole_transactions_of_its_tables(
    connect: ConnectServer, topics: Topics, erp_db: str
) -> None:
    words = json.loads((EXAMPLES / "18_connector.json").read_text(encoding="utf-8"))
    lent = {key: value for key, value in words.items() if not key.startswith(("database.", "topic.", "slot."))}
    with psycopg.connect(erp_db, autocommit=True) as erp:
        erp.execute((EXAMPLES / "tables" / "18_erp.sql").read_bytes())
        with connect.connector(erp_db, topics.prefix, **lent) as connector:
            with erp.transaction():
                erp.execute("INSERT INTO customer VALUES ('K1', 'Ada', 100, '2026-01-31')")
                erp.execute("INSERT INTO sales_order VALUES ('O1', 'K1', now(), 12.5)")
            (customer,) = read(connect, f"{topics.prefix}.public.customer", lambda found: len(found) == 1)
            (order,) = read(connect, f"{topics.prefix}.public.sales_order", lambda found: len(found) == 1)
            ends = read(connect, connector.transactions, lambda found: any(_counts(end, 2) for end in found))
    assert (customer["after"]["credit_limit"], order["after"]["total"]) == ("100.00", "12.50")
    assert {each["data_collection"] for each in ends[-1]["data_collections"]} == {
        "public.customer", "public.sales_order",
    }  # fmt: skip
