"""Every way in which a column may store a field, as rule files say it, with the values that each column can have.

`TYPES` holds the kinds of columns, `WORDS` what may be said of one: a word that is not here is missed by a test, and so
is a family of types. `conversions` puts them together in every way that `check` lets through.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, TypeAlias

from hypothesis import strategies as st

from engine import lists
from engine.catalog import Column
from engine.rulebook import Codec
from rules import located
from rules.findings import Findings
from rules.problem import Problem
from rules.shape import shape
from rules.syntax import ColumnSyntax
from rules.values.fit import check_fields
from rules.values.forms import check_maps_fit, forms
from rules.values.stored import Stored, stored_fields
from rules.values.suits import check_words
from rules.values.words import inverse_of
from tests.rules.catalogs import column

ALPHABET = st.sampled_from(" ,;aAbBßÄ中文é😀'\"\\{}%_-019") | st.just("e\u0301")
TEXTS = st.lists(ALPHABET, max_size=12).map("".join)


def _text(length: int) -> st.SearchStrategy[str]:
    return TEXTS.map(lambda text: text[:length])


def _moment(digits: int, offset: str = "") -> st.SearchStrategy[str]:
    def printed(moment: datetime) -> str:
        kept = moment.replace(microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits))
        text = kept.isoformat(" ")
        return (text.rstrip("0") if kept.microsecond else text) + offset

    around = st.sampled_from([datetime(2026, 3, 8, 2, 30), datetime(2026, 11, 1, 1, 30), datetime(2026, 11, 1, 5, 30)])
    return (st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)) | around).map(printed)


def _clock(value: time) -> str:
    text = value.isoformat()
    return text.rstrip("0") if value.microsecond else text


def _number(digits: int, scale: int) -> st.SearchStrategy[str]:
    whole = st.integers(-(10**digits) + 1, 10**digits - 1)
    return whole.map(lambda n: f"{'-' if n < 0 else ''}{abs(n) // 10**scale}" + (
        f".{abs(n) % 10**scale:0{scale}}" if scale else ""))  # fmt: skip


def _integer(bits: int) -> st.SearchStrategy[str]:
    half = 2 ** (bits - 1)
    return (st.integers(-half, half - 1) | st.integers(-3, 3)).map(str)


def _elements(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=4).map(lists.listed)


TYPES: Mapping[str, st.SearchStrategy[str]] = {
    "text": TEXTS | st.sampled_from(["Y", "y", "N", "", '{"b": 1, "aa": [1.50, 1e2]}', " [ ] ", "a, b,c"]),
    "citext": TEXTS,
    "varchar(6)": _text(6),
    "char(6)": _text(6).map(lambda text: text.rstrip(" ").ljust(6)),
    "enum stage(a, Bc, 中)": st.sampled_from(["a", "Bc", "中"]),
    "smallint": _integer(16),
    "int": _integer(32),
    "bigint": _integer(64),
    "numeric": _number(12, 4) | _number(3, 0) | st.just("NaN"),
    "numeric(9,2)": _number(9, 2),
    "numeric(5,0)": _number(5, 0),
    "boolean": st.sampled_from(["t", "f"]),
    "date": st.dates().map(str),
    "time": st.times().map(_clock),
    "time(0)": st.times().map(lambda value: _clock(value.replace(microsecond=0))),
    "timestamp": _moment(6) | st.sampled_from(["infinity", "0044-03-15 12:00:00 BC", "12026-07-01 00:00:00"]),
    "timestamp(0)": _moment(0),
    "timestamptz": _moment(6, "+00") | st.sampled_from(["-infinity", "0044-03-15 12:00:00+00 BC"]),
    "timestamptz(3)": _moment(3, "+00"),
    "interval": st.sampled_from(["P1D", "PT1H30M"]),
    "uuid": st.uuids().map(str),
    "bytea": st.binary(max_size=5).map(lambda value: "\\x" + value.hex()),
    "float8": st.sampled_from(["0", "0.1", "1e+20", "-2.5", "NaN", "405778.3630349408"]),
    "real": st.sampled_from(["0", "0.1", "1e+06", "-2.5", "NaN"]),
    "json": st.sampled_from(['{"b":1,"a":[1.50,1e2]}', "[]", ' {"a": null} ', '"x\\u00e9"', "1.0"]),
    "jsonb": st.sampled_from(['{"a": [1.50, 100], "b": 1}', "[]", '"é"', "1.0"]),
    "text[]": _elements(TEXTS),
    "int[]": _elements(st.integers(-9, 9).map(str)),
    "inet": st.sampled_from(["10.0.0.1", "10.0.0.0/8"]),
}
"""By the type of a column: the texts that it can print."""

WORDS: Mapping[str, Sequence[str]] = {
    "map": [
        "map: {Y: true, N: false, y: true}", "map: {1: true, 0: false, 2: true}", "map: {a: A, b: B, 中: A}",
        "map: {true: open, false: shut}",
    ],
    "read": [
        "read: \"substr(value, 2)\", write: \"'+' || value\"", "read: upper(value), write: upper(value), lossy: true",
        "read: value / 4.0, write: value * 4", "read: not value, write: not value",
    ],
    "list": ['list: ","', 'list: ", "'],
    "scale": ["scale: 100", "scale: 0.01", "scale: -1", "scale: 3, lossy: true", "scale: 1.25"],
    "round": ["round: 0", "round: 3"],
    "trim": ["trim: true"],
    "case": ["case: upper", "case: lower"],
    "on_overflow": ["on_overflow: cut", "on_overflow: nearest", "on_overflow: null", "on_overflow: quarantine"],
    "time_zone": ["time_zone: America/New_York", "time_zone: Asia/Shanghai"],
    "one_way": ["one_way: true"],
    "lossy": ["lossy: true"],
    "empty": [],
    "lookup": [],
    "write": [],
    "column": [],
}  # fmt: skip
"""By word: how it may stand beside a column. The last are not about how a value is written, or stand with another."""

OTHERS = ("text", "numeric", "boolean", "timestamptz", "text[]")
"""What the other system has, besides the very same type: each can be the form of many."""


@dataclass(frozen=True, repr=False)
class Conversion:
    """A field of two columns that `check` lets through."""

    label: str
    columns: tuple[Stored, Stored]
    types: tuple[str, str, str]
    """Of both columns; and the words."""
    codecs: Mapping[str, Codec]
    warned: frozenset[str]
    """Systems in which something may be lost, by what `check` has said."""

    def __repr__(self) -> str:
        return self.label

    def words(self, system: str) -> ColumnSyntax:
        """What is said of the column there."""
        return next(stored.words for stored in self.columns if stored.system == system)

    @property
    def field(self) -> str:
        """What it is called."""
        return str(self.columns[0].path[3])

    def is_endless(self, system: str) -> bool:
        """Whether it is divided by what leaves no end, so that what is read back is not the same number either."""
        scale = self.words(system).scale
        return scale is not None and inverse_of(scale) is None

    def loses(self, system: str) -> bool:
        """Whether values may not come back from there, by what `check` or the rules themselves have said."""
        words = self.words(system)
        declared = words.lossy or words.trim or words.round is not None or words.case or words.one_way
        return bool(declared or "on_overflow" in words.model_fields_set) or system in self.warned


def conversions() -> list[Conversion]:
    """All of them, words on the second column."""
    singles = ["", *itertools.chain.from_iterable(WORDS.values())]
    pairs = {
        f"{one}, {other}": (one, other)
        for (first, ones), (second, others) in itertools.combinations(WORDS.items(), 2)
        for one, other in itertools.product(ones, others)
        if not ("lossy" in one and "lossy" in other)
    }
    alone = [words for words in singles if words]
    together = [c.types[2] for c in checked({f"w{n}": ("text", "text", w) for n, w in enumerate(pairs)}, offline=True)]
    found: list[Conversion] = []
    for theirs in TYPES:
        tried = [(ours, theirs, "") for ours in TYPES]
        tried += [(ours, theirs, words) for words in alone for ours in dict.fromkeys((theirs, *OTHERS))]
        found += checked({f"f{number}": each for number, each in enumerate(tried)})
        fitting = {(c.types[0], c.types[2]) for c in found if c.types[1] == theirs}
        tried = [
            (ours, theirs, words) for words in together for ours in dict.fromkeys((theirs, *OTHERS))
            if all((ours, word) in fitting for word in pairs[words])
        ]  # fmt: skip
        found += checked({f"f{number}": each for number, each in enumerate(tried)})
    return found


Columns: TypeAlias = Callable[[str, str], Column]
"""What the catalogs tell of a name and a type."""


def _described(name: str, described: str) -> Column:
    return column(f"{name} {described}")


def checked(
    told: Mapping[str, tuple[str, str, str]], offline: bool = False, columns: Columns = _described
) -> Iterator[Conversion]:
    """Those of one rule file that `check` lets through. `offline`: no catalog has told the types."""
    for conversion, problems in judged(told, offline, columns):
        if not any(problem.severity == "error" for problem in problems):
            yield conversion


def judged(
    told: Mapping[str, tuple[str, str, str]], offline: bool = False, columns: Columns = _described
) -> Iterator[tuple[Conversion, list[Problem]]]:
    """All of one rule file, with what `check` says of each."""
    lines = [
        f"      {name}: {{erp: {{column: {name}}}, crm: {{column: {name}{', ' if words else ''}{words}}}}}\n"
        for name, (_, _, words) in told.items()
    ]
    head = (
        'duolog: 1\nsystems:\n  erp: {adapter: postgresql, url: "x"}\n  crm: {adapter: postgresql, url: "x"}\n'
        "entities:\n  thing:\n    identity: [no]\n    conflict: last_writer\n"
        "    bind: {erp: {table: t}, crm: {table: t}}\n    fields:\n"
    ) + ("" if "no" in told else "      no: no\n")
    document, problems = located.read("rules.yaml", (head + "".join(lines)).encode())
    assert document is not None and not problems, problems
    shaped, misshapen = shape(document)
    assert shaped is not None and not misshapen, misshapen[:3]
    entities = shaped.syntax.entities
    known: dict[Any, Column] = {}
    everything = {} if offline else {"no": ("int", "int", ""), **told}
    for name, types in everything.items():
        for system, described in zip(("erp", "crm"), types[:2], strict=True):
            known["entities", "thing", "fields", name, system, "column"] = columns(name, described)
    findings = Findings(document)
    check_words("thing", entities["thing"], (), findings)
    fields = stored_fields(entities, known)
    shapes = forms(entities, (), fields, findings)
    check_maps_fit(fields, shapes, findings)
    check_fields(entities, (), fields, shapes, findings)
    first = head.count("\n") + 1
    problems_at = defaultdict[int, list[Problem]](list)
    for problem in findings.problems:
        problems_at[problem.place.line - first].append(problem)
    for at, (name, (ours, theirs, words)) in enumerate(told.items()):
        mine = problems_at[at]
        warned = {"crm" if "to `crm`" in p.what else "erp" for p in mine}
        one, other = fields["thing", name]
        label = f"{ours} | {theirs}{', ' if words else ''}{words}"
        found = Conversion(label, (one, other), (ours, theirs, words), shapes["thing", name].codecs, frozenset(warned))
        yield found, mine
