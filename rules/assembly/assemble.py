"""The assembly of one entity in one system: its binding's words to parts, joins, conditions and lookups, in numbers.

Takes the tables in use, which give the numbers, and adds to them what is read. It decides nothing about fields: who
owns them and what they mean is the same as for every other entity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.catalog import Column
from engine.conditions import Condition
from engine.rulebook import Assembly, Join, Lookup, Order, Part
from rules.assembly.columns import TableInUse, TablesInUse
from rules.assembly.condition import both, condition, constants_of, equal
from rules.assembly.created import Given, given, written
from rules.assembly.joins import Equation, Joined
from rules.assembly.removal import letting_go
from rules.assembly.sql import Sql
from rules.findings import Findings
from rules.problem import Path, did_you_mean, quoted
from rules.ruling import ROOT, columns_of, groups_by_field, part_of, part_path, ruling, table_of
from rules.syntax import ColumnSyntax, EntitySyntax, PartSyntax, TableSyntax
from rules.values.forms import print_alike


@dataclass(frozen=True, slots=True)
class Site:
    """One entity in one system, on its way."""

    entity: str
    syntax: EntitySyntax
    system: str
    joined: Mapping[str, Joined]
    """The parts without the root, each after those that it is joined to."""
    tables: TablesInUse
    parts: Mapping[str, TableInUse]
    """The tables of all parts, the root first."""
    findings: Findings

    @property
    def table(self) -> TableSyntax:
        """The binding's words."""
        return self.syntax.bind[self.system]

    @property
    def top(self) -> Path:
        """Where they stand."""
        return part_path(self.entity, self.system, ROOT)


def site(entity: str, syntax: EntitySyntax, system: str, joined: Mapping[str, Joined], tables: TablesInUse,
         findings: Findings) -> Site:  # fmt: skip
    """An entity in a system, its tables in use."""
    words = syntax.bind[system]
    parts = {ROOT: tables.use(table_of(words)), **{name: tables.use(table_of(words.parts[name])) for name in joined}}
    return Site(entity, syntax, system, joined, tables, parts, findings)


def assembled(site: Site) -> Assembly:
    """The assembly. With a problem among the findings it must not be used."""
    fields = _fields(site)
    joins = {name: _joins(site, name) for name in site.joined}
    conditions = {name: _condition(site, name) for name in site.parts}
    orders = {name: _first_by(site, name) for name in site.joined}
    ends = any(name in site.joined and _is_removed(site, name) for name in site.table.member_when)
    goes = letting_go(site.table, site.top, site.parts[ROOT], ends, site.findings)
    filled = {name: _filled(site, name, fields, conditions) for name in site.parts}
    made = list(given(site.table, site.top, site.parts, filled, site.findings))
    beside = list(written(site.table, site.top, site.parts, _set_by_us(site, filled, fields, made), site.findings))
    parts = tuple(
        _part(site, name, fields[name], joins.get(name, ()), conditions[name], orders.get(name, ()), made, beside)
        for name in site.parts
    )
    numbers = list(site.syntax.fields)
    return Assembly(
        parts=parts,
        members=_members(site),
        gone=goes.gone,
        back=goes.back,
        removal=goes.removal,
        lookups=_lookups(site),
        empty=frozenset(numbers.index(field) for field, column in _columns(site).items() if column.empty is not None),
        key_fields=_key_fields(site, fields[ROOT]),
    )


def points_at(site: Site, name: str) -> bool:
    """True if an earlier part points at this one: its own key is joined, and not just shared."""
    part = site.parts[name]
    joined = [equation for equation in site.joined[name].equations if equation.column in part.key]
    if {equation.column for equation in joined} != set(part.key):
        return False
    earlier = {equation.part for equation in joined}
    return not any(
        {equation.other for equation in joined if equation.part == other} == set(site.parts[other].key)
        for other in earlier
        if other in site.parts
    )


def _belongs(site: Site, name: str) -> bool:
    """True if a part's row goes with the record: nothing points at it, or it points at another part's row itself, or
    it would go already if its fields were empty."""
    part = site.parts[name]
    return not points_at(site, name) or site.table.parts[name].clear == "delete" or any(
        equation.column not in part.key and site.parts[equation.part].key == (equation.other,)
        for equation in site.joined[name].equations
        if equation.part in site.parts
    )


def _is_removed(site: Site, name: str) -> bool:
    """True if a part's row is deleted when the record is."""
    said = site.table.parts[name].remove
    return _belongs(site, name) if said is None else said == "row"


def _columns(site: Site) -> dict[str, ColumnSyntax]:
    """By field: its column in this system."""
    found = {name: columns_of(site.syntax, field).get(site.system) for name, field in site.syntax.fields.items()}
    return {name: column for name, column in found.items() if column is not None}


def _fields(site: Site) -> dict[str, tuple[tuple[int, int], ...]]:
    """By part: (field number, position)."""
    fields: dict[str, list[tuple[int, int]]] = {name: [] for name in site.parts}
    numbers = list(site.syntax.fields)
    for name, column in _columns(site).items():
        part, bare = part_of(site.table, column.column)
        if part in fields:
            fields[part].append((numbers.index(name), site.parts[part].position(bare)))
    return {name: tuple(pairs) for name, pairs in fields.items()}


def _joins(site: Site, name: str) -> tuple[Join, ...]:
    order = list(site.parts)
    joins = []
    for equation in site.joined[name].equations:
        if equation.part not in site.parts:
            continue
        own, theirs = site.parts[name], site.parts[equation.part]
        sql = equation.sql
        column = own.find(equation.column, sql.path, sql.findings, within=sql.span(equation.own))
        other = theirs.find(equation.other, sql.path, sql.findings, within=sql.span(equation.theirs))
        if column is not None and other is not None:
            _check_alike(own.known(equation.column), theirs.known(equation.other), sql, equation)
            joins.append(Join(column, order.index(equation.part), other))
    return tuple(joins)


def _check_alike(own: Column | None, theirs: Column | None, sql: Sql, equation: Equation) -> None:
    """Rows are joined by printed text: one value must have one."""
    if own is not None and theirs is not None and not print_alike(own, theirs):
        sql.findings.error("R415", sql.path, "columns of different types are joined",
                           found=f"{own.type} and {theirs.type}", mend="join columns of one type",
                           within=sql.span(equation.own))  # fmt: skip


def _condition(site: Site, name: str) -> Condition | None:
    """What `on` says of constants, and `where`."""
    part = site.parts[name]
    said = [equal(sql, term, part) for sql, term in site.joined[name].constants] if name != ROOT else []
    words: TableSyntax | PartSyntax = site.table if name == ROOT else site.table.parts[name]
    if words.where is not None:
        path: Path = (*part_path(site.entity, site.system, name), "where")
        said.append(condition(words.where, path, part, site.findings))
    return both([each for each in said if each is not None])


def _first_by(site: Site, name: str) -> tuple[Order, ...]:
    """`column`, `-column` or `column desc`; then the key, so that one row is first in every system's eyes and ours."""
    orders: list[Order] = []
    for index, text in enumerate(site.table.parts[name].first_by):
        words = text.split()
        descending = text.startswith("-") or words[-1:] in (["desc"], ["DESC"])
        column = text[1:].strip() if text.startswith("-") else text
        if len(words) == 2 and words[1].lower() in ("asc", "desc"):
            column = words[0]
        path: Path = (*part_path(site.entity, site.system, name), "first_by", index)
        position = site.parts[name].find(column, path, site.findings)
        if position is not None:
            known = site.parts[name].known(column)
            orders.append(Order(position, known.family if known is not None else "text", descending))
    part = site.parts[name]
    if {equation.column for equation in site.joined[name].equations}.issuperset(part.key):
        return tuple(orders)  # there is one row at most
    for column in part.key:
        known, position = part.known(column), part.columns.index(column)
        if position not in [order.column for order in orders]:
            orders.append(Order(position, known.family if known is not None else "text"))
    return tuple(orders)


def _filled(site: Site, name: str, fields: Mapping[str, tuple[tuple[int, int], ...]],
            conditions: Mapping[str, Condition | None]) -> dict[str, str]:  # fmt: skip
    """By column of a part: what gives it a value in a new row, other than `on_create`."""
    columns, numbers = site.parts[name].columns, list(site.syntax.fields)
    filled = {columns[position]: f"it is equal to {quoted(text)}" for position, text in constants_of(conditions[name])}
    for other, said in site.joined.items():
        for equation in said.equations:
            if other == name and equation.column not in site.parts[name].key:
                filled[equation.column] = f"it is joined to `{equation.part}.{equation.other}`"
            elif equation.part == name and points_at(site, other):
                filled[equation.other] = f"it points at {quoted(other)}"
    for number, position in fields[name]:
        if not _is_own(site, numbers[number]):
            filled[columns[position]] = f"it is the field {quoted(numbers[number])}"
    return filled


def _set_by_us(site: Site, filled: Mapping[str, Mapping[str, str]], fields: Mapping[str, tuple[tuple[int, int], ...]],
               made: list[Given]) -> dict[str, dict[str, str]]:  # fmt: skip
    """By column of a part: what gives it a value whenever we write, other than `on_write`."""
    numbers = list(site.syntax.fields)
    said = {name: dict(columns) for name, columns in filled.items()}
    for name, part in site.parts.items():
        said[name] |= dict.fromkeys(part.key, "it is the key")
        said[name] |= {part.columns[at]: f"it is the field {quoted(numbers[number])}" for number, at in fields[name]}
    for column in (*site.table.deactivate, *site.table.reactivate):
        said[ROOT].setdefault(column, "`deactivate` says that the record is gone by it")
    for each in made:
        said[each.part].setdefault(each.column, "`on_create` gives it")
    return said


def _is_own(site: Site, field: str) -> bool:
    """True if nobody but this system may say what the field is: then a record from elsewhere comes without it."""
    said = ruling(site.entity, site.syntax, field, groups_by_field(site.syntax).get(field))
    return said.writers(site.syntax.bind) == {site.system}


def _members(site: Site) -> tuple[int, ...]:
    order = list(site.parts)
    members = []
    for index, name in enumerate(site.table.member_when):
        if name in site.parts and name != ROOT:
            members.append(order.index(name))
        elif name not in site.table.parts:
            known = tuple(site.table.parts)
            site.findings.error("R332", (*site.top, "member_when", index), f"there is no part {quoted(name)}",
                                allowed=known, mend=did_you_mean(name, known))  # fmt: skip
    return tuple(sorted(members))


def _lookups(site: Site) -> dict[int, Lookup]:
    numbers = list(site.syntax.fields)
    return {
        numbers.index(name): Lookup(site.tables.use(table_of(column.lookup)).number, column.lookup.missing)
        for name, column in _columns(site).items()
        if column.lookup is not None
    }


def _key_fields(site: Site, fields: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """By key column: the field that is stored there as it is, or -1."""
    at = {position: number for number, position in fields if number not in _lookups(site)}
    return tuple(at.get(position, -1) for position in range(len(site.parts[ROOT].key)))


def _part(site: Site, name: str, fields: tuple[tuple[int, int], ...], joins: tuple[Join, ...],
          condition: Condition | None, orders: tuple[Order, ...], made: list[Given],
          beside: list[tuple[str, str, str]]) -> Part:  # fmt: skip
    order = list(site.parts)
    words = site.table.parts.get(name)
    if words is not None and words.clear == "unlink" and not points_at(site, name):
        site.findings.error("R340", (*part_path(site.entity, site.system, name), "clear"),
                            f"no earlier part points at {quoted(name)}: there is nothing to unlink",
                            found="`unlink`", allowed=("keep", "delete"))  # fmt: skip
    return Part(
        name=name,
        table=site.parts[name].number,
        fields=fields,
        joins=joins,
        where=condition,
        first_by=orders,
        constants=constants_of(condition),
        create=tuple((each.column, each.sql) for each in made if each.part == name and each.link is None),
        links=tuple(
            (each.column, order.index(each.link[0]), each.link[1])
            for each in made
            if each.part == name and each.link is not None
        ),
        written=tuple((column, sql) for part, column, sql in beside if part == name),
        clear=words.clear if words is not None else "keep",
        remove=words is None or _is_removed(site, name),
    )
