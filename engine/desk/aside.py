"""Transactions larger than memory, of records whose systems have keys of their own: nothing is decided by half of one.

Turns chunks of changes into the records that they touched, put aside in the store until all have been read, and those,
page by page, into decisions. A record seen between two chunks could lack the row that makes it one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from engine.assembly import PartRows
from engine.crossing.rows import decode_row, encode_row
from engine.crossing.staging import Place
from engine.desk.crossed import Crossed
from engine.merge import EntityRules, Step
from engine.vocabulary import ABSENT, Change, Row, Transaction

PAGE_RECORDS = 2_000
"""Records decided at a time."""

ENDED, THERE, RESTRICTED = range(3)

KEPT, GONE = b"", b"-"
"""What is put aside of a record: that its rows are kept, that its only row is gone; else the row."""


class Aside(Crossed):
    """The room where parts of transactions wait for the rest."""

    def _put_aside(self, transaction: Transaction, changes: list[Change]) -> None:
        """Notes which records a chunk touched; those of one row with that row."""
        system, entries = transaction.system, self.crossing.entries
        staged = self._stage(transaction, changes)
        former = {(entity, key): was for entity, was, key in staged.renamed}
        whole = {
            place: self._whole(place[0], former.get(place, place[1]), parts[0])
            for place, parts in staged.rows.items()
            if parts is not None and len(parts) == 1 and parts[0] is not None
        }
        for entity, was, _ in staged.renamed:
            entries.remove(_space(entity), was)
        for (entity, key), parts in staged.rows.items():
            state = KEPT
            if len(self.crossing.staging[system].assemblies[entity].parts) == 1:
                state = GONE if parts is None else encode_row(whole[entity, key])
            entries.put(_space(entity), key, "", state)

    def _whole(self, entity: str, key: str, row: Row) -> Row:
        """A row in which the log left something out, with what an earlier chunk told of it."""
        earlier = self.crossing.entries.only(_space(entity), key) if ABSENT in row else None
        if earlier is None or earlier in (KEPT, GONE):
            return row
        return tuple([b if v is ABSENT else v for v, b in zip(row, decode_row(earlier), strict=True)])

    def _decide_aside(self, transaction: Transaction, step: Step, written: Callable[[], None]) -> None:
        """Decides what was put aside, page by page; after each, `written` hands it to the store.

        What is gone comes first, as in a small transaction; then parents before children; then what only goes if
        nobody refers to it any more."""
        system = transaction.system
        entities = [r for r in self.rules.values() if r.entity.crossed and system in r.layouts]
        for turn in (ENDED, THERE, RESTRICTED):
            for rules in entities:
                for page in self._pages(system, rules):
                    chosen = {p: parts for p, parts in page.items() if self._turn_of(rules, system, parts) == turn}
                    self._judge(chosen, transaction.position, step)
                    if turn == RESTRICTED:
                        for _, key in page:
                            self.crossing.entries.remove(_space(rules.name), key)
                    written()

    def _turn_of(self, rules: EntityRules, system: str, parts: PartRows | None) -> int:
        if self.crossing.raw_image(rules, system, parts)[0] is not None:
            return THERE
        return RESTRICTED if rules.entity.delete[system] == "restrict" else ENDED

    def _pages(self, system: str, rules: EntityRules) -> Iterator[dict[Place, PartRows | None]]:
        """The records put aside, with their rows as they are after the whole transaction."""
        staging, keys, entity = self.crossing.staging[system], self.crossing.keys, rules.name
        noted = self.store.entries(_space(entity))
        while page := list(islice(noted, PAGE_RECORDS)):
            ids = [id for key, _, _ in page if (id := keys.id_of(entity, system, key)) is not None]
            self._fetch({entity: dict.fromkeys(ids)})
            rows: dict[Place, PartRows | None] = {}
            for key, _, state in page:
                if state == KEPT:
                    rows[entity, key] = staging.assembled(entity, key)
                else:
                    rows[entity, key] = None if state == GONE else (decode_row(state),)
            yield rows


def _space(entity: str) -> str:
    return f"t/{entity}"
