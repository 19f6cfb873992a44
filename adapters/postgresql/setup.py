"""Turns compiled rules into what has to exist in a PostgreSQL database before duolog can run, and takes it away again.

That is: the schema `duolog` with the ledger, a replication origin, a publication of exactly the bound tables, and a
logical slot, which comes last because from then on the server keeps its log for us; for a synchronous system also the
table of the ranges in which commits did not wait. Commits must not wait for a reader whose slot is yet to be made: who
waits so is let go before. What is there already is left
alone, so that it may be run any number of times. It never touches the application's tables: a missing replica identity
is told (`duolog check` shows the SQL), never set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql

from adapters.postgresql import degraded, fencing, ledger, setting
from adapters.postgresql.names import origin_name, publication_name, slot_name
from adapters.postgresql.rights import grants
from adapters.postgresql.session import translate
from adapters.relational.judging import SetupStep
from adapters.relational.live import TableName
from engine.errors import NotSetUp, SchemaChanged, SlotBusy, SystemUnavailable
from engine.rulebook import RuleBook

__all__ = ["SetupFacts", "grants", "read_facts", "setup", "statements", "teardown"]

OBJECTS: Final = """
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'duolog'),
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'duolog' AND c.relname = 'ledger'),
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'duolog' AND c.relname = 'degraded'),
       ARRAY(SELECT roname::text FROM pg_replication_origin WHERE roname = ANY (%(origins)s::text[])),
       (SELECT plugin || ' ' || database FROM pg_replication_slots WHERE slot_name = %(slot)s),
       (SELECT puballtables OR NOT (pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot)
        FROM pg_publication WHERE pubname = %(publication)s),
       current_database(), current_setting('synchronous_standby_names')
"""

PUBLISHED: Final = """
SELECT n.nspname, c.relname, to_jsonb(r) -> 'prqual' <> 'null' OR to_jsonb(r) -> 'prattrs' <> 'null'
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = %s
"""
"""Its tables, and whether only some of their rows or columns are published (columns of PostgreSQL 15 and later)."""

IDENTITIES: Final = """
SELECT w.schema, w.name, c.oid IS NOT NULL,
       CASE c.relreplident
           WHEN 'f' THEN true
           WHEN 'd' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
           WHEN 'i' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)
           ELSE false END
FROM unnest(%s::text[], %s::text[]) AS w(schema, name)
LEFT JOIN pg_namespace n ON n.nspname = w.schema
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
"""

LET_GO: Final = f"`{setting.NAME}`: without us, as there is no slot yet"

TABLES: Final = ("ledger", "degraded")

OTHERS: Final = "SELECT count(*) FROM pg_publication WHERE pubname LIKE 'duolog\\_%%' AND pubname <> %s"


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """What is there already."""

    schema: bool = False
    ledger: bool = False
    degraded: bool = False
    """The table of the ranges in which commits did not wait."""
    ranges: bool = False
    """It has some of this engine."""
    standbys: str = ""
    """For whom commits wait: `synchronous_standby_names`."""
    origins: frozenset[str] = frozenset()
    slot: bool = False
    publication: bool = False
    publication_differs: bool = False
    """It exists, but publishes all tables, or not every kind of change, or partitions under their own names."""
    published: Mapping[TableName, bool] = field(default_factory=dict)
    """Its tables; True where only some rows or columns are published."""


def statements(book: RuleBook, system: str, facts: SetupFacts) -> list[SetupStep]:
    """All that has to be there, in the order in which it has to be made; `done` where it is. Pure.

    Raises SystemStopped if `synchronous_standby_names` cannot be understood."""
    slot = slot_name(book.name, system)
    make_slot = sql.SQL("SELECT pg_create_logical_replication_slot({}, 'pgoutput')").format(sql.Literal(slot))
    names = setting.understood(facts.standbys, system)
    let_go = names.name(slot) and not facts.slot
    return [
        SetupStep("schema `duolog`", "CREATE SCHEMA IF NOT EXISTS duolog", facts.schema),
        SetupStep("table `duolog.ledger`", ledger.CREATE, facts.ledger),
        *(_degraded_steps(book, facts) if system in book.synchronous else ()),
        *(_origin_step(origin, facts) for origin in _origins(book, system)),
        *_publication_steps(book, system, facts),
        *([SetupStep(LET_GO, _set_standbys(str(names.without(slot))), False)] if let_go else ()),
        SetupStep(f"logical slot `{slot}`", make_slot.as_string(), facts.slot),
    ]


def _origins(book: RuleBook, system: str) -> list[str]:
    return [origin_name(engine, system) for engine in book.engines]


def _origin_step(origin: str, facts: SetupFacts) -> SetupStep:
    make = sql.SQL("SELECT pg_replication_origin_create({})").format(sql.Literal(origin)).as_string()
    return SetupStep(f"replication origin `{origin}`", make, origin in facts.origins)


def _set_standbys(names: str) -> str:
    return setting.SET.format(sql.Literal(names)).as_string() + "; SELECT pg_reload_conf()"


def _degraded_steps(book: RuleBook, facts: SetupFacts) -> list[SetupStep]:
    first = sql.SQL(degraded.FIRST).format(engine=sql.Literal(book.name)).as_string()
    return [
        SetupStep(f"table `{degraded.TABLE}`", degraded.CREATE, facts.degraded),
        SetupStep(f"table `{degraded.TABLE}`: never armed yet", first, facts.ranges),
    ]


def read_facts(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> SetupFacts:
    """What is there. Raises NotSetUp if our slot's name is taken by something else; psycopg.Error."""
    names = {
        "origins": _origins(book, system),
        "slot": slot_name(book.name, system),
        "publication": publication_name(book.name, system),
    }
    row = conn.execute(OBJECTS.encode(), names).fetchone()
    assert row is not None
    schema, has_ledger, has_degraded, origins, slot, differs, database, standbys = row
    if slot is not None and slot != "pgoutput " + database:
        raise NotSetUp(
            f"the replication slot `{names['slot']}` belongs to another plugin or database: `{slot}`",
            system=system,
            mend=f"if nobody needs it: SELECT pg_drop_replication_slot('{names['slot']}')",
        )
    published = conn.execute(PUBLISHED.encode(), [names["publication"]]).fetchall()
    ranges = has_degraded and _has_ranges(conn, book.name)
    return SetupFacts(
        schema=schema, ledger=has_ledger, degraded=has_degraded, ranges=ranges, standbys=standbys,
        origins=frozenset(origins), slot=slot is not None,
        publication=differs is not None, publication_differs=bool(differs),
        published={(schema, table): bool(partial) for schema, table, partial in published},
    )  # fmt: skip


def _has_ranges(conn: psycopg.Connection[Any], engine: str) -> bool:
    try:
        return conn.execute(degraded.ANY.encode(), [engine]).fetchone() is not None
    except psycopg.errors.InsufficientPrivilege:
        return True  # `check` tells of the right that is missing; that setup has been here, it can see


def setup(
    conn: psycopg.Connection[Any], book: RuleBook, system: str, *, told: Callable[[SetupStep], None] | None = None
) -> list[SetupStep]:
    """Makes what is missing, and answers what it made; `told` hears of each step before it is done.

    Making the slot waits for transactions that are writing now. Raises NotSetUp (a table has no replica identity, and
    publishing it would make the application's own UPDATE fail), AccessDenied, SystemUnavailable, SystemStopped."""
    try:
        _refuse_unidentified(conn, book, system)
        missing = [step for step in statements(book, system, read_facts(conn, book, system)) if not step.done]
        for step in missing:
            if told is not None:
                told(step)
            if step.what == LET_GO:
                _let_go(conn, book, system, "the slot is made again")
            else:
                conn.execute(step.sql.encode())
    except psycopg.Error as error:
        raise translate(error, system) from None
    return missing


def teardown(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> list[str]:
    """Takes away what `setup` made, and answers what that was; what is gone already is passed over.

    Who waits for us at COMMIT is let go first. The tables stay while another engine uses them, the schema while
    anything is in it. Raises SlotBusy or SystemUnavailable, naming the process, if the engine still runs: nobody is
    hung up on."""
    try:
        slot = slot_name(book.name, system)
        _refuse_busy(conn, slot, system)
        done = _let_go(conn, book, system, "torn down")
        done += _drop_slot(conn, slot)
        for origin in _origins(book, system):
            done += _drop_origin(conn, origin, system)
        publication = publication_name(book.name, system)
        if conn.execute("SELECT FROM pg_publication WHERE pubname = %s", [publication]).fetchone() is not None:
            conn.execute(sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(publication)))
            done.append(f"publication `{publication}`")
        return done + _drop_tables(conn, book, publication)
    except psycopg.Error as error:
        raise translate(error, system) from None


def _publication_steps(book: RuleBook, system: str, facts: SetupFacts) -> list[SetupStep]:
    name = publication_name(book.name, system)
    what = f"publication `{name}`"
    tables = sorted({(table.schema, table.name) for table in book.tables[system]})
    listed = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
    publish = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"
    given = {"name": sql.Identifier(name), "tables": listed, "publish": sql.SQL(publish)}
    create = sql.SQL("CREATE PUBLICATION {name} FOR TABLE {tables} WITH ({publish})").format(**given).as_string()
    if not facts.publication:
        return [SetupStep(what, create, False)]
    steps = [SetupStep(what, create, True)]
    if facts.publication_differs:
        step = sql.SQL("ALTER PUBLICATION {name} SET ({publish})").format(**given).as_string()
        steps.append(SetupStep(what + ": every kind of change", step, False))
    if facts.published != dict.fromkeys(tables, False):
        step = sql.SQL("ALTER PUBLICATION {name} SET TABLE {tables}").format(**given).as_string()
        steps.append(SetupStep(what + ": " + _difference(tables, facts.published), step, False))
    return steps


def _difference(tables: list[TableName], published: Mapping[TableName, bool]) -> str:
    """`add `public.a`, whole `public.b`, drop `public.c`` """
    words = [("add", name) for name in tables if name not in published]
    words += [("whole", name) for name in tables if published.get(name)]
    words += [("drop", name) for name in sorted(published) if name not in tables]
    return ", ".join(verb + " `" + ".".join(name) + "`" for verb, name in words)


def _refuse_unidentified(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> None:
    tables = book.tables[system]
    given = [[table.schema for table in tables], [table.name for table in tables]]
    for schema, name, exists, identified in conn.execute(IDENTITIES.encode(), given):
        if not exists:
            raise SchemaChanged(
                f"there is no table `{schema}.{name}`",
                system=system,
                mend="`duolog check RULES` tells the nearest names",
            )
        if not identified:
            table = sql.Identifier(schema, name).as_string()
            raise NotSetUp(
                f"`{schema}.{name}` has no replica identity: publishing it would make the application's own UPDATE "
                "and DELETE fail",
                system=system,
                mend=f"ALTER TABLE {table} REPLICA IDENTITY FULL;  -- or give it a primary key",
            )


def _let_go(conn: psycopg.Connection[Any], book: RuleBook, system: str, why: str) -> list[str]:
    """Nobody waits for our reader at COMMIT any more; from where on, is recorded first."""
    slot = slot_name(book.name, system)
    if not setting.current(conn, system).name(slot):
        return []
    if conn.execute("SELECT to_regclass('duolog.degraded')").fetchone() != (None,):
        conn.execute(degraded.SETUP.encode(), {"engine": book.name, "why": why})
    setting.take_out(conn, system, slot)
    return [f"`{slot}` in `{setting.NAME}`"]


def _refuse_busy(conn: psycopg.Connection[Any], slot: str, system: str) -> None:
    row = conn.execute("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", [slot]).fetchone()
    if row is not None and row[0] is not None:
        raise SlotBusy(
            f"the slot `{slot}` is being read by the process {row[0]}", system=system, mend="stop duolog first"
        )


def _drop_slot(conn: psycopg.Connection[Any], slot: str) -> list[str]:
    dropped = conn.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [slot]
    )
    return [f"logical slot `{slot}`"] if dropped.fetchone() is not None else []


def _drop_origin(conn: psycopg.Connection[Any], origin: str, system: str) -> list[str]:
    if conn.execute("SELECT FROM pg_replication_origin WHERE roname = %s", [origin]).fetchone() is None:
        return []
    try:
        conn.execute("SELECT pg_replication_origin_drop(%s)", [origin])
    except psycopg.errors.ObjectInUse as error:
        pid = (error.diag.message_primary or "").rpartition("PID ")[2]
        raise SystemUnavailable(
            f"the replication origin `{origin}` is in use by the process {pid}",
            system=system, mend="stop duolog first",
        ) from None  # fmt: skip
    return [f"replication origin `{origin}`"]


def _drop_tables(conn: psycopg.Connection[Any], book: RuleBook, publication: str) -> list[str]:
    done = []
    ours = [book.name, *book.engines, *(fencing.PREFIX + engine for engine in book.engines)]
    for name in TABLES:
        if conn.execute("SELECT to_regclass(%s)", [f"duolog.{name}"]).fetchone() == (None,):
            continue
        table = sql.Identifier("duolog", name)
        conn.execute(sql.SQL("DELETE FROM {} WHERE engine = ANY (%s)").format(table), [ours])
        others = conn.execute(OTHERS.encode(), [publication]).fetchone()
        if others == (0,) and conn.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(table)).fetchone() is None:
            conn.execute(sql.SQL("DROP TABLE {}").format(table))
            done.append(f"table `duolog.{name}`")
    try:
        if conn.execute("SELECT to_regnamespace('duolog')").fetchone() != (None,):
            conn.execute("DROP SCHEMA duolog")
            done.append("schema `duolog`")
    except psycopg.errors.DependentObjectsStillExist:
        pass  # somebody keeps something in it: another engine's ledger, or a DBA's own table
    return done
