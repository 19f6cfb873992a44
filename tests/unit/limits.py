"""A desk with limits between `erp`, `crm` and others, moved by hand: items, and orders that refer to them.

Turns short calls (`fill`, `items`, `written`) into transactions of users and what is sent to a system for them. No
database, no runner, no clock.
"""

from __future__ import annotations

from dataclasses import replace

from engine.rulebook import Limit, Limits, RuleBook
from engine.vocabulary import Change, Transaction
from tests.simulation.books import book
from tests.unit.crossed_desk import CrossedDesk

SECOND = 1_000_000

DELETES = Limits(deletes=Limit(5, 60))
UPDATES = Limits(updates=Limit(5, 60))
INSERTS = Limits(inserts=Limit(5, 60))


def limited(
    item: Limits | None = None, order: Limits | None = None, systems: tuple[str, ...] = ("erp", "crm")
) -> RuleBook:
    """`item`, and `order` that refers to it, with these limits."""
    made = book(systems, orders=True)
    given = {"item": item or Limits(), "order": order or Limits()}
    return replace(made, entities={n: replace(e, limits=given[n]) for n, e in made.entities.items()})


class LimitedDesk(CrossedDesk):
    """The real desk on items and orders; `erp` and `crm` have the columns in the same order."""

    def items(self, system: str, numbers: range, op: str = "row", **values: str) -> list[Change]:
        """Rows of `item`: inserted, updated (`op` is `update`) or deleted."""
        if op == "delete":
            return [self.delete(system, "item", f"i{n}") for n in numbers]
        return [getattr(self, op)(system, "item", code=f"i{n}", **values) for n in numbers]

    def fill(self, count: int, system: str = "erp") -> None:
        """So many items, everywhere."""
        self.tx(system, *self.items(system, range(count), name="x"))
        self.settle()

    def settle(self) -> None:
        """What is due is written, and read back."""
        for system in self.book.systems:
            if self.batch(system):
                self.answer(system)
        for system in self.book.systems:
            self.decider.pass_position(system, self.positions[system])

    def written(self, system: str) -> list[tuple[str, str]]:
        """(kind, key) of what is sent to a system now; it is answered."""
        writes = self.batch(system)
        if writes:
            self.answer(system)
        return sorted((write.kind, row[1]) for write in writes for row in write.rows)

    def spooled(self, system: str, *chunks: list[Change]) -> None:
        """A transaction larger than memory."""
        self.positions[system] += 10
        position = self.positions[system]
        rows = sum(map(len, chunks))
        self.decider.decide(Transaction(system, position, position, False, [], rows, spool=chunks))
        self.decider.commit()


def desk_of(
    item: Limits | None = None, order: Limits | None = None, systems: tuple[str, ...] = ("erp", "crm")
) -> LimitedDesk:
    """A desk between systems that are empty."""
    return LimitedDesk(limited(item, order, systems))
