"""Commit here, read there at once: both sides synchronous, while the engine is killed and cut and servers restart.

Not one OK without a warning, outside the recorded degraded ranges, without the row on the other side. A short form runs
in `make test`; `make lab` has the long one (`DUOLOG_LAB_COMMITS`, `DUOLOG_LAB_SEED`). The judge is tried on broken
promises first.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from random import Random

import pytest

from tests.engine_live.world import eventually
from tests.lab.shop import WAITERS, Shop, opened
from tests.lab.torment import KINDS, Kind, Torment
from tests.lab.users import Reader
from tests.lab.witness import SAID_MAX, Promise, Range, Verdict, commits_of, judged, ranges_of

COMMITS = int(os.environ.get("DUOLOG_LAB_COMMITS", "10000"))
AWAY_S = 2.0
ON_EACH_SIDE = 2


@pytest.mark.alone
def test_in_a_short_form(tmp_path: Path) -> None:
    accidents: tuple[Kind, ...] = ("kill", "cut", "crash")
    verdict, shop_said = _tried(tmp_path, 200, Random(7), accidents)

    assert verdict.broken[:SAID_MAX] == [], "\n".join([*verdict.broken[:SAID_MAX], shop_said])
    assert verdict.kept >= 200


@pytest.mark.lab
def test_in_the_long_form(tmp_path: Path) -> None:
    seed = int(os.environ.get("DUOLOG_LAB_SEED", time.time_ns() % 1_000_000))
    print(f"\nread at once: DUOLOG_LAB_SEED={seed} DUOLOG_LAB_COMMITS={COMMITS}")
    verdict, shop_said = _tried(tmp_path, COMMITS, Random(seed), None)

    assert verdict.broken[:SAID_MAX] == [], "\n".join([*verdict.broken[:SAID_MAX], shop_said])
    assert verdict.kept >= COMMITS


def _tried(
    folder: Path, many: int, chance: Random, accidents: tuple[Kind, ...] | None
) -> tuple[Verdict, str]:  # fmt: skip
    """Users at work until so many promises were made while commits waited; what the judge says, and the log's end.

    `accidents`: one after the other, spread over the time; None: by chance, for as long as it takes."""
    with opened(folder, AWAY_S) as shop:
        shop.watch()
        shop.start()
        over = threading.Event()
        users = [
            Reader(shop.addresses, system, other, key + 1, over)
            for key, (system, other) in enumerate([("erp", "crm"), ("crm", "erp")] * ON_EACH_SIDE)
        ]
        torment = Torment(shop, chance)
        begun, kept = time.monotonic(), 0
        for user in users:
            user.start()
        try:
            # Some of these may turn out to be in a degraded range.
            while kept < many * 1.1 or (accidents and torment.counted.total() < len(accidents)):
                kept += _goes_on(users, chance.randrange(many // 200, many // 25) if accidents is None else many // 4)
                if accidents is None:
                    torment.strikes(chance.choice(KINDS))
                elif torment.counted.total() < len(accidents):
                    torment.strikes(accidents[torment.counted.total()])
                shop.armed()
        finally:
            over.set()
            for user in users:
                user.join(30)
        took_s = time.monotonic() - begun
        assert [user.name for user in users if user.is_alive()] == [], "they wait for ever"
        assert [user.trouble for user in users if user.trouble] == []
        shop.equal()
        verdict = _judged(shop, [promise for user in users for promise in user.promises])
        _ends_well(shop)
        longest = max(p.took_s for user in users for p in user.promises if p.answered == "ok")
        print(f"read at once: {took_s:.0f} s, {dict(torment.counted)}: {verdict}; longest wait {longest:.1f} s")
        assert longest <= AWAY_S + 1, "somebody waited for longer than `open after` allows"
        return verdict, shop.live.log_tail()


def _answers(users: list[Reader]) -> int:
    """OKs that the other side had at once."""
    return sum(promise.answered == "ok" and promise.seen for user in users for promise in list(user.promises))


def _goes_on(users: list[Reader], many: int) -> int:
    """Waits until so many more were answered; how many that were."""
    before = _answers(users)
    return int(eventually(lambda: _answers(users) - before >= many and _answers(users) - before, 60, "further commits"))


def _judged(shop: Shop, promises: list[Promise]) -> Verdict:
    commits, ranges = {}, {}
    for system in shop.servers:
        with shop.session(system) as connection:
            commits[system], ranges[system] = commits_of(connection), ranges_of(connection)
    released = [int(entry["key"]) for entry in shop.live.journal() if entry["kind"] == "released"]
    return judged(promises, commits, ranges, released)


def _ends_well(shop: Shop) -> None:
    """A stop in order leaves nobody waiting, and the servers as they were."""
    assert shop.live.stop() == 0, shop.live.log_tail()
    for system in shop.servers:
        assert shop.ask(system, "SHOW synchronous_standby_names") == ""
        assert shop.ask(system, WAITERS) == 0


# ---------------------------------------------------------------- the judge held against broken promises


def promise(**given: object) -> Promise:
    """One that was kept, but for what is given."""
    found = Promise("erp", 1, "1.1", 700, "ok", 0.01, seen=True)
    for name, value in given.items():
        setattr(found, name, value)
    return found


COMMIT = {"erp": {700: 1000}, "crm": {}}
NO_RANGE: dict[str, list[Range]] = {"erp": [], "crm": []}


def test_the_judge_finds_an_ok_that_the_other_side_does_not_have() -> None:
    verdict = judged([promise(seen=False)], COMMIT, NO_RANGE, [])

    assert verdict.broken == [
        "erp 0/3E8 1.1: OK after 10 ms, in no degraded range, and a new session on the other side does not see it"
    ]


def test_the_judge_finds_an_ok_that_is_in_no_log() -> None:
    assert judged([promise(xid=701)], COMMIT, NO_RANGE, []).broken == ["erp 1.1: OK, and it is in no log"]


@pytest.mark.parametrize(
    ("since", "until", "broken"),
    [(0, None, 0), (999, 1001, 0), (1000, None, 1), (0, 1000, 1), (999, None, 0), (1001, 2000, 1)],
)
def test_the_judge_takes_the_ranges_at_their_word(since: int, until: int | None, broken: int) -> None:
    ranges = {"erp": [Range(since, until)], "crm": [Range(0, None)]}

    assert len(judged([promise(seen=False)], COMMIT, ranges, []).broken) == broken


def test_the_judge_excuses_what_the_journal_released_and_what_nobody_was_told() -> None:
    assert judged([promise(seen=False)], COMMIT, NO_RANGE, [1]).released == 1
    for answered in ("lost", "warned"):
        assert judged([promise(seen=False, answered=answered)], COMMIT, NO_RANGE, []).broken == []
