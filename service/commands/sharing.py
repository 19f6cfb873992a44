"""`status` of workers, and `workers`: who shares the work, and how the records are shared out.

Turns a plan, and what engines and readers told last, into tables or JSON. It writes nothing, and opens no system.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import typer

from engine.errors import StoreMissing
from engine.flows import Plan
from rules import RuleFile
from rules.flows import plan_of
from service.commands.terms import RULES_WRONG, Json, Rules, print_json, print_table, told
from service.scaling.looking import Parts, readers_of
from service.wiring import RulesRefused, offline_book, read_rules

FRESH_S: Final = 10.0
"""Who has not told anything for so long is not at work."""


def workers(
    rules: Rules,
    as_json: Json = False,
) -> None:
    """How the records are shared out among the workers: each flow, by what it is spread, and if not, why not.

    Example: duolog workers large.yaml

    Exit codes: 0 told, 2 the rules do not pass, or say nothing of workers."""
    with told():
        loaded = read_rules(rules)
        assert loaded.rules is not None
        if loaded.rules.workers is None:
            typer.echo("the rules say nothing of workers: one engine does all of it", err=True)
            raise typer.Exit(RULES_WRONG)
        plan = plan_of(offline_book(loaded), loaded.rules.workers.partitions)
    if as_json:
        print_json({"partitions": plan.partitions, "flows": flows_json(plan)})
        return
    rows = [
        [", ".join(flow.entities), flow.why, "all" if flow.spread else str(flow.partitions[0])] for flow in plan.flows
    ]
    print_table(f"{plan.partitions} partitions", ["flow", "why", "partitions"], rows, "")


def flows_json(plan: Plan) -> list[dict[str, Any]]:
    """The flows, for programs."""
    return [
        {"entities": list(flow.entities), "root": flow.root, "spread": flow.spread, "why": flow.why,
         "partitions": list(flow.partitions)}
        for flow in plan.flows
    ]  # fmt: skip


def shared_status(path: Path) -> dict[str, Any] | None:
    """What all workers tell together; None if the rules are for one engine, or do not say (then they are told wrong
    elsewhere). Raises StoreUnfit."""
    try:
        loaded = read_rules(path)
    except RulesRefused:
        return None
    rules = loaded.rules
    if rules is None or rules.workers is None:
        return None
    plan = plan_of(offline_book(loaded), rules.workers.partitions)
    found, counts = _partitions(rules, plan)
    readers = readers_of(rules)
    for told_last in (*found, *readers.values()):
        engine = told_last["engine"]
        engine["running"] = bool(engine.get("running")) and time.time() - engine.get("at", 0) < FRESH_S
        if not engine["running"] and told_last["state"] in ("running", "starting", "first merge"):
            told_last["state"] = "not running"
    at_work = [part for part in found if part["engine"]["running"]]
    return {
        "engine": {"running": bool(at_work), "phase": f"{len(at_work)} of {plan.partitions} partitions at work"},
        "rules": {"path": str(path), "refused": None, "problems": []},
        "partitions": found, "readers": readers, "flows": flows_json(plan), "systems": _systems(found, readers),
        "counters": _summed(found), "stops": [stop for part in found for stop in part.get("stops", [])],
        "synchronous": {}, **counts, "quiet": len(at_work) == plan.partitions and all(p.get("quiet") for p in found),
    }  # fmt: skip


def _partitions(rules: RuleFile, plan: Plan) -> tuple[list[dict[str, Any]], dict[str, int]]:
    try:
        parts = Parts(rules, plan)
    except StoreMissing:
        return [], {"holds": 0, "quarantine": 0}
    try:
        return list(parts.statuses()), {"holds": len(parts.held()), "quarantine": len(parts.quarantined())}
    finally:
        parts.close()


def _systems(parts: list[dict[str, Any]], readers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By system: where its reader is, and the most that any partition is behind."""
    found = {}
    for system, reader in readers.items():
        lags = [part["systems"][system]["lag_s"] for part in parts if system in part.get("systems", {})]
        found[system] = {
            "state": reader["state"], "reader": reader["state"], "position": reader.get("position", ""),
            "lag_s": max(lags, default=0.0), "trouble": reader.get("trouble", ""),
        }  # fmt: skip
    return found


def _summed(parts: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for name, count in part.get("counters", {}).items():
            found[name] = found.get(name, 0) + count
    return found


def print_shared(document: dict[str, Any]) -> None:
    """The same for people."""
    typer.echo(f"workers: {document['engine']['phase']}{', quiet' if document['quiet'] else ''}")
    rows = [
        [name, reader["state"], _who(reader), str(reader["epoch"]), reader.get("position", ""), _line(reader)]
        for name, reader in document["readers"].items()
    ]
    print_table("readers", ["system", "state", "worker", "epoch", "position", "trouble"], rows, "no reader has begun")
    rows = [
        [str(part["partition"]), part["state"], _who(part), str(part["epoch"]), _lags(part), _line(part)]
        for part in document["partitions"]
    ]
    print_table("partitions", ["partition", "state", "worker", "epoch", "lag", "trouble"], rows, "no engine has begun")
    counters = [[name, str(value)] for name, value in document["counters"].items() if value]
    print_table("since each was taken over", ["what", "count"], counters, "")
    typer.echo(f"held for a person: {document['holds']}   in quarantine: {document['quarantine']}")


def _who(told_last: dict[str, Any]) -> str:
    engine = told_last["engine"]
    return f"{engine['pid']} on {engine['host']}" if "pid" in engine else ""


def _lags(part: dict[str, Any]) -> str:
    lags = [system["lag_s"] for system in part.get("systems", {}).values()]
    return f"{max(lags):.1f} s" if lags else ""


def _line(told_last: dict[str, Any]) -> str:
    return " ".join(told_last.get("trouble", "").split())
