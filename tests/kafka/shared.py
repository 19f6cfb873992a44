"""Turns a server that a test run needs once into one that all of its processes use, whichever of them comes first.

A run of pytest-xdist is several processes. The one that first asks for a server starts it, and stops it when nobody
uses it any more: it waits for the others at its end. Locks of files say who uses what, so that a process that died
holds nothing up. It knows nothing of what the server is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Told = dict[str, Any]
"""What another process has to know to use the server, as JSON has it."""

LOOK_INTERVAL_S: Final = 0.2


@contextmanager
def shared(folder: Path, name: str, start: Callable[[], tuple[Told, Callable[[], None]]]) -> Iterator[Told]:
    """Lends the server with this name. `folder`: one for all processes of the run. `start`: starts it, and gives what
    is to be told of it and what stops it; it is called in one process only."""
    state, stop = folder / f"{name}.json", None
    with (folder / f"{name}.users").open("a") as users:
        with _alone(folder, name):
            if not state.exists():
                told, stop = start()
                state.write_text(json.dumps(told))
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield json.loads(state.read_text())
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            while stop is not None:
                with _alone(folder, name), contextlib.suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    state.unlink()
                    stop()
                    break
                time.sleep(LOOK_INTERVAL_S)


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    with (folder / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
