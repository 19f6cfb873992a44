"""When those who wait at COMMIT are let go, and when a watchdog has nothing left to watch: looks in, a reason out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.relational.switch import SwitchState
from engine.rulebook import Synchronous
from service.synchronous.watching import (
    LOOK_MOST_S,
    OTHER_READS_FOR_S,
    UNARMED_FOR_S,
    Vigil,
    pause_s,
    why_let_go,
    words,
)

OPEN = Synchronous(open_after_s=2.0, refused="release")
CLOSED = Synchronous(open_after_s=None, refused="wait")
QUIET = SwitchState(
    armed=True, reading=True, readable=True, waiting=0, longest_s=0.0, delivered=10, end=10, degraded=None
)
AWAY = replace(QUIET, reading=False, waiting=3, longest_s=1.9)


@pytest.mark.parametrize("rule", [OPEN, CLOSED])
@pytest.mark.parametrize("state", [QUIET, AWAY, replace(QUIET, armed=False, readable=False), replace(QUIET, waiting=9)])
def test_nobody_is_let_go_before_the_time(rule: Synchronous, state: SwitchState) -> None:
    assert why_let_go(rule, state) == ""


@pytest.mark.parametrize("reading", [True, False])
def test_whoever_has_waited_for_too_long_is_let_go_whatever_he_waits_for(reading: bool) -> None:
    late = replace(AWAY, reading=reading, longest_s=2.0)

    assert why_let_go(OPEN, late) == "a commit has waited for longer than 2 s"
    assert why_let_go(CLOSED, replace(late, longest_s=3600.0)) == ""
    assert why_let_go(OPEN, replace(late, armed=False)) == ""


def test_the_engine_leaves_the_watchdog_a_moment_to_do_it_first() -> None:
    assert why_let_go(OPEN, replace(AWAY, longest_s=2.4), slack_s=0.5) == ""
    assert why_let_go(OPEN, replace(AWAY, longest_s=2.5), slack_s=0.5)
    assert why_let_go(OPEN, replace(AWAY, longest_s=1e9), slack_s=float("inf")) == ""


@pytest.mark.parametrize("rule", [OPEN, CLOSED])
def test_a_slot_that_is_gone_frees_everybody(rule: Synchronous) -> None:
    assert "never catch up" in why_let_go(rule, replace(QUIET, readable=False, reading=False))


@pytest.mark.parametrize("rule", [OPEN, CLOSED])
def test_a_reader_whom_others_stand_in_for_is_let_go_as_soon_as_it_is_away(rule: Synchronous) -> None:
    assert "in its stead" in why_let_go(rule, replace(QUIET, stood_in=True, reading=False))
    assert why_let_go(rule, replace(QUIET, stood_in=True)) == ""


def test_looks_are_frequent_enough_for_the_time_that_a_commit_may_wait() -> None:
    assert pause_s(CLOSED) == pause_s(Synchronous(60.0, "release")) == LOOK_MOST_S
    assert pause_s(Synchronous(0.5, "release")) == 0.05


def test_the_time_is_told_as_a_rule_file_says_it() -> None:
    said = [words(Synchronous(s, "release")) for s in (None, 0.25, 5.0, 90.0, 120.0, 3600.0)]

    assert said == ["closed", "open after 250ms", "open after 5s", "open after 90s", "open after 2min", "open after 1h"]


def test_a_watch_is_over_when_nobody_has_been_held_for_a_while() -> None:
    vigil, free = Vigil(), replace(AWAY, armed=False)

    assert not vigil.over(free, 0.0)
    assert not vigil.over(AWAY, 1.0), "an order to arm came late"
    assert not vigil.over(free, 2.0)
    assert not vigil.over(free, 1.9 + UNARMED_FOR_S)
    assert vigil.over(free, 2.0 + UNARMED_FOR_S)


def test_a_watch_is_over_when_another_engine_reads() -> None:
    vigil = Vigil()

    assert not vigil.over(QUIET, 0.0), "that may still be the one that is gone"
    assert not vigil.over(AWAY, 1.0)
    assert vigil.over(QUIET, 2.0)


def test_a_reader_that_the_server_counts_for_long_is_another_engines() -> None:
    vigil = Vigil()

    assert not vigil.over(QUIET, 0.0)
    assert not vigil.over(QUIET, OTHER_READS_FOR_S - 1)
    assert vigil.over(QUIET, OTHER_READS_FOR_S)


def test_while_nobody_reads_an_armed_system_is_watched_for_ever() -> None:
    vigil = Vigil()

    assert not any(vigil.over(AWAY, second * 100.0) for second in range(1000))
