"""`run` and `status`: the engine in the foreground, and how it is doing."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.store import SqlStore
from engine.errors import StoreMissing
from rules import Loaded, Problem, find_store
from rules.durations import ALLOWED, microseconds
from service.commands.shadowed import shadow
from service.commands.sharing import print_shared, shared_status
from service.commands.standing import print_standing, seen, unanswered
from service.commands.terms import (
    RULES_WRONG,
    STOPPED,
    Json,
    Rules,
    harmless,
    moment,
    print_json,
    print_table,
    told,
)
from service.daemon import Daemon, Options
from service.day_one import MATCHED
from service.scaling.worker import Worker
from service.wiring import RulesRefused, open_store, read_rules

FRESH_S = 10.0
"""An engine that has not told its status for so long is not running."""


def run(
    rules: Rules,
    merge_again: Annotated[
        bool, typer.Option("--merge-again", help="Compare all systems again first, as on the first day.")
    ] = False,
    shadow_of: Annotated[
        Path | None,
        typer.Option("--shadow", metavar="IN_FORCE", help="Write nothing: tell what these rules would have done "
                     "otherwise than the rule file IN_FORCE, beside its engine.", show_default=False),
    ] = None,
    for_time: Annotated[
        str, typer.Option("--for", metavar="TIME", help="With --shadow: for so long (`10min`).", show_default=False)
    ] = "",
    values: Annotated[bool, typer.Option("--values", help="With --shadow: show the values, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --shadow: one JSON document a line.")] = False,
    worker: Annotated[
        bool, typer.Option("--worker", help="Share the work with other processes, over Kafka (`workers:`).")
    ] = False,
) -> None:
    """Keeps the systems in step, in the foreground, until SIGTERM. The first start compares what is there.

    Example: duolog run erp_crm.yaml

    Example: duolog run new.yaml --shadow erp_crm.yaml --for 10min

    Example: duolog run large.yaml --worker

    Exit codes: 0 stopped by SIGTERM, 1 an error that may pass, 2 the rule file is wrong, 3 a system stopped and needs
    a person, 4 the store is in use or unfit. SIGHUP reads the rules anew."""
    with told():
        if shadow_of is not None:
            for_us = _length(for_time)
            shadow(rules, shadow_of, for_s=for_us, values=values, as_json=as_json, log=log)
            return
        if worker:
            Worker(rules, log, merge_again=merge_again).run()
        else:
            Daemon(Options(rules, merge_again), log).run()
        log("stopped", "everything that was in hand is durable")


def _length(text: str) -> float | None:
    """Seconds; None: for ever. Ends the command if it is no length of time."""
    length = microseconds(text) if text else None
    if text and length is None:
        typer.echo(f"`{text}` is no length of time; allowed are: {', '.join(ALLOWED)}", err=True)
        raise typer.Exit(RULES_WRONG)
    return length / 1e6 if length is not None else None


def log(action: str, detail: str) -> None:
    """One line of the log: when, what, about what."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(f"{now} {action}: {' '.join(detail.splitlines())}\n")
    sys.stderr.flush()


def status(rules: Rules, as_json: Json = False) -> None:
    """How the engine is doing, from the store, whether it runs or not; and whether it refused the rules read last.

    Example: duolog status erp_crm.yaml --json

    Exit codes: 0 running or stopped in order, 2 the rules on the disk do not pass,
    3 a system or an entity is stopped, or users wait at COMMIT and nobody answers."""
    with told():
        shared = shared_status(rules)
        document = shared if shared is not None else read_status(rules)
    if as_json:
        print_json(document)
    elif shared is not None:
        print_shared(shared)
    else:
        _print_status(document, rules)
    stopped = any(system.get("state") == "stopped" for system in document["systems"].values())
    if document.get("stops") or stopped or unanswered(document["synchronous"]):
        raise typer.Exit(STOPPED)
    if document["rules"]["refused"] or document["rules"]["problems"]:
        raise typer.Exit(RULES_WRONG)


def read_status(rules: Rules) -> dict[str, Any]:
    """The engine's last document, with `engine.running` as it really is."""
    store, problems = _store_of(rules)
    text, waiting, counted = None, False, {}
    if store is not None:
        try:
            text = store.status()
            waiting = store.state().phase == MATCHED
            counted = {"holds": len(list(store.held())), "quarantine": len(list(store.quarantined()))}
        finally:
            store.close()
    document: dict[str, Any] = json.loads(text) if text else {
        "engine": {"running": False, "phase": "never started"}, "systems": {}, "counters": {}, "queues": {},
        "holds": 0, "quarantine": 0, "stops": [], "quiet": False,
    }
    document["rules"] = {"path": str(rules), "in_force_since": 0.0, "refused": None, **document.get("rules", {}),
                         "problems": [problem.json() for problem in problems]}  # fmt: skip
    engine = document["engine"]
    engine["running"] = runs(document)
    if waiting and not engine["running"]:
        engine["phase"] = f"compared, not accepted: duolog match {rules} --accept"
    if not engine["running"]:  # a start that was refused has told nothing of them
        document.update(counted)
    document["quiet"] = bool(document["quiet"]) and engine["running"]
    if not engine["running"] or not document.get("synchronous"):
        document["synchronous"] = seen(rules)
    return document


def _store_of(rules: Rules) -> tuple[SqlStore | None, list[Problem]]:
    """The store, if there is one, and what is wrong with the rules: an engine that runs on the old ones is asked, too.

    Raises RulesRefused if it cannot be told where the store is."""
    loaded: Loaded | None = None
    problems: list[Problem] = []
    try:
        loaded = read_rules(rules)
    except RulesRefused as refused:
        problems = refused.problems
    try:
        if loaded is not None and loaded.rules is not None:
            return open_store(loaded.rules, create=False), problems
        found = find_store(rules, os.environ)
        if found is None:
            raise RulesRefused(problems)
        name, store = found
        return SqlStore.open(store.reveal(), name=name, create=False), problems
    except StoreMissing:
        if problems:
            raise RulesRefused(problems) from None
        return None, problems


def runs(document: dict[str, Any]) -> bool:
    """True if the engine that wrote this document runs."""
    engine = document.get("engine", {})
    return bool(engine.get("running")) and _lives(engine)


def _lives(engine: dict[str, Any]) -> bool:
    if time.time() - engine.get("at", 0) > FRESH_S:
        return False
    if engine.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(engine["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _print_status(document: dict[str, Any], rules: Path) -> None:
    engine = document["engine"]
    phase = "" if engine.get("phase") == "running" else f", {engine.get('phase')}"
    running = f"running (pid {engine.get('pid')}){phase}" if engine["running"] else f"not running{phase}"
    typer.echo(f"engine: {running}{', quiet' if document['quiet'] else ''}")
    _print_rules(document["rules"])
    systems = [
        [name, s["state"], str(s["position"]), f"{s['lag_s']:.1f} s", " ".join(s["trouble"].split())]
        for name, s in document["systems"].items()
    ]
    if systems:
        print_table("systems", ["system", "state", "position", "lag", "trouble"], systems, "")
    print_standing(document["synchronous"], rules)
    if feed := document.get("feed"):
        begun = f"   {feed['beginning']} entities still being told from the start" if feed["beginning"] else ""
        typer.echo(f"feed: {feed['state']}   pages waiting: {feed['waiting']}{begun}")
        if feed["trouble"]:
            typer.echo(f"  {harmless(' '.join(feed['trouble'].split()))}")
    for stop in document.get("stops", []):
        typer.echo(f"STOPPED {stop['entity']} since {stop['since']}: {harmless(stop['why'])}")
        typer.echo(f"  mend: {harmless(stop['mend'])}")
    counters = [[name, str(value)] for name, value in document["counters"].items() if value]
    if counters:
        print_table("since start", ["what", "count"], counters, "")
    typer.echo(f"held for a person: {document['holds']}   in quarantine: {document['quarantine']}")


def _print_rules(rules: dict[str, Any]) -> None:
    """What is wrong with the rules that are not in force."""
    refused = rules["refused"]
    if refused is not None:
        at = moment(int(refused["at"] * 1_000_000))
        typer.echo(f"rules: refused at {at}; the old ones are in force")
        for text in refused["told"]:
            typer.echo(text)
    elif rules["problems"]:
        typer.echo(f"rules: {len(rules['problems'])} problems in what is on the disk now; `duolog check` tells them")
