"""The auditor: looks at the databases and at what users did, and says which law was broken.

Turns the end of a history into nothing, or an AssertionError that names the law. It reads the engine's state only to
know what is listed as held, quarantined or out; what is right it knows from the users' tokens: each must be current, or
have been succeeded by a user who saw it, or stand in the journal.
"""

from __future__ import annotations

from adapters.memory import MemoryStore, MemorySystem
from engine.record import STOPPED, Record, decode
from engine.rulebook import RuleBook
from engine.vocabulary import Text
from tests.simulation.books import FIELDS, GRADES, UNREADABLE, UNSTORABLE
from tests.simulation.features import Features
from tests.simulation.judge import Judge
from tests.simulation.users import KEYS, ORDER_KEYS, Fate, plain
from tests.simulation.wording import STAGES, pieces

Rows = dict[str, dict[str, dict[str, list[Text]]]]
"""system → entity → key → row"""


class Oracle:
    """See the module."""

    def __init__(
        self, book: RuleBook, features: Features, databases: dict[str, MemorySystem], store: MemoryStore, fate: Fate
    ) -> None:
        self.book = book
        self.features = features
        self.databases = databases
        self.store = store
        self.fate = fate
        self.judge = Judge(book, features, databases, fate)

    def check(self, *, fully: bool) -> None:
        """L1, L2 and L4; `fully`: nothing may be held or in quarantine any more."""
        records = {
            (entity, key): decode(state)
            for entity, table in self.store.records.items() for key, state in table.items()
        }
        self.check_lists(records, fully)
        for entity, keys in (("item", KEYS), ("order", ORDER_KEYS)):
            for key in keys if entity in self.book.entities else ():
                self.check_equal(entity, key, records.get((entity, key)), fully)
        self.check_tokens()
        if (fully or self.features.kind != "free") and not self.fate.put_back:
            self.check_delta(records)
        self.check_owner(records)
        self.judge.check(records)
        self.judge.check_times(self.store.journal)
        self.judge.check_authors(self.store.journal)

    def check_lists(self, records: dict[tuple[str, str], Record], fully: bool) -> None:
        """What is held or in quarantine is listed, and nothing else is."""
        bad = {(*name, s): side.bad for name, r in records.items() for s, side in r.sides.items() if side.bad}
        assert bad == self.store.quarantine, f"L1: in quarantine {bad}, but listed {self.store.quarantine}"
        holds = {(*name, register): why for name, record in records.items() for register, why in record.holds.items()}
        assert holds == self.store.holds, f"L1: held {holds}, but listed {self.store.holds}"
        if fully:
            helpless = {place for place, why in bad.items() if self._beyond_help(place, why)}
            waiting = {place for place, why in bad.items() if why.startswith("waits for") and helpless}
            left = bad.keys() - helpless - waiting
            assert not left, f"L1: still in quarantine: {sorted(left)}"
            assert not holds, f"L1: still held: {holds}"
            stopped = {(*n, s) for n, r in records.items() for s, side in r.sides.items() if side.wait == STOPPED}
            assert not stopped, f"L1: nothing is stopped, and these still wait for it: {sorted(stopped)}"

    def _beyond_help(self, place: tuple[str, str, str], why: str) -> bool:
        """True if a value cannot be stored that stands in no system any more: nobody is left who could correct it."""
        entity, key, _ = place
        rows = [d.rows[entity][key] for d in self.databases.values() if key in d.rows[entity]]
        return why.endswith("has no counterpart") and not any(UNSTORABLE in row or UNREADABLE in row for row in rows)

    def check_equal(self, entity: str, key: str, record: Record | None, fully: bool) -> None:
        """L1: every system holds the current version of every field, or the record is listed."""
        for system, database in self.databases.items():
            row = database.rows[entity].get(key)
            if (system, entity, key) in self.fate.unlogged and not fully:
                continue
            if record is None:
                assert row is None, f"L1: {system} has {entity} {key}, which the engine never saw"
                continue
            side = record.sides.get(system)
            if (side is not None and (side.out or side.bad)) or 0 in record.holds:
                continue
            if side is not None and side.wait == STOPPED and not fully:
                continue  # it waits for a person, and `allow` lists its entity
            if row is not None and not record.alive and system not in self.book.entities[entity].create:
                continue  # a row of its own, which the rule keeps out
            assert (row is not None) == record.alive, f"L1: {entity} {key} exists in {system}: {row is not None}"
            if row is not None:
                self._compare(system, entity, key, row, record)

    def _compare(self, system: str, entity: str, key: str, row: list[Text], record: Record) -> None:
        fields = {field.name: field for field in self.book.entities[entity].fields}
        for name, stored in zip(self.databases[system].columns(entity), row, strict=True):
            value = record.values[fields[name].number]
            if fields[name].register in record.holds or value is False:
                continue
            same = self.meaning(system, name, stored) == self.meaning("", name, value)
            assert same, f"L1: {entity} {key}.{name} in {system}: {stored} instead of {value}"

    def meaning(self, system: str, name: str, value: object) -> object:
        """What a stored value means, found without the engine's codecs; triggers' rewriting is forgiven."""
        if not isinstance(value, str):
            return value
        if self.features.codecs and system == "crm" and name == "grade":
            return next((here for here, there in GRADES.items() if there == value), f"unknown {value}")
        if self.features.codecs and system == "crm" and name == "first":
            return value[1:]
        if name == "stage":
            return STAGES.get(value, f"unknown {value}") if system == "crm" else value
        if name == "phone":
            return "".join(c for c in value if c.isdigit()) or value
        return plain(value) if self.features.rewriting and name in ("name", "street") else value

    def check_tokens(self) -> None:
        """L2: every user's write is current, or was succeeded by a user who saw it, or stands in the journal."""
        lost = {plain(piece) for entry in self.store.journal for value in entry.lost for piece in pieces(value)}
        current: set[str] = set()
        gone = {
            (entry.entity, entry.key)
            for entry in self.store.journal
            if (not entry.fields and entry.kind != "released") or entry.kind == "delete_differs"
        }
        for database in self.databases.values():
            for table in database.rows.values():
                for row in table.values():
                    current.update(plain(piece) for value in row for piece in pieces(value))
        for token, (system, names, field) in self.fate.written.items():
            known = token in lost or token in current or token in self.fate.succeeded
            known = known or any(name in gone or (name, field) in self.fate.buried for name in names)
            assert known, f"L2: {token} ({system} wrote {names[0]}.{field}) was lost silently"

    def check_delta(self, records: dict[tuple[str, str], Record]) -> None:
        """Differences are added, none is lost, wherever nobody deleted or created the record twice."""
        for key, total in self.fate.points.items():
            if key in self.fate.deleted or self.fate.made.get(key, 0) > 1:
                continue
            for system, database in self.databases.items():
                row = database.rows["item"].get(key)
                record = records.get(("item", key))
                side = record.sides.get(system) if record is not None else None
                if row is not None and not (side is not None and side.out):
                    points = row[database.columns("item").index("points")]
                    assert points == str(total), f"delta: {key}.points in {system}: {points} instead of {total}"

    def check_owner(self, records: dict[tuple[str, str], Record]) -> None:
        """L4: an owned field never carries what another system wrote."""
        for (entity, key), record in records.items():
            if entity == "item" and record.alive:
                value = record.values[FIELDS.index("limit")]
                allowed = not isinstance(value, str) or value.lower().startswith("erp")
                assert allowed, f"L4: {key}.limit is {value}, which only erp may write"


class Prefixes:
    """L7: what one source transaction changed becomes visible together, in commit order (`erp` alone has users)."""

    def __init__(self, databases: dict[str, MemorySystem], oracle: Oracle) -> None:
        self.databases = databases
        self.oracle = oracle
        self.states: list[dict[str, dict[str, dict[str, object]]]] = [self._state("erp", "erp")]
        self.seen = dict.fromkeys(databases, 0)
        """By target: the number of the transaction up to which it has been seen."""

    def committed(self) -> None:
        """A user's transaction was committed at the source."""
        self.states.append(self._state("erp", "erp"))

    def shown(self, target: str) -> None:
        """A batch was committed by a target: its state must have been one of the source, not older than the last."""
        state = self._state(target, target)
        lacking = set(self.databases["erp"].columns("item")) - set(self.databases[target].columns("item"))
        for number in range(self.seen[target], len(self.states)):
            if state == _without(self.states[number], lacking):
                self.seen[target] = number
                return
        raise AssertionError(f"L7: {target} shows what erp never was since transaction {self.seen[target]}: {state}")

    def _state(self, system: str, of: str) -> dict[str, dict[str, dict[str, object]]]:
        database = self.databases[system]
        return {
            entity: {
                key: {
                    name: self.oracle.meaning(of, name, value)
                    for name, value in zip(database.columns(entity), row, strict=True)
                }
                for key, row in table.items()
            }
            for entity, table in database.rows.items()
        }


def _without(
    state: dict[str, dict[str, dict[str, object]]], columns: set[str]
) -> dict[str, dict[str, dict[str, object]]]:
    if not columns:
        return state
    return {
        entity: {key: {n: v for n, v in row.items() if n not in columns} for key, row in table.items()}
        for entity, table in state.items()
    }
