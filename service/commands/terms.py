"""What all commands share: arguments, exit codes, how results and errors are printed.

Turns exceptions into messages and exit codes. It knows no command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from engine.assembly import KEY_SEPARATOR
from engine.errors import DuologError, StoreBusy, StoreUnfit, SystemStopped
from engine.standing import UNKNOWN
from rules import printed
from service.wiring import RulesRefused

OK, FINDINGS, RULES_WRONG, STOPPED, STORE = 0, 1, 2, 3, 4
"""Exit codes; `docs/operating.md` tells what to do at each."""

Rules = Annotated[Path, typer.Argument(help="The rule file, or a folder of them.", metavar="RULES", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


WIDE_CELLS = 10_000
"""The width where there is no terminal: nothing is folded, so that a line can be searched."""


def console() -> Console:
    """Where tables go: as wide as the terminal, or as COLUMNS says, or as is needed where there is neither."""
    told_width = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(width=None if told_width else WIDE_CELLS, highlight=False)


def print_json(value: Any) -> None:
    """Prints a value as JSON, and nothing else."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_lines(lines: Iterable[Text], empty: str = "") -> None:
    """Prints lines that were made for this console, or says that there are none."""
    terminal, any_line = console(), False
    for line in lines:
        any_line = True
        terminal.print(line, soft_wrap=True)
    if not any_line and empty:
        typer.echo(empty)


def wrapped(text: Text, indent: int, width: int, *, hanging: int = 0) -> Iterator[Text]:
    """The text in lines that fit, each after `indent` blanks, all but the first after `hanging` more; words that are
    too long are cut."""
    room = max(10, width - indent - hanging)
    for number, line in enumerate(text.wrap(Console(width=room), room, overflow="fold") or [Text()]):
        line.rstrip()
        yield Text.assemble(" " * (indent + (hanging if number else 0)), line)


def print_table(title: str, columns: list[str], rows: Sequence[Sequence[str | list[str]]], empty: str) -> None:
    """Prints rows as a table, or says that there are none. A cell is a text, or a list of texts, a line each: a line's
    end within a text is a control character like any other."""
    if not rows:
        typer.echo(empty)
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*["\n".join(map(shown, [cell] if isinstance(cell, str) else cell)) for cell in row])
    console().print(table)


def shown(text: object) -> str:
    """A value as a table may be given it: control characters and markup made harmless."""
    return escape(harmless(text))


def harmless(text: object) -> str:
    """A value as a terminal may be given it: every control character is written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def value_text(value: object) -> str:
    """One canonical value, for people."""
    return "NULL" if value is None else "(not set)" if value is False else str(value)


def key_text(key: str) -> str:
    """A record's key (or id), or a system's own key, for people and programs."""
    return key.removeprefix(UNKNOWN).replace(KEY_SEPARATOR, "/")


def moment(microseconds: int) -> str:
    """A time (UTC) for people; nothing where it is unknown."""
    if not microseconds:
        return ""
    found = datetime.fromtimestamp(microseconds / 1e6, UTC)
    return found.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def told() -> Iterator[None]:
    """Prints what stops a command, with its mend, and ends it with the code that says what kind it is."""
    try:
        yield
    except RulesRefused as error:
        typer.echo(printed(error.problems), err=True)
        raise typer.Exit(RULES_WRONG) from None
    except (StoreBusy, StoreUnfit) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(STORE) from None
    except SystemStopped as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(STOPPED) from None
    except DuologError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FINDINGS) from None
