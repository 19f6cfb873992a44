"""What a person takes from a system that has something else than a value: told, and still held."""

from __future__ import annotations

from pathlib import Path

from tests.unit.crossed_desk import CrossedDesk, book_of

OWN_KEYS = """\
  account:
    identity: [number]
    bind: {erp: {table: account, key: id}, crm: {table: accounts, key: id}}
    fields:
      number: {erp: number, crm: number, conflict: hold}
      stage:
        erp: stage
        crm: {column: stage, one_way: true, map: {P: prospect, A: active}}
        check: "stage <> 'never'"
        conflict: hold
"""


def test_what_is_only_written_to_a_system_cannot_be_taken_from_it(tmp_path: Path) -> None:
    """Found by reading: the code in CRM's column became the field's value, and ERP's word was overwritten with it."""
    desk = CrossedDesk(book_of(tmp_path, OWN_KEYS))
    desk.tx("erp", desk.row("erp", "account", id="1", number="A1", stage="prospect"))
    desk.deliver("crm", account="k1")
    desk.tx("erp", desk.update("erp", "account", id="1", number="A1", stage="never"))
    desk.tx("crm", desk.update("crm", "accounts", id="k1", number="A1", stage="X"))

    answer = desk.ask("resolve", entity="account", key="erp:1", take="crm")

    assert answer == "0 resolved; still held: stage: nothing is taken from crm"
    assert desk.record("account", "erp:1").values[1] == "prospect"
    assert desk.ask("resolve", entity="account", key="erp:1", take="erp") == "1 resolved"
