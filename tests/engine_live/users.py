"""The users of one system: threads that write as fast as they are told to, each transaction with a token of its own.

A transaction is sent at once: it reads the row `FOR UPDATE`, overwrites one field with its token, adds to the amount,
and notes in `event` which token it overwrote. Users know nothing of duolog; they lose their connection when their
server is stopped, and come back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests import ground
from tests.engine_live.schema import code, placed
from tests.ground import MARIADB, POSTGRESQL, SQLITE, Session

WRITE: Final = """
WITH old AS (SELECT {code} AS key, {column} AS seen FROM {thing} WHERE {code} = %(thing)s FOR UPDATE),
     new AS (UPDATE {thing} AS t SET {column} = %(token)s, {amount} = t.{amount} + %(delta)s
             FROM old WHERE t.{code} = old.key)
INSERT INTO {event} ({token}, {of}, {field}, {saw}, {delta})
SELECT %(token)s, key, %(field)s, seen, %(delta)s FROM old
"""

MARIA_WRITE: Final = """
BEGIN;
SELECT {column} INTO @seen FROM {thing} WHERE {code} = %(thing)s FOR UPDATE;
UPDATE {thing} SET {column} = %(token)s, {amount} = {amount} + %(delta)s WHERE {code} = %(thing)s;
INSERT INTO {event} ({token}, {of}, {field}, {saw}, {delta}) VALUES (%(token)s, %(thing)s, %(field)s, @seen, %(delta)s);
COMMIT
"""
"""What came to be read, changed and noted in one statement has to be said in several: sent together, so that no user
keeps a row locked while he is on the line. A thing that is gone is noted in vain: the event refers to it."""

SQLITE_WRITE: Final = """
BEGIN IMMEDIATE;
INSERT INTO {event} ({token}, {of}, {field}, {saw}, {delta})
SELECT %(token)s, {code}, %(field)s, {column}, %(delta)s FROM {thing} WHERE {code} = %(thing)s;
UPDATE {thing} SET {column} = %(token)s, {amount} = {amount} + %(delta)s WHERE {code} = %(thing)s;
COMMIT
"""
"""Here nobody else writes meanwhile: what is overwritten can be noted first."""
WRITES: Final = {POSTGRESQL: WRITE, MARIADB: MARIA_WRITE, SQLITE: SQLITE_WRITE}

RECONNECT_S: Final = 0.05


@dataclass(slots=True)
class Told:
    """What the users of all systems were told by their databases; safe for many threads."""

    committed: set[str] = field(default_factory=set)
    """Tokens whose COMMIT was answered."""
    doubtful: set[str] = field(default_factory=set)
    """Tokens whose COMMIT was not answered: the connection broke."""
    retried: int = 0
    """Deadlocks and the like: rolled back, and known to be."""
    slowest_s: float = 0.0
    """The longest that one transaction took."""
    failures: list[BaseException] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Users:
    """The users of one system. `rate`: transactions a second of all together. `things`: how many rows they write to.
    `hot`: how many of them take half of all writes."""

    def __init__(
        self, system: str, address: str, told: Told, *, rate: float, threads: int = 3, things: int = 1000,
        hot: int = 50, seed: int = 1, own: float = 0.5, first: int = 0, adding: bool = True,
    ) -> None:
        self.system = system
        self.address = address
        self.told = told
        self.things = things
        self.hot = hot
        self.own = own
        """How many of the writes go to the system's own column."""
        self.first = first
        """The number of the first row that they write to."""
        self.adding = adding
        """They add to the amount, too."""
        self._pause_s = threads / rate
        self._over = threading.Event()
        self._connections = 0
        self._statements = {name: self._statement(name) for name in ("shared", f"of_{system}")}
        self._threads = [
            threading.Thread(target=self._guarded, args=(number, Random(f"{seed} {system} {number}")), daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Everybody begins to write."""
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Returns when the last transaction has ended."""
        self._over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def stop(self) -> None:
        """The same. Raises what a user died of."""
        self.leave()
        if self.told.failures:
            raise self.told.failures[0]

    def _statement(self, name: str) -> str:
        of = ground.kind(self.address)
        return placed(WRITES[of].replace("{column}", "{" + name + "}"), self.system, of)

    def _guarded(self, number: int, chance: Random) -> None:
        try:
            self._work(number, chance)
        except BaseException as error:  # noqa: BLE001 - told by `stop`
            self.told.failures.append(error)

    def _work(self, number: int, chance: Random) -> None:
        sign = f"{self.system}-{number}-{chance.randrange(16**6):06x}"
        written = 0
        while not self._over.is_set():
            try:
                with Session(self.address) as session:
                    due = time.monotonic()
                    while not self._over.wait(max(0.0, due - time.monotonic())):
                        written += 1
                        self._write(session, f"{sign}-{written}", chance)
                        due = max(due + self._pause_s, time.monotonic() - 1.0)
            except ground.Error as error:
                if not ground.broken(error):
                    raise
                self._over.wait(RECONNECT_S)  # the server is away; its users try again

    def _write(self, session: Session, token: str, chance: Random) -> None:
        name = f"of_{self.system}" if chance.random() < self.own else "shared"
        thing = self.first + chance.randrange(self.hot if chance.random() < 0.5 else self.things)
        delta = chance.randrange(-5, 10) if name == "shared" and self.adding else 0
        begun = time.monotonic()
        try:
            given = {"thing": code(thing), "token": token, "field": name, "delta": delta}
            done = session.execute(self._statements[name], given)
        except ground.Error as error:
            with self.told.lock:
                if ground.broken(error):
                    self.told.doubtful.add(token)
                elif ground.passing(error):
                    self.told.retried += 1
            if not ground.passing(error):
                raise
            session.rollback()
            return
        assert session.kind != POSTGRESQL or done.rowcount == 1, f"`{code(thing)}` is gone from {self.system}"
        with self.told.lock:
            self.told.committed.add(token)
            self.told.slowest_s = max(self.told.slowest_s, time.monotonic() - begun)


def write_for(seconds: float, users: Sequence[Users]) -> float:
    """Lets them write for so long; answers how long it really was."""
    begun = time.monotonic()
    for each in users:
        each.start()
    threading.Event().wait(seconds)
    for each in users:
        each.stop()
    return time.monotonic() - begun
