"""Turns what a server says of semi-synchronous replication into facts, and those into findings, each with its mend.

Whether users can be made to wait for us at COMMIT, and let go. A finding means the same here as the one of that code
means for PostgreSQL. Nothing is set here: that is `switch`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import pymysql

from adapters.mariadb import degraded
from adapters.mariadb.alone import reader_lock
from adapters.mariadb.phrases import quoted
from adapters.mariadb.rights import DENIED, account, lacking
from adapters.mariadb.session import Connection, Flavour, ask, error_number, text_literal
from adapters.mariadb.settings import AFTER_SYNC, STATUS, VARIABLES, Settings, understood
from engine.catalog import Finding
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


def judge(facts: WaitingFacts, system: str, *, set_up: bool) -> Iterator[Finding]:
    """All that is wrong. `set_up`: `duolog setup` has been run."""
    settings, who = facts.settings, account(facts.user)
    if not settings.prefix:
        yield Finding(
            code="P166", severity="error", system=system,
            found="the server has no semi-synchronous replication, by which users wait for duolog",
            mend="INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';  -- before 8.0.26: "
            "rpl_semi_sync_master, semisync_master.so",
        )  # fmt: skip
        return
    if settings.point != AFTER_SYNC:
        name = settings.prefix + "wait_point"
        yield Finding(
            code="P167", severity="error", system=system,
            found=f"`{name}` is `{settings.point}`: others would see a change before the user's COMMIT has returned, "
            "and before the other systems have it",
            mend=f"SET GLOBAL {name} = {AFTER_SYNC};  -- and in the server's file",
        )  # fmt: skip
    yield from _judge_others(facts, system)
    if not facts.may_set:
        yield Finding(
            code="P165", severity="error", system=system,
            found=f"`{facts.user}` may not make users wait, nor let them go",
            mend=f"GRANT {', '.join(SETTING[facts.flavour])} ON *.* TO {who};",
        )  # fmt: skip
    if facts.table == "closed":
        yield Finding(
            code="P128", severity="error", system=system,
            found=f"`{facts.user}` may not use `{'.'.join(degraded.TABLE)}`, or it is not there yet",
            mend=f"GRANT {', '.join(degraded.VERBS)} ON {quoted(*degraded.TABLE)} TO {who};",
        )  # fmt: skip
    if facts.table == "missing" and set_up:
        yield Finding(
            code="P116", severity="error", system=system,
            found="there is no table `duolog.degraded`, which tells when commits did not wait",
            mend="duolog setup RULES;  -- which makes it",
        )  # fmt: skip


def _judge_others(facts: WaitingFacts, system: str) -> Iterator[Finding]:
    """Whether others would answer in our stead: the server wants so many answers, whosever they are."""
    settings = facts.settings
    if facts.others < settings.needed:
        return
    many = "semi-synchronous replicas are" if facts.others > 1 else "semi-synchronous replica is"
    stand_in = (
        f"{facts.others} other {many} connected, and the answer of {settings.needed} is enough: commits return without "
        "duolog"
    )
    apart = "on each of them: SET GLOBAL rpl_semi_sync_slave_enabled = OFF; STOP SLAVE; START SLAVE;"
    if facts.flavour == "mysql":
        count = next((name for name in settings.variables if name.startswith("wait_for_")), "wait_for_replica_count")
        apart = f"SET GLOBAL {settings.prefix}{count} = {facts.others + 1};  -- all of them then have to answer"
    if facts.rules.open_after_s is None:
        yield Finding(
            code="P112", severity="error", system=system,
            found=f"{stand_in}, where `when_away: closed` says that they wait", mend=apart,
        )  # fmt: skip
    else:
        yield Finding(
            code="P113", severity="warning", system=system,
            found=f"{stand_in}, and are recorded as degraded for as long as that is so", mend=apart,
        )  # fmt: skip
