"""Turns the rows of WRITE, UPDATE and DELETE events into changes of bound rows, by one compiled reader a table.

The reader is Python source, made of numbers and of names that `columns` chose: nothing of the log's text is in it. It
exists because rows come by the million: values of columns that are not bound are stepped over, and the loop over an
event's rows has no call in it that could be spared.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from adapters.mariadb.binlog import events
from adapters.mariadb.binlog.columns import reading, stepping
from adapters.mariadb.binlog.events import BODY, uncompressed
from adapters.mariadb.binlog.reading import Hint, Reading, Unreadable
from adapters.mariadb.binlog.tables import Column, TableMap
from engine.errors import WireError
from engine.vocabulary import ABSENT, DELETE, INSERT, UPDATE, Change

OPERATIONS: Final[Mapping[int, str]] = {
    events.WRITE_V1: INSERT, events.WRITE: INSERT, events.WRITE_COMPRESSED_V1: INSERT, events.WRITE_COMPRESSED: INSERT,
    events.UPDATE_V1: UPDATE, events.UPDATE: UPDATE, events.UPDATE_COMPRESSED_V1: UPDATE,
    events.UPDATE_COMPRESSED: UPDATE,
    events.DELETE_V1: DELETE, events.DELETE: DELETE, events.DELETE_COMPRESSED_V1: DELETE,
    events.DELETE_COMPRESSED: DELETE,
}  # fmt: skip
"""By the kinds of events that carry rows, what was done to them."""

_SECOND: Final = frozenset({
    events.WRITE, events.UPDATE, events.DELETE,
    events.WRITE_COMPRESSED, events.UPDATE_COMPRESSED, events.DELETE_COMPRESSED,
})  # fmt: skip
"""Version 2 of these events, which may say more of itself before its rows."""

_COMPRESSED: Final = frozenset(range(events.WRITE_COMPRESSED_V1, events.DELETE_COMPRESSED + 1))

NO_TABLE: Final = b"\xff\xff\xff\0\0\0"
"""The table of an event that only ends a statement."""

_HEAD: Final = BODY + 8
"""Where an event begins to say which columns its rows have."""

Reader: TypeAlias = Callable[[bytes, int, int, Callable[[Change], None]], int]
"""(data, where its rows begin, where they end, what takes each change) → where it stopped reading."""


class Missing(Exception):
    """The log has not what is needed of a row: `columns` names it."""

    def __init__(self, operation: str, columns: Sequence[str]) -> None:
        super().__init__(operation)
        self.operation = operation
        self.columns = columns


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read of a table's rows."""

    number: int
    """The table's, as changes bear it."""
    columns: tuple[str, ...]
    key: tuple[int, ...]
    """Places in `columns`."""
    hints: Mapping[str, Hint]
    """By name, of any of the table's columns."""


class _Images(NamedTuple):
    """Which columns an event has."""

    before: bytes
    """A bit for each column; of an insert's or a deletion's row, too."""
    after: bytes
    """Of an update's new row; else empty."""


def read_rows(packet: bytes, end: int, kind: int, table: TableMap, wanted: Wanted) -> list[Change]:
    """The changes of an event's rows. Raises WireError, Missing, Unreadable."""
    latest = table.latest.get(kind)
    # Before its rows an event says which columns they have: usually the same as the one before.
    if latest is None or not packet.startswith(latest[0], _HEAD):
        images, at = _images(packet, end, kind, len(table.columns))
        latest = packet[_HEAD:at], at, _reader(OPERATIONS[kind], images, table, wanted)
        table.latest[kind] = latest
    _, at, reader = latest
    if kind in _COMPRESSED:
        packet = uncompressed(packet[at:end], at)
        at, end = 0, len(packet)
    changes: list[Change] = []
    try:
        stopped = reader(packet, at, end, changes.append)
    except (IndexError, struct.error):
        raise WireError("more of a row expected, the event ends", end) from None
    except UnicodeDecodeError as error:
        where = f"of `{table.schema}.{table.name}`"
        raise WireError(f"a text {where} in its column's character set ({error.encoding}) expected", at) from None
    except (ValueError, ArithmeticError):
        where = f"a row of `{table.schema}.{table.name}`"
        raise WireError(f"values of their columns' types expected in {where}", at) from None
    if stopped != end:
        raise WireError("the end of a row expected, the event ends", end)
    return changes


def _reader(operation: str, images: _Images, table: TableMap, wanted: Wanted) -> Any:
    """The reader of such events of a table. Raises Missing, Unreadable."""
    found = table.decoders.get((operation, images))
    if found is None:
        found = table.decoders[operation, images] = _compiled(operation, images, table, wanted)
    return found


def _images(packet: bytes, end: int, kind: int, width: int) -> tuple[_Images, int]:
    """Which columns the rows have, and where the rows begin."""
    at = _HEAD
    if kind in _SECOND:
        at += int.from_bytes(packet[at : at + 2], "little")
    count, at = _packed(packet, at, end)
    if count != width:
        raise WireError(f"rows of {width} columns expected, found {count}", at)
    size = (count + 7) // 8
    both = OPERATIONS[kind] == UPDATE
    stop = at + size * (1 + both)
    if stop > end:
        raise WireError("which columns there are expected, the event ends", end)
    # What is behind the last column's bit means nothing.
    ones = (1 << count) - 1
    images = [
        (int.from_bytes(packet[at + size * place : at + size * (place + 1)], "little") & ones).to_bytes(size, "little")
        for place in range(1 + both)
    ]
    return _Images(images[0], images[1] if both else b""), stop


def _packed(packet: bytes, at: int, end: int) -> tuple[int, int]:
    if at + 3 > end:
        raise WireError("a number of columns expected, the event ends", end)
    if packet[at] < 251:
        return packet[at], at + 1
    if packet[at] != 252:
        raise WireError("a number of columns expected", at)
    return packet[at + 1] | packet[at + 2] << 8, at + 3


def _compiled(operation: str, images: _Images, table: TableMap, wanted: Wanted) -> Reader:
    """The reader of such events. Raises Missing, Unreadable."""
    writer = _Writer(table, wanted)
    match operation:
        case "I":
            writer.insert(images.before)
        case "D":
            writer.delete(images.before)
        case _:
            writer.update(images.before, images.after)
    return writer.compiled()


class _Writer:
    """Writes the source of one reader."""

    def __init__(self, table: TableMap, wanted: Wanted) -> None:
        self._table = table
        self._wanted = wanted
        self._names = {column.name: number for number, column in enumerate(table.columns)}
        self._bound = [self._names[name] for name in wanted.columns]
        self._key = [self._bound[place] for place in wanted.key]
        self._uses: dict[str, Any] = {"ABSENT": ABSENT}
        self._lines = ["def read(data, at, end, add):", "    while at < end:"]

    def compiled(self) -> Reader:
        """The function whose source has been written."""
        self._lines.append("    return at")
        exec(compile("\n".join(self._lines), "<rows of the binlog>", "exec"), self._uses)
        reader: Reader = self._uses["read"]
        return reader

    def insert(self, image: bytes) -> None:
        """Rows that were not there before."""
        self._need(INSERT, image, self._bound)
        self._row(image, self._bound, "v")
        self._add(INSERT, self._tuple("v", self._bound), "None")

    def delete(self, image: bytes) -> None:
        """Rows that are gone."""
        self._need(DELETE, image, self._key)
        there = _there(image, self._bound)
        self._row(image, there, "v")
        self._add(DELETE, "None", self._tuple("v", there))

    def update(self, before: bytes, after: bytes) -> None:
        """Rows as they were, and as they are. The old one counts only where the key is another."""
        now = _there(after, self._bound)
        # What the new row lacks has not been changed: the old one may have it.
        kept = [number for number in _there(before, self._bound) if number not in now]
        known = {**dict.fromkeys(kept, "o"), **dict.fromkeys(now, "v")}
        self._need_of(UPDATE, [number for number in self._key if number not in known])
        new = self._tuple(known, self._bound)
        compared = [number for number in self._key if number in now]
        self._need(UPDATE, before, compared)
        if not compared:
            self._row(before, kept, "o")
            self._row(after, now, "v")
            self._add(UPDATE, new, "None")
            return
        self._lines.append("        start = at")
        self._row(before, [*kept, *compared], "o")
        self._row(after, now, "v")
        same = " and ".join(f"o{number} == v{number}" for number in compared)
        self._lines.append(f"        if {same}:")
        self._add(UPDATE, new, "None", deeper="    ")
        self._lines.append("        else:")
        self._lines.append("            stop, at = at, start")
        all_before = _there(before, self._bound)
        self._row(before, all_before, "o", deeper="    ")
        self._lines.append("            at = stop")
        self._add(UPDATE, new, self._tuple("o", all_before), deeper="    ")

    def _need(self, operation: str, image: bytes, numbers: Sequence[int]) -> None:
        there = _there(image, numbers)
        self._need_of(operation, [number for number in numbers if number not in there])

    def _need_of(self, operation: str, missing: Sequence[int]) -> None:
        if missing:
            raise Missing(operation, [self._table.columns[number].name for number in missing])

    def _tuple(self, letters: str | Mapping[int, str], there: Sequence[int]) -> str:
        """The bound columns' values; `letters`: which variables have them, by column."""
        by_column = dict.fromkeys(there, letters) if isinstance(letters, str) else letters
        values = [f"{by_column[number]}{number}" if number in by_column else "ABSENT" for number in self._bound]
        return "(" + "".join(value + ", " for value in values) + ")"

    def _add(self, operation: str, new: str, old: str, deeper: str = "") -> None:
        self._lines.append(f"{deeper}        add(({self._wanted.number}, '{operation}', {new}, {old}))")

    def _row(self, image: bytes, numbers: Sequence[int], letter: str, deeper: str = "") -> None:
        """Lines that read these columns of one row, and get to its end."""
        indent = "        " + deeper
        width = len(self._table.columns)
        there = _there(image, range(width))
        size = (len(there) + 7) // 8
        if not size:
            # An event says nothing of rows without a column, not even how many there are.
            raise Missing("row", [column.name for column in self._table.columns][:1])
        lines = [f"nulls = {_nulls(size)}"]
        passed = size
        self._uses["from_bytes"] = int.from_bytes
        wanted = set(numbers)
        for bit, number in enumerate(there):
            column = self._table.columns[number]
            read = number in wanted
            found = self._reading(column, number, read)
            null = f"nulls & {1 << bit}" if column.nullable else ""
            if not read and found.step and not null:
                passed += found.step
                continue
            if passed:
                lines.append(f"at += {passed}")
                passed = 0
            name = f"{letter}{number}"
            body = [line.format(v=name, c=number) for line in found.read] if read else self._skip(found)
            if null and read:
                lines += [f"if {null}:", f"    {name} = None", "else:", *("    " + line for line in body)]
            elif null:
                lines += [f"if not {null}:", *("    " + line for line in body)]
            else:
                lines += body
        if passed:
            lines.append(f"at += {passed}")
        self._lines += [indent + line for line in lines]

    def _reading(self, column: Column, number: int, read: bool) -> Reading:
        try:
            hint = self._wanted.hints.get(column.name, Hint())
            found = reading(column, hint) if read else stepping(column, hint)
        except Unreadable as unreadable:
            mend = unreadable.mend.replace("{table}", f"`{self._table.schema}`.`{self._table.name}`")
            raise Unreadable(
                f"the column `{column.name}` {unreadable.found}", mend.replace("{column}", column.name)
            ) from None
        self._uses |= {name.format(c=number): value for name, value in found.uses.items()}
        return found

    @staticmethod
    def _skip(found: Reading) -> list[str]:
        return [f"at += {found.step}"] if found.step else list(found.skip)


def _there(image: bytes, numbers: Sequence[int]) -> list[int]:
    """Those of these columns that an image has."""
    return [number for number in numbers if image[number // 8] >> number % 8 & 1]


def _nulls(size: int) -> str:
    """The expression of a row's first bytes: a bit for each column that is NULL."""
    if size == 1:
        return "data[at]"
    if size == 2:
        return "data[at] | data[at + 1] << 8"
    return f"from_bytes(data[at:at + {size}], 'little')"
