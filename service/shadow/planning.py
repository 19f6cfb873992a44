"""What would be written now: the engine's own deciding and planning, on a copy of the store that is thrown away.

Turns a rule file, its systems and its store into a `Plan`. Without a base (or with other fields than it was agreed
with) the first merge is made in the copy; else every row that is not as the store believes is decided as a user's
write. Nothing is written: not to a system, where reading is all that is asked for, and not to the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from adapters.store import HoldRow, SqlStore
from engine.decide import Decider
from engine.errors import StoreMissing
from engine.first_merge import first_merge
from engine.foretelling import Amount, Intent, intents
from engine.ports import Snapshot
from engine.rulebook import Limits
from engine.unread import Unread
from engine.vocabulary import JournalEntry
from service.day_one import shape_of
from service.wiring import Wired, open_store, wire

Basis = Literal["first merge", "merge again", "base"]
"""On what it was planned: on no base; on none, because the rules have other fields than the base; on the base."""

UNLIMITED = Limits(emptied=False)
REREAD_ROUNDS_MAX = 5
JOURNAL_ENTRIES_MAX = 100
"""Entries of one record that are looked at for a reason."""

Tell = Callable[[str], None]
"""Told what is being done."""


@dataclass(slots=True)
class Plan:
    """What would be written, and what would wait."""

    basis: Basis
    amounts: dict[tuple[str, str], Amount] = field(default_factory=dict)
    """By (system, entity)."""
    intents: list[Intent] = field(default_factory=list)
    """The first of them, as many as were asked for."""
    holds: list[tuple[HoldRow, bool]] = field(default_factory=list)
    """What would wait for a person; True: it does already."""
    quarantine: list[tuple[tuple[str, str, str, str], bool]] = field(default_factory=list)
    """(entity, key, system, reason) of what would be in quarantine; True: it is already."""
    stopped: list[str] = field(default_factory=list)
    """Which entities are stopped already, and why: nothing is written of those."""

    @property
    def rows(self) -> int:
        """How many rows would be written."""
        return sum(a.creates + a.updates + a.deletes for a in self.amounts.values())


def planned(rules: Path, *, limit: int, entity: str | None, tell: Tell) -> Plan:
    """The plan for a rule file. `limit`: intents that are kept; `entity`: only of this one.

    Raises RulesRefused, DuologError."""
    wired = wire(rules)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="duolog-plan-")))
        store, basis = _copied(wired, folder, stack)
        held, refused = set(store.held()), {place[:3] for place in store.quarantined()}
        pictures: dict[str, Snapshot] = {}
        for name, kit in wired.kits.items():
            pictures[name] = kit.picture(wired.book)
            stack.callback(pictures[name].close)
        start = store.state().number
        if basis != "base":
            store.forget_base()
            first_merge(wired.book, pictures, store, lambda name, n: tell(f"comparing {name}: {n} records"))
        desk = Decider(wired.book, store)
        desk.start()
        desk.take_up()
        for guard in desk.guards.values():
            guard.limits = UNLIMITED  # when the unread was written is not known, so neither is how much came at a time
            guard.forget()
        if basis == "base":
            _decide(desk, pictures, tell)
        plan = Plan(basis, stopped=[stop.words() for stop in desk.stops.values()])
        _tell_due(desk, store, start, plan, limit, entity)
        desk.commit()
        plan.holds = [(h, (h.entity, h.key, h.register) in held) for h in store.holds() if entity in (None, h.entity)]
        plan.quarantine = [(q, q[:3] in refused) for q in store.quarantined() if entity in (None, q[0])]
        return plan


def _copied(wired: Wired, folder: Path, stack: ExitStack) -> tuple[SqlStore, Basis]:
    """A store of our own, with what the rule file's store knows, and on what basis to plan."""
    path = folder / "copy.db"
    basis: Basis = "first merge"
    try:
        known = open_store(wired.rules, create=False)
    except StoreMissing:
        copy = SqlStore.open(f"sqlite:///{path}", name=wired.rules.name)
    else:
        try:
            if known.state().phase == "base":
                basis = "base" if known.recall("shape") in (None, shape_of(wired.book, wired.rules)) else "merge again"
                copy = known.copy(path, name=wired.rules.name)
            else:
                copy = SqlStore.open(f"sqlite:///{path}", name=wired.rules.name)
        finally:
            known.close()
    stack.callback(copy.close)
    return copy, basis


def _decide(desk: Decider, pictures: Mapping[str, Snapshot], tell: Tell) -> None:
    """Decides what each system has that nobody has read, then what had to be read again for it."""
    unread = {system: Unread(desk, system, picture) for system, picture in pictures.items()}
    for system, each in unread.items():
        tell(f"reading {system}")
        transaction = each.transaction()
        desk.prefetch([transaction])
        desk.decide(transaction)
        desk.pass_position(system, each.picture.position)
        desk.commit()
    for _ in range(REREAD_ROUNDS_MAX):
        asked = [each.reread() for each in unread.values()]
        for system in unread:
            desk.retry_deferred(system)
        desk.commit()
        if not any(asked):
            return


def _tell_due(desk: Decider, store: SqlStore, start: int, plan: Plan, limit: int, entity: str | None) -> None:
    """Plans what is due to each system, as its writer would be given it."""

    def journal(name: str, key: str) -> list[JournalEntry]:
        if len(plan.intents) >= limit:
            return []  # it will only be counted
        entries = [row.entry for row in store.journal(name, key, limit=JOURNAL_ENTRIES_MAX)]
        return [entry for entry in entries if entry.number > start]

    for system in desk.book.systems:
        batch = desk.next_batch(system)
        for writes in batch.parts() if batch is not None else ():
            for write in [w for w in writes if entity in (None, w.entity)]:
                amount = plan.amounts.setdefault((system, write.entity), Amount())
                for intent in intents(desk.rules[write.entity], system, write, desk.record, journal):
                    amount.add(intent)
                    if len(plan.intents) < limit:
                        plan.intents.append(intent)
