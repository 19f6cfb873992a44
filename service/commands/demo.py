"""`demo`: the whole of duolog in a minute, on two real servers of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.commands.terms import told


class Database(StrEnum):
    """What the CRM may live on."""

    postgresql = "postgresql"
    mariadb = "mariadb"


def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running afterwards, until Ctrl-C.")] = False,
    seconds: Annotated[float, typer.Option(help="How long the users write.", min=1)] = 30.0,
    seed: Annotated[int, typer.Option(help="Which users, and what they write.")] = 7,
    crm: Annotated[Database, typer.Option(help="The database of the CRM.")] = Database.postgresql,
) -> None:
    """Starts two servers with an ERP and a CRM, and keeps them in step while both are written.

    Example: duolog demo --seconds 10

    Exit codes: 0 both agree at the end, 1 they do not."""
    from service.demo.show import run_demo

    with told():
        raise typer.Exit(run_demo(stay=stay, seconds=seconds, seed=seed, crm=crm.value))
