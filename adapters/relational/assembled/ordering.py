"""Turns the rows that are to be deleted, and how they refer to one another, into steps: referring rows first.

Pure. Where a foreign key is looked at as soon as a row is deleted, not at the end of the statement, rows that refer to
others of the same table go before these; where they form a circle (a row that refers to itself is one), only taking
the references away helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def steps(count: int, references: Iterable[tuple[int, int]]) -> tuple[list[list[int]], list[int]]:
    """(steps, circles) of so many rows, by ordinal from 1. `references`: (ordinal, ordinal that it refers to).

    The rows of each step are referred to only by rows of earlier ones; those of the circles, and all that these lead
    to, are in none."""
    referred: dict[int, set[int]] = {}
    waits: dict[int, int] = {}
    for child, parent in set(references):
        referred.setdefault(child, set()).add(parent)
        waits[parent] = waits.get(parent, 0) + 1
    found: list[list[int]] = []
    step: Sequence[int] = [ordinal for ordinal in range(1, count + 1) if not waits.get(ordinal)]
    left = set(range(1, count + 1))
    while step:
        found.append(list(step))
        left.difference_update(step)
        following = []
        for child in step:
            for parent in referred.get(child, ()):
                waits[parent] -= 1
                if not waits[parent]:
                    following.append(parent)
        step = sorted(following)
    return found, sorted(left)
