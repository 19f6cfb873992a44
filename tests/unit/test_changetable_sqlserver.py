"""The triggers that record changes in SQL Server, without a server: word for word, and read by a parser of T-SQL.

What a SQL Server makes of them is tried in `tests/sqlserver`, where Docker is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects import mssql
from sqlglot import exp

from adapters.alchemy.abilities import abilities
from adapters.changetable import stamping
from adapters.changetable.questions import Question
from adapters.changetable.tables import ours_of
from adapters.changetable.transact import triggers
from adapters.changetable.triggers import EVENTS, Recorded
from adapters.changetable.words import MSSQL

TOLD = Recorded(
    code=7, stem="account_00000007", table="[dbo].[ACCOUNT]", shadow="duolog.row_account_00000007",
    change="duolog.change", schema="duolog", columns=("[ID]", "[NAME]"), key=(0,), kept=("o0", "n0", "n1"),
    place="[dbo]", now=abilities("mssql").now,
)  # fmt: skip
INTO = "OUTPUT inserted.seq, @tx, @own, 7, '{}', @at INTO duolog.change (seq, tx, own, tbl, op, at)"
NUMBER = "NEXT VALUE FOR duolog.numbers"


def made(told: Recorded, op: str) -> list[str]:
    """The lines of a trigger, without those with which each begins."""
    trigger = dict(zip("IUD", triggers(told), strict=True))[op]
    head, begin, settings, empty, declared, *rest, end = trigger.text.split("\n")
    event = dict(EVENTS)[op]
    assert (head, begin, end) == (
        f"CREATE TRIGGER [dbo].duolog_account_00000007_{op.lower()} ON [dbo].[ACCOUNT] AFTER {event} AS", "BEGIN", "END"
    )  # fmt: skip
    assert settings == "SET NOCOUNT ON; SET ROWCOUNT 0;"
    assert empty == f"IF NOT EXISTS (SELECT 1 FROM {'deleted' if op == 'D' else 'inserted'}) RETURN;"
    assert declared.startswith(
        "DECLARE @tx varchar(40) = CAST(CURRENT_TRANSACTION_ID() AS varchar(40)), @own nvarchar(120) = "
        "NULLIF(CAST(SESSION_CONTEXT(N'duolog_engine') AS nvarchar(120)), N''), @at bigint = DATEDIFF_BIG("
    )
    return rest


def test_new_rows_are_kept_by_one_statement_whose_numbers_are_those_of_the_change_table() -> None:
    assert made(TOLD, "I") == [
        f"INSERT INTO duolog.row_account_00000007 (seq, o0, n0, n1) {INTO.format('I')} "
        f"SELECT {NUMBER}, i.[ID], i.[ID], i.[NAME] FROM inserted AS i;"
    ]


def test_rows_that_are_gone_are_kept_whole() -> None:
    assert made(TOLD, "D") == [
        f"INSERT INTO duolog.row_account_00000007 (seq, o0, n0, n1) {INTO.format('D')} "
        f"SELECT {NUMBER}, d.[ID], d.[ID], d.[NAME] FROM deleted AS d;"
    ]


def test_changed_rows_are_paired_by_their_keys_or_as_the_only_ones() -> None:
    pair = (
        f"INSERT INTO duolog.row_account_00000007 (seq, o0, n0, n1) {INTO.format('U')} "
        f"SELECT {NUMBER}, d.[ID], i.[ID], i.[NAME] FROM inserted AS i "
    )

    assert made(TOLD, "U") == [
        "IF NOT EXISTS (SELECT [ID] FROM deleted EXCEPT SELECT [ID] FROM inserted)",
        f"{pair}INNER JOIN deleted AS d ON d.[ID] = i.[ID];",
        "ELSE IF (SELECT COUNT_BIG(*) FROM inserted) = 1",
        f"{pair}CROSS JOIN deleted AS d;",
        "ELSE BEGIN",
        f"INSERT INTO duolog.row_account_00000007 (seq, o0, n0, n1) {INTO.format('D')} "
        f"SELECT {NUMBER}, d.[ID], d.[ID], d.[NAME] FROM deleted AS d "
        "WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE d.[ID] = i.[ID]);",
        f"{pair}INNER JOIN deleted AS d ON d.[ID] = i.[ID];",
        f"INSERT INTO duolog.row_account_00000007 (seq, o0, n0, n1) {INTO.format('I')} "
        f"SELECT {NUMBER}, i.[ID], i.[ID], i.[NAME] FROM inserted AS i "
        "WHERE NOT EXISTS (SELECT 1 FROM deleted AS d WHERE d.[ID] = i.[ID]);",
        "END",
    ]


def test_a_key_of_two_columns_is_compared_by_both() -> None:
    told = made(replace(TOLD, key=(0, 1), kept=("o0", "o1", "n0", "n1")), "U")

    assert told[0] == "IF NOT EXISTS (SELECT [ID], [NAME] FROM deleted EXCEPT SELECT [ID], [NAME] FROM inserted)"
    assert "(seq, o0, o1, n0, n1)" in told[1]
    assert told[1].endswith("ON d.[ID] = i.[ID] AND d.[NAME] = i.[NAME];")


def test_ours_are_called_first_unless_another_is() -> None:
    _, first = triggers(replace(TOLD, table="[dbo].[O'NEIL]"))[1].make

    assert first == (
        "IF NOT EXISTS (SELECT 1 FROM sys.triggers AS t INNER JOIN sys.trigger_events AS e ON e.object_id = "
        "t.object_id WHERE t.parent_id = OBJECT_ID(N'[dbo].[O''NEIL]') AND e.is_first = 1 AND e.type_desc = N'UPDATE') "
        "EXEC sp_settriggerorder @triggername = N'[dbo].duolog_account_00000007_u', @order = N'First', "
        "@stmttype = N'UPDATE'"
    )


def test_no_identity_is_drawn_as_the_application_may_ask_for_its_own() -> None:
    everything = " ".join((*MSSQL.change, MSSQL.mark, MSSQL.shadow))

    assert " IDENTITY" not in everything
    assert "DEFAULT (NEXT VALUE FOR {schema}.numbers)" in everything


class Heard:
    """Hears what is sent to SQL Server; `n`: what the mark says."""

    def __init__(self) -> None:
        self.dialect = mssql.dialect()
        self.sent: list[str] = []

    def exec_driver_sql(self, statement: str) -> Heard:
        self.sent.append(statement)
        return self

    def execute(self, statement: sa.Select[tuple[int]]) -> Heard:
        self.sent.append(" ".join(str(statement.compile(dialect=self.dialect)).split()))
        return self

    def scalar(self) -> int:
        return 12

    def close(self) -> None:
        pass


def test_the_mark_is_waited_for_longer_than_rows_and_by_that_statement_only() -> None:
    heard = Heard()

    assert stamping.hold(heard, ours_of(heard.dialect, "erp"), "erp", 2) == 12  # type: ignore[arg-type]

    assert heard.sent[0] == "EXEC(N'SET LOCK_TIMEOUT 5000; UPDATE duolog.mark SET n = n + 2 WHERE id = 1')"
    assert len(heard.sent) == 2


def batches() -> Iterator[str]:
    """Every statement that a parser of T-SQL knows in full."""
    names = {
        "change": "duolog.change", "mark": "duolog.mark", "schema": "duolog", "index": "change_stamp",
        "shadow": "duolog.row_a", "table": "dbo.a", "columns": "t.[ID] AS o0, CAST(t.[RV] AS binary(8)) AS n0",
    }  # fmt: skip
    said = [*MSSQL.change[2:4], MSSQL.mark, *MSSQL.shadow.split("; ")[:2], *MSSQL.last, MSSQL.known]
    for statement in said:
        for word, name in names.items():
            statement = statement.replace("{" + word + "}", name)
        yield statement
    yield from (question.asked for question in MSSQL.questions)
    for op in "IUD":
        yield from (line for line in made(TOLD, op) if line.startswith("INSERT"))


@pytest.mark.parametrize("batch", batches())
def test_each_statement_is_t_sql(batch: str) -> None:
    # Neither sequences nor the columns behind OUTPUT ... INTO are known to the parser.
    said = batch.replace(NUMBER, "1").replace("INTO duolog.change (seq, tx, own, tbl, op, at)", "INTO change")
    (parsed,) = sqlglot.parse(said, dialect="tsql")

    assert not isinstance(parsed, exp.Command)


@pytest.mark.parametrize("question", MSSQL.questions, ids=lambda question: question.code)
def test_what_is_asked_fills_what_is_told(question: Question) -> None:
    parsed = sqlglot.parse_one(question.asked, dialect="tsql")
    assert isinstance(parsed, exp.Select)
    row = [f"<{at}>" for at in range(len(parsed.expressions))]

    told = question.found.format(*row) + question.mend.format(*row)

    assert "{" not in told
    assert not question.of_table or "`<0>.<1>`" in told
