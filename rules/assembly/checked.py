"""What the catalogs have against records of several tables: keys, types that are compared, forms.

Reads assemblies that are complete; names that do not exist have been told before. Rows are never looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine.catalog import Column
from rules.assembly.assemble import Site
from rules.assembly.bindings import Bound, lookups
from rules.assembly.columns import TableInUse
from rules.assembly.filled import check_filled, is_needed, told_apart
from rules.findings import Findings
from rules.problem import Path, listed, quoted
from rules.ruling import ROOT, column_path, columns_of, create_of, identity_places, part_path, table_of
from rules.syntax import EntitySyntax
from rules.values.forms import print_alike


def check_bound(
    entities: Mapping[str, EntitySyntax], crossed: Collection[str], known: Mapping[Path, Column], where: Bound,
    findings: Findings,
) -> None:  # fmt: skip
    """All crossed entities. `known`: the catalogs' columns by the path of their names."""
    for (name, system), site in where.sites.items():
        _check_keys(site, findings)
        _check_lookups(site, known, findings)
        _check_references(site, crossed, entities, known, where, findings)
        _check_empty(site, known, findings)
        if create_of(entities[name]) - {system}:
            check_filled(site, where.assemblies[name, system], findings)
    for name in crossed:
        _check_forms(name, entities[name], known, findings)


def _check_keys(site: Site, findings: Findings) -> None:
    """A row is found by its key, so the key must be one."""
    for part, table in site.parts.items():
        if table.shape is None:
            continue
        words = site.table if part == ROOT else site.table.parts[part]
        path: Path = (*part_path(site.entity, site.system, part), "key" if words.key is not None else "table")
        missing = [column for column in table.key if column not in table.shape.columns]
        shown = f"{table.system}'s {table.schema}.{table.name}"
        if missing:
            allowed = tuple(", ".join(columns) for columns in table.shape.unique)
            findings.error("R402", path, f"{shown} has no column {quoted(missing[0])} to be its key", allowed=allowed,
                           mend="name its key: `key: …`")  # fmt: skip
        elif not any(set(columns) == set(table.key) for columns in table.shape.unique):
            findings.error("R414", path, f"{shown} has no unique index on its key",
                           found=quoted(", ".join(table.key)),
                           allowed=tuple(", ".join(columns) for columns in table.shape.unique),
                           mend="name a key that has one, or create the index")  # fmt: skip


def _check_lookups(site: Site, known: Mapping[Path, Column], findings: Findings) -> None:
    for path, lookup in lookups(site.entity, site.syntax, site.system):
        table = site.tables.use(table_of(lookup))
        key, own = table.known(table.key[0]), known.get((*path[:-2], "column"))
        if key is not None and own is not None and not print_alike(own, key):
            findings.error("R415", (*path[:-2], "column"), "a column is looked up in a table whose key is of another"
                           " type", found=f"{own.type} and {key.type}",
                           mend="name the key that it holds: `key: …`")  # fmt: skip
        if table.shape is not None and key is not None and table.key not in table.shape.unique:
            findings.error("R414", path, f"{site.system}'s {table.schema}.{table.name} has no unique index on its key",
                           found=quoted(table.key[0]),
                           allowed=tuple(columns[0] for columns in table.shape.unique if len(columns) == 1),
                           mend="name a key that has one, or create the index")  # fmt: skip
        if lookup.missing == "insert":
            _check_new_code(path, site.system, table, lookup.by, findings)
        if table.shape is not None and (lookup.by,) not in table.shape.unique and lookup.by in table.shape.columns:
            findings.warn("R459", (*path[:-1], "by"), f"{quoted(lookup.by)} is not unique in {site.system}'s"
                          f" {table.schema}.{table.name}: a code that stands there twice cannot be written",
                          mend="create a unique index, or look up by another column")  # fmt: skip


def _check_new_code(path: Path, system: str, table: TableInUse, by: str, findings: Findings) -> None:
    """A code that is added is given its natural column, and nothing else."""
    columns = table.shape.columns.values() if table.shape is not None else ()
    keys, others = told_apart(table, {column.name for column in columns if is_needed(column)} - {by})
    for code, lacking, what in (
        ("R418", keys, "nobody makes the key of a new code in"),
        ("R417", others, "a new code needs values that nobody gives it in"),
    ):
        if lacking:
            findings.error(code, (*path[:-1], "missing"), f"{what} {system}'s {table.schema}.{table.name}",
                           found=listed(map(quoted, lacking)),
                           mend="write `missing: quarantine`, or give the columns a default")  # fmt: skip


def _check_references(site: Site, crossed: Collection[str], entities: Mapping[str, EntitySyntax],
                      known: Mapping[Path, Column], where: Bound, findings: Findings) -> None:  # fmt: skip
    """A reference holds the other row's key as that is printed."""
    for field_name, field in site.syntax.fields.items():
        parent = where.sites.get((str(field.reference), site.system))
        own = known.get(column_path(site.entity, field_name, site.system))
        if field.reference not in crossed or parent is None or own is None:
            continue
        keys = parent.parts[ROOT].key
        path: Path = ("entities", site.entity, "fields", field_name)
        if len(keys) > 1:
            findings.error("R319", (*path, "reference"), f"{quoted(field.reference)} has a key of several columns in"
                           f" {quoted(site.system)}, and one field cannot refer to it",
                           found=f"key: {', '.join(keys)}", mend="take `reference` out")  # fmt: skip
            continue
        key = parent.parts[ROOT].known(keys[0])
        if key is not None and not print_alike(own, key):
            findings.error("R411", (*path, site.system), f"{quoted(field_name)} is of another type than the key that"
                           " it refers to", found=f"{own.type}, and the key is {key.type}",
                           mend="give the columns one type")  # fmt: skip


def _check_empty(site: Site, known: Mapping[Path, Column], findings: Findings) -> None:
    for field_name, field in site.syntax.fields.items():
        column = columns_of(site.syntax, field).get(site.system)
        path = column_path(site.entity, field_name, site.system)
        found = known.get(path)
        if column is not None and column.empty is not None and found is not None and found.family != "text":
            findings.error("R419", (*path[:-1], "empty"), f"{quoted(column.column)} of {quoted(site.system)} cannot"
                           " hold an empty text", found=found.type, mend="take `empty` out")  # fmt: skip


def _check_forms(name: str, entity: EntitySyntax, known: Mapping[Path, Column], findings: Findings) -> None:
    """Letters and digits are compared in texts."""
    for path, item in identity_places(("entities", name), entity):
        if item.same == "exact" or item.field not in entity.fields:
            continue
        for system in columns_of(entity, entity.fields[item.field]):
            found = known.get(column_path(name, item.field, system))
            if found is not None and found.family not in ("text", "enum"):
                findings.error("R413", (*path[:-1], "same"), f"{quoted(item.field)} is no text in {quoted(system)}:"
                               " there is one way only to write its values", found=found.type,
                               mend="take `same` out")  # fmt: skip
                break
