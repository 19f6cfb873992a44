"""Databases of a test's own making: its tables, its rules, duolog between them, and SQL at hand on each side.

What happens "at the same time" on both sides is made certain by `apart`: the engine is stopped in order, both sides
write, and it is started again: no write can then have seen the other side's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import ground
from tests.engine_live.world import Live, eventually
from tests.ground import Plain, Row, Session


class Pair:
    """See the module. `ddl`: by system, what is to be there before `duolog setup`."""

    def __init__(
        self, folder: Path, name: str, addresses: Mapping[str, str], entities: str, ddl: Mapping[str, str]
    ) -> None:
        self.addresses = dict(addresses)
        self.kinds = {s: ground.kind(a) for s, a in addresses.items()}
        self._sessions = {s: Session(a) for s, a in addresses.items()}
        for system, statements in ddl.items():
            self.sql(system, statements)
        text = f"duolog: 1\nname: {name}\nsystems:\n{self._systems()}entities:\n{entities}"
        self.live = Live(folder, text, {s: ground.account(a) for s, a in addresses.items()})
        self.live.call("setup")

    def _systems(self) -> str:
        words = {s: ground.adapter(a) for s, a in self.addresses.items()}
        return "".join(f'  {s}: {{adapter: {word}, url: "${{{s.upper()}_URL}}"}}\n' for s, word in words.items())

    def session(self, system: str) -> Session:
        """A further session of a user, in which transactions stay open until they are committed."""
        return Session(self.addresses[system], autocommit=False)

    def sql(self, system: str, *statements: str, **given: Any) -> list[Row]:
        """Carries out statements in one transaction; the rows of the last. `given`: what `{name}` stands for in them,
        a value, a `ground.Name`, or a `ground.Plain`."""
        session = self._sessions[system]
        with session.transaction():
            for statement in statements:
                rows = session.rows(ground.filled(session.kind, statement, given))
        return rows

    def series(self, system: str, first: int, last: int) -> Plain:
        """Numbers `i` from `first` to `last`, as a table in a statement for this system."""
        return ground.series(self.kinds[system], first, last)

    def both(self, erp: str, crm: str | None = None) -> None:
        """The same statement (or two) on both sides."""
        self.sql("erp", erp)
        self.sql("crm", erp if crm is None else crm)

    def start(self, *arguments: str) -> None:
        """Starts the engine and waits until it works."""
        self.live.run(*arguments)
        self.live.running()

    def stop(self) -> None:
        """Stops it in order."""
        assert self.live.stop() == 0, self.live.log_tail()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """While the engine is stopped, both sides write."""
        if self.live.pid is not None:
            self.stop()
        yield
        self.start()

    def becomes(
        self, system: str, query: str, expected: list[Row], within_s: float = 15.0, **given: Any
    ) -> None:
        """Waits until a query answers this."""

        def as_expected() -> bool:
            self.live.must_live()
            return self.sql(system, query, **given) == expected

        eventually(as_expected, within_s, lambda: (
            f"{system}: {query}\nfound    {self.sql(system, query, **given)}\nexpected {expected}\n"
            f"{self.live.log_tail()}"
        ))  # fmt: skip

    def become(self, query: str, expected: list[Row], within_s: float = 15.0) -> None:
        """Waits until a query answers this on every side."""
        for system in self.addresses:
            self.becomes(system, query, expected, within_s)

    def journal(self, entity: str, key: str) -> list[dict[str, Any]]:
        """What the journal has of a record, oldest first."""
        found = self.live.json("journal", "--entity", entity, "--key", key)
        assert isinstance(found, list)
        return found[::-1]

    def quarantine(self) -> dict[tuple[str, str, str], str]:
        """(entity, key, system) → reason."""
        return {(q["entity"], q["key"], q["system"]): q["reason"] for q in self.live.json("quarantine")}

    def comes_to(self, look: Callable[[], Any], expected: Any, within_s: float = 15.0) -> None:
        """Waits until a look at what the engine has noted finds this: a row may arrive before that is noted."""
        eventually(lambda: look() == expected, within_s, lambda: (
            f"found    {look()}\nexpected {expected}\n{self.live.log_tail()}"
        ))  # fmt: skip

    def close(self) -> None:
        """The end, however it came."""
        self.live.go_home()
        for session in self._sessions.values():
            session.close()
