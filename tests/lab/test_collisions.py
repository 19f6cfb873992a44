"""Both sides synchronous, and users of both write the same rows at the same moment.

Nobody may wait for longer than the wait for a lock and two seconds; both sides end equal; no two values are swapped;
and who lost is in the journal as acknowledged, then overruled. A short form runs in `make test`, `make lab` has the
long one (`DUOLOG_LAB_PAIRS`). The judge is tried on broken promises, too.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.engine_live.world import eventually
from tests.lab.duel import COLUMNS, WRITES, Duellists, Pair, Quarrel, Told
from tests.lab.shop import Shop, opened
from tests.lab.witness import SAID_MAX

PAIRS = int(os.environ.get("DUOLOG_LAB_PAIRS", "10000"))
SIDE_BY_SIDE = 4
"""So many pairs quarrel at the same time."""
LOCK_WAIT_S = 0.05
"""How long duolog waits for a user's lock."""
ANSWERED_WITHIN_S = LOCK_WAIT_S + 2.0
START = "start"
OVERRULED = "acknowledged, then overruled"
QUARRELS: tuple[Quarrel, ...] = ("same row", "opposite order", "mixed owners", "different fields")


@pytest.mark.alone
def test_in_a_short_form(tmp_path: Path) -> None:
    _quarrelled(tmp_path, 100)


@pytest.mark.lab
def test_in_the_long_form(tmp_path: Path) -> None:
    _quarrelled(tmp_path, PAIRS)


def _quarrelled(folder: Path, many: int) -> None:
    """So many pairs of all kinds in turn, and what must hold of them. `when_away: closed`: nobody else frees them."""
    pairs = [Pair(QUARRELS[n % len(QUARRELS)], 2 * n + 1) for n in range(many)]
    with opened(folder, None, rows=2 * many) as shop:
        shop.start()
        begun = time.monotonic()
        crowds = [Duellists(shop.addresses, pairs[start::SIDE_BY_SIDE]) for start in range(SIDE_BY_SIDE)]
        eventually(lambda: _all_done(crowds, shop), 30 + many / 10, lambda: f"somebody waits\n{shop.standing()}")
        took_s = time.monotonic() - begun
        shop.equal()
        assert shop.is_armed(), "they were let go"
        broken, counted = judged(pairs, shop.rows("erp"), shop.rows("crm"), shop.live.journal())
        assert shop.live.stop() == 0
    waits = [told.took_s for pair in pairs for told in pair.told.values()]
    print(f"\n{many} pairs in {took_s:.0f} s: {dict(counted)}; median {median(waits) * 1000:.0f} ms, "
          f"longest {max(waits):.2f} s")  # fmt: skip
    assert broken[:SAID_MAX] == []
    assert max(waits) <= ANSWERED_WITHIN_S
    assert counted["collided"] > many / 4


def _all_done(crowds: Sequence[Duellists], shop: Shop) -> bool:
    shop.live.must_live()
    return not any(crowd.at_work for crowd in crowds)


def judged(
    pairs: Sequence[Pair], erp: Mapping[int, tuple[str, ...]], crm: Mapping[int, tuple[str, ...]],
    journal: Sequence[Mapping[str, Any]],
) -> tuple[list[str], Counter[str]]:  # fmt: skip
    """What is not as it must be, and how many of each there were.

    `erp`, `crm`: by key, what stands in `COLUMNS`. By what each user saw: who saw the other's value came after him, so
    that his own must stand; if neither did, they collided, and one of them must stand in the journal."""
    entries: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in journal:
        entries[int(entry["key"])].append(entry)
    broken: list[str] = []
    counted: Counter[str] = Counter()
    for pair in pairs:
        answers = {told.answered for told in pair.told.values()}
        counted[pair.quarrel] += 1
        if answers != {"ok"}:
            counted.update(answers - {"ok"})
            if not all(answer == "ok" or answer.startswith("rolled back") for answer in answers):
                broken.append(f"{pair.quarrel} {pair.first}: answered {sorted(answers)}")
        for row in (1, 2):
            key = pair.first + row - 1
            for at, column in enumerate(COLUMNS):
                values = (erp[key][at], crm[key][at])
                wrong = _wrong(pair, row, column, values, entries[key], counted)
                if wrong:
                    broken.append(f"{pair.quarrel}: {column} of {key}: {values}: {wrong}")
        counted["let go early"] += any(e["kind"] == "released" for row in (0, 1) for e in entries[pair.first + row])
    return broken, counted


def _wrong(
    pair: Pair, row: int, column: str, values: tuple[str, str], entries: Sequence[Mapping[str, Any]],
    counted: Counter[str],
) -> str:  # fmt: skip
    """What is wrong with one field of one row; "" if nothing is."""
    writers = [s for s, t in pair.told.items() if (row, column) in WRITES[pair.quarrel][s] and t.answered == "ok"]
    if values[0] != values[1]:
        return "swapped" if set(values) == {pair.value(s) for s in writers} else "different"
    written = [pair.value(system) for system in writers]
    if not written:
        return "" if values[0] == START else "nobody wrote that"
    if values[0] not in written:
        return "" if len(written) == 1 and _lost(entries, column) else "neither of the two"
    if len(written) == 1:
        return ""
    saw = {system: pair.told[system].saw[row, column] for system in writers}
    collided = all(seen == START for seen in saw.values())
    counted["collided" if collided else "one after the other"] += 1
    if collided or column != "value":
        return "" if not collided or _lost(entries, column) else "who lost is not in the journal"
    later = next(system for system, seen in saw.items() if seen != START)
    return "" if values[0] == pair.value(later) else "who came later lost"


def _lost(entries: Sequence[Mapping[str, Any]], column: str) -> bool:
    """True if the journal says that somebody's write into this field was overruled."""
    return any(column in entry["fields"] and OVERRULED in entry["because"] for entry in entries)


# ---------------------------------------------------------------- the judge held against broken promises

ERP_WON = (("erp 1", START, START),) * 2


def told(erp_saw: str = START, crm_saw: str = START, crm_answered: str = "ok") -> Pair:
    """A pair that wrote the same row."""
    pair = Pair("same row", 1)
    pair.told["erp"] = Told({(1, "value"): erp_saw}, "ok", 0.1)
    pair.told["crm"] = Told({(1, "value"): crm_saw}, crm_answered, 0.1)
    return pair


def said_of(pair: Pair, rows: tuple[tuple[str, ...], ...], *journal: str) -> list[str]:
    """What the judge says. `rows`: what stands in the row on each side; `journal`: the reasons of its entries."""
    entries = [{"key": "1", "kind": "update_differs", "fields": ["value"], "because": words} for words in journal]
    erp, crm = ({1: row, 2: (START,) * 3} for row in rows)
    return judged([pair], erp, crm, entries)[0]


def test_the_judge_is_content_with_a_loser_in_the_journal() -> None:
    assert said_of(told(), ERP_WON, f"last_writer; {OVERRULED}") == []


@pytest.mark.parametrize(
    ("pair", "rows", "journal", "wrong"),
    [
        (told(), (("crm 1", START, START), ("erp 1", START, START)), [OVERRULED], "swapped"),
        (told(), (("erp 1", START, START), (START,) * 3), [OVERRULED], "different"),
        (told(), ((START,) * 3,) * 2, [OVERRULED], "neither of the two"),
        (told(), ERP_WON, [], "who lost is not in the journal"),
        (told(), ERP_WON, ["last_writer"], "who lost is not in the journal"),
        (told(crm_saw="erp 1"), ERP_WON, [], "who came later lost"),
        (told(), (("erp 1", "erp 1", START),) * 2, [OVERRULED], "nobody wrote that"),
    ],
)
def test_the_judge_finds(pair: Pair, rows: tuple[tuple[str, ...], ...], journal: list[str], wrong: str) -> None:
    (found,) = said_of(pair, rows, *journal)

    assert found.endswith(wrong)


def test_the_judge_finds_who_was_not_answered() -> None:
    (found,) = said_of(told(crm_answered=""), ERP_WON)

    assert found == "same row 1: answered ['', 'ok']"
