"""The short way of day one says exactly what the long way says: on any rows, with maps, gaps and three systems."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory import MemorySnapshot, MemoryStore, MemorySystem
from engine.first_alike import Alike
from engine.first_merge import first_merge
from engine.first_report import Report, read_about
from engine.record import Record, decode
from engine.rulebook import RuleBook
from tests.unit.crossed_desk import HEAD, book_of

THREE: Final = '  web: {adapter: postgresql, url: "postgresql://u@h/web"}\nentities:\n'

SHARED: Final = """\
  thing:
    identity: ["no"]
    conflict: last_writer
    order: [crm, erp, web]
    create: [erp, web]
    bind: {erp: {table: t}, crm: {table: t}, web: {table: t}}
    fields:
      "no": "no"
      name: {erp: name, crm: name}
      state:
        erp: {column: state, map: {A: active, X: active, D: dead}}
        crm: state
        web: {column: state, map: {A: active}}
      limit: {erp: limit, web: limit, owner: web}
      terms: {erp: terms, crm: terms, web: terms, conflict: hold}
      only: {web: only, crm: only, conflict: max}
"""
OWN_KEYS: Final = SHARED.replace("{table: t}", "{table: t, key: id}")

ROW: Final = st.fixed_dictionaries({
    "name": st.sampled_from(["x", "y", None]),
    "state": st.sampled_from(["A", "A", "D", "X", "active", None]),
    "limit": st.sampled_from(["1", None]),
    "terms": st.sampled_from(["N30", "N30", "N14"]),
    "only": st.sampled_from(["1", "1", "2"]),
})  # fmt: skip
SPELLED: Final = {"A": "active", "D": "dead", "X": "active"}
"""How the CRM writes what the others write in one letter."""


@st.composite
def things(draw: st.DrawFn) -> dict[str, dict[str, str | None] | None]:
    """One thing in three systems: the same, or all but for one field in one of them, or without one of them."""
    same = draw(ROW)
    rows: dict[str, dict[str, str | None] | None] = {s: dict(same) for s in ("erp", "crm", "web")}
    rows["crm"] = {**same, "state": SPELLED.get(same["state"], same["state"])}
    if draw(st.booleans()):
        system, field, other = draw(st.sampled_from(sorted(rows))), draw(st.sampled_from(sorted(same))), draw(ROW)
        rows[system] = None if draw(st.booleans()) else {**(rows[system] or {}), field: other[field]}
    return rows


ROWS: Final = st.lists(things(), min_size=1, max_size=8)


@pytest.fixture(params=[SHARED, OWN_KEYS], ids=["shared key", "own keys"], scope="module")
def book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RuleBook:
    """One entity in three systems, none of which has every field."""
    folder = tmp_path_factory.mktemp("rules")
    return book_of(folder, request.param, HEAD.replace("entities:\n", THREE))


def merged(book: RuleBook, rows: list[dict[str, dict[str, str | None] | None]]) -> tuple[Any, ...]:
    """Everything that a first merge of these rows leaves behind."""
    systems = {s: MemorySystem(s, book) for s in book.systems}
    for number, row in enumerate(rows):
        for name, system in systems.items():
            there = row[name]
            if there is not None:
                values = {"no": str(number), **there}
                columns = book.tables[name][0].columns
                system.insert("t" if "id" in columns else "thing", {c: v for c, v in values.items() if c in columns})
    store = MemoryStore()
    report = Report({}, over_base=False)
    tally = first_merge(book, {s: MemorySnapshot(system) for s, system in systems.items()}, store, report=report)
    records: dict[str, Record] = {key: decode(state) for key, state in store.scan("thing")}
    return records, store.journal, store.holds, store.quarantine, tally, read_about(store.find), store.spaces


@given(rows=ROWS)
def test_the_short_way_says_what_the_long_way_says(
    book: RuleBook, rows: list[dict[str, dict[str, str | None] | None]]
) -> None:
    short = merged(book, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alike, "values", lambda self, found: None)
        long = merged(book, rows)

    assert short == long


def test_the_short_way_is_taken(book: RuleBook, monkeypatch: pytest.MonkeyPatch) -> None:
    alike = {"name": "x", "terms": "N30", "limit": None, "only": "1"}
    rows = [{"erp": {**alike, "state": "A"}, "crm": {**alike, "state": "active"}, "web": {**alike, "state": "A"}}] * 5
    taken: list[Record] = []
    record = Alike.record

    def told(self: Alike, *given: Any) -> Record | None:
        made = record(self, *given)
        taken.extend([made] if made is not None else [])
        return made

    monkeypatch.setattr(Alike, "record", told)
    records, *_ = merged(book, rows)

    assert len(taken) == 4, "the first is what the others are learned from"
    assert len(records) == 5
