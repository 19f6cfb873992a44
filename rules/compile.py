"""Checked rules to the engine's `RuleBook`: numbers for names, defaults filled in, codecs chosen, parents first.

With catalogs, everything that they can contradict is told, at its place in the rule file; without, types are unknown,
and only value maps become codecs. Opens no connection, and never changes what the rules say.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.catalog import Catalog
from engine.rulebook import EXISTENCE, Binding, Entity, Field, Register, RuleBook, Table
from rules.findings import Findings
from rules.fit import check_fields, known_columns
from rules.forms import FieldKey, Form, check_maps_fit, forms, stored_fields
from rules.load import RuleFile
from rules.order import parents_first
from rules.problem import Problem, in_order
from rules.ruling import columns_of, create_of, delete_of, order_of, registers, ruling, table_of
from rules.syntax import EntitySyntax


def compile_book(rules: RuleFile, catalogs: Mapping[str, Catalog] | None) -> tuple[RuleBook, list[Problem]]:
    """The rule book, and what the catalogs have against it (errors and warnings, by place).

    With an error among the problems the book must not be used."""
    findings = Findings(rules.document)
    known = known_columns(rules.entities, catalogs or {}, findings)
    fields = stored_fields(rules.entities, known)
    shapes = forms(rules.entities, fields, findings)
    check_maps_fit(fields, shapes, findings)
    check_fields(rules.entities, fields, shapes, findings)
    names = parents_first(rules.entities, findings)
    return _book(rules, names, shapes), in_order(findings.problems)


def _book(rules: RuleFile, names: list[str], shapes: Mapping[FieldKey, Form]) -> RuleBook:
    tables: dict[str, list[Table]] = {system: [] for system in rules.systems}
    bound: dict[str, list[Binding]] = {system: [] for system in rules.systems}
    entities: dict[str, Entity] = {}
    for name in names:
        syntax = rules.entities[name]
        numbers = {field: number for number, field in enumerate(syntax.fields)}
        bindings: dict[str, Binding] = {}
        for system in syntax.bind:
            table, columns = _table(syntax, system, numbers)
            codecs = {
                numbers[field]: shapes[name, field].codecs[system]
                for field in syntax.fields
                if system in shapes[name, field].codecs
            }
            bindings[system] = Binding(system, name, len(tables[system]), columns, codecs)
            tables[system].append(table)
            bound[system].append(bindings[system])
        entities[name] = _entity(name, syntax, tuple(rules.systems), shapes, bindings)
    return RuleBook(
        name=rules.name,
        systems=tuple(rules.systems),
        entities=entities,
        tables={system: tuple(listed) for system, listed in tables.items()},
        bound={system: tuple(listed) for system, listed in bound.items()},
    )


def _table(syntax: EntitySyntax, system: str, numbers: Mapping[str, int]) -> tuple[Table, tuple[int, ...]]:
    """The table of an entity in one system, and the field of each of its columns."""
    columns = {
        field: columns_of(syntax, syntax.fields[field])[system].column
        for field in syntax.fields
        if system in columns_of(syntax, syntax.fields[field])
    }
    order = list(columns)
    schema, name = table_of(syntax.bind[system])
    table = Table(schema, name, tuple(columns.values()), tuple(order.index(field) for field in syntax.identity))
    return table, tuple(numbers[field] for field in order)


def _entity(
    name: str,
    syntax: EntitySyntax,
    systems: tuple[str, ...],
    shapes: Mapping[FieldKey, Form],
    bindings: Mapping[str, Binding],
) -> Entity:
    decided = _registers(name, syntax, systems)
    register_of = {field: register.number for register in decided for field in register.fields}
    fields = tuple(
        Field(
            name=field,
            number=number,
            register=register_of.get(number, -1),
            family=shapes[name, field].family,
            reference=syntax.fields[field].reference,
        )
        for number, field in enumerate(syntax.fields)
    )
    return Entity(
        name=name,
        fields=fields,
        key=tuple(list(syntax.fields).index(field) for field in syntax.identity),
        registers=decided,
        bindings=bindings,
        create=create_of(syntax),
        delete=delete_of(syntax),
        delete_wins=syntax.on_delete_conflict == "delete",
    )


def _registers(name: str, syntax: EntitySyntax, systems: tuple[str, ...]) -> tuple[Register, ...]:
    """Existence, then each field or group in the order of the file."""
    numbers = {field: number for number, field in enumerate(syntax.fields)}
    # Existence is decided by `create`, `delete` and `on_delete_conflict`; its policy only breaks ties.
    decided = [Register(EXISTENCE, (), None, "system_of_record", order_of(syntax, systems))]
    for group, members in registers(syntax):
        said = ruling(name, syntax, None if group is not None else members[0], group)
        decided.append(
            Register(
                number=len(decided),
                fields=tuple(numbers[field] for field in members),
                owner=said.owner,
                policy=said.policy or "system_of_record",
                order=order_of(syntax, systems, said.owner),
            )
        )
    return tuple(decided)
