"""How commits stand that wait for the other systems, for `duolog status`.

Turns what an engine's keepers told, or a look at the databases where no engine does, into lines and a document.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from engine.errors import DuologError
from service.commands.terms import moment, print_table
from service.synchronous.keeping import document
from service.wiring import RulesRefused, kits, known


def seen(rules: Path) -> dict[str, Any]:
    """Each synchronous system as its server tells it now; empty where the rules cannot be read."""
    try:
        told = known(rules)
    except RulesRefused:
        return {}
    at_hand, book = kits(told), told.book
    found: dict[str, Any] = {}
    for name, rule in book.synchronous.items():
        kit = at_hand[name]
        with closing(kit.switch(book)) as switch:
            try:
                found[name] = document(rule, switch.look(), kit.position_text)
                found[name]["longest_s"] = None  # one look does not tell for how long they have waited
            except DuologError as error:
                found[name] = {**document(rule, None, kit.position_text), "trouble": str(error)}
    return found


def unanswered(synchronous: dict[str, Any]) -> bool:
    """True if users wait at COMMIT somewhere, and nobody is there to answer."""
    return any(one["armed"] and not one["reading"] for one in synchronous.values())


def print_standing(synchronous: dict[str, Any], rules: Path) -> None:
    """Prints how each stands, and what there is to do."""
    if not synchronous:
        return
    rows = [
        [name, one["when_away"], _state(one), str(one["waiting"]),
         f"{one['longest_s']:.1f} s" if one["waiting"] and one["longest_s"] is not None else "", one["first_waits_for"],
         " ".join(one["trouble"].split())]
        for name, one in synchronous.items()
    ]  # fmt: skip
    columns = ["system", "when away", "commits", "waiting", "longest", "the first waits for", "trouble"]
    print_table("synchronous", columns, rows, "")
    for name, one in synchronous.items():
        if one["degraded"] is not None and one["degraded"]["stays"]:
            typer.echo(f"{name}: stays so until `duolog arm {rules} --system {name}`")
        elif one["armed"] and not one["reading"]:
            typer.echo(f"{name}: nobody answers: start the engine, or `duolog release {rules} --system {name}`")


def _state(one: dict[str, Any]) -> str:
    degraded = one["degraded"]
    if degraded is None:
        return "wait for the others" if one["armed"] else "do not wait"
    since = f"{degraded['since']} ({moment(int(degraded['since_at'] * 1_000_000))})"
    return f"do not wait since {since}: {degraded['why']} (by {degraded['by']})"
