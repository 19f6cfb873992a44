"""Turns batches into rows of the table `duolog.ledger` of a MariaDB or MySQL server: its SQL, and nothing else.

One row per apply transaction, written inside it: first, so that a batch that is already there is noticed before it
is written again, and the binlog's reader knows a transaction of ours by its first row; and once more at the end, when
the separator is known. A server has one ledger for all its databases: so a row names the system, too.
"""

from __future__ import annotations

import json
from typing import Final

from adapters.mariadb.session import text_literal
from adapters.relational import ledger
from engine.vocabulary import Outcome, Position, RowResult

TABLE: Final = ("duolog", "ledger")
FENCE: Final = "fence:"
"""Before an engine's name, for the row of its epoch; no rule file can give an engine a name with a colon."""

COLUMNS: Final = ("engine", "system", "number_to", "forget_to", "separator", "gtid", "outcome", "at")
"""In the order of the table. The first two say whose row it is. `forget_to` is what the store had of this system's
batches when this one was sent: a store that has less is an old copy. `separator` is printed as `000003:4711`. `gtid` is
the server's list of last GTIDs (`@@gtid_binlog_pos`, `@@gtid_executed`) just after the separator was read: it holds
what stands before the separator, and perhaps a transaction or two that were being committed at that moment."""

CREATE_DATABASE: Final = "CREATE DATABASE IF NOT EXISTS duolog CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS duolog.ledger ("
    "engine VARCHAR(120) NOT NULL, `system` VARCHAR(120) NOT NULL, number_to BIGINT NOT NULL, "
    "forget_to BIGINT NOT NULL DEFAULT 0, `separator` VARCHAR(40), gtid TEXT, outcome LONGTEXT, "
    "`at` DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), PRIMARY KEY (engine, `system`, number_to)"
    ") ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
)


def begin_batch(engine: str, system: str, number_to: int, forget_to: int) -> tuple[str, str]:
    """The statements that begin a batch's row, and forget older ones. The first fails with 1062 if it is there."""
    whose = _whose(engine, system)
    return (
        "INSERT INTO duolog.ledger (engine, `system`, number_to, forget_to) "
        f"VALUES ({text_literal(engine)}, {text_literal(system)}, {number_to}, {forget_to})",
        f"DELETE FROM duolog.ledger WHERE {whose} AND number_to <= {forget_to} AND number_to < {number_to}",
    )


def end_batch(engine: str, system: str, number_to: int, separator: str, gtid: str, exceptions: list[RowResult]) -> str:
    """The statement that completes a batch's row."""
    return (
        f"UPDATE duolog.ledger SET `separator` = {text_literal(separator)}, gtid = {text_literal(gtid)}, "
        f"outcome = {text_literal(ledger.encode(exceptions))}, `at` = CURRENT_TIMESTAMP(6) "
        f"WHERE {_whose(engine, system)} AND number_to = {number_to}"
    )


def committed(engine: str, system: str, after: int) -> str:
    """The question for (number_to, separator, outcome) of the rows above a number, ascending."""
    return (
        f"SELECT number_to, `separator`, outcome FROM duolog.ledger WHERE {_whose(engine, system)} "
        f"AND number_to > {after} ORDER BY number_to"
    )


def forget_all(engine: str, system: str) -> str:
    """The statement that takes out all rows of an engine's system."""
    return f"DELETE FROM duolog.ledger WHERE {_whose(engine, system)}"


def newest_epoch(engine: str, system: str) -> str:
    """The question for the last epoch of an engine's holders; 0 if there was none. It is kept as the number of a row
    under a name that is no engine's."""
    whose = _whose(FENCE + engine, system)
    return f"SELECT COALESCE(MAX(number_to), 0) FROM duolog.ledger WHERE {whose}"


def raise_epoch(engine: str, system: str, epoch: int) -> tuple[str, str]:
    """The statements that keep a new epoch, and forget older ones."""
    name = FENCE + engine
    values = f"{text_literal(name)}, {text_literal(system)}, {epoch}"
    return (
        f"INSERT INTO duolog.ledger (engine, `system`, number_to) VALUES ({values})",
        f"DELETE FROM duolog.ledger WHERE {_whose(name, system)} AND number_to < {epoch}",
    )


def known(engine: str, system: str) -> str:
    """The question for how far the store knew of batches when the newest was sent; NULL if there is none."""
    return f"SELECT MAX(forget_to) FROM duolog.ledger WHERE {_whose(engine, system)}"


def outcome(system: str, number_to: str, separator: Position, kept: str) -> Outcome:
    """A ledger row as the outcome that it was."""
    return ledger.outcome(system, int(number_to), separator, json.loads(kept))


def _whose(engine: str, system: str) -> str:
    return f"engine = {text_literal(engine)} AND `system` = {text_literal(system)}"
