"""Turns a place in a binlog, a file's number and an offset in it, into one ordered number and back.

Never compares places of two servers: the numbers of files mean nothing on another one.
"""

from __future__ import annotations

import re
from typing import Final

from engine.vocabulary import Position

OFFSET_BITS: Final = 40
"""A file may be larger than 4 GiB, if one transaction is: offsets go to 1 TiB."""
FILES_MAX: Final = 1 << (63 - OFFSET_BITS)

_TEXT = re.compile(r"([0-9]{6,10}):([0-9]{1,13})", re.ASCII)
_FILE = re.compile(r"\.([0-9]{6,10})\Z", re.ASCII)


def number(file: int, offset: int) -> Position:
    """The position of an offset (bytes) in the binlog file with this number. Raises ValueError for what is none."""
    if not (0 <= file < FILES_MAX and 0 <= offset < 1 << OFFSET_BITS):
        raise ValueError(f"file {file}, offset {offset} is not a place in a binlog")
    return file << OFFSET_BITS | offset


def parts(position: Position) -> tuple[int, int]:
    """(number of the file, offset in bytes) of a position."""
    return position >> OFFSET_BITS, position & ((1 << OFFSET_BITS) - 1)


def text(position: Position) -> str:
    """A position as people read it: `000003:4711`."""
    file, offset = parts(position)
    return f"{file:06}:{offset}"


def from_text(said: str) -> Position:
    """The position that is printed as `000003:4711`. Raises ValueError if it is not one."""
    match = _TEXT.fullmatch(said)
    if match is None:
        raise ValueError(f"`{said}` is not a log position such as `000003:4711`")
    return number(int(match[1]), int(match[2]))


def file_number(name: str) -> int:
    """The number at the end of a binlog file's name: 3 of `mariadb-bin.000003`. Raises ValueError without one."""
    match = _FILE.search(name)
    if match is None:
        raise ValueError(f"`{name}` is not the name of a binlog file")
    return int(match[1])


def file_name(like: str, file: int) -> str:
    """The name of the binlog file with this number, where another is called `like`. Raises ValueError as above."""
    match = _FILE.search(like)
    if match is None:
        raise ValueError(f"`{like}` is not the name of a binlog file")
    return f"{like[: match.start()]}.{file:06}"
