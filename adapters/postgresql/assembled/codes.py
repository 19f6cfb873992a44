"""Turns natural codes into the keys of code tables, for a whole batch at once; adds a code where the rules allow it.

What was read once is kept, as code tables hardly change; what a transaction then takes from memory is looked at again
before it ends (`doubted`), so that a code which was renamed meanwhile is not mistaken. It never tells a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from adapters.postgresql.assembled.places import Codes
from adapters.postgresql.phrases import array_literal, cast, numbered, printed, unnested
from adapters.postgresql.refusals import Unstorable

Run: TypeAlias = Callable[[str, Sequence[str]], "psycopg.RawCursor[Any]"]
"""Sends a statement with numbered parameters."""


@dataclass(slots=True)
class Wanted:
    """The codes of one table that a batch speaks of."""

    codes: Codes
    held: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    """Those that records are to be given: they may be added, where the rules allow it."""


class Codebook:
    """The codes that one target knows."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._read: dict[str, set[str]] = {}
        """By code table: what was read by the open transaction itself."""
        self._known: dict[str, dict[str, str]] = {}
        """By code table: key by natural code."""
        self._trusted: dict[str, tuple[Codes, set[str]]] = {}
        """What the open transaction takes from memory."""

    def begin(self) -> None:
        """A transaction begins."""
        self._trusted, self._read = {}, {}

    def forget(self) -> None:
        """Something was rolled back, perhaps codes that were added."""
        self._known, self._trusted, self._read = {}, {}, {}

    def learn(self, wanted: Iterable[Wanted]) -> None:
        """Reads what is wanted and not known yet; adds what may be added. Raises psycopg.Error."""
        asked = []
        for each in wanted:
            known = self._known.setdefault(each.codes.name, {})
            texts = each.held | each.new
            trusted = self._trusted.setdefault(each.codes.name, (each.codes, set()))[1]
            trusted.update(texts & known.keys() - self._read.get(each.codes.name, set()))
            missing = sorted(texts - known.keys())
            if missing:
                asked.append((each, self._ask(each.codes, missing)))
        for each, cursor in asked:
            known = self._known[each.codes.name]
            known.update(cursor.fetchall())
            absent = sorted(each.new - known.keys())
            if absent and each.codes.adds:
                self._run(_add(each.codes), [array_literal(absent)])
                known.update(self._ask(each.codes, absent).fetchall())

    def key(self, codes: Codes, text: str) -> str | None:
        """The key of a code that was learnt; None: the table has no such code."""
        return self._known[codes.name].get(text)

    def doubted(self) -> Callable[[], None]:
        """Looks again at what was taken from memory: a question that is sent, and its answer.

        The answer raises Unstorable if something is no longer so; then all is to be rolled back and forgotten."""
        asked = []
        for name, (codes, texts) in self._trusted.items():
            if texts:
                ordered = sorted(texts)
                keys = [self._known[name][text] for text in ordered]
                asked.append(self._run(_changed(codes), [array_literal(keys), array_literal(ordered)]))

        def answer() -> None:
            if any(cursor.fetchone() != (0,) for cursor in asked):
                raise Unstorable("a code was changed meanwhile")

        return answer

    def _ask(self, codes: Codes, texts: Sequence[str]) -> psycopg.RawCursor[Any]:
        self._read.setdefault(codes.name, set()).update(texts)
        return self._run(_read(codes), [array_literal(texts)])


def _read(codes: Codes) -> str:
    """Answers (code, key) of the given codes; of several rows with one code, the lowest key comes last."""
    query = sql.SQL(
        'SELECT {n}, {k} FROM {table} AS t WHERE {n} COLLATE "C" = ANY ({given}::pg_catalog.text[]) ORDER BY {o} DESC'
    )
    return query.format(
        n=printed(codes.natural), k=printed(codes.key), table=sql.Identifier(*codes.table), given=numbered(1),
        o=sql.Identifier("t", codes.key.shape.name),
    ).as_string()  # fmt: skip


def _add(codes: Codes) -> str:
    query = sql.SQL("INSERT INTO {table} ({natural}) SELECT {value} FROM {given} ON CONFLICT DO NOTHING")
    return query.format(
        table=sql.Identifier(*codes.table), natural=sql.Identifier(codes.natural.shape.name),
        value=cast(codes.natural, "n1"), given=unnested(1, ["n1"]),
    ).as_string()  # fmt: skip


def _changed(codes: Codes) -> str:
    """Answers how many of the given pairs of key and code are no longer so."""
    query = sql.SQL(
        "SELECT count(*) FROM {given} WHERE NOT EXISTS (SELECT FROM {table} AS t"
        ' WHERE {key} COLLATE "C" = u.k1 AND {natural} COLLATE "C" = u.n1)'
    )
    return query.format(
        given=unnested(1, ["k1", "n1"]), table=sql.Identifier(*codes.table),
        key=printed(codes.key), natural=printed(codes.natural),
    ).as_string()  # fmt: skip
