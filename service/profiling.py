"""Profiles a thread into a file, if `DUOLOG_PROFILE=FOLDER` asks for it; otherwise just runs it.

One `.prof` file a thread, named as the thread, for `python -m pstats` or `python -m benchmarks.profile`. A profiler
makes everything slower, but not alike: `DUOLOG_CPU=FILE` has each thread only add a line with its CPU time (name,
seconds) when it ends.
"""

from __future__ import annotations

import cProfile
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path


def profiled(body: Callable[[], None]) -> None:
    """Runs `body`; under `DUOLOG_PROFILE` with a profiler around, counting the thread's own CPU time."""
    folder = os.environ.get("DUOLOG_PROFILE", "")
    if not folder:
        _told(body)
        return
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    try:
        body()
    finally:
        profiler.disable()
        Path(folder).mkdir(parents=True, exist_ok=True)
        profiler.dump_stats(str(Path(folder, f"{threading.current_thread().name}.prof")))


def _told(body: Callable[[], None]) -> None:
    """Runs `body`; under `DUOLOG_CPU` tells the thread's CPU time at its end."""
    file = os.environ.get("DUOLOG_CPU", "")
    if not file:
        body()
        return
    began = time.thread_time()
    try:
        body()
    finally:
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(f"{threading.current_thread().name} {time.thread_time() - began:.3f}\n")
