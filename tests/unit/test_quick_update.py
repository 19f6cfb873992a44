"""The short way of an update (`quick_update`): whenever it is taken, it does exactly what the long way (`read`) does.

One record of a key and the fields f, g, h, k and l in three systems: `erp` has all columns as they are meant, `crm` has
codecs of every kind, `shop` lacks some. Which of them are special, and how, is the rules' affair.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValueRefused
from engine.merge import EntityRules, Step, quick_update, read
from engine.record import Mark, Record, decode, encode
from engine.rulebook import Binding, Check, Claim, Codec, Entity, Field, Formula, Joint, Register
from engine.vocabulary import ABSENT, INSERT, UPDATE, Image, Text, Version

SYSTEMS = ("erp", "crm", "shop")
F, G, H, K, L = range(1, 6)


def _mapped(text: str) -> str:
    if text not in ("1", "one", "2"):
        raise ValueRefused("not in the map")
    return "1" if text == "one" else text


def _one_digit(text: str) -> str:
    try:
        return str(Decimal(text).quantize(Decimal("0.1"), ROUND_HALF_UP))
    except InvalidOperation:
        raise ValueRefused("no number") from None


MAP = Codec("map", _mapped, _mapped, many=True)
ROUND = Codec("round", lambda text: text, _one_digit)
EMPTY = Codec("empty", lambda text: text or None, lambda text: text)
CODECS = {F: MAP, G: ROUND, L: EMPTY}


def rules_of(
    codecs: dict[int, Codec], *, grouped: bool = False, fields: dict | None = None, registers: dict | None = None,
    shop: tuple[int, ...] = (0, F, G, H), checks: tuple[Check, ...] = (),
) -> EntityRules:  # fmt: skip
    """Each field in a register of its own; `grouped`: g and h in one, and h's is empty."""
    made = [Field(name, number, number if number else -1) for number, name in enumerate(("key", *"fghkl"))]
    if grouped:
        made[H] = replace(made[H], register=G)
    made = [replace(field, **(fields or {}).get(field.number, {})) for field in made]
    ruled = [
        Register(n, tuple([f.number for f in made if f.register == n]), None, "last_writer", SYSTEMS) for n in range(6)
    ]
    ruled = [replace(register, **(registers or {}).get(register.number, {})) for register in ruled]
    bindings = {s: Binding(s, "thing", 0, tuple(range(6))) for s in SYSTEMS}
    bindings["crm"] = replace(bindings["crm"], codecs=codecs)
    bindings["shop"] = replace(bindings["shop"], columns=shop)
    entity = Entity("thing", tuple(made), (0,), tuple(ruled), bindings, frozenset(SYSTEMS),
                    dict.fromkeys(SYSTEMS, "propagate"), delete_wins=False, checks=checks)  # fmt: skip
    return EntityRules(entity, 0)


NOWHERE = {"closed": frozenset(SYSTEMS)}


def formula(text: str, fields: set[int], value: object) -> Formula:
    return Formula(text, "text", frozenset(fields), value)  # type: ignore[arg-type]


NOT_TWO = Check("f <> '2'", formula("f <> '2'", {F}, lambda values: "ft"[values[F] != "2"]))
BOTH = formula("f || k", {F, K}, lambda values: (values[F] or "") + (values[K] or ""))
WHILE = Claim("crm", formula("k = '1'", {K}, lambda values: "ft"[values[K] == "1"]))
BY_STATE = {F: {"owner": "erp"}, G: {"claims": (WHILE,)}, L: {"closed": frozenset({"crm"})}}
JOINT = Joint(G, (H,), lambda parts: parts[0], lambda whole: (whole,))

RULES = {
    "alike": rules_of({}, shop=tuple(range(6))),
    "a system lacks columns": rules_of({}),
    "codecs": rules_of(CODECS),
    "a group with a lossy field": rules_of(CODECS, grouped=True),
    "a part of a group is lacking": rules_of({}, grouped=True, shop=(0, F, G)),
    "spellings": rules_of({F: MAP}, fields={F: {"same": "digits"}, K: {"same": "case"}}),
    "a check": rules_of(CODECS, checks=(NOT_TWO,)),
    "a derived field": rules_of({G: ROUND}, fields={H: {"formula": BOTH}}, registers={H: NOWHERE}),
    "owners": rules_of(CODECS, registers=BY_STATE),
    "an owner for a while": rules_of({}, registers={G: {"claims": (WHILE,)}}),
    "a joint": rules_of({}, grouped=True, registers={G: {"joint": JOINT}}, shop=(0, F, H)),
    "delta": rules_of({}, registers={F: {"policy": "delta"}}),
}  # fmt: skip

STORED = st.sampled_from(["1", "one", "2", "1.04", "a", "A", "", None, "two 1"])
ROWS = st.tuples(*[STORED] * 5)


def image_of(rules: EntityRules, system: str, values: tuple[Text, ...], missing: frozenset[int] = frozenset()) -> Image:
    """A row as the log tells it; `missing`: columns that it does not carry."""
    bound = rules.layouts[system].bound
    return tuple([
        value if number in bound and number not in missing else ABSENT for number, value in enumerate(("k", *values))
    ])  # fmt: skip


def step_of(system: str, number: int) -> Step:
    marks = {s: Mark() for s in SYSTEMS}
    for mark in marks.values():  # everything decided before has been confirmed and read back
        mark.applied, mark.dispatched, mark.read = number - 1, number - 1, 10_000
    return Step(Version(number, system, number, 10_000 + number), system, marks)


def in_step(rules: EntityRules, system: str, values: tuple[Text, ...]) -> Record | None:
    """A record that one system made, and all others have got; None if it cannot be."""
    try:
        record = read(rules, "k", None, INSERT, image_of(rules, system, values), 1, step_of(system, 1))
    except ValueRefused:
        return None
    return None if record is None else decode(encode(record))


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
@given(
    maker=st.sampled_from(SYSTEMS),
    writer=st.sampled_from(SYSTEMS),
    made=ROWS,
    changes=st.dictionaries(st.integers(0, 4), STORED, min_size=1, max_size=3),
    missing=st.frozensets(st.integers(F, L), max_size=1),
)
def test_the_short_way_does_exactly_what_the_long_way_does(
    rules: EntityRules, maker: str, writer: str, made: tuple, changes: dict, missing: frozenset[int]
) -> None:
    record = in_step(rules, maker, made)
    if record is None:
        return
    stored = rules.layouts[writer].stored_row(record.values)
    row = [value or None if isinstance(value, bool) else value for value in stored[1:]]
    for place, value in changes.items():
        row[place] = value
    image = image_of(rules, writer, tuple(row), missing)
    short, long = decode(encode(record)), decode(encode(record))
    quick, usual = step_of(writer, 2), step_of(writer, 2)
    if not quick_update(rules, short, image, quick):
        assert short.values == record.values
        assert short.table == record.table
        return
    assert read(rules, "k", long, UPDATE, image, 10_002, usual) == short
    assert (quick.touched, quick.counts, quick.noise) == (usual.touched, usual.counts, usual.noise)
    assert usual.journal == []


@pytest.mark.parametrize(("name", "writer", "field", "value"), [
    ("alike", "erp", F, "2"),
    ("a system lacks columns", "shop", F, "2"),
    ("codecs", "crm", F, "2"),
    ("codecs", "erp", G, "1.25"),
    ("spellings", "crm", K, "other"),
    ("a check", "erp", K, "2"),
    ("a derived field", "crm", G, "2.5"),
    ("a derived field", "erp", F, "2"),
    ("a check", "erp", F, "one"),
    ("owners", "erp", F, "2"),
    ("owners", "erp", G, "2.5"),
])  # fmt: skip
def test_the_short_way_is_taken_where_what_was_written_becomes_current_as_it_stands(
    name: str, writer: str, field: int, value: str
) -> None:
    record = in_step(RULES[name], "erp", ("1", "1.5", None, "y", "x"))
    assert record is not None
    row = list(RULES[name].layouts[writer].stored_row(record.values))
    row[field] = value
    assert quick_update(RULES[name], record, image_of(RULES[name], writer, tuple(row[1:])), step_of(writer, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "writer", "field", "value"), [
    ("codecs", "crm", F, "one"),
    ("codecs", "crm", F, "what"),
    ("spellings", "crm", K, "Y"),
    ("a check", "erp", F, "2"),
    ("a derived field", "crm", H, "mine"),
    ("owners", "crm", F, "2"),
    ("owners", "crm", L, "2"),
])  # fmt: skip
def test_the_short_way_leaves_to_the_long_way_what_may_be_otherwise(
    name: str, writer: str, field: int, value: str
) -> None:
    record = in_step(RULES[name], "erp", ("1", "1.5", None, "y", "x"))
    assert record is not None
    row = list(RULES[name].layouts[writer].stored_row(record.values))
    row[field] = value
    assert not quick_update(RULES[name], record, image_of(RULES[name], writer, tuple(row[1:])), step_of(writer, 2))  # type: ignore[arg-type]


def test_the_short_way_is_only_for_the_owner_of_the_moment() -> None:
    rules = RULES["an owner for a while"]
    for writer in ("crm", "erp"):
        record = in_step(rules, "crm", ("1", "1.5", None, "1", "x"))
        assert record is not None
        image = image_of(rules, writer, ("1", "2.5", None, "1", "x"))
        assert quick_update(rules, record, image, step_of(writer, 2)) is (writer == "crm")
