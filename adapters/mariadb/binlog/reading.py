"""How a compiled reader gets past a column, and at its value: lines of Python, and the names that they use.

Turns nothing by itself; `columns` and `temporal` make such lines for each type, `rows` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

cached_max: Final = 10_000
"""Texts of one kind that are kept, for when they come again."""


class Unreadable(Exception):
    """A column that is bound cannot be read out of this log: `found`, and what to do about it."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(found)
        self.found = found
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Hint:
    """What the live catalog knows of a column and the log does not say."""

    data_type: str = ""
    """In lower case; the log does not tell `uuid`, `inet6` and `inet4` from bytes."""
    digits: int = 0
    """Of a second: times in MariaDB's former format do not tell."""


@dataclass(slots=True)
class Reading:
    """How to get past one column, and how to get at it."""

    step: int = 0
    """How many bytes the column has in every row; 0: each tells its own, see `skip`."""
    skip: Sequence[str] = ()
    read: Sequence[str] = ()
    """Lines; `{v}` is the name that the text is put into, `{c}` the column's number."""
    uses: Mapping[str, Any] = field(default_factory=dict)
    """What the lines use, by its name, but for `data`, `at` and `n`."""


class Cache(dict[Any, str]):
    """Texts by what they are made of; forgotten all at once when they are too many."""

    def __init__(self, made: Callable[[Any], str]) -> None:
        super().__init__()
        self._made = made

    def __missing__(self, key: Any) -> str:
        if len(self) >= cached_max:
            self.clear()
        text = self[key] = self._made(key)
        return text


def by_bytes(size: int, name: str, spell: Callable[[bytes], str]) -> Reading:
    """A value of so many bytes, whose text is kept for when they come again."""
    return Reading(size, read=(f"{{v}} = {name}[data[at:at + {size}]]", f"at += {size}"), uses={name: Cache(spell)})
