"""What the command tells of Kafka without asking it: how workers share records out, what a connector has to be told."""

from __future__ import annotations

import json

from tests.cli.desk import Desk

ONE_ENGINE = "duolog: 1\n"
WORKERS = 'duolog: 1\nstore: "${STORE_URL}"\nworkers: {kafka: "${KAFKA_URL}", partitions: 4}\n'
READ_BY_US = 'erp: {adapter: postgresql, url: "${ERP_URL}"}'
READ_BY_DEBEZIUM = 'erp: {adapter: debezium, url: "${ERP_URL}", kafka: "${KAFKA_URL}", topics: shop}'
KAFKA = {"KAFKA_URL": "kafka://127.0.0.1:1", "STORE_URL": "postgresql://nobody@127.0.0.1:1/store"}
"""Nobody is there."""


def test_workers_tells_of_each_flow_how_it_is_shared_out(desk: Desk) -> None:
    desk.rewrite(ONE_ENGINE, WORKERS)

    told = json.loads(desk.ask("workers", "--json", environment=KAFKA).stdout)

    assert told["partitions"] == 4
    (flow,) = told["flows"]
    assert flow["entities"] == ["customer", "line"], "a line refers to its customer"
    assert (flow["root"], flow["spread"], flow["partitions"]) == ("customer", False, [0])
    assert flow["why"] == "the key of `line` does not contain that of `customer`"
    shown = desk.ask("workers", environment=KAFKA).stdout
    assert "customer" in shown and flow["why"] in shown


def test_workers_of_rules_for_one_engine_is_refused(desk: Desk) -> None:
    said = desk.ask("workers", "--json")

    assert said.returncode == 2
    assert said.stdout == ""
    assert "one engine does all of it" in said.stderr


def test_the_connector_that_is_printed_reads_the_tables_of_the_rules_and_has_no_secret(desk: Desk) -> None:
    desk.rewrite(READ_BY_US, READ_BY_DEBEZIUM)

    said = desk.ask("setup", "--print-connector", "erp", environment=KAFKA)

    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["connector.class"] == "io.debezium.connector.postgresql.PostgresConnector"
    assert told["topic.prefix"] == "shop"
    assert told["provide.transaction.metadata"] == "true"
    assert told["table.include.list"].replace("\\", "") == "public.customer,public.doc_line"
    assert desk.urls["erp"] not in said.stdout


def test_a_connector_of_a_system_that_we_read_ourselves_is_refused(desk: Desk) -> None:
    said = desk.ask("setup", "--print-connector", "crm")

    assert said.returncode != 0
    assert "`crm` is no system that Debezium reads" in said.stderr
