"""How the house spells values of MariaDB's and MySQL's types: one text for each, wherever it was read.

Turns numbers, parts of dates and bytes, as a binlog has them, into texts; and texts as a SELECT prints them, where that
is not the house's spelling yet. What the log tells and what `phrases.printed` fetches is then the same, to the byte.
The spelling is PostgreSQL's, where it has such a type. Never refuses what the database holds.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

from engine.floats import of_double, of_single

_SINGLE = struct.Struct("<f")
_MAPPED, _BEFORE_IPV4 = 0xFFFF, 6
"""What stands before an IPv4 address in an IPv6 one, and after how many words that begins."""


def single(number: float) -> str:
    """A FLOAT, as the log has it."""
    return of_single(number)


def double(number: float) -> str:
    """A DOUBLE, as the log has it."""
    return of_double(number)


def single_of_text(text: str) -> str:
    """A FLOAT, as `CAST(x + 0e0 AS CHAR)` prints it."""
    return of_single(_SINGLE.unpack(_SINGLE.pack(float(text)))[0])


def double_of_text(text: str) -> str:
    """A DOUBLE, as MariaDB prints it."""
    return of_double(float(text))


def date(year: int, month: int, day: int) -> str:
    """A DATE; months and days may be 0, and so may all of it."""
    return f"{year:04}-{month:02}-{day:02}"


def moment(year: int, month: int, day: int, hour: int, minute: int, second: int, microsecond: int = 0) -> str:
    """A DATETIME; a TIMESTAMP has `+00` behind it."""
    text = f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    return f"{text}.{microsecond:06}".rstrip("0") if microsecond else text


def clock(negative: bool, hour: int, minute: int, second: int, microsecond: int = 0) -> str:
    """A TIME: up to 838 hours, before or after."""
    text = f"{'-' if negative else ''}{hour:02}:{minute:02}:{second:02}"
    return f"{text}.{microsecond:06}".rstrip("0") if microsecond else text


def year(number: int) -> str:
    """A YEAR; 0 is one."""
    return f"{number:04}"


def bits(number: int, count: int) -> str:
    """A BIT(count)."""
    return f"{number:0{count}b}"


def octets(value: bytes, length: int = 0) -> str:
    """Bytes; a BINARY(length) has all of its own, though the log leaves zeros at the end out."""
    return "\\x" + value.ljust(length, b"\0").hex()


def label(number: int, labels: Sequence[str]) -> str:
    """An ENUM; number 0 is the text that a server not in strict mode stored in place of one that it does not know."""
    return labels[number - 1] if number else ""


def label_set(mask: int, labels: Sequence[str]) -> str:
    """A SET: its labels in the order of their definition."""
    return ",".join([text for at, text in enumerate(labels) if mask >> at & 1])


def uuid(value: bytes) -> str:
    """A UUID, its 16 bytes in the order in which they are printed."""
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def inet4(value: bytes) -> str:
    """An INET4, 4 bytes."""
    return str(IPv4Address(value))


def inet6(value: bytes) -> str:
    """An INET6, 16 bytes, as MariaDB prints it: the first of its longest runs of zeros left out, however short it is,
    and an IPv4 address at its end in that one's way."""
    words = struct.unpack(">8H", value)
    runs = [(next((end for end in range(at, 8) if words[end]), 8) - at, at) for at in range(8)]
    length, start = max(runs, key=lambda run: (run[0], -run[1]))
    if not length:
        return ":".join([f"{word:x}" for word in words])
    if start == 0 and (length == _BEFORE_IPV4 or (length == 5 and words[5] == _MAPPED)):
        return "::" + ("ffff:" if length < _BEFORE_IPV4 else "") + inet4(value[12:])
    left, right = words[:start], words[start + length :]
    return ":".join([f"{word:x}" for word in left]) + "::" + ":".join([f"{word:x}" for word in right])
