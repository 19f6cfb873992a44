"""Fields that are made of other fields, judged without a database: worked out (`derive`), or put together (`join`).

A derived field is nobody's to write, and no circle of them can be worked out. A whole and its parts are decided
together, and each system has the one or the others.
"""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from rules.findings import Findings
from rules.formulas import Formulas, graph_of
from rules.problem import Path, did_you_mean, listed, quoted
from rules.ruling import columns_of, groups_by_field, whole_of
from rules.syntax import EntitySyntax, FieldSyntax

PARTS_MIN = 2


def check_derived(name: str, entity: EntitySyntax, field_name: str, findings: Findings) -> None:
    """One field that is worked out of others."""
    field = entity.fields[field_name]
    path: Path = ("entities", name, "fields", field_name)
    for word in ("owner", "conflict", "check", "join", "reference"):
        if getattr(field, word) is not None:
            findings.error("R369", (*path, word), f"{quoted(field_name)} is worked out of other fields, and nobody's"
                           f" writes of it count: {quoted(word)} means nothing here", key=True,
                           mend=f"leave out `derive` or {quoted(word)}")  # fmt: skip
    group = groups_by_field(entity).get(field_name)
    if group is not None:
        findings.error("R369", path, f"{quoted(field_name)} is worked out of other fields, and nobody's writes of it"
                       f" count: it cannot be decided with the group {quoted(group)}", key=True,
                       mend="take it out of the group")  # fmt: skip
    if not columns_of(entity, field):
        findings.error("R371", path, f"{quoted(field_name)} is worked out, and stored nowhere", key=True,
                       mend="name its column in a system, or take it out")  # fmt: skip


def check_circles(formulas: Formulas) -> None:
    """No field is worked out of itself, by however many others."""
    derived = formulas.looked_at()
    graph, rank = graph_of(derived), {name: at for at, name in enumerate(derived)}
    for component in nx.strongly_connected_components(graph):
        first = min(component, key=rank.__getitem__)
        if len(component) == 1 and first not in derived[first]:
            continue
        edges = [edge[:2] for edge in nx.find_cycle(graph.subgraph(component), source=first)][::-1]
        start = min(range(len(edges)), key=lambda at: rank[edges[at][1]])
        edges = edges[start:] + edges[:start]
        way = " → ".join([edges[0][1], *(other for other, _ in edges)])
        told = [(f"{quoted(name)} looks at {quoted(other)} here", (*formulas.top, "fields", name, "derive"))
                for other, name in edges]  # fmt: skip
        formulas.findings.error("R370", told[0][1], "a field is worked out of itself", found=quoted(way),
                                mend="take one of them out of another's expression", also=tuple(told[1:]))  # fmt: skip


def check_joins(name: str, entity: EntitySyntax, key: tuple[str, ...], findings: Findings) -> None:
    """All fields that are put together of others."""
    used: dict[str, Path] = {}
    for whole, field in entity.fields.items():
        if field.join is None or field.derive is not None:
            continue
        path: Path = ("entities", name, "fields", whole)
        if len(field.join.of) < PARTS_MIN or not field.join.with_:
            word, what = ("of", "two fields or more") if field.join.with_ else ("with", "a text that parts them")
            found = quoted(", ".join(field.join.of)) if field.join.with_ else "an empty text"
            findings.error("R375", (*path, "join", word), f"{what} must stand here", found=found)
        if whole in key:
            findings.error("R372", (*path, "join"), f"{quoted(whole)} is part of the key, and nothing else", key=True,
                           mend="take it out")  # fmt: skip
        if field.reference is not None:
            findings.error("R372", (*path, "reference"), f"{quoted(whole)} is put together of others, and refers to"
                           " nothing", key=True, mend="take it out")  # fmt: skip
        good = [_check_part(path, whole, at, entity, key, used, findings) for at in range(len(field.join.of))]
        if all(good):
            _check_places(name, whole, entity, findings)


def _check_part(path: Path, whole: str, at: int, entity: EntitySyntax, key: tuple[str, ...], used: dict[str, Path],
                findings: Findings) -> bool:  # fmt: skip
    """A part exists, is a field of its own kind, and is decided with the whole. False if nothing more can be said."""
    join = entity.fields[whole].join
    assert join is not None
    part, place = join.of[at], (*path, "join", "of", at)
    field = entity.fields.get(part)
    if field is None:
        findings.error("R372", place, f"there is no field {quoted(part)}", allowed=tuple(entity.fields),
                       mend=did_you_mean(part, entity.fields))  # fmt: skip
        return False
    why = "it is the whole itself" if part == whole else _why_no_part(part, field, key)
    if why:
        findings.error("R372", place, f"{quoted(part)} cannot be a part: {why}", mend="take it out")
        return False
    if part in used:
        findings.error("R376", place, f"{quoted(part)} is a part of two fields", mend="keep it in one",
                       also=(("it is a part here, too", used[part]),))  # fmt: skip
    used[part] = place
    for word in ("owner", "conflict"):
        if getattr(field, word) is not None:
            findings.error("R374", (*path[:-1], part, word), f"{quoted(part)} is decided with {quoted(whole)}, which is"
                           " put together of it", key=True, mend=f"say it at {quoted(whole)}",
                           also=(("it is a part here", place),))  # fmt: skip
    group_of = groups_by_field(entity)
    if group_of.get(part) != group_of.get(whole):
        grouped, missing = (part, whole) if part in group_of else (whole, part)
        findings.error("R374", place, f"{quoted(part)} is decided with {quoted(whole)}, and the group"
                       f" {quoted(group_of[grouped])} has {quoted(grouped)} only",
                       mend=f"add {quoted(missing)} to the group, or take {quoted(grouped)} out")  # fmt: skip
    return True


def _why_no_part(part: str, field: FieldSyntax, key: tuple[str, ...]) -> str:
    if part in key:
        return "it is part of the key, and never decided"
    if field.derive is not None:
        return "it is worked out of other fields"
    if field.reference is not None:
        return "it refers to a record"
    return "it is put together of others itself" if field.join is not None else ""


def _check_places(name: str, whole: str, entity: EntitySyntax, findings: Findings) -> None:
    """Each system has the whole, or all the parts, or nothing of it."""
    join = entity.fields[whole].join
    assert join is not None
    path: Path = ("entities", name, "fields", whole)
    columns = {part: columns_of(entity, entity.fields[part]) for part in join.of}
    for system in entity.bind:
        has = [part for part in join.of if system in columns[part]]
        if has and system in columns_of(entity, entity.fields[whole]):
            findings.error("R373", (*path, system), f"{quoted(system)} has {quoted(whole)} and its parts: one says what"
                           " the others do", key=True, found=listed(map(quoted, has)),
                           mend="bind the one or the others there")  # fmt: skip
        elif has and len(has) < len(join.of):
            lacking = [part for part in join.of if part not in has]
            findings.error("R373", (*path, "join"), f"{quoted(system)} has only some parts of {quoted(whole)}",
                           key=True, found=f"no {listed(map(quoted, lacking))}",
                           mend="bind all of them there, or the whole")  # fmt: skip


def check_joins_fit(name: str, entity: EntitySyntax, families: Mapping[str, str], findings: Findings) -> None:
    """A whole and its parts are texts. `families`: by field; "" where no catalog has told it."""
    for whole, field in entity.fields.items():
        for member in (whole, *field.join.of) if field.join is not None else ():
            if families[member] not in ("", "text"):
                findings.error("R377", ("entities", name, "fields", member), f"{quoted(member)} is no text: put"
                               " together and taken apart, it could come back as another value", key=True,
                               found=families[member], mend="join texts only")  # fmt: skip


def joint_systems(entity: EntitySyntax, field: str) -> set[str]:
    """The systems that have a field, or what it is put together of, or is a part of."""
    whole = whole_of(entity).get(field, field)
    join = entity.fields[whole].join
    names = (whole, *(part for part in join.of if part in entity.fields)) if join is not None else (whole,)
    return {system for name in names for system in columns_of(entity, entity.fields[name])}
