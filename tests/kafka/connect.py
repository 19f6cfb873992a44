"""Turns a folder into a running Kafka Connect, and the address of a database into a Debezium connector that streams.

Connect runs standalone: connectors come and go by its REST interface within one JVM, its offsets lie in a file. What it
was told since the file was written last it tells again after `kill9`: Debezium tells everything at least once. It is
never the source of what a table holds.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

from kafka import KafkaConsumer, TopicPartition

from tests.crowd import within
from tests.kafka.programs import GuardedProcess, jars, java, quiet_port

STREAMING_TIMEOUT_S: Final = within(90.0)
PROBE_INTERVAL_S: Final = 0.05
TOLD_MAX: Final = 4000
"""How much of what it says reaches a test's message, in characters."""
_server_ids = itertools.count(7001)


class ConnectorFailed(Exception):
    """Kafka Connect refuses something, or a connector does not do in time what it was told."""


class ConnectorEnded(ConnectorFailed):
    """A connector or its task failed; with the beginning of what it told."""


class ConnectServer(GuardedProcess):
    """One Kafka Connect. `bootstrap`: `host:port` of the broker. `flush_ms`: how often it notes how far it came."""

    product: ClassVar[str] = "Kafka Connect"
    short: ClassVar[str] = "connect"

    def __init__(self, bootstrap: str, folder: Path | None = None, *, flush_ms: int = 1000) -> None:
        settings = {
            "bootstrap.servers": bootstrap,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter.schemas.enable": "false",
            "offset.flush.interval.ms": str(flush_ms),
            "plugin.discovery": "service_load",
            # Rows of some megabytes: Kafka's default ends at one.
            "producer.max.request.size": "16777216",
        }
        super().__init__(folder, quiet_port(), settings)
        self._connectors: dict[str, dict[str, str]] = {}

    def url(self, database: str = "") -> str:
        """The address of its REST interface, with a path."""
        return f"http://127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "") -> Any:
        """What its REST interface says about itself. `database` means nothing here."""
        return self.call("GET", "")

    def start(self) -> None:
        """Starts it, with the connectors that it had."""
        if not self.running:
            super().start()
            for name, options in self._connectors.items():
                self.call("PUT", f"connectors/{name}/config", options)

    @property
    def offsets(self) -> Path:
        """The file in which it notes how far its connectors came."""
        return self.data / "offsets"

    def has_noted(self, since: float) -> bool:
        """True if it has noted after `since` (in seconds since 1970) how far each of its connectors came."""
        if not self.offsets.exists() or self.offsets.stat().st_mtime < since:
            return False
        noted = self.offsets.read_bytes()
        return all(said["topic.prefix"].encode() in noted for said in self._connectors.values())

    def call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        """Asks its REST interface. Raises ConnectorFailed with what it says to a wrong request."""
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(
            self.url(path), data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ConnectorFailed(f"{method} {path}: {error.code} {error.read().decode()[:TOLD_MAX]}") from None
        return json.loads(text) if text else None

    @contextmanager
    def connector(self, url: str, prefix: str, *, wait: bool = True, **options: object) -> Iterator[Connector]:
        """A Debezium connector for the database at `url`, gone at the end. `prefix`: its `topic.prefix`. `options`: of
        Debezium, `_` for `.`; None takes a default away. `wait`: until it streams. See `configuration`.

        Raises ConnectorFailed if it does not."""
        said = configuration(url, prefix, str(self.folder), **options)
        made = Connector(self, prefix, said)
        self._connectors[made.name] = said
        try:
            self.call("PUT", f"connectors/{made.name}/config", said)
            if wait:
                made.until_streaming()
            yield made
        finally:
            del self._connectors[made.name]
            with contextlib.suppress(OSError, ConnectorFailed):  # it was killed, or never knew it
                self.call("DELETE", f"connectors/{made.name}")

    def _find(self) -> None:
        self._jars = jars()

    def _initialised(self) -> bool:
        return self.data.is_dir()

    def _initialise(self) -> None:
        self.data.mkdir()

    def _command(self) -> list[str]:
        said = self.settings | {
            "listeners": f"http://127.0.0.1:{self.port}",
            "offset.storage.file.filename": str(self.offsets),
            "plugin.path": str(self._jars / "plugins"),
        }
        properties = self.data.parent / "connect.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in said.items()))
        main = "org.apache.kafka.connect.cli.ConnectStandalone"
        levels = {"io.debezium": "info", "org.apache.kafka.clients": "error"}
        return [*java(main, self._jars / "connect", heap="512m", levels=levels), str(properties)]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, ConnectorFailed):
            return "kafka_cluster_id" in self.call("GET", "")
        return False


class Connector:
    """One Debezium connector."""

    def __init__(self, server: ConnectServer, prefix: str, options: dict[str, str]) -> None:
        self.server = server
        self.prefix = prefix
        self.name = f"{prefix}-connector"
        self.options = options

    @property
    def transactions(self) -> str:
        """The topic of the beginnings and ends of transactions."""
        return f"{self.prefix}.transaction"

    @property
    def heartbeats(self) -> str:
        """The topic of its signs of life."""
        return f"__debezium-heartbeat.{self.prefix}"

    def status(self) -> dict[str, Any]:
        """What Connect says of it: state of connector and task, and what ended it."""
        found: dict[str, Any] = self.server.call("GET", f"connectors/{self.name}/status")
        return found

    def pause(self) -> None:
        """Has it do nothing; its connections stay."""
        self._to("pause", "PAUSED")

    def resume(self) -> None:
        """Has it go on after `pause` or `stop`."""
        self._to("resume", "RUNNING")

    def stop(self) -> None:
        """Ends its task: the slot is free, or the binlog read by nobody, until `resume`."""
        self.server.call("PUT", f"connectors/{self.name}/stop")
        self._until(lambda: self.status()["connector"]["state"] == "STOPPED" and not self.status()["tasks"], "STOPPED")

    def restart(self) -> None:
        """Ends its task and starts it again, from the offsets that were noted."""
        self.server.call("POST", f"connectors/{self.name}/restart?includeTasks=true")
        self.until_streaming()

    def until_streaming(self) -> None:
        """Waits for a sign of life that was sent after now. Raises ConnectorFailed if there is none in time."""
        bootstrap = self.server.settings["bootstrap.servers"]
        consumer = KafkaConsumer(bootstrap_servers=bootstrap, client_id="duolog-tests")
        where = TopicPartition(self.heartbeats, 0)

        def told() -> int:
            return int(consumer.end_offsets([where])[where]) if self.heartbeats in consumer.topics() else 0

        try:
            before = told()
            self._until(lambda: told() > before, "streaming")
        finally:
            consumer.close()

    def _to(self, verb: str, state: str) -> None:
        self.server.call("PUT", f"connectors/{self.name}/{verb}")
        self._until(lambda: bool(self.status()["tasks"]) and self._states() == {state}, state)

    def _states(self) -> set[str]:
        found = self.status()
        return {found["connector"]["state"], *(task["state"] for task in found["tasks"])}

    def traces(self) -> str:
        """What ended the connector or its task; empty while they live, and before they are known."""
        try:
            found = self.status()
        except ConnectorFailed:
            return ""
        parts = [found["connector"], *found["tasks"]]
        return "\n".join(part.get("trace", "") for part in parts if part["state"] == "FAILED")

    def must_live(self) -> None:
        """Raises ConnectorEnded if it, or its task, failed."""
        if traces := self.traces():
            said = [line for line in traces.splitlines() if not line.startswith("\tat ")]
            raise ConnectorEnded("\n".join(said)[:TOLD_MAX])

    def _until(self, met: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + STREAMING_TIMEOUT_S
        while not met():
            self.must_live()
            if time.monotonic() > deadline:
                raise ConnectorFailed(f"{self.name} is not {what} after {STREAMING_TIMEOUT_S} s: {self._states()}")
            time.sleep(PROBE_INTERVAL_S)


def configuration(url: str, prefix: str, folder: str, **options: object) -> dict[str, str]:
    """What Kafka Connect is told to have Debezium read the database at `url`: whole transactions, a heartbeat twice a
    second, no waiting. `folder`: for the history of its tables. `options`: of Debezium, `_` for `.`."""
    parts = urlsplit(url)
    kind = {"postgresql": _postgresql, "mariadb": _mariadb, "mysql": _mysql}[parts.scheme]
    said: dict[str, object] = {
        "database.hostname": parts.hostname,
        "database.port": parts.port,
        "database.user": unquote(parts.username or ""),
        "database.password": unquote(parts.password or ""),
        "topic.prefix": prefix,
        "tasks.max": 1,
        "provide.transaction.metadata": True,
        "heartbeat.interval.ms": 500,
        "poll.interval.ms": 50,
        "errors.max.retries": 0,
        **kind(parts.path.removeprefix("/"), prefix, folder),
        **{name.replace("_", "."): value for name, value in options.items()},
    }
    return {name: _text(value) for name, value in said.items() if value is not None}


def _postgresql(database: str, prefix: str, folder: str) -> dict[str, object]:
    name = "".join(letter if letter.isalnum() else "_" for letter in prefix.lower())
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.dbname": database,
        "plugin.name": "pgoutput",
        "slot.name": f"debezium_{name}",
        "publication.name": f"debezium_{name}",
        "publication.autocreate.mode": "filtered",
    }


def _mariadb(database: str, prefix: str, folder: str) -> dict[str, object]:
    return _binlog("io.debezium.connector.mariadb.MariaDbConnector", database, prefix, folder)


def _mysql(database: str, prefix: str, folder: str) -> dict[str, object]:
    return _binlog("io.debezium.connector.mysql.MySqlConnector", database, prefix, folder)


def _binlog(kind: str, database: str, prefix: str, folder: str) -> dict[str, object]:
    return {
        "connector.class": kind,
        "database.server.id": next(_server_ids),
        "database.include.list": f"{database},duolog",
        "database.ssl.mode": "disable",
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": f"{folder}/history-{prefix}",
        # It does not understand every type of MariaDB (inet4), and would stop for any table of the whole server.
        "schema.history.internal.store.only.captured.tables.ddl": True,
        "schema.history.internal.store.only.captured.databases.ddl": True,
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
