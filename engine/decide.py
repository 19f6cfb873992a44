"""The deciding desk: whole transactions in, durable state and batches of writes out. One thread, no waiting, no I/O.

Its rooms stand on each other, and each knows only those below: `desk.records` keeps the records in hand, and
`desk.quarantine` who waits for what; `desk.telling` keeps what a feed is to tell; `desk.due` what is due to whom,
`desk.batches` forms batches; `desk.merging` hands a change to the merge, `desk.pairing` finds out which record a row
is, `desk.crossed` which records a transaction changed, `desk.changes` decides it; `desk.answers` takes in what became
of batches, `desk.joining` makes two records one; here is what people ask for. What it decides depends only on the order
of its inputs, so that a simulation can run the real thing.
"""

from __future__ import annotations

from engine.crossing.identity import identity_of
from engine.desk.allowing import Allowing
from engine.errors import ValueRefused
from engine.merge import LOOKS_LIKE, EntityRules, Step, settle_hold
from engine.merge.values import complete
from engine.ports import Request
from engine.record import Record
from engine.rulebook import EXISTENCE
from engine.vocabulary import Text


class Decider(Allowing):
    """The whole desk; see the module."""

    def request(self, request: Request, asked_at: int) -> None:
        """Carries out what a person asked for; the answer goes to the store with the rest."""
        arguments = request.arguments
        if request.kind == "retry":
            answer = self._request_retry(arguments)
        elif request.kind == "resolve":
            answer = self._request_resolve(arguments, asked_at)
        elif request.kind == "join":
            joined = self._request_join(arguments, asked_at)
            if joined is None:
                return
            answer = joined
        elif request.kind == "allow":
            answer = self._request_allow(arguments, asked_at)
        elif request.kind == "truncated":
            self.truncations[(arguments["system"], arguments["entity"])] = arguments["choice"]
            answer = "noted"
        else:
            answer = f"unknown request `{request.kind}`"
        self.delta.requests_done[request.id] = answer

    def _request_retry(self, arguments: dict[str, str]) -> str:
        entity, key, system = arguments.get("entity"), arguments.get("key"), arguments.get("system")
        chosen = [
            place
            for place in list(self.quarantined)
            if (not entity or place[0] == entity)
            and (not key or place[1] == key)
            and (not system or place[2] == system)
        ]
        before = len(self.quarantined)
        self._retry_all(chosen)
        return f"{before - len(self.quarantined)} retried"

    def _request_resolve(self, arguments: dict[str, str], asked_at: int) -> str:
        rules = self.rules.get(arguments["entity"])
        record = self.record(arguments["entity"], arguments["key"]) if rules is not None else None
        if rules is None or record is None or not record.holds:
            return "nothing is held there"
        system = arguments["take"]
        wanted = arguments.get("field")
        step = self._step("", asked_at, 0, f"resolved by {arguments.get('by', 'a person')}: take {system}")
        done, before = 0, record.values
        left: list[str] = []
        for register in sorted(record.holds):
            if register not in record.holds:
                continue  # what was resolved before it has put it in order
            if wanted and register != EXISTENCE and wanted not in rules.names(register):
                continue
            # A person who takes a record that looks like another one says that it is one of its own.
            alone = register == EXISTENCE and record.holds[register].startswith(LOOKS_LIKE)
            try:
                value = () if alone else _value_of(rules, record, register, system)
            except ValueRefused as error:
                left.append(f"; still held: {', '.join(rules.names(register))}: {error.found}")
                continue
            settle_hold(rules, arguments["key"], record, register, value, step)
            name = (rules.name, arguments["key"])
            self.dirty[name] = record
            self._note_due(name, record, sorted(step.touched))
            if alone:
                self._settle_twins(rules, name[1], record, step)
            done += 1
        self._decided_apart(rules, arguments["key"], record, before, step)
        self._close(step)
        return f"{done} resolved{''.join(left)}"

    def _settle_twins(self, rules: EntityRules, key: str, record: Record, step: Step) -> None:
        """That one is a record of its own says the same of those that only look like this one."""
        for other in self._recognised(rules, identity_of(rules.entity, record.values)):
            twin = self.record(rules.name, other)
            if twin is not None and twin.holds.get(EXISTENCE) == f"{LOOKS_LIKE} {key}":
                settle_hold(rules, other, twin, EXISTENCE, (), step)
                self.dirty[rules.name, other] = twin
                self._note_due((rules.name, other), twin, sorted(step.touched))


def _value_of(rules: EntityRules, record: Record, register: int, system: str) -> tuple[Text | bool, ...] | None:
    """The value that a system holds of a register, in canonical form; for existence: () there, None not there.

    Raises ValueRefused for what means nothing, or is only written there."""
    side = record.sides.get(system)
    entry = side.held.get(register) if side is not None else None
    if register == EXISTENCE:
        alive = bool(entry[1][0]) if entry is not None else record.alive
        return () if alive else None
    rule = rules.registers[register]
    now = tuple([record.values[f] for f in rule.fields])
    if entry is None:
        return now
    if system in rule.closed:
        raise ValueRefused(f"nothing is taken from {system}")
    layout = rules.layouts[system]
    values = dict(zip(rule.fields, now, strict=True))
    values.update((f, layout.canonical(f, v)) for f, v in zip(layout.fields_of[register], entry[1], strict=True))
    complete(rule, layout, values)
    return tuple([values[f] for f in rule.fields])
