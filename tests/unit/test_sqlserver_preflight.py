"""What is wrong with an SQL Server is told with its mend, and what is asked of it is said in T-SQL: word by word, as
nobody here has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from adapters.alchemy.abilities import abilities
from adapters.alchemy.columns import AlchemyColumn, column
from adapters.alchemy.ledger import table as ledger_table
from adapters.relational.rights import TableRights
from adapters.sqlserver import preflight, questions, setup, versions
from adapters.sqlserver.facts import RIGHTS, Facts, TableFacts
from adapters.sqlserver.instances import Instance
from engine.catalog import Catalog, Column, TableShape
from engine.rulebook import Table
from engine.vocabulary import ABSENT, Progress, Transaction

ITEM = Table("dbo", "it]em", ("id", "name", "note"), (0,))
LEDGER = ledger_table(abilities("mssql"))
SHAPE = TableShape(
    "dbo", "it]em", "table",
    {
        "id": Column("id", "bigint", "integer"), "name": Column("name", "varchar(40) collate X", "text"),
        "note": Column("note", "nvarchar(max) collate Y", "text"),
    },
    ("id",),
)  # fmt: skip
CATALOG = Catalog("erp", {("dbo", "it]em"): SHAPE})
NEEDED = [TableRights(ITEM, ("id", "name", "note"), ("name", "note"), True)]


def instance(name: str, table: tuple[str, str], *columns: str, start: int = 9) -> Instance:
    """One that captures these columns."""
    return Instance(name, table, start, 1, {each: at for at, each in enumerate(columns, 1)})


CAPTURED = (
    instance("duolog_dbo_it]em", ("dbo", "it]em"), "id", "name", "note"),
    instance("duolog_duolog_ledger", ("duolog", "ledger"), "engine", "system", "number_to"),
)
WELL = Facts(
    system="erp", database="e]rp", version=15, edition=3, compatibility=150, cdc=True, tracking=True, snapshots=True,
    delayed=False, collation="Y", largest=-1, kept_minutes=4320, stopped="", sees=(True, True), reads_cdc=True,
    tables={
        ("dbo", "it]em"): TableFacts(1, True, True, {"note": "Y"}, may=frozenset(RIGHTS)),
        ("duolog", "ledger"): TableFacts(2, True, True, may=frozenset(RIGHTS)),
    },
    instances=CAPTURED,
)  # fmt: skip


def found(facts: Facts, capture: setup.Capture = "cdc") -> dict[str, tuple[str, str]]:
    """By code: (severity, mend) of what is found."""
    told = preflight.assess(facts, CATALOG, [ITEM], NEEDED, LEDGER, capture)
    assert all(each.found and each.mend and each.system == "erp" for each in told)
    return {each.code: (each.severity, each.mend) for each in told}


@pytest.mark.parametrize("capture", ["cdc", "tracking"])
def test_nothing_is_found_where_all_is_well(capture: setup.Capture) -> None:
    assert found(WELL, capture) == {}


def test_a_version_of_azure_s_says_nothing() -> None:
    assert found(replace(WELL, version=12, edition=5)) == found(replace(WELL, version=12, edition=8)) == {}
    assert set(found(replace(WELL, version=12))) == {"P183"}


def of_item(**given: Any) -> Mapping[tuple[str, str], TableFacts]:
    """The tables, of which the bound one is so."""
    return {**WELL.tables, ("dbo", "it]em"): replace(WELL.tables[("dbo", "it]em")], **given)}


ENABLE = (
    "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'it]em', @role_name = N'duolog_reader', "
    "@capture_instance = N'{}', @supports_net_changes = 0"
)
WRONG: list[tuple[dict[str, Any], setup.Capture, str, str, str]] = [
    ({"compatibility": 120}, "cdc", "P183", "error", "ALTER DATABASE [e]]rp] SET COMPATIBILITY_LEVEL = 130;"),
    ({"cdc": False}, "cdc", "P184", "error", "EXEC sys.sp_cdc_enable_db;  -- by a sysadmin"),
    ({"tracking": False}, "tracking", "P184", "error", "SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS"),
    ({"edition": 4, "cdc": False}, "cdc", "P185", "error", "`capture: tracking`"),
    ({"stopped": "no capture since"}, "cdc", "P186", "error", "EXEC sys.sp_cdc_start_job @job_type = N'capture';"),
    ({"stopped": "no capture since", "edition": 5}, "cdc", "P186", "error", "sys.dm_cdc_errors"),
    ({"kept_minutes": 60}, "cdc", "P187", "warning", "EXEC sys.sp_cdc_change_job @job_type = N'cleanup'"),
    ({"kept_minutes": 60}, "tracking", "P187", "warning", "SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS);"),
    ({"snapshots": False}, "cdc", "P188", "error", "SET ALLOW_SNAPSHOT_ISOLATION ON;"),
    ({"largest": 0}, "cdc", "P189", "warning", "EXEC sp_configure 'max text repl size', -1; RECONFIGURE;"),
    ({"largest": 65536}, "cdc", "P189", "warning", "EXEC sp_configure 'max text repl size', -1; RECONFIGURE;"),
    ({"sees": (False, False)}, "cdc", "P260", "error", "GRANT VIEW SERVER STATE TO [ROLE];"),
    ({"sees": (False, True), "delayed": True}, "cdc", "P261", "error", "GRANT VIEW SERVER STATE TO [ROLE];"),
    ({"instances": CAPTURED[1:]}, "cdc", "P262", "error", ENABLE.format("duolog_dbo_it]em")),
    ({"tables": of_item(by_tracking=False)}, "tracking", "P262", "error", "ALTER TABLE [dbo].[it]]em] ENABLE"),
    (
        {"instances": (instance("duolog_dbo_it]em", ("dbo", "it]em"), "id"), CAPTURED[1])},
        "cdc", "P263", "error", ENABLE.format("duolog_dbo_it]em_2"),
    ),
    (
        {"instances": (
            instance("a", ("dbo", "it]em"), "id", start=2), instance("b", ("dbo", "it]em"), "name"), CAPTURED[1],
        )},
        "cdc", "P264", "error", "@capture_instance = N'a'; `duolog setup RULES`",
    ),
    ({"tables": of_item(computed=frozenset({"name"}))}, "cdc", "P265", "error", "leave them out"),
    ({"tables": of_item(collations={"name": "X", "note": "Y"})}, "cdc", "P266", "warning", "nvarchar"),
    ({"reads_cdc": False}, "cdc", "P267", "error", "GRANT SELECT ON SCHEMA::cdc TO [ROLE];"),
    ({"closed": {"duolog_dbo_it]em": "their r]ole"}}, "cdc", "P267", "error", "ALTER ROLE [their r]]ole] ADD MEMBER"),
    (
        {"tables": of_item(may=frozenset(RIGHTS[:4]))}, "tracking", "P267", "error",
        "GRANT VIEW CHANGE TRACKING ON [dbo].[it]]em] TO [ROLE];",
    ),
    *(
        (
            {"tables": of_item(may=frozenset(RIGHTS) - {right})}, "cdc", code, "error",
            f"GRANT {right} ON [dbo].[it]]em] TO [ROLE];",
        )
        for right, code in (("SELECT", "P230"), ("INSERT", "P231"), ("UPDATE", "P232"), ("DELETE", "P233"))
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "capture", "code", "severity", "mend"), WRONG)
def test_each_thing_that_is_wrong_is_told_alone_with_its_mend(
    wrong: dict[str, Any], capture: setup.Capture, code: str, severity: str, mend: str
) -> None:
    told = found(replace(WELL, **wrong), capture)

    assert list(told) == [code]
    assert told[code][0] == severity and mend in told[code][1]


def test_without_the_right_to_a_transaction_the_log_s_end_is_enough_where_commits_are_durable() -> None:
    assert found(replace(WELL, sees=(False, True))) == {}
    assert found(replace(WELL, sees=(False, False)), "tracking") == {}


def test_the_key_by_which_changes_are_tracked_is_the_primary_key() -> None:
    other = replace(CATALOG, tables={("dbo", "it]em"): replace(SHAPE, primary_key=("name",))})
    (told,) = preflight.assess(WELL, other, [ITEM], NEEDED, LEDGER, "tracking")

    assert (told.code, told.severity) == ("P268", "error")


def test_a_type_of_which_no_text_makes_the_same_value_again_is_refused() -> None:
    variant = {**SHAPE.columns, "note": Column("note", "sql_variant", "other")}
    other = replace(CATALOG, tables={("dbo", "it]em"): replace(SHAPE, columns=variant)})

    told = preflight.assess(WELL, other, [ITEM], NEEDED, LEDGER, "tracking")

    assert [(each.code, each.severity) for each in told] == [("P269", "error")]


# ------------------------------------------------------------ setup


def test_setup_captures_what_is_not_and_names_what_only_a_sysadmin_may() -> None:
    bare = replace(WELL, cdc=False, snapshots=False, instances=(), reads_cdc=False)
    made = [step for step in setup.steps(bare, [ITEM], LEDGER, "cdc") if not step.done]

    assert [step.sql for step in made] == [
        "ALTER DATABASE [e]]rp] SET ALLOW_SNAPSHOT_ISOLATION ON",
        "EXEC sys.sp_cdc_enable_db",
        ENABLE.format("duolog_dbo_it]em"),
        "EXEC sys.sp_cdc_enable_table @source_schema = N'duolog', @source_name = N'ledger', @role_name = "
        "N'duolog_reader', @capture_instance = N'duolog_duolog_ledger', @supports_net_changes = 0",
    ]
    assert "sysadmin" in made[1].what
    assert all(step.done for step in setup.steps(WELL, [ITEM], LEDGER, "cdc"))


def test_setup_tracks_what_is_not() -> None:
    bare = replace(WELL, tracking=False, tables=of_item(by_tracking=False))
    made = [step.sql for step in setup.steps(bare, [ITEM], LEDGER, "tracking") if not step.done]

    assert made == [
        "ALTER DATABASE [e]]rp] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)",
        "ALTER TABLE [dbo].[it]]em] ENABLE CHANGE_TRACKING",
    ]


def test_teardown_leaves_what_others_made() -> None:
    theirs = instance("dbo_it]em", ("dbo", "it]em"), "id", "name", "note")
    gone = setup.disabling(replace(WELL, instances=(*CAPTURED, theirs)), [ITEM], LEDGER, "cdc")

    assert [step.what for step in gone] == [
        "capture instance `duolog_dbo_it]em`", "capture instance `duolog_duolog_ledger`"
    ]  # fmt: skip


def test_names_of_capture_instances_are_never_too_long() -> None:
    long = ("s" * 100, "t" * 100)
    one = setup.enabling(long, set())
    name = one.split("@capture_instance = N'")[1].split("'")[0]

    assert len(name) <= setup.instance_length
    assert setup.enabling(long, {name}) != one


def test_two_tables_never_get_capture_instances_of_one_name() -> None:
    one, other = Table("sales", "order_line", ("id",), (0,)), Table("sales_order", "line", ("id",), (0,))
    made = setup.steps(replace(WELL, instances=CAPTURED[1:]), [one, other], LEDGER, "cdc")
    names = [step.sql.split("@capture_instance = N'")[1].split("'")[0] for step in made if not step.done]

    assert names == ["duolog_sales_order_line", "duolog_sales_order_line_2"]
    theirs = instance("duolog_sales_order_line", ("sales", "order_line"), "id")
    assert "N'duolog_sales_order_line_2'" in setup.enabling(("sales_order", "line"), {theirs.name})


def test_rights_are_those_of_the_version() -> None:
    assert setup.grants(NEEDED, "du]o", "cdc", 15) == [
        "USE master; GRANT VIEW SERVER STATE TO [du]]o];  -- to the login: for exact separators",
        "GRANT VIEW DATABASE STATE TO [du]]o];",
        "GRANT SELECT ON SCHEMA::cdc TO [du]]o];",
        "ALTER ROLE [duolog_reader] ADD MEMBER [du]]o];",
    ]
    assert setup.grants(NEEDED, "duo", "tracking", 16) == [
        "GRANT VIEW DATABASE PERFORMANCE STATE TO [duo];", "GRANT VIEW CHANGE TRACKING ON [dbo].[it]]em] TO [duo];"
    ]  # fmt: skip


# ------------------------------------------------------------ questions, word by word


def columns() -> dict[str, AlchemyColumn]:
    """The columns as SQL Server's dialect has them."""
    kinds = {"id": sa.BigInteger(), "name": mssql.DATETIME2(), "note": mssql.NVARCHAR()}
    made = {
        name: column({"name": name, "type": kind, "nullable": True}, name, mssql.dialect(), abilities("mssql"))
        for name, kind in kinds.items()
    }
    return made


def said(statement: Any) -> str:
    """What the driver would get."""
    compiled = statement.compile(dialect=mssql.dialect(), compile_kwargs={"render_postcompile": True})
    return " ".join(str(compiled).split())


def test_changes_are_asked_of_the_instance_s_function_in_the_order_of_the_log() -> None:
    assert said(questions.changes("dbo_it]em", list(columns().values()), 1, 2)) == (
        "SELECT c.[__$start_lsn], c.[__$seqval], c.[__$operation], c.[__$update_mask], c.[id] AS [id], "
        "convert(varchar(64), c.[name], 121) AS convert_1, c.[note] AS [note] "
        "FROM cdc.[fn_cdc_get_all_changes_dbo_it]]em](:param_1, :param_2, 'all update old') AS c "
        "ORDER BY c.[__$start_lsn], c.[__$seqval], c.[__$operation]"
    )


def test_our_transactions_are_asked_of_the_ledger_s_function() -> None:
    names = {name: name for name in ("engine", "system", "number_to")}
    assert said(questions.marks("duolog_ledger", names, ["a", "b"], "erp", 1, 2)) == (
        "SELECT c.[__$start_lsn], c.[engine], max(c.[number_to]) AS max_1 "
        "FROM cdc.[fn_cdc_get_all_changes_duolog_ledger](:param_1, :param_2, 'all update old') AS c "
        "WHERE c.[__$operation] IN (:operation_1_1, :operation_1_2) AND c.[engine] IN (:engine_1_1, :engine_1_2) "
        "AND c.[system] = :system_1 GROUP BY c.[__$start_lsn], c.[engine]"
    )


def test_a_window_s_transactions_are_the_first_so_many() -> None:
    start = "cdc.lsn_time_mapping.start_lsn"

    assert said(questions.transactions(1, 2, 5)) == (
        f"SELECT TOP 5 {start}, cdc.lsn_time_mapping.tran_end_time FROM cdc.lsn_time_mapping "
        f"WHERE {start} > :start_lsn_1 AND {start} <= :start_lsn_2 ORDER BY {start}"
    )


def test_tracked_changes_are_asked_with_the_rows_of_now() -> None:
    assert said(versions.changes(ITEM, columns(), mssql.dialect())) == (
        "SELECT c.SYS_CHANGE_VERSION, c.SYS_CHANGE_OPERATION, c.SYS_CHANGE_CONTEXT, "
        "CASE WHEN t.id IS NULL THEN 0 ELSE 1 END, c.id, convert(varchar(64), t.name, 121) AS convert_1, t.note "
        "FROM CHANGETABLE(CHANGES dbo.[it]]em], :since) AS c LEFT OUTER JOIN dbo.[it]]em] AS t ON t.id = c.id "
        "ORDER BY c.SYS_CHANGE_VERSION"
    )


def test_our_transactions_are_known_by_the_versions_at_which_the_ledger_changed() -> None:
    assert said(versions.marked(("duolog", "ledger"), "erp", mssql.dialect())) == (
        "SELECT c.SYS_CHANGE_VERSION, c.engine FROM CHANGETABLE(CHANGES duolog.ledger, :since) AS c "
        "WHERE c.[system] = :c_system_1 AND c.SYS_CHANGE_OPERATION != :c_SYS_CHANGE_OPERATION_1"
    )


# ------------------------------------------------------------ what was tracked


def test_all_versions_between_two_of_ours_are_one_transaction() -> None:
    items = [(2, 0, "I", "", ("1", "a")), (4, 0, "U", "", ("2", "b")), (5, 0, "U", "unit", ("3", "c"))]
    lines: list[Any] = [(4, 1, "D", "", ("7", None)), (6, 1, "I", "", ("8", "x"))]

    told = list(versions.transactions(
        [iter(items), iter(lines)], [(0,), (0,)], system="erp", at=1, end=9, skip_own=False, spool_dir=None
    ))  # fmt: skip

    assert [(each.position, getattr(each, "own", None)) for each in told] == [
        (4, False), (5, True), (6, False), (9, None)
    ]  # fmt: skip
    first = told[0]
    assert isinstance(first, Transaction)
    assert first.changes == [
        (0, "I", ("1", "a"), None), (0, "U", ("2", "b"), None), (1, "D", None, ("7", ABSENT)),
    ]  # fmt: skip


def test_ours_can_be_left_out() -> None:
    ours: list[Any] = [(5, 0, "U", "unit", ("3", "c"))]
    told = versions.transactions([iter(ours)], [(0,)], system="erp", at=1, end=9, skip_own=True, spool_dir=None)

    assert list(told) == [Progress("erp", 5), Progress("erp", 9)]


def test_a_row_is_ours_by_what_its_statement_said_or_by_the_ledger() -> None:
    owner = versions.owner({b"us": "unit"}, {7: "unit"})

    assert [owner(1, None), owner(1, b"them"), owner(1, b"us"), owner(7, None)] == ["", "", "unit", "unit"]
