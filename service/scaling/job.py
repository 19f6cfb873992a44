"""One thing that a worker does as long as it is its own: a thread that begins again after every error but one.

Turns a body that runs until it is asked to stop into one that is also begun anew: soon after what may pass, late after
what a person has to mend, and after it was overtaken only if Kafka still says that it is ours. What it fails of is told
in its store and in the log, and ends neither its neighbours nor the worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from engine.errors import DuologError, Fenced, StoreUnfit, SystemUnavailable

PAUSE_FIRST_S, PAUSE_MOST_S = 0.2, 10.0
MENDED_S: Final = 30.0
"""After what a person has to mend it is tried again so often."""
OVERTAKEN_S: Final = 4.0
"""Whoever has overtaken us should have it; if it is still said to be ours then, we take it again. Longer than it takes
the group to tell a worker that was frozen that it went on without him."""

Tell = Callable[[str, str], None]
"""Told (action, detail): one line of the log."""


class Job:
    """Runs `work` in a thread of its own. Subclasses say what that is."""

    name = ""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.stopping = threading.Event()
        self.trouble = ""
        self.state = "starting"
        self._thread: threading.Thread | None = None
        self.died: BaseException | None = None
        """A defect: nothing runs on half alive."""

    def work(self) -> None:
        """Does it until `stopping` is set. Raises DuologError."""
        raise NotImplementedError

    def ask(self) -> None:
        """Before it is taken again from whoever overtook us. Raises DuologError if nobody can tell us whose it is."""

    def interrupt(self) -> None:
        """Has `work` end soon; `stopping` is set."""

    def document(self) -> dict[str, Any]:
        """How it is doing."""
        return {"state": self.state, "trouble": self.trouble}

    def start(self) -> None:
        """Begins."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; see `wait`."""
        self.stopping.set()
        self.interrupt()

    def wait(self, timeout_s: float) -> bool:
        """True once it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def tell(self, action: str, detail: str) -> None:
        """A line of the log, with this job's name."""
        self._tell(f"{self.name}: {action}", detail)

    def _run(self) -> None:
        pause, overtaken = PAUSE_FIRST_S, False
        while not self.stopping.is_set():
            try:
                if overtaken:
                    self.ask()
                    overtaken = False
                self.work()
                pause = PAUSE_FIRST_S
            except Fenced as error:
                overtaken = True
                self._troubled("overtaken", error)
                pause = OVERTAKEN_S
            except (SystemUnavailable, StoreUnfit) as error:
                self._troubled("unavailable", error)
                pause = min(max(pause, PAUSE_FIRST_S) * 2, PAUSE_MOST_S)
            except DuologError as error:
                self._troubled("stopped", error)
                pause = MENDED_S
            except BaseException as error:  # noqa: BLE001 - told by the worker, with its cause
                self.died = error
                break
            self.stopping.wait(pause)
        self.state = "ended"

    def _troubled(self, state: str, error: DuologError) -> None:
        self.state, self.trouble = state, str(error)
        if not self.stopping.is_set():
            self.tell(state, str(error))
