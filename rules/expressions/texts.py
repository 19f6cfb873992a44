"""Functions of texts as PostgreSQL's: by code point; upper and lower case letter by letter, as its own C.UTF-8 does it
(Unicode's simple mapping: `ß` stays `ß`).

A LIKE pattern is divided at its `%` once, and each part is searched for from where the one before ended: nothing is
ever tried twice. What could make a text grow beyond its bounds is refused before it is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from engine.errors import ValueRefused
from rules.expressions.kinds import TEXT_MAX

PATTERN_MAX: Final = 1_000
"""In characters."""


def lower(text: str) -> str:
    """Letter by letter."""
    return text.lower() if text.isascii() else "".join(map(lower_letter, text))


def upper(text: str) -> str:
    """Letter by letter."""
    return text.upper() if text.isascii() else "".join(map(upper_letter, text))


def lower_letter(letter: str) -> str:
    """Its one lower-case letter."""
    found = letter.lower()
    return found if len(found) == 1 else found[0]


def upper_letter(letter: str) -> str:
    """Its one upper-case letter; itself, if that would be several."""
    found = letter.upper()
    if len(found) == 1:
        return found
    found = letter.title()
    return found if len(found) == 1 else letter


_LETTERS: Final = tuple(map(chr, range(0x20000)))
"""Beyond these, nothing has a case."""
CAPITALS: Final = "".join(letter for letter in _LETTERS if lower_letter(letter) != letter)
SMALL: Final = "".join(map(lower_letter, CAPITALS))
WITH_CAPITAL: Final = "".join(letter for letter in _LETTERS if upper_letter(letter) != letter)
THEIR_CAPITAL: Final = "".join(map(upper_letter, WITH_CAPITAL))
"""All letters that have another case, and what it is: for PostgreSQL, whose own answer depends on the server."""


def trim(text: str, letters: str = " ") -> str:
    """Without these at both ends."""
    return text.strip(letters)


def trim_left(text: str, letters: str = " ") -> str:
    """Without these at the start."""
    return text.lstrip(letters)


def trim_right(text: str, letters: str = " ") -> str:
    """Without these at the end."""
    return text.rstrip(letters)


def left(text: str, many: int) -> str:
    """The first so many; all but the last so many, if negative."""
    return text[:many]


def right(text: str, many: int) -> str:
    """The last so many; all but the first so many, if negative."""
    if many == -(2**31):  # PostgreSQL has no opposite of it, and leaves out nothing
        return text
    return text[-many:] if many else ""


def substring(text: str, start: int, length: int | None = None) -> str:
    """From a place (the first is 1), so many. What lies before the text counts, too."""
    if length is None:
        return text[max(start - 1, 0) :]
    if length < 0:
        raise ValueRefused("a negative length of a substring")
    return text[max(start - 1, 0) : max(start - 1 + length, 0)]


def replace(text: str, old: str, new: str) -> str:
    """Wherever it stands."""
    if not old:
        return text
    many = text.count(old) if len(new) > len(old) else 0
    if many and len(text) + many * (len(new) - len(old)) > TEXT_MAX:
        _too_long()
    return text.replace(old, new)


def place(text: str, inner: str) -> int:
    """Where it stands first; 0 if nowhere."""
    return text.find(inner) + 1


def split_part(text: str, sign: str, number: int) -> str:
    """The piece with this number; from the end, if negative."""
    if not number:
        raise ValueRefused("the pieces of a text are numbered from 1")
    pieces = text.split(sign) if sign else [text]
    index = number - 1 if number > 0 else len(pieces) + number
    return pieces[index] if 0 <= index < len(pieces) else ""


def pad_left(text: str, length: int, fill: str = " ") -> str:
    """Exactly so long, filled up at the start."""
    return _filling(len(text), length, fill) + text[: max(length, 0)]


def pad_right(text: str, length: int, fill: str = " ") -> str:
    """Exactly so long, filled up at the end."""
    return text[: max(length, 0)] + _filling(len(text), length, fill)


def _filling(has: int, length: int, fill: str) -> str:
    lacking = length - has
    if lacking <= 0 or not fill:
        return ""
    if length > TEXT_MAX:
        _too_long()
    return (fill * (lacking // len(fill) + 1))[:lacking]


def backwards(text: str) -> str:
    """The last first."""
    return text[::-1]


def starts(text: str, start: str) -> bool:
    """Whether it begins so."""
    return text.startswith(start)


def like(pattern: str, escape: str = "\\", fold: Callable[[str], str] | None = None) -> Callable[[str], bool]:
    """Whether a text is like a pattern. `fold`: what is done to both beforehand."""
    if len(pattern) > PATTERN_MAX:
        raise ValueRefused(f"a pattern has more than {PATTERN_MAX:,} characters")
    if is_unfinished(pattern, escape):
        reaches_end = like(pattern[:-1] + "_%", escape, fold)
        return lambda text: _unfinished() if reaches_end(text) else False
    parts = _parts(pattern, escape, fold)
    if len(parts) == 1:
        whole = parts[0].fullmatch
        return lambda text: whole(text if fold is None else fold(text)) is not None
    first, middle, last = parts[0], [part for part in parts[1:-1] if part.pattern], parts[-1]
    size = _length(last)

    def matches(text: str) -> bool:
        text = text if fold is None else fold(text)
        found = first.match(text)
        for part in middle:
            if found is None:
                return False
            found = part.search(text, found.end())
        if found is None or len(text) - size < found.end():
            return False
        return last.match(text, len(text) - size) is not None

    return matches


def is_unfinished(pattern: str, escape: str = "\\") -> bool:
    """True if it ends with an escape character that escapes nothing."""
    return bool(escape) and (len(pattern) - len(pattern.rstrip(escape))) % 2 == 1


def _unfinished() -> bool:
    raise ValueRefused("a pattern ends with its escape character")


def _parts(pattern: str, escape: str, fold: Callable[[str], str] | None) -> list[re.Pattern[str]]:
    """What stands between the `%`s: fixed in length, so that searching for it takes no second try."""
    parts = [""]
    letters = iter(pattern)
    for letter in letters:
        if letter == escape:
            following = next(letters)
            parts[-1] += re.escape(fold(following) if fold is not None else following)
        elif letter == "%":
            parts.append("")
        elif letter == "_":
            parts[-1] += "."
        else:
            parts[-1] += re.escape(fold(letter) if fold is not None else letter)
    return [re.compile(part, re.DOTALL) for part in parts]


def _length(part: re.Pattern[str]) -> int:
    """How many characters a part is long."""
    return len(re.sub(r"\\(.)", r"\1", part.pattern, flags=re.DOTALL))


def _too_long() -> None:
    raise ValueRefused(f"a text would have more than {TEXT_MAX:,} characters")
