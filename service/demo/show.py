"""The demo's story: two servers, two full databases, duolog between them, users on both sides, and a verdict.

`run_demo` returns 0 only if everything really agrees: the engine ended in order, `duolog verify` found
nothing, the demo's own comparison, which shares no code with the engine, found nothing, nothing is left on
hold or in quarantine, and every deliberate conflict stands in the journal. Everything is done with the
`duolog` command, as a person would.

Leaves nothing behind: servers and folders are gone when it ends, however it ends.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.console import Console

from service.demo import data, places, sessions
from service.demo.engine import DIFFERENCES, OK, CommandFailed, Engine, quiet
from service.demo.screen import Screen, counter
from service.demo.sessions import MARIADB, POSTGRESQL
from service.demo.traffic import Diary, Traffic
from service.embedded import EmbeddedMariaDB, EmbeddedServer

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples" / "demo"
SYSTEMS: Final = ("erp", "crm")
DATABASES: Final = {POSTGRESQL: "demo", MARIADB: "sales"}
"""What the database of a system is called, by its kind: MariaDB's is what the schema is in PostgreSQL."""
PEOPLE_SAY: Final = {POSTGRESQL: "PostgreSQL", MARIADB: "MariaDB"}
look_interval_s: Final = 0.5
quiet_patience_s: Final = 90.0


class Disagreement(Exception):
    """The demo did not come to a good end; says why."""


def run_demo(
    stay: bool = False,
    seconds: float = 30.0,
    *,
    rate: float = 60.0,
    seed: int = 7,
    customers: int = 3000,
    crm: str = POSTGRESQL,
    console: Console | None = None,
) -> int:
    """Runs the whole story; 0 if everything agrees at its end, 1 if not.

    `stay`: the users go on until Ctrl-C. `seconds`: how long they work otherwise. `rate`: transactions a
    second on each side. `customers`: sizes the databases. `crm`: which database the CRM has. Raises
    NoServerProgram if a server cannot be had."""
    console = console or Console()
    try:
        with ExitStack() as stack:
            stack.enter_context(ended_by_sigterm())
            Demo(console, stack, seed, customers, crm).play(None if stay else seconds, rate)
    except (Disagreement, CommandFailed) as problem:
        console.print("\n[bold red]The demo failed.[/]", highlight=False)
        console.print(str(problem), markup=False, highlight=False)
        return DIFFERENCES
    return OK


class Demo:
    """The two databases, the engine between them, and what was said about them on the way."""

    def __init__(self, console: Console, stack: ExitStack, seed: int, customers: int, crm: str) -> None:
        self.console = console
        self.kinds = {"erp": POSTGRESQL, "crm": crm}
        self.seed = seed
        self.world = data.make_world(seed, customers, max(20, customers // 6), customers * 4 // 3)
        self.stack = stack
        self.addresses: dict[str, str] = {}
        self.began = time.monotonic()

    def play(self, seconds: float | None, rate: float) -> None:
        """All acts, in order. Raises Disagreement or CommandFailed when one does not end well."""
        self.open_databases()
        engine = self.start_engine()
        self.first_merge(engine)
        diary = self.users_work(engine, seconds, rate)
        self.settle(engine)
        self.resolve_holds(engine, diary)
        self.stop_engine(engine)
        journal = self.verify(engine)
        self.explain(engine, diary, journal)
        self.say(f"Everything agrees. The whole took {time.monotonic() - self.began:.0f} s.", style="bold green")

    def open_databases(self) -> None:
        """Two servers, two schemas, two pictures of one world."""
        erp, crm = (PEOPLE_SAY[kind] for kind in self.kinds.values())
        servers = "two PostgreSQL servers" if erp == crm else f"a {erp} and a {crm} server"
        self.say(f"Starting {servers} and filling an ERP and a CRM ...")
        pictures = data.day_one(self.world, self.seed)
        for system in SYSTEMS:
            kind = self.kinds[system]
            server = self.stack.enter_context(EmbeddedServer() if kind == POSTGRESQL else EmbeddedMariaDB())
            self.addresses[system] = server.create_database(DATABASES[kind])
            schema = f"{system}.sql" if kind == POSTGRESQL else f"{system}_{kind}.sql"
            with sessions.connect(self.addresses[system]) as session:
                session.script((EXAMPLES / schema).read_text(encoding="utf-8"))
                places.load(session, system, pictures[system])
        counts = ", ".join(f"{len(self.world.table(entity)):,} {entity}s" for entity in data.FIELDS)
        self.say(f"{counts}; {describe(self.differences())} differ between the two on day one.")

    def start_engine(self) -> Engine:
        """`duolog check`, `duolog setup`, `duolog run`."""
        folder = Path(tempfile.mkdtemp(prefix="duolog-demo-"))
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        addresses = {f"{system.upper()}_URL": url for system, url in self.addresses.items()}
        rules = "demo.yaml" if self.kinds["crm"] == POSTGRESQL else f"demo_{self.kinds['crm']}.yaml"
        engine = Engine(EXAMPLES / rules, addresses, folder)
        self.stack.callback(engine.stop)
        engine.call("check")
        engine.call("setup")
        self.say("duolog check: nothing wrong. duolog setup: done. duolog run: the first merge begins ...")
        engine.start()
        return engine

    def first_merge(self, engine: Engine) -> None:
        """Both sides were full: the rules decide what each difference becomes."""
        began = time.monotonic()
        if engine.until(quiet, quiet_patience_s) is None:
            raise Disagreement(f"the first merge did not end; the log ends:\n{engine.log_tail()}")
        left = self.differences()
        if any(left.values()):
            raise Disagreement(f"after the first merge these still differ: {describe(left)}")
        self.say(f"The first merge took {time.monotonic() - began:.1f} s; both sides agree on every record.")

    def users_work(self, engine: Engine, seconds: float | None, rate: float) -> Diary:
        """Users of both applications write at the same time, and the screen shows what duolog makes of it."""
        if seconds is None:
            self.say(f"\nLook around from another terminal, in {engine.folder}:")
            for system, url in self.addresses.items():
                self.say(f"  export {system.upper()}_URL={url}")
            self.say(f"  {sys.executable} -m service.cli status {engine.rules.name}\n")
        traffic = Traffic(self.addresses, self.world, rate=rate, seed=self.seed)
        traffic.start()
        try:
            watch(engine, traffic.diary, self.console, seconds)
        except KeyboardInterrupt:
            self.say("The users go home.")
        finally:
            traffic.stop()
        return traffic.diary

    def settle(self, engine: Engine) -> None:
        """Waits until duolog has nothing left to do."""
        began = time.monotonic()
        status = engine.until(quiet, quiet_patience_s)
        if status is None:
            raise Disagreement(f"not quiet after {quiet_patience_s:.0f} s; the log ends:\n{engine.log_tail()}")
        if status.get("quarantine"):
            listed = engine.call("quarantine").stdout
            raise Disagreement(f"{status['quarantine']} records are in quarantine:\n{listed}")
        counts = ", ".join(
            f"{counter(status, name)} {name}" for name in ("changes", "successors", "conflicts", "overruled")
        )
        self.say(f"The users have stopped; quiet after {time.monotonic() - began:.1f} s: {counts}.")

    def resolve_holds(self, engine: Engine, diary: Diary) -> None:
        """The rules left a conflict to a person: here the CRM is right."""
        for entity, key, field in diary.held:
            self.say(f"On hold for a person: {field} of {entity} {key}. We say: the CRM is right.")
            engine.call("resolve", entity, key, field, "--take", "crm")
        if engine.until(lambda status: quiet(status) and not status.get("holds"), quiet_patience_s) is None:
            raise Disagreement(f"still on hold:\n{engine.call('held').stdout}")

    def stop_engine(self, engine: Engine) -> None:
        """SIGTERM."""
        code = engine.stop()
        if code != OK:
            raise Disagreement(f"`duolog run` ended with {code} on SIGTERM; its log ends:\n{engine.log_tail()}")
        self.say("SIGTERM: the engine finished the transaction in hand and ended with 0.")

    def verify(self, engine: Engine) -> list[dict[str, Any]]:
        """duolog's own comparison, and one that shares no code with it; the journal."""
        found = engine.call("verify", expected=(OK, DIFFERENCES))
        if found.returncode != OK:
            raise Disagreement(f"duolog verify found differences:\n{found.stdout}")
        left = self.differences()
        if any(left.values()):
            raise Disagreement(f"duolog verify found nothing, but these differ: {describe(left)}")
        self.say("duolog verify: no difference. A comparison of our own, row by row: no difference.")
        journal = engine.json("journal", "--limit", "100000")
        entries: list[dict[str, Any]] = journal["entries"] if isinstance(journal, dict) else journal
        return entries

    def explain(self, engine: Engine, diary: Diary, journal: list[dict[str, Any]]) -> None:
        """Every deliberate conflict has its loser in the journal; one of them in full."""
        told = {(entry["entity"], str(entry["key"])) for entry in journal}
        missing = [key for entity, key, _ in diary.rivalries if (entity, key) not in told]
        if missing:
            raise Disagreement(f"deliberate conflicts that the journal does not tell: {', '.join(missing)}")
        total = len(diary.rivalries)
        self.say(f"All {total} deliberate conflicts stand in the journal, which has {len(journal)} entries.")
        if diary.rivalries:
            entity, key, _ = diary.rivalries[-1]
            self.say(f"\nduolog explain {engine.rules.name} {entity} {key}")
            self.console.print(
                engine.call("explain", entity, key).stdout, markup=False, highlight=False, soft_wrap=True
            )

    def differences(self) -> dict[str, list[str]]:
        """By entity: the keys of records that are not the same on both sides."""
        with ExitStack() as stack:
            one, other = (stack.enter_context(sessions.connect(self.addresses[system])) for system in SYSTEMS)
            return {
                entity: places.differences(
                    places.records(one, SYSTEMS[0], entity), places.records(other, SYSTEMS[1], entity)
                )
                for entity in data.FIELDS
            }

    def say(self, words: str, style: str = "") -> None:
        """One line of the story."""
        self.console.print(words, style=style, markup=False, highlight=False, soft_wrap=True)


def watch(engine: Engine, diary: Diary, console: Console, seconds: float | None) -> None:
    """Shows the state of affairs until the time is over."""
    deadline = time.monotonic() + seconds if seconds is not None else float("inf")
    with Screen(console, seconds) as screen:
        while time.monotonic() < deadline:
            engine.must_live()
            screen.show(engine.status(), diary)
            time.sleep(min(look_interval_s, max(0.0, deadline - time.monotonic())))


def describe(differences: Mapping[str, list[str]]) -> str:
    """How many of what."""
    return ", ".join(f"{len(keys)} {entity}s" for entity, keys in differences.items())


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM unwinds the demo like Ctrl-C at any other time, so that it leaves no server behind."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only the main thread may say what a signal does
        yield
        return
    former = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
