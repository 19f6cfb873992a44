"""When two texts are the same, by the form that a rule gives, and in our code: no collation is asked.

Turns a text into its normal form: NFKC and case folding as in the Unicode standard (UAX 15, UAX 21). It never changes
what is stored.
"""

from __future__ import annotations

import unicodedata

from engine.rulebook import Form


def normal(text: str, form: Form) -> str:
    """The form in which two values are the same."""
    if form == "exact":
        return text
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if form == "case":
        return folded
    if form == "blanks":
        return " ".join(folded.split())
    if form == "digits":
        return "".join([c for c in folded if c.isdecimal()])
    return "".join([c for c in folded if c.isalnum()])


def same(one: object, other: object, form: Form) -> bool:
    """True if two values (texts, or what stands for none) are the same. A text of which nothing is left is only itself:
    `unknown` and `none` are not the same telephone number."""
    if one == other:
        return True
    if form == "exact" or not isinstance(one, str) or not isinstance(other, str):
        return False
    left = normal(one, form)
    return left != "" and left == normal(other, form)
