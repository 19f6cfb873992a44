"""A field that is others put together: how it is joined of them, and how it is taken apart again.

Makes the two functions of an engine's `Joint`, so that `join(split(whole)) == whole`, always. The other way round
cannot hold: who joins `Ludwig` and `van Beethoven` can no longer see where one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.rulebook import Joint
from engine.vocabulary import Text
from rules.syntax import EntitySyntax, JoinSyntax


def joint_of(entity: EntitySyntax, whole: str, said: JoinSyntax) -> Joint:
    """The engine's joint, with field numbers."""
    numbers = {field: number for number, field in enumerate(entity.fields)}
    parts = tuple(numbers[part] for part in said.of)
    cut = _cut_first if said.split == "first" else _cut_last
    return Joint(numbers[whole], parts, joiner(said.with_), splitter(said.with_, len(parts), cut))


def joiner(between: str) -> Callable[[Sequence[Text]], Text]:
    """Parts → whole. What is NULL or empty leaves no separator; only if all are, it matters which."""

    def join(parts: Sequence[Text]) -> Text:
        texts = [part for part in parts if part]
        if texts:
            return between.join(texts)
        return "" if "" in parts else None

    return join


Cut = Callable[[str, str, int], "list[str]"]


def splitter(between: str, count: int, cut: Cut) -> Callable[[Text], tuple[Text, ...]]:
    """Whole → parts. A text with too few separators fills those parts that are nearest to where it is cut."""

    def split(whole: Text) -> tuple[Text, ...]:
        if whole is None:
            return (None,) * count
        pieces = cut(whole, between, count)
        missing: tuple[Text, ...] = (None,) * (count - len(pieces))
        return (*missing, *pieces) if cut is _cut_last else (*pieces, *missing)

    return split


def _cut_first(text: str, between: str, count: int) -> list[str]:
    """At the first separators that have something on both sides."""
    pieces: list[str] = []
    while len(pieces) < count - 1:
        at = text.find(between, 1)
        if at < 0 or at + len(between) == len(text):
            break
        pieces.append(text[:at])
        text = text[at + len(between) :]
    return [*pieces, text]


def _cut_last(text: str, between: str, count: int) -> list[str]:
    """At the last separators that have something on both sides."""
    pieces: list[str] = []
    end = len(text)
    while len(pieces) < count - 1:
        at = text.rfind(between, 0, end - 1)
        if at < 1:
            break
        pieces.insert(0, text[at + len(between) : end])
        end = at
    return [text[:end], *pieces]
