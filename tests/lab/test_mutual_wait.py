"""Two PostgreSQL servers whose users wait for each other: what nobody sees, what frees them, and what must not be done.

Turns one collision into the measured facts that the engine's answer to it rests on; with bare clients, without the
engine. Each test's docstring is the line that it recreates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from tests.crowd import within
from tests.lab.clients import Client
from tests.lab.conftest import Side
from tests.lab.standby import Standby, until

NOBODY_SEES_IT_S = 1.5
"""Fifteen times the servers' deadlock_timeout."""
WAITS_WHILE_LOOKED_AT = f"{within(2):g}s"
"""A lock_timeout that does not end before it has been asked who is in the way."""


CHANGE = {
    "erp": "UPDATE item SET value = 'of erp' WHERE id = 1",
    "crm": "UPDATE item SET value = 'of crm' WHERE id = 1",
}


@dataclass
class Jam:
    """Both users hang at COMMIT of the same row, and what each wrote waits for the other's lock."""

    sides: dict[str, Side]
    users: dict[str, Client]
    standbys: dict[str, Standby]
    applies: dict[str, Client]
    """By the side that is written to: what the other side's user wrote."""

    def confirm(self, name: str) -> None:
        """What the user of this side wrote counts as there."""
        self.standbys[name].confirm(self.standbys[name].commits[-1].end)

    def values(self) -> dict[str, str]:
        """What stands in the row on each side."""
        return {name: side.dba.ask("SELECT value FROM item WHERE id = 1") for name, side in self.sides.items()}


@pytest.fixture
def jam(erp: Side, crm: Side) -> Iterator[Jam]:
    """The ERP's user wrote `of erp`, the CRM's `of crm`, into row 1, both synchronous."""
    sides = {"erp": erp, "crm": crm}
    with erp.standby() as erp_standby, crm.standby() as crm_standby:
        for side in sides.values():
            side.dba.arm("lab")
        users = {name: Client(side.url).sends(CHANGE[name]) for name, side in sides.items()}
        for name, side in sides.items():
            side.dba.hangs(users[name])
        standbys = {"erp": erp_standby, "crm": crm_standby}
        for standby in standbys.values():
            until(lambda standby=standby: standby.commits)
        applies = {name: Client(side.url, "synchronous_commit = local") for name, side in sides.items()}
        yield Jam(sides, users, standbys, applies)


def _apply(jam: Jam, name: str, limit: str = "0") -> Client:
    """Writes to this side what the other side's user wrote."""
    change = CHANGE["crm" if name == "erp" else "erp"]
    return jam.applies[name].sends(f"SET lock_timeout = '{limit}'", change)


def test_neither_database_sees_it(jam: Jam) -> None:
    """Same row, both sides synchronous: two clients in SyncRep, two applies behind their locks; neither database finds
    a deadlock in it."""
    for name, side in jam.sides.items():
        apply = _apply(jam, name)
        until(lambda side=side, apply=apply, name=name: side.dba.blocked_by(apply.pid) == [jam.users[name].pid])
    time.sleep(NOBODY_SEES_IT_S)

    for name, side in jam.sides.items():
        assert side.dba.waits(jam.users[name])
        assert side.dba.blocked_by(jam.applies[name].pid) == [jam.users[name].pid]
        assert not jam.applies[name].answered
    assert jam.values() == {"erp": "start", "crm": "start"}


def test_the_naive_answer_swaps_the_values(jam: Jam) -> None:
    """Both confirmed and both applied: the values are swapped, and stay so."""
    applies = [_apply(jam, name) for name in jam.sides]
    for name in jam.sides:
        jam.confirm(name)
    for name in jam.sides:
        jam.users[name].is_told_ok()
    for apply in applies:
        apply.is_told_ok()

    assert jam.values() == {"erp": "of crm", "crm": "of erp"}


def test_what_a_lock_waits_for_tells_it(jam: Jam) -> None:
    """It is seen from outside: the write ends at its lock_timeout, and who blocked it waits in `SyncRep`."""
    for name in jam.sides:
        _apply(jam, name, limit=WAITS_WHILE_LOOKED_AT)
    for name, side in jam.sides.items():
        apply = jam.applies[name]
        until(lambda side=side, apply=apply: side.dba.blocked_by(apply.pid))
        (blocker,) = side.dba.blocked_by(apply.pid)

        assert blocker == jam.users[name].pid
        assert side.dba.ask("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", blocker) == "SyncRep"
    for apply in jam.applies.values():
        apply.is_answered()
        assert isinstance(apply.error, psycopg.errors.LockNotAvailable)


@pytest.mark.parametrize("winner", ["erp", "crm"])
def test_the_loser_is_confirmed_and_not_carried_over(jam: Jam, winner: str) -> None:
    """The way out: decide; confirm the loser's commit, whose user is told OK; carry over the winner's; confirm it; do
    not carry over the loser's. Both users are answered, both sides equal."""
    loser = "crm" if winner == "erp" else "erp"

    jam.confirm(loser)
    jam.users[loser].is_told_ok()
    _apply(jam, loser, limit="2s").is_told_ok()
    assert jam.sides[winner].dba.waits(jam.users[winner])
    jam.confirm(winner)
    jam.users[winner].is_told_ok()

    assert jam.values() == {"erp": f"of {winner}", "crm": f"of {winner}"}
