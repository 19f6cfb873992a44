"""Reads memory and CPU time of running processes, and remembers the peaks: from /proc, on macOS by `ps`.

Two kinds of memory: `rss` is everything that is mapped and resident, which for a PostgreSQL process includes
the shared buffers that it has touched; `private` leaves shared memory out, and is what compares processes
fairly.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

sample_interval_s: Final = 0.1
FOLDER: Final = Path("/proc")
TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Thread(NamedTuple):
    """One thread of a process: it has CPU time of its own, and shares its memory."""

    process: int
    thread: int


Process = int | Thread
"""A process by its number, or one of its threads."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process takes at one moment."""

    rss_kb: int
    peak_kb: int
    """The operating system's own high-water mark, where it keeps one."""
    private_kb: int
    cpu_s: float


def usage(pid: Process) -> Usage | None:
    """What the process takes now; None if it is gone. Of a thread, where no /proc tells: nothing."""
    if isinstance(pid, Thread):
        try:
            return Usage(0, 0, 0, sum(_ticks(FOLDER / f"{pid.process}/task/{pid.thread}")[:2]) / TICKS)
        except (FileNotFoundError, ProcessLookupError):
            return None
    folder = FOLDER / str(pid)
    if not Path("/proc/self/status").exists():
        return _usage_by_ps(pid)
    try:
        lines = (folder / "status").read_text().splitlines()
        ticks = _ticks(folder)
    except (FileNotFoundError, ProcessLookupError):
        return None
    kilobytes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest.endswith("kB")
    }
    return Usage(
        kilobytes.get("VmRSS", 0),
        kilobytes.get("VmHWM", 0),
        kilobytes.get("RssAnon", 0),
        sum(ticks[:2]) / TICKS,
    )


def whole_cpu_s(pid: int) -> float:
    """CPU time of a server: of its process, and of all that it has started, also of those that have ended."""
    try:
        children = (FOLDER / f"{pid}/task/{pid}/children").read_text().split()
        ticks = sum(_ticks(FOLDER / str(pid)))
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    for child in children:
        with suppress(FileNotFoundError, ProcessLookupError):
            ticks += sum(_ticks(FOLDER / child))
    return ticks / TICKS


def _ticks(folder: Path) -> list[int]:
    """User's and system's time, its own and that of its children that have ended."""
    return [int(word) for word in (folder / "stat").read_text().rpartition(")")[2].split()[11:15]]


def _usage_by_ps(pid: int) -> Usage | None:
    """macOS: no high-water mark and no private part; the sampler makes the peak."""
    found = subprocess.run(["ps", "-o", "rss=,time=", "-p", str(pid)], capture_output=True, text=True, check=False)
    words = found.stdout.split()
    if len(words) != 2:
        return None
    seconds = 0.0
    for part in words[1].split(":"):
        seconds = seconds * 60 + float(part)
    return Usage(int(words[0]), int(words[0]), int(words[0]), seconds)


@dataclass(slots=True)
class Sampler:
    """Watches a set of processes from time to time; a context manager.

    `pids` is asked at every look, because a server's workers come and go."""

    pids: Callable[[], Iterable[Process]]
    peak_rss_kb: dict[Process, int] = field(default_factory=dict)
    peak_private_kb: dict[Process, int] = field(default_factory=dict)
    first_cpu_s: dict[Process, float] = field(default_factory=dict)
    last_cpu_s: dict[Process, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        self.mark()
        self.look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join()
        self.look()

    def mark(self) -> None:
        """CPU time counts from now: what was spent on starting is left out."""
        self.first_cpu_s = {pid: now.cpu_s for pid in self.pids() if (now := usage(pid)) is not None}

    def look(self) -> None:
        """One look at every process."""
        for pid in self.pids():
            now = usage(pid)
            if now is None:
                continue
            self.peak_rss_kb[pid] = max(self.peak_rss_kb.get(pid, 0), now.peak_kb, now.rss_kb)
            self.peak_private_kb[pid] = max(self.peak_private_kb.get(pid, 0), now.private_kb)
            self.last_cpu_s[pid] = now.cpu_s

    def _watch(self) -> None:
        while not self._over.wait(sample_interval_s):
            self.look()

    def figures(self) -> dict[str, float]:
        """Sums over all processes seen: peak megabytes, and the CPU seconds spent while watched."""
        cpu = sum(self.last_cpu_s[pid] - self.first_cpu_s.get(pid, 0.0) for pid in self.last_cpu_s)
        return {
            "rss_mb": round(sum(self.peak_rss_kb.values()) / 1024, 1),
            "private_mb": round(sum(self.peak_private_kb.values()) / 1024, 1),
            "cpu_s": round(cpu, 3),
            "processes": len(self.peak_rss_kb),
        }
