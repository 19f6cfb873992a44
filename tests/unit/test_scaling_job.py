"""What a worker does as long as it is its own: begun again after errors, and not taken back from who has it now."""

from __future__ import annotations

import pytest

from engine.errors import Fenced, SystemUnavailable
from service.scaling import job
from service.scaling.job import Job
from tests.engine_live.world import eventually


class Overtaken(Job):
    """Its first try is overtaken; after that Kafka does not answer so many times."""

    def __init__(self, silent: int) -> None:
        super().__init__(lambda action, detail: None)
        self.silent = silent
        self.steps: list[str] = []

    def ask(self) -> None:
        """See `Job.ask`."""
        self.steps.append("ask")
        if self.steps.count("ask") <= self.silent:
            raise SystemUnavailable("Kafka does not answer")

    def work(self) -> None:
        """See `Job.work`."""
        self.steps.append("work")
        if self.steps.count("work") == 1:
            raise Fenced("another worker has it")
        self.stopping.wait(20)


def test_who_is_cut_off_from_kafka_does_not_take_back_what_others_took_from_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """He would end the session of the rightful one, and be ended by that one, for as long as he is cut off: Kafka's
    group, which went on without him, cannot tell him so."""
    monkeypatch.setattr(job, "OVERTAKEN_S", 0.01)
    monkeypatch.setattr(job, "PAUSE_MOST_S", 0.01)
    cut_off = Overtaken(silent=3)
    cut_off.start()
    eventually(lambda: cut_off.steps.count("work") == 2, 20, lambda: str(cut_off.steps))
    cut_off.stop()
    assert cut_off.wait(20)
    assert cut_off.steps == ["work", "ask", "ask", "ask", "ask", "work"]
