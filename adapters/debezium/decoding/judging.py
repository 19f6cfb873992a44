"""Judges, for `check`, which bound columns a connector's events do not tell exactly, with the option that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from adapters.debezium.decoding.asked import PAST
from adapters.debezium.decoding.assumed import assumed
from adapters.debezium.decoding.modes import Modes
from adapters.debezium.decoding.payloads import Framed
from adapters.debezium.decoding.reading import reading
from adapters.debezium.decoding.rows import Lost, names_told, refuse_defaults
from adapters.debezium.decoding.shown import Malformed, Shown, columns_of_json
from adapters.debezium.decoding.unfit import Doubt, Unfit
from engine.catalog import Column
from engine.rulebook import Table


def doubts(
    table: Table,
    columns: Mapping[str, Column],
    modes: Modes,
    connector: str,
    *,
    told: Mapping[str, Shown] | None = None,
    whole: bool = False,
) -> list[Doubt]:
    """What is not exact of a table. `columns`: its catalog. `told`: how a message of it shows its columns, if there
    is one with a schema (`shown_in`); None: as the options say. `whole`: its REPLICA IDENTITY is FULL."""
    found: list[Doubt] = []
    name = (table.schema, table.name)
    for column in (columns[each] for each in table.columns if each in columns):
        try:
            shown = _shown(table, column, modes, connector, told)
            refuse_defaults(column, shown, modes)
            chosen = reading(column, shown, modes, connector, whole=whole)
        except Unfit as unfit:
            found.append(Doubt(name, column.name, "error", unfit.found, unfit.mend))
        else:
            found += [Doubt(name, column.name, "warning", what, mend) for what, mend in chosen.doubts]
    return found


def _shown(
    table: Table, column: Column, modes: Modes, connector: str, told: Mapping[str, Shown] | None
) -> Shown:  # fmt: skip
    if told is None:
        return assumed(column, modes, connector)
    try:
        return told[names_told(table, [column.name], told, connector)[column.name]]
    except Lost:
        raise Unfit("is not told", f"take it out of `column.exclude.list` in the connector, or {PAST}") from None


def shown_in(values: Iterable[bytes | None]) -> dict[str, Shown] | None:
    """How the first of these messages that has a schema of rows shows their columns; None if none has.

    Of Avro see `Avro.read`."""
    for value in values:
        try:
            framed = msgspec.json.decode(value or b"", type=Framed)
            columns = columns_of_json(msgspec.json.decode(framed.schema))
        except (msgspec.MsgspecError, Malformed, UnicodeDecodeError, RecursionError):
            continue
        if columns:
            return columns
    return None
