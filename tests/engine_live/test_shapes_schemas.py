"""What applications do to their tables: names that need quotes, columns that must have something, constraints,
triggers, computed columns, coarse numbers, and rows that are touched for nothing; between real servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from tests.engine_live.shapes import ShapeOf, shapes
from tests.engine_live.world import eventually


@pytest.fixture
def shape(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[ShapeOf]:
    """Makes a shape between two fresh databases."""
    with shapes(tmp_path, {"erp": erp_db, "crm": crm_db}) as make:
        yield make


def test_names_with_hyphens_blanks_capitals_dots_and_reserved_words(shape: ShapeOf) -> None:
    pair = shape(
        """
  customer:
    identity: [name]
    conflict: last_writer
    delete: propagate
    bind:
      erp:
        schema: Sales & Co
        table: Kunden-Stamm
        key: Kunden Nr
        where: '"From" = ''us'' and not "löschen?"'
        parts:
          order:
            {schema: Sales & Co, table: order, on: '"group" = root."Kunden Nr" and "User" = ''x"y''', clear: delete}
        on_create: {"order.when": now()}
      crm: {table: select, key: user}
    fields:
      name:  {erp: root.a.b, crm: table}
      Limit: {erp: order.LIMIT, crm: "%"}
""",
        """
CREATE SCHEMA "Sales & Co";
CREATE TABLE "Sales & Co"."Kunden-Stamm" (
    "Kunden Nr" serial PRIMARY KEY, "a.b" text NOT NULL, "From" text NOT NULL, "löschen?" boolean NOT NULL
);
CREATE TABLE "Sales & Co"."order" (
    id serial PRIMARY KEY, "group" integer NOT NULL REFERENCES "Sales & Co"."Kunden-Stamm" ON DELETE CASCADE,
    "User" text NOT NULL, "when" timestamptz NOT NULL, "LIMIT" integer
);
""",
        'CREATE TABLE "select" ("user" uuid PRIMARY KEY DEFAULT gen_random_uuid(), "table" text NOT NULL, "%" integer)',
    )
    both: LiteralString = (
        'SELECT "a.b", "LIMIT", "when" IS NULL FROM "Sales & Co"."Kunden-Stamm"'
        ' LEFT JOIN "Sales & Co"."order" ON "group" = "Kunden Nr" ORDER BY 1'
    )
    pair.sql("crm", """INSERT INTO "select" ("table", "%") VALUES ('it''s "C"', 7), ('D', NULL)""")
    pair.becomes("erp", both, [("D", None, True), ("it's \"C\"", 7, False)])
    pair.sql("erp", 'UPDATE "Sales & Co"."order" SET "LIMIT" = 8',
                    """UPDATE "Sales & Co"."Kunden-Stamm" SET "a.b" = 'DD' WHERE "a.b" = 'D'""")  # fmt: skip
    pair.becomes("crm", 'SELECT "table", "%" FROM "select" ORDER BY 1', [("DD", None), ("it's \"C\"", 8)])
    pair.sql("crm", """UPDATE "select" SET "%" = CASE "table" WHEN 'DD' THEN 9 END""")
    pair.becomes("erp", both, [("DD", 9, False), ("it's \"C\"", None, True)])
    pair.sql("erp", """UPDATE "Sales & Co"."Kunden-Stamm" SET "From" = 'them' WHERE "a.b" = 'DD'""")
    pair.sql("erp", """DELETE FROM "Sales & Co"."Kunden-Stamm" WHERE "a.b" <> 'DD'""")
    pair.becomes("crm", 'SELECT "table" FROM "select"', [("DD",)])  # left alone
    pair.sql("erp", """UPDATE "Sales & Co"."Kunden-Stamm" SET "From" = 'us', "a.b" = 'E' WHERE "a.b" = 'DD'""")
    pair.becomes("crm", 'SELECT "table", "%" FROM "select"', [("E", 9)])
    pair.agrees()


def test_fifteen_columns_that_must_have_something_and_a_default_that_hides_the_row(shape: ShapeOf) -> None:
    pair = shape(
        """
  contact:
    identity: [email]
    conflict: last_writer
    delete: propagate
    bind:
      erp:
        table: contact
        on_create:
          code: "nextval('contact_code')"
          token: gen_random_uuid()
          made: now()
          made_utc: "now() at time zone 'utc'"
          day: current_date
          kind: "'P'"
          rank: "-1"
          rate: "0.5"
          visible: "true"
      crm: {table: contact}
    fields:
      email: email
      name:  {erp: {column: name, empty: ""}, crm: name}
      title: {erp: {column: title, empty: ""}, crm: title}
      phone: {erp: {column: phone, empty: ""}, crm: phone}
      city:  {erp: {column: city, empty: ""}, crm: city}
      note:  {erp: {column: note, empty: ""}, crm: {column: note, empty: ""}}
""",
        """
CREATE SEQUENCE contact_code START 500;
CREATE TABLE contact (
    id serial PRIMARY KEY, code text NOT NULL UNIQUE, token uuid NOT NULL, made timestamptz NOT NULL,
    made_utc timestamp NOT NULL, day date NOT NULL, kind char(1) NOT NULL, rank smallint NOT NULL,
    rate numeric(3,2) NOT NULL, email text NOT NULL, name text NOT NULL, title varchar(10) NOT NULL,
    phone text NOT NULL, city text NOT NULL, note text NOT NULL, visible boolean NOT NULL DEFAULT false
);
CREATE VIEW seen AS SELECT * FROM contact WHERE visible;
""",
        """
CREATE TABLE contact (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text, name text, title text, phone text, city text,
    note text NOT NULL DEFAULT ''
);
""",
    )
    pair.sql("crm", "INSERT INTO contact (email, city) VALUES ('a@a', 'Ulm'), ('b@b', NULL)")
    pair.becomes("erp", "SELECT email, name, title, city, note, kind, rank, rate::text FROM seen ORDER BY code", [
        ("a@a", "", "", "Ulm", "", "P", -1, "0.50"), ("b@b", "", "", "", "", "P", -1, "0.50"),
    ])  # fmt: skip
    assert pair.sql("erp", "SELECT min(code), max(code), count(DISTINCT token) FROM seen") == [("500", "501", 2)]

    pair.sql("erp", "UPDATE contact SET name = 'Ann', city = '' WHERE email = 'a@a'")
    pair.becomes("crm", "SELECT name, city, phone FROM contact WHERE email = 'a@a'", [("Ann", None, None)])
    pair.sql("crm", "UPDATE contact SET name = NULL, phone = '' WHERE email = 'a@a'")
    pair.becomes("erp", "SELECT name, phone FROM contact WHERE email = 'a@a'", [("", "")])
    pair.agrees()


def test_what_unique_check_and_exclude_refuse_waits_and_leaves_nothing_half(shape: ShapeOf) -> None:
    pair = shape(
        """
  booking:
    identity: [title]
    conflict: last_writer
    delete: propagate
    bind:
      erp:
        table: booking
        parts: {span: {table: span, on: "booking = root.id"}, seat: {table: seat, on: "booking = root.id"}}
      crm: {table: booking}
    fields:
      title: title
      begin: {erp: span.low, crm: begin}
      end:   {erp: span.high, crm: finish}
      seat:  {erp: seat.number, crm: seat}
    groups: {span: [begin, end]}
""",
        """
CREATE TABLE booking (id serial PRIMARY KEY, title text NOT NULL CHECK (title <> 'bad'));
CREATE TABLE span (
    booking integer PRIMARY KEY REFERENCES booking ON DELETE CASCADE, low integer NOT NULL, high integer NOT NULL,
    CONSTRAINT apart EXCLUDE USING gist (int4range(low, high) WITH &&)
);
CREATE TABLE seat (
    booking integer PRIMARY KEY REFERENCES booking ON DELETE CASCADE, number integer CONSTRAINT taken UNIQUE
);
""",
        """
CREATE TABLE booking (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL, begin integer, finish integer, seat integer
);
""",
    )
    new: LiteralString = "INSERT INTO booking (title, begin, finish, seat) VALUES "
    pair.sql("crm", new + "('first', 1, 5, 1)")
    pair.becomes("erp", "SELECT title FROM booking", [("first",)])
    for values in ("('bad', 11, 15, 2)", "('overlaps', 4, 8, 3)", "('same seat', 21, 25, 1)", "('good', 31, 35, 4)"):
        pair.sql("crm", new + values)
    pair.becomes("erp", "SELECT title FROM booking ORDER BY id", [("first",), ("good",)])
    eventually(lambda: len(pair.quarantine()) == 3, 10, pair.live.log_tail)
    assert sorted(pair.quarantine().values()) == [
        "23505 unique_violation: constraint `taken` of `public.seat` about `seat`",
        "23514 check_violation: constraint `booking_title_check` of `public.booking` about `title`",
        "23P01 exclusion_violation: constraint `apart` of `public.span`",
    ]  # fmt: skip
    half: LiteralString = "SELECT count(*), count(span.booking), count(seat.booking) FROM booking"
    half = half + " FULL JOIN span ON span.booking = id FULL JOIN seat ON seat.booking = id"
    assert pair.sql("erp", half) == [(2, 2, 2)]

    pair.sql("crm", "UPDATE booking SET title = 'better' WHERE title = 'bad'",
                    "UPDATE booking SET begin = 6 WHERE title = 'overlaps'")  # fmt: skip
    pair.sql("erp", "UPDATE seat SET number = 9 WHERE number = 1")
    pair.becomes("crm", "SELECT seat FROM booking WHERE title = 'first'", [(9,)])
    pair.live.json("retry")
    pair.becomes("erp", "SELECT title, low, number FROM booking JOIN span AS s ON s.booking = id"
                        " JOIN seat AS t ON t.booking = id ORDER BY title",
                 [("better", 11, 2), ("first", 1, 9), ("good", 31, 4), ("overlaps", 6, 3),
                  ("same seat", 21, 1)])  # fmt: skip
    pair.agrees()


def test_triggers_that_rewrite_number_and_touch_are_no_changes_of_their_own(shape: ShapeOf) -> None:
    pair = shape(
        """
  customer:
    identity: [{field: phone, same: digits}]
    conflict: last_writer
    delete: propagate
    bind:
      erp: {table: customer, where: "kind = 'C'"}
      crm: {table: account}
    fields:
      phone:  phone
      name:   name
      number: {erp: number, crm: customer_no, owner: erp}
""",
        """
CREATE SEQUENCE numbers;
CREATE TABLE customer (
    id serial PRIMARY KEY, name text, phone text, number text, kind text NOT NULL, touched timestamptz,
    shown text GENERATED ALWAYS AS (name || number) STORED
);
CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.touched := clock_timestamp();
    IF NEW.number IS NULL THEN NEW.number := 'N' || nextval('numbers'); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION number();
""",
        """
CREATE TABLE account (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, phone text, customer_no text);
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.phone := regexp_replace(NEW.phone, '[^0-9]', '', 'g'); RETURN NEW; END $$;
CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION tidy();
""",
    )
    pair.sql("erp", "INSERT INTO customer (name, phone, kind) VALUES ('Acme', '+49 (731) 12', 'C'), ('S', '1', 'S')")
    pair.becomes("crm", "SELECT name, phone, customer_no FROM account", [("Acme", "4973112", "N1")])
    pair.sql("crm", "INSERT INTO account (name, phone) VALUES ('Bolt', '0171/5')")
    pair.becomes("erp", "SELECT name, phone, number, shown FROM customer WHERE kind = 'C' ORDER BY 1",
                 [("Acme", "+49 (731) 12", "N1", "AcmeN1"), ("Bolt", "01715", "N3", "BoltN3")])  # fmt: skip
    pair.becomes("crm", "SELECT customer_no FROM account WHERE name = 'Bolt'", [("N3",)])

    pair.sql("crm", "UPDATE account SET name = 'ACME' WHERE name = 'Acme'")
    pair.becomes("erp", "SELECT phone, shown FROM customer WHERE name = 'ACME'", [("+49 (731) 12", "ACMEN1")])
    pair.sql("erp", "UPDATE customer SET phone = '0171 / 55' WHERE name = 'Bolt'")
    pair.becomes("crm", "SELECT phone FROM account WHERE name = 'Bolt'", [("017155",)])
    pair.agrees()


def test_prices_of_four_decimals_stay_what_they_are_where_the_other_side_has_two(shape: ShapeOf) -> None:
    pair = shape(
        """
  product:
    identity: [sku]
    conflict: last_writer
    bind: {erp: {table: product, key: id}, crm: {table: product, key: id}}
    fields: {sku: sku, price: price, name: name}
""",
        "CREATE TABLE product (id serial PRIMARY KEY, sku text UNIQUE, price numeric(14,4), name text)",
        "CREATE TABLE product (id serial PRIMARY KEY, sku text UNIQUE, price numeric(10,2), name text)",
    )
    pair.sql("erp", "INSERT INTO product (sku, price) VALUES ('S1', 1.2345), ('S2', 0.0049)")
    pair.becomes("crm", "SELECT sku, price::text FROM product ORDER BY 1", [("S1", "1.23"), ("S2", "0.00")])
    pair.sql("crm", "UPDATE product SET name = 'Bolt' WHERE sku = 'S1'")
    pair.becomes("erp", "SELECT price::text, name FROM product WHERE sku = 'S1'", [("1.2345", "Bolt")])
    pair.sql("crm", "UPDATE product SET price = 1.50 WHERE sku = 'S2'")
    pair.becomes("erp", "SELECT price::text FROM product WHERE sku = 'S2'", [("1.5000",)])
    pair.agrees()


NOISY = """
  customer:
    identity: [code]
    conflict: last_writer
    bind:
      erp:
        table: customer
        parts: {phone: {table: phone, on: "customer = root.id", first_by: seq}}
      crm: {table: account}
    fields: {code: code, name: name, phone: {erp: phone.value, crm: phone}}
"""


def test_rows_that_are_only_touched_cause_no_write_on_the_other_side(shape: ShapeOf) -> None:
    pair = shape(
        NOISY,
        """
CREATE TABLE customer (
    id serial PRIMARY KEY, code text UNIQUE, name text, touched timestamptz, version integer DEFAULT 0
);
CREATE TABLE phone (
    id serial PRIMARY KEY, customer integer NOT NULL REFERENCES customer, seq integer, value text, touched timestamptz
);
""",
        """
CREATE TABLE account (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text, name text, phone text, seen timestamptz
);
""",
    )
    pair.sql("erp",
        "INSERT INTO customer (code, name) SELECT 'C' || i, 'n' FROM generate_series(1, 200) AS i",
        "INSERT INTO phone (customer, seq, value) SELECT id, i, i FROM customer, generate_series(1, 2) AS i",
    )  # fmt: skip
    pair.becomes("crm", "SELECT count(*) FROM account WHERE phone = '1'", [(200,)])
    before, erp = pair.written(), [pair.mark("erp", table) for table in ("customer", "phone")]
    for _ in range(3):
        pair.sql("crm", "UPDATE account SET seen = clock_timestamp()")
    pair.sql("crm", "INSERT INTO account (code) VALUES ('end')")
    pair.becomes("erp", "SELECT count(*) FROM customer", [(201,)])
    assert pair.written() == before + 1
    assert [pair.mark("erp", "phone")] == erp[1:]

    for _ in range(2):  # half of the updates are of a bound column, half of none
        pair.sql("erp", "UPDATE customer SET touched = clock_timestamp(), version = version + 1")
        pair.sql("erp", "UPDATE phone SET touched = clock_timestamp()",
                        "UPDATE phone SET value = value || '!' WHERE seq = 2")  # fmt: skip
    crm = pair.mark("crm", "account")
    pair.sql("erp", "UPDATE customer SET name = 'last' WHERE code = 'end'")
    pair.becomes("crm", "SELECT name FROM account WHERE code = 'end'", [("last",)])
    assert pair.written() == before + 2
    assert pair.mark("crm", "account") != crm

    pair.sql("erp", "UPDATE customer SET name = 'm', touched = now()", "UPDATE phone SET touched = now()")
    pair.becomes("crm", "SELECT count(*) FROM account WHERE name = 'm'", [(201,)])
    assert pair.written() == before + 2 + 201
    pair.agrees()


def test_a_write_that_the_deletion_had_not_seen_brings_the_record_back_with_all_its_parts(shape: ShapeOf) -> None:
    pair = shape(
        NOISY,
        """
CREATE TABLE customer (id serial PRIMARY KEY, code text UNIQUE, name text);
CREATE TABLE phone (id serial PRIMARY KEY, customer integer NOT NULL REFERENCES customer, seq integer, value text);
""",
        "CREATE TABLE account (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text, name text, phone text)",
    )
    pair.sql("crm", "INSERT INTO account (code, name, phone) VALUES ('A', 'a', '1'), ('B', 'b', '2')")
    query: LiteralString = "SELECT code, name, value FROM customer LEFT JOIN phone ON customer = customer.id ORDER BY 1"
    pair.becomes("erp", query, [("A", "a", "1"), ("B", "b", "2")])
    with pair.apart():
        pair.sql("erp", "DELETE FROM phone USING customer WHERE customer.id = customer AND code = 'A'",
                        "DELETE FROM customer WHERE code = 'A'",
                        "UPDATE phone SET value = '22' WHERE value = '2'")  # fmt: skip
        pair.sql("crm", "UPDATE account SET name = 'aa' WHERE code = 'A'", "DELETE FROM account WHERE code = 'B'")
    pair.becomes("erp", query, [("A", "aa", "1"), ("B", "b", "22")])
    pair.becomes("crm", "SELECT code, name, phone FROM account ORDER BY 1", [("A", "aa", "1"), ("B", "b", "22")])
    assert {entry["kind"] for entry in pair.live.journal()} <= {"delete_differs", "update_deleted"}
    pair.agrees()
