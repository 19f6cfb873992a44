"""Turns natural codes into the keys of code tables, for a whole batch at once; adds a code where the rules allow it.

What was read once is kept, as code tables hardly change; what a transaction then takes from memory is looked at again
before it ends (`doubted`), so that a code which was renamed meanwhile is not mistaken. It never tells a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from adapters.relational.assembled.places import Codes
from adapters.relational.refused import Unstorable
from adapters.relational.speech import Speech


@dataclass(slots=True)
class Wanted:
    """The codes of one table that a batch speaks of."""

    codes: Codes
    held: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    """Those that records are to be given: they may be added, where the rules allow it."""


class Codebook:
    """The codes that one target knows."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._read: dict[str, set[str]] = {}
        """By code table: what was read by the open transaction itself."""
        self._known: dict[str, dict[str, str]] = {}
        """By code table: key by natural code."""
        self._trusted: dict[str, tuple[Codes, set[str]]] = {}
        """What the open transaction takes from memory."""

    def begin(self) -> None:
        """A transaction begins."""
        self._trusted, self._read = {}, {}

    def forget(self) -> None:
        """Something was rolled back, perhaps codes that were added."""
        self._known, self._trusted, self._read = {}, {}, {}

    def learn(self, wanted: Iterable[Wanted]) -> None:
        """Reads what is wanted and not known yet; adds what may be added. Raises `Speech.errors`."""
        asked = []
        for each in wanted:
            known = self._known.setdefault(each.codes.name, {})
            texts = each.held | each.new
            trusted = self._trusted.setdefault(each.codes.name, (each.codes, set()))[1]
            trusted.update(texts & known.keys() - self._read.get(each.codes.name, set()))
            missing = sorted(texts - known.keys())
            if missing:
                asked.append((each, self._ask(each.codes, missing)))
        for each, answer in asked:
            known = self._known[each.codes.name]
            known.update(answer())
            absent = sorted(each.new - known.keys())
            if absent and each.codes.adds:
                self._speech.add_codes(each.codes, absent)
                known.update(self._ask(each.codes, absent)())

    def key(self, codes: Codes, text: str) -> str | None:
        """The key of a code that was learnt; None: the table has no such code."""
        return self._known[codes.name].get(text)

    def doubted(self) -> Callable[[], None]:
        """Looks again at what was taken from memory: a question that is sent, and its answer.

        The answer raises Unstorable if something is no longer so; then all is to be rolled back and forgotten."""
        asked = []
        for name, (codes, texts) in self._trusted.items():
            if texts:
                ordered = sorted(texts)
                keys = [self._known[name][text] for text in ordered]
                asked.append(self._speech.changed_codes(codes, keys, ordered))

        def answer() -> None:
            if any(changed() for changed in asked):
                raise Unstorable("a code was changed meanwhile")

        return answer

    def _ask(self, codes: Codes, texts: Sequence[str]) -> Callable[[], Sequence[tuple[str, str]]]:
        self._read.setdefault(codes.name, set()).update(texts)
        return self._speech.codes(codes, texts)
