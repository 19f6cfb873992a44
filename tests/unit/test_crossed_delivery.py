"""Users who wait at COMMIT for records whose systems have keys of their own: answered when the other system has them,
or as the rules say where a person has to tell first what a record is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from engine.decide import Decider
from engine.rulebook import Synchronous
from tests.unit.crossed_desk import CrossedDesk, book_of
from tests.unit.test_crossed_desk import EMPLOYEES_AND_CUSTOMERS


class WaitingDesk(CrossedDesk):
    """A desk on whose answers the users of the CRM wait."""

    def restart(self) -> None:
        """A new desk on what is durable, whose users wait."""
        self.decider = Decider(self.book, self.store)
        self.decider.attend(self.book.synchronous)
        self.decider.start()
        self.decider.take_up()

    def answered(self) -> bool:
        """Whether the last user of the CRM need not wait any more."""
        self.decider.delivered("crm")
        self.decider.commit()
        return self.decider.delivered("crm") >= self.positions["crm"]


Made = Callable[[Literal["release", "wait"]], WaitingDesk]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Makes one, by what is to become of what was refused."""

    def make(refused: Literal["release", "wait"]) -> WaitingDesk:
        book = book_of(tmp_path, EMPLOYEES_AND_CUSTOMERS)
        return WaitingDesk(replace(book, synchronous={"crm": Synchronous(None, refused)}))

    return make


def test_a_record_is_delivered_when_the_other_system_has_made_it(made: Made) -> None:
    desk = made("wait")
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    assert not desk.answered()
    desk.deliver("erp", employee="41")
    assert desk.answered()


def test_what_is_written_in_a_record_that_looks_like_another_is_waited_for_until_a_person_has_told(made: Made) -> None:
    desk = made("release")
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.row("crm", "users", id="4", email="a@x", name="Also Ann"))
    desk.deliver("erp")
    assert desk.answered()
    desk.decider.queues["crm"].rules = Synchronous(None, "wait")

    desk.tx("crm", desk.update("crm", "users", id="4", email="a@x", name="Anton"))
    desk.deliver("erp")
    assert not desk.answered()
    desk.ask("resolve", entity="employee", key="crm:4", take="crm", by="Ada")
    assert not desk.answered()
    desk.deliver("erp", employee="42")
    assert desk.answered()


def test_what_is_written_in_a_record_that_looks_like_another_is_answered_and_told_by_default(made: Made) -> None:
    desk = made("release")
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.row("crm", "users", id="4", email="a@x", name="Also Ann"))
    desk.deliver("erp")
    assert desk.answered()
    told = len(desk.store.journal)

    desk.tx("crm", desk.update("crm", "users", id="4", email="a@x", name="Anton"))
    desk.deliver("erp")

    assert desk.answered()
    assert [entry.key for entry in desk.store.journal[told:] if entry.kind == "released"] == ["crm:4"]
