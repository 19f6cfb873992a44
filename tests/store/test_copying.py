"""A copy of a store: what was committed at one moment, for trying something on it; the store itself does not notice."""

from __future__ import annotations

from pathlib import Path

from adapters.store import SqlStore
from engine.ports import Applied, Delta, Pending
from engine.vocabulary import JournalEntry


def test_a_copy_has_all_that_is_committed_and_goes_its_own_way(store: SqlStore, tmp_path: Path) -> None:
    records = {("customer", f"K{n:04}"): b"\x00state %d" % n for n in range(5000)}
    store.commit(
        Delta(
            records=records,
            entries={("x/customer/erp", "17", "crm:1"): b"alias"},
            positions={"erp": 2**62},
            pending=[Pending(3, [("customer", "K0001")])],
            applied=[Applied("erp", 2, 900)],
            quarantine={("customer", "K0002", "crm"): "too long"},
            holds={("customer", "K0003", 1): "hold"},
            number=3,
            phase="base",
        )
    )
    store.remember("shape", "{}")
    store.write(Delta(records={("customer", "K0000"): b"not committed"}, number=4))

    with_copy = store.copy(tmp_path / "copy.db", name="demo")

    assert with_copy.state() == store.state()
    assert with_copy.recall("shape") == "{}"
    assert dict(with_copy.scan("customer")) == {key: state for (_, key), state in records.items()}
    assert with_copy.find("x/customer/erp", ["17"]) == {"17": {"crm:1": b"alias"}}
    assert list(with_copy.pending(0)) == list(store.pending(0))
    assert with_copy.quarantined() == store.quarantined()
    assert with_copy.holds() == store.holds()

    entry = JournalEntry("customer", "K0001", ("name",), "owner", "because", None, (), None, (), 5)
    with_copy.commit(Delta(records={("customer", "K0001"): b"tried"}, journal=[entry], number=5))
    with_copy.close()
    store.commit(Delta())

    assert store.load("customer", ["K0000", "K0001"]) == {"K0000": b"not committed", "K0001": b"\x00state 1"}
    assert store.state().number == 4
    assert store.journal() == []
