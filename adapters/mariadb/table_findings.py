"""Turns facts about one bound table into findings: is it there, can its changes be read, can it be written, by us?

Pure. A table that is not there gets one finding, not twenty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from adapters.mariadb.binlog import charsets
from adapters.mariadb.columns import UTF8, MariaColumn
from adapters.mariadb.created import MariaForeignKey
from adapters.mariadb.facts import Facts, TableFacts
from adapters.mariadb.phrases import quoted
from adapters.mariadb.rights import SEQUENCE_RIGHTS, account, in_database
from adapters.relational.judging import LooseJoin, nearest, ticked
from adapters.relational.rights import TableRights
from engine.catalog import Finding, TableShape

UNFIT_KINDS: Final = {
    "view": ("a view has no log of its own", "bind the table behind it"),
    "sequence": ("a sequence has no records", "bind a table"),
    "temporary": ("a temporary table leaves nothing in the log", "bind a permanent table"),
    "versioned": (
        "the log tells of the former rows that a system-versioned table keeps as if they were records",
        "ALTER TABLE {table} DROP SYSTEM VERSIONING;  -- and keep former rows in a table of their own, by a trigger",
    ),
}
NO_TRANSACTIONS: Final = (
    "its storage engine has no transactions, and so neither whole changes nor rows that can be locked",
    "ALTER TABLE {table} ENGINE = InnoDB;",
)

UNICODE: Final = (UTF8 - {"utf8", "utf8mb3"}) | {"utf16", "utf16le", "utf32"}
"""Character sets that hold every character."""

ACTS: Final = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
"""What a foreign key may do to rows by itself."""


class _Judge:
    """One table under judgement: what each finding needs to be told."""

    def __init__(self, facts: Facts, needed: TableRights) -> None:
        self.needed = needed
        self.name = f"{needed.table.schema}.{needed.table.name}"
        self.sql = quoted(needed.table.schema, needed.table.name)
        self.key = tuple(needed.table.columns[at] for at in needed.table.key)
        self.user = facts.server.user
        self.who = account(facts.server.user)
        self.database = facts.database
        self.closed = facts.closed_sequences
        self.absent = facts.absent_sequences
        self._system = facts.system

    def error(self, code: str, found: str, mend: str) -> Finding:
        return self._finding(code, "error", found, mend)

    def warning(self, code: str, found: str, mend: str) -> Finding:
        return self._finding(code, "warning", found, mend)

    def grant(self, right: str) -> str:
        return f"GRANT {right} ON {self.sql} TO {self.who};"

    def _finding(self, code: str, severity: Literal["error", "warning"], found: str, mend: str) -> Finding:
        return Finding(code=code, severity=severity, system=self._system, found=found, mend=mend, table=self.name)


def judge_table(facts: Facts, needed: TableRights) -> Iterator[Finding]:
    """All that is wrong with one bound table, or worth knowing about it."""
    judge = _Judge(facts, needed)
    name = (needed.table.schema, needed.table.name)
    shape, table = facts.catalog.tables.get(name), facts.tables.get(name)
    if shape is None:
        known = [".".join(pair) for pair in facts.catalog.names]
        mend = nearest(judge.name, known, "there is no table that we may see")
        yield judge.error("P201", f"there is no table `{judge.name}`, or `{judge.user}` may not see it", mend)
        return
    if shape.kind != "table":
        why, mend = UNFIT_KINDS.get(shape.kind, NO_TRANSACTIONS)
        said = f"`{judge.name}` ({shape.kind}) is no table that can be kept in step: {why}"
        yield judge.error("P202", said, mend.format(table=judge.sql))
        return
    assert table is not None, "of every table that can be bound there are facts"
    yield from _judge_columns(judge, shape)
    yield from _judge_readable(judge, table)
    yield from _judge_key(judge, shape, table)
    if name in facts.generated_keys:
        yield from _judge_made_keys(judge, table)
    yield from _judge_cascades(judge, table)
    yield from _judge_rights(judge, table)
    yield from _judge_sequences(judge)
    yield from _judge_charsets(judge, table)
    yield from _judge_side_effects(judge, table)
    yield from _judge_joins(judge, [loose for loose in facts.loose if loose.table == name])


def _judge_columns(judge: _Judge, shape: TableShape) -> Iterator[Finding]:
    for column in judge.needed.table.columns:
        known = shape.columns.get(column)
        if known is None:
            mend = nearest(column, list(shape.columns), "it has no columns")
            said = f"`{judge.name}` has no column `{column}`, or `{judge.user}` may not see it"
            yield judge.error("P203", said, mend)
        elif known.generated and column in (*judge.needed.insert, *judge.needed.update):
            yield judge.error(
                "P204", f"`{judge.name}.{column}` is generated: the database computes it, and nobody can write it",
                "leave it out of the rules, or let this system alone own it and create the records",
            )  # fmt: skip
    for column in judge.needed.written:
        known = shape.columns.get(column)
        if known is None:
            mend = nearest(column, list(shape.columns), "it has no columns")
            yield judge.error("P245", f"`{judge.name}` has no column `{column}`, which `on_write` sets", mend)
        elif known.generated:
            yield judge.error(
                "P246", f"`on_write` sets `{judge.name}.{column}`, whose values the database makes by itself",
                "leave it out of `on_write`: it is up to date without us",
            )  # fmt: skip


def _judge_readable(judge: _Judge, table: TableFacts) -> Iterator[Finding]:
    """Whether the log tells the values of the bound columns in a form that we read."""
    for name in judge.needed.table.columns:
        column = table.columns.get(name)
        if column is None:
            continue
        if column.data_type == "json" and not column.charset:  # MariaDB's is a text
            yield judge.error(
                "P251", f"`{judge.name}.{name}` is MySQL's JSON, which the log tells in a form that is not read",
                f"ALTER TABLE {judge.sql} MODIFY {quoted(name)} LONGTEXT;  -- or leave it out of the rules",
            )  # fmt: skip
        elif column.charset and charsets.codec(column.charset) is None:
            yield judge.error(
                "P251", f"`{judge.name}.{name}` is in the character set `{column.charset}`, which is not read",
                f"ALTER TABLE {judge.sql} CONVERT TO CHARACTER SET utf8mb4;",
            )  # fmt: skip


def _judge_key(judge: _Judge, shape: TableShape, table: TableFacts) -> Iterator[Finding]:
    for column in judge.key:
        known = shape.columns.get(column)
        if known is None:
            return
        if known.nullable:
            mend = f"ALTER TABLE {judge.sql} MODIFY {quoted(column)} {known.type} NOT NULL;"
            yield judge.error("P211", f"the key column `{judge.name}.{column}` may be NULL", mend)
        if known.family == "float":
            yield judge.error(
                "P212", f"the key column `{judge.name}.{column}` is a `{known.type}`, which is never surely equal",
                "identify the record by another column, or make it a decimal",
            )  # fmt: skip
        if not known.exact:
            collation = table.columns[column].collation
            yield judge.warning(
                "P213", f"the key column `{judge.name}.{column}` takes different texts for equal (`{collation}`: "
                "letters of either case, say, or blanks at the end)",
                "make sure that all systems write this key alike",
            )  # fmt: skip
    if not any(set(columns) == set(judge.key) for columns in shape.unique):
        yield judge.error(
            "P210", f"`{judge.name}` has no unique index on its key ({ticked(judge.key)})",
            f"ALTER TABLE {judge.sql} ADD UNIQUE ({', '.join(map(quoted, judge.key))});",
        )  # fmt: skip


def _judge_made_keys(judge: _Judge, table: TableFacts) -> Iterator[Finding]:
    for column in judge.key:
        known = table.columns.get(column)
        if known is not None and (known.automatic or "nextval" in known.made_by.lower()):
            yield judge.warning(
                "P214",
                f"the key `{judge.name}.{column}` is numbered by this system, and other systems create records too: "
                "two of them may give the same number to different records",
                "let each count in its own numbers (auto_increment_increment, auto_increment_offset), or use a uuid",
            )  # fmt: skip


def _judge_cascades(judge: _Judge, table: TableFacts) -> Iterator[Finding]:
    for key in table.keys:
        acts = [act for act in (key.on_delete, key.on_update) if act in ACTS]
        if acts:
            other = ".".join(key.other)
            yield judge.error(
                "P250", f"the foreign key `{key.name}` changes rows of `{judge.name}` by itself when `{other}` changes "
                f"({', '.join(dict.fromkeys(acts))}), and that is in no log",
                f"{_without_acts(judge, key)}  -- the application, or a trigger of `{other}`, changes these rows then",
            )  # fmt: skip


def _without_acts(judge: _Judge, key: MariaForeignKey) -> str:
    """The same foreign key, which only refuses. MySQL and MariaDB want it dropped before it is made anew."""
    columns, others = (", ".join(map(quoted, names)) for names in (key.columns, key.other_columns))
    return (
        f"ALTER TABLE {judge.sql} DROP FOREIGN KEY {quoted(key.name)}; ALTER TABLE {judge.sql} ADD CONSTRAINT "
        f"{quoted(key.name)} FOREIGN KEY ({columns}) REFERENCES {quoted(*key.other)} ({others});"
    )


def _judge_rights(judge: _Judge, table: TableFacts) -> Iterator[Finding]:
    if table.unread:
        said = f"`{judge.user}` may not read {ticked(table.unread)} of `{judge.name}`"
        yield judge.error("P230", said, judge.grant("SELECT"))
    for code, verb, lacking in (("P231", "INSERT", table.no_insert), ("P232", "UPDATE", table.no_update)):
        if lacking:
            said = f"`{judge.user}` may not {verb} {ticked(lacking)} of `{judge.name}`"
            yield judge.error(code, said, judge.grant(f"{verb} ({', '.join(map(quoted, lacking))})"))
    if table.no_delete:
        said = f"`{judge.user}` may not remove rows of `{judge.name}`"
        yield judge.error("P233", said, judge.grant("DELETE"))


def _judge_sequences(judge: _Judge) -> Iterator[Finding]:
    for sequence in judge.needed.sequences:
        name = in_database(sequence, judge.database)
        if name in judge.absent:
            said = f"the rules number rows of `{judge.name}` from the sequence {name}, and there is none"
            yield judge.error("P244", said, "correct the name in the rule file, or CREATE SEQUENCE")
        if name in judge.closed:
            said = f"`{judge.user}` may not draw from the sequence {name} for `{judge.name}`"
            yield judge.error("P234", said, f"GRANT {SEQUENCE_RIGHTS} ON {name} TO {judge.who};")


def _judge_charsets(judge: _Judge, table: TableFacts) -> Iterator[Finding]:
    """Of columns that we write: what does not fit is refused there, and its record waits."""
    written = [name for name in dict.fromkeys((*judge.needed.insert, *judge.needed.update)) if name in table.columns]
    narrow = [table.columns[name] for name in written if _is_narrow(table.columns[name])]
    for charset in dict.fromkeys(column.charset for column in narrow):
        names = [column.shape.name for column in narrow if column.charset == charset]
        yield judge.warning(
            "P252", f"in `{judge.name}`, {ticked(names)} hold only the characters of `{charset}`: a record with "
            "any other waits in quarantine",
            f"ALTER TABLE {judge.sql} CONVERT TO CHARACTER SET utf8mb4;  -- or nothing, if no other comes",
        )  # fmt: skip


def _is_narrow(column: MariaColumn) -> bool:
    of_letters = column.shape.family == "text" and column.data_type != "set"
    return of_letters and bool(column.charset) and column.charset not in UNICODE


def _judge_side_effects(judge: _Judge, table: TableFacts) -> Iterator[Finding]:
    if table.triggers:
        yield judge.warning(
            "P240", f"`{judge.name}` has triggers, which duolog's writes fire as a user's do: {ticked(table.triggers)}",
            "nothing, if that is intended: what they change is read as a change of this system",
        )  # fmt: skip


def _judge_joins(judge: _Judge, loose: Iterable[LooseJoin]) -> Iterator[Finding]:
    for join in loose:
        columns = ", ".join(map(quoted, join.columns))
        yield judge.warning(
            "P243",
            f"no foreign key ties `{judge.name}` to the rows that its {ticked(join.columns)} refers to, as the part "
            f"`{join.part}` of `{join.entity}`: the application can add such a row at the moment when duolog does",
            f"ALTER TABLE {judge.sql} ADD FOREIGN KEY ({columns}) REFERENCES ...;  -- or nothing, if only one of its "
            "users makes such rows at a time",
        )  # fmt: skip
