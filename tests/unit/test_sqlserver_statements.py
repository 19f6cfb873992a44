"""The T-SQL that a SQL Server target sends, without a server: word for word, and read by a parser of T-SQL.

What a SQL Server makes of it is tried in `tests/sqlserver`, where Docker is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects import mssql

from adapters.alchemy.abilities import abilities
from adapters.alchemy.columns import AlchemyColumn, column
from adapters.relational.layout import Layout
from adapters.relational.refused import Unstorable
from adapters.sqlserver import phrases, statements, texts
from adapters.sqlserver.phrases import IN_ORDER, column_encoder, document, holds_more, spoken
from adapters.sqlserver.rows import held_sent, keys_sent, new_sent
from adapters.sqlserver.statements import Subject

CI = "Latin1_General_CI_AS"
TYPES: dict[str, Any] = {
    "nvarchar": mssql.NVARCHAR(40, collation=CI), "varchar": mssql.VARCHAR(40, collation=CI),
    "nchar": mssql.NCHAR(5, collation=CI), "long": mssql.NVARCHAR(None, collation=CI), "ntext": mssql.NTEXT(),
    "decimal": mssql.DECIMAL(14, 2), "whole": mssql.DECIMAL(5, 0), "money": mssql.MONEY(), "float": mssql.FLOAT(53),
    "real": mssql.REAL(), "bit": mssql.BIT(), "date": mssql.DATE(), "time": mssql.TIME(7),
    "datetime2": mssql.DATETIME2(7), "milli": mssql.DATETIME2(3), "datetime": mssql.DATETIME(),
    "smalldatetime": mssql.SMALLDATETIME(), "offset": mssql.DATETIMEOFFSET(3), "uuid": mssql.UNIQUEIDENTIFIER(),
    "varbinary": mssql.VARBINARY(20), "image": mssql.IMAGE(), "xml": mssql.XML(), "tinyint": mssql.TINYINT(),
    "int": mssql.INTEGER(),
}  # fmt: skip
MARK = ";WITH CHANGE_TRACKING_CONTEXT (0x64) "


def made(types: dict[str, Any]) -> list[AlchemyColumn]:
    """A table `ERP.ACCOUNT` whose key `ID` the database numbers, and these columns."""
    told: dict[str, Any] = {"ID": mssql.BIGINT(), **types}
    dialect = mssql.dialect()
    columns = [
        column(
            {"name": name, "type": kind, "nullable": name != "ID", "identity": {"start": 1} if name == "ID" else None},
            name, dialect, abilities("mssql"),
        )
        for name, kind in told.items()
    ]  # fmt: skip
    sa.Table("ACCOUNT", sa.MetaData(), *[each.element for each in columns], schema="ERP")
    return columns


def one(kind: str) -> AlchemyColumn:
    return made({"it": TYPES[kind]})[1]


def layout(columns: list[AlchemyColumn], **more: Any) -> Layout:
    return Layout("account", "ERP", "ACCOUNT", (0,), len(columns), dict(enumerate(columns)), **more)


def lines(batch: str) -> list[str]:
    """The statements of a batch, behind those with which every batch begins."""
    silent, rows, *rest = batch.removesuffix(";").split(";\n")
    assert (silent, rows) == ("SET NOCOUNT ON", "DECLARE @rows nvarchar(max) = CONVERT(nvarchar(max), ?)")
    return rest


GIVEN = "OPENJSON(@rows) WITH ([ord] int '$[0]', [k1] nvarchar(max) '$[1]'{}) AS u"
FOUND = (
    "[t].[ID] = TRY_CONVERT(bigint, [u].[k1]) AND CONVERT(nvarchar(64), [t].[ID]) COLLATE Latin1_General_BIN2 = "
    "[u].[k1]"
)
TOLD = "DECLARE @told TABLE ([ord] int NOT NULL PRIMARY KEY)"
KEPT = "INNER JOIN @told AS o ON o.[ord] = u.[ord]"
NAME = "CONVERT(nvarchar(max), [t].[NAME])"
HOLDS = (
    f"EXISTS (SELECT {NAME} COLLATE Latin1_General_BIN2, DATALENGTH({NAME}) INTERSECT SELECT [u].[{{0}}], "
    "DATALENGTH([u].[{0}]))"
)


def test_an_update_locks_the_rows_whose_guard_holds_and_changes_just_these() -> None:
    columns = made({"NAME": TYPES["nvarchar"]})
    subject = Subject(("ERP", "ACCOUNT"), columns[:1])
    given = GIVEN.format(", [n1] nvarchar(max) '$[2]', [h1] nvarchar(max) '$[3]'")

    batch = statements.write("update", subject, layout(columns), columns[1:], columns[1:], [False])

    assert lines(batch) == [
        TOLD,
        f"INSERT INTO @told ([ord]) SELECT u.[ord] FROM {given} "
        f"INNER JOIN [ERP].[ACCOUNT] AS t WITH (UPDLOCK, ROWLOCK) ON {FOUND} WHERE {HOLDS.format('h1')} {IN_ORDER}",
        f"UPDATE t SET [t].[NAME] = [u].[n1] FROM {given} {KEPT} INNER JOIN [ERP].[ACCOUNT] AS t ON {FOUND} {IN_ORDER}",
        "SELECT u.[ord], CASE WHEN [t].[ID] IS NOT NULL THEN 1 WHEN o.[ord] IS NOT NULL THEN 2 ELSE 0 END, [t].[NAME] "
        f"FROM {given} LEFT JOIN @told AS o ON o.[ord] = u.[ord] LEFT JOIN [ERP].[ACCOUNT] AS t ON o.[ord] IS NOT NULL "
        f"AND {FOUND} WHERE [t].[ID] IS NULL OR NOT {HOLDS.format('n1')} {IN_ORDER}",
    ]


def test_an_insert_makes_the_rows_whose_key_is_free_and_may_say_a_numbered_key() -> None:
    columns = made({"NAME": TYPES["nvarchar"], "MADE": TYPES["datetime2"]})
    subject = Subject(("ERP", "ACCOUNT"), columns[:1])
    given = GIVEN.format(", [n1] nvarchar(max) '$[2]'")
    fit = "([u].[k1] IS NULL OR TRY_CONVERT(bigint, [u].[k1]) IS NOT NULL)"

    batch = statements.write(
        "insert", subject, layout(columns[:2], written=((columns[2], "SYSUTCDATETIME()"),)), columns[1:2], columns[1:2],
        [],
    )  # fmt: skip

    assert lines(batch)[1:5] == [
        f"INSERT INTO @told ([ord]) SELECT u.[ord] FROM {given} WHERE {fit} AND NOT EXISTS (SELECT 1 FROM "
        f"[ERP].[ACCOUNT] AS t WHERE {FOUND}) {IN_ORDER}",
        "SET IDENTITY_INSERT [ERP].[ACCOUNT] ON",
        "INSERT INTO [ERP].[ACCOUNT] ([ID], [NAME], [MADE]) SELECT TRY_CONVERT(bigint, [u].[k1]), [u].[n1], "
        f"(SYSUTCDATETIME()) FROM {given} {KEPT} ORDER BY u.[ord]",
        "SET IDENTITY_INSERT [ERP].[ACCOUNT] OFF",
    ]


def test_a_delete_says_the_mark_before_the_change_alone_and_tells_what_it_left() -> None:
    columns = made({"NAME": TYPES["nvarchar"]})
    subject = Subject(("ERP", "ACCOUNT"), columns[:1], MARK)
    given = GIVEN.format(", [h1] nvarchar(max) '$[2]'")

    _, chosen, change, told = lines(statements.write("delete", subject, layout(columns), columns[1:], [], [False]))

    assert chosen.startswith("INSERT INTO @told ")
    assert change == f"{MARK}DELETE t FROM {given} {KEPT} INNER JOIN [ERP].[ACCOUNT] AS t ON {FOUND} {IN_ORDER}"
    assert told == (
        f"SELECT u.[ord], 0 FROM {given} WHERE NOT EXISTS (SELECT 1 FROM @told AS o WHERE o.[ord] = u.[ord])"
    )


def test_a_record_that_is_marked_as_gone_is_updated() -> None:
    columns = made({"NAME": TYPES["nvarchar"], "GONE": TYPES["bit"]})
    subject = Subject(("ERP", "ACCOUNT"), columns[:1])

    batch = statements.write(
        "delete", subject, layout(columns[:2], gone=((columns[2], "t"),)), columns[1:2], [], [False]
    )

    assert lines(batch)[2].startswith("UPDATE t SET [t].[GONE] = CONVERT(bit, N'1') FROM OPENJSON")


def test_an_empty_text_may_be_null() -> None:
    columns = made({"NAME": TYPES["nvarchar"]})

    text = phrases.same(columns[1:], ["h1"], [True])

    both = f"COALESCE({NAME}, N'')", "COALESCE([u].[h1], N'')"
    assert text == (
        f"EXISTS (SELECT {both[0]} COLLATE Latin1_General_BIN2, DATALENGTH({both[0]}) INTERSECT "
        f"SELECT {both[1]}, DATALENGTH({both[1]}))"
    )


def test_a_key_of_text_is_found_by_its_index_in_its_own_collation() -> None:
    wide, narrow = one("nvarchar"), one("varchar")

    assert phrases.native(wide, "[u].[k1]") == f"CONVERT(nvarchar(40), [u].[k1]) COLLATE {CI}"
    assert phrases.native(narrow, "[u].[k1]") == f"CONVERT(varchar(40), [u].[k1] COLLATE {CI})"
    assert "DATALENGTH([u].[k1])" in phrases.key_matches([wide], ["k1"])


def test_keys_that_the_database_makes_are_told_row_by_row() -> None:
    columns = made({"NAME": TYPES["nvarchar"]})

    table, merge, asked = lines(
        statements.insert_made(Subject(("ERP", "ACCOUNT"), columns[:1]), columns[1:], [], columns[1:])
    )

    assert table == "DECLARE @made TABLE ([ord] int NOT NULL PRIMARY KEY, [k1] bigint)"
    assert merge == (
        "MERGE INTO [ERP].[ACCOUNT] AS t USING (SELECT * FROM OPENJSON(@rows) WITH ([ord] int '$[0]', "
        "[n1] nvarchar(max) '$[1]') AS u) AS u ON 1 = 0 WHEN NOT MATCHED THEN INSERT ([NAME]) VALUES ([u].[n1]) "
        "OUTPUT u.[ord], inserted.[ID] INTO @made"
    )
    assert asked == (
        "SELECT m.[ord], [t].[ID], [t].[NAME] FROM @made AS m INNER JOIN [ERP].[ACCOUNT] AS t ON t.[ID] = m.[k1] "
        f"ORDER BY m.[ord] {IN_ORDER}"
    )


def test_rows_that_others_have_locked_are_told_without_waiting_for_them() -> None:
    columns = made({})

    _, ours, others = lines(statements.locked(Subject(("ERP", "ACCOUNT"), columns)))

    assert "AS t WITH (UPDLOCK, ROWLOCK, READPAST) ON" in ours
    assert "AS t WITH (READUNCOMMITTED) ON" in others


@pytest.mark.parametrize("kind", TYPES)
def test_a_seventh_digit_and_an_offset_stay_where_nothing_else_is_written(kind: str) -> None:
    it = one(kind)

    assert holds_more(it) == (kind in ("time", "datetime2", "offset"))
    assert ("THEN [t].[it] ELSE" in phrases.assigned(it, "n1")) == holds_more(it)
    assert ("LEFT(CONVERT(nvarchar" in phrases.sides(it, "n1")[0][0]) == (kind in ("time", "datetime2"))


def everything() -> list[str]:
    """Every form of a statement, of a table with columns of all types."""
    columns = made(TYPES)
    key, fields = columns[:1], columns[1:]
    place, subject, alone = layout(columns), Subject(("ERP", "ACCOUNT"), key), Subject(("ERP", "ACCOUNT"), ())
    return [
        *(statements.write(kind, subject, place, fields, fields, [True] * len(fields))
          for kind in ("update", "insert", "delete")),
        statements.write("insert", subject, place, fields[:2], fields, []),
        statements.update(subject, [], [], []),
        statements.insert(alone, columns, [(fields[0], "SUSER_SNAME()")]),
        statements.insert_made(subject, fields, [], fields),
        *(statements.by_keys(subject, columns, mode) for mode in ("look", "there", "lock", "skip")),
        *(statements.by_keys(Subject(("ERP", "ACCOUNT"), [each]), key, "look") for each in fields),
        statements.locked(subject), statements.delete(subject), statements.unbind(subject, fields),
        *(statements.add_codes(alone, each) for each in fields), statements.drawn([("NEWID()", one("uuid"))]),
    ]  # fmt: skip


def test_every_form_is_t_sql() -> None:
    """As far as sqlglot knows that: not the hints of a DELETE, nor what is allowed for a table with a numbered key."""
    for batch in everything():
        assert batch.count("?") == 1
        told = lines(batch)
        assert told[-1].startswith("SELECT ")
        for statement in told:
            if statement.startswith("SET IDENTITY_INSERT "):
                continue
            (parsed,) = sqlglot.parse(statement.replace(IN_ORDER, ""), dialect="tsql")
            assert parsed is not None
            assert not isinstance(parsed, sqlglot.exp.Command)


def test_types_of_which_no_text_makes_the_same_value_are_told_apart() -> None:
    columns = made({"v": mssql.SQL_VARIANT(), "g": sa.types.NullType(), **TYPES})

    assert [each.shape.name for each in columns if not spoken(each.shape.type)] == ["v", "g"]


def test_a_row_version_is_never_written() -> None:
    assert [each.shape.generated for each in made({"v": mssql.ROWVERSION(), "t": mssql.TIMESTAMP()})] == [
        False, True, True,
    ]  # fmt: skip


SENT = [
    ("int", "-7", "-7"), ("bit", "t", "1"), ("bit", "f", "0"), ("money", "1.2345", "1.2345"),
    ("varbinary", "\\x0aff", "0AFF"), ("varbinary", "\\x", ""), ("float", "0.1", "1.0000000000000001e-001"),
    ("float", "-0", "-0.0000000000000000e+000"), ("float", "1e+300", "1.0000000000000001e+300"),
    ("real", "0.1", "1.0000000149011612e-001"), ("offset", "2026-01-31 12:00:00.5+00", "2026-01-31 12:00:00.5"),
    ("datetime2", "9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"), ("time", "23:59:59", "23:59:59"),
    ("uuid", "d10be316-9bcc-4a6e-b3c1-5624d0878a77", "d10be316-9bcc-4a6e-b3c1-5624d0878a77"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "sent"), SENT)
def test_a_text_goes_as_sql_server_takes_it(kind: str, text: str, sent: str) -> None:
    assert new_sent([one(kind)], [(text,)]) == [[sent]]


UNFIT = [
    ("int", ""), ("int", " 5"), ("int", "5.0"), ("int", "０"), ("bit", "1"), ("decimal", "NaN"), ("decimal", "1e5"),
    ("money", "£1"), ("float", "Infinity"), ("float", "x"), ("real", "1e+39"), ("date", "2026-02-30"),
    ("date", "20260131"), ("date", "infinity"), ("time", "24:00:00"), ("datetime2", "0044-03-15 12:00:00 BC"),
    ("datetime2", "2026-01-31T12:00:00"), ("datetime2", "2026-01-31 12:00:00.1234567"),
    ("offset", "2026-01-31 12:00:00+01"), ("varbinary", "0aff"), ("varbinary", "\\x0"),
    ("uuid", "d10be316-9bcc-4a6e-b3c1-5624d0878a77-and-more"), ("nvarchar", "a\0b"), ("xml", "\0"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), UNFIT)
def test_what_is_no_value_of_a_type_is_never_sent_as_one(kind: str, text: str) -> None:
    it = one(kind)

    with pytest.raises(Unstorable) as told:
        new_sent([it], [(text,)])

    assert not text.strip("£\0 ") or text not in str(told.value)


def test_a_row_that_is_held_to_have_what_no_row_can_have_is_found_nowhere() -> None:
    columns = [one("int"), one("nvarchar")]

    sent, unfit = held_sent(columns, [("5", "a"), ("x", "b\0"), (None, None)])

    assert [list(each) for each in sent] == [["5", None, None], ["a", "b\0", None]]
    assert unfit == {1}
    assert [list(each) for each in keys_sent(columns, [("5", "a"), ("x", "b")])] == [["5", None], ["a", "b"]]


def test_rows_go_as_one_document_with_their_ordinals() -> None:
    told = document([["7", "8"], ['a"\\', None], ["单价", "🙂"]], 2)

    assert json.loads(told) == [[1, "7", 'a"\\', "单价"], [2, "8", None, "🙂"]]
    assert json.loads(document([], 2)) == [[1], [2]]
    with pytest.raises(Unstorable):
        document([["\ud800"]], 1)


def test_most_texts_go_as_they_are() -> None:
    assert [kind for kind in TYPES if column_encoder(one(kind)) is None] == [
        "nvarchar", "varchar", "nchar", "long", "ntext", "xml",
    ]  # fmt: skip
    assert texts.encoder("sql_variant") is None
