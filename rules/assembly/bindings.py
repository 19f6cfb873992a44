"""All entities in all systems: their tables numbered, each once, and the assemblies of the crossed ones.

Roots come first, in the order of the entities (parents before children), then parts, then code tables. A table that is
looked up is kept in memory whole, and cannot be a record's at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine.catalog import Catalog
from engine.rulebook import Assembly, Table
from rules.assembly.assemble import Site, assembled, site
from rules.assembly.columns import TableName, TablesInUse
from rules.assembly.joins import Joined, joined_parts
from rules.findings import Findings
from rules.problem import Path, quoted
from rules.ruling import ROOT, columns_of, part_path, parts_of, table_of
from rules.syntax import EntitySyntax, LookupSyntax, TableSyntax

Spot = tuple[str, str]
"""(entity, system)"""


@dataclass(frozen=True, slots=True)
class Bound:
    """Where everything is."""

    tables: Mapping[str, TablesInUse]
    roots: Mapping[Spot, int]
    """The number of the (root) table."""
    assemblies: Mapping[Spot, Assembly]
    """Of the crossed entities."""
    sites: Mapping[Spot, Site]


def bound(
    entities: Mapping[str, EntitySyntax],
    names: Iterable[str],
    crossed: Collection[str],
    adapters: Mapping[str, str],
    catalogs: Mapping[str, Catalog],
    plain: Callable[[str, str], Table] | None,
    findings: Findings,
) -> Bound:
    """Everything that is bound. `names`: the entities in order. `adapters`: by system. `plain`: the table of an entity
    that is not crossed; None leaves such entities out."""
    tables = {system: TablesInUse(system, catalogs.get(system), kind) for system, kind in adapters.items()}
    order = [name for name in names if plain is not None or name in crossed]
    spots = [(name, system) for name in order for system in entities[name].bind if system in tables]
    put_together = [spot for spot in spots if spot[0] in crossed]
    for name, system in put_together:
        _say_keys(name, system, entities[name].bind[system], tables[system], findings)
    roots: dict[Spot, int] = {}
    for name, system in spots:
        table = table_of(entities[name].bind[system])
        if name in crossed:
            roots[name, system] = tables[system].use(table).number
        elif plain is not None:
            roots[name, system] = tables[system].settle(table, plain(name, system))
    joined: dict[Spot, dict[str, Joined]] = {}
    for name, system in put_together:
        words = entities[name].bind[system]
        joined[name, system] = joined_parts(words, part_path(name, system, ROOT), findings)
        for part in joined[name, system]:
            tables[system].use(table_of(words.parts[part]))
    _code_tables(entities, put_together, tables, findings)
    sites = {
        (name, system): site(name, entities[name], system, joined[name, system], tables[system], findings)
        for name, system in put_together
    }
    return Bound(tables, roots, {spot: assembled(at) for spot, at in sites.items()}, sites)


def _say_keys(name: str, system: str, words: TableSyntax, tables: TablesInUse, findings: Findings) -> None:
    for part, table in parts_of(words).items():
        if table.key is not None:
            path: Path = (*part_path(name, system, part), "key")
            tables.say_key(table_of(table), tuple(table.key), path, findings)


def _code_tables(entities: Mapping[str, EntitySyntax], spots: Iterable[Spot], tables: Mapping[str, TablesInUse],
                 findings: Findings) -> None:  # fmt: skip
    """Each code table with its key and its natural column, and nothing else."""
    taken = {system: {(used.schema, used.name) for used in listed} for system, listed in tables.items()}
    said: dict[tuple[str, TableName], tuple[tuple[str | None, str], Path]] = {}
    for name, system in spots:
        for path, lookup in lookups(name, entities[name], system):
            table = table_of(lookup)
            if table in taken[system]:
                findings.error("R336", path, f"{quoted('.'.join(table))} of {quoted(system)} is a record's table, and a"
                               " code table cannot be that too", mend="take out `lookup`, and refer to its entity by"
                               " `reference`")  # fmt: skip
                continue
            columns, first = said.setdefault((system, table), ((lookup.key, lookup.by), path))
            if columns != (lookup.key, lookup.by):
                findings.error("R336", path, f"{quoted('.'.join(table))} of {quoted(system)} is looked up by other"
                               " columns elsewhere", mend="use the same `key` and `by`",
                               also=(("it is looked up here first", first),))  # fmt: skip
                continue
            if lookup.key is not None:
                tables[system].say_key(table, (lookup.key,), (*path[:-1], "key"), findings)
            used = tables[system].use(table)
            used.whole = True
            if len(used.key) > 1:
                findings.error("R336", path, f"{quoted('.'.join(table))} of {quoted(system)} has a key of several"
                               " columns, and one column cannot hold it", found=quoted(", ".join(used.key)),
                               mend="name the column that it holds: `key: …`")  # fmt: skip
            used.find(used.key[0], path, findings)
            used.position(lookup.by)


def lookups(name: str, entity: EntitySyntax, system: str) -> Iterator[tuple[Path, LookupSyntax]]:
    """Every lookup of an entity in one system, with the place of its table."""
    for field_name, field in entity.fields.items():
        column = columns_of(entity, field).get(system)
        if column is not None and column.lookup is not None:
            yield ("entities", name, "fields", field_name, system, "lookup", "table"), column.lookup
