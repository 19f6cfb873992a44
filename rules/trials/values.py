"""What a test says of values, in the forms in which the engine has them; and when two of them are one.

Turns the texts of a rule file into canonical or stored ones by the field's family. Where no catalog has told the types,
a field of which all tests say numbers only is taken for a number, and one of which they say true and false for a
boolean: a rule file says `10` where a column prints `10.00`, and both are one number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from engine.errors import ValueRefused
from engine.merge import EntityRules
from engine.rulebook import Entity, Field, RuleBook
from engine.vocabulary import Text
from rules.syntax import EntitySyntax, TestSyntax
from rules.values.forms import normal

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_TRUTHS = frozenset({"true", "false", "t", "f"})
_NUMERIC = frozenset({"integer", "numeric", "float"})


def with_guessed_types(book: RuleBook, entities: Mapping[str, EntitySyntax]) -> RuleBook:
    """The rule book, with families for the fields of which only the tests tell anything."""
    guessed = {name: _guessed(entity, entities[name]) for name, entity in book.entities.items() if name in entities}
    return replace(book, entities={**book.entities, **guessed})


def _guessed(entity: Entity, syntax: EntitySyntax) -> Entity:
    fields: list[Field] = []
    for field in entity.fields:
        family = _family(_told(entity, field.name, field.number, syntax.tests), _mapped(syntax, field))
        fields.append(field if field.reference is not None or family is None else replace(field, family=family))
    return replace(entity, fields=tuple(fields))


def _mapped(syntax: EntitySyntax, field: Field) -> bool:
    """True if a map says what its values mean: they are the map's words then, also `true` and `false`."""
    words = syntax.fields.get(field.name)
    return words is not None and any(column.map is not None for column in words.columns.values())


def _family(told: list[str], mapped: bool) -> str | None:
    if told and all(_NUMBER.fullmatch(text) for text in told):
        return "numeric"
    return "boolean" if told and not mapped and all(text in _TRUTHS for text in told) else None


def _told(entity: Entity, field: str, number: int, tests: Iterable[TestSyntax]) -> list[str]:
    """All canonical values of a field in the tests: also what is stored where that is the canonical form."""
    plain = [system for system, binding in entity.bindings.items() if number not in binding.codecs]
    found: list[str | None] = []
    for test in tests:
        found += [(said or {}).get(field) for said in (test.agreed, test.then)]
        for by_system in (*test.steps, test.stored):
            found += [(by_system.get(system) or {}).get(field) for system in plain]
    return [text for text in found if text is not None]


def canonical(rules: EntityRules, number: int, text: Text) -> Text:
    """A canonical value, as a rule file says it. Raises ValueRefused if the field's type has no such value."""
    return None if text is None else normal(rules.entity.fields[number].family, text)


def stored(rules: EntityRules, system: str, number: int, text: Text) -> Text:
    """A stored value, as a rule file says it. Raises ValueRefused if the column's type has no such value."""
    layout = rules.layouts[system]
    assembly = layout.binding.assembly
    if text is None or (text == "" and assembly is not None and number in assembly.empty):
        return None
    if number not in layout.binding.codecs:
        return normal(rules.entity.fields[number].family, text)
    if text in ("true", "false"):  # a boolean column with a map prints `t` and `f`
        try:
            layout.canonical(number, text)
        except ValueRefused:
            return text[0]
    return text


def same_text(family: str, one: object, other: object) -> bool:
    """True if both are the same value: numbers whatever zeros they are written with, all else as it stands."""
    if one == other or family not in _NUMERIC or not isinstance(one, str) or not isinstance(other, str):
        return one == other
    return bool(_NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)) and Decimal(one) == Decimal(other)
