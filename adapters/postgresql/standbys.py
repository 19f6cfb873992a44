"""Turns the text of `synchronous_standby_names` into values and back, with one name put in or taken out. Pure.

The grammar is PostgreSQL's own: `a, b`; `2 (a, b)`; `FIRST 2 (a, b)`; `ANY 2 (a, b)`; names bare or quoted, `*` for
every one. Names are compared as the server does: ASCII letters without regard to case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

count_max: Final = 2**31 - 1

ANYBODY: Final = "*"

_TOKEN: Final = re.compile(
    r"""[ \t\n\r\f\v]*(?:
        (?P<quoted>"(?:[^"]|"")*") | (?P<name>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*)
        | (?P<number>[0-9]+) | (?P<mark>[,()*])
    )""",
    re.VERBOSE,
)
_BARE: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_WORDS: Final = ("any", "first")


class Unreadable(ValueError):
    """A text that PostgreSQL would refuse, too."""


@dataclass(frozen=True, slots=True)
class Standbys:
    """Whom commits wait for; no names: for nobody."""

    count: int = 1
    """For how many of them."""
    names: tuple[str, ...] = ()
    method: Literal["FIRST", "ANY"] = "FIRST"
    """FIRST: for those that stand in front; ANY: for whichever answer first."""

    @classmethod
    def parse(cls, text: str) -> Standbys:
        """What the server understands by `text`. Raises Unreadable."""
        if not text:
            return cls()
        return _Reading(text).standbys()

    def __str__(self) -> str:
        listed = ", ".join(_written(name) for name in self.names)
        if not self.names or (self.method == "FIRST" and self.count == 1):
            return listed
        return f"{self.method} {self.count} ({listed})"

    def name(self, us: str) -> bool:
        """True if `us` is named; `*` names nobody."""
        return any(_same(name, us) for name in self.names)

    def rank(self, name: str) -> int:
        """What pg_stat_replication calls the `sync_priority` of a standby of this name; 0: nobody waits for it."""
        places = [at for at, known in enumerate(self.names, 1) if known == ANYBODY or _same(known, name)]
        return 0 if not places else 1 if self.method == "ANY" else places[0]

    def with_us(self, us: str) -> Standbys:
        """Commits wait for `us`, and for the others as before; of others that are chosen among, for the first."""
        others = self.without(us)
        return Standbys(others.count + 1, (us, *others.names)) if others.names else Standbys(1, (us,))

    def without(self, us: str) -> Standbys:
        """Commits wait for the others only."""
        if not self.name(us):
            return self
        others = tuple(name for name in self.names if not _same(name, us))
        return Standbys(max(1, self.count - 1), others, self.method) if others else Standbys()

    def stand_in(self, us: str, connected: int = 0) -> bool:
        """True if commits return without `us` while it is away: there are others enough, by their names, or by how
        many are `connected` (several may bear one name)."""
        others = [name for name in self.names if not _same(name, us)]
        return self.name(us) and (ANYBODY in others or max(len(others), connected) >= self.count)


def left(current: str, us: str, former: str | None) -> str:
    """What is to be set when `us` leaves. `former`: the setting before `us` was put in, if that is known: where nobody
    changed it since, it comes back as it was."""
    now = Standbys.parse(current)
    if former is not None and Standbys.parse(former).with_us(us) == now:
        return former
    return str(now.without(us))


class _Reading:
    """One text being read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._cut())
        self._at = 0

    def _cut(self) -> list[tuple[str, str]]:
        tokens, at, end = [], 0, len(self._text.rstrip(" \t\n\r\f\v"))
        while at < end:
            found = _TOKEN.match(self._text, at, end)
            if found is None:
                raise Unreadable(f"`{self._text}` cannot be understood from character {at + 1} on")
            kind, said = str(found.lastgroup), found[found.lastgroup or 0]
            tokens.append(("word" if kind == "name" and said.lower() in _WORDS else kind, said))
            at = found.end()
        return tokens

    def standbys(self) -> Standbys:
        method: Literal["FIRST", "ANY"] = "FIRST"
        kinds = [kind for kind, _ in self._tokens]
        count = 1
        if kinds[:1] == ["word"]:
            method = "ANY" if self._next("word").lower() == "any" else "FIRST"
        if kinds[:1] == ["word"] or self._tokens[1:2] == [("mark", "(")]:
            count = int(self._next("number"))
            self._mark("(")
            names = self._names()
            self._mark(")")
        else:
            names = self._names()
        if self._at < len(self._tokens) or not 0 < count <= count_max:
            raise Unreadable(f"`{self._text}` is no list of standbys")
        return Standbys(count, names, method)

    def _names(self) -> tuple[str, ...]:
        names = [self._name()]
        while self._tokens[self._at : self._at + 1] == [("mark", ",")]:
            self._at += 1
            names.append(self._name())
        return tuple(names)

    def _name(self) -> str:
        if self._tokens[self._at : self._at + 1] == [("mark", ANYBODY)]:
            self._at += 1
            return ANYBODY
        said = self._next("quoted", "name", "number")
        return said[1:-1].replace('""', '"') if said.startswith('"') else said

    def _mark(self, mark: str) -> None:
        if self._next("mark") != mark:
            raise Unreadable(f"`{self._text}`: `{mark}` expected")

    def _next(self, *kinds: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] not in kinds:
            raise Unreadable(f"`{self._text}` is no list of standbys")
        self._at += 1
        return self._tokens[self._at - 1][1]


def _written(name: str) -> str:
    if name == ANYBODY or (_BARE.fullmatch(name) and name.lower() not in _WORDS):
        return name
    return '"' + name.replace('"', '""') + '"'


def _same(one: str, other: str) -> bool:
    return _lower(one) == _lower(other)


def _lower(name: str) -> str:
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in name)
