"""Fields of `item` that need more than a policy: spellings, owners by state, checks, worked-out and joined fields.

Turns the words that a seed drew into fields, registers and checks of a rule book, each formula in plain Python. It
never draws anything, and knows no SQL; what users write there is in `users`, what must hold is in `judge`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from engine.errors import ValueRefused
from engine.rulebook import Check, Claim, Codec, Field, Formula, Joint, Preference, Register
from engine.vocabulary import Text

WORDS: dict[str, tuple[str, ...]] = {
    "same": ("phone",),
    "many": ("stage",),
    "claims": ("rate",),
    "closed": ("remark",),
    "check": ("credit", "floor", "seal"),
    "derived": ("label", "size"),
    "joint": ("full", "given", "family"),
    "union": ("tags",),
    "expression": ("score",),
    "margin": ("seen",),
}
"""By word: the fields that it brings. `claims` looks at the field of `many`."""
APART = {"erp": frozenset({"full"}), "crm": frozenset({"given", "family"}), "mes": frozenset({"full"})}
"""By system: the fields of `joint` that it has no column for."""

STAGES = {"P": "prospect", "PP": "prospect", "C": "customer", "CC": "customer", "L": "lost"}
"""As `crm` stores it → canonical; written back as the first that means it."""
BAD = "bad"
"""How a `seal` ends that a check overrules."""
MARGIN_US = 1500
"""Writes of `seen` that are no further apart are told apart by `max`."""


@dataclass
class Wording:
    """What the drawn words add to `item`."""

    fields: list[Field] = field(default_factory=list)
    registers: list[Register] = field(default_factory=list)
    codecs: dict[int, Codec] = field(default_factory=dict)
    """Of `crm`, by field number."""
    checks: tuple[Check, ...] = ()


def names_of(words: Iterable[str]) -> tuple[str, ...]:
    """The fields that some words bring, in the order in which they stand in a row."""
    drawn = set(words)
    return tuple(name for word, names in WORDS.items() if word in drawn for name in names)


def wording(words: frozenset[str], systems: tuple[str, ...], base: Sequence[str], registers: int) -> Wording:
    """`base`: the fields that `item` has without these; `registers`: how many registers it has."""
    numbers = {name: number for number, name in enumerate((*base, *names_of(words)))}
    out = Wording()
    formulas = _derived(numbers) if "derived" in words else {}
    for name in names_of(words):
        if name not in ("given", "family"):  # they are decided together with `full`
            fields = (numbers[name],) if name != "full" else tuple(numbers[n] for n in WORDS["joint"])
            plain = Register(registers + len(out.registers), fields, None, "last_writer", systems)
            out.registers.append(_said(name, plain, numbers))
        out.fields.append(Field(
            name, numbers[name], out.registers[-1].number,
            "integer" if name in ("credit", "floor", "size") else "array" if name == "tags" else "text",
            same="digits" if name == "phone" else "exact", formula=formulas.get(name),
        ))
    if "many" in words:
        back = {meaning: stored for stored, meaning in reversed(STAGES.items())}
        there_and_back = (lambda stored: _known(STAGES, stored), lambda canonical: _known(back, canonical))
        out.codecs[numbers["stage"]] = Codec("map stage", *there_and_back, many=True)
    if "check" in words:
        out.checks = _checks(numbers)
    return out


def _said(name: str, plain: Register, numbers: dict[str, int]) -> Register:
    """A field's register, with what the rules say of it."""
    if name == "rate":
        prospect = _formula("stage = 'prospect'", numbers, ("stage",), lambda stage: _truth(stage, "prospect".__eq__))
        return replace(plain, claims=(Claim("crm", prospect), Claim("erp", None)))
    if name == "remark":
        return replace(plain, closed=frozenset({"crm"}))
    if name in ("label", "size"):
        return replace(plain, closed=frozenset(plain.order))
    if name == "full":
        whole, *parts = plain.fields
        return replace(plain, joint=Joint(whole, tuple(parts), joined, split))
    if name == "tags":
        return replace(plain, policy="union")
    if name == "score":
        longest = _formula("length(score)", numbers, ("score",), _length, "integer")
        return replace(plain, policy="expression", preference=Preference(longest))
    if name == "seen":
        return replace(plain, margin_us=MARGIN_US, fallback="max")
    return plain


def _derived(numbers: dict[str, int]) -> dict[str, Formula]:
    return {
        "label": _formula("upper(name) || '/' || note", numbers, ("name", "note"), labelled, "text"),
        "size": _formula("length(label)", numbers, ("label",), _length, "integer"),
    }


def labelled(name: Text, note: Text) -> Text:
    """`label`: nothing without a name, and an error for some names."""
    if name is None:
        return None
    if name.endswith("7"):
        raise ValueRefused("a name with a seven")
    return f"{name.upper()}/{note or ''}"


def _length(text: Text) -> Text:
    return None if text is None else str(len(text))


def _checks(numbers: dict[str, int]) -> tuple[Check, ...]:
    def positive(credit: Text) -> Text:
        return _truth(credit, lambda text: int(text) >= 0)

    def below(credit: Text, floor: Text) -> Text:
        return None if credit is None or floor is None else "ft"[int(floor) <= int(credit)]

    def sealed(seal: Text) -> Text:
        return _truth(seal, lambda text: not text.endswith(BAD))

    return (
        Check("credit >= 0", _formula("credit >= 0", numbers, ("credit",), positive)),
        Check("floor <= credit", _formula("floor <= credit", numbers, ("credit", "floor"), below)),
        Check("a good seal", _formula("seal not like '%bad'", numbers, ("seal",), sealed), "overrule"),
    )


def _formula(
    text: str, numbers: dict[str, int], names: tuple[str, ...], value: Callable[..., Text], family: str = "boolean"
) -> Formula:
    places = [numbers[name] for name in names]

    def worked_out(values: Sequence[Text | bool]) -> Text:
        return value(*[v if isinstance(v := values[place], str) else None for place in places])

    return Formula(text, family, frozenset(places), worked_out)


def _truth(value: Text, holds: Callable[[str], bool]) -> Text:
    return None if value is None else "ft"[holds(value)]


def _known(table: dict[str, str], value: str) -> str:
    if value not in table:
        raise ValueRefused(f"`{value}` has no counterpart")
    return table[value]


def joined(parts: tuple[Text, ...]) -> Text:
    """A whole name; NULL if there is no part of it."""
    said = [part for part in parts if part is not None]
    return " ".join(said) if said else None


def split(whole: Text) -> tuple[Text, ...]:
    """Its two parts: what comes after the first blank is the second."""
    if whole is None:
        return None, None
    first, blank, rest = whole.partition(" ")
    return first, rest if blank else None


def pieces(value: object) -> list[str]:
    """The tokens in a value: those of a list, or of a whole name, each by itself."""
    return [piece for piece in re.split("[ {},]", str(value)) if piece]
