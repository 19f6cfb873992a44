"""Value maps by themselves: with a counterpart in the other systems. No database is asked."""

from __future__ import annotations

from collections.abc import Mapping

from rules.findings import Findings
from rules.problem import listed, quoted
from rules.ruling import column_path, columns_of, groups_by_field, identity_fields, ruling
from rules.syntax import EntitySyntax


def check_maps(name: str, entity: EntitySyntax, findings: Findings) -> None:
    """Every map of an entity."""
    for field_name, field in entity.fields.items():
        maps = {s: c.map for s, c in columns_of(entity, field).items() if c.map is not None}
        _counterparts(name, entity, field_name, maps, findings)


def _counterparts(name: str, entity: EntitySyntax, field: str, maps: dict[str, dict[str, str]], findings: Findings
                  ) -> None:  # fmt: skip
    """What one map yields, another must know, where it can get there."""
    group = groups_by_field(entity).get(field)
    owner = ruling(name, entity, field, group).owner
    for source, values in maps.items():
        if owner is not None and source != owner:
            continue
        for target, others in maps.items():
            unknown = sorted(set(values.values()) - set(others.values()))
            if unknown:
                findings.warn("R351", ("entities", name, "fields", field, target, "map"),
                              f"{quoted(source)} can hold values that {quoted(target)} has no counterpart for",
                              found=listed(map(quoted, unknown)),
                              mend="add them, or such a record waits in quarantine")  # fmt: skip


def check_reference_maps(name: str, field: str, entities: Mapping[str, EntitySyntax], findings: Findings) -> None:
    """A reference is mapped as the key is that it refers to, or the two would never be equal."""
    entity = entities[name]
    parent = str(entity.fields[field].reference)
    key = identity_fields(entities[parent])[0]
    if key not in entities[parent].fields:
        return
    keys = columns_of(entities[parent], entities[parent].fields[key])
    for system, column in columns_of(entity, entity.fields[field]).items():
        if system in keys and keys[system].map != column.map:
            findings.error("R321", column_path(name, field, system), f"{quoted(field)} is mapped in another way than"
                           f" the key of {quoted(parent)} that it refers to", mend="give both the same map, or none",
                           also=(("the key is here", column_path(parent, key, system)),))  # fmt: skip
