"""`read` and `write` tried on values: whether what is written is read back as what it was.

Takes a column's finished pair and values that its field can have (those that the columns' types could hold, at their
edges, always the same ones), and shows the first that is not the same again. It proves nothing that it has not tried;
all other words are pairs by construction, and `tests/rules/test_codecs.py` tries those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.catalog import Column
from engine.errors import ValueRefused
from engine.rulebook import Codec
from engine.vocabulary import Text
from rules.findings import Findings
from rules.problem import quoted
from rules.values.codecs import own
from rules.values.stored import Stored

_SAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": (
        "A", "Ab", "ab", "AB", "0", "042", "42", "-1", "1.50", "1,5", "true", "2026-01-31", "A B", "a b c", "a-b",
        "a@b.example", "+49 30 1234567", "straße", "ÄÖ", "e\u0301", "中文", "😀", "'", '"', "\\", "%", "_", "{}",
        " A", "A ", "",
    ),
    "integer": ("0", "1", "-1", "2", "7", "10", "99", "100", "101", "12345", "-12345"),
    "numeric": (
        "0", "1", "-1", "0.5", "0.1", "0.01", "1.005", "-2.5", "3", "10", "33.333333", "99.99", "100", "12345.678",
    ),
    "boolean": ("t", "f"),
    "date": ("2026-01-31", "2024-02-29", "2000-01-01", "1969-12-31", "0001-01-01", "9999-12-31"),
    "time": ("00:00:00", "12:34:56.789", "23:59:59.999999"),
    "timestamp": ("2026-01-31 00:00:00", "2026-10-25 02:30:00", "1969-12-31 23:59:59.5", "2026-06-01 12:34:56.123456"),
    "timestamptz": (
        "2026-01-31 00:00:00+00", "2026-10-25 00:30:00+00", "2026-10-25 01:30:00+00", "2026-06-01 12:34:56.123456+00",
    ),
    "uuid": ("00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "float": ("0", "1", "-1.5", "0.1", "1e+20", "1e-05"),
    "array": ("{}", "{a}", "{a,b}", '{"a b",c}'),
    "json": ("{}", "[]", "null", '"a"', "1.50", '{"a": 1}'),
}  # fmt: skip


def check_there_and_back(
    field: str, columns: tuple[Stored, ...], codecs: Mapping[str, Codec], findings: Findings
) -> None:
    """Every pair of expressions of one field, against all values that the field is known to have."""
    tried = [stored for stored in columns if stored.words.read and stored.words.write and stored.system in codecs]
    for stored in tried:
        if stored.words.lossy:
            continue
        codec = codecs[stored.system]
        for value in dict.fromkeys(_values(columns, codecs)):
            back = _back(codec, value, loses=bool(stored.changes & {"trim", "case", "round", "on_overflow"}))
            if back is not None:
                findings.error("R441", (*stored.top, "write"), f"{quoted(field)} does not come back from"
                               f" {quoted(stored.system)} as it went there: {quoted(value)} {back}", key=True,
                               mend="write a pair that goes there and back, or say `lossy: true` or `one_way: true`",
                               also=(("it is read here", (*stored.top, "read")),))  # fmt: skip
                break


def _values(columns: tuple[Stored, ...], codecs: Mapping[str, Codec]) -> Iterator[str]:
    """Canonical values, as the columns could bring them."""
    for stored in columns:
        if stored.column is None or stored.words.one_way:
            continue
        codec = codecs.get(stored.system)
        for sample in samples(stored.column):
            try:
                value = codec.decode(sample) if codec is not None else sample
            except ValueRefused:
                continue
            if value is not None:
                yield value


def samples(column: Column) -> Iterator[str]:
    """Values that a column can have, as it prints them."""
    if column.labels:
        yield from column.labels
        return
    printing = own(column.family, column)
    for sample in _SAMPLES.get(column.family, ()):
        if column.length is None or len(sample) <= column.length:
            printed = printing.encode(sample) if printing is not None else sample
            if printed is not None:
                yield printed


def _back(codec: Codec, value: str, *, loses: bool) -> str | None:
    """What became of a value that is not the same again; None if it is, or cannot be written at all."""
    try:
        stored = codec.encode(value)
    except ValueRefused:
        return None
    try:
        back = codec.decode(stored) if stored is not None else None
        if back == value or (loses and back is not None and _again(codec, back) == back):
            return None
    except ValueRefused as refused:
        return f"is written as {_shown(stored)}, and that cannot be read: {refused.found}"
    return f"is written as {_shown(stored)} and read back as {_shown(back)}"


def _again(codec: Codec, value: str) -> Text:
    stored = codec.encode(value)
    return codec.decode(stored) if stored is not None else None


def _shown(text: Text) -> str:
    return "NULL" if text is None else quoted(text)
