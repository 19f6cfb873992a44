"""The compiled rules, as the engine asks them: frozen values, one lookup deep, no text left to interpret.

`rules/` makes a `RuleBook` out of rule files (and the columns' types out of the catalogs); the engine only reads it.
Field numbers are positions in `Entity.fields`. Register 0 of every record is its existence; a register from 1 on is one
field, or a group of fields that are decided together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engine.conditions import Condition
from engine.vocabulary import Text

PolicyName: TypeAlias = Literal[
    "last_writer", "first_writer", "system_of_record", "max", "min", "delta", "union", "expression", "hold"
]
DeletePolicy: TypeAlias = Literal["propagate", "deactivate", "ignore", "restore", "restrict", "hold"]
"""What a deletion in one system means: delete it elsewhere too (`deactivate`: where every other system does that by
setting columns); that system alone no longer has it; it is overruled and the record created there again; that, while
other records refer to it; a person decides."""

Removal: TypeAlias = Literal["row", "membership", "columns"]
"""How a system lets go of a record: its rows are deleted; only the rows that make it a member are; columns are set."""

Clearing: TypeAlias = Literal["keep", "delete", "unlink"]
"""What becomes of a part's row when none of its fields has a value any more: it stays, with NULLs; it is deleted; the
column that points at it is set to NULL."""

Form: TypeAlias = Literal["exact", "case", "blanks", "compact", "digits"]
"""By what form two identity values are the same: as they stand; without regard to case (and Unicode's spellings of one
text); to blanks at the ends and doubled, too; to everything but letters and digits; to everything but digits."""

EXISTENCE = 0
"""The register that says whether a record exists."""


@dataclass(frozen=True, slots=True)
class Formula:
    """An SQL expression of a rule file, made ready: canonical texts in, canonical text out, exactly, NULL as in SQL."""

    text: str
    """As it stands in the rule file."""
    family: str
    """The canonical type of the result; `boolean` for a condition, whose result is `t`, `f` or None."""
    fields: frozenset[int]
    """Positions in `values` that it looks at."""
    value: Callable[[Sequence[Text | bool]], Text] = field(compare=False, repr=False)
    """Given canonical values by field number (UNSET counts as NULL). Raises `engine.errors.ValueRefused` where SQL
    would raise an error (a division by zero, a text that is no number). Always returns, in bounded time."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A named pair there and back: a column's text as stored, and the field's canonical text. Never sees NULL.

    Raises `engine.errors.ValueRefused` for a value that has no counterpart."""

    name: str
    decode: Callable[[str], Text]
    """stored → canonical (None: NULL)"""
    encode: Callable[[str], Text]
    """canonical → stored: exactly the text that the column prints after storing it (None: NULL)"""
    many: bool = False
    """Several stored texts mean the same: what a system has stays as long as it means what it should."""


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute of an entity, in the house's own type and form."""

    name: str
    number: int
    register: int
    """The register it is decided in; -1 for a key field (a changed key is another record)."""
    family: str = "text"
    """Canonical type: text, integer, numeric, boolean, date, time, timestamp, timestamptz, interval, uuid, bytes,
    json, enum, array, float or other. Only `max`, `min`, `delta` and `union` look at it."""
    reference: str | None = None
    """The entity that this field refers to: its canonical value is that record's id."""
    same: Form = "exact"
    """By what form two of its values are the same. Values that are, are no conflict, and each system keeps its own
    spelling."""
    formula: Formula | None = None
    """It is worked out of the record's other fields, and no system's writes of it count."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who owns a register, as long as a condition holds."""

    system: str
    when: Formula | None
    """None: always."""


@dataclass(frozen=True, slots=True)
class Joint:
    """One field that is the others put together, and can be taken apart again: a full name, and its two parts.

    Both sides of it are fields of one register. A system has the whole, or the parts."""

    whole: int
    parts: tuple[int, ...]
    join: Callable[[tuple[Text, ...]], Text]
    """The parts' canonical texts → the whole's."""
    split: Callable[[Text], tuple[Text, ...]]
    """The other way: `join(split(whole)) == whole`, always."""


@dataclass(frozen=True, slots=True)
class Preference:
    """`conflict: {expression: …}`: of two writes, the one for which the formula gives more wins; NULL is least."""

    formula: Formula
    """Over the record's values with the contender's own in place, and at positions `len(fields)` and `len(fields) + 1`
    its system, and when it committed (canonical timestamptz, None if that is not known)."""


@dataclass(frozen=True, slots=True)
class Check:
    """What must be so (true, or NULL) for a user's write to go to the other systems."""

    name: str
    """How the rule file calls it; else the expression."""
    condition: Formula
    otherwise: Literal["hold", "overrule"] = "hold"
    """What becomes of a write that breaks it: it waits for a person, or it is put right."""


@dataclass(frozen=True, slots=True)
class Limit:
    """More of these within so many seconds of one system's commit times stops the entity, and a person is asked."""

    number: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What an entity's writes may be at most, by system of origin, before somebody is asked."""

    inserts: Limit | None = None
    updates: Limit | None = None
    deletes: Limit | None = None
    emptied: bool = True
    """A system that loses its last row of the entity (of more than a handful) stops it, too."""


@dataclass(frozen=True, slots=True)
class Register:
    """What is decided as one: existence, a field, or a group of fields."""

    number: int
    fields: tuple[int, ...]
    """Field numbers; empty for existence."""
    owner: str | None
    """The only system whose writes count; None: every system's."""
    policy: PolicyName
    order: tuple[str, ...]
    """All systems, the most trusted first: `system_of_record` asks it, and every other policy's tie."""
    claims: tuple[Claim, ...] = ()
    """Owners by the record's state, instead of `owner`: the first whose condition holds is it; nobody, if none does.
    The state is that which the writer's own system held before the write."""
    closed: frozenset[str] = frozenset()
    """Systems whose writes never count, whoever else owns it (`one_way`; of a derived field: all)."""
    fallback: PolicyName = "system_of_record"
    """Asked by `last_writer` and `first_writer` about writes that are too close to tell apart."""
    margin_us: int = 0
    """How close is too close, besides what is known of the systems' clocks."""
    preference: Preference | None = None
    """For the policy `expression`."""
    joint: Joint | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """One equation by which the rows of a part are found: its column is that column of an earlier part's row."""

    column: int
    """Position in the columns of the part's own table."""
    part: int
    """The earlier part: an index into `Assembly.parts`."""
    other: int
    """Position in the columns of that part's table."""


@dataclass(frozen=True, slots=True)
class Order:
    """One criterion by which the row that counts is chosen. NULL comes last, either way."""

    column: int
    family: str
    """Numbers are compared as numbers, everything else by the code points of its printed text."""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table that belong to a record in one system. `Assembly.parts[0]` is the root."""

    name: str
    """`root`, or the name that the rules give it."""
    table: int
    """The number of its table in `RuleBook.tables[system]`. Several parts may have the same one."""
    fields: tuple[tuple[int, int], ...] = ()
    """(field number, position in the table's columns)"""
    joins: tuple[Join, ...] = ()
    """All of them must hold; empty for the root only."""
    where: Condition | None = None
    """Which rows of the table belong."""
    first_by: tuple[Order, ...] = ()
    """Of several rows, the first in this order counts, the lowest key on a tie (ordered in the same way)."""
    constants: tuple[tuple[int, str], ...] = ()
    """(position in the table's columns, text): what `where` demands of a row that we create."""
    create: tuple[tuple[str, str], ...] = ()
    """(column, SQL expression on the allow-list): what a row that we create gets besides. The column need not be among
    those that are read."""
    links: tuple[tuple[str, int, int], ...] = ()
    """(column, part, position in that part's columns): what a row that we create gets of another part's row."""
    written: tuple[tuple[str, str], ...] = ()
    """(column, SQL expression on the allow-list): what every insert and update of ours sets besides."""
    clear: Clearing = "keep"
    remove: bool = True
    """Its row is deleted when the record is (by `Removal` `row`); False: it stays."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A field that a system stores as the key of a code table: translated by that table's natural column."""

    table: int
    """The number of the code table in `RuleBook.tables[system]`. Its columns are the key, then the natural column."""
    missing: Literal["quarantine", "insert"] = "quarantine"
    """What a code that the table lacks means for the record: it waits, or the code is added."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """How the records of an entity are put together out of one system's rows, and taken apart again."""

    parts: tuple[Part, ...]
    """The root first; each part after those that it is joined to."""
    members: tuple[int, ...] = ()
    """The parts without whose row it is no record of this entity."""
    gone: tuple[tuple[int, str], ...] = ()
    """(position in the root table's columns, text): a root row that has all of these counts as deleted; and so records
    are deleted here, if `removal` is `columns`."""
    back: tuple[tuple[int, str], ...] = ()
    """(position, text): what the same columns are set to when the record is created again."""
    removal: Removal = "row"
    lookups: Mapping[int, Lookup] = field(default_factory=dict)
    """By field number."""
    empty: frozenset[int] = frozenset()
    """Fields whose NULL is stored here as an empty text."""
    key_fields: tuple[int, ...] = ()
    """By key column: the field that is stored in it too, or -1."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Where an entity lives in one system.

    Without an `assembly`: in one table, whose columns are the entity's fields and whose key is natural and shared. With
    one: in rows of several tables, under a key of this system's own; what the engine reads and writes is then the
    record as if it were a row of a table whose columns are its fields."""

    system: str
    entity: str
    table: int
    """The number of its (root) table in `RuleBook.tables[system]`."""
    columns: tuple[int, ...]
    """For each column of the table (in the order of `Table.columns`): the number of its field. With an assembly: the
    numbers of the fields that this system has, ascending."""
    codecs: Mapping[int, Codec] = field(default_factory=dict)
    """By field number; a field that is not here is stored in its canonical form."""
    assembly: Assembly | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the rules name it, and the columns that matter."""

    schema: str
    name: str
    columns: tuple[str, ...]
    """The bound columns, in the order in which rows are handed over."""
    key: tuple[int, ...]
    """Positions in `columns` of the key columns."""
    whole: bool = False
    """A code table: all of its rows are kept in memory."""
    written: tuple[tuple[str, str], ...] = ()
    """(column, SQL expression on the allow-list): what every insert and update of ours sets besides, in a table whose
    binding has no assembly."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A business object kept in step."""

    name: str
    fields: tuple[Field, ...]
    key: tuple[int, ...]
    """Field numbers of the identity, if that is the key in every system; () if the systems have keys of their own."""
    registers: tuple[Register, ...]
    """Register 0 is existence."""
    bindings: Mapping[str, Binding]
    """By system."""
    create: frozenset[str]
    """Systems whose inserts make a record."""
    delete: Mapping[str, DeletePolicy]
    """By system: what a deletion there means."""
    delete_wins: bool
    """When a deletion meets a concurrent write: True deletes, False keeps and creates again."""
    identities: tuple[tuple[tuple[int, Form], ...], ...] = ()
    """For an entity with keys of the systems' own: by which fields (and in which form) the same record is recognised;
    several such sets are tried one after the other."""
    leave: Mapping[str, DeletePolicy] = field(default_factory=dict)
    """By system: what it means that a record's row is still there, but no longer a member."""
    checks: tuple[Check, ...] = ()
    limits: Limits = Limits()

    @property
    def crossed(self) -> bool:
        """True if its records have a key of its own in each system, and an id of ours."""
        return not self.key


@dataclass(frozen=True, slots=True)
class Synchronous:
    """The users of a system wait at COMMIT until the other systems have what they wrote."""

    open_after_s: float | None
    """A commit that has waited so long waits no longer, and commits are asynchronous until all is caught up
    (`when_away: open after 5s`); None: it waits until somebody lets it go (`closed`)."""
    refused: Literal["release", "wait"]
    """What a commit does that another system refuses, or leaves to a person: it cannot be undone any more."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules that are in force."""

    name: str
    """The name of this engine: names the slot, the origin and the ledger rows."""
    systems: tuple[str, ...]
    """In the order of the rule file; the order is the last tie rule."""
    entities: Mapping[str, Entity]
    """Parents before children where references say so."""
    tables: Mapping[str, tuple[Table, ...]]
    """By system: the tables that are read and written, each once."""
    bound: Mapping[str, tuple[Binding, ...]]
    """By system: the binding of each entity that lives there, parents before children."""
    synchronous: Mapping[str, Synchronous] = field(default_factory=dict)
    """By system, of those with `commit: synchronous`."""
    partitions: tuple[str, ...] = ()
    """The names of the engines that share the work, a partition each, in order; (): one engine does all of it."""

    @property
    def engines(self) -> tuple[str, ...]:
        """The names under which ledgers and origins know us."""
        return self.partitions or (self.name,)
