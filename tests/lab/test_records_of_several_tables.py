"""Records of several tables, with keys of each system's own, references and deletions: commit here, read there at once.

Both sides are synchronous and closed, so no range may be degraded after the first: each answer is a promise. The engine
is killed in the midst of it, and started again. Then users of both sides write the same records, and make the same new
ones, at the same moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.embedded import EmbeddedServer
from tests.engine_live.world import Live, eventually
from tests.lab.shop import ARMED, watchdogs_of

CUSTOMERS = 30
KILLED_AT = (8, 19)
"""Before these customers the engine is killed."""
QUARRELS = 12
ANSWERED_WITHIN_S = 2.05

TABLES = {
    "erp": """
        CREATE TABLE party (id bigserial PRIMARY KEY, name text);
        CREATE TABLE party_code (id bigserial PRIMARY KEY, party bigint NOT NULL REFERENCES party ON DELETE CASCADE,
                                 kind text NOT NULL, code text, UNIQUE (kind, code));
        CREATE TABLE address (id bigserial PRIMARY KEY, party bigint NOT NULL REFERENCES party ON DELETE CASCADE,
                              city text, street text);
        CREATE TABLE orders (id bigserial PRIMARY KEY, code text, party bigint NOT NULL REFERENCES party, note text)""",
    "crm": """
        CREATE TABLE accounts (id bigserial PRIMARY KEY, vat text UNIQUE, name text, city text, street text);
        CREATE TABLE deals (id bigserial PRIMARY KEY, code text, account bigint NOT NULL REFERENCES accounts,
                            note text)""",
}
RULES = """\
duolog: 1
name: parts
systems:
  erp: {adapter: postgresql, url: "${ERP_URL}", commit: synchronous, when_away: closed}
  crm: {adapter: postgresql, url: "${CRM_URL}", commit: synchronous, when_away: closed}
entities:
  customer:
    identity: [vat]
    conflict: last_writer
    bind:
      erp:
        table: party
        key: id
        parts:
          vat:     {table: party_code, on: "party = root.id", where: "kind = 'vat'", first_by: [id]}
          address: {table: address, on: "party = root.id", first_by: [id]}
      crm: {table: accounts, key: id}
    fields:
      vat:    {erp: vat.code, crm: vat}
      name:   {erp: name, crm: name}
      city:   {erp: address.city, crm: city}
      street: {erp: address.street, crm: street, owner: crm}
    delete: propagate
  order:
    identity: [code]
    conflict: last_writer
    bind:
      erp: {table: orders, key: id}
      crm: {table: deals, key: id}
    fields:
      code:     {erp: code, crm: code}
      customer: {erp: party, crm: account, reference: customer}
      note:     {erp: note, crm: note}
    delete: propagate
"""
ALL = {
    "erp": "SELECT c.code, p.name, a.city, a.street FROM party p JOIN party_code c ON c.party = p.id "
    "LEFT JOIN LATERAL (SELECT * FROM address WHERE party = p.id ORDER BY id LIMIT 1) a ON true ORDER BY 1",
    "crm": "SELECT vat, name, city, street FROM accounts ORDER BY 1",
}
ORDERS = {
    "erp": "SELECT o.code, c.code, note FROM orders o JOIN party_code c ON c.party = o.party ORDER BY 1",
    "crm": "SELECT code, vat, note FROM deals JOIN accounts a ON a.id = account ORDER BY 1",
}


class Office:
    """Both databases, a user of each, and one who looks from new sessions."""

    def __init__(self, folder: Path, servers: dict[str, EmbeddedServer]) -> None:
        self.addresses = {system: server.create_database("office") for system, server in servers.items()}
        self.users = {system: psycopg.connect(address) for system, address in self.addresses.items()}
        for system, text in TABLES.items():
            self.users[system].execute(text.encode())
            self.users[system].commit()
        self.live = Live(folder, RULES, self.addresses)
        self.live.call("setup")
        self.longest_s = 0.0

    def run(self) -> None:
        """Starts the engine; returns when commits wait on both sides."""
        self.live.run()
        eventually(lambda: all(self.look(s, ARMED)[0][0] for s in self.users), 60, self.live.log_tail)

    def look(self, system: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a new session sees."""
        with psycopg.connect(self.addresses[system], autocommit=True) as session:
            return session.execute(query.encode(), values).fetchall()

    def commit(self, system: str) -> None:
        """The user's COMMIT, which returns when the other side has what he wrote."""
        begun = time.monotonic()
        self.users[system].commit()
        self.longest_s = max(self.longest_s, time.monotonic() - begun)

    def party(self, vat: str, name: str, city: str | None) -> int:
        """A user of the ERP makes a customer; not committed."""
        erp = self.users["erp"]
        row = erp.execute("INSERT INTO party (name) VALUES (%s) RETURNING id", [name]).fetchone()
        assert row is not None
        erp.execute("INSERT INTO party_code (party, kind, code) VALUES (%s, 'vat', %s)", [row[0], vat])
        if city is not None:
            erp.execute("INSERT INTO address (party, city) VALUES (%s, %s)", [row[0], city])
        return int(row[0])

    def close(self) -> None:
        """Nobody waits, nothing of ours runs."""
        own = watchdogs_of(self.live.pid)
        self.live.call("release", expected=(0, 1, 2, 3))
        self.live.go_home()
        for pid in own:  # it outlives an engine that is killed, and would look for its servers for an hour
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for address in self.addresses.values():
            with psycopg.connect(address, autocommit=True, options="-c synchronous_commit=local") as session:
                session.execute("ALTER SYSTEM RESET synchronous_standby_names")
                session.execute("SELECT pg_reload_conf()")
        for user in self.users.values():
            user.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Both sides at work, armed."""
    with EmbeddedServer() as erp, EmbeddedServer() as crm:
        place = Office(tmp_path, {"erp": erp, "crm": crm})
        try:
            place.run()
            yield place
        finally:
            place.close()


def test_what_is_answered_is_on_the_other_side_whole(office: Office) -> None:
    for n in range(CUSTOMERS):
        if n in KILLED_AT:
            office.live.kill9()
            threading.Timer(0.3, office.live.run).start()
        _erp_makes_a_customer_with_an_order(office, n)
        _crm_changes_him(office, n)
        _crm_makes_one_and_perhaps_deletes_him(office, n)
    ranges = [len(office.look(system, "SELECT FROM duolog.degraded")) for system in office.users]
    assert ranges == [1, 1], "only `never armed yet`"
    assert office.live.stop() == 0


def _erp_makes_a_customer_with_an_order(office: Office, n: int) -> None:
    party = office.party(f"V{n}", f"n{n}", "A")
    office.users["erp"].execute("INSERT INTO orders (code, party, note) VALUES (%s, %s, 'x')", [f"O{n}", party])
    office.commit("erp")
    seen = office.look("crm", "SELECT name, city FROM accounts WHERE vat = %s", f"V{n}")
    assert seen == [(f"n{n}", "A")]
    assert (f"O{n}", f"V{n}", "x") in office.look("crm", ORDERS["crm"])


def _crm_changes_him(office: Office, n: int) -> None:
    office.users["crm"].execute("UPDATE accounts SET city = 'B', street = 'S' WHERE vat = %s", [f"V{n}"])
    office.commit("crm")
    assert (f"V{n}", f"n{n}", "B", "S") in office.look("erp", ALL["erp"])


def _crm_makes_one_and_perhaps_deletes_him(office: Office, n: int) -> None:
    crm = office.users["crm"]
    row = crm.execute("INSERT INTO accounts (vat, name) VALUES (%s, 'm') RETURNING id", [f"W{n}"]).fetchone()
    assert row is not None
    crm.execute("INSERT INTO deals (code, account, note) VALUES (%s, %s, 'y')", [f"P{n}", row[0]])
    office.commit("crm")
    assert (f"P{n}", f"W{n}", "y") in office.look("erp", ORDERS["erp"])
    if n % 3 == 0:
        crm.execute("DELETE FROM deals WHERE code = %s", [f"P{n}"])
        crm.execute("DELETE FROM accounts WHERE vat = %s", [f"W{n}"])
        office.commit("crm")
        assert office.look("erp", "SELECT FROM party_code WHERE code = %s", f"W{n}") == []


@pytest.mark.alone
def test_who_writes_the_same_record_or_makes_the_same_one_at_the_same_moment_is_answered(office: Office) -> None:
    for n in range(QUARRELS):
        _erp_makes_a_customer_with_an_order(office, n)

    for n in range(QUARRELS):
        both = [(office, "erp", n), (office, "crm", n)]
        _at_once(office, [lambda o=o, s=s, n=n: _rename(o, s, n) for o, s, n in both])
        _at_once(office, [lambda o=o, s=s, n=n: _cross(o, s, n) for o, s, n in both])
        _at_once(office, [lambda o=o, s=s, n=n: _make(o, s, n) for o, s, n in both])

    eventually(lambda: _is_equal(office, ALL) and _is_equal(office, ORDERS), 10, office.live.log_tail)
    assert len(office.look("crm", ALL["crm"])) == 2 * QUARRELS, "none lost, none doubled"
    assert office.longest_s <= ANSWERED_WITHIN_S
    assert any("acknowledged, then overruled" in entry["because"] for entry in office.live.journal())


def _is_equal(office: Office, queries: dict[str, str]) -> bool:
    return office.look("erp", queries["erp"]) == office.look("crm", queries["crm"])


def _rename(office: Office, system: str, n: int) -> None:
    """The same field of the same record."""
    name, vat = f"{system}{n}", f"V{n}"
    if system == "erp":
        query = "UPDATE party SET name = %s WHERE id = (SELECT party FROM party_code WHERE code = %s)"
    else:
        query = "UPDATE accounts SET name = %s WHERE vat = %s"
    office.users[system].execute(query.encode(), [name, vat])


def _cross(office: Office, system: str, n: int) -> None:
    """A customer and an order, locked in opposite order; of the customer, fields with different owners."""
    user, note, code = office.users[system], f"{system}{n}", f"O{n}"
    if system == "erp":
        query = "UPDATE address SET city = %s WHERE party = (SELECT party FROM party_code WHERE code = %s)"
        user.execute(query, [note, f"V{n}"])
        user.execute("UPDATE orders SET note = %s WHERE code = %s", [note, code])
    else:
        user.execute("UPDATE deals SET note = %s WHERE code = %s", [note, code])
        user.execute("UPDATE accounts SET street = %s WHERE vat = %s", [note, f"V{n}"])


def _make(office: Office, system: str, n: int) -> None:
    """The same new record."""
    if system == "erp":
        office.party(f"X{n}", f"erp{n}", None)
    else:
        office.users["crm"].execute("INSERT INTO accounts (vat, name) VALUES (%s, %s)", [f"X{n}", f"crm{n}"])


def _at_once(office: Office, writes: list[Callable[[], None]]) -> None:
    """Both write, wait for each other, and commit; both are answered."""
    ready = threading.Barrier(len(writes))
    answered: list[str] = []

    def one(write: Callable[[], None], system: str) -> None:
        write()
        ready.wait(20)
        office.commit(system)
        answered.append(system)

    threads = [
        threading.Thread(target=one, args=(write, system), daemon=True)
        for write, system in zip(writes, office.users, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answered) == sorted(office.users), f"somebody waits\n{office.live.log_tail()}"
