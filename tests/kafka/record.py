"""Records what real Debezium tells of real databases into `tests/fixtures/debezium`.

Run it as `python -m tests.kafka.record [NAME ...]`, with the beginnings of the names of recordings
(`postgresql/time`); none records all. Log positions, times and numbers differ from run to run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

from tests.kafka import record_events, record_values
from tests.kafka.broker import KafkaServer
from tests.kafka.connect import ConnectorFailed, ConnectServer


def main(asked: list[str]) -> int:
    """Records what is asked for. Tells how many recordings failed."""
    failed = 0
    with KafkaServer() as broker, ConnectServer(broker.bootstrap, flush_ms=200) as connect:
        for named, record in _all(connect, tuple(asked)):
            try:
                size = record()
            except (ConnectorFailed, TimeoutError) as error:
                failed += 1
                causes = [line[:200] for line in str(error).splitlines() if "Exception" in line]
                print(f"{named}: {causes or error}", file=sys.stderr)
            else:
                print(f"{named}: {size:,} bytes", flush=True)
    return failed


def _all(connect: ConnectServer, asked: tuple[str, ...]) -> Iterator[tuple[str, Callable[[], int]]]:
    """Names and makers of what is asked for; a database lives while its recordings are made."""
    for database, story in (
        ("postgresql", record_events.record_postgresql),
        ("mariadb", record_events.record_mariadb),
    ):
        for name in record_events.STORIES:
            if not asked or f"{database}/{name}".startswith(asked):
                yield f"{database}/{name}", partial(story, connect, name)
    for ground, modes in (
        (record_values.postgresql, record_values.POSTGRESQL_MODES),
        (record_values.mariadb, record_values.MARIADB_MODES),
    ):
        every = [(mode, schemas) for mode in modes for schemas in (False, True)]
        named = {f"{ground.__name__}/{mode}{'_schemas' * schemas}": (mode, schemas) for mode, schemas in every}
        wanted = {name: each for name, each in named.items() if not asked or name.startswith(asked)}
        if wanted:
            with ground() as made:
                for name, (mode, schemas) in wanted.items():
                    yield name, partial(record_values.record, connect, made, mode, modes[mode], schemas=schemas)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
