"""Every database's errors mean one of a few things, and none of their words about a row's content is passed on."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
import pymysql
import pytest
from sqlalchemy import exc

from adapters.alchemy.refusals import Meaning, code, meaning, reason, verdict
from adapters.alchemy.session import translate, url_of
from engine.errors import AccessDenied, SystemUnavailable


class OracleCode:
    """What oracledb puts into its errors."""

    def __init__(self, number: int) -> None:
        self.code = number


def of(module: str, *args: Any) -> Exception:
    """A driver's error, of a driver that is not here."""
    made = type("DatabaseError", (Exception,), {"__module__": module})(*args)
    assert isinstance(made, Exception)
    return made


def odbc(number: int, words: str = "Secret value") -> Exception:
    said = f"[42000] [Microsoft][ODBC Driver 18 for SQL Server]{words} ({number}) (SQLExecDirectW)"
    return of("pyodbc", "42000", said)


def busy() -> sqlite3.OperationalError:
    made = sqlite3.OperationalError("database is locked")
    made.sqlite_errorcode = 261  # type: ignore[misc]
    return made


MEANINGS: list[tuple[Exception, str, Meaning]] = [
    (psycopg.errors.LockNotAvailable(), "55P03", Meaning.BLOCKED),
    (psycopg.errors.UniqueViolation(), "23505", Meaning.REFUSED),
    (psycopg.errors.RaiseException(), "P0001", Meaning.REFUSED),
    (psycopg.errors.InsufficientPrivilege(), "42501", Meaning.DENIED),
    (psycopg.errors.UndefinedTable(), "42P01", Meaning.CHANGED),
    (psycopg.errors.AdminShutdown(), "57P01", Meaning.GONE),
    (pymysql.err.OperationalError(1205, "x"), "1205", Meaning.BLOCKED),
    (pymysql.err.OperationalError(1213, "x"), "1213", Meaning.LOST),
    (pymysql.err.OperationalError(4025, "x"), "4025", Meaning.REFUSED),
    (pymysql.err.ProgrammingError(1146, "x"), "1146", Meaning.CHANGED),
    (pymysql.err.OperationalError(2013, "x"), "2013", Meaning.GONE),
    (of("oracledb.exceptions", OracleCode(54)), "54", Meaning.BLOCKED),
    (of("oracledb.exceptions", OracleCode(2291)), "2291", Meaning.REFUSED),
    (of("oracledb.exceptions", OracleCode(20001)), "20001", Meaning.REFUSED),
    (of("oracledb.exceptions", OracleCode(942)), "942", Meaning.CHANGED),
    (of("oracledb.exceptions", OracleCode(3113)), "3113", Meaning.GONE),
    (odbc(1222), "1222", Meaning.BLOCKED),
    (odbc(3616), "3616", Meaning.REFUSED),
    (odbc(7139), "7139", Meaning.REFUSED),
    (odbc(51234), "51234", Meaning.REFUSED),
    (odbc(9420), "9420", Meaning.REFUSED),
    (odbc(8104), "8104", Meaning.DENIED),
    (odbc(9002), "9002", Meaning.GONE),
    (odbc(1205), "1205", Meaning.LOST),
    (odbc(2627), "2627", Meaning.REFUSED),
    (odbc(208), "208", Meaning.CHANGED),
    (of("ibm_db_dbi", "[IBM][CLI Driver] SQL0911N ... SQLSTATE=40001 SQLCODE=-911"), "911", Meaning.LOST),
    (of("ibm_db_dbi", "[IBM][CLI Driver] SQL0803N  ... SQLSTATE=23505 SQLCODE=-803"), "803", Meaning.REFUSED),
    (of("ibm_db_dbi", "[IBM][CLI Driver] SQL0204N  ... SQLCODE=-204"), "204", Meaning.CHANGED),
    (busy(), "5", Meaning.BLOCKED),
]


@pytest.mark.parametrize(("orig", "told", "means"), MEANINGS, ids=lambda each: str(each)[:24])
def test_an_error_means_what_its_database_means_by_it(orig: Exception, told: str, means: Meaning) -> None:
    error = exc.DBAPIError("", {}, orig)

    assert (code(error), meaning(error)) == (told, means)


def test_an_error_of_no_known_number_is_judged_by_its_class() -> None:
    assert meaning(exc.IntegrityError("", {}, of("somewhere", "x"))) is Meaning.REFUSED
    assert meaning(exc.OperationalError("", {}, of("somewhere", "x"))) is Meaning.GONE
    assert verdict(exc.ProgrammingError("", {}, of("somewhere", "x"))) == "broken"


def test_a_refusal_and_a_broken_line_are_told_without_the_drivers_words() -> None:
    refused = exc.DBAPIError("UPDATE", {"a": "Secret value"}, odbc(2627))
    gone = exc.OperationalError("UPDATE", {}, of("somewhere", "Secret value"))

    assert reason(refused, ()) == "2627 duplicate key"
    assert "Secret" not in str(translate(refused, "erp")) + str(translate(gone, "erp"))
    assert isinstance(translate(gone, "erp"), SystemUnavailable)


def test_a_value_larger_than_what_sql_server_captures_is_refused_and_does_not_stop_the_others() -> None:
    error = exc.DBAPIError("UPDATE", {}, odbc(7139))

    assert verdict(error) == "refused"
    assert reason(error, ()) == "7139 larger than what is captured (`max text repl size`)"


def test_an_address_that_is_none_is_refused_without_being_quoted() -> None:
    with pytest.raises(AccessDenied) as refused:
        url_of("hunter2", "erp")

    assert "hunter2" not in str(refused.value)
    assert url_of("oracle://duolog:x@db:1521/erp").drivername == "oracle+oracledb"
    assert url_of("mariadb+mysqldb://db/erp").drivername == "mariadb+mysqldb"
