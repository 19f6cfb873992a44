"""Turns the start of a `duolog` command into a fork of a process that has read the program already.

Reading its modules takes a command longer than all that most tests ask of it. So one process a test run reads them
once, and every command that a test starts is a fork of that: a process of its own, child of the test, with its own
arguments, environment, folder, streams and signals, that runs the program from its first line and ends as any other.
It never does the work of a command itself.

Commands start cold, as a person's do, where forks cannot be handed over (not Linux), where the environment says how
Python itself starts, and everywhere with `DUOLOG_COLD=1`.
"""

from __future__ import annotations

import array
import atexit
import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

HOME: Final = Path(__file__).resolve().parents[1]
PROGRAM: Final = "service.cli"
COMMAND: Final = [sys.executable, "-m", PROGRAM]
READ_AT_START: Final = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "TERM", "FORCE_COLOR", "PY_COLORS", "COVERAGE")
"""How variables begin that are read before a command can be told of its own."""

PR_SET_CHILD_SUBREAPER: Final = 36
LENGTH_BYTES: Final = 4


# ---------------------------------------------------------------- in the tests


class WarmPopen(subprocess.Popen[Any]):
    """`subprocess.Popen` that has commands of `duolog` forked, and starts everything else as ever."""

    def _execute_child(self, *given: Any) -> None:
        (args, executable, preexec_fn, _, pass_fds, cwd, env, _, _, shell, p2cread, p2cwrite, c2pread, c2pwrite,
         errread, errwrite, _, gid, gids, uid, umask, start_new_session, process_group) = given  # fmt: skip
        plain = not (executable or preexec_fn or pass_fds or shell) and (gid, gids, uid) == (None, None, None)
        plain = plain and (umask, process_group) == (-1, -1)
        warm = _SOURCE.of(args, os.environ if env is None else env) if plain else None
        if warm is None:
            super()._execute_child(*given)  # type: ignore[misc]
            return
        streams = [own if own != -1 else number for number, own in enumerate((p2cread, c2pwrite, errwrite))]
        what = {
            "arguments": [str(word) for word in args[len(COMMAND) :]],
            "environment": dict(os.environ if env is None else env),
            "folder": os.fspath(cwd) if cwd is not None else os.getcwd(),
            "session": bool(start_new_session),
        }
        self.pid = warm.fork(what, streams)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


class _Source:
    """The process that commands are forked from, started with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[Any] | None = None
        self._read_at_start: dict[str, str] = {}
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def of(self, args: Any, environment: Mapping[str, str]) -> _Source | None:
        """Itself where this is a command that it can start; None where it has to start cold."""
        cold = self._libc is None or os.environ.get("DUOLOG_COLD") == "1"
        if cold or not isinstance(args, list) or args[: len(COMMAND)] != COMMAND:
            return None
        read_at_start = {k: v for k, v in environment.items() if k.startswith(READ_AT_START)}
        with self._lock:
            if self._line is None:
                self._begin(environment)
                self._read_at_start = read_at_start
        return self if read_at_start == self._read_at_start else None

    def fork(self, what: Mapping[str, Any], streams: Sequence[int]) -> int:
        """The process of a new command, a child of this one's."""
        assert self._line is not None and self._libc is not None
        with self._lock:
            # An orphan comes to the nearest forebear that asked for orphans: only now, and only for this.
            self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                text = json.dumps(what).encode()
                socket.send_fds(self._line, [len(text).to_bytes(LENGTH_BYTES, "big")], list(streams))
                self._line.sendall(text)
                answer = _received(self._line, LENGTH_BYTES)
            finally:
                self._libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        return int.from_bytes(answer, "big")

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = COLD(
                [sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=HOME,
            )  # fmt: skip
        atexit.register(self._end)

    def _end(self) -> None:
        assert self._line is not None and self._process is not None
        self._line.close()
        self._process.wait()


COLD: Final = subprocess.Popen
"""What starts a command as a person does."""
_SOURCE: Final = _Source()


def install() -> None:
    """From now on every `duolog` command that this process starts is forked."""
    subprocess.Popen = WarmPopen  # type: ignore[misc]


def _received(line: socket.socket, count: int) -> bytes:
    """So many bytes. Raises EOFError if the other end is gone."""
    found = b""
    while len(found) < count:
        part = line.recv(count - len(found))
        if not part:
            raise EOFError("the process that commands are forked from is gone")
        found += part
    return found


# ---------------------------------------------------------------- in the process that is forked


def _serve(line: socket.socket) -> bool:
    """Forks a process for every command asked for. True in such a process, False when nobody asks any more."""
    while True:
        head, streams, _, _ = socket.recv_fds(line, LENGTH_BYTES, 3)
        if not head:
            return False
        what = json.loads(_received(line, int.from_bytes(head, "big")))
        pid = _orphan()
        if pid == 0:
            line.close()
            _become(what, streams)
            return True
        for stream in streams:
            os.close(stream)
        line.sendall(pid.to_bytes(LENGTH_BYTES, "big"))


def _orphan() -> int:
    """Forks a process whose parent has ended already: 0 in it, its number here."""
    ours, theirs = os.pipe()
    middle = os.fork()
    if middle == 0:
        pid = os.fork()
        if pid:
            os.write(theirs, array.array("i", [pid]).tobytes())
            os._exit(0)
        os.close(ours)
        os.close(theirs)
        return 0
    os.close(theirs)
    os.waitpid(middle, 0)
    number = array.array("i", os.read(ours, array.array("i").itemsize))
    os.close(ours)
    return number[0]


def _become(what: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Takes on what the command was given."""
    if what["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(what["environment"])
    os.chdir(what["folder"])
    sys.path[0] = what["folder"]
    del sys.modules[PROGRAM]  # it runs as `__main__`
    sys.argv[:] = [PROGRAM, *what["arguments"]]


def main() -> None:
    """Reads the program, forks commands until the tests have ended, and is a command in each fork."""
    line = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the tests, which end this one
    __import__(PROGRAM)
    gc.collect()
    gc.freeze()  # so that forks share the memory
    if _serve(line):
        runpy.run_module(PROGRAM, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
