"""The example whose ERP is read by Debezium."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_ERP = "SELECT customer_no, name, credit_limit::text, since::text FROM customer ORDER BY 1"
_CRM = "SELECT code, account_name, credit::text, customer_since::text FROM sales.account ORDER BY 1"
_ERP_ORDERS = "SELECT order_no, customer_no, (ordered_at AT TIME ZONE 'UTC')::text, total::text FROM sales_order"
_CRM_ORDERS = "SELECT number, account, (ordered_at AT TIME ZONE 'UTC')::text, amount::text FROM sales.purchase"
_ORDER = ("O1", "K1", "2026-02-01 10:00:00.5", "12.50")

BY_DEBEZIUM = [
    Round(
        {"erp": ["INSERT INTO customer VALUES ('K1', 'Ada', 100, '2026-01-31'), ('K2', '中😀', NULL, NULL)",
                 "INSERT INTO sales_order VALUES ('O1', 'K1', '2026-02-01 10:00:00.5+00', 12.50)"]},
        {"crm": (_CRM, [("K1", "Ada", "100.00", "2026-01-31"), ("K2", "中😀", None, None)])},
    ),
    Round(
        {"crm": ["UPDATE sales.account SET account_name = 'Ada L.', credit = 9999 WHERE code = 'K1'",
                 "INSERT INTO sales.account VALUES ('K3', 'Bob', NULL, '2026-02-02')"]},
        {"erp": (_ERP, [("K1", "Ada L.", "100.00", "2026-01-31"), ("K2", "中😀", None, None),
                        ("K3", "Bob", None, "2026-02-02")]),
         "crm": (_CRM_ORDERS, [_ORDER])},
    ),
    Round(
        {"erp": ["UPDATE customer SET customer_no = 'K9' WHERE customer_no = 'K2'",
                 "DELETE FROM customer WHERE customer_no = 'K3'"]},
        {"crm": (_CRM, [("K1", "Ada L.", "100.00", "2026-01-31"), ("K9", "中😀", None, None)]),
         "erp": (_ERP_ORDERS, [_ORDER])},
    ),
]  # fmt: skip
