"""Every finding of the PostgreSQL preflight, by its whole text, without a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.postgresql.facts import Facts, ServerFacts, TableFacts, WaitingFacts
from adapters.postgresql.preflight import Capabilities, assess, capabilities
from adapters.relational.judging import SetupStep
from adapters.relational.rights import TableRights
from engine.catalog import Catalog, Column, TableShape
from engine.rulebook import Synchronous, Table

ID = Column("id", "bigint", "integer", nullable=False)
NAME = Column("name", "text", "text")
SHAPE = TableShape("public", "item", "table", {"id": ID, "name": NAME}, ("id",), (("id",),))
ITEM = Table("public", "item", ("id", "name"), (0,))
NAME_OF = ("public", "item")
NEEDED = TableRights(ITEM, ("id", "name"), ("name",), True)
TABLE = TableFacts(identity_columns=("id",), may_insert=("id", "name"), may_update=("id", "name"))
FIT = Facts(
    system="erp",
    server=ServerFacts(kept_mb=100_000),
    catalog=Catalog("erp", {NAME_OF: SHAPE}, (NAME_OF, ("public", "items"), ("sales", "Order"))),
    needed=(NEEDED,),
    tables={NAME_OF: TABLE},
)


def server(**changes: Any) -> Facts:
    return replace(FIT, server=replace(FIT.server, **changes))


def table(**changes: Any) -> Facts:
    return replace(FIT, tables={NAME_OF: replace(TABLE, **changes)})


def shape(**changes: Any) -> Facts:
    return replace(FIT, catalog=replace(FIT.catalog, tables={NAME_OF: replace(SHAPE, **changes)}))


def column(changed: Column) -> Facts:
    return shape(columns={"id": ID, "name": NAME, changed.name: changed})


def bound(*columns: str, schema: str = "public", name: str = "item") -> Facts:
    return replace(FIT, needed=(TableRights(Table(schema, name, columns, (0,)), (), (), False),))


CLOSED, OPEN = Synchronous(None, "release"), Synchronous(5.0, "release")


def waiting(rules: Synchronous = CLOSED, names: str = "", **changes: Any) -> Facts:
    """Of a synchronous system that is set up, and reads by the slot `us`."""
    fit = server(has_slot=True, synchronous_standby_names=names)
    return replace(fit, slot="us", waiting=WaitingFacts(rules, **changes))


STEP = SetupStep("publication `p`: add `public.item`", "ALTER PUBLICATION p ADD TABLE item", False)
FULL = 'ALTER TABLE "public"."item" REPLICA IDENTITY FULL;'
INTENDED = "nothing, if that is intended: what they change is read as a change of this system"

CASES: list[tuple[Facts, str, str]] = [
    (server(version=130_000, version_text="13.9"), "error P101: PostgreSQL 13.9 is too old", "14 or later is needed"),
    (
        server(version=190_000, version_text="19beta1"),
        "warning P102: PostgreSQL 19beta1 is newer than this duolog knows",
        "try it on a copy before relying on it",
    ),
    (server(standby=True), "error P103: the server is a standby", "point the address at the primary"),
    (
        server(wal_level="replica"),
        "error P104: `wal_level` is `replica`: the log does not tell what changed",
        "ALTER SYSTEM SET wal_level = 'logical';  -- then restart the server",
    ),
    (
        server(slots_used=10),
        "error P105: no replication slot is free: 10 of 10 are used",
        "ALTER SYSTEM SET max_replication_slots = 14;  -- then restart the server",
    ),
    (
        server(senders_used=10),
        "error P106: no log sender is free: 10 of 10 are used",
        "ALTER SYSTEM SET max_wal_senders = 14;  -- then restart the server",
    ),
    (
        server(synchronous_standby_names="s1"),
        "warning P109: `synchronous_standby_names` is `s1`: the application's commits wait for a standby, and duolog "
        "may read a change before they return",
        "nothing, if that is intended; duolog's own writes wait for no standby",
    ),
    (
        replace(server(synchronous_standby_names="FIRST 2 (US, s1)"), slot="us"),
        "error P111: `synchronous_standby_names` names `us` before its slot exists: commits wait for it, and making "
        "the slot waits for them",
        "ALTER SYSTEM SET synchronous_standby_names = 's1'; SELECT pg_reload_conf();  -- then `duolog setup RULES` "
        "and `duolog run RULES`, which names it when it reads",
    ),
    (
        replace(server(synchronous_standby_names="us", has_slot=True), slot="us"),
        "warning P118: `synchronous_standby_names` names `us`, and the rules say `commit: asynchronous`: commits wait "
        "for duolog for nothing",
        "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();",
    ),
    (
        waiting(CLOSED, "ANY 1 (a, b)"),
        "error P112: of the 2 standbys in `synchronous_standby_names` (ANY 1 (a, b)) commits wait for 1 only: while "
        "duolog is away, another one answers in its stead, and commits return without it, where `when_away: closed` "
        "says that they wait",
        "wait for all of them: ALTER SYSTEM SET synchronous_standby_names = 'FIRST 2 (a, b)'; SELECT pg_reload_conf(); "
        "or name no more than are waited for; or say `when_away: open after 5s`",
    ),
    (
        waiting(OPEN, "FIRST 2 (us, a, b)"),
        "warning P113: of the 2 standbys in `synchronous_standby_names` (a, b) commits wait for 1 only: while duolog "
        "is away, another one answers in its stead, and commits return without it from that moment on, not after 5 s",
        "nothing, if that is intended: the range is recorded; else wait for all of them: ALTER SYSTEM SET "
        "synchronous_standby_names = 'FIRST 2 (a, b)'; SELECT pg_reload_conf();",
    ),
    (
        waiting(OPEN, "*"),
        "error P114: `synchronous_standby_names` is `*`: whoever connects could answer in duolog's stead",
        "name the standbys: ALTER SYSTEM SET synchronous_standby_names = 'NAME'; SELECT pg_reload_conf();",
    ),
    (
        waiting(not_waiting=("the role `batch`", "the database `erp`")),
        "warning P115: `synchronous_commit` is `local` or `off` for the role `batch`, the database `erp`: commits "
        "there wait for nobody, nor for duolog, unless a session sets it itself",
        "nothing, if that is intended; else SET it to `on` there",
    ),
    (
        waiting(has_table=False),
        "error P116: there is no table `duolog.degraded`, which tells when commits did not wait",
        "duolog setup RULES;  -- which makes it",
    ),
    (
        waiting(fixed=True),
        "error P117: `synchronous_standby_names` is set on the server's command line, which ALTER SYSTEM does not "
        "reach: nobody could be let go",
        "take it off the command line, and restart the server",
    ),
    (
        waiting(sender_timeout_ms=0),
        "warning P119: `wal_sender_timeout` is 0, without limit: for so long the server takes a machine for there "
        "that has vanished, and no other duolog can read meanwhile",
        "ALTER SYSTEM SET wal_sender_timeout = '10s'; SELECT pg_reload_conf();",
    ),
    (
        waiting(may_set=False),
        "error P124: the role `duolog` may not set `synchronous_standby_names`",
        'GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO "duolog";',
    ),
    (
        waiting(may_reload=False),
        "error P125: the role `duolog` may not have the server read its settings again",
        'GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO "duolog";',
    ),
    (
        waiting(may_see=False),
        "error P126: the role `duolog` may not see who waits",
        'GRANT pg_read_all_stats TO "duolog";',
    ),
    (
        replace(
            server(has_slot=True, version=140_012, version_text="14.12"), slot="us",
            waiting=WaitingFacts(CLOSED, may_set=False, may_reload=False, may_see=False),
        ),
        "error P127: the role `duolog` is no superuser, and PostgreSQL 14 lets nobody else set "
        "`synchronous_standby_names`",
        'ALTER ROLE "duolog" SUPERUSER;  -- or PostgreSQL 15 or later',
    ),
    (
        waiting(may_record=False),
        "error P128: the role `duolog` may not use `duolog.degraded`",
        'GRANT SELECT, INSERT, UPDATE ON duolog.degraded TO "duolog";',
    ),
    (
        server(idle_limit=3600),
        "warning P110: `idle_replication_slot_timeout` is 3600 s: when duolog is away for longer, its slot is given "
        "up, and a re-sync is needed",
        "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();",
    ),
    (
        server(may_replicate=False),
        "error P120: the role `duolog` may not read the log",
        'ALTER ROLE "duolog" REPLICATION;',
    ),
    (
        server(may_mark=False),
        "error P121: the role `duolog` may not mark its transactions",
        'GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_setup(text) TO "duolog";',
    ),
    (
        server(closed_schemas=("Sales", "Sales")),
        "error P122: the role `duolog` may not look into the schema `Sales`",
        'GRANT USAGE ON SCHEMA "Sales" TO "duolog";',
    ),
    (
        server(may_use_ledger=False),
        "error P123: the role `duolog` may not use `duolog.ledger`",
        'GRANT USAGE ON SCHEMA duolog TO "duolog"; '
        'GRANT SELECT, INSERT, UPDATE, DELETE ON duolog.ledger TO "duolog";',
    ),
    (
        replace(server(tls=False), loopback=False),
        "error P130: the connection leaves this machine without TLS: passwords and rows can be read on the way",
        "set `ssl = on` at the server and sslmode=verify-full in the address; or say `insecure: true` in the rules",
    ),
    (
        replace(FIT, clock_offset_us=-2_500_000, clock_error_us=300),
        "warning P131: the server's clock is 2.5 s behind ours: between writes that close together `last_writer` "
        "cannot tell which was last",
        "let both follow the same time server (NTP)",
    ),
    (
        replace(FIT, steps=(STEP,)),
        "error P140: the publication does not match the rules: publication `p`: add `public.item`",
        "duolog setup RULES;  -- it runs ALTER PUBLICATION p ADD TABLE item",
    ),
    (
        server(subscriptions=("s",), other_origins=("o",)),
        "warning P141: something else replicates into this server: the subscription `s`, the replication origin `o`",
        "nothing, if that is intended: its changes are read as a user's. It must not carry the same rows in a circle",
    ),
    (
        bound("id", name="itm"),
        "error P201: there is no table `public.itm`",
        "did you mean `public.item` or `public.items`?",
    ),
    (
        bound("id", schema="sales", name="order"),
        "error P201: there is no table `sales.order`",
        "write it as `sales.Order`: upper and lower case count",
    ),
    (shape(kind="view"), "error P202: `public.item` is no table that can be read: a view has no log of its own",
     "bind the table behind it"),
    (
        shape(kind="materialized view"),
        "error P202: `public.item` is no table that can be read: a materialized view has no log of its own",
        "bind the tables behind it",
    ),
    (
        shape(kind="foreign"),
        "error P202: `public.item` is no table that can be read: a foreign table's changes are in another server's log",
        "bind it where it lives, as its own system",
    ),
    (
        shape(kind="unlogged"),
        "error P202: `public.item` is no table that can be read: an unlogged table leaves nothing in the log",
        'ALTER TABLE "public"."item" SET LOGGED;',
    ),
    (
        shape(kind="temporary"),
        "error P202: `public.item` is no table that can be read: a temporary table leaves nothing in the log",
        "bind a permanent table",
    ),
    (bound("id", "nmae"), "error P203: `public.item` has no column `nmae`", "did you mean `name`?"),
    (
        bound("id", "NAME"),
        "error P203: `public.item` has no column `NAME`",
        "write it as `name`: upper and lower case count",
    ),
    (bound("id", "xyz"), "error P203: `public.item` has no column `xyz`", "there are `id`, `name`"),
    (
        column(replace(NAME, generated=True)),
        "error P204: `public.item.name` is generated: the database computes it, and nobody can write it",
        "leave it out of the rules, or let this system alone own it and create the records",
    ),
    (
        table(identity_always=("name",)),
        "error P205: `public.item.name` is an identity column that refuses values",
        'ALTER TABLE "public"."item" ALTER COLUMN "name" SET GENERATED BY DEFAULT;',
    ),
    (
        replace(FIT, needed=(replace(NEEDED, written=("naem",)),)),
        "error P245: `public.item` has no column `naem`, which `on_write` sets",
        "did you mean `name`?",
    ),
    (
        replace(
            shape(columns={"id": ID, "name": NAME, "seen": replace(NAME, name="seen", generated=True)}),
            needed=(replace(NEEDED, written=("seen",)),),
        ),
        "error P246: `on_write` sets `public.item.seen`, whose values the database makes by itself",
        "leave it out of `on_write`: it is up to date without us",
    ),
    (
        shape(unique=(("name",), ("id", "name"))),
        "error P210: `public.item` has no unique index on its key (`id`)",
        'CREATE UNIQUE INDEX CONCURRENTLY ON "public"."item" ("id");',
    ),
    (
        column(replace(ID, nullable=True)),
        "error P211: the key column `public.item.id` may be NULL",
        'ALTER TABLE "public"."item" ALTER COLUMN "id" SET NOT NULL;',
    ),
    (
        column(replace(ID, type="real", family="float")),
        "error P212: the key column `public.item.id` is a `real`, which is never surely equal",
        "identify the record by another column, or make it numeric",
    ),
    (
        column(replace(ID, type="citext", family="text", exact=False)),
        "warning P213: the key column `public.item.id` (`citext`) takes different texts for equal",
        "make sure that all systems write this key alike",
    ),
    (
        replace(column(replace(ID, default=True)), generated_keys=(NAME_OF,)),
        "warning P214: the key `public.item.id` is numbered by this system, and other systems create records too: "
        "two of them may give the same number to different records",
        "let each count in its own numbers (odd and even), or use a uuid",
    ),
    (
        table(identity="n", identity_columns=()),
        "error P220: `public.item` has REPLICA IDENTITY NOTHING: once published, the application's own UPDATE and "
        "DELETE would fail",
        'ALTER TABLE "public"."item" REPLICA IDENTITY DEFAULT;',
    ),
    (
        replace(table(identity_columns=()), catalog=shape(primary_key=()).catalog),
        "error P220: `public.item` has no primary key, and so no replica identity: once published, the application's "
        "own UPDATE and DELETE would fail",
        FULL,
    ),
    (
        table(identity_columns=("name",)),
        "error P221: the log tells of a deleted row of `public.item` only `name`, not the rules' key (`id`)",
        FULL + "  -- or REPLICA IDENTITY USING INDEX the unique index on the key",
    ),
    (
        table(unidentified=("item_1",)),
        "error P222: partitions of `public.item` have no replica identity: `item_1`",
        "ALTER TABLE item_1 REPLICA IDENTITY FULL;",
    ),
    (
        table(may_select=False),
        "error P230: the role `duolog` may not read `public.item`",
        'GRANT SELECT ON "public"."item" TO "duolog";',
    ),
    (
        table(may_insert=("id",)),
        "error P231: the role `duolog` may not INSERT `name` of `public.item`",
        'GRANT INSERT ("name") ON "public"."item" TO "duolog";',
    ),
    (
        table(may_update=()),
        "error P232: the role `duolog` may not UPDATE `name` of `public.item`",
        'GRANT UPDATE ("name") ON "public"."item" TO "duolog";',
    ),
    (
        table(may_delete=False),
        "error P233: the role `duolog` may not remove rows of `public.item`",
        'GRANT DELETE ON "public"."item" TO "duolog";',
    ),
    (
        table(closed_sequences=("item_no_seq",)),
        "error P234: the role `duolog` may not use the sequence `item_no_seq` of `public.item`",
        'GRANT USAGE ON SEQUENCE item_no_seq TO "duolog";',
    ),
    (
        table(rows_hidden=True),
        "error P235: row level security of `public.item` hides rows from the role `duolog`",
        'ALTER ROLE "duolog" BYPASSRLS;',
    ),
    (
        table(triggers=("audit:O", "copy:A", "replica:R")),
        "warning P240: `public.item` has triggers, which duolog's writes fire as a user's do: `audit`, `copy` (ENABLE "
        "ALWAYS), `replica` (ENABLE REPLICA: not by duolog)",
        f"{INTENDED}. `duolog` needs the rights for what they do (or they are SECURITY DEFINER)",
    ),
    (
        table(rules=("r",)),
        "warning P241: `public.item` has rewrite rules, which may turn writes into something else: `r`",
        "use triggers instead, or DROP RULE",
    ),
    (
        table(cascades=("line_fkey:order_line",)),
        "warning P242: changing `public.item` changes other rows through foreign keys: `line_fkey` of `order_line`",
        INTENDED,
    ),
]


@pytest.mark.parametrize(("facts", "found", "mend"), CASES, ids=[found.split(":")[0] for _, found, _ in CASES])
def test_each_fault_is_told_once_with_its_mend(facts: Facts, found: str, mend: str) -> None:
    told = [f"{f.severity} {f.code}: {f.found}" for f in assess(facts) if f.code != "P108"]
    mends = [f.mend for f in assess(facts) if f.code != "P108"]

    assert told == [found]
    assert mends == [mend]


def test_a_fit_server_is_only_told_how_long_it_keeps_its_log() -> None:
    assert [f"{f.severity} {f.code}: {f.found}\n{f.mend}" for f in assess(FIT)] == [
        "warning P108: `max_slot_wal_keep_size` is 100000 MB: when duolog is away while the server writes more log "
        "than that, changes are lost to it, and a re-sync is needed\n"
        "size it for the longest outage that you expect; SELECT pg_current_wal_lsn() an hour apart tells the rate"
    ]
    assert [f"{f.severity} {f.code}: {f.found}\n{f.mend}" for f in assess(server(kept_mb=-1))] == [
        "warning P107: `max_slot_wal_keep_size` is -1: while duolog is away, the server keeps all its log, until the "
        "disk is full\n"
        "watch the disk; or ALTER SYSTEM SET max_slot_wal_keep_size = '50GB';  -- beyond which a re-sync is needed"
    ]


def test_what_is_already_ours_is_not_counted_against_us() -> None:
    busy = server(slots_used=10, senders_used=10, has_slot=True, reading=True)

    assert {f.code for f in assess(busy)} == {"P108"}
    assert {f.code for f in assess(replace(server(tls=False), loopback=False, insecure=True))} == {"P108"}
    assert {f.code for f in assess(server(tls=False))} == {"P108"}


SIDE_EFFECTS = [
    table(triggers=("audit:O",)),
    table(triggers=("audit:A",)),
    table(rules=("r",)),
    table(cascades=("f:t",)),
    column(replace(NAME, generated=True)),
    replace(FIT, tables={}),
]


@pytest.mark.parametrize("facts", SIDE_EFFECTS)
def test_own_transactions_are_read_wherever_something_may_happen_beside_them(facts: Facts) -> None:
    assert capabilities(facts) == Capabilities(skip_own=False, origin_none=False)


def test_own_transactions_are_skipped_where_nothing_can_and_at_the_server_where_nobody_else_replicates() -> None:
    assert capabilities(FIT) == Capabilities(skip_own=True, origin_none=True)
    assert capabilities(table(triggers=("apply:R",))) == Capabilities(skip_own=True, origin_none=True)
    assert capabilities(server(version=150_004)) == Capabilities(skip_own=True, origin_none=False)
    assert capabilities(server(subscriptions=("s",))) == Capabilities(skip_own=True, origin_none=False)
    assert capabilities(server(other_origins=("o",))) == Capabilities(skip_own=True, origin_none=False)
