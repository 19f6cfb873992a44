"""The example in which nothing is stored alike."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

VALUES = [
    Round(
        {
            "erp": ["INSERT INTO product VALUES ('P1', 'AA', 'y', 1, 9.8765, 0.19, 30, ' Teapot ', 'ACME', 'tea, pot',"
                    " 'Teapot, brown', 100000, 12345.5, '4006381333931', '2026-01-31', '2026-02-01 08:00',"
                    " '2026-02-01 08:00', 'Tea POT', 'fine ', '{\"b\":1,\"a\":1.50}')"],
            "shop": ["INSERT INTO item (code, stage, on_sale, is_gift, percent, dozens, tags, gtin, seen, facts) VALUES"
                     " ('P2', 'active', false, true, 7, 1.5, '{a,\"b c\"}', 'ean:123', '2026-02-01 00:00Z', '[]')"],
        },
        {
            "erp": ("SELECT stage, sold, gift, rate::text, carton, tags, ean, seen::text, facts::text FROM product"
                    " WHERE sku = 'P2'",
                    [("A", "N", 1, "0.0700", 18, "a,b c", "123", "2026-02-01 08:00:00", "[]")]),
            "shop": ("SELECT stage, on_sale, is_gift, price::text, percent::text, dozens::text, title, brand, tags,"
                     " short, stock, width, gtin, day_text, (seen AT TIME ZONE 'UTC')::text,"
                     " (opened AT TIME ZONE 'UTC')::text, search, facts::text FROM item WHERE code = 'P1'",
                     [("active", True, True, "9.88", "19.00", "2.500", "Teapot", "ACME", ["tea", "pot"], "Teapot, ",
                       32767, None, "ean:4006381333931", "2026-01-31", "2026-02-01 00:00:00", "2026-02-01 08:00:00",
                       "tea pot", '{"a": 1.50, "b": 1}')]),
        },
    ),
    Round(  # what means the same stays as it is spelled; what is written in one way only is put right
        {"shop": ["UPDATE item SET stage = 'active', brand = 'Acme', search = 'mine' WHERE code = 'P1'"]},
        {
            "erp": ("SELECT stage, brand, words FROM product WHERE sku = 'P1'", [("AA", "ACME", "Tea POT")]),
            "shop": ("SELECT brand, search FROM item WHERE code = 'P1'", [("Acme", "tea pot")]),
        },
    ),
    Round(
        {"shop": ["UPDATE item SET stage = 'old', on_sale = false, price = 12, tags = '{}' WHERE code = 'P1'"]},
        {"erp": ("SELECT stage, sold, price::text, tags FROM product WHERE sku = 'P1'", [("O", "N", "12.0000", "")])},
    ),
]  # fmt: skip
