"""The plain workload with an ERP that Debezium reads: a real Kafka, Kafka Connect and Debezium between it and duolog.

Turns `duolog run` into one whose rules say `adapter: debezium` for the ERP, and tells apart what Debezium does (until a
change is in Kafka) from what duolog does (from there on). Never part of a measure: starting the two JVMs, and making
them warm, by rows of a table that duolog does not read.

Connect and broker run as the tests start them, but without what makes a JVM start fast and run slowly.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition

from adapters.debezium.decoding.modes import EXACT, OPTIONS
from benchmarks.bench import Bench
from benchmarks.builtin import idle
from benchmarks.contender import Contender
from benchmarks.database import Statement
from benchmarks.duolog import Duolog
from benchmarks.items import sentinel
from benchmarks.probe import Process, usage
from benchmarks.sizes import Sizes
from tests.kafka.broker import KafkaServer, why_not_real
from tests.kafka.connect import Connector, ConnectServer

MEASURED: Final = ("debezium_backlog", "debezium_end_to_end", "debezium_latency")
"""The measures that need Java."""

PREFIX: Final = "erp"
READ_BY_DUOLOG: Final = 'erp: {adapter: postgresql, url: "${ERP_URL}"}'
SAID: Final = {option: value for option, value in EXACT.items() if option in OPTIONS}
"""What the rules say of Debezium's options, as its messages have no schemas here."""
OPTIONS_OF_DEBEZIUM: Final[Mapping[str, Any]] = {
    **{option.replace(".", "_"): value for option, value in EXACT.items()},
    "snapshot_mode": "no_data",
    "table_include_list": r"public\.item,public\.warm",
}
MAKE_WARM: Final = "INSERT INTO public.warm SELECT * FROM public.item WHERE id > %s AND id <= %s"
ROWS_TO_WARM: Final = 50_000
poll_timeout_ms: Final = 500
CONNECT: Final = "Kafka Connect"
BROKER: Final = "Kafka"


def missing(measure: str) -> str:
    """Why this measure cannot be made here; empty if it can."""
    return why_not_real() if measure in MEASURED else ""


def over_kafka(contender: Contender) -> Contender:
    """duolog with Debezium before it; who only copies tables as it is."""
    return OverKafka(contender) if isinstance(contender, Duolog) else contender


class OverKafka:
    """duolog, its ERP read by Debezium."""

    name = "duolog"
    one_to_one = False
    both_ways = True

    def __init__(self, duolog: Duolog) -> None:
        self._duolog = duolog
        self._stack = ExitStack()
        self._bench: Bench | None = None
        self._before: dict[str, float] = {}
        """CPU seconds of Connect and of the broker, at `resume`."""

    def connect(self, bench: Bench, sources: Sequence[str]) -> None:
        """Starts broker, Connect and connector, makes them warm, and then does what duolog does."""
        self._bench = bench
        self._broker = self._stack.enter_context(Broker())
        self._broker.start()
        self._connect = self._stack.enter_context(Connect(self._broker.bootstrap))
        self._connect.start()
        with bench.connect("erp") as erp:
            erp.execute("CREATE TABLE public.warm (LIKE public.item INCLUDING ALL)")
        self._connector = self._stack.enter_context(
            self._connect.connector(bench.url("erp"), PREFIX, **OPTIONS_OF_DEBEZIUM)
        )
        self._warm(bench)
        bench.workload.rules = self._rules(bench.workload.rules)
        self._duolog.connect(bench, sources)

    def pause(self) -> None:
        """Stops duolog, then the connector, and waits until the slot has no reader."""
        assert self._bench is not None
        self._duolog.pause()
        self._connector.stop()
        with self._bench.connect("erp") as erp:
            self._bench.wait("Debezium to let go of its slot", partial(idle, erp))

    def resume(self) -> None:
        """Starts duolog, waits until it has nothing left to do, and has the connector begin to start."""
        self._before = self._cpu_s()
        self._duolog.resume()
        self._duolog.until_quiet()
        self._begin()

    def fill(self) -> float:
        """Has Debezium put the ERP's backlog into Kafka while duolog is stopped; the seconds from its slot having a
        reader until the last row was there."""
        bench = self._bench
        assert bench is not None
        with bench.connect("erp") as erp:
            self._begin()
            streams = bench.wait("Debezium to read", partial(bench.servers["erp"].is_read, erp), 0.002)
            return self._told(bench, "item", sentinel("erp", 0)) - streams

    def processes(self) -> Iterable[Process]:
        """duolog's process."""
        return self._duolog.processes()

    def must_live(self) -> None:
        """Raises CommandFailed if duolog has ended."""
        self._duolog.must_live()

    def threads(self) -> Mapping[str, float]:
        """duolog's threads; besides, Connect and broker, which are no part of it."""
        now = self._cpu_s()
        spent = {name: seconds - self._before[name] for name, seconds in now.items() if name in self._before}
        return {**self._duolog.threads(), **spent}

    def close(self) -> None:
        """Ends duolog, the connector, Connect and the broker."""
        self._duolog.close()
        self._stack.close()

    def _rules(self, given: Path) -> Path:
        """These rules, with an ERP that Debezium reads."""
        folder = tempfile.mkdtemp(prefix="duolog-bench-rules-")
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        options = ", ".join(f"{option}: '{value}'" for option, value in SAID.items())
        topics = f"topics: {{prefix: {PREFIX}, options: {{{options}}}}}"
        over = f'erp: {{adapter: debezium, url: "${{ERP_URL}}", kafka: "{self._broker.url()}", {topics}}}'
        said = given.read_text(encoding="utf-8")
        assert READ_BY_DUOLOG in said, "the rules say a system in one line"
        rules = Path(folder) / given.name
        rules.write_text(said.replace(READ_BY_DUOLOG, over), encoding="utf-8")
        return rules

    def _warm(self, bench: Bench) -> None:
        """Has rows go through Debezium before anything counts, as it runs for months where it is used."""
        rows = min(bench.sizes.preload_rows, ROWS_TO_WARM)
        server = bench.servers["erp"]
        with bench.connect("erp") as erp:
            server.write(erp, copied(rows, bench.sizes), synced=False)
            self._told(bench, "warm", rows)
            server.settle(erp)

    def _begin(self) -> None:
        """Has the connector begin to start, and returns at once."""
        self._connect.call("PUT", f"connectors/{self._connector.name}/resume")

    def _told(self, bench: Bench, table: str, key: int) -> float:
        """Waits until the row with this key is the last one in the table's topic; the clock's reading then."""
        consumer = KafkaConsumer(bootstrap_servers=self._broker.bootstrap, client_id="duolog-bench")
        try:
            last = Last(consumer, TopicPartition(f"{PREFIX}.public.{table}", 0), self._connector)
            return bench.wait(f"Debezium to have told all of `{table}`", partial(last.has, key))
        finally:
            consumer.close()

    def _cpu_s(self) -> dict[str, float]:
        found = {CONNECT: usage(self._connect.pid), BROKER: usage(self._broker.pid)}
        return {name: used.cpu_s for name, used in found.items() if used is not None}


class Last:
    """The last message of a topic with one partition. It never reads the others."""

    def __init__(self, consumer: KafkaConsumer, where: TopicPartition, connector: Connector) -> None:
        self._consumer = consumer
        self._where = where
        self._connector = connector
        self._end = 0

    def has(self, key: int) -> bool:
        """True if it is about the row with this key. Raises ConnectorEnded if nothing will ever come."""
        end = self._ends()
        if end == self._end:
            self._connector.must_live()
            return False
        self._end = end
        self._consumer.assign([self._where])
        self._consumer.seek(self._where, end - 1)
        found: Mapping[Any, list[Any]] = self._consumer.poll(timeout_ms=poll_timeout_ms)
        return any(str(key).encode() in (message.key or b"") for messages in found.values() for message in messages)

    def _ends(self) -> int:
        if self._where.topic not in self._consumer.topics():
            return 0
        return int(self._consumer.end_offsets([self._where])[self._where])


class Broker(KafkaServer):
    """A broker whose JVM compiles what is hot."""

    def _command(self) -> list[str]:
        return lasting(super()._command())


class Connect(ConnectServer):
    """A Kafka Connect whose JVM compiles what is hot."""

    def _command(self) -> list[str]:
        return lasting(super()._command())


def lasting(command: list[str]) -> list[str]:
    """A command without what makes a JVM start fast."""
    return [word for word in command if not word.startswith("-XX:")]


def copied(rows: int, sizes: Sizes) -> Iterator[list[Statement]]:
    """Transactions that copy so many rows of the items into the table that only Debezium reads."""
    for first in range(0, rows, sizes.transaction_rows):
        yield [(MAKE_WARM, (first, first + sizes.transaction_rows))]
