"""Kills a test process without a word, and looks what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[1]
STARTED = """
import time
from service.embedded import EmbeddedServer
from tests import left_behind
left_behind.watch()
server = EmbeddedServer()
server.start()
print(server.pid, server.folder, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what is left behind is ended on Linux only")
def test_a_server_ends_with_the_test_process_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTED], cwd=HOME, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, folder = process.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists() and Path(folder).is_dir()
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (Path(f"/proc/{pid}").exists() or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)  # between two looks

    assert not Path(f"/proc/{pid}").exists()
    assert not Path(folder).exists()
    assert Path(f"/proc/{os.getpid()}").exists()
