"""`explain`, `journal`, `held`, `quarantine`: one record at a time, and what waits for a person.

Turns the store into text or JSON while the engine runs. It writes nothing, and opens no system.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from adapters.store import HoldRow, JournalRow
from engine.merge import EntityRules
from engine.record import Record, held_alive, held_row
from engine.rulebook import EXISTENCE
from service.commands.explained import Known, PositionText, explained, lines, version_json, without_key, without_keys
from service.commands.naming import Entity, Opened, named, opened, refuse, rules_of
from service.commands.settled import settled, watermarks
from service.commands.terms import (
    FINDINGS,
    Json,
    Rules,
    console,
    harmless,
    key_text,
    moment,
    print_json,
    print_lines,
    print_table,
    told,
    value_text,
    wrapped,
)

LIMIT_MAX = 100_000
LOOKS_LIKE = "identity: looks like "
"""What the reason of a hold begins with where nobody knows whether two records are one."""

Key = Annotated[
    list[str],
    typer.Argument(
        metavar="KEY",
        help="The values of its identity; where each system has a key of its own, also its id or SYSTEM:KEY.",
        show_default=False,
    ),
]


def explain(rules: Rules, entity: Entity, key: Key, as_json: Json = False) -> None:
    """Why a record is as it is: per field its value, where it came from, why it won, who holds else, who was overruled.

    Examples: duolog explain erp_crm.yaml customer C1001
    duolog explain erp_crm.yaml customer crm:17

    Exit codes: 0 found, 1 no such record, or several."""
    with told(), opened(rules) as place:
        chosen = rules_of(place, entity)
        name = named(place, chosen, key)
        store = place.at(entity, name.key)
        marks = watermarks(store, place.book.systems)
        state = store.load_committed(entity, [name.key]).get(name.key)
        if state is None:
            refuse(f"no record `{'/'.join(key)}` of `{entity}` is known", FINDINGS)
        known = Known(
            place.printed,
            journal=store.journal(entity, name.key, limit=200),
            quarantined={s: r for e, k, s, r in store.quarantined() if (e, k) == (entity, name.key)},
            keys_of=lambda parent, id: _keys(place.rules[parent], place.record(parent, id)),
            note=name.note,
        )
        document = explained(chosen, name.key, settled(state, chosen, marks), known)
    if as_json:
        print_json(document)
        return
    print_lines(lines(document, console().width))


def _keys(rules: EntityRules, record: Record | None) -> dict[str, str]:
    """A record's keys by system, in the order of the rule file."""
    return {s: record.keys[s] for s in rules.layouts if s in record.keys} if record is not None else {}


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
    with told(), opened(rules) as place:
        if key and not entity:
            raise typer.BadParameter("--key needs --entity")
        chosen = rules_of(place, entity) if entity else None
        record_key = named(place, chosen, [key]).key if key and chosen is not None else None
        found = place.store.journal(entity or None, record_key, limit=limit)
        more = place.store.journal_size(entity or None, record_key) - len(found)
        rows = [_without_keys(row, place) for row in found]
    if as_json:
        print_json([_journal_json(row, place.printed) for row in rows])
        return
    width = console().width
    print_lines((line for row in rows for line in _journal_lines(row, values, width)), "nothing in the journal")
    if more > 0:
        typer.echo(f"{more} older entries are not shown: --limit {min(LIMIT_MAX, limit + more)} shows them")


def _without_keys(row: JournalRow, place: Opened) -> JournalRow:
    """The entry with references as ids of records alone."""
    entry, rules = row.entry, place.rules.get(row.entry.entity)
    won, lost = (tuple(without_keys(rules, entry.fields, values)) for values in (entry.won, entry.lost))
    return replace(row, entry=replace(entry, won=won, lost=lost))


def _journal_lines(row: JournalRow, values: bool, width: int) -> Iterator[Text]:
    """One entry: when, which record and fields, what kind, who gave way to whom (with which values), and why."""
    entry = row.entry
    fields = f" {', '.join(entry.fields)}" if entry.fields else ""
    name = f"{entry.entity} {harmless(key_text(entry.key))}{fields}"
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


def _journal_json(row: JournalRow, printed: Mapping[str, PositionText]) -> dict[str, Any]:
    entry = row.entry
    return {
        "id": row.id, "at": moment(row.at), "entity": entry.entity, "key": key_text(entry.key),
        "fields": list(entry.fields), "kind": entry.kind, "because": entry.because,
        "winner": version_json(entry.winner, printed), "won": list(entry.won),
        "loser": version_json(entry.loser, printed), "lost": list(entry.lost),
    }


def held(rules: Rules, as_json: Json = False) -> None:
    """The conflicts that are left to a person, with each system's value.

    A record that looks like another one is listed with the two ways out: it is the other one (`merge-records`), or a
    record of its own (`resolve --take SYSTEM`).

    Example: duolog held erp_crm.yaml"""
    with told(), opened(rules) as place:
        found = [_held(place, hold, rules) for hold in place.store.holds() if hold.entity in place.rules]
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
        what = _values(kept) if isinstance(kept, list) else KEPT[kept]
        yield from wrapped(Text(f"{system} {what if kept == 'absent' else 'keeps ' + what}"), 4, width, hanging=4)
    for way in hold.get("mend", ()):
        yield from wrapped(Text(f"mend: {harmless(way)}"), 4, width, hanging=4)


KEPT = {"exists": "the record", "deleted": "its deletion", "absent": "has no row of it"}
"""What a system keeps where it is held whether a record exists."""


def _held(place: Opened, hold: HoldRow, file: Path) -> dict[str, Any]:
    rules, store = place.rules[hold.entity], place.at(hold.entity, hold.key)
    marks = watermarks(store, place.book.systems)
    state = store.load_committed(hold.entity, [hold.key]).get(hold.key)
    record = settled(state, rules, marks) if state is not None else None
    found = {
        "entity": hold.entity, "key": key_text(hold.key), "fields": list(rules.names(hold.register)),
        "since": moment(hold.since), "why": hold.why,
        "values": {s: _kept(rules, record, hold.register, s) for s in rules.layouts} if record is not None else {},
    }  # fmt: skip
    if record is not None and rules.entity.crossed:
        found["keys"] = {system: key_text(key) for system, key in _keys(rules, record).items()}
        if hold.register == EXISTENCE and hold.why.startswith(LOOKS_LIKE):
            found["mend"] = _ways_out(file, hold, record)
    return found


def _kept(rules: EntityRules, record: Record, register: int, system: str) -> object:
    """What a system has of a held register meanwhile."""
    side, layout = record.sides.get(system), rules.layouts[system]
    if register != EXISTENCE:
        row = held_row(record, side, layout)
        return [without_key(rules, number, row[number]) for number in layout.fields_of[register]]
    if held_alive(record, side):
        return "exists"
    looks_like = record.holds.get(EXISTENCE, "").startswith(LOOKS_LIKE)
    return "absent" if looks_like and system not in record.keys else "deleted"


def _ways_out(file: Path, hold: HoldRow, record: Record) -> list[str]:
    """What a person may say of a record that looks like others."""
    others = hold.why.removeprefix(LOOKS_LIKE).split(", ")
    system = next(iter(record.keys), "SYSTEM")
    which = others[0] if len(others) == 1 else "OTHER"
    return [
        f"`duolog merge-records {file} {hold.entity} {hold.key} {which}` if they are one",
        f"`duolog resolve {file} {hold.entity} {hold.key} --take {system}` if it is a record of its own",
    ]


def quarantine(rules: Rules, as_json: Json = False) -> None:
    """The records that a system refuses, with the reason. All else flows.

    Example: duolog quarantine erp_crm.yaml"""
    with told(), opened(rules) as place:
        found = [
            {"entity": e, "key": key_text(k), "system": s, "reason": r} for e, k, s, r in place.store.quarantined()
        ]
    if as_json:
        print_json(found)
        return
    rows = [[q["entity"], q["key"], q["system"], q["reason"]] for q in found]
    print_table("quarantine", ["entity", "key", "system", "reason"], rows, "nothing is in quarantine")
