"""A value is one text everywhere: as a snapshot shows it, as the log tells it, as it is read back and compared."""

from __future__ import annotations

from contextlib import closing
from typing import TypeAlias

import pytest

from engine.vocabulary import Change, Row, Text, Write, WriteKind
from tests.contract.ground import Ground, Kind, Made, batch, changes, next_one
from tests.database.books import row, write

VALUES: dict[Kind, list[str]] = {
    "integer": ["0", "-1", "9223372036854775807", "-9223372036854775808"],
    "word": [
        "", " ", "it's", 'quo"te', "back\\", "\\'", "%s", "NULL", "\x1f", "\n\t\r", "ä", "a\u0308", "😀", "x" * 190,
    ],
    "text": [
        "", "a ", "it's \\ \\' \" ` % $1 :a {}", '[null, "\\u0000"]', "\u2028\x7f\x01", "😀" * 250_000, "x\n" * 500_000,
    ],
    "decimal": ["0.00", "-0.01", "123456789012.34"],
    "date": ["2024-02-29", "1970-01-01", "9999-12-31"],
    "instant": ["2024-02-29 23:59:59.999999+00", "2001-02-03 04:05:06+00", "2030-01-01 00:00:00.5+00"],
    "bytes": ["\\x", "\\x00ff5c27220a", "\\x" + "00" * 3, "\\x" + "ab" * 300_000],
}  # fmt: skip
KINDS = list(VALUES)
Texts: TypeAlias = "dict[str, list[Text]]"
HELD: Texts = {kind: [*values, None] for kind, values in VALUES.items()}
TURNED: Texts = {kind: [*values[1:], values[0]] for kind, values in HELD.items()}
KEYED = [key for key in VALUES["word"] if "\x1f" not in key]


def tables() -> list[Made]:
    """One for each kind of column."""
    return [Made(f"of {kind}", {"id": "integer", "v": kind}) for kind in KINDS]


class WholePromises:
    """Source, target and snapshot mean the same by a value."""

    def test_what_is_written_comes_back_as_ours_with_the_same_texts_everywhere(self, ground: Ground) -> None:
        ground.needs("log")
        rules, user = ground.make(*tables()), ground.user()
        start = ground.end()

        def writes(kind: WriteKind, new: Texts | None, held: Texts | None) -> list[Write]:
            return [
                write(kind, f"of {name}", (1,), [
                    row(1, str(n), (new[name][n],) if new else (), (held[name][n],) if held else ())
                    for n in range(len(HELD[name]))
                ])
                for name in KINDS
            ]  # fmt: skip

        with ground.writing(rules) as target:
            inserted = target.apply(batch(1, *writes("insert", HELD, None)))
            updated = target.apply(batch(2, *writes("update", TURNED, HELD)))
            read = {k: target.reread(f"of {k}", [str(n) for n in range(len(HELD[k]))]) for k in KINDS}
            with closing(ground.snapshot(rules)) as picture:
                shown = {kind: dict(picture.rows(f"of {kind}")) for kind in KINDS}
            there = {kind: user.rows(f"of {kind}") for kind in KINDS}
            deleted = target.apply(batch(3, *writes("delete", None, TURNED)))
        with ground.reading(rules, start) as source:
            log = [next_one(source) for _ in range(3)]

        assert [inserted.exceptions, updated.exceptions, deleted.exceptions] == [[], [], []]
        assert [item.own for item in log] == [True, True, True]
        for number, kind in enumerate(KINDS):
            rows = {str(n): (str(n), value) for n, value in enumerate(TURNED[kind])}
            first, second, third = (changes_of(changes(item), number) for item in log)
            assert {new for _, new, _ in first} == {(str(n), value) for n, value in enumerate(HELD[kind])}
            assert {new for _, new, _ in second} == set(there[kind]) == set(rows.values())
            assert shown[kind] == {answer.key: answer.row for answer in read[kind]} == rows
            assert {old[0] for _, _, old in third if old} == set(rows)

    def test_a_users_values_are_told_by_the_log_as_they_are_shown_read_and_compared(self, ground: Ground) -> None:
        ground.needs("log")
        rules, user = ground.make(*tables()), ground.user()
        start = ground.end()
        for kind in KINDS:
            user.insert(f"of {kind}", *((str(n), value) for n, value in enumerate(HELD[kind])))

        with ground.reading(rules, start) as source:
            log = [changes(next_one(source)) for _ in KINDS]
        with closing(ground.snapshot(rules)) as picture:
            shown = [dict(picture.rows(f"of {kind}")) for kind in KINDS]
        with ground.writing(rules) as target:
            guards = [
                write("update", f"of {kind}", (1,), [row(1, str(n), (v,), (v,)) for n, v in enumerate(HELD[kind])])
                for kind in KINDS
            ]
            compared = target.apply(batch(1, *guards))

        for kind, told, rows in zip(KINDS, log, shown, strict=True):
            expected = {str(n): (str(n), value) for n, value in enumerate(HELD[kind])}
            assert {new[0]: new for _, _, new, _ in told if new} == rows == expected
        assert compared.exceptions == []

    @pytest.mark.parametrize("width", [1, 2])
    def test_awkward_keys_name_their_rows_everywhere(self, ground: Ground, width: int) -> None:
        ground.needs("log")
        columns: dict[str, Kind] = {f"k{n}": "word" for n in range(width)}
        made = Made("keyed", {**columns, "v": "text"}, key=tuple(columns))
        rules, user = ground.make(made), ground.user()
        keys = [(key, *["it's \\"] * (width - 1)) for key in KEYED]
        named = {"\x1f".join(key): key for key in keys}
        start = ground.end()

        with ground.writing(rules) as target:
            insert = [(1, name, key, ("1",), ()) for name, key in named.items()]
            update = [(2, name, key, ("2",), ("1",)) for name, key in named.items()]
            delete = [(3, name, key, (), ("2",)) for name, key in named.items()]
            first = target.apply(batch(1, write("insert", "keyed", (width,), insert)))
            second = target.apply(batch(2, write("update", "keyed", (width,), update)))
            read = {answer.key: answer.row for answer in target.reread("keyed", list(named))}
            with closing(ground.snapshot(rules)) as picture:
                shown = list(picture.rows("keyed"))
            third = target.apply(batch(3, write("delete", "keyed", (width,), delete)))
        with ground.reading(rules, start) as source:
            log = [next_one(source) for _ in range(3)]

        assert [first.exceptions, second.exceptions, third.exceptions] == [[], [], []]
        assert shown == sorted(read.items()) == sorted((name, (*key, "2")) for name, key in named.items())
        assert {new for _, new, _ in changes_of(log[1].changes, 0)} == {(*key, "2") for key in keys}
        assert {old[:width] for _, _, old in changes_of(log[2].changes, 0) if old} == set(keys)
        assert user.rows("keyed") == []


def changes_of(told: list[Change], table: int) -> list[tuple[str, Row | None, Row | None]]:
    """Of these changes, those of one table: (operation, new, old)."""
    return [(operation, new, old) for number, operation, new, old in told if number == table]
