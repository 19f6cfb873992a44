"""Turns the name of an engine into the mark that change tracking shows beside each row that the engine wrote.

Change data capture needs no mark: there our transactions are known by their row in the ledger. Change tracking tells
of each row only who changed it last, by the bytes that his statement said (`WITH CHANGE_TRACKING_CONTEXT`), which is
said in front of every statement that writes. Pure; it never asks a database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

NAME: Final = b"duolog"
digest_bytes: Final = 16
"""SQL Server takes up to 128 bytes in all."""


def context(engine: str, system: str) -> bytes:
    """The bytes that an engine's statements say."""
    return NAME + hashlib.sha256(f"{engine}\0{system}".encode()).digest()[:digest_bytes]


def contexts(engines: Iterable[str], system: str) -> dict[bytes, str]:
    """The engines by their bytes."""
    return {context(engine, system): engine for engine in engines}


def prefix(engine: str, system: str) -> str:
    """What stands in front of an INSERT, UPDATE, DELETE or MERGE, with a blank at its end. It begins with a semicolon,
    as WITH has to be the first word of its statement."""
    return f";WITH CHANGE_TRACKING_CONTEXT (0x{context(engine, system).hex().upper()}) "
