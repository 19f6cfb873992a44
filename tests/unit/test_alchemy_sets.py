"""Many rows go in one statement, where a dialect has words for that: the statements, as they go out."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from adapters.alchemy.abilities import abilities
from adapters.alchemy.columns import AlchemyColumn, column
from adapters.alchemy.sets import Sets, rows_max

DIALECTS: dict[str, sa.Dialect] = {
    "postgresql": postgresql.psycopg.dialect(), "mysql": mysql.pymysql.dialect(), "sqlite": sqlite.dialect()
}  # fmt: skip
TYPES: dict[str, sa.types.TypeEngine[object]] = {"id": sa.BigInteger(), "name": sa.String(40), "at": sa.TIMESTAMP()}


def columns(name: str, **more: sa.types.TypeEngine[object]) -> list[AlchemyColumn]:
    """A table `erp.account` as the dialect has it."""
    made = [
        column({"name": each, "type": kind, "nullable": each != "id"}, each, DIALECTS[name], abilities(name))
        for each, kind in {**TYPES, **more}.items()
    ]
    sa.Table("account", sa.MetaData(), *[each.element for each in made], schema="erp", quote=True, quote_schema=True)
    return made


def sets(name: str) -> Sets:
    """Those of a dialect."""
    return Sets(DIALECTS[name], abilities(name))


UPDATED = {
    "postgresql": 'UPDATE "erp"."account" SET "name" = duolog_given.duolog_n1, "at" = (now()) FROM (VALUES '
    "(%s::BIGINT, %s::VARCHAR), (%s::BIGINT, %s::VARCHAR)) AS duolog_given (duolog_k0, duolog_n1) "
    'WHERE "erp"."account"."id" = duolog_given.duolog_k0',
    "mysql": "UPDATE (SELECT `id` AS duolog_k0, `name` AS duolog_n1 FROM `erp`.`account` WHERE FALSE "
    "UNION ALL SELECT %s, %s UNION ALL SELECT %s, %s) AS duolog_given STRAIGHT_JOIN `erp`.`account` "
    "ON `erp`.`account`.`id` = duolog_given.duolog_k0 "
    "SET `erp`.`account`.`name` = duolog_given.duolog_n1, `erp`.`account`.`at` = (now())",
    "sqlite": 'UPDATE "erp"."account" SET "name" = duolog_given.duolog_n1, "at" = (now()) '
    "FROM (SELECT column1 AS duolog_k0, column2 AS duolog_n1 FROM (VALUES (?, ?), (?, ?))) AS duolog_given "
    'WHERE "erp"."account"."id" = duolog_given.duolog_k0',
}  # fmt: skip


@pytest.mark.parametrize("name", UPDATED)
def test_many_rows_are_changed_by_one_statement_in_the_words_of_each_database(name: str) -> None:
    known, made = columns(name), sets(name)
    form = made.given(known[:2])

    assert made.may_update(form, known[:1], known[1:2])
    assert made.update(form, 1, [(known[2], "now()")], 2) == UPDATED[name]
    assert form.parameters([("1", "a"), ("2", None)]) == (1, "a", 2, None)


def test_many_rows_are_inserted_by_one_statement() -> None:
    known, made = columns("mysql"), sets("mysql")

    assert made.insert(made.given(known[:2]), [(known[2], "now()")], 2) == (
        "INSERT INTO `erp`.`account` (`id`, `name`, `at`) VALUES (%s, %s, (now())), (%s, %s, (now()))"
    )


def test_a_percent_sign_in_an_expression_or_a_name_is_none_of_the_drivers() -> None:
    known = columns("mysql", **{"of%": sa.Integer()})
    made = sets("mysql")

    told = made.update(made.given([known[0], known[3]]), 1, [(known[1], "concat('%', 'a')")], 1)

    assert told.count("%s") == 2
    assert "concat('%%', 'a')" in told
    assert "`of%%`" in told


def test_what_becomes_longer_beside_others_or_changes_its_key_is_changed_alone() -> None:
    known = columns("mysql", code=mysql.BINARY(16), flags=mysql.BIT(8))
    made = sets("mysql")

    for key, changed in ((known[0], known[3]), (known[3], known[1]), (known[0], known[4]), (known[0], known[0])):
        assert not made.may_update(made.given([key, changed]), [key], [changed])


def test_a_parameter_of_no_known_type_stands_alone_where_the_database_would_take_it_for_a_text() -> None:
    known = columns("postgresql", odd=sa.types.NullType())
    made = sets("postgresql")

    assert not made.may_update(made.given([known[0], known[3]]), known[:1], known[3:])


def test_statements_have_no_more_parameters_than_a_database_takes() -> None:
    made = sets("sqlite")
    wide = abilities("sqlite").parameters_at_once

    assert [piece.stop - piece.start for piece in made.pieces(2 * rows_max, 2)] == [rows_max, rows_max]
    assert all((piece.stop - piece.start) * 1000 <= wide for piece in made.pieces(100, 1000))
    assert [piece.start for piece in made.pieces(3, 10 * wide)] == [0, 1, 2]
