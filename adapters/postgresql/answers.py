"""Turns what a write statement answers into the exceptions of a batch: rows not matched, rows stored differently.

Pure. Only called when there are any: a batch that went as asked costs nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.postgresql.refusals import Unstorable
from adapters.postgresql.statements import Layout, Statement
from engine.vocabulary import RowResult, Text, Write

Answer = tuple[int, list[int] | None, list[list[Any]] | None]
"""(rows written, ordinals or None, deviations or None); see the builders in `statements`."""


def row_results(write: Write, form: Statement, place: Layout, answer: Answer) -> list[RowResult]:
    """The exceptions of one `Write`. Raises Unstorable if the target inserted a row under another key."""
    if write.kind == "insert":
        return _insert_results(write, form, place, answer)
    count, ordinals, deviations = answer
    results: list[RowResult] = []
    if count < len(write.rows):
        matched = set(ordinals or ())
        results = [
            RowResult(write.entity, row[1], "unmatched") for at, row in enumerate(write.rows, 1) if at not in matched
        ]
    for ordinal, stored in deviations or ():
        row = write.rows[ordinal - 1]
        results.append(RowResult(write.entity, row[1], "stored", _differences(form, row[3], stored)))
    return results


def _insert_results(write: Write, form: Statement, place: Layout, answer: Answer) -> list[RowResult]:
    count, _, written = answer
    by_key = {row[2]: row for row in write.rows}
    results: list[RowResult] = []
    if count and written is None:
        return results
    for values in written or ():
        row = by_key.pop(tuple(values[: len(place.key)]), None)
        if row is None:
            raise Unstorable("the target stores another key than the one it was given")
        differences = _differences(form, row[3], values[len(place.key) :])
        if differences:
            results.append(RowResult(write.entity, row[1], "stored", differences))
    return results + [RowResult(write.entity, row[1], "unmatched") for row in by_key.values()]


def _differences(form: Statement, new: Sequence[Any], stored: Sequence[Text]) -> dict[int, Text]:
    """By field number: what is stored where that is not what was sent; and every field that was left to a default."""
    sent = [new[at] for at in form.picked]
    differences = {
        number: text for number, text, given in zip(form.answers, stored, sent, strict=False) if text != given
    }
    differences.update(zip(form.answers[len(sent) :], stored[len(sent) :], strict=True))
    return differences
