"""What a rule file says of systems whose users wait at COMMIT: words into `Synchronous`, and what is wrong with them.

Judged from the file alone: rights, other standbys and settings of a server are for its adapter to judge. Arms nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from engine.rulebook import Synchronous
from rules.crossing import shared_key
from rules.durations import UNITS, microseconds
from rules.findings import Findings
from rules.problem import Path, did_you_mean, quoted
from rules.ruling import columns_of, create_of, delete_of, leave_of, registers, ruling
from rules.shape import Shaped
from rules.syntax import EntitySyntax, SystemSyntax

CLOSED: Final = "closed"
SHORTEST_US: Final = 100 * UNITS["ms"]
LONGEST_US: Final = UNITS["h"]
AWAY_ALLOWED: Final = ("closed", "open after 500ms", "open after 5s", "open after 1 min")

_OPEN = re.compile(r"open after (.+)")


@dataclass(frozen=True, slots=True)
class Waiting:
    """How commits can wait in one kind of database."""

    why_not: str = ""
    """Why they cannot, in words that go on after "`erp` cannot be synchronous:"; empty: they can."""
    our_own_too: bool = False
    """Our own transactions wait, too: no session can say that it does not."""
    ends: bool = False
    """Every wait has an end there: `closed` can only be the largest timeout."""


ADAPTERS: Final[dict[str, Waiting]] = {
    "postgresql": Waiting(),
    "mariadb": Waiting(our_own_too=True, ends=True),
    "mysql": Waiting(our_own_too=True, ends=True),
    "sqlserver": Waiting("SQL Server tells what its users commit a moment later, when they have been answered"),
    "sqlite": Waiting("its change table tells what its users commit when they have been answered"),
    "odbc": Waiting("its change table tells what its users commit when they have been answered"),
    "debezium": Waiting("what its users commit comes to us by way of Debezium and Kafka, when they have been answered"),
}
"""By adapter; each has its line, and one whose users cannot wait has the reason in it."""


def synchronous_of(systems: Mapping[str, SystemSyntax]) -> dict[str, Synchronous]:
    """What the words of systems that were found right amount to, by system; of those only whose users wait."""
    return {
        name: Synchronous(_open_after_s(words.when_away or ""), words.when_refused or "release")
        for name, words in systems.items()
        if words.commit == "synchronous"
    }


def _open_after_s(away: str) -> float | None:
    """Seconds; None for `closed`."""
    match = _OPEN.fullmatch(away)
    length = microseconds(match[1]) if match is not None else None
    return length / UNITS["s"] if length is not None else None


def check_synchronous(shaped: Shaped, crossed: Collection[str], findings: Findings) -> None:
    """The words on commits, system by system. `crossed`: the entities with keys of the systems' own."""
    systems = shaped.syntax.systems
    for name, words in systems.items():
        if words.commit == "synchronous":
            _check_waiting(name, words, findings)
            # An entity with problems of shape may be the one that is carried over.
            if not shaped.left_out and not _carried(name, shaped.syntax.entities, crossed):
                findings.warn("R385", ("systems", name, "commit"), f"nothing that users write in {quoted(name)} goes"
                              " to another system: their commits only take longer", mend="take it out")  # fmt: skip
        else:
            _check_not_waiting(name, words, findings)
    _check_our_own(systems, findings)


def _check_not_waiting(name: str, words: SystemSyntax, findings: Findings) -> None:
    said = quoted("commit: asynchronous") if ("systems", name, "commit") in findings.document else ""
    for word in ("when_away", "when_refused"):
        if getattr(words, word) is not None:
            findings.error("R381", ("systems", name, word), f"nobody waits at COMMIT in {quoted(name)}", key=True,
                           found=said, mend="say `commit: synchronous`, or take it out")  # fmt: skip


def _check_waiting(name: str, words: SystemSyntax, findings: Findings) -> None:
    """A system whose users are to wait: they can, and it is said for how long."""
    top: Path = ("systems", name)
    can = ADAPTERS[words.adapter]
    if can.why_not:
        findings.error("R384", (*top, "commit"), f"{quoted(name)} cannot be synchronous: {can.why_not}",
                       found=quoted(f"adapter: {words.adapter}"), mend="take it out")  # fmt: skip
    elif words.when_away is None:
        findings.error(
            "R380", (*top, "commit"), f"nobody has said how long a commit in {quoted(name)} may wait when what it wrote"
            " cannot be carried over", mend="choose",
            allowed=("`when_away: open after 5s` (then it is answered, and so are all others until we have caught up;"
                     " the range is recorded)",
                     "`when_away: closed` (it waits until it is carried over, or a person lets it go)"),
        )  # fmt: skip
    else:
        _check_away((*top, "when_away"), words.when_away, can, findings)


def _check_away(path: Path, away: str, can: Waiting, findings: Findings) -> None:
    match = _OPEN.fullmatch(away)
    length = microseconds(match[1]) if match is not None else None
    if away == CLOSED:
        if can.ends:
            findings.warn("R386", path, "every wait has an end in this database: `closed` is the longest timeout that"
                          " it takes, and a restart of the server ends it, too", mend="keep it if that is long enough:"
                          " `duolog status` tells when the server has let go")  # fmt: skip
    elif length is None:
        findings.error("R382", path, "neither `closed` nor after how long it opens stands here", found=quoted(away),
                       allowed=AWAY_ALLOWED, mend=_meant(away))  # fmt: skip
    elif length < SHORTEST_US:
        findings.error("R383", path, "this is too short: a lock, a flush or a line takes as long on any day, and"
                       " commits would be let go each time", found=quoted(away),
                       allowed=("open after 100ms, or longer",))  # fmt: skip
    elif length > LONGEST_US:
        findings.error("R383", path, "this is too long: no client and no connection lasts until then",
                       found=quoted(away), allowed=("open after 1h, or shorter", "closed"),
                       mend="what is to wait so long waits for a person: `closed`, and `duolog release` lets go"
                       )  # fmt: skip


def _meant(away: str) -> str:
    """The nearest that could stand there, if one is near."""
    after = away.removeprefix("open").strip().removeprefix("after").strip()
    if microseconds(after) is not None:
        return f"did you mean `open after {after}`?"
    if re.fullmatch(r"[0-9.]+", after):
        return f"say the unit: `open after {after}s`"
    return did_you_mean(away, (CLOSED,)) or ("say after how long: `open after 5s`" if away.startswith("open") else "")


def _check_our_own(systems: Mapping[str, SystemSyntax], findings: Findings) -> None:
    """Where our own transactions wait like any other, behind users' earlier ones, two such systems would wait for each
    other: what one's users wrote is written in the other behind what its users wrote, and the other way."""
    synchronous = [name for name, words in systems.items() if words.commit == "synchronous"]
    waiting = [name for name in synchronous if ADAPTERS[systems[name].adapter].our_own_too]
    for name in waiting[1:]:
        findings.error(
            "R384", ("systems", name, "commit"), f"{quoted(name)} cannot be synchronous while {quoted(waiting[0])} is:"
            " in MariaDB and MySQL what duolog writes waits like any user's commit, and each of the two would wait for"
            " the other", mend="leave one of them asynchronous",
            also=((f"{quoted(waiting[0])} is synchronous here", ("systems", waiting[0], "commit")),),
        )  # fmt: skip


def _carried(system: str, entities: Mapping[str, EntitySyntax], crossed: Collection[str]) -> bool:
    """True if anything that users of the system write can be due in another."""
    return any(
        _goes_on(name, entity, system, shared_key(name, entity, crossed))
        for name, entity in entities.items()
        if system in entity.bind
    )


def _goes_on(name: str, entity: EntitySyntax, system: str, key: tuple[str, ...]) -> bool:
    """True if its inserts, its deletions or its writes of a field mean something in another system."""
    if system in create_of(entity) or delete_of(entity)[system] not in ("ignore", "restore"):
        return True
    if leave_of(entity)[system] != "ignore":
        return True
    for group, members in registers(entity, key):
        has = {s for field in members for s in columns_of(entity, entity.fields[field])}
        said = ruling(name, entity, None if group is not None else members[0], group)
        if len(has) > 1 and system in said.writers(has):
            return True
    return False
