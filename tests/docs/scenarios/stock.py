"""The example in which two sides sell from one stock."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_WAREHOUSE = "SELECT sku, on_hand::text, reserved::text FROM stock ORDER BY 1"
_SHOP = "SELECT sku, quantity, reserved, free FROM inventory ORDER BY 1"

STOCK = [
    Round(
        {"warehouse": ["INSERT INTO stock (sku, on_hand, reserved) VALUES ('S1', 10, 1), ('S2', 1, 0)"]},
        {"shop": (_SHOP, [("S1", 10, 1, 9), ("S2", 1, 0, 1)])},
    ),
    Round(  # six are sold here, four there, in several transactions, and nobody had seen the other's
        {
            "warehouse": ["UPDATE stock SET on_hand = on_hand - 4 WHERE sku = 'S1'",
                          "UPDATE stock SET on_hand = on_hand - 2, bin = 'K7' WHERE sku = 'S1'"],
            "shop": ["UPDATE inventory SET quantity = quantity - 1 WHERE sku = 'S1'",
                     "UPDATE inventory SET quantity = quantity - 3 WHERE sku = 'S1'"],
        },
        {"warehouse": (_WAREHOUSE, [("S1", "0.000", "1.000"), ("S2", "1.000", "0.000")]),
         "shop": (_SHOP, [("S1", 0, 1, -1), ("S2", 1, 0, 1)])},
        unseen=True,
    ),
    Round(  # the same last one is sold twice: there is no sum that can be, so a person decides
        {"warehouse": ["UPDATE stock SET on_hand = 0 WHERE sku = 'S2'"],
         "shop": ["UPDATE inventory SET quantity = 0 WHERE sku = 'S2'"]},
        {"warehouse": (_WAREHOUSE, [("S1", "0.000", "1.000"), ("S2", "0.000", "0.000")]),
         "shop": (_SHOP, [("S1", 0, 1, -1), ("S2", 0, 0, 0)])},
        unseen=True,
        asked={"held": "nothing below zero", "resolve stock S2 on_hand --take warehouse": "1 resolved"},
    ),
    Round(  # a delivery, while the shop takes one back
        {"warehouse": ["UPDATE stock SET on_hand = on_hand + 50, reserved = 0"],
         "shop": ["UPDATE inventory SET quantity = quantity + 1 WHERE sku = 'S1'"]},
        {"warehouse": (_WAREHOUSE, [("S1", "51.000", "0.000"), ("S2", "50.000", "0.000")]),
         "shop": (_SHOP, [("S1", 51, 0, 51), ("S2", 50, 0, 50)])},
        unseen=True,
    ),
    Round(  # what the shop reserves does not count
        {"shop": ["UPDATE inventory SET reserved = 7, free = 7 WHERE sku = 'S2'"]},
        {"shop": (_SHOP, [("S1", 51, 0, 51), ("S2", 50, 0, 50)])},
    ),
]  # fmt: skip
