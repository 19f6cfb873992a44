"""What everything that users do has in common: whose rows a record has, what they may write, what of it is told.

Turns the dice into values (each a unique token, a country, a person's number spelt in some way) and keeps for the
oracle, in `CrossedFate`, what was written, seen and overwritten. It chooses no operation: `parties` and `users` do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from adapters.memory import MemorySystem
from engine.vocabulary import Change, Text
from tests.simulation.crossed.books import (
    ADDRESS,
    COUNTRY,
    MEMBERS,
    PARTY,
    PARTY_ADDRESS,
    PARTY_CODE,
    PARTY_GROUP,
    REFERENCES,
    SINGLE,
)
from tests.simulation.crossed.features import CrossedFeatures
from tests.simulation.crossed.reading import Seen, address_of, code_of, link_of, records
from tests.simulation.users import POISON, Fate, Tell, Users, plain

PERSONS = range(5)
COUNTRIES = ("DE", "FR")
STRANGE = "XX"
"""A country that `erp` does not have at first."""
KINDS = {"vat": "vat", "email": "mail"}
"""By field: the kind of code that `erp` keeps it as."""


def person_of(row: dict[str, Text]) -> str:
    """Whose number or mail address it is; "" if it has neither."""
    vat, email = row.get("vat"), row.get("email")
    return vat[-1] if vat else email[1] if email else ""


def persons_of(rows: Seen) -> set[str]:
    """Whose numbers and mail addresses these are."""
    vats, emails = [row.get("vat") for row in rows.values()], [row.get("email") for row in rows.values()]
    return {vat[-1] for vat in vats if vat} | {email[1] for email in emails if email}


@dataclass
class CrossedFate(Fate):
    """What the oracle knows of users' writes, without asking the engine."""

    places: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)
    """token → (system, entity, own key, field)"""
    ended: set[str] = field(default_factory=set)
    """Customers whom some user deleted, took out, or made again: what his system has no column for he did not see."""


class Writing(Users):
    """See the module."""

    features: CrossedFeatures
    fate: CrossedFate

    def __init__(
        self, dice: random.Random, features: CrossedFeatures, databases: dict[str, MemorySystem], fate: CrossedFate,
        tell: Tell | None,
    ) -> None:  # fmt: skip
        super().__init__(dice, features, databases, fate, tell)
        self.fresh: list[tuple[str, str]] = []
        """(token, field) of the statement under way."""

    # ------------------------------------------------------------ whose rows

    def identity(self, entity: str, row: dict[str, Text]) -> str:
        """What tells a record from all others."""
        return person_of(row) if entity == "customer" else str(row["number" if entity == "employee" else "code"])

    def _free(self, system: str, entity: str, key: str, identity: str) -> bool:
        """True if nobody else has locked a row of the record, and it may be written now."""
        return not self.rows_of(system, entity, key) & self.databases[system].locked and self.may(
            system, entity, identity
        )

    def rows_of(self, system: str, entity: str, key: str) -> set[tuple[str, str]]:
        """(table, key) of the rows that make up a record."""
        database = self.databases[system]
        if (system, entity) != ("erp", "customer"):
            return {(database.names[SINGLE[system, entity][0]], key)}
        rows = [
            (PARTY, key), (PARTY_GROUP, f"{key}\x1f{MEMBERS}"), (PARTY_CODE, code_of(database, key, "vat")),
            (PARTY_CODE, code_of(database, key, "mail")), (PARTY_ADDRESS, link_of(database, key)),
            (ADDRESS, address_of(database, key)),
        ]  # fmt: skip
        return {(database.names[table], at) for table, at in rows if at is not None}

    def _forget(self, system: str, entity: str, key: str, how: str) -> None:
        """The user ends what he sees."""
        row = records(self.databases[system], entity)[key]
        self._see(system, entity, key, list(row))
        if entity == "customer":
            self.fate.ended |= persons_of({key: row})
        self._told(f"{system} {how} {entity} {key}")

    def _referred(self, system: str, entity: str, key: str) -> bool:
        """True if others refer to the record, or may do so."""
        database = self.databases[system]
        if self.features.kind == "turns" and self.features.orders_too and entity != "order":
            return True  # somebody may be about to refer to it elsewhere: that would be a conflict
        return any(
            row.get(name) == key and (child, other) != (entity, key)
            for (child, name), parent in REFERENCES.items() if parent == entity and (system, child) in SINGLE
            if child in database.assemblies
            for other, row in records(database, child).items()
        )

    # ------------------------------------------------------------ values, and what is told

    def _text(self, system: str, entity: str, name: str) -> Text:
        """A value: a unique token, a country, somebody who is there; sometimes NULL."""
        database = self.databases[system]
        if name == "country":
            known = [row[1] for row in database.stored[COUNTRY].values()] if system == "erp" else [*COUNTRIES]
            more = [STRANGE] if self.features.strange and system != "erp" else []
            return self.dice.choice([*known, *more, None])
        if (entity, name) in REFERENCES:
            there = sorted(records(database, REFERENCES[entity, name]))
            return self.dice.choice([*there, *there, None])
        if self.dice.random() < 0.1:
            return None
        return self._token(system, entity, "", name)

    def _token(self, system: str, entity: str, key: str, name: str) -> str:
        self.tokens += 1
        token = f"{system}{self.tokens}"
        if self.features.poison and system != "erp" and (entity, name) == ("customer", "name"):
            token += POISON if self.dice.random() < 0.3 else ""
        self.fresh.append((token, name))
        return token

    def _wrote(self, system: str, entity: str, key: str, what: str) -> None:
        """The tokens of the statement under way were written to this record."""
        self.fate.places.update({token: (system, entity, key, name) for token, name in self.fresh})
        self.fresh = []
        self._told(f"{system} {entity} {key}: {what}")

    def _see(self, system: str, entity: str, key: str, names: tuple[str, ...] | list[str]) -> None:
        """The user overwrites what he sees: those writes are succeeded."""
        row = records(self.databases[system], entity)[key]
        grouped = set(names) | ({"street", "city"} if {"street", "city"} & set(names) else set())
        self.fate.succeeded.update(plain(row[name]) for name in grouped if row.get(name) is not None)

    def _key(self, system: str, change: Change) -> str:
        new = change[2]
        assert new is not None
        table = self.databases[system].tables[change[0]]
        return "\x1f".join([str(new[place]) for place in table.key])

    def _update(self, system: str, table: int, key: str, values: dict[str, Text]) -> list[Change]:
        return self.databases[system].update(table, key, values)

    def _spelt(self, name: str, person: str) -> str:
        return self.dice.choice(
            (f"DE{person}", f"DE {person}", f"de-{person}") if name == "vat" else (f"p{person}@x", f"P{person}@X")
        )

    def _new(self, system: str, entity: str, name: str, row: dict[str, Text]) -> Text:
        """A new value for a field: a person's number is spelt in another way, or another person's if duplicates are
        drawn."""
        if name not in KINDS:
            return self._text(system, entity, name)
        other = self.features.duplicates and self.dice.random() < 0.3
        person = str(self.dice.choice(PERSONS)) if other else person_of(row)
        return self._spelt(name, person) if person and row[name] is not None else row[name]
