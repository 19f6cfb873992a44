"""Lends tests database servers that run in Docker, where this machine has none of its own.

Turns an image into the same surface that `service.embedded` has for a server on this machine. Nothing is asked of
Docker before a test needs it; where Docker does not answer, `NoServerProgram` says so.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Literal, Self

import pymysql

from service.embedded import NoServerProgram

START_TIMEOUT_S = 180.0
PROBE_INTERVAL_S = 0.5

MARIADB = "mariadb:10.11"
MYSQL = "mysql:8.4"
LOGGED = (
    "--log-bin=log", "--server-id=1", "--binlog-format=ROW", "--binlog-row-image=FULL", "--binlog-row-metadata=FULL",
    "--max-connections=200", "--sync-binlog=0", "--innodb-flush-log-at-trx-commit=2",
)  # fmt: skip


class ContainerServer:
    """One MariaDB or MySQL server in a container of its own. `options`: further arguments of the server.

    Raises NoServerProgram if Docker does not answer, or the client library is not installed."""

    def __init__(self, image: str, *options: str) -> None:
        try:
            from testcontainers.core.container import DockerContainer
        except ImportError as missing:
            raise NoServerProgram(
                f"Docker is not asked for `{image}`: testcontainers is not installed", mend="pip install testcontainers"
            ) from missing
        from docker.errors import DockerException

        self.scheme = "mysql" if image.startswith("mysql") else "mariadb"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        try:
            # Both images know MySQL's words. A port that is chosen here stays the same over restarts.
            self._container = (
                DockerContainer(image).with_env("MYSQL_ALLOW_EMPTY_PASSWORD", "yes").with_env("MYSQL_ROOT_HOST", "%")
                .with_bind_ports(3306, self.port).with_command([*LOGGED, *options])
            )  # fmt: skip
            self._container.start()
        except DockerException as error:
            raise NoServerProgram(f"Docker does not answer for `{image}`: {type(error).__name__}") from error
        self._until_it_answers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, database: str = "mysql") -> str:
        """The address of one of its databases, as `root`."""
        return f"{self.scheme}://root@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "mysql") -> pymysql.Connection[Any]:
        """An ordinary connection of `root`, committing each statement by itself."""
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True)

    def create_database(self, name: str) -> str:
        """Makes an empty database; returns its address."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE `" + name + "`")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Removes a database, if it is there."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS `" + name + "`")

    def start(self) -> None:
        """Starts it again after `stop` or `kill9`."""
        self._container.get_wrapped_container().start()
        self._until_it_answers()

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops it in order, or kills it."""
        wrapped = self._container.get_wrapped_container()
        wrapped.stop() if mode == "fast" else wrapped.kill()

    def kill9(self) -> None:
        """Kills it."""
        self.stop("immediate")

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops it and starts it again."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Removes it."""
        self._container.stop()

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.connect().close()
                return
            except pymysql.Error as error:
                if time.monotonic() > deadline:
                    raise NoServerProgram(f"the server in Docker does not answer: {type(error).__name__}") from error
            time.sleep(PROBE_INTERVAL_S)  # the pause between two looks
