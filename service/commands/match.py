"""`match`: what the systems have on day one, side by side, and what the rules make of it, before it counts.

Turns all systems' snapshots into a report in the store, shows it, and lets it become the base that `run` goes on from.
No table of an application is written.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from adapters.store import SqlStore
from engine.errors import SystemUnavailable, WrongStage
from engine.first_report import About, read_about
from engine.rulebook import RuleBook
from rules import RuleFile
from service.commands.matched import Asked, Told, print_report
from service.commands.terms import FINDINGS, RULES_WRONG, Json, Rules, told
from service.day_one import BASE, MATCHED, Watch, accept, changed_since, compare, require_set_up
from service.failpoints import from_environment
from service.synchronous.leftovers import COMPARED, let_go
from service.wiring import Wired, kits, offline_book, open_store, read_rules, wire, with_bookmarks

LIMIT = 50


def match(
    rules: Rules,
    accepting: Annotated[bool, typer.Option("--accept", help="Let what was found become the base.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Compare anew, whatever the store has.")] = False,
    entity: Annotated[str, typer.Option(help="Only this entity.")] = "",
    kind: Annotated[
        Literal["", "differing", "one-sided", "ambiguous", "refused"], typer.Option(help="Only records of this kind.")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(help="How many records (50; with --json or --csv, all).", min=0)
    ] = None,
    values: Annotated[bool, typer.Option("--values", help="Show the values, too.")] = False,
    csv: Annotated[str, typer.Option(metavar="FILE", help="Write the records as CSV; `-`: to standard output.")] = "",
    as_json: Json = False,
) -> None:
    """Compares all systems before the first run, and says what the rules would make of each difference.

    Nothing is written to any system. The report is kept, and shown again until it is accepted; `run` starts only
    then, and goes on from where the systems were compared.

    Examples: duolog match erp_crm.yaml
    duolog match erp_crm.yaml --entity customer --kind differing --values
    duolog match erp_crm.yaml --accept

    Exit codes: 0 all are equal, or it was accepted, 1 something differs, 3 a system needs a person, 4 the store is in
    use, or does not fit."""
    if csv and (as_json or accepting):
        raise typer.BadParameter("--csv goes neither with --json nor with --accept")
    if limit is None and not (csv or as_json):
        limit = LIMIT
    asked = Asked(entity, kind or None, 0 if accepting else limit, values, csv, as_json)
    with told(), ExitStack() as stack:
        desk = _Desk(rules, stack)
        if entity and entity not in desk.file.entities:
            typer.echo(f"no entity `{entity}`; there are: {', '.join(desk.file.entities)}", err=True)
            raise typer.Exit(RULES_WRONG)
        about = desk.report(again=again, accepting=accepting, quiet=as_json or csv == "-")
        kept = {} if accepting else desk.log_kept()
        if accepting:
            accept(desk.wired(), desk.store, about, rules)
        print_report(desk.store, Told(desk.book, about, rules, kept, accepting), asked)
    if not accepting and any(count.kinds for count in about.counts.values()):
        raise typer.Exit(FINDINGS)


class _Desk:
    """One rule file, its store, and its systems as soon as they are needed."""

    def __init__(self, rules: Path, stack: ExitStack) -> None:
        self.rules = rules
        loaded = read_rules(rules)
        assert loaded.rules is not None
        self.file: RuleFile = loaded.rules
        self.book: RuleBook = offline_book(loaded)
        self._wired: Wired | None = None
        self.store: SqlStore = open_store(self.file, create=True)
        stack.callback(self.store.close)

    def wired(self) -> Wired:
        """The systems at hand, and the store for us alone: from here on no engine starts on it."""
        if self._wired is None:
            self._wired = wire(self.rules)
            with_bookmarks(self._wired.kits, self.store)
            self.store.lock()
        return self._wired

    def report(self, *, again: bool, accepting: bool, quiet: bool) -> About:
        """The report that the store has, or else a new one. Raises WrongStage."""
        phase, about = self.store.state().phase, read_about(self.store.find_committed)
        if phase == BASE and not again:
            raise WrongStage(
                "the systems are agreed already, and kept in step from there",
                mend=f"`duolog verify {self.rules}` compares them as they are; `duolog match {self.rules} --again` "
                "forgets what was agreed, and compares as on the first day",
            )
        stale = "" if about is None or again else changed_since(about, self.file)
        if phase == MATCHED and about is not None and not again and (accepting or not stale):
            return about
        if stale:
            typer.echo(f"{stale} since the systems were compared: comparing anew", err=True)
        wired = self.wired()
        require_set_up(wired, self.rules)
        let_go(wired, self.book.synchronous, lambda _: COMPARED, lambda *said: typer.echo(": ".join(said), err=True))
        gc.freeze()  # rows and records hold no cycles, as in `service.daemon`
        gc.set_threshold(100_000, 20, 100)
        with _progress(wired, quiet=quiet) as watch:
            compare(wired, self.store, watch, time.time_ns() // 1000)
        about = read_about(self.store.find_committed)
        assert about is not None, "it has just been made"
        return about

    def log_kept(self) -> dict[str, int]:
        """By system that can be reached: bytes of log that its server keeps for us until the report is accepted.

        Raises SystemStopped if a log can no longer be read on from where the systems were compared."""
        positions = self.store.state().positions
        kept: dict[str, int] = {}
        for name, kit in kits(self.file).items():
            try:
                kept[name] = kit.log_kept(self.book, positions[name])
            except SystemUnavailable as error:
                typer.echo(f"{name}: how much log is kept is not known: {error.found}", err=True)
        return kept


@contextmanager
def _progress(wired: Wired, *, quiet: bool) -> Iterator[Watch]:
    """Shows how far the comparison is, on a terminal."""
    seen, point = Console(stderr=True), from_environment()
    reach = point.reach if point is not None else lambda name: None
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=seen, transient=True, disable=quiet or not seen.is_terminal) as progress:
        bars = _Bars(progress, {} if progress.disable else _records_about(wired))

        def merging(entity: str, records: int) -> None:
            reach("first_merge")
            bars.merged(entity, records)

        yield Watch(merging, bars.read, reach)


class _Bars:
    """One bar for each entity, and for each table that has to be read as a whole first."""

    def __init__(self, progress: Progress, about: dict[str, int]) -> None:
        """`about`: about how many records an entity has."""
        self._progress = progress
        self._about = about
        self._tasks: dict[str, TaskID] = {}
        self._before: dict[str, int] = {}
        """By entity: how many records came before its own."""
        self._last = 0

    def merged(self, entity: str, records: int) -> None:
        """So many records have been compared, of this entity and those before it."""
        self._show(f"comparing {entity}", entity, records - self._before.setdefault(entity, self._last))
        self._last = records

    def read(self, what: str, rows: int) -> None:
        """So many rows have been read."""
        self._show(f"reading {what}", what.partition(" in ")[0], rows)

    def _show(self, words: str, entity: str, count: int) -> None:
        if words not in self._tasks:
            self._tasks[words] = self._progress.add_task(words, total=self._about.get(entity) or None)
        self._progress.update(self._tasks[words], completed=count)


def _records_about(wired: Wired) -> dict[str, int]:
    """By entity: about how many records it has, as the catalogs say."""
    found: dict[str, int] = {}
    for name, kit in wired.kits.items():
        rows = kit.rows_about(wired.book)
        for binding in wired.book.bound[name]:
            found[binding.entity] = max(found.get(binding.entity, 0), rows[binding.table])
    return found
