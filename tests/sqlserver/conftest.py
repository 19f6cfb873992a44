"""Lends the tests of this folder a SQL Server in Docker; see `tests.sqlserver.server`."""

from tests.sqlserver.server import sqlserver_db, sqlserver_server

__all__ = ["sqlserver_db", "sqlserver_server"]
