"""Turns the names of an engine and a system into what a MariaDB or MySQL server knows us by.

A reader of the binlog is told apart by a number of its own, as a replica is; two readers with one number end each
other's connection. The number is the same at every start, so that the server ends what a crash of ours left behind.
"""

from __future__ import annotations

import hashlib
from typing import Final

DATABASE: Final = "duolog"
"""The database of what `duolog setup` makes."""

SERVER_IDS: Final = range(0x4000_0000, 0x8000_0000)
"""Far above what people give to servers by hand."""


def reader_id(engine: str, system: str) -> int:
    """The server id under which an engine reads a system's binlog."""
    digest = hashlib.sha256("\0".join((engine, system)).encode()).digest()
    return SERVER_IDS.start + int.from_bytes(digest[:4], "big") % len(SERVER_IDS)


def application_name(engine: str) -> str:
    """What the server's list of connections shows of us."""
    return f"duolog {engine}"
