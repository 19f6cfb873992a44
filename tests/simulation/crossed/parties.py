"""What users of `erp` do to customers: to the single rows of a party, its codes, addresses and membership.

Turns the dice into changes of these rows, in every way by which another row may come to count. It never asks the
engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.vocabulary import Change, Text
from tests.simulation.crossed.books import (
    ADDRESS,
    COUNTRY,
    LIVE,
    MEMBERS,
    PARTY,
    PARTY_ADDRESS,
    PARTY_CODE,
    PARTY_GROUP,
)
from tests.simulation.crossed.reading import address_of, code_of, link_of, records
from tests.simulation.crossed.writing import KINDS, Writing, person_of


class Parties(Writing):
    """See the module."""

    def _insert_party(self, values: dict[str, Text]) -> list[Change]:
        erp = self.databases["erp"]
        country = self._country_key(values["country"])
        changes = erp.insert(
            PARTY, {"name": values["name"], "phone": values["phone"] or "", "country": country, "state": LIVE}
        )
        key = self._key("erp", changes[0])
        for name, kind in KINDS.items():
            if values[name] is not None:
                changes += erp.insert(PARTY_CODE, {"party": key, "kind": kind, "code": values[name], "seq": "5"})
        if values["street"] is not None or values["city"] is not None:
            changes += self._insert_address(key, values["street"], values["city"], "5")
        if self.dice.random() < 0.9:
            changes += erp.insert(PARTY_GROUP, {"party": key, "grp": MEMBERS})
        self._wrote("erp", "customer", key, f"inserts {values}")
        return changes

    def _insert_address(self, key: str, street: Text, city: Text, seq: str) -> list[Change]:
        erp = self.databases["erp"]
        changes = erp.insert(ADDRESS, {"street": street, "city": city})
        address = self._key("erp", changes[0])
        return changes + erp.insert(PARTY_ADDRESS, {"party": key, "address": address, "seq": seq})

    def _country_key(self, iso: Text) -> Text:
        found = [key for key, row in self.databases["erp"].stored[COUNTRY].items() if row[1] == iso]
        return found[0] if found else None

    def _change_party(self, key: str, row: dict[str, Text], names: Iterable[str]) -> list[Change]:
        erp, changes = self.databases["erp"], list[Change]()
        values = {name: self._new("erp", "customer", name, row) for name in names}
        self._see("erp", "customer", key, list(values))
        root = {name: values[name] for name in ("name",) if name in values}
        if "phone" in values:
            root["phone"] = values["phone"] or ""
        if "country" in values:
            root["country"] = self._country_key(values["country"])
        if root or not values:
            changes += self._update("erp", PARTY, key, root)
        for name, kind in KINDS.items():
            code = code_of(erp, key, kind)
            if name in values and code is not None:
                changes += self._update("erp", PARTY_CODE, code, {"code": values[name]})
        place = {name: values[name] for name in ("street", "city") if name in values}
        address = address_of(erp, key)
        if place and address is not None:
            changes += self._update("erp", ADDRESS, address, place)
        elif place:
            changes += self._insert_address(key, place.get("street"), place.get("city"), "6")
        self._wrote("erp", "customer", key, f"updates {values}")
        return changes

    def rearrange(self, key: str) -> list[Change]:
        """Something about the rows of a customer of `erp`, other than a new value in one of them."""
        moves: list[Callable[[str], list[Change]]] = [
            self._moves_in, self._moves_on, self._has_another_number, self._loses_a_row, self._is_touched,
        ]  # fmt: skip
        if self.features.deletes:
            moves.append(self._leaves)
        return self.dice.choice(moves)(key)

    def _moves_in(self, key: str) -> list[Change]:
        """A new address, before or behind those that are there."""
        seq = self.dice.choice(("1", "9", None))
        if seq != "1":
            self._see("erp", "customer", key, ["street", "city"])
        street, city = (self._text("erp", "customer", name) for name in ("street", "city"))
        changes = self._insert_address(key, street, city, seq or "5")
        self._wrote("erp", "customer", key, f"has another address, seq {seq}")
        return changes

    def _moves_on(self, key: str) -> list[Change]:
        """Another of the addresses comes first, or the one that does leads elsewhere."""
        erp = self.databases["erp"]
        link = link_of(erp, key)
        if link is None:
            return []
        self._see("erp", "customer", key, ["street", "city"])
        self._told(f"erp's customer {key}: address {link} comes otherwise")
        if self.dice.random() < 0.5:
            return self._update("erp", PARTY_ADDRESS, link, {"seq": self.dice.choice(("0", "10", None))})
        changes = erp.insert(ADDRESS, {"street": None, "city": self._text("erp", "customer", "city")})
        changes += self._update("erp", PARTY_ADDRESS, link, {"address": self._key("erp", changes[0])})
        self._wrote("erp", "customer", key, "leads elsewhere")
        return changes

    def _has_another_number(self, key: str) -> list[Change]:
        """The number is written once more, in a row that comes before the other or not."""
        erp = self.databases["erp"]
        code = code_of(erp, key, "vat")
        if code is None:
            return []
        person = person_of(records(erp, "customer")[key])
        values = {"party": key, "kind": "vat", "code": self._spelt("vat", person), "seq": self.dice.choice("19")}
        self._told(f"erp's customer {key} has another number {values}")
        return erp.insert(PARTY_CODE, values)

    def _loses_a_row(self, key: str) -> list[Change]:
        """A row of a part is deleted: a mail address, or that which leads to the address."""
        erp = self.databases["erp"]
        mail, link = code_of(erp, key, "mail"), link_of(erp, key)
        if self.dice.random() < 0.5 and link is not None:
            self._see("erp", "customer", key, ["street", "city"])
            self._told(f"erp's customer {key} loses its address {link}")
            return erp.delete(PARTY_ADDRESS, link)
        if mail is not None and code_of(erp, key, "vat") is not None:
            self._told(f"erp's customer {key} loses its mail address {mail}")
            return erp.delete(PARTY_CODE, mail)
        return []

    def _is_touched(self, key: str) -> list[Change]:
        """UPDATE of a row to what it is."""
        table = self.dice.choice((PARTY, PARTY_CODE, PARTY_ADDRESS))
        row = {PARTY: key, PARTY_CODE: code_of(self.databases["erp"], key, "vat")}.get(table)
        row = link_of(self.databases["erp"], key) if table == PARTY_ADDRESS else row
        return self._update("erp", table, row, {}) if row is not None else []

    def _leaves(self, key: str) -> list[Change]:
        """A party is no customer any more."""
        if self._referred("erp", "customer", key):
            return []
        self._forget("erp", "customer", key, "takes out")
        return self.databases["erp"].delete(PARTY_GROUP, f"{key}\x1f{MEMBERS}")
