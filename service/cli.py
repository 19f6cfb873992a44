"""The `duolog` command: puts the verbs together. Nothing else."""

from __future__ import annotations

import gc

import typer

from service.commands.compare import verify
from service.commands.demo import demo
from service.commands.engine import run, status
from service.commands.init import init
from service.commands.limits import allow
from service.commands.match import match
from service.commands.plan import plan
from service.commands.prepare import check, setup, teardown
from service.commands.records import explain, held, journal, quarantine
from service.commands.requests import merge_records, resolve, retry
from service.commands.sharing import workers
from service.commands.test import test
from service.commands.waiting import arm, release, watchdog

app = typer.Typer(
    name="duolog",
    help="Keeps the databases of different applications in step, in both directions, field by field.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for verb in (
    init, check, test, plan, setup, match, run, status, workers, explain, journal, held, resolve, allow, merge_records,
    quarantine, retry, verify, release, arm, watchdog, teardown, demo,
):  # fmt: skip
    app.command()(verb)


def main() -> None:
    """The entry point."""
    # What the start has read stays until the end, and looking through all of it there is a fifth of a short command.
    gc.freeze()
    app()


if __name__ == "__main__":
    main()
