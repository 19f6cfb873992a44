"""What a test says that cannot be: systems and fields that do not exist, and a test that expects nothing.

Turns the words of tests into problems, each at its place. It runs nothing, and knows no types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rules.durations import ALLOWED, microseconds
from rules.findings import Findings
from rules.problem import Path, did_you_mean, quoted
from rules.ruling import columns_of
from rules.syntax import EntitySyntax, TestSyntax
from rules.trials.bench import RECORD

EXPECTATIONS = ("then", "stored", "because", "held", "quarantine")
"""The words of a test that say what is to come of it."""


def check_tests(entities: Mapping[str, EntitySyntax], findings: Findings) -> None:
    """The tests of all entities."""
    for name, entity in entities.items():
        has = {
            system: [field for field, syntax in entity.fields.items() if system in columns_of(entity, syntax)]
            for system in entity.bind
        }
        for number, test in enumerate(entity.tests):
            path: Path = ("entities", name, "tests", number)
            _check_fields(path, test, entity, findings)
            for place, system, fields in _by_system(path, test):
                _check_system(place, system, fields, name, has, findings)
            for index, system in enumerate(test.quarantine):
                _known(system, (*path, "quarantine", index), name, has, findings, key=False)
            if test.apart is not None and microseconds(test.apart) is None:
                findings.error("R398", (*path, "apart"), "this is no length of time", found=quoted(test.apart),
                               allowed=ALLOWED)  # fmt: skip
            if not test.model_fields_set & set(EXPECTATIONS):
                findings.error("R392", path, "this test expects nothing", allowed=EXPECTATIONS,
                               mend="say what all have in the end: `then: {…}`")  # fmt: skip


def _check_fields(path: Path, test: TestSyntax, entity: EntitySyntax, findings: Findings) -> None:
    """`agreed`, `then` and `held` speak of the entity's fields."""
    named = [((*path, word, field), field, True) for word in ("agreed", "then") for field in getattr(test, word) or ()]
    named += [((*path, "held", index), field, False) for index, field in enumerate(test.held)]
    for place, field, key in named:
        known = (*entity.fields, RECORD) if not key else tuple(entity.fields)
        if field not in known:
            findings.error("R391", place, f"there is no field {quoted(field)}", key=key, allowed=known,
                           mend=did_you_mean(field, known))  # fmt: skip


def _by_system(path: Path, test: TestSyntax) -> Iterator[tuple[Path, str, Iterable[str]]]:
    """Every mapping of systems to fields: what was written, and what is stored in the end."""
    for number, step in enumerate(test.steps):
        for system, written in step.items():
            yield (*path, "steps", number, system), system, written or ()
    for system, stored in test.stored.items():
        yield (*path, "stored", system), system, stored or ()


def _check_system(path: Path, system: str, fields: Iterable[str], entity: str, has: Mapping[str, list[str]],
                  findings: Findings) -> None:  # fmt: skip
    if not _known(system, path, entity, has, findings, key=True):
        return
    for field in fields:
        if field not in has[system]:
            findings.error("R391", (*path, field), f"{quoted(entity)} has no field {quoted(field)} in {quoted(system)}",
                           key=True, allowed=tuple(has[system]), mend=did_you_mean(field, has[system]))  # fmt: skip


def _known(system: str, path: Path, entity: str, has: Mapping[str, list[str]], findings: Findings, *,
           key: bool) -> bool:  # fmt: skip
    if system in has:
        return True
    findings.error("R390", path, f"{quoted(system)} is no system of {quoted(entity)}, and no word of a test", key=key,
                   allowed=tuple(has), mend=did_you_mean(system, has))  # fmt: skip
    return False
