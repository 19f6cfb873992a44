"""Whole transactions of a log, decided change by change.

Turns transactions into merged records and to-do entries. A transaction larger than memory goes through the store chunk
by chunk and is committed as one.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.desk.aside import Aside
from engine.errors import EngineFault, TableTruncated
from engine.merge import EntityRules, Step, begin, carry_over, quick_update, restore
from engine.record import Record, by_field, held_alive, held_row, is_fresh
from engine.vocabulary import ABSENT, DELETE, INSERT, TRUNCATE, UPDATE, Change, Image, Transaction


class Changes(Aside):
    """The room where transactions are decided."""

    def prefetch(self, transactions: Iterable[Transaction]) -> None:
        """Loads the records that these transactions touch, in one query an entity."""
        self.trimmed = False
        self._prefetch(transactions)

    def _prefetch(self, transactions: Iterable[Transaction]) -> None:
        wanted: dict[str, dict[str, None]] = {}
        crossed: dict[str, list[Change]] = {}
        for transaction in transactions:
            self._wanted(transaction.system, transaction.changes, wanted)
            if transaction.system in self.crossing.staging:
                crossed.setdefault(transaction.system, []).extend(transaction.changes)
        for system, changes in crossed.items():
            self.crossing.fetch(system, changes, wanted)
        self._fetch(wanted)

    def _wanted(self, system: str, changes: list[Change], wanted: dict[str, dict[str, None]]) -> None:
        tables = self.tables[system]
        for table, _, new, old in changes:
            plain = tables[table]
            if plain is None:
                continue
            rules, _, key_of = plain
            keys = wanted.setdefault(rules.name, {})
            if new is not None:
                keys[key_of(new)] = None
            if old is not None:
                keys[key_of(old)] = None

    def standing(self, system: str) -> tuple[int, int]:
        """How far the system's batches are: (the last that was answered, the last that was sent)."""
        mark = self.marks[system]
        return mark.applied, mark.dispatched

    def blocked(self, transaction: Transaction) -> bool:
        """True if a write of ours to a record of this transaction is under way to its own system.

        Only the outcome of that write tells whether the transaction came before or after it."""
        mark = self.marks[transaction.system]
        if mark.applied == mark.dispatched:
            return False
        if transaction.spool is not None:
            return True
        if self.crossing.concerns(transaction.system, transaction.changes):
            return True  # a key that we do not know may be one that the target is just making
        if self.trimmed:
            self._prefetch([transaction])
        tables = self.tables[transaction.system]
        for table, _, new, old in transaction.changes:
            plain = tables[table]
            if plain is None:
                continue
            rules, _, key_of = plain
            for row in (new, old):
                if row is None:
                    continue
                record = self.cache[rules.name].get(key_of(row))
                side = record.sides.get(transaction.system) if record is not None else None
                if side is not None and mark.under_way(side):
                    return True
        return False

    def decide(self, transaction: Transaction) -> None:
        """Decides a whole transaction. It must have been prefetched, and not be blocked."""
        if self.trimmed:
            self._prefetch([transaction])
        self._count("transactions")
        self.tallies = {}
        self._count("echoes" if transaction.own else "changes", transaction.rows)
        step = self._step(transaction.system, transaction.committed_at, transaction.position)
        if transaction.spool is None:
            self._decide_changes(transaction, transaction.changes, step)
        else:
            self._decide_spooled(transaction, step)
        self._close(step)
        if self.tallies:
            self._weigh(transaction, step.version.number)
        if transaction.spool is not None:
            self._end_long()
        self.pass_position(transaction.system, transaction.position)
        while self.truncated:
            del self.truncations[self.truncated.pop()]

    def _decide_spooled(self, transaction: Transaction, step: Step) -> None:
        """A transaction larger than memory: its state goes to the store chunk by chunk, and is committed as one."""
        self.wait_until_stored()
        self._begin_long()
        crossed = False
        for changes in transaction.chunks():
            wanted: dict[str, dict[str, None]] = {}
            self._wanted(transaction.system, changes, wanted)
            if transaction.system in self.crossing.staging:
                self.crossing.fetch(transaction.system, changes, wanted)
            self._fetch(wanted)
            if self.crossing.concerns(transaction.system, changes):
                self._put_aside(transaction, changes)
                crossed = True
            self._decide_changes(transaction, changes, step)
            self._write_chunk(step)
        if crossed:
            self._decide_aside(transaction, step, lambda: self._write_chunk(step))

    def _write_chunk(self, step: Step) -> None:
        """What was decided so far goes into the store's open transaction; what follows is due under a later number."""
        self._close(step)
        self._spill_all()
        self._write()
        self._trim()
        self.number += 1
        step.due = self.number

    def _decide_changes(self, transaction: Transaction, changes: list[Change], step: Step) -> None:
        tables = self.tables[transaction.system]
        position = transaction.position
        if transaction.spool is None and self.crossing.concerns(transaction.system, changes):
            self._decide_crossed(transaction, changes, step)
        for table, op, new, old in changes:
            plain = tables[table]
            if plain is None:
                continue
            rules, layout, key_of = plain
            if op == TRUNCATE:
                self._truncate(rules, transaction, step)
                continue
            if op == UPDATE and old is not None and new is not None and key_of(old) != key_of(new):
                self._rekey(rules, transaction, key_of(old), key_of(new), by_field(new, layout), step)
                continue
            row = new if new is not None else old
            if row is None:
                raise EngineFault(f"a change of `{rules.name}` carries no row")
            key = key_of(row)
            image: Image | None = None
            if op != DELETE:
                image = row if layout.direct else by_field(row, layout)
                record = self.cache[rules.name].get(key)
                if op == UPDATE and record is not None and quick_update(rules, record, image, step):
                    if not step.noise:
                        name = (rules.name, key)
                        self.dirty[name] = record
                        if step.touched:
                            self._note_due(name, record, sorted(step.touched))
                        if step.touched and rules.entity.limits.updates is not None:
                            self._count_change(rules, True, 0, record, step)
                    continue
            self._read(rules, key, op, image, position, step)

    def _rekey(
        self, rules: EntityRules, transaction: Transaction, old: str, new: str, image: Image, step: Step
    ) -> None:
        """A changed natural key: the old record ends, and one with the new key begins, in the same transaction."""
        record = self.cache[rules.name].get(old)
        if record is not None:
            image = self._completed(rules, record, image, transaction)
        former = record.values if record is not None and record.alive else None
        self._read(rules, old, DELETE, None, transaction.position, step)
        self._read(rules, new, INSERT, image, transaction.position, step)
        made = self.cache[rules.name].get(new)
        if former is not None and made is not None:
            carry_over(rules, made, former, step)
            self._note_due((rules.name, new), made, sorted(step.touched))

    def _completed(self, rules: EntityRules, record: Record, image: Image, transaction: Transaction) -> Image:
        """A row with a new key, completed by what the old one had, as far as we know what it had at that time."""
        begin(rules, record, self.marks)
        layout = rules.layouts[transaction.system]
        side = record.sides.get(transaction.system)
        if not held_alive(record, side) or (side is not None and (side.out or side.bad or side.wait)):
            return image
        before = held_row(record, side, layout)
        return tuple(
            [
                before[n]
                if value is ABSENT
                and n in layout.bound
                and not (side is not None and is_fresh(side, rules.register_of[n], transaction.position))
                else value
                for n, value in enumerate(image)
            ]
        )

    def _truncate(self, rules: EntityRules, transaction: Transaction, step: Step) -> None:
        """An emptied table is never taken for a mass deletion: a person says what it means."""
        choice = self.truncations.get((transaction.system, rules.name))
        if choice is None:
            table = self.book.tables[transaction.system][rules.layouts[transaction.system].binding.table]
            raise TableTruncated(
                f"table `{table.schema}.{table.name}` was emptied by TRUNCATE",
                system=transaction.system,
                mend=f"`duolog resolve RULES --truncated {transaction.system}.{rules.name} --restore` fills it again "
                "from the other systems; `--delete` deletes the records everywhere",
            )
        self.truncated.add((transaction.system, rules.name))
        keys = {key for key, record in self.cache[rules.name].items() if record is not None}
        keys |= {key for key, _ in self.store.scan(rules.name)}
        self._fetch({rules.name: dict.fromkeys(sorted(keys))})
        for key in sorted(keys):
            record = self.cache[rules.name].get(key)
            if choice == "restore" and record is not None:
                begin(rules, record, self.marks)
                step.touched.clear()
                restore(rules, key, record, step)
                self.dirty[(rules.name, key)] = record
                self._note_due((rules.name, key), record, sorted(step.touched))
            else:
                self._read(rules, key, DELETE, None, transaction.position, step)
        self.tallies.pop(rules.name, None)  # however many they are, a person has said that they are meant
