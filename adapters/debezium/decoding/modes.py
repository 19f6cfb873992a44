"""What a rule file may say of a connector's options, where its events do not tell them; by Debezium's own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Decimal: TypeAlias = Literal["", "precise", "string", "double"]
Time: TypeAlias = Literal[
    "", "adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"
]
Binary: TypeAlias = Literal["", "bytes", "base64", "base64-url-safe", "hex"]
Interval: TypeAlias = Literal["", "numeric", "string"]

PLACEHOLDER: Final = "__debezium_unavailable_value"

OPTIONS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "decimal.handling.mode": ("decimal", ("precise", "string", "double")),
    "time.precision.mode": (
        "time",
        ("adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds"),
    ),
    "binary.handling.mode": ("binary", ("bytes", "base64", "base64-url-safe", "hex")),
    "interval.handling.mode": ("interval", ("numeric", "string")),
    "unavailable.value.placeholder": ("placeholder", ()),
    "value.converter.replace.null.with.default": ("nulls", ("true", "false")),
    "enable.time.adjuster": ("adjusted", ("true", "false")),
}
"""By the option: the field of `Modes`, and the values that it may have (any, if there are none)."""

EXACT: Final[Mapping[str, str]] = {
    "decimal.handling.mode": "string",
    "binary.handling.mode": "bytes",
    "interval.handling.mode": "string",
    "value.converter.replace.null.with.default": "false",
    "provide.transaction.metadata": "true",
    "skipped.operations": "none",
}
"""The options with which everything is told that can be, for any connector that has them."""

EXACT_BESIDES: Final[Mapping[str, Mapping[str, str]]] = {
    "mariadb": {"enable.time.adjuster": "false"},
    "mysql": {"enable.time.adjuster": "false"},
    "sqlserver": {"time.precision.mode": "microseconds"},
    "oracle": {"time.precision.mode": "microseconds"},
    "db2": {"time.precision.mode": "microseconds"},
}
"""What one connector needs for that besides."""


@dataclass(frozen=True, slots=True)
class Modes:
    """The options that matter for reading values. Empty: nobody has said."""

    decimal: Decimal = ""
    time: Time = ""
    binary: Binary = ""
    interval: Interval = ""
    nulls: Literal["", "true", "false"] = ""
    """`replace.null.with.default` of the value converter: Kafka Connect has it on, and tells a default for a NULL."""
    adjusted: Literal["", "true", "false"] = ""
    """`enable.time.adjuster`: connectors of binlogs have it on, and tell years below 100 as if of our time."""
    placeholder: str = PLACEHOLDER


def modes(options: Mapping[str, str]) -> Modes:
    """What these options of a connector say. Raises ValueError, in words, for one that does not matter here, or a value
    that it cannot have."""
    said: dict[str, str] = {}
    for option, value in options.items():
        if option not in OPTIONS:
            raise ValueError(f"`{option}` is no option that matters here: {', '.join(OPTIONS)}")
        name, allowed = OPTIONS[option]
        if allowed and value not in allowed:
            raise ValueError(f"`{option}` is one of {', '.join(allowed)}")
        said[name] = value
    return Modes(**said)  # type: ignore[arg-type]
