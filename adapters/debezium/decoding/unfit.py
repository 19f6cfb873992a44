"""What of a column Debezium's events do not tell exactly, or do not tell at all; found before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class Unfit(Exception):
    """A column whose values cannot be read exactly as they are told."""

    def __init__(self, found: str, mend: str) -> None:
        """`found`: what is lost, in words that follow the column's name; `mend`: the option to set, or what else."""
        super().__init__(found)
        self.found = found
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Doubt:
    """What `check` says of one column."""

    table: tuple[str, str]
    column: str
    severity: Literal["error", "warning"]
    found: str
    mend: str


def option(name: str, value: str) -> str:
    """A mend: an option of the connector's."""
    return f"set `{name}={value}` in the connector"
