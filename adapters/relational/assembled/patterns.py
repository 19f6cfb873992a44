"""Turns the values of a record, and the rows that it has, into its pattern: which of its rows are to be made or go.

Pure. A part's row is made when one of its fields gets a value, when the record could not be one without it, or when
another row that is made hangs on it. Rows that only link others (no field is in them or in what hangs on them) are made
with what they link. A row that a field points at, and that has none itself, is never made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adapters.relational.assembled.forms import Pattern
from adapters.relational.assembled.shapes import Shape
from adapters.relational.assembled.values import Value
from engine.vocabulary import Text


def of_whole(shape: Shape, fields: tuple[int, ...], filled: Iterable[int], there: Iterable[int] = ()) -> Pattern:
    """The pattern of a record that is made, of which these rows are `there` already. `filled`: the fields that have a
    value, among those that are given."""
    present = frozenset(there)
    wanted = {0, *shape.assembly.members, *shape.parts_of(filled)}
    wanted = shape.with_ancestors(wanted)
    for at in links(shape):
        if all(part in wanted | present or part in links(shape) for _, part, _ in shape.places[at].part.links):
            wanted |= shape.with_ancestors([at])
    wanted -= shape.looked_at
    return Pattern(
        fields, present, frozenset(wanted - present), void=void(shape, fields, filled), back=bool(present)
    )


def of_change(
    shape: Shape, fields: tuple[int, ...], new: Mapping[int, Value], rows: Mapping[int, Sequence[Text]]
) -> Pattern:
    """The pattern of a record that is changed. `rows`: its rows, by part, as far as they are there."""
    filled = [number for number in fields if new[number] is not None]
    touched = shape.parts_of(fields)
    missing = shape.with_ancestors(part for part in shape.parts_of(filled) if part not in rows)
    missing -= rows.keys() | shape.looked_at
    for at in links(shape):
        part = shape.places[at].part
        others = {join.part for join in part.joins} | {other for _, other, _ in part.links}
        if at not in rows and others & missing and others <= missing | rows.keys():
            missing.add(at)
    gone = _cleared(shape, touched, new, rows)
    return Pattern(fields, frozenset(rows) - gone, frozenset(missing), gone, void(shape, fields, filled))


def links(shape: Shape) -> list[int]:
    """The parts that only link others, and that we can make."""
    carrying = shape.with_ancestors(place.at for place in shape.places if place.part.fields)
    return [
        place.at
        for place in shape.places
        if place.at not in carrying and (place.part.links or place.part.create)
    ]


def void(shape: Shape, fields: Iterable[int], filled: Iterable[int]) -> frozenset[int]:
    """The given fields without a value whose columns join or identify rows: then something else says those."""
    joining = {(at, position) for at, place in enumerate(shape.places) for position in place.key}
    for at, place in enumerate(shape.places):
        for join in place.part.joins:
            joining |= {(at, join.column), (join.part, join.other)}
    return frozenset(number for number in set(fields) - set(filled) if shape.spots[number] in joining)


def _cleared(
    shape: Shape, touched: Iterable[int], new: Mapping[int, Value], rows: Mapping[int, Sequence[Text]]
) -> frozenset[int]:
    """The parts whose rows are not to stay: no field of them has a value any more, or they only link such a row, or
    only lead to one; and nothing that stays hangs on them."""
    gone = {at for at in touched if at in rows and _is_empty(shape, at, new, rows)}
    for at in links(shape):
        part = shape.places[at].part
        if at in rows and part.clear == "delete" and any(join.part in gone for join in part.joins):
            gone.add(at)
    for at in sorted(rows, reverse=True):
        part = shape.places[at].part
        beyond = [other for other in rows if any(join.part == at for join in shape.places[other].part.joins)]
        if part.clear == "delete" and not part.fields and beyond and gone.issuperset(beyond):
            gone.add(at)
    gone -= {0, *shape.assembly.members}
    return frozenset(gone - shape.with_ancestors(at for at in rows if at not in gone))


def _is_empty(shape: Shape, at: int, new: Mapping[int, Value], rows: Mapping[int, Sequence[Text]]) -> bool:
    """True if no field of the part has a value any more, and its row is not to stay then."""
    part = shape.places[at].part
    if part.clear == "keep" or at == 0 or at in shape.assembly.members:
        return False
    values = [(number, new.get(number, rows[at][position])) for number, position in part.fields]
    return all(value is None or (value == "" and number in shape.assembly.empty) for number, value in values)
