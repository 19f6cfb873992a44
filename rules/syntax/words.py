"""What the models have in common: names, numbers, lists, and how what is none of these is refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from engine.rulebook import PolicyName
from rules.problem import nearest

FORMAT: Final = 1
"""The format version that this duolog reads."""

DIGITS_MAX: Final = 1_000
"""Digits after the point that can be asked for."""

FACTOR: Final = r"-?[0-9]{1,30}(\.[0-9]{1,30})?"
"""A number as it is written in `scale`."""

SYSTEM_NAME: Final = r"[a-z][a-z0-9_]{0,30}"
FIELD_NAME: Final = r"[A-Za-z][A-Za-z0-9_]{0,62}"

LATER_KEYS: Final = frozenset({"mode"})
"""Keys of the language that this version does not have."""

LATER_WORDS: Final = frozenset({"odbc", "memory"})
"""Policies and adapters that this version does not have."""


def _named(pattern: str, rule: str) -> Any:
    def judge(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise PydanticCustomError("R206", "this cannot be a name here", {"allowed": (rule,)})
        return value

    return BeforeValidator(judge)


def _whole(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    raise PydanticCustomError("R204", "a whole number must stand here", {"allowed": ()})


def _digits(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}", value) and int(value) <= DIGITS_MAX:
        return int(value)
    raise PydanticCustomError("R204", f"a whole number from 0 to {DIGITS_MAX} must stand here", {"allowed": ()})


def _truth(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    raise PydanticCustomError("R205", "this is neither true nor false", {"allowed": ("true", "false")})


def _nonempty(value: object) -> object:
    if value in ([], {}):
        raise PydanticCustomError("R208", "this may not be empty", {})
    return value


def _once_each(value: object) -> object:
    """A list in which nothing stands twice."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if item in value[:index]:
                raise PydanticCustomError("R209", "this is listed twice", {"index": index})
    return _nonempty(value)


def _as_list(value: object) -> object:
    """One word for a list of one."""
    return [value] if isinstance(value, str) else value


def not_mixed(value: object) -> object:
    """A list of fields, or a list of lists."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, list) != isinstance(value[0], list):
                what = "a field stands among lists of fields: are they alternatives, or does it go with one?"
                allowed = ("[a, b]: both together", "[[a], [b]]: one after the other")
                raise PydanticCustomError("R204", what, {"index": index, "allowed": allowed})
    return value


def _zone(value: object) -> object:
    """A time zone that the database of zones has."""
    if isinstance(value, str):
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            known = nearest(value, available_timezones())
            allowed = (known,) if known else ("UTC", "Europe/Berlin", "…: the names of the IANA database")
            raise PydanticCustomError("R439", "there is no such time zone", {"allowed": allowed}) from None
    return value


def _factor(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(FACTOR, value) and value.strip("-0."):
        return value
    raise PydanticCustomError("R440", "a number other than 0 must stand here", {"allowed": ("100", "0.01", "-1")})


def _parting(value: object) -> object:
    if value == "":
        raise PydanticCustomError("R208", "this may not be empty", {})
    return value


Nonempty = BeforeValidator(_nonempty)
OnceEach = BeforeValidator(_once_each)

SystemName = Annotated[
    str,
    _named(SYSTEM_NAME, "a lower-case letter, then up to 30 of a-z 0-9 _"),
    WithJsonSchema({"type": "string", "pattern": f"^{SYSTEM_NAME}$"}),
]
FieldName = Annotated[
    str,
    _named(FIELD_NAME, "a letter, then up to 62 of A-Z a-z 0-9 _"),
    WithJsonSchema({"type": "string", "pattern": f"^{FIELD_NAME}$"}),
]
Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": FORMAT})]
Truth = Annotated[bool, BeforeValidator(_truth)]
TimeZone = Annotated[str, BeforeValidator(_zone)]
Factor = Annotated[str, BeforeValidator(_factor), WithJsonSchema({"type": ["string", "number"]})]
Parting = Annotated[str, BeforeValidator(_parting), WithJsonSchema({"type": "string", "minLength": 1})]
Away = Annotated[
    str, WithJsonSchema({"anyOf": [{"const": "closed"}, {"type": "string", "pattern": "^open after [0-9]"}]})
]
"""`closed`, or `open after 5s`: judged with the other words on commits (`rules/synchronous.py`)."""
Names = Annotated[
    list[str],
    OnceEach,
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Digits = Annotated[
    int, BeforeValidator(_digits), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": DIGITS_MAX})
]
Leaving: TypeAlias = Literal["ignore", "deactivate", "delete", "hold"]
"""What it may mean that a record's row is there, but no longer a member."""


PartName = Annotated[
    str,
    _named(r"(?!root$)" + FIELD_NAME, "a letter, then up to 62 of A-Z a-z 0-9 _; not `root`"),
    WithJsonSchema({"type": "string", "pattern": f"^{FIELD_NAME}$"}),
]


class Syntax(BaseModel):
    """What all models have in common: no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


POLICIES: Final = get_args(PolicyName)
