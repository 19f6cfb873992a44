"""The merge rule: what a change that a log tells does to the state of its record. Pure.

`read` is the way in, `mapped` its short way for the usual update. `fields` decides the registers of a record that
exists, `existence` and `deletion` whether it does; `ownership` says whose write counts, `checks` what must be so for
it, `derived` what follows from it, `outcomes` what comes of it. `person` carries out what somebody decided, `undo`
puts back what an entity that was stopped has had done to it. `step` holds what they share, `values` turns stored
values into canonical ones and back. The rule in words, with its main cases: `docs/merge.md`; as a table:
`tests/unit/test_merge_tables.py`.
"""

from engine.merge.deletion import restore
from engine.merge.existence import carry_over, empty_record, take_defaults
from engine.merge.outcomes import accept
from engine.merge.person import LOOKS_LIKE, hold_identity, release_identity, settle_hold, tell_likeness
from engine.merge.read import quick_update, read
from engine.merge.step import (
    DEFAULT,
    EntityRules,
    Incomplete,
    Step,
    begin,
    held_alive_next,
    journal_entry,
    make_due,
    rules_of,
)
from engine.merge.undo import put_back

__all__ = [
    "DEFAULT",
    "LOOKS_LIKE",
    "EntityRules",
    "Incomplete",
    "Step",
    "accept",
    "begin",
    "carry_over",
    "empty_record",
    "held_alive_next",
    "hold_identity",
    "journal_entry",
    "make_due",
    "put_back",
    "quick_update",
    "read",
    "release_identity",
    "restore",
    "rules_of",
    "settle_hold",
    "take_defaults",
    "tell_likeness",
]
