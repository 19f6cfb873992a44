"""Turns what a write statement answers into the exceptions of a batch: rows not matched, rows stored differently.

Pure. Only called when there are any: a batch that went as asked costs nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapters.relational.layout import Layout
from adapters.relational.refused import Unstorable
from engine.vocabulary import RowResult, Text, Write, WriteKind

Answer: TypeAlias = tuple[int, list[int] | None, list[list[Any]] | None]
"""(rows written, ordinals, deviations).

Ordinals, from 1: the rows that were written; None if all were. Deviations: [ordinal, [stored text, ...]] of each row
where something else is stored than was sent, in the order of `Sent.answers`; None if there is none.

Of an insert, a database that cannot tell ordinals answers None for them, and for deviations [key text, ..., stored
text, ...] of each row written, in the order of the key and of `Sent.answers`; None if all rows were written, and are
stored as they were sent, with nothing left to a default. One that can tell them must tell them, also if all rows were
written but some deviate; that a key is stored as it was sent it has to see to itself."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Which values of a `Write` are sent, and which are answered."""

    picked: tuple[int, ...]
    """Positions in `Write.columns` of the values that are sent: key fields are taken from the key."""
    answers: tuple[int, ...]
    """Field numbers of the stored values in a deviation, in its order, after the key for an insert: those that were
    sent, and for an insert those of the system that were left to a default."""


def sent(kind: WriteKind, place: Layout, columns: tuple[int, ...]) -> Sent:
    """What a `Write` of `kind` with these field numbers sends, and what it is answered."""
    picked = tuple(at for at, number in enumerate(columns) if number not in place.key)
    fields = tuple(columns[at] for at in picked)
    if kind != "insert":
        return Sent(picked, fields if kind == "update" else ())
    return Sent(picked, fields + tuple(number for number in place.readable() if number not in fields))


def row_results(write: Write, place: Layout, answer: Answer) -> list[RowResult]:
    """The exceptions of one `Write`. Raises Unstorable if the target inserted a row under another key."""
    count, ordinals, deviations = answer
    if count == len(write.rows) and deviations is None:
        return []
    form = sent(write.kind, place, write.columns)
    if write.kind == "insert" and ordinals is None:
        return _insert_results(write, form, place, deviations)
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


def _insert_results(
    write: Write, form: Sent, place: Layout, written: Sequence[Sequence[Text]] | None
) -> list[RowResult]:
    by_key = {row[2]: row for row in write.rows}
    results: list[RowResult] = []
    for values in written or ():
        row = by_key.pop(tuple(values[: len(place.key)]), None)
        if row is None:
            raise Unstorable("the target stores another key than the one it was given")
        differences = _differences(form, row[3], values[len(place.key) :])
        if differences:
            results.append(RowResult(write.entity, row[1], "stored", differences))
    return results + [RowResult(write.entity, row[1], "unmatched") for row in by_key.values()]


def _differences(form: Sent, new: Sequence[Any], stored: Sequence[Text]) -> dict[int, Text]:
    """By field number: what is stored where that is not what was sent; and every field that was left to a default."""
    sent = [new[at] for at in form.picked]
    differences = {
        number: text for number, text, given in zip(form.answers, stored, sent, strict=False) if text != given
    }
    differences.update(zip(form.answers[len(sent) :], stored[len(sent) :], strict=True))
    return differences
