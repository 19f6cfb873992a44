"""Tries that the processes of a run share a server: it is started once, and stopped when the last one is done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
USER = """
import sys
from pathlib import Path
from tests.kafka.shared import shared
folder = Path(sys.argv[1])

def start():
    with (folder / "told").open("a") as told:
        told.write("started ")

    def stop():
        with (folder / "told").open("a") as told:
            told.write("stopped ")

    return {"port": 1}, stop

with shared(folder, "server", start) as told:
    print(told["port"], flush=True)
    sys.stdin.read()
"""


def user(folder: Path) -> subprocess.Popen[str]:
    """A process that uses the server until its input ends. It does when this is returned."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HOME
    )
    assert process.stdout is not None and process.stdout.readline() == "1\n"
    return process


def done(process: subprocess.Popen[str]) -> None:
    """Lets it end, without waiting for it."""
    assert process.stdin is not None
    process.stdin.close()


def ended(process: subprocess.Popen[str]) -> int:
    """Its exit code, once it has ended."""
    code = process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    return code


def test_who_started_a_server_waits_for_who_uses_it(tmp_path: Path) -> None:
    first, second = user(tmp_path), user(tmp_path)
    done(first)
    third = user(tmp_path)  # comes while the first one waits
    done(second)
    assert ended(second) == 0
    assert (tmp_path / "told").read_text() == "started "
    done(third)
    assert (ended(third), ended(first)) == (0, 0)
    assert (tmp_path / "told").read_text() == "started stopped "


def test_who_dies_holds_nobody_up_and_the_next_one_starts_it_anew(tmp_path: Path) -> None:
    first, second = user(tmp_path), user(tmp_path)
    second.kill()
    done(second)
    ended(second)
    done(first)
    assert ended(first) == 0
    third = user(tmp_path)
    done(third)
    assert ended(third) == 0
    assert (tmp_path / "told").read_text() == "started stopped started stopped "
