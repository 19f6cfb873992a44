"""The example between an ERP on PostgreSQL and a shop in one file of SQLite: prices, stock, customers, orders."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

ARTICLES = "SELECT sku, name, net_price::text, stock, active FROM article ORDER BY sku"
PRODUCTS = "SELECT sku, title, cents, stock, active FROM product ORDER BY sku"
PARTNERS = "SELECT email, name, city FROM partner ORDER BY lower(email)"
CUSTOMERS = (
    "SELECT email, name, town, created > strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour') FROM customer"
    " ORDER BY lower(email)"
)
ORDERS = (
    "SELECT order_no, email, total::text, to_char(sold_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'), state"
    " FROM sales_order JOIN partner ON partner.id = partner ORDER BY order_no"
)
SALES = "SELECT number, email, state FROM sale JOIN customer ON customer.id = customer ORDER BY number"

SHOP_ON_SQLITE = [
    Round(
        {
            "erp": ["INSERT INTO article VALUES ('A1', 'Bolt', 19.90, 10, true), ('A2', 'Nüt 🔩', 0.05, 0, false)",
                    "INSERT INTO partner (id, email, name, city) VALUES (700, 'Ann@Acme.example', 'Ann', 'Ulm')"],
            "shop": ["INSERT INTO customer (email, name, created) VALUES ('bob@bolt.example', 'Bob',"
                     " '2026-01-31 09:00:00');"
                     "INSERT INTO sale VALUES ('S1', last_insert_rowid(), 3980, '2026-01-31 09:00:00.125', 'open')"],
        },
        {
            "shop": (PRODUCTS, [("A1", "Bolt", 1990, 10, 1), ("A2", "Nüt 🔩", 5, 0, 0)]),
            "erp": (ORDERS, [("S1", "bob@bolt.example", "39.80", "2026-01-31 09:00:00.125", "o")]),
        },
    ),
    Round(  # a sale counts down what the ERP counts up; the shop's own price is put right again
        {"shop": ["UPDATE product SET stock = stock - 3 WHERE sku = 'A1'",
                  "UPDATE product SET cents = 1 WHERE sku = 'A2'"],
         "erp": ["UPDATE article SET stock = stock + 100, net_price = 20.00 WHERE sku = 'A1'",
                 "UPDATE sales_order SET state = 'd'"]},
        {
            "erp": (ARTICLES, [("A1", "Bolt", "20.00", 107, True), ("A2", "Nüt 🔩", "0.05", 0, False)]),
            "shop": (PRODUCTS, [("A1", "Bolt", 2000, 107, 1), ("A2", "Nüt 🔩", 5, 0, 0)]),
        },
    ),
    Round(  # what users did while nobody carried anything over was noted by the triggers all the same
        {"shop": ["UPDATE customer SET town = 'Linz' WHERE email = 'bob@bolt.example'",
                  "INSERT INTO customer (email, name, created)"
                  " VALUES ('eve@nut.example', 'Eve', '2026-02-01 10:00:00')"],
         "erp": ["UPDATE partner SET name = 'Anna' WHERE name = 'Ann'"]},
        {
            "erp": (PARTNERS, [("Ann@Acme.example", "Anna", "Ulm"), ("bob@bolt.example", "Bob", "Linz"),
                               ("eve@nut.example", "Eve", None)]),
            "shop": (CUSTOMERS, [("Ann@Acme.example", "Anna", "Ulm", 1), ("bob@bolt.example", "Bob", "Linz", 0),
                                 ("eve@nut.example", "Eve", None, 0)]),
        },
        unseen=True,
    ),
    Round(
        {"shop": ["BEGIN; DELETE FROM sale WHERE number = 'S1'; DELETE FROM customer WHERE name = 'Bob'; COMMIT"]},
        {
            "erp": (PARTNERS, [("Ann@Acme.example", "Anna", "Ulm"), ("eve@nut.example", "Eve", None)]),
            "shop": (SALES, []),
        },
    ),
]  # fmt: skip
