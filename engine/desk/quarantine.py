"""Who waits in quarantine, for which system and for what, so that the end of a wait is found without a search.

Turns (record, system) into the reason, and a cause into those that wait for its end. The causes are told by the
reasons' own words, as the store keeps nothing else. It releases nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from engine.crossing.translate import NOT_KNOWN, REFERS_TO, UNKNOWN_CODE
from engine.vocabulary import MISSING_CODE

Quarantined = tuple[str, str, str]
"""(entity, record key, system)"""

WAITS_FOR = "waits for"
"""What the reason begins with, if a record that this one refers to is to be written first."""

CONFLICT = "unique_conflict"
"""What the reason begins with, if a record's key in a system is taken."""


def cause_of(reason: str) -> str:
    """What ends this wait: `WAITS_FOR`, `CONFLICT`, `MISSING_CODE`, an `unknown_reference`; "" if a person."""
    for beginning in (WAITS_FOR, CONFLICT):
        if reason.startswith(beginning):
            return beginning
    if reason.endswith(NOT_KNOWN) and REFERS_TO in reason:
        return reason[reason.index(REFERS_TO) :]
    return MISSING_CODE if MISSING_CODE in reason or reason.endswith(UNKNOWN_CODE) else ""


class Quarantine(MutableMapping[Quarantined, str]):
    """By place, the reason."""

    def __init__(self) -> None:
        self._reasons: dict[Quarantined, str] = {}
        self._places: dict[tuple[str, str], dict[Quarantined, None]] = {}
        """By (cause, system)."""

    def waiting(self, cause: str, system: str) -> list[Quarantined]:
        """Who waits, for this system, for this."""
        return list(self._places.get((cause, system), ()))

    def __getitem__(self, place: Quarantined) -> str:
        return self._reasons[place]

    def __setitem__(self, place: Quarantined, reason: str) -> None:
        self.pop(place, None)
        self._reasons[place] = reason
        self._places.setdefault((cause_of(reason), place[2]), {})[place] = None

    def __delitem__(self, place: Quarantined) -> None:
        group = (cause_of(self._reasons.pop(place)), place[2])
        del self._places[group][place]
        if not self._places[group]:
            del self._places[group]

    def __contains__(self, place: object) -> bool:
        return place in self._reasons

    def __iter__(self) -> Iterator[Quarantined]:
        return iter(self._reasons)

    def __len__(self) -> int:
        return len(self._reasons)
