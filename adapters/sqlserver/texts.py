"""Turns texts in the house's spelling into those that SQL Server compares and converts, as far as they differ. Pure.

They are judged strictly here: SQL Server takes an empty text for the number 0, a text with blanks around it for what is
between them, and a long one for the UUID that it begins with. What is too large or too long is for the database to say.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import date, datetime, time
from functools import partial
from typing import Final

from adapters.relational.refused import Unstorable
from engine.errors import ValueRefused
from engine.floats import double, narrowed

_WHOLE: Final = re.compile(r"-?[0-9]+")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_BYTES: Final = re.compile(r"\\x((?:[0-9A-Fa-f]{2})*)")
_UTC: Final = "+00"
_SINGLE: Final = struct.Struct("<f")


def encoded(encode: Callable[[str], str], text: str) -> str:
    """One text. Raises Unstorable, without quoting it."""
    try:
        return encode(text)
    except (ValueError, ArithmeticError, ValueRefused):
        raise Unstorable("a value is none of its column's type") from None


def encoder(kind: str) -> Callable[[str], str] | None:
    """What turns a text of a column of this type into the one that is sent; None: it is sent as it is. It raises
    ValueError for what is no value of the type."""
    match kind:
        case "tinyint" | "smallint" | "int" | "bigint":
            return partial(_fitting, _WHOLE)
        case "decimal" | "numeric" | "money" | "smallmoney":
            return partial(_fitting, _NUMBER)
        case "float":
            return _double
        case "real":
            return _single
        case "bit":
            return _bit
        case "date":
            return _date
        case "time":
            return _time
        case "datetime2" | "datetime" | "smalldatetime":
            return _moment
        case "datetimeoffset":
            return _zoned
        case "uniqueidentifier":
            return partial(_fitting, _UUID)
        case "binary" | "varbinary" | "image" | "timestamp":
            return _bytes
        case _:
            return None


def _fitting(form: re.Pattern[str], text: str) -> str:
    if form.fullmatch(text) is None:
        raise ValueError
    return text


def _bit(text: str) -> str:
    if text not in ("t", "f"):
        raise ValueError
    return "1" if text == "t" else "0"


def _double(text: str) -> str:
    return _scientific(float(double(text)))


def _single(text: str) -> str:
    (number,) = _SINGLE.unpack(_SINGLE.pack(float(narrowed(text))))
    return _scientific(number)


def _scientific(number: float) -> str:
    """Seventeen digits, as SQL Server prints them: `1.5000000000000000e+000`."""
    if not math.isfinite(number):
        raise ValueError
    digits, _, power = f"{number:.16e}".partition("e")
    return f"{digits}e{power[0]}{int(power[1:]):03}"


def _date(text: str) -> str:
    _fitting(_DATE, text)
    date.fromisoformat(text)
    return text


def _time(text: str) -> str:
    _fitting(_TIME, text)
    time.fromisoformat(text)
    return text


def _moment(text: str) -> str:
    _fitting(_MOMENT, text)
    datetime.fromisoformat(text)
    return text


def _zoned(text: str) -> str:
    if not text.endswith(_UTC):
        raise ValueError
    return _moment(text.removesuffix(_UTC))


def _bytes(text: str) -> str:
    found = _BYTES.fullmatch(text)
    if found is None:
        raise ValueError
    return found[1].upper()
