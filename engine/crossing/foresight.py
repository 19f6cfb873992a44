"""What deciding a round of changes will ask of the kept rows, loaded beforehand: one query a level, not one a row.

Turns changes into the rows that they can lead to, up to the roots and down to all parts, and into the keys of those
roots. It loads too much rather than too little, and decides nothing: what counts is found out when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.assembly import key_of
from engine.crossing.staging import Staging
from engine.rulebook import Assembly
from engine.vocabulary import Change, Row

Rows = dict[str, Row]
"""By key: a table's row."""


def reached(staging: Staging, changes: Iterable[Change]) -> dict[str, list[str]]:
    """Loads the rows; returns the root keys that the changes of kept tables may touch, by entity."""
    changed = _changed(staging, changes)
    if not changed:
        return {}
    return {
        entity: _reach(staging, assembly, changed)
        for entity, assembly in staging.assemblies.items()
        if len(assembly.parts) > 1 and any(part.table in changed for part in assembly.parts)
    }


def _changed(staging: Staging, changes: Iterable[Change]) -> dict[int, list[Row]]:
    """The rows that were changed, as they were and as they are, by table."""
    given: dict[int, list[Row]] = {}
    for table, _, new, old in changes:
        if table in staging.rows:
            given.setdefault(table, []).extend(row for row in (new, old) if row is not None)
    for table, rows in given.items():
        keys = [key_of(staging.tables[table], row) for row in rows]
        staging.rows.fetch_rows(table, rows)
        kept = [row for key in dict.fromkeys(keys) if (row := staging.rows.row(table, key)) is not None]
        staging.rows.fetch_rows(table, kept)
        rows += kept
    return given


def _reach(staging: Staging, assembly: Assembly, changed: dict[int, list[Row]]) -> list[str]:
    """Loads the rows of one entity's records; returns their root keys."""
    parts, tables = assembly.parts, staging.tables
    found: list[Rows] = [{key_of(tables[p.table], row): row for row in changed.get(p.table, ())} for p in parts]
    for number in range(len(parts) - 1, 0, -1):
        join = parts[number].joins[0]
        texts = _texts(found[number], join.column)
        found[join.part] |= staging.rows.search(parts[join.part].table, join.other, texts)
    for number in range(1, len(parts)):
        join = parts[number].joins[0]
        found[number] |= staging.rows.search(parts[number].table, join.column, _texts(found[join.part], join.other))
    return list(found[0])


def _texts(rows: Rows, column: int) -> list[str]:
    return [value for row in rows.values() if isinstance(value := row[column], str)]
