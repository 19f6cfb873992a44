"""Turns a live PostgreSQL server into facts about it and the bound tables, for `preflight` to judge.

A few queries for all tables at once; nothing is judged, changed or locked here. Facts are plain values, so that every
judgement can be tried without a database.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from adapters.postgresql.catalog import read_catalog, read_foreign_keys
from adapters.postgresql.clock import clock_offset
from adapters.postgresql.names import origin_name, slot_name
from adapters.postgresql.rights import rights
from adapters.postgresql.session import connection_string
from adapters.postgresql.setting import parameter_rights_version
from adapters.postgresql.setup import read_facts, statements
from adapters.relational.judging import LooseJoin, SetupStep, both_create, loose_joins
from adapters.relational.live import TableName
from adapters.relational.rights import TableRights
from engine.catalog import Catalog
from engine.rulebook import RuleBook, Synchronous, Table

SERVER: Final = """
SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text,
       pg_is_in_recovery() AS standby, current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS slots_max,
       (SELECT count(*) FROM pg_replication_slots)::int AS slots_used,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %(slot)s) AS has_slot,
       current_setting('max_wal_senders')::int AS senders_max,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')::int AS senders_used,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %(slot)s AND active) AS reading,
       coalesce((SELECT setting::int FROM pg_settings WHERE name = 'max_active_replication_origins'),
                current_setting('max_replication_slots')::int) AS origins_max,
       (SELECT count(*) FROM pg_replication_origin WHERE roname <> ALL (%(ours)s::text[]))::int AS origins_others,
       cardinality(%(ours)s::text[]) AS origins_ours,
       current_user AS role, r.rolsuper OR r.rolreplication AS may_replicate,
       has_function_privilege('pg_catalog.pg_replication_origin_session_setup(text)', 'EXECUTE') AS may_mark,
       current_setting('synchronous_standby_names') AS synchronous_standby_names,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS kept_mb,
       coalesce((SELECT setting::bigint FROM pg_settings
                 WHERE name = 'idle_replication_slot_timeout'), 0) AS idle_limit,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
       ARRAY(SELECT subname::text FROM pg_subscription
             WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
             ORDER BY 1) AS subscriptions,
       ARRAY(SELECT o.roname FROM pg_replication_origin o
             WHERE o.roname <> ALL (%(origins)s::text[]) AND o.roname !~ '^pg_[0-9]+' ORDER BY 1) AS other_origins,
       ARRAY(SELECT w.schema FROM unnest(%(schemas)s::text[]) AS w(schema)
             JOIN pg_namespace n ON n.nspname = w.schema
             WHERE NOT has_schema_privilege(n.oid, 'USAGE') ORDER BY 1) AS closed_schemas,
       NOT EXISTS (
           SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS wanted(verb)
           WHERE n.nspname = 'duolog' AND c.relname = 'ledger'
             AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, wanted.verb))
       ) AS may_use_ledger
FROM pg_roles r WHERE r.rolname = current_user
"""

WAITING: Final = """
SELECT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.oid) AS has_table,
       coalesce(has_schema_privilege(t.relnamespace, 'USAGE') AND has_table_privilege(t.oid, 'SELECT')
                AND has_table_privilege(t.oid, 'INSERT') AND has_table_privilege(t.oid, 'UPDATE'), true) AS may_record,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       has_function_privilege('pg_catalog.pg_reload_conf()', 'EXECUTE') AS may_reload,
       pg_has_role('pg_read_all_stats', 'USAGE') AS may_see,
       (SELECT source = 'command line' FROM pg_settings WHERE name = 'synchronous_standby_names') AS fixed,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout') AS sender_timeout_ms,
       ARRAY(SELECT concat_ws(' in ', 'the role `' || r.rolname || '`', 'the database `' || d.datname || '`')
             FROM pg_db_role_setting x LEFT JOIN pg_roles r ON r.oid = x.setrole
             LEFT JOIN pg_database d ON d.oid = x.setdatabase
             WHERE (d.datname = current_database() OR x.setdatabase = 0) AND r.rolname IS DISTINCT FROM current_user
               AND EXISTS (SELECT FROM unnest(x.setconfig) AS u(said)
                           WHERE u.said ~* '^synchronous_commit=(off|local|false|no|0)$') ORDER BY 1) AS not_waiting
FROM (VALUES (1)) AS one LEFT JOIN (
    SELECT c.oid, c.relnamespace FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'duolog' AND c.relname = 'degraded') AS t ON true
"""

PARAMETER: Final = "SELECT has_parameter_privilege('synchronous_standby_names', 'ALTER SYSTEM')"
"""Of a server that knows such rights."""

TABLES: Final = """
WITH bound AS (
    SELECT w.schema, w.name, c.* FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w(schema, name)
    JOIN pg_namespace n ON n.nspname = w.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
)
SELECT b.schema, b.name, b.relreplident AS identity,
       ARRAY(SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) AS k(attnum)
             JOIN pg_attribute a ON a.attrelid = b.oid AND a.attnum = k.attnum
             WHERE i.indrelid = b.oid AND CASE b.relreplident WHEN 'd' THEN i.indisprimary
                                               WHEN 'i' THEN i.indisreplident END) AS identity_columns,
       ARRAY(SELECT p.relid::regclass::text FROM pg_partition_tree(b.oid) p JOIN pg_class l ON l.oid = p.relid
             WHERE b.relkind = 'p' AND p.isleaf AND l.relreplident <> 'f' AND NOT EXISTS (
                 SELECT FROM pg_index i WHERE i.indrelid = l.oid AND CASE l.relreplident
                 WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)) AS unidentified,
       has_table_privilege(b.oid, 'SELECT') AS may_select, has_table_privilege(b.oid, 'DELETE') AS may_delete,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = b.oid AND a.attnum > 0
             AND NOT a.attisdropped AND has_column_privilege(b.oid, a.attnum, 'INSERT')) AS may_insert,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = b.oid AND a.attnum > 0
             AND NOT a.attisdropped AND has_column_privilege(b.oid, a.attnum, 'UPDATE')) AS may_update,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = b.oid AND a.attnum > 0
             AND NOT a.attisdropped AND a.attidentity = 'a') AS identity_always,
       ARRAY(SELECT DISTINCT s.oid::regclass::text FROM pg_attrdef d
             JOIN pg_depend x ON x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid
                             AND x.refclassid = 'pg_class'::regclass
             JOIN pg_class s ON s.oid = x.refobjid
             WHERE d.adrelid = b.oid  -- CASE, as the planner may ask for the right before it looks at the kind
               AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END
             ORDER BY 1) AS closed_sequences,
       ARRAY(SELECT s.oid::regclass::text FROM pg_depend x JOIN pg_class s ON s.oid = x.objid
             WHERE x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass
               AND x.refobjid = b.oid AND x.deptype = 'i'
               AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END
             ORDER BY 1) AS closed_identities,
       row_security_active(b.oid) AS rows_hidden,
       ARRAY(SELECT t.tgname || ':' || t.tgenabled::text FROM pg_trigger t
             WHERE t.tgrelid IN (SELECT b.oid UNION SELECT relid FROM pg_partition_tree(b.oid))
               AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND (t.tgtype & 28) <> 0 ORDER BY 1) AS triggers,
       ARRAY(SELECT w.rulename::text FROM pg_rewrite w WHERE w.ev_class = b.oid AND w.rulename <> '_RETURN'
             AND w.ev_enabled <> 'D' ORDER BY 1) AS rules,
       ARRAY(SELECT f.conname::text || ':' || f.conrelid::regclass::text FROM pg_constraint f
             WHERE f.contype = 'f' AND f.confrelid = b.oid
               AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd')) ORDER BY 1) AS cascades
FROM bound b
"""

SEQUENCES: Final = """
SELECT DISTINCT s.oid::regclass::text AS name
FROM unnest(%s::text[], %s::text[]) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
JOIN pg_attrdef d ON d.adrelid = c.oid
JOIN pg_depend x ON x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid AND x.refclassid = 'pg_class'::regclass
JOIN pg_class s ON s.oid = x.refobjid AND s.relkind = 'S'
UNION
SELECT s.oid::regclass::text
FROM unnest(%s::text[], %s::text[]) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
JOIN pg_depend x ON x.classid = 'pg_class'::regclass AND x.refclassid = 'pg_class'::regclass
                AND x.refobjid = c.oid AND x.deptype = 'i'
JOIN pg_class s ON s.oid = x.objid AND s.relkind = 'S'
UNION
SELECT s.oid::regclass::text
FROM unnest(%s::text[]) AS w(name) JOIN pg_class s ON s.oid = to_regclass(w.name) AND s.relkind = 'S'
ORDER BY 1
"""
"""Sequences that the defaults of these tables' columns count with; that identity columns do; that the rules name."""

CLOSED: Final = """
SELECT w.name FROM unnest(%s::text[]) AS w(name) JOIN pg_class s ON s.oid = to_regclass(w.name)
WHERE CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END
"""
"""Those of the named sequences that our role may not use."""

ABSENT_SEQUENCES: Final = """
SELECT w.name FROM unnest(%s::text[]) AS w(name) LEFT JOIN pg_class s ON s.oid = to_regclass(w.name)
WHERE s.relkind IS DISTINCT FROM 'S'
"""
"""Those of the named sequences that are none."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What matters of the server, the database and our role. Defaults are those of a server that is fit."""

    version: int = 180_000
    version_text: str = "18.0"
    standby: bool = False
    wal_level: str = "logical"
    slots_max: int = 10
    slots_used: int = 0
    has_slot: bool = False
    senders_max: int = 10
    senders_used: int = 0
    reading: bool = False
    """Our slot is being read now: one of the senders is ours."""
    origins_max: int = 10
    """How many replication origins the server can follow."""
    origins_others: int = 0
    origins_ours: int = 1
    """How many this system's engines have, or will have."""
    role: str = "duolog"
    may_replicate: bool = True
    may_mark: bool = True
    may_use_ledger: bool = True
    synchronous_standby_names: str = ""
    kept_mb: int = -1
    """How much log a slot may hold back, in MB; -1: without limit."""
    idle_limit: int = 0
    """Seconds after which an unread slot is given up (18 and later); 0: never."""
    tls: bool = True
    subscriptions: tuple[str, ...] = ()
    other_origins: tuple[str, ...] = ()
    """Replication origins of the server that are neither ours nor a subscription's."""
    closed_schemas: tuple[str, ...] = ()
    """Schemas that our role may not look into."""


@dataclass(frozen=True, slots=True)
class WaitingFacts:
    """What matters where users shall wait for us at COMMIT."""

    rules: Synchronous
    has_table: bool = True
    """`duolog.degraded` is there."""
    may_record: bool = True
    superuser: bool = False
    may_set: bool = True
    may_reload: bool = True
    may_see: bool = True
    fixed: bool = False
    """`synchronous_standby_names` is set where ALTER SYSTEM does not reach."""
    sender_timeout_ms: int = 60_000
    not_waiting: tuple[str, ...] = ()
    """Where `synchronous_commit` is set so that users do not wait, in words."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What matters of one bound table beside its shape."""

    identity: str = "d"
    """`pg_class.relreplident`: d default (primary key), n nothing, f full, i index."""
    identity_columns: tuple[str, ...] = ()
    """The columns that identify an old row in the log; empty also for full."""
    unidentified: tuple[str, ...] = ()
    """Partitions without a replica identity."""
    may_select: bool = True
    may_delete: bool = True
    may_insert: tuple[str, ...] = ()
    may_update: tuple[str, ...] = ()
    identity_always: tuple[str, ...] = ()
    """Columns GENERATED ALWAYS AS IDENTITY."""
    closed_sequences: tuple[str, ...] = ()
    """Sequences of column defaults that our role may not use."""
    closed_identities: tuple[str, ...] = ()
    """Sequences of identity columns that our role may not use: an INSERT may, but we ask before it."""
    rows_hidden: bool = False
    """Row level security applies to our role."""
    triggers: tuple[str, ...] = ()
    """The application's triggers on rows, as `name:O`; O fires for users and us, A always, R only for replication."""
    rules: tuple[str, ...] = ()
    cascades: tuple[str, ...] = ()
    """Foreign keys onto this table that change other rows, as `name:table`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `preflight` judges."""

    system: str
    server: ServerFacts
    catalog: Catalog
    needed: tuple[TableRights, ...]
    """By bound table."""
    generated_keys: tuple[TableName, ...] = ()
    """Tables whose own inserts and ours both make records."""
    tables: Mapping[TableName, TableFacts] = field(default_factory=dict)
    closed_sequences: tuple[str, ...] = ()
    """Sequences that the rules name and our role may not use, as the rules write them."""
    absent_sequences: tuple[str, ...] = ()
    """Names that the rules give for sequences, and that are none."""
    assembled: bool = False
    """Some entity's records are put together out of rows here: what happens to any of those matters."""
    loose: tuple[LooseJoin, ...] = ()
    steps: tuple[SetupStep, ...] = ()
    """What `duolog setup` is to make."""
    loopback: bool = True
    """Nothing that we send leaves this machine."""
    insecure: bool = False
    """The DBA accepts a connection without TLS."""
    clock_offset_us: int = 0
    """The server's clock minus ours, microseconds."""
    clock_error_us: int = 0
    """How far off the measured offset may be."""
    slot: str = ""
    """Its name, which is our reader's at COMMIT."""
    waiting: WaitingFacts | None = None
    """None: the system is not synchronous."""


def gather(
    conn: psycopg.Connection[Any], book: RuleBook, system: str, *, url: str = "", insecure: bool = False
) -> Facts:
    """The facts about `system`. `url`: its address, of which every host counts, as a connection may go to any of them;
    `insecure`: the DBA accepts a connection without TLS.

    Raises psycopg.Error; NotSetUp if our slot's name is taken by something else."""
    names = [(table.schema, table.name) for table in book.tables[system]]
    given = {
        "slot": slot_name(book.name, system),
        "origins": [origin_name(engine, name) for name in book.systems for engine in book.engines],
        "ours": [origin_name(engine, system) for engine in book.engines],
        "schemas": [schema for schema, _ in names],
        "names": [name for _, name in names],
    }
    with conn.cursor(row_factory=dict_row) as cursor:
        server = cursor.execute(SERVER.encode(), given).fetchone()
        tables = cursor.execute(TABLES.encode(), given).fetchall()
    assert server is not None, "the role of the session is in pg_roles"
    needed = tuple(rights(book, system))
    named = [name for each in needed for name in each.sequences]
    offset, error = clock_offset(conn)
    return Facts(
        system=system,
        server=ServerFacts(**_frozen(server)),
        catalog=read_catalog(conn, system, names),
        needed=needed,
        generated_keys=both_create(book, system),
        tables={(row.pop("schema"), row.pop("name")): TableFacts(**_frozen(row)) for row in tables},
        closed_sequences=tuple(name for (name,) in conn.execute(CLOSED.encode(), [named])),
        absent_sequences=tuple(name for (name,) in conn.execute(ABSENT_SEQUENCES.encode(), [named])),
        assembled=any(binding.assembly is not None for binding in book.bound[system]),
        loose=loose_joins(book, system, read_foreign_keys(conn, names)),
        steps=tuple(statements(book, system, read_facts(conn, book, system))),
        loopback=all(_is_loopback(host) for host in _hosts(conn, url)),
        insecure=insecure,
        clock_offset_us=offset,
        clock_error_us=error,
        slot=slot_name(book.name, system),
        waiting=_waiting(conn, book.synchronous[system], url) if system in book.synchronous else None,
    )


def _waiting(conn: psycopg.Connection[Any], rules: Synchronous, url: str) -> WaitingFacts:
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(WAITING.encode()).fetchone()
    assert found is not None
    may_set = found["superuser"]
    if not may_set and conn.info.server_version >= parameter_rights_version:
        may_set = conn.execute(PARAMETER).fetchone() == (True,)
    if url and _server_does_not_wait(url):
        found["not_waiting"].append("the whole server")
    return WaitingFacts(rules, may_set=may_set, **_frozen(found))


def _server_does_not_wait(url: str) -> bool:
    """What an application's session finds that says nothing of it itself; ours says something."""
    with psycopg.connect(connection_string(url, application_name="duolog check", plain=True)) as plain:
        row = plain.execute(
            "SELECT setting IN ('off', 'local') AND source IN ('configuration file', 'command line') "
            "FROM pg_settings WHERE name = 'synchronous_commit'"
        ).fetchone()
    return row == (True,)


def sequences(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> list[str]:
    """The sequences that rows of ours are numbered with, as SQL writes them: of the tables that we insert into."""
    needed = [each for each in rights(book, system) if each.insert]
    given = _names([each.table for each in needed]) + _names([each.table for each in needed if each.numbers])
    given.append([name for each in needed for name in each.sequences])
    return [name for (name,) in conn.execute(SEQUENCES.encode(), given)]


def _names(tables: Sequence[Table]) -> list[list[str]]:
    return [[table.schema for table in tables], [table.name for table in tables]]


def _hosts(conn: psycopg.Connection[Any], url: str) -> list[str]:
    given = conninfo_to_dict(url) if url else {}
    listed = given.get("hostaddr") or given.get("host") or conn.info.hostaddr or conn.info.host
    return str(listed).split(",")


def _is_loopback(host: str) -> bool:
    """True for a Unix socket's folder and for 127.0.0.0/8 and ::1."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _frozen(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
