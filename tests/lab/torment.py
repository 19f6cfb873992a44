"""Accidents, one after the other, while users commit: the engine is killed, its lines are cut or die without a word,
the servers restart. Turns a seed into a series of them, so that a run can be repeated as far as chance was ours."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final, Literal, TypeAlias, get_args

from tests.engine_live.world import pause
from tests.lab.shop import Shop

Kind: TypeAlias = Literal["kill", "stop", "cut", "refuse", "stall", "restart", "crash"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Torment:
    """Accidents of one shop; `counted`: how many of each kind."""

    def __init__(self, shop: Shop, chance: Random) -> None:
        self._shop = shop
        self._chance = chance
        self.counted: Counter[Kind] = Counter()

    def strikes(self, kind: Kind) -> None:
        """One accident, for a while; afterwards nobody's hands, but that the engine is started again."""
        shop, chance = self._shop, self._chance
        system = chance.choice(sorted(shop.servers))
        self.counted[kind] += 1
        match kind:
            case "kill":
                if shop.live.pid is not None:
                    shop.live.kill9()
                pause(chance.random() * 3)
            case "stop":
                if shop.live.pid is not None:
                    shop.live.stop()
                pause(chance.random())
            case "cut" | "refuse":
                shop.lines[system].cut(refuse=kind == "refuse")
                pause(chance.random() * 3 * (kind == "refuse"))
                shop.lines[system].mend()
            case "stall":
                shop.lines[system].stall()
                pause(chance.random() * 4)
                shop.lines[system].cut()
                shop.lines[system].mend()
            case "restart" | "crash":
                shop.servers[system].stop("fast" if kind == "restart" else "immediate")
                pause(chance.random())
                shop.servers[system].start()
            case _:
                raise AssertionError(kind)
        if shop.live.pid is None:
            shop.live.run()
