"""Turns the names of an engine and a system into the names of what `duolog setup` makes on a PostgreSQL server.

Slots and origins belong to the whole server, so the name says both: two systems may be two databases of one server,
and two engines may read one database. Slots allow a-z, 0-9 and _ only; the others follow them, to be found together.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

name_length_max: Final = 63
"""Characters; PostgreSQL cuts longer identifiers silently."""


def slot_name(engine: str, system: str) -> str:
    """The logical replication slot that holds our position in a system's log."""
    return _name(engine, system)


def publication_name(engine: str, system: str) -> str:
    """The publication of a system's bound tables."""
    return _name(engine, system)


def origin_name(engine: str, system: str) -> str:
    """The replication origin that marks our own transactions in a system."""
    return _name(engine, system)


def _name(engine: str, system: str) -> str:
    """`duolog_<engine>_<system>`; with a digest where that would be illegal, too long, or could mean two pairs."""
    plain = "_".join(("duolog", engine, system))
    legal = re.sub(r"[^a-z0-9_]", "_", plain.lower())
    if legal == plain and len(plain) <= name_length_max and "_" not in engine:
        return plain
    digest = hashlib.sha256("\0".join((engine, system)).encode()).hexdigest()[:10]
    return legal[: name_length_max - len(digest) - 1] + "_" + digest
