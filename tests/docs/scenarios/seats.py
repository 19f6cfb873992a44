"""The example in which both sides wait at COMMIT: a seat that both sell is one's in the end."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_OFFICE = "SELECT seat_no, price::text, guest, paid::text FROM seat ORDER BY 1"
_WEB = "SELECT seat_no, price::text, sold_to, paid_on::text FROM shop.seat ORDER BY 1"
_A1, _A2 = ("A1", "20.00", "Ada", "2026-02-01"), ("A2", "20.00", "Bob", None)

SEATS = [
    Round(
        {"office": ["INSERT INTO seat VALUES ('2026-03-01', 'A1', 20), ('2026-03-01', 'A2', 20)"]},
        {"web": (_WEB, [("A1", "20.00", None, None), ("A2", "20.00", None, None)])},
    ),
    Round(  # whoever looks into the office's database, once the shop has been told that it is done, sees it
        {"web": ["UPDATE shop.seat SET sold_to = 'Ada' WHERE seat_no = 'A1'",
                 "UPDATE shop.seat SET paid_on = '2026-02-01' WHERE seat_no = 'A1'"]},
        {"office": (_OFFICE, [_A1, ("A2", "20.00", None, None)])},
        at_once=True,
    ),
    Round(  # duolog is stopped, and has let everybody go: both sell A2, both are told so, and the first has it
        {"office": ["UPDATE seat SET guest = 'Bob' WHERE seat_no = 'A2'"],
         "web": ["UPDATE shop.seat SET sold_to = 'Cleo', paid_on = '2026-02-02' WHERE seat_no = 'A2'"]},
        {"office": (_OFFICE, [_A1, _A2]), "web": (_WEB, [_A1, _A2])},
        unseen=True,
        asked={"journal --values": "Cleo"},
    ),
    Round(  # the prices are the office's
        {"web": ["UPDATE shop.seat SET price = 1"],
         "office": ["UPDATE seat SET paid = '2026-02-03' WHERE guest = 'Bob'"]},
        {"office": (_OFFICE, [_A1, ("A2", "20.00", "Bob", "2026-02-03")]),
         "web": (_WEB, [_A1, ("A2", "20.00", "Bob", "2026-02-03")])},
    ),
]  # fmt: skip
