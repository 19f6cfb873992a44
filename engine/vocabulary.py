"""Every noun of duolog that crosses a layer: what a source hands over, what a target is asked to write, what it
answers.

Nothing here computes. The words are those of `docs/vocabulary.md`; a test compares the two.

Three ways of "no value" are kept apart everywhere:

* `None` is SQL NULL.
* `ABSENT` is a column that the log did not carry (an unchanged TOAST value, a column outside the replica identity).
  It never means NULL.
* `UNSET` is a field that no system entitled to write it has ever given a value: it is left out of an INSERT, so that
  the target's own default applies.

All values are exact text, as the system prints them under fixed session settings (`stored`), or in the house's form
(`canonical`). Text compares, hashes and encodes at C speed and loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Final, Literal, NamedTuple, TypeAlias

ABSENT: Final = ...
"""The log did not carry this column. (The Ellipsis singleton: it survives pickling and marshalling as itself.)"""

UNSET: Final = False
"""Nobody entitled to write this field has done so yet. (The False singleton: it survives every encoding as itself.)"""

Text: TypeAlias = str | None
"""A value: exact text, or NULL."""

Row: TypeAlias = "tuple[str | None | EllipsisType, ...]"
"""One row's values, in the order of the table's bound columns; `ABSENT` where the log did not carry one."""

Values: TypeAlias = "tuple[str | None | bool, ...]"
"""One record's canonical values, in the order of the entity's fields; `UNSET` where nobody may have written yet."""

Image: TypeAlias = "tuple[str | None | bool | EllipsisType, ...]"
"""One record's row as a log told it: stored values in the order of the entity's fields, some perhaps `ABSENT`."""

Position: TypeAlias = int
"""A place in one system's log: an ordered number within that log, meaningless in another.

For PostgreSQL it is the LSN at the *end* of a commit. Its printed form belongs to the adapter."""

INSERT: Final = "I"
UPDATE: Final = "U"
DELETE: Final = "D"
TRUNCATE: Final = "T"

Change: TypeAlias = "tuple[int, str, Row | None, Row | None]"
"""What one transaction did to one row: (table number, operation, new row, old row).

The table number indexes the list of tables that the source was opened with. The new row is None for DELETE and
TRUNCATE. The old row is present for DELETE (at least the key) and for an UPDATE that changed the key; None otherwise.
A plain tuple, because millions of them are made."""


class Version(NamedTuple):
    """One accepted write of a register: who wrote it, when, and where that stands in the writer's log.

    Shared by everything that one source transaction wrote. Two versions are the same only if all of it is the same."""

    number: int
    """The number of the deciding step that accepted it; grows for ever, unique per step and system."""
    system: str
    """The system of origin; `""` when duolog made it (a merged value, the first merge, a person's resolution)."""
    committed_at: int
    """Commit time at the origin, microseconds since 1970 UTC, as its log tells it; 0 when unknown."""
    position: Position
    """Where the origin's log has it; 0 when there is none."""
    note: str = ""
    """Why duolog made it, in words, when `system` is `""`."""


@dataclass(slots=True)
class Transaction:
    """One committed transaction of one system, whole.

    `changes` is a list, or for a transaction too large for memory an iterable of lists that may be read once."""

    system: str
    position: Position
    """The end of its commit: reading resumes after it."""
    committed_at: int
    """Microseconds since 1970 UTC."""
    own: bool
    """True if it bears our mark: it is the echo of one of our own writes, with whatever triggers did beside it."""
    changes: list[Change]
    rows: int
    """How many changes it has, also when they are spooled."""
    spool: Iterable[list[Change]] | None = None
    """The changes of a transaction that was too large to keep in memory; then `changes` is empty."""
    number: int = 0
    """Of an own one: the `number_to` of its batch, if the log was asked for it and tells; otherwise 0."""
    engine: str = ""
    """Of an own one: whose mark it bears, of `RuleBook.engines`."""

    def chunks(self) -> Iterator[list[Change]]:
        """All changes, in order, in lists of bounded length."""
        if self.spool is not None:
            yield from self.spool
        elif self.changes:
            yield self.changes


@dataclass(slots=True)
class Progress:
    """The reader of `system` has seen everything up to `position`, and none of it was a change for us."""

    system: str
    position: Position
    awaited: bool = False
    """Somebody may wait at COMMIT until just this position is acknowledged."""


class KeyOf(NamedTuple):
    """Stands in a `WriteRow` for a key that only the target can tell: of a record that the same batch creates there.

    A row whose placeholder cannot be filled fails, with MISSING_PARENT as reason: what it refers to is not there."""

    entity: str
    id: str


MISSING_PARENT: Final = "refers to a record that is not there"
"""What the `reason` of a failed row begins with, if a `KeyOf` in it could not be filled."""

MISSING_CODE: Final = "no such code in"
"""What the `reason` of a failed row has in it, if a code table has no row for a value (and may not be given one)."""

WriteRow: TypeAlias = "tuple[int, str, Values, Values, Values]"
"""One row to write: (deciding step, record key, key values, new values, held values), all as the target stores them.

New values are in the order of `Write.columns` (empty for a delete); held values likewise (empty for an insert).

Of an entity whose systems have keys of their own: the record key is the record's id; the key values are this system's,
() for an insert that gets one made, given for an insert of a record whose root row is there though it is no member.
A reference is the target's key, or a `KeyOf`; a looked-up field is the natural text, not the code table's key; NULL is
NULL, also where the system stores an empty text."""

WriteKind: TypeAlias = Literal["insert", "update", "delete"]


@dataclass(slots=True)
class Write:
    """Rows of one table to be written by one set-based statement, each guarded by what the target holds."""

    kind: WriteKind
    entity: str
    columns: tuple[int, ...]
    """Field numbers: set and guarded (update), given (insert), guarded (delete)."""
    rows: list[WriteRow]


@dataclass(slots=True)
class Batch:
    """What one target is to make visible in one transaction: whole source transactions, in order."""

    system: str
    number_to: int
    """The last deciding step that is in it: once confirmed, the target has everything up to here."""
    writes: list[Write]
    rows: int
    forget_to: int
    """Ledger rows of batches up to this step are no longer needed and may be deleted."""
    planned: Callable[[], tuple[list[Write], int]] | None = None
    """What `writes` and `rows` are, not yet worked out: the writer's thread does that, by `prepare`."""
    pages: Iterable[list[Write]] | None = None
    """For a batch that is too large for memory: its writes, page by page, to be executed in this order. Then `writes`
    is empty. May be iterated again after a failure."""
    durable: Callable[[float | None], bool] | None = None
    """See `is_durable`; None: it is."""

    def is_durable(self, within_s: float | None = None) -> bool:
        """Waits until all that the batch rests on is durable in our store: nothing of it may be committed before.

        False if that took longer than `within_s` seconds (None: however long). Raises SystemUnavailable if it never
        will be."""
        return self.durable is None or self.durable(within_s)

    def prepare(self) -> bool:
        """Works out the writes, if that has not been done. False if there is nothing to write after all."""
        if self.planned is not None:
            self.writes, self.rows = self.planned()
            self.planned = None
        return self.pages is not None or self.rows > 0

    def parts(self) -> Iterator[list[Write]]:
        """All writes, in order, in lists of bounded size."""
        self.prepare()
        if self.pages is not None:
            yield from self.pages
        elif self.writes:
            yield self.writes


ResultKind: TypeAlias = Literal["unmatched", "stored", "deferred", "failed", "created"]


class RowResult(NamedTuple):
    """What became of one row of a batch, where it was not simply written as asked."""

    entity: str
    key: str
    kind: ResultKind
    """`unmatched`: the guard did not match, nothing was written. `stored`: written, but the target stored something
    else. `deferred`: a user holds the row's lock; nothing of that source transaction was written. `failed`: the target
    refuses the row. `created`: written under the key `made` (and `stored`, if that says anything)."""
    stored: dict[int, Text] = {}
    """For `stored`: by field number, what the target really holds now, where it differs from what was sent."""
    reason: str = ""
    """For `failed`: the target's reason, without any content of the row."""
    made: str = ""
    """For `created`: the key of the root row, its values joined by U+001F. Told for every insert of a record whose
    systems have keys of their own."""


@dataclass(slots=True)
class Outcome:
    """A batch has been committed by its target. Everything in it was written as asked but for `exceptions`."""

    system: str
    number_to: int
    separator: Position
    """The target's log position read inside the transaction, after its last row lock had been taken."""
    exceptions: list[RowResult] = field(default_factory=list)
    rows: int = 0
    """How many rows the batch asked for, where that is known."""


@dataclass(slots=True)
class Reread:
    """A record's row as a target has it now, read under the row's lock, with the log position at that moment."""

    system: str
    entity: str
    key: str
    row: Row | None
    """In the order of the entity's fields (`ABSENT` where the system has no such column); None: no such row."""
    position: Position
    parts: tuple[Row | None, ...] | None = None
    """For a binding with an assembly, instead of `row`: for each part the row that counts, in the order of its table's
    columns, None where there is none; None if there is no root row. `key` is the system's own when a target answers."""
    own: str = ""
    """The system's own key that was asked for, once `key` is the record's."""


@dataclass(slots=True)
class JournalEntry:
    """One user's write that did not become, or did not stay, what all have; or another event a person may ask for."""

    entity: str
    key: str
    fields: tuple[str, ...]
    """The names of the fields decided together; empty when the whole record is meant."""
    kind: str
    """`insert_exists`, `update_differs`, `update_missing`, `update_deleted`, `delete_differs`, `delete_missing`,
    `unique_conflict`, or `owner`, `hold`, `resolved`, `joined`, `unlogged`, `quarantine`, `released`."""
    because: str
    """The reason, in words."""
    winner: Version | None
    won: tuple[Text | bool, ...]
    """Canonical values, in the order of `fields`."""
    loser: Version | None
    lost: tuple[Text | bool, ...]
    number: int = 0
    """The deciding step."""
