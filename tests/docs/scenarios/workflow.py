"""Examples in which one system takes up what another began, or owns what all have."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_ORDERS = (
    "SELECT number, your_reference, code, delivery, position, sku, quantity::text, unit_price::text"
    " FROM sales_order AS o JOIN order_state AS s ON s.id = state JOIN sales_order_line AS l ON sales_order = o.id"
    " JOIN product AS p ON p.id = l.product ORDER BY position"
)

ORDERS = [
    Round(
        {"erp": ["INSERT INTO product (sku, name) VALUES ('S1', 'Bolt'), ('S2', 'Nut')"]},
        {"crm": ("SELECT sku, label FROM product ORDER BY 1", [("S1", "Bolt"), ("S2", "Nut")])},
    ),
    Round(
        {
            "crm": [
                "WITH a AS (INSERT INTO account (name, email) VALUES ('Acme', 'a@acme.example') RETURNING id),"
                " o AS (INSERT INTO opportunity (number, account_id, title) SELECT 'OPP-1', id, 'Roof' FROM a"
                " RETURNING id)"
                " INSERT INTO opportunity_line (opportunity_id, position, product_id, quantity, unit_price)"
                " SELECT o.id, p.place, p.id, 2, 0.45 FROM o,"
                " (SELECT id, row_number() OVER (ORDER BY sku) AS place FROM product) AS p",
            ],
        },
        {"erp": ("SELECT name, (SELECT count(*) FROM sales_order) FROM customer", [("Acme", 0)])},
    ),
    Round(
        {"crm": ["UPDATE opportunity SET stage = 'won', probability = 100"]},
        {
            "erp": (_ORDERS, [(260001, "OPP-1", "draft", "N", 1, "S1", "2.000", "0.4500"),
                              (260001, "OPP-1", "draft", "N", 2, "S2", "2.000", "0.4500")]),
            "crm": ("SELECT order_no, order_status, delivery_status FROM opportunity", [(260001, "Entered", "none")]),
        },
    ),
    Round(
        {
            "erp": ["UPDATE sales_order SET state = 3, delivery = 'P'",
                    "UPDATE sales_order_line SET unit_price = 0.4321 WHERE position = 2",
                    "INSERT INTO sales_order (customer, ordered) SELECT id, current_date FROM customer"],
            "crm": ["UPDATE opportunity SET title = 'Roof, north'",
                    "DELETE FROM opportunity_line WHERE position = 1"],
        },
        {
            "erp": (_ORDERS, [(260001, "OPP-1", "working", "P", 2, "S2", "2.000", "0.4321")]),
            "crm": ("SELECT title, order_status, delivery_status, position, unit_price::text FROM opportunity"
                    " JOIN opportunity_line AS l ON l.opportunity_id = opportunity.id",
                    [("Roof, north", "In work", "part", 2, "0.43")]),
        },
    ),
    Round(
        {"crm": ["UPDATE opportunity SET order_status = 'On hold'"],
         "erp": ["UPDATE sales_order SET invoiced_on = '2026-06-01', delivery = 'F' WHERE number = 260001"]},
        {
            "crm": ("SELECT order_status, delivery_status, invoiced_on::text FROM opportunity",
                    [("In work", "complete", "2026-06-01")]),
        },
    ),
]  # fmt: skip

_USERS = (
    "SELECT u.email, m.email, u.status, u.token IS NOT NULL FROM users AS u"
    " LEFT JOIN users AS m ON m.id = u.reports_to"
)

OWNED_BY_THE_ERP = [
    Round(
        {
            "erp": [
                "INSERT INTO employee (email, name) VALUES ('bo@x.example', 'Bo');"
                "INSERT INTO employee (email, name, manager) VALUES ('ann@x.example', 'Ann', 1)",
                "INSERT INTO product (sku, name, list_price)"
                " VALUES ('S1', 'Bolt', 1), ('S2', 'Nut', 2), ('SET', 'Set', 3);"
                "INSERT INTO set_item (product_set, product, quantity) VALUES (3, 1, 4), (3, 2, 8)",
            ],
        },
        {
            "crm": (
                "SELECT u.email, m.email, u.status, b.label, i.sku, pieces FROM users AS u"
                " JOIN users AS m ON m.id = u.reports_to, bundle_item"
                " JOIN product AS b ON b.id = bundle JOIN product AS i ON i.id = item"
                " ORDER BY i.sku",
                [("ann@x.example", "bo@x.example", "Active", "Set", "S1", 4),
                 ("ann@x.example", "bo@x.example", "Active", "Set", "S2", 8)],
            ),
        },
    ),
    Round(
        {
            "erp": ["UPDATE employee SET active = false WHERE name = 'Ann'",
                    "UPDATE product SET active = false WHERE sku = 'S1'",
                    "DELETE FROM set_item WHERE product = 2; UPDATE product SET active = false WHERE sku = 'S2'"],
            "crm": ["DELETE FROM bundle_item", "UPDATE product SET price = 99 WHERE sku = 'SET'"],
        },
        {
            "erp": ("SELECT sku, active FROM product ORDER BY 1", [("S1", True), ("S2", False), ("SET", True)]),
            "crm": (
                "SELECT sku, price::text, (SELECT count(*) FROM bundle_item WHERE item = product.id),"
                " (SELECT status FROM users WHERE full_name = 'Ann') FROM product ORDER BY 1",
                [("S1", "1.00", 1, "Inactive"), ("SET", "3.00", 0, "Inactive")],
            ),
        },
    ),
    Round(
        {
            "erp": ["UPDATE employee SET active = true, name = 'Ann B' WHERE email = 'ann@x.example'",
                    "UPDATE product SET active = true WHERE sku = 'S2'"],
            "crm": ["UPDATE users SET status = 'Inactive' WHERE full_name = 'Bo'"],
        },
        {
            "erp": ("SELECT name, active FROM employee ORDER BY 1", [("Ann B", True), ("Bo", True)]),
            "crm": (f"{_USERS} ORDER BY 1", [("ann@x.example", "bo@x.example", "Active", True),
                                             ("bo@x.example", None, "Active", True)]),
        },
    ),
]  # fmt: skip
