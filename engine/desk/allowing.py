"""What a person says of an entity that broke a limit: it goes on as it is, or is put back first.

Turns a request into records that are due again, page by page, as any number of them may wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from engine.crossing.identity import identity_of
from engine.desk.batches import PAGE_RECORDS
from engine.desk.joining import Joining
from engine.desk.records import Name
from engine.desk.stopping import STOPS, waiting_space
from engine.merge import Step, put_back
from engine.record import STOPPED


class Allowing(Joining):
    """The room where stopped entities are let go."""

    def _request_allow(self, arguments: dict[str, str], asked_at: int) -> str:
        """Lets an entity go; with `undo`, first takes back what that system's users did to it since."""
        entity, undo = arguments["entity"], arguments.get("undo", "")
        stop = self.stops.pop(entity, None)
        if stop is None:
            return f"`{entity}` is not stopped"
        self.crossing.entries.note(STOPS, entity, "", None)
        self._note_above()
        for (guarded, _), guard in self.guards.items():
            if guarded == entity:
                guard.forget()
        by = arguments.get("by", "a person")
        note = f"put back by {by}: {stop.words()}" if undo else f"allowed by {by}"
        step = self._step("", asked_at, 0, note)
        waited = undone = 0
        for page in self._let_go():
            self.number += 1
            step.due = self.number  # what came together goes together, as far as it is one page
            for name in page:
                waited += 1
                undone += self._put_back(name, undo, stop.number, step) if undo else 0
                self._go_on(name)
        self._close(step)
        self.news.append(("entity allowed", f"`{entity}` by {by}: {waited} records waited, {undone} were put back"))
        return f"`{entity}` goes on; {waited} records waited" + (f", {undone} were put back" if undo else "")

    def _let_go(self) -> Iterator[list[Name]]:
        """Those that no longer wait, in pages; after each, it goes to the store."""
        self._write_answered()  # who waits is read from there
        for rules in self.rules.values():
            if rules.name in self.stops:
                continue
            space = waiting_space(rules.name)
            noted = self.store.entries(space)
            while page := [(rules.name, key) for key, _, _ in islice(noted, PAGE_RECORDS)]:
                self._load(page)
                for _, key in page:
                    self.crossing.entries.note(space, key, "", None)
                yield page
                if len(page) == PAGE_RECORDS:
                    self._spill_all()
                    self._write_answered()

    def _put_back(self, name: Name, system: str, since: int, step: Step) -> int:
        rules, record = self.rules[name[0]], self.record(*name)
        if record is None:
            return 0
        before, lived = record.values, record.alive
        done = put_back(rules, name[1], record, system, since, step)
        if done:
            self.dirty[name] = record
            self._note_due(name, record, sorted(step.touched))
            self._decided_apart(rules, name[1], record, before, step)
            if rules.entity.crossed and record.alive and not lived:
                for other in self._recognised(rules, identity_of(rules.entity, record.values)):
                    if other != name[1]:  # its end let go who was held for looking like it
                        self._judge_likeness(rules, other, step)
        return int(done)

    def _go_on(self, name: Name) -> None:
        """What is due of a record is due again, unless another stop concerns it."""
        record = self.record(*name)
        if record is None:
            return
        self._look_at([name])
        systems = [system for system, side in record.sides.items() if side.wait == STOPPED]
        for system in systems:
            side = record.sides[system]
            side.wait = 0
            side.due = 0 if side.out else self.number
            self._note_again(name, system)
        if systems:
            self.dirty[name] = record
            self._note_due(name, record, systems)
