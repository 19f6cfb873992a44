"""What all commands share: arguments, exit codes, how results and errors are printed.

Turns exceptions into messages and exit codes. It knows no command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from engine.errors import DuologError, StoreBusy, StoreUnfit, SystemStopped
from rules import printed
from service.wiring import RulesRefused

OK, FINDINGS, RULES_WRONG, STOPPED, STORE = 0, 1, 2, 3, 4
"""Exit codes; `docs/operating.md` tells what to do at each."""

Rules = Annotated[Path, typer.Argument(help="The rule file.", metavar="RULES", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def console() -> Console:
    """Where tables go. As wide as is needed where nobody looks at a terminal."""
    return Console(soft_wrap=not sys.stdout.isatty(), highlight=False)


def print_json(value: Any) -> None:
    """Prints a value as JSON, and nothing else."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(title: str, columns: list[str], rows: list[list[str]], empty: str) -> None:
    """Prints rows as a table, or says that there are none."""
    if not rows:
        typer.echo(empty)
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[shown(cell) for cell in row])
    console().print(table)


def shown(text: object) -> str:
    """A value as it may be printed: control characters and markup made harmless."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text)))


def value_text(value: object) -> str:
    """One canonical value, for people."""
    return "NULL" if value is None else "(not set)" if value is False else str(value)


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
