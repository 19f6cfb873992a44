"""The example between an ERP on PostgreSQL and a CRM on MariaDB: keys, choices, local times, references, both ways."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

PARTIES = (
    "SELECT p.name, v.code, a.city, c.code, p.phone, p.stage, p.industry, p.mailing,"
    " to_char(p.visited AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
    " FROM party AS p LEFT JOIN party_code AS v ON v.party = p.id LEFT JOIN address AS a ON a.party = p.id"
    " LEFT JOIN country AS c ON c.id = a.country ORDER BY p.name"
)
ACCOUNTS = (
    "SELECT a.name, vat_number, billing_city, billing_country, phone_office, stage, i.name, opted_in,"
    " CAST(last_visit AS char), date_entered > utc_timestamp() - INTERVAL 1 HOUR"
    " FROM accounts AS a LEFT JOIN industries AS i ON i.id = industry_id ORDER BY a.name"
)
PERSONS = "SELECT email, last_name, name FROM person LEFT JOIN party ON party.id = works_for ORDER BY email"
CONTACTS = "SELECT email, last_name, name FROM contacts LEFT JOIN accounts AS a ON a.id = account_id ORDER BY email"

CRM_ON_MARIADB = [
    Round(
        {
            "crm": ["INSERT INTO accounts (name, vat_number, billing_city, billing_country, phone_office, stage,"
                    " industry_id, opted_in, last_visit, date_entered)"
                    " VALUES ('Acme 🔩', 'DE 123', 'Ulm', 'DE', '0731 1', 'Active', 1, 1,"
                    " '2026-01-31 10:00:00', utc_timestamp());"
                    " INSERT INTO contacts (account_id, email, last_name, date_entered)"
                    " VALUES (last_insert_id(), 'Ann@Acme.example', 'Ann', utc_timestamp())"],
            "erp": ["INSERT INTO party (id, name, industry, visited)"
                    " VALUES (901, 'Bolt', 'Bolts', '2026-07-01 08:00+00'), (902, 'nobody''s customer', NULL, NULL);"
                    "INSERT INTO party_category (party, category) VALUES (901, 7);"
                    "INSERT INTO address (party, active, city, country) VALUES (901, true, 'Metz', 33);"
                    "INSERT INTO person (email, last_name, works_for) VALUES ('Bob@Bolt.example', 'Bob', 901)"],
        },
        {
            "erp": (PARTIES, [
                ("Acme 🔩", "DE 123", "Ulm", "DE", "0731 1", "A", "Steel", True, "2026-01-31 09:00"),
                ("Bolt", None, "Metz", "FR", None, "P", "Bolts", False, "2026-07-01 08:00"),
                ("nobody's customer", None, None, None, None, "P", None, False, None)]),
            "crm": (ACCOUNTS, [
                ("Acme 🔩", "DE 123", "Ulm", "DE", "0731 1", "Active", "Steel", 1, "2026-01-31 10:00:00", 1),
                ("Bolt", None, "Metz", "FR", None, "Prospect", "Bolts", 0, "2026-07-01 10:00:00", 1)]),
        },
    ),
    Round(
        {"erp": ["UPDATE party SET name = 'ACME 🔩 ', invoices = 1, mailing = false WHERE name = 'Acme 🔩'"],
         "crm": ["UPDATE accounts SET phone_office = '0800 1', last_visit = '2026-12-24 18:00:00' WHERE name = 'Bolt'",
                 "UPDATE contacts SET email = 'ANN@ACME.EXAMPLE', last_name = 'Änn'"
                 " WHERE email = 'ann@acme.example'"]},
        {
            "erp": (PERSONS, [("Ann@Acme.example", "Änn", "ACME 🔩 "), ("Bob@Bolt.example", "Bob", "Bolt")]),
            "crm": (CONTACTS, [("ANN@ACME.EXAMPLE", "Änn", "ACME 🔩 "), ("bob@bolt.example", "Bob", "Bolt")]),
        },
    ),
    Round(  # the phone of who has an invoice is the ERP's; both make records, and each database its own keys
        {"crm": ["UPDATE accounts SET phone_office = '999' WHERE vat_number = 'DE 123'",
                 "INSERT INTO accounts (name, billing_city, stage, date_entered)"
                 " VALUES ('Nut', 'Ulm', 'Prospect', utc_timestamp())"],
         "erp": ["UPDATE party SET phone = '111' WHERE name = 'Bolt'",
                 "INSERT INTO party (id, name) VALUES (903, 'nut');"
                 "INSERT INTO address (party, active, city) VALUES (903, true, 'ULM');"
                 "INSERT INTO party_category (party, category) VALUES (903, 7)"]},
        {
            "erp": ("SELECT lower(name), phone, count(*) FROM party WHERE id <> 902 GROUP BY 1, 2 ORDER BY 1",
                    [("acme 🔩 ", "0731 1", 1), ("bolt", "0800 1", 1), ("nut", None, 1)]),
            "crm": ("SELECT lower(name), phone_office, count(*) FROM accounts GROUP BY 1, 2 ORDER BY 1",
                    [("acme 🔩 ", "0731 1", 1), ("bolt", "0800 1", 1), ("nut", None, 1)]),
        },
        unseen=True,
    ),
    Round(  # an account with contacts comes back under a key of its own; in the ERP its customer goes with everything
        {"crm": ["UPDATE contacts SET account_id = NULL WHERE email = 'bob@bolt.example';"
                 " DELETE FROM accounts WHERE name = 'Bolt'"],
         "erp": ["DELETE FROM person WHERE last_name = 'Änn'; DELETE FROM party WHERE phone = '0731 1'"]},
        {
            "erp": (PERSONS, [("Bob@Bolt.example", "Bob", None)]),
            "crm": (CONTACTS, [("bob@bolt.example", "Bob", None)]),
        },
    ),
    Round({"erp": ["UPDATE party SET stage = 'A' WHERE id = 903"]},
          {"erp": ("SELECT lower(name) FROM party ORDER BY 1", [("nobody's customer",), ("nut",)]),
           "crm": ("SELECT lower(name), stage FROM accounts", [("nut", "Active")])}),
]  # fmt: skip
