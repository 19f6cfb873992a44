"""Turns the end of a test process, however it came, into the end of all that it had started.

A run that is killed or interrupted ends no server and no engine by itself, and none of them would ever end. So a small
process watches each test process: when that is gone, what carries its mark in its environment and has lost its parent
is killed, and a server's temporary folder removed. It never touches what carries another mark, or none. On Linux only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MARK: Final = "DUOLOG_TEST_PROCESS"
LOOKS: Final = 25
"""How often is looked: who is killed may leave children of his own behind."""
BETWEEN_LOOKS_S: Final = 0.2
_watches: list[subprocess.Popen[bytes]] = []


def watch() -> None:
    """From now on what this process starts ends with it."""
    if sys.platform != "linux":
        return
    os.environ[MARK] = mark = uuid.uuid4().hex
    unmarked = {name: value for name, value in os.environ.items() if name != MARK}
    command = [sys.executable, "-S", "-E", str(Path(__file__).resolve()), mark]
    # The pipe's other end is closed by the kernel, whatever this process ends by; no child of it inherits that.
    _watches.append(
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, env=unmarked
        )
    )


def orphans(mark: str) -> Iterator[int]:
    """The processes that carry the mark and have lost their parent."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if parent == "1":
                    yield int(folder.name)


def end(mark: str) -> None:
    """Kills them, and removes the folders of servers among them."""
    home = Path(tempfile.gettempdir())
    for _ in range(LOOKS):
        for pid in orphans(mark):
            with contextlib.suppress(OSError):
                folder = Path(f"/proc/{pid}/cwd").resolve()
                os.kill(pid, signal.SIGKILL)
                served = next((p for p in (folder, *folder.parents) if p.parent == home), None)
                if served is not None and served.name.startswith("duolog-"):
                    shutil.rmtree(served, ignore_errors=True)
        time.sleep(BETWEEN_LOOKS_S)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1])
