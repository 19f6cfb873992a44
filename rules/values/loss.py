"""What may be lost on the way from one column to another: told before it happens, with an example.

Looks at every direction in which a value may go: from those who may write a field to all others. What is lost is a
warning, as versions are compared before values and nothing goes back and forth; for a key it is a problem, because two
records could become one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from engine.catalog import Column
from rules.findings import Findings
from rules.problem import listed, quoted
from rules.values import codecs
from rules.values.forms import join
from rules.values.room import bounds
from rules.values.stored import Stored
from rules.values.words import inverse_of
from rules.values.zones import goes_back

_UTF8_MAX, _UNLIMITED = 4, 1 << 30
"""Bytes of one character; bytes that are as good as any number: PostgreSQL holds no longer text."""
_BLANKS = ("blanks", "trimmed")
_SUBSETS = {"ascii": "latin1"}
_FAR, _YEAR = "9999", 4
_TIMES = ("time", "timestamp", "timestamptz")
_UUID_CHARACTERS = 36
_NUMBERS = ("integer", "numeric")
_LOSSES = ("R451", "R452", "R453", "R454", "R455", "R456", "R458", "R460")
_KEY_LOSSES = frozenset({"R452", "R453", "R458"})


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that does not survive the way."""

    code: str
    what: str
    mend: str


def check_losses(field: str, family: str, columns: tuple[Stored, ...], writers: frozenset[str], is_key: bool,
                 findings: Findings) -> None:  # fmt: skip
    """Everything that values of a field of that family may lose. `writers`: systems whose values go to the others."""
    for target in columns:
        told: set[str] = set()
        for source in columns:
            if source is target or source.system not in writers:
                continue
            one, other = as_meant(source, family, target=False), as_meant(target, family, target=True)
            if one is None or other is None or join(one.family, other.family) is None:
                continue
            silent = _declared(target)
            for loss in (*losses(one, other), *_twice(source, target)):
                if loss.code not in told and loss.code not in silent:
                    told.add(loss.code)
                    _tell(field, loss, source, target, is_key, findings)


def as_meant(stored: Stored, family: str, *, target: bool) -> Column | None:
    """The column as if its values were stored as they are meant: all that it can bring, or (as a target) what it has
    room for in every case. None if that cannot be told."""
    words, column = stored.words, stored.column
    if column is None or words.map is not None or words.list_ is not None or words.write is not None:
        # Nobody knows the limits of what an expression brings.
        return Column(column.name, column.type, family) if column is not None and words.read and not target else None
    if words.scale is None:
        return replace(column, family="timestamptz") if column.family == "timestamp" and stored.zone else column
    factor, inverse = abs(Decimal(words.scale)).normalize(), inverse_of(words.scale)
    fine, whole, scale = 0, _whole(column), _scale(column)
    if not target:
        fine = -_exponent(factor)
    elif inverse is not None:
        fine = _exponent(inverse.normalize())
    scale = None if scale is None else scale + fine
    if whole is not None:
        whole += factor.adjusted() + (not target and len(factor.as_tuple().digits) > 1)
    room = None if whole is None or scale is None else whole + scale
    unsigned = column.unsigned and Decimal(words.scale) > 0
    return replace(column, family="numeric", precision=room, scale=scale, unsigned=unsigned)


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def _declared(target: Stored) -> frozenset[str]:
    """The losses that the words of a column say themselves."""
    words = target.words
    said = words.model_fields_set
    silent = set(_LOSSES) if words.lossy else set()
    silent |= {"R452"} if words.round is not None else set()
    silent |= {"R456"} if words.trim else set()
    silent |= {"R451", "R454"} if "on_overflow" in said else set()
    return frozenset(silent)


def _twice(source: Stored, target: Stored) -> Iterator[Loss]:
    """The hour that a clock shows twice."""
    column, zone = target.column, target.zone
    if column is None or column.family != "timestamp" or zone is None or not goes_back(zone):
        return
    if source.column is not None and (source.column.family == "timestamptz" or source.zone != zone):
        yield Loss("R460", f"the hour that comes twice in {quoted(zone)}, when clocks go back, is told as the"
                   " later one", "make it timestamp with time zone, or say `lossy: true`")  # fmt: skip


def _tell(field: str, loss: Loss, source: Stored, target: Stored, is_key: bool, findings: Findings) -> None:
    assert source.column is not None and target.column is not None
    found = (f"{quoted(source.column.type)} in {quoted(source.system)}, "
             f"{quoted(target.column.type)} in {quoted(target.system)}")  # fmt: skip
    what = f"{quoted(field)} from {quoted(source.system)} to {quoted(target.system)}: {loss.what}"
    if is_key and loss.code in _KEY_LOSSES:
        findings.error("R410", target.path, f"{what}, and two records could become one", found=found, mend=loss.mend)
    else:
        findings.warn(loss.code, target.path, what, found=found, mend=loss.mend)


def losses(source: Column, target: Column) -> Iterator[Loss]:
    """What a value of the one column may lose in the other."""
    if source.family == "integer" and target.family == "boolean":
        yield Loss("R455", "a number other than 0 and 1 waits in quarantine", "mind it there")
    elif source.family == "text" and target.family == "json":
        yield Loss("R455", "a text that is no JSON waits in quarantine", "mind it there")
    elif source.family in ("text", "enum", "uuid") and target.family in ("text", "enum", "uuid"):
        yield from _text(source, target)
    elif source.family in _NUMBERS and target.family in _NUMBERS:
        yield from _numbers(source, target)
    elif source.family in _TIMES and target.family in _TIMES:
        yield from _times(source, target)
    elif source.family == "bytes" and target.family == "bytes":
        yield from _bytes(source, target)
    elif source.family == target.family == "date" and _late(source, target):
        yield _late_loss(target)
    elif source.family == target.family == "float" and target.scale is not None and source.scale != target.scale:
        yield Loss("R452", f"{target.scale} digits after the point are kept", "make it a double without digits")
    elif codecs.is_single(target) and not codecs.is_single(source):
        what = "about 7 of its digits are kept, `0.123456789` becomes `0.12345679`"
        yield Loss("R458", what, "make it double precision")


def _text(source: Column, target: Column) -> Iterator[Loss]:
    if target.family == "enum" or (target.family == "uuid" and source.family == "text"):
        missing = [label for label in source.labels if label not in target.labels]
        if source.family == "enum" and missing:
            yield Loss("R455", f"{listed(map(quoted, missing))} cannot be told there", "add the labels, or give a map")
        elif source.family == "text":
            yield Loss("R455", "a text that is no such value waits in quarantine", "give a map, or mind it there")
        return
    if target.labels:
        yield Loss("R455", "a text that is no list of the values there waits in quarantine, and a list comes back in"
                   " their order", "mind it there")  # fmt: skip
    longest = _longest(source)
    if target.length is not None and (longest is None or longest > target.length):
        size = f"up to {longest} characters" if longest is not None else "texts of any length"
        what = f"{size}, and {target.length} fit; a longer one waits in quarantine"
        yield Loss("R451", what, "make the column longer, or say `on_overflow`")
    elif target.octets is not None and target.octets < _UNLIMITED and not target.labels:
        yield from _octets(source, target, longest)
    if target.charset and target.charset not in (source.charset, _SUBSETS.get(source.charset)):
        what = f"characters that {target.charset} has not wait in quarantine"
        yield Loss("R455", what, "give the column the character set utf8mb4")
    if source.family == "text" and target.padded in _BLANKS and source.padded not in _BLANKS:
        yield Loss("R456", "blanks at the end are not kept, `A ` becomes `A`", "make it character varying")


def _octets(source: Column, target: Column, longest: int | None) -> Iterator[Loss]:
    """Of texts that have room for so many bytes."""
    assert target.octets is not None
    most = source.octets if longest is None else longest * _UTF8_MAX
    if most is None or most > target.octets:
        size = f"up to {most} bytes" if most is not None and most < _UNLIMITED else "texts of any length"
        what = f"{size}, and {target.octets} bytes fit; a longer one waits in quarantine"
        yield Loss("R451", what, "make the column longer, or say `on_overflow`")


def _bytes(source: Column, target: Column) -> Iterator[Loss]:
    if target.octets is not None and target.octets < _UNLIMITED and (source.octets or _UNLIMITED) > target.octets:
        size = f"up to {source.octets}" if source.octets is not None else "any number of bytes"
        what = f"{size}, and {target.octets} fit; more of them wait in quarantine"
        yield Loss("R451", what, "make the column longer, or say `on_overflow`")
    if target.padded == "zeros" and (source.padded, source.octets) != (target.padded, target.octets):
        what = f"zeros are added at the end until it has {target.octets} bytes"
        yield Loss("R456", what, "make it varbinary")


def _longest(column: Column) -> int | None:
    if column.family == "enum":
        return max(map(len, column.labels), default=0)
    return _UUID_CHARACTERS if column.family == "uuid" else column.length


def _numbers(source: Column, target: Column) -> Iterator[Loss]:
    scale, kept = _scale(source), _scale(target)
    if kept is not None and (scale is None or scale > kept):
        digits = kept + 1 if scale is None else scale
        example = "1." + "123456789"[:digits] if 0 < digits <= 9 else ""
        shown = f", `{example}` becomes `{codecs.to_scale(example, kept)}`" if example and kept >= 0 else ""
        yield Loss("R452", f"{max(kept, 0)} digits after the point are kept{shown}", "give the column more digits")
    whole, room = _whole(source), _whole(target)
    if room is not None and (whole is None or whole > room):
        size = f"up to {whole} digits" if whole is not None else "numbers of any size"
        yield Loss("R454", f"{size} before the point, and {room} fit; a larger one waits in quarantine",
                   "make the column larger, or say `on_overflow`")  # fmt: skip
    elif room is not None and _beyond(source, target):
        largest, least = bounds(target)
        yield Loss("R454", f"{least} to {largest} fit; another number waits in quarantine",
                   "make the column larger, or say `on_overflow`")  # fmt: skip


def _beyond(source: Column, target: Column) -> bool:
    """Whether numbers of as many digits are too large there, or too small: where bits or signs make the limit."""
    if target.unsigned and not source.unsigned:
        return True
    if source.family != "integer" or target.family != "integer":
        return False
    (most, least), (largest, smallest) = bounds(source), bounds(target)
    return int(most) > int(largest) or int(least) < int(smallest)


def _scale(column: Column) -> int | None:
    """Digits after the point; None: any number of them."""
    return 0 if column.family == "integer" else column.scale


def _whole(column: Column) -> int | None:
    """Digits before the point; None: any number of them."""
    digits = _digits(column)
    return None if digits is None else digits - (_scale(column) or 0)


def _digits(column: Column) -> int | None:
    """Digits in all; None: any number of them."""
    return len(bounds(column)[0]) if column.family == "integer" else column.precision


def _times(source: Column, target: Column) -> Iterator[Loss]:
    fine, kept = _second_digits(source), _second_digits(target)
    if kept < fine:
        before, after = "12:00:00." + "123456"[:fine], ("12:00:00." + "123456"[:kept]).rstrip(".")
        yield Loss("R453", f"{kept} digits of a second are kept, `{before}` becomes `{after}`",
                   "give the column more digits")  # fmt: skip
    if _late(source, target):
        yield _late_loss(target)


def _late(source: Column, target: Column) -> bool:
    """Whether the target ends sooner than both the other and the year 9999, of which nobody needs to be told."""
    return bool(target.most) and target.most < _FAR and (not source.most or source.most[:_YEAR] > target.most[:_YEAR])


def _late_loss(target: Column) -> Loss:
    what = f"{target.least} to {target.most} fit; another time waits in quarantine"
    return Loss("R454", what, "make it datetime and say its `time_zone`, or say `on_overflow`")


def _second_digits(column: Column) -> int:
    return codecs.SECOND_DIGITS if column.scale is None else column.scale
