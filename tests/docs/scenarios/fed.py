"""The example whose agreed changes are told in Kafka. What is told is tried in `tests/engine_live/test_feed.py`."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_ERP = "SELECT customer_no, name, credit_limit::text FROM customer ORDER BY 1"
_CRM = "SELECT code, account_name, credit::text FROM sales.account ORDER BY 1"

FED = [
    Round(
        {"erp": ["INSERT INTO customer VALUES ('K1', 'Ada', 100)",
                 "INSERT INTO sales_order VALUES ('O1', 'K1', '2026-02-01 10:00+00', 12.50)"]},
        {"crm": (_CRM, [("K1", "Ada", "100.00")])},
    ),
    Round(
        {"crm": ["UPDATE sales.account SET account_name = 'Ada L.', credit = 9999"]},
        {"erp": (_ERP, [("K1", "Ada L.", "100.00")]), "crm": (_CRM, [("K1", "Ada L.", "100.00")])},
        asked={"status": "feed: running", "journal": "owner"},
    ),
]  # fmt: skip
