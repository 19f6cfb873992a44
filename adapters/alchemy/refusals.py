"""Turns an error that SQLAlchemy passes on into what is to be done about it: step aside, tell the row, or stop.

The one place that knows the error numbers of databases. It tells kinds of refusals, never a value: the databases' own
messages quote the row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from sqlalchemy import exc

from adapters.odbc import refusals as odbc
from adapters.relational.refused import Spot, Verdict


class Meaning(Enum):
    """What an error says."""

    BLOCKED = "blocked"
    LOST = "lost"
    REFUSED = "refused"
    DENIED = "denied"
    CHANGED = "changed"
    GONE = "gone"
    OTHER = "other"


RAISED: Final = "45"
"""How the SQLSTATE begins of what an application's trigger raises, whatever number it gives."""
_DB2: Final = re.compile(r"SQLCODE=(-?\d+)|\bSQL(\d{4,5})N\b")

STATES: Final[Mapping[Meaning, tuple[str, ...]]] = {
    Meaning.BLOCKED: ("55P03", "55006", "40P01", "40001"),
    Meaning.DENIED: ("28", "42501", "3D000"),
    Meaning.CHANGED: ("42P01", "42703", "3F000", "42S02", "42S22"),
    Meaning.GONE: ("08", "53", "57"),
    Meaning.REFUSED: ("21", "22", "23", "44", "45", "P0"),
}
"""By SQLSTATE, or how it begins."""

NUMBERS: Final[Mapping[str, Mapping[Meaning, frozenset[int]]]] = {
    "mysql": {
        Meaning.BLOCKED: frozenset({1205, 3572, 3058}),
        Meaning.LOST: frozenset({1213, 1020, 1180, 1196}),
        Meaning.REFUSED: frozenset(
            {
                1048,
                1062,
                1136,
                1138,
                1216,
                1217,
                1242,
                1263,
                1264,
                1265,
                1292,
                1300,
                1364,
                1365,
                1366,
                1367,
                1406,
                1411,
                1442,
                1451,
                1452,
                1644,
                1690,
                3140,
                3819,
                4025,
            }
        ),
        Meaning.DENIED: frozenset({1044, 1045, 1049, 1142, 1143, 1227, 1370, 1698}),
        Meaning.CHANGED: frozenset({1051, 1054, 1109, 1146, 1176}),
        Meaning.GONE: frozenset(
            {
                0,
                1040,
                1053,
                1080,
                1158,
                1159,
                1160,
                1161,
                1184,
                1317,
                1927,
                2002,
                2003,
                2006,
                2013,
            }
        ),
    },
    "oracle": {
        Meaning.BLOCKED: frozenset({54, 30006, 60, 8177, 4021}),
        Meaning.REFUSED: frozenset(
            {
                1,
                1400,
                1401,
                1407,
                1438,
                1461,
                1722,
                1830,
                1839,
                1840,
                1841,
                1843,
                1847,
                1861,
                2290,
                2291,
                2292,
                2091,
                6502,
                12899,
                4091,
            }
        )
        | frozenset(range(20000, 21000)),
        Meaning.DENIED: frozenset({1017, 1031, 1045, 28000, 1950}),
        Meaning.CHANGED: frozenset({942, 904, 4043}),
        Meaning.GONE: frozenset({28, 1012, 1033, 1034, 1089, 1090, 3113, 3114, 3135, 12514, 12541, 12170, 25408}),
    },
    "mssql": {
        Meaning.BLOCKED: frozenset({1222, 3960, 3961, 1204, 13535}),
        Meaning.LOST: frozenset({1205, 3930}),
        Meaning.REFUSED: frozenset(
            {220, 232, 235, 241, 242, 245, 295, 512, 515, 517, 544, 547, 2601, 2627, 2628, 6347, 6351, 6365, 7139}
            | {8114, 8115, 8134, 8152, 8169, 3609, 3616, 33504}
            | set(range(6900, 7000))
            | set(range(9400, 9500))
        ),
        Meaning.DENIED: frozenset({229, 230, 262, 297, 300, 916, 1088, 4060, 8104, 18456}),
        Meaning.CHANGED: frozenset({207, 208, 213, 271, 272, 273}),
        Meaning.GONE: frozenset(
            {121, 596, 701, 802, 921, 976, 983, 1105, 3906, 6005, 9002, 10053, 10054, 10060, 10928, 10929, 40197, 40501}
            | {40540, 40613, 49918, 49919, 49920}
        ),
    },
    "ibm_db_sa": {
        Meaning.BLOCKED: frozenset({913}),
        Meaning.LOST: frozenset({911}),
        Meaning.REFUSED: frozenset({181, 302, 407, 420, 433, 438, 530, 531, 532, 545, 723, 803, 180, 413}),
        Meaning.DENIED: frozenset({551, 552, 30082, 1060}),
        Meaning.CHANGED: frozenset({204, 206}),
        Meaning.GONE: frozenset({30081, 1224, 1024, 30108}),
    },
    "sqlite": {
        Meaning.BLOCKED: frozenset({5, 6}),
        Meaning.REFUSED: frozenset({18, 19, 20}),
        Meaning.GONE: frozenset({10, 13, 14, 26}),
    },
}
"""By dialect and the database's own error number (Db2's without its sign)."""
RAISED_FROM: Final[Mapping[str, int]] = {"mssql": 50_000}
"""By dialect: from which number on an application's trigger raised it."""

WORDS: Final[Mapping[str, str]] = {
    "23505": "duplicate key", "1062": "duplicate key", "1": "duplicate key", "2601": "duplicate key",
    "2627": "duplicate key", "803": "duplicate key", "23503": "foreign key", "1451": "foreign key",
    "1452": "foreign key", "2291": "foreign key", "2292": "foreign key", "547": "foreign key or check constraint",
    "530": "foreign key", "531": "foreign key", "532": "foreign key", "23502": "null", "1048": "null", "1400": "null",
    "1407": "null", "515": "null", "407": "null", "23514": "check constraint", "3819": "check constraint",
    "4025": "check constraint", "2290": "check constraint", "545": "check constraint", "22001": "too long",
    "1406": "too long", "12899": "too long", "2628": "too long", "8152": "too long", "433": "too long",
    "22003": "out of range", "1264": "out of range", "1438": "out of range", "8115": "out of range",
    "P0001": "raised by a trigger", "1644": "raised by a trigger", "50000": "raised by a trigger",
    "7139": "larger than what is captured (`max text repl size`)",
    "3609": "rolled back by a trigger", "3616": "an error inside a trigger", "438": "raised by a trigger",
    "19": "a constraint",
}  # fmt: skip
"""What a code means, in words."""


def code(error: exc.DBAPIError) -> str:
    """The database's own code for an error: its number, or an SQLSTATE (PostgreSQL has nothing else); empty if it
    tells none."""
    orig: Any = error.orig
    if odbc.is_odbc(orig):
        number = odbc.number(orig)
        return str(number) if number is not None and not odbc.state(orig).startswith(RAISED) else odbc.state(orig)
    state = getattr(orig, "sqlstate", None)
    if state is not None and (not _dialect(error) or str(state).startswith(RAISED)):
        return str(state)
    number = getattr(orig, "sqlite_errorcode", None)
    if number is not None:
        return str(number & 0xFF)
    first = orig.args[0] if getattr(orig, "args", ()) else None
    if isinstance(first, int):
        return str(first)
    told = getattr(first, "code", None)
    if isinstance(told, int):
        return str(told)
    found = _DB2.search(str(orig))
    return str(abs(int(found[1] or found[found.lastindex or 1]))) if found is not None else ""


def meaning(error: exc.DBAPIError) -> Meaning:
    """What an error says."""
    if error.connection_invalidated:
        return Meaning.GONE
    told, dialect = code(error), _dialect(error)
    by_number = dialect and told.isdigit() and not told.startswith(RAISED)
    found = _by_number(dialect, int(told)) if by_number else _by_state(told)
    if found is not None:
        return found
    if isinstance(error, exc.IntegrityError | exc.DataError):
        return Meaning.REFUSED
    return Meaning.GONE if isinstance(error, exc.OperationalError | exc.InterfaceError) else Meaning.OTHER


def verdict(error: Exception) -> Verdict:
    """What a failed write means; see `adapters.relational.refused`."""
    if not isinstance(error, exc.DBAPIError):
        return "broken"
    match meaning(error):
        case Meaning.BLOCKED:
            return "blocked"
        case Meaning.LOST:
            return "lost"
        case Meaning.REFUSED:
            return "refused"
        case _:
            return "broken"


def reason(error: Exception, spots: Sequence[Spot]) -> str:
    """Why a row was refused, by the names of things. `spots`: the fields of the record that is to blame."""
    told = code(error) if isinstance(error, exc.DBAPIError) else ""
    said = WORDS.get(told, "refused by the database")
    constraint = getattr(getattr(getattr(error, "orig", None), "diag", None), "constraint_name", None)
    where = [f"constraint `{constraint}`"] if constraint else []
    where += [f"field `{spot.field}`, column {spot.place}" for spot in spots if _fits(said, spot)]
    kind = told or type(getattr(error, "orig", error)).__name__
    return f"{kind} {said}" + (": " if where else "") + "; ".join(where)


def _fits(said: str, spot: Spot) -> bool:
    """The field alone explains the refusal."""
    shape = spot.column.shape
    if said == "null":
        return spot.value is None and not shape.nullable and not shape.default
    if said == "too long" and spot.value is not None:
        return shape.length is not None and len(spot.value) > shape.length
    return False


def _by_state(state: str) -> Meaning | None:
    return next((known for known, begins in STATES.items() if state.startswith(begins)), None) if state else None


def _by_number(dialect: str, number: int) -> Meaning | None:
    if number >= RAISED_FROM.get(dialect, number + 1):
        return Meaning.REFUSED
    numbers = NUMBERS.get(dialect, {})
    return next((known for known, some in numbers.items() if number in some), None)


def _dialect(error: exc.DBAPIError) -> str:
    """Whose error numbers these are, by the module that the driver's error comes from."""
    if odbc.is_odbc(error.orig):
        return odbc.whose(error.orig)
    module = type(error.orig).__module__
    for part, dialect in _DRIVERS:
        if part in module:
            return dialect
    return ""


_DRIVERS: Final = (
    ("pymysql", "mysql"), ("MySQLdb", "mysql"), ("mysql", "mysql"), ("mariadb", "mysql"), ("oracle", "oracle"),
    ("pymssql", "mssql"), ("ibm_db", "ibm_db_sa"), ("sqlite", "sqlite"),
)  # fmt: skip
