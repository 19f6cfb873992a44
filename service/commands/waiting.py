"""`release`, `arm`, `watchdog`: what a person, or a service beside the database, does about commits that wait.

Turns a command into calls of a database's own switch. It needs no store, no catalog and no engine, so that it works
when all of these are gone; nor do the rules have to be right beyond their systems.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.relational.switch import Switch, SwitchState
from engine.errors import DuologError, NotSetUp, SystemStopped
from service.commands.engine import log
from service.commands.terms import FINDINGS, STOPPED, Json, Rules, moment, print_json, told
from service.synchronous.watchdog import OF_ENGINE, Watchdog
from service.wiring import Kit, kits, known

ARMED_WITHIN_S = 15.0
"""How long `arm` looks whether the engine arms."""
LOOK_EVERY_S = 0.1

System = Annotated[str, typer.Option(help="Only this system.", show_default=False)]


def release(
    rules: Rules,
    system: System = "",
    stay: Annotated[bool, typer.Option("--stay", help="Not to be armed again before `duolog arm`.")] = False,
    as_json: Json = False,
) -> None:
    """Lets everybody go at once who waits at COMMIT for the other systems, and all that follow; the range of the log is
    recorded. Works whether an engine runs or not; one that runs arms again when all is caught up, but for --stay.

    Examples: duolog release erp_crm.yaml
    duolog release erp_crm.yaml --system erp --stay

    Exit codes: 0 nobody waits, 1 a system could not be reached, 2 the rule file is wrong, or has no such system, 3 a
    right is missing."""
    with told():
        done: list[dict[str, Any]] = []
        failed: list[DuologError] = []
        for kit, switch in _switches(rules, system):
            before: SwitchState | None = None
            try:
                with suppress(NotSetUp):  # it cannot be looked at, but let go
                    before = switch.look()
                range_ = switch.release("by hand", "release", stays=stay)
            except DuologError as error:  # the others are let go none the less
                failed.append(error)
                continue
            assert before is not None, "what is recorded can be looked at"
            done.append({
                "system": switch.system, "was_armed": before.armed, "freed": before.waiting,
                "since": kit.position_text(range_.since), "since_at": moment(int(range_.since_at * 1e6)),
                "why": range_.why, "by": range_.by, "stays": range_.stays,
            })  # fmt: skip
        if as_json:
            print_json(done)
        else:
            for one in done:
                _tell_released(one, rules)
        for error in failed:
            typer.echo(str(error), err=True)
        if failed:
            raise typer.Exit(STOPPED if any(isinstance(error, SystemStopped) for error in failed) else FINDINGS)


def _tell_released(one: dict[str, Any], rules: Path) -> None:
    freed = f"let go, {one['freed']} commits waited" if one["was_armed"] else "was not armed"
    until = f"until `duolog arm {rules}`" if one["stays"] else "until an engine has caught up"
    since = f"commits after {one['since']} ({one['since_at']}) do not wait"
    typer.echo(f"{one['system']}: {freed}; {since}, {until}")
    if not one["was_armed"]:
        typer.echo(f"  since then by {one['by']}: {one['why']}")


def arm(rules: Rules, system: System = "", as_json: Json = False) -> None:
    """Lets the engine arm again what was released with --stay, and looks for a moment whether it does. It arms when all
    is caught up.

    Example: duolog arm erp_crm.yaml --system erp

    Exit codes: 0 allowed (without an engine, it arms when one runs), 1 a system could not be reached, 2 the rule file
    is wrong, or has no such system, 3 a right is missing."""
    with told():
        done = []
        for _, switch in _switches(rules, system):
            ended = switch.allow()
            state = switch.look()
            deadline = time.monotonic() + (ARMED_WITHIN_S if state.reading else 0.0)
            while not state.armed and state.reading and time.monotonic() < deadline:
                time.sleep(LOOK_EVERY_S)
                state = switch.look()
            done.append({"system": switch.system, "stayed": ended, "armed": state.armed, "engine": state.reading})
        if as_json:
            print_json(done)
            return
        for one in done:
            allowed = "may be armed again" if one["stayed"] else "nobody had told it to stay off"
            engine = "the engine arms it when all is caught up" if one["engine"] else "no engine reads it"
            typer.echo(f"{one['system']}: {allowed}; {'it is armed' if one['armed'] else engine}")


def watchdog(rules: Rules) -> None:
    """Lets commits go that have waited for longer than `when_away` allows, and those for which nobody could ever
    answer, until SIGTERM. An engine brings one along; one of its own, beside the database, also helps when the engine's
    machine is gone. SIGHUP reads the rules anew.

    Example: duolog watchdog erp_crm.yaml

    Exit codes: 0 stopped by SIGTERM, 2 the rule file is wrong."""
    with told():
        Watchdog(rules, _log, sys.stdin.buffer if OF_ENGINE in os.environ else None).run()


def _log(action: str, detail: str) -> None:
    """As the engine's; whoever read its lines may be gone with it, and that must keep nobody waiting."""
    with suppress(OSError):
        log(action, detail)


def _switches(rules: Path, system: str) -> Iterator[tuple[Kit, Switch]]:
    """The switches that are meant, one after the other: of all synchronous systems, or of one that may have been."""
    found = known(rules)
    book, at_hand = found.book, kits(found)
    if system and system not in at_hand:
        raise typer.BadParameter(f"--system is one of {', '.join(at_hand)}")
    if not system and not book.synchronous:
        raise typer.BadParameter("no system says `commit: synchronous`; --system names one that did")
    for name in [system] if system else book.synchronous:
        with closing(at_hand[name].switch(book)) as switch:
            yield at_hand[name], switch
