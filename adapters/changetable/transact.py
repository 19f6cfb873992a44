"""Turns the names of a bound table into the triggers that record what is done to it in SQL Server, in T-SQL.

Pure text. A trigger there is called once for a statement, and is shown all rows that it has changed: `inserted` as they
were left, `deleted` as they had been. One INSERT keeps them all; their numbers are drawn from a sequence within it, and
its OUTPUT writes the lines of the change table with just these numbers.

A sequence, as IDENTITY columns would change what `@@IDENTITY` tells the application. Nothing that is caught: an error
in a trigger ends the user's transaction whatever is done about it.
"""

from __future__ import annotations

from typing import Final

from adapters.changetable.triggers import EVENTS, Recorded, Trigger, values

NUMBERS: Final = "numbers"
"""The sequence of the rows' numbers, in our schema."""
TRANSACTION: Final = "CAST(CURRENT_TRANSACTION_ID() AS varchar(40))"
OWN: Final = "NULLIF(CAST(SESSION_CONTEXT(N'duolog_engine') AS nvarchar(120)), N'')"
BEGIN: Final = "SET NOCOUNT ON; SET ROWCOUNT 0;"
"""Nothing is counted for the application, and its own limit of rows is not ours. What is set here ends with the
trigger."""


def triggers(told: Recorded) -> tuple[Trigger, ...]:
    """One trigger each, called before those of others: what these change is told after what they were called for."""
    return tuple(_trigger(told, op, event) for op, event in EVENTS)


def _trigger(told: Recorded, op: str, event: str) -> Trigger:
    where = f"{told.place}.duolog_{told.stem}_{op.lower()}"
    shown = "deleted" if op == "D" else "inserted"
    make = "\n".join((
        f"CREATE TRIGGER {where} ON {told.table} AFTER {event} AS", "BEGIN", BEGIN,
        f"IF NOT EXISTS (SELECT 1 FROM {shown}) RETURN;",
        f"DECLARE @tx varchar(40) = {TRANSACTION}, @own nvarchar(120) = {OWN}, @at bigint = {told.now};",
        _updated(told) if op == "U" else _kept(told, op, f"{shown} AS {shown[0]}"),
        "END",
    ))  # fmt: skip
    # One trigger of a table may be the first of its kind; another's place is not taken away.
    first = (
        "IF NOT EXISTS (SELECT 1 FROM sys.triggers AS t INNER JOIN sys.trigger_events AS e ON e.object_id = "
        f"t.object_id WHERE t.parent_id = OBJECT_ID({_literal(told.table)}) AND e.is_first = 1 AND e.type_desc = "
        f"N'{event}') EXEC sp_settriggerorder @triggername = {_literal(where)}, @order = N'First', "
        f"@stmttype = N'{event}'"
    )
    return Trigger(f"duolog_{told.stem}_{op.lower()}", make, (make, first), (f"DROP TRIGGER IF EXISTS {where}",))


def _updated(told: Recorded) -> str:
    """A former row and a new one are told as one where their keys are the same, or where there is but one of each.
    Otherwise nobody knows which row has become which: rows whose key is there no more are gone, the others are new."""
    listed = ", ".join(told.columns[at] for at in told.key)
    same = " AND ".join(f"d.{told.columns[at]} = i.{told.columns[at]}" for at in told.key)
    paired = _kept(told, "U", f"inserted AS i INNER JOIN deleted AS d ON {same}")
    return "\n".join((
        f"IF NOT EXISTS (SELECT {listed} FROM deleted EXCEPT SELECT {listed} FROM inserted)", paired,
        "ELSE IF (SELECT COUNT_BIG(*) FROM inserted) = 1", _kept(told, "U", "inserted AS i CROSS JOIN deleted AS d"),
        "ELSE BEGIN", _kept(told, "D", f"deleted AS d WHERE NOT EXISTS (SELECT 1 FROM inserted AS i WHERE {same})"),
        paired, _kept(told, "I", f"inserted AS i WHERE NOT EXISTS (SELECT 1 FROM deleted AS d WHERE {same})"), "END",
    ))  # fmt: skip


def _kept(told: Recorded, op: str, source: str) -> str:
    """The statement that keeps the rows of `source`, where new rows are called `i` and former ones `d`."""
    return " ".join((
        "INSERT INTO", told.shadow, f"(seq, {', '.join(told.kept)})",
        f"OUTPUT inserted.seq, @tx, @own, {told.code}, '{op}', @at INTO", told.change, "(seq, tx, own, tbl, op, at)",
        f"SELECT NEXT VALUE FOR {told.schema}.{NUMBERS},", values(told, op, old="d", new="i"), "FROM", source + ";",
    ))  # fmt: skip


def _literal(name: str) -> str:
    return "N'" + name.replace("'", "''") + "'"
