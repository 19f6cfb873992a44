"""What `match` shows: the report that the store keeps, as a table, JSON or CSV.

Turns the report's lines into text as they are read, so that a million of them need no more memory than one. It writes
no store and opens no system; values are shown only if they are asked for.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO, assert_never

import msgspec
import typer

from adapters.store import SqlStore
from engine.first_report import LINE_KINDS, About, Choice, Count, Line, LineKind, read_lines
from engine.merge import EntityRules, rules_of
from engine.rulebook import RuleBook
from service.commands.explained import without_keys
from service.commands.terms import key_text, moment, print_table, value_text

EXPLAINED: Mapping[LineKind, str] = {
    "differing": "differ", "one-sided": "only in some", "ambiguous": "ambiguous", "refused": "refused",
}  # fmt: skip
"""The column heads of the table of entities."""

CSV_COLUMNS = ("entity", "kind", "key", "keys", "in", "missing", "fields", "winner", "why")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be shown, and how."""

    entity: str
    kind: LineKind | None
    limit: int | None
    """None: all."""
    values: bool
    csv: str
    """A file, `-` for standard output; "": no CSV."""
    as_json: bool


@dataclass(frozen=True, slots=True)
class Told:
    """The report as a whole, and what is known beside it."""

    book: RuleBook
    about: About
    rules: Path
    kept: Mapping[str, int]
    """By system: bytes of log that its server keeps for us until the report is accepted."""
    accepted: bool


@dataclass(frozen=True, slots=True)
class _Record:
    """One line, with its place."""

    rules: EntityRules
    kind: LineKind
    key: str
    line: Line


def print_report(store: SqlStore, report: Told, asked: Asked) -> None:
    """Prints the report."""
    total = sum(
        count.kinds.get(kind, 0)
        for entity, count in report.about.counts.items() if asked.entity in ("", entity)
        for kind in LINE_KINDS if asked.kind in (None, kind)
    )  # fmt: skip
    records = islice(_records(store, report.book, asked), asked.limit)
    shown = total if asked.limit is None else min(total, asked.limit)
    if asked.csv:
        _print_csv(records, report.book, asked)
    elif asked.as_json:
        _print_json(records, report, asked, shown, total)
    else:
        _print_tables(list(records), report, asked, shown, total)


def _records(store: SqlStore, book: RuleBook, asked: Asked) -> Iterator[_Record]:
    for name, rules in rules_of(book).items():
        for kind in LINE_KINDS:
            if asked.entity in ("", name) and asked.kind in (None, kind):
                for key, line in read_lines(store.entries, name, kind):
                    yield _Record(rules, kind, key, line)


# ---------------------------------------------------------------- in words


def _what(record: _Record, values: bool) -> list[str]:
    """What there is to say of a record: a line for each thing."""
    line = record.line
    match record.kind:
        case "differing":
            return [_choice(record.rules, choice, values) for choice in line.choices]
        case "one-sided":
            return [f"only in {', '.join(line.systems)}: {line.meaning}"]
        case "ambiguous":
            return [f"only in {', '.join(line.systems)}; looks like {', '.join(key_text(o) for o in line.others)}"]
        case "refused":
            return [f"{system}: {why}" for system, why in line.refused.items()]
        case _:
            assert_never(record.kind)


def _choice(rules: EntityRules, choice: Choice, values: bool) -> str:
    shown = f" ({'; '.join(f'{s}: {_values(rules, choice, s)}' for s in choice.values)})" if values else ""
    return f"{', '.join(choice.fields)}{shown}: {choice.winner or 'none'} wins: {choice.because}"


def _values(rules: EntityRules, choice: Choice, system: str) -> str:
    return ", ".join(value_text(v) for v in without_keys(rules, choice.fields, choice.values[system]))


def _keys(line: Line) -> dict[str, str]:
    return {system: key_text(key) for system, key in line.keys.items()}


# ---------------------------------------------------------------- as tables


def _print_tables(records: list[_Record], report: Told, asked: Asked, shown: int, total: int) -> None:
    chosen = [(e, c) for e, c in report.about.counts.items() if asked.entity in ("", e)]
    heads = ["entity", "records", "equal", *[EXPLAINED[kind] for kind in LINE_KINDS], "of these"]
    rows = [
        [entity, f"{c.records:,}", f"{c.equal:,}", *[f"{c.kinds.get(k, 0):,}" for k in LINE_KINDS], _of_these(c)]
        for entity, c in chosen
    ]
    print_table("entities", heads, rows, "no system has a record of any entity")
    if records:
        keyed = any(record.line.keys for record in records)
        print_table("records", ["entity", "key", *(["keys"] if keyed else []), "what"], [
            [
                r.rules.name, key_text(r.key),
                *([", ".join(f"{s} {k}" for s, k in _keys(r.line).items())] if keyed else []),
                _what(r, asked.values),
            ]
            for r in records
        ], "")  # fmt: skip
    if shown < total and not report.accepted:
        typer.echo(f"first {shown:,} of {total:,}: --limit shows more, --csv FILE writes all")
    _print_end(report)


def _of_these(count: Count) -> list[str]:
    """Which fields differ, and what becomes of one-sided records."""
    fields = [f"{name} {n:,}" for name, n in sorted(count.fields.items(), key=lambda item: (-item[1], item[0]))]
    return [*fields, *[f"{meaning} {n:,}" for meaning, n in sorted(count.meanings.items())]]


def _print_end(report: Told) -> None:
    if report.accepted:
        typer.echo("accepted: `duolog run` goes on from where the systems were compared")
        return
    typer.echo(f"compared at {_at(report.about)}; nothing has been written to any system")
    typer.echo(f"to let this become the base: duolog match {report.rules} --accept")
    if report.kept:
        kept = ", ".join(f"{system} {_size(count)}" for system, count in report.kept.items())
        typer.echo(f"until then the servers keep their logs for duolog: {kept} by now")


def _at(about: About) -> str:
    return moment(int(about.notes["at"]))


def _size(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"


# ---------------------------------------------------------------- for programs


def _print_json(records: Iterator[_Record], report: Told, asked: Asked, shown: int, total: int) -> None:
    head = {
        "compared_at": _at(report.about), "accepted": report.accepted, "log_kept": dict(report.kept),
        "entities": {name: msgspec.to_builtins(count) for name, count in report.about.counts.items()},
        "shown": shown, "total": total,
    }  # fmt: skip
    written = json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}")
    typer.echo(f'{written},\n  "records": [', nl=False)
    comma = ""
    for record in records:
        typer.echo(f"{comma}\n    {json.dumps(_json(record, asked.values), ensure_ascii=False)}", nl=False)
        comma = ","
    typer.echo("\n  ]\n}")


def _json(record: _Record, values: bool) -> dict[str, Any]:
    line = record.line
    found: dict[str, Any] = {
        "entity": record.rules.name, "kind": record.kind, "key": key_text(record.key), "systems": line.systems,
        "missing": line.missing,
    }  # fmt: skip
    if line.keys:
        found["keys"] = _keys(line)
    match record.kind:
        case "differing":
            found["fields"] = [_choice_json(record.rules, choice, values) for choice in line.choices]
        case "one-sided":
            found["meaning"] = line.meaning
        case "ambiguous":
            found["looks_like"] = [key_text(other) for other in line.others]
        case "refused":
            found["refused"] = line.refused
        case _:
            assert_never(record.kind)
    return found


def _choice_json(rules: EntityRules, choice: Choice, values: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"fields": choice.fields, "winner": choice.winner or None, "because": choice.because}
    if values:
        found["values"] = {s: without_keys(rules, choice.fields, v) for s, v in choice.values.items()}
    return found


def _print_csv(records: Iterator[_Record], book: RuleBook, asked: Asked) -> None:
    with _opened(asked.csv) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*CSV_COLUMNS, *(book.systems if asked.values else ())])
        writer.writerows(chain.from_iterable(_csv_rows(record, book, asked.values) for record in records))


@contextmanager
def _opened(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield sys.stdout
        return
    try:
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise typer.BadParameter(f"{name} cannot be written: {error.strerror}") from None


def _csv_rows(record: _Record, book: RuleBook, values: bool) -> Iterator[list[str]]:
    """One row for each field (or group) that differs, one for a record of any other kind."""
    line = record.line
    start = [
        record.rules.name, record.kind, key_text(record.key), " ".join(f"{s}={k}" for s, k in _keys(line).items()),
        " ".join(line.systems), " ".join(line.missing),
    ]  # fmt: skip
    if record.kind != "differing":
        yield [*start, "", "", "; ".join(_what(record, values)), *([""] * len(book.systems) if values else [])]
    for choice in line.choices:
        told = [_values(record.rules, choice, s) if s in choice.values else "" for s in book.systems]
        yield [*start, " ".join(choice.fields), choice.winner, choice.because, *(told if values else [])]
