"""Turns what a database answers to its dialect's questions into what is wrong with it, each with its mend.

It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adapters.alchemy.session import Session
from adapters.changetable.questions import Question
from adapters.changetable.setup import run
from adapters.changetable.tables import Ours, Shadow
from engine.catalog import Finding
from engine.errors import NotSetUp


def answers(session: Session, made: Ours, shadows: Sequence[Shadow]) -> Iterator[Finding]:
    """What is not as it has to be. Raises sqlalchemy.exc.DBAPIError."""
    bound = {(each.table.schema, each.table.name) for each in shadows}
    for question in made.words.questions:
        with session.transaction() as conn:
            rows: list[Any] = list(run(conn, question.asked))
        for row in rows:
            if question.of_table and (row[0], row[1]) not in bound:
                continue
            yield _told(session, question, row)


def refuse(session: Session, made: Ours, shadows: Sequence[Shadow]) -> None:
    """Raises NotSetUp if changes would not be told rightly; sqlalchemy.exc.DBAPIError."""
    for found in answers(session, made, shadows):
        if found.severity == "error":
            raise NotSetUp(found.found, system=session.system, mend=found.mend)


def _told(session: Session, question: Question, row: Sequence[Any]) -> Finding:
    found, mend = question.found.format(*row), question.mend.format(*row)
    table = f"{row[0]}.{row[1]}" if question.of_table else ""
    return Finding(question.code, question.severity, session.system, found, mend, table)
