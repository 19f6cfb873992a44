"""Day one for records whose systems have keys of their own: which rows are the same record.

Turns the rows of all systems' snapshots into records with the rows that each system has of them: recognised by
identity, never guessed. Where the systems are merged again, what was known of their keys still holds: pairings, what a
person joined or told apart. It decides no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from engine.crossing import shown
from engine.crossing.identity import Identity, identity_of
from engine.errors import ValueRefused
from engine.gathering import CHUNK_ROWS, Found, Gathering, OwnRow, Reading, aside
from engine.merge import EntityRules
from engine.ports import Snapshot, Store
from engine.rulebook import RuleBook
from engine.vocabulary import ABSENT, Image, Values

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str | None]).decode


class FirstPairing(Gathering):
    """See the module."""

    def __init__(
        self, book: RuleBook, rules: Mapping[str, EntityRules], snapshots: Mapping[str, Snapshot], store: Store,
        reading: Reading = lambda what, rows: None, *, anew: bool = False,
    ) -> None:  # fmt: skip
        """`anew`: no key is known of an earlier merge."""
        crossed = {name for name, each in rules.items() if each.entity.crossed}
        super().__init__(book, rules, crossed, snapshots, store, store.find, reading)
        number = 0 if anew else store.state().number
        self._mark = f"@{number}" if number else ""
        """Tells ids made now from those of an earlier merge, which keys may still mean."""

    def prepare(self) -> None:
        """Reads the systems. A row that says that it is deleted is paired after all others: it must not come before
        one that lives."""
        super().prepare()
        for rules in self.rules.values():
            waiting: list[tuple[str, OwnRow]] = []
            for key, system, state in self.store.entries(_gone(rules)):
                waiting.append((system, (key, tuple(_decode(state)))))
                if len(waiting) >= CHUNK_ROWS:
                    self._pair_gone(rules, waiting)
                    waiting = []
            self._pair_gone(rules, waiting)

    def records(self, rules: EntityRules) -> Iterator[Found]:
        """All records of an entity, ascending by id. What was put aside for them is taken out again."""
        for found in super().records(rules):
            if len(found.rows) + len(found.refused) == len(rules.layouts):
                found.others = []  # a record that every system has is that record, whatever looks like it
            for system in found.keys.keys() - found.rows.keys() - found.refused.keys():
                self.crossing.entries.remove(aside(rules), found.id, system)
            yield found

    def index(self, rules: EntityRules, found: Found, values: Values) -> None:
        """By what the record is found again, now that its values are agreed."""
        keys = self.crossing.keys
        agreed = identity_of(rules.entity, values)
        for system, image in found.rows.items():
            for way, text in enumerate(self.crossing.identity_of_image(rules, system, image)):
                if text is not None and text != agreed[way]:
                    keys.forget(rules.name, way, text, found.id)
        self.crossing.index(rules, found.id, None, values)

    def _place(self, rules: EntityRules, system: str, rows: Sequence[OwnRow]) -> None:
        identities = self._fetch(rules, system, rows)
        keys = self.crossing.keys
        for row, identity in zip(rows, identities, strict=True):
            if not keys.is_alias(rules.name, system, row[0]):  # left over after a join: no record's own row
                self._pair(rules, system, row, identity)

    def _fetch(self, rules: EntityRules, system: str, rows: Sequence[OwnRow]) -> list[Identity]:
        """Loads all that tells which records these rows are; their identities."""
        identities = [self.crossing.identity(rules, system, raw) for _, raw in rows]
        keys, ids = self.crossing.keys, {self._new_id(system, key) for key, _ in rows}
        keys.fetch(rules.name, system, [key for key, _ in rows])
        ids.update(id for key, _ in rows if (id := keys.id_of(rules.name, system, key)) is not None)
        for way in range(len(rules.entity.identities)):
            wanted = [text for identity in identities if (text := identity[way]) is not None]
            keys.fetch_recognised(rules.name, way, wanted)
            ids.update(id for text in wanted for id in keys.recognised(rules.name, way, text))
        self.crossing.entries.fetch(aside(rules), sorted(ids))
        return identities

    def _pair(self, rules: EntityRules, system: str, row: OwnRow, identity: Identity) -> None:
        crossing = self.crossing
        id = self._known(rules, system, row[0]) or self._recognised(rules, system, identity)
        id = id or self._new_id(system, row[0])
        crossing.keys.put(rules.name, system, row[0], id)
        for way, text in enumerate(identity):
            if text is not None:
                crossing.keys.recognise(rules.name, way, text, id)
        self._put_aside(rules, system, id, row)

    def _note_gone(self, rules: EntityRules, system: str, rows: Sequence[OwnRow]) -> None:
        for key, raw in rows:
            state = _encode([None if value is ABSENT else value for value in raw])
            self.crossing.entries.note(_gone(rules), key, system, state)

    def _pair_gone(self, rules: EntityRules, waiting: Sequence[tuple[str, OwnRow]]) -> None:
        """The record that such a row was, if that has no other row of its system; else it is one that is deleted.

        So a record that lives elsewhere is created by bringing its row back, and what refers to it is understood."""
        crossing, keys = self.crossing, self.crossing.keys
        for system in {system for system, _ in waiting}:
            rows = [row for each, row in waiting if each == system]
            identities = self._fetch(rules, system, rows)
            for row, identity in zip(rows, identities, strict=True):
                if keys.is_alias(rules.name, system, row[0]):
                    continue
                id = self._known(rules, system, row[0]) or self._recognised(rules, system, identity)
                if id is None:
                    id = self._new_id(system, row[0])
                    for way, text in enumerate(identity):
                        if text is not None and not keys.recognised(rules.name, way, text):
                            keys.recognise(rules.name, way, text, id)
                keys.put(rules.name, system, row[0], id)
                crossing.entries.put(aside(rules), id, system, _nothing(row[0]))
                crossing.entries.note(_gone(rules), row[0], system, None)
        self.flush()

    def _known(self, rules: EntityRules, system: str, key: str) -> str | None:
        """The record that this key meant before the systems were merged again."""
        id = self.crossing.keys.id_of(rules.name, system, key)
        return id if id is not None and self._is_free(rules, system, id) else None

    def _recognised(self, rules: EntityRules, system: str, identity: Identity) -> str | None:
        """The one record that the first way which knows any recognises, if this system has no row of it yet."""
        for way, text in enumerate(identity):
            found = self.crossing.keys.recognised(rules.name, way, text) if text is not None else []
            if found:
                return found[0] if len(found) == 1 and self._is_free(rules, system, found[0]) else None
        return None

    def _is_free(self, rules: EntityRules, system: str, id: str) -> bool:
        return system not in self.crossing.entries.items(aside(rules), id)

    def _new_id(self, system: str, key: str) -> str:
        return shown(system, key) + self._mark

    def _take(self, rules: EntityRules, found: Found, system: str, raw: Image) -> None:
        super()._take(rules, found, system, raw)
        for way, text in enumerate(self.crossing.identity(rules, system, raw)):
            if text is not None:
                others = self.crossing.keys.recognised(rules.name, way, text)
                found.others += [other for other in others if other not in (found.id, *found.others)]
        self.crossing.entries.remove(aside(rules), found.id, system)

    def _refused(self, rules: EntityRules, found: Found, system: str, raw: Image, error: ValueRefused) -> Image | None:
        found.refused[system] = error.found
        return None


def _nothing(key: str) -> bytes:
    """What is put aside for a row that says that it is deleted: its key, and no image."""
    return _encode((key, []))


def _gone(rules: EntityRules) -> str:
    """The space in which such rows wait until all others have been paired."""
    return f"g/{rules.name}"
