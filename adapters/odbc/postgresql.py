"""SQLAlchemy's dialect of PostgreSQL, spoken through pyodbc: SQLAlchemy itself has none.

Parameters are cast to the types of what they stand for, as SQLAlchemy has it of the other drivers: psqlodbc asks the
server what a parameter is, and the server cannot always know. No value is altered here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import types as sqltypes
from sqlalchemy import util
from sqlalchemy.connectors.pyodbc import PyODBCConnector
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.postgresql.json import JSON, JSONB
from sqlalchemy.dialects.postgresql.pg_catalog import INT2VECTOR, OIDVECTOR, _SpaceVector

from adapters.odbc.refusals import state

CAST: Final = (
    sqltypes.String, sqltypes.SmallInteger, sqltypes.BigInteger, sqltypes.Integer, sqltypes.Numeric, sqltypes.Float,
    sqltypes.Boolean, sqltypes.Date, sqltypes.DateTime, sqltypes.Time, sqltypes.LargeBinary, INTERVAL, JSON, JSONB,
)  # fmt: skip
"""Types of which a parameter's own would not be known."""
GONE: Final = ("08", "57P0")
"""How the SQLSTATE begins when the connection is lost."""


_ITEM: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,"{}]+)', re.DOTALL)
_READ: Final[Mapping[Any, Callable[[str], Any]]] = {sqltypes.Boolean: lambda text: text == "t", sqltypes.Integer: int}
"""What items are, of which types; all others are texts."""
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class _Int2Vector(_SpaceVector, INT2VECTOR):
    """Told as `1 2`."""


class _OidVector(_SpaceVector, OIDVECTOR):
    """Told as `1 2`."""


class _Array(ARRAY[Any]):
    """psqlodbc tells an array as the text that PostgreSQL prints."""

    render_bind_cast = True

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        item = next((read for kind, read in _READ.items() if isinstance(self.item_type, kind)), str)

        def process(value: str | None) -> list[Any] | None:
            if value is None:
                return None
            return [None if each is None else item(each) for each in items(value)]

        return process


def _cast(kind: Any) -> Any:
    """The type, whose parameters are cast to it."""
    return type(f"_{kind.__name__}", (kind,), {"render_bind_cast": True})


class PGDialect_pyodbc(PyODBCConnector, PGDialect):
    """See the module."""

    supports_statement_cache = True
    pyodbc_driver_name = "PostgreSQL Unicode"
    colspecs = util.update_copy(
        PGDialect.colspecs,
        {kind: _cast(kind) for kind in CAST}
        | {sqltypes.JSON: _cast(JSON), sqltypes.ARRAY: _Array, ARRAY: _Array}
        | {INT2VECTOR: _Int2Vector, OIDVECTOR: _OidVector},
    )

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """True if the connection is lost."""
        return state(e).startswith(GONE) or super().is_disconnect(e, connection, cursor)

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        return PGDialect._get_server_version_info(self, connection)


def items(text: str) -> list[str | None]:
    """What is in an array of one dimension, by the text that PostgreSQL prints of it: `{a,"b c",NULL}`."""
    found: list[str | None] = []
    for part in _ITEM.finditer(text[text.index("{") + 1 : -1]):
        quoted, plain = part.groups()
        if quoted is not None:
            found.append(_ESCAPED.sub(r"\1", quoted))
        else:
            found.append(None if plain == "NULL" else plain)
    return found
