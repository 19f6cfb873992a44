"""How a system lets go of a record: `deactivate`, `reactivate` and `remove` to the engine's words.

Turns columns and values, written as a person writes them (`active: "false"`), into positions and the texts that the
columns print. What says that a record is gone must have an opposite that says that it is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.rulebook import Removal
from rules.assembly.columns import TableInUse
from rules.assembly.condition import COMPARED, printed
from rules.findings import Findings
from rules.problem import Path, quoted
from rules.syntax import TableSyntax

_OPPOSITES: Mapping[str, str] = {"true": "false", "false": "true", "t": "f", "f": "t"}
_PRINTED: Mapping[str, str] = {"true": "t", "false": "f"}


@dataclass(frozen=True, slots=True)
class LettingGo:
    """What becomes of a root row, and what says so."""

    gone: tuple[tuple[int, str], ...]
    back: tuple[tuple[int, str], ...]
    removal: Removal


def letting_go(table: TableSyntax, top: Path, root: TableInUse, ends: bool, findings: Findings) -> LettingGo:
    """How records are removed in one system. `ends`: a row that makes them members goes with them."""
    gone, back = [], []
    for column, value in table.deactivate.items():
        found = _pair(root, column, value, (*top, "deactivate", column), findings)
        if column in table.reactivate:
            path: Path = (*top, "reactivate", column)
            opposite: str | None = table.reactivate[column]
        else:
            path, opposite = (*top, "deactivate", column), _opposite(root, column, value)
        if opposite is None:
            findings.error("R338", path, f"nobody says what {quoted(column)} is while the record lives", key=True,
                           mend=f"say it: `reactivate: {{{column}: …}}`")  # fmt: skip
            continue
        returned = _pair(root, column, opposite, path, findings)
        if found is not None and returned is not None:
            gone.append(found)
            back.append(returned)
            if found == returned:
                findings.error("R338", path, f"{quoted(column)} is the same for a record that lives and for one that"
                               " is gone", found=quoted(opposite), mend="give it two values")  # fmt: skip
    for column in table.reactivate:
        if column not in table.deactivate:
            findings.error("R337", (*top, "reactivate", column), f"`deactivate` does not set {quoted(column)}",
                           key=True, allowed=tuple(table.deactivate),
                           mend="say there what it is when the record is gone")  # fmt: skip
    return LettingGo(tuple(gone), tuple(back), _removal(table, top, ends, findings))


def _removal(table: TableSyntax, top: Path, ends: bool, findings: Findings) -> Removal:
    if table.remove == "columns" and not table.deactivate:
        findings.error("R337", (*top, "remove"), "nobody says which columns are set", found="`remove: columns`",
                       mend="say it: `deactivate: {active: \"false\"}`")  # fmt: skip
    if table.remove == "membership" and not ends:
        findings.error("R337", (*top, "remove"), "no row of its own makes it a member",
                       found="`remove: membership`", mend="say it: `member_when: …`")  # fmt: skip
    if table.remove is not None:
        return table.remove
    return "columns" if table.deactivate else "membership" if ends else "row"


def _opposite(root: TableInUse, column: str, value: str) -> str | None:
    """The other value of a boolean column."""
    known = root.known(column)
    return _OPPOSITES.get(value) if known is None or known.family == "boolean" else None


def _pair(root: TableInUse, column: str, value: str, path: Path, findings: Findings) -> tuple[int, str] | None:
    """(position, text) of a column and the value that it is given."""
    position = root.find(column, path, findings, key=True)
    if position is None:
        return None
    if len(value) > 1 and value[0] == value[-1] == "'":
        findings.error("R416", path, f"the value of {quoted(column)} stands here as it is, not as SQL",
                       found=quoted(value), mend=f"leave out the inner quotes: {quoted(value[1:-1])}")  # fmt: skip
        return None
    known = root.known(column)
    if known is None or root.shape is None:
        return position, _PRINTED.get(value, value)
    text = printed(value, known) if known.family in COMPARED else None
    if text is None:
        findings.error("R416", path, f"the column {quoted(column)} of {quoted(root.system)} ({known.type}) cannot say"
                       " that a record is gone by this value", found=quoted(value), allowed=known.labels)  # fmt: skip
        return None
    return position, text
