"""Turns a statement in the log into what it does to bound tables: nothing, an emptied table, a lost one, or doubt.

Not a parser of SQL: it reads the first words, the names behind them, and of an ALTER TABLE the words that move rows
without logging them. Whatever it is not sure of, it calls a doubt, and duolog stops: a change that the log does not
spell out row by row would be lost without a word. It holds no connection and no state, and never quotes a statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

from adapters.mariadb.binlog.events import Query

TableName: TypeAlias = "tuple[str, str]"

EffectKind: TypeAlias = Literal[
    "begin", "commit", "rollback", "savepoint", "rollback_to", "xa_begin", "xa_end", "xa_commit", "xa_rollback",
    "none", "truncated", "altered", "dropped", "renamed", "unlogged",
]  # fmt: skip


class Effect(NamedTuple):
    """What a statement does."""

    kind: EffectKind
    tables: tuple[TableName, ...] = ()
    """The bound tables that it concerns."""
    said: str = ""
    """Of `renamed`: the new name. Of `unlogged`: the words that it begins with. Of a savepoint or an XA transaction:
    its name."""


NOTHING: Final = Effect("none")


class _Token(NamedTuple):
    text: str
    kind: str
    """`word`, `name` (quoted), `text` (a literal), or `sign`."""

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text.upper() in words


_TOKENS: Final = re.compile(
    r"(?P<blank>\s+|/\*(?![!M])(?s:.*?)(?:\*/|\Z)|--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*M?!\d*|\*/)"
    r"|`(?P<name>(?:[^`]|``)*)`"
    r"|(?P<word>[\w$\u0080-\U0010ffff]+)"
    r"|'(?P<text>(?:[^'\\]|''|\\.)*)'"
    r'|"(?P<double>(?:[^"\\]|""|\\.)*)"'
    r"|(?P<sign>.)",
    re.DOTALL,
)
"""Comments that only some servers read (`/*!40101 ... */`) count as if they stood there."""

_ROWS: Final = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD"})

_HARMLESS: Final = frozenset({
    "GRANT", "REVOKE", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM", "FLUSH", "INSTALL", "UNINSTALL", "RESET",
    "PURGE", "KILL", "LOCK", "UNLOCK", "CHANGE", "USE", "SHUTDOWN", "RELEASE", "CACHE", "BACKUP",
})  # fmt: skip
"""What begins so changes no rows."""

_MOVES_ROWS: Final = frozenset({
    ("DROP", "PARTITION"), ("TRUNCATE", "PARTITION"), ("EXCHANGE", "PARTITION"), ("CONVERT", "PARTITION"),
    ("CONVERT", "TABLE"), ("DISCARD", "TABLESPACE"), ("IMPORT", "TABLESPACE"), ("DISCARD", "PARTITION"),
    ("IMPORT", "PARTITION"), ("SYSTEM", "VERSIONING"),
})  # fmt: skip
"""Words in an ALTER TABLE by which rows come or go that no event tells of; or, of one that is system-versioned from
then on, events tell more than there is."""


class Bound:
    """The tables whose changes matter. `folded`: the server makes no difference between capital and small letters."""

    def __init__(self, tables: Iterable[TableName], *, folded: bool = False) -> None:
        self._fold: Callable[[str], str] = str.lower if folded else str
        self._by_name = {(self._fold(table[0]), self._fold(table[1])): table for table in tables}
        self._schemas = {schema for schema, _ in self._by_name}

    def find(self, name: TableName) -> TableName | None:
        """The bound table that is called so."""
        return self._by_name.get((self._fold(name[0]), self._fold(name[1])))

    def has_schema(self, name: str) -> bool:
        """Some bound table is in this database."""
        return self._fold(name) in self._schemas

    def of_schema(self, name: str) -> tuple[TableName, ...]:
        """The bound tables in this database."""
        return tuple(table for (schema, _), table in self._by_name.items() if schema == self._fold(name))


def judge(query: Query, bound: Bound) -> Effect:
    """What the statement does to bound tables, or to the transaction that it stands in."""
    if query.text in _FREQUENT:
        return _FREQUENT[query.text]
    words = _Words(_tokens(query), query.schema)
    if words.take("SET"):
        if not words.take("STATEMENT"):
            return NOTHING
        words.skip_to("FOR")
    first = words.peek().upper()
    match first:
        case "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "XA":
            return _of_transaction(words, query.text)
        case "TRUNCATE":
            words.skip(1)
            words.take("TABLE")
            return _concerning("truncated", [words.name()], bound)
        case "CREATE":
            return _create(words, bound)
        case "DROP":
            return _drop(words, bound)
        case "RENAME":
            return _rename(words, bound)
        case "ALTER":
            return _alter(words, bound)
        case _ if first in _HARMLESS or not first:
            return NOTHING
        case _:
            return _rows(words, first, query, bound)


_FREQUENT: Final = {"BEGIN": Effect("begin"), "COMMIT": Effect("commit"), "ROLLBACK": Effect("rollback")}


class _Words:
    """The tokens of a statement, read from the first on."""

    def __init__(self, tokens: Sequence[_Token], schema: str) -> None:
        self.tokens = tokens
        self.at = 0
        self._schema = schema

    def peek(self) -> str:
        return self.tokens[self.at].text if self.at < len(self.tokens) and self._word() else ""

    def take(self, *words: str) -> bool:
        """Gets past one of these words, if it is next."""
        if self.at < len(self.tokens) and self.tokens[self.at].says(*words):
            self.at += 1
            return True
        return False

    def sign(self, sign: str) -> bool:
        """Gets past this sign, if it is next."""
        if self.at < len(self.tokens) and self.tokens[self.at] == _Token(sign, "sign"):
            self.at += 1
            return True
        return False

    def skip(self, count: int) -> None:
        self.at += count

    def skip_to(self, word: str) -> None:
        """Gets behind the next such word."""
        while self.at < len(self.tokens) and not self.tokens[self.at].says(word):
            self.at += 1
        self.at += 1

    def optional(self, *words: str) -> None:
        """Gets past these words, whichever of them stand there."""
        while self.take(*words):
            pass

    def name(self) -> TableName:
        """The name of a table that stands next; ("", "") if none does."""
        first = self._identifier()
        if first and self.sign("."):
            return first, self._identifier()
        return (self._schema, first) if first else ("", "")

    def names(self) -> list[TableName]:
        """Names with commas between them."""
        found = [self.name()]
        while self.sign(","):
            found.append(self.name())
        return found

    def waits(self) -> None:
        """Gets past `WAIT 5` or `NOWAIT`."""
        if self.take("WAIT"):
            self.skip(1)
        self.take("NOWAIT")

    def rest(self) -> Sequence[_Token]:
        return self.tokens[self.at :]

    def _identifier(self) -> str:
        if self.at < len(self.tokens) and self.tokens[self.at].kind in ("word", "name"):
            self.at += 1
            return self.tokens[self.at - 1].text
        return ""

    def _word(self) -> bool:
        return self.tokens[self.at].kind == "word"


def _tokens(query: Query) -> list[_Token]:
    found = []
    for match in _TOKENS.finditer(query.text):
        kind = match.lastgroup
        if kind is None or kind == "blank":
            continue
        text = match[kind]
        if kind == "name":
            text = text.replace("``", "`")
        elif kind == "double":
            kind, text = ("name", text.replace('""', '"')) if query.ansi_quotes else ("text", text)
        found.append(_Token(text, kind))
    return found


def _of_transaction(words: _Words, text: str) -> Effect:
    """BEGIN, COMMIT and what else says where a transaction is."""
    if words.take("BEGIN", "START"):
        return Effect("begin")
    if words.take("COMMIT"):
        return Effect("commit")
    if words.take("SAVEPOINT"):
        return Effect("savepoint", said=words.name()[1])
    if words.take("ROLLBACK"):
        words.optional("WORK")
        if not words.take("TO"):
            return Effect("rollback")
        words.optional("SAVEPOINT")
        return Effect("rollback_to", said=words.name()[1])
    words.skip(1)
    kinds: dict[str, EffectKind] = {
        "START": "xa_begin", "BEGIN": "xa_begin", "END": "xa_end", "COMMIT": "xa_commit", "ROLLBACK": "xa_rollback",
    }  # fmt: skip
    kind = kinds.get(words.peek().upper())
    if kind is None:
        return Effect("unlogged", said="XA")
    return Effect(kind, said="".join(text.split()[2:]).lower().replace("x'", "X'"))


def _concerning(kind: EffectKind, names: Sequence[TableName], bound: Bound) -> Effect:
    """`kind`, if any of these is bound. A name that could not be read is a doubt."""
    if ("", "") in names:
        return Effect("unlogged", said="TABLE")
    found = tuple(table for name in names if (table := bound.find(name)) is not None)
    return Effect(kind, found) if found else NOTHING


def _create(words: _Words, bound: Bound) -> Effect:
    words.skip(1)
    replaced = False
    if words.take("OR"):
        replaced = words.take("REPLACE")
    if any(token.says("TRIGGER") for token in words.rest()[:6]):  # before it: DEFINER = `user` @ `host`
        return Effect("altered")  # of whatever table: one that we write may wake it
    if replaced and words.take("DATABASE", "SCHEMA"):
        return _without_schema(words, bound)
    if words.take("TEMPORARY") or not words.take("TABLE"):
        return NOTHING
    kept = words.take("IF")
    words.optional("NOT", "EXISTS")
    effect = _concerning("dropped" if replaced else "altered", [words.name()], bound)
    return NOTHING if kept else effect


def _drop(words: _Words, bound: Bound) -> Effect:
    words.skip(1)
    if words.take("TEMPORARY"):
        return NOTHING
    if words.take("TABLE", "TABLES"):
        words.optional("IF", "EXISTS")
        return _concerning("dropped", words.names(), bound)
    if words.take("DATABASE", "SCHEMA"):
        words.optional("IF", "EXISTS")
        return _without_schema(words, bound)
    return NOTHING


def _without_schema(words: _Words, bound: Bound) -> Effect:
    """The database that stands next is gone, with all its tables."""
    _, schema = words.name()
    gone = bound.of_schema(schema)
    return Effect("dropped", gone) if gone else NOTHING


def _rename(words: _Words, bound: Bound) -> Effect:
    """A bound name that some table has at the end is not lost: tools that rebuild tables swap two in one statement."""
    words.skip(1)
    if not words.take("TABLE", "TABLES"):
        return NOTHING
    words.optional("IF", "EXISTS")
    held: dict[TableName, TableName] = {}
    """By a bound name that was given away, where its table went."""
    altered: list[TableName] = []
    while True:
        old = words.name()
        words.waits()
        if not words.take("TO"):
            return Effect("unlogged", said="RENAME TABLE")
        new = words.name()
        if "" in (old[1], new[1]):
            return Effect("unlogged", said="RENAME TABLE")
        gone, come = bound.find(old), bound.find(new)
        if gone is not None:
            held[gone] = new
        if come is not None:
            held.pop(come, None)
            altered.append(come)
        if not words.sign(","):
            break
    if held:
        table, new = next(iter(held.items()))
        return Effect("renamed", (table,), ".".join(new))
    return Effect("altered", tuple(altered)) if altered else NOTHING


def _alter(words: _Words, bound: Bound) -> Effect:
    words.skip(1)
    words.optional("ONLINE", "OFFLINE")
    ignores = words.take("IGNORE")
    if not words.take("TABLE"):
        return NOTHING
    words.optional("IF", "EXISTS")
    name = words.name()
    words.waits()
    rest = words.rest()
    table = bound.find(name)
    pairs = {
        (first.text.upper(), second.text.upper())
        for first, second in pairwise(rest)
        if first.kind == second.kind == "word"
    }
    moves = pairs & _MOVES_ROWS
    if ignores and table is not None:
        return Effect("unlogged", (table,), "ALTER IGNORE TABLE")  # rows that a new key does not take are gone
    if moves and (table is not None or _mentions(rest, name[0], bound)):
        return Effect("unlogged", (table,) if table else (), "ALTER TABLE ... " + " ".join(min(moves)))
    if table is None:
        new = _new_name(rest, name[0])
        # Whatever comes to be called as a bound table, it was not that one.
        return _concerning("altered", [new], bound) if new is not None else NOTHING
    new = _new_name(rest, name[0])
    if new is not None and bound.find(new) != table:
        return Effect("renamed", (table,), ".".join(new))
    return Effect("altered", (table,))


def _new_name(rest: Sequence[_Token], schema: str) -> TableName | None:
    """What an ALTER TABLE calls the table from now on."""
    for at, token in enumerate(rest):
        if token.says("RENAME"):
            words = _Words(rest[at + 1 :], schema)
            if words.take("COLUMN", "INDEX", "KEY"):
                continue
            words.optional("TO", "AS")
            words.sign("=")
            return words.name()
    return None


def _rows(words: _Words, first: str, query: Query, bound: Bound) -> Effect:
    """A statement that changes rows, or may: the log has only the statement, not what it did.

    It is passed over where it surely concerns databases without a bound table."""
    beginning = first if first.isascii() else "?"
    if first in ("INSERT", "REPLACE"):
        words.skip(1)
        words.optional("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO")
        schema, table = words.name()
        if table and not bound.has_schema(schema):
            return NOTHING
    elif not bound.has_schema(query.schema) and not _mentions(words.tokens, "", bound):
        return NOTHING
    return Effect("unlogged", said=beginning)


def _mentions(tokens: Sequence[_Token], schema: str, bound: Bound) -> bool:
    """Some name, or text, is that of a database with a bound table, or of a bound table of `schema`."""
    return any(
        bound.has_schema(token.text) or bound.find((schema, token.text)) is not None
        for token in tokens
        if token.kind != "sign"
    )
