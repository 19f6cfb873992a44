"""What `explain` answers: one record as plain values, and those as lines for a terminal of any width.

Turns a settled record, its journal and its place in quarantine into the document that `--json` prints, and the document
into text. It opens nothing, and decides nothing about the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from adapters.store import JournalRow
from engine.assembly import KEY_SEPARATOR
from engine.merge import EntityRules
from engine.merge.ownership import is_true
from engine.record import (
    DEFERRED,
    FOREIGN,
    REFERENCE,
    REREAD,
    STOPPED,
    UNSET_VERSION,
    Layout,
    Record,
    Side,
    held_alive,
    held_row,
)
from engine.rulebook import EXISTENCE, Register
from engine.vocabulary import Position, Version
from service.commands.terms import harmless, key_text, moment, value_text, wrapped

IN_STEP = "in step"
OWN_WAY = "in step, stored in its own way"
NO_CONFLICTS = frozenset({"hold", "owner", "check"})
"""Kinds of journal entries whose winner has not beaten anybody by a policy."""
VALUE_CELLS_MAX = 48
"""A longer value gets a line of its own."""


PositionText = Callable[[Position], str]
"""How a system prints a position in its log."""
Printed = Mapping[str, PositionText]
"""By system."""


KeysOf = Callable[[str, str], Mapping[str, str]]
"""Of a record (entity, id): its keys by system."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a record beside its state."""

    printed: Printed
    journal: Sequence[JournalRow] = ()
    quarantined: Mapping[str, str] = field(default_factory=dict)
    """By system: the reason."""
    keys_of: KeysOf = lambda entity, id: {}
    """Asked of the records that it refers to."""
    note: str = ""
    """What is to be said of the name by which it was asked for."""


def explained(rules: EntityRules, key: str, record: Record, known: Known) -> dict[str, Any]:
    """The whole answer of `explain`, as plain values. `record` is settled."""
    existence = record.version(EXISTENCE)
    return {
        "entity": rules.name,
        "key": key.split(KEY_SEPARATOR),
        **(_own_keys(rules, record, known) if rules.entity.crossed else {}),
        "exists": record.alive,
        "systems": {system: _state(rules, record, system) for system in rules.layouts},
        "existence": {
            **_origin(existence, known.printed),
            "held": record.holds.get(EXISTENCE),
            "overruled": [_overruled(rules, row, "", known.printed) for row in known.journal if not row.entry.fields],
        },
        "fields": [
            _field(rules, record, register, number, known)
            for register in rules.registers[1:]
            for number in register.fields
        ],
        "quarantine": dict(known.quarantined),
    }


def _own_keys(rules: EntityRules, record: Record, known: Known) -> dict[str, Any]:
    return {"keys": {s: key_text(record.keys[s]) for s in rules.layouts if s in record.keys}, "note": known.note}


def _field(rules: EntityRules, record: Record, register: Register, number: int, known: Known) -> dict[str, Any]:
    version, name = record.version(register.number), rules.entity.fields[number].name
    mine = [row for row in known.journal if name in row.entry.fields]
    parent = dict(rules.crossed_references).get(number)
    keys_of = known.keys_of
    return {
        "field": name,
        "value": without_key(rules, number, record.values[number]),
        **(_refers_to(parent, record.values[number], known) if parent is not None else {}),
        **_origin(version, known.printed),
        "why": _why(rules, record, register, number, mine),
        "held": record.holds.get(register.number),
        "systems": {
            system: _holding(rules, record, number, system, lambda id: keys_of(parent, id) if parent else {})
            for system in rules.layouts
        },
        "overruled": [_overruled(rules, row, name, known.printed) for row in mine],
    }


def without_key(rules: EntityRules, number: int, value: object) -> object:
    """A field's value; of a reference, the record's id alone, without the key that stands for it somewhere."""
    refers = isinstance(value, str) and any(number == n for n, _ in rules.crossed_references)
    return REFERENCE.decode(str(value)) if refers else value


def without_keys(rules: EntityRules | None, fields: Sequence[str], values: Sequence[object]) -> list[Any]:
    """The same of several fields, by name. `rules`: None if the entity is no longer in the rule file."""
    if rules is None:
        return list(values)
    numbers = {f.name: f.number for f in rules.entity.fields}
    return [without_key(rules, numbers.get(n, -1), v) for n, v in zip(fields, values, strict=False)]


def _refers_to(parent: str, value: object, known: Known) -> dict[str, Any]:
    """The record that a reference means, with its keys."""
    if not isinstance(value, str):
        return {"refers_to": None}
    id = REFERENCE.decode(value)
    keys = {system: key_text(key) for system, key in known.keys_of(parent, id).items()}
    return {"refers_to": {"entity": parent, "key": id, "keys": keys}}


def _origin(version: Version, printed: Printed) -> dict[str, Any]:
    return {
        "version": version.number,
        "from": version.system or "duolog",
        "committed_at": moment(version.committed_at),
        "position": _place(version, printed),
    }


def _place(version: Version, printed: Printed) -> str:
    return printed[version.system](version.position) if version.system in printed and version.position else ""


def _why(
    rules: EntityRules, record: Record, register: Register, number: int, journal: Sequence[JournalRow]
) -> str:
    version, formula = record.version(register.number), rules.entity.fields[number].formula
    if version == UNSET_VERSION:
        return "nobody has written it yet"
    if formula is not None:
        return f"worked out: {formula.text}"
    if not version.system:
        return version.note
    if register.owner is not None:
        return f"{register.owner} owns it"
    newest = journal[0].entry if journal else None
    if newest is not None and newest.kind == "resolved" and newest.winner and newest.winner.number >= version.number:
        return newest.because
    if any(row.entry.winner == version and row.entry.kind not in NO_CONFLICTS for row in journal):
        preference = register.preference
        return f"won a conflict by {register.policy}" + (f": {preference.formula.text}" if preference else "")
    return _claimed(register, version, record) or version.note or "a successor: no conflict"


def _claimed(register: Register, version: Version, record: Record) -> str:
    """Where the owner depends on the record's state: by what it is, and whether whoever wrote it was it then."""
    claim = next((c for c in register.claims if c.when is None or is_true(c.when, record.values)), None)
    if claim is None:
        return ""
    owns = f"{claim.system} owns it " + (f"while {claim.when.text}" if claim.when is not None else "in this state")
    return owns if claim.system == version.system else f"{version.system} owned it when that was written, now {owns}"


def _state(rules: EntityRules, record: Record, system: str) -> str:
    """How one system stands to the whole record, in words."""
    side = record.sides.get(system)
    if side is None:
        return IN_STEP
    if side.out:
        return "kept out: the record is not kept in step with this system"
    if side.bad:
        return f"in quarantine: {side.bad}"
    if rules.entity.crossed and EXISTENCE in record.holds and system not in record.keys:
        return "left to a person: it is not made here before"
    if side.wait == DEFERRED:
        return "a write waits: a user has locked the row"
    if side.wait == REREAD:
        return "a write waits: the row is being read again"
    if side.wait == STOPPED:
        return "a write waits: a limit was broken, `duolog status` says by whom"
    if side.wait:
        return "a write waits: the row has changed, and its log has not been read that far"
    if side.due:
        return "a write is due"
    layout = rules.layouts[system]
    held = [r for r in side.held if r in record.holds and (r == EXISTENCE or layout.fields_of[r])]
    return "left to a person: it keeps its own value" if held else IN_STEP


def _holding(
    rules: EntityRules, record: Record, number: int, system: str, parent_keys: Callable[[str], Mapping[str, str]]
) -> dict[str, Any]:
    """What one system holds of one field, as stored there, and how that stands to the current version."""
    side, layout = record.sides.get(system), rules.layouts[system]
    if number not in layout.bound:
        return {"value": None, "state": "has no such column"}
    if side is not None and side.out:
        return {"value": None, "state": "kept out"}
    if not held_alive(record, side):
        return {"value": None, "state": "has no such record"}
    stored = held_row(record, side, layout)[number]
    state = _field_state(record, rules.register_of[number], side, layout)
    if not isinstance(stored, str) or all(number != n for n, _ in rules.crossed_references):
        return {"value": stored, "state": state}
    id, _, left_over = stored.partition(FOREIGN)
    if left_over and state == OWN_WAY:
        state = "in step, by a key that is left over after a join"
    key = left_over or parent_keys(id).get(system)
    return {"value": id, "key": key_text(key) if key is not None else None, "state": state}


def _field_state(record: Record, register: int, side: Side | None, layout: Layout) -> str:
    entry = side.held.get(register) if side is not None else None
    if side is None or entry is None:
        return IN_STEP
    if register in record.holds:
        return "left to a person"
    if entry[0] == record.version(register):
        same = entry[1] == layout.stored(register, record.values)
        return IN_STEP if same else OWN_WAY
    if side.bad:
        return "in quarantine"
    return "a write waits" if side.wait else "a write is due"


def _overruled(rules: EntityRules, row: JournalRow, name: str, printed: Printed) -> dict[str, object]:
    entry = row.entry
    place = entry.fields.index(name) if name in entry.fields else None
    won, lost = (without_keys(rules, entry.fields, values) for values in (entry.won, entry.lost))
    return {
        "at": moment(row.at), "kind": entry.kind, "because": entry.because,
        "won": won[place] if place is not None and place < len(won) else None,
        "lost": lost[place] if place is not None and place < len(lost) else None,
        "winner": version_json(entry.winner, printed), "loser": version_json(entry.loser, printed),
    }  # fmt: skip


def version_json(version: Version | None, printed: Printed) -> dict[str, object] | None:
    """A version, as programs are told it."""
    if version is None:
        return None
    return {
        "system": version.system or version.note, "committed_at": moment(version.committed_at),
        "position": _place(version, printed), "number": version.number,
    }  # fmt: skip


# ---------------------------------------------------------------- for people


def lines(document: dict[str, Any], width: int) -> Iterator[Text]:
    """The document for a terminal: the record, then a block a field; nothing is wider than that."""
    yield from _heading(document, width)
    fields = document["fields"]
    name_cells = max((cell_len(f["field"]) for f in fields), default=0) + 2
    value_cells = max((c for f in fields if (c := cell_len(_value(f["value"]))) <= VALUE_CELLS_MAX), default=0) + 2
    value_cells = min(value_cells, (width - name_cells) // 2)
    for each in fields:
        yield from _block(each, name_cells, value_cells, width)


def _heading(document: dict[str, Any], width: int) -> Iterator[Text]:
    existence = document["existence"]
    state = "exists" if document["exists"] else "deleted"
    name = f"{document['entity']} {'/'.join(harmless(part) for part in document['key'])}"
    yield from wrapped(Text.assemble((name, "bold"), f": {state} ({_who(existence)})"), 0, width)
    if document.get("note"):
        yield from wrapped(Text(harmless(document["note"])), 2, width)
    for system, words in document["systems"].items():
        yield from wrapped(Text.assemble((f"{system}: ", "bold"), harmless(_keyed(document, system) + words)), 2, width)
    if existence["held"]:
        yield from wrapped(Text(f"left to a person: {existence['held']}"), 2, width)
    for note in existence["overruled"]:
        yield from wrapped(Text(f"{note['at']} {note['kind']}: {harmless(note['because'])}"), 2, width)
    yield Text()


def _keyed(document: dict[str, Any], system: str) -> str:
    """Under which key the system has it, where that is a key of its own."""
    if "keys" not in document:
        return ""
    return f"key {document['keys'][system]}, " if system in document["keys"] else "no row, "


def _block(field: dict[str, Any], name_cells: int, value_cells: int, width: int) -> Iterator[Text]:
    name = Text(field["field"], "bold")
    name.pad_right(name_cells - cell_len(field["field"]))
    value, origin = _value(field["value"]), f"{_who(field)}: {harmless(field['why'])}"
    if cell_len(value) <= value_cells - 2 and name_cells + value_cells + cell_len(origin) <= width:
        line = Text(value)
        line.pad_right(value_cells - cell_len(value))
        yield Text.assemble(name, line, (origin, "dim"))
    else:
        first, *rest = wrapped(Text(value), name_cells, width)
        yield Text.assemble(name, first[name_cells:])
        yield from rest
        yield from wrapped(Text(origin, "dim"), name_cells, width)
    for note in _notes(field):
        yield from wrapped(Text(note), name_cells, width)


def _notes(field: dict[str, Any]) -> Iterator[str]:
    """What stands below a field: whom it refers to, a hold, the systems that differ, the writes that were overruled."""
    if field.get("refers_to"):
        keys = ", ".join(f"{system} {harmless(key)}" for system, key in field["refers_to"]["keys"].items())
        yield f"refers to {field['refers_to']['entity']} {harmless(field['refers_to']['key'])}: {keys or 'no row'}"
    if field["held"]:
        yield f"left to a person: {harmless(field['held'])}"
    for system, holding in field["systems"].items():
        if field["held"] and holding["state"] in (IN_STEP, "left to a person"):
            yield f"{system} keeps `{_value(holding['value'])}`"
        elif holding["state"] == "has no such column":
            yield f"{system} has no such column"
        elif holding["state"] not in (IN_STEP, "kept out", "has no such record"):
            yield f"{system} holds `{_value(holding['value'])}`: {holding['state']}"
    for note in field["overruled"]:
        loser = harmless((note["loser"] or {}).get("system", "?"))
        if note["kind"] != "hold":
            yield (
                f"{note['at']} {note['kind']}: `{_value(note['lost'])}` of {loser} gave way to "
                f"`{_value(note['won'])}`: {harmless(note['because'])}"
            )
        elif not field["held"]:
            yield f"{note['at']} hold: `{_value(note['lost'])}` of {loser} was left to a person"


def _who(origin: dict[str, Any]) -> str:
    when = f", {origin['committed_at']}" if origin["committed_at"] else ""
    return f"{origin['from']}{when}"


def _value(value: object) -> str:
    return harmless(value_text(value))
