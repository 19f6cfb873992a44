"""Was a user answered too early, or never? The laws S1 to S3 of systems whose users wait at COMMIT.

Turns the moment of an answer into nothing, or an AssertionError. What is right it knows from what users wrote and saw,
and from the rows of the other systems at that very moment; of the engine it reads only what is durably listed: the
journal, what is held, in quarantine or stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapters.memory import MemoryStore, MemorySystem
from engine.decide import Decider
from engine.record import STOPPED, Record
from engine.rulebook import RuleBook
from engine.vocabulary import JournalEntry, Position
from tests.simulation.synchronous.users import Commit, SynchronousUsers
from tests.simulation.users import Fate, Name, plain
from tests.simulation.wording import pieces

FORGOTTEN = ("in quarantine", "stopped", "held")
"""Reasons to answer that a crash would take away, if the decision was not durable."""


class Auditor:
    """See the module."""

    def __init__(
        self, book: RuleBook, databases: Mapping[str, MemorySystem], store: MemoryStore, fate: Fate,
        users: SynchronousUsers, decider: Callable[[], Decider], delivered: Callable[[], Mapping[str, Position]],
    ) -> None:
        """`delivered`: by synchronous system, up to where the engine has told it."""
        self.book = book
        self.databases = databases
        self.store = store
        self.fate = fate
        self.users = users
        self.decider = decider
        self.delivered = delivered
        self.seen: dict[str, int] = {}
        """How often what was met, so that a test can tell that nothing is asleep."""
        self.read_to = 0
        self.lost: set[str] = set()
        self.named: dict[Name, list[JournalEntry]] = {}

    def count(self, what: str) -> None:
        """Notes that something was met."""
        self.seen[what] = self.seen.get(what, 0) + 1

    # ------------------------------------------------------------ S1

    def answered(self, system: str, position: Position) -> None:
        """A user has just been told OK, because it is delivered."""
        self.count("answered")
        commit = self.users.commits[system, position]
        if self.fate.put_back:
            return
        self._read_journal()
        for token, (name, column) in commit.tokens.items():
            for other in self.databases:
                if other != system and column in self.databases[other].columns(name[0]):
                    why = self._has(commit, other, token, name, column)
                    assert why, (
                        f"S1: {system} {position} was answered, and {other} has not {token} ({name}.{column}): "
                        f"{self.databases[other].rows[name[0]].get(name[1])}"
                    )
                    self._count_answer(commit, why)
        for name, made in commit.gone.items():
            if self.book.entities[name[0]].delete[system] == "propagate":
                for other in self.databases:
                    if other != system and name[1] in self.databases[other].rows[name[0]]:
                        why = self._may_be_there(commit, other, name, made)
                        assert why, f"S1: {system} {position} was answered, and {other} still has {name}"
                        self._count_answer(commit, why)

    def _count_answer(self, commit: Commit, why: str) -> None:
        """S3: what only the engine's memory knows is no reason to answer anybody."""
        durable = self.store.positions.get(commit.system, 0)
        assert commit.position <= durable or why not in FORGOTTEN, (
            f"S3: {commit.system} {commit.position} was answered ({why}), durable is {durable}"
        )
        self.count(why)

    def _has(self, commit: Commit, other: str, token: str, name: Name, column: str) -> str:
        """Why this user may be answered, as far as one value and one system go; "": he may not."""
        database = self.databases[other]
        names: set[Name] = {name, *self.fate.written[token][1]}
        for entity, key in sorted(names):
            row = database.rows[entity].get(key)
            value = row[database.columns(entity).index(column)] if row is not None else None
            if value is not None and token in self.users.line(plain(value)):
                return "there" if plain(value) == token else "succeeded"
            if row is not None and value is None and token in self.fate.succeeded:
                return "succeeded"
        if any(token in self.users.line(lost) for lost in self.lost):
            return "overruled"
        if any(token in self.users.line(gone) for gone in self.users.dropped) or any(
            (each, column) in self.fate.buried for each in names
        ):
            return "deleted by one who saw it"
        if any(self._is_gone(each) for each in names):
            return "deleted"
        return next((why for each in sorted(names) if (why := self._excuse(commit, other, each, column))), "")

    def _may_be_there(self, commit: Commit, other: str, name: Name, made: int) -> str:
        row = self.databases[other].rows[name[0]][name[1]]
        tokens = {plain(value) for value in row if value is not None} & self.fate.written.keys()
        if self.users.made.get(name, 0) > made or tokens - self.users.dropped:
            return "made again"
        if any(entry.kind != "released" for entry in self.named.get(name, ())):
            return "deletion overruled"
        return self._excuse(commit, other, name, None)

    def _is_gone(self, name: Name) -> bool:
        return any(
            (not entry.fields and entry.kind != "released") or entry.kind == "delete_differs"
            for entry in self.named.get(name, ())
        )

    def _excuse(self, commit: Commit, other: str, name: Name, column: str | None) -> str:
        """What else may be the reason: refused, left to a person, let go early."""
        if any(place[1:] == name for place in self.fate.unlogged):
            return "unlogged"
        if any(e.kind == "released" for e in self.store.journal[commit.told :] if (e.entity, e.key) == name):
            return "let go early"
        record = self.decider().record(*name)
        if record is None:
            return ""
        if self.book.synchronous[commit.system].refused == "wait":
            return ""
        return self._refused(record, name, (commit.system, other), column)

    def _refused(self, record: Record, name: Name, systems: tuple[str, str], column: str | None) -> str:
        sides = [record.sides[s] for s in systems if s in record.sides]
        if any(side.bad for side in sides):
            return "in quarantine"
        if any(side.wait == STOPPED for side in sides):
            return "stopped"
        registers = {f.name: f.register for f in self.book.entities[name[0]].fields}
        if 0 in record.holds or (column is not None and registers[column] in record.holds):
            return "held"
        return ""

    def _read_journal(self) -> None:
        for entry in self.store.journal[self.read_to :]:
            self.lost.update(plain(piece) for value in entry.lost for piece in pieces(value))
            self.named.setdefault((entry.entity, entry.key), []).append(entry)
        self.read_to = len(self.store.journal)

    # ------------------------------------------------------------ S2

    def unexplained(self) -> list[Commit]:
        """Of those who wait though nothing happens any more: whom no refusal explains.

        With `when_refused: wait` a refused write's user waits, all that come after him in the log, all whose writes
        meet their locks, and so on. After a crash nobody knows any more whose write was refused, nor is it noted for a
        transaction larger than memory."""
        refused = self._refusals()
        waiting = [self.users.commits[s, p] for s, d in self.databases.items() for p in d.waiting]
        undelivered = [c for (s, p), c in self.users.commits.items() if p > self.delivered().get(s, p)]
        waits = {s for s, rules in self.book.synchronous.items() if rules.refused == "wait"}
        explained: dict[tuple[str, Position], Commit] = {}
        grown = True
        while grown:
            grown = False
            locked = {name for commit in explained.values() for name in commit.names}
            systems = {system for system, _ in explained}
            locked |= {name for system, name in self.decider().locked if system in systems}  # what came with these
            for commit in undelivered:
                place = (commit.system, commit.position)
                if place in explained:
                    continue
                coarse = commit.large or commit.crashes != self.users.crashed()
                forgotten = coarse and (refused if commit.system in waits else locked)
                own = (commit.system in waits and refused & commit.names) or forgotten
                before = any(s == commit.system and p < commit.position for s, p in explained)
                if own or before or locked & commit.names:
                    explained[place] = commit
                    grown = True
        return [commit for commit in waiting if (commit.system, commit.position) not in explained]

    def _refusals(self) -> set[Name]:
        found = {(entity, key) for entity, key, _ in [*self.store.quarantine, *self.store.holds]}
        for entity in self.book.entities:
            for key in self.store.records.get(entity, {}):
                record = self.decider().record(entity, key)
                if record is not None and any(side.wait == STOPPED for side in record.sides.values()):
                    found.add((entity, key))
        return found
