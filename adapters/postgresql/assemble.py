"""Turns pgoutput's messages into whole transactions of bound rows; the state of the fold is all in one place, in sight.

It does no I/O but for what `relational.spool` does with a transaction too large for memory. It decides nothing: what a
change means is the engine's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.postgresql.ledger import NUMBER
from adapters.postgresql.pgoutput import (
    Begin,
    Commit,
    LogicalMessage,
    Origin,
    Relation,
    RowMessage,
    Truncate,
    decode,
    decode_delete,
    decode_insert,
    decode_update,
)
from adapters.relational.picking import bound_picker, picker
from adapters.relational.spool import Receiving
from engine.errors import SchemaChanged, WireError
from engine.rulebook import Table
from engine.vocabulary import ABSENT, DELETE, TRUNCATE, UPDATE, Change, Progress, Row, Transaction

_ROWS: Final[dict[bytes, Callable[[bytes], RowMessage]]] = {
    b"I": decode_insert,
    b"U": decode_update,
    b"D": decode_delete,
}


@dataclass(frozen=True, slots=True)
class _Bound:
    """A relation of the stream that the rules bind: which of its columns make a row of ours."""

    number: int
    """In the list of tables."""
    width: int
    """How many columns the relation has."""
    pick: Callable[[Row], Row] | None
    """Takes the bound columns out of a whole row; None: they are the whole row."""
    key: Callable[[Row], object]
    """Takes the key out of a picked row."""
    known: tuple[bool, ...]
    """For each bound column: it belongs to the replica identity, so a `K` row knows it."""


class _Open(Receiving):
    """The transaction that is being received."""

    __slots__ = ("commit_lsn",)

    def __init__(self, folder: Path | None, commit_lsn: int) -> None:
        super().__init__(folder)
        self.commit_lsn = commit_lsn


class Assembler:
    """Folds messages into transactions: feed it each message of a stream, in order. One stream at a time.

    `tables`: the bound ones, whose numbers the changes bear. `origin`: the replication origin of our own writes
    (or `origins`: of several engines, each with its name). `skip_own`: tell own transactions as Progress. `spool_dir`:
    where large ones are kept meanwhile."""

    def __init__(
        self,
        system: str,
        tables: Sequence[Table],
        *,
        origin: str,
        origins: Mapping[str, str] | None = None,
        skip_own: bool = False,
        spool_dir: Path | None = None,
    ) -> None:
        self.system = system
        self._origins = origins or {origin: ""}
        self._skip_own = skip_own
        self._spool_dir = spool_dir
        self._tables = {(table.schema, table.name): (number, table) for number, table in enumerate(tables)}
        self._names: dict[int, tuple[str, str]] = {}
        """Under which name a bound relation id was first met: a renamed table must not fall silent."""
        self._relations: dict[bytes, _Bound | None] = {}
        """By the four bytes of the relation id; None: described, but not bound."""
        self._open: _Open | None = None

    @property
    def idle(self) -> bool:
        """True between transactions: then, and only then, does a server's position say that all before it is read."""
        return self._open is None

    def reset(self) -> None:
        """Forgets a transaction that is half received, and what a former stream said of relations."""
        if self._open is not None:
            self._open.close()
        self._open = None
        self._relations.clear()

    def feed(self, message: bytes) -> Transaction | Progress | None:
        """Takes the next message; returns the transaction that it completes, or Progress if that has nothing for us.

        Raises WireError for bytes that break the protocol, SchemaChanged for a table that lost what is bound."""
        decode_row = _ROWS.get(message[:1])
        if decode_row is None:
            return self._feed_other(decode(message))
        transaction = self._open
        if transaction is None:
            raise WireError("a transaction's beginning expected before a row", 0, system=self.system)
        if transaction.skipped:
            return None
        try:
            bound = self._relations[message[1:5]]
        except KeyError:
            raise WireError("a relation's description expected before its rows", 1, system=self.system) from None
        if bound is None:
            return None
        _, operation, new, old, kind = decode_row(message)
        width = bound.width
        if (new is not None and len(new) != width) or (old is not None and len(old) != width):
            raise WireError(f"a row of {width} columns expected", 6, system=self.system)
        if old is None and new is not None:
            pick = bound.pick
            transaction.changes.append((bound.number, operation, new if pick is None else pick(new), None))
        else:
            transaction.changes.append(_with_old(bound, operation, new, old, kind))
        transaction.size += len(message)
        if len(transaction.changes) > transaction.rows_max or transaction.size > transaction.bytes_max:
            transaction.spill()
        return None

    def _feed_other(self, message: object) -> Transaction | Progress | None:
        """Every message that is not a row."""
        match message:
            case Begin():
                if self._open is not None:
                    raise WireError("a commit expected before the next beginning", 0, system=self.system)
                self._open = _Open(self._spool_dir, message.commit_lsn)
            case Commit():
                return self._commit(message)
            case Origin():
                if self._open is None:
                    raise WireError("a transaction's beginning expected before its origin", 0, system=self.system)
                own = message.name in self._origins
                self._open.engine = self._origins.get(message.name, "")
                self._open.mark(own=own, skipped=own and self._skip_own)
            case Relation():
                self._relations[message.id.to_bytes(4, "big")] = self._bind(message)
            case Truncate():
                self._truncate(message)
            case LogicalMessage(True, _, prefix, content) if prefix == NUMBER:
                if self._open is not None and self._open.own:
                    self._open.number = int(content)
            case _:
                pass  # types and other messages say nothing that is needed here
        return None

    def _commit(self, message: Commit) -> Transaction | Progress:
        transaction = self._open
        if transaction is None or transaction.commit_lsn != message.commit_lsn:
            raise WireError("the commit of the transaction that began expected", 2, system=self.system)
        self._open = None
        return transaction.complete(self.system, message.end_lsn, message.committed_at)

    def _truncate(self, message: Truncate) -> None:
        if self._open is None:
            raise WireError("a transaction's beginning expected before a truncation", 0, system=self.system)
        for relation in message.relations:
            bound = self._relations.get(relation.to_bytes(4, "big"))
            if bound is not None and not self._open.skipped:
                self._open.changes.append((bound.number, TRUNCATE, None, None))

    def _bind(self, relation: Relation) -> _Bound | None:
        """How rows of `relation` become rows of the rules' table; None if they name no such table."""
        former = self._names.get(relation.id, (relation.schema, relation.name))
        if former != (relation.schema, relation.name):
            raise self._changed(former, f"is now named `{relation.schema}.{relation.name}`", "rename it back")
        number, table = self._tables.get(former, (-1, None))
        if table is None:
            return None
        self._names[relation.id] = former
        places = {column.name: place for place, column in enumerate(relation.columns)}
        lost = [name for name in table.columns if name not in places]
        if lost:
            columns = ", ".join(f"`{name}`" for name in lost)
            raise self._changed(former, f"no longer sends the bound column {columns}", "bring it back (or publish it)")
        picked = [places[name] for name in table.columns]
        known = tuple(relation.columns[place].key for place in picked)
        hidden = [table.columns[place] for place in table.key if not known[place]]
        if hidden:
            columns = ", ".join(f"`{name}`" for name in hidden)
            statement = f"ALTER TABLE {_quoted(former)} REPLICA IDENTITY FULL"
            raise self._changed(former, f"has a replica identity without the key column {columns}", statement)
        width = len(relation.columns)
        return _Bound(number, width, bound_picker(picked, width), picker(table.key), known)

    def _changed(self, table: tuple[str, str], found: str, mend: str) -> SchemaChanged:
        return SchemaChanged(
            f"the table `{table[0]}.{table[1]}` {found}",
            system=self.system,
            mend=f"{mend}; or change the rules, and let `duolog check RULES` confirm it",
        )


def _with_old(bound: _Bound, operation: str, new: Row | None, old: Row | None, kind: str) -> Change:
    """The change of a row whose former values came with it, all of them or the key's only."""
    assert old is not None
    old = old if bound.pick is None else bound.pick(old)
    if kind == "K":
        old = tuple(value if known else ABSENT for value, known in zip(old, bound.known, strict=True))
    if new is None:
        return bound.number, DELETE, None, old
    new = new if bound.pick is None else bound.pick(new)
    if kind == "O" and ABSENT in new:  # unchanged, and the whole old row says what it is
        new = tuple(was if now is ABSENT else now for now, was in zip(new, old, strict=True))
    return bound.number, UPDATE, new, None if bound.key(new) == bound.key(old) else old


def _quoted(table: tuple[str, str]) -> str:
    """The table's name as SQL has it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in table)
