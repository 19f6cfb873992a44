"""Turns the exceptions of a batch into the JSON that a target's ledger keeps, and a row of it back into an outcome.

Pure. After a crash the ledger tells which batches were committed, and what became of their rows; the table and its SQL
are each adapter's own.
"""

from __future__ import annotations

import json
from typing import Any, Final

from engine.vocabulary import Outcome, RowResult

UNFIT: Final = "\\"
"""Marks a text that no database's JSON can hold (NUL, half a surrogate pair), written with Python's escapes."""


def encode(exceptions: list[RowResult]) -> str:
    """The exceptions of a batch as the JSON list that the ledger keeps."""
    rows = [
        [
            _fit(row.entity), _fit(row.key), row.kind, {str(n): v for n, v in row.stored.items()}, row.reason,
            *([_fit(row.made)] if row.made else []),
        ]
        for row in exceptions
    ]  # fmt: skip
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def decode(rows: list[list[Any]]) -> list[RowResult]:
    """The exceptions that `encode` wrote."""
    return [
        RowResult(_plain(entity), _plain(key), kind, {int(n): v for n, v in stored.items()}, reason, *map(_plain, made))
        for entity, key, kind, stored, reason, *made in rows
    ]


def outcome(system: str, number_to: int, separator: int, kept: list[list[Any]]) -> Outcome:
    """A ledger row as the outcome that it was."""
    return Outcome(system=system, number_to=number_to, separator=separator, exceptions=decode(kept))


def _fit(text: str) -> str:
    """`text` as JSON in PostgreSQL can hold it. A key that no database could store is still reported."""
    if "\x00" not in text and not text.startswith(UNFIT) and not any("\ud800" <= c <= "\udfff" for c in text):
        return text
    return UNFIT + text.encode("unicode_escape").decode("ascii")


def _plain(text: str) -> str:
    return text[1:].encode("ascii").decode("unicode_escape") if text.startswith(UNFIT) else text
