"""What users do to a system: transactions of inserts, updates, deletions and changed keys, each value a unique token.

Turns a random number generator into committed (or, on purpose, unlogged) changes of a `MemorySystem`, and tells the
oracle's `Fate` what was written, seen and overwritten. It never asks the engine anything, and never breaks a constraint
of its own system: a real database would have refused that.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.memory import MemorySystem
from engine.vocabulary import Change, Text
from tests.simulation.books import GRADES, LACKING, MARK, NUMERIC, UNREADABLE, UNSTORABLE
from tests.simulation.features import Features
from tests.simulation.wording import BAD, STAGES, pieces

KEYS = tuple(f"k{i}" for i in range(5))
ORDER_KEYS = tuple(f"o{i}" for i in range(4))
SLOTS = ("1", "2", "3")
POISON = "!"
"""In a value: a constraint of `crm` refuses it."""

_DECORATION = str.maketrans("", "", "()-")
"""What `phone` is spelled with, and the sign of a number."""

Name = tuple[str, str]
"""(entity, key)"""
Tell = Callable[[str], None]


def plain(value: object) -> str:
    """A token as it was before any trigger or codec rewrote it."""
    return str(value).lower().rstrip(".x").lstrip(MARK).translate(_DECORATION)


@dataclass
class Fate:
    """What the oracle knows of users' writes, without asking the engine."""

    written: dict[str, tuple[str, list[Name], str]] = field(default_factory=dict)
    """token → (system, records, field): the record it was written to, and those that took over its key's row"""
    succeeded: set[str] = field(default_factory=set)
    """Tokens that a user saw and overwrote, or deleted with the row."""
    buried: set[tuple[Name, str]] = field(default_factory=set)
    """(record, field) of records that were deleted where there is no column for that field."""
    points: dict[str, int] = field(default_factory=dict)
    """By key: the sum of all differences that users made to `points`."""
    deleted: set[str] = field(default_factory=set)
    """Items that some user deleted, or gave another key, at some time."""
    made: dict[str, int] = field(default_factory=dict)
    """How often users inserted an item, in whatever system."""
    unlogged: set[tuple[str, str, str]] = field(default_factory=set)
    """(system, entity, key) that was changed outside the log."""
    when: dict[str, int] = field(default_factory=dict)
    """Token → the true time when it was committed, microseconds."""
    against: dict[str, str] = field(default_factory=dict)
    """Token → the item: a `rate` written by somebody who was not its owner in the state that he had before him."""
    settled: set[str] = field(default_factory=set)
    """Items of which a person has resolved something: he may take what breaks a check."""
    put_back: bool = False
    """A person had writes taken back: sums are no longer known."""


class Users:
    """The users of all systems. See the module."""

    def __init__(
        self, dice: random.Random, features: Features, databases: dict[str, MemorySystem], fate: Fate, tell: Tell | None
    ) -> None:
        self.dice = dice
        self.features = features
        self.databases = databases
        self.fate = fate
        self.tell = tell
        self.may: Callable[[str, str, str], bool] = lambda system, entity, key: True
        """Whether a user of a system may write a record now (the kind of history says so)."""
        self.waits: Callable[[str], bool] = lambda system: False
        """Whether the user of a system who commits now waits until the others have it."""
        self.tokens = 0
        self.unstamped: list[str] = []
        """Tokens that are not committed yet."""
        self.now = 10_000_000_000
        """The true time, microseconds; nobody's clock need show it."""

    # ------------------------------------------------------------ transactions

    def transact(self, system: str) -> None:
        """One transaction of a user, committed and logged."""
        changes = self._operations(system)
        if changes:
            self.commit(system, changes)

    def commit(self, system: str, changes: list[Change]) -> None:
        """Writes a transaction to the log, stamped by the system's clock."""
        self.now += self.dice.choice((0, 1, 1000, 1000))
        self.fate.when.update(dict.fromkeys(self.unstamped, self.now))
        self.unstamped.clear()
        at = self.now + self.features.skew[system]
        self.databases[system].commit(changes, at, waits=self.waits(system))

    def sneak(self, system: str) -> None:
        """Changes that the log never tells: a restored table, a switched-off log."""
        changes = self._operations(system)
        self.unstamped.clear()
        for change in changes:
            image = change[2] if change[2] is not None else change[3]
            assert image is not None
            entity = self.databases[system].book.bound[system][change[0]].entity
            places = [self.databases[system].keys[entity](row) for row in change[2:] if row is not None]
            self.fate.unlogged.update((system, entity, key) for key in places)
            if self.tell:
                self.tell(f"{system} (unlogged: {places})")

    def _operations(self, system: str) -> list[Change]:
        sizes = (1, 1, 2, 3, 9) if self.features.huge else (1, 1, 2, 3)
        changes: list[Change] = []
        for _ in range(self.dice.choice(sizes)):
            order = self.features.orders and self.dice.random() < 0.35
            entity, key = ("order", self.dice.choice(ORDER_KEYS)) if order else ("item", self.dice.choice(KEYS))
            if not self.databases[system].is_locked(entity, key) and self.may(system, entity, key):
                changes += self._operation(system, entity, key)
        return changes

    def _operation(self, system: str, entity: str, key: str) -> list[Change]:
        """One statement, chosen by the dice; nothing if the database would refuse it."""
        database = self.databases[system]
        roll = self.dice.random()
        if key not in database.rows[entity]:
            return self.insert(system, entity, key)
        if self.features.deletes and roll < 0.12:
            again = self.features.rekeys and self.dice.random() < 0.3
            gone = self.delete(system, entity, key)
            return gone + self.insert(system, entity, key) if gone and again else gone
        if self.features.rekeys and roll > 0.95:
            return self.rekey(system, entity, key)
        return self.update(system, entity, key)

    # ------------------------------------------------------------ statements

    def insert(self, system: str, entity: str, key: str) -> list[Change]:
        """INSERT of a whole row."""
        values: dict[str, Text] = {"code": key}
        there = self._seen_items(system)
        if entity == "order" and not there:
            return []
        for name in self.databases[system].columns(entity):
            if name == "item":
                values[name] = self.dice.choice(there)
            elif name != "code":
                values[name] = self._value(system, entity, key, name, None)
        if entity == "item":
            values["points"] = "0"
            self._judge(system, key, values, values)
            self.fate.made[key] = self.fate.made.get(key, 0) + 1
        self._told(f"{system} inserts {entity} {key} {values}")
        return self.databases[system].insert(entity, values)

    def update(self, system: str, entity: str, key: str) -> list[Change]:
        """UPDATE of one to four columns, or of none."""
        row = self._row(system, entity, key)
        columns = [name for name in self.databases[system].columns(entity) if name != "code"]
        names = self.dice.sample(columns, min(len(columns), self.dice.choice((1, 1, 2, 4))))
        if self.dice.random() < 0.1:
            names = []  # a touched row: nothing of it changed
        values: dict[str, Text] = {}
        for name in names:
            if name == "item":
                values[name] = self.dice.choice(self._seen_items(system) or [row[name] or ""])
            else:
                values[name] = self._value(system, entity, key, name, row[name])
        self._judge(system, key, row, values)
        self._see(system, entity, key, [n for n in names if plain(values[n]) != plain(row[n])])
        self._told(f"{system} updates {entity} {key} {values}")
        return self.databases[system].update(entity, key, values)

    def touch(self, system: str, entity: str, key: str) -> list[Change]:
        """UPDATE of every column to what it is: the log carries the whole row."""
        self._told(f"{system} touches {entity} {key}")
        return self.databases[system].update(entity, key, self._row(system, entity, key))

    def delete(self, system: str, entity: str, key: str) -> list[Change]:
        """DELETE, unless others refer to the row."""
        if self.databases[system].has_children(entity, key):
            return []
        self._see(system, entity, key, self.databases[system].columns(entity))
        self.fate.succeeded.update(pieces(self._row(system, entity, key).get("tags")))
        self.fate.buried.update(((entity, key), name) for name in LACKING.get(system, ()))
        if entity == "item":
            self.fate.deleted.add(key)
        self._told(f"{system} deletes {entity} {key}")
        return self.databases[system].delete(entity, key)

    def rekey(self, system: str, entity: str, key: str) -> list[Change]:
        """UPDATE of the key itself, sometimes of something else too, where the new key is free and nobody refers."""
        database = self.databases[system]
        free = [k for k in (KEYS if entity == "item" else ORDER_KEYS) if k not in database.rows[entity]]
        free = [k for k in free if self.may(system, entity, k) and not database.is_locked(entity, k)]
        if not free or database.has_children(entity, key):
            return []
        new = self.dice.choice(free)
        values: dict[str, Text] = {"code": new}
        if self.dice.random() < 0.5:
            name = "name" if entity == "item" else "memo"
            self._see(system, entity, key, [name])
            values[name] = self._value(system, entity, new, name, None)
        if entity == "item":
            self.fate.deleted |= {key, new}
            self.fate.made[new] = self.fate.made.get(new, 0) + 1
        self.fate.buried.update(((entity, key), name) for name in LACKING.get(system, ()))
        self._move(entity, key, new)
        if (system, entity, key) in self.fate.unlogged:
            self.fate.unlogged.add((system, entity, new))
        self._told(f"{system} gives {entity} {key} the key {new} {values}")
        return database.update(entity, key, values)

    def _move(self, entity: str, key: str, new: str) -> None:
        """Whatever was written to a record, wherever, may go on under its new key."""
        for _, names, _ in self.fate.written.values():
            if (entity, key) in names:
                names.append((entity, new))

    def _seen_items(self, system: str) -> list[str]:
        database = self.databases[system]
        return [key for key in sorted(database.rows["item"]) if not database.is_unseen("item", key)]

    # ------------------------------------------------------------ values

    def _value(self, system: str, entity: str, key: str, name: str, now: Text) -> Text:
        """A new value: a unique token, a number, a difference, sometimes NULL."""
        if name == "points":
            change = self.dice.randrange(-5, 6)
            self.fate.points[key] = self.fate.points.get(key, 0) + (change if now is not None else 0)
            return str(int(now or "0") + change)
        if name in NUMERIC:
            return str(self.dice.randrange(1000))
        if name == "grade":
            return self._grade(system)
        if name == "slot":
            return self._slot(system)
        if name == "tags":
            return self._tags(system, key, now)
        if name == "stage":
            return self.dice.choice(tuple(STAGES) if system == "crm" else tuple(dict.fromkeys(STAGES.values())))
        if self.dice.random() < 0.05:
            return None
        if name == "phone":
            return self._phone(system, key, now)
        if name in ("credit", "floor"):
            self.tokens += 1
            value = str(self.dice.randrange(-3 if name == "credit" else 0, 9) * 1_000_000 + self.tokens)
            self.fate.written[plain(value)] = (system, [(entity, key)], name)
            return value
        if name == "full":
            return " ".join(self._token(system, entity, key, part) for part in ("given", "family"))
        token = self._token(system, entity, key, name)
        return token + "x" * self.dice.randrange(4) if name == "score" else token

    def _phone(self, system: str, key: str, now: Text) -> Text:
        """A new number, the old one in another spelling, or a text without any digit."""
        roll = self.dice.random()
        if roll < 0.05:
            return self.dice.choice(("none", "unknown"))
        again = roll < 0.35 and now is not None and plain(now) in self.fate.written
        token = plain(now) if again else self._token(system, "item", key, "phone")
        return self.dice.choice((token, f"({token[:3]}){token[3:]}", token.upper(), f"{token}-"))

    def _tags(self, system: str, key: str, now: Text) -> Text:
        """A list with something taken out of it, and mostly something added."""
        had = pieces(now) if now is not None else []
        kept = [tag for tag in had if self.dice.random() < 0.8]
        self.fate.succeeded.update(tag for tag in had if tag not in kept)
        if self.dice.random() < 0.8:
            kept.append(self._token(system, "item", key, "tags"))
        return "{" + ",".join(kept) + "}"

    def _judge(self, system: str, key: str, before: dict[str, Text], values: dict[str, Text]) -> None:
        """Notes a `rate` that its writer did not own in the state that he had before him."""
        rate = values.get("rate")
        if rate is not None:
            stage = before.get("stage")
            prospect = (STAGES.get(stage or "") if system == "crm" else stage) == "prospect"
            if system != ("crm" if prospect else "erp"):
                self.fate.against[plain(rate)] = key

    def _token(self, system: str, entity: str, key: str, name: str) -> str:
        self.tokens += 1
        token = f"{system}{self.tokens}"
        if self.features.poison and system != "crm" and name == "name" and self.dice.random() < 0.3:
            token += POISON
        if name == "seal" and self.dice.random() < 0.2:
            token += BAD
        self.fate.written[token] = (system, [(entity, key)], name)
        self.unstamped.append(token)
        return MARK + token if name == "first" and self.features.codecs and system == "crm" else token

    def _grade(self, system: str) -> Text:
        own = self.features.codecs and system == "crm"
        if self.features.strange and self.dice.random() < 0.2:
            return UNREADABLE if own else UNSTORABLE
        grade = self.dice.choice(sorted(GRADES))
        return GRADES[grade] if own else grade

    def _slot(self, system: str) -> Text:
        """A free one, where slots are unique."""
        place = self.databases[system].columns("order").index("slot")
        taken = {row[place] for row in self.databases[system].rows["order"].values()} if self.features.unique else set()
        return self.dice.choice([s for s in (*SLOTS, None) if s not in taken] or [None])

    def _row(self, system: str, entity: str, key: str) -> dict[str, Text]:
        database = self.databases[system]
        return dict(zip(database.columns(entity), database.rows[entity][key], strict=True))

    def _see(self, system: str, entity: str, key: str, names: tuple[str, ...] | list[str]) -> None:
        """The user overwrites what he sees: those writes are succeeded."""
        row = self._row(system, entity, key)
        grouped = set(names) | ({"street", "city"} if {"street", "city"} & set(names) else set())
        self.fate.succeeded.update(
            plain(piece) for name in grouped - {"tags"} if row.get(name) is not None for piece in pieces(row[name])
        )

    def _told(self, what: str) -> None:
        if self.tell:
            self.tell(what)
