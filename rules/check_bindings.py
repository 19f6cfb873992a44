"""What the bindings of an entity say by themselves: tables, parts, columns, references, and how a record is let go.

Needs no database. That names are known to a catalog is for `rules/values/fit.py` to say; what stands in `on`, `where`
and `on_create` for `rules/assembly`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rules.assembly.bindings import lookups
from rules.findings import Findings
from rules.odbc import ODBC
from rules.problem import Path, did_you_mean, quoted
from rules.qualified import UNKNOWN
from rules.ruling import ROOT, column_path, columns_of, identity_fields, part_of, part_path, parts_of, table_of
from rules.shape import Shaped
from rules.syntax import EntitySyntax, FileSyntax, LookupSyntax, PartSyntax, TableSyntax
from rules.values.maps import check_reference_maps

IDENTIFIER_BYTES_MAX = 63
"""What PostgreSQL keeps of a name."""
IDENTIFIER_LETTERS_MAX = {"mariadb": 64, "mysql": 64, "mssql": 128, "sqlite": 128}
"""By kind of database, of those that count letters: what it takes for a name. (SQLite takes any.)"""


def check_columns(name: str, entity: EntitySyntax, adapters: Mapping[str, str], findings: Findings) -> None:
    """No column for two fields; no name that no database could have."""
    seen: dict[tuple[str, str], Path] = {}
    for field_name, field in entity.fields.items():
        for system, column in columns_of(entity, field).items():
            path = column_path(name, field_name, system)
            part, bare = part_of(entity.bind[system], column.column)
            if part != ROOT and part not in entity.bind[system].parts:
                parts = (ROOT, *entity.bind[system].parts)
                findings.error("R332", path, f"there is no part {quoted(part)}", allowed=parts,
                               mend=did_you_mean(part, parts))  # fmt: skip
            check_identifier(findings, path, bare, adapters.get(system, ""))
            if (system, column.column) in seen:
                findings.error("R304", path, f"the column {quoted(column.column)} of {quoted(system)} is bound twice",
                               mend="take out one of the fields",
                               also=(("it is bound here first", seen[system, column.column]),))  # fmt: skip
            seen.setdefault((system, column.column), path)


def check_identifier(findings: Findings, path: Path, name: str, adapter: str) -> None:
    """Any name may be used, as it is always quoted; but no database has an empty or an endless one."""
    counted = adapter in IDENTIFIER_LETTERS_MAX
    size = len(name) if counted else len(name.encode("utf-8", "surrogatepass"))
    most, unit = (IDENTIFIER_LETTERS_MAX[adapter], "characters") if counted else (IDENTIFIER_BYTES_MAX, "bytes")
    if not name or "\0" in name or size > most:
        findings.error("R325", path, "no table or column can have this name", found=f"{quoted(name)}, {size} {unit}",
                       allowed=(f"1 to {most} {unit}, no NUL",))  # fmt: skip


def check_tables(syntax: FileSyntax, findings: Findings) -> None:
    """No rows for two entities."""
    seen: dict[tuple[str, str, str], tuple[str, Path]] = {}
    adapters = {system: words.database for system, words in syntax.systems.items()}
    for name, entity in syntax.entities.items():
        for system, table in entity.bind.items():
            for part, words in parts_of(table).items():
                _check_table_name(findings, (*part_path(name, system, part), "table"), words, adapters.get(system, ""))
            for path, lookup in lookups(name, entity, system):
                _check_table_name(findings, path, lookup, adapters.get(system, ""))
            if table.where is not None or table.member_when:
                continue
            path = ("entities", name, "bind", system, "table")
            at = (system, *table_of(table))
            if at in seen:
                other, first = seen[at]
                findings.error("R303", path, f"the table {quoted('.'.join(at[1:]))} of {quoted(system)} is bound twice",
                               mend=f"bind {quoted(name)} or {quoted(other)} to it, not both; or say by `where` which"
                               " rows are whose",
                               also=((f"{quoted(other)} has it already", first),))  # fmt: skip
            seen.setdefault(at, (name, path))


def _check_table_name(
    findings: Findings, path: Path, table: TableSyntax | PartSyntax | LookupSyntax, adapter: str
) -> None:
    if table.schema_ is None and table.table.count(".") > 1:
        findings.error("R326", path, "a table's name has one dot at most, after its schema", found=quoted(table.table),
                       mend="say which part is which: `{schema: …, table: …}`")  # fmt: skip
        return
    if table.schema_ == UNKNOWN and adapter == ODBC:
        findings.error("R346", path, "the address does not tell which database is behind it, and so not in which schema"
                       " this table is", found=quoted(table.table),
                       mend=f"say it: {quoted(f'schema.{table.table}')}, or name the driver in the address"
                       " (`?driver=…`)")  # fmt: skip
        return
    for part in table_of(table):
        check_identifier(findings, path, part, adapter)


def check_references(
    name: str, entity: EntitySyntax, crossed: Collection[str], shaped: Shaped, findings: Findings
) -> None:
    """A reference names an entity that one field can refer to."""
    entities = shaped.syntax.entities
    for field_name, field in entity.fields.items():
        if field.reference is None or field.reference in shaped.left_out:
            continue
        path: Path = ("entities", name, "fields", field_name, "reference")
        known = (*entities, *sorted(shaped.left_out))
        if field.reference not in entities:
            findings.error("R318", path, f"there is no entity {quoted(field.reference)}", allowed=known,
                           mend=did_you_mean(field.reference, known))  # fmt: skip
        elif field.reference in crossed:
            _check_reference_across(name, field_name, entities, findings)
        elif len(identity_fields(entities[field.reference])) != 1:
            identity = ", ".join(identity_fields(entities[field.reference]))
            findings.error("R319", path, f"{quoted(field.reference)} is known by several fields, and one field cannot"
                           " refer to it", found=f"identity: {identity}", mend="take `reference` out")  # fmt: skip
        else:
            check_reference_maps(name, field_name, entities, findings)


def _check_reference_across(name: str, field_name: str, entities: Mapping[str, EntitySyntax], findings: Findings
                            ) -> None:  # fmt: skip
    """A reference to an entity with keys of the systems' own holds such a key, in every system as it is."""
    field = entities[name].fields[field_name]
    parent = str(field.reference)
    path: Path = ("entities", name, "fields", field_name)
    for system, column in columns_of(entities[name], field).items():
        table = entities[parent].bind.get(system)
        if table is None:
            findings.error("R328", (*path, "reference"), f"{quoted(parent)} is not bound in {quoted(system)}, where"
                           f" {quoted(field_name)} refers to it",
                           mend=f"bind it there, or take {quoted(system)} out of the field",
                           also=(("it is bound here", ("entities", parent, "bind")),))  # fmt: skip
        elif table.key is not None and len(table.key) > 1:
            findings.error("R319", (*path, "reference"), f"{quoted(parent)} has a key of several columns in"
                           f" {quoted(system)}, and one field cannot refer to it", found=f"key: {', '.join(table.key)}",
                           mend="take `reference` out")  # fmt: skip
        for word in ("map", "lookup", "empty"):
            if getattr(column, word) is not None:
                findings.error("R329", (*path, system, word), f"a reference to {quoted(parent)} is the key of its"
                               f" row in {quoted(system)}, and nothing else", key=True, found=quoted(word),
                               mend="take it out")  # fmt: skip


def check_leaving(name: str, entity: EntitySyntax, entities: Mapping[str, EntitySyntax], findings: Findings) -> None:
    """`delete` and `leave`: what they mean can be done."""
    top: Path = ("entities", name)
    for word, said in (("delete", entity.delete), ("leave", entity.leave)):
        for system, policy in said.items():
            if policy == "deactivate" and system in entity.bind:
                _check_deactivated((*top, word, system), system, entity, findings)
    referring = any(field.reference == name for other in entities.values() for field in other.fields.values())
    if "restrict" in entity.delete.values() and not referring:
        system = next(system for system, policy in entity.delete.items() if policy == "restrict")
        findings.warn("R353", (*top, "delete", system), f"nothing refers to {quoted(name)}: `restrict` is `propagate`"
                      " here", mend="write `propagate`, or say by `reference` what refers to it")  # fmt: skip
    can = [system for system, table in entity.bind.items() if table.where is not None or table.member_when]
    for system in entity.leave:
        path: Path = (*top, "leave", system)
        if system in entity.bind and system not in can and (not can or path in findings.document):
            findings.error("R341", path, f"in {quoted(system)}, a row cannot be there without being a record", key=True,
                           mend="say by `where` or `member_when` which rows are records, or take it out")  # fmt: skip


def _check_deactivated(path: Path, system: str, entity: EntitySyntax, findings: Findings) -> None:
    """All the others can say by columns that a record is gone."""
    for other, table in entity.bind.items():
        if other != system and not table.deactivate:
            findings.error("R339", path, f"{quoted(other)} has no columns that say that a record is gone",
                           found="`deactivate`",
                           mend=f"say them: `{other}: {{…, deactivate: {{active: \"false\"}}}}`",
                           also=(("it is bound here", ("entities", path[1], "bind", other)),))  # fmt: skip
