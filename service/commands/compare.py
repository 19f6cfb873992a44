"""`verify`: do the systems really agree? Compared through the rules, with what is on its way waited out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from engine.assembly import KEY_SEPARATOR
from engine.audit import Difference, compare
from engine.first_merge import paired
from engine.merge import EntityRules
from engine.record import Record
from engine.vocabulary import Row
from service.commands.settled import settled, watermarks
from service.commands.terms import FINDINGS, Json, Rules, print_json, print_table, told, value_text
from service.wiring import Rows, open_store, wire

AGAIN_EVERY_S = 0.3
CHUNK_RECORDS = 1_000
SUSPECTS_MAX = 100_000


class Comparison:
    """Compares all systems of one rule file, and looks again at what differed."""

    def __init__(self, rules: Path, stack: ExitStack) -> None:
        wired = wire(rules)
        self.readings: dict[str, Rows] = {
            name: stack.enter_context(kit.reading(wired.book)) for name, kit in wired.kits.items()
        }
        self.store = open_store(wired.rules, create=False)
        stack.callback(self.store.close)
        self.entities = {
            entity.name: EntityRules(entity, rank) for rank, entity in enumerate(wired.book.entities.values())
        }
        self.systems = wired.book.systems
        self.compared = 0

    def suspects(self, entity: str) -> Iterator[Difference]:
        """One pass over an entity: everything that differs, as it is read."""
        rules = self.entities[entity]
        readings = {
            system: _Stream(reading, rules) for system, reading in self.readings.items() if system in rules.layouts
        }
        chunk: dict[str, dict[str, Row]] = {}
        for key, rows in paired(rules, readings):  # type: ignore[arg-type]
            chunk[key] = rows  # type: ignore[assignment]
            self.compared += 1
            if len(chunk) >= CHUNK_RECORDS:
                yield from self._judge(rules, chunk)
                chunk = {}
        yield from self._judge(rules, chunk)

    def again(self, differences: list[Difference]) -> list[Difference]:
        """Looks again at records that differed; those that agree by now are gone."""
        found: list[Difference] = []
        for entity, rules in self.entities.items():
            keys = [d.key for d in differences if d.entity == entity]
            for at in range(0, len(keys), CHUNK_RECORDS):
                part = keys[at : at + CHUNK_RECORDS]
                rows = {s: r.rows_of(entity, part) for s, r in self.readings.items() if s in rules.layouts}
                chunk = {key: {s: there[key] for s, there in rows.items() if key in there} for key in part}
                found += self._judge(rules, chunk)
        return found

    def _judge(self, rules: EntityRules, chunk: dict[str, dict[str, Row]]) -> Iterator[Difference]:
        marks = watermarks(self.store, self.systems)
        states = self.store.load_committed(rules.name, list(chunk))
        for key, rows in chunk.items():
            record: Record | None = settled(states[key], rules, marks) if key in states else None
            difference = compare(rules, key, rows, record)
            if difference is not None:
                yield difference


class _Stream:
    """A system's rows, in the shape in which snapshots are merged."""

    def __init__(self, reading: Rows, rules: EntityRules) -> None:
        self.reading = reading

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity."""
        return self.reading.rows(entity)


def verify(
    rules: Rules,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is on its way.", min=0)] = 20.0,
    values: Annotated[bool, typer.Option("--values", help="Show the values that differ, too.")] = False,
    as_json: Json = False,
) -> None:
    """Compares all systems through the rules, and lists what differs once nothing is on its way.

    Example: duolog verify erp_crm.yaml

    Exit codes: 0 they agree, 1 something differs."""
    with told(), ExitStack() as stack:
        comparison = Comparison(rules, stack)
        differences = _first_pass(comparison, quiet=as_json)
        deadline = time.monotonic() + wait
        while differences and time.monotonic() < deadline:
            if all(d.status in ("held", "quarantine") for d in differences):
                break
            time.sleep(AGAIN_EVERY_S)
            differences = comparison.again(differences)
        _tell(comparison.compared, differences, values, as_json)
    if differences:
        raise typer.Exit(FINDINGS)


def _first_pass(comparison: Comparison, *, quiet: bool) -> list[Difference]:
    differences: list[Difference] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    seen = Console(stderr=True)
    with Progress(*columns, console=seen, transient=True, disable=quiet or not seen.is_terminal) as progress:
        for entity in comparison.entities:
            task = progress.add_task(f"comparing {entity}", total=None)
            for difference in comparison.suspects(entity):
                differences.append(difference)
                progress.update(task, description=f"comparing {entity}: {comparison.compared} records")
                if len(differences) >= SUSPECTS_MAX:
                    return differences
    return differences


def _tell(compared: int, differences: list[Difference], values: bool, as_json: bool) -> None:
    if as_json:
        print_json({"compared": compared, "differences": [_json(d, values) for d in differences]})
        return
    rows = [
        [
            d.entity, d.key.replace(KEY_SEPARATOR, "/"),
            f"missing in {', '.join(d.missing)}" if d.missing else ", ".join(d.fields), d.status,
            *([_values(d)] if values else []),
        ]
        for d in differences
    ]
    columns = ["entity", "key", "what", "status", *(["values"] if values else [])]
    print_table("differences", columns, rows, f"{compared} records compared: no difference")
    if rows:
        typer.echo(f"{compared} records compared, {len(rows)} differ")


def _values(difference: Difference) -> str:
    return "; ".join(f"{s}: {', '.join(value_text(v) for v in vs)}" for s, vs in difference.values.items())


def _json(difference: Difference, values: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "entity": difference.entity, "key": difference.key.replace(KEY_SEPARATOR, "/"),
        "fields": list(difference.fields), "missing": list(difference.missing), "status": difference.status,
    }
    if values:
        found["values"] = {system: list(v) for system, v in difference.values.items()}
    return found
