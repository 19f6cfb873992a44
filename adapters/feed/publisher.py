"""The thread of a feed: pages out of the store into Kafka, one Kafka transaction for whole pages, once each.

Turns what the desk has kept into messages. Its progress is a record of the same transaction, so that both are there or
neither is; the producer's `transactional.id` is the engine's name, so that a second engine of that name fences the
first. While Kafka is away, pages wait in the store, and nobody waits for them. It never decides and never writes to the
store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from adapters.feed import beginning
from adapters.feed.message import Change, Message, Speech
from adapters.feed.progress import KEY, Progress, encode, last_progress
from adapters.feed.topics import make_topics
from adapters.kafka.broker import translated
from adapters.kafka.hanging import Hanging
from engine.agreed import PAGES, STATE, Feed, Page, State, page_of, place_of, state_of
from engine.errors import DuologError, EngineFault, SystemStopped, SystemUnavailable
from engine.ports import Store

PAGES_AT_ONCE: Final = 64
"""Pages read from the store at a time, at most."""
CHANGES_AT_ONCE: Final = 5_000
"""Changes after which a Kafka transaction ends, at the end of a page."""
IDLE_S: Final = 0.5
PAUSE_FIRST_S, PAUSE_MOST_S = 0.2, 10.0
"""Between attempts to reach Kafka."""
DOUBTS_S: Final = 15.0
"""How long an empty topic of progress is doubted: brokers that have just come back may not have all of it yet."""
LAST_S: Final = 5.0
"""How long a clean stop goes on telling what is left."""
MESSAGE_BYTES_MAX: Final = 32_000_000
TIMEOUTS: Final = {"max_block_ms": 20_000, "request_timeout_ms": 15_000, "delivery_timeout_ms": 30_000}
TRANSACTION_TIMEOUT_MS: Final = 600_000
"""A transaction larger than memory stays open for long; brokers allow 15 minutes unless told otherwise."""

Observer = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where to, and as whom."""

    owner: str
    """The name of the engine: of its transactions, and of its topic of progress."""
    arguments: Mapping[str, Any]
    """What clients of Kafka are made with."""
    topics: Mapping[str, str]
    """By entity, parents first."""
    journal: str
    partitions: int
    replication: int

    @property
    def progress(self) -> str:
        """The topic that keeps how far the feed is."""
        return progress_topic(self.owner)


def progress_topic(owner: str) -> str:
    """The topic that keeps how far the feed of an engine is."""
    return f"duolog.{owner}.feed"


class Publisher:
    """See the module. `reach` passes failpoints."""

    def __init__(
        self, setting: Setting, feed: Feed, store: Store, speech: Speech, observe: Observer,
        reach: Callable[[str], None] = lambda point: None,
    ) -> None:  # fmt: skip
        self.setting = setting
        self.feed = feed
        self.store = store
        self.speech = speech
        self.observe = observe
        self.reach = reach
        self.state: Literal["connecting", "running", "unavailable", "stopped"] = "connecting"
        self.trouble = ""
        self.told = 0
        """Messages since the start."""
        self.stopping = False
        self.ends_at = 0.0
        self.producer: KafkaProducer | None = None
        self.hanging = Hanging(setting.progress, system="feed")
        self.doubts_from = 0.0
        """Since when the topic of progress is empty and should not be (`time.monotonic`); 0: it is as it should be."""
        self.progress = Progress("", 0, 0, 0)
        self.offset = 0
        """Of the era; see `State.offset`."""
        self.pages: list[tuple[int, Page]] = []
        """Read ahead."""
        self.ahead = 1
        """How many are read at a time: as many as memory bears, by how large they are."""

    # ------------------------------------------------------------ life

    def run(self) -> None:
        """Tells what there is to tell, until `stop`. Whatever it dies of is told, and never by an exception."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - a defect: told by its kind alone, as it may hold a row's content
            fault = f"the feed died of {type(error).__name__}"
            self._become("stopped", EngineFault(fault, system="feed", mend="this is a defect of duolog: report it"))

    def _run(self) -> None:
        pause = PAUSE_FIRST_S
        while not self.stopping:
            try:
                self._open()
                self._become("running")
                pause = PAUSE_FIRST_S
                while self._tell_some() or not self.stopping:
                    if self.stopping and time.monotonic() > self.ends_at:
                        break
            except SystemUnavailable as error:
                self._become("unavailable", error)
                self._rest(pause)
                pause = min(pause * 2, PAUSE_MOST_S)
            except DuologError as error:
                self._become("stopped", error)
                return
            finally:
                self._close()

    def stop(self) -> None:
        """Asks it to end, once what is in the store has been told, or `LAST_S` are over. Thread-safe."""
        self.ends_at = time.monotonic() + LAST_S
        self.stopping = True
        self.feed.bell.set()

    def document(self) -> dict[str, Any]:
        """For `duolog status`. May be asked from another thread."""
        found = self.store.find_committed(STATE, [STATE]).get(STATE)
        last = state_of(found[""]).page if found else 0
        begun = sum(1 for one in self.progress.beginnings.values() if one.at is not None)
        return {
            "state": self.state, "trouble": self.trouble, "waiting": max(0, last - self.feed.told_to),
            "told": self.told, "beginning": begun, "number": self.progress.number,
        }  # fmt: skip

    def _become(self, state: Literal["running", "unavailable", "stopped"], error: DuologError | None = None) -> None:
        self.state, self.trouble = state, str(error) if error is not None else ""
        self.observe(f"feed {state}", self.trouble)

    def _rest(self, pause: float) -> None:
        deadline = time.monotonic() + pause
        while not self.stopping and time.monotonic() < deadline:
            self.feed.bell.wait(timeout=max(0.0, min(0.1, deadline - time.monotonic())))
            self.feed.bell.clear()

    # ------------------------------------------------------------ reaching Kafka

    def _open(self) -> None:
        setting = self.setting
        made = make_topics(
            setting.arguments, setting.topics.values(), setting.journal, setting.progress, setting.partitions,
            setting.replication,
        )  # fmt: skip
        if made:
            self.observe("feed topics made", ", ".join(made))
        with _asking("opening the producer"):
            self.producer = KafkaProducer(
                **setting.arguments, transactional_id=setting.progress, linger_ms=5, batch_size=262_144,
                compression_type="lz4", max_request_size=MESSAGE_BYTES_MAX, allow_auto_create_topics=False,
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS, **TIMEOUTS,
            )  # fmt: skip
            others = [*setting.topics.values(), *filter(None, [setting.journal])]
            # From here on nobody else can tell anything more.
            ended = self.hanging.begin(self.producer, setting.arguments, setting.progress, others)
            found = last_progress(setting.arguments, setting.progress)
        if ended:
            self.observe("feed ended what brokers had left open", ended)
        state = self._state()
        if found is None and setting.progress not in made:
            self._doubt(state)
        self.doubts_from = 0.0
        if found is not None and found.era != state.era == self.progress.era:
            raise SystemStopped(
                "another engine of this name tells its changes to the same brokers", system="feed",
                mend="stop one of the two; or give them names (`name:` in the rules), and topics, of their own",
            )  # fmt: skip
        if found is None or found.era != state.era:
            self.observe("feed begins", "everything that is agreed is told, as op `r`")
            found = self._first(state)
        self.progress, self.offset = found, state.offset
        self.progress.beginnings = beginning.wanted(found, state, list(setting.topics))
        self.pages = []
        self.feed.told_to = found.page

    def _doubt(self, state: State) -> None:
        """The topic of progress is empty, and was there: if anything has been told, that is not believed at once."""
        now = time.monotonic()
        self.doubts_from = self.doubts_from or now
        if max(state.forgotten, self.feed.told_to) > 0 and now - self.doubts_from < DOUBTS_S:
            raise SystemUnavailable(
                f"the topic `{self.setting.progress}` is empty, though pages were told; if it stays so for "
                f"{DOUBTS_S:.0f} s, everything is told anew", system="feed",
            )  # fmt: skip

    def _state(self) -> State:
        found = self.store.find_committed(STATE, [STATE]).get(STATE)
        if found is None:
            raise SystemUnavailable("the engine has not begun to keep what is agreed", system="feed")
        return state_of(found[""])

    def _first(self, state: State) -> Progress:
        """Where a feed begins of which Kafka knows nothing: before the first page that is still there."""
        first = state.forgotten + 1
        found = self.store.find_committed(PAGES, [place_of(first)]).get(place_of(first))
        if found is None:
            return Progress(state.era, first - 1, state.number, state.number)
        since = page_of(found[""]).since
        return Progress(state.era, first - 1, since, since)

    def _close(self) -> None:
        if self.producer is not None:
            producer, self.producer = self.producer, None
            closing = threading.Thread(target=producer.close, kwargs={"timeout": 1}, daemon=True)
            closing.start()
            closing.join(timeout=3)

    # ------------------------------------------------------------ telling

    def _tell_some(self) -> bool:
        """One Kafka transaction, or one of each kind. False: there was nothing to tell."""
        self.feed.bell.clear()
        worked = self._tell_pages()
        entity = beginning.next_of(self.progress.beginnings)
        if entity is not None and not self.stopping:
            self._tell_beginning(entity)
            return True
        if not worked and not self.stopping:
            self.feed.bell.wait(timeout=IDLE_S)
        return worked

    def _tell_pages(self) -> bool:
        if not self._read_ahead():
            return False
        with self._transaction() as send:
            changes = 0
            while self._read_ahead():
                number, page = self.pages.pop(0)
                send(self._messages(page))
                changes += len(page.changes)
                self.progress.page, self.progress.number = number, page.number
                if changes >= CHANGES_AT_ONCE and not page.goes_on:
                    break
        return True

    def _read_ahead(self) -> bool:
        """Reads pages, if none is in hand. False: there is none."""
        if not self.pages:
            after = self.progress.page
            found = self.store.find_committed(PAGES, [place_of(after + n) for n in range(1, self.ahead + 1)])
            self.pages = [(int(place, 16), page_of(found[place][""])) for place in sorted(found)]
            read = sum(len(page.changes) for _, page in self.pages)
            self.ahead = max(1, self.ahead // 2) if read > CHANGES_AT_ONCE else min(PAGES_AT_ONCE, self.ahead * 2)
            if self.pages and self.pages[0][0] != after + 1:
                raise SystemStopped(
                    f"page {after + 1} of what is to be told is not in the store any more", system="feed",
                    mend="this is a defect of duolog: report it; take `feed:` out, run, put it in again, run: then "
                    "everything is told anew",
                )  # fmt: skip
        return bool(self.pages)

    def _messages(self, page: Page) -> list[Message]:
        now_us = time.time_ns() // 1000
        messages: list[Message] = []
        for c in page.changes:
            if c.entity in self.setting.topics:
                change = Change(c.key, page.versions[c.version], c.number, c.index, c.before, c.after)
                messages += self.speech.change(c.entity, change, now_us)
        if self.setting.journal:
            messages += [self.speech.event(event, now_us) for event in page.events]
        return messages

    def _tell_beginning(self, entity: str) -> None:
        now_us = time.time_ns() // 1000
        at = self.progress.beginnings[entity]
        changes, after = beginning.page_of(self.store, entity, at, self.progress, self.offset)
        with self._transaction() as send:
            send([message for change in changes for message in self.speech.change(entity, change, now_us)])
            self.progress.beginnings[entity] = after
        if after.at is None:
            self.observe("feed has told all", f"of `{entity}`")

    def _transaction(self) -> _Transaction:
        assert self.producer is not None, "it is open"
        return _Transaction(self, self.producer)


class _Transaction:
    """One Kafka transaction, which ends with our progress: all of it is there, or nothing."""

    def __init__(self, publisher: Publisher, producer: KafkaProducer) -> None:
        self.publisher, self.producer = publisher, producer
        self.sent: list[Any] = []
        self.count = 0

    def __enter__(self) -> Callable[[Sequence[Message]], None]:
        with _asking("telling"):
            self.producer.begin_transaction()
        return self._send

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            return  # the next one to begin ends what was left open
        publisher = self.publisher
        with _asking("telling"):
            publisher.reach("feed_sent")
            self.sent.append(
                self.producer.send(publisher.setting.progress, encode(publisher.progress), KEY, partition=0)
            )
            self._settle()
            publisher.reach("before_feed_commit")
            self.producer.commit_transaction()
            publisher.reach("after_feed_commit")
        publisher.told += self.count
        publisher.feed.told_to = publisher.progress.page

    def _send(self, messages: Sequence[Message]) -> None:
        with _asking("telling"):
            send = self.producer.send
            self.sent += [send(m.topic, m.value, m.key, m.headers, None, m.at_ms) for m in messages]
            self.count += len(messages)
            if len(self.sent) > CHANGES_AT_ONCE:
                self._settle()

    def _settle(self) -> None:
        """All that was sent has arrived. Raises KafkaError."""
        self.producer.flush(timeout=TIMEOUTS["delivery_timeout_ms"] / 1000)
        for future in self.sent:
            if not future.is_done:
                raise SystemUnavailable("Kafka did not take what was told in time", system="feed")
            if future.failed():
                raise future.exception
        self.sent = []


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Errors of the driver leave as ours, and what can never be taken with its mend."""
    with translated("feed", what):
        try:
            yield
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            raise SystemUnavailable(
                "a change is larger than its topic takes (its max.message.bytes)", system="feed",
                mend="kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config "
                f"max.message.bytes={MESSAGE_BYTES_MAX}",
            ) from None  # fmt: skip
