"""Turns numbers, bytes and bits, as Debezium shows them, into the house's texts. Raises ValueError for what is none."""

from __future__ import annotations

import math
import re
import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Final

import msgspec

from engine.floats import of_double, of_single

_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_ENDLESS: Final = {
    "NAN": "NaN", "POSITIVE_INFINITY": "Infinity", "NEGATIVE_INFINITY": "-Infinity", "NaN": "NaN",
    "Infinity": "Infinity", "-Infinity": "-Infinity",
}  # fmt: skip
_SINGLE: Final = struct.Struct("<f")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_SRID: Final = 0x2000_0000
"""The bit of a geometry's type which says that its reference system stands behind it."""


class Scaled(msgspec.Struct, frozen=True, gc=False):
    """`io.debezium.data.VariableScaleDecimal`"""

    scale: int
    value: bytes


class Geometry(msgspec.Struct, frozen=True, gc=False):
    """`io.debezium.data.geometry.*`"""

    wkb: bytes
    srid: int | None = None


class Point(msgspec.Struct, frozen=True, gc=False):
    """`io.debezium.data.geometry.Point` of PostgreSQL's own kind."""

    x: float | str
    y: float | str


def scaled(unscaled: int, scale: int) -> str:
    """A decimal number in digits: 150 and 2 are `1.50`."""
    if scale <= 0:
        return str(unscaled * 10**-scale)
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    return f"{'-' if unscaled < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def decimal_reader(scale: int) -> Callable[[bytes], str]:
    """What spells `org.apache.kafka.connect.data.Decimal` of so many digits after the point."""

    def spell(value: bytes) -> str:
        if not value:
            raise ValueError("a number without a byte")
        return scaled(int.from_bytes(value, "big", signed=True), scale)

    return spell


def of_scaled(number: Scaled) -> str:
    """A number that tells its scale itself."""
    if not number.value or abs(number.scale) > 20_000:
        raise ValueError("a number without a byte, or without an end")
    return scaled(int.from_bytes(number.value, "big", signed=True), number.scale)


def of_scaled_plain(number: Scaled) -> str:
    """The same, without zeros at the end: of databases that keep none."""
    text = of_scaled(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def digits_reader(scale: int | None) -> Callable[[str], str]:
    """What reads numbers that come as texts, of a column with so many digits after the point."""

    def spell(text: str) -> str:
        if text in _ENDLESS:
            return _ENDLESS[text]
        if not _NUMBER.fullmatch(text):
            raise ValueError("no number in digits")
        if scale is not None and len(text.partition(".")[2]) != scale:
            return _rescaled(text, scale)
        return text

    return spell


def _rescaled(text: str, scale: int) -> str:
    """The same number with as many digits after the point as the column has."""
    whole, _, fraction = text.partition(".")
    if fraction[scale:].strip("0"):
        raise ValueError("more digits than the column has")
    kept = fraction[:scale].ljust(scale, "0")
    return f"{whole}.{kept}" if kept else whole


def digits_or_bytes_reader(scale: int) -> Callable[[str], str]:
    """What reads a number of a column with digits after the point, where nobody has said how the connector shows it:
    in digits there is a point, in base64 there never is."""
    as_digits, as_bytes = digits_reader(scale), decimal_reader(scale)

    def spell(text: str) -> str:
        return as_digits(text) if "." in text or text in _ENDLESS else as_bytes(b64decode(text, validate=True))

    return spell


def integer_or_bytes(value: int | str) -> str:
    """A whole number, as a number or as `Decimal` in base64."""
    if isinstance(value, int):
        return str(value)
    return decimal_reader(0)(b64decode(value, validate=True))


def unsigned_or_bytes(value: int | str) -> str:
    """The same of an unsigned column of 8 bytes, which `bigint.unsigned.handling.mode=long` wraps around."""
    if isinstance(value, int):
        return str(value + (1 << 64) if value < 0 else value)
    return decimal_reader(0)(b64decode(value, validate=True))


def unsigned(value: int) -> str:
    """A number of an unsigned column of 8 bytes."""
    return str(value + (1 << 64) if value < 0 else value)


def double(value: float | str) -> str:
    """A floating-point number of eight bytes."""
    number = _floating(value)
    return of_double(number) if math.isfinite(number) else _endless(number)


def single(value: float | str) -> str:
    """One of four bytes."""
    number = _floating(value)
    return of_single(_SINGLE.unpack(_SINGLE.pack(number))[0]) if math.isfinite(number) else _endless(number)


def _floating(value: float | str) -> float:
    if isinstance(value, str):
        if value not in ("NaN", "Infinity", "-Infinity"):
            raise ValueError("no number")
        return float(value)
    return value


def _endless(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def octets_reader(length: int) -> Callable[[bytes], str]:
    """What spells bytes; of a column of fixed length, with the zeros at its end."""

    def spell(value: bytes) -> str:
        return "\\x" + value.ljust(length, b"\0").hex()

    return spell


def octets_of_hex(length: int) -> Callable[[str], str]:
    """The same of `binary.handling.mode=hex`."""
    spell = octets_reader(length)

    def read(text: str) -> str:
        if not _HEX.fullmatch(text):
            raise ValueError("no bytes in hex")
        return spell(bytes.fromhex(text))

    return read


def octets_of_base64(length: int) -> Callable[[str], str]:
    """The same of `base64` and `base64-url-safe`."""
    spell = octets_reader(length)

    def read(text: str) -> str:
        plain = text.translate(_URL_SAFE)
        return spell(b64decode(plain + "=" * (-len(plain) % 4), validate=True))

    return read


_URL_SAFE: Final = str.maketrans("-_", "+/")


def bits_reader(count: int) -> Callable[[bytes], str]:
    """What spells `Bits` of so many: the lowest byte comes first, and zeros at the end are left out."""

    def spell(value: bytes) -> str:
        text = format(int.from_bytes(value, "little"), f"0{count}b")
        if len(text) > count:
            raise ValueError("more bits than the column has")
        return text

    return spell


def point(value: Point) -> str:
    """A `point` of PostgreSQL's."""
    return f"({double(value.x)},{double(value.y)})"


def geometry_of_postgis(value: Geometry) -> str:
    """As PostGIS prints it: hex, with the reference system if there is one."""
    if len(value.wkb) < 5:
        raise ValueError("no geometry")
    order = "<I" if value.wkb[0] else ">I"
    (kind,) = struct.unpack_from(order, value.wkb, 1)
    if value.srid and not kind & _SRID:
        head = value.wkb[:1] + struct.pack(order, kind | _SRID) + struct.pack(order, value.srid)
        return (head + value.wkb[5:]).hex().upper()
    return value.wkb.hex().upper()


def geometry_of_binlog(value: Geometry) -> str:
    """As MariaDB and MySQL keep it: the reference system, then the well-known binary."""
    return "\\x" + struct.pack("<I", value.srid or 0).hex() + value.wkb.hex()
