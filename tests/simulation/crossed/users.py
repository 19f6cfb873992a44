"""What users of systems with keys of their own do: records come, change and end, in one row or in several.

Turns a random number generator into committed changes of a `MemorySystem`'s tables. It never asks the engine anything,
and never breaks a constraint of its own system. Who a customer is, users tell by number and mail address, drawn from a
few persons and spelt in several ways.
"""

from __future__ import annotations

from engine.vocabulary import Change, Text
from tests.simulation.crossed.books import (
    ADDRESS,
    FIELDS_OF_PARTIES,
    GONE,
    LIVE,
    MEMBERS,
    PARTY,
    PARTY_ADDRESS,
    PARTY_CODE,
    PARTY_GROUP,
    SINGLE,
)
from tests.simulation.crossed.parties import Parties
from tests.simulation.crossed.reading import Seen, by_column, records
from tests.simulation.crossed.writing import KINDS, PERSONS, persons_of
from tests.simulation.users import plain

NUMBERS, CODES = range(3), range(5)


class CrossedUsers(Parties):
    """The users of all systems. See the module."""

    def _operations(self, system: str) -> list[Change]:
        changes: list[Change] = []
        for _ in range(self.dice.choice((1, 1, 2, 3, 9) if self.features.huge else (1, 1, 2, 3))):
            entities = [e for e in ("customer", "customer", "employee", "order", "order") if e in self._bound(system)]
            changes += self._operation(system, self.dice.choice(entities)) if entities else []
        return changes

    def _bound(self, system: str) -> tuple[str, ...]:
        return tuple(self.databases[system].assemblies)

    def _operation(self, system: str, entity: str) -> list[Change]:  # type: ignore[override]
        """One statement, or a few that belong together; nothing if the database would refuse it."""
        there = records(self.databases[system], entity)
        roll = self.dice.random()
        if not there or roll < 0.3:
            return self.create(system, entity)
        key = self.dice.choice(sorted(there))
        if not self._free(system, entity, key, self.identity(entity, there[key])):
            return []
        if self.features.deletes and roll < 0.42:
            again = self.dice.random() < 0.2
            gone = self.end(system, entity, key)
            return gone + self.create(system, entity) if again else gone
        if entity == "customer" and system == "erp" and roll < 0.75:
            return self.rearrange(key)
        return self.change(system, entity, key)

    # ------------------------------------------------------------ records that come

    def create(self, system: str, entity: str) -> list[Change]:
        """A new record; or one that was ended is made one again."""
        database = self.databases[system]
        there, ended = records(database, entity), records(database, entity, ended=True)
        known = persons_of(there)
        again = [
            key for key, row in sorted(ended.items())
            if (self.features.duplicates or not persons_of({key: row}) & known)
            and self._free(system, entity, key, self.identity(entity, row))
        ]  # fmt: skip
        if again and self.dice.random() < 0.5:
            return self.revive(system, self.dice.choice(again))
        values = self._person(there) if entity == "customer" else self._numbered(entity, there)
        if values is None or not self.may(system, entity, self.identity(entity, values)):
            return []
        names = FIELDS_OF_PARTIES if (system, entity) == ("erp", "customer") else tuple(SINGLE[system, entity][1])
        for name in names:
            if name not in values:
                values[name] = self._text(system, entity, name)
        values = {name: values[name] for name in names}
        party = (system, entity) == ("erp", "customer")
        changes = self._insert_party(values) if party else self._insert_row(system, entity, values)
        if entity == "employee" and "boss" in values and self.dice.random() < 0.2:
            changes += self._befriend(system, changes[0])
        return changes

    def _person(self, there: Seen) -> dict[str, Text] | None:
        """Number and mail address of a person whom the system does not have, or has, if duplicates are drawn."""
        known = persons_of(there)
        twice = self.features.duplicates and self.dice.random() < 0.2
        free = [str(n) for n in PERSONS if twice or str(n) not in known]
        if not free:
            return None
        person = self.dice.choice(free)
        told = self.dice.choice(("both", "both", "vat", "email")) if self.features.alternatives else "both"
        return {
            "vat": self._spelt("vat", person) if told != "email" else None,
            "email": self._spelt("email", person) if told != "vat" else None,
        }

    def _numbered(self, entity: str, there: Seen) -> dict[str, Text] | None:
        name = "number" if entity == "employee" else "code"
        known = {row[name] for row in there.values()}
        pool = [f"{name[0]}{n}" for n in (NUMBERS if entity == "employee" else CODES)]
        free = [text for text in pool if text not in known]
        return {name: self.dice.choice(free)} if free else None

    def _insert_row(self, system: str, entity: str, values: dict[str, Text]) -> list[Change]:
        table, columns = SINGLE[system, entity]
        names = self.databases[system].columns(table)
        row = {names[columns[name]]: text for name, text in values.items()}
        if entity == "customer":
            row["state"] = LIVE
        changes = self.databases[system].insert(table, row)
        self._wrote(system, entity, self._key(system, changes[0]), f"inserts {values}")
        return changes

    def _befriend(self, system: str, made: Change) -> list[Change]:
        """Two new employees who are each other's boss."""
        first = self._key(system, made)
        values = self._numbered("employee", records(self.databases[system], "employee"))
        if values is None or not self.may(system, "employee", self.identity("employee", values)):
            return []
        values = {**values, "name": self._token(system, "employee", "", "name"), "boss": first}
        changes = self._insert_row(system, "employee", values)
        second = self._key(system, changes[0])
        return changes + self._update(system, SINGLE[system, "employee"][0], first, {"boss": second})

    def revive(self, system: str, key: str) -> list[Change]:
        """A customer is one again."""
        database = self.databases[system]
        self._told(f"{system} has customer {key} again")
        self.fate.ended |= persons_of({key: records(database, "customer", ended=True)[key]})
        table = PARTY if system == "erp" else SINGLE[system, "customer"][0]
        changes: list[Change] = []
        if database.stored[table][key][-1] == GONE:
            changes += self._update(system, table, key, {"state": LIVE})
        if system == "erp" and f"{key}\x1f{MEMBERS}" not in database.stored[PARTY_GROUP]:
            changes += database.insert(PARTY_GROUP, {"party": key, "grp": MEMBERS})
        return changes

    # ------------------------------------------------------------ records that change

    def change(self, system: str, entity: str, key: str) -> list[Change]:
        """UPDATE of one to three fields, or of none."""
        row = records(self.databases[system], entity)[key]
        fixed = ("number",) if self.features.renames and self.dice.random() < 0.1 else ("number", "code")
        names = [name for name in row if name not in (*fixed, *KINDS)]
        names = self.dice.sample(names, min(len(names), self.dice.choice((1, 1, 2, 3))))
        if entity == "customer" and self.dice.random() < 0.15:
            names.append(self.dice.choice(("vat", "email")))
        if self.dice.random() < 0.1:
            names = []
        if (system, entity) == ("erp", "customer"):
            return self._change_party(key, row, names)
        table, columns = SINGLE[system, entity]
        self._see(system, entity, key, names)
        values = {name: self._new(system, entity, name, row) for name in names if name not in fixed}
        columns_of = self.databases[system].columns(table)
        changes = self._update(system, table, key, {columns_of[columns[name]]: text for name, text in values.items()})
        self._wrote(system, entity, key, f"updates {values}")
        return changes

    # ------------------------------------------------------------ records that end

    def end(self, system: str, entity: str, key: str) -> list[Change]:
        """A record is deleted, in the way that its system has, unless others refer to it."""
        if self._referred(system, entity, key):
            return []
        self._forget(system, entity, key, "deletes")
        database = self.databases[system]
        table = PARTY if (system, entity) == ("erp", "customer") else SINGLE[system, entity][0]
        if entity == "customer" and by_column(database) and self.dice.random() < 0.8:
            return self._update(system, table, key, {"state": GONE})
        changes: list[Change] = []
        if table == PARTY and system == "erp":
            addresses = []
            for part in (PARTY_GROUP, PARTY_CODE, PARTY_ADDRESS):
                owner = 0 if part == PARTY_GROUP else 1
                for at, row in list(database.stored[part].items()):
                    if row[owner] == key:
                        addresses += [row[2]] if part == PARTY_ADDRESS else []
                        changes += database.delete(part, at)
            for address in dict.fromkeys(addresses):
                if address in database.stored[ADDRESS]:
                    # rows that did not count are nobody's loss
                    self.fate.succeeded.update(plain(text) for text in database.stored[ADDRESS][address])
                    changes += database.delete(ADDRESS, str(address))
        return changes + database.delete(table, key)
