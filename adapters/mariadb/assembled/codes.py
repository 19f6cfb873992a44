"""Turns natural codes and the keys of code tables into SQL that reads, adds, and looks again at them.

Pure. What is kept of them in memory, and when it is doubted, is `adapters.relational.assembled.codebook`'s affair.
"""

from __future__ import annotations

from adapters.mariadb.assembled.belonging import live
from adapters.mariadb.phrases import cast, found, given, printed, quoted
from adapters.relational.assembled.places import Codes


def read(codes: Codes) -> str:
    """Answers (code, key) of the given codes `n1`; of several rows with one code, the lowest key comes last."""
    key, natural = live((codes.key, codes.natural))
    rows = f"{given(['n1'])} STRAIGHT_JOIN {quoted(*codes.table)} AS t ON {found(natural, 't', 'n1')}"
    return f"SELECT {printed(natural)}, {printed(key)} FROM {rows} ORDER BY {quoted('t', key.shape.name)} DESC"


def add(codes: Codes) -> str:
    """Adds codes `n1`; leaves one as it is that the table's own idea of equal says is there."""
    (natural,) = live((codes.natural,))
    name = natural.shape.name
    return (
        f"INSERT INTO {quoted(*codes.table)} ({quoted(name)}) SELECT {cast(natural, 'n1')} FROM {given(['n1'])}"
        f" ORDER BY u.ord ON DUPLICATE KEY UPDATE {quoted(name)} = {quoted(*codes.table, name)}"
    )


def changed(codes: Codes) -> str:
    """Answers how many of the given pairs of key `k1` and code `n1` are no longer so."""
    key, natural = live((codes.key, codes.natural))
    matches = f"{found(key, 't', 'k1')} AND {found(natural, 't', 'n1')}"
    rows = f"{given(['k1', 'n1'])} LEFT JOIN {quoted(*codes.table)} AS t ON {matches}"
    return f"SELECT COUNT(*) FROM {rows} WHERE {quoted('t', key.shape.name)} IS NULL"
