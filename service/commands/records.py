"""`explain`, `journal`, `held`, `resolve`, `quarantine`, `retry`: one record at a time, and what waits for a person.

They read the store while the engine runs, and leave requests that it carries out; they write no system themselves.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.store import JournalRow, SqlStore
from engine.decide import KEY_SEPARATOR
from engine.merge import EntityRules
from engine.record import Record, decode, held_alive, held_row
from engine.rulebook import EXISTENCE, RuleBook
from engine.vocabulary import Version
from service.commands.terms import FINDINGS, RULES_WRONG, Json, Rules, print_json, print_table, told, value_text
from service.wiring import offline_book, open_store, read_rules

ANSWER_WITHIN_S = 10.0

Entity = Annotated[str, typer.Argument(metavar="ENTITY", show_default=False)]
Key = Annotated[list[str], typer.Argument(metavar="KEY", help="The values of its identity.", show_default=False)]


@contextmanager
def opened(rules: Path) -> Iterator[tuple[RuleBook, SqlStore]]:
    """The rule book, as far as it is known offline, and the store, for reading."""
    loaded = read_rules(rules)
    assert loaded.rules is not None
    book = offline_book(loaded)
    store = open_store(loaded.rules, create=False)
    try:
        yield book, store
    finally:
        store.close()


def rules_of(book: RuleBook, entity: str) -> EntityRules:
    """The entity's rules; ends the command if there is no such entity."""
    if entity not in book.entities:
        typer.echo(f"no entity `{entity}`; there are: {', '.join(book.entities)}", err=True)
        raise typer.Exit(RULES_WRONG)
    return EntityRules(book.entities[entity], 0)


def explain(rules: Rules, entity: Entity, key: Key, as_json: Json = False) -> None:
    """Why a record is as it is: per field its value, its version, where it came from, who holds what, who was overruled.

    Example: duolog explain erp_crm.yaml customer C1001

    Exit codes: 0 found, 1 no such record."""
    with told(), opened(rules) as (book, store):
        entity_rules = rules_of(book, entity)
        record_key = KEY_SEPARATOR.join(key)
        state = store.load_committed(entity, [record_key]).get(record_key)
        journal = store.journal(entity, record_key, limit=200)
        quarantined = {s: r for e, k, s, r in store.quarantined() if (e, k) == (entity, record_key)}
        if state is None:
            typer.echo(f"no record `{'/'.join(key)}` of `{entity}` is known", err=True)
            raise typer.Exit(FINDINGS)
        document = explained(entity_rules, record_key, decode(state), journal, quarantined)
    if as_json:
        print_json(document)
    else:
        _print_explained(document)


def explained(
    rules: EntityRules, key: str, record: Record, journal: list[JournalRow], quarantined: dict[str, str]
) -> dict[str, Any]:
    """The whole answer of `explain`, as plain values."""
    fields = []
    for register in rules.registers[1:]:
        version = record.version(register.number)
        for number, name in zip(register.fields, rules.names(register.number), strict=True):
            fields.append({
                "field": name,
                "value": record.values[number],
                "version": version.number,
                "from": version.system or version.note or "duolog",
                "committed_at": moment(version.committed_at),
                "position": version.position,
                "why": _why(version, register.owner, register.policy),
                "held": record.holds.get(register.number),
                "systems": _systems(rules, record, number),
                "overruled": [_overruled(row, name) for row in journal if name in row.entry.fields],
            })
    return {
        "entity": rules.name, "key": key.split(KEY_SEPARATOR), "exists": record.alive,
        "existence": [_overruled(row, "") for row in journal if not row.entry.fields],
        "held": record.holds.get(EXISTENCE), "fields": fields, "quarantine": quarantined,
        "kept_out": sorted(s for s, side in record.sides.items() if side.out),
    }


def _why(version: Version, owner: str | None, policy: str) -> str:
    if not version.system:
        return version.note
    if owner is not None:
        return f"{owner} owns it"
    return version.note or f"the last accepted write ({policy} decides conflicts)"


def _systems(rules: EntityRules, record: Record, number: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for system, layout in rules.layouts.items():
        side = record.sides.get(system)
        if number not in layout.bound or (side is not None and side.out) or not held_alive(record, side):
            found[system] = "(has no such record)" if number in layout.bound else "(has no such column)"
            continue
        value = held_row(record, side, layout)[number]
        due = side is not None and bool(side.due)
        found[system] = f"{value_text(value)} (a write is due)" if due else value
    return found


def _overruled(row: JournalRow, name: str) -> dict[str, object]:
    entry = row.entry
    place = entry.fields.index(name) if name in entry.fields else None
    return {
        "at": moment(row.at), "kind": entry.kind, "because": entry.because,
        "won": entry.won[place] if place is not None and place < len(entry.won) else None,
        "lost": entry.lost[place] if place is not None and place < len(entry.lost) else None,
        "winner": _version(entry.winner), "loser": _version(entry.loser),
    }


def _version(version: Version | None) -> dict[str, object] | None:
    if version is None:
        return None
    return {
        "system": version.system or version.note, "committed_at": moment(version.committed_at),
        "position": version.position, "number": version.number,
    }


def moment(microseconds: int) -> str:
    """A time for people; nothing where it is unknown."""
    if not microseconds:
        return ""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(sep=" ", timespec="milliseconds")


def _print_explained(document: dict[str, Any]) -> None:
    typer.echo(f"{document['entity']} {'/'.join(document['key'])}: {'exists' if document['exists'] else 'deleted'}")
    for note in document["existence"]:
        typer.echo(f"  {note['at']} {note['kind']}: {note['because']}")
    for system, reason in document["quarantine"].items():
        typer.echo(f"  in quarantine for {system}: {reason}")
    systems = list(document["fields"][0]["systems"]) if document["fields"] else []
    rows = [
        [
            f["field"], value_text(f["value"]), f["from"], f["committed_at"], f["why"],
            *[value_text(f["systems"][s]) for s in systems],
        ]
        for f in document["fields"]
    ]
    print_table("fields", ["field", "value", "from", "committed", "why", *systems], rows, "no fields")
    for field in document["fields"]:
        if field["held"]:
            typer.echo(f"{field['field']}: left to a person: {field['held']}")
        for note in field["overruled"]:
            loser = (note["loser"] or {}).get("system", "?")
            typer.echo(
                f"{field['field']}: {note['at']} {note['kind']}: `{value_text(note['lost'])}` of {loser} gave way to "
                f"`{value_text(note['won'])}`: {note['because']}"
            )


def journal(
    rules: Rules,
    entity: Annotated[str, typer.Option(help="Only this entity.")] = "",
    key: Annotated[str, typer.Option(help="Only this record.")] = "",
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=100_000)] = 50,
    values: Annotated[bool, typer.Option("--values", help="Show the values, too.")] = False,
    as_json: Json = False,
) -> None:
    """The writes that lost, the newest first: by whom, to whom, and why.

    Example: duolog journal erp_crm.yaml --entity customer --limit 20 --values"""
    with told(), opened(rules) as (_, store):
        rows = store.journal(entity or None, key or None, limit=limit)
    if as_json:
        print_json([_journal_json(row) for row in rows])
        return
    columns = ["at", "entity", "key", "fields", "kind", "because", *(["won", "lost"] if values else [])]
    shown = [
        [
            moment(r.at), r.entry.entity, r.entry.key.replace(KEY_SEPARATOR, "/"), ", ".join(r.entry.fields),
            r.entry.kind, r.entry.because,
            *([_values(r.entry.won), _values(r.entry.lost)] if values else []),
        ]
        for r in rows
    ]
    print_table("journal", columns, shown, "the journal is empty")


def _values(values: tuple[object, ...]) -> str:
    return ", ".join(value_text(v) for v in values)


def _journal_json(row: JournalRow) -> dict[str, Any]:
    entry = row.entry
    return {
        "id": row.id, "at": moment(row.at), "entity": entry.entity, "key": entry.key.replace(KEY_SEPARATOR, "/"),
        "fields": list(entry.fields), "kind": entry.kind, "because": entry.because, "winner": _version(entry.winner),
        "won": list(entry.won), "loser": _version(entry.loser), "lost": list(entry.lost),
    }


def held(rules: Rules, as_json: Json = False) -> None:
    """The conflicts that are left to a person, with each system's value.

    Example: duolog held erp_crm.yaml"""
    with told(), opened(rules) as (book, store):
        found = [_held(book, store, hold) for hold in store.holds()]
    if as_json:
        print_json(found)
        return
    rows = [
        [
            h["entity"], h["key"], ", ".join(h["fields"]) or "(the record)", h["since"], h["why"],
            "; ".join(f"{s}: {_values(tuple(v)) if isinstance(v, list) else v}" for s, v in h["values"].items()),
        ]
        for h in found
    ]
    print_table("held", ["entity", "key", "fields", "since", "why", "values"], rows, "nothing is held")


def _held(book: RuleBook, store: SqlStore, hold: Any) -> dict[str, Any]:
    rules = EntityRules(book.entities[hold.entity], 0)
    state = store.load_committed(hold.entity, [hold.key]).get(hold.key)
    values: dict[str, object] = {}
    if state is not None:
        record = decode(state)
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
    with told(), opened(rules) as (book, store):
        if truncated:
            system, _, name = truncated.partition(".")
            if restore == delete or name not in book.entities or system not in book.systems:
                raise typer.BadParameter("say --truncated SYSTEM.ENTITY with either --restore or --delete")
            arguments = {"system": system, "entity": name, "choice": "restore" if restore else "delete"}
            _ask(store, "truncated", arguments, as_json)
            return
        if take not in book.systems or not entity or not key:
            raise typer.BadParameter(f"name ENTITY and KEY, and --take one of {', '.join(book.systems)}")
        rules_of(book, entity)
        arguments = {"entity": entity, "key": key.replace("/", KEY_SEPARATOR), "field": field, "take": take}
        _ask(store, "resolve", arguments, as_json)


def quarantine(rules: Rules, as_json: Json = False) -> None:
    """The records that a system refuses, with the reason. All else flows.

    Example: duolog quarantine erp_crm.yaml"""
    with told(), opened(rules) as (_, store):
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
    with told(), opened(rules) as (_, store):
        arguments = {"entity": entity, "key": key.replace("/", KEY_SEPARATOR), "system": system}
        _ask(store, "retry", arguments, as_json)


def _ask(store: SqlStore, kind: str, arguments: dict[str, str], as_json: bool) -> None:
    """Leaves a request, and waits a moment for the engine's answer."""
    by = getpass.getuser()
    arguments = {**arguments, "by": by, "at": str(time.time_ns() // 1000)}
    number = store.ask(kind, arguments, by)
    deadline = time.monotonic() + ANSWER_WITHIN_S
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
