"""The example between two databases that duolog reaches by their ODBC drivers; users have drivers of their own."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

CUSTOMERS = (
    "SELECT customer_no, name, credit_limit::text, to_char(visited_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),"
    " token::text FROM customer ORDER BY 1"
)
ACCOUNTS = "SELECT code, name, CAST(credit AS char), CAST(last_visit AS char), token FROM account ORDER BY 1"
PERSONS = "SELECT email, full_name, customer_no FROM person ORDER BY email"
CONTACTS = "SELECT email, name, account, entered > utc_timestamp() - INTERVAL 1 HOUR FROM contact ORDER BY email"
TOKEN = "00112233-4455-6677-8899-aabbccddeeff"
LONG = "Ünï 🔩 " * 11
"""Nearly 80 characters, of all lengths in bytes."""
ACME = f"('C1', '{LONG}', 123456789012.34, '2026-01-31 10:00:00.123456+01', '{TOKEN}')"

ERP_BY_ODBC = [
    Round(
        {
            "erp": [f"INSERT INTO customer VALUES {ACME}",  # noqa: S608 - our own words
                    "INSERT INTO person (email, full_name, customer_no) VALUES ('Ann@Acme.example', 'Ann', 'C1')"],
            "crm": ["INSERT INTO account (code, name, last_visit) VALUES ('C2', 'Bolt', '2026-07-01 08:00:00.5');"
                    " INSERT INTO contact (email, name, account, entered)"
                    " VALUES ('bob@bolt.example', 'Bob', 'C2', '2026-01-31 09:00:00')"],
        },
        {
            "crm": (ACCOUNTS, [("C1", LONG, "123456789012.34", "2026-01-31 09:00:00.123456", TOKEN),
                               ("C2", "Bolt", None, "2026-07-01 08:00:00.500000", None)]),
            "erp": (PERSONS, [("Ann@Acme.example", "Ann", "C1"), ("bob@bolt.example", "Bob", "C2")]),
        },
    ),
    Round(  # one transaction of the ERP, one of the CRM, while nobody carried anything over
        {"erp": ["UPDATE customer SET credit_limit = 5, visited_at = NULL WHERE customer_no = 'C2';"
                 "UPDATE person SET full_name = 'Bobby' WHERE full_name = 'Bob'"],
         "crm": ["UPDATE account SET name = 'Acme', credit = 1 WHERE code = 'C1'",
                 "DELETE FROM contact WHERE name = 'Ann'"]},
        {
            "erp": (CUSTOMERS, [("C1", "Acme", "123456789012.34", "2026-01-31 09:00:00.123456", TOKEN),
                                ("C2", "Bolt", "5.00", None, None)]),
            "crm": (CONTACTS, [("bob@bolt.example", "Bobby", "C2", 0)]),
        },
        unseen=True,
    ),
    Round(  # a row that was made by statement after statement, and one that was rolled back
        {"erp": ["INSERT INTO person (email, full_name) VALUES ('eve@nut.example', 'Eve')",
                 "BEGIN; DELETE FROM person; ROLLBACK"]},
        {"crm": (CONTACTS, [("bob@bolt.example", "Bobby", "C2", 0), ("eve@nut.example", "Eve", None, 1)])},
    ),
]  # fmt: skip
