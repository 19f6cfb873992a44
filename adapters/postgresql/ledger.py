"""Turns outcomes into rows of the table `duolog.ledger`, and back: what a target knows of our batches.

One row per apply transaction, written inside it: first, so that a batch that is already there is noticed before it
is written again, and once more at the end, when the separator is known. After a crash it tells which batches were
committed, and what became of their rows. It holds no connection; its SQL is run by `target` and `setup`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from engine.vocabulary import Outcome, RowResult

CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS duolog.ledger ("
    "engine text NOT NULL, number_to bigint NOT NULL, separator pg_lsn, outcome jsonb, "
    "at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (engine, number_to))"
)

BEGIN_BATCH: Final = (
    "WITH forgotten AS ("
    "DELETE FROM duolog.ledger WHERE engine = $1 AND number_to <= $3::int8 AND number_to < $2::int8) "
    "INSERT INTO duolog.ledger (engine, number_to) VALUES ($1, $2::int8)"
)
"""Given: engine, number_to, forget_to. Fails with 23505 if the batch is already there."""

END_BATCH: Final = (
    "UPDATE duolog.ledger SET separator = $3::pg_lsn, outcome = $4::jsonb, at = clock_timestamp() "
    "WHERE engine = $1 AND number_to = $2::int8"
)
"""Given: engine, number_to, separator, outcome."""

COMMITTED: Final = (
    "SELECT number_to, separator::text, outcome FROM duolog.ledger "
    "WHERE engine = $1 AND number_to > $2::int8 ORDER BY number_to"
)
"""Given: engine, number. Answers the rows that `outcome` understands."""

SEPARATOR: Final = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text"

UNFIT: Final = "\\"
"""Marks a text that JSON in PostgreSQL cannot hold (NUL, half a surrogate pair), written with Python's escapes."""


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
