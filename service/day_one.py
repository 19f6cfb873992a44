"""Day one, step by step: are the systems set up, compare them, let what was found become the base.

Turns a store without a base into one that an engine can go on from: at once (`run`), or in two steps with a person's
look between (`match`). A comparison is one commit of the store: what was there before it stays until it is complete.
It writes no table of any application, and decides nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from adapters.store import SqlStore
from engine.errors import StoreUnfit, SystemStopped, WrongStage
from engine.first_merge import Observer, Tally, first_merge
from engine.first_report import About, Report, read_about
from engine.ports import Delta
from engine.rulebook import Entity, RuleBook
from rules import RuleFile
from rules.ruling import columns_of
from rules.values.stored import CHANGING
from service.wiring import Wired

MATCHING, MATCHED, MERGING, BASE = "matching", "matched", "merging", "base"
"""How far a store is: `match` or `run` has begun to compare (and may have been interrupted); there is a report that
nobody has accepted; the engine may go on."""

STORED_BY = set(CHANGING) - {"map", "time_zone"}
"""The words of a column on which it depends what is known of it: a zone counts where it is used."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on while systems are compared. An exception from any of these ends the comparison, and nothing of it
    is kept."""

    merging: Observer = lambda entity, records: None
    reading: Observer = lambda what, rows: None
    reach: Callable[[str], None] = lambda point: None
    """Passes a failpoint."""


def require_set_up(wired: Wired, rules: Path) -> None:
    """Raises SystemStopped if a system lacks what `setup` makes: without a slot, changes would be lost."""
    for name, kit in wired.kits.items():
        missing = [step.what for step in kit.planned(wired.book) if not step.done]
        if missing:
            raise SystemStopped(f"not set up: {', '.join(missing)}", system=name, mend=f"duolog setup {rules}")


def has_base(wired: Wired, store: SqlStore, rules: Path) -> bool:
    """True if the engine may go on from what was agreed; False if nothing was. Raises WrongStage, StoreUnfit."""
    phase = store.state().phase
    if phase == BASE:
        check_shape(wired, store)
        store.remember("maps", json.dumps(maps_of(wired.rules)))
    elif phase == MATCHED:
        raise WrongStage(
            "the systems have been compared, and what was found has not been accepted",
            mend=f"look at it with `duolog match {rules}`, then `duolog match {rules} --accept`",
        )
    elif phase == MATCHING:
        raise WrongStage(
            "`duolog match` has begun to compare the systems, and was interrupted",
            mend=f"`duolog match {rules}` compares them, to be looked at; or `duolog run {rules} --merge-again`, which "
            "accepts what it finds at once",
        )
    return phase == BASE


def agree(wired: Wired, store: SqlStore, watch: Watch) -> Tally:
    """Compares all systems, and makes what the rules say the base at once."""
    # From here on only a complete first merge makes a base again, whatever happens in between.
    store.commit(Delta(phase=MERGING))
    for name, kit in wired.kits.items():
        store.set_identity(name, kit.identity())
        kit.forget(wired.book)
    store.remember("shape", shape_of(wired.book, wired.rules))
    store.remember("maps", json.dumps(maps_of(wired.rules)))
    return _merge(wired, store, watch, None)


def compare(wired: Wired, store: SqlStore, watch: Watch, at_us: int) -> Tally:
    """Compares all systems, and keeps what was found for a person to accept. Until that is complete, the store stays
    as it was. `at_us`: the time, microseconds since 1970 UTC."""
    state, former = store.state(), read_about(store.find)
    if state.phase in ("", MERGING):
        store.commit(Delta(phase=MATCHING))
    over_base = former.over_base if former is not None else bool(state.positions)
    notes = {
        "at": str(at_us),
        "shape": shape_of(wired.book, wired.rules),
        "rules": json.dumps(fingerprints(wired.rules)),
        "servers": json.dumps({name: kit.identity() for name, kit in wired.kits.items()}),
    }
    return _merge(wired, store, watch, Report(notes, over_base=over_base))


def _merge(wired: Wired, store: SqlStore, watch: Watch, report: Report | None) -> Tally:
    with ExitStack() as stack:
        snapshots = {}
        for name, kit in wired.kits.items():
            snapshots[name] = kit.snapshot(wired.book)
            stack.callback(snapshots[name].close)
        watch.reach("snapshots_taken")
        former = read_about(store.find)
        if former is None:
            store.forget_base()
        else:  # what nobody has accepted was never so
            store.forget_base(former.since, keys=not former.over_base)
        tally = first_merge(wired.book, snapshots, store, watch.merging, report, watch.reading)
        watch.reach("base_agreed")
    return tally


def accept(wired: Wired, store: SqlStore, about: About, rules: Path) -> None:
    """Makes what was found the base. Of the systems, it only empties our own ledger.

    Raises WrongStage if it is not what these rules would find, SystemStopped if a log can no longer be read on from
    where it was found, SystemUnavailable while another engine is at work with these rules."""
    if changed := changed_since(about, wired.rules):
        raise WrongStage(
            f"{changed} since the systems were compared: what was shown is not what these rules would agree on",
            mend=f"`duolog match {rules}` compares them anew",
        )
    servers = json.loads(about.notes["servers"])
    positions = store.state().positions
    for name, kit in wired.kits.items():
        if kit.identity() != servers[name]:
            raise SystemStopped(
                "this is not the server (or not the history of it) that was compared", system=name,
                mend=f"`duolog match {rules} --again` compares with this one",
            )  # fmt: skip
        kit.log_kept(wired.book, positions[name])
    for name, kit in wired.kits.items():
        kit.forget(wired.book)
        store.set_identity(name, servers[name])
    store.remember("shape", about.notes["shape"])
    store.remember("maps", json.dumps(maps_of(wired.rules)))
    store.forget_report()
    store.commit(Delta(phase=BASE))


# ---------------------------------------------------------------- what of the rules has changed


def fingerprints(rules: RuleFile) -> dict[str, str]:
    """By entity (and `""` for the systems): what stands for all rules that may decide anything."""
    systems = [[getattr(s, f.name) for f in fields(s) if f.name not in ("url", "insecure")] for s in
               rules.systems.values()]  # fmt: skip
    found = {name: _digest(entity.model_dump_json(exclude={"tests"})) for name, entity in rules.entities.items()}
    return {"": _digest(json.dumps(systems)), **found}


def changed_since(about: About, rules: RuleFile) -> str:
    """In words, what of the rules is not as it was; "" if nothing."""
    before, now = json.loads(about.notes["rules"]), fingerprints(rules)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    named = ["the systems" if not name else f"`{name}`" for name in changed]
    return f"the rules of {', '.join(named)} have changed" if named else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shape_of(book: RuleBook, rules: RuleFile) -> str:
    """What of the rules the stored records depend on: the order of fields and groups, and of kept rows' columns; what
    derived fields are worked out of, and in which form columns store what is meant."""
    return json.dumps({
        name: [
            [f.name for f in entity.fields], [list(r.fields) for r in entity.registers], sorted(entity.bindings),
            *_kept_shape(book, entity), *_derived_shape(entity), *_stored_shape(entity, rules),
        ]
        for name, entity in sorted(book.entities.items())
    })  # fmt: skip


def _kept_shape(book: RuleBook, entity: Entity) -> list[Any]:
    """For an entity whose systems have keys of their own: by what it is recognised, and the tables that it is in."""
    if not entity.crossed:
        return []
    tables: dict[str, list[Any]] = {}
    for system, binding in entity.bindings.items():
        assembly = binding.assembly
        assert assembly is not None
        numbers = [part.table for part in assembly.parts] + [look.table for look in assembly.lookups.values()]
        listed = [book.tables[system][number] for number in numbers]
        tables[system] = [[t.schema, t.name, list(t.columns), list(t.key)] for t in listed]
    return [[list(map(list, way)) for way in entity.identities], tables]


def _derived_shape(entity: Entity) -> list[Any]:
    """Of what fields are worked out: a record keeps what came of it, until it is written again."""
    derived = {f.name: f.formula.text for f in entity.fields if f.formula is not None}
    return [derived] if derived else []


def _stored_shape(entity: Entity, rules: RuleFile) -> list[Any]:
    """How columns store what is meant: by that it is known what a system has. Under another `round`, say, what it has
    would be taken for a user's write of fewer digits. Not maps: they grow, and what they mean is met as it comes."""
    syntax = rules.entities[entity.name]
    found: dict[str, Any] = {}
    for field in entity.fields:
        for system, column in columns_of(syntax, syntax.fields[field.name]).items():
            said = column.model_dump(include=STORED_BY, exclude_defaults=True)
            zone = column.time_zone or rules.systems[system].time_zone
            if field.family == "timestamptz" and field.number in entity.bindings[system].codecs:
                said["time_zone"] = zone
            if said:
                found[f"{field.name} in {system}"] = said
    return [{"stored": found}] if found else []


def check_shape(wired: Wired, store: SqlStore) -> None:
    """Raises StoreUnfit if the rules have other fields, groups or conversions than the records in the store were
    decided with, or maps that no longer mean the same."""
    check_maps(wired.rules, json.loads(store.recall("maps") or "{}"))
    known, shape = store.recall("shape"), shape_of(wired.book, wired.rules)
    if known is None or known == shape:
        return
    before, now = json.loads(known), json.loads(shape)
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    names = ", ".join(f"`{name}`" for name in changed)
    raise StoreUnfit(
        f"the fields, groups, conversions or systems of {names} are not those that the store was made with",
        mend="run once with --merge-again: all systems are compared again under the new rules",
    )


def maps_of(rules: RuleFile) -> dict[str, dict[str, str]]:
    """What stored values mean, by column."""
    return {
        f"`{name}.{field}` in {system}": column.map
        for name, entity in rules.entities.items()
        for field in entity.fields
        for system, column in columns_of(entity, entity.fields[field]).items()
        if column.map is not None
    }


def check_maps(rules: RuleFile, known: dict[str, dict[str, str]]) -> None:
    """A map may grow; but what systems hold is known by what its entries meant. Raises StoreUnfit."""
    now = maps_of(rules)
    for place, meanings in known.items():
        lost = sorted(stored for stored, meaning in meanings.items() if now.get(place, {}).get(stored) != meaning)
        if lost:
            raise StoreUnfit(
                f"the map of {place} no longer says what these mean, or says something else: {', '.join(lost)}",
                mend="put them back, or run once with --merge-again: all systems are compared again",
            )
