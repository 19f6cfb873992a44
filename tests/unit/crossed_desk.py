"""The real desk on a store in memory, with transactions and answers given by hand: for records with keys of their own.

Turns short calls (`tx`, `batch`, `made`) into what sources read and targets answer. No database, no runner, no clock.
"""

from __future__ import annotations

from pathlib import Path

from adapters.memory import MemoryStore
from engine.assembly import PartRows
from engine.decide import Decider
from engine.ports import Request
from engine.record import Record
from engine.rulebook import RuleBook
from engine.vocabulary import DELETE, INSERT, UPDATE, Change, Outcome, Reread, Row, RowResult, Text, Transaction, Write
from rules import compile_book, load

HEAD = """\
duolog: 1
name: t
systems:
  erp: {adapter: postgresql, url: "postgresql://u@h/erp"}
  crm: {adapter: postgresql, url: "postgresql://u@h/crm"}
entities:
"""


def book_of(folder: Path, entities: str, head: str = HEAD) -> RuleBook:
    """The rule book of these entities, between `erp` and `crm` (or the systems of `head`)."""
    file = folder / "rules.yaml"
    file.write_text(head + entities)
    loaded = load(file, {})
    assert loaded.rules is not None, [str(p) for p in loaded.problems]
    book, problems = compile_book(loaded.rules, None)
    assert not [p for p in problems if p.severity == "error"], [str(p) for p in problems]
    return book


class CrossedDesk:
    """See the module."""

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self.store = MemoryStore()
        self.positions = dict.fromkeys(book.systems, 100)
        self.decider = Decider(book, self.store)
        self.restart()

    def restart(self) -> None:
        """A new desk on what is durable."""
        self.decider = Decider(self.book, self.store)
        self.decider.start()
        self.decider.take_up()

    def row(self, system: str, table: str, **values: Text) -> Change:
        """An INSERT, or UPDATE, of a whole row."""
        number, columns = self._table(system, table)
        return number, INSERT, tuple([values.get(c.replace("-", "_")) for c in columns]), None

    def update(self, system: str, table: str, **values: Text) -> Change:
        """The same as an UPDATE."""
        number, _, new, _ = self.row(system, table, **values)
        return number, UPDATE, new, None

    def rekeyed(self, system: str, table: str, former: str, **values: Text) -> Change:
        """An UPDATE that changed the key."""
        number, _, new, _ = self.row(system, table, **values)
        return number, UPDATE, new, self._key_only(system, table, former)

    def delete(self, system: str, table: str, key: str) -> Change:
        """A DELETE; the log tells the key only."""
        number, _ = self._table(system, table)
        return number, DELETE, None, self._key_only(system, table, key)

    def _key_only(self, system: str, table: str, key: str) -> Row:
        number, columns = self._table(system, table)
        return tuple([key if at in self.book.tables[system][number].key else ... for at in range(len(columns))])

    def _table(self, system: str, name: str) -> tuple[int, tuple[str, ...]]:
        for number, table in enumerate(self.book.tables[system]):
            if table.name == name:
                return number, table.columns
        raise KeyError(name)

    def tx(self, system: str, *changes: Change, at: int = 0, own: bool = False) -> None:
        """A transaction of a user (or the echo of our own) is read, decided and made durable."""
        self.positions[system] += 10
        position = self.positions[system]
        transaction = Transaction(system, position, at or position, own, list(changes), len(changes))
        self.decider.prefetch([transaction])
        assert not self.decider.blocked(transaction), "it would have to wait for an answer"
        self.decider.decide(transaction)
        self.decider.commit()

    def batch(self, system: str) -> list[Write]:
        """What is sent to a system now; its number is remembered for `answer`."""
        batch = self.decider.next_batch(system)
        self.decider.commit()
        if batch is None:
            return []
        self.sent = batch.number_to
        if not batch.prepare():
            self.decider.confirm(Outcome(system, self.sent, 0))  # as the runner does: nothing is left to write
            self.decider.commit()
        return [write for writes in batch.parts() for write in writes]

    def answer(self, system: str, *exceptions: RowResult) -> int:
        """The target answers the batch sent last. Returns the separator."""
        self.positions[system] += 5
        separator = self.positions[system]
        self.decider.confirm(Outcome(system, self.sent, separator, list(exceptions)))
        self.decider.commit()
        return separator

    def deliver(self, system: str, **keys: str) -> list[Write]:
        """Sends what is due and answers that all went well; `keys`: by entity, the key made for an inserted record."""
        writes = self.batch(system)
        if writes:
            made = [
                RowResult(w.entity, row[1], "created", made=row[2][0] if row[2] else keys[w.entity])
                for w in writes if w.kind == "insert" for row in w.rows
            ]
            self.answer(system, *made)
        return writes

    def reread(self, system: str, entity: str, id: str, parts: PartRows | None) -> None:
        """A target tells a record's rows as they are now."""
        self.positions[system] += 5
        own = self.decider.own_key(system, entity, id) or ""
        self.decider.reread(Reread(system, entity, id, None, self.positions[system], parts, own))
        self.decider.commit()

    def ask(self, kind: str, **arguments: str) -> str:
        """A person asks for something; returns the answer."""
        self.decider.request(Request(1, kind, arguments), 1)
        answer = self.decider.delta.requests_done.get(1, "")
        self.decider.commit()
        return answer

    def record(self, entity: str, id: str) -> Record:
        """One record."""
        found = self.decider.record(entity, id)
        assert found is not None, f"there is no {entity} {id}: {sorted(self.decider.cache[entity])}"
        return found

    def values(self, entity: str, id: str) -> dict[str, object]:
        """A record's canonical values by field name."""
        fields = self.book.entities[entity].fields
        return dict(zip([f.name for f in fields], self.record(entity, id).values, strict=True))
