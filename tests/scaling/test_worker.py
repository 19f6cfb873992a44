"""Workers share the work: one has all of it, a second gets half; both keep what one engine keeps."""

from __future__ import annotations

from pathlib import Path

from tests.engine_live.users import write_for
from tests.scaling.crew import Crew


def test_one_worker_does_all_and_a_second_takes_a_share(
    erp_db: str, crm_db: str, third_db: str, real_kafka: str, tmp_path: Path
) -> None:
    crew = Crew(tmp_path, "pair", {"erp": erp_db, "crm": crm_db}, real_kafka, third_db)
    first = crew.worker()
    crew.shared_by(first)
    users = crew.users()
    for each in users:
        each.start()
    second = crew.worker()
    crew.shared_by(first, second)
    write_for(0, [])
    for each in users:
        each.stop()

    crew.equal()
    assert crew.judged() == []
    assert first.stop() == 0 and second.stop() == 0
