"""What we wrote is known better than by what the log tells from before that, however many batches have come since."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.crossed_desk import CrossedDesk, book_of

THINGS = """\
  thing:
    identity: [code]
    conflict: last_writer
    bind: {erp: {table: thing}, crm: {table: gadget}}
    fields: {code: code, own: own, shared: shared}
"""


@pytest.fixture
def desk(tmp_path: Path) -> CrossedDesk:
    """Two things that both systems have, and nothing due."""
    made = CrossedDesk(book_of(tmp_path, THINGS))
    rows = [made.row("erp", "thing", code=code, own="own 0", shared="shared 0") for code in ("A", "B")]
    made.tx("erp", *rows, at=1)
    made.deliver("crm")
    return made


def test_a_batch_with_nothing_to_write_does_not_make_us_forget_the_separator_of_the_one_before(
    desk: CrossedDesk,
) -> None:
    """Seen on a busy machine once in a hundred runs: a field that only the CRM's users write was overruled by what the
    ERP had before we wrote it there."""
    desk.tx("crm", desk.update("crm", "gadget", code="A", own="own 1", shared="shared 0"), at=100)
    [write] = desk.batch("erp")
    assert write.rows[0][3] == ("own 1",)
    before = desk.positions["erp"]
    desk.positions["erp"] += 100
    desk.answer("erp")
    desk.positions["erp"] = before  # its reader has not come so far

    desk.tx("crm", desk.update("crm", "gadget", code="B", own="own 0", shared="crm's"), at=110)
    desk.tx("erp", desk.update("erp", "thing", code="B", own="own 0", shared="crm's"), at=120)
    assert desk.batch("erp") == []  # it has that by itself

    desk.tx("crm", desk.update("crm", "gadget", code="A", own="own 2", shared="shared 0"), at=130)
    desk.tx("erp", desk.update("erp", "thing", code="A", own="own 0", shared="erp's"), at=140)
    assert desk.values("thing", "A") == {"code": "A", "own": "own 2", "shared": "erp's"}
    assert desk.store.journal == []
