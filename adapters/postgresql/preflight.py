"""Turns facts about a PostgreSQL server into findings, each with its mend, and into what the source may leave out.

Pure: `facts` asks the server. It judges before anything is set up, so that a table is never published that would make
the application's own UPDATE fail. What concerns one table is in `table_findings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from psycopg import sql

from adapters.postgresql.facts import Facts, WaitingFacts, gather
from adapters.postgresql.rights import ORIGIN_FUNCTION
from adapters.postgresql.setting import SET, parameter_rights_version
from adapters.postgresql.standbys import ANYBODY, Standbys, Unreadable
from adapters.postgresql.table_findings import judge_table
from engine.catalog import Finding

__all__ = ["Capabilities", "Facts", "assess", "capabilities", "gather", "side_effects"]

version_min: Final = 140_000
version_known: Final = 189_999
origin_filter_version: Final = 160_000
"""The first server that can leave out replicated transactions by itself (`origin none`)."""
origins_apart_version: Final = 180_000
"""The first server that counts origins apart from slots."""
clock_offset_max_us: Final = 1_000_000
sender_timeout_max_ms: Final = 60_000
"""PostgreSQL's own default."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the source may leave out, since nothing that matters can be in it."""

    skip_own: bool
    """Our own transactions: nothing bound can change in them beside what we wrote."""
    origin_none: bool
    """Every replicated transaction, at the server already: there is no replication but ours."""


def assess(facts: Facts) -> list[Finding]:
    """All that is wrong or worth knowing, errors first."""
    found = [*_judge_server(facts), *_judge_role(facts), *_judge_line(facts), *_judge_publication(facts)]
    found += [*_judge_standbys(facts), *_judge_waiting(facts)]
    for needed in facts.needed:
        found += judge_table(facts, needed)
    return sorted(found, key=lambda finding: finding.severity != "error")


def capabilities(facts: Facts) -> Capabilities:
    """What may be left out at the source; in doubt nothing. Where records are assembled, nothing at all: the engine
    keeps the rows that they are made of, and learns of those that we write from the log."""
    skip_own = not facts.assembled and not side_effects(facts)
    alone = not facts.server.subscriptions and not facts.server.other_origins
    return Capabilities(skip_own, skip_own and alone and facts.server.version >= origin_filter_version)


def side_effects(facts: Facts) -> bool:
    """True if a write of ours may change something bound beside what it says: by a trigger, a rewrite rule, a cascading
    foreign key or a generated column. A trigger that fires for replication only is none: our sessions are ordinary."""
    for needed in facts.needed:
        name = (needed.table.schema, needed.table.name)
        table, shape = facts.tables.get(name), facts.catalog.tables.get(name)
        if table is None or shape is None or table.rules or table.cascades:
            return True
        if any(not trigger.endswith(":R") for trigger in table.triggers):
            return True
        if any(shape.columns[column].generated for column in needed.table.columns if column in shape.columns):
            return True
    return False


def _judge_server(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.version < version_min:
        yield _error(facts, "P101", f"PostgreSQL {server.version_text} is too old", "14 or later is needed")
    if server.version > version_known:
        said = f"PostgreSQL {server.version_text} is newer than this duolog knows"
        yield _warning(facts, "P102", said, "try it on a copy before relying on it")
    if server.standby:
        yield _error(facts, "P103", "the server is a standby", "point the address at the primary")
    if server.wal_level != "logical":
        mend = "ALTER SYSTEM SET wal_level = 'logical';  -- then restart the server"
        yield _error(facts, "P104", f"`wal_level` is `{server.wal_level}`: the log does not tell what changed", mend)
    if not server.has_slot and server.slots_used >= server.slots_max:
        yield _error(
            facts, "P105", f"no replication slot is free: {server.slots_used} of {server.slots_max} are used",
            f"ALTER SYSTEM SET max_replication_slots = {server.slots_max + 4};  -- then restart the server",
        )  # fmt: skip
    if not server.reading and server.senders_used >= server.senders_max:
        yield _error(
            facts, "P106", f"no log sender is free: {server.senders_used} of {server.senders_max} are used",
            f"ALTER SYSTEM SET max_wal_senders = {server.senders_max + 4};  -- then restart the server",
        )  # fmt: skip
    needed = server.origins_ours + server.origins_others
    if server.origins_ours > 1 and needed > server.origins_max:
        word = "max_active_replication_origins" if server.version >= origins_apart_version else "max_replication_slots"
        yield _error(
            facts, "P129", f"`{word}` is {server.origins_max}: too few for an origin of each of {server.origins_ours} "
            f"partitions, beside {server.origins_others} others",
            f"ALTER SYSTEM SET {word} = {needed + 4};  -- then restart the server",
        )  # fmt: skip
    yield from _judge_retention(facts)


def _judge_retention(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.kept_mb < 0:
        yield _warning(
            facts, "P107",
            "`max_slot_wal_keep_size` is -1: while duolog is away, the server keeps all its log, until the disk is "
            "full",
            "watch the disk; or ALTER SYSTEM SET max_slot_wal_keep_size = '50GB';  -- beyond which a re-sync is needed",
        )  # fmt: skip
    else:
        yield _warning(
            facts, "P108",
            f"`max_slot_wal_keep_size` is {server.kept_mb} MB: when duolog is away while the server writes more log "
            "than that, changes are lost to it, and a re-sync is needed",
            "size it for the longest outage that you expect; SELECT pg_current_wal_lsn() an hour apart tells the rate",
        )  # fmt: skip
    if server.idle_limit > 0:
        yield _warning(
            facts, "P110",
            f"`idle_replication_slot_timeout` is {server.idle_limit} s: when duolog is away for longer, its slot is "
            "given up, and a re-sync is needed",
            "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();",
        )  # fmt: skip


def _judge_role(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    role = sql.Identifier(server.role).as_string()
    if not server.may_replicate:
        said = f"the role `{server.role}` may not read the log"
        yield _error(facts, "P120", said, f"ALTER ROLE {role} REPLICATION;")
    if not server.may_mark:
        said = f"the role `{server.role}` may not mark its transactions"
        yield _error(facts, "P121", said, f"GRANT EXECUTE ON FUNCTION {ORIGIN_FUNCTION} TO {role};")
    for schema in dict.fromkeys(server.closed_schemas):
        mend = f"GRANT USAGE ON SCHEMA {sql.Identifier(schema).as_string()} TO {role};"
        yield _error(facts, "P122", f"the role `{server.role}` may not look into the schema `{schema}`", mend)
    if not server.may_use_ledger:
        rights = "SELECT, INSERT, UPDATE, DELETE"
        mend = f"GRANT USAGE ON SCHEMA duolog TO {role}; GRANT {rights} ON duolog.ledger TO {role};"
        yield _error(facts, "P123", f"the role `{server.role}` may not use `duolog.ledger`", mend)


def _judge_line(facts: Facts) -> Iterator[Finding]:
    if not facts.server.tls and not facts.loopback and not facts.insecure:
        yield _error(
            facts, "P130", "the connection leaves this machine without TLS: passwords and rows can be read on the way",
            "set `ssl = on` at the server and sslmode=verify-full in the address; or say `insecure: true` in the rules",
        )  # fmt: skip
    if abs(facts.clock_offset_us) - facts.clock_error_us > clock_offset_max_us:
        seconds = facts.clock_offset_us / 1_000_000
        side = "ahead of" if seconds > 0 else "behind"
        yield _warning(
            facts, "P131",
            f"the server's clock is {abs(seconds):.1f} s {side} ours: between writes that close together `last_writer` "
            "cannot tell which was last",
            "let both follow the same time server (NTP)",
        )  # fmt: skip


def _judge_standbys(facts: Facts) -> Iterator[Finding]:
    """Whom commits wait for now."""
    try:
        names = Standbys.parse(facts.server.synchronous_standby_names)
    except Unreadable:
        return  # the server did not take it either, and waits for nobody
    others = names.without(facts.slot)
    found = [*_judge_our_name(facts, names, others), *_judge_others(facts, others)]
    yield from found
    if others.names and not found:
        yield _warning(
            facts, "P109",
            f"`synchronous_standby_names` is `{others}`: the application's commits wait for a standby, and duolog may "
            "read a change before they return",
            "nothing, if that is intended; duolog's own writes wait for no standby",
        )  # fmt: skip


def _judge_our_name(facts: Facts, names: Standbys, others: Standbys) -> Iterator[Finding]:
    """Whether commits wait for us where they should not."""
    if names.name(facts.slot) and not facts.server.has_slot:
        yield _error(
            facts, "P111",
            f"`synchronous_standby_names` names `{facts.slot}` before its slot exists: commits wait for it, and making "
            "the slot waits for them",
            f"{_set_names(others)};  -- then `duolog setup RULES` and `duolog run RULES`, which names it when it reads",
        )  # fmt: skip
    elif names.name(facts.slot) and facts.waiting is None:
        yield _warning(
            facts, "P118",
            f"`synchronous_standby_names` names `{facts.slot}`, and the rules say `commit: asynchronous`: commits wait "
            "for duolog for nothing",
            f"{_set_names(others)};",
        )  # fmt: skip


def _judge_others(facts: Facts, others: Standbys) -> Iterator[Finding]:
    """Whether others would answer for us while we are away."""
    waiting = facts.waiting
    if waiting is None:
        return
    if ANYBODY in others.names:
        yield _error(
            facts, "P114",
            f"`synchronous_standby_names` is `{others}`: whoever connects could answer in duolog's stead",
            "name the standbys: ALTER SYSTEM SET synchronous_standby_names = 'NAME'; SELECT pg_reload_conf();",
        )  # fmt: skip
        return
    together = others.with_us(facts.slot)
    if not together.stand_in(facts.slot):
        return
    stand_in = (
        f"of the {len(others.names)} standbys in `synchronous_standby_names` ({others}) commits wait for "
        f"{others.count} only: while duolog is away, another one answers in its stead, and commits return without it"
    )
    every = Standbys(len(others.names), others.names)
    if waiting.rules.open_after_s is None:
        yield _error(
            facts, "P112", f"{stand_in}, where `when_away: closed` says that they wait",
            f"wait for all of them: {_set_names(every)}; or name no more than are waited for; or say "
            "`when_away: open after 5s`",
        )  # fmt: skip
    else:
        yield _warning(
            facts, "P113", f"{stand_in} from that moment on, not after {waiting.rules.open_after_s:g} s",
            f"nothing, if that is intended: the range is recorded; else wait for all of them: {_set_names(every)};",
        )  # fmt: skip


def _judge_waiting(facts: Facts) -> Iterator[Finding]:
    """Whether users can be made to wait for us at COMMIT, and let go."""
    waiting = facts.waiting
    if waiting is None:
        return
    if facts.server.has_slot and not waiting.has_table:
        yield _error(
            facts, "P116", "there is no table `duolog.degraded`, which tells when commits did not wait",
            "duolog setup RULES;  -- which makes it",
        )  # fmt: skip
    if waiting.fixed:
        yield _error(
            facts, "P117", "`synchronous_standby_names` is set on the server's command line, which ALTER SYSTEM does "
            "not reach: nobody could be let go",
            "take it off the command line, and restart the server",
        )  # fmt: skip
    if waiting.not_waiting:
        yield _warning(
            facts, "P115", f"`synchronous_commit` is `local` or `off` for {', '.join(waiting.not_waiting)}: commits "
            "there wait for nobody, nor for duolog, unless a session sets it itself",
            "nothing, if that is intended; else SET it to `on` there",
        )  # fmt: skip
    if not 0 < waiting.sender_timeout_ms <= sender_timeout_max_ms:
        found = f"{waiting.sender_timeout_ms / 1000:g} s" if waiting.sender_timeout_ms else "0, without limit"
        yield _warning(
            facts, "P119", f"`wal_sender_timeout` is {found}: for so long the server takes a machine for there that "
            "has vanished, and no other duolog can read meanwhile",
            "ALTER SYSTEM SET wal_sender_timeout = '10s'; SELECT pg_reload_conf();",
        )  # fmt: skip
    yield from _judge_waiting_rights(facts, waiting)


def _judge_waiting_rights(facts: Facts, waiting: WaitingFacts) -> Iterator[Finding]:
    server, name = facts.server, facts.server.role
    role = sql.Identifier(name).as_string()
    if server.version < parameter_rights_version and not waiting.superuser:
        said = f"the role `{name}` is no superuser, and PostgreSQL 14 lets nobody else set `synchronous_standby_names`"
        yield _error(facts, "P127", said, f"ALTER ROLE {role} SUPERUSER;  -- or PostgreSQL 15 or later")
        return
    if not waiting.may_set:
        mend = f"GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO {role};"
        yield _error(facts, "P124", f"the role `{name}` may not set `synchronous_standby_names`", mend)
    if not waiting.may_reload:
        mend = f"GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO {role};"
        yield _error(facts, "P125", f"the role `{name}` may not have the server read its settings again", mend)
    if not waiting.may_see:
        yield _error(
            facts, "P126", f"the role `{name}` may not see who waits", f"GRANT pg_read_all_stats TO {role};"
        )
    if not waiting.may_record:
        mend = f"GRANT SELECT, INSERT, UPDATE ON duolog.degraded TO {role};"
        yield _error(facts, "P128", f"the role `{name}` may not use `duolog.degraded`", mend)


def _set_names(names: Standbys) -> str:
    return SET.format(sql.Literal(str(names))).as_string() + "; SELECT pg_reload_conf()"


def _judge_publication(facts: Facts) -> Iterator[Finding]:
    for step in facts.steps:
        if step.what.startswith("publication") and ":" in step.what and not step.done:
            yield _error(
                facts, "P140", f"the publication does not match the rules: {step.what}",
                f"duolog setup RULES;  -- it runs {step.sql}",
            )  # fmt: skip
    others = [f"the subscription `{name}`" for name in facts.server.subscriptions]
    others += [f"the replication origin `{name}`" for name in facts.server.other_origins]
    if others:
        yield _warning(
            facts, "P141", f"something else replicates into this server: {', '.join(others)}",
            "nothing, if that is intended: its changes are read as a user's. It must not carry the same rows in a "
            "circle",
        )  # fmt: skip


def _error(facts: Facts, code: str, found: str, mend: str) -> Finding:
    return _finding(facts, code, "error", found, mend)


def _warning(facts: Facts, code: str, found: str, mend: str) -> Finding:
    return _finding(facts, code, "warning", found, mend)


def _finding(facts: Facts, code: str, severity: Literal["error", "warning"], found: str, mend: str) -> Finding:
    return Finding(code=code, severity=severity, system=facts.system, found=found, mend=mend)
