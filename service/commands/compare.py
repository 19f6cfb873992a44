"""`verify`: do the systems really agree? Compared through the rules, with what is on its way waited out.

Turns all rows of all systems into differences, and those into a table or JSON. It writes no system, and the engine's
store is only read: rows of records that have a key of their own in each system are gathered in a file of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from adapters.store import SqlStore
from engine.audit import Difference, compare
from engine.first_merge import paired
from engine.gathering import Found
from engine.merge import EntityRules, rules_of
from engine.standing import Standing
from engine.vocabulary import Row
from service.commands.settled import settled, watermarks
from service.commands.terms import FINDINGS, Json, Rules, key_text, print_json, print_table, told, value_text
from service.scaling.looking import open_known, store_at
from service.wiring import Rows, wire

AGAIN_EVERY_S = 0.3
CHUNK_RECORDS = 1_000
SUSPECTS_MAX = 100_000


class Comparison:
    """Compares all systems of one rule file, and looks again at what differed."""

    def __init__(self, rules: Path, stack: ExitStack) -> None:
        wired = wire(rules)
        self.book = wired.book
        self.readings: dict[str, Rows] = {
            name: stack.enter_context(kit.reading(wired.book)) for name, kit in wired.kits.items()
        }
        self.store = open_known(wired.rules, wired.book)
        stack.callback(self.store.close)
        self.entities = rules_of(wired.book)
        self.compared = 0
        self._stack = stack
        self._scratch: SqlStore | None = None

    def suspects(self, entity: str) -> Iterator[Difference]:
        """One pass over an entity: everything that differs, as it is read."""
        for chunk in self._chunks(self.entities[entity]):
            self.compared += len(chunk)
            yield from self._judge(self.entities[entity], chunk)

    def again(self, differences: list[Difference]) -> list[Difference]:
        """Looks again at records that differed; those that agree by now are gone."""
        found: list[Difference] = []
        for entity, rules in self.entities.items():
            former = [d for d in differences if d.entity == entity]
            if former and rules.entity.crossed:
                found += self._again_crossed(rules, former)
            for at in range(0, 0 if rules.entity.crossed else len(former), CHUNK_RECORDS):
                found += self._judge(rules, self._rows_of(rules, [d.key for d in former[at : at + CHUNK_RECORDS]]))
        return found

    def _rows_of(self, rules: EntityRules, keys: list[str]) -> list[Found]:
        rows = {s: r.rows_of(rules.name, keys) for s, r in self.readings.items() if s in rules.layouts}
        return [Found(key, rows={s: there[key] for s, there in rows.items() if key in there}) for key in keys]

    def _again_crossed(self, rules: EntityRules, former: list[Difference]) -> Iterator[Difference]:
        """The entity is read as a whole. A row that was not known before may be another record's by now."""
        ids = {d.key for d in former}
        keys = {own for d in former for own in d.keys.items()}
        for chunk in self._chunks(rules):
            again = [found for found in chunk if found.id in ids or not keys.isdisjoint(found.keys.items())]
            yield from self._judge(rules, again)

    def _chunks(self, rules: EntityRules) -> Iterator[list[Found]]:
        """All records of an entity, as the systems have them."""
        records = self._gathered(rules) if rules.entity.crossed else self._paired(rules)
        while chunk := list(islice(records, CHUNK_RECORDS)):
            yield chunk

    def _paired(self, rules: EntityRules) -> Iterator[Found]:
        """Records with one key everywhere: the systems' streams side by side."""
        streams = {s: _Stream(reading, rules) for s, reading in self.readings.items() if s in rules.layouts}
        for key, rows in paired(rules, streams):  # type: ignore[arg-type]
            yield Found(key, rows=rows)

    def _gathered(self, rules: EntityRules) -> Iterator[Found]:
        """Records with a key of their own in each system: through the cross-reference."""
        scratch = self._scratch or self._open_scratch()
        standing = Standing(
            self.book, self.entities, rules.name, self.readings, scratch, self.store.find_committed
        )
        try:
            standing.prepare()
            yield from standing.records(rules)
        finally:
            scratch.rollback()

    def _open_scratch(self) -> SqlStore:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="duolog-verify-")))
        self._scratch = SqlStore.open(f"sqlite:///{folder / 'scratch.db'}", name="verify")
        self._stack.callback(self._scratch.close)
        return self._scratch

    def _judge(self, rules: EntityRules, chunk: list[Found]) -> Iterator[Difference]:
        by_store: dict[int, tuple[SqlStore, list[Found]]] = {}
        for found in chunk:
            store = store_at(self.store, rules.name, found.id)
            by_store.setdefault(id(store), (store, []))[1].append(found)
        for store, members in by_store.values():
            yield from self._judge_at(store, rules, members)

    def _judge_at(self, store: SqlStore, rules: EntityRules, chunk: list[Found]) -> Iterator[Difference]:
        marks = watermarks(store, self.book.systems)
        states = store.load_committed(rules.name, [found.id for found in chunk])
        for found in chunk:
            record = settled(states[found.id], rules, marks) if found.id in states else None
            difference = compare(rules, found, record)
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
    keyed = any(d.keys for d in differences)
    rows = [
        [
            d.entity, key_text(d.key),
            *([", ".join(f"{system} {key}" for system, key in _keys(d).items())] if keyed else []),
            f"missing in {', '.join(d.missing)}" if d.missing else ", ".join(d.fields), d.status,
            *([_values(d)] if values else []),
        ]
        for d in differences
    ]  # fmt: skip
    columns = ["entity", "key", *(["keys"] if keyed else []), "what", "status", *(["values"] if values else [])]
    print_table("differences", columns, rows, f"{compared} records compared: no difference")
    if rows:
        typer.echo(f"{compared} records compared, {len(rows)} differ")


def _keys(difference: Difference) -> dict[str, str]:
    return {system: key_text(key) for system, key in difference.keys.items()}


def _values(difference: Difference) -> str:
    return "; ".join(f"{s}: {', '.join(value_text(v) for v in vs)}" for s, vs in difference.values.items())


def _json(difference: Difference, values: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "entity": difference.entity, "key": key_text(difference.key),
        "fields": list(difference.fields), "missing": list(difference.missing), "status": difference.status,
    }  # fmt: skip
    if difference.keys:
        found["keys"] = _keys(difference)
    if values:
        found["values"] = {system: list(v) for system, v in difference.values.items()}
    return found
