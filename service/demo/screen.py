"""Shows what happens while both applications are written: one live screen on a terminal, plain lines
elsewhere.

Turns `duolog status --json` and the users' diary into tables. Decides nothing and asks nobody: what it shows
was handed to it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service.demo.traffic import Diary

plain_interval_s: Final = 3.0
DEEDS: Final = ("update", "insert", "delete")
COUNTERS: Final = (
    ("changes", "users' changes read"),
    ("successors", "successors: the writer had seen the current value"),
    ("agreements", "agreements: both wrote the same"),
    ("conflicts", "conflicts: one had not seen the other's write"),
    ("overruled", "overruled, kept in the journal"),
    ("written", "rows written by duolog"),
    ("echoes", "own writes read back, and known as such"),
)

Status = Mapping[str, Any]


class Screen:
    """A context manager: `show` draws what was handed over last."""

    def __init__(self, console: Console, seconds: float | None) -> None:
        """`seconds`: how long it will go on; None: until somebody ends it."""
        self._console = console
        self._seconds = seconds
        self._began = time.monotonic()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._last: tuple[float, float] | None = None
        self._rate = 0.0
        self._next_line = 0.0

    def __enter__(self) -> Screen:
        self._began = time.monotonic()
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, status: Status, diary: Diary) -> None:
        """Draws the state of affairs."""
        elapsed = time.monotonic() - self._began
        self._measure(elapsed, float(counter(status, "changes")))
        if self._live:
            self._live.update(self._picture(status, diary, elapsed), refresh=True)
        elif elapsed >= self._next_line:
            self._next_line = elapsed + plain_interval_s
            self._console.print(plain(status, diary, elapsed, self._rate), highlight=False, soft_wrap=True)

    def _measure(self, elapsed: float, changes: float) -> None:
        """Changes a second since the last look."""
        if self._last is not None and elapsed > self._last[0]:
            self._rate = max(0.0, (changes - self._last[1]) / (elapsed - self._last[0]))
        self._last = (elapsed, changes)

    def _picture(self, status: Status, diary: Diary, elapsed: float) -> RenderableType:
        head = Text(f"{elapsed:4.0f} s   {self._rate:6.0f} changes/s", style="bold")
        bar = Table.grid(expand=True)  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=self._seconds or elapsed + 1, completed=elapsed))
        foot = Text("Ctrl-C ends it" if self._seconds is None else "Ctrl-C ends it early", style="dim")
        body = Group(head, bar, users(diary, status), decisions(status, diary), foot)
        return Panel(body, title="duolog between an ERP and a CRM", border_style="cyan")


def users(diary: Diary, status: Status) -> Table:
    """One line a system: what its users did, and how far duolog has read its log."""
    table = Table(expand=True, box=None, header_style="bold")
    for heading in ("system", "updates", "inserts", "deletes", "refused", "lag", "state", "log position"):
        table.add_column(heading, justify="left" if heading in ("system", "state", "log position") else "right")
    for name, system in status.get("systems", {}).items():
        did = diary.totals(name)
        table.add_row(
            name.upper(), *(str(did.get(deed, 0)) for deed in DEEDS), str(refused(did)), lag(system),
            str(system.get("state", "")), str(system.get("position", "")),
        )  # fmt: skip
    return table


def decisions(status: Status, diary: Diary) -> Table:
    """What duolog made of it."""
    table = Table(expand=True, box=None, show_header=False)
    table.add_column(justify="right", style="bold", width=9)
    table.add_column()
    for name, meaning in COUNTERS:
        table.add_row(str(counter(status, name)), meaning)
    rivalries = len(diary.rivalries) + len(diary.held)
    table.add_row(str(rivalries), "deliberate conflicts: the same field on both sides at once", style="yellow")
    for name, meaning in (("holds", "on hold for a person"), ("quarantine", "in quarantine")):
        table.add_row(str(status.get(name, 0)), meaning, style="magenta")
    return table


def plain(status: Status, diary: Diary, elapsed: float, rate: float) -> str:
    """The same in one line."""
    did = ", ".join(
        f"{name} {sum(diary.totals(name).get(deed, 0) for deed in DEEDS)} (lag {lag(system)})"
        for name, system in status.get("systems", {}).items()
    )
    counts = ", ".join(
        f"{counter(status, name)} {name}" for name in ("successors", "conflicts", "overruled", "written")
    )
    waiting = f"{status.get('holds', 0)} held, {status.get('quarantine', 0)} in quarantine"
    return f"{elapsed:4.0f} s  users: {did} | {rate:.0f} changes/s, {counts}, {waiting}"


def counter(status: Status, name: str) -> int:
    """One of the engine's counters."""
    return int(status.get("counters", {}).get(name, 0))


def lag(system: Mapping[str, Any]) -> str:
    """How far behind its log, in words."""
    seconds = system.get("lag_s")
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def refused(did: Mapping[str, int]) -> int:
    """What the database itself refused its users."""
    return sum(number for deed, number in did.items() if deed.startswith("refused"))
