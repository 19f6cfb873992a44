"""Tries the pgoutput decoder on bytes that a real server sent, whole and broken, and on garbage."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.postgresql import pgoutput
from adapters.postgresql.pgoutput import Begin, Commit, LogicalMessage, Origin, Relation, Truncate, TypeName, decode
from adapters.postgresql.walsender import decode_keepalive
from engine.errors import WireError
from engine.vocabulary import ABSENT

GOLDEN = Path(__file__).parent / "golden"


def golden(case: str) -> list[bytes]:
    """The messages of one recorded transaction."""
    return [bytes.fromhex(line) for line in (GOLDEN / f"{case}.hex").read_text().split()]


CASES = sorted(path.stem for path in GOLDEN.glob("*.hex"))
MESSAGES = sorted({message for case in CASES for message in golden(case)})
LONG = "long " * 2000

ROWS: dict[str, list[tuple[Any, ...]]] = {
    "insert": [("I", ("10", "ten", "10.00"), None, "")],
    "insert_null_values": [("I", ("11", None, None), None, "")],
    "insert_empty_text": [("I", ("12", "", "0.00"), None, "")],
    "insert_chinese_text": [("I", ("13", "上海市浦东新区 🙂", "0.00"), None, "")],
    "insert_text_like_headers": [("I", ("14", "tttnnnuuutn", "0.00"), None, "")],
    "insert_255_and_256_bytes": [("I", ("x" * 255, "y" * 256, "é" * 127), None, "")],
    "insert_large_value": [("I", ("2", "large " * 1000, None), None, "")],
    "insert_numbers_and_times": [("I", (
        "1", "12345678901234567890.123456789", "0.1", "1e-20", "2026-02-28 23:59:59.999999",
        "2026-02-28 15:59:59.5+00", "0044-03-15 BC", "24:00:00", "P1Y-2DT3H4M5.6S", "\\x00ff41",
        "00000000-0000-0000-0000-00000000000a", '{"a": [1, null]}', "t", "$12.34", '{a,NULL,"b c"}', "ab   ",
    ), None, "")],
    "insert_special_numbers": [("I", ("2", "NaN", "-Infinity", "NaN", "infinity", *[None] * 11), None, "")],
    "relation_chinese_and_quoted_names": [("I", ("1", "甲"), None, "")],
    "type_enum": [("I", ("1", "高兴", "{sad,ok}"), None, "")],
    "update_without_key_change": [("U", ("1", "uno", "1.50"), None, "")],
    "update_to_null": [("U", ("2", None, "2.50"), None, "")],
    "update_key_changed": [("U", ("20", None, "2.50"), ("2", None, None), "K")],
    "update_composite_key_changed": [("U", ("aa", "b", "c"), ("a", "b", None), "K")],
    "update_full_identity": [("U", ("1", "uno", "1.50"), ("1", "one", "1.50"), "O")],
    "update_full_identity_key_changed": [("U", ("20", None, "2.50"), ("2", None, "2.50"), "O")],
    "update_unchanged_toast": [("U", ("1", ABSENT, "other"), None, "")],
    "update_unchanged_toast_full_identity": [("U", ("1", ABSENT, "other"), ("1", LONG, "note"), "O")],
    "delete_default": [("D", None, ("3", None, None), "K")],
    "delete_full": [("D", None, ("1", "uno", "1.50"), "O")],
    "truncate_one_table": [],
    "truncate_two_tables": [],
    "several_tables": [
        ("I", ("1",), None, ""), ("I", ("1", "1"), None, ""), ("D", None, ("1", None), "K"),
    ],
    "message_transactional": [("I", ("30", "with a message", "1.00"), None, "")],
    "message_not_transactional": [("I", ("31", "its commit flushes the message", "1.00"), None, "")],
    "origin": [("I", ("40", "ours", "1.00"), None, "")],
    "schema_changed_between_rows": [
        ("I", ("50", "before", "1.00"), None, ""), ("I", ("51", "after", "1.00", "more"), None, ""),
    ],
    "empty_transaction": [],
}
"""What the row messages of each case say: operation, new row, old row, kind of the old row."""


def test_every_recorded_case_has_its_expectation() -> None:
    assert sorted(ROWS) == CASES


@pytest.mark.parametrize("case", CASES)
def test_recorded_rows_are_read_as_the_server_meant_them(case: str) -> None:
    rows = [message[1:] for message in map(decode, golden(case)) if type(message) is tuple]

    assert rows == ROWS[case]


@pytest.mark.parametrize("case", [case for case in CASES if ROWS[case]])
def test_a_transaction_begins_and_commits_with_the_same_position(case: str) -> None:
    begin, commit = (next(m for m in map(decode, golden(case)) if isinstance(m, kind)) for kind in (Begin, Commit))

    assert isinstance(begin, Begin) and isinstance(commit, Commit)
    assert (begin.commit_lsn, begin.committed_at) == (commit.commit_lsn, commit.committed_at)
    assert commit.end_lsn > commit.commit_lsn
    assert 1_600_000_000_000_000 < commit.committed_at < 4_000_000_000_000_000


def test_relation_names_are_read_whatever_they_hold() -> None:
    (relation,) = (m for m in map(decode, golden("relation_chinese_and_quoted_names")) if isinstance(m, Relation))

    assert (relation.schema, relation.name, relation.identity) == ("客户 Schema", '客户 "主" 表', "d")
    assert [(c.name, c.key, c.type_oid, c.type_modifier) for c in relation.columns] == [
        ("编号", True, 23, -1), ("Name, with comma", False, 25, -1),
    ]


def test_the_other_messages_are_read() -> None:
    def others(case: str, kind: type) -> list[Any]:
        return [message for message in map(decode, golden(case)) if isinstance(message, kind)]

    assert [(t.schema, t.name) for t in others("type_enum", TypeName)] == [("public", "mood"), ("public", "_mood")]
    assert others("origin", Origin) == [Origin(0x16_B374D848, "duolog_golden")]
    assert [(len(t.relations), t.cascade, t.restart_identity) for t in others("truncate_one_table", Truncate)] == [
        (1, False, False)
    ]
    assert [(len(t.relations), t.cascade, t.restart_identity) for t in others("truncate_two_tables", Truncate)] == [
        (2, True, True)
    ]
    (message,) = others("message_transactional", LogicalMessage)
    assert (message.transactional, message.prefix, message.content.decode()) == (True, "duolog", "content 内容")
    (message,) = others("message_not_transactional", LogicalMessage)
    assert (message.transactional, message.content) == (False, b"at once")


@pytest.mark.parametrize("case", CASES)
def test_a_message_cut_short_at_any_byte_is_refused(case: str) -> None:
    for message in golden(case):
        for length in range(len(message)):
            with pytest.raises(WireError) as refused:
                decode(message[:length])
            assert 0 <= refused.value.offset <= length


@pytest.mark.parametrize("case", CASES)
def test_trailing_bytes_are_refused(case: str) -> None:
    for message in golden(case):
        for trailing in (b"\0", b"n", b"u", b"t\0\0\0\0", b"\xff"):
            with pytest.raises(WireError):
                decode(message + trailing)


@pytest.mark.parametrize(("message", "found"), [
    (b"", "D300 at byte 0: a message type expected, the message is empty"),
    (b"?", "D300 at byte 0: a message type expected, found byte 0x3f"),
    (b"S\0\0\0\x01\x01", "D300 at byte 0: streaming of open transactions was not asked for, but is sent"),
    (b"P", "D300 at byte 0: two-phase commit was not asked for, but is sent"),
    (b"I\0\0\0\x01N\0\x01b\0\0\0\x01x", "D300 at byte 8: a value (`t`, `n` or `u`) expected, found byte 0x62"),
    (b"I\0\0\0\x01N\0\x01t\0\0\0\x02a\xff", "D300 at byte 14: a value in UTF-8 expected"),
    (b"I\0\0\0\x01N\0\x01t\0\0\0\x02a", "D300 at byte 14: 1 more bytes of a value expected"),
    (b"I\0\0\0\x01N\0\x02n", "D300 at byte 9: more of a row expected, the message ends"),
    (b"I\0\0\0\x01N\0\x01nn", "D300 at byte 9: the end of the message expected, 1 bytes follow"),
    (b"I\0\0\0\x01K", "D300 at byte 5: an insert's new row (`N`) expected"),
    (b"U\0\0\0\x01X", "D300 at byte 5: an update's row (`N`, `K` or `O`) expected"),
    (b"U\0\0\0\x01K\0\x00X", "D300 at byte 8: an update's new row (`N`) expected"),
    (b"D\0\0\0\x01N\0\0", "D300 at byte 5: a delete's old row (`K` or `O`) expected"),
    (b"R\0\0\0\x01public\0item\0x\0\0", "D300 at byte 17: a replica identity (`d`, `i`, `f` or `n`) expected"),
    (b"Y\0\0\0\x01p\xff\0mood\0", "D300 at byte 6: a text in UTF-8 expected"),
    (b"O\0\0", "D300 at byte 3: a number of 8 bytes expected, the message ends"),
    (b"C" + bytes([1]) + bytes(24), "D300 at byte 1: commit flags 0 expected, found 1"),
    (b"B\0", "D300 at byte 2: 21 bytes expected, found 2"),
])
def test_a_refusal_says_where_and_what_was_expected(message: bytes, found: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(message)

    assert str(refused.value) == found


@settings(max_examples=500)
@given(st.sampled_from([b"", *(kind.encode() for kind in "IUDBCORYTMS")]), st.binary(max_size=80))
def test_garbage_raises_wire_error_and_nothing_else(kind: bytes, rest: bytes) -> None:
    read_or_refuse(kind + rest)


@settings(max_examples=1000)
@given(st.data(), st.sampled_from([message for message in MESSAGES if len(message) < 1000]))
def test_a_damaged_message_raises_wire_error_and_nothing_else(data: st.DataObject, message: bytes) -> None:
    damaged = bytearray(message)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    read_or_refuse(bytes(damaged))


def read_or_refuse(message: bytes) -> None:
    try:
        decode(message)
    except WireError as refused:
        assert 0 <= refused.offset <= len(message)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300)
VALUE = st.one_of(st.none(), st.just(ABSENT), TEXT)


def encoded(row: tuple[Any, ...]) -> bytes:
    """A row as pgoutput sends it."""
    parts = [struct.pack(">H", len(row))]
    for value in row:
        if isinstance(value, str):
            parts.append(b"t" + struct.pack(">I", len(value.encode())) + value.encode())
        else:
            parts.append(b"n" if value is None else b"u")
    return b"".join(parts)


@settings(max_examples=500)
@given(st.lists(VALUE, max_size=20).map(tuple), st.lists(VALUE, max_size=20).map(tuple))
@example(("t", "", None, ABSENT, "tt", "n" * 116), ())
def test_any_row_is_read_back_as_it_was_written(new: tuple[Any, ...], old: tuple[Any, ...]) -> None:
    assert decode(b"I\0\0\0\x07N" + encoded(new)) == (7, "I", new, None, "")
    assert decode(b"U\0\0\0\x07O" + encoded(old) + b"N" + encoded(new)) == (7, "U", new, old, "O")
    assert decode(b"D\0\0\0\x07K" + encoded(old)) == (7, "D", None, old, "K")


FRAGMENT = st.sampled_from([b"t\0\0\0", b"t", b"n", b"u", b"\0", b"\x01", b"\x02", b"\x03", b"ab", b"\xc3", b"\xff"])


@settings(max_examples=2000)
@given(st.integers(0, 6), st.lists(FRAGMENT, max_size=14))
@example(1, [b"t\0\0\0", b"\x02", b"t\0\0\0", b"\x03"])
def test_the_fast_way_never_reads_what_the_slow_way_would_not(count: int, fragments: list[bytes]) -> None:
    message = struct.pack(">H", count) + b"".join(fragments)

    fast = pgoutput._split_row(message, 0)

    if fast is not None:
        assert pgoutput._row(message, 0) == (fast, len(message))


@given(st.binary(max_size=30))
def test_a_keepalive_of_another_length_is_refused(frame: bytes) -> None:
    if len(frame) == 18:
        assert decode_keepalive(frame).position == int.from_bytes(frame[1:9], "big")
    else:
        with pytest.raises(WireError):
            decode_keepalive(frame)
