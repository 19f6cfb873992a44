"""Turns bound tables and capture instances into the questions for their changes, in words that SQLAlchemy compiles.

Pure: it asks no database. Values are selected by the very expressions by which a snapshot selects them, so that a value
has one text; names are quoted by the dialect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql.functions import Function

from adapters.alchemy.columns import AlchemyColumn
from adapters.sqlserver import lsn

CDC: Final = "cdc"
ALL_CHANGES: Final = "fn_cdc_get_all_changes_"
BOTH_IMAGES: Final = "'all update old'"
"""Of an update, the row before it and the row after it."""
START: Final = "__$start_lsn"
SEQUENCE: Final = "__$seqval"
OPERATION: Final = "__$operation"
MASK: Final = "__$update_mask"
_BYTES: Final = sa.LargeBinary()

MAPPING: Final = sa.table("lsn_time_mapping", sa.column("start_lsn", _BYTES), sa.column("tran_end_time"), schema=CDC)
MAX_LSN: Final = "SELECT sys.fn_cdc_get_max_lsn()"
NOW: Final = "SELECT SYSDATETIME(), SYSUTCDATETIME()"


def transactions(after: lsn.Lsn, until: lsn.Lsn, at_most: int) -> sa.Select[Any]:
    """The first transactions of a window: commit LSN and time, in order."""
    start = MAPPING.c.start_lsn
    made = sa.select(start, MAPPING.c.tran_end_time).where(start > lsn.stored(after), start <= lsn.stored(until))
    return made.order_by(start).limit(at_most)


def changes(instance: str, selected: Sequence[AlchemyColumn], begin: lsn.Lsn, until: lsn.Lsn) -> sa.Select[Any]:
    """The changes of a table in a window, both ends within, in order."""
    source = _function(instance, begin, until, [each.shape.name for each in selected])
    values = [each.spelling.shown(_typed(source.c[each.shape.name], each)) for each in selected]
    meta = [source.c[name] for name in (START, SEQUENCE, OPERATION, MASK)]
    return sa.select(*meta, *values).order_by(*meta[:3])


def marks(
    instance: str, columns: Mapping[str, str], engines: Sequence[str], system: str, begin: lsn.Lsn, until: lsn.Lsn
) -> sa.Select[Any]:
    """Our own transactions in a window: commit LSN, engine, and the step of its batch; by the ledger's rows that were
    made or changed. `columns`: what its columns `engine`, `system`, `number_to` are called."""
    source = _function(instance, begin, until, list(columns.values()))
    engine, its_system, number = (source.c[columns[name]] for name in ("engine", "system", "number_to"))
    asked = sa.select(source.c[START], engine, sa.func.max(number))
    ours = (source.c[OPERATION].in_((2, 4)), engine.in_(list(engines)), its_system == system)
    return asked.where(*ours).group_by(source.c[START], engine)


def _function(instance: str, begin: lsn.Lsn, until: lsn.Lsn, columns: Sequence[str]) -> Any:
    given = (sa.literal(lsn.stored(begin), _BYTES), sa.literal(lsn.stored(until), _BYTES))
    name = sa.quoted_name(f"{ALL_CHANGES}{instance}", quote=True)
    made: Function[Any] = Function(name, *given, sa.literal_column(BOTH_IMAGES), packagenames=(CDC,))
    meta: list[Any] = [sa.column(_quoted(each), _BYTES) for each in (START, SEQUENCE, MASK)]
    meta += [sa.column(_quoted(OPERATION), sa.Integer()), *(sa.column(_quoted(each)) for each in columns)]
    return made.table_valued(*meta, name="c")


def _typed(element: Any, column: AlchemyColumn) -> Any:
    return sa.type_coerce(element, column.element.type)


def _quoted(name: str) -> sa.quoted_name:
    return sa.quoted_name(name, quote=True)
