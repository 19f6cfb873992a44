"""The judge of what users were promised at COMMIT; shares no code with the engine.

Turns what each user was told and saw, the commits as a slot of the judge's own has them, and the recorded degraded
ranges into sentences that say which promise was broken; an empty list is what a test asks for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

SAID_MAX: Final = 20


@dataclass(slots=True)
class Promise:
    """One COMMIT, as its user met it."""

    system: str
    key: int
    value: str
    xid: int
    answered: str
    """`ok`; `warned`: an OK with a warning; `lost`: no answer at all."""
    took_s: float
    seen: bool = False
    """A new session on the other side, opened when the answer had come, saw it."""
    first_look: bool = True
    """The other side was up, so that this was the very first look."""


@dataclass(frozen=True, slots=True)
class Range:
    """Commits between these positions of a log need not have waited; `until` None: to the end."""

    since: int
    until: int | None


@dataclass(slots=True)
class Verdict:
    """What came of it."""

    broken: list[str]
    """Promises that were not kept."""
    kept: int = 0
    """OKs without a warning, outside every degraded range, that the other side had."""
    degraded: int = 0
    """OKs inside a degraded range."""
    unseen: int = 0
    """Of those, how many the other side did not have."""
    released: int = 0
    """OKs that the other side did not have, of which the journal says that they were released."""
    late: int = 0
    """Of all kept, those where the other side was down and was asked until it was up."""
    lost: int = 0
    """Commits that were never answered, or with a warning."""

    def __str__(self) -> str:
        return (
            f"{self.kept} kept ({self.late} seen late, as the other side was down), {self.degraded} degraded "
            f"({self.unseen} of them not there at once), {self.released} released, {self.lost} not answered, "
            f"{len(self.broken)} broken"
        )


def judged(
    promises: Iterable[Promise], commits: Mapping[str, Mapping[int, int]], ranges: Mapping[str, Sequence[Range]],
    released: Iterable[int],
) -> Verdict:  # fmt: skip
    """`commits`: by system and number of the transaction, the end of its commit. `released`: keys of which the journal
    says that somebody was let go."""
    verdict = Verdict([])
    freed = frozenset(released)
    for promise in promises:
        position = commits[promise.system].get(promise.xid)
        if promise.answered != "ok":
            verdict.lost += 1
        elif position is None:
            verdict.broken.append(f"{promise.system} {promise.value}: OK, and it is in no log")
        elif any(r.since < position and (r.until is None or position < r.until) for r in ranges[promise.system]):
            verdict.degraded += 1
            verdict.unseen += not promise.seen
        elif promise.seen:
            verdict.kept += 1
            verdict.late += not promise.first_look
        elif promise.key in freed:
            verdict.released += 1
        else:
            place = f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
            verdict.broken.append(
                f"{promise.system} {place} {promise.value}: OK after {promise.took_s * 1000:.0f} ms, in no degraded "
                f"range, and a new session on the other side does not see it"
            )
    return verdict


def commits_of(connection: psycopg.Connection[Any]) -> dict[int, int]:
    """Every transaction that the witness's slot has: by its number, the end of its commit."""
    found: dict[int, int] = {}
    xid = 0
    rows = connection.execute(
        "SELECT data FROM pg_logical_slot_peek_binary_changes('witness', NULL, NULL, 'proto_version', '1', "
        "'publication_names', 'witness')"
    )
    for (message,) in rows:
        if message[:1] == b"B":
            (xid,) = struct.unpack_from(">I", message, 17)
        elif message[:1] == b"C":
            (found[xid],) = struct.unpack_from(">Q", message, 10)
    return found


def ranges_of(connection: psycopg.Connection[Any]) -> list[Range]:
    """The recorded degraded ranges of a system."""
    rows = connection.execute(
        "SELECT (since_position - '0/0')::bigint, (until_position - '0/0')::bigint FROM duolog.degraded"
    )
    return [Range(*row) for row in rows]
