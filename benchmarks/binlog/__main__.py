"""The command: writes a backlog, has each reader read it, prints a line each."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from adapters.mariadb import positions, session
from adapters.mariadb.assemble import Assembler
from adapters.mariadb.binlog.frames import Frames
from adapters.mariadb.sending import Sending
from adapters.mariadb.separator import send
from adapters.mariadb.source import MariaSource
from benchmarks.bench import Bench
from benchmarks.items import COLUMNS
from benchmarks.mariadb import MariaDB
from benchmarks.pairs import Paired
from benchmarks.sizes import FULL, QUICK
from engine.rulebook import Table
from engine.vocabulary import Position, Progress

NAMES: Final = tuple(COLUMNS.split(", "))
ITEM: Final = Table("public", "item", NAMES, (0,))
READER: Final = 990_001


class Cost(NamedTuple):
    """Of one reading."""

    rows: int
    wall_s: float
    cpu_s: float


def main() -> int:
    """Prints rows a second, and CPU time a row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.binlog", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = QUICK if options.quick else FULL
    server = MariaDB()
    bench = Bench({"erp": server}, Paired(("mariadb", "mariadb")), sizes)
    server.start()
    try:
        with bench.connect("erp") as connection:
            bench.workload.create("erp", server, connection, sizes)
            server.settle(connection)
            first = end(server)
            server.write(connection, bench.workload.backlog("erp", False, sizes), synced=False)
            last = end(server)
        packets = received(server, first, last)
        readers: dict[str, Callable[[], Cost]] = {
            "duolog, decoding and assembling, from memory": lambda: decoded(packets),
            "duolog, from the server": lambda: streamed(server, first, last),
            "mysql-replication, from the server": lambda: peer(server, first, last),
        }
        found: dict[str, list[Cost]] = {name: [] for name in readers}
        for _ in range(options.rounds):
            for name, read in readers.items():
                found[name].append(read())
        print(f"{sizes.backlog_changes:,} changes, {len(b''.join(packets)) / 1e6:.1f} MB of log, best of "
              f"{options.rounds}, load {os.getloadavg()[0]:.1f}")  # fmt: skip
        for name, costs in found.items():
            best = min(costs, key=lambda cost: cost.cpu_s)
            wall = min(cost.wall_s for cost in costs)
            print(f"{name}: {best.rows / wall:,.0f} rows/s, CPU {best.cpu_s / best.rows * 1e6:.2f} µs a row")
    finally:
        server.stop()
    return 0


def end(server: MariaDB) -> Position:
    """The end of the log now."""
    conn = session.connect("erp", server.url(), application_name="bench")
    position, _ = send(Sending(conn))()
    conn.close()
    return position


def source(server: MariaDB) -> MariaSource:
    """duolog's reader."""
    return MariaSource("erp", server.url(), engine="bench", tables=[ITEM], identity=None, server_id=READER)


def streamed(server: MariaDB, first: Position, last: Position) -> Cost:
    """By duolog, as the engine reads."""
    reader = source(server)
    reader.open(first)
    rows, wall, cpu = 0, time.perf_counter(), time.process_time()
    position = first
    while position < last:
        item = reader.read(1.0)
        if item is None:
            continue
        position = item.position
        if not isinstance(item, Progress):
            rows += len(list(item.changes))
    cost = Cost(rows, time.perf_counter() - wall, time.process_time() - cpu)
    reader.close()
    return cost


def received(server: MariaDB, first: Position, last: Position) -> list[bytes]:
    """The packets of this part of the log."""
    reader = source(server)
    packets: list[bytes] = []

    class Recording(Frames):
        def take(self) -> bytes | None:
            packet = super().take()
            if packet is not None:
                packets.append(packet)
            return packet

    reader.open(first)
    reader._frames = Recording(reader._frames._number)
    position = first
    while position < last:
        item = reader.read(1.0)
        position = item.position if item is not None else position
    reader.close()
    return packets


def decoded(packets: list[bytes]) -> Cost:
    """By duolog, without a connection: packets to transactions."""
    assembler = Assembler("erp", [ITEM], engine="bench")
    rows, wall, cpu = 0, time.perf_counter(), time.process_time()
    for packet in packets:
        item = assembler.feed(packet)
        if item is not None and not isinstance(item, Progress):
            rows += len(list(item.changes))
    return Cost(rows, time.perf_counter() - wall, time.process_time() - cpu)


def peer(server: MariaDB, first: Position, last: Position) -> Cost:
    """By mysql-replication, which makes no transactions, but rows."""
    file, offset = positions.parts(first)
    end_file, end_offset = positions.parts(last)
    stream = BinLogStreamReader(
        connection_settings={"host": "127.0.0.1", "port": server.port, "user": "root", "passwd": ""},
        server_id=READER + 1, log_file=f"log.{file:06d}", log_pos=offset, resume_stream=True, blocking=False,
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent],
    )  # fmt: skip
    rows, wall, cpu = 0, time.perf_counter(), time.process_time()
    for event in stream:
        rows += len(event.rows)
        if (file, stream.log_pos) >= (end_file, end_offset):
            break
    cost = Cost(rows, time.perf_counter() - wall, time.process_time() - cpu)
    stream.close()
    return cost


if __name__ == "__main__":
    sys.exit(main())
