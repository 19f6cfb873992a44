"""Turns a bookmark, and what Kafka has, into the offsets from which a source reads; or says why it cannot go on.

A topic that is not there yet is no error: Debezium makes a table's topic with its first row. A topic that is gone, or
was made anew, or whose beginning was removed before it was read, is one: changes may be lost. It reads no message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.debezium.bookmark import Bookmark, TopicMark, bookmark
from adapters.debezium.coordinates import Marks
from adapters.debezium.joining import Joined
from adapters.debezium.layout import Topics
from adapters.kafka.topics import Place, Topic, TopicLook
from engine.errors import AccessDenied, LogLost, LogReset

AGAIN: Final = "`duolog run RULES --merge-again`, which compares both sides and reads on from there"


@dataclass(slots=True)
class Opened:
    """What is read, and from where."""

    offsets: dict[Place, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """By topic."""
    joined: Joined = field(default_factory=Joined)

    def missing(self, wanted: Mapping[str, int], topics: Topics) -> set[str]:
        """The topics that were not there yet."""
        return {*wanted, topics.of_transactions, *topics.beside} - self.ids.keys()

    def find(self, look: TopicLook, wanted: Mapping[str, int], topics: Topics) -> dict[Place, int]:
        """Adds topics and partitions that have come since, from their beginning on; of heartbeats, what comes from now
        on. Returns the offsets of what was added. Raises SystemUnavailable, AccessDenied."""
        found = look.find([*wanted, topics.of_transactions, *topics.beside])
        found = {name: topic for name, topic in found.items() if self.ids.get(name, topic.id) == topic.id}
        places = [place for topic in found.values() for place in topic.places if place not in self.offsets]
        extents = look.extents(places)
        new = {
            place: extents[place].end if place[0] == topics.of_heartbeats else extents[place].begin for place in places
        }
        self.offsets.update(new)
        self.ids.update({name: topic.id for name, topic in found.items()})
        return new


def opened(system: str, look: TopicLook, topics: Topics, wanted: Mapping[str, int], kept: str | None) -> Opened:
    """Where to begin. `wanted`: the topics of tables. `kept`: the bookmark; None: at the beginning of everything.

    Raises LogLost, LogReset, AccessDenied, SystemUnavailable."""
    marked = bookmark(kept) if kept is not None else None
    names = [*wanted, topics.of_transactions, *topics.beside]
    found = look.find(names)
    for topic in found.values():
        if not topic.may_read:
            raise AccessDenied(
                f"the topic `{topic.name}` may not be read", system=system,
                mend="grant it: `duolog check RULES --grants` prints the ACLs that suffice",
            )  # fmt: skip
    result = Opened(joined=marked.joined if marked is not None else Joined())
    known = marked.topics if marked is not None else {}
    for name, mark in known.items():
        if name in names:
            _same(system, name, mark, found.get(name))
    extents = look.extents([place for topic in found.values() for place in topic.places])
    at = marked.offsets if marked is not None else {}
    for place, extent in extents.items():
        if place[0] == topics.of_heartbeats:
            result.offsets[place] = extent.end
            continue
        if place[0] == topics.of_schema:  # it is short; what was told before we began is known by its place in the log
            result.offsets[place] = extent.begin
            continue
        # A partition that no bookmark knows has come since; without any bookmark, all has to be there from the first.
        asked = at.get(place, 0 if place[0] not in known else extent.begin)
        if asked > extent.end:
            raise LogReset(
                f"the topic `{place[0]}` ends at {extent.end}, and was read up to {asked}", system=system, mend=AGAIN
            )
        if asked < extent.begin:
            raise _purged(system, look, place, asked, extent.begin)
        result.offsets[place] = asked
    result.ids = {name: topic.id for name, topic in found.items()}
    return result


def look(system: str, topics: TopicLook, asked: Mapping[Place, int], ids: Mapping[str, str]) -> None:
    """Says why offsets are out of range. Returns if they are not. Raises LogLost, LogReset, SystemUnavailable."""
    found = topics.find({name for name, _ in asked})
    for name, _ in asked:
        _same(system, name, TopicMark(ids.get(name, ""), {}), found.get(name))
    for place, extent in topics.extents(list(asked)).items():
        if asked[place] < extent.begin:
            raise _purged(system, topics, place, asked[place], extent.begin)
        if asked[place] > extent.end:
            raise LogReset(f"the topic `{place[0]}` ends before what was read", system=system, mend=AGAIN)


def ends(look: TopicLook, topics: Topics, wanted: Mapping[str, int], marks: Marks) -> Bookmark:
    """Where topics end now: to be kept before a snapshot is taken, which is behind all that is in them. `marks`: left
    out yet; to be asked of the database afterwards. Raises SystemUnavailable, AccessDenied."""
    # The topic of transactions first: an END that is not wanted is known as such, events without one are not.
    found = look.find([topics.of_transactions])
    extents = look.extents([place for topic in found.values() for place in topic.places])
    tables = look.find(wanted)
    extents |= look.extents([place for topic in tables.values() for place in topic.places])
    return Bookmark(
        {
            name: TopicMark(topic.id, {place[1]: extents[place].end for place in topic.places})
            for name, topic in (found | tables).items()
        },
        0, marks,
    )  # fmt: skip


def _same(system: str, name: str, mark: TopicMark, topic: Topic | None) -> None:
    if topic is None:
        raise LogReset(f"the topic `{name}` is gone", system=system, mend=AGAIN)
    if mark.id and topic.id and mark.id != topic.id:
        raise LogReset(f"the topic `{name}` was removed and made anew", system=system, mend=AGAIN)


def _purged(system: str, look: TopicLook, place: Place, asked: int, begin: int) -> LogLost:
    kept_ms = look.settings([place[0]]).get(place[0], {}).get("retention.ms", "")
    hours = f" (it keeps {int(kept_ms) / 3_600_000:g} h)" if kept_ms.isdecimal() else ""
    return LogLost(
        f"the topic `{place[0]}` begins at {begin}{hours}, and was read up to {asked}: what lies between was removed",
        system=system, mend=f"let it keep more (`retention.ms`); then {AGAIN}",
    )  # fmt: skip
