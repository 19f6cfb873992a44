"""What `explain` answers: one record as plain values, and those as lines for a terminal of any width.

Turns a settled record, its journal and its place in quarantine into the document that `--json` prints, and the document
into text. It opens nothing, and decides nothing about the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from adapters.store import JournalRow
from engine.assembly import KEY_SEPARATOR
from engine.merge import EntityRules
from engine.record import DEFERRED, REREAD, UNSET_VERSION, Layout, Record, Side, held_alive, held_row
from engine.rulebook import EXISTENCE, Register
from engine.vocabulary import Position, Version
from service.commands.terms import harmless, moment, value_text, wrapped

IN_STEP = "in step"
VALUE_CELLS_MAX = 48
"""A longer value gets a line of its own."""


PositionText = Callable[[Position], str]
"""How a system prints a position in its log."""
Printed = Mapping[str, PositionText]
"""By system."""


def explained(
    rules: EntityRules, key: str, record: Record, journal: list[JournalRow], quarantined: dict[str, str],
    printed: Printed,
) -> dict[str, Any]:
    """The whole answer of `explain`, as plain values. `record` is settled."""
    existence = record.version(EXISTENCE)
    return {
        "entity": rules.name,
        "key": key.split(KEY_SEPARATOR),
        "exists": record.alive,
        "systems": {system: _state(rules, record, system) for system in rules.layouts},
        "existence": {
            **_origin(existence, printed),
            "held": record.holds.get(EXISTENCE),
            "overruled": [_overruled(row, "", printed) for row in journal if not row.entry.fields],
        },
        "fields": [
            _field(rules, record, register, number, name, journal, printed)
            for register in rules.registers[1:]
            for number, name in zip(register.fields, rules.names(register.number), strict=True)
        ],
        "quarantine": quarantined,
    }


def _field(
    rules: EntityRules, record: Record, register: Register, number: int, name: str, journal: list[JournalRow],
    printed: Printed,
) -> dict[str, Any]:
    version = record.version(register.number)
    mine = [row for row in journal if name in row.entry.fields]
    return {
        "field": name,
        "value": record.values[number],
        **_origin(version, printed),
        "why": _why(version, register, mine),
        "held": record.holds.get(register.number),
        "systems": {
            system: _holding(record, register.number, number, system, layout)
            for system, layout in rules.layouts.items()
        },
        "overruled": [_overruled(row, name, printed) for row in mine],
    }


def _origin(version: Version, printed: Printed) -> dict[str, Any]:
    return {
        "version": version.number,
        "from": version.system or "duolog",
        "committed_at": moment(version.committed_at),
        "position": _place(version, printed),
    }


def _place(version: Version, printed: Printed) -> str:
    return printed[version.system](version.position) if version.system in printed and version.position else ""


def _why(version: Version, register: Register, journal: list[JournalRow]) -> str:
    if version == UNSET_VERSION:
        return "nobody has written it yet"
    if not version.system:
        return version.note
    if register.owner is not None:
        return f"{register.owner} owns it"
    newest = journal[0].entry if journal else None
    if newest is not None and newest.kind == "resolved" and newest.winner and newest.winner.number >= version.number:
        return newest.because
    if any(row.entry.winner == version and row.entry.kind != "hold" for row in journal):
        return f"won a conflict by {register.policy}"
    return version.note or "a successor: no conflict"


def _state(rules: EntityRules, record: Record, system: str) -> str:
    """How one system stands to the whole record, in words."""
    side = record.sides.get(system)
    if side is None:
        return IN_STEP
    if side.out:
        return "kept out: the record is not kept in step with this system"
    if side.bad:
        return f"in quarantine: {side.bad}"
    if side.wait == DEFERRED:
        return "a write waits: a user has locked the row"
    if side.wait == REREAD:
        return "a write waits: the row is being read again"
    if side.wait:
        return "a write waits: the row has changed, and its log has not been read that far"
    if side.due:
        return "a write is due"
    layout = rules.layouts[system]
    held = [r for r in side.held if r in record.holds and (r == EXISTENCE or layout.fields_of[r])]
    return "left to a person: it keeps its own value" if held else IN_STEP


def _holding(record: Record, register: int, number: int, system: str, layout: Layout) -> dict[str, Any]:
    """What one system holds of one field, as stored there, and how that stands to the current version."""
    side = record.sides.get(system)
    if number not in layout.bound:
        return {"value": None, "state": "has no such column"}
    if side is not None and side.out:
        return {"value": None, "state": "kept out"}
    if not held_alive(record, side):
        return {"value": None, "state": "has no such record"}
    return {"value": held_row(record, side, layout)[number], "state": _field_state(record, register, side, layout)}


def _field_state(record: Record, register: int, side: Side | None, layout: Layout) -> str:
    entry = side.held.get(register) if side is not None else None
    if side is None or entry is None:
        return IN_STEP
    if register in record.holds:
        return "left to a person"
    if entry[0] == record.version(register):
        same = entry[1] == layout.stored(register, record.values)
        return IN_STEP if same else "in step, stored in its own way"
    if side.bad:
        return "in quarantine"
    return "a write waits" if side.wait else "a write is due"


def _overruled(row: JournalRow, name: str, printed: Printed) -> dict[str, object]:
    entry = row.entry
    place = entry.fields.index(name) if name in entry.fields else None
    return {
        "at": moment(row.at), "kind": entry.kind, "because": entry.because,
        "won": entry.won[place] if place is not None and place < len(entry.won) else None,
        "lost": entry.lost[place] if place is not None and place < len(entry.lost) else None,
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
    for field in fields:
        yield from _block(field, name_cells, value_cells, width)


def _heading(document: dict[str, Any], width: int) -> Iterator[Text]:
    existence = document["existence"]
    state = "exists" if document["exists"] else "deleted"
    name = f"{document['entity']} {'/'.join(harmless(part) for part in document['key'])}"
    yield from wrapped(Text.assemble((name, "bold"), f": {state} ({_who(existence)})"), 0, width)
    for system, words in document["systems"].items():
        yield from wrapped(Text.assemble((f"{system}: ", "bold"), harmless(words)), 2, width)
    if existence["held"]:
        yield from wrapped(Text(f"left to a person: {existence['held']}"), 2, width)
    for note in existence["overruled"]:
        yield from wrapped(Text(f"{note['at']} {note['kind']}: {harmless(note['because'])}"), 2, width)
    yield Text()


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
    """What stands below a field: a hold, the systems that differ, the writes that were overruled."""
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
