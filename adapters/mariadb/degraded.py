"""The SQL of the table `duolog.degraded`: the ranges of a server's log whose commits did not wait for other systems.

Turns its rows into `Degraded`. Nobody can commit past the server's wait, so a range that begins is written after its
users were let go, and one that ends while the wait is short. Of each engine one at most is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.mariadb import positions
from adapters.mariadb.session import text_literal
from adapters.relational.switch import Degraded
from engine.vocabulary import Position

TABLE: Final = ("duolog", "degraded")

VERBS: Final = ("SELECT", "INSERT", "UPDATE")
"""What an engine does there; only `duolog teardown` takes rows out."""

CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS duolog.degraded ("
    "number BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, engine VARCHAR(120) NOT NULL, "
    "since_position VARCHAR(40) NOT NULL, since_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), "
    "until_position VARCHAR(40), until_at TIMESTAMP(6) NULL DEFAULT NULL, "
    "why TEXT NOT NULL, `by` VARCHAR(20) NOT NULL, stays BOOLEAN NOT NULL DEFAULT FALSE, counted VARCHAR(60), "
    "still_open VARCHAR(120) AS (IF(until_position IS NULL, engine, NULL)) STORED, UNIQUE KEY (still_open)"
    ") ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
)
"""`counted`: what the server had counted of commits that did not wait, when the range ended: `<times> <commits>`."""

COLUMNS: Final = (
    "number", "since_position", "UNIX_TIMESTAMP(since_at) AS since_s", "until_position",
    "UNIX_TIMESTAMP(until_at) AS until_s", "why", "`by`", "stays", "counted",
)  # fmt: skip

NAMES: Final = tuple(column.rpartition(" ")[2].strip("`") for column in COLUMNS)


def begin(engine: str, since: Position, why: str, by: str, *, stays: bool) -> str:
    """Begins a range; of one that is open, only `stays` may change."""
    given = ", ".join(text_literal(text) for text in (engine, positions.text(since), why, by))
    return (
        f"INSERT INTO duolog.degraded (engine, since_position, why, `by`, stays) VALUES ({given}, {stays}) "
        "ON DUPLICATE KEY UPDATE stays = stays OR VALUES(stays)"
    )


def first(engine: str, since: Position) -> str:
    """What is true from the beginning."""
    given = ", ".join(text_literal(text) for text in (engine, positions.text(since), "never armed yet", "setup"))
    return (
        f"INSERT INTO duolog.degraded (engine, since_position, why, `by`) SELECT {given} FROM DUAL "
        f"WHERE NOT EXISTS (SELECT 1 FROM duolog.degraded WHERE engine = {text_literal(engine)})"
    )


def touch(number: int) -> str:
    """A change of a row that means nothing: a commit to be answered."""
    return f"UPDATE duolog.degraded SET until_at = CURRENT_TIMESTAMP(6) WHERE number = {number}"


def end(number: int, until: Position, counted: str) -> str:
    """Ends a range, unless a person wants it to stay."""
    return (
        f"UPDATE duolog.degraded SET until_position = {text_literal(positions.text(until))}, "
        f"until_at = CURRENT_TIMESTAMP(6), counted = {text_literal(counted)} "
        f"WHERE number = {number} AND until_position IS NULL AND NOT stays"
    )


def reopen(number: int) -> str:
    """Takes back the end of a range. Fails with 1062 if another has begun meanwhile."""
    return f"UPDATE duolog.degraded SET until_position = NULL, until_at = NULL WHERE number = {number}"


def allow(engine: str) -> str:
    """Ends `stays`."""
    return (
        f"UPDATE duolog.degraded SET stays = FALSE WHERE engine = {text_literal(engine)} AND until_position IS NULL "
        "AND stays"
    )


def history(engine: str, *, most: int | None = None) -> str:
    """The question for the ranges, the latest first; of them, `most`."""
    limit = "" if most is None else f" LIMIT {most}"
    return (
        f"SELECT {', '.join(COLUMNS)} FROM duolog.degraded WHERE engine = {text_literal(engine)} "
        f"ORDER BY number DESC{limit}"
    )


def any_row(engine: str) -> str:
    """The question whether an engine has any."""
    return f"SELECT 1 FROM duolog.degraded WHERE engine = {text_literal(engine)} LIMIT 1"


def forget_all(engine: str) -> str:
    """The statement that takes out an engine's."""
    return f"DELETE FROM duolog.degraded WHERE engine = {text_literal(engine)}"


def degraded(row: Mapping[str, str | None]) -> Degraded:
    """A row, by `NAMES`, as a range."""
    until, until_s = row["until_position"], row["until_s"]
    return Degraded(
        since=positions.from_text(row["since_position"] or ""),
        since_at=float(row["since_s"] or 0),
        until=None if until is None else positions.from_text(until),
        until_at=None if until is None or until_s is None else float(until_s),
        why=row["why"] or "",
        by=row["by"] or "",
        stays=row["stays"] == "1",
    )
