"""How much of everything one run takes: one frozen value, full or quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The size of each measure."""

    preload_rows: int
    backlog_changes: int
    """Per side that writes."""
    preload_records: int
    """Companies of the workload of records; four in five have an order."""
    record_changes: int
    """Of the side that writes."""
    value_rows: int
    """Of the workload of values: rows before, and as many changes."""
    transaction_rows: int
    latency_s: float
    latency_per_s: int
    """Transactions a second on each side."""
    latency_warmup_s: float
    big_rows: int
    """Rows of the one large transaction."""
    commit_s: int
    """Of each kind of commit, with each number of clients."""
    commit_turns: int
    """In so many turns, where kinds take turns."""
    rounds: int
    """How often each measure is made; the contenders take turns, and the median round is reported."""
    patience_s: float
    """A measure that is not over by then has failed."""


FULL: Final = Sizes(
    preload_rows=100_000,
    backlog_changes=100_000,
    preload_records=20_000,
    record_changes=30_000,
    value_rows=30_000,
    transaction_rows=10,
    latency_s=20,
    latency_per_s=100,
    latency_warmup_s=2,
    big_rows=1_000_000,
    commit_s=9,
    commit_turns=3,
    rounds=3,
    patience_s=900,
)

QUICK: Final = Sizes(
    preload_rows=2_000,
    backlog_changes=2_000,
    preload_records=1_000,
    record_changes=1_000,
    value_rows=1_000,
    transaction_rows=10,
    latency_s=3,
    latency_per_s=50,
    latency_warmup_s=0.5,
    big_rows=10_000,
    commit_s=1,
    commit_turns=1,
    rounds=1,
    patience_s=120,
)
