"""`check`, `setup`, `teardown`: what has to be there before an engine may run, and taking it away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from engine.errors import DuologError
from rules import Problem, printed
from rules.trials import Trial
from service.commands.terms import FINDINGS, RULES_WRONG, Json, Rules, print_json, told
from service.feed import look_at_feed
from service.passing import TestsFailed, tried
from service.wiring import RulesRefused, Wired, connector_of, offline_book, read_rules, wire


def check(
    rules: Rules,
    as_json: Json = False,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the rule file only; open nothing.")] = False,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Print the SQL that gives this role what it needs, and no more. "
                     "SYSTEM=NAME: only in that system.", show_default=False),
    ] = None,
) -> None:
    """Says all that is wrong with the rule file, runs its tests, and then says all that is wrong with the databases,
    each with its mend.

    Example: duolog check erp_crm.yaml

    Exit codes: 0 nothing wrong (warnings may be printed), 1 findings in the databases, 2 the rule file is wrong, or a
    test in it fails."""
    with told(), _told_as_json(as_json):
        if offline:
            loaded = read_rules(rules)
            assert loaded.rules is not None
            trials, _ = tried(loaded.rules, offline_book(loaded), types_known=False)
            _tell_check(loaded.warnings, trials, [], {}, as_json)
            return
        wired = wire(rules)
        trials, doubts = tried(wired.rules, wired.book, types_known=True)
        findings, unreachable = _findings(wired)
        roles = _roles(role or [], wired)
        grants = {name: wired.kits[name].grants(wired.book, said) for name, said in roles.items()}
        _tell_check(wired.warnings + doubts, trials, findings + unreachable, grants, as_json)
        if unreachable or any(finding["severity"] == "error" for finding in findings):
            raise typer.Exit(FINDINGS)


@contextmanager
def _told_as_json(as_json: bool) -> Iterator[None]:
    """A program that asked for JSON gets the problems of the rule file as JSON, too."""
    try:
        yield
    except RulesRefused as refused:
        if not as_json:
            raise
        problems = [problem.json() for problem in refused.problems]
        tests = [trial.json() for trial in refused.trials] if isinstance(refused, TestsFailed) else []
        print_json({"problems": problems, "warnings": [], "tests": tests, "findings": [], "grants": {}})
        raise typer.Exit(RULES_WRONG) from None


def _roles(said: list[str], wired: Wired) -> dict[str, str]:
    """By system, the role that its SQL is for: `SYSTEM=NAME` for one, `NAME` for all others."""
    named = [word.split("=", 1) for word in said if word.partition("=")[0] in wired.kits and "=" in word]
    for_all = [word for word in said if word.partition("=")[0] not in wired.kits or "=" not in word]
    everywhere = dict.fromkeys(wired.kits, for_all[-1]) if for_all else {}
    roles = {**everywhere, **dict(named)}
    return {name: roles[name] for name in wired.kits if name in roles}


def _findings(wired: Wired) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    findings, unreachable = [], []
    for name, kit in wired.kits.items():
        try:
            found, _ = kit.findings(wired.book)
        except DuologError as error:
            unreachable.append({
                "code": error.code, "severity": "error", "system": name, "found": error.found, "mend": error.mend,
            })
            continue
        findings += [
            {"code": f.code, "severity": f.severity, "system": f.system, "found": f.found, "mend": f.mend}
            for f in found
        ]
    try:
        look_at_feed(wired)
    except DuologError as error:  # a feed keeps nobody from running: it tells when it can
        findings.append({
            "code": error.code, "severity": "warning", "system": "feed", "found": error.found, "mend": error.mend,
        })
    return findings, unreachable


def _tell_check(
    warnings: list[Problem], trials: list[Trial], findings: list[dict[str, Any]], grants: dict[str, list[str]],
    as_json: bool,
) -> None:  # fmt: skip
    if as_json:
        said, tests = [warning.json() for warning in warnings], [trial.json() for trial in trials]
        print_json({"problems": [], "warnings": said, "tests": tests, "findings": findings, "grants": grants})
        return
    if warnings:
        typer.echo(printed(warnings))
    for finding in findings:
        typer.echo(f"{finding['system']}: {finding['severity']}[{finding['code']}]: {finding['found']}")
        if finding["mend"]:
            typer.echo(f"  mend: {finding['mend']}")
    for name, statements in grants.items():
        typer.echo(f"-- {name}: as a superuser, after `duolog setup`")
        for statement in statements:
            typer.echo(statement)
    errors = sum(finding["severity"] == "error" for finding in findings)
    told_warnings = len(warnings) + len(findings) - errors
    if errors:
        typer.echo(f"{errors} to be mended, {told_warnings} warnings")
    else:
        tests = f", {len(trials)} tests passed" if trials else ""
        typer.echo(f"nothing wrong, {told_warnings} warnings{tests}")


def setup(
    rules: Rules,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL instead of running it.")] = False,
    print_connector: Annotated[
        str | None,
        typer.Option("--print-connector", metavar="SYSTEM", help="Print what Debezium's connector has to be told."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Makes what the engine needs in each database: ledger, origin, publication, slot. Twice does no harm.

    Example: duolog setup erp_crm.yaml --dry-run

    Exit codes: 0 all there, 2 the rule file is wrong, 3 a database needs a person first."""
    with told():
        wired = wire(rules)
        if print_connector is not None:
            print_json(connector_of(wired, print_connector))
            return
        told_steps: list[dict[str, Any]] = []
        for name, kit in wired.kits.items():
            steps = list(kit.planned(wired.book)) if dry_run else []
            if not dry_run:
                steps = list(kit.setup(wired.book, lambda step, name=name: _tell_step(name, step, as_json)))  # type: ignore[misc]
            told_steps += [{"system": name, "what": s.what, "sql": s.sql, "done": s.done} for s in steps]
            if dry_run and not as_json:
                _print_planned(name, steps)
            elif not steps and not as_json:
                typer.echo(f"{name}: all there")
        if as_json:
            print_json(told_steps)


def _tell_step(name: str, step: Any, as_json: bool) -> None:
    if not as_json:
        typer.echo(f"{name}: makes {step.what}")


def _print_planned(name: str, steps: list[Any]) -> None:
    typer.echo(f"-- {name}")
    for step in steps:
        typer.echo(f"-- {step.what}: there" if step.done else f"{step.sql};")


def teardown(
    rules: Rules,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Takes away what `setup` made: slots, publications, origins, ledgers. The store and the tables stay.

    Example: duolog teardown erp_crm.yaml --yes"""
    with told():
        wired = wire(rules)
        if not yes:
            typer.confirm("The positions in the logs are lost; a next start compares both sides. Go on?", abort=True)
        done = {name: kit.teardown(wired.book) for name, kit in wired.kits.items()}
        if as_json:
            print_json(done)
            return
        for name, things in done.items():
            typer.echo(f"{name}: took away {', '.join(things)}" if things else f"{name}: nothing was there")
