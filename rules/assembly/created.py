"""`on_create` and `on_write`: what a row of ours gets besides, as SQL on an allow-list or as another part's column.

Turns the words of a binding and its parts into `Part.create` and `written`, as the system's adapter writes them, and
`Part.links`. A column that a field, a join or a condition fills already is refused: it would be set twice. (A field
that only this system may write fills nothing in a record from elsewhere.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sqlglot import exp

from engine.catalog import Catalog
from rules.assembly.columns import TableInUse, TablesInUse
from rules.assembly.dialects import Dialect, asked_of_sequence, dialect_of
from rules.assembly.sql import Sql, column_name, parsed
from rules.findings import Findings
from rules.names import check_writable, find_column
from rules.problem import Path, did_you_mean, quoted
from rules.ruling import ROOT, columns_of, part_path, table_of
from rules.syntax import EntitySyntax, TableSyntax

LINK: Final = "part.column"


@dataclass(frozen=True, slots=True)
class Given:
    """One column of a new row and its value."""

    part: str
    column: str
    sql: str
    """Empty for a link."""
    link: tuple[str, int] | None
    """(part, position in its table's columns)"""


def given(table: TableSyntax, top: Path, parts: Mapping[str, TableInUse], filled: Mapping[str, Mapping[str, str]],
          findings: Findings) -> Iterator[Given]:  # fmt: skip
    """What `on_create` says of all parts. `parts`: their tables. `filled`: by part, column → what fills it already."""
    for part, column, sql in _columns("on_create", table, top, parts, filled, findings):
        value = _value(sql, part, parts)
        if isinstance(value, str):
            yield Given(part, column, value, None)
        elif value is not None:
            yield Given(part, column, "", value)


def written(table: TableSyntax, top: Path, parts: Mapping[str, TableInUse], filled: Mapping[str, Mapping[str, str]],
            findings: Findings) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    """(part, column, SQL): what `on_write` says of all parts, for every row that we write."""
    for part, column, sql in _columns("on_write", table, top, parts, filled, findings):
        value = _allowed(sql, "on_write", dialect_of(parts[part].adapter))
        if value is not None:
            yield part, column, value


def plain_written(name: str, syntax: EntitySyntax, system: str, adapter: str, catalog: Catalog | None,
                  findings: Findings) -> tuple[
    tuple[str, str], ...
]:  # fmt: skip
    """What `on_write` says of an entity that is one table: (column, SQL of the system's adapter)."""
    words = syntax.bind[system]
    if not words.on_write:
        return ()
    table = TablesInUse(system, catalog, adapter).use(table_of(words))
    columns = {field: columns_of(syntax, said).get(system) for field, said in syntax.fields.items()}
    filled = {said.column: f"it is the field {quoted(field)}" for field, said in columns.items() if said is not None}
    said = written(words, part_path(name, system, ROOT), {ROOT: table}, {ROOT: filled}, findings)
    return tuple((column, sql) for _, column, sql in said)


Word = Literal["on_create", "on_write"]


def _columns(word: Word, table: TableSyntax, top: Path, parts: Mapping[str, TableInUse],
             filled: Mapping[str, Mapping[str, str]], findings: Findings) -> Iterator[
    tuple[str, str, Sql]
]:  # fmt: skip
    """(part, column, SQL) for each column that exists, can be written, and is not filled already."""
    told = {part: dict(columns) for part, columns in filled.items()}
    for part, column, text, path in _said(word, table, top, parts, findings):
        used = parts[part]
        if used.shape is not None:
            known = find_column(path, used.system, column, used.shape, findings, key=True)
            if known is None:
                continue
            check_writable(path, used.system, known, used.shape, findings)
        if column in told[part]:
            findings.error("R344", path, f"the column {quoted(column)} of {quoted(part)} is filled already:"
                           f" {told[part][column]}", key=True, mend="leave it out here")  # fmt: skip
            continue
        told[part][column] = f"`{word}` says it twice"
        sequence = asked_of_sequence(text)
        sql = parsed(text, path, findings) if sequence is None else Sql(text, path, sequence, findings)
        if sql is not None:
            yield part, column, sql


def _said(word: Word, table: TableSyntax, top: Path, parts: Mapping[str, TableInUse], findings: Findings) -> Iterator[
    tuple[str, str, str, Path]
]:  # fmt: skip
    """(part, column, SQL, where it stands)"""
    for name, text in (table.on_create if word == "on_create" else table.on_write).items():
        path: Path = (*top, word, name)
        part, dot, column = name.partition(".")
        if not dot or not table.parts:
            part, column = ROOT, name
        if part in parts:
            yield part, column, text, path
        elif part not in table.parts:
            findings.error("R332", path, f"there is no part {quoted(part)}", key=True, allowed=(ROOT, *table.parts),
                           mend=did_you_mean(part, (ROOT, *table.parts)))  # fmt: skip
    for part, syntax in table.parts.items():
        for column, text in (syntax.on_create if word == "on_create" else syntax.on_write).items():
            if part in parts:
                yield part, column, text, (*top, "parts", part, word, column)


def _value(sql: Sql, part: str, parts: Mapping[str, TableInUse]) -> str | tuple[str, int] | None:
    """SQL that is allowed, or a link; None, told as a problem, for everything else."""
    tree = sql.tree.unnest()
    if isinstance(tree, exp.Column):
        return _link(sql, tree, parts)
    return _allowed(sql, "on_create", dialect_of(parts[part].adapter), LINK)


def _allowed(sql: Sql, word: Word, dialect: Dialect, *others: str) -> str | None:
    tree = sql.tree.unnest()
    text = dialect.render(tree)
    if text is None:
        allowed = (*dialect.allowed, *others)
        sql.refuse(tree, f"this cannot stand in `{word}`", found=sql.shown(tree), allowed=allowed)
    return text


def _link(sql: Sql, column: exp.Column, parts: Mapping[str, TableInUse]) -> tuple[str, int] | None:
    named = column_name(column)
    if named is None or not named[0]:
        sql.refuse(column, "a column stands without its part", found=sql.shown(column),
                   allowed=tuple(f"{part}.{column.name}" for part in parts),
                   mend="put a text in quotes: `'…'`, or name the part")  # fmt: skip
        return None
    part, name = named
    if part not in parts:
        sql.refuse(column, f"there is no part {quoted(part)}", code="R332", allowed=tuple(parts),
                   mend=did_you_mean(part, parts))  # fmt: skip
        return None
    position = parts[part].find(name, sql.path, sql.findings, within=sql.span(column))
    return (part, position) if position is not None else None
