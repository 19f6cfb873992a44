"""The merge rule for the registers of a record that exists: successor, agreement, owner, conflict, hold.

Turns what a user wrote in one system into the record's next state. Detection needs no clock; only a conflict asks a
policy. It never looks at existence.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.merge.checks import CHECK, broken, checked, lift, patched, release, write_on
from engine.merge.derived import derive, worked_out_once
from engine.merge.outcomes import (
    accept,
    agree,
    diverge,
    has_seen,
    hold,
    hold_more,
    holds_now,
    merge_values,
    note_seen,
    overrule,
    restamp,
    spelled_anew,
)
from engine.merge.ownership import forbidden
from engine.merge.step import DEFAULT, EntityRules, Step, journal_entry
from engine.merge.values import canonical_values, decoded_value, is_same, state_of, stored_now, stores_so
from engine.record import UNSET_VERSION, Held, Record
from engine.resolve import RegisterValue, contender, resolve
from engine.vocabulary import ABSENT, Image, Text, Values


def decide_all(
    rules: EntityRules,
    key: str,
    record: Record,
    row: Image,
    before: Image,
    registers: list[int],
    kind: str,
    step: Step,
    state: Values = (),
) -> None:
    """Decides the registers that a user wrote in a record that exists.

    `state`: what claims are judged by, if that is not the record as his system had it."""
    layout = rules.layouts[step.system]
    simple = layout.simple.issuperset(registers) and step.system not in record.sides and not record.holds
    if simple and (rules.plain or worked_out_once(rules, record)):
        _succeed(rules, record, row, registers, step)
        return
    written = canonical_values(rules, layout, row, before, registers)
    stored = {register: stored_now(layout, register, row, before) for register in registers}
    if not state and any(rules.registers[register].claims for register in registers):
        state = state_of(rules, layout, before, record.values)
    derived = {register for register, _, _ in rules.derived}
    decision = _Decision(rules, key, record, written, stored, state, kind, step)
    accepted = [register for register in registers if register not in derived and decision.accepts(register)]
    if accepted and rules.checks:
        accepted = checked(rules, key, record, accepted, written, stored, step)
    if accepted:
        for register in record.holds.keys() & set(accepted):
            lift(rules, key, record, register, step)  # what waits there because of a check is overtaken
        accept(rules, record, accepted, written, step.version, step)
    if derived:
        derive(rules, record, step)
        for register in derived.intersection(registers):
            decision.accepts(register)
    if record.holds and rules.checks:
        release(rules, key, record, step)


def _succeed(rules: EntityRules, record: Record, row: Image, registers: list[int], step: Step) -> None:
    """The usual case, without detours: the system held the current version of everything, and may write what it
    wrote."""
    for system, layout in rules.layouts.items():
        if system != step.system:
            diverge(record, system, layout, registers, step)
    values = list(record.values)
    for register in registers:
        for number in rules.registers[register].fields:
            value = row[number]
            if value is not ABSENT:
                values[number] = value
    record.values = tuple(values)
    record.accept(registers, step.version)
    step.count("successors", len(registers))


@dataclass(slots=True)
class _Decision:
    """What a user wrote in one record, register by register."""

    rules: EntityRules
    key: str
    record: Record
    written: dict[int, Text | bool]
    """Canonical, by field number."""
    stored: dict[int, RegisterValue]
    """By register."""
    state: Values
    """What he had before him, where somebody's claim depends on it."""
    kind: str
    step: Step

    def accepts(self, register: int) -> bool:
        """Decides one register. True if the user's write is to become current; otherwise everything is done here."""
        rules, record, step = self.rules, self.record, self.step
        rule = rules.registers[register]
        stored, value = self.stored[register], tuple([self.written[f] for f in rule.fields])
        side = record.sides.get(step.system)
        entry = side.held.get(register) if side is not None else None
        current = record.version(register)
        if register in record.holds:
            if not record.holds[register].startswith(CHECK):
                hold_more(rules, self.key, record, register, value, stored, step)
                return False
            if write_on(rules, self.key, record, register, step):
                entry = None  # he had seen what was current before his write that waits
        had = current if entry is None else entry[0]
        now = tuple([record.values[f] for f in rule.fields])
        derived = rules.entity.fields[rule.fields[0]].formula is not None
        layout = rules.layouts[step.system]
        if step.system in rule.closed and not derived and not layout.binding.codecs.keys().isdisjoint(rule.fields):
            agreed = stores_so(layout, rule, now, stored)  # what it has is no value, but how it would store one
        else:
            agreed = is_same(rules, rule, layout, value, now)
        if agreed and (rule.policy != "delta" or had is None or had == current):
            if had != current:
                current = restamp(rules, record, register, current, value, step)
            agree(rules, record, register, current, stored, step)
            return False
        if entry is not None and self._only_spelled(register, entry, value):
            spelled_anew(record, register, entry, stored, step)
            return False
        because = forbidden(rule, step.system, self.state, derived=derived)
        if because is not None:
            overrule(rules, self.key, record, register, value, stored, because, "owner", step)
            if has_seen(had, current):
                note_seen(record, register, stored, step)
            return False
        if has_seen(had, current) or current in (UNSET_VERSION, step.version) or current.note == DEFAULT:
            step.count("successors")
            holds_now(rules, record, register, step.version, value, stored, step)
            return True
        return self._conflict(register, entry, value, now)

    def _only_spelled(self, register: int, entry: Held, value: RegisterValue) -> bool:
        """True if his database had another version than the current one, and he wrote nothing but that, in other words.

        Had his write been heard before the current version, it would have been an agreement."""
        if entry[0] is None or entry[0] == self.record.version(register):
            return False
        rule, layout = self.rules.registers[register], self.rules.layouts[self.step.system]
        base = decoded_value(layout, rule, entry[1])
        return base is not None and is_same(self.rules, rule, layout, value, base)

    def _conflict(self, register: int, entry: Held | None, value: RegisterValue, now: RegisterValue) -> bool:
        """Asks the policy. True if the user's write is to become current as it stands."""
        rules, record, step, key = self.rules, self.record, self.step, self.key
        step.count("conflicts")
        rule = rules.registers[register]
        layout, stored, current = rules.layouts[step.system], self.stored[register], record.version(register)
        base = None if entry is None or entry[0] is None else decoded_value(layout, rule, entry[1])
        verdict = resolve(
            rule,
            rules.families[register],
            contender(rule, record.values, step.version, value, base),
            contender(rule, record.values, current, now),
            rule.margin_us + step.clock_error(step.system) + step.clock_error(current.system),
        )
        if verdict.winner == "incoming":
            step.journal.append(
                journal_entry(rules, key, register, self.kind, verdict.because, step.version, value, current, now, step)
            )
            step.count("overruled")
            holds_now(rules, record, register, step.version, value, stored, step)
            return True
        if verdict.winner == "current":
            overrule(rules, key, record, register, value, stored, verdict.because, self.kind, step)
        elif verdict.winner == "merged":
            self._merge(register, verdict.merged, verdict.because, value)
        else:
            because = "" if rule.policy == "hold" else verdict.because
            hold(rules, key, record, register, value, stored, step, because)
        return False

    def _merge(self, register: int, merged: RegisterValue, because: str, value: RegisterValue) -> None:
        """Both writes count, unless what they make together breaks a check."""
        rules, record = self.rules, self.record
        fields = rules.registers[register].fields
        merged = tuple([_reduced(v) if f in rules.reduced else v for f, v in zip(fields, merged, strict=True)])
        made = dict(zip(fields, merged, strict=True))
        for check in broken(rules, patched(record.values, rules, [register], made)) if rules.checks else ():
            if not check.condition.fields.isdisjoint(fields):
                why = f"hold: what both writes make together breaks {check.name}"
                hold(rules, self.key, record, register, value, self.stored[register], self.step, why)
                return
        if register in record.holds:
            lift(rules, self.key, record, register, self.step)
        merge_values(rules, record, register, merged, self.stored[register], because, self.step)


def _reduced(value: Text | bool) -> Text | bool:
    """A number without the zeros at its end that adding leaves: 2, not 2.0."""
    return value.rstrip("0").rstrip(".") if isinstance(value, str) and "." in value else value
