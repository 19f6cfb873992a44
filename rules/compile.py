"""Checked rules to the engine's `RuleBook`: numbers for names, defaults filled in, codecs chosen, parents first.

With catalogs, everything that they can contradict is told, at its place in the rule file; without, types are unknown,
and only value maps become codecs. Opens no connection, and never changes what the rules say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine.catalog import Catalog
from engine.rulebook import Binding, Entity, Field, RuleBook, Table
from rules.assembly.bindings import Bound, bound
from rules.assembly.checked import check_bound
from rules.assembly.created import plain_written
from rules.check_derived import check_joins_fit
from rules.crossing import crossed_entities, shared_key
from rules.findings import Findings
from rules.formulas import Formulas
from rules.load import RuleFile
from rules.order import parents_first
from rules.problem import Problem, in_order
from rules.registers import decided, limits_of
from rules.ruling import (
    columns_of,
    create_of,
    delete_of,
    identities,
    identity_fields,
    leave_of,
    table_of,
)
from rules.syntax import EntitySyntax
from rules.values.fit import check_fields, known_columns
from rules.values.forms import Form, check_maps_fit, forms
from rules.values.stored import FieldKey, Fields, is_offline, stored_fields


def compile_book(rules: RuleFile, catalogs: Mapping[str, Catalog] | None) -> tuple[RuleBook, list[Problem]]:
    """The rule book, and what the catalogs have against it (errors and warnings, by place).

    With an error among the problems the book must not be used."""
    findings = Findings(rules.document)
    entities, catalogs = rules.entities, catalogs or {}
    crossed = crossed_entities(entities)
    known = known_columns(entities, catalogs, findings)
    zones = {name: system.time_zone for name, system in rules.systems.items()}
    fields = stored_fields(entities, known, zones)
    shapes = forms(entities, crossed, fields, findings)
    check_maps_fit(fields, shapes, findings)
    check_fields(entities, crossed, fields, shapes, findings)
    names = parents_first(entities, crossed, known, findings)

    def plain(name: str, system: str) -> Table:
        return _table(name, system, adapters[system], entities, catalogs.get(system), findings)

    adapters = {name: system.database for name, system in rules.systems.items()}
    where = bound(entities, names, crossed, adapters, catalogs, plain, findings)
    check_bound(entities, crossed, known, where, findings)
    formulas = {name: _formulas(name, entity, fields, shapes, findings) for name, entity in entities.items()}
    book = _book(rules, crossed, names, shapes, where, formulas)
    return book, in_order(findings.problems)


def _formulas(
    name: str, entity: EntitySyntax, fields: Fields, shapes: Mapping[FieldKey, Form], findings: Findings
) -> Formulas:
    """The expressions of an entity, with the types of what they look at; and the fields that others are made of."""
    families = {
        field: "" if is_offline(fields[name, field]) else shapes[name, field].family for field in entity.fields
    }
    check_joins_fit(name, entity, families, findings)
    return Formulas(name, entity, families, findings)


def _book(
    rules: RuleFile,
    crossed: Collection[str],
    names: list[str],
    shapes: Mapping[FieldKey, Form],
    where: Bound,
    formulas: Mapping[str, Formulas],
) -> RuleBook:
    listed: dict[str, list[Binding]] = {system: [] for system in rules.systems}
    entities: dict[str, Entity] = {}
    for name in names:
        syntax = rules.entities[name]
        bindings = {system: _binding(name, syntax, system, shapes, where) for system in syntax.bind}
        for system, binding in bindings.items():
            listed[system].append(binding)
        entities[name] = _entity(
            name, syntax, crossed, tuple(rules.systems), shapes, bindings, formulas[name]
        )
    return RuleBook(
        name=rules.name,
        systems=tuple(rules.systems),
        entities=entities,
        tables={system: tables.tables() for system, tables in where.tables.items()},
        bound={system: tuple(bindings) for system, bindings in listed.items()},
        synchronous=rules.synchronous,
        partitions=rules.workers.engines(rules.name) if rules.workers is not None else (),
    )


def _binding(
    name: str, syntax: EntitySyntax, system: str, shapes: Mapping[FieldKey, Form], where: Bound
) -> Binding:
    numbers = {field: number for number, field in enumerate(syntax.fields)}
    return Binding(
        system=system,
        entity=name,
        table=where.roots[name, system],
        columns=tuple(numbers[field] for field in syntax.fields if system in columns_of(syntax, syntax.fields[field])),
        codecs={
            numbers[field]: shapes[name, field].codecs[system]
            for field in syntax.fields
            if system in shapes[name, field].codecs
        },
        assembly=where.assemblies.get((name, system)),
    )


def _table(
    name: str,
    system: str,
    adapter: str,
    entities: Mapping[str, EntitySyntax],
    catalog: Catalog | None,
    findings: Findings,
) -> Table:
    """The one table of an entity with a shared key: its columns are the fields'."""
    syntax = entities[name]
    columns = {
        field: columns_of(syntax, syntax.fields[field])[system].column
        for field in syntax.fields
        if system in columns_of(syntax, syntax.fields[field])
    }
    order = list(columns)
    key = tuple(order.index(field) for field in identity_fields(syntax))
    written = plain_written(name, syntax, system, adapter, catalog, findings)
    return Table(*table_of(syntax.bind[system]), tuple(columns.values()), key, written=written)


def _entity(
    name: str,
    syntax: EntitySyntax,
    crossed: Collection[str],
    systems: tuple[str, ...],
    shapes: Mapping[FieldKey, Form],
    bindings: Mapping[str, Binding],
    formulas: Formulas,
) -> Entity:
    key = shared_key(name, syntax, crossed)
    numbers = list(syntax.fields)
    registers = decided(formulas, key, systems)
    register_of = {field: register.number for register in registers for field in register.fields}
    fields = tuple(
        Field(
            name=field,
            number=number,
            register=register_of.get(number, -1),
            family=shapes[name, field].family,
            reference=syntax.fields[field].reference,
            same=syntax.fields[field].same,
            formula=formulas.derived(field),
        )
        for number, field in enumerate(syntax.fields)
    )
    return Entity(
        name=name,
        fields=fields,
        key=tuple(numbers.index(field) for field in key),
        registers=registers,
        bindings=bindings,
        create=create_of(syntax),
        delete=delete_of(syntax),
        delete_wins=syntax.on_delete_conflict == "delete",
        identities=tuple(
            tuple((numbers.index(item.field), item.same) for item in alternative)
            for alternative in (identities(syntax) if name in crossed else ())
        ),
        leave=leave_of(syntax) if name in crossed else {},
        checks=formulas.checks(),
        limits=limits_of(syntax),
    )
