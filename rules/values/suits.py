"""Words of a column that do not go together, or not with what the column is: told before anything is converted.

`check_words` needs no database, `check_words_fit` asks the catalogs for the columns' types. Neither looks at rows, and
neither says what a word does: `rules/values/words` does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from engine.catalog import Column
from rules.findings import Findings
from rules.problem import Path, listed, quoted
from rules.ruling import columns_of, identity_fields
from rules.syntax import ColumnSyntax, EntitySyntax
from rules.values import room
from rules.values.forms import refers_across
from rules.values.stored import FieldKey, Fields, Stored
from rules.values.words import inverse_of

_MAKING: Final = ("map", "list", "scale", "read", "write", "time_zone")
"""Each makes something else of a value: a column bears one of them at most (`read` and `write` are one)."""

_WITHOUT: Final[dict[str, frozenset[str]]] = {
    "map": frozenset({"case", "round", "on_overflow"}),
    "list": frozenset({"round"}),
    "scale": frozenset({"trim", "case"}),
    "time_zone": frozenset({"trim", "case", "round", "on_overflow"}),
    "round": frozenset({"trim", "case"}),
    "lookup": frozenset({"list", "scale", "round", "time_zone", "on_overflow"}),
    "one_way": frozenset({"read"}),
}
"""What a word makes pointless, or impossible."""

_FITS: Final[dict[str, frozenset[str]]] = {
    "trim": frozenset({"text"}),
    "case": frozenset({"text"}),
    "list": frozenset({"text"}),
    "scale": frozenset({"integer", "numeric"}),
    "round": frozenset({"numeric"}),
    "time_zone": frozenset({"timestamp"}),
    "write": frozenset({
        "text", "enum", "integer", "numeric", "float", "boolean", "date", "time", "timestamp", "timestamptz", "uuid",
        "json",
    }),
}  # fmt: skip
"""By word: the families of columns that can bear it."""

_NOUNS: Final = {
    "text": "a text", "integer": "a whole number", "numeric": "a number with digits after the point",
    "timestamp": "a timestamp without time zone",
}  # fmt: skip


def check_words(name: str, entity: EntitySyntax, crossed: Collection[str], findings: Findings) -> None:
    """Everything that can be said of the words of an entity's columns without a database."""
    for field_name, field in entity.fields.items():
        for system, words in columns_of(entity, field).items():
            path: Path = ("entities", name, "fields", field_name, system)
            said = _said(words)
            if refers_across(field, crossed) and said - {"map", "lookup", "empty", "one_way", "lossy"}:
                word = min(said - {"map", "lookup", "empty", "one_way", "lossy"})
                findings.error("R444", (*path, word), f"{quoted(field_name)} holds a key of another record, which is"
                               " translated by itself", key=True, mend=f"take {quoted(word)} out")  # fmt: skip
                continue
            if field_name in identity_fields(entity) and words.one_way:
                findings.error("R445", (*path, "one_way"), f"{quoted(field_name)} is part of the identity, by which"
                               " records are recognised in every system", key=True, mend="take it out")  # fmt: skip
            if not _check_together(path, said, findings):
                continue
            _check_both_ways(path, words, findings)
            if words.scale is not None and words.round is None and not words.lossy and inverse_of(words.scale) is None:
                findings.error("R440", (*path, "scale"), f"1 divided by {words.scale} has no end, and nobody says how"
                               " many digits are written", found=quoted(words.scale),
                               mend="say it: `round: 4`")  # fmt: skip


def _said(words: ColumnSyntax) -> frozenset[str]:
    """The words that stand there, as the rule file calls them. What is `false` is not said."""
    fields = ColumnSyntax.model_fields
    return frozenset(
        fields[word].alias or word
        for word in words.model_fields_set
        if word != "column" and getattr(words, word) is not None and getattr(words, word) is not False
    )


def _check_together(path: Path, said: Collection[str], findings: Findings) -> bool:
    """Whether all words go with each other."""
    making = [word for word in _MAKING if word in said]
    clashes = [(one, other) for one, others in _WITHOUT.items() for other in sorted(others) if {one, other} <= {*said}]
    if len(making) > 1 and set(making) != {"read", "write"}:
        other = making[1] if making[1] != "write" or making[0] != "read" else making[2]
        clashes.insert(0, (making[0], other))
    for one, other in clashes[:1]:
        findings.error("R436", (*path, other), f"{quoted(one)} and {quoted(other)} do not go together in one column",
                       key=True, mend=f"take one of them out{_INSTEAD.get(frozenset({one, other}), '')}",
                       also=((f"{quoted(one)} stands here", (*path, one)),))  # fmt: skip
    return not clashes


_INSTEAD: Final = {
    frozenset({"map", "case"}): ": the map says how each value is written",
    frozenset({"map", "scale"}): ": the map says what each value means",
    frozenset({"map", "on_overflow"}): ": the map says what is written",
    frozenset({"one_way", "read"}): ": nothing is taken from a column that is `one_way`",
}


def _check_both_ways(path: Path, words: ColumnSyntax, findings: Findings) -> None:
    if (words.read is None) == (words.write is None) or (words.one_way and words.write is not None):
        return
    there, lacking = ("read", "write") if words.write is None else ("write", "read")
    mend = "say what is stored for the meaning `value`: `write: …`"
    if lacking == "read":
        mend = "say what the stored `value` means: `read: …`; or that nothing is taken from there: `one_way: true`"
    findings.error("R437", (*path, there), f"{quoted(there)} says one way only, and nobody the other", key=True,
                   mend=mend)  # fmt: skip


def check_words_fit(fields: Fields, crossed_references: Collection[FieldKey], findings: Findings) -> None:
    """The words against the types of their columns."""
    for key, columns in fields.items():
        for stored in columns:
            if stored.column is not None and key not in crossed_references:
                _check_fits(stored, stored.column, findings)


def _check_fits(stored: Stored, column: Column, findings: Findings) -> None:
    said = _said(stored.words)
    where = f"{quoted(column.name)} of {quoted(stored.system)}"
    for word, families in _FITS.items():
        if word in said and column.family not in families and not (word == "round" and "scale" in said):
            wanted = listed(_NOUNS.get(family, family) for family in sorted(families))
            findings.error("R438", (*stored.top, word), f"{where} cannot bear {quoted(word)}", key=True,
                           found=column.type, allowed=(wanted,), mend=f"take {quoted(word)} out")  # fmt: skip
            return
    overflow = stored.words.on_overflow
    if "on_overflow" not in said:
        return
    path: Path = (*stored.top, "on_overflow")
    allowed = tuple(word for word in room.FITTING.get(column.family, ()) if word != "cut" or "list" not in said)
    if not room.is_limited(column) or not allowed:
        findings.error("R438", path, f"{where} has room for every value that this could be said of", key=True,
                       found=column.type, mend="take `on_overflow` out")  # fmt: skip
    elif overflow not in allowed:
        findings.error("R438", path, f"{where} cannot bear {quoted(overflow)}", found=column.type, allowed=allowed)
    elif overflow == "null" and not column.nullable:
        findings.error("R443", path, f"{where} may not be NULL", found=f"{column.type} NOT NULL",
                       allowed=tuple(word for word in allowed if word != "null"))  # fmt: skip


def references_across(entities: Mapping[str, EntitySyntax], crossed: Collection[str]) -> frozenset[FieldKey]:
    """Fields whose columns hold keys of the systems' own."""
    return frozenset(
        (name, field_name)
        for name, entity in entities.items()
        for field_name, field in entity.fields.items()
        if refers_across(field, crossed)
    )
