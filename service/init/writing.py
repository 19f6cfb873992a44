"""Turns a draft into the text of a rule file, in the style of the examples, with its open questions as comments.

Pure. Every line knows what it is about, so that a problem at a line can be told from others. No address, no password
and no row is in it: addresses are the names of environment variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from adapters.relational.live import TableName
from service.commands.terms import harmless
from service.init.draft import Draft, EntityDraft, FieldDraft, shown
from service.init.inheriting import key_of

About: TypeAlias = "tuple[str, str]"
"""(entity, field); "" where a line is about no field, or about no entity"""
Line: TypeAlias = "tuple[str, About]"

comment_column: Final = 56
NUMBERS: Final = {"0": "1", "1": "0"}
"""Yes and no as numbers: of a number nobody knows its opposite, unless it is said."""
PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")

HEAD: Final = """\
# A first proposal by `duolog init`, guessed from names, types, keys and foreign keys. Read it line by line: every
# question in it is one that only you can answer. As it stands, it lets nobody be overwritten:
#
#   conflict: hold    two values that differ wait for a person, and on the first day every difference is one. Where one
#                     system is right, say `owner: {first}`; where the later write may win, `last_writer`.
#   delete: hold      a deletion waits for a person, too; `propagate` deletes everywhere.
#   create: […]       rows that are in one system only are made in the others. Leave a system out, and its new rows
#                     stay its own.
#
# Next: {exports}
#       duolog check {path}
"""


def written(draft: Draft, path: str) -> list[Line]:
    """The lines of the file, without their ends. A name out of a database may have a line's end in it: written out, it
    is the same name in quotes, and no line of its own in a comment."""
    exports = " ".join(f"export {variable(system)}=…" for system in draft.systems)
    head = HEAD.format(first=draft.systems[0], exports=exports, path=path).split("\n")
    lines: list[Line] = [(line, ("", "")) for line in (*head, "duolog: 1", "", "systems:")]
    lines += [(f'  {s}: {{adapter: {draft.adapters[s]}, url: "${{{variable(s)}}}"}}', ("", "")) for s in draft.systems]
    lines += [("", ("", "")), ("entities:", ("", ""))]
    for entity in draft.entities:
        lines += _entity(entity, draft)
        lines.append(("", ("", "")))
    lines += [(line, ("", "")) for line in _rest(draft)]
    while not lines[-1][0]:
        lines.pop()
    return [(harmless(line), about) for line, about in lines]


def variable(system: str) -> str:
    """The environment variable that holds a system's address."""
    return f"{system.upper()}_URL"


def _entity(entity: EntityDraft, draft: Draft) -> Iterator[Line]:
    about = (entity.name, "")
    here = [system for system in draft.systems if system in entity.tables]
    yield _with(f"  {entity.name}:", f"these tables look alike to {round(100 * entity.likeness)} %"), about
    identity = ", ".join(_identity(name, form) for name, form in entity.identity)
    yield _with(f"    identity: [{identity}]", entity.identity_question), about
    yield _with("    conflict: hold", f"who owns it? {' or '.join(here)}, or whoever writes last?"), about
    yield _with(f"    create: [{', '.join(here)}]", "may each of them make new ones?"), about
    yield "    delete: hold", about
    yield "    bind:", about
    for system in here:
        yield from _binding(entity, system, draft.homes[system])
    yield "    fields:", about
    for made in entity.fields:
        columns = _columns(made, here, draft.homes)
        yield _with(f"      {plain(made.name)}: {columns}", made.question), (entity.name, made.name)
    for said in entity.left_out:
        yield f"      # {said}", about


def _binding(entity: EntityDraft, system: str, home: str) -> Iterator[Line]:
    about = (entity.name, "")
    table = entity.tables[system]
    words = _table(table.name, home)
    if not entity.shared_key:
        key = [plain(column) for column in key_of(table)]
        words.append("key: " + (key[0] if len(key) == 1 else f"[{', '.join(key)}]"))
    yield f"      {system}:", about
    for word in words:
        yield f"        {word}", about
    if table.parents:
        yield "        parts:", about
        for part, name, on in table.parents:
            where = ", ".join(_table(name, home))
            yield _with(f'          {part}: {{{where}, on: "{on}"}}', "one key: both rows are the record"), about
    if system in entity.inactive:
        marks = ", ".join(f'{plain(column)}: "{value}"' for column, value in entity.inactive[system].items())
        yield _with(f"        deactivate: {{{marks}}}", "a row like this is gone: is it so?"), about
        numbers = {column: value for column, value in entity.inactive[system].items() if value in NUMBERS}
        if numbers:
            alive = ", ".join(f'{plain(column)}: "{NUMBERS[value]}"' for column, value in numbers.items())
            yield f"        reactivate: {{{alive}}}", about
    if entity.created.get(system):
        yield _with("        on_create:", "what a new row must have, and no field brings: guesses"), about
        for column, value in entity.created[system].items():
            yield f"          {plain(column)}: {text(value)}", about


def _columns(made: FieldDraft, here: Iterable[str], homes: Mapping[str, str]) -> str:
    systems = [system for system in here if system in made.columns]
    names = {made.columns[system] for system in systems}
    simple = not (made.reference or made.lookups or made.maps)
    if simple and len(names) == 1 and len(systems) == len(list(here)):
        return plain(names.pop())
    found = [f"{system}: {_column(made, system, homes[system])}" for system in systems]
    if made.reference:
        found.append(f"reference: {made.reference}")
    return "{" + ", ".join(found) + "}"


def _column(made: FieldDraft, system: str, home: str) -> str:
    column = plain(made.columns[system])
    words = [f"column: {column}"]
    if system in made.lookups:
        table, key, by = made.lookups[system]
        words.append(f"lookup: {{{', '.join(_table(table, home))}, key: {plain(key)}, by: {plain(by)}}}")
    if system in made.maps:
        words.append("map: {" + ", ".join(f"{text(a)}: {text(b)}" for a, b in made.maps[system].items()) + "}")
    return column if len(words) == 1 else "{" + ", ".join(words) + "}"


def _rest(draft: Draft) -> Iterator[str]:
    """What is not in the file, as comments."""
    for said in draft.left_out:
        yield f"# Left out: {said}."
    for system, tables in draft.unpaired.items():
        if tables:
            yield f"# Tables of {system} that look like none of the others':"
            yield from (f"#   {said}" for said in tables)


def _table(name: TableName, home: str) -> list[str]:
    """The words that name a table: its schema by itself only where a dot would be taken for one."""
    schema, table = name
    if "." in schema + table:
        return [f"schema: {text(schema)}", f"table: {text(table)}"]
    return [f"table: {text(shown(name, home))}"]


def _identity(name: str, form: str) -> str:
    return plain(name) if form == "exact" else f"{{field: {plain(name)}, same: {form}}}"


def _with(line: str, comment: str) -> str:
    return f"{line:<{comment_column}} # {comment}" if comment else line


def plain(name: str) -> str:
    """A name, in quotes if YAML wants them."""
    return text(name)


def text(value: str) -> str:
    """A text, in quotes if YAML wants them."""
    if PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


RESERVED: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What other readers of YAML take for something else than a text."""


def numbers(lines: Iterable[Line]) -> Mapping[int, About]:
    """By line number of the file, from 1: what it is about."""
    return {number: about for number, (_, about) in enumerate(lines, 1)}
