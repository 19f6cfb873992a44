"""Turns a piece of a test into the most memory that Python had allocated for it at one time.

It is counted in the whole process, and costs time: it ends with the piece, however that ends."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counted_memory() -> Iterator[Callable[[], int]]:
    """What is allocated meanwhile; asked within, it answers the peak until then, in bytes."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
