"""Turns the number of a collation into what decodes its bytes, exactly as the server itself does.

A text that the server prints otherwise than we decode it would look like a user's change. So only those character sets
are here whose every character was compared with a server (`tests/database/test_mariadb_binlog.py`); columns of others
are refused by name.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

Decode: TypeAlias = Callable[[bytes], str]
"""Raises UnicodeDecodeError."""

BINARY: Final = 63
"""The collation of bytes that are no text."""

UTF8: Final = "utf-8"

WIDE: Final[Mapping[str, str]] = {
    "utf8mb4": UTF8, "utf8mb3": UTF8, "ucs2": "utf-16-be", "utf16": "utf-16-be", "utf16le": "utf-16-le",
    "utf32": "utf-32-be", "gbk": "gbk", "gb2312": "gb2312", "euckr": "cp949", "cp932": "cp932",
}  # fmt: skip
"""Python's codec by character set, for those that need several bytes for some character."""

_C1: Final = {byte: chr(byte) for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_NONE: Final = "\ufffd"

NARROW: Final[Mapping[str, tuple[str, Mapping[int, str]]]] = {
    "ascii": ("ascii", {}),
    "cp1250": ("cp1250", {}),
    "cp1251": ("cp1251", {}),
    "cp1256": ("cp1256", dict.fromkeys((0x8A, 0x8F, 0x98, 0x9A, 0x9F, 0xAA, 0xC0, 0xFF), "?")),
    "cp1257": ("cp1257", {}),
    "cp850": ("cp850", {}),
    "cp852": ("cp852", {}),
    "cp866": ("cp866", {0xFC: "ⁿ", 0xFD: "²"}),
    "greek": ("iso8859_7", {0xA1: "ʽ", 0xA2: "ʼ", 0xA4: "?", 0xA5: "?", 0xAA: "?"}),
    "hebrew": ("iso8859_8", {0xAF: "‾"}),
    "hp8": ("hp_roman8", {}),
    "koi8r": ("koi8_r", {}),
    "koi8u": ("koi8_u", {0x95: "•"}),
    "latin1": ("cp1252", _C1),
    "latin2": ("iso8859_2", {}),
    "latin5": ("iso8859_9", {}),
    "latin7": ("iso8859_13", {}),
    "macce": ("mac_latin2", {}),
    "macroman": ("mac_roman", {}),
    "tis620": ("tis_620", dict.fromkeys((0xA0, *range(0xDB, 0xDF), *range(0xFC, 0x100)), _NONE)),
}
"""By character set of single bytes: Python's codec, and where the server sees another character."""

_COLLATIONS: Final[Mapping[str, str]] = {
    "ascii": "11 65", "binary": "63", "cp1250": "26 34 44 66 99", "cp1251": "14 23 50-52", "cp850": "4 80",
    "cp852": "40 81", "cp866": "36 68", "cp932": "95-96", "euckr": "19 85", "gb2312": "24 86", "gbk": "28 87",
    "koi8r": "7 74", "koi8u": "22 75", "latin1": "5 8 15 31 47-49 94", "latin2": "2 9 21 27 77", "latin5": "30 78",
    "latin7": "20 41-42 79", "macce": "38 43", "macroman": "39 53", "ucs2": "35 90 128-151 159 640-642",
    "utf16": "54-55 101-124 672-674", "utf16le": "56 62", "utf32": "60-61 160-183 736-738",
    "utf8mb3": "33 76 83 192-215 223 576-578", "utf8mb4": "45-46 224-247 255-323 608-610",
    "cp1256": "57 67", "cp1257": "29 58-59", "greek": "25 70", "hebrew": "16 71", "hp8": "6 72", "tis620": "18 89",
    # Refused, but by name.
    "armscii8": "32 64", "big5": "1 84", "dec8": "3 69", "eucjpms": "97-98", "gb18030": "248-250", "geostd8": "92-93",
    "keybcs2": "37 73", "sjis": "13 88", "swe7": "10 82", "ujis": "12 91",
}  # fmt: skip
"""By character set, the numbers of its collations."""

NOPAD: Final = 1024
"""MariaDB's collations that do not pad with blanks are numbered as those that do, and this more."""

_UCA_1400: Final = ("utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32")
"""MariaDB's newer collations: 256 numbers for each of these, from 2048 on."""


def character_set(collation: int) -> str:
    """The character set that the collation of this number is of; empty if it is not known."""
    if 2048 <= collation < 2048 + 256 * len(_UCA_1400):
        return _UCA_1400[collation - 2048 >> 8]
    return _BY_NUMBER.get(collation) or _BY_NUMBER.get(collation - NOPAD, "")


def codec(charset: str) -> str | None:
    """What decodes texts of this character set; None: nothing that is known to do it as the server does."""
    return WIDE.get(charset) or (_OWN_NAME + charset if charset in NARROW else None)


def decoder(name: str) -> Decode:
    """A function that decodes by a codec that `codec` named."""
    if name in _OWN:
        table = _OWN[name]
        return lambda data: codecs.charmap_decode(data, "strict", table)[0]
    found = codecs.lookup(name).decode
    return lambda data: found(data, "strict")[0]


def _table(name: str, others: Mapping[int, str]) -> str:
    """The 256 characters of a set of single bytes. A byte that is none the server shows as a question mark."""
    letters = [bytes([byte]).decode(name, "replace").replace(_NONE, "?") for byte in range(256)]
    return "".join(others.get(byte, letter) for byte, letter in enumerate(letters))


_OWN_NAME: Final = "server's "
_OWN: Final = {_OWN_NAME + charset: _table(*known) for charset, known in NARROW.items()}


def _numbers(said: str) -> Iterable[int]:
    for span in said.split():
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1)


_BY_NUMBER: Final = {number: charset for charset, said in _COLLATIONS.items() for number in _numbers(said)}
