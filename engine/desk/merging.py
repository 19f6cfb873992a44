"""One change of one record, handed to the merge rule; what it made due is noted.

Turns (record key, operation, image) into a changed record in hand. What cannot be read now is read later; what cannot
be understood waits in quarantine. Which record it is has been found out before.
"""

from __future__ import annotations

from engine.desk.batches import Batches
from engine.errors import ValueRefused
from engine.merge import EntityRules, Incomplete, Step, read
from engine.record import UNREAD
from engine.rulebook import EXISTENCE
from engine.vocabulary import Image, Position


class Merging(Batches):
    """The room where a change meets its record."""

    def _read(self, rules: EntityRules, key: str, op: str, image: Image | None, position: Position, step: Step) -> None:
        """Lets `merge` decide one change, and notes what it made due."""
        name = (rules.name, key)
        if self.quarantined and self.quarantined.get((*name, step.system), "").startswith(UNREAD):
            self._retry(name, step.system)  # it has changed again: perhaps it can be read now, as a whole
            return
        cache = self.cache[rules.name]
        record = cache.get(key)
        lived = record is not None and record.alive
        since = record.version(EXISTENCE).number if record is not None else 0
        agreed = step.counts.get("agreements", 0)
        try:
            result = read(rules, key, record, op, image, position, step)
        except Incomplete:
            self._read_later(rules, key, step.system)
            return
        except ValueRefused as error:
            self._refuse_read(rules, key, step.system, error)
            return
        if step.noise or result is None:
            return
        cache[key] = result
        self.dirty[name] = result
        if self.quarantined:
            self._released(name, result, step.system)
        if self.owed is not None and step.counts.get("agreements", 0) > agreed:
            # He wrote what another one had written before him: who has that not yet, is waited for by him, too.
            self._owe([(system, name) for system in result.sides if system != step.system])
        if step.touched:
            touched = sorted(step.touched)
            self._note_due(name, result, touched)
            if len(touched) > 1 or touched[0] != step.system:
                self._count_change(rules, lived, since, result, step)
