"""What a database is asked before its triggers are relied on, and what the answers mean. Pure values.

Turns settings and tables into words, each with the statement that puts it right; never asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Question:
    """Something that has to be otherwise, or changes would not be told rightly.

    `asked` answers a row for each case; with `of_table`, its first two values are the schema and name of a table.
    `found` and `mend` have `{0}` where the first value belongs, and so on."""

    code: str
    severity: Literal["error", "warning"]
    asked: str
    found: str
    mend: str
    of_table: bool = False


_DATABASE: Final = "FROM sys.databases AS d WHERE d.database_id = DB_ID() AND"

SQLSERVER: Final = (
    Question(
        "P183", "error", f"SELECT QUOTENAME(d.name), d.compatibility_level {_DATABASE} d.compatibility_level < 130",
        "the database speaks as SQL Server did before 2016 (compatibility level {1})",
        "ALTER DATABASE {0} SET COMPATIBILITY_LEVEL = 130;",
    ),
    Question(
        "P188", "error", f"SELECT QUOTENAME(d.name) {_DATABASE} d.snapshot_isolation_state <> 1",
        "no picture of one moment can be taken: snapshot isolation is not allowed",
        "ALTER DATABASE {0} SET ALLOW_SNAPSHOT_ISOLATION ON;",
    ),
    Question(
        "P194", "error", f"SELECT QUOTENAME(d.name) {_DATABASE} d.is_read_committed_snapshot_on = 0",
        "a statement sees no single moment of the change table, so that transactions would be told in parts: "
        "`READ_COMMITTED_SNAPSHOT` is off",
        "ALTER DATABASE {0} SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK AFTER 30 SECONDS;  -- ends all other sessions",
    ),
    Question(
        "P195", "error",
        "SELECT 1 FROM sys.configurations AS c WHERE c.name = N'nested triggers' AND CAST(c.value_in_use AS int) = 0",
        "what triggers of the application write fires no trigger of ours: nested triggers are off",
        "EXEC sp_configure 'nested triggers', 1; RECONFIGURE;",
    ),
    Question(
        "P196", "error",
        "SELECT SCHEMA_NAME(t.schema_id), t.name, QUOTENAME(USER_NAME(COALESCE(t.principal_id, s.principal_id))), "
        "QUOTENAME(d.name) FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id "
        "INNER JOIN sys.schemas AS d ON d.name = N'duolog' "
        "WHERE COALESCE(t.principal_id, s.principal_id) <> d.principal_id",
        "`{0}.{1}` belongs to {2}, and our tables to somebody else: whoever writes it would need rights on ours, and "
        "is refused",
        "ALTER AUTHORIZATION ON SCHEMA::{3} TO {2};  -- all bound tables have to belong to one",
        of_table=True,
    ),
    Question(
        "P197", "warning",
        "SELECT SCHEMA_NAME(o.schema_id), o.name, QUOTENAME(t.name), e.type_desc, QUOTENAME(SCHEMA_NAME(o.schema_id)) "
        "FROM sys.triggers AS t INNER JOIN sys.objects AS o ON o.object_id = t.parent_id "
        "INNER JOIN sys.trigger_events AS e ON e.object_id = t.object_id "
        "WHERE t.name LIKE N'duolog[_]%' AND e.is_first = 0 AND EXISTS (SELECT 1 FROM sys.triggers AS u "
        "INNER JOIN sys.trigger_events AS f ON f.object_id = u.object_id WHERE u.parent_id = t.parent_id "
        "AND u.object_id <> t.object_id AND u.is_instead_of_trigger = 0 AND f.type = e.type)",
        "another trigger of `{0}.{1}` may be called before ours at {3}: if it changes rows of that table, these are "
        "told as they were before",
        "EXEC sp_settriggerorder N'{4}.{2}', N'First', N'{3}';  -- the one that is first now: N'None', before",
        of_table=True,
    ),
)  # fmt: skip

_BELOW: Final = (
    "SELECT n.nspname, c.relname, string_agg(CAST(i.inhrelid AS regclass)::text, ', ' ORDER BY i.inhrelid) "
    "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
    "JOIN pg_catalog.pg_inherits AS i ON i.inhparent = c.oid WHERE c.relkind"
)

POSTGRESQL: Final = (
    Question(
        "P255", "error", f"{_BELOW} = 'r' GROUP BY 1, 2",
        "`{0}.{1}` shows the rows of tables that inherit from it, {2}; what is done to those fires no trigger of it",
        "bind each table by itself, without others below it; or make them partitions",
        of_table=True,
    ),
    Question(
        "P256", "warning", f"{_BELOW} = 'p' GROUP BY 1, 2",
        "a partition of `{0}.{1}` that is emptied, attached or detached by itself fires no trigger",
        "DELETE rows, and INSERT them; or duolog run RULES --merge-again afterwards",
        of_table=True,
    ),
)  # fmt: skip
