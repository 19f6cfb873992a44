"""What a seed draws of the world before anything happens: which kind of history, which rules, which faults.

Turns a random number generator into one frozen `Features`. It never looks at what happens later. Four kinds:

* `free`: everything may happen; L1 to L4 are checked, and once more, fully, after a person has put things right.
* `one_way`: only `erp` has users; every state that a target shows must have been a state of `erp`, in order (L7).
* `turns`: nobody writes a record that is not in step everywhere; no conflict may be counted, whatever the clocks (L5).
* `bursts`: users write all at once, then it becomes quiet; a second world, with another schedule and without crashes,
  must end with the same rows (L6, and G7: the winner does not depend on the order of delivery).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from engine.rulebook import DeletePolicy
from tests.simulation.wording import WORDS

Kind = Literal["free", "one_way", "turns", "bursts"]
HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Features:
    """See the module."""

    kind: Kind
    systems: tuple[str, ...]
    creators: frozenset[str]
    delete: dict[str, DeletePolicy]
    delete_wins: bool
    skew: dict[str, int]
    """By system: how wrong its clock is, microseconds."""
    cache_records: int
    turn_rows: int
    store_apart: bool
    """The store's thread commits while the deciding thread goes on."""
    deletes: bool = False
    rewriting: bool = False
    """A trigger in `crm` stores something else than it is sent."""
    codecs: bool = False
    """`crm` stores two fields in its own form."""
    strange: bool = False
    """Users write values that the value map does not know."""
    poison: bool = False
    """`crm` has a constraint that other systems' users do not know."""
    orders: bool = False
    foreign_keys: bool = False
    unique: bool = False
    """An order's slot is unique in every system."""
    large: bool = False
    """Unchanged large columns are left out of the log."""
    unlogged: bool = False
    """Rows are changed outside the log, before the history begins and later."""
    rekeys: bool = False
    """Users change natural keys, and delete and insert again in one transaction."""
    huge: bool = False
    """Some transactions are handed over spooled."""
    outages: bool = False
    """Targets are away or slow for long, so that what is due to them spills; readers lose their connection."""
    locks: bool = False
    people: bool = False
    """Held registers are resolved, and quarantined records retried, in the middle of the history."""
    crashes: bool = False
    limits: bool = False
    """Entities stop when a few records are written at once; people let them go, or have them put back."""
    words: frozenset[str] = frozenset()
    """What else the rules say, and the fields that go with it (`wording.WORDS`)."""
    day_one: bool = False
    """All systems are full before the engine comes: it begins with a first merge."""
    clock_error: int = -1
    """How exactly the systems' clocks are known, microseconds; negative: not at all."""


def draw(dice: random.Random) -> Features:
    """The features of one history."""

    def chance(p: float) -> bool:
        return dice.random() < p

    kind: Kind = dice.choices(("free", "one_way", "turns", "bursts"), (70, 10, 10, 10))[0]
    systems = ("erp", "crm") if chance(0.6) else ("erp", "crm", "mes")
    policies: tuple[DeletePolicy, ...] = ("propagate", "propagate", "propagate", "ignore", "restore", "hold")
    codecs, orders = chance(0.4), chance(0.4)
    features = Features(
        kind=kind,
        systems=systems,
        creators=frozenset(systems) if chance(0.8) else frozenset({"erp"}),
        delete={s: dice.choice(policies) for s in systems},
        delete_wins=chance(0.5),
        skew={s: dice.choice((0, 0, HOUR_US, -HOUR_US, 7)) for s in systems},
        cache_records=dice.choice((3, 3, 100)),
        turn_rows=dice.choice((1, 6, 6)),
        store_apart=chance(0.5),
        deletes=chance(0.6),
        rewriting=chance(0.3),
        codecs=codecs,
        strange=codecs and chance(0.4),
        poison=chance(0.25),
        orders=orders,
        foreign_keys=orders and chance(0.7),
        unique=orders and chance(0.4),
        large=chance(0.35),
        unlogged=chance(0.2),
        rekeys=chance(0.3),
        huge=chance(0.3),
        outages=chance(0.3),
        locks=chance(0.5),
        people=chance(0.4),
        crashes=chance(0.7),
    )
    return _tamed(features)


NOT_IN: dict[Kind, frozenset[str]] = {
    "free": frozenset(),
    "one_way": frozenset({"check", "claims", "derived", "joint"}),
    "turns": frozenset({"check"}),
    "bursts": frozenset({"check"}),
}
"""Words with which a kind's own law would not apply: a check keeps things apart, in the order in which they are heard;
an owner elsewhere and a worked-out field change what `erp` has without its users."""


def worded(drawn: Features, dice: random.Random) -> Features:
    """Some of the histories, of every kind, with words about what values mean and who is right."""
    if dice.random() >= 0.35:
        return drawn
    rate = dice.choice((0.2, 0.5))
    words = {word for word in WORDS if dice.random() < rate} - NOT_IN[drawn.kind]
    if "claims" in words:
        words.add("many")
    error = dice.choice((-1, 0, 0 if drawn.kind == "bursts" else 700))
    full = drawn.kind == "free" and dice.random() < 0.3
    return replace(drawn, words=frozenset(words), clock_error=error, day_one=full)


def _tamed(features: Features) -> Features:
    """Without what would make a law of this kind of history not apply."""
    if features.kind == "free":
        return features
    everywhere = dict.fromkeys(features.systems, "propagate")
    tame = replace(
        features, creators=frozenset(features.systems), delete=everywhere, strange=False, poison=False, unique=False,
        unlogged=False, people=False, foreign_keys=features.foreign_keys and features.kind == "one_way",
    )
    if features.kind == "one_way":
        return replace(tame, rewriting=False, locks=False)
    if features.kind == "bursts":
        # With three systems a deletion between two writes may end either way, by the order of their delivery; and what
        # is created again after one is the row as its system stored it, or as it was sent there.
        deletes = features.deletes and len(features.systems) == 2 and not features.rewriting
        return replace(tame, rekeys=False, huge=False, deletes=deletes)
    return tame
