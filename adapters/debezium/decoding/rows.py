"""Compiles, for one bound table and one form of its events, what turns an envelope into rows; then applies it.

The row's columns are decoded by msgspec, straight into a tuple of the bound ones and to the types that they must have;
what is left to do is to spell those that are not texts already. Columns that are not bound are skipped in C.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import md5
from typing import Any, Final
from uuid import UUID

import msgspec

from adapters.debezium.decoding.asked import Reading, Spell
from adapters.debezium.decoding.assumed import assumed
from adapters.debezium.decoding.events import Order, Source
from adapters.debezium.decoding.modes import Modes
from adapters.debezium.decoding.reading import reading
from adapters.debezium.decoding.refused import Refused
from adapters.debezium.decoding.shown import Shown
from adapters.debezium.decoding.unfit import Unfit
from adapters.relational.picking import picker
from engine.catalog import Column
from engine.errors import ValueRefused
from engine.rulebook import Table
from engine.vocabulary import ABSENT, Row

MISSING: Final = msgspec.UNSET
"""Stands in a row for a column that the message has not."""
_UNADJUSTED: Final = re.compile(r"[A-Za-z0-9_]")
FOLDING: Final = frozenset({"oracle", "db2"})
"""Connectors of databases in which a name that is written without quotes is stored in capitals."""
FAULTS: Final = (ValueError, TypeError, ArithmeticError, ValueRefused)
"""What a `Spell` raises for a value that is none."""


class Lost(Exception):
    """Columns that are bound are not told."""

    def __init__(self, table: tuple[str, str], columns: Sequence[str]) -> None:
        """`columns`: their names in the table."""
        super().__init__()
        self.table = table
        self.columns = columns


class Unavailable:
    """How a connector tells that a value stored beside its row is unchanged, and not in the log."""

    def __init__(self, text: str) -> None:
        """`text`: the option `unavailable.value.placeholder`."""
        octets = text.encode()
        name = str(UUID(bytes=md5(octets, usedforsecurity=False).digest(), version=3))
        self._octets = octets
        self._texts = (text, f'{{"{text}":"{text}"}}')
        self._lists: tuple[list[Any], ...] = ([text], [octets], list(octets), [name])
        self._map = {text: text}
        numbers = b"[" + b",".join([b"%d" % each for each in octets[:3]])
        self.marks = (octets, b64encode(octets), numbers, name.encode())
        """One of these is in every message of JSON that has such a value."""

    def __call__(self, value: Any) -> bool:
        """True for such a value."""
        if isinstance(value, str):
            return value in self._texts
        if isinstance(value, bytes):
            return value == self._octets
        return value in self._lists if isinstance(value, list) else value == self._map

    def marked(self, payload: bytes) -> bool:
        """True if there may be one in the message."""
        return any(mark in payload for mark in self.marks)


class RowReader:
    """Reads the rows of one table, as one form of its events has them."""

    def __init__(
        self,
        number: int,
        table: Table,
        columns: Mapping[str, Column],
        shown: Mapping[str, Shown],
        names: Mapping[str, str],
        modes: Modes,
        connector: str,
        *,
        whole: bool,
    ) -> None:
        """`number`: of the table. `columns`: its catalog. `shown`: by column, how it is shown. `names`: by column, its
        name in the message. `whole`: the former row comes with all of its columns.

        Raises Unfit for the first column that cannot be read, and Lost."""
        self.number = number
        self.name = self.told = (table.schema, table.name)
        """The table's name; and as the messages have it."""
        self._columns = table.columns
        self.whole = whole
        self._unavailable = Unavailable(modes.placeholder)
        readings = [
            _read(columns[name], shown[name], modes, connector, whole=whole and connector == "postgresql")
            for name in table.columns
        ]
        self._steps: list[tuple[int, Spell]] = [
            (at, each.spell) for at, each in enumerate(readings) if each.spell is not None
        ]
        nullable = [columns[name].nullable for name in table.columns]
        keys = set(table.key)
        self._keys = tuple(sorted(keys))
        self._key = picker(self._keys)
        self._key_steps = [step for step in self._steps if step[0] in keys]
        # A large value that did not change is NULL in the former row that SQL Server tells.
        self._doubtful = [
            at for at, name in enumerate(table.columns)
            if connector == "sqlserver" and columns[name].length is None and columns[name].octets is None
            and columns[name].family in ("text", "bytes", "json", "other")
        ]  # fmt: skip
        told = [names[name] for name in table.columns]
        after = _struct("After", told, readings, nullable)
        former = range(len(told)) if whole else self._keys
        before = _struct(
            "Before",
            [told[at] for at in former],
            [readings[at] for at in former],
            [nullable[at] or at not in keys for at in former],
        )
        self.envelope: Any = msgspec.defstruct(
            "Envelope",
            [("op", str), ("source", Source), ("before", before | None, None), ("after", after | None, None),
             ("transaction", Order | None, None)],
            gc=False,
        )  # fmt: skip
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(self.envelope).decode

    def row(self, told: Any, *, marked: bool) -> Row:
        """A row as it is now. `marked`: it may have values that are not told. Raises Lost, Refused."""
        values = self._whole(told, range(len(self._columns)))
        return self._spelled(values, self._steps, marked=marked)

    def key_only(self, told: Any) -> Row:
        """The key of a row, and nothing else: what a connector's own snapshot tells may differ from what is stored
        (dates before 1582, infinity). Raises Lost, Refused."""
        row = self._spelled(self._whole(told, range(len(self._columns))), self._key_steps, marked=False)
        return tuple([value if at in self._keys else ABSENT for at, value in enumerate(row)])

    def former(self, told: Any, *, marked: bool) -> Row:
        """A row as it was: all of it, or its key. Raises Lost, Refused."""
        if not self.whole:
            values = self._whole(told, self._keys)
            known: list[Any] = [None] * len(self._columns)
            for at, value in zip(self._keys, values, strict=True):
                known[at] = value
            row = self._spelled(known, self._key_steps, marked=marked)
            return tuple([value if at in self._keys else ABSENT for at, value in enumerate(row)])
        values = self._whole(told, range(len(self._columns)))
        row = self._spelled(values, self._steps, marked=marked)
        if self._doubtful and None in row:
            return tuple([ABSENT if each is None and at in self._doubtful else each for at, each in enumerate(row)])
        return row

    def same_key(self, before: Any, after: Any) -> bool:
        """True if both rows have one key."""
        was, now = msgspec.structs.astuple(before), msgspec.structs.astuple(after)
        return bool((self._key(was) if self.whole else was) == self._key(now))

    def _whole(self, told: Any, places: Iterable[int]) -> list[Any]:
        values = list(msgspec.structs.astuple(told))
        if MISSING in values:
            lost = [self._columns[at] for at, value in zip(places, values, strict=True) if value is MISSING]
            raise Lost(self.name, lost)
        return values

    def _spelled(self, values: list[Any], steps: Sequence[tuple[int, Spell]], *, marked: bool) -> Row:
        if marked:
            for at, value in enumerate(values):
                if value is not None and self._unavailable(value):
                    values[at] = ABSENT
        at = 0
        try:
            for at, spell in steps:
                value = values[at]
                if value is not None and value is not ABSENT:
                    values[at] = spell(value)
        except FAULTS:
            raise Refused(
                f"the column `{self._columns[at]}` of `{'.'.join(self.name)}` has a value that is none of its type, "
                "as the connector is said to tell it"
            ) from None
        return tuple(values)


def forms(
    table: Table, columns: Mapping[str, Column], told: Mapping[str, Shown] | Iterable[str], modes: Modes, connector: str
) -> tuple[dict[str, Shown], dict[str, str]]:
    """By column: how it is shown, and its name in the messages. `told`: the columns of the messages, with how they are
    shown if there are schemas. Raises Lost, Unfit."""
    names = names_told(table, table.columns, told, connector)
    unknown = [name for name in table.columns if name not in columns]
    if unknown:
        raise Lost((table.schema, table.name), unknown)
    if isinstance(told, Mapping):
        return {name: told[found] for name, found in names.items()}, names
    return {name: _assumed(columns[name], modes, connector) for name in table.columns}, names


def names_told(table: Table, wanted: Sequence[str], told: Iterable[str], connector: str) -> dict[str, str]:
    """By column: its name in the messages, which have the columns `told`. Raises Lost."""
    known = set(told)
    names = {name: _told_as(name, known, folded=connector in FOLDING) for name in wanted}
    lost = [name for name, found in names.items() if not found]
    if lost:
        raise Lost((table.schema, table.name), lost)
    return names


def _assumed(column: Column, modes: Modes, connector: str) -> Shown:
    try:
        return assumed(column, modes, connector)
    except Unfit as unfit:
        raise Unfit(f"the column `{column.name}` {unfit.found}", unfit.mend) from None


def _read(column: Column, shown: Shown, modes: Modes, connector: str, *, whole: bool) -> Reading:
    try:
        found = reading(column, shown, modes, connector, whole=whole)
        refuse_defaults(column, shown, modes)
    except Unfit as unfit:
        raise Unfit(f"the column `{column.name}` {unfit.found}", unfit.mend) from None
    return found


def refuse_defaults(column: Column, shown: Shown, modes: Modes) -> None:
    """Kafka Connect's converters tell a column's default for a NULL. Raises Unfit."""
    if column.nullable and shown.optional and shown.default and modes.nulls != "false":
        raise Unfit(
            "has a default, which is told for a NULL, too",
            "set `value.converter.replace.null.with.default=false` in the connector (with Avro "
            "`value.converter.ignore.default.for.nullables=true`), and say so in the rules",
        )


def _told_as(name: str, known: set[str], *, folded: bool) -> str:
    """The column's name in the messages: its own, or what Avro lets it have (`field.name.adjustment.mode`)."""
    if name in known:
        return name
    if folded and name.upper() in known:
        return name.upper()
    first = "" if name[:1].isalpha() or name[:1] == "_" else "_"
    plain = "".join([each if _UNADJUSTED.fullmatch(each) else "_" for each in name])
    wide = "".join([each if _UNADJUSTED.fullmatch(each) and each != "_" else f"_u{ord(each):04x}" for each in name])
    return next((found for found in (plain, first + plain, wide, first + wide) if found in known), "")


def _struct(called: str, names: Sequence[str], readings: Sequence[Reading], nullable: Sequence[bool]) -> Any:
    """A class of msgspec's that takes these columns out of a row, in this order."""
    fields = [
        (f"c{at}", (each.type | None) if may else each.type, MISSING)
        for at, (each, may) in enumerate(zip(readings, nullable, strict=True))
    ]
    return msgspec.defstruct(called, fields, rename={f"c{at}": name for at, name in enumerate(names)}, gc=False)
