"""The page about Debezium's values says what real connectors tell: every line of it is made of recordings.

`DUOLOG_REWRITE=1 pytest tests/wire/test_debezium_page.py` writes the tables anew; read them before committing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.kafka import recordings
from tests.wire.test_debezium_values import Told

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "debezium-values.md"
MARK: Final = "<!-- from here on written by the test tests/wire/test_debezium_page.py -->\n"

OPTIONS: Final[Mapping[str, str]] = {
    "decimal_double": "`decimal.handling.mode` `double`", "decimal_string": "`decimal.handling.mode` `string`",
    "time_connect": "`time.precision.mode` `connect`", "time_isostring": "`time.precision.mode` `isostring`",
    "time_microseconds": "`time.precision.mode` `microseconds`",
    "time_nanoseconds": "`time.precision.mode` `nanoseconds`", "binary_base64": "`binary.handling.mode` `base64`",
    "time_adaptive_time_microseconds": "`time.precision.mode` `adaptive_time_microseconds`",
    "binary_base64_url_safe": "`binary.handling.mode` `base64-url-safe`",
    "binary_hex": "`binary.handling.mode` `hex`", "interval_string": "`interval.handling.mode` `string`",
}  # fmt: skip
"""By recording, what the connector was told."""

OTHERS: Final = frozenset({"default", "hstore_map", "unknown_types", "bigint_precise", "years_as_they_are"})
"""Recordings whose options change nothing on this page."""


def lines(database: str, called: str) -> Iterator[str]:
    """The table of one database."""
    told = {
        name.removesuffix("_schemas"): Told(database, name)
        for name in recordings.names(database)
        if name.endswith("_schemas") and not name.startswith("events")
    }
    yield from ("", f"## {called}", "", "| type | told exactly | but for |", "| --- | --- | --- |")
    default = told["default"]
    for column in default.columns[1:]:
        kind = default.kinds[column].replace("|", "\\|")
        refused = {name: each.refused[column].found for name, each in told.items() if column in each.refused}
        mends = [each.refused[column].mend for each in told.values() if column in each.refused]
        whole = all(mend.startswith("ALTER TABLE") for mend in mends)
        rare = dict.fromkeys(doubt for each in told.values() for doubt in each.rare.get(column, ()))
        yield f"| `{kind}` | {verdict(refused, told, whole)} | {'; '.join(rare)} |"


def verdict(refused: Mapping[str, str], told: Mapping[str, object], whole: bool) -> str:
    """With which options a type is told exactly. `whole`: in any case with REPLICA IDENTITY FULL."""
    assert told.keys() <= OPTIONS.keys() | OTHERS, "every recording is named"
    if refused.keys() == told.keys() and whole:
        return f"with `REPLICA IDENTITY FULL` (else it {refused['default']})"
    if refused.keys() == told.keys():
        return f"never: it {refused['default']}"
    if "default" in refused:
        with_option = [OPTIONS[name] for name in told if name not in refused and name not in OTHERS]
        return f"with {' or '.join(with_option)} (else it {refused['default']})"
    reasons: dict[str, list[str]] = {}
    for name, why in refused.items():
        reasons.setdefault(why, []).append(OPTIONS[name])
    return "; ".join(["yes", *(f"not with {' or '.join(names)}: it {why}" for why, names in reasons.items())])


def test_the_page_says_what_connectors_tell() -> None:
    made = "\n".join([*lines("postgresql", "PostgreSQL"), *lines("mariadb", "MariaDB"), ""])
    text, mark, tables = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert mark
    if os.environ.get("DUOLOG_REWRITE"):
        PAGE.write_text(text + MARK + made, encoding="utf-8")
        return

    assert tables == made
