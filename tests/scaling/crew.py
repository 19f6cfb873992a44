"""Several `duolog run --worker` between databases of `tests.engine_live.schema`, with what accidents do to each.

`event` refers to `thing` in the databases, but not in these rules: so both are spread over all partitions. (Things are
there from the start, and never go.) What is asked of the end is what is asked of one engine, by the same auditor.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg

from tests import ground
from tests.engine_live import auditor, schema
from tests.engine_live.users import Told, Users
from tests.engine_live.world import MADE, START, Live, eventually

PATIENCE_S: Final = 60.0


class Crew:
    """See the module. `store`: the address of a database for the state of all."""

    def __init__(
        self, folder: Path, name: str, addresses: Mapping[str, str], kafka: str, store: str, *, partitions: int = 4,
        things: int = 200,
    ) -> None:
        self.addresses = dict(addresses)
        self.name = name
        self.store = store
        self.things = things
        self.told = Told()
        self.partitions = partitions
        self.workers: list[Live] = []
        self._folder = folder
        self._users: list[Users] = []
        for system, address in addresses.items():
            schema.create(address, system, trailed=True)
            schema.fill(address, system, 0, things - 1)
        text = schema.rules(name, addresses).replace("reference: thing, ", "").replace(", reference: thing", "")
        words = f'store: "{store}"\nworkers: {{kafka: "{kafka}", partitions: {partitions}}}\nsystems:\n'
        self._text = text.replace("systems:\n", words, 1)
        self._own = {system: ground.account(address) for system, address in addresses.items()}
        MADE.append(self)  # type: ignore[arg-type]
        self.asking = self._live("asking")
        self.asking.call("setup")

    def _live(self, name: str) -> Live:
        (self._folder / name).mkdir(parents=True)
        return Live(self._folder / name, self._text, self._own)

    def worker(self, *arguments: str, failpoint: str = "") -> Live:
        """One more worker, starting."""
        made = self._live(f"worker{len(self.workers)}")
        self.workers.append(made)
        made.run("--worker", *arguments, failpoint=failpoint)
        return made

    def parts(self) -> dict[str, dict[str, Any]]:
        """What each partition's engine and each reader told last, by the name of its part."""
        found: dict[str, dict[str, Any]] = {}
        with psycopg.connect(self.store.replace("postgresql+psycopg", "postgresql"), autocommit=True) as conn:
            like = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'duolog\\_store\\_%'"
            for (name,) in conn.execute(like).fetchall():
                if conn.execute("SELECT to_regclass(%s)", [f"{name}.status"]).fetchone() != (None,):
                    row = conn.execute(f"SELECT document FROM {name}.status").fetchone()  # noqa: S608 - our own names
                    if row is not None:
                        found[name.removeprefix("duolog_store_")] = json.loads(row[0])
        return found

    def engines(self) -> dict[int, int]:
        """By partition, the process that runs its engine."""
        return {
            part["partition"]: part["engine"]["pid"] for part in self.parts().values()
            if part["state"] == "running" and "partition" in part
        }  # fmt: skip

    def shared_by(self, *workers: Live, within_s: float = PATIENCE_S) -> None:
        """Waits until these workers, each of them and no others, run all partitions' engines and all readers."""
        pids = {worker.pid for worker in workers}

        def so() -> bool:
            running = [p["engine"]["pid"] for p in self.parts().values() if p["state"] == "running"]
            return set(running) == pids and len(running) == self.partitions + len(self.addresses)

        eventually(so, within_s, self.tail)

    def epochs(self, worker: Live) -> dict[str, int]:
        """By the name of its part, the epoch in which this worker holds it."""
        return {name: p["epoch"] for name, p in self.parts().items() if p["engine"]["pid"] == worker.pid}

    def epoch(self, part: str) -> int:
        """The epoch that a part is in."""
        return int(self.parts()[part]["epoch"])

    def tail(self) -> str:
        """What all workers said last."""
        told = json.dumps({k: {"state": p["state"], "pid": p["engine"]["pid"]} for k, p in self.parts().items()})
        return "\n".join([told, *(f"--- {w.pid}\n{w.log_tail()}" for w in self.workers)])

    def users(self, *, rate: float = 60, **options: Any) -> list[Users]:
        """Users of every system, not writing yet."""
        self._users = [
            Users(s, a, self.told, rate=rate, things=self.things, hot=20, **options)
            for s, a in self.addresses.items()
        ]
        return self._users

    def equal(self, within_s: float = PATIENCE_S) -> None:
        """Waits until all systems are equal, row by row."""
        eventually(
            lambda: not auditor.differences(self.addresses), within_s,
            lambda: "\n".join([*auditor.differences(self.addresses), self.tail()]),
        )  # fmt: skip

    def judged(self, start: Mapping[str, Sequence[str | None]] = START) -> list[str]:
        """All that the auditor finds wrong. To be asked when the users have stopped and all is equal."""
        system, address = next(iter(self.addresses.items()))
        said = auditor.differences(self.addresses) + auditor.lost(self.addresses, self.told)
        journal = self.asking.journal()
        said += auditor.unexplained(address, system, journal, start) + auditor.missums(address, system)
        said += [json.dumps(entry) for entry in journal if any(entry["key"] in each for each in said)]
        for system, address in self.addresses.items():
            said += auditor.written_twice(address, system)
        return said

    def go_home(self) -> None:
        """The end of a test, however it ended."""
        users, self._users = self._users, []
        for each in users:
            each.leave()
        for worker in self.workers:
            if worker.pid is not None:
                worker.signal(signal.SIGCONT)
                worker.kill9()
