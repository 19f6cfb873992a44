"""The meaning of a rule file by itself: names that must exist, things said twice, things that nobody said.

Needs no database. What needs the catalogs, and all maps, are in `rules/values`; what is said of tables, columns and
references in `rules/check_bindings.py`.
"""

from __future__ import annotations

from collections.abc import Collection

from rules.assembly.bindings import bound
from rules.assembly.created import plain_written
from rules.check_bindings import check_columns, check_leaving, check_references, check_tables
from rules.check_deciding import (
    check_conditions,
    check_entity_ruling,
    check_recognised,
    check_ruling,
    check_sameness,
    check_single_value,
    known_system,
)
from rules.check_derived import check_circles, check_derived, check_joins, joint_systems
from rules.crossing import crossed_entities, shared_key
from rules.findings import Findings
from rules.order import parents_first
from rules.problem import Path, did_you_mean, listed, quoted
from rules.ruling import (
    columns_of,
    groups_by_field,
    identities,
    identity_fields,
    identity_places,
    ruling,
    whole_of,
)
from rules.shape import Shaped, unknown_key
from rules.synchronous import check_synchronous
from rules.syntax import FIELD_OPTIONS, LATER_KEYS, EntitySyntax, FileSyntax
from rules.values.maps import check_maps
from rules.values.suits import check_words


def check(shaped: Shaped, findings: Findings) -> None:
    """Everything that can be said without a database."""
    syntax = shaped.syntax
    if len(syntax.systems) < 2:
        findings.error("R302", ("systems",), "there must be two systems or more", key=True,
                       found=quoted(", ".join(syntax.systems)), mend="add the other database")  # fmt: skip
    for system in syntax.systems:
        if system in FIELD_OPTIONS or system in LATER_KEYS:
            findings.error("R206", ("systems", system), "a system cannot bear a name that means something in a field",
                           key=True, found=quoted(system), mend="choose another name")  # fmt: skip
    crossed = crossed_entities(syntax.entities)
    check_synchronous(shaped, crossed, findings)
    for name, entity in syntax.entities.items():
        _check_entity(name, entity, shared_key(name, entity, crossed), syntax, findings)
        check_words(name, entity, crossed, findings)
        check_references(name, entity, crossed, shaped, findings)
    check_tables(syntax, findings)
    adapters = {system: words.database for system, words in syntax.systems.items()}
    for name, entity in syntax.entities.items():
        for system in entity.bind if name not in crossed else ():
            plain_written(name, entity, system, adapters.get(system, ""), None, findings)
    names = parents_first(syntax.entities, crossed, {}, findings)
    bound(syntax.entities, names, crossed, adapters, {}, None, findings)


def _check_entity(
    name: str, entity: EntitySyntax, key: tuple[str, ...], syntax: FileSyntax, findings: Findings
) -> None:
    top: Path = ("entities", name)
    for system in entity.bind:
        known_system(findings, (*top, "bind", system), system, syntax.systems, key=True)
    # With a slip of the pen in `bind`, nothing else should be told that only follows from it.
    accepted = tuple(entity.bind) if set(entity.bind) <= set(syntax.systems) else tuple(syntax.systems)
    if len(entity.bind) < 2:
        findings.error("R302", (*top, "bind"), f"{quoted(name)} is bound in one system only", key=True,
                       mend="bind it in another system, or take it out")  # fmt: skip
    _check_entity_words(top, entity, accepted, findings)
    check_entity_ruling(top, entity, accepted, findings)
    check_identity(top, entity, key, findings)
    check_groups(name, entity, key, findings)
    for field_name in entity.fields:
        check_field(name, entity, key, field_name, syntax.systems, accepted, findings)
    check_recognised(top, entity, findings)
    check_joins(name, entity, key, findings)
    check_sameness(name, entity, key, findings)
    check_circles(check_conditions(name, entity, key, findings))
    check_leaving(name, entity, syntax.entities, findings)
    adapters = {system: words.database for system, words in syntax.systems.items()}
    check_columns(name, entity, adapters, findings)
    check_maps(name, entity, findings)


def _check_entity_words(top: Path, entity: EntitySyntax, accepted: tuple[str, ...], findings: Findings) -> None:
    """`order`, `create`, `delete`: each names systems in which the entity is bound."""
    for word, systems in (("order", entity.order), ("create", entity.create)):
        for index, system in enumerate(systems or ()):
            known_system(findings, (*top, word, index), system, accepted)
    for word, named in (("delete", entity.delete), ("leave", entity.leave)):
        for system in named:
            if system != "*":
                known_system(findings, (*top, word, system), system, accepted, key=True)
    missing = [system for system in entity.bind if entity.order and system not in entity.order]
    if missing and set(accepted) == set(entity.bind):
        findings.error("R322", (*top, "order"), f"{quoted(missing[0])} has no place in the order",
                       mend="name every system of the entity, the most trusted first")  # fmt: skip


def check_identity(top: Path, entity: EntitySyntax, key: tuple[str, ...], findings: Findings) -> None:
    """Its fields exist. Those of a shared `key` are bound everywhere, and decided by nobody."""
    for path, item in identity_places(top, entity):
        if item.field not in entity.fields:
            findings.error("R305", path, f"there is no field {quoted(item.field)}",
                           allowed=tuple(entity.fields), mend=did_you_mean(item.field, entity.fields))  # fmt: skip
        elif item.field in key:
            _check_key_field(top, entity, item.field, findings)
    if not key:
        _check_alternatives(top, entity, findings)


def _check_alternatives(top: Path, entity: EntitySyntax, findings: Findings) -> None:
    """In every system, records can be recognised by one alternative at least."""
    for system in entity.bind:
        has = {name for name, field in entity.fields.items() if system in columns_of(entity, field)}
        if not any({item.field for item in alternative} <= has for alternative in identities(entity)):
            lacking = [name for name in identity_fields(entity) if name in entity.fields and name not in has]
            if lacking:
                findings.error("R327", (*top, "identity"), f"records cannot be recognised in {quoted(system)}: no set"
                               " of fields that tells them apart is bound there", found="without "
                               + listed(map(quoted, lacking)), mend="bind the fields of one set there")  # fmt: skip


def _check_key_field(top: Path, entity: EntitySyntax, name: str, findings: Findings) -> None:
    group_of = groups_by_field(entity)
    path: Path = (*top, "fields", name)
    field = entity.fields[name]
    for system in entity.bind:
        if system not in columns_of(entity, field):
            findings.error("R306", path, f"{quoted(name)} is part of the identity, but not bound in"
                           f" {quoted(system)}", key=True, mend=f"name its column: `{system}: …`")  # fmt: skip
    for word, said in (("owner", field.owner), ("conflict", field.conflict)):
        if said is not None:
            findings.error("R307", (*path, word), f"a field of the identity has no {_noun(word)}: another key is"
                           " another record", mend="take it out")  # fmt: skip
    if name in group_of:
        at = entity.groups[group_of[name]].fields.index(name)
        findings.error("R307", _member_path(findings, top, group_of[name], at),
                       f"{quoted(name)} is part of the identity and cannot be in a group",
                       mend="take it out")  # fmt: skip


def _noun(word: str) -> str:
    return {"conflict": "policy"}.get(word, word)


def _member_path(findings: Findings, top: Path, group: str, index: int) -> Path:
    """Where a group names a field, in its short or its long form."""
    short: Path = (*top, "groups", group, index)
    return short if short in findings.document else (*top, "groups", group, "fields", index)


def check_field(name: str, entity: EntitySyntax, key: tuple[str, ...], field_name: str, systems: Collection[str],
                accepted: tuple[str, ...], findings: Findings) -> None:  # fmt: skip
    """One field: its systems, and who decides it. `systems`: all that the file has; `accepted`: those it may be in."""
    field = entity.fields[field_name]
    path: Path = ("entities", name, "fields", field_name)
    unknown = [system for system in field.columns if system not in accepted]
    for system in unknown:
        if system in systems:
            findings.error("R301", (*path, system), f"{quoted(name)} is not bound in {quoted(system)}", key=True,
                           allowed=tuple(entity.bind), mend=f"bind it: `{system}: {{table: …}}`")  # fmt: skip
        else:
            problem = unknown_key(findings.document, (*path, system), tuple(entity.bind))
            findings.problems.append(problem)
    if unknown or set(accepted) != set(entity.bind):
        return
    if field.derive is not None:
        check_derived(name, entity, field_name, findings)
        return
    has_it = joint_systems(entity, field_name)
    if len(has_it) < 2 and len(entity.bind) > 1 and field_name not in key:
        findings.error("R308", path, f"{quoted(field_name)} is bound in {quoted(next(iter(has_it), 'no system'))}"
                       " only: nothing to keep in step", key=True, mend="name its column in another system, or take"
                       " it out")  # fmt: skip
    if field_name in key or field_name in whole_of(entity):
        return
    group = groups_by_field(entity).get(field_name)
    if group is None:
        check_ruling(name, entity, field_name, None, has_it, findings)
        if field.join is not None:
            said = ruling(name, entity, field_name, None)
            several = f"{quoted(field_name)} is put together of several"
            check_single_value(path, said, several, field.conflict is not None, findings)
    elif field.owner is not None or field.conflict is not None:
        word = "owner" if field.owner is not None else "conflict"
        index = entity.groups[group].fields.index(field_name)
        member = _member_path(findings, ("entities", name), group, index)
        findings.error("R314", (*path, word), f"{quoted(field_name)} is decided with its group {quoted(group)}",
                       mend=f"say it of the group: `{group}: {{fields: […], {word}: …}}`",
                       also=(("the group has it here", member),))  # fmt: skip


def check_groups(name: str, entity: EntitySyntax, key: tuple[str, ...], findings: Findings) -> None:
    """Groups: known fields, each in one group, all bound alike."""
    top: Path = ("entities", name)
    seen: dict[str, Path] = {}
    for group_name, group in entity.groups.items():
        bound: dict[str, set[str]] = {}
        for index, member in enumerate(group.fields):
            path = _member_path(findings, top, group_name, index)
            if member not in entity.fields:
                findings.error("R312", path, f"there is no field {quoted(member)}", allowed=tuple(entity.fields),
                               mend=did_you_mean(member, entity.fields))  # fmt: skip
                continue
            if member in seen:
                findings.error("R313", path, f"{quoted(member)} is in two groups", mend="keep it in one",
                               also=(("it is here too", seen[member]),))  # fmt: skip
            seen[member] = path
            if member not in key and entity.fields[member].derive is None:
                bound[member] = joint_systems(entity, member)
        check_ruling(name, entity, None, group_name, set().union(*bound.values()), findings)
        said = ruling(name, entity, None, group_name)
        own = group.conflict is not None
        check_single_value((*top, "groups", group_name), said, f"{quoted(group_name)} is a group", own, findings)
        first = next(iter(bound), None)
        for member, systems in bound.items():
            if first is not None and systems != bound[first]:
                odd = sorted(systems ^ bound[first])[0]
                findings.error("R315", _member_path(findings, top, group_name, group.fields.index(member)),
                               f"{quoted(member)} and {quoted(first)} are not bound in the same systems",
                               found=f"{quoted(odd)} has one of them only",
                               mend="bind both there, or decide them apart")  # fmt: skip
