"""What the words on a command line name: a rule file's store, an entity, one record.

Turns words into record keys: the values of a shared key, or, of records that have a key of their own in each system,
their id, any system's key, or the values by which they are recognised. It only reads the store, and guesses nothing:
where several records could be meant, it names them and ends the command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer

from adapters.store import SqlStore
from engine.assembly import KEY_SEPARATOR
from engine.crossing.entries import Entries
from engine.crossing.identity import identity_of
from engine.crossing.keys import CrossReference
from engine.merge import EntityRules
from engine.merge import rules_of as prepared
from engine.record import Record, decode
from engine.rulebook import RuleBook
from service.commands.explained import PositionText
from service.commands.terms import FINDINGS, RULES_WRONG
from service.day_one import MATCHED
from service.scaling.looking import AnyStore, open_known, store_at
from service.wiring import kits, offline_book, read_rules

NAMES_MAX = 20
"""So many records are named where several are meant."""

Entity = Annotated[str, typer.Argument(metavar="ENTITY", show_default=False)]


class Opened(NamedTuple):
    """What the commands look into."""

    book: RuleBook
    """As far as it is known offline."""
    rules: dict[str, EntityRules]
    """By entity."""
    store: AnyStore
    printed: Mapping[str, PositionText]
    """By system: how it prints a position."""

    def at(self, entity: str, key: str) -> SqlStore:
        """The store in which a record is."""
        return store_at(self.store, entity, key)

    def record(self, entity: str, id: str) -> Record | None:
        """A record as it stands in the store, if there is one."""
        state = self.store.load_committed(entity, [id]).get(id)
        return decode(state) if state is not None else None


class Named(NamedTuple):
    """A record that was named."""

    key: str
    """The record key; of records with a key of their own in each system, the id."""
    note: str = ""
    """What is to be said of the name."""


@contextmanager
def opened(rules: Path) -> Iterator[Opened]:
    """The rule book and the store, for reading. No system is opened."""
    loaded = read_rules(rules)
    assert loaded.rules is not None
    book = offline_book(loaded)
    store = open_known(loaded.rules, book)
    try:
        if store.state().phase == MATCHED:
            typer.echo(f"not accepted yet: this is what `duolog match {rules} --accept` would agree on", err=True)
        printed = {name: kit.position_text for name, kit in kits(loaded.rules).items()}
        yield Opened(book, prepared(book), store, printed)
    finally:
        store.close()


def rules_of(place: Opened, entity: str) -> EntityRules:
    """The entity's rules; ends the command if there is no such entity."""
    if entity not in place.rules:
        refuse(f"no entity `{entity}`; there are: {', '.join(place.rules)}", RULES_WRONG)
    return place.rules[entity]


def named(place: Opened, rules: EntityRules, words: Sequence[str]) -> Named:
    """The record that these words name. Ends the command if they name none, or several."""
    if not rules.entity.crossed:
        return Named(_shared_key(rules, list(words)))
    if len(words) == 1:
        by_key = _by_key(place, rules, words[0])
        if place.record(rules.name, words[0]) is not None:
            other = by_key is not None and by_key.key != words[0]
            return Named(words[0], f"`{words[0]}` is a key of {by_key.key} now" if other and by_key else "")
        if by_key is not None:
            return by_key
    found = _recognised(place, rules, words)
    text = "/".join(words)
    if not found:
        ways = ", or ".join(" / ".join(rules.entity.fields[n].name for n, _ in way) for way in rules.entity.identities)
        systems = ", ".join(rules.layouts)
        refuse(
            f"no record `{text}` of `{rules.name}` is known; name it by its id or by a key in a system ({systems}), as "
            f"in `{next(iter(rules.layouts))}:17`, or by {ways}",
            FINDINGS,
        )
    if len(found) > 1:
        more = f" and {len(found) - NAMES_MAX} more" if len(found) > NAMES_MAX else ""
        refuse(f"several of `{rules.name}` are `{text}`: {', '.join(found[:NAMES_MAX])}{more}", FINDINGS)
    return Named(found[0])


def _shared_key(rules: EntityRules, words: list[str]) -> str:
    """The record key that these words name: one for each field of the identity, or all in one with `/` between them."""
    names = [rules.entity.fields[number].name for number in rules.entity.key]
    if len(words) == 1 and len(names) > 1:
        words = words[0].split("/")
    if len(words) != len(names):
        refuse(f"the key of `{rules.name}` is {' / '.join(names)}: {len(words)} values given", RULES_WRONG)
    return KEY_SEPARATOR.join(words)


def _by_key(place: Opened, rules: EntityRules, word: str) -> Named | None:
    """The record that has this key (`SYSTEM:KEY`), through the cross-reference."""
    system, _, key = word.partition(":")
    if system not in rules.layouts:
        return None
    keys = CrossReference(Entries(place.store.find_committed))
    for text in (key, key.replace("/", KEY_SEPARATOR)):
        id = keys.id_of(rules.name, system, text)
        if id is not None:
            alias = keys.is_alias(rules.name, system, text)
            return Named(id, f"`{word}` is left over after a join, and means this record" if alias else "")
    return None


def _recognised(place: Opened, rules: EntityRules, words: Sequence[str]) -> list[str]:
    """The records that have these values by one of the ways in which they are recognised: the living ones, if any."""
    keys = CrossReference(Entries(place.store.find_committed))
    found: dict[str, None] = {}
    for number, way in enumerate(rules.entity.identities):
        given = list(words) if len(words) == len(way) else words[0].split("/") if len(words) == 1 else []
        if len(given) != len(way):
            continue
        values: list[object] = [None] * len(rules.entity.fields)
        for (field, _), word in zip(way, given, strict=True):
            parent = dict(rules.crossed_references).get(field)
            values[field] = word if parent is None else _parent(place, place.rules[parent], word)
        text = identity_of(rules.entity, values)[number]
        if text is not None:
            found |= dict.fromkeys(keys.recognised(rules.name, number, text))
    alive = [id for id in found if (record := place.record(rules.name, id)) is not None and record.alive]
    return alive or list(found)


def _parent(place: Opened, rules: EntityRules, word: str) -> str | None:
    """A record that belongs to another one's identity: by its id, or a system's key."""
    if place.record(rules.name, word) is not None:
        return word
    found = _by_key(place, rules, word)
    return found.key if found is not None else None


def refuse(words: str, code: int) -> NoReturn:
    """Ends the command with these words."""
    typer.echo(words, err=True)
    raise typer.Exit(code)
