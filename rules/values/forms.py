"""The canonical form of each field: its family, and the codec of each column that stores it in another form.

Works on the columns' types as the catalogs tell them. A field that refers to an entity's key must have the key's own
form, or the two could not be compared: such fields are kin, and are given their form together. Where one type serves
all kin and there is no map, nothing has to be changed and nothing is: that is the fast path.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from engine.catalog import Column
from engine.errors import ValueRefused
from engine.rulebook import Codec
from rules.findings import Findings
from rules.problem import Path, listed, quoted
from rules.ruling import identity_fields
from rules.syntax import EntitySyntax, FieldSyntax
from rules.values import codecs, documents
from rules.values.formulas import read_formula, write_formula
from rules.values.proof import check_there_and_back
from rules.values.stored import FieldKey, Fields, Stored, is_offline
from rules.values.words import Meant, column_codec

SAME_TYPE_ONLY = frozenset({"interval", "other"})
"""Families whose texts are compared only within one type: two types would print one value differently."""

_JOINS = {
    frozenset({"integer", "numeric"}): "numeric",
    frozenset({"enum", "text"}): "text",
    frozenset({"uuid", "text"}): "uuid",
    frozenset({"integer", "boolean"}): "boolean",
    frozenset({"json", "text"}): "json",
}
_WHY_NOT = {
    frozenset({"timestamp", "timestamptz"}): "nobody has said in which time zone the one without one is",
    frozenset({"timestamp", "date"}): "the time of day would be lost",
    frozenset({"timestamptz", "date"}): "the time of day would be lost, and the date depends on a time zone",
    frozenset({"integer", "text"}): "`042` and `42` are two texts, but one number",
    frozenset({"numeric", "text"}): "`1.50` and `1.5` are two texts, but one number",
    frozenset({"integer", "float"}): "`9007199254740993` has no floating-point form",
    frozenset({"numeric", "float"}): "`0.1` has no exact floating-point form",
    frozenset({"time", "interval"}): "a time of day is no length of time",
    frozenset({"bytes", "text"}): "bytes are no text in any one encoding",
    frozenset({"bytes", "uuid"}): "nobody has said in which order the bytes are",
}

_ELEMENTS = {
    **dict.fromkeys(("text", "character varying", "citext"), "text"),
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
}
"""What stands in an array, where several types print it alike."""

_VALUES = {
    "boolean": "true, false",
    "integer": "whole numbers in plain digits",
    "numeric": "numbers in plain digits",
    "uuid": "uuids",
    "json": "JSON",
    "date": "dates: 2026-01-31",
    "time": "times: 12:00:00",
    "timestamp": "timestamps: 2026-01-31 12:00:00",
    "timestamptz": "moments in UTC: 2026-01-31 12:00:00+00",
    "interval": "intervals: P1DT12H",
    "bytes": "bytes: \\x00ff",
    "float": "numbers: 1.5, 1e+20",
    "array": "lists: {a,b}",
}
_DATE, _TIME = r"[0-9]{4,7}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_PRINTED = {
    "date": re.compile(rf"{_DATE}( BC)?|-?infinity"),
    "time": re.compile(rf"{_TIME}([+-][0-9:]+)?"),
    "timestamp": re.compile(rf"{_DATE} {_TIME}( BC)?|-?infinity"),
    "timestamptz": re.compile(rf"{_DATE} {_TIME}\+00( BC)?|-?infinity"),
    "interval": re.compile(r"-?P[0-9YMWDTHS.-]+"),
    "bytes": re.compile(r"\\x([0-9a-f]{2})*"),
    "float": re.compile(r"-?([0-9]+(\.[0-9]+)?(e[+-][0-9]{2,3})?|Infinity)|NaN"),
    "array": re.compile(r"\{.*\}", re.DOTALL),
}


@dataclass(frozen=True, slots=True)
class Form:
    """How a field is told."""

    family: str
    codecs: Mapping[str, Codec]
    """By system; none where the stored form is the canonical one."""


def print_alike(one: Column, other: Column) -> bool:
    """Whether two columns print the same text for the same value, so that one may hold the key of the other."""
    return (
        one.family == other.family
        and (one.family not in ("enum", "array", "other") or one.type == other.type)
        and (one.family != "numeric" or one.scale == other.scale)
        and (one.padded or "trimmed") == (other.padded or "trimmed")
        and (not codecs.is_blank_padded(one) or one.length == other.length)
        and codecs.is_single(one) == codecs.is_single(other)
        and codecs.is_year(one) == codecs.is_year(other)
    )


def refers_across(field: FieldSyntax, crossed: Collection[str]) -> bool:
    """True for a reference to an entity whose keys are the systems' own: its values have no form of their own."""
    return field.reference is not None and field.reference in crossed


def forms(
    entities: Mapping[str, EntitySyntax], crossed: Collection[str], fields: Fields, findings: Findings
) -> dict[FieldKey, Form]:
    """The form of every field; what cannot be told is a problem, and then the family is text."""
    result: dict[FieldKey, Form] = {}
    for kin in _kin(entities, crossed):
        if refers_across(entities[kin[0][0]].fields[kin[0][1]], crossed):
            result[kin[0]] = Form("text", {})
            continue
        meant = {key: _meant(fields[key], findings) for key in kin}
        joined = {key: _family(key, fields[key], meant[key], findings) for key in kin}
        family = _together(kin, joined, fields, findings)
        plain = _need_nothing([stored for key in kin for stored in fields[key]], meant.values())
        for key in kin:
            codecs_of_field = {}
            if not plain and joined[key] is not None:
                codecs_of_field = dict(_codecs(key[1], family, fields[key], meant[key], findings))
                if key[1] in identity_fields(entities[key[0]]):
                    codecs_of_field = _of_key(codecs_of_field, fields[key])
                check_there_and_back(key[1], fields[key], codecs_of_field, findings)
            result[key] = Form(family if joined[key] is not None else "text", codecs_of_field)
    return result


def _need_nothing(columns: Sequence[Stored], meant: Iterable[Mapping[str, Meant]]) -> bool:
    """Whether all columns store every value in one form."""
    return (
        len({_kind(stored.column) for stored in columns}) == 1
        and not any(stored.changes - {"time_zone"} for stored in columns)
        and not any(known.zoned for of_field in meant for known in of_field.values())
    )


def _kind(column: Column | None) -> Column | None:
    """All that a column's values depend on."""
    return column and replace(column, name="", nullable=True, generated=False, default=False)


def _meant(columns: tuple[Stored, ...], findings: Findings) -> dict[str, Meant]:
    """By system: what a field's columns are once their words are done with them."""
    plain = [stored.column for stored in columns if stored.column is not None and not stored.is_free]
    zones = {stored.zone for stored in columns if stored.column is not None and stored.column.family == "timestamp"}
    zoned = len(zones) > 1 or (bool(zones) and any(column.family == "timestamptz" for column in plain))
    elements = next((e for stored in columns if (e := _elements(stored)) == "integer"), "text")
    found: dict[str, Meant] = {}
    for stored in columns:
        family = stored.column.family if stored.column is not None else "text"
        read = read_formula(stored, findings)
        if read is not None:
            family = read.family
        elif stored.words.list_ is not None and family == "text":
            family = "array"
        elif stored.words.scale is not None and family == "integer":
            family = "numeric"
        elif family == "timestamp" and zoned and stored.zone is not None:
            family = "timestamptz"
        found[stored.system] = Meant(family, read=read, zoned=zoned, elements=elements)
    return found


def _kin(entities: Mapping[str, EntitySyntax], crossed: Collection[str]) -> Iterator[list[FieldKey]]:
    """Fields that need one form: a key, and after it whatever refers to it."""
    graph: nx.Graph[FieldKey] = nx.Graph()
    for name, entity in entities.items():
        for field_name, field in entity.fields.items():
            graph.add_node((name, field_name))
            other = entities.get(field.reference) if field.reference is not None else None
            key = identity_fields(other) if other is not None and field.reference not in crossed else ()
            if other is not None and len(key) == 1 and key[0] in other.fields:
                graph.add_edge((name, field_name), (str(field.reference), key[0]))
    order = {key: (key[1] not in identity_fields(entities[key[0]]), index) for index, key in enumerate(graph)}
    for component in nx.connected_components(graph):
        yield sorted(component, key=order.__getitem__)


def _family(
    key: FieldKey, columns: tuple[Stored, ...], meant: Mapping[str, Meant], findings: Findings
) -> str | None:
    """The family of one field's columns; None, told as a problem, if they have none in common."""
    plain = [stored for stored in columns if not stored.is_free]
    if is_offline(plain) or not plain:
        return "text"
    first = plain[0]
    family: str | None = meant[first.system].family
    for stored in plain[1:]:
        if family is not None:
            family = _joined(family, first, stored, meant, findings, key[1])
    return family


def _joined(family: str, first: Stored, stored: Stored, meant: Mapping[str, Meant], findings: Findings, field: str
            ) -> str | None:  # fmt: skip
    one, other = first.column, stored.column
    assert one is not None and other is not None
    theirs = meant[stored.system].family
    joined = join(family, theirs)
    found = f"{quoted(one.type)} in {quoted(first.system)}, {quoted(other.type)} in {quoted(stored.system)}"
    if joined is None:
        why = _WHY_NOT.get(frozenset({family, theirs}), "the values of one have no form in the other")
        findings.error("R405", stored.path, f"{quoted(field)} cannot be told alike in all systems: {why}",
                       found=found, mend=_mend(family, theirs, first, stored))  # fmt: skip
        return None
    zoned = codecs.is_zoned_time(one) != codecs.is_zoned_time(other)
    differ = joined in SAME_TYPE_ONLY and one.type != other.type
    if joined == "array":
        differ = _elements(first) != _elements(stored) and None not in (_elements(first), _elements(stored))
    if differ or zoned:
        findings.error("R406", stored.path, f"{quoted(field)} can be kept in step with the very same type only",
                       found=found, mend="give one of the columns the other's type")  # fmt: skip
        return None
    return joined


def _mend(family: str, theirs: str, first: Stored, stored: Stored) -> str:
    match family, theirs:
        case ("boolean", _) | (_, "boolean"):
            system = first.system if theirs == "boolean" else stored.system
            return f"give the other column a map: `{system}: {{column: …, map: {{Y: true, N: false}}}}`"
        case ("timestamp", "timestamptz") | ("timestamptz", "timestamp"):
            system = first.system if family == "timestamp" else stored.system
            return f"say it: `time_zone: …`, of the column or of the system {quoted(system)}"
        case ("array", "text") | ("text", "array"):
            return 'say what parts the text: `list: ","`'
        case _:
            return "give one of the columns the other's type, or say how one is told in the other: `read`, `write`"


def _elements(stored: Stored) -> str | None:
    """What stands in an array, or in a list; None for a list, whose elements are what the others' are."""
    if stored.words.list_ is not None or stored.column is None:
        return None
    bare = re.sub(r"\(.*\)|\[\]", "", stored.column.type)
    return _ELEMENTS.get(bare, stored.column.type)


def join(one: str, other: str) -> str | None:
    """The family in which values of both can be told; None if there is none."""
    return one if one == other else _JOINS.get(frozenset({one, other}))


def _together(kin: list[FieldKey], joined: Mapping[FieldKey, str | None], fields: Fields, findings: Findings) -> str:
    """The family of all kin. The key comes with whatever refers to it: they must agree."""
    family: str | None = None
    for key in kin:
        mine = joined[key]
        if mine is None or is_offline(fields[key]):
            continue
        both = mine if family is None else join(family, mine)
        if both is None:
            findings.error("R411", ("entities", key[0], "fields", key[1]), f"{quoted(key[1])} is of another type than"
                           " the key that it refers to", key=True, found=f"{mine}, and the key is {family}",
                           mend="give the columns one type")  # fmt: skip
        else:
            family = both
    return family or next((mine for mine in joined.values() if mine is not None), "text")


def _codecs(
    field: str, family: str, columns: tuple[Stored, ...], meant: Mapping[str, Meant], findings: Findings
) -> Iterator[tuple[str, Codec]]:
    for stored in columns:
        known = meant[stored.system]
        if stored.map is not None:
            of_column = stored.column.family if stored.column is not None else "text"
            values = {_normal(of_column, value): _normal(family, meaning) for value, meaning in stored.map.items()}
            known = replace(known, family=family, values=values)
        elif not _can_be_written(field, family, stored, known, findings):
            continue
        if stored.words.read is not None and known.read is None and not stored.words.one_way:
            continue
        if stored.words.write is not None:
            known = replace(known, write=write_formula(stored, "" if is_offline(columns) else family, findings))
            if known.write is None:
                continue
        codec = column_codec(field, family, stored, known)
        if codec is not None:
            yield stored.system, codec


def _of_key(codecs_of_field: Mapping[str, Codec], columns: tuple[Stored, ...]) -> dict[str, Codec]:
    """Without those that only refuse, or that leave what is written as a key should be: keys go as they are written.

    A uuid in a text that thinks little of case is one of these: whoever writes it otherwise has been warned."""
    lax = {stored.system for stored in columns if stored.column is not None and not stored.column.exact}
    return {
        system: codec for system, codec in codecs_of_field.items()
        if codec.name and not (codec.name == codecs.UUID_IN_TEXT and system in lax)
    }  # fmt: skip


def _can_be_written(field: str, family: str, stored: Stored, meant: Meant, findings: Findings) -> bool:
    """What is never taken from a column has to have a form there all the same: in a text, everything has."""
    column, words = stored.column, stored.words
    if column is None or not words.one_way or words.write is not None:
        return True
    if meant.family == "text" or join(family, meant.family) == family:
        return True
    findings.error("R405", stored.path, f"{quoted(field)} cannot be told alike in all systems: the values of one have"
                   " no form in the other", found=f"{family}, and {quoted(column.type)} in"
                   f" {quoted(stored.system)}", mend="say how it is told there: `write`")  # fmt: skip
    return False


def _normal(family: str, text: str) -> str:
    """A value as somebody writes it in a rule file → as the column prints it. Leaves alone what it does not know."""
    try:
        return normal(family, text)
    except ValueRefused:
        return text


def normal(family: str, text: str) -> str:
    """The same; raises ValueRefused for what is no value of the family."""
    match family:
        case "boolean":
            words = {"true": "t", "t": "t", "false": "f", "f": "f"}
            if text not in words:
                raise ValueRefused("a value is neither true nor false")
            return words[text]
        case "integer" | "numeric":
            number = codecs.canonical_number(text)
            if family == "integer" and "." in number:
                raise ValueRefused("a value is not a whole number")
            return number
        case "uuid":
            return codecs.to_uuid(text)
        case "json":
            return documents.canonical(text)
        case _ if family in _PRINTED:
            if not _PRINTED[family].fullmatch(text):
                raise ValueRefused("a value is not written as PostgreSQL prints it")
            return text
        case _:
            return text


def check_maps_fit(fields: Fields, shapes: Mapping[FieldKey, Form], findings: Findings) -> None:
    """Every value in a map is one that its column can hold, or that the other columns can."""
    for key, columns in fields.items():
        plain = [stored for stored in columns if not stored.changes and stored.column is not None]
        for stored in columns:
            if stored.map is None:
                continue
            for value, meaning in stored.map.items():
                path: Path = (*stored.map_path, value)
                if stored.column is not None:
                    _check_value(value, stored.column, stored.system, path, findings, key=True)
                for other in plain:
                    if other.column is not None and join(shapes[key].family, other.column.family) is not None:
                        _check_value(meaning, other.column, other.system, path, findings, key=False)
            _check_labels(stored, findings)


def _check_value(value: str, column: Column, system: str, path: Path, findings: Findings, *, key: bool) -> None:
    """One value of a map against the column that is to hold it."""
    where = f"the column {quoted(column.name)} of {quoted(system)} ({column.type})"
    allowed: tuple[str, ...] = ()
    try:
        told = normal(column.family, value)
        good = column.family == "boolean" or told == value
        allowed = (told,) if not good else ()
    except ValueRefused:
        good, allowed = False, (_VALUES[column.family],)
    if column.family == "enum" and value not in column.labels:
        good, allowed = False, column.labels
    if column.length is not None and len(value) > column.length:
        good, allowed = False, (f"at most {column.length} characters",)
    if not good:
        findings.error("R408", path, f"{where} cannot hold this value", key=key, found=quoted(value), allowed=allowed)


def _check_labels(stored: Stored, findings: Findings) -> None:
    """Labels of an enum that its map leaves out."""
    if stored.column is None or stored.map is None:
        return
    missing = [label for label in stored.column.labels if label not in stored.map]
    if missing:
        findings.warn("R455", stored.map_path, f"the map leaves out values of {quoted(stored.system)}'s"
                      f" {quoted(stored.column.name)}", found=listed(map(quoted, missing)),
                      mend="add them, or such a record waits in quarantine")  # fmt: skip
