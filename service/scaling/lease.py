"""The right to be one partition's engine, or one system's reader, until somebody else takes it over.

Turns a store in PostgreSQL into a lease: its lock belongs to one session, and each holder counts its epoch one up. Who
takes over waits a moment for the former holder to end by itself, then ends its session; so a former holder that was
frozen can commit nothing more there, and learns by `check` that its time is over before it opens anything else again.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from typing import Any, Final

from adapters.store import SqlStore
from engine.errors import DuologError, Fenced, StoreUnfit
from engine.fence import Fence, overtaken
from rules import RuleFile
from service.wiring import open_part

POLITE_S: Final = 5.0
"""A holder that lives, and knows that it was relieved, ends what it has in hand within this time."""
EPOCH: Final = "epoch"


class Lease:
    """See the module. `store` is the holder's own, to be used as any engine's."""

    def __init__(self, rules: RuleFile, part: str) -> None:
        """Takes it over. Raises StoreUnfit, StoreBusy."""
        self.part = part
        self.store: SqlStore = open_part(rules, part, create=True)
        try:
            self.store.lock(POLITE_S)
            self.epoch = int(self.store.recall(EPOCH) or 0) + 1
            self.store.remember(EPOCH, str(self.epoch))
        except BaseException:
            self.store.close()
            raise

    @property
    def fence(self) -> Fence:
        """What is shown to targets."""
        return Fence(self.epoch, self.check)

    def check(self) -> None:
        """Raises Fenced if somebody else has it now, or if that cannot be known. Any thread."""
        try:
            epoch = int(self.store.recall(EPOCH) or 0)
        except StoreUnfit as error:
            raise Fenced(f"the lease of `{self.part}` is lost: {error.found}",
                         mend="none needed: it is taken again, or another worker has it") from None  # fmt: skip
        if epoch != self.epoch:
            raise overtaken("", self.epoch, epoch)

    def explain(self, error: DuologError) -> None:
        """Raises Fenced if that is why the error came: nobody takes again at once what another has taken."""
        try:
            self.check()
        except Fenced as overtaken:
            raise overtaken from error

    def tell(self, document: dict[str, Any], *, running: bool) -> str:
        """Keeps what the holder tells of itself, for `duolog status`, unless somebody else is the holder now. Answers
        why it could not, in words, or nothing."""
        who = {"running": running, "pid": os.getpid(), "host": socket.gethostname(), "at": time.time()}
        try:
            self.check()
            self.store.set_status(json.dumps(document | {"epoch": self.epoch, "engine": who}))
        except Fenced:
            return ""  # its successor tells
        except StoreUnfit as error:
            return str(error)
        return ""

    def close(self) -> None:
        """Lets go of it."""
        with suppress(StoreUnfit):
            self.store.close()
