"""Oracle, SQL Server, Db2 and SQLite are spoken to in words of their own: the statements, as they would go out.

Nobody here has an Oracle, a SQL Server or a Db2: that they take these words is told by their manuals, not by a test."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite

from adapters.alchemy import pictures, statements
from adapters.alchemy.abilities import abilities
from adapters.alchemy.columns import AlchemyColumn, column

TYPES = {
    "ID": sa.BigInteger(), "NAME": sa.String(40), "CREDIT": sa.Numeric(14, 2), "AT": sa.TIMESTAMP(timezone=True),
}  # fmt: skip


def dialect(name: str) -> sa.Dialect:
    """SQLAlchemy's dialect of this name; Db2's is a module of IBM's."""
    if name == "ibm_db_sa":
        module = pytest.importorskip("ibm_db_sa.ibm_db", reason="ibm_db_sa is not installed")
        found: sa.Dialect = module.DB2Dialect_ibm_db()
        return found
    known = {"oracle": oracle, "mssql": mssql, "mysql": mysql, "postgresql": postgresql, "sqlite": sqlite}
    made: sa.Dialect = known[name].dialect()
    return made


def columns(name: str) -> list[AlchemyColumn]:
    """A table `ERP.ACCOUNT` as the dialect has it."""
    of, can = dialect(name), abilities(name)
    types = TYPES | ({"AT": mssql.DATETIMEOFFSET()} if name == "mssql" else {})
    made = [
        column({"name": each, "type": kind, "nullable": each != "ID"}, each, of, can) for each, kind in types.items()
    ]
    sa.Table("ACCOUNT", sa.MetaData(), *[each.element for each in made], schema="ERP", quote=True, quote_schema=True)
    return made


def said(name: str, statement: sa.sql.ClauseElement) -> str:
    """What the driver would get."""
    compiled = statement.compile(dialect=dialect(name), compile_kwargs={"render_postcompile": True})
    return " ".join(str(compiled).split())


LOCKED = {
    "oracle": 'FROM "ERP"."ACCOUNT" WHERE "ERP"."ACCOUNT"."ID" IN (:duolog_ks_1, :duolog_ks_2) FOR UPDATE NOWAIT',
    "mssql": "FROM [ERP].[ACCOUNT] WITH (UPDLOCK, ROWLOCK, NOWAIT) "
    "WHERE [ERP].[ACCOUNT].[ID] IN (:duolog_ks_1, :duolog_ks_2)",
    "ibm_db_sa": 'FROM "ERP"."ACCOUNT" WHERE "ERP"."ACCOUNT"."ID" IN (?, ?) '
    "FOR READ ONLY WITH RS USE AND KEEP UPDATE LOCKS",
    "sqlite": 'FROM "ERP"."ACCOUNT" WHERE "ERP"."ACCOUNT"."ID" IN (?, ?)',
    "postgresql": 'FROM "ERP"."ACCOUNT" WHERE "ERP"."ACCOUNT"."ID" IN '
    "(%(duolog_ks_1)s::BIGINT, %(duolog_ks_2)s::BIGINT) FOR UPDATE NOWAIT",
    "mysql": "FROM `ERP`.`ACCOUNT` WHERE `ERP`.`ACCOUNT`.`ID` IN (%s, %s) FOR UPDATE NOWAIT",
}


@pytest.mark.parametrize("name", LOCKED)
def test_rows_are_locked_without_waiting_in_the_words_of_each_database(name: str) -> None:
    key = columns(name)[:1]

    text = said(name, statements.by_keys(key, key, [(1,), (2,)], "lock", abilities(name)))

    assert text.endswith(LOCKED[name])


SKIPPED = {
    "oracle": "FOR UPDATE SKIP LOCKED",
    "mssql": "WITH (UPDLOCK, ROWLOCK, READPAST)",
    "ibm_db_sa": "FOR READ ONLY WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA",
    "postgresql": "FOR UPDATE SKIP LOCKED",
    "mysql": "FOR UPDATE SKIP LOCKED",
}


@pytest.mark.parametrize("name", SKIPPED)
def test_rows_that_others_have_locked_are_left_out(name: str) -> None:
    key = columns(name)[:1]

    assert SKIPPED[name] in said(name, statements.by_keys(key, key, [(1,)], "skip", abilities(name)))


MOMENTS = {
    "oracle": "to_char(sys_extract_utc(\"ERP\".\"ACCOUNT\".\"AT\"), 'YYYY-MM-DD HH24:MI:SS.FF6')",
    "mssql": "convert(varchar(64), switchoffset([ERP].[ACCOUNT].[AT], '+00:00'), 121)",
    "postgresql": 'CAST("ERP"."ACCOUNT"."AT" AS TEXT)',
    "sqlite": '"ERP"."ACCOUNT"."AT"',
}


@pytest.mark.parametrize("name", MOMENTS)
def test_a_moment_is_spelled_by_the_database_where_a_driver_would_lose_its_zone(name: str) -> None:
    at = columns(name)[-1:]

    assert at[0].shape.family == "timestamptz"
    assert said(name, statements.every(at)).startswith("SELECT " + MOMENTS[name])


def test_a_key_of_two_columns_is_asked_for_in_words_that_every_database_has() -> None:
    key = columns("mssql")[:2]

    text = said("mssql", statements.by_keys(key, key, [(1, "a"), (2, "b")], "look", abilities("mssql")))

    one = "[ERP].[ACCOUNT].[ID] = :param_{} AND [ERP].[ACCOUNT].[NAME] = :param_{}"
    assert text.endswith(f"WHERE {one.format(1, 2)} OR {one.format(3, 4)}")


WRITTEN = {
    "oracle": (
        'UPDATE "ERP"."ACCOUNT" SET "NAME"=:duolog_n0, "CREDIT"=:duolog_n1, "AT"=(SYSTIMESTAMP) '
        'WHERE "ERP"."ACCOUNT"."ID" = :duolog_k0',
        'INSERT INTO "ERP"."ACCOUNT" ("ID", "NAME", "AT") VALUES (:duolog_n0, :duolog_n1, (SYSTIMESTAMP))',
        'DELETE FROM "ERP"."ACCOUNT" WHERE "ERP"."ACCOUNT"."ID" IN (:duolog_ks_1)',
    ),
    "mssql": (
        "UPDATE [ERP].[ACCOUNT] SET [NAME]=:duolog_n0, [CREDIT]=:duolog_n1, [AT]=(SYSTIMESTAMP) "
        "WHERE [ERP].[ACCOUNT].[ID] = :duolog_k0",
        "INSERT INTO [ERP].[ACCOUNT] ([ID], [NAME], [AT]) VALUES (:duolog_n0, :duolog_n1, (SYSTIMESTAMP))",
        "DELETE FROM [ERP].[ACCOUNT] WHERE [ERP].[ACCOUNT].[ID] IN (:duolog_ks_1)",
    ),
    "ibm_db_sa": (
        'UPDATE "ERP"."ACCOUNT" SET "NAME"=?, "CREDIT"=?, "AT"=(SYSTIMESTAMP) WHERE "ERP"."ACCOUNT"."ID" = ?',
        'INSERT INTO "ERP"."ACCOUNT" ("ID", "NAME", "AT") VALUES (?, ?, (SYSTIMESTAMP))',
        'DELETE FROM "ERP"."ACCOUNT" WHERE "ERP"."ACCOUNT"."ID" IN (?)',
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_rows_are_written_by_statements_of_one_row_each(name: str) -> None:
    known = columns(name)
    beside = [(known[3], "SYSTIMESTAMP")]

    made = (
        statements.update(known[:1], known[1:3], beside), statements.insert(known[:2], beside, known[0].table),
        statements.delete(known[:1], [(1,)]),
    )  # fmt: skip

    assert [said(name, each) for each in made] == list(WRITTEN[name])



def test_a_uuid_of_sql_server_is_left_to_the_driver_which_knows_it_as_one() -> None:
    told = {"name": "ID", "type": mssql.UNIQUEIDENTIFIER(), "nullable": False}
    made = column(told, "ID", dialect("mssql"), abilities("mssql"))
    sa.Table("ACCOUNT", sa.MetaData(), made.element)

    compiled = statements.every([made]).compile(dialect=dialect("mssql"))

    assert next(kind for *_, kind in compiled._result_columns)._type_affinity is sa.types.NullType


def test_a_table_of_sql_server_is_held_by_a_question_that_it_has_to_answer() -> None:
    asked = said("mssql", pictures.holding(columns("mssql")[0].table))

    assert asked == "SELECT TOP 1 1 FROM [ERP].[ACCOUNT] WITH (TABLOCK, HOLDLOCK)"
