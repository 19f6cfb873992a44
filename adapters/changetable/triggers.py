"""Turns the names of a bound table into the triggers that record what is done to it, in each dialect's words.

Pure text. A row's new values are those that it has when the trigger looks, where another trigger of the table may have
changed it before ours is called; of its former values only the key is kept, and of a row that is gone, the row. It
never spells a value: the rows' table has columns of the same types, and all of them are always filled, as a type itself
may refuse NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOST: Final = "X"
"""The operation of what could not be recorded."""
EVENTS: Final = (("I", "INSERT"), ("U", "UPDATE"), ("D", "DELETE"))
ROW_TYPE: Final = 29
"""How PostgreSQL numbers a trigger for each row, after INSERT, DELETE or UPDATE."""
TRUNCATE_TYPE: Final = 32


@dataclass(frozen=True, slots=True)
class Recorded:
    """One bound table as its triggers name it. All names are quoted."""

    code: int
    """The table's number in the change table."""
    stem: str
    """What the names of its triggers have in them; not quoted."""
    table: str
    place: str
    """The schema of the table; empty where no statement names it."""
    shadow: str
    change: str
    schema: str
    """Where our tables are; empty where no statement says so."""
    columns: tuple[str, ...]
    key: tuple[int, ...]
    """Which of the columns are the key."""
    kept: tuple[str, ...]
    """The columns of the rows' table: the key, then all."""
    now: str
    """An expression: microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger. `name`: as the catalog has it; `text`: what the catalog tells of it."""

    name: str
    text: str
    make: tuple[str, ...]
    drop: tuple[str, ...]


def sqlite(told: Recorded) -> tuple[Trigger, ...]:
    """One trigger each; no error of theirs can be caught."""
    return tuple(_sqlite(told, op, event) for op, event in EVENTS)


def _sqlite(told: Recorded, op: str, event: str) -> Trigger:
    name = f"duolog_{told.stem}_{op.lower()}"
    recorded = _words("INSERT INTO", told.change, "(tbl, op, at) VALUES", f"({told.code}, '{op}', {told.now});")
    source = "FROM (SELECT last_insert_rowid() AS seq) AS x"
    if op != "D":
        here = " AND ".join(f"t.{told.columns[at]} IS NEW.{told.columns[at]}" for at in told.key)
        source = _words(source, "LEFT JOIN", told.table, "AS t ON", here)
    kept = _words(
        "INSERT INTO", told.shadow, f"(seq, {', '.join(told.kept)})", "SELECT x.seq,", values(told, op, row="t"), source
    )
    make = _words("CREATE TRIGGER", name, "AFTER", event, "ON", told.table, "BEGIN", recorded, kept + "; END")
    return Trigger(name, make, (make,), (_words("DROP TRIGGER IF EXISTS", name),))


def postgresql(told: Recorded) -> tuple[Trigger, ...]:
    """A function for all events, called before the triggers of others: those come in the order of their names."""
    function = f"{told.schema}.tell_{told.stem}"
    transaction = "CAST(pg_current_xact_id() AS text), nullif(current_setting('duolog.engine', true), '')"

    def recorded(op: str) -> str:
        given = f"({transaction}, {told.code}, {op}, {told.now})"
        return _words("INSERT INTO", told.change, "(tx, own, tbl, op, at) VALUES", given)

    def kept(op: str) -> str:
        return _words(
            "WITH told AS (", recorded(f"'{op}'"), "RETURNING seq) INSERT INTO", told.shadow,
            f"(seq, {', '.join(told.kept)})", "SELECT told.seq,", values(told, op), "FROM told;",
        )  # fmt: skip

    branches = [_words("ELSIF TG_OP =", f"'{event}'", "THEN", kept(op)) for op, event in EVENTS]
    body = "\n".join((
        "BEGIN", branches[0].removeprefix("ELS"), *branches[1:], _words("ELSE", recorded("'T'") + ";"), "END IF;",
        "RETURN NULL;",
        # What cannot be recorded keeps no user from his work: the reader is told that it is lost.
        _words("EXCEPTION WHEN OTHERS THEN", recorded(f"'{LOST}'") + ";", "RETURN NULL;"), "END",
    ))  # fmt: skip
    make_function = _words(
        "CREATE OR REPLACE FUNCTION", f"{function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER",
        "SET search_path = pg_catalog, pg_temp AS $duolog$", body, "$duolog$",
    )  # fmt: skip
    made = []
    for name, event, type_ in (
        ("00_duolog_change", "AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW", ROW_TYPE),
        ("00_duolog_emptied", "AFTER TRUNCATE ON {} FOR EACH STATEMENT", TRUNCATE_TYPE),
    ):
        drop = _words("DROP TRIGGER IF EXISTS", f'"{name}"', "ON", told.table)
        create = _words("CREATE TRIGGER", f'"{name}"', event.format(told.table), f"EXECUTE FUNCTION {function}()")
        always = _words("ALTER TABLE", told.table, "ENABLE ALWAYS TRIGGER", f'"{name}"')
        first = (make_function,) if type_ == ROW_TYPE else ()
        last = () if type_ == ROW_TYPE else (_words("DROP FUNCTION IF EXISTS", f"{function}()"),)
        made.append(Trigger(name, f" {body} {type_}", (*first, drop, create, always), (drop, *last)))
    return tuple(made)


def mysql(told: Recorded) -> tuple[Trigger, ...]:
    """One trigger each, with the rights of who made them."""
    return tuple(_mysql(told, op, event) for op, event in EVENTS)


def _mysql(told: Recorded, op: str, event: str) -> Trigger:
    name = f"duolog_{told.stem}_{op.lower()}"

    def recorded(done: str) -> str:
        given = f"(@duolog_engine, {told.code}, '{done}', {told.now});"
        return _words("INSERT INTO", told.change, "(own, tbl, op, at) VALUES", given)

    body = _words(
        # A lost lock or a lost connection is not caught: it ends the whole transaction.
        "BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION", recorded(LOST), recorded(op), "INSERT INTO", told.shadow,
        f"(seq, {', '.join(told.kept)}) VALUES (LAST_INSERT_ID(), {values(told, op)}); END",
    )  # fmt: skip
    where = f"{told.place}.`{name}`"
    make = _words("CREATE TRIGGER", where, "AFTER", event, "ON", told.table, "FOR EACH ROW", body)
    return Trigger(name, body, (make,), (_words("DROP TRIGGER IF EXISTS", where),))


def values(told: Recorded, op: str, *, old: str = "OLD", new: str = "NEW", row: str = "") -> str:
    """What fills the columns of the rows' table, when the former row is called `old`, the new one `new`, and what is
    there by now `row`: the former key, which an INSERT has not, and the row, which after a DELETE is the former one."""
    former, shown = new if op == "I" else old, old if op == "D" else row or new
    key = [f"{former}.{told.columns[at]}" for at in told.key]
    return ", ".join([*key, *(f"{shown}.{column}" for column in told.columns)])


def _words(*parts: str) -> str:
    return " ".join(parts)
