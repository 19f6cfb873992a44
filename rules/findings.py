"""Problems on their way to the user: collected against one document, placed by the path of what they are about.

Adds nothing of its own and throws nothing away; `rules/problem.py` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rules.located import Document
from rules.problem import Path, Problem


@dataclass(slots=True)
class Findings:
    """What has been found in one document so far."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def error(
        self, code: str, path: Path, what: str, *, key: bool = False, found: str = "", mend: str = "",
        allowed: tuple[str, ...] = (), also: tuple[tuple[str, Path], ...] = (),
        within: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """Something that keeps the rules from being used. `within`: where in the text of a value, and how long."""
        self._add("error", code, path, what, key, found, allowed, mend, also, within)

    def warn(
        self, code: str, path: Path, what: str, *, key: bool = False, found: str = "", mend: str = "",
        allowed: tuple[str, ...] = (), also: tuple[tuple[str, Path], ...] = (),
        within: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """Something that the user should know."""
        self._add("warning", code, path, what, key, found, allowed, mend, also, within)

    def _add(self, severity: Literal["error", "warning"], code: str, path: Path, what: str, key: bool, found: str,
             allowed: tuple[str, ...], mend: str, also: tuple[tuple[str, Path], ...],
             within: tuple[int, int] | None) -> None:  # fmt: skip
        places = tuple((label, self.document.place(other, key=key)) for label, other in also)
        place = self.document.within(path, *within) if within is not None else self.document.place(path, key=key)
        self.problems.append(
            Problem(code=code, place=place, what=what, found=found, allowed=allowed,
                    mend=mend, severity=severity, also=places)
        )  # fmt: skip
