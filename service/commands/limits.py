"""`allow`: what a person says of an entity that broke a limit.

Turns a command into a request in the store. It decides and writes nothing: the engine does, now or when it next runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from engine.desk.stopping import stops_of
from service.commands.naming import Entity, opened, refuse, rules_of
from service.commands.requests import ask
from service.commands.terms import FINDINGS, Json, Rules, told


def allow(
    rules: Rules,
    entity: Entity,
    undo: Annotated[
        str, typer.Option(help="First take back what users of this SYSTEM did since, as the others still have it.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Lets an entity go that broke a limit: what is due of it is written, and counting starts anew.

    With --undo, what that system's users did from the transaction on that broke the limit is taken back first: what
    they deleted is made again there, what they changed is put right there, and what they made is deleted there. All of
    it stays in the journal. What users of other systems wrote meanwhile counts.

    Examples: duolog allow erp_crm.yaml customer
    duolog allow erp_crm.yaml customer --undo erp

    Exit codes: 0 asked for, 1 the entity is not stopped, 2 there is no such entity or system."""
    with told(), opened(rules) as place:
        chosen = rules_of(place, entity)
        if undo and undo not in chosen.layouts:
            raise typer.BadParameter(f"--undo is one of {', '.join(chosen.layouts)}")
        stops = stops_of(place.store, place.rules)  # type: ignore[arg-type]
        if entity not in stops:
            others = f"; stopped: {', '.join(stops)}" if stops else ""
            refuse(f"`{entity}` is not stopped{others}", FINDINGS)
        ask(place.store, "allow", {"entity": entity, "undo": undo}, as_json)
