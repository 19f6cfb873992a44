"""Whether rules pass: everything that has to be so before an engine may run on them, whoever asks.

Turns a wired rule file into what was found, or raises what keeps it from being used. `check` tells all of it, `run`
and a reload insist on it. Opens what the systems' kits open, writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.store import SqlStore
from engine.errors import StoreUnfit, SystemStopped
from engine.rulebook import RuleBook
from rules import Problem, RuleFile, compile_book
from rules.trials import Trial, disagreements, failures, run_tests
from service.day_one import check_shape, require_set_up
from service.wiring import RulesRefused, Wired, wire

Capabilities = Mapping[str, bool]
"""What a system's source may do, as its preflight found out."""


class TestsFailed(RulesRefused):
    """Tests in a rule file fail; `trials` are all of them."""

    def __init__(self, trials: list[Trial]) -> None:
        super().__init__(failures(trials))
        self.trials = trials


@dataclass(frozen=True, slots=True)
class Passed:
    """Rules on which an engine may run."""

    wired: Wired
    capabilities: Mapping[str, Capabilities]
    """By system."""


def tried(rules: RuleFile, book: RuleBook, *, types_known: bool) -> tuple[list[Trial], list[Problem]]:
    """The tests in a rule file, and warnings about them. Raises TestsFailed.

    With types, those that come out otherwise without them are warned of: nobody should believe the wrong one."""
    trials = run_tests(rules.entities, rules.document, book, types_known=types_known)
    if not all(trial.passed for trial in trials):
        raise TestsFailed(trials)
    if not types_known or not trials:
        return trials, []
    untyped, _ = compile_book(rules, None)
    return trials, disagreements(trials, run_tests(rules.entities, rules.document, untyped, types_known=False))


def fit(wired: Wired, tell: Callable[[str, str], None]) -> Passed:
    """Rules and databases that have nothing against each other; what they warn of is told. Raises SystemStopped."""
    capabilities: dict[str, Capabilities] = {}
    for name, kit in wired.kits.items():
        findings, capabilities[name] = kit.findings(wired.book)
        for finding in findings:
            tell(f"check {finding.severity}", f"{name}: {finding.found}; mend: {finding.mend}")
        for finding in findings:
            if finding.severity == "error":
                raise SystemStopped(finding.found, system=name, mend=finding.mend)
    return Passed(wired, capabilities)


def successor(path: Path, old: Wired, store: SqlStore, tell: Callable[[str, str], None]) -> Passed:
    """The rules as they are on the disk now, if an engine that runs on `old` ones may take them on instead.

    Raises RulesRefused, or DuologError."""
    new = wire(path)
    tried(new.rules, new.book, types_known=True)
    if new.book.name != old.book.name or set(new.book.systems) != set(old.book.systems):
        raise StoreUnfit("a running engine cannot take on another name or other systems", mend="restart it")
    if new.rules.store != old.rules.store:
        raise StoreUnfit("an engine at work cannot go on with another store", mend="restart it")
    check_shape(new, store)
    require_set_up(new, path)
    return fit(new, tell)
