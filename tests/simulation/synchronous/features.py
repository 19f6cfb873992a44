"""What may happen in one history of systems whose users wait at COMMIT: drawn from its seed.

Turns a random number generator into one frozen `SynchronousFeatures`: those of `tests.simulation.features`, and who
waits. It never looks at what happens later.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from typing import Literal

from engine.rulebook import Synchronous
from tests.simulation import features
from tests.simulation.features import Features


@dataclass(frozen=True, slots=True)
class SynchronousFeatures(Features):
    """See the module."""

    synchronous: dict[str, Synchronous] = field(default_factory=dict)
    """By system whose users wait: when they are let go."""
    local: float = 0.0
    """How many of the users say that they do not want to wait."""
    releases: bool = False
    """Somebody lets everybody go now and then, and the switch is off for a while."""
    cuts: bool = False
    """Readers are away for a while: nobody is told what is delivered."""


def draw(dice: random.Random) -> SynchronousFeatures:
    """The features of one history."""
    drawn = features.draw(dice)
    everybody = dice.random() < 0.7
    waiting = [s for s in drawn.systems if everybody or dice.random() < 0.5] or [dice.choice(drawn.systems)]
    policies: tuple[Literal["release", "wait"], ...] = ("release", "release", "wait")
    return SynchronousFeatures(
        **{each.name: getattr(drawn, each.name) for each in fields(drawn)},
        synchronous={s: Synchronous(dice.choice((None, 5.0)), dice.choice(policies)) for s in waiting},
        local=dice.choice((0.0, 0.0, 0.15)),
        releases=dice.random() < 0.2 and drawn.kind != "bursts",  # whose rows users see would depend on the schedule
        cuts=dice.random() < 0.3,
    )
