"""Turns an error that a write met into what is to be done about it: step aside, tell the row's reason, or stop.

The one place that knows PostgreSQL's error codes for writing. A reason names things (constraint, column, function),
never a value: neither DETAIL nor a trigger's own message is passed on, since both may quote the row.
"""

from __future__ import annotations

import re
from typing import Final

import psycopg
from psycopg import errors

from adapters.relational.refused import Verdict

BLOCKED: Final = frozenset({"55P03", "40P01", "40001"})
"""Somebody else is in the way: lock not available, deadlock, serialization failure."""

BROKEN_CLASSES: Final = frozenset({"08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57", "58", "F0", "XX"})
"""Nothing that another row would not meet as well, unless it was raised inside a trigger's function."""

NEVER_THE_ROW: Final = frozenset({"08", "28", "53", "57", "58", "XX"})
"""The server is in trouble: that it shows inside a trigger's function makes no difference."""

UNSTORABLE: Final = "22021 character_not_in_repertoire: a NUL character, or half of a surrogate pair"
"""What the client library refuses before the server can: no text of PostgreSQL may hold it."""

FUNCTION: Final = re.compile(r"function ([^\s(]+)\(")


def verdict(error: psycopg.Error) -> Verdict:
    """What a failed write means. Never `lost`: in PostgreSQL a savepoint outlives everything but its connection."""
    state = error.sqlstate
    if state is None:
        return "refused" if isinstance(error, psycopg.DataError) else "broken"
    if state in BLOCKED:
        return "blocked"
    if state == "42501":  # a right is missing: the same for every row, and a person is needed
        return "broken"
    if state[:2] in NEVER_THE_ROW:
        return "broken"
    if state[:2] in BROKEN_CLASSES and not error.diag.context:
        return "broken"
    return "refused"  # data, integrity, a trigger's refusal, or a code of the application's own


def reason(error: psycopg.Error, found: str = "") -> str:
    """Why a row was refused: `23505 unique_violation: constraint `account_vat_key``. Never a value of the row.

    `found`: what is to blame, if more is known of that than the error tells."""
    state = error.sqlstate
    if state is None:
        return f"{UNSTORABLE}, in {found}" if found else UNSTORABLE
    where = found or _where(error)
    named = f"{state} {_condition(state)}".rstrip()
    return f"{named}: {where}" if where else named


def raised_in(error: psycopg.Error) -> str:
    """The function that an error was raised in, `""` if in none."""
    found = FUNCTION.search(error.diag.context or "")
    return found[1] if found else ""


def _condition(state: str) -> str:
    """The name of an error code as the manual has it, `""` if it has none."""
    try:
        name = errors.lookup(state).__name__
    except KeyError:
        return ""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _where(error: psycopg.Error) -> str:
    diag = error.diag
    if diag.constraint_name:
        return f"constraint `{diag.constraint_name}`"
    if diag.column_name:
        return f"column `{diag.column_name}`"
    function = raised_in(error)
    return f"raised in function `{function}`" if function else ""
