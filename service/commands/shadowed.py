"""`run --shadow`: the differences between two rule files, told line by line while users go on, and counted at the end.

Turns what `service.shadow.following` finds into lines for people or programs. Values are shown only if asked for.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import typer

from engine.shadowing.comparing import Decided, Differing
from service.commands.terms import harmless, key_text, moment, print_table, value_text
from service.shadow.following import Seen, Shadow, Tally


class Log(Protocol):
    """One line of the log."""

    def __call__(self, action: str, detail: str) -> None: ...


def shadow(new: Path, old: Path, *, for_s: float | None, values: bool, as_json: bool, log: Log) -> None:
    """Follows until SIGTERM, SIGINT, or for so long. Raises RulesRefused, DuologError."""
    run = Shadow(new, old, log, lambda seen: typer.echo(json.dumps(_json(seen, values), ensure_ascii=False, default=str)
                                                        if as_json else _line(seen, values)))  # fmt: skip

    def stop(number: int, frame: FrameType | None) -> None:
        run.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    tally = run.run(for_s)
    if as_json:
        typer.echo(json.dumps({"summary": _summary(tally)}, ensure_ascii=False))
    else:
        _print(tally)


def _line(seen: Seen, values: bool) -> str:
    what = seen.what
    name = ", ".join(what.fields) or "the record"
    head = f"{moment(seen.committed_at)} {seen.system} {what.entity} {key_text(what.key)} {name}"
    return f"{head}: in force {_words(what.in_force, values)}; new {_words(what.tried, values)}"


def _words(decided: Decided, values: bool) -> str:
    """One side of a difference."""
    parts = [f"`{', '.join(value_text(v) for v in decided.value)}`"] if values else []
    parts += [f"waits: {decided.waits}"] if decided.waits else []
    writes = [
        f"{system} `{', '.join(value_text(v) for v in stored)}`" if values else system
        for system, stored in decided.writes
    ]
    parts.append(f"writes {', '.join(writes)}" if writes else "writes nothing")
    return harmless(f"{' '.join(parts)} ({decided.because})")


def _json(seen: Seen, values: bool) -> dict[str, Any]:
    what: Differing = seen.what
    return {
        "system": seen.system, "committed_at": moment(seen.committed_at), "position": seen.position,
        "entity": what.entity, "key": key_text(what.key), "fields": list(what.fields),
        "in_force": _side(what.in_force, values), "new": _side(what.tried, values),
    }  # fmt: skip


def _side(decided: Decided, values: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "because": decided.because, "waits": decided.waits, "writes": [system for system, _ in decided.writes],
    }  # fmt: skip
    if values:
        found["value"] = list(decided.value)
        found["stored"] = {system: list(stored) for system, stored in decided.writes}
    return found


def _summary(tally: Tally) -> dict[str, Any]:
    return {
        "transactions": tally.transactions, "own": tally.own, "alike": tally.alike, "too_large": tally.too_large,
        "taken_over": tally.taken_over,
        "differing": [
            {"entity": entity, "fields": fields, "in_force": force, "new": new, "count": n}
            for (entity, fields, force, new), n in sorted(tally.differing.items())
        ],
    }  # fmt: skip


def _print(tally: Tally) -> None:
    users = tally.transactions - tally.own
    typer.echo(f"{users} transactions of users, {tally.alike} decided alike, {tally.own} of the engine in force")
    if tally.too_large:
        typer.echo(f"{tally.too_large} were too large to be tried")
    rows = [[*(word or "the record" for word in place), str(n)] for place, n in sorted(tally.differing.items())]
    print_table("decided otherwise", ["entity", "fields", "in force", "new", "count"], rows, "no difference")
