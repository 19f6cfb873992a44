"""Lends tests a Kafka broker, and a Kafka Connect with Debezium: one for the whole run, and one of its own to a test
that stops, kills or freezes it.

It is Apache Kafka where there is Java (its jars are fetched the first time, which needs Maven), else the stand-in of
`tests.kafka.broker`, which cannot do everything: a test that needs what it cannot asks for `real_kafka`. With `CI=true`
the real one has to be there. The end of the run says which it was.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from kafka.admin import NewTopic

from service.embedded import NoServerProgram
from tests.kafka.broker import KafkaServer, StandIn, broker, why_not_real
from tests.kafka.connect import ConnectServer
from tests.kafka.shared import Told, shared
from tests.servers import unavailable

Broker = KafkaServer | StandIn

NO_STAND_IN: Final = "the stand-in for Kafka cannot do this"
_numbers = itertools.count(1)
_used: list[str] = []


class Topics:
    """The topics of one test: all begin with a prefix of its own, and go when it ends."""

    def __init__(self, server: Broker) -> None:
        self.server = server
        self.prefix = f"t{os.getpid()}_{next(_numbers)}"

    def __call__(self, name: str) -> str:
        """The full name of a topic of this test's."""
        return f"{self.prefix}.{name}"

    def create(self, name: str, partitions: int = 1, **settings: str) -> str:
        """Makes an empty topic; returns its full name. `settings`: `cleanup_policy="compact"` and such."""
        full = self(name)
        configs = {key.replace("_", "."): value for key, value in settings.items()}
        client = self.server.connect()
        try:
            client.create_topics([NewTopic(full, partitions, 1, topic_configs=configs)])
        finally:
            client.close()
        return full

    def close(self) -> None:
        """Removes them."""
        client = self.server.connect()
        try:
            mine = [name for name in client.list_topics() if name.startswith(self.prefix + ".")]
            if mine:
                client.delete_topics(mine)
        finally:
            client.close()


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that tests share, in all processes of the run. Not to be stopped: see `own_kafka`."""
    server = _best()

    def start() -> tuple[Told, Callable[[], None]]:
        server.start()
        return {"port": server.port}, server.close

    with shared(_run_folder(tmp_path_factory), "kafka", start) as told:
        server.port = told["port"]
        _used.append(_named(server))
        yield server


@pytest.fixture
def kafka(kafka_server: Broker) -> str:
    """The address of the broker that tests share: `kafka://127.0.0.1:PORT`."""
    return kafka_server.url()


@pytest.fixture
def real_kafka(kafka: str) -> str:
    """The same, for tests of what only Apache Kafka does (groups that lose members, Kafka Connect)."""
    missing = why_not_real()
    if missing:
        unavailable(f"{NO_STAND_IN}: {missing}")
    return kafka


@pytest.fixture
def own_kafka() -> Iterator[Broker]:
    """A broker for one test alone, that may be stopped, killed or frozen. Not started yet."""
    server = _best()
    _used.append(_named(server))
    yield server
    server.close()


@pytest.fixture(scope="session")
def connect(kafka_server: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectServer]:
    """The Kafka Connect that tests share, beside the shared broker, with Debezium's connectors. Not to be stopped."""
    server = ConnectServer(_only_real(kafka_server).bootstrap)

    def start() -> tuple[Told, Callable[[], None]]:
        server.start()
        return {"port": server.port, "folder": str(server.folder)}, server.close

    with shared(_run_folder(tmp_path_factory), "connect", start) as told:
        server.port, server.folder = told["port"], Path(told["folder"])
        yield server


@pytest.fixture
def own_connect(kafka_server: Broker) -> Iterator[ConnectServer]:
    """A Kafka Connect for one test alone, beside the shared broker, that may be stopped, killed or frozen. Not started
    yet. It notes once a minute how far it came: whatever it told is told again after `kill9`."""
    server = ConnectServer(_only_real(kafka_server).bootstrap, flush_ms=60_000)
    yield server
    server.close()


@pytest.fixture
def topics(kafka_server: Broker) -> Iterator[Topics]:
    """The topics of one test on the shared broker."""
    made = Topics(kafka_server)
    yield made
    made.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist tells the process that reports."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["kafka"] = _used


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """That process notes it."""
    _used.extend(getattr(node, "workeroutput", {}).get("kafka", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which broker the run was made with."""
    if _used:
        terminalreporter.write_line(f"Kafka: {', '.join(sorted(set(_used)))}")


def _run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes of the run: a worker's own lies in it."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder


def _best() -> Broker:
    missing = why_not_real()
    if missing and os.environ.get("CI", "").lower() in ("1", "true"):
        unavailable(missing)
    try:
        return broker()
    except NoServerProgram as nothing:
        unavailable(nothing.found)


def _only_real(server: Broker) -> KafkaServer:
    if isinstance(server, StandIn):
        unavailable(f"{NO_STAND_IN}: {why_not_real()}")
    return server


def _named(server: Broker) -> str:
    if isinstance(server, StandIn):
        return f"a stand-in, noida-db ({why_not_real()})"
    return f"Apache Kafka {server.version()}"
