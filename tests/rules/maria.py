"""Columns of MariaDB for tests without a server, written as DDL writes a type: `varchar(40) character set latin1`.

Gives what the information schema would say to the adapter's own reading of it; a test on a real server shows that it is
the same (`tests/database/test_mariadb_types.py`).
"""

from __future__ import annotations

import re
from typing import Final

from adapters.mariadb.columns import INTEGER_BITS, MariaColumn, column
from adapters.mariadb.session import Server

SERVER: Final = Server("mariadb", (10, 11, 19), "10.11.19-MariaDB", 16_777_216)

_DDL = re.compile(
    r"(?P<kind>\w+)(?P<measure>\(.*?\))?(?P<unsigned> unsigned)?(?P<zerofill> zerofill)?(?P<compressed> compressed)?"
    r"(?: character set (?P<charset>\w+))?(?: collate (?P<collation>\w+))?(?: null)?",
    re.DOTALL,
)
_TEXTS = {"tinytext": 255, "text": 65_535, "mediumtext": (1 << 24) - 1, "longtext": (1 << 32) - 1}
_BLOBS = {"tinyblob": 255, "blob": 65_535, "mediumblob": (1 << 24) - 1, "longblob": (1 << 32) - 1}
_WIDTHS = {"utf8mb4": 4, "utf8mb3": 3, "ucs2": 2, "utf16": 4, "utf32": 4}
_COLLATIONS = {"latin1": "latin1_swedish_ci", "cp1251": "cp1251_general_ci"}
_SHOWN = {"tinyint": "4", "smallint": "6", "mediumint": "9", "int": "11", "bigint": "20"}
_SHOWN_UNSIGNED = {"tinyint": "3", "smallint": "5", "mediumint": "8", "int": "10", "bigint": "20"}


def maria_column(name: str, ddl: str) -> MariaColumn:
    """The column that this DDL makes on a MariaDB whose default is utf8mb4."""
    is_json = ddl == "json"
    ddl = {"boolean": "tinyint(1)", "json": "longtext collate utf8mb4_bin"}.get(ddl, ddl)
    match = _DDL.fullmatch(ddl)
    assert match is not None, ddl
    kind, measure = match["kind"], (match["measure"] or "()")[1:-1]
    numbers = [int(number) for number in re.findall(r"\d+", measure)] if kind not in ("enum", "set") else []
    first = numbers[0] if numbers else None
    text = kind in ("char", "varchar", "enum", "set", *_TEXTS)
    charset = (match["charset"] or "utf8mb4") if text else None
    length = {**_TEXTS, **_BLOBS}.get(kind, first if kind in ("char", "varchar", "binary", "varbinary") else None)
    octets = length
    if charset is not None and kind in ("char", "varchar") and length is not None:
        octets = length * _WIDTHS.get(charset, 1)
    unsigned = bool(match["unsigned"] or match["zerofill"])
    shown = f"({measure})" if measure else ""
    if kind in _SHOWN and not measure:
        shown = f"({(_SHOWN_UNSIGNED if unsigned else _SHOWN)[kind]})"
    precision: int | None = None
    if kind in INTEGER_BITS or kind in ("decimal", "bit"):
        precision = first or 1
    is_time = kind in ("datetime", "timestamp", "time")
    shown += "(4)" if kind == "year" else ""
    signs = (" unsigned" if unsigned else "") + (" zerofill" if match["zerofill"] else "")
    column_type = f"{kind}{shown}{signs}" + (" /*M!100301 COMPRESSED*/" if match["compressed"] else "")
    said = (
        name, kind, column_type, "YES", "NULL", length, octets, precision,
        numbers[1] if len(numbers) > 1 else 0 if kind == "decimal" else None,
        (first or 0) if is_time else None, charset,
        (match["collation"] or _COLLATIONS.get(charset, f"{charset}_general_ci")) if charset else None, "", None,
    )  # fmt: skip
    return column(said, SERVER, is_json=is_json)
