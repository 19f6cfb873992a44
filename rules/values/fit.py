"""The rules against the catalogs: tables and columns that must exist, be writable, and suit what is asked of them.

Says for each column that the rules name which one of the catalog it is; what is missing is a problem at the place where
the rules name it. Types are compared in `forms`, losses told in `loss`. Rows are never looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine.catalog import Catalog, Column, TableShape
from engine.rulebook import PolicyName
from rules.crossing import shared_key
from rules.findings import Findings
from rules.names import check_writable, find_column, find_table
from rules.problem import Path, quoted
from rules.ruling import (
    column_path,
    columns_of,
    create_of,
    groups_by_field,
    identity_fields,
    part_of,
    part_path,
    parts_of,
    ruling,
    table_of,
)
from rules.syntax import ColumnSyntax, EntitySyntax, TableSyntax
from rules.values.forms import Form, refers_across
from rules.values.loss import check_losses
from rules.values.stored import FieldKey, Fields, Stored, is_offline
from rules.values.suits import check_words_fit, references_across

NO_KEYS = frozenset({"float", "json", "array"})
_COUNTED = frozenset({"integer", "numeric"})
_ORDERED = _COUNTED | {"float", "date", "time", "timestamp", "timestamptz", "text", "boolean"}
_NEEDS: Mapping[str, tuple[frozenset[str], str]] = {
    "delta": (_COUNTED, "a number"),
    "max": (frozenset(_ORDERED), "a value that has an order"),
    "min": (frozenset(_ORDERED), "a value that has an order"),
    "union": (frozenset({"array"}), "a list"),
}
"""By policy: the families that it can decide, and what they have in common."""


def known_columns(
    entities: Mapping[str, EntitySyntax], catalogs: Mapping[str, Catalog], findings: Findings
) -> dict[Path, Column]:
    """The catalog's column for each that the fields name, by the path of its name."""
    known: dict[Path, Column] = {}
    for name, entity in entities.items():
        for system, table in entity.bind.items():
            if system not in catalogs:
                continue
            shapes: dict[str, TableShape | None] = {}
            for part, words in parts_of(table).items():
                path = (*part_path(name, system, part), "table")
                shapes[part] = find_table(path, table_of(words), catalogs[system], findings)
            for field_name, field in entity.fields.items():
                column = columns_of(entity, field).get(system)
                if column is not None:
                    path = column_path(name, field_name, system)
                    known |= _found(path, column, table, shapes, catalogs[system], findings)
    return known


def _found(path: Path, column: ColumnSyntax, table: TableSyntax, shapes: Mapping[str, TableShape | None],
           catalog: Catalog, findings: Findings) -> dict[Path, Column]:  # fmt: skip
    """A field's column in one system, and the natural column where it is looked up."""
    part, bare = part_of(table, column.column)
    shape = shapes.get(part)
    found = find_column(path, catalog.system, bare, shape, findings) if shape is not None else None
    known = {}
    if found is not None and shape is not None:
        check_writable(path, catalog.system, found, shape, findings)
        known[path] = found
    if column.lookup is not None:
        place: Path = (*path[:-1], "lookup")
        codes = find_table((*place, "table"), table_of(column.lookup), catalog, findings)
        natural = None
        if codes is not None:
            natural = find_column((*place, "by"), catalog.system, column.lookup.by, codes, findings)
        if natural is not None:
            known[*place, "by"] = natural
    return known


def check_fields(
    entities: Mapping[str, EntitySyntax], crossed: Collection[str], fields: Fields,
    shapes: Mapping[FieldKey, Form], findings: Findings,
) -> None:  # fmt: skip
    """Words, keys, policies, forms of comparison and losses, of all fields whose types are known."""
    check_words_fit(fields, references_across(entities, crossed), findings)
    for name, entity in entities.items():
        group_of = groups_by_field(entity)
        key = shared_key(name, entity, crossed)
        for field in entity.fields:
            columns = fields[name, field]
            if is_offline(columns) or refers_across(entity.fields[field], crossed):
                continue
            if field in key:
                _check_key(field, fields, name, shapes[name, field], findings)
                check_losses(field, shapes[name, field].family, columns, create_of(entity), True, findings)
                continue
            if field in identity_fields(entity):
                _check_tells_apart(field, columns, findings)
            _check_same(name, field, entity.fields[field].same, shapes[name, field].family, findings)
            said = ruling(name, entity, field, group_of.get(field))
            if field not in group_of and said.owner is None:
                for policy in (said.policy, said.conflict.else_ if said.conflict is not None else None):
                    _check_policy(name, field, policy, shapes[name, field].family, findings)
            family = shapes[name, field].family
            check_losses(field, family, columns, said.writers(entity.bind), False, findings)


def _check_key(field: str, fields: Fields, name: str, shape: Form, findings: Findings) -> None:
    _check_tells_apart(field, fields[name, field], findings)
    for stored in fields[name, field]:
        if stored.column is not None and not stored.column.exact and stored.column.family not in NO_KEYS:
            findings.warn("R457", stored.path, f"{quoted(stored.system)} takes values of {quoted(field)} for equal that"
                          " are written differently: `a` and `A`, say", found=quoted(stored.column.type),
                          mend="make sure that all systems write it alike")  # fmt: skip
        if stored.system in shape.codecs:
            findings.error("R412", stored.path, f"{quoted(field)} is written in another form in {quoted(stored.system)}"
                           " than elsewhere, and records are paired by the key as it is written",
                           found=quoted(stored.column.type) if stored.column is not None else "a map",
                           mend="give the columns of the key one type, and no map")  # fmt: skip


def _check_tells_apart(field: str, columns: tuple[Stored, ...], findings: Findings) -> None:
    for stored in columns:
        if stored.column is not None and stored.column.family in NO_KEYS:
            findings.error("R409", stored.path, f"{quoted(field)} cannot tell records apart in {quoted(stored.system)}",
                           found=quoted(stored.column.type), mend="choose another identity")  # fmt: skip


def _check_same(name: str, field: str, same: str, family: str, findings: Findings) -> None:
    """Letters and digits are compared in texts."""
    if same != "exact" and family not in ("text", "enum"):
        findings.error("R413", ("entities", name, "fields", field, "same"), f"{quoted(field)} is no text: there is one"
                       " way only to write its values", found=family, mend="take `same` out")  # fmt: skip


def _check_policy(name: str, field: str, policy: PolicyName | None, family: str, findings: Findings) -> None:
    families, what = _NEEDS.get(str(policy), (frozenset({family}), ""))
    if family in families:
        return
    path: Path = ("entities", name, "fields", field)
    own = (*path, "conflict") in findings.document
    findings.error("R407", (*path, "conflict") if own else path, f"{quoted(policy)} needs {what}", key=not own,
                   found=family, mend="choose another policy")  # fmt: skip
