"""One engine between real servers: a rule file, `duolog run` as a process, and what tests ask of both.

`Live` is the `duolog` command of one rule file, with what operators and accidents do to its process (start with other
arguments, kill -9, stop and continue). `World` is a `Live` between databases of `schema.py`, with users and the
auditor at hand. Nothing waits by sleeping: every wait polls, has a deadline, and fails with the end of the log.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from service.demo.engine import COMMAND, Engine, quiet
from tests import ground
from tests.crowd import within
from tests.engine_live import auditor, schema
from tests.engine_live.proxy import Proxy
from tests.engine_live.users import Told, Users

POLL_S: Final = 0.05
QUIET_S: Final = 5.0
"""For so long after quiet nothing may be written."""
TIDIED_S: Final = 2.5
"""For so long a change table is still tidied after the last change was taken from it: once a second at most."""
START: Final = {"of_erp": ["erp 0"], "of_crm": ["crm 0"], "of_web": ["web 0"], "shared": ["start"]}
"""What stands in a thing that nobody has written yet."""


MADE: list[Live | World] = []
"""All that were ever made; `conftest.py` sends those home that a test leaves at work."""


def eventually(ready: Callable[[], Any], within_s: float, why: Callable[[], str] | str) -> Any:
    """Polls until `ready` answers something true, and answers that; fails with `why` if a look later than `within_s`
    (where nothing else runs: see `tests.crowd`) finds nothing. A look may itself take long."""
    within_s = within(within_s)
    deadline = time.monotonic() + within_s
    while True:
        late = time.monotonic() > deadline
        found = ready()
        if found:
            return found
        if late:
            raise AssertionError(f"not within {within_s:.0f} s: {why if isinstance(why, str) else why()}")
        time.sleep(POLL_S)  # the pause between two looks


def pause(seconds: float) -> None:
    """Lets users and engine work for a while. (Nothing is waited for in this way.)"""
    time.sleep(seconds)


class Live(Engine):
    """`duolog` for one rule file, in a folder of its own."""

    stop_within_s: ClassVar[float] = within(Engine.stop_within_s)
    _process: subprocess.Popen[bytes] | None = None

    def go_home(self) -> None:
        """The end of a test, however it ended: no engine runs."""
        if self.pid is not None:
            self.kill9()

    def __init__(self, folder: Path, text: str, addresses: Mapping[str, str]) -> None:
        """`addresses`: by system, as duolog is to reach them."""
        given = folder / "given" / "rules.yaml"
        given.parent.mkdir(parents=True)
        given.write_text(text, encoding="utf-8")
        self.systems = tuple(addresses)
        self.addresses = dict(addresses)
        self._started_at = 0
        MADE.append(self)
        super().__init__(given, {f"{s.upper()}_URL": address for s, address in addresses.items()}, folder)

    def run(self, *arguments: str, failpoint: str = "") -> None:
        """Starts `duolog run` with these arguments; `failpoint`: where it is to die."""
        self._started_at = len(self.said())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "run", str(self.rules), *arguments],
                env={**self._environment, "DUOLOG_FAILPOINT": failpoint},
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to `duolog run`."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill9(self) -> None:
        """Kills `duolog run` without a word."""
        self.signal(signal.SIGKILL)
        self.ended(10)

    def ended(self, within_s: float) -> int:
        """Waits for `duolog run` to end by itself; its exit code (negative: the signal)."""
        assert self._process is not None
        try:
            return self._process.wait(within(within_s))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the engine still runs after {within(within_s):.0f} s:\n{self.log_tail()}") from None

    def said(self) -> str:
        """Everything that `duolog run` wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def document(self) -> dict[str, Any]:
        """What `status` would print, read where it reads it, without a process for it; {} if there is nothing yet."""
        for path in self.folder.glob("*.status.json"):
            with contextlib.suppress(ValueError, OSError):
                return dict(json.loads(path.read_text(encoding="utf-8")))
        return {}

    def running(self, within_s: float = 20.0) -> None:
        """Waits until readers and writers of all systems run, by what this start has said so far."""
        lines = [f"{role} running: {system}\n" for system in self.systems for role in ("reader", "writer")]

        def up() -> bool:
            self.must_live()
            said = self.said()[self._started_at :]
            return all(line in said for line in lines)

        eventually(up, within_s, self.log_tail)

    def journal(self) -> list[dict[str, Any]]:
        """The whole journal."""
        found = self.json("journal", "--limit", "100000")
        assert isinstance(found, list)
        return found


class World:
    """Databases of `schema.py`, filled alike, with duolog between them. `lines`: reached through these proxies."""

    def __init__(
        self, folder: Path, name: str, addresses: Mapping[str, str], *, things: int = 1000, trailed: bool = False,
        lines: Mapping[str, Proxy] | None = None, fill: bool = True, more: str = "",
        said: Callable[[str], str] = str, **policies: Any,
    ) -> None:
        """`more`: what stands in the rules besides. `said`: what becomes of their text before it is written."""
        self.addresses = dict(addresses)
        self.systems = tuple(addresses)
        self.things = things
        self.trailed = trailed
        self.told = Told()
        self._users: list[Users] = []
        MADE.append(self)
        for system, address in addresses.items():
            schema.create(address, system, trailed=trailed)
            if fill:
                schema.fill(address, system, 0, things - 1)
        own = {s: ground.account(a) for s, a in addresses.items()}
        by_way = {s: lines[s].address(a) if lines else a for s, a in own.items()}
        self.live = Live(folder, said(schema.rules(name, addresses, **policies) + more), by_way)
        self.live.call("setup")

    def users(self, *, rate: float = 100, **options: Any) -> list[Users]:
        """Users of every system, not writing yet; `rate`: of each system."""
        self._users = [
            Users(s, a, self.told, rate=rate, **{"things": self.things, "hot": min(50, self.things), **options})
            for s, a in self.addresses.items()
        ]
        return self._users

    def all_of(self, kind: str) -> bool:
        """True if every system is on this database: tests are larger where they have been from the start."""
        return all(ground.kind(address) == kind for address in self.addresses.values())

    def go_home(self) -> None:
        """The end of a test, however it ended: nobody writes, no engine runs."""
        users, self._users = self._users, []
        for each in users:
            each.leave()
        self.live.go_home()

    def equal(self, within_s: float = 30.0) -> float:
        """Waits until all systems are equal, row by row; answers how long that took."""
        begun = time.monotonic()

        def same() -> bool:
            self.live.must_live()
            return not auditor.differences(self.addresses)

        eventually(same, within_s, lambda: "\n".join([
            *auditor.differences(self.addresses), json.dumps(self.live.document()), self.live.log_tail(),
        ]))  # fmt: skip
        return time.monotonic() - begun

    def stays_still(self, for_s: float = QUIET_S) -> None:
        """Watches that nothing at all is written any more, after a moment for the last confirmations: the rows rest and
        the engine says that it has nothing to do, or they rest for five seconds whatever it says."""
        marks: list[str] = []
        since, asked = time.monotonic(), time.time()
        rest_s = TIDIED_S if any(ground.adapter(a) in ("odbc", ground.SQLITE) for a in self.addresses.values()) else 0

        def at_rest() -> bool:
            nonlocal since, asked
            before, marks[:] = list(marks), self._marks()
            if before != marks:
                since, asked = time.monotonic(), time.time()
            rested_s = time.monotonic() - since
            return before == marks and rested_s >= rest_s and (self._says_quiet(asked) or rested_s >= within(5))

        eventually(at_rest, 15 + 2 * rest_s, "the rows never come to rest")
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            self.live.must_live()
            assert self._marks() == marks, "something was written after all was quiet"
            time.sleep(POLL_S * 4)  # between two looks

    def _says_quiet(self, after: float) -> bool:
        """True if the engine has said that it has nothing to do, later than this time of the clock."""
        told = self.live.document()
        return quiet(told) and float(told["engine"]["at"]) > after

    def _marks(self) -> list[str]:
        return [auditor.mark(address, system) for system, address in self.addresses.items()]

    def judged(self, start: Mapping[str, Sequence[str | None]] = START) -> list[str]:
        """All that the auditor finds wrong. To be asked when the users have stopped and all is equal."""
        system, address = next(iter(self.addresses.items()))
        said = auditor.differences(self.addresses) + auditor.lost(self.addresses, self.told)
        journal = self.live.journal()
        said += auditor.unexplained(address, system, journal, start) + auditor.missums(address, system)
        said += [json.dumps(entry) for entry in journal if any(entry["key"] in each for each in said)]
        if self.trailed:
            for system, address in self.addresses.items():
                said += auditor.written_twice(address, system)
        return said
