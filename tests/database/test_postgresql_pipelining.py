"""Statements that go out together to a PostgreSQL server: their answers, their failures, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from adapters.postgresql.pipelining import Pipeline

IDLE = psycopg.pq.TransactionStatus.IDLE


@pytest.fixture
def conn(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """A session with a table."""
    with psycopg.connect(erp_db, autocommit=True) as made:
        made.execute("CREATE TABLE t (n int PRIMARY KEY, s text)")
        yield made


def prepared(conn: psycopg.Connection[Any]) -> list[str]:
    """The statements of ours that the server keeps."""
    found = conn.execute("SELECT name FROM pg_prepared_statements WHERE name LIKE 'duolog%' ORDER BY 1").fetchall()
    return [name for (name,) in found]


def test_answers_come_in_order_typed_and_when_they_are_asked_for(conn: psycopg.Connection[Any]) -> None:
    pipeline = Pipeline(conn, 10)
    for turn in range(3):
        with pipeline:
            pipeline.run("BEGIN", [])
            given = [str(turn), "ü"]
            insert = pipeline.run("INSERT INTO t VALUES ($1::int, $2) RETURNING n, s, ARRAY[n], n > 1", given)
            rows = pipeline.run("SELECT n FROM t ORDER BY n", [])
            none = pipeline.run("SELECT n FROM t WHERE n < 0", [])
            assert rows.fetchall() == [(n,) for n in range(turn + 1)]
            assert none.fetchone() is None
            commit = pipeline.run("COMMIT", [])
        assert insert.fetchone() == (turn, "ü", [turn], turn > 1)
        assert commit.statusmessage == "COMMIT"
    assert conn.info.transaction_status == IDLE
    assert len(prepared(conn)) == 5


def test_the_first_failure_is_told_and_nothing_behind_it_is_done(conn: psycopg.Connection[Any]) -> None:
    pipeline = Pipeline(conn, 10)
    with pytest.raises(psycopg.errors.UniqueViolation), pipeline:
        pipeline.run("BEGIN", [])
        pipeline.run("INSERT INTO t VALUES (1, 'a')", [])
        pipeline.run("INSERT INTO t VALUES (1, 'b')", [])
        pipeline.run("INSERT INTO t VALUES (2, $1)", ["never prepared"])
        pipeline.run("COMMIT", [])
    conn.execute("ROLLBACK")
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
    with pipeline:
        pipeline.run("INSERT INTO t VALUES (2, $1)", ["prepared anew"])
    assert conn.execute("SELECT s FROM t").fetchone() == ("prepared anew",)


def test_a_failure_is_told_where_an_answer_behind_it_is_asked_for(conn: psycopg.Connection[Any]) -> None:
    pipeline = Pipeline(conn, 10)
    with pipeline:
        pipeline.run("SELECT 1", [])
    with pytest.raises(psycopg.errors.DivisionByZero), pipeline:
        pipeline.run("SELECT 1 / $1::int", ["0"])
        behind = pipeline.run("SELECT 1", [])
        with pytest.raises(psycopg.errors.DivisionByZero):
            behind.fetchone()
        with pytest.raises(psycopg.errors.DivisionByZero):
            behind.fetchone()
    assert conn.info.transaction_status == IDLE
    with pipeline:
        assert pipeline.run("SELECT 1 / $1::int", ["1"]).fetchone() == (1,)


def test_an_error_of_the_caller_leaves_the_session_fit(conn: psycopg.Connection[Any]) -> None:
    pipeline = Pipeline(conn, 10)
    with pytest.raises(LookupError), pipeline:
        pipeline.run("INSERT INTO t VALUES (1, 'a')", [])
        raise LookupError
    with pytest.raises(psycopg.DataError), pipeline:
        pipeline.run("INSERT INTO t VALUES (3, $1)", ["a\0b"])
    assert conn.info.transaction_status == IDLE
    assert conn.execute("SELECT count(*) FROM t WHERE n = 3").fetchone() == (0,)


def test_as_many_statements_stay_prepared_as_were_said(conn: psycopg.Connection[Any]) -> None:
    pipeline = Pipeline(conn, 3)
    for number in [*range(8), 0, 7, 0]:
        with pipeline:
            assert pipeline.run(f"SELECT {number}", []).fetchone() == (number,)
    assert len(prepared(conn)) <= 4


def test_much_may_go_both_ways_at_once(conn: psycopg.Connection[Any]) -> None:
    text = "x" * 3_000_000
    pipeline = Pipeline(conn, 10)
    with pipeline:
        answers = [pipeline.run("SELECT $1::text || $1::text", [text]) for _ in range(5)]
        assert all(answer.fetchone() == (text + text,) for answer in answers)


def test_a_session_that_the_server_ends_is_told_as_lost(conn: psycopg.Connection[Any], erp_db: str) -> None:
    pipeline = Pipeline(conn, 10)
    with psycopg.connect(erp_db, autocommit=True) as other, pytest.raises(psycopg.OperationalError), pipeline:
        pipeline.run("BEGIN", [])
        pipeline.run("SELECT 1", []).fetchone()
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
        pipeline.run("SELECT 2", []).fetchone()
    assert conn.closed
