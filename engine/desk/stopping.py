"""Entities that broke a limit: what is due of them waits until a person lets go, all else flows.

Turns counts of what users did into stops, and writes that a stop concerns into writes that wait. Which records wait is
noted in the store's multimap, so that any number of them may; nothing is dropped, and reading and deciding go on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice, takewhile

import msgspec

from engine.desk.limits import Guard, Stop, Tally
from engine.desk.records import Name, Records
from engine.merge import EntityRules, Step, held_alive_next
from engine.ports import Store
from engine.record import STOPPED, Record, Side, settle
from engine.rulebook import RuleBook
from engine.vocabulary import Transaction

STOPS = "stops"
"""The space of the stops: by entity."""

LOOKED_AT_MAX = 64
"""How many records are looked at for each that was deleted, to find out whether any is left."""

_decode = msgspec.msgpack.Decoder(Stop).decode


def waiting_space(entity: str) -> str:
    """The space of an entity's records that wait for somebody to let go: by record key."""
    return f"stopped/{entity}"


def reached(names: Iterable[str], next_of: Callable[[str], Iterable[str]]) -> set[str]:
    """All that is reached from some, they themselves only if a circle leads back to them."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        new = [name for name in next_of(todo.pop()) if name not in found]
        found.update(new)
        todo += new
    return found


def _told(stop: Stop) -> str:
    return f"{stop.words()}; nothing of it is written before `duolog allow RULES {stop.entity}`"


def stops_of(store: Store, entities: Iterable[str]) -> dict[str, Stop]:
    """What is stopped, as far as it is committed; by entity."""
    return {name: _decode(items[""]) for name, items in store.find_committed(STOPS, list(entities)).items()}


class Stopping(Records):
    """The room of the limits."""

    def __init__(self, book: RuleBook, store: Store, *, cache_records_max: int = 20_000, open_rows_max: int = 10_000):
        super().__init__(book, store, cache_records_max=cache_records_max, open_rows_max=open_rows_max)
        self.stops: dict[str, Stop] = {}
        """By entity."""
        self.news: list[tuple[str, str]] = []
        """(action, detail) for the log, to be taken away by whoever writes it."""
        self.tallies: dict[str, Tally] = {}
        """What the transaction under decision did so far, by entity."""
        self.guards = {
            (rules.name, system): Guard(rules.name, system, rules.entity.limits)
            for rules in self.rules.values() for system in rules.layouts
        }  # fmt: skip
        self.above: frozenset[str] = frozenset()
        """What the stopped entities refer to, and so on: to delete one of those could delete theirs."""

    def start(self) -> None:
        """Takes up where the store left off."""
        super().start()
        self.stops = stops_of(self.store, self.rules)
        self._note_above()
        self.news += [("entity still stopped", _told(stop)) for stop in self.stops.values()]

    # ------------------------------------------------------------ counting

    def _count_change(self, rules: EntityRules, lived: bool, since: int, record: Record, step: Step) -> None:
        """One change was decided that is due to others: is a record more or less, or another, than they have?

        `lived`, `since`: whether it existed before, and by which deciding step."""
        tally = self.tallies.get(rules.name)
        if tally is None:
            tally = self.tallies[rules.name] = Tally()
        if lived and record.alive:
            tally.updates += 1
            return
        others = [side for system, side in record.sides.items() if system != step.system and not side.out]
        elsewhere = any(held_alive_next(record, side) for side in others)
        if lived and elsewhere:
            tally.deletes += 1
        elif lived and since == step.version.number:
            tally.inserts -= 1  # made and gone in one transaction
        elif record.alive and elsewhere:
            tally.updates += 1
            if since == step.version.number:
                tally.deletes -= 1  # gone and made again in one transaction
        elif record.alive:
            tally.inserts += 1

    def _weigh(self, transaction: Transaction, number: int) -> None:
        """A transaction has been decided: was it too much?"""
        tallies, self.tallies = self.tallies, {}
        for entity, tally in tallies.items():
            if entity in self.stops:
                continue
            guard = self.guards[entity, transaction.system]
            stop = guard.weigh(tally, number, transaction.committed_at)
            empty = guard.may_be_empty(tally, number, transaction.committed_at)
            if stop is None and empty is not None and self._is_empty(guard, empty.count):
                stop = empty
            if stop is not None:
                self._stop(stop, written=transaction.spool is not None)

    def _is_empty(self, guard: Guard, deleted: int) -> bool:
        """True if the system has none of the entity's records. Looks at no more than a multiple of those deleted; where
        more than that had been deleted before, it is not noticed."""
        entity, system = guard.entity, guard.system
        if guard.witness and self._has(system, (entity, guard.witness)):
            return False
        unwritten = [key for name, key in [*self.dirty, *self.storing.records] if name == entity]
        for key in unwritten:
            if self._has(system, (entity, key)):
                guard.witness = key
                return False
        # From the last witness on: a purge in the order of keys would look at all of its tombstones again and again.
        former = guard.witness
        before = takewhile(lambda item: item[0] < former, self.store.scan(entity)) if former else iter(())
        known = islice(chain(self.store.scan(entity, former), before), LOOKED_AT_MAX * deleted)
        looked = 0
        while page := [key for key, _ in islice(known, 1_000)]:
            self._load((entity, key) for key in page)
            # Records are often deleted in the order of their keys: the last of these will be there for longest.
            for key in reversed(page):
                if self._has(system, (entity, key)):
                    guard.witness = key
                    return False
            self._trim()
            looked += len(page)
        return looked < LOOKED_AT_MAX * deleted

    def _has(self, system: str, name: Name) -> bool:
        record = self.record(*name)
        if record is None:
            return False
        side = record.sides.get(system)
        if side is None:
            return record.alive
        settle(record, side, self.marks[system], self.rules[name[0]].layouts[system])
        return not side.out and held_alive_next(record, side)

    # ------------------------------------------------------------ stopping

    def _stop(self, stop: Stop, *, written: bool) -> None:
        """Nothing of the entity is written any more, from this transaction on. `written`: it was too large for memory,
        and its records are in the store's open transaction."""
        self.stops[stop.entity] = stop
        self.crossing.entries.note(STOPS, stop.entity, "", msgspec.msgpack.encode(stop))
        self._note_above()
        self._count("stops")
        self.news.append(("entity stopped", _told(stop)))
        for rules in self._concerned(stop.entity):
            if written:
                for row in self.store.pending(stop.number - 1, written=True):
                    self._put_off_all(rules, [key for entity, key in row.records if entity == rules.name], stop.number)
                    self._write()
                    self._trim()
            self._put_off_all(rules, [key for entity, key in self.due if entity == rules.name], stop.number)
        if written:
            self._take_back()

    def _take_back(self) -> None:
        """What was to be told of it elsewhere is not."""

    def _put_off_all(self, rules: EntityRules, keys: Collection[str], since: int) -> None:
        self._load((rules.name, key) for key in keys)
        for key in keys:
            record = self.record(rules.name, key)
            for system, side in record.sides.items() if record is not None else ():
                if record is not None and side.due >= since:
                    self._put_off((rules.name, key), record, system, side)

    def _put_off(self, name: Name, record: Record, system: str, side: Side) -> None:
        """What is due to a system waits, if a stop concerns it."""
        if not self._is_stopped(name, record, system, side):
            return
        self.crossing.entries.note(waiting_space(name[0]), name[1])
        if side.due > self.marks[system].dispatched:
            side.wait, side.due = STOPPED, 0
            self.dirty[name] = record

    def _is_stopped(self, name: Name, record: Record, system: str, side: Side) -> bool:
        if name[0] in self.stops:
            return True
        if not record.alive:
            return name[0] in self.above and held_alive_next(record, side)
        return self._stopped_parent(self.rules[name[0]], record, system) is not None

    def _stopped_parent(self, rules: EntityRules, record: Record, system: str) -> str | None:
        """A record that this one refers to, and that is not made in the system before somebody lets go."""
        for number, entity in rules.references:
            value = record.values[number]
            parent = self.record(entity, value) if isinstance(value, str) else None
            side = parent.sides.get(system) if parent is not None else None
            if parent is None or side is None or side.wait != STOPPED:
                continue
            if parent.alive and not held_alive_next(parent, side):
                return f"{entity} `{value}`"
        return None

    def _concerned(self, entity: str) -> list[EntityRules]:
        """The entity, all that it refers to, and all that refers to it, and so on; parents first."""
        names = reached([entity], self._referred) | reached([entity], self._referring) | {entity}
        return [rules for rules in self.rules.values() if rules.name in names]

    def _note_above(self) -> None:
        self.above = frozenset(reached(self.stops, self._referred))

    def _referred(self, entity: str) -> Iterator[str]:
        return (parent for _, parent in self.rules[entity].references)

    def _referring(self, entity: str) -> Iterator[str]:
        return (rules.name for rules in self.rules.values() if any(p == entity for _, p in rules.references))
