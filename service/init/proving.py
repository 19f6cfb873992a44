"""Turns a draft into one that the rule language accepts: what it has something against is taken out, with the reason.

The text is loaded and compiled against the catalogs as `duolog check` does it, until nothing is wrong. A field that is
refused becomes a comment; an entity that is refused as a whole, too. So a first rule file never begins with an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from engine.catalog import Catalog
from rules import Problem, compile_book, load
from service.init.draft import Draft, EntityDraft, shown
from service.init.writing import numbers, written

tries_max: Final = 1_000
"""More than there could be fields to take out one by one."""


def proven(draft: Draft, catalogs: Mapping[str, Catalog], path: str, environ: Mapping[str, str]) -> str:
    """The text of a rule file that `check` has nothing against; what it had is taken out of the draft. `environ`: the
    variables that hold the addresses: where they say in which schema tables are, no other schema is looked for."""
    for _ in range(tries_max):
        lines = written(draft, path)
        text = "\n".join(line for line, _ in lines) + "\n"
        if not draft.entities:
            return text
        wrong = _problems(text, catalogs, environ)
        if not wrong:
            return text
        about = numbers(lines)
        known = {(entity, made) for entity, made in about.values() if entity}
        blamed = [(about.get(problem.place.line, ("", "")), problem) for problem in wrong]
        _take_out(draft, next((each for each in blamed if each[0] in known), (("", ""), wrong[0])))
    raise AssertionError("every round takes something out")


def _problems(text: str, catalogs: Mapping[str, Catalog], environ: Mapping[str, str]) -> list[Problem]:
    with TemporaryDirectory(prefix="duolog-init-") as folder:
        path = Path(folder, "rules.yaml")
        path.write_text(text, encoding="utf-8")
        loaded = load(path, environ)
        if loaded.rules is None:
            return loaded.problems
        _, problems = compile_book(loaded.rules, catalogs)
    return [problem for problem in problems if problem.severity == "error"]


def _take_out(draft: Draft, blamed: tuple[tuple[str, str], Problem]) -> None:
    (name, field), problem = blamed
    entity = next((each for each in draft.entities if each.name == name), draft.entities[-1])
    why = f"{problem.what} ({problem.code})"
    if field and field not in {named for named, _ in entity.identity}:
        made = next(each for each in entity.fields if each.name == field)
        entity.fields.remove(made)
        both = ", ".join(f"{system}: {column}" for system, column in made.columns.items())
        entity.left_out.append(f"{field}: {{{both}}}: {why}")
        return
    _take_out_entity(draft, entity, why)


def _take_out_entity(draft: Draft, entity: EntityDraft, why: str) -> None:
    draft.entities.remove(entity)
    named = {system: shown(table.name, draft.homes[system]) for system, table in entity.tables.items()}
    where = " and ".join(f"{system}.{table}" for system, table in named.items())
    draft.left_out.append(f"{entity.name} ({where}): {why}")
    for other in draft.entities:
        lost = [made for made in other.fields if made.reference == entity.name]
        for made in lost:
            other.fields.remove(made)
            other.left_out.append(f"{made.name}: it refers to {entity.name}, which is left out")
