"""Turns facts about a MariaDB or MySQL server into findings, each with its mend, and what the source may leave out.

Pure: `facts` asks the server. What concerns one table is in `table_findings`; a finding means the same here as the one
of that code means for PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from adapters.mariadb import degraded
from adapters.mariadb.facts import Facts, ServerFacts
from adapters.mariadb.ledger import TABLE as LEDGER
from adapters.mariadb.names import DATABASE
from adapters.mariadb.phrases import quoted
from adapters.mariadb.rights import CAPTURE, LEDGER_VERBS, account
from adapters.mariadb.settings import AFTER_SYNC
from adapters.mariadb.synchronous import SETTING, WaitingFacts
from adapters.mariadb.table_findings import judge_table
from adapters.relational.judging import ticked
from engine.catalog import Finding

version_known: Final = {"mariadb": 12, "mysql": 9}
"""The newest major versions that were looked at."""
packet_bytes_min: Final = 16 << 20
clock_offset_max_us: Final = 1_000_000
OFF: Final = frozenset({"OFF", "0", ""})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the source may leave out, since nothing that matters can be in it."""

    skip_own: bool
    """Our own transactions: nothing bound can change in them beside what we wrote."""


def assess(facts: Facts) -> list[Finding]:
    """All that is wrong or worth knowing, errors first."""
    found = [*_judge_server(facts), *_judge_log(facts), *_judge_retention(facts), *_judge_user(facts)]
    found += [*_judge_line(facts), *_judge_replication(facts)]
    if facts.waiting is not None:
        found += [*_judge_waiting(facts, facts.waiting), *_judge_other_replicas(facts, facts.waiting)]
    for needed in facts.needed:
        found += judge_table(facts, needed)
    return sorted(found, key=lambda finding: finding.severity != "error")


def capabilities(facts: Facts) -> Capabilities:
    """What may be left out at the source; in doubt nothing. Where records are assembled, nothing at all: the engine
    keeps the rows that they are made of, and learns of those that we write from the log."""
    return Capabilities(skip_own=not facts.assembled and not side_effects(facts))


def side_effects(facts: Facts) -> bool:
    """True if a write of ours may change something bound beside what it says: by a trigger, a generated column, or one
    that the server sets by itself (ON UPDATE). What foreign keys change is in no log, and so is refused."""
    for needed in facts.needed:
        name = (needed.table.schema, needed.table.name)
        table = facts.tables.get(name)
        if table is None or table.triggers:
            return True
        bound = [table.columns[column] for column in needed.table.columns if column in table.columns]
        if any(column.shape.generated or column.on_update for column in bound):
            return True
    return False


def _judge_server(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.version[0] > version_known[server.flavour]:
        said = f"{server.name} {server.version_text} is newer than this duolog knows"
        yield _warning(facts, "P102", said, "try it on a copy before relying on it")
    if server.setting("read_only") not in OFF:
        yield _error(
            facts, "P103", "the server is read-only: a replica, or set so",
            "SET GLOBAL read_only = OFF;  -- or point the address at the primary",
        )  # fmt: skip
    unsafe = [
        f"{name} = {server.setting(name)}"
        for name in ("sync_binlog", "innodb_flush_log_at_trx_commit")
        if server.setting(name) not in ("1", "")
    ]
    if unsafe:
        yield _warning(
            facts, "P157",
            f"a crash of the server may lose commits that duolog has read and told the others: {ticked(unsafe)}",
            "SET GLOBAL sync_binlog = 1, GLOBAL innodb_flush_log_at_trx_commit = 1;  -- and in the server's file",
        )  # fmt: skip
    packet = int(server.setting("max_allowed_packet") or packet_bytes_min)
    if packet < packet_bytes_min:
        yield _warning(
            facts, "P158", f"`max_allowed_packet` is {packet} bytes: a record that takes more cannot be written here, "
            "and waits in quarantine",
            f"SET GLOBAL max_allowed_packet = {packet_bytes_min};  -- and in the server's file",
        )  # fmt: skip
    if "STRICT_" not in server.setting("sql_mode"):
        yield _warning(
            facts, "P163", "`sql_mode` is not strict: the application's values may be bent when they are stored; "
            "what is stored is what the others get. duolog's own writes are strict",
            f"SET GLOBAL sql_mode = '{_strict(server)}';  -- and in the server's file, once the application can do so",
        )  # fmt: skip


def _judge_log(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.setting("log_bin") in OFF:
        yield _error(
            facts, "P150", "`log_bin` is off: the server keeps no log of changes",
            "in the server's file, under [mysqld]: log_bin = bin, binlog_format = ROW, binlog_row_image = FULL, "
            "binlog_row_metadata = FULL;  -- then restart the server",
        )  # fmt: skip
        return
    for code, name, wanted, why in (
        ("P151", "binlog_format", "ROW", "the log tells statements, not what changed"),
        ("P152", "binlog_row_image", "FULL", "the log tells of a changed row only some columns"),
        ("P153", "binlog_row_metadata", "FULL", "the log does not name the columns of what changed"),
    ):
        if server.setting(name) not in (wanted, ""):
            mend = f"SET GLOBAL {name} = '{wanted}';  -- and in the server's file; sessions that are open keep the old"
            yield _error(facts, code, f"`{name}` is `{server.setting(name)}`: {why}", mend)
    if server.setting("binlog_row_value_options") not in OFF:
        yield _error(
            facts, "P161", "`binlog_row_value_options` is set: the log tells of a changed JSON only the difference",
            "SET GLOBAL binlog_row_value_options = '';  -- and in the server's file",
        )  # fmt: skip
    if server.setting("binlog_transaction_compression") not in OFF:
        yield _error(
            facts, "P162", "`binlog_transaction_compression` is on: this duolog cannot read such a log",
            "SET GLOBAL binlog_transaction_compression = OFF;  -- and in the server's file",
        )  # fmt: skip
    if server.setting("server_id") in ("0", str(server.reader_id)):
        yield _error(
            facts, "P156", f"`server_id` is {server.setting('server_id')}: the log cannot be read from such a server",
            "SET GLOBAL server_id = 1;  -- or any number that no other server or replica has; and in the server's file",
        )  # fmt: skip
    if not server.own_log:
        yield _error(
            facts, "P160", "`sql_log_bin` is off in our sessions: what duolog writes would be missing from the log",
            "SET GLOBAL init_connect = '';  -- or take `sql_log_bin` out of it",
        )  # fmt: skip
    left_out = [name for name in _databases(facts) if _left_out(server, name)]
    if left_out:
        yield _error(
            facts, "P159", f"`binlog_do_db` or `binlog_ignore_db` keeps out of the log: {ticked(left_out)}",
            "take both out of the server's file (or name these databases in binlog_do_db), then restart the server",
        )  # fmt: skip


def _judge_retention(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.setting("log_bin") in OFF:
        return
    seconds = float(server.setting("binlog_expire_logs_seconds") or 0)
    seconds = seconds or float(server.setting("expire_logs_days") or 0) * 86_400
    if seconds == 0:
        yield _warning(
            facts, "P107", "`binlog_expire_logs_seconds` is 0: the server keeps all its log, until the disk is full",
            "watch the disk; or SET GLOBAL binlog_expire_logs_seconds = 864000;  -- the longest outage that you expect",
        )  # fmt: skip
    else:
        yield _warning(
            facts, "P108",
            f"the server keeps its log for {_span(seconds)}: when duolog is away for longer, changes are lost to it, "
            "and a re-sync is needed",
            "size `binlog_expire_logs_seconds` for the longest outage that you expect",
        )  # fmt: skip


def _judge_user(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    who = account(server.user)
    log, look = CAPTURE[server.flavour][:2]
    if not server.may_replicate:
        yield _error(facts, "P120", f"`{server.user}` may not read the log", f"GRANT {log} ON *.* TO {who};")
    if not server.may_see_log:
        said = f"`{server.user}` may not see how far the log goes"
        yield _error(facts, "P124", said, f"GRANT {look} ON *.* TO {who};")
    if not server.may_freeze:
        said = f"`{server.user}` may not hold the server still for the moment in which a snapshot begins"
        yield _error(facts, "P125", said, f"GRANT RELOAD ON *.* TO {who};")
    if server.ledger == "closed":
        ledger = quoted(*LEDGER)
        yield _error(
            facts, "P123", f"`{server.user}` may not use `{'.'.join(LEDGER)}`, or it is not there yet",
            f"GRANT {', '.join(LEDGER_VERBS)} ON {ledger} TO {who};",
        )  # fmt: skip


def _judge_line(facts: Facts) -> Iterator[Finding]:
    if not facts.server.tls and not facts.loopback and not facts.insecure:
        yield _error(
            facts, "P130", "the connection leaves this machine without TLS: passwords and rows can be read on the way",
            "give the server a certificate (ssl_cert, ssl_key) and the address ssl_ca=...; or say `insecure: true` in "
            "the rules",
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


def _judge_replication(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    cluster = server.setting("wsrep_on") not in OFF
    if not cluster and not server.replicas:
        return
    others = "the other nodes of a Galera cluster" if cluster else "another server, whose replica this is"
    if server.setting("log_slave_updates", "log_replica_updates") in OFF:
        yield _error(
            facts, "P164", f"{others} may write here, and `log_slave_updates` is off: that is not in this server's log",
            "in the server's file: log_slave_updates = ON;  -- then restart the server",
        )  # fmt: skip
    yield _warning(
        facts, "P141", f"something else replicates into this server: {others}",
        "nothing, if that is intended: its changes are read as a user's. It must not carry the same rows in a circle",
    )  # fmt: skip


def _judge_waiting(facts: Facts, waiting: WaitingFacts) -> Iterator[Finding]:
    """Whether users can be made to wait for us at COMMIT, and let go."""
    settings, who = waiting.settings, account(waiting.user)
    if not settings.prefix:
        yield _error(
            facts, "P166", "the server has no semi-synchronous replication, by which users wait for duolog",
            "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';  -- before 8.0.26: rpl_semi_sync_master, "
            "semisync_master.so",
        )  # fmt: skip
        return
    if settings.point != AFTER_SYNC:
        name = settings.prefix + "wait_point"
        yield _error(
            facts, "P167", f"`{name}` is `{settings.point}`: others would see a change before the user's COMMIT has "
            "returned, and before the other systems have it",
            f"SET GLOBAL {name} = {AFTER_SYNC};  -- and in the server's file",
        )  # fmt: skip
    if not waiting.may_set:
        mend = f"GRANT {', '.join(SETTING[waiting.flavour])} ON *.* TO {who};"
        yield _error(facts, "P165", f"`{waiting.user}` may not make users wait, nor let them go", mend)
    if waiting.table == "closed":
        yield _error(
            facts, "P128", f"`{waiting.user}` may not use `{'.'.join(degraded.TABLE)}`, or it is not there yet",
            f"GRANT {', '.join(degraded.VERBS)} ON {quoted(*degraded.TABLE)} TO {who};",
        )  # fmt: skip
    if waiting.table == "missing" and facts.server.ledger == "there":
        yield _error(
            facts, "P116", "there is no table `duolog.degraded`, which tells when commits did not wait",
            "duolog setup RULES;  -- which makes it",
        )  # fmt: skip


def _judge_other_replicas(facts: Facts, waiting: WaitingFacts) -> Iterator[Finding]:
    """Whether others would answer in our stead: the server wants so many answers, whosever they are."""
    settings = waiting.settings
    if waiting.others < settings.needed:
        return
    many = "semi-synchronous replicas are" if waiting.others > 1 else "semi-synchronous replica is"
    stand_in = (
        f"{waiting.others} other {many} connected, and the answer of {settings.needed} is enough: commits return "
        "without duolog"
    )
    apart = "on each of them: SET GLOBAL rpl_semi_sync_slave_enabled = OFF; STOP SLAVE; START SLAVE;"
    if waiting.flavour == "mysql":
        count = next((name for name in settings.variables if name.startswith("wait_for_")), "wait_for_replica_count")
        apart = f"SET GLOBAL {settings.prefix}{count} = {waiting.others + 1};  -- all of them then have to answer"
    if waiting.rules.open_after_s is None:
        yield _error(facts, "P112", f"{stand_in}, where `when_away: closed` says that they wait", apart)
    else:
        yield _warning(facts, "P113", f"{stand_in}, and are recorded as degraded for as long as that is so", apart)


def _databases(facts: Facts) -> list[str]:
    """Those whose changes we have to see: the ledger tells which are our own."""
    return sorted({needed.table.schema for needed in facts.needed} | {DATABASE})


def _left_out(server: ServerFacts, database: str) -> bool:
    """As the server decides it; it compares names as they are written."""
    return database not in server.logged if server.logged else database in server.unlogged


def _strict(server: ServerFacts) -> str:
    mode = server.setting("sql_mode")
    return f"STRICT_TRANS_TABLES,{mode}" if mode else "STRICT_TRANS_TABLES"


def _span(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:g} days" if days >= 2 else f"{seconds / 3600:g} hours"


def _error(facts: Facts, code: str, found: str, mend: str) -> Finding:
    return _finding(facts, code, "error", found, mend)


def _warning(facts: Facts, code: str, found: str, mend: str) -> Finding:
    return _finding(facts, code, "warning", found, mend)


def _finding(facts: Facts, code: str, severity: Literal["error", "warning"], found: str, mend: str) -> Finding:
    return Finding(code=code, severity=severity, system=facts.system, found=found, mend=mend)
