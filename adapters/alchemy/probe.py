"""Turns bound columns into hard values of their types that go through the driver and come back: what differs is found
at `check`, before a row is written wrong.

ODBC drivers lie, each in its own way, and say nothing. The values are asked for beside no row of the table, which is
neither locked nor written. Of types that nobody here has hard values for nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.columns import SINGLE_BITS, AlchemyColumn
from adapters.alchemy.refusals import code
from adapters.alchemy.session import Session
from adapters.relational.refused import Unstorable
from engine.catalog import Column

MANY: Final = 2_500
"""Characters of a text that is longer than the buffers of drivers."""
PLAIN: Final = "aZ '\"\\?%:{}"
WIDE: Final = "ä中\U0001f600"
FRACTION: Final = ".987654"
UNFINE: Final = ("datetime", "smalldatetime")
"""Types that round a second's fraction to less than they say; MySQL's of these names say so."""
NARROW: Final = ("char", "varchar", "text")
"""SQL Server's types for the characters of one code page."""
CHARACTER_SET: Final = "character set"
"""In the name of a type of MySQL's that may not have all characters."""
FIXED: Final = "binary("
"""How MySQL's type begins that fills values up with zeros: to another length, where there is no table."""

Difference = tuple[AlchemyColumn, str]
"""A column, and what becomes of a value of its type; never a value of a row."""


def differences(session: Session, columns: Iterable[AlchemyColumn]) -> Iterator[Difference]:
    """The columns whose values do not come back as they were sent. Raises sqlalchemy.exc.DBAPIError if the connection
    is lost."""
    known: dict[tuple[str, Any], str] = {}
    for column in columns:
        kind = (column.shape.type, column.shape.labels)
        if kind not in known:
            known[kind] = _difference(session, column)
        if known[kind]:
            yield column, known[kind]


def _difference(session: Session, column: AlchemyColumn) -> str:
    """What becomes of hard values of this type; empty: nothing."""
    texts = hard(column.shape, session.name)
    if not texts:
        return ""
    try:
        asked = statement(column, texts)
        with session.transaction() as conn:
            back: Mapping[int, Any] = {int(number): value for number, value in conn.execute(asked).all()}
    except Unstorable:
        return "a value of its type is refused here"
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return f"the database or its driver refuses a value of its type ({code(error)})"
    for number, text in enumerate(texts, 1):
        told = column.text(back.get(number))
        if told != text:
            return f"`{_short(text)}` comes back as {'NULL' if told is None else f'`{_short(told)}`'}"
    return ""


def statement(column: AlchemyColumn, texts: Sequence[str]) -> sa.Select[Any]:
    """The question that has these values come back, numbered from 1, as values of the column. Raises Unstorable."""
    number: sa.Label[int] = sa.literal_column("0", sa.Integer()).label("n")
    none: sa.Select[Any] = sa.select(number, column.element.label("x")).where(sa.false())
    given = [
        sa.select(
            sa.literal_column(str(at), sa.Integer()).label("n"),
            column.spelling.placed(sa.bindparam(None, column.value(text), type_=column.spelling.type)).label("x"),
        )
        for at, text in enumerate(texts, 1)
    ]
    there = sa.union_all(none, *given).subquery()
    return sa.select(there.c.n, column.spelling.shown(sa.type_coerce(there.c.x, column.spelling.type)))


def hard(shape: Column, dialect: str = "") -> list[str]:
    """Values at which something may be lost, of those that a column of this shape has. Pure."""
    match shape.family:
        case "boolean":
            return ["t", "f"]
        case "integer":
            bits = shape.precision or 32
            top = 1 << (bits if shape.unsigned else bits - 1)
            return ["0", "1", str(top - 1), "0" if shape.unsigned else str(-top)]
        case "numeric":
            return _numbers(shape)
        case "float":
            return ["0.1", "-2.5", "1.6777216e+07" if shape.precision == SINGLE_BITS else "1.2345678901234568e-300"]
        case "date":
            return ["2026-02-28", "1999-12-31"]
        case "time":
            return ["23:59:59" + _fraction(shape, dialect), "00:00:00"]
        case "timestamp":
            return ["1999-12-31 23:59:59" + _fraction(shape, dialect), "2026-07-01 12:00:00"]
        case "timestamptz":
            return ["1999-12-31 23:59:59" + _fraction(shape, dialect) + "+00", "2026-07-01 12:00:00+00"]
        case "uuid":
            return ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]
        case "text":
            return _texts(shape, dialect)
        case "enum":
            return list(shape.labels)
        case "bytes":
            return _bytes(shape)
        case _:
            return []


def _numbers(shape: Column) -> list[str]:
    digits, scale = shape.precision, shape.scale
    if digits is None:
        return ["0.1", "-1234567890123456789012345678.5"] if scale is None else []
    behind = scale or 0
    most = "9" * (digits - behind) or "0"
    least = "0." + "0" * (behind - 1) + "1" if behind else "1"
    most += "." + "9" * behind if behind else ""
    return [most, least] if shape.unsigned else [most, least, f"-{most}"]


def _fraction(shape: Column, dialect: str) -> str:
    exact = shape.type not in UNFINE or dialect in ("mysql", "mariadb")
    kept = FRACTION[: (shape.scale or 0) + 1] if exact and shape.scale else ""
    return kept


def _texts(shape: Column, dialect: str) -> list[str]:
    narrow = (dialect == "mssql" and shape.type.split("(")[0] in NARROW) or CHARACTER_SET in shape.type
    letters = PLAIN if narrow else WIDE + PLAIN
    room = shape.length or MANY
    if room < len(letters):
        return [letters[:room].ljust(room, "x")]
    # As long as the column is: what pads with blanks has none to add.
    return [letters.ljust(min(room, MANY), "x")] if room <= MANY else [letters, letters.ljust(MANY, "x"), "x" * MANY]


def _bytes(shape: Column) -> list[str]:
    some = bytes((0, 255, 39, 92, 26, 13))
    room = shape.octets
    if shape.type.startswith(FIXED):
        return []
    if room is not None and room <= MANY:
        return ["\\x" + (some * (room // len(some) + 1))[:room].hex()]
    return ["\\x", "\\x" + some.hex(), "\\x" + (some * 500).hex()]


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:20]}…"
