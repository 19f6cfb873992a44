"""Examples whose systems make keys of their own, and spread a record over several tables."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

GENERATED_KEYS = [
    Round(
        {
            "crm": [
                "WITH a AS (INSERT INTO account (account_name, vat_number) VALUES ('Acme', 'DE 123') RETURNING id)"
                " INSERT INTO project (account_id, subject, amount) SELECT id, 'Roof', 1000.50 FROM a",
            ],
            "erp": [
                "INSERT INTO customer (code, name, email, fax, active, created)"
                " VALUES ('9', 'Bolt & Co', 'info@bolt.example', '', true, now())",
            ],
        },
        {
            "erp": (
                "SELECT code, name, vat_no, fax, active, created IS NOT NULL, budget::text"
                " FROM customer LEFT JOIN project ON customer = customer.id ORDER BY name",
                [("10001", "Acme", "DE 123", "", True, True, "1000.5000"),
                 ("9", "Bolt & Co", None, "", True, True, None)],
            ),
            "crm": (
                "SELECT account_name, customer_no, fax FROM account ORDER BY 1",
                [("Acme", "10001", None), ("Bolt & Co", "9", None)],
            ),
        },
    ),
    Round(
        {
            "crm": ["UPDATE account SET modified = now()",
                    "UPDATE account SET vat_number = 'FR 77' WHERE account_name = 'Bolt & Co'"],
            "erp": ["UPDATE customer SET name = 'Acme Ltd', fax = '123' WHERE name = 'Acme'",
                    "UPDATE project SET budget = 1200.1234"],
        },
        {
            "erp": ("SELECT name, vat_no, budget::text FROM customer LEFT JOIN project ON customer = customer.id"
                    " ORDER BY name", [("Acme Ltd", "DE 123", "1200.1234"), ("Bolt & Co", "FR 77", None)]),
            "crm": ("SELECT account_name, fax, amount::text FROM account LEFT JOIN project ON account_id = account.id"
                    " ORDER BY 1", [("Acme Ltd", "123", "1200.12"), ("Bolt & Co", None, None)]),
        },
    ),
    Round(
        {"crm": ["DELETE FROM account WHERE account_name = 'Bolt & Co'"]},
        {"erp": ("SELECT name FROM customer", [("Acme Ltd",)])},
    ),
]  # fmt: skip

PARTS = [
    Round(
        {
            "crm": [
                "INSERT INTO company (name, vat_number, billing_city, billing_country, phone, email, segment)"
                " VALUES ('Acme', 'DE 123', 'Ulm', 'DE', '0731 1', 'a@acme.example', 'Tools')",
            ],
            "erp": [
                "INSERT INTO party (id, name) VALUES (901, 'Bolt'), (902, 'nobody''s customer');"
                "INSERT INTO party_category (party, category) VALUES (901, 7);"
                "INSERT INTO contact (party, type, value, sequence)"
                " VALUES (901, 'phone', '2nd', 20), (901, 'phone', '1st', 10), (901, 'fax', '99', 1)",
            ],
        },
        {
            "erp": (
                "SELECT p.name, v.code, city, c.code, s.name, a.active,"
                " (SELECT string_agg(type || ' ' || value, ', ' ORDER BY type) FROM contact WHERE party = p.id)"
                " FROM party AS p JOIN party_category AS m ON m.party = p.id AND category = 7"
                " JOIN party_code AS v ON v.party = p.id JOIN party_address AS a ON a.party = p.id"
                " JOIN country AS c ON c.id = country JOIN segment AS s ON s.id = segment",
                [("Acme", "DE 123", "Ulm", "DE", "Tools", True, "email a@acme.example, phone 0731 1")],
            ),
            "crm": ("SELECT name, phone, vat_number FROM company ORDER BY 1",
                    [("Acme", "0731 1", "DE 123"), ("Bolt", "1st", None)]),
        },
    ),
    Round(
        {
            "erp": [
                "DELETE FROM contact WHERE value = '1st'",
                "UPDATE party_address SET city = 'Bonn', country = 33",
            ],
            "crm": ["UPDATE company SET email = NULL, mobile = '0171 2' WHERE name = 'Acme'"],
        },
        {
            "erp": ("SELECT type, value FROM contact JOIN party ON party.id = party WHERE name = 'Acme' ORDER BY 1",
                    [("mobile", "0171 2"), ("phone", "0731 1")]),
            "crm": ("SELECT name, phone, billing_city, billing_country FROM company ORDER BY 1",
                    [("Acme", "0731 1", "Bonn", "FR"), ("Bolt", "2nd", None, None)]),
        },
    ),
    Round(
        {"crm": ["DELETE FROM company WHERE name = 'Acme'"],
         "erp": ["DELETE FROM party_category WHERE party = 901",
                 "UPDATE party SET name = 'Bolt AG' WHERE id = 901"]},
        {
            "erp": ("SELECT name, active FROM party ORDER BY 1",
                    [("Acme", False), ("Bolt AG", True), ("nobody's customer", True)]),
            "crm": ("SELECT name FROM company", [("Bolt",)]),
        },
    ),
    Round(
        {"erp": ["UPDATE party SET active = true WHERE name = 'Acme'",
                 "INSERT INTO party_category (party, category) VALUES (901, 7)"]},
        {"crm": ("SELECT name, mobile FROM company ORDER BY 1", [("Acme", "0171 2"), ("Bolt AG", None)])},
    ),
]  # fmt: skip

INHERITANCE_AND_LINKS = [
    Round(
        {
            "crm": [
                "WITH a AS (INSERT INTO account (account_name, street, city) VALUES ('Acme', 'Ring 1', 'Ulm')"
                " RETURNING id) INSERT INTO contact (full_name, birthday, email, account_id)"
                " SELECT 'Ann', '1980-02-03', 'ann@acme.example', id FROM a",
                "INSERT INTO contact (full_name, email) VALUES ('Free Lance', 'free@lance.example')",
            ],
        },
        {
            "erp": (
                "SELECT p.name, born::text, f.name, city, mirror.kind, mirror.opposite = link.id"
                " FROM party AS p JOIN person USING (id) JOIN contact USING (id)"
                " LEFT JOIN relation AS link ON link.from_party = p.id AND link.kind = 'works_for'"
                " LEFT JOIN relation AS mirror ON mirror.id = link.opposite AND mirror.to_party = p.id"
                " LEFT JOIN party AS f ON f.id = link.to_party AND mirror.from_party = f.id"
                " LEFT JOIN address ON address.id = f.main_address AND address.party = f.id ORDER BY 1",
                [("Ann", "1980-02-03", "Acme", "Ulm", "employs", True), ("Free Lance", None, None, None, None, None)],
            ),
        },
    ),
    Round(
        {
            "erp": [
                "INSERT INTO party (name, made_by) VALUES ('Bolt', 'a user'), ('neither', 'a user');"
                "INSERT INTO company (id, registration_no) SELECT id, 'HRB 7' FROM party WHERE name = 'Bolt'",
                "UPDATE person SET born = '1981-02-03'",
            ],
            "crm": ["UPDATE account SET street = NULL, city = NULL WHERE account_name = 'Acme'"],
        },
        {
            "erp": ("SELECT name, main_address FROM party WHERE name = 'Acme'", [("Acme", None)]),
            "crm": ("SELECT account_name, registration_no FROM account ORDER BY 1",
                    [("Acme", None), ("Bolt", "HRB 7")]),
        },
    ),
    Round(
        {
            "crm": ["UPDATE contact SET account_id = (SELECT id FROM account WHERE account_name = 'Bolt')"],
        },
        {
            "erp": (
                "SELECT p.name, kind, q.name FROM relation JOIN party AS p ON p.id = from_party"
                " JOIN party AS q ON q.id = to_party ORDER BY 1, 3",
                [("Ann", "works_for", "Bolt"), ("Bolt", "employs", "Ann"), ("Bolt", "employs", "Free Lance"),
                 ("Free Lance", "works_for", "Bolt")],
            ),
        },
    ),
    Round(
        {
            "crm": ["UPDATE contact SET account_id = NULL WHERE full_name = 'Ann'",
                    "DELETE FROM contact WHERE full_name = 'Free Lance'"],
            "erp": ["DELETE FROM party WHERE name = 'Acme'"],
        },
        {
            "erp": ("SELECT name, (SELECT count(*) FROM relation) FROM party ORDER BY 1",
                    [("Ann", 0), ("Bolt", 0), ("neither", 0)]),
            "crm": ("SELECT account_name, full_name FROM account CROSS JOIN contact", [("Bolt", "Ann")]),
        },
    ),
]  # fmt: skip
