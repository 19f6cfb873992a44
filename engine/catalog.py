"""What a system's own catalog says of bound tables, and what `check` finds wrong there: values only.

Adapters fill these in; `rules/` chooses codecs by them; preflight judges them. A finding is not a failure of the
check: it is its result, and always says the mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, as the catalog has it."""

    name: str
    type: str
    """The type as the system prints it: `numeric(12,2)`, `character varying(40)`."""
    family: str
    """Canonical type: text, integer, numeric, boolean, date, time, timestamp, timestamptz, interval, uuid, bytes, json,
    enum, array, float or other."""
    nullable: bool = True
    length: int | None = None
    """Most characters, for text; None: unlimited."""
    precision: int | None = None
    """Digits in all, for numeric; bits for integer (1, 8, 16, 24, 32, 64), and for a string of bits."""
    scale: int | None = None
    """Digits after the point, for numeric (None: any number of them) and for a float that is rounded to so many; digits
    of a second, for times."""
    generated: bool = False
    """The system computes it always: it can be read, never written."""
    default: bool = False
    """The system has a default (or sequence) for it."""
    labels: tuple[str, ...] = ()
    """The values of an enum; of a text, those that it is a list of (SET), in the order in which they are stored."""
    exact: bool = True
    """False if values that print differently may compare equal (citext, a nondeterministic collation)."""
    octets: int | None = None
    """Most bytes, for bytes and for text (in UTF-8); None: unlimited, or `length` says it all."""
    unsigned: bool = False
    """An integer or numeric of which no value is below zero."""
    padded: Literal["", "blanks", "zeros", "trimmed"] = ""
    """What stands behind a short value, and is printed: blanks to fill `length` characters, or zeros to fill `octets`
    bytes; or it is `trimmed`: blanks at its end are not kept."""
    least: str = ""
    """The first date, timestamp, timestamptz or year that it can hold, as it prints; empty: all that PostgreSQL can."""
    most: str = ""
    """The last one, to all the digits of a second that the column keeps."""
    finite: bool = False
    """Neither NaN nor infinity can stand in it."""
    charset: str = ""
    """The character set of a text that cannot hold every character: `latin1`. Empty: it can."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table, as the catalog has it."""

    schema: str
    name: str
    kind: str
    """`table`, `partitioned`, `view`, `foreign`, `unlogged`, `temporary`, ..."""
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    """Column sets that carry a usable unique index (not partial, not on expressions), the primary key among them."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """What one system's catalog says of the tables that the rules bind."""

    system: str
    tables: Mapping[tuple[str, str], TableShape]
    """By (schema, name) as the rules write them. A table that does not exist is not in it."""
    names: tuple[tuple[str, str], ...] = ()
    """All tables one could have meant: (schema, name)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` found in a live system."""

    code: str
    severity: Literal["error", "warning"]
    system: str
    found: str
    """What is wrong, in words, names in backticks."""
    mend: str
    """What to do; the exact SQL where there is one."""
    table: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
