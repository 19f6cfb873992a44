"""`plan`: what would be written now under a rule file, without writing anything.

Turns a `Plan` into a table or JSON. What is planned, and how, is `service.shadow.planning`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from engine.foretelling import FieldIntent, Intent
from service.commands.terms import RULES_WRONG, Json, Rules, key_text, print_json, print_table, told, value_text
from service.shadow.planning import Basis, Plan, Tell, planned
from service.wiring import read_rules

BASES: dict[Basis, str] = {
    "first merge": "there is no base yet: this is what the first merge would write",
    "merge again": "the rules have other fields, groups, conversions or systems than the base: this is what "
    "`duolog run --merge-again` would write",
    "base": "on the base as it is known, with every row that differs from it taken as a user's write",
}
KINDS = {"insert": "create", "update": "update", "delete": "delete"}


def plan(
    rules: Rules,
    entity: Annotated[str, typer.Option(help="Only this entity.")] = "",
    values: Annotated[bool, typer.Option("--values", help="Show the values, too.")] = False,
    limit: Annotated[int, typer.Option(help="How many records to list; all are counted.", min=0)] = 50,
    as_json: Json = False,
) -> None:
    """Says what would be written now under this rule file, and why, without writing anything. Needs only to read.

    Example: duolog plan erp_crm.yaml --values

    Exit codes: 0 planned, 1 an error that may pass, 2 the rule file is wrong, 3 a system needs a person, 4 the store
    is unfit."""
    with told():
        loaded = read_rules(rules)
        assert loaded.rules is not None
        if entity and entity not in loaded.rules.entities:
            typer.echo(f"no entity `{entity}`; there are: {', '.join(loaded.rules.entities)}", err=True)
            raise typer.Exit(RULES_WRONG)
        with _watched(quiet=as_json) as tell:
            found = planned(rules, limit=limit, entity=entity or None, tell=tell)
    if as_json:
        print_json(_json(found, values))
    else:
        _print(found, values)


@contextmanager
def _watched(*, quiet: bool) -> Iterator[Tell]:
    """What is being done, on a terminal, while it is being done."""
    seen = Console(stderr=True)
    if quiet or not seen.is_terminal:
        yield lambda what: None
        return
    with seen.status("planning") as status:
        yield status.update


def _print(found: Plan, values: bool) -> None:
    typer.echo(BASES[found.basis])
    for words in found.stopped:
        typer.echo(f"stopped: {words}")
    for (system, entity), a in found.amounts.items():
        fields = ", ".join(f"{name} {n}" for name, n in a.fields.items())
        typer.echo(
            f"{system}: {entity}: {a.creates} to create, {a.updates} to update{f' ({fields})' if fields else ''}, "
            f"{a.deletes} to delete"
        )
    rows = [[i.system, i.entity, _key(i), KINDS[i.kind], _what(i, values), _because(i)] for i in found.intents]
    columns = ["system", "entity", "key", "what", "fields", "because"]
    print_table("would be written", columns, rows, "nothing would be written")
    if found.rows > len(rows):
        typer.echo(f"{found.rows} rows would be written, {len(rows)} are listed")
    holds = [[h.entity, key_text(h.key), h.why, "already" if old else "new"] for h, old in found.holds]
    if holds:
        print_table("would wait for a person", ["entity", "key", "why", "since"], holds, "")
    waiting = [[e, key_text(k), s, why, "already" if old else "new"] for (e, k, s, why), old in found.quarantine]
    if waiting:
        print_table("would be in quarantine", ["entity", "key", "system", "reason", "since"], waiting, "")


def _key(intent: Intent) -> str:
    own = f" ({key_text(intent.own)})" if intent.own else ""
    return key_text(intent.key) + own


def _what(intent: Intent, values: bool) -> str:
    if intent.kind == "delete":
        return ""
    return ", ".join(_field(each, intent.kind == "update") if values else each.name for each in intent.fields)


def _field(each: FieldIntent, had: bool) -> str:
    before = f"{value_text(each.held)} → " if had else ""
    return f"{each.name}: {before}{value_text(each.new)}"


def _because(intent: Intent) -> str:
    """One reason where all fields have the same; else each field's own."""
    if intent.because:
        return intent.because
    reasons = {each.because for each in intent.fields}
    if len(reasons) == 1:
        return reasons.pop()
    return "; ".join(f"{each.name}: {each.because}" for each in intent.fields)


def _json(found: Plan, values: bool) -> dict[str, Any]:
    return {
        "basis": found.basis,
        "rows": found.rows,
        "amounts": [
            {"system": system, "entity": entity, "creates": a.creates, "updates": a.updates, "deletes": a.deletes,
             "fields": a.fields}
            for (system, entity), a in found.amounts.items()
        ],
        "writes": [_intent(intent, values) for intent in found.intents],
        "holds": [
            {"entity": h.entity, "key": key_text(h.key), "why": h.why, "already": old} for h, old in found.holds
        ],
        "quarantine": [
            {"entity": e, "key": key_text(k), "system": s, "reason": why, "already": old}
            for (e, k, s, why), old in found.quarantine
        ],
        "stopped": found.stopped,
    }  # fmt: skip


def _intent(intent: Intent, values: bool) -> dict[str, Any]:
    return {
        "system": intent.system, "entity": intent.entity, "key": key_text(intent.key),
        **({"own_key": key_text(intent.own)} if intent.own else {}),
        "what": KINDS[intent.kind], **({"because": intent.because} if intent.because else {}),
        "fields": [
            {"field": f.name, "because": f.because, **({"new": f.new, "held": f.held} if values else {})}
            for f in intent.fields
        ],
    }  # fmt: skip
