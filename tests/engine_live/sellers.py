"""Users of two systems without a key in common, who enter customers with orders, move them, and cancel orders; and what
must be there when all is quiet, whatever happened to the engine meanwhile.

Every customer bears a name of his own: by that it is known what was promised to whom. Nothing here is shared with the
engine.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, LiteralString

import psycopg

LINES: Final = 3
"""Every order has so many."""

RULES: Final = """
  customer:
    identity: [name]
    conflict: last_writer
    delete: propagate
    bind:
      erp:
        table: party
        parts:
          seat:  {table: seat, on: "id = root.seat and party = root.id"}
          phone: {table: reach, on: "party = root.id and kind = 'phone'", clear: delete}
          email: {table: reach, on: "party = root.id and kind = 'email'", clear: delete}
          role:  {table: role, on: "party = root.id", where: "what = 'customer'"}
        member_when: role
        on_create: {code: "nextval('party_code')"}
      crm: {table: account}
    fields:
      name:  name
      city:  {erp: seat.city, crm: city}
      phone: {erp: phone.value, crm: phone}
      email: {erp: email.value, crm: email}
  order:
    identity: [no]
    conflict: last_writer
    delete: propagate
    bind: {erp: {table: sale, key: id}, crm: {table: deal, key: id}}
    fields:
      no: no
      customer: {erp: party, crm: account, reference: customer}
  line:
    identity: [order, place]
    conflict: last_writer
    delete: propagate
    bind: {erp: {table: sale_line, key: id}, crm: {table: deal_line, key: id}}
    fields:
      order: {erp: sale, crm: deal, reference: order}
      place: place
      what:  what
"""

TABLES: Final[dict[str, LiteralString]] = {
    "erp": """
CREATE SEQUENCE party_code;
CREATE TABLE party (
    id serial PRIMARY KEY, code integer NOT NULL UNIQUE, name text NOT NULL, seat integer
);
CREATE TABLE seat (id serial PRIMARY KEY, party integer NOT NULL REFERENCES party, city text);
ALTER TABLE party ADD FOREIGN KEY (seat) REFERENCES seat;
CREATE TABLE reach (
    id serial PRIMARY KEY, party integer NOT NULL REFERENCES party, kind text NOT NULL, value text NOT NULL,
    UNIQUE (party, kind)
);
CREATE TABLE role (
    id serial PRIMARY KEY, party integer NOT NULL REFERENCES party, what text NOT NULL, UNIQUE (party, what)
);
CREATE TABLE sale (id serial PRIMARY KEY, no text NOT NULL, party integer NOT NULL REFERENCES party);
CREATE TABLE sale_line (
    id serial PRIMARY KEY, sale integer NOT NULL REFERENCES sale ON DELETE CASCADE, place integer NOT NULL, what text,
    UNIQUE (sale, place)
);
CREATE INDEX ON seat (party);
""",
    "crm": """
CREATE TABLE account (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, city text, phone text, email text
);
CREATE TABLE deal (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), no text NOT NULL, account uuid NOT NULL REFERENCES account
);
CREATE TABLE deal_line (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), deal uuid NOT NULL REFERENCES deal ON DELETE CASCADE,
    place integer NOT NULL, what text, UNIQUE (deal, place)
);
""",
}

ENTER: Final[dict[str, LiteralString]] = {
    "erp": """
WITH p AS (INSERT INTO party (code, name) VALUES (nextval('party_code'), %(name)s) RETURNING id),
    r AS (INSERT INTO role (party, what) SELECT id, 'customer' FROM p),
    c AS (
        INSERT INTO reach (party, kind, value)
        SELECT id, kind, %(name)s FROM p, unnest('{phone,email}'::text[]) AS kind
    ),
    s AS (INSERT INTO sale (no, party) SELECT %(name)s, id FROM p RETURNING id),
    l AS (INSERT INTO sale_line (sale, place, what) SELECT id, i, %(name)s FROM s, generate_series(1, %(lines)s) AS i)
INSERT INTO seat (party, city) SELECT id, %(name)s FROM p
""",
    "crm": """
WITH a AS (INSERT INTO account (name, city, phone, email) VALUES (%(name)s, %(name)s, %(name)s, %(name)s) RETURNING id),
    d AS (INSERT INTO deal (no, account) SELECT %(name)s, id FROM a RETURNING id)
INSERT INTO deal_line (deal, place, what) SELECT id, i, %(name)s FROM d, generate_series(1, %(lines)s) AS i
""",
}
SETTLE: Final[LiteralString] = (
    "UPDATE party SET seat = s.id FROM seat AS s WHERE s.party = party.id AND party.name = %(name)s"
)
MOVE: Final[dict[str, LiteralString]] = {
    "erp": "UPDATE seat SET city = %(city)s FROM party WHERE party.seat = seat.id AND name = %(name)s",
    "crm": "UPDATE account SET city = %(city)s, phone = %(city)s WHERE name = %(name)s",
}
CANCEL: Final[dict[str, LiteralString]] = {
    "erp": "DELETE FROM sale WHERE no = %(name)s",
    "crm": "DELETE FROM deal WHERE no = %(name)s",
}

WHOLE: Final[dict[str, LiteralString]] = {
    "erp": """
SELECT p.name, s.city, count(r.id) FILTER (WHERE r.kind = 'phone'), count(r.id) FILTER (WHERE r.kind = 'email')
FROM party AS p JOIN role ON role.party = p.id LEFT JOIN seat AS s ON s.id = p.seat AND s.party = p.id
LEFT JOIN reach AS r ON r.party = p.id GROUP BY p.id, s.city ORDER BY 1
""",
    "crm": "SELECT name, city, count(phone), count(email) FROM account GROUP BY id ORDER BY name",
}
ORDERS: Final[dict[str, LiteralString]] = {
    "erp": "SELECT no, name, count(l.id) FROM sale AS o JOIN party AS p ON p.id = party"
           " LEFT JOIN sale_line AS l ON l.sale = o.id GROUP BY o.id, name ORDER BY 1",
    "crm": "SELECT no, name, count(l.id) FROM deal AS o JOIN account AS p ON p.id = account"
           " LEFT JOIN deal_line AS l ON l.deal = o.id GROUP BY o.id, name ORDER BY 1",
}  # fmt: skip
STRAY: Final[LiteralString] = """
SELECT (SELECT count(*) FROM party WHERE id NOT IN (SELECT party FROM role)),
    (SELECT count(*) FROM seat WHERE id NOT IN (SELECT seat FROM party WHERE seat IS NOT NULL)),
    (SELECT count(*) FROM reach) - 2 * (SELECT count(*) FROM party)
"""


class Sellers(threading.Thread):
    """Everybody who writes in one system, one transaction after the other, until told to stop."""

    def __init__(self, system: str, address: str, shift: str) -> None:
        """`shift`: is in all names, so that no two are ever the same."""
        super().__init__(daemon=True)
        self.entered: list[str] = []
        """Customers whose transaction was confirmed."""
        self.cancelled: list[str] = []
        """Orders whose deletion was."""
        self._system, self._address, self._shift = system, address, shift
        self._leave = threading.Event()

    def run(self) -> None:
        """Writes. The pauses leave the machine to the engine, too."""
        with psycopg.connect(self._address) as connection:
            number = 0
            while not self._leave.wait(0.03):
                number += 1
                name = f"{self._shift} {self._system} {number}"
                connection.execute(ENTER[self._system], {"name": name, "lines": LINES})
                if self._system == "erp":
                    connection.execute(SETTLE, {"name": name})
                connection.commit()
                self.entered.append(name)
                if number % 2 == 0:
                    connection.execute(MOVE[self._system], {"name": self.entered[-number // 3], "city": f"of {name}"})
                    connection.commit()
                if number % 5 == 0:
                    connection.execute(CANCEL[self._system], {"name": self.entered[-4]})
                    connection.commit()
                    self.cancelled.append(self.entered[-4])

    def stop(self) -> None:
        """Waits until the last transaction is done."""
        self._leave.set()
        self.join(30)


def read(addresses: Mapping[str, str], queries: Mapping[str, LiteralString]) -> dict[str, list[tuple[Any, ...]]]:
    """By system: the rows of its query."""
    found = {}
    for system, address in addresses.items():
        with psycopg.connect(address) as connection:
            found[system] = connection.execute(queries[system]).fetchall()
    return found


def wrong(addresses: Mapping[str, str], entered: set[str], cancelled: set[str]) -> list[str]:
    """All that is not as it was promised to somebody, or half a record, or twice."""
    said: list[str] = []
    for system, rows in read(addresses, WHOLE).items():
        names = [row[0] for row in rows]
        said += [f"{system}: {name} is there twice" for name in {n for n in names if names.count(n) > 1}]
        said += [f"{system}: {name} is missing" for name in sorted(entered - set(names))]
        said += [f"{system}: {row} is half a record" for row in rows if row[1] is None or row[2:] != (1, 1)]
    for system, rows in read(addresses, ORDERS).items():
        numbers = [row[0] for row in rows]
        said += [f"{system}: order {no} is there twice" for no in {n for n in numbers if numbers.count(n) > 1}]
        said += [f"{system}: order {no} is missing" for no in sorted(entered - cancelled - set(numbers))]
        said += [f"{system}: order {no} was cancelled" for no in sorted(cancelled & set(numbers))]
        said += [f"{system}: order {row} is not whole" for row in rows if row[1] != row[0] or row[2] != LINES]
    with psycopg.connect(addresses["erp"]) as connection:
        stray = connection.execute(STRAY).fetchone()
    if stray != (0, 0, 0):
        said.append(f"erp: rows that belong to nobody: {stray}")
    return said
