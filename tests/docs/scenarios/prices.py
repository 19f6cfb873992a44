"""The example in which prices lose digits on their way, and come to rest all the same."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_ERP = "SELECT net_price::text, vat_rate::text, discount::text, cost::text, weight::text FROM article WHERE sku = 'A1'"
_SHOP = "SELECT price::text, vat_percent::text, gross::text, rebate::text, weight_text FROM product WHERE sku = 'A1'"
_TILL = "SELECT cents, cost::text FROM plu WHERE code = 'A1'"

PRICES = [
    Round(
        {"erp": ["INSERT INTO article VALUES ('A1', 1.2345, 0.19, 0.05, 0.123456, 1.25)"]},
        {"shop": (_SHOP, [("1.23", "19.00", "1.47", "5.0", "1,250 kg")]), "till": (_TILL, [(123, "0.12")])},
    ),
    Round(  # another field of the same row is written in the shop: the ERP keeps its digits
        {"shop": ["UPDATE product SET weight_text = '2,5 kg'"], "till": ["UPDATE plu SET cost = 9"]},
        {
            "erp": (_ERP, [("1.2345", "0.1900", "0.05000", "0.123456", "2.500")]),
            "shop": (_SHOP, [("1.23", "19.00", "1.47", "5.0", "2,5 kg")]),
            "till": (_TILL, [(123, "0.12")]),
        },
    ),
    Round(  # a change below what the shop can show moves nothing there; more rebate than it can hold is the most it can
        {"erp": ["UPDATE article SET net_price = 1.2349, discount = 1"]},
        {"shop": (_SHOP, [("1.23", "19.00", "1.47", "99.9", "2,5 kg")]), "till": (_TILL, [(123, "0.12")])},
    ),
    Round(
        {"till": ["UPDATE plu SET cents = 199"]},
        {
            "erp": (_ERP, [("1.9900", "0.1900", "1.00000", "0.123456", "2.500")]),
            "shop": (_SHOP, [("1.99", "19.00", "2.37", "99.9", "2,5 kg")]),
        },
    ),
    Round(  # three prices at once, none of which had seen another: the last one counts
        {"shop": ["UPDATE product SET price = 2.10"], "erp": ["UPDATE article SET net_price = 2.2222"],
         "till": ["UPDATE plu SET cents = 233"]},
        {
            "erp": (_ERP, [("2.3300", "0.1900", "1.00000", "0.123456", "2.500")]),
            "shop": (_SHOP, [("2.33", "19.00", "2.77", "99.9", "2,5 kg")]),
            "till": (_TILL, [(233, "0.12")]),
        },
        unseen=True,
    ),
]  # fmt: skip
