"""The feed of a rule file beside a running engine: its desk keeps what is agreed, a thread tells it in Kafka.

Turns `feed:` and a runner that has not begun into a publisher at work, for as long as the engine is. Trouble of a feed
is told in the log and in `status`, and never stops an engine.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from adapters.feed.cloudevents import CloudEventsForm
from adapters.feed.debezium import DebeziumForm
from adapters.feed.message import Speech, Where
from adapters.feed.publisher import LAST_S, Publisher, Setting, progress_topic
from adapters.feed.topics import look_at
from adapters.kafka.broker import broker
from adapters.store import SqlStore
from engine.agreed import Feed
from engine.rulebook import RuleBook
from engine.runner import Runner
from rules.feed import FeedRules
from service.failpoints import Failpoint
from service.wiring import Wired

JOIN_S = LAST_S + 3.0


@contextmanager
def telling(
    wired: Wired, runner: Runner, store: SqlStore, point: Failpoint | None, tell: Callable[[str, str], None]
) -> Iterator[Publisher | None]:
    """While the engine runs, so does the feed; None: the rules have none, and what was kept for one is forgotten.

    Raises AccessDenied if the address cannot be understood."""
    rules = wired.rules.feed
    if rules is None:
        runner.decider.attend_feed(None)
        yield None
        return
    publisher = publisher_of(rules, wired.rules.name, wired.book, runner, store, point, tell)
    thread = threading.Thread(target=publisher.run, name="feed", daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        publisher.stop()
        thread.join(timeout=JOIN_S)


def publisher_of(
    rules: FeedRules, name: str, book: RuleBook, runner: Runner, store: SqlStore, point: Failpoint | None,
    tell: Callable[[str, str], None],
) -> Publisher:  # fmt: skip
    """What tells the changes that this runner's desk decides; it has not begun."""
    topics = {entity: rules.topics[entity] for entity in book.entities if entity in rules.topics}
    feed = Feed(frozenset(topics), os.urandom(8).hex(), time.time_ns() // 1000, bool(rules.journal))
    runner.decider.attend_feed(feed)
    arguments = arguments_of(rules, book.name)
    setting = Setting(book.name, arguments, topics, rules.journal, rules.partitions, rules.copies)
    reach = point.reach if point is not None else lambda point: None
    return Publisher(setting, feed, store, speech_of(rules, name, book), tell, reach)


def arguments_of(rules: FeedRules, owner: str) -> dict[str, Any]:
    """What clients of its brokers are made with. Raises AccessDenied if the address cannot be understood."""
    assert rules.kafka is not None, "loaded with an environment"
    said = broker(rules.kafka.reveal(), system="feed", insecure=rules.insecure)
    return said.arguments(f"duolog-{owner}-feed", system="feed")


def look_at_feed(wired: Wired) -> None:
    """Whether the feed of these rules, if there is one, could begin now. Raises DuologError."""
    if wired.rules.feed is not None:
        name = wired.book.name
        look_at(arguments_of(wired.rules.feed, name), progress_topic(name))


def speech_of(rules: FeedRules, name: str, book: RuleBook) -> Speech:
    """The form in which the changes of these rules, of this name, are told."""
    where = Where(name, book.name, rules.topics, rules.journal, rules.inline, rules.values)
    return (DebeziumForm if rules.form == "debezium" else CloudEventsForm)(book.entities, where)
