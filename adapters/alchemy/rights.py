"""Turns compiled rules into the rights that our role needs, where sequences are drawn from in SQL of any kind. Pure."""

from __future__ import annotations

import re
from typing import Final

from adapters.relational.rights import TableRights
from adapters.relational.rights import rights as needed_rights
from engine.rulebook import RuleBook

NEXT_VALUE: Final = re.compile(r"NEXT\s+VALUE\s+FOR\s+([\w.\"$#]+)|([\w.\"$#]+)\.NEXTVAL", re.IGNORECASE)


def rights(book: RuleBook, system: str) -> list[TableRights]:
    """The rights needed in `system`, by table, in the order of `RuleBook.tables`."""
    return needed_rights(book, system, _drawn)


def _drawn(said: str) -> list[str]:
    return [first or second for first, second in NEXT_VALUE.findall(said)]
