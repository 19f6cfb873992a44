"""The auditor of records with keys of their own: looks at the tables as a person would, and says which law was broken.

Turns the end of a history into nothing, or an AssertionError that names the law. It puts the records together by itself
(`reading`); of the engine's state it takes which keys are said to mean one record, and what is listed as held, in
quarantine or out. That the keys are paired rightly it knows from the persons whom users meant.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.memory import MemorySystem
from engine.record import STOPPED, Record, Side, decode
from engine.rulebook import RuleBook
from engine.vocabulary import Text
from tests.simulation.crossed.books import REFERENCES
from tests.simulation.crossed.features import CrossedFeatures
from tests.simulation.crossed.reading import records
from tests.simulation.crossed.store import RememberingStore
from tests.simulation.crossed.writing import CrossedFate, person_of, persons_of
from tests.simulation.users import plain

TOLD = ("resolved", "unique_conflict")
"""Kinds of journal entries by which people know of two records that look alike."""

Ids = dict[tuple[str, str, str], str]
"""(entity, system, own key) → record id"""


class CrossedOracle:
    """See the module."""

    def __init__(
        self, book: RuleBook, features: CrossedFeatures, databases: dict[str, MemorySystem], store: RememberingStore,
        fate: CrossedFate,
    ) -> None:  # fmt: skip
        self.book = book
        self.features = features
        self.databases = databases
        self.store = store
        self.fate = fate

    def check(self, *, fully: bool) -> None:
        """L1, L2 and L4; `fully`: nothing may be held or in quarantine any more that people can put right."""
        found = {
            (entity, id): decode(state) for entity, table in self.store.records.items() for id, state in table.items()
        }
        self.check_lists(found, fully)
        ids = {(e, system, key): id for (e, id), record in found.items() for system, key in record.keys.items()}
        self.check_known(ids)
        for (entity, id), record in found.items():
            for system in self.book.entities[entity].bindings:
                self.check_equal(entity, id, system, record, found, ids)
        if not fully:  # a person may have said that they are two
            self.check_once(found, ids)
        self.check_tokens(found)
        self.check_owner(found)

    def check_lists(self, found: dict[tuple[str, str], Record], fully: bool) -> None:
        """What is held or in quarantine is listed, and nothing else is."""
        bad = {(*name, s): side.bad for name, r in found.items() for s, side in r.sides.items() if side.bad}
        assert bad == self.store.quarantine, f"L1: in quarantine {bad}, but listed {self.store.quarantine}"
        holds = {(*name, register): why for name, record in found.items() for register, why in record.holds.items()}
        assert holds == self.store.holds, f"L1: held {holds}, but listed {self.store.holds}"

    def check_known(self, ids: Ids) -> None:
        """Every record that anybody sees is one of ours."""
        for system, database in self.databases.items():
            for entity in database.assemblies:
                for key in records(database, entity):
                    known = (entity, system, key) in ids or self.store.means(entity, system, key)
                    assert known, f"L1: {system} has {entity} {key}, which the engine never saw"

    def check_equal(
        self, entity: str, id: str, system: str, record: Record, found: dict[tuple[str, str], Record], ids: Ids
    ) -> None:
        """L1: a system holds the current version of every field, or the record is listed."""
        side = record.sides.get(system)
        if (side is not None and (side.out or side.bad or _stopped(side))) or 0 in record.holds:
            return
        key = record.keys.get(system)
        row = records(self.databases[system], entity).get(key) if key is not None else None
        assert (row is not None) == record.alive, f"L1: {entity} {id} exists in {system} ({key}): {row is not None}"
        if row is None:
            return
        for field in self.book.entities[entity].fields:
            value = record.values[field.number]
            if field.name not in row or field.register in record.holds or value is False:
                continue
            stored = row[field.name]
            if field.reference is not None:
                self._same_record(entity, id, system, field.name, stored, value, found, ids)
            else:
                same = self.meaning(field.name, stored) == self.meaning(field.name, value)
                assert same, f"L1: {entity} {id}.{field.name} in {system}: {stored} instead of {value}"

    def _same_record(
        self, entity: str, id: str, system: str, name: str, stored: Text, value: object,
        found: dict[tuple[str, str], Record], ids: Ids,
    ) -> None:  # fmt: skip
        """References agree through identity, as far as what they refer to is there."""
        parent = REFERENCES[entity, name]
        referred = ids.get((parent, system, stored)) if stored is not None else None
        if stored is not None and referred is None:
            referred = self.store.means(parent, system, stored)
        if isinstance(value, str) and not found[parent, value].alive:
            return
        if stored is not None and referred is None and not self.features.foreign_keys:
            return  # nothing kept the row from being deleted, and the record came back under another key
        assert referred == value, f"L1: {entity} {id}.{name} in {system}: {stored}, which is {referred}, not {value}"

    def check_once(self, found: dict[tuple[str, str], Record], ids: Ids) -> None:
        """Each identity exists exactly once in each system, where no user made it twice."""
        if self.features.duplicates or self.features.alternatives:
            return
        judged = {(entry.entity, entry.key) for entry in self.store.journal if entry.kind in TOLD}
        for system, database in self.databases.items():
            for entity in database.assemblies:
                seen: dict[str, str] = {}
                for key, row in sorted(records(database, entity).items()):
                    named = (entity, ids.get((entity, system, key), ""))
                    record = found.get(named)
                    side = record.sides.get(system) if record is not None else None
                    if record is None or 0 in record.holds or named in judged:
                        continue
                    if side is not None and (side.out or side.bad or _stopped(side)):
                        continue
                    name = {"customer": "", "employee": "number", "order": "code"}[entity]
                    if name and row[name] is None:
                        continue  # nothing tells what it is
                    identity = str(row[name]) if name else person_of(row)
                    assert identity not in seen, f"L1: {system} has {entity} {identity} as {seen[identity]} and {key}"
                    seen[identity] = key

    def check_tokens(self, found: dict[tuple[str, str], Record]) -> None:
        """L2: every user's write is current, or was succeeded by a user who saw it, or stands in the journal."""
        lost = {plain(value) for entry in self.store.journal for value in entry.lost}
        gone = {
            (entry.entity, entry.key)
            for entry in self.store.journal if not entry.fields or entry.kind == "delete_differs"
        }
        current = {plain(text) for text in self._texts()}
        for token, (system, entity, key, name) in self.fate.places.items():
            if plain(token) in lost or plain(token) in current or plain(token) in self.fate.succeeded:
                continue
            names = {(entity, id) for id in self.store.meant(entity, system, key)}
            known = bool(names & gone) or (name == "note" and bool(self._persons(names, found) & self.fate.ended))
            assert known, f"L2: {token} ({system} wrote {entity} {key}.{name}) was lost silently"

    @staticmethod
    def _persons(names: set[tuple[str, str]], found: dict[tuple[str, str], Record]) -> set[str]:
        """Whose numbers and mail addresses these records have."""
        rows = {id: found[entity, id].values[:2] for entity, id in names if (entity, id) in found}
        texts = [[value if isinstance(value, str) else None for value in values] for values in rows.values()]
        return persons_of({str(at): {"vat": vat, "email": email} for at, (vat, email) in enumerate(texts)})

    def _texts(self) -> Iterator[Text]:
        for database in self.databases.values():
            for table in database.stored:
                for row in table.values():
                    yield from row

    def check_owner(self, found: dict[tuple[str, str], Record]) -> None:
        """L4: an owned field never carries what another system wrote."""
        for (entity, id), record in found.items():
            if entity == "customer" and self.features.owned and record.alive:
                value = record.values[3]
                allowed = not isinstance(value, str) or value.lower().startswith("erp")
                assert allowed, f"L4: {id}.phone is {value}, which only erp may write"

    def meaning(self, name: str, value: object) -> object:
        """What a stored value means; triggers' rewriting is forgiven."""
        return plain(value) if self.features.rewriting and name == "name" and isinstance(value, str) else value


def _stopped(side: Side) -> bool:
    """True if it waits for a person, who lets its entity go in the end."""
    return side.wait == STOPPED
