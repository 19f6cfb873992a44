"""`init`: writes a first rule file from live databases, with a question wherever it had to guess.

Turns the catalogs of the databases into a proposal, as `service.init` makes it. It writes one file, and to no database.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.relational.survey import Survey
from rules.syntax import SYSTEM_NAME
from service.commands.terms import FINDINGS, Json, print_json, told
from service.init.draft import Draft
from service.init.drafting import drafted
from service.init.pairing import grouped
from service.init.proving import proven
from service.init.writing import variable
from service.wiring import SCHEMES, scheme_of, survey


def init(
    systems: Annotated[
        list[str],
        typer.Argument(
            help="Two systems or more, each as NAME=URL; NAME alone takes its address from the variable NAME_URL.",
            metavar="SYSTEM=URL...",
            show_default=False,
        ),
    ],
    schema: Annotated[
        list[str], typer.Option("--schema", help="Only this schema (MariaDB: this database); may be given again.")
    ] = [],  # noqa: B006
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("rules.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Json = False,
) -> None:
    """Writes a first rule file: which tables and columns look alike, what tells their rows, what refers to what. It
    looks at the catalogs only, and writes to no database.

    Example: duolog init erp=postgresql://duolog@erp.example/erp crm=mariadb://duolog@crm.example/crm -o erp_crm.yaml

    Exit codes: 0 written, 1 nothing looks alike or the file is there already, 2 the arguments are wrong, 3 a database
    needs a person."""
    addresses = dict(map(_address, systems))
    if len(addresses) < 2 or len(addresses) < len(systems):
        raise typer.BadParameter("two systems or more, each under a name of its own")
    if out.exists() and not force:
        typer.echo(f"{out} is there already: name another file (-o), or replace it (--force)", err=True)
        raise typer.Exit(FINDINGS)
    with told():
        surveys = [_surveyed(name, url, schema, as_json) for name, url in addresses.items()]
    draft = drafted(surveys, grouped(surveys))
    environ = {variable(name): url for name, url in addresses.items()}
    text = proven(draft, {each.system: each.catalog for each in surveys}, str(out), environ)
    if not draft.entities:
        _tell_nothing(draft)
        raise typer.Exit(FINDINGS)
    out.write_text(text, encoding="utf-8")
    if as_json:
        print_json(_json(draft, out))
    else:
        _tell(draft, out, text)


def _address(given: str) -> tuple[str, str]:
    name, equals, url = given.partition("=")
    if not re.fullmatch(SYSTEM_NAME, name):
        raise typer.BadParameter(f"`{name}` cannot be a system's name: a lower-case letter, then up to 30 of a-z 0-9 _")
    if not equals:
        url = os.environ.get(variable(name), "")
    if not url:
        write = f"write {name}=postgresql://…, {name}=mariadb://… or {name}=sqlite:///…, or export {variable(name)}"
        raise typer.BadParameter(f"`{name}` has no address: {write}")
    if not scheme_of(url):
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise typer.BadParameter(f"the address of `{name}` is of no kind that is known here: {allowed}")
    return name, url


def _surveyed(name: str, url: str, schemas: list[str], quiet: bool) -> Survey:
    found = survey(name, url, schemas)
    if not quiet:
        typer.echo(f"{name}: {len(found.tables)} tables")
    return found


def _tell(draft: Draft, path: Path, text: str) -> None:
    for entity in draft.entities:
        where = ", ".join(f"{system}: {table.shape.name}" for system, table in entity.tables.items())
        typer.echo(f"  {entity.name}: {where}: {len(entity.fields)} fields")
    questions = len(re.findall(r"(?m)^[^#]*#.*\?$", text))
    alone = sum(map(len, draft.unpaired.values()))
    entities = len(draft.entities)
    typer.echo(f"wrote {path}: {entities} entities, {questions} questions; {alone} tables look like no other")
    typer.echo(f"next: read it, export {' and '.join(map(variable, draft.systems))}, and run duolog check {path}")


def _tell_nothing(draft: Draft) -> None:
    typer.echo("no two tables look alike enough to begin with: nothing is written", err=True)
    for said in draft.left_out:
        typer.echo(f"  {said}", err=True)


def _json(draft: Draft, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "entities": [
            {
                "name": entity.name,
                "tables": {system: ".".join(table.name) for system, table in entity.tables.items()},
                "likeness": round(entity.likeness, 2),
                "identity": [name for name, _ in entity.identity],
                "fields": {made.name: made.columns for made in entity.fields},
                "left_out": entity.left_out,
            }
            for entity in draft.entities
        ],
        "left_out": draft.left_out,
        "alone": draft.unpaired,
    }
