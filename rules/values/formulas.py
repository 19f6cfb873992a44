"""`read` and `write` of a column, made ready: SQL over the one name `value`.

What an expression may be, and what is wrong with one, is for `rules/expressions` to say, at the character.
"""

from __future__ import annotations

from engine.rulebook import Formula
from rules.expressions import Known, formula
from rules.findings import Findings
from rules.values.stored import Stored

NAME = "value"
"""What an expression calls the value that it is given."""


def read_formula(stored: Stored, findings: Findings) -> Formula | None:
    """What is meant by the stored value. Its family is what the column is to the field."""
    if stored.words.read is None or stored.words.one_way:
        return None
    family = stored.column.family if stored.column is not None else ""
    return formula(stored.words.read, (*stored.top, "read"), {NAME: Known(0, family)}, findings)


def write_formula(stored: Stored, family: str, findings: Findings) -> Formula | None:
    """What is stored for a value of the field, which is of that family (empty: nobody has told)."""
    if stored.words.write is None:
        return None
    wanted = stored.column.family if stored.column is not None else ""
    return formula(stored.words.write, (*stored.top, "write"), {NAME: Known(0, family)}, findings, wants=wanted)
