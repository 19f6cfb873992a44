"""In what the CRM's table differs from the ERP's, variant by variant: the rules' words, and both tables' columns.

A field that a variant does not name is stored alike, as in the plain workload. Never more than what the backlog of
items changes: updates touch price, quantity and date, or email and phone, or the address, or name and `active`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Columns = Mapping[str, tuple[str, str]]
"""By column: its type, and what stands in it, as SQL over the plain table's row"""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which the two systems store the same items."""

    fields: Mapping[str, str]
    """By field: what the rule file says of it."""
    erp: Columns = field(default_factory=dict)
    crm: Columns = field(default_factory=dict)
    """A column that the plain table lacks is added."""
    shown: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By column: what must be the same in the end, as SQL over the ERP's row and over the CRM's."""


PART: Final = "CASE city WHEN '上海市' THEN 'asia' ELSE 'europe' END"
PLACES: Final = "Nürnberg: europe, Łódź: europe, Orléans: europe, 上海市: asia"
ZONE: Final = "Asia/Shanghai"
LOCAL: Final = f"changed_on::timestamp AT TIME ZONE '{ZONE}'"
LABEL: Final = "code || ': ' || name"
DIGITS: Final = "regexp_replace(phone, '[^0-9]', '', 'g')"
ROUND: Final = "crm: {column: price, round: 1}"
CASE: Final = "crm: {column: email, case: upper, lossy: true}"
CHECK: Final = 'check: "price >= 0 and price < 1000000"'
OWNER: Final = 'owner: {crm: "quantity > 1000000"}'

PLAIN: Final = Variant({})

MAPS: Final = Variant(
    {
        "city": f"{{erp: {{column: city, map: {{{PLACES}}}}}, crm: city}}",
        "active": "{erp: active, crm: {column: active, map: {Y: true, y: true, N: false, n: false}}}",
    },
    crm={
        "city": ("varchar(60)", PART),
        "active": ("varchar(1)", "CASE WHEN NOT active THEN 'N' WHEN id % 2 = 0 THEN 'Y' ELSE 'y' END"),
    },
    shown={"city": (PART, "city"), "active": ("active", "upper(active) = 'Y'")},
)
"""Two maps, many to one: one is the ERP's, one the CRM's."""

CONVERSIONS: Final = Variant(
    {
        "name": "{erp: name, crm: {column: name, trim: true}}",
        "street": '{erp: {column: street, list: " "}, crm: street}',
        "email": f"{{erp: email, {CASE}}}",
        "price": f"{{erp: price, {ROUND}}}",
        "quantity": "{erp: quantity, crm: {column: quantity, scale: 100}}",
        "changed_on": f"{{erp: {{column: changed_on, time_zone: {ZONE}}}, crm: changed_on}}",
    },
    erp={"changed_on": ("timestamp", "changed_on::timestamp")},
    crm={
        "street": ("text[]", "string_to_array(street, ' ')"),
        "email": ("varchar(80)", "upper(email)"),
        "price": ("numeric(12,1)", "round(price, 1)"),
        "quantity": ("numeric(12,2)", "quantity / 100.0"),
        "changed_on": ("timestamptz", LOCAL),
    },
    shown={
        "street": ("string_to_array(street, ' ')", "street"),
        "email": ("upper(email)", "email"),
        "price": ("round(price, 1)", "price"),
        "quantity": ("quantity", "(quantity * 100)::integer"),
        "changed_on": (LOCAL, "changed_on"),
    },
)
"""One of each: `trim`, `list`, `case`, `round`, `scale`, `time_zone`."""

SAME: Final = Variant(
    {"phone": "{erp: phone, crm: phone, same: digits}"},
    crm={"phone": ("varchar(40)", "replace(replace(phone, '+', '00 '), ' ', '-')")},
    shown={"phone": (f"ltrim({DIGITS}, '0')", f"ltrim({DIGITS}, '0')")},
)
"""`same: digits`: each system has its own spelling."""

EXPRESSIONS: Final = Variant(
    {
        "label": f'{{crm: label, derive: "{LABEL}"}}',
        "price": f"{{erp: price, crm: price, {CHECK}}}",
        "email": f"{{erp: email, crm: email, {OWNER}}}",
    },
    crm={"label": ("text", LABEL)},
    shown={"label": (LABEL, "label")},
)
"""A derived field, a check, an owner as long as something holds."""

ALL: Final = Variant(
    {
        **MAPS.fields,
        **CONVERSIONS.fields,
        **SAME.fields,
        **EXPRESSIONS.fields,
        "price": f"{{erp: price, {ROUND}, {CHECK}}}",
        "email": f"{{erp: email, {CASE}, {OWNER}}}",
    },
    erp=CONVERSIONS.erp,
    crm={**MAPS.crm, **CONVERSIONS.crm, **SAME.crm, **EXPRESSIONS.crm},
    shown={**MAPS.shown, **CONVERSIONS.shown, **SAME.shown, **EXPRESSIONS.shown},
)
"""Everything of the others at once: twelve of the fourteen fields."""

VARIANTS: Final[Mapping[str, Variant]] = {
    "values_plain": PLAIN,
    "values_maps": MAPS,
    "values_conversions": CONVERSIONS,
    "values_same": SAME,
    "values_expressions": EXPRESSIONS,
    "values_all": ALL,
}
"""By measure. The plain one is what the others are compared with: as many rows, in the same run."""
