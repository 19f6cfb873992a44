"""What a seed draws of a world whose systems have keys of their own, beyond what `tests.simulation.features` draws.

Turns a random number generator into one frozen `CrossedFeatures`. It never looks at what happens later. Two kinds:
`free`, and `turns`, in which nobody writes a record that is not in step everywhere.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from engine.rulebook import Clearing, DeletePolicy, Removal
from tests.simulation.features import HOUR_US, Features, Kind


@dataclass(frozen=True, slots=True)
class CrossedFeatures(Features):
    """See the module."""

    removal: dict[str, Removal] = field(default_factory=dict)
    """By system: how it lets go of a customer."""
    leave: dict[str, DeletePolicy] = field(default_factory=dict)
    """By system: what it means that a customer is no member any more."""
    clear: Clearing = "keep"
    """What becomes of rows of parts that have no value."""
    adds_codes: bool = False
    """A country that `erp` does not know is added there; else the customer waits."""
    alternatives: bool = False
    """Customers may lack their number, and are recognised by their mail address then."""
    duplicates: bool = False
    """Users make a customer whom their system has already, or give one the identity of another."""
    renames: bool = False
    """Users give orders another code, which is the key in `mes`."""
    owned: bool = False
    """Only `erp` may write a telephone number."""
    orders_too: bool = True
    """There are employees and orders beside the customers."""


def draw(dice: random.Random) -> CrossedFeatures:
    """The features of one history."""

    def chance(p: float) -> bool:
        return dice.random() < p

    kind: Kind = dice.choices(("free", "turns"), (85, 15))[0]
    free = kind == "free"
    systems = ("erp", "crm") if chance(0.6) else ("erp", "crm", "mes")
    policies: tuple[DeletePolicy, ...] = ("propagate", "propagate", "propagate", "ignore", "restore", "hold")
    leaving: tuple[DeletePolicy, ...] = ("propagate", "propagate", "ignore", "restore", "hold")
    others = chance(0.6)
    return CrossedFeatures(
        kind=kind,
        systems=systems,
        creators=frozenset(systems) if chance(0.8) or not free else frozenset({"erp"}),
        delete={s: dice.choice(policies) if free else "propagate" for s in systems},
        delete_wins=chance(0.5),
        skew={s: dice.choice((0, 0, HOUR_US, -HOUR_US, 7)) for s in systems},
        cache_records=dice.choice((3, 3, 100)),
        turn_rows=dice.choice((1, 6, 6)),
        store_apart=chance(0.5),
        deletes=chance(0.6),
        rewriting=chance(0.3),
        strange=chance(0.3) and free,
        poison=chance(0.2) and free,
        foreign_keys=chance(0.5) and free,
        large=chance(0.3),
        huge=chance(0.3),
        outages=chance(0.3),
        locks=chance(0.5),
        people=chance(0.4) and free,
        crashes=chance(0.7),
        removal={
            "erp": dice.choice(("row", "row", "membership", "columns")), "crm": dice.choice(("row", "row", "columns")),
        },
        leave={"erp": dice.choice(leaving) if free else "propagate"},
        clear=dice.choice(("keep", "keep", "delete")),
        adds_codes=chance(0.5),
        alternatives=chance(0.4) and free,
        duplicates=chance(0.25) and free,
        renames=chance(0.3) and free,
        owned=chance(0.3),
        orders_too=others,
    )  # fmt: skip
