"""What came of a test against what it expected: a problem for each difference, at its place, with the reason.

Turns a bench that has come to rest into problems. The values shown are the test's own, from the rule file.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import ValueRefused
from engine.record import UNREAD
from engine.vocabulary import JournalEntry, Text
from rules.findings import Findings
from rules.problem import Path, listed, quoted
from rules.syntax import TestSyntax
from rules.trials.bench import Bench
from rules.trials.values import canonical, same_text, stored

MEND = "mend the rule, or the test"


def judge(path: Path, name: str, test: TestSyntax, bench: Bench, findings: Findings) -> None:
    """Everything in which the end of a test is not as it says. `name`: how to call it."""
    says = test.model_fields_set
    if "then" in says:
        _judge_then(path, name, test, bench, findings)
    for system, fields in test.stored.items():
        _judge_stored((*path, "stored", system), name, system, fields, bench, findings)
    if test.because is not None and not any(test.because in reason for reason in reasons(bench)):
        findings.error("R395", (*path, "because"), f"{name}: no such reason was given", found=_told(reasons(bench)),
                       mend=MEND)  # fmt: skip
    _judge_waiting(path, name, test, bench, findings)


def reasons(bench: Bench) -> list[str]:
    """Why it came out as it did: what the journal says; of writes that had nobody against them, only that."""
    told = [_of(entry) for entry in bench.journal]
    if told:
        return list(dict.fromkeys(told))
    words = {"inserts": "insert", "deletes": "delete", "successors": "successor", "agreements": "agreement"}
    return [f"{word}: nobody was overruled" for counted, word in words.items() if bench.counts.get(counted)]


def _of(entry: JournalEntry) -> str:
    return f"{entry.because} ({entry.kind})"


def _why(bench: Bench, field: str) -> str:
    """What the journal says of a field and of the whole record; `field` empty: of the record only."""
    told = [_of(entry) for entry in bench.journal if field in entry.fields or not entry.fields]
    return _told(list(dict.fromkeys(told)) if told or bench.journal else reasons(bench))


def _told(reasons: list[str]) -> str:
    return " / ".join(reasons) if reasons else "nobody was overruled"


def _judge_then(path: Path, name: str, test: TestSyntax, bench: Bench, findings: Findings) -> None:
    place: Path = (*path, "then")
    if test.then is None:
        if bench.alive:
            findings.error("R393", place, f"{name}: the record is not gone in the end", found=_why(bench, ""),
                           mend=MEND)  # fmt: skip
        return
    if not bench.alive or bench.record is None:
        findings.error("R393", place, f"{name}: there is no such record in the end", key=True, found=_why(bench, ""),
                       mend=MEND)  # fmt: skip
        return
    numbers = {field.name: field.number for field in bench.rules.entity.fields}
    for field, text in test.then.items():
        number = numbers[field]
        wanted, now = canonical(bench.rules, number, text), bench.record.values[number]
        if not same_text(bench.rules.entity.fields[number].family, wanted, now or None):
            findings.error("R393", (*place, field), f"{name}: {quoted(field)} is not {_shown(wanted)} in the end",
                           found=f"{_shown(now)}: {_why(bench, field)}", mend=MEND)  # fmt: skip


def _judge_stored(path: Path, name: str, system: str, fields: Mapping[str, Text] | None, bench: Bench,
                  findings: Findings) -> None:  # fmt: skip
    row = bench.rows[system]
    if (row is None) != (fields is None):
        there = "there is no such record" if row is None else "the record is there"
        findings.error("R394", path, f"{name}: {quoted(system)} has something else in the end", key=True,
                       found=f"{there}: {_why(bench, '')}", mend=MEND)  # fmt: skip
    if row is None or fields is None:
        return
    numbers = {field.name: field.number for field in bench.rules.entity.fields}
    for field, text in fields.items():
        number = numbers[field]
        wanted, now = stored(bench.rules, system, number, text), row[number]
        if not same_text(bench.rules.entity.fields[number].family, wanted, now or None):
            findings.error("R394", (*path, field), f"{name}: {quoted(system)} does not store {_shown(wanted)} in the"
                           " end", found=f"{_shown(now)}: {_why(bench, field)}", mend=MEND)  # fmt: skip


def _judge_waiting(path: Path, name: str, test: TestSyntax, bench: Bench, findings: Findings) -> None:
    """What waits for a person, and what in quarantine, is exactly what the test says."""
    held = bench.held()
    for index, field in enumerate(test.held):
        if field not in held:
            findings.error("R396", (*path, "held", index), f"{name}: {quoted(field)} does not wait for a person",
                           found=_why(bench, field), mend=MEND)  # fmt: skip
    for field, because in held.items():
        if field not in test.held:
            findings.error("R396", path, f"{name}: {quoted(field)} waits for a person", found=because,
                           mend=f"say so, if that is meant: `held: [{listed(held)}]`")  # fmt: skip
    for index, system in enumerate(test.quarantine):
        if system not in bench.refused:
            findings.error("R397", (*path, "quarantine", index), f"{name}: {quoted(system)} can have the record",
                           mend=MEND)  # fmt: skip
    for system, reason in bench.refused.items():
        if system not in test.quarantine:
            findings.error("R397", path, f"{name}: the record waits in quarantine for {quoted(system)}", found=reason,
                           mend=f"say so, if that is meant: `quarantine: {system}`")  # fmt: skip


def refused(error: ValueRefused) -> str:
    """Why a value is none, without the engine's own words before it."""
    return str(error.found).removeprefix(f"{UNREAD}: ")


def _shown(value: object) -> str:
    return "NULL" if value is None else "not set" if value is False else quoted(value)
