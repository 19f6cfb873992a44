"""Turns what a server says of semi-synchronous replication into facts: can users be made to wait for us at COMMIT?

Nothing is judged here, which is `preflight`'s, nor set, which is `switch`'s.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import pymysql

from adapters.mariadb import degraded
from adapters.mariadb.alone import reader_lock
from adapters.mariadb.phrases import quoted
from adapters.mariadb.rights import DENIED, lacking
from adapters.mariadb.session import Connection, Flavour, ask, error_number, text_literal
from adapters.mariadb.settings import STATUS, VARIABLES, Settings, understood
from engine.rulebook import RuleBook, Synchronous

SETTING: Final[dict[Flavour, tuple[str, ...]]] = {
    "mariadb": ("REPLICATION MASTER ADMIN",), "mysql": ("SYSTEM_VARIABLES_ADMIN",),
}  # fmt: skip
"""What setting the server takes."""

SUPER: Final = frozenset({"SUPER", "ALL PRIVILEGES"})


@dataclass(frozen=True, slots=True)
class WaitingFacts:
    """What matters of a server whose users are to wait. Defaults are those of one that is fit."""

    rules: Synchronous
    settings: Settings
    flavour: Flavour = "mariadb"
    user: str = "duolog@%"
    reading: bool = False
    """Our reader is connected."""
    may_set: bool = True
    table: Literal["there", "missing", "closed"] = "there"
    """`duolog.degraded`; `closed` if we may not use it."""

    @property
    def others(self) -> int:
        """Semi-synchronous replicas beside our reader."""
        return self.settings.clients - self.reading


def gather(conn: Connection, book: RuleBook, system: str, *, user: str, held: Collection[str]) -> WaitingFacts | None:
    """The facts of a synchronous system; None: nobody is to wait there. `held`: our user's rights on the whole server.

    Raises pymysql.MySQLError."""
    rules = book.synchronous.get(system)
    if rules is None:
        return None
    ((reader,),) = ask(conn, f"SELECT IS_USED_LOCK({text_literal(reader_lock(book.name, system))})")
    flavour = conn.server.flavour
    return WaitingFacts(
        rules=rules,
        settings=understood(dict(ask(conn, VARIABLES)), dict(ask(conn, STATUS))),
        flavour=flavour,
        user=user,
        reading=reader is not None,
        may_set=bool(SUPER & set(held)) or set(SETTING[flavour]) <= set(held),
        table=table_state(conn),
    )


def table_state(conn: Connection) -> Literal["there", "missing", "closed"]:
    """Whether `duolog.degraded` is there, and ours to use. Raises pymysql.MySQLError."""
    found = [lacking(conn, verb, degraded.TABLE, ["engine"]) for verb in degraded.VERBS]
    if any(lacks for lacks in found):
        return "closed"
    return "missing" if None in found else "there"


def has_ranges(conn: Connection, engine: str) -> bool:
    """True if an engine has been set up as synchronous here. Raises pymysql.MySQLError."""
    try:
        return bool(ask(conn, degraded.any_row(engine)))
    except pymysql.MySQLError as error:
        if error_number(error) in DENIED | {1049, 1146}:
            return False
        raise


def grants(book: RuleBook, system: str, who: str, flavour: Flavour) -> list[str]:
    """The SQL that gives an account what making users wait takes beside all else."""
    if system not in book.synchronous:
        return []
    return [
        f"GRANT {', '.join(SETTING[flavour])} ON *.* TO {who};",
        f"GRANT {', '.join(degraded.VERBS)} ON {quoted(*degraded.TABLE)} TO {who};",
    ]
