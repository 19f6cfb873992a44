"""The example in which a person decides: what waits, what flows meanwhile, and what each decision does."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_ERP = "SELECT contract_no, title, payment_days, cash_discount::text, valid_to::text FROM contract ORDER BY 1"
_CRM = "SELECT reference, subject, payment_days, discount::text, end_date::text FROM agreement ORDER BY 1"
_K1, _K2 = ("K1", "Roof", 30, "0.00", "2026-12-31"), ("K2", "Wall", 30, "0.00", "2026-12-31")

HELD = [
    Round(
        {"erp": ["INSERT INTO contract VALUES ('K1', 'Roof', 30, 0, '2026-01-01', '2026-12-31'),"
                 " ('K2', 'Wall', 30, 0, '2026-01-01', '2026-12-31')"]},
        {"crm": (_CRM, [_K1, _K2])},
    ),
    Round(  # both negotiate: each keeps its own terms, days and discount together; the title is carried over
        {"erp": ["UPDATE contract SET payment_days = 14, cash_discount = 2 WHERE contract_no = 'K1'"],
         "crm": ["UPDATE agreement SET payment_days = 60, subject = 'Roof, north' WHERE reference = 'K1'"]},
        {"erp": (_ERP, [("K1", "Roof, north", 14, "2.00", "2026-12-31"), _K2]),
         "crm": (_CRM, [("K1", "Roof, north", 60, "0.00", "2026-12-31"), _K2])},
        unseen=True,
        asked={"held": "days"},
    ),
    Round(  # the last word is the CRM's
        {},
        {"erp": (_ERP, [("K1", "Roof, north", 60, "0.00", "2026-12-31"), _K2])},
        asked={"resolve contract K1 days --take crm": "1 resolved", "held": "nothing", "journal --values": "resolved"},
    ),
    Round(  # deleted in the CRM: the ERP has it as long as nobody has answered
        {"crm": ["DELETE FROM agreement WHERE reference = 'K2'"]},
        {"erp": ("SELECT count(*) FROM contract", [(2,)]), "crm": ("SELECT count(*) FROM agreement", [(1,)])},
    ),
    Round(
        {},
        {"crm": ("SELECT subject, payment_days FROM agreement WHERE reference = 'K2'", [("Wall", 30)])},
        asked={"held": "K2", "resolve contract K2 --take erp": "1 resolved"},
    ),
    Round(  # it would end before it starts: not carried over, until it is put in order
        {"crm": ["UPDATE agreement SET end_date = '2025-12-31' WHERE reference = 'K2'"]},
        {"erp": ("SELECT valid_to::text FROM contract WHERE contract_no = 'K2'", [("2026-12-31",)])},
        asked={"held": "it ends after it starts"},
    ),
    Round(
        {"crm": ["UPDATE agreement SET end_date = '2027-12-31' WHERE reference = 'K2'"]},
        {"erp": ("SELECT valid_to::text FROM contract WHERE contract_no = 'K2'", [("2027-12-31",)])},
        asked={"held": "nothing"},
    ),
]  # fmt: skip
