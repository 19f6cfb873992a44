"""Turns two names out of two databases into how alike they are, from 0 to 1, by their words.

`accountNo` and `customer_number` are the same words in another spelling. What is alike is a matter of the trade, so the
words that mean the same are listed here. It knows no types and no tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, TypeAlias

Words: TypeAlias = "tuple[str, ...]"

WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")

SAME: Final = tuple(
    frozenset(line.split())
    for line in """
    no number nr num id code reference ref key sku ident
    name title label subject caption description bezeichnung
    zip postcode postal plz
    mail email
    phone telephone tel telefon
    mobile cell handy
    vat tax ust
    price amount total sum cost budget value preis
    quantity qty piece count pcs menge
    note remark comment memo description
    state status stage phase
    due promised wanted deadline required
    born birthday birth dob
    customer account client party company partner debtor kunde
    contact person individual
    order deal opportunity job auftrag
    product article item part material good artikel
    employee user staff worker
    manager boss supervisor reports
    line row position pos item
    set bundle kit
    discontinued retired obsolete
    bonus loyalty
    delivery shipping shipment
    company firm employer organisation organization
    web website url homepage
    country land nation
    category group segment class type kind
    currency curr
    unit uom
    weight mass
    street strasse
    city town ort
    stock inventory warehouse
    contract agreement
    start begin valid
    modified updated changed touched
    created entered inserted
    """.strip().splitlines()
)
"""Each line: words that stand for one another in one trade or another."""

LIGHT: Final = frozenset(
    word
    for line in """
    on at by the is of to in from date day time mm cm kg main list unit billing invoice current your our default
    primary last first sales address public tbl
    """.strip().splitlines()
    for word in line.split()
)
"""Words that may be there or not."""

light_weight: Final = 0.25
like_weight: Final = 0.9
"""How alike two words are that stand for one another."""
begun_weight: Final = 0.7
"""How alike two words are of which one is the beginning of the other."""
begun_letters_min: Final = 3


@lru_cache(maxsize=100_000)
def words(name: str) -> Words:
    """The words of a name, in the singular and in lower case; of `part.column`, the column's."""
    return tuple(_singular(word.lower()) for word in WORD.findall(name.rpartition(".")[2]))


@lru_cache(maxsize=1_000_000)
def alike(left: Words, right: Words) -> float:
    """How alike two lists of words are; 1: the same words."""
    if left == right:
        return 1.0
    rest, found = list(right), 0.0
    for word in left:
        best = max(rest, key=lambda other: _likeness(word, other), default="")
        likeness = _likeness(word, best) if best else 0.0
        if likeness:
            rest.remove(best)
            found += likeness * (_weight(word) + _weight(best))
    whole = sum(map(_weight, (*left, *right)))
    return found / whole if whole else 0.0


@lru_cache(maxsize=100_000)
def marks(name: Words) -> frozenset[str]:
    """Names without a common mark are surely not alike: for words that are alike begin alike, or stand in one line."""
    lines = {str(at) for at, line in enumerate(SAME) if any(word in line for word in name)}
    return frozenset(lines | {word[:begun_letters_min] for word in name})


def without(name: Words, table: Iterable[str]) -> Words:
    """A column's words without those of its table: `account_no` of `account` is `no`. Never without any."""
    rest = tuple(word for word in name if not any(_likeness(word, other) == 1.0 for other in table))
    return rest or name


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")) else word


@lru_cache(maxsize=100_000)
def _likeness(left: str, right: str) -> float:
    if left == right:
        return 1.0
    if any(left in line and right in line for line in SAME):
        return like_weight
    short, long = sorted((left, right), key=len)
    return begun_weight if len(short) >= begun_letters_min and long.startswith(short) else 0.0


def _weight(word: str) -> float:
    return light_weight if word in LIGHT else 1.0
