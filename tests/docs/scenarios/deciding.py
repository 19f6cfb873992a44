"""The example in which who is right depends on the record, and fields are made of others."""

from __future__ import annotations

from tests.docs.scenarios.rounds import Round

DECIDED_BY_STATE = [
    Round(  # a phone that the ERP enters with a new customer is overruled: there is no invoice yet
        {
            "erp": ["INSERT INTO customer (customer_no, first_name, last_name, phone, credit_limit)"
                    " VALUES ('C1', 'Ada', 'Lovelace', '030/123-45', 20000)"],
            "crm": ["INSERT INTO contact (contact_no, full_name) VALUES ('C2', 'Ludwig van Beethoven')"],
        },
        {
            "erp": ("SELECT customer_no, first_name, last_name, phone, changed_at IS NULL FROM customer ORDER BY 1",
                    [("C1", "Ada", "Lovelace", None, False), ("C2", "Ludwig van", "Beethoven", None, False)]),
            "crm": ("SELECT contact_no, full_name, class, phone FROM contact ORDER BY 1",
                    [("C1", "Ada Lovelace", "A", None), ("C2", "Ludwig van Beethoven", "B", None)]),
        },
    ),
    Round(
        {
            "crm": ["UPDATE contact SET phone = '030 12345' WHERE contact_no = 'C1'",
                    "UPDATE contact SET phone = '0800 1' WHERE contact_no = 'C2'"],
            "erp": ["UPDATE customer SET email = 'erp@x.example' WHERE customer_no = 'C1'"],
        },
        {
            "erp": ("SELECT phone, email FROM customer ORDER BY customer_no", [("030 12345", None), ("0800 1", None)]),
            "crm": ("SELECT phone, email FROM contact ORDER BY contact_no", [("030 12345", None), ("0800 1", None)]),
        },
    ),
    Round({"erp": ["UPDATE customer SET invoices = 1, credit_limit = 5000 WHERE customer_no = 'C1'"]},
          {"crm": ("SELECT invoices, class FROM contact ORDER BY contact_no", [(1, "B"), (0, "B")])}),
    Round(  # from the first invoice on it is the ERP's; another spelling is no other number; the mail is everybody's
        {
            "erp": ["UPDATE customer SET phone = '030/123-45' WHERE customer_no = 'C1'"],
            "crm": ["UPDATE contact SET email = 'crm@x.example' WHERE contact_no = 'C1'",
                    "UPDATE contact SET full_name = 'Cher', city = 'Ulm' WHERE contact_no = 'C2'"],
        },
        {
            "erp": ("SELECT phone, email, first_name, last_name, city FROM customer ORDER BY customer_no",
                    [("030/123-45", "crm@x.example", "Ada", "Lovelace", None),
                     ("0800 1", None, None, "Cher", None)]),
            "crm": ("SELECT phone, full_name, city FROM contact ORDER BY contact_no",
                    [("030 12345", "Ada Lovelace", None), ("0800 1", "Cher", None)]),
        },
    ),
    Round(
        {"crm": ["UPDATE contact SET city = 'Ulm', country = 'DE' WHERE contact_no = 'C2'"],
         "erp": ["UPDATE customer SET phone = '111', credit_limit = 10000 WHERE customer_no = 'C1'"]},
        {"erp": ("SELECT city, country FROM customer ORDER BY customer_no", [(None, None), ("Ulm", "DE")]),
         "crm": ("SELECT phone, class FROM contact ORDER BY contact_no", [("111", "A"), ("0800 1", "B")])},
    ),
    Round({"crm": ["UPDATE contact SET phone = '222' WHERE contact_no = 'C1'"]},
          {"crm": ("SELECT phone FROM contact WHERE contact_no = 'C1'", [("111",)])}),
]  # fmt: skip
