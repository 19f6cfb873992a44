"""`read` and `write` of a column: SQL over the one `value`, each made ready for the other side of it.

What the expression's own rules refuse is told by `rules/expressions`, at the character; here is told what only a column
knows: that a value of another type comes out than the column holds.
"""

from __future__ import annotations

from engine.rulebook import Formula
from rules.findings import Findings
from rules.values.stored import Stored


def read_formula(stored: Stored, findings: Findings) -> Formula | None:
    return None


def write_formula(stored: Stored, family: str, findings: Findings) -> Formula | None:
    return None
