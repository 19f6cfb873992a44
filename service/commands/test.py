"""`test`: the tests in a rule file, without a database.

Turns trials into a verdict for people or programs. How they are carried out is `rules.trials`'.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import typer

from rules import compile_book, load, printed
from rules.trials import Trial, failures, run_tests
from service.commands.naming import refuse
from service.commands.terms import RULES_WRONG, Json, Rules, print_json, told
from service.wiring import RulesRefused


def test(
    rules: Rules,
    entity: Annotated[str, typer.Option(help="Only this entity's tests.")] = "",
    as_json: Json = False,
) -> None:
    """Runs the tests in the rule file, without opening a database or needing an address.

    Example: duolog test erp_crm.yaml --entity customer

    Exit codes: 0 all pass, 2 one fails, or the rule file is wrong."""
    with told():
        trials = _carried_out(rules, entity)
    if as_json:
        told_trials = [trial.json() for trial in trials]
        passed = sum(trial.passed for trial in trials)
        print_json({"tests": told_trials, "passed": passed, "failed": len(trials) - passed})
    else:
        _print(trials)
    if not all(trial.passed for trial in trials):
        raise typer.Exit(RULES_WRONG)


def _carried_out(rules: Rules, entity: str) -> list[Trial]:
    """The trials, of one entity or of all. Raises RulesRefused if the rules themselves are wrong."""
    loaded = load(rules, None)
    if loaded.rules is None:
        raise RulesRefused(loaded.problems)
    book, problems = compile_book(loaded.rules, None)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise RulesRefused(errors)
    entities = loaded.rules.entities
    if entity:
        _known(entity, entities)
        entities = {entity: entities[entity]}
    return run_tests(entities, loaded.rules.document, book, types_known=False)


def _known(entity: str, entities: Collection[str]) -> None:
    if entity not in entities:
        refuse(f"no entity `{entity}`; there are: {', '.join(entities)}", RULES_WRONG)


def _print(trials: list[Trial]) -> None:
    if told_failures := failures(trials):
        typer.echo(printed(told_failures))
    for trial in trials:
        typer.echo(f"{trial.entity}: {trial.name}: {'passed' if trial.passed else 'failed'}")
    failed = sum(not trial.passed for trial in trials)
    typer.echo(f"{len(trials) - failed} tests passed, {failed} failed" if trials else "there are no tests")
