"""The rules against the catalogs: tables and columns that must exist, be writable, and suit what is asked of them.

Says for each column that the rules name which one of the catalog it is; what is missing is a problem at the place where
the rules name it. Types are compared in `rules/forms.py`, losses told in `rules/loss.py`. Rows are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.catalog import Catalog, Column, TableShape
from engine.rulebook import PolicyName
from rules.findings import Findings
from rules.forms import FieldKey, Fields, Form, is_offline
from rules.loss import check_losses
from rules.problem import Path, did_you_mean, quoted
from rules.ruling import column_path, columns_of, create_of, groups_by_field, ruling, table_of
from rules.syntax import EntitySyntax

NO_KEYS = frozenset({"float", "json", "array"})
_COUNTED = frozenset({"integer", "numeric"})
_ORDERED = _COUNTED | {"float", "date", "time", "timestamp", "timestamptz", "text", "boolean"}
_NEEDS: Mapping[str, frozenset[str]] = {"delta": _COUNTED, "max": frozenset(_ORDERED), "min": frozenset(_ORDERED)}


def known_columns(
    entities: Mapping[str, EntitySyntax], catalogs: Mapping[str, Catalog], findings: Findings
) -> dict[Path, Column]:
    """The catalog's column for each that the rules name, by the path of its name."""
    known: dict[Path, Column] = {}
    for name, entity in entities.items():
        shapes: dict[str, TableShape] = {}
        for system, table in entity.bind.items():
            if system in catalogs:
                shape = _table(("entities", name, "bind", system, "table"), table_of(table), catalogs[system], findings)
                if shape is not None:
                    shapes[system] = shape
        for field_name, field in entity.fields.items():
            for system, column in columns_of(entity, field).items():
                if system not in shapes:
                    continue
                path = column_path(name, field_name, system)
                found = _column(path, system, column.column, shapes[system], findings)
                if found is not None:
                    known[path] = found
    return known


def _table(path: Path, name: tuple[str, str], catalog: Catalog, findings: Findings) -> TableShape | None:
    shape = catalog.tables.get(name)
    if shape is not None:
        return shape
    wanted = ".".join(name)
    dotted = [".".join(other) for other in catalog.names]
    alike = [other for other in dotted if other.casefold() == wanted.casefold()]
    if alike:
        findings.error("R403", path, f"{quoted(catalog.system)} has no table {quoted(wanted)}",
                       mend=f"write it as the catalog does: `{alike[0]}`")  # fmt: skip
        return None
    moved = [other for other, names in zip(dotted, catalog.names, strict=True) if names[1] == name[1]]
    findings.error("R401", path, f"{quoted(catalog.system)} has no table {quoted(wanted)}, or our role may not see it",
                   allowed=tuple(sorted(dotted)), mend=did_you_mean(wanted, moved or dotted))  # fmt: skip
    return None


def _column(path: Path, system: str, name: str, shape: TableShape, findings: Findings) -> Column | None:
    table = f"{system}'s {shape.schema}.{shape.name}"
    column = shape.columns.get(name)
    if column is None:
        alike = [other for other in shape.columns if other.casefold() == name.casefold()]
        if alike:
            findings.error("R403", path, f"{table} has no column {quoted(name)}",
                           mend=f"write it as the catalog does: `{alike[0]}`")  # fmt: skip
        else:
            findings.error("R402", path, f"{table} has no column {quoted(name)}", allowed=tuple(shape.columns),
                           mend=did_you_mean(name, shape.columns))  # fmt: skip
        return None
    if column.generated:
        findings.error("R404", path, f"{table} computes {quoted(name)} itself: it cannot be written",
                       mend="bind the columns that it is computed from, or take it out")  # fmt: skip
    return column


def check_fields(
    entities: Mapping[str, EntitySyntax], fields: Fields, shapes: Mapping[FieldKey, Form], findings: Findings
) -> None:
    """Keys, policies and losses, of all fields whose types are known."""
    for name, entity in entities.items():
        group_of = groups_by_field(entity)
        for field in entity.fields:
            columns = fields[name, field]
            if is_offline(columns):
                continue
            if field in entity.identity:
                _check_key(field, fields, name, shapes[name, field], findings)
                check_losses(field, columns, create_of(entity), True, findings)
                continue
            said = ruling(name, entity, field, group_of.get(field))
            if field not in group_of and said.owner is None:
                _check_policy(name, field, said.policy, shapes[name, field].family, findings)
            writers = frozenset(entity.bind if said.owner is None else {said.owner})
            check_losses(field, columns, writers, False, findings)


def _check_key(field: str, fields: Fields, name: str, shape: Form, findings: Findings) -> None:
    for stored in fields[name, field]:
        if stored.column is not None and stored.column.family in NO_KEYS:
            findings.error("R409", stored.path, f"{quoted(field)} cannot tell records apart in {quoted(stored.system)}",
                           found=quoted(stored.column.type), mend="choose another identity")  # fmt: skip
        elif stored.column is not None and not stored.column.exact:
            findings.warn("R457", stored.path, f"{quoted(stored.system)} takes values of {quoted(field)} for equal that"
                          " are written differently: `a` and `A`, say", found=quoted(stored.column.type),
                          mend="make sure that all systems write it alike")  # fmt: skip
        if stored.system in shape.codecs:
            findings.error("R412", stored.path, f"{quoted(field)} is written in another form in {quoted(stored.system)}"
                           " than elsewhere, and records are paired by the key as it is written",
                           found=quoted(stored.column.type) if stored.column is not None else "a map",
                           mend="give the columns of the key one type, and no map")  # fmt: skip


def _check_policy(name: str, field: str, policy: PolicyName | None, family: str, findings: Findings) -> None:
    needed = _NEEDS.get(str(policy))
    if needed is None or family in needed:
        return
    path: Path = ("entities", name, "fields", field)
    own = (*path, "conflict") in findings.document
    what = "a number" if policy == "delta" else "a value that has an order"
    findings.error("R407", (*path, "conflict") if own else path, f"{quoted(policy)} needs {what}", key=not own,
                   found=family, mend="choose another policy")  # fmt: skip
