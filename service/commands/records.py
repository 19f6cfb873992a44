"""`explain`, `journal`, `held`, `resolve`, `quarantine`, `retry`: one record at a time, and what waits for a person.

They read the store while the engine runs, and leave requests that it carries out; they write no system themselves.
"""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from adapters.store import HoldRow, JournalRow, SqlStore
from engine.assembly import KEY_SEPARATOR
from engine.merge import EntityRules
from engine.record import Mark, held_alive, held_row
from engine.rulebook import EXISTENCE, RuleBook
from service.commands.engine import runs
from service.commands.explained import PositionText, explained, lines, version_json
from service.commands.settled import settled, watermarks
from service.commands.terms import (
    FINDINGS,
    RULES_WRONG,
    Json,
    Rules,
    console,
    harmless,
    moment,
    print_json,
    print_lines,
    print_table,
    told,
    value_text,
    wrapped,
)
from service.wiring import kits, offline_book, open_store, read_rules

ANSWER_WITHIN_S = 10.0
LIMIT_MAX = 100_000

Entity = Annotated[str, typer.Argument(metavar="ENTITY", show_default=False)]
Key = Annotated[list[str], typer.Argument(metavar="KEY", help="The values of its identity.", show_default=False)]


class Opened(NamedTuple):
    """What the commands of this module look into."""

    book: RuleBook
    """As far as it is known offline."""
    store: SqlStore
    printed: dict[str, PositionText]
    """By system: how it prints a position."""


@contextmanager
def opened(rules: Path) -> Iterator[Opened]:
    """The rule book and the store, for reading. No system is opened."""
    loaded = read_rules(rules)
    assert loaded.rules is not None
    book = offline_book(loaded)
    store = open_store(loaded.rules, create=False)
    try:
        yield Opened(book, store, {name: kit.position_text for name, kit in kits(loaded.rules).items()})
    finally:
        store.close()


def rules_of(book: RuleBook, entity: str) -> EntityRules:
    """The entity's rules; ends the command if there is no such entity."""
    if entity not in book.entities:
        typer.echo(f"no entity `{entity}`; there are: {', '.join(book.entities)}", err=True)
        raise typer.Exit(RULES_WRONG)
    return EntityRules(book.entities[entity], 0)


def key_of(rules: EntityRules, words: list[str]) -> str:
    """The record key that these words name: one for each field of the identity, or all in one with `/` between them.

    Ends the command if there are too few or too many."""
    names = [rules.entity.fields[number].name for number in rules.entity.key]
    if len(words) == 1 and len(names) > 1:
        words = words[0].split("/")
    if len(words) != len(names):
        typer.echo(f"the key of `{rules.name}` is {' / '.join(names)}: {len(words)} values given", err=True)
        raise typer.Exit(RULES_WRONG)
    return KEY_SEPARATOR.join(words)


def explain(rules: Rules, entity: Entity, key: Key, as_json: Json = False) -> None:
    """Why a record is as it is: per field its value, where it came from, why it won, who holds else, who was overruled.

    Example: duolog explain erp_crm.yaml customer C1001

    Exit codes: 0 found, 1 no such record."""
    with told(), opened(rules) as (book, store, printed):
        entity_rules = rules_of(book, entity)
        record_key = key_of(entity_rules, key)
        marks = watermarks(store, book.systems)
        state = store.load_committed(entity, [record_key]).get(record_key)
        journal = store.journal(entity, record_key, limit=200)
        quarantined = {s: r for e, k, s, r in store.quarantined() if (e, k) == (entity, record_key)}
        if state is None:
            typer.echo(f"no record `{'/'.join(key)}` of `{entity}` is known", err=True)
            raise typer.Exit(FINDINGS)
        record = settled(state, entity_rules, marks)
        document = explained(entity_rules, record_key, record, journal, quarantined, printed)
    if as_json:
        print_json(document)
        return
    print_lines(lines(document, console().width))


def journal(
    rules: Rules,
    entity: Annotated[str, typer.Option(help="Only this entity.")] = "",
    key: Annotated[str, typer.Option(help="Only this record.")] = "",
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=LIMIT_MAX)] = 50,
    values: Annotated[bool, typer.Option("--values", help="Show the values, too.")] = False,
    as_json: Json = False,
) -> None:
    """The writes that lost, the newest first: by whom, to whom, and why.

    Example: duolog journal erp_crm.yaml --entity customer --limit 20 --values"""
    with told(), opened(rules) as (book, store, printed):
        if key and not entity:
            raise typer.BadParameter("--key needs --entity")
        rules_of_entity = rules_of(book, entity) if entity else None
        record_key = key_of(rules_of_entity, [key]) if key and rules_of_entity else None
        rows = store.journal(entity or None, record_key, limit=limit)
        more = store.journal_size(entity or None, record_key) - len(rows)
    if as_json:
        print_json([_journal_json(row, printed) for row in rows])
        return
    width = console().width
    print_lines((line for row in rows for line in _journal_lines(row, values, width)), "nothing in the journal")
    if more > 0:
        typer.echo(f"{more} older entries are not shown: --limit {min(LIMIT_MAX, limit + more)} shows them")


def _journal_lines(row: JournalRow, values: bool, width: int) -> Iterator[Text]:
    """One entry: when, which record and fields, what kind, who gave way to whom (with which values), and why."""
    entry = row.entry
    fields = f" {', '.join(entry.fields)}" if entry.fields else ""
    name = f"{entry.entity} {harmless(entry.key.replace(KEY_SEPARATOR, '/'))}{fields}"
    sides = [
        f"{_values(written)} of {by}" if values and written else by
        for version, written in ((entry.loser, entry.lost), (entry.winner, entry.won))
        if version is not None and (by := harmless(version.system or version.note or "duolog"))
    ]
    met = f": {' gave way to '.join(sides)}" if len(sides) == 2 else ""
    if entry.kind == "hold":
        met = f": {' and '.join(sides)}" if values else ""
    said = Text.assemble(f"{moment(row.at)} ", (name, "bold"), f": {entry.kind}{met}: {harmless(entry.because)}")
    yield from wrapped(said, 0, width, hanging=4)


def _values(values: Iterable[object]) -> str:
    return ", ".join(f"`{harmless(value_text(value))}`" for value in values)


def _journal_json(row: JournalRow, printed: dict[str, PositionText]) -> dict[str, Any]:
    entry = row.entry
    return {
        "id": row.id, "at": moment(row.at), "entity": entry.entity, "key": entry.key.replace(KEY_SEPARATOR, "/"),
        "fields": list(entry.fields), "kind": entry.kind, "because": entry.because,
        "winner": version_json(entry.winner, printed), "won": list(entry.won),
        "loser": version_json(entry.loser, printed), "lost": list(entry.lost),
    }


def held(rules: Rules, as_json: Json = False) -> None:
    """The conflicts that are left to a person, with each system's value.

    Example: duolog held erp_crm.yaml"""
    with told(), opened(rules) as (book, store, _):
        marks = watermarks(store, book.systems)
        found = [_held(book, store, hold, marks) for hold in store.holds()]
    if as_json:
        print_json(found)
        return
    width = console().width
    print_lines((line for hold in found for line in _held_lines(hold, width)), "nothing is held")


def _held_lines(hold: dict[str, Any], width: int) -> Iterator[Text]:
    name = f"{hold['entity']} {harmless(hold['key'])} {', '.join(hold['fields']) or '(whether it exists)'}"
    said = Text.assemble((name, "bold"), f": since {hold['since']}: {harmless(hold['why'])}")
    yield from wrapped(said, 0, width, hanging=4)
    for system, kept in hold["values"].items():
        what = _values(kept) if isinstance(kept, list) else "the record" if kept == "exists" else "its deletion"
        yield from wrapped(Text(f"{system} keeps {what}"), 4, width, hanging=4)


def _held(book: RuleBook, store: SqlStore, hold: HoldRow, marks: dict[str, Mark]) -> dict[str, Any]:
    rules = EntityRules(book.entities[hold.entity], 0)
    state = store.load_committed(hold.entity, [hold.key]).get(hold.key)
    values: dict[str, object] = {}
    if state is not None:
        record = settled(state, rules, marks)
        for system, layout in rules.layouts.items():
            side = record.sides.get(system)
            if hold.register == EXISTENCE:
                values[system] = "exists" if held_alive(record, side) else "deleted"
            else:
                row = held_row(record, side, layout)
                values[system] = [row[f] for f in layout.fields_of[hold.register]]
    return {
        "entity": hold.entity, "key": hold.key.replace(KEY_SEPARATOR, "/"), "fields": list(rules.names(hold.register)),
        "since": moment(hold.since), "why": hold.why, "values": values,
    }


def resolve(
    rules: Rules,
    entity: Annotated[str, typer.Argument(metavar="[ENTITY", show_default=False)] = "",
    key: Annotated[str, typer.Argument(metavar="KEY", show_default=False)] = "",
    field: Annotated[str, typer.Argument(metavar="FIELD]", show_default=False)] = "",
    take: Annotated[str, typer.Option(help="The system whose value is to be everybody's.")] = "",
    truncated: Annotated[str, typer.Option(help="SYSTEM.ENTITY: a table that was emptied by TRUNCATE.")] = "",
    restore: Annotated[bool, typer.Option("--restore", help="Fill it again from the other systems.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the records everywhere.")] = False,
    as_json: Json = False,
) -> None:
    """Decides a held conflict, or says what an emptied table means. Without FIELD, all that is held of the record.

    Examples: duolog resolve erp_crm.yaml customer C1001 terms --take erp
    duolog resolve erp_crm.yaml --truncated crm.customer --restore"""
    with told(), opened(rules) as (book, store, _):
        if truncated:
            system, _, name = truncated.partition(".")
            if restore == delete or name not in book.entities or system not in book.systems:
                raise typer.BadParameter("say --truncated SYSTEM.ENTITY with either --restore or --delete")
            arguments = {"system": system, "entity": name, "choice": "restore" if restore else "delete"}
            _ask(store, "truncated", arguments, as_json)
            return
        if take not in book.systems or not entity or not key:
            raise typer.BadParameter(f"name ENTITY and KEY, and --take one of {', '.join(book.systems)}")
        chosen = rules_of(book, entity)
        names = [f.name for f in chosen.entity.fields]
        if field and field not in names:
            raise typer.BadParameter(f"`{entity}` has no field `{field}`; it has: {', '.join(names)}")
        record_key = key_of(chosen, [key])
        arguments = {"entity": entity, "key": record_key, "field": field, "take": take}
        _ask(store, "resolve", arguments, as_json)


def quarantine(rules: Rules, as_json: Json = False) -> None:
    """The records that a system refuses, with the reason. All else flows.

    Example: duolog quarantine erp_crm.yaml"""
    with told(), opened(rules) as (_, store, _):
        found = [
            {"entity": e, "key": k.replace(KEY_SEPARATOR, "/"), "system": s, "reason": r}
            for e, k, s, r in store.quarantined()
        ]
    if as_json:
        print_json(found)
        return
    rows = [[q["entity"], q["key"], q["system"], q["reason"]] for q in found]
    print_table("quarantine", ["entity", "key", "system", "reason"], rows, "nothing is in quarantine")


def retry(
    rules: Rules,
    entity: Annotated[str, typer.Argument(metavar="[ENTITY", show_default=False)] = "",
    key: Annotated[str, typer.Argument(metavar="KEY]", show_default=False)] = "",
    system: Annotated[str, typer.Option(help="Only for this system.")] = "",
    as_json: Json = False,
) -> None:
    """Tries records in quarantine again: all, those of an entity, or one.

    Example: duolog retry erp_crm.yaml customer C1001"""
    with told(), opened(rules) as (book, store, _):
        chosen = rules_of(book, entity) if entity else None
        record_key = key_of(chosen, [key]) if key and chosen is not None else ""
        if system and system not in book.systems:
            raise typer.BadParameter(f"--system is one of {', '.join(book.systems)}")
        arguments = {"entity": entity, "key": record_key, "system": system}
        _ask(store, "retry", arguments, as_json)


def _ask(store: SqlStore, kind: str, arguments: dict[str, str], as_json: bool) -> None:
    """Leaves a request, and waits a moment for the engine's answer, if one runs."""
    by = getpass.getuser()
    arguments = {**arguments, "by": by, "at": str(time.time_ns() // 1000)}
    number = store.ask(kind, arguments, by)
    deadline = time.monotonic() + (ANSWER_WITHIN_S if runs(json.loads(store.status() or "{}")) else 0)
    answer = None
    while answer is None and time.monotonic() < deadline:
        answer = store.answer(number)
        if answer is None:
            time.sleep(0.1)
    words = answer or "noted: it is carried out when the engine runs"
    if as_json:
        print_json({"request": number, "answer": answer})
    else:
        typer.echo(words)
