"""The feed on real servers: what all agreed on is in Kafka, once each, whatever becomes of the engine and of Kafka."""

from __future__ import annotations

import json
import os
import signal
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.engine_live.listener import Heard, all_records, heard
from tests.engine_live.schema import placed
from tests.engine_live.users import Users
from tests.engine_live.world import World, eventually, pause
from tests.ground import Session
from tests.kafka_servers import Broker

POINTS = (
    "feed_sent:1", "feed_sent:6", "before_feed_commit:4", "after_feed_commit:1", "after_feed_commit:5",
    "before_commit:7", "after_commit:7", "after_target_commit:5",
)  # fmt: skip
RANDOM_KILLS = 8
THINGS = 300
CHANGES = 300
"""More than so many are told after the beginning."""
CAUGHT_UP_S = 60.0
ALLOWED = ("c", "r")
"""How an event, which nobody changes, may be told."""

_names = count(1)


class Fed(World):
    """Two databases, an engine between them, and its feed."""

    def __init__(
        self, folder: Path, addresses: dict[str, str], broker: Broker, words: str = "", *, without: bool = False,
        **policies: str,
    ) -> None:  # fmt: skip
        """`words`: of the feed, besides. `without`: the rules have none to begin with."""
        self.name = f"fed{os.getpid()}x{next(_names)}"  # all processes of a run share the broker
        self.broker = broker
        self.feed = f'feed: {{kafka: "{broker.url()}", topics: "{self.name}.{{entity}}"{words}}}\n'
        more = "" if without else self.feed
        super().__init__(folder, self.name, addresses, things=THINGS, more=more, **policies)

    @property
    def topics(self) -> list[str]:
        """Of the entities, parents first."""
        return [f"{self.name}.thing", f"{self.name}.event"]

    def heard(self) -> Heard:
        """What a consumer has who read it all by now."""
        return heard(self.broker.bootstrap, self.topics)

    def caught_up(self) -> Heard:
        """Waits until all is equal and told; what a consumer has then."""
        self.equal(within_s=CAUGHT_UP_S)

        def all_told() -> bool:
            document = self.live.document()
            feed = document.get("feed", {})
            return (
                bool(document.get("quiet"))
                and feed.get("state") == "running"
                and not (feed["waiting"] or feed["beginning"])
            )

        eventually(all_told, CAUGHT_UP_S, lambda: f"{self.live.document()}\n{self.live.log_tail()}")
        eventually(lambda: self.complete(self.heard()) == [], CAUGHT_UP_S, lambda: str(self.complete(self.heard())))
        return self.heard()

    def complete(self, found: Heard) -> list[str]:
        """As below, or was told twice: what was there before comes first, if at all."""
        ways = [
            f"{key}: {way}"
            for key, way in found.ways.items()
            if "r" in way[1:] or (key.startswith("event") and way not in ALLOWED)
        ]
        return found.wrong + ways + self.lacking(found)

    def lacking(self, found: Heard) -> list[str]:
        """What a consumer lacks of what the database has, or has otherwise."""
        wrong: list[str] = []
        with Session(self.addresses["erp"]) as session:
            things = session.rows(placed("SELECT {code}, {of_erp}, {of_crm}, {shared}, {amount} FROM {thing}", "erp"))
            events = {row[0] for row in session.rows(placed("SELECT {token} FROM {event}", "erp"))}
        rows = found.rows.get("thing", {})
        for code, of_erp, of_crm, shared, amount in things:
            row = rows.get(json.dumps({"code": code}, separators=(",", ":")))
            wanted = {"code": code, "of_erp": of_erp, "of_crm": of_crm, "shared": shared}
            if row is None or {name: row[name] for name in wanted} != wanted or float(row["amount"]) != float(amount):
                wrong.append(f"thing {code}: {row}, wanted {wanted}")
        if len(rows) != len(things):
            wrong.append(f"{len(rows)} things are told, {len(things)} are there")
        told = {row["token"] for row in found.rows.get("event", {}).values()}
        return wrong + [f"event {token}" for token in sorted(told ^ events)]


@pytest.fixture
def databases(erp_db: str, crm_db: str) -> dict[str, str]:
    """Two empty ones."""
    return {"erp": erp_db, "crm": crm_db}


@pytest.fixture
def fed(databases: dict[str, str], kafka_server: Broker, tmp_path: Path) -> Fed:
    return Fed(tmp_path, databases, kafka_server)


_seeds = count(1)


def _writing(world: Fed, rate: float = 150) -> list[Users]:
    users = world.users(rate=rate, seed=next(_seeds))
    for each in users:
        each.start()
    return users


def _stop(users: list[Users]) -> None:
    for each in users:
        each.stop()


def test_what_was_there_and_what_comes_is_told_once(fed: Fed) -> None:
    fed.live.run()
    users = _writing(fed)  # also while the beginning is read
    eventually(lambda: fed.heard().changes > CHANGES, CAUGHT_UP_S, fed.live.log_tail)
    _stop(users)

    found = fed.caught_up()

    assert found.wrong == []
    assert found.changes > CHANGES
    assert found.beginnings > 0
    # Who was changed before the beginning came to him is told by that change alone.
    assert len(found.rows["thing"]) >= THINGS, "what was there before the engine is told, too"


def test_the_engine_is_killed_at_every_point_and_each_change_is_told_once(fed: Fed) -> None:
    fed.live.run()
    fed.live.running()
    users = _writing(fed)
    for point in POINTS:
        fed.live.stop()
        fed.live.run(failpoint=point)
        assert fed.live.ended(40) == -signal.SIGKILL, point
        fed.live.run()
        fed.live.running()
    chance = Random(7)
    for _ in range(RANDOM_KILLS):
        pause(chance.random() * 1.5)
        fed.live.kill9()
        fed.live.run()
        fed.live.running()
    _stop(users)

    found = fed.caught_up()

    assert found.wrong == []
    assert found.changes > 500


def test_kafka_is_away_and_all_else_flows(databases: dict[str, str], own_kafka: Broker, tmp_path: Path) -> None:
    own_kafka.start()
    fed = Fed(tmp_path, databases, own_kafka)
    fed.live.run()
    fed.live.running()
    users = _writing(fed, rate=60)
    pause(1)
    own_kafka.kill9()
    pause(2)
    fed.live.kill9()
    fed.live.run()  # an engine does not wait for Kafka to begin, either
    fed.live.running()
    pause(2)
    _stop(users)

    fed.equal()
    eventually(lambda: fed.live.document().get("feed", {}).get("waiting"), 40, lambda: str(fed.live.document()))
    assert "waiting: " in fed.live.call("status").stdout
    own_kafka.start()

    assert fed.caught_up().wrong == []


def test_a_feed_is_added_and_taken_out_and_added_again(
    databases: dict[str, str], kafka_server: Broker, tmp_path: Path
) -> None:
    fed = Fed(tmp_path, databases, kafka_server, without=True)
    rules = fed.live.rules
    plain = rules.read_text(encoding="utf-8")
    _at_work(fed)

    rules.write_text(plain + fed.feed, encoding="utf-8")
    _at_work(fed)
    fed.live.run()
    found = fed.caught_up()
    fed.live.stop()
    assert found.wrong == []
    assert "first merge" not in fed.live.said().split("stopped: ", 1)[1], "nothing is compared again"
    assert {"r", "c"} <= {way[0] for way in found.ways.values()}

    rules.write_text(plain, encoding="utf-8")
    _at_work(fed)
    rules.write_text(plain + fed.feed, encoding="utf-8")
    fed.live.run()
    eventually(lambda: fed.lacking(fed.heard()) == [], CAUGHT_UP_S, lambda: str(fed.lacking(fed.heard())))


def test_conflicts_overruled_writes_and_quarantine_are_events(
    databases: dict[str, str], kafka_server: Broker, tmp_path: Path
) -> None:
    journal = f"journal{os.getpid()}x{next(_names)}"
    fed = Fed(tmp_path, databases, kafka_server, f', journal: "{journal}", values: true, form: cloudevents')
    fed.live.run()
    fed.live.running()
    fed.equal()
    fed.live.stop()
    for system in ("erp", "crm"):
        with Session(databases[system]) as session:
            update = placed("UPDATE {thing} SET {shared} = %s WHERE {code} = 'T000001'", system)
            session.execute(update, [f"by {system}"])
    with Session(databases["crm"]) as session:
        session.execute(placed("ALTER TABLE {thing} ADD CHECK ({shared} <> 'no')", "crm"))
    with Session(databases["erp"]) as session:
        session.execute(placed("UPDATE {thing} SET {shared} = 'no' WHERE {code} = 'T000002'", "erp"))
    fed.live.run()

    def told() -> set[tuple[str, str]]:
        events = [json.loads(record.value) for record in all_records(kafka_server.bootstrap, [journal])]
        return {(event["type"], event["data"]["key"]) for event in events}

    wanted = {("duolog.journal.update_differs", "T000001"), ("duolog.journal.quarantine", "T000002")}
    eventually(lambda: wanted <= told(), CAUGHT_UP_S, lambda: f"{told()}\n{fed.live.log_tail()}")
    lost = [json.loads(record.value)["data"] for record in all_records(kafka_server.bootstrap, [journal])]
    conflict = next(row for row in lost if row["kind"] == "update_differs")
    assert {json.loads(conflict["won"])["shared"], json.loads(conflict["lost"])["shared"]} == {"by erp", "by crm"}


def _at_work(fed: Fed) -> None:
    """The engine runs, and users write, for a moment."""
    fed.live.run()
    fed.live.running()
    users = _writing(fed, rate=40)
    pause(1.5)
    _stop(users)
    fed.equal()
    fed.live.stop()
