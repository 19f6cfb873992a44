"""Examples whose records have one key in all systems, and the one with three systems."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

ONE_TABLE = [
    Round(
        {"erp": ["INSERT INTO product VALUES ('S1', 'Bolt', 1.50, 'PCE'), ('S2', 'Nut', 0.50, 'PCE')"]},
        {"shop": ("SELECT code, title FROM catalog.item ORDER BY 1", [("S1", "Bolt"), ("S2", "Nut")])},
    ),
    Round(
        {"shop": ["UPDATE catalog.item SET title = 'Bolt!', stars = 5 WHERE code = 'S1'"]},
        {"shop": ("SELECT title, stars FROM catalog.item WHERE code = 'S1'", [("Bolt", 5)])},
    ),
]

OWNERS_AND_CONFLICTS = [
    Round(
        {
            "erp": [
                "INSERT INTO customer (customer_no, name, stage) VALUES ('C1', 'Ada', 'A')",
                "INSERT INTO sales_order VALUES ('O1', 'C1', 99.50, NULL)",
            ],
            "crm": ["INSERT INTO sales.account (account_no, account_name) VALUES ('C2', 'Bob')"],
        },
        {
            "erp": ("SELECT customer_no, stage FROM customer ORDER BY 1", [("C1", "A"), ("C2", "P")]),
            "crm": (
                "SELECT reference, total::text, stage FROM sales.deal JOIN sales.account USING (account_no)",
                [("O1", "99.50", "active")],
            ),
        },
    ),
]

REFERENCES = [
    Round(
        {
            "erp": [
                "INSERT INTO category VALUES ('FIX', 'Fixings', NULL), ('BOLT', 'Bolts', 'FIX');"
                "INSERT INTO article VALUES ('S1', 'Bolt M8', 'BOLT');"
                "INSERT INTO list_price VALUES ('S1', 1, 0.50), ('S1', 100, 0.40)",
            ],
        },
        {
            "shop": (
                "SELECT a.title, c.title, p.title, pieces FROM article_price JOIN article AS a ON article_no = article"
                " JOIN category AS c ON code = category JOIN category AS p ON p.code = c.parent_code ORDER BY pieces",
                [("Bolt M8", "Bolts", "Fixings", 1), ("Bolt M8", "Bolts", "Fixings", 100)],
            ),
        },
    ),
    Round(
        {
            "shop": [
                "INSERT INTO category VALUES ('NEW', 'New in', 'FIX');"
                "UPDATE article SET title = 'Bolt M8 galvanised', category = 'NEW' WHERE article_no = 'S1';"
                "INSERT INTO article VALUES ('X1', 'the shop only', 'NEW')",
            ],
        },
        {
            "erp": (
                "SELECT sku, article.name, category.name FROM article JOIN category ON code = category",
                [("S1", "Bolt M8 galvanised", "New in")],
            ),
        },
    ),
    Round(
        {"erp": ["DELETE FROM article WHERE sku = 'S1'; DELETE FROM category WHERE code = 'BOLT'"]},
        {
            "shop": (
                "SELECT (SELECT count(*) FROM article_price), (SELECT string_agg(article_no, ',') FROM article),"
                " (SELECT string_agg(code, ',' ORDER BY code) FROM category)",
                [(0, "X1", "FIX,NEW")],
            ),
        },
    ),
]

THREE_SYSTEMS = [
    Round(
        {
            "erp": [
                "INSERT INTO item VALUES ('P1', 4711, 'Bracket', 3, 7.50, NULL, NULL)",
                "INSERT INTO production_order (order_no, quantity, due_date) VALUES ('J1', 50, '2026-05-01')",
            ],
            "crm": [
                "INSERT INTO article VALUES ('P1', 1, 'the CRM only', 1)",
                "INSERT INTO promise (job_no, pieces) VALUES ('J9', 1)",
            ],
            "mes": ["INSERT INTO part VALUES ('P1', 4712, 'Frame', 9, 200, 300)"],
        },
        {
            "erp": ("SELECT item_no, width_mm FROM item ORDER BY 1", [(4711, None), (4712, 200)]),
            "crm": ("SELECT article_no, title FROM article ORDER BY 1", [
                (1, "the CRM only"), (4711, "Bracket"), (4712, "Frame"),
            ]),
            "mes": ("SELECT part_no, lead_time FROM part ORDER BY 1", [(4711, 3), (4712, 9)]),
        },
    ),
    Round(
        {
            "mes": ["UPDATE job SET state = 'running', good_parts = 12"],
            "crm": ["UPDATE promise SET promised_on = '2026-05-09' WHERE job_no = 'J1'"],
        },
        {
            "erp": ("SELECT order_no, state, reported, due_date::text FROM production_order",
                    [("J1", "R", 12, "2026-05-09")]),
            "mes": ("SELECT job_no, pieces, due::text FROM job", [("J1", 50, "2026-05-09")]),
        },
    ),
    Round(
        {"mes": ["DELETE FROM job"], "crm": ["DELETE FROM promise WHERE job_no = 'J1'"]},
        {
            "mes": ("SELECT job_no, state, good_parts FROM job", [("J1", "running", 12)]),
            "crm": ("SELECT job_no FROM promise", [("J9",)]),
        },
    ),
]  # fmt: skip
