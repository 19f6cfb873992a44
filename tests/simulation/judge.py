"""What must hold of the fields of `wording`: who owned them, what was checked, worked out, or put together.

Turns the end of a history into nothing, or an AssertionError that names the law. What is right it knows from what users
wrote and saw; of the engine it reads only the current values and what is listed as held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adapters.memory import MemorySystem
from engine.errors import ValueRefused
from engine.record import STOPPED, Record
from engine.rulebook import RuleBook
from engine.vocabulary import JournalEntry, Text
from tests.simulation.books import NUMERIC
from tests.simulation.features import Features
from tests.simulation.users import Fate, plain
from tests.simulation.wording import BAD, MARGIN_US, joined, labelled, names_of

Row = Mapping[str, Text]
WRITTEN_IN = ", written in "
RETOLD = {"phone", "tags", "full", *NUMERIC}
"""Who writes these may say what somebody else has said, too."""


class Judge:
    """See the module."""

    def __init__(
        self, book: RuleBook, features: Features, databases: dict[str, MemorySystem], fate: Fate
    ) -> None:
        self.features = features
        self.databases = databases
        self.fate = fate
        self.late = len(features.creators) < len(features.systems)
        """Rows of some systems count only as soon as another one has made the record, and from then on."""
        self.names = set(names_of(features.words))
        self.fields = {field.name: field for field in book.entities["item"].fields}

    def check(self, records: Mapping[tuple[str, str], Record]) -> None:
        """All that is drawn, of every item."""
        for (entity, key), record in records.items():
            if entity != "item" or not record.alive or (not self.names):
                continue
            values = {
                name: v if isinstance(v := record.values[field.number], str) else None
                for name, field in self.fields.items()
            }
            self._check_owners(key, values)
            self._check_made(key, values)
            if "check" in self.features.words and not self._excused(key):
                self._check_checks(key, record, values)
                self._check_waiting(key, record, values)

    def check_times(self, journal: Iterable[JournalEntry]) -> None:
        """Where the systems' clocks are known, who is said to have written later did, by true time, however wrong they
        are; and what is said to be too close to tell is."""
        error = self.features.clock_error
        for entry in journal if error >= 0 else ():
            if entry.entity != "item" or entry.fields not in (("name",), ("seen",)) or entry.kind != "update_differs":
                continue
            won, lost = (self.fate.when.get(plain(values[0]), 0) if values else 0 for values in (entry.won, entry.lost))
            doubtful = not won or not lost or self.late or self._excused(entry.key) or entry.key in self.fate.deleted
            doubtful |= self.features.strange  # what came with a row that could not be read counts as of when it can
            if doubtful or "last_writer" not in entry.because:
                continue
            least = MARGIN_US if entry.fields == ("seen",) else 0
            if " later than " in entry.because:
                assert won - lost > least, f"L2: {entry} though it was {won - lost} later"
            elif "too close" in entry.because:
                assert abs(won - lost) <= least + 2 * error, f"L2: {entry}, {won - lost} apart"

    def check_authors(self, journal: Iterable[JournalEntry]) -> None:
        """L2: of two writes that met each was made in the system that is named for it: nobody's write is overruled by
        what a system had before."""
        for entry in journal:
            if entry.kind != "update_differs" or entry.entity != "item" or self._excused(entry.key):
                continue
            if entry.key in self.fate.deleted or set(entry.fields) & RETOLD:
                continue
            for version, values in ((entry.winner, entry.won), (entry.loser, entry.lost)):
                authors = {self.fate.written.get(plain(value), (None,))[0] for value in values}
                known = version is not None and version.system and authors and None not in authors
                assert not known or version.system in authors, f"L2: {entry}, but {authors} wrote {values}"

    def _excused(self, key: str) -> bool:
        """Somebody has said that it may break a check, or it came to be so unseen."""
        return self.fate.put_back or key in self.fate.settled or any(name[2] == key for name in self.fate.unlogged)

    def _check_owners(self, key: str, values: Row) -> None:
        """L4: what its writer might not write, as far as he could see, is never current."""
        remark = values.get("remark")
        assert remark is None or not remark.startswith("crm"), f"L4: {key}.remark is {remark}, and crm is closed"
        doubtful = key in self.fate.deleted or self.fate.made.get(key, 0) > 1 or self._excused(key)
        doubtful |= self.features.strange  # a row that could not be read is judged as it is when it can
        rate = values.get("rate")
        if rate is not None and not doubtful:
            assert plain(rate) not in self.fate.against, f"L4: {key}.rate is {rate}, whose writer did not own it"

    def _check_made(self, key: str, values: Row) -> None:
        """L2: a worked-out field is what it is worked out of, and a whole is its parts."""
        if "label" in self.names:
            try:
                label = labelled(values["name"], values["note"])
            except ValueRefused:
                label = None
            assert values["label"] == label, f"L2: {key}.label is {values['label']} instead of {label}"
            size = None if label is None else str(len(label))
            assert values["size"] == size, f"L2: {key}.size is {values['size']} instead of {size}"
        if "full" in self.names:
            whole = joined((values["given"], values["family"]))
            assert values["full"] == whole, f"L2: {key}.full is {values['full']} instead of {whole}"

    def _check_checks(self, key: str, record: Record, values: Row) -> None:
        """L2: what breaks a check is nowhere but where it was written, and is listed."""
        if 0 not in record.holds:
            broken = _broken(values)
            assert not broken, f"L2: {key} is current with {broken}: {values}"
            credit = self.fields["credit"].register
            for system, row in self._rows(key, record):
                own = row["credit"]
                if own is not None and int(own) < 0:
                    writer = self.fate.written[plain(own)][0]
                    assert writer == system, f"L2: {key}.credit is {own} in {system}, and {writer} wrote it"
                    assert credit in record.holds, f"L2: {key}.credit is {own} in {system}, and nothing is held"
                seal = row["seal"]
                bad = seal is not None and seal.endswith(BAD) and self.fields["seal"].register not in record.holds
                assert not bad, f"L2: {key}.seal is {seal} in {system}"
        elif record.holds[0].startswith("check:") and key not in self.fate.deleted and self.fate.made.get(key) == 1:
            having = [system for system, database in self.databases.items() if key in database.rows["item"]]
            assert len(having) == 1, f"L2: {key} waits because of a check, and {having} have it"

    def _check_waiting(self, key: str, record: Record, values: Row) -> None:
        """L1: what waits because of a check would break one, or it would wait no more."""
        names = {field.register: name for name, field in self.fields.items()}
        for register, because in record.holds.items():
            if not because.startswith("check:"):
                continue
            if register == 0:
                assert _broken(values), f"L1: {key} waits as a whole, and breaks nothing: {values}"
                continue
            name = names[register]
            systems = because.rpartition(WRITTEN_IN)[2].split(" and ")
            for system, row in self._rows(key, record):
                if system in systems:
                    broken = [each for each in _broken({**values, name: row[name]}) if name in each]
                    assert broken, f"L1: {key}.{name} of {system} waits ({because}), and breaks nothing: {row[name]}"

    def _rows(self, key: str, record: Record) -> list[tuple[str, dict[str, Text]]]:
        """The rows of all systems that are in step, or ought to be."""
        out = []
        for system, database in self.databases.items():
            row = database.rows["item"].get(key)
            side = record.sides.get(system)
            if row is not None and not (side is not None and (side.out or side.bad or side.wait == STOPPED)):
                out.append((system, dict(zip(database.columns("item"), row, strict=True))))
        return out


def _broken(values: Row) -> list[str]:
    """The checks that these values break."""
    credit, floor, seal = values["credit"], values["floor"], values["seal"]
    out = []
    if credit is not None and int(credit) < 0:
        out.append("credit >= 0")
    if credit is not None and floor is not None and int(floor) > int(credit):
        out.append("floor <= credit")
    if seal is not None and seal.endswith(BAD):
        out.append("seal not bad")
    return out
