"""The example in which one thing is spelled in several ways, and each side keeps its own."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

_ERP = (
    "SELECT ust_id, telefon, name, mail, fax, land, werbung, merkmale, besucht_am::text, aktiv FROM kunde"
    " ORDER BY id"
)
_CRM = (
    "SELECT vat_number, phone, name, email, fax, country, newsletter, interests,"
    " (last_visit AT TIME ZONE 'UTC')::text FROM company ORDER BY name"
)

SPELLINGS = [
    Round(  # both know the first already, under different spellings: one record, nothing to write
        {
            "erp": ["INSERT INTO kunde (ust_id, telefon, name, mail, land, werbung, merkmale, besucht_am) VALUES"
                    " ('DE 811 569 869', '030/123-45', 'Acme  GmbH', 'Info@Acme.example', 'D', 'J', 'Tee; Kaffee',"
                    " '2026-01-31 10:00')"],
            "crm": ["INSERT INTO company (vat_number, phone, name, email, country, newsletter, interests, last_visit)"
                    " VALUES ('de811569869', '(030) 12345', 'Acme GmbH', 'info@acme.example', 'DE', 'yes',"
                    " '{Tee,Kaffee}', '2026-01-31 09:00Z')"],
        },
        {
            "erp": (_ERP, [("DE 811 569 869", "030/123-45", "Acme  GmbH", "Info@Acme.example", "", "D", "J",
                            "Tee; Kaffee", "2026-01-31 10:00:00", "N")]),
            "crm": (_CRM, [("de811569869", "(030) 12345", "Acme GmbH", "info@acme.example", None, "DE", "yes",
                            ["Tee", "Kaffee"], "2026-01-31 09:00:00")]),
        },
        unseen=True,
    ),
    Round(  # a customer from the CRM, as the ERP spells one
        {"crm": ["INSERT INTO company (vat_number, phone, name, email, country, interests, last_visit) VALUES"
                 " ('ATU12345678', '+43 1 234', 'Bolt AG', 'x@bolt.example', 'AT', '{Bier}', '2026-07-01 10:00Z')"]},
        {"erp": (_ERP + " DESC LIMIT 1", [("ATU12345678", "+43 1 234", "Bolt AG", "x@bolt.example", "", "A", "N",
                                           "Bier", "2026-07-01 12:00:00", "J")])},
    ),
    Round(  # only other spellings, on both sides: nothing is carried over
        {
            "erp": ["UPDATE kunde SET telefon = '030 - 12345', land = 'DE', merkmale = 'Tee;Kaffee' WHERE land = 'D'"],
            "crm": ["UPDATE company SET vat_number = 'DE-811569869', name = 'Acme GmbH ' WHERE country = 'DE'"],
        },
        {
            "erp": ("SELECT ust_id, telefon, name, land, merkmale FROM kunde ORDER BY id LIMIT 1",
                    [("DE 811 569 869", "030 - 12345", "Acme  GmbH", "DE", "Tee;Kaffee")]),
            "crm": ("SELECT vat_number, phone, name FROM company WHERE country = 'DE'",
                    [("DE-811569869", "(030) 12345", "Acme GmbH ")]),
        },
    ),
    Round(  # other values, each as the other side spells it
        {"erp": ["UPDATE kunde SET telefon = '0171/99', mail = 'New@Acme.example', land = 'CH', werbung = 'N',"
                 " fax = '030/1' WHERE land = 'DE'"]},
        {"crm": ("SELECT phone, email, country, newsletter, fax FROM company WHERE name LIKE 'Acme%'",
                 [("0171/99", "new@acme.example", "CH", "no", "030/1")])},
    ),
    Round({"crm": ["UPDATE company SET fax = NULL WHERE country = 'CH'"]},
          {"erp": ("SELECT mail, fax FROM kunde WHERE land = 'CH'", [("New@Acme.example", "")])}),
]  # fmt: skip
