"""Turns names, columns and values into the pieces that SQL Server's statements are made of. Pure; it asks no database.

Values never stand in a statement one by one: all rows of a write are one JSON document, one parameter, from which each
statement draws them as rows `u` (`given`), all of them texts. Rows are found natively, so by the index; compared they
are as *printed text*, code unit by code unit and to the last blank, as most collations call `a`, `A` and `a ` equal.

A text becomes a value by `TRY_CONVERT`, as an error of conversion would end the whole transaction, savepoints and all:
what is no value of the type is NULL, and told (`fits`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from adapters.alchemy.columns import SINGLE_BITS, AlchemyColumn
from adapters.relational.live import TableName
from adapters.relational.refused import Unstorable
from adapters.sqlserver import texts
from engine.vocabulary import Text

Mode: TypeAlias = Literal["look", "there", "lock", "skip"]
"""Rows are read as they are; are told to be there, whoever has locked them; are locked; are locked, and those that
others have locked are left out."""

HINTS: Final = {
    "look": "", "there": " WITH (READUNCOMMITTED)", "lock": " WITH (UPDLOCK, ROWLOCK)",
    "skip": " WITH (UPDLOCK, ROWLOCK, READPAST)",
}  # fmt: skip
EXACT: Final = "Latin1_General_BIN2"
"""The collation of code units."""
ROWS: Final = "DECLARE @rows nvarchar(max) = CONVERT(nvarchar(max), ?)"
"""Takes the rows of a write. (A long text comes as `ntext`, which nothing but a conversion takes.)"""
ORDINAL: Final = "[ord] int '$[0]'"
IN_ORDER: Final = "OPTION (LOOP JOIN, FORCE ORDER)"
"""Row by row of what was sent, each found by the index: so no row is locked, and waited for, that is not among them."""

SYNONYMS: Final[Mapping[str, str]] = {
    "integer": "int", "dec": "decimal", "double precision": "float", "rowversion": "timestamp",
}  # fmt: skip
WHOLE: Final = frozenset({"tinyint", "smallint", "int", "bigint"})
DECIMALS: Final = frozenset({"decimal", "numeric"})
MONEY: Final = frozenset({"money", "smallmoney"})
FLOATS: Final = frozenset({"float", "real"})
WIDE: Final = frozenset({"nchar", "nvarchar", "ntext"})
NARROW: Final = frozenset({"char", "varchar", "text"})
BYTES: Final = frozenset({"binary", "varbinary", "image"})
MOMENTS: Final = frozenset({"datetime2", "datetime", "smalldatetime"})
UNSPOKEN: Final = frozenset({"sql_variant", "geography", "geometry", "hierarchyid", "nulltype", "cursor", "vector"})
"""Types of which a value has no text that makes the same value again, or none at all."""

DIGITS: Final = 7
"""Of a second, where a type names none."""
TOLD_DIGITS: Final = 6
"""Of a second, in the house's spelling."""
_TYPE: Final = re.compile(r"double precision|\w+")
_ARGUMENT: Final = re.compile(r"\((\d+)")
_COLLATION: Final = re.compile(r"\w+")
_encode: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def base(column: AlchemyColumn) -> str:
    """The one name of a column's type, without its measures."""
    return base_of(column.shape.type)


def base_of(declared: str) -> str:
    """The one name of a type, without its measures."""
    found = _TYPE.match(declared)
    name = found[0] if found is not None else declared
    return SYNONYMS.get(name, name)


def spoken(declared: str) -> bool:
    """True if values of a type have texts that make the same values again."""
    return base_of(declared) not in UNSPOKEN


def quoted(*names: str) -> str:
    """A name, or one of several levels, as SQL writes it."""
    return ".".join(["[" + name.replace("]", "]]") + "]" for name in names if name])


def table(name: TableName) -> str:
    """A table's name."""
    return quoted(*name)


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "N'" + text.replace("'", "''") + "'"


def comma(parts: Iterable[str]) -> str:
    """A list, as SQL writes it."""
    return ", ".join(parts)


def lettered(letter: str, count: int) -> list[str]:
    """So many names of columns of the rows `u`."""
    return [letter + str(at) for at in range(1, count + 1)]


# ---------------------------------------------------------------- the rows that are sent


def document(columns: Sequence[Sequence[Text]], count: int) -> str:
    """The rows of these columns (by column, its value in each of `count` rows) as a JSON document of lists, each with
    its ordinal first. Raises Unstorable for a text that is none: half of a surrogate pair."""
    told = _encode(list(zip(range(1, count + 1), *columns, strict=True)))
    try:
        told.encode()
    except UnicodeEncodeError:
        raise Unstorable("a text holds half of a surrogate pair") from None
    return told


def given(names: Sequence[str]) -> str:
    """The rows that were sent, as rows `u` with these columns, and `ord` from 1."""
    columns = [f"{quoted(name)} nvarchar(max) '$[{at}]'" for at, name in enumerate(names, 1)]
    return f"OPENJSON(@rows) WITH ({comma([ORDINAL, *columns])}) AS u"


# ---------------------------------------------------------------- texts of columns


def read(column: AlchemyColumn) -> str:
    """A column of the rows `t` as it is selected to be spelled by `column.spelling`, as in a picture."""
    return shown(column, quoted("t", column.shape.name))


def shown(column: AlchemyColumn, said: str) -> str:
    """An SQL expression of a value of a column's type, as it is selected to be spelled by `column.spelling`."""
    stands: sa.ColumnElement[Any] = sa.literal_column(said, column.spelling.type)
    return str(column.spelling.shown(stands).compile(dialect=_dialect()))


def sides(column: AlchemyColumn, name: str) -> list[tuple[str, str]]:
    """(what a column of the rows `t` holds, the same of the text of the rows `u` called `name`): equal, or both NULL,
    where the column holds what the text says, to the last bit."""
    mine, told, kind = quoted("t", column.shape.name), quoted("u", name), base(column)
    if kind in FLOATS:
        # Two ways, should the server not read every number back from what it prints.
        number = f"CONVERT(float, {mine})"
        same_bits = f"CONVERT(binary(8), {number}) = CONVERT(binary(8), TRY_CONVERT(float, {told}))"
        return [(f"CASE WHEN {same_bits} THEN {told} ELSE CONVERT(nvarchar(64), {number}, 3) END", told)]
    if kind == "date":
        return [(mine, value(column, told))]
    if kind == "time":
        return [(_told_of(mine, column), f"TRY_CONVERT(time(7), {told})")]
    if kind in MOMENTS:
        # (A DATETIME is some thousandths, and not the thirds of which it is made up.)
        exact = f"CONVERT(datetime2(3), {mine})" if kind == "datetime" else mine
        return [(_told_of(exact, column), f"TRY_CONVERT(datetime2(7), {told}, 121)")]
    if kind == "datetimeoffset":
        moment = f"CONVERT(datetime2(7), SWITCHOFFSET({mine}, '+00:00'))"
        return [(_told_of(moment, column), f"TRY_CONVERT(datetime2(7), {told}, 121)")]
    if kind in BYTES or kind == "timestamp":
        # Bytes are equal also where one of them has zeros behind.
        whole = (f"CONVERT(varbinary(max), {mine})", f"TRY_CONVERT(varbinary(max), {told}, 2)")
        return [whole, (f"DATALENGTH({mine})", f"LEN({told}) / 2")]
    text = _printed(mine, kind)
    exactly = (f"{text} COLLATE {EXACT}", told)
    # Texts are equal also where one of them has blanks behind.
    return [exactly, (f"DATALENGTH({text})", f"DATALENGTH({told})")] if _is_text(column) else [exactly]


def same(columns: Sequence[AlchemyColumn], names: Sequence[str], lax: Sequence[bool] = ()) -> str:
    """These columns hold what the texts of the rows `u` called so say, NULL and NULL too. `lax`: those that are the
    same whether they are NULL or empty. It is never unknown."""
    pairs = []
    for at, (column, name) in enumerate(zip(columns, names, strict=True)):
        empty = at < len(lax) and lax[at]
        pairs += _lax(column, name) if empty and _is_text(column) else sides(column, name)
    if not pairs:
        return "1 = 1"
    return f"EXISTS (SELECT {comma(mine for mine, _ in pairs)} INTERSECT SELECT {comma(told for _, told in pairs)})"


def key_matches(key: Sequence[AlchemyColumn], names: Sequence[str]) -> str:
    """The row of the rows `t` that has the key called so in the rows `u`: found natively, and to the last blank."""
    parts = []
    for column, name in zip(key, names, strict=True):
        pairs = [(quoted("t", column.shape.name), native(column, quoted("u", name))), *sides(column, name)]
        parts += [f"{mine} = {told}" for mine, told in dict.fromkeys(pairs)]
    return " AND ".join(parts)


def _lax(column: AlchemyColumn, name: str) -> list[tuple[str, str]]:
    text, told = _printed(quoted("t", column.shape.name), base(column)), quoted("u", name)
    text, told = f"COALESCE({text}, N'')", f"COALESCE({told}, N'')"
    return [(f"{text} COLLATE {EXACT}", told), (f"DATALENGTH({text})", f"DATALENGTH({told})")]


def _printed(mine: str, kind: str) -> str:
    """A column's value as the house spells it, of those types where SQL Server does so, too."""
    if kind in WHOLE or kind in DECIMALS:
        return f"CONVERT(nvarchar(64), {mine})"
    if kind in MONEY:
        return f"CONVERT(nvarchar(64), CONVERT(decimal(19, 4), {mine}))"
    if kind == "uniqueidentifier":
        return f"LOWER(CONVERT(nvarchar(36), {mine}))"
    return f"CONVERT(nvarchar(max), {mine})"


def _told_of(moment: str, column: AlchemyColumn) -> str:
    """A moment without the seventh digit of its second, which is not told."""
    if fraction(column) <= TOLD_DIGITS:
        return moment
    if base(column) == "time":
        return f"CONVERT(time(7), LEFT(CONVERT(nvarchar(16), {moment}, 121), 15))"
    return f"CONVERT(datetime2(7), LEFT(CONVERT(nvarchar(27), {moment}, 121), 26), 121)"


# ---------------------------------------------------------------- values of columns


def native(column: AlchemyColumn, text: str) -> str:
    """An SQL expression of a text as a value that an index on the column can be asked for, in the column's own idea of
    equal."""
    kind = base(column)
    if kind not in WIDE and kind not in NARROW:
        return value(column, text)
    collation = str(getattr(column.element.type, "collation", None) or "DATABASE_DEFAULT")
    if _COLLATION.fullmatch(collation) is None:
        raise ValueError("a collation has a name that is none")
    length = column.shape.length if isinstance(column.shape.length, int) else "max"
    if kind in WIDE:
        return f"CONVERT(nvarchar({length}), {text}) COLLATE {collation}"
    return f"CONVERT(varchar({length}), {text} COLLATE {collation})"


def value(column: AlchemyColumn, text: str, word: str = "TRY_CONVERT") -> str:
    """An SQL expression of a text, as `encoder` has it, as a value that the column takes; NULL if it is none of its
    type. How long a text or bytes may be is for the assignment to say. `word`: `CONVERT`, if it is to fail."""
    kind, digits = base(column), fraction(column)
    if kind in WHOLE or kind in ("bit", "uniqueidentifier", "xml"):
        return f"{word}({kind}, {text})"
    if kind in DECIMALS:
        return f"{word}({_measured(column)}, {text})"
    if kind in MONEY:
        return f"{word}({kind}, {word}(decimal(19, 4), {text}))"
    if kind in FLOATS:
        single = column.shape.precision == SINGLE_BITS
        return f"{word}(real, {word}(float, {text}))" if single else f"{word}(float, {text})"
    if kind == "date":
        return f"{word}(date, {text}, 23)"
    if kind == "time":
        return f"{word}(time({digits}), {text})"
    if kind == "datetime2":
        return f"{word}(datetime2({digits}), {text}, 121)"
    if kind in MOMENTS:
        return f"{word}({kind}, {word}(datetime2(7), {text}, 121))"
    if kind == "datetimeoffset":
        return f"TODATETIMEOFFSET({word}(datetime2({digits}), {text}, 121), '+00:00')"
    if kind in BYTES:
        return f"{word}(varbinary(max), {text}, 2)"
    return text


def fits(columns: Sequence[AlchemyColumn], names: Sequence[str]) -> str:
    """The texts of the rows `u` called so are values of these columns' types; empty if they always are."""
    parts = []
    for column, name in zip(columns, names, strict=True):
        told = quoted("u", name)
        made = value(column, told)
        if made != told:
            parts.append(f"({told} IS NULL OR {made} IS NOT NULL)")
    return " AND ".join(parts)


def assigned(column: AlchemyColumn, name: str) -> str:
    """A column of the rows `t` takes a text of the rows `u`. One that holds the same already is left as it is: it
    may hold more than is told, a seventh digit of a second or an offset from UTC."""
    mine, taken = quoted("t", column.shape.name), value(column, quoted("u", name))
    if holds_more(column):
        ((held, told),) = sides(column, name)
        taken = f"CASE WHEN {held} = {told} THEN {mine} ELSE {taken} END"
    return f"{mine} = {taken}"


def constant(column: AlchemyColumn, text: str) -> str:
    """A column of the rows `t` takes a text of the rules. Raises Unstorable if it is no value of its type."""
    encode = texts.encoder(base(column))
    said = text if encode is None else texts.encoded(encode, text)
    return f"{quoted('t', column.shape.name)} = {value(column, literal(said), 'CONVERT')}"


def besides(written: Iterable[tuple[AlchemyColumn, str]]) -> list[str]:
    """Columns of the rows `t` take what the rules write besides."""
    return [f"{quoted('t', column.shape.name)} = ({said})" for column, said in written]


# ---------------------------------------------------------------- texts that go


def column_encoder(column: AlchemyColumn) -> Callable[[str], str] | None:
    """What makes of a text in the house's spelling that which is sent; None: it is sent as it is. Raises ValueError for
    what is no value of the type."""
    return texts.encoder(base(column))


def fraction(column: AlchemyColumn) -> int:
    """Digits of a second that a column keeps."""
    kind = base(column)
    if kind == "datetime":
        return 3
    found = _ARGUMENT.search(column.shape.type)
    return 0 if kind == "smalldatetime" else int(found[1]) if found is not None else DIGITS


def holds_more(column: AlchemyColumn) -> bool:
    """A value may hold more than the house's spelling of it."""
    kind = base(column)
    return kind == "datetimeoffset" or (kind in ("datetime2", "time") and fraction(column) > TOLD_DIGITS)


def _measured(column: AlchemyColumn) -> str:
    """The type with its measures, as it was declared."""
    return column.shape.type.partition(" collate")[0]


def _is_text(column: AlchemyColumn) -> bool:
    """It holds a text as it is, blanks behind and all."""
    kind = base(column)
    return kind in WIDE or kind in NARROW or kind == "xml" or column.shape.family in ("text", "other")


@cache
def _dialect() -> sa.Dialect:
    made: sa.Dialect = mssql.dialect()  # type: ignore[no-untyped-call,unused-ignore]
    return made
