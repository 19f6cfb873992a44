"""Who may write a register: its owner, whoever claims it in the record's state, or everybody.

Turns a rule and the state that the writer had before him into a reason why his write does not count. It keeps nothing:
who owned a field yesterday does not matter.
"""

from __future__ import annotations

from engine.errors import ValueRefused
from engine.rulebook import Formula, Register
from engine.vocabulary import Values

DERIVED = "owner: it is worked out of other fields"
"""Why nobody's write of a derived field counts."""


def forbidden(rule: Register, system: str, state: Values, *, derived: bool = False) -> str | None:
    """Why `system` may not write the register, in words; None if it may.

    `state`: the record's canonical values as that system held them before the write. So each write is judged by what
    its user could see, in whatever order writes are heard of."""
    if derived:
        return DERIVED
    if system in rule.closed:
        return f"owner: nothing is taken from {system}"
    owner, condition = rule.owner, ""
    for claim in rule.claims:
        if claim.when is None or is_true(claim.when, state):
            owner, condition = claim.system, f" while {claim.when.text}" if claim.when is not None else ""
            break
    if owner in (None, system):
        return None
    return f"owner: only {owner} may write it{condition}"


def is_true(formula: Formula, values: Values) -> bool:
    """True if a condition holds. One that cannot be worked out does not."""
    try:
        return formula.value(values) == "t"
    except ValueRefused:
        return False
