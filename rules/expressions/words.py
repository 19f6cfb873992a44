"""The text of an expression as words: constants, names and signs with their places, as PostgreSQL divides them.

What no expression can contain (parameters, comments between stars, texts with an `E` before them) is refused here
already, at its character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias, get_args

CHARACTERS_MAX = 4_000

Kind: TypeAlias = Literal["text", "quoted", "number", "word", "sign", "end"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_WORD = re.compile(
    r"""(?P<blank>[ \t\n\r\f\v]+|--[^\n\r]*)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*)
    |(?P<sign>::|<=|>=|<>|!=|\|\||[-+*/%(),=<>.])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word, and where it stands."""

    kind: Kind
    text: str
    """What it means: without quotes; a bare word as it is written."""
    start: int
    end: int

    @property
    def lower(self) -> str:
        """A bare word without regard to case, or a sign; nothing for what is in quotes."""
        return self.text.lower() if self.kind in ("word", "sign") else ""


class Refusal(Exception):
    """Why a text is no expression, on its way to a problem."""

    def __init__(self, code: str, what: str, place: tuple[int, int], *, found: str = "",
                 allowed: tuple[str, ...] = (), mend: str = "") -> None:  # fmt: skip
        super().__init__(what)
        self.code = code
        self.what = what
        self.place = place
        self.found = found
        self.allowed = allowed
        self.mend = mend


def words_of(text: str) -> list[Word]:
    """All of them, and one that is the end."""
    if len(text) > CHARACTERS_MAX:
        raise Refusal("R427", "the expression is too long", (0, 1), found=f"{len(text):,} characters",
                      allowed=(f"at most {CHARACTERS_MAX:,}",), mend="make several of it")  # fmt: skip
    words: list[Word] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or "\0" in match[0]:
            _no_word(text, at)
        kind, start, at = match.lastgroup, at, match.end()
        if kind == "blank":
            continue
        if kind == "number" and re.match(r"[A-Za-z0-9_.]", text[at : at + 1]):
            raise Refusal("R330", "a number is not written like that", (start, at + 1), found=text[start : at + 1],
                          allowed=("42", "4.2", "4.2e10"))  # fmt: skip
        words.append(_word(kind, match[0], start, at))
    return [*words, Word("end", "", len(text), len(text))]


def _word(kind: str | None, raw: str, start: int, end: int) -> Word:
    quote = raw[0]
    if quote in "'\"":
        raw = raw[1:-1].replace(quote * 2, quote)
    return Word(next(known for known in _KINDS if known == kind), raw, start, end)


def _no_word(text: str, at: int) -> NoReturn:
    sign = text[at]
    if sign in "'\"":
        raise Refusal("R330", "this is no SQL: it cannot be divided into words", (at, len(text)), found=text[at:],
                      mend="close what is opened: quotes and parentheses")  # fmt: skip
    raise Refusal("R421", "this character cannot stand in an expression", (at, at + 1), found=sign)
