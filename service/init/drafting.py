"""Turns groups of tables that look like one thing into drafts of entities: keys, identity, fields, and open questions.

Pure. What is certain is drafted, what is likely is drafted with a question, and what would be a mistake if it were
wrong (two code lists that do not match, a number that only one system knows) is left out, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from adapters.relational.live import TableName
from adapters.relational.survey import Survey, Surveyed
from engine.catalog import Column, TableShape
from engine.rulebook import Form
from rules.syntax import FIELD_NAME
from service.init.draft import Draft, EntityDraft, FieldDraft, shown
from service.init.inheriting import key_of
from service.init.names import WORD, words
from service.init.pairing import Group, made_by_the_database, reference_of

TOUCHED: Final = frozenset(
    {"modified", "updated", "changed", "touched", "written", "write", "created", "create", "inserted", "entered"}
)
"""Words of columns that tell when a row was written: the application's own affair."""
TIMES: Final = frozenset({"timestamp", "timestamptz", "date"})
ALIVE: Final = frozenset({"active", "enabled"})
GONE: Final = frozenset({"deleted", "archived", "removed"})

TELLING: Final[Sequence[tuple[frozenset[str], Form]]] = (
    (frozenset({"vat", "tax"}), "compact"), (frozenset({"mail", "email"}), "case"),
    (frozenset({"sku", "ean", "gtin", "isbn", "iban"}), "compact"),
    (frozenset({"no", "number", "code", "reference"}), "exact"),
    (frozenset({"name", "title", "subject", "label"}), "blanks"),
)  # fmt: skip
"""Words of fields by which things are told apart, the best first, and the form in which they are compared."""

SMALL_TRUTH: Final = "tinyint(1)"
"""What BOOLEAN is in MariaDB and MySQL."""
NATURAL: Final = frozenset({"code", "iso", "name", "key", "symbol"})
"""Words of the column by which a code means the same everywhere."""


def drafted(surveys: Sequence[Survey], groups: Sequence[Group]) -> Draft:
    """A first rule file's content."""
    names = _entity_names(groups)
    named = list(zip(names, groups, strict=True))
    bound = [(name, system, table) for name, group in named for system, table in group.tables.items()]
    leads = {(system, table.name): name for name, system, table in bound}
    tables = {(survey.system, table.name): table for survey in surveys for table in survey.tables}
    homes = {survey.system: survey.home for survey in surveys}
    entities = [_Entity(name, group, leads, tables, homes).drafted() for name, group in named]
    codes = {(s, name) for e in entities for s, table in e.tables.items() for _, name, _ in table.parents}
    codes |= {(s, table) for e in entities for f in e.fields for s, (table, _, _) in f.lookups.items()}
    adapters = {survey.system: survey.adapter for survey in surveys}
    draft = Draft(tuple(adapters), [], {}, adapters=adapters, homes=homes)
    for entity in entities:
        if entity.identity:
            draft.entities.append(entity)
        else:
            where = " and ".join(f"{s}.{shown(t.name, homes[s])}" for s, t in entity.tables.items())
            draft.left_out.append(f"{where} look alike, but no field that both have tells which rows are the same")
    for survey in surveys:
        known = codes | leads.keys()
        alone = [table for table in survey.tables if (survey.system, table.name) not in known]
        draft.unpaired[survey.system] = [_told(survey, table, leads) for table in alone]
    return draft


def _entity_names(groups: Sequence[Group]) -> list[str]:
    found: list[str] = []
    for group in groups:
        table, *_ = group.tables.values()
        found.append(_unique(_name(_entity_name(table.shape.name), "entity"), found))
    return found


def _entity_name(table: str) -> str:
    """A table's name in the singular."""
    return "_".join([*(word.lower() for word in WORD.findall(table)[:-1]), *words(table)[-1:]])


def _told(survey: Survey, table: Surveyed, leads: Mapping[tuple[str, TableName], str]) -> str:
    """A table that stands alone, and whether it could be a part of something that does not."""
    owners = {leads[survey.system, k.other]: k for k in table.foreign if (survey.system, k.other) in leads}
    said = shown(table.name, survey.home)
    if not key_of(table):
        return f"{said}: it has no key"
    for entity, key in owners.items():
        on = " and ".join(f"{m} = root.{t}" for m, t in zip(key.columns, key.other_columns, strict=True))
        return f'{said}: a part of {entity}? {{table: {said}, on: "{on}"}}'
    return said


class _Entity:
    """One group on its way to a draft."""

    def __init__(
        self, name: str, group: Group, leads: Mapping[tuple[str, TableName], str],
        tables: Mapping[tuple[str, TableName], Surveyed], homes: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.homes = homes
        self.group = group
        self.leads = leads
        self.tables = tables
        self.draft = EntityDraft(name, group.tables, group.likeness, _shares_its_key(group))

    def drafted(self) -> EntityDraft:
        """The draft; without an identity it cannot be used."""
        alone: list[tuple[str, str]] = []
        for columns in self.group.fields:
            kept = self._without_marks(columns)
            if len(kept) > 1:
                self._field(kept)
            else:
                alone += kept.items()
        self._alone(alone)
        self._identity()
        for system, table in self.group.tables.items():
            gone = self.draft.inactive.get(system, {})
            alive = {column: _opposite(table.shape.columns[column], value) for column, value in gone.items()}
            filled = {f.columns[system] for f in self.draft.fields if system in f.columns} | alive.keys()
            missing = {c.name: _first_value(table, c) for c in _needed(table, filled)}
            self.draft.created[system] = alive | {column: value for column, value in missing.items() if value}
            lacking = [column for column, value in missing.items() if not value and column not in key_of(table)]
            self.draft.left_out += [f"{system}.{c}: a new row must have it, and no field brings it" for c in lacking]
        return self.draft

    # -------------------------------------------------------- columns

    def _without_marks(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The columns of a field, but for those that say when a row was touched, or whether it is gone."""
        kept = {}
        for system, column in columns.items():
            table = self.group.tables[system]
            known, said = table.shape.columns[column], set(words(column))
            place = f"{system}.{column}"
            if known.family in TIMES and said & TOUCHED:
                self.draft.left_out.append(f"{place}: when a row was touched is the application's own affair")
            elif _is_truth(known) and said & (ALIVE | GONE) and column not in key_of(table):
                no, yes = _truths(known)
                gone = no if said & ALIVE else yes
                if self.draft.shared_key:
                    mark = f'deactivate: {{{column}: "{gone}"}}'
                    self.draft.left_out.append(f"{place}: is a row gone if it is {gone}? {mark}")
                else:
                    self.draft.inactive.setdefault(system, {})[column] = gone
            elif known.family in TIMES and said & GONE:
                self.draft.left_out.append(f'{place}: is a row gone if it has one? where: "{column} is null"')
            else:
                kept[system] = column
        return kept

    def _alone(self, alone: Sequence[tuple[str, str]]) -> None:
        """Columns without a counterpart: what is called alike was not paired because the types do not go together."""
        for name, those in groupby(sorted(alone, key=lambda each: words(each[1])), lambda each: words(each[1])):
            called = list(those)
            if name and 1 < len(called) == len(columns := dict(called)):
                types = " and ".join(self._type(system, column) for system, column in called)
                self._leave_out(columns, f"called alike, but {types}: `read` and `write`, or a `map`?")
            else:
                self.draft.left_out += [f"{s}.{c}: nothing like it elsewhere" for s, c in called]

    def _type(self, system: str, column: str) -> str:
        return self.group.tables[system].shape.columns[column].type

    def _leave_out(self, columns: Mapping[str, str], why: str) -> None:
        both = ", ".join(f"{system}: {column}" for system, column in columns.items())
        self.draft.left_out.append(f"{{{both}}}: {why}")

    def _field(self, columns: dict[str, str]) -> None:
        first = next(iter(columns.values()))
        name = _name(first.rpartition(".")[2], "field")
        made = FieldDraft(_unique(name, [each.name for each in self.draft.fields]), columns)
        refers = {s: table for s, c in columns.items() if (table := reference_of(self.group.tables[s], c)) is not None}
        entities = {self.leads.get((system, table), "") for system, table in refers.items()}
        if len(refers) == len(columns) and len(entities) == 1 and "" not in entities:
            (made.reference,) = entities
        elif any((system, table) in self.leads for system, table in refers.items()):
            self._leave_out(columns, "a reference here, and something else there")
            return
        else:
            for system, table in refers.items():
                natural = _natural(self.tables.get((system, table)))
                if natural is None:
                    codes = shown(table, self.homes[system])
                    self._leave_out(columns, f"the key of {codes}, of which no column means the same elsewhere")
                    return
                made.lookups[system] = (table, *natural)
        if not refers and not self._mapped(made):
            return
        families = {self.group.tables[system].shape.columns[column].family for system, column in columns.items()}
        if "timestamp" in families and families <= TIMES:
            made.question = "in which zone are times without one? `time_zone` of each system says so"
        self.draft.fields.append(made)

    def _mapped(self, made: FieldDraft) -> bool:
        """False if the columns have lists of values of which nobody can say what is what."""
        lists = {system: self.group.tables[system].allowed.get(column, ()) for system, column in made.columns.items()}
        told = {system: values for system, values in lists.items() if values}
        if not told and self._truth_mapped(made):
            return True
        if not told or (len({frozenset(values) for values in told.values()}) == 1 and len(told) == len(lists)):
            return True
        (model, meanings) = max(told.items(), key=lambda each: sum(map(len, each[1])))
        for system, column in made.columns.items():
            if system == model:
                continue
            shapes = [self.group.tables[s].shape.columns[made.columns[s]] for s in (system, model)]
            pairs = same_meanings(lists[system], meanings) if lists[system] else None
            if pairs is None and not (not lists[system] and shapes[0].type == shapes[1].type):
                values = ", ".join(f'{_quoted(value)}: "?"' for value in lists[system] or meanings)
                what = ", ".join(_quoted(value) for value in meanings)
                self._leave_out(made.columns, f"map: {{{values}}} at {system}.{column}? {model} knows {what}")
                return False
            if pairs is not None and any(stored != meant for stored, meant in pairs.items()):
                made.maps[system] = pairs
                made.question = "the map is guessed by first letters: is it so?"
        return True

    def _truth_mapped(self, made: FieldDraft) -> bool:
        """True if it is yes or no everywhere, in words or in numbers: then the numbers are mapped."""
        known = {s: self.group.tables[s].shape.columns[column] for s, column in made.columns.items()}
        numbers = [system for system, column in known.items() if column.family != "boolean"]
        if not all(map(_is_truth, known.values())) or not 0 < len(numbers) < len(known):
            return False
        made.maps |= {system: {"1": "true", "0": "false"} for system in numbers}
        return True

    # -------------------------------------------------------- identity

    def _identity(self) -> None:
        draft = self.draft
        if draft.shared_key:
            system, table = next(iter(self.group.tables.items()))
            by_column = {f.columns.get(system): f for f in draft.fields}
            key = [by_column.get(column) for column in key_of(table)]
            if all(each is not None and len(each.columns) == len(self.group.tables) for each in key):
                draft.identity = [(each.name, "exact") for each in key if each is not None]
                return
            draft.shared_key = False
        candidates = [self._unique_together(key) for key in self._keys()]
        usable = [each for each in candidates if each]
        if usable:
            best = min(usable, key=lambda names: (-usable.count(names), self._poverty(names), len(names)))
            draft.identity = [(name, self._form(name)) for name in best]
            alone = usable.count(best) < len(self.group.tables)
            draft.identity_question = "unique in one system only: is it so in all?" if alone else ""
            return
        for said, form in TELLING:
            for made in self._common():
                if self._family(made) == "text" and said & set(words(made.name)):
                    draft.identity = [(made.name, form)]
                    draft.identity_question = "a guess by its name: is it unique in all systems?"
                    return

    def _keys(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(system, key) for system, table in self.group.tables.items() for key in table.shape.unique]

    def _unique_together(self, key: tuple[str, tuple[str, ...]]) -> tuple[str, ...]:
        """The fields of a unique index, if all its columns are fields of all systems."""
        system, columns = key
        names = {f.columns.get(system): f.name for f in self._common()}
        return tuple(sorted(names[column] for column in columns)) if all(c in names for c in columns) else ()

    def _common(self) -> list[FieldDraft]:
        """The fields that all systems have."""
        return [made for made in self.draft.fields if len(made.columns) == len(self.group.tables)]

    def _poverty(self, names: Sequence[str]) -> int:
        """The place of a set of fields among those that tell things apart; low is good."""
        said = {word for name in names for word in words(name)}
        return next((at for at, (telling, _) in enumerate(TELLING) if telling & said), len(TELLING))

    def _form(self, name: str) -> Form:
        made = next(each for each in self.draft.fields if each.name == name)
        if self._family(made) != "text" or made.reference:
            return "exact"
        return next((form for said, form in TELLING[:2] if said & set(words(name))), "exact")

    def _family(self, made: FieldDraft) -> str:
        found = {self.group.tables[s].shape.columns[c].family for s, c in made.columns.items()}
        return found.pop() if len(found) == 1 else ""


def same_meanings(stored: Sequence[str], meanings: Sequence[str]) -> dict[str, str] | None:
    """Which value of one list means which of another, where that is plain: the same word, or its first letter."""
    found = {}
    for value in stored:
        fitting = [m for m in meanings if m == value] or [m for m in meanings if _begins(m, value)]
        if len(fitting) != 1:
            return None
        found[value] = fitting[0]
    return found if len(set(found.values())) == len(found) == len(meanings) else None


def _begins(meaning: str, value: str) -> bool:
    one, other = meaning.casefold(), value.casefold()
    return bool(other) and (one.startswith(other) or other.startswith(one))


def _shares_its_key(group: Group) -> bool:
    """True if the keys of all tables are the same fields, and no database makes them by itself."""
    keys = set()
    for system, table in group.tables.items():
        columns = key_of(table)
        if made_by_the_database(table):
            return False
        at = [next((n for n, f in enumerate(group.fields) if f.get(system) == column), -1) for column in columns]
        keys.add(frozenset(at))
    (one, *others) = keys
    return not others and -1 not in one and all(len(group.fields[at]) == len(group.tables) for at in one)


def _natural(codes: Surveyed | None) -> tuple[str, str] | None:
    """(key, natural column) of a code table."""
    if codes is None or len(key_of(codes)) != 1:
        return None
    shape: TableShape = codes.shape
    unique = [key[0] for key in shape.unique if len(key) == 1 and shape.columns[key[0]].family == "text"]
    named = [name for name in unique if NATURAL & set(words(name))] or unique
    return (key_of(codes)[0], named[0]) if named and named[0] != key_of(codes)[0] else None


def _needed(table: Surveyed, filled: Iterable[str]) -> list[Column]:
    """The columns that a new row must have and nobody gives it."""
    known = set(filled)
    return [
        column for column in table.shape.columns.values()
        if column.name not in known and not (column.nullable or column.default or column.generated)
    ]  # fmt: skip


def _first_value(table: Surveyed, column: Column) -> str:
    """A value that such a column takes, as SQL; empty where only a person can say it."""
    if reference_of(table, column.name) is not None or column.name in key_of(table):
        return ""
    allowed = table.allowed.get(column.name, ())
    alive = "true" if set(words(column.name)) & ALIVE else "false"
    return {
        "text": f"'{allowed[0]}'" if allowed else "''", "enum": f"'{allowed[0]}'" if allowed else "", "integer": "0",
        "numeric": "0", "boolean": alive, "date": "current_date", "timestamptz": "now()",
        "timestamp": "now() at time zone 'utc'", "uuid": "gen_random_uuid()",
    }.get(column.family, "")  # fmt: skip


def _is_truth(column: Column) -> bool:
    """True for yes or no: also where it is told as a number, as MariaDB and MySQL do."""
    return column.family == "boolean" or column.type == SMALL_TRUTH


def _truths(column: Column) -> tuple[str, str]:
    """(no, yes), as such a column tells them."""
    return ("false", "true") if column.family == "boolean" else ("0", "1")


def _opposite(column: Column, truth: str) -> str:
    no, yes = _truths(column)
    return yes if truth == no else no


def _name(said: str, otherwise: str) -> str:
    """A name as rule files have them."""
    found = re.sub(r"[^A-Za-z0-9_]+", "_", said).strip("_").lower()[:60]
    return found if re.fullmatch(FIELD_NAME, found) else otherwise


def _unique(name: str, known: Sequence[str]) -> str:
    return next(each for each in (name, *(f"{name}_{n}" for n in range(2, len(known) + 3))) if each not in known)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
