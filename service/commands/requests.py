"""`resolve`, `retry`, `merge-records`: what a person asks of the running engine, and what it answers.

Turns a command into a request in the store, and waits a moment for the answer. Nothing is decided or written here: an
engine carries it out, now or when it next runs.
"""

from __future__ import annotations

import getpass
import json
import time
from typing import Annotated

import typer

from engine.merge import EntityRules
from engine.rulebook import EXISTENCE
from service.commands.engine import runs
from service.commands.naming import Entity, Opened, named, opened, refuse, rules_of
from service.commands.terms import FINDINGS, Json, Rules, print_json, told
from service.scaling.looking import AnyStore

ANSWER_WITHIN_S = 10.0


def resolve(
    rules: Rules,
    entity: Annotated[str, typer.Argument(metavar="[ENTITY", show_default=False)] = "",
    key: Annotated[str, typer.Argument(metavar="KEY", show_default=False)] = "",
    field: Annotated[str, typer.Argument(metavar="FIELD]", show_default=False)] = "",
    take: Annotated[str, typer.Option(help="The system whose value is to be everybody's.")] = "",
    truncated: Annotated[str, typer.Option(help="SYSTEM.ENTITY: a table that was emptied by TRUNCATE.")] = "",
    restore: Annotated[bool, typer.Option("--restore", help="Fill it again from the other systems.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the records everywhere.")] = False,
    as_json: Json = False,
) -> None:
    """Decides a held conflict, or says what an emptied table means. Without FIELD, all that is held of the record.

    Examples: duolog resolve erp_crm.yaml customer C1001 terms --take erp
    duolog resolve erp_crm.yaml --truncated crm.customer --restore"""
    with told(), opened(rules) as place:
        systems = place.book.systems
        if truncated:
            system, _, name = truncated.partition(".")
            if restore == delete or name not in place.rules or system not in systems:
                raise typer.BadParameter(
                    "say --truncated SYSTEM.ENTITY with either --restore or --delete; there are the systems "
                    f"{', '.join(systems)} and the entities {', '.join(place.rules)}"
                )
            if place.rules[name].entity.crossed:
                raise typer.BadParameter(
                    f"the systems have keys of their own for `{name}`: fill the table again from a backup or by hand, "
                    "then `duolog run RULES --merge-again`"
                )
            arguments = {"system": system, "entity": name, "choice": "restore" if restore else "delete"}
            ask(place.store, "truncated", arguments, as_json)
            return
        if take not in systems or not entity or not key:
            raise typer.BadParameter(f"name ENTITY and KEY, and --take one of {', '.join(systems)}")
        chosen = rules_of(place, entity)
        names = [f.name for f in chosen.entity.fields]
        if field and field not in names:
            raise typer.BadParameter(f"`{entity}` has no field `{field}`; it has: {', '.join(names)}")
        record_key = named(place, chosen, [key]).key
        _must_have_it(place, chosen, record_key, take)
        arguments = {"entity": entity, "key": record_key, "field": field, "take": take}
        ask(place.store, "resolve", arguments, as_json)


def _must_have_it(place: Opened, rules: EntityRules, key: str, system: str) -> None:
    """Whether a record that looks like another is one of its own can only be said of a system that has it."""
    record = place.record(rules.name, key) if rules.entity.crossed else None
    if record is not None and record.holds.get(EXISTENCE, "").startswith("identity") and system not in record.keys:
        raise typer.BadParameter(
            f"{system} has no row of it: --take {' or '.join(record.keys)} makes it a record of its own, and "
            "`duolog merge-records` makes it one with another"
        )


def retry(
    rules: Rules,
    entity: Annotated[str, typer.Argument(metavar="[ENTITY", show_default=False)] = "",
    key: Annotated[str, typer.Argument(metavar="KEY]", show_default=False)] = "",
    system: Annotated[str, typer.Option(help="Only for this system.")] = "",
    as_json: Json = False,
) -> None:
    """Tries records in quarantine again: all, those of an entity, or one.

    Example: duolog retry erp_crm.yaml customer C1001"""
    with told(), opened(rules) as place:
        chosen = rules_of(place, entity) if entity else None
        record_key = named(place, chosen, [key]).key if key and chosen is not None else ""
        if system and system not in place.book.systems:
            raise typer.BadParameter(f"--system is one of {', '.join(place.book.systems)}")
        arguments = {"entity": entity, "key": record_key, "system": system}
        ask(place.store, "retry", arguments, as_json)


def merge_records(
    rules: Rules,
    entity: Entity,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="The one that ends.", show_default=False)],
    into: Annotated[str, typer.Argument(metavar="INTO", help="The one that stays.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Makes two records one: from then on the keys of both mean INTO, and its values are what counts.

    What refers to RECORD is re-pointed to INTO in every system. No row is deleted: where a system has a row of each,
    RECORD's is left over, and is no longer kept in step. It is also the answer to a hold "identity: looks like ...",
    if they are one.

    Example: duolog merge-records erp_crm.yaml customer crm:17 erp:4711

    Exit codes: 0 asked for, 1 no such record, or several, 2 the entity has one key in all systems."""
    with told(), opened(rules) as place:
        chosen = rules_of(place, entity)
        if not chosen.entity.crossed:
            raise typer.BadParameter(f"`{entity}` has one key in all systems: two records of it are never one")
        loser, survivor = named(place, chosen, [record]).key, named(place, chosen, [into]).key
        if loser == survivor:
            raise typer.BadParameter(f"`{record}` and `{into}` are one record already: {survivor}")
        stays = place.record(entity, survivor)
        if stays is None or not stays.alive:
            refuse(f"{survivor} is deleted: no other record can become one with it", FINDINGS)
        ask(place.store, "join", {"entity": entity, "key": loser, "into": survivor}, as_json)


def ask(store: AnyStore, kind: str, arguments: dict[str, str], as_json: bool) -> None:
    """Leaves a request, and waits a moment for the engine's answer, if one runs."""
    by = getpass.getuser()
    arguments = {**arguments, "by": by, "at": str(time.time_ns() // 1000)}
    number = store.ask(kind, arguments, by)
    deadline = time.monotonic() + (ANSWER_WITHIN_S if runs(json.loads(store.status() or "{}")) else 0)
    answer = None
    while answer is None and time.monotonic() < deadline:
        answer = store.answer(number)  # type: ignore[arg-type]
        if answer is None:
            time.sleep(0.1)
    words = answer or "noted: it is carried out when the engine runs"
    if as_json:
        print_json({"request": number, "answer": answer})
    else:
        typer.echo(words)
