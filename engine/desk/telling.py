"""What has been agreed, kept for a feed to tell: each change of a record once, in the order of the deciding steps.

Turns records that changed in hand into pages, which become durable in the very commit that makes the changes so.
Whoever tells them reads them from the store, in his own time. What waits for a person is not agreed: it is withheld
until he has spoken. Without a feed, nothing here costs anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain

from engine.agreed import (
    PAGES,
    STATE,
    WITHHELD,
    Agreed,
    Event,
    Feed,
    Page,
    State,
    Told,
    encode,
    page_of,
    place_of,
    state_of,
    told_of,
)  # fmt: skip
from engine.desk.records import Name
from engine.desk.stopping import Stopping, waiting_space
from engine.merge import Step
from engine.ports import Delta
from engine.record import STOPPED, Record
from engine.rulebook import EXISTENCE
from engine.vocabulary import JournalEntry, Position, Version

FORGOTTEN_AT_ONCE = 500
"""Pages that have been told, and that one commit takes out of the store."""
WITHHELD_AT_ONCE = 5_000
"""Records withheld at a time when a feed begins."""

NOBODY = Version(0, "", 0, 0)


class _Noted(dict[Name, Record]):
    """Records to become durable; notes which of them have been put in since it was last asked."""

    __slots__ = ("changed",)

    def __init__(self, changed: dict[Name, None]) -> None:
        self.changed = changed

    def __setitem__(self, name: Name, record: Record) -> None:
        self.changed[name] = None
        super().__setitem__(name, record)


class Telling(Stopping):
    """The room of what is told."""

    feed: Feed | None = None

    def attend_feed(self, feed: Feed | None) -> None:
        """From here on, what is agreed is kept for a feed; None: there is none, and what was kept is forgotten. To be
        called after `start`; until then nothing is."""
        found = self.store.find_committed(STATE, [STATE]).get(STATE)
        state = state_of(found[""]) if found else None
        entries = self.crossing.entries
        if feed is None:
            if state is not None:
                self._forget_feed(state)
            return
        self.feed = feed
        self.last_told: dict[Name, Told] = {}
        """Of records in hand: what was told last."""
        self.last_stamp: dict[Name, int] = {}
        """And the newest version that they had then."""
        self.withholding = {e for e in feed.entities if next(iter(self.store.entries(WITHHELD + e)), None)}
        """Entities of which anything may be withheld."""
        self.withheld: dict[Name, None] = {}
        """Those in hand that are not told as they stand."""
        self.to_tell: dict[Name, None] = {}
        self.dirty = _Noted(self.to_tell)
        self.step_version = NOBODY
        """Of the step that is under decision, or was last."""
        self.feed_state = state or self._new_era(feed)
        self.feed_page = Page(0, [], [])
        self.long_from = 0
        """The first page of the transaction under decision, if that is too large for memory."""
        self.long_ended = False
        new = feed.entities - self.feed_state.entities.keys()
        self.feed_state.entities = {e: self.feed_state.entities.get(e, self.number) for e in sorted(feed.entities)}
        self._withhold_all(new)
        self._note_state()
        self.store.commit(Delta(entries=entries.taken()))

    def _new_era(self, feed: Feed) -> State:
        offset = max(0, feed.floor - self.number)
        return State(feed.era, self.number, 0, self.number, 0, {}, complete=self.number, offset=offset)

    def _forget_feed(self, state: State) -> None:
        """What was kept for a feed that is no more."""
        kept = ((PAGES, place_of(number)) for number in range(state.forgotten + 1, state.page + 1))
        spaces = (WITHHELD + name for name in self.rules)
        withheld = ((space, key) for space in spaces for key, _, _ in self.store.entries(space))
        for space, place in chain(kept, withheld, [(STATE, STATE)]):
            self.crossing.entries.note(space, place, "", None)
            if len(self.crossing.entries.dirty) >= WITHHELD_AT_ONCE:
                self.store.write(Delta(entries=self.crossing.entries.taken()))
        self.store.commit(Delta(entries=self.crossing.entries.taken()))

    def _withhold_all(self, entities: Collection[str]) -> None:
        """Of entities that have not been told so far: records that are left to a person, or stopped, are not yet."""
        held = ((entity, key) for entity, key, register in self.store.held() if register == EXISTENCE)
        stopped = ((e, key) for e in entities for key, _, _ in self.store.entries(waiting_space(e)))
        for names in (held, stopped):
            for entity, key in names:
                if entity in entities:
                    self.withholding.add(entity)
                    self.crossing.entries.note(WITHHELD + entity, key, "", encode(None))
                if len(self.crossing.entries.dirty) >= WITHHELD_AT_ONCE:
                    self.store.write(Delta(entries=self.crossing.entries.taken()))

    # ------------------------------------------------------------ what was told of the records in hand

    def _fetch(self, wanted: dict[str, dict[str, None]]) -> None:
        """As below; of records that come into hand, what was told last is known, too."""
        if self.feed is None:
            return super()._fetch(wanted)
        news = {e: [k for k in keys if k not in self.cache[e]] for e, keys in wanted.items() if e in self.feed.entities}
        super()._fetch(wanted)
        for entity, keys in news.items():
            for key in keys:
                record = self.cache[entity][key]
                self.last_told[entity, key] = _plain(record)
                self.last_stamp[entity, key] = self._newest(record).number if record is not None else 0
            if entity in self.withholding:
                for key, items in self._find(WITHHELD + entity, keys).items():
                    self.last_told[entity, key] = told_of(items[""])
                    self.withheld[entity, key] = None

    def _trim(self) -> None:
        """As below."""
        super()._trim()
        if self.feed is not None and len(self.last_told) > sum(len(cache) for cache in self.cache.values()):
            self.last_told = {n: told for n, told in self.last_told.items() if n[1] in self.cache[n[0]]}
            self.last_stamp = {n: stamp for n, stamp in self.last_stamp.items() if n in self.last_told}
            self.withheld = {n: None for n in self.withheld if n in self.last_told}

    # ------------------------------------------------------------ telling

    def _step(self, system: str, committed_at: int, position: Position, note: str = "") -> Step:
        """As below; what the step before it did is told under its own number."""
        if self.feed is None:
            return super()._step(system, committed_at, position, note)
        self._tell_agreed()
        step = super()._step(system, committed_at, position, note)
        self.step_version = step.version
        return step

    def _look_at(self, names: Iterable[Name]) -> None:
        """What was withheld of these may be told by now."""
        if self.feed is not None:
            self.to_tell.update(dict.fromkeys(names))

    def _tell_agreed(self) -> None:
        """What has become of the records that changed goes onto the page."""
        if self.feed is None or not self.to_tell:
            return
        names = list(self.to_tell)
        self.to_tell.clear()
        for name in names:
            if name[0] not in self.feed.entities:
                continue
            record = self.record(*name)
            if record is None:
                continue
            before = self.last_told.get(name)
            after = self._agreed(name, record, before)
            version = self._newest(record)
            restamped = after is not None and after == _plain(record) and version.number > self.last_stamp.get(name, 0)
            if after != before or restamped:
                self.last_told[name], self.last_stamp[name] = after, version.number
                number, index = self._next()
                change = Agreed(*name, self._place_of(version), number, index, before, after)
                self.feed_page.changes.append(change)
            if after != _plain(record):
                self._withhold(name, after)
            elif name in self.withheld:
                del self.withheld[name]
                self.crossing.entries.note(WITHHELD + name[0], name[1], "", None)

    def _withhold(self, name: Name, told: Told) -> None:
        self.withheld[name] = None
        self.withholding.add(name[0])
        self.crossing.entries.note(WITHHELD + name[0], name[1], "", encode(told))
        if self.stops:
            self.crossing.entries.note(waiting_space(name[0]), name[1])  # so that it is looked at when they end

    def _agreed(self, name: Name, record: Record, told: Told) -> Told:
        """What of a record is agreed: not what is stopped, nor what is left to a person."""
        if record.sides and self._is_put_off(name, record):
            return told
        if not record.holds:
            return _plain(record)
        if not (told is not None if EXISTENCE in record.holds else record.alive):
            return None
        if told is None or not record.alive:
            return told if EXISTENCE in record.holds else record.values
        values = list(record.values)
        for register in record.holds:
            for number in self.rules[name[0]].registers[register].fields:
                values[number] = told[number]
        return tuple(values)

    def _is_put_off(self, name: Name, record: Record) -> bool:
        """True if a stop concerns what has become of the record."""
        return any(
            side.wait == STOPPED
            or (bool(self.stops) and bool(side.due or side.wait) and self._is_stopped(name, record, system, side))
            for system, side in record.sides.items()
        )

    def _newest(self, record: Record) -> Version:
        version = record.table[-1]
        if version.number != self.step_version.number:
            version = max((record.table[place] for place in set(record.index)), key=lambda one: one.number)
        return version

    def _place_of(self, version: Version) -> int:
        """Where it stands among the page's versions."""
        versions = self.feed_page.versions
        if not versions or versions[-1] != version:
            versions.append(version)
        return len(versions) - 1

    def _next(self) -> tuple[int, int]:
        state = self.feed_state
        state.index = state.index + 1 if state.number == self.number else 0
        state.number = self.number
        return state.number + state.offset, state.index

    # ------------------------------------------------------------ pages

    def _delta(self) -> Delta:
        """As below, with a page of what has been agreed since the last one."""
        if self.feed is None:
            return super()._delta()
        self._tell_agreed()
        if self.feed.events:
            self._tell_events()
        if self.feed_page.changes or self.feed_page.events or self.long_ended:
            self.feed_state.page += 1
            self.feed_page.number, self.feed_page.goes_on = self.number, self.long_from > 0
            self.feed_page.since, self.feed_state.complete = self.feed_state.complete, self.number
            self._note_page(self.feed_state.page, self.feed_page)
            self._note_state()
            self.feed_page, self.long_ended = Page(0, [], []), False
        self._forget_told(self.feed.told_to)
        delta = super()._delta()
        self.dirty = _Noted(self.to_tell)
        return delta

    def _forget_told(self, told_to: int) -> None:
        forgotten = self.feed_state.forgotten
        for number in range(forgotten + 1, min(told_to, forgotten + FORGOTTEN_AT_ONCE) + 1):
            self.crossing.entries.note(PAGES, place_of(number), "", None)
            self.feed_state.forgotten = number
        if self.feed_state.forgotten > forgotten:
            self._note_state()

    def _note_state(self) -> None:
        self.crossing.entries.note(STATE, STATE, "", encode(self.feed_state))

    def _tell_events(self) -> None:
        for entry in self.delta.journal:
            self.feed_page.events.append(Event(*self._next(), entry))
        for (entity, key, system), reason in self.delta.quarantine.items():
            kind = "quarantine" if reason is not None else "released"
            entry = JournalEntry(entity, key, (), kind, reason or "", None, (), None, (), self.number)
            self.feed_page.events.append(Event(*self._next(), entry, system))

    def _note_page(self, number: int, page: Page) -> None:
        self.crossing.entries.note(PAGES, place_of(number), "", encode(page))

    def stored(self) -> None:
        """As below; there may be something to be told."""
        super().stored()
        if self.feed is not None:
            self.feed.bell.set()

    # ------------------------------------------------------------ transactions larger than memory

    def _begin_long(self) -> None:
        """A transaction that is too large for one page is decided from here on."""
        if self.feed is not None:
            self._tell_agreed()
            self.long_from = self.feed_state.page + 1

    def _end_long(self) -> None:
        """It has been decided, and weighed: what was told of it may be told."""
        if self.feed is not None:
            self.long_from, self.long_ended = 0, True

    def _take_back(self) -> None:
        """An entity was stopped by a transaction of which pages are written already: what it concerns is taken out."""
        if self.feed is None or not self.long_from:
            return
        self._write()
        for number in reversed(range(self.long_from, self.feed_state.page + 1)):  # what was told first remains
            found = self.store.find(PAGES, [place_of(number)])
            page = page_of(found[place_of(number)][""])
            self._load((change.entity, change.key) for change in page.changes)
            kept: list[Agreed] = []
            for change in reversed(page.changes):
                name = change.entity, change.key
                record = self.record(*name)
                if record is not None and self._is_put_off(name, record):
                    self.last_told[name] = change.before
                    self._withhold(name, change.before)
                else:
                    kept.append(change)
            if len(kept) < len(page.changes):
                page.changes = kept[::-1]
                self._note_page(number, page)
            self._write()
            self._trim()


def _plain(record: Record | None) -> Told:
    return record.values if record is not None and record.alive else None
