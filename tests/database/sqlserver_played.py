"""PostgreSQL in the part of an SQL Server with change data capture: functions, change tables, numbers of a log.

The source's own questions are answered by functions and views of the same names. What is played: commit LSNs in the
order of the commits, one for a transaction; the rows before and after an update; old values of large types that are not
told; cleanup, a stopped job, a second capture instance, an altered table, a restored backup. What is not: T-SQL, the
time that the capture job takes, and whatever SQL Server does otherwise than its documentation says.

How it works: triggers put changes into change tables with the number of the transaction; a deferred trigger, which runs
at COMMIT under a lock of its own, gives the transaction its commit LSN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.ground import Session

FILE = 0x2B
"""The first part of every LSN here."""
FIRST_BLOCK = 4096

MADE = (
    "CREATE SCHEMA cdc",
    "CREATE SCHEMA sys",
    "CREATE SCHEMA played",
    f"CREATE SEQUENCE played.block START {FIRST_BLOCK}",
    f"CREATE FUNCTION played.lsn(block bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS "
    f"$$ SELECT int4send({FILE}) || int4send(block::int) || int2send(1::smallint) $$",
    "CREATE TABLE cdc.lsn_time_mapping (start_lsn bytea PRIMARY KEY, tran_begin_time timestamp, "
    "tran_end_time timestamp, tran_id bigint)",
    "CREATE INDEX ON cdc.lsn_time_mapping (tran_id)",
    "CREATE TABLE cdc.change_tables (object_id int PRIMARY KEY, source_object_id int, capture_instance text, "
    "start_lsn bytea, create_date timestamp)",
    "CREATE TABLE cdc.captured_columns (object_id int, column_name text, column_id int, column_ordinal int, "
    "is_computed boolean)",
    "CREATE TABLE cdc.ddl_history (source_object_id int, object_id int, required_column_update boolean, "
    "ddl_command text, ddl_lsn bytea, ddl_time timestamp)",
    # The server's clock is that of a machine in Kathmandu, as its offset is no whole hour.
    "CREATE FUNCTION public.sysutcdatetime() RETURNS timestamp LANGUAGE sql VOLATILE AS "
    "$$ SELECT clock_timestamp() AT TIME ZONE 'UTC' $$",
    "CREATE FUNCTION public.sysdatetime() RETURNS timestamp LANGUAGE sql VOLATILE AS "
    "$$ SELECT clock_timestamp() AT TIME ZONE 'Asia/Kathmandu' $$",
    "CREATE FUNCTION public.object_name(id int) RETURNS text LANGUAGE sql AS "
    "$$ SELECT relname::text FROM pg_class WHERE oid = id::oid $$",
    "CREATE FUNCTION public.object_schema_name(id int) RETURNS text LANGUAGE sql AS "
    "$$ SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = id::oid $$",
    "CREATE FUNCTION public.columnproperty(id int, wanted text, property text) RETURNS int LANGUAGE sql AS "
    "$$ SELECT attnum::int FROM pg_attribute WHERE attrelid = id::oid AND attname = wanted AND property = 'ColumnId' "
    "$$",
    "CREATE TABLE played.edition (number int)",
    "INSERT INTO played.edition VALUES (3)",
    "CREATE FUNCTION public.serverproperty(text) RETURNS int LANGUAGE sql AS $$ SELECT number FROM played.edition $$",
    "CREATE FUNCTION public.db_name() RETURNS text LANGUAGE sql AS $$ SELECT current_database()::text $$",
    "CREATE FUNCTION public.db_id() RETURNS int LANGUAGE sql AS $$ SELECT 5 $$",
    "CREATE FUNCTION public.current_transaction_id() RETURNS bigint LANGUAGE sql AS $$ SELECT txid_current() $$",
    "CREATE TABLE played.rights (name text PRIMARY KEY)",
    "INSERT INTO played.rights VALUES ('VIEW SERVER STATE'), ('VIEW DATABASE STATE')",
    "CREATE FUNCTION public.has_perms_by_name(text, text, wanted text) RETURNS int LANGUAGE sql AS "
    "$$ SELECT count(*)::int FROM played.rights WHERE name = wanted $$",
    "CREATE VIEW sys.dm_tran_database_transactions AS SELECT txid_current() AS transaction_id, 5 AS database_id, "
    f"{FILE} * 1e15::numeric + nextval('played.block') * 1e5::numeric + 1 AS database_transaction_last_lsn",
    "CREATE FUNCTION sys.dm_db_log_stats(int, OUT log_end_lsn text) LANGUAGE sql VOLATILE AS "
    f"$$ SELECT format('%s:%s:0001', lpad(to_hex({FILE}), 8, '0'), lpad(to_hex(nextval('played.block')), 8, '0')) $$",
    "CREATE TABLE sys.dm_cdc_log_scan_sessions (session_id int, start_time timestamp, end_time timestamp)",
    "CREATE TABLE sys.databases (database_id int, name text, create_date timestamp, is_cdc_enabled boolean)",
    "INSERT INTO sys.databases SELECT 5, current_database(), '2026-01-01', true",
    "CREATE TABLE sys.database_recovery_status (database_id int, family_guid uuid, recovery_fork_guid uuid)",
    "INSERT INTO sys.database_recovery_status SELECT 5, gen_random_uuid(), gen_random_uuid()",
    "CREATE FUNCTION sys.fn_cdc_get_max_lsn() RETURNS bytea LANGUAGE sql VOLATILE AS "
    "$$ SELECT max(start_lsn) FROM cdc.lsn_time_mapping $$",
    "CREATE FUNCTION sys.fn_cdc_get_min_lsn(instance text) RETURNS bytea LANGUAGE sql VOLATILE AS "
    "$$ SELECT start_lsn FROM cdc.change_tables WHERE capture_instance = instance $$",
    "CREATE FUNCTION played.reaches(first bytea, instance text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
    "IF first < sys.fn_cdc_get_min_lsn(instance) THEN RAISE EXCEPTION USING MESSAGE = 'An insufficient number of "
    "arguments were supplied for the procedure or function cdc.fn_cdc_get_all_changes_ ... . (313)'; END IF; "
    "RETURN true; END $$",
    # A transaction that changed something has one row here until it ends.
    "CREATE TABLE played.changing (id bigint PRIMARY KEY)",
    "CREATE FUNCTION played.committed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM pg_advisory_xact_lock(4711); "
    "INSERT INTO cdc.lsn_time_mapping VALUES (played.lsn(nextval('played.block')), now(), sysdatetime(), NEW.id); "
    "DELETE FROM played.changing WHERE id = NEW.id; RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER committed AFTER INSERT ON played.changing DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION played.committed()",
    "INSERT INTO cdc.lsn_time_mapping SELECT played.lsn(nextval('played.block')), sysdatetime(), sysdatetime(), 0",
)

SIDES = {"inserted": "NEW TABLE AS inserted", "deleted": "OLD TABLE AS deleted"}


def quoted(name: str) -> str:
    """A name in quotes."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class PlayedServer:
    """A database of PostgreSQL that plays; `session`: one of the administrator's."""

    session: Session

    def begin(self) -> None:
        """Makes what change data capture consists of: `sys.sp_cdc_enable_db`."""
        for statement in MADE:
            self.run(statement)

    def run(self, statement: str) -> None:
        """One statement."""
        self.session.execute(statement)

    def value(self, question: str) -> object:
        """What a question answers."""
        return self.session.value(question)

    def enable(self, schema: str, table: str, columns: Sequence[str] = (), instance: str = "") -> str:
        """Captures a table: `sys.sp_cdc_enable_table`. Answers the instance's name. `columns`: if not all."""
        name = instance or f"{schema}_{table}"
        place = f"{quoted(schema)}.{quoted(table)}"
        made = f"cdc.{quoted(name + '_CT')}"
        known = self.session.rows(
            "SELECT attname, format_type(atttypid, atttypmod), attgenerated <> '', attnum FROM pg_attribute "
            f"WHERE attnum > 0 AND NOT attisdropped AND attrelid = '{place}'::regclass ORDER BY attnum"
        )
        kept = [(each, kind, computed) for each, kind, computed, _ in known if not columns or each in columns]
        numbers = {each: number for each, _, _, number in known}
        listed = ", ".join(f"{quoted(each)} {kind}" for each, kind, _ in kept)
        self.run(
            f'CREATE TABLE {made} ("__$id" bigint, "__$seqval" bytea, "__$operation" int, "__$update_mask" bytea, '
            f"{listed})"
        )
        self.run(f"CREATE INDEX ON {made} (\"__$id\")")
        number = f"'{made}'::regclass::oid::int"
        self.run(
            f"INSERT INTO cdc.change_tables SELECT {number}, '{place}'::regclass::oid::int, '{name}', "
            "played.lsn(nextval('played.block')), sysdatetime()"
        )
        for at, (each, _, computed) in enumerate(kept, 1):
            told = f"{number}, '{each}', {numbers[each]}, {at}, {computed}"
            self.run(f"INSERT INTO cdc.captured_columns VALUES ({told})")
        self._read(name, made, kept)
        for event in ("INSERT", "UPDATE", "DELETE"):
            self._follow(name, place, made, kept, event)
        return name

    def _read(self, name: str, made: str, kept: Sequence[tuple[str, str, bool]]) -> None:
        """The function that shows the changes."""
        shape = ", ".join(f"{quoted(each)} {kind}" for each, kind, _ in kept)
        values = ", ".join(f"t.{quoted(each)}" for each, _, _ in kept)
        row = f"played.{quoted(name)}"
        meta = '"__$start_lsn" bytea, "__$seqval" bytea, "__$operation" int, "__$update_mask" bytea'
        self.run(f"CREATE TYPE {row} AS ({meta}, {shape})")
        self.run(
            f"CREATE FUNCTION cdc.{quoted('fn_cdc_get_all_changes_' + name)}(bytea, bytea, text) RETURNS SETOF {row} "
            f'LANGUAGE sql VOLATILE AS $$ SELECT m.start_lsn, t."__$seqval", t."__$operation", t."__$update_mask", '
            f"{values} FROM played.reaches($1, '{name}'), {made} t JOIN cdc.lsn_time_mapping m "
            'ON m.tran_id = t."__$id" WHERE m.start_lsn BETWEEN $1 AND $2 $$'
        )

    def _follow(
        self, name: str, place: str, made: str, kept: Sequence[tuple[str, str, bool]], event: str
    ) -> None:
        """The triggers that put an event's rows into the change table."""
        sides = {"INSERT": ("inserted",), "DELETE": ("deleted",), "UPDATE": ("deleted", "inserted")}[event]
        function, trigger = quoted(f"{name} {event}"), quoted(f"follow {name} {event}")
        inner = self._both(made, kept) if event == "UPDATE" else self._one(made, kept, event)
        self.run(
            f"CREATE FUNCTION played.{function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {inner}; "
            "INSERT INTO played.changing SELECT txid_current() WHERE FOUND ON CONFLICT DO NOTHING; RETURN NULL; END $$"
        )
        self.run(
            f"CREATE TRIGGER {trigger} AFTER {event} ON {place} REFERENCING {' '.join(SIDES[side] for side in sides)} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION played.{function}()"
        )

    def _one(self, made: str, kept: Sequence[tuple[str, str, bool]], event: str) -> str:
        """Rows that came or went; all bits are set. A large type's value is not told of those that went."""
        old = event == "DELETE"
        values = ", ".join(_shown(each, kind, computed, lost=old) for each, kind, computed in kept)
        return (
            f"INSERT INTO {made} SELECT txid_current(), played.lsn(nextval('played.block')), {1 if old else 2}, "
            f"'\\xff'::bytea, {values} FROM {'deleted' if old else 'inserted'} r"
        )

    def _both(self, made: str, kept: Sequence[tuple[str, str, bool]]) -> str:
        """Rows that were changed: before and after, with one sequence value and the bits of what changed."""
        bits = " + ".join(
            f"CASE WHEN o.{quoted(each)} IS DISTINCT FROM n.{quoted(each)} THEN {1 << at} ELSE 0 END"
            for at, (each, _, _) in enumerate(kept)
        )
        pair = (
            "WITH o AS (SELECT row_number() OVER () AS \"__$n\", d.* FROM deleted d), "
            "n AS (SELECT row_number() OVER () AS \"__$n\", i.* FROM inserted i), "
            "p AS (SELECT o.\"__$n\" AS n, played.lsn(nextval('played.block')) AS place, "
            f"set_byte('\\x00'::bytea, 0, ({bits}) & 255) AS mask FROM o JOIN n ON n.\"__$n\" = o.\"__$n\") "
        )
        sides = []
        for side, operation in (("o", 3), ("n", 4)):
            values = ", ".join(_shown(each, kind, computed, lost=side == "o") for each, kind, computed in kept)
            sides.append(
                f"SELECT txid_current(), p.place, {operation}, p.mask, {values} FROM {side} r "
                "JOIN p ON p.n = r.\"__$n\""
            )
        return f"{pair} INSERT INTO {made} {' UNION ALL '.join(sides)}"

    # ------------------------------------------------------------ what befalls a server

    def end(self) -> int:
        """The last commit LSN, as a position."""
        told = self.session.value("SELECT max(start_lsn) FROM cdc.lsn_time_mapping")
        number = int.from_bytes(bytes(told), "big")
        return (number >> 48) << 40 | (number >> 16 & 0xFFFFFFFF) << 12 | number & 0xFFFF

    def clean_up(self) -> None:
        """Forgets all changes up to now, as the nightly job does."""
        now = "(SELECT max(start_lsn) FROM cdc.lsn_time_mapping)"
        self.run(f"UPDATE cdc.change_tables SET start_lsn = {now}")
        self.run(f"DELETE FROM cdc.lsn_time_mapping WHERE start_lsn < {now}")

    def stop(self, hours: int) -> None:
        """The capture job did nothing for so long."""
        self.run(f"UPDATE cdc.lsn_time_mapping SET tran_end_time = tran_end_time - interval '{hours} hours'")

    def disable(self, instance: str) -> None:
        """A capture instance is gone: `sys.sp_cdc_disable_table`."""
        made = f"cdc.{quoted(instance + '_CT')}"
        where = f"object_id = '{made}'::regclass::oid::int"
        self.run(f"DELETE FROM cdc.captured_columns WHERE {where}")
        self.run(f"DELETE FROM cdc.change_tables WHERE {where}")
        self.run(f"DROP FUNCTION cdc.{quoted('fn_cdc_get_all_changes_' + instance)}")
        self.run(f"DROP TYPE played.{quoted(instance)}")
        for event in ("INSERT", "UPDATE", "DELETE"):
            self.run(f"DROP FUNCTION played.{quoted(f'{instance} {event}')}() CASCADE")
        self.run(f"DROP TABLE {made}")

    def altered(self, schema: str, table: str) -> None:
        """Writes down that a table was altered, for each of its instances."""
        place = f"{quoted(schema)}.{quoted(table)}"
        self.run(
            "INSERT INTO cdc.ddl_history SELECT source_object_id, object_id, false, 'ALTER TABLE', "
            f"played.lsn(nextval('played.block')), sysdatetime() FROM cdc.change_tables "
            f"WHERE source_object_id = '{place}'::regclass::oid::int"
        )
        self.tick()

    def tick(self) -> None:
        """The capture job writes down how far it has come, though nobody changed anything."""
        self.run(
            "INSERT INTO cdc.lsn_time_mapping SELECT played.lsn(nextval('played.block')), sysdatetime(), "
            "sysdatetime(), 0"
        )


def _shown(name: str, kind: str, computed: bool, *, lost: bool) -> str:
    """A column of `r` as the change table has it; `lost`: on the side before a change, where large types are not."""
    if computed or (lost and kind == "text"):
        return f"NULL::{kind}"
    return f"r.{quoted(name)}"
