"""Turns a folder into a running Kafka broker and back: the real one, or a small stand-in where there is no Java.

The real one is its own controller (KRaft) and keeps everything on this machine's loopback. The stand-in, `noida-db`
from PyPI, speaks the protocol and has transactions, but never drops a member of a group that died.
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import sys
import uuid
from pathlib import Path
from typing import ClassVar, Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from service.embedded import NoServerProgram
from tests.kafka.programs import GuardedProcess, jars, java, quiet_port

SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # One copy of everything, few files, and no waiting for members of a group that may come.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "num.partitions": "1",
    "message.max.bytes": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.segment.bytes": "67108864",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "log.initial.task.delay.ms": "500",
}


class KafkaServer(GuardedProcess):
    """One Apache Kafka broker. `settings`: of the broker, by name, added to `SETTINGS`."""

    product: ClassVar[str] = "Kafka"
    short: ClassVar[str] = "kafka"
    real: ClassVar[bool] = True
    """Whether it is Apache Kafka itself."""

    def __init__(self, folder: Path | None = None, *, settings: dict[str, str] | None = None) -> None:
        super().__init__(folder, quiet_port(), {**SETTINGS, **(settings or {})})
        self._controller = quiet_port()
        self._cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if self._cluster.startswith("-"):  # its tool takes that for an option
            self._cluster = "A" + self._cluster[1:]

    def url(self, database: str = "") -> str:
        """Its address, as rule files have it. `database` means nothing here."""
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def bootstrap(self) -> str:
        """Its address, as Kafka's own programs have it."""
        return f"127.0.0.1:{self.port}"

    def connect(self, database: str = "") -> KafkaAdminClient:
        """A client that makes and removes topics. `database` means nothing here."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, client_id="duolog-tests")

    @staticmethod
    def version() -> str:
        """Which Kafka it is."""
        return next((jars() / "kafka").glob("kafka-clients-*.jar")).stem.removeprefix("kafka-clients-")

    def _find(self) -> None:
        self._jars = jars() / "kafka"

    def _initialised(self) -> bool:
        return (self.data / "meta.properties").exists()

    def _initialise(self) -> None:
        self._write()
        tool = java("kafka.tools.StorageTool", self._jars, heap="128m")
        process = self._popen([*tool, "format", "--standalone", "-t", self._cluster, "-c", str(self._properties)])
        if process.wait() != 0:
            raise NoServerProgram(f"Kafka's folder cannot be made; its log ends:\n{self._log_tail()}")

    @property
    def _properties(self) -> Path:
        return self.data.parent / "server.properties"

    def _write(self) -> None:
        controller = f"127.0.0.1:{self._controller}"
        said = self.settings | {
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://{controller}",
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str(self.data),
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in said.items()))

    def _command(self) -> list[str]:
        self._write()
        return [*java("kafka.Kafka", self._jars, heap="256m"), str(self._properties)]

    def _answers(self) -> bool:
        if not _listens(self.port):
            return False
        with contextlib.suppress(KafkaError), contextlib.closing(self.connect()) as client:
            found = client.describe_cluster()
            return found["cluster_id"] == self._cluster and any(not each["is_fenced"] for each in found["brokers"])
        return False


class StandIn(GuardedProcess):
    """The broker of `noida-db`, with the surface of `KafkaServer`."""

    product: ClassVar[str] = "noida-db"
    short: ClassVar[str] = "noida"
    real: ClassVar[bool] = False

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder, quiet_port(), {})

    def url(self, database: str = "") -> str:
        """Its address, as rule files have it. `database` means nothing here."""
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def bootstrap(self) -> str:
        """Its address, as Kafka's own programs have it."""
        return f"127.0.0.1:{self.port}"

    def connect(self, database: str = "") -> KafkaAdminClient:
        """A client that makes and removes topics. `database` means nothing here."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, client_id="duolog-tests")

    def _find(self) -> None:
        self._program = _stand_in()

    def _initialised(self) -> bool:
        return self.data.is_dir()

    def _initialise(self) -> None:
        self.data.mkdir()

    def _command(self) -> list[str]:
        place = ["--host", "127.0.0.1", "--kafka-port", str(self.port), "--data-dir", str(self.data)]
        return [self._program, "start", "--only", "kafka", *place]

    def _answers(self) -> bool:
        return _listens(self.port)


def broker() -> KafkaServer | StandIn:
    """The best broker that can be had here, not started yet. Raises NoServerProgram if there is none."""
    try:
        jars()
    except NoServerProgram as missing:
        try:
            _stand_in()
        except NoServerProgram as neither:
            raise NoServerProgram(f"{missing.found}; {neither.found}") from None
        return StandIn()
    return KafkaServer()


def why_not_real() -> str:
    """Why there is no Apache Kafka here; empty if there is."""
    try:
        jars()
    except NoServerProgram as missing:
        return missing.found
    return ""


def _stand_in() -> str:
    program = shutil.which("noida-db", path=str(Path(sys.executable).parent)) or shutil.which("noida-db")
    if program is None:
        raise NoServerProgram("`noida-db`, the stand-in for Kafka, is not installed", mend="pip install noida-db")
    return program


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
