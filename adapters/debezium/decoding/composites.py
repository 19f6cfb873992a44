"""Turns what is made of parts (arrays, maps, intervals, ranges of moments), as Debezium shows it, into the database's
texts. Raises ValueError for what is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

_INTERVAL: Final = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d{1,6}))?S)?)?"
)
_QUOTED: Final = re.compile(r'[\s{}",\\]')
_JAVA_OBJECT: Final = re.compile(r"\[?\[L?[\w.$]+;?@[0-9a-f]+")
_OFFSETS: Final = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?([+-]\d\d(?::\d\d)*)")
_HOUR_US: Final = 3_600_000_000
_MINUTE_US: Final = 60_000_000

_decode_map: Final = msgspec.json.Decoder(dict[str, str | None]).decode


def interval(text: str) -> str:
    """`P0Y0M1DT0H0M-1S` → `P1DT-1S`, as PostgreSQL prints it under `intervalstyle = iso_8601`."""
    found = _INTERVAL.fullmatch(text)
    if found is None or text in ("P", "PT"):
        raise ValueError("no interval as ISO writes it")
    years, months, days, hours, minutes = (int(part or 0) for part in found.groups()[:5])
    sign, seconds, fraction = found.group(6), int(found.group(7) or 0), (found.group(8) or "").ljust(6, "0")
    micros = seconds * 1_000_000 + int(fraction)
    rest = hours * _HOUR_US + minutes * _MINUTE_US + (-micros if sign else micros)
    return _interval(years * 12 + months, days, rest)


def _interval(months: int, days: int, micros: int) -> str:
    said = _signed(months, (("Y", 12), ("M", 1))) + (f"{days}D" if days else "")
    clock = _signed(micros, (("H", _HOUR_US), ("M", _MINUTE_US)))
    rest = abs(micros) % _MINUTE_US
    if rest:
        seconds, fraction = divmod(rest, 1_000_000)
        told = f"{seconds}.{fraction:06}".rstrip("0") if fraction else str(seconds)
        clock += f"{'-' if micros < 0 else ''}{told}S"
    return f"P{said}T{clock}" if clock else f"P{said}" if said else "PT0S"


def _signed(number: int, units: Sequence[tuple[str, int]]) -> str:
    """A number in units, each with the number's sign; what is left over is not told."""
    sign, rest, said = ("-" if number < 0 else ""), abs(number), ""
    for letter, size in units:
        count, rest = divmod(rest, size)
        said += f"{sign}{count}{letter}" if count else ""
    return said


def hstore(pairs: Mapping[str, str | None]) -> str:
    """As PostgreSQL prints an hstore: shorter keys first."""
    keys = sorted(pairs, key=lambda key: (len(key.encode()), key.encode()))
    return ", ".join(f"{_hstore_text(key)}=>{_hstore_text(pairs[key])}" for key in keys)


def hstore_of_json(text: str) -> str:
    """The same of a map that comes as a JSON document."""
    return hstore(_decode_map(text))


def _hstore_text(text: str | None) -> str:
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array_reader(spell: Callable[[Any], str] | None) -> Callable[[Sequence[Any]], str]:
    """What spells an array of one dimension, as PostgreSQL prints it. `spell`: its elements; None: they are texts."""

    def read(elements: Sequence[Any]) -> str:
        if elements and all(each is None for each in elements):
            raise ValueError("nothing but NULLs, which is also how arrays of several dimensions are told")
        return "{" + ",".join([_element(each, spell) for each in elements]) + "}"

    return read


def _element(value: Any, spell: Callable[[Any], str] | None) -> str:
    if value is None:
        return "NULL"
    text = value if spell is None else spell(value)
    if _JAVA_OBJECT.fullmatch(text):
        raise ValueError("an array of several dimensions, which the connector does not tell")
    if not text or text.upper() == "NULL" or _QUOTED.search(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def range_of_moments(text: str) -> str:
    """A `tstzrange`: it comes as the connector's session prints it, which need not be in UTC."""
    if any(offset != "+00" for offset in _OFFSETS.findall(text)):
        raise ValueError("a range of moments that is not in UTC")
    return text


def without_unknown(text: str) -> str:
    """A text of a character set that has no U+FFFD: the connector puts it where it does not know a character."""
    if "\ufffd" in text:
        raise ValueError("a character that the connector does not know")
    return text


def labels_reader(labels: Sequence[str], *, several: bool) -> Callable[[str], str]:
    """What spells an ENUM, or a SET, of MariaDB's or MySQL's: the connector escapes the labels."""
    plain = {label.replace("\\", "\\\\").replace(",", "\\,"): label for label in labels}

    def one(text: str) -> str:
        return plain.get(text, text)

    def many(text: str) -> str:
        return ",".join([one(label) for label in text.split(",")])

    return many if several else one
