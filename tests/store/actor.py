"""A process that uses a store beside a test: `python -m tests.store.actor VERB URL`. Tells each step in a line."""

from __future__ import annotations

import itertools
import resource
import signal
import sys

from adapters.store import SqlStore
from engine.errors import DuologError
from engine.ports import Delta, Pending

RECORDS = 400


def hold(url: str) -> None:
    """Becomes the engine and stays it until the end of its input."""
    store = SqlStore.open(url, name="demo")
    store.lock()
    print("held", flush=True)
    sys.stdin.read()
    store.close()


def rewrite(url: str) -> None:
    """Writes all records anew in step after step, each in two writes and a commit, and tells each durable step."""
    store = SqlStore.open(url, name="demo")
    for number in itertools.count(store.state().number + 1):
        keys = [("customer", f"{key:05}") for key in range(RECORDS)]
        state = b"%d " % number * 80
        items = {("key", str(value), f"{number:06}"): b"%d" % number for value in range(RECORDS)}
        gone = {("key", str(value), f"{number - 1:06}"): None for value in range(RECORDS)}
        store.write(Delta(records=dict.fromkeys(keys[: RECORDS // 2], state)))
        store.commit(
            Delta(
                records=dict.fromkeys(keys[RECORDS // 2 :], state),
                entries={**items, **gone},
                positions={"erp": number},
                pending=[Pending(number, keys)],
                pending_done_to=number - 1,
                number=number,
            )
        )
        print(number, flush=True)


def ask(url: str) -> None:
    """Leaves a request and tells its id."""
    store = SqlStore.open(url, name="demo", create=False)
    print(store.ask("retry", {"entity": "customer"}, "someone"), flush=True)
    store.close()


def limited(url: str) -> None:
    """Writes with no file allowed to grow above two megabytes, as on a full disk, and tells how it ended."""
    store = SqlStore.open(url, name="demo")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
    for number in itertools.count(1):
        try:
            store.commit(Delta(records={("customer", str(key)): b"x" * 4000 for key in range(100)}, number=number))
        except DuologError as error:
            print(number - 1, type(error).__name__, flush=True)
            break
    try:
        store.commit(Delta(number=number + 1))
    except DuologError as error:
        print("again", type(error).__name__, flush=True)


if __name__ == "__main__":
    {"hold": hold, "rewrite": rewrite, "ask": ask, "limited": limited}[sys.argv[1]](sys.argv[2])
