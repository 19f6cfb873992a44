"""Turns a batch that a target did not take as a whole into one that it does: finds the rows to blame, writes the rest.

Runs inside the batch's transaction, under savepoints: the whole again, then halves by source transaction, then the
rows of a single source transaction. A source transaction that meets a user's lock steps aside as a whole
(`deferred`); a row that the target refuses is reported alone (`failed`), and everything else is written.

It never waits long: rows that are locked are found by one statement that skips them, and after `patience` further
lock timeouts it only asks and no longer waits. It knows no driver but the four calls of `Writing`.

Some databases end the whole transaction where it meets a deadlock, savepoints and all (`Lost`). Then it is tried anew,
with half as many source transactions in a segment, so that less is locked at a time; and one that is lost alone steps
aside. After `losses_max` losses all that are lost do, so there is an end of it. Where it is a refusal that ends the
transaction (`Doomed`), the row to blame is found in the same way, in one transaction after the other: the steps of a
segment are halved, then the rows of one step are written one by one. A row that is found is not written any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from engine.vocabulary import KeyOf, RowResult, Write, WriteKind, WriteRow

patience: Final = 4
"""So many lock timeouts are waited for in full; a table that a DBA has locked costs no more than these. And so many
transactions may be lost, until locks are waited for no more."""


losses_max: Final = 16
"""When so many transactions were lost, the steps of the next lost segment step aside, however many they are."""


Name: TypeAlias = "tuple[WriteKind, str, int, str]"
"""(kind, entity, step, record key) of a row."""


class Blocked(Exception):
    """A segment met a lock that somebody else holds, and was rolled back."""


class Refused(Exception):
    """A segment holds a row that the target will never store, and was rolled back."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Lost(Exception):
    """A segment met a deadlock, and the whole transaction is gone with all that it had written."""


class Doomed(Exception):
    """A segment holds a row that the target will never store, and the whole transaction is gone for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.row: Name | None = None
        """The row to blame, if that is known."""


class Again(Exception):
    """The transaction has to be started anew: source transactions must step aside that it has written in part, or it
    is lost."""


class Writing(Protocol):
    """What isolation asks of the transaction it works in."""

    def segment(self) -> AbstractContextManager[None]:
        """A savepoint: all that is written inside stands, its deferred constraints checked; or none of it does, and
        Blocked or Refused is raised; or Lost or Doomed, and then nothing of the transaction stands."""

    def write(self, writes: list[Write]) -> list[RowResult]:
        """Executes these writes, in their order; answers their exceptions."""

    def locked(self, write: Write) -> list[int]:
        """Which rows of `write` somebody else has locked, by index; the locks of the others are ours from now on; of
        an insert, those that are there in part. Raises Blocked if the table itself is locked."""

    def stop_waiting(self) -> None:
        """From now on a lock is asked for, and not waited for."""


@dataclass(slots=True)
class Tries:
    """What the tries to write one batch have found out."""

    aside: set[int] = field(default_factory=set)
    """The steps that have to step aside from the start."""
    together: int | None = None
    """So many steps may stand in one segment; None: any number."""
    lost: int = 0
    """Transactions that were lost."""
    apart: set[int] = field(default_factory=set)
    """Steps of which each row is written by itself, as one of them dooms the transaction."""
    doomed: dict[Name, str] = field(default_factory=dict)
    """Rows that doom the transaction, with the reason: they are not written."""


def isolated(
    writing: Writing,
    parts: Callable[[], Iterable[list[Write]]],
    begin: Callable[[], None],
    rollback: Callable[[], None],
) -> list[RowResult]:
    """Writes all of a batch that can be written, in a transaction that is left open; answers the exceptions.

    `begin`, `rollback`: start it and end it, as often as that is needed; it may be gone already when it is to be ended.
    Raises what `writing` raises for what no row is to blame for."""
    tries = Tries()
    while True:
        begin()
        try:
            return Isolation(writing, tries).run(parts())
        except Again:
            rollback()


class Isolation:
    """One try to write a batch part by part. What it finds out is added to `tries`."""

    def __init__(self, writing: Writing, tries: Tries) -> None:
        self.writing = writing
        self.tries = tries
        self.aside = tries.aside
        self.results: list[RowResult] = []
        self.timeouts = 0
        self._begun: set[int] = set()
        """Steps of which earlier parts of the batch have written rows."""
        self._refused: list[tuple[Write, str]] = []
        """Rows that were refused, each alone, with the reason: tried again when all others are in."""
        self._doomed: list[Name] = []

    def run(self, parts: Iterable[list[Write]]) -> list[RowResult]:
        """Writes all that can be written; answers the exceptions.

        Raises Again if a step that turned out to be blocked had already been written in part, or if the transaction
        was lost: then it has to be rolled back and tried with what `tries` knows now."""
        if self.tries.lost >= patience:
            self.writing.stop_waiting()
        for writes in map(self._harmless, parts):
            self._probe(writes)
            steps = sorted({row[0] for write in writes for row in write.rows})
            self._defer(_of_steps(writes, self.aside))
            free = [step for step in steps if step not in self.aside]
            for some in _groups(free, self.tries.together):
                self._steps(writes, some)
            self._begun.update(step for step in free if step not in self.aside)
        self._retry_refused()
        self._tell_doomed()
        return self.results

    def _harmless(self, writes: list[Write]) -> list[Write]:
        """The same writes without the rows that doom the transaction."""
        if not self.tries.doomed:
            return writes
        names = [(write, row, _name(write, row)) for write in writes for row in write.rows]
        self._doomed += [name for _, _, name in names if name in self.tries.doomed]
        return _regrouped([(write, row) for write, row, name in names if name not in self.tries.doomed])

    def _tell_doomed(self) -> None:
        for name in self._doomed:
            _, entity, step, key = name
            if step in self.aside:
                self.results.append(RowResult(entity, key, "deferred"))
            else:
                self.results.append(RowResult(entity, key, "failed", reason=self.tries.doomed[name]))

    def _probe(self, writes: list[Write]) -> None:
        """Finds what is locked without waiting for each of them in turn."""
        for write in writes:
            rows = [row for row in write.rows if row[0] not in self.aside]
            if not rows:
                continue
            try:
                asked = Write(write.kind, write.entity, write.columns, rows)
                with self._segment([asked]):
                    locked = self.writing.locked(asked)
            except Blocked:
                self._count_timeout()
                locked = list(range(len(rows)))
            self._set_aside({rows[at][0] for at in locked})

    def _steps(self, writes: list[Write], steps: list[int]) -> None:
        """Writes the rows of these source transactions, or of as many of them as possible."""
        if not steps:
            return
        chosen = _of_steps(writes, set(steps))
        if len(steps) == 1 and steps[0] in self.tries.apart:
            self._single(chosen, steps[0])
            return
        try:
            with self._segment(chosen):
                results = self.writing.write(chosen)
        except Blocked:
            self._count_timeout()
            if len(steps) > 1:
                self._halve(writes, steps)
            else:
                self._step_aside(chosen, steps[0])
        except Refused:
            if len(steps) > 1:
                self._halve(writes, steps)
            else:
                self._single(chosen, steps[0])
        else:
            self.results += results

    @contextmanager
    def _segment(self, writes: list[Write], *, circle: bool = False) -> Iterator[None]:
        """A savepoint in which these rows are written. Raises Blocked, Refused; Again if all is lost. `circle`: they
        stand or fall together."""
        try:
            with self.writing.segment():
                yield
        except Lost:
            self._lose(sorted({row[0] for write in writes for row in write.rows}), alone=self.aside)
            raise Again from None
        except Doomed as doomed:
            names = [_name(write, row) for write in writes for row in write.rows]
            blamed = [doomed.row] if doomed.row is not None else names
            if circle or len(blamed) == 1:
                self.tries.lost += 1
                self.tries.doomed.update(dict.fromkeys(blamed, doomed.reason))
            else:
                self._lose(sorted({step for _, _, step, _ in names}), alone=self.tries.apart)
            raise Again from None

    def _lose(self, steps: list[int], alone: set[int]) -> None:
        """The transaction is gone with these steps. `alone`: where a step is put that is gone by itself."""
        self.tries.lost += 1
        if self.tries.lost > losses_max:
            self.aside.update(steps)
        elif len(steps) == 1:
            alone.update(steps)
        else:
            self.tries.together = min(len(steps) // 2, self.tries.together or len(steps))

    def _halve(self, writes: list[Write], steps: list[int]) -> None:
        middle = len(steps) // 2
        self._steps(writes, steps[:middle])
        self._steps(writes, steps[middle:])

    def _single(self, writes: list[Write], step: int) -> None:
        """Writes one source transaction of which at least one row is refused."""
        refused_before, results_before = len(self._refused), len(self.results)
        try:
            with self._segment(writes):
                self._rows([(write, row) for write in writes for row in write.rows])
        except Blocked:
            self._count_timeout()
            del self._refused[refused_before:], self.results[results_before:]
            self._step_aside(writes, step)

    def _rows(self, rows: list[tuple[Write, WriteRow]]) -> None:
        """Writes these rows of one step, in their order, but for the refused ones. Raises Blocked."""
        if len(rows) > 1 and rows[0][1][0] in self.tries.apart:
            for each in rows:
                self._rows([each])
            return
        writes = _regrouped(rows)
        try:
            with self.writing.segment():
                results = self.writing.write(writes)
        except Doomed as doomed:
            doomed.row = _name(*rows[0]) if len(rows) == 1 else None
            raise
        except Refused as refused:
            if len(rows) == 1:
                self._refused.append((writes[0], refused.reason))
                return
            middle = len(rows) // 2
            self._rows(rows[:middle])
            self._rows(rows[middle:])
        else:
            self.results += results

    def _retry_refused(self) -> None:
        """A row may have been refused only because its parent came later in the halves than in the whole: each is
        tried again after all others, until a round brings nothing; those that refer to one another in a circle
        together."""
        progress = True
        while progress and self._refused:
            progress, waiting, self._refused = False, self._refused, []
            for circle in _circles(waiting):
                writes = [write for write, _ in circle]
                try:
                    with self._segment(writes, circle=True):
                        results = self.writing.write(writes)
                except Blocked:
                    self._count_timeout()
                    self._defer(writes)
                except Refused as refused:
                    alone = len(circle) == 1
                    self._refused += [(write, refused.reason if alone else reason) for write, reason in circle]
                else:
                    self.results += results
                    progress = True
        self.results += [
            RowResult(write.entity, row[1], "failed", reason=why) for write, why in self._refused for row in write.rows
        ]

    def _step_aside(self, writes: list[Write], step: int) -> None:
        self._set_aside({step})
        self._defer(writes)

    def _set_aside(self, steps: set[int]) -> None:
        self.aside |= steps
        if steps & self._begun:
            raise Again

    def _defer(self, writes: list[Write]) -> None:
        self.results += [RowResult(write.entity, row[1], "deferred") for write in writes for row in write.rows]

    def _count_timeout(self) -> None:
        self.timeouts += 1
        if self.timeouts == patience:
            self.writing.stop_waiting()


def _name(write: Write, row: WriteRow) -> Name:
    return write.kind, write.entity, row[0], row[1]


def _groups(steps: list[int], together: int | None) -> Iterator[list[int]]:
    """These steps, in their order, so many at a time."""
    size = together or max(1, len(steps))
    for start in range(0, len(steps), size):
        yield steps[start : start + size]


def _of_steps(writes: list[Write], steps: set[int]) -> list[Write]:
    """The rows of these steps, in the order and kinds of `writes`."""
    chosen = []
    for write in writes:
        rows = [row for row in write.rows if row[0] in steps]
        if rows:
            chosen.append(Write(write.kind, write.entity, write.columns, rows))
    return chosen


def _regrouped(rows: list[tuple[Write, WriteRow]]) -> list[Write]:
    """Rows, each with the write it came from, as writes in the same order."""
    writes: list[Write] = []
    origin: Write | None = None
    for write, row in rows:
        if write is not origin:
            writes.append(Write(write.kind, write.entity, write.columns, []))
            origin = write
        writes[-1].rows.append(row)
    return writes


def _circles(refused: list[tuple[Write, str]]) -> list[list[tuple[Write, str]]]:
    """Refused rows, those together that refer to one another in a circle; each after those that it refers to."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    made = {(write.entity, row[1]): at for at, (write, _) in enumerate(refused) for row in write.rows}
    for at, (write, _) in enumerate(refused):
        graph.add_node(at)
        values: list[object] = [value for row in write.rows for value in row[3]]
        parents = [made.get((value.entity, value.id)) for value in values if isinstance(value, KeyOf)]
        graph.add_edges_from((parent, at) for parent in parents if parent is not None)
    circles = nx.condensation(graph)
    order = nx.lexicographical_topological_sort(circles, key=lambda circle: min(circles.nodes[circle]["members"]))
    return [[refused[at] for at in sorted(circles.nodes[circle]["members"])] for circle in order]
