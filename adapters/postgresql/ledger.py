"""The SQL of the table `duolog.ledger`: what a target knows of our batches.

One row per apply transaction, written inside it: first, so that a batch that is already there is noticed before it
is written again, and once more at the end, when the separator is known. After a crash it tells which batches were
committed, and what became of their rows. It holds no connection; its SQL is run by `target` and `setup`.
"""

from __future__ import annotations

from typing import Final

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
    "UPDATE duolog.ledger SET separator = pg_catalog.pg_current_wal_insert_lsn(), outcome = '[]', "
    "at = clock_timestamp() WHERE engine = $1 AND number_to = $2::int8 RETURNING separator::text"
)
"""Given: engine, number_to. Answers the separator: the log's position now, when all row locks are held."""

NUMBER: Final = "duolog"
"""The prefix of the log message that tells the number_to of a batch, to who asks the log for messages."""

END_NUMBERED_BATCH: Final = (
    f"{END_BATCH}, pg_catalog.pg_logical_emit_message(true, '{NUMBER}', number_to::pg_catalog.text)"
)
"""The same; also in the log, the transaction bears its number."""

MAY_NUMBER: Final = (
    "SELECT coalesce(bool_and(has_function_privilege(oid, 'EXECUTE')), false) FROM pg_catalog.pg_proc "
    "WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = 'pg_logical_emit_message'"
)
"""Everybody may, unless that was taken from him."""

PUT_OUTCOME: Final = "UPDATE duolog.ledger SET outcome = $3::jsonb WHERE engine = $1 AND number_to = $2::int8"
"""Given: engine, number_to, outcome: of a batch that was not wholly written as asked."""

COMMITTED: Final = (
    "SELECT number_to, separator::text, outcome FROM duolog.ledger "
    "WHERE engine = $1 AND number_to > $2::int8 ORDER BY number_to"
)
"""Given: engine, number. Answers the rows that `relational.ledger.outcome` understands."""

SEPARATOR: Final = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text"
