"""All tests of a rule book, one after the other: what passed, and what is to be told of those that did not.

Turns (entities as the rule file has them, rule book) into trials. Whether the book was compiled with catalogs or
without is its caller's affair; without, the types of fields are guessed from what the tests say of them (`values`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import DuologError, ValueRefused
from engine.merge import EntityRules, rules_of
from engine.rulebook import RuleBook
from engine.vocabulary import Text
from rules.durations import microseconds
from rules.findings import Findings
from rules.located import Document
from rules.problem import Path, Place, Problem, in_order, quoted
from rules.syntax import EntitySyntax, TestSyntax
from rules.trials.bench import Bench, Stored
from rules.trials.values import canonical, stored, with_guessed_types
from rules.trials.verdict import MEND, judge, reasons, refused

APART_US = 60_000_000
"""How long after each other users commit, where a test does not say: a minute."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One test, and what came of it."""

    entity: str
    name: str
    """As the rule file calls it; else its number: `test 1`."""
    place: Place
    problems: list[Problem]
    outcome: dict[str, Any]
    """What all have in the end, what each system stores, and why: for programs."""

    @property
    def passed(self) -> bool:
        """True if all is as the test says."""
        return not self.problems

    def json(self) -> dict[str, Any]:
        """The same for a program; keys are stable."""
        place = {"file": self.place.file, "line": self.place.line, "column": self.place.column}
        told = [problem.json() for problem in self.problems]
        return {"entity": self.entity, "name": self.name, **place, "passed": self.passed, "problems": told,
                **self.outcome}  # fmt: skip


def run_tests(
    entities: Mapping[str, EntitySyntax], document: Document, book: RuleBook, *, types_known: bool
) -> list[Trial]:
    """Carries out the tests of these entities, in the order of the file. `document` knows the place of everything."""
    if not types_known:
        book = with_guessed_types(book, entities)
    prepared = rules_of(book)
    return [
        _run(("entities", name, "tests", number), number, test, prepared[name], document)
        for name, syntax in entities.items()
        for number, test in enumerate(syntax.tests)
    ]


def failures(trials: list[Trial]) -> list[Problem]:
    """The problems of all of them, by place."""
    return in_order(problem for trial in trials for problem in trial.problems)


def disagreements(typed: list[Trial], untyped: list[Trial]) -> list[Problem]:
    """Warnings of tests that pass with the catalogs' types and fail without: `duolog test` would tell otherwise."""
    return [
        Problem(code="R399", place=one.place, severity="warning", what=f"the test {quoted(one.name)} of"
                f" {quoted(one.entity)} passes here, and fails where the databases are not asked for their types",
                found=other.problems[0].found,
                mend="leave out what only the types make so: `duolog test` and `check --offline` do not know them")
        for one, other in zip(typed, untyped, strict=True)
        if one.passed and not other.passed
    ]  # fmt: skip


def _run(path: Path, number: int, test: TestSyntax, rules: EntityRules, document: Document) -> Trial:
    findings = Findings(document)
    name = test.name or f"test {number + 1}"
    called = f"the test {quoted(test.name)}" if test.name else f"{name} of {quoted(rules.name)}"
    bench = _carried_out(path, called, test, rules, findings)
    outcome: dict[str, Any] = {"then": None, "stored": {}, "reasons": [], "held": {}, "quarantine": {}}
    if bench is not None:
        judge(path, called, test, bench, findings)
        outcome = _outcome(bench)
    return Trial(rules.name, name, document.place(path), in_order(findings.problems), outcome)


def _carried_out(path: Path, called: str, test: TestSyntax, rules: EntityRules, findings: Findings) -> Bench | None:
    """The bench, come to rest; None if the test says something that cannot be, which is told."""
    numbers = {field.name: field.number for field in rules.entity.fields}
    named = _Named(path, called, rules, findings)
    agreed = {numbers[f]: named.canonical((*path, "agreed", f), numbers[f], t) for f, t in (test.agreed or {}).items()}
    for field, text in (test.then or {}).items():
        named.canonical((*path, "then", field), numbers[field], text)
    steps: list[dict[str, Stored | None]] = []
    for index, written in enumerate(test.steps):
        place: Path = (*path, "steps", index)
        steps.append({
            system: None if fields is None else {
                numbers[f]: named.stored((*place, system, f), system, numbers[f], t) for f, t in fields.items()
            }
            for system, fields in written.items()
        })  # fmt: skip
    for system, wanted in test.stored.items():
        for field, text in (wanted or {}).items():
            named.stored((*path, "stored", system, field), system, numbers[field], text)
    if findings.problems:
        return None
    apart_us = microseconds(test.apart) if test.apart is not None else None
    bench = Bench(rules, _key(rules, agreed, steps), APART_US if apart_us is None else apart_us)
    try:
        if test.agreed is not None:
            bench.agree(agreed)
    except ValueRefused as error:
        findings.error("R398", (*path, "agreed"), f"{called}: not every system can have this", found=refused(error),
                       mend=MEND)  # fmt: skip
        return None
    for step in steps:
        bench.step(step)
    return bench


def _key(rules: EntityRules, agreed: dict[int, Text], steps: list[dict[str, Stored | None]]) -> dict[int, Text]:
    """The fields of the shared key, as the test names them first."""
    told: list[Stored] = [dict(agreed)]
    told += [fields for step in steps for fields in step.values() if fields is not None]
    found: dict[int, Text] = {}
    for number in rules.entity.key:
        for fields in told:
            value = fields.get(number)
            if isinstance(value, str):
                found.setdefault(number, value)
    return found


@dataclass(frozen=True, slots=True)
class _Named:
    """The values that a test names; one that is none is told at its place."""

    path: Path
    called: str
    rules: EntityRules
    findings: Findings

    def canonical(self, place: Path, number: int, text: Text) -> Text:
        try:
            return canonical(self.rules, number, text)
        except ValueRefused as error:
            self._refused(place, number, text, error)
            return None

    def stored(self, place: Path, system: str, number: int, text: Text) -> Text:
        try:
            return stored(self.rules, system, number, text)
        except ValueRefused as error:
            self._refused(place, number, text, error)
            return None

    def _refused(self, place: Path, number: int, text: Text, error: DuologError) -> None:
        field = self.rules.entity.fields[number]
        self.findings.error("R398", place, f"{self.called}: this is no value of {quoted(field.name)}:"
                            f" {error.found}", found=quoted(text), mend=MEND)  # fmt: skip


def _outcome(bench: Bench) -> dict[str, Any]:
    fields = bench.rules.entity.fields
    values = bench.record.values if bench.record is not None and bench.alive else None
    return {
        "then": {f.name: values[f.number] or None for f in fields} if values is not None else None,
        "stored": {
            system: None if row is None else {f.name: row[f.number] or None for f in fields if f.number in row}
            for system, row in bench.rows.items()
        },
        "reasons": reasons(bench),
        "held": bench.held(),
        "quarantine": dict(bench.refused),
    }
