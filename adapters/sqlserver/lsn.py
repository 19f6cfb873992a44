"""Turns SQL Server's log sequence numbers into positions and back: ten bytes, a text, or a number of 25 digits.

Pure. Among themselves LSNs are compared and counted on as whole numbers of 80 bits, in the order of their bytes. A
position has 63 bits: of each part as many as any log needs (`adapters.alchemy.positions.BITS_OF_LSN`). What would not
fit stops the system, and is never cut.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from adapters.alchemy.positions import BITS_OF_LSN, squeezed
from engine.errors import LogUnreadable
from engine.vocabulary import Position

Lsn: TypeAlias = int
"""A whole LSN: file, block, slot in 32, 32 and 16 bits."""

size: Final = 10
"""Bytes of an LSN."""
BLOCK_BITS: Final = 32
SLOT_BITS: Final = 16
BLOCK_DIGITS: Final = 10
SLOT_DIGITS: Final = 5
"""Of the numeric form: file, ten digits of block, five digits of slot."""


def number(stored: bytes) -> Lsn:
    """The LSN that stands in a column of `binary(10)`."""
    return int.from_bytes(bytes(stored), "big")


def stored(lsn: Lsn) -> bytes:
    """The other way."""
    return lsn.to_bytes(size, "big")


def of_text(text: str) -> Lsn:
    """`0000002b:00000bd8:0001`, as some views tell it. Raises ValueError."""
    file, block, slot = (int(part, 16) for part in text.split(":"))
    return _joined(file, block, slot)


def of_numeric(told: int) -> Lsn:
    """`43000000303200001`, as other views tell it."""
    rest, slot = divmod(told, 10**SLOT_DIGITS)
    file, block = divmod(rest, 10**BLOCK_DIGITS)
    return _joined(file, block, slot)


def text(lsn: Lsn) -> str:
    """As people read it."""
    file, block, slot = _parts(lsn)
    return f"{file:08x}:{block:08x}:{slot:04x}"


def position(lsn: Lsn, system: str = "") -> Position:
    """The position at an LSN. Raises LogUnreadable if there is no room for it."""
    try:
        return squeezed(text(lsn))
    except ValueError:
        raise LogUnreadable(
            f"the log has come to {text(lsn)}, which a position has no room for", system=system,
            mend="report it: no log that is known comes there",
        ) from None  # fmt: skip


def position_below(lsn: Lsn, system: str = "") -> Position:
    """The last position that is not behind an LSN at which there need be no record. Raises LogUnreadable."""
    file, block, slot = _parts(lsn)
    _, block_bits, slot_bits = BITS_OF_LSN
    if block >> block_bits:
        block = slot = -1 & (1 << block_bits) - 1
    return position(_joined(file, block, min(slot, (1 << slot_bits) - 1)), system)


def of_position(at: Position) -> Lsn:
    """The LSN of a position."""
    _, block, slot = BITS_OF_LSN
    rest = at >> slot
    return _joined(rest >> block, rest & (1 << block) - 1, at & (1 << slot) - 1)


def _joined(file: int, block: int, slot: int) -> Lsn:
    return (file << BLOCK_BITS | block) << SLOT_BITS | slot


def _parts(lsn: Lsn) -> tuple[int, int, int]:
    rest = lsn >> SLOT_BITS
    return rest >> BLOCK_BITS, rest & (1 << BLOCK_BITS) - 1, lsn & (1 << SLOT_BITS) - 1
