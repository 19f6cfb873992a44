"""Turns statements into packets: they queue up, go out together, and come back one answer each.

A batch of any number of statements costs one round trip for each time that somebody wants to know something. It never
begins or ends a transaction, and never sends a change again: after an error nothing more of the packet is carried out
by the server, and what had queued up is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pymysql

from adapters.mariadb.phrases import DOCUMENT
from adapters.mariadb.refusals import LOCK_TIMEOUT
from adapters.mariadb.session import Connection, error_number
from adapters.relational.refused import Unstorable

packet_bytes: Final = 4 << 20
"""So much is sent at once, where the server takes as much: what one row needs may be more."""
ROOM: Final = 4096
"""Bytes of a packet that are kept for what stands around a document."""

pause_s: Final = 0.0005
"""Between two questions for a lock that somebody else has."""

SKIPPING: Final = b" SKIP LOCKED"
PATIENTLY: Final = b"SET STATEMENT innodb_lock_wait_timeout = 1 FOR "
"""Where that is 0, a row that is skipped makes MariaDB roll back the whole transaction (error 1180; seen in 10.11)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a statement answered."""

    count: int
    """Rows changed, or found to be so already; of a question, rows answered."""
    rows: Sequence[Sequence[Any]]
    """Texts, bytes or None."""


class Question:
    """A statement whose answer can be asked for."""

    __slots__ = ("_sending", "answer")

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self.answer: Answered | None = None

    def ask(self) -> Answered:
        """Sends whatever waits, if this does; its answer. Raises pymysql.MySQLError, of this statement or another."""
        if self.answer is None:
            self._sending.flush()
        if self.answer is None:
            raise pymysql.err.InterfaceError(0, "asked after an error for what was never sent")
        return self.answer


class Sending:
    """The statements of one connection."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._packet = max(2 * ROOM, conn.server.packet_max) - 1
        self._wanted = min(packet_bytes, self._packet)
        self._waiting: list[tuple[bytes, Question]] = []
        self._size = 0
        self._patient = conn.server.flavour == "mariadb"
        self.patient_until: float | None = None
        """The moment (`time.monotonic`) until which a lock that somebody else has is asked for again."""
        self.failed: Question | None = None
        """Whose statement met the last error, if it was the server's."""

    def send(self, statement: str | bytes) -> Question:
        """Has a statement sent, without waiting for it. Raises pymysql.MySQLError, of one that was sent before."""
        data = statement.encode() if isinstance(statement, str) else statement
        if self._patient and data.endswith(SKIPPING):
            data = PATIENTLY + data
        if self._waiting and self._size + len(data) >= self._wanted:
            self.flush()
        question = Question(self)
        self._waiting.append((data, question))
        self._size += len(data) + 1
        return question

    def ask(self, statement: str) -> Answered:
        """Sends a statement, and whatever waits before it; its answer. Raises pymysql.MySQLError."""
        return self.send(statement).ask()

    def lock(self, statement: str) -> None:
        """Has a statement sent that locks rows; where there is time (`patient_until`), again and again as long as
        somebody else has one of them. What it locked before it met that one stays ours.

        It never stands in the queue for a lock: so the server sees no deadlock, of which a user could be the victim.
        Raises pymysql.MySQLError."""
        if self.patient_until is None:
            self.send(statement)
            return
        self.flush()
        while True:
            try:
                self.ask(statement)
            except pymysql.MySQLError as error:
                if error_number(error) != LOCK_TIMEOUT or time.monotonic() + pause_s > self.patient_until:
                    raise
            else:
                return
            time.sleep(pause_s)

    def documents(self, rows: Sequence[Sequence[Any]]) -> list[tuple[int, bytes]]:
        """Statements that give the next ones these rows (`phrases.given`), as many as their size needs, each with how
        many rows it has.

        A row is a list of texts, or of lists of them. Raises Unstorable for what no server takes: half of a surrogate
        pair, or a row that is larger than a packet."""
        try:
            document = msgspec.json.encode(rows)
        except UnicodeEncodeError:
            raise Unstorable(UNSTORABLE) from None
        statement = b"SET " + DOCUMENT.encode() + b" = '" + _escaped(document) + b"'"
        if len(statement) + ROOM <= self._wanted or (len(rows) == 1 and len(statement) + ROOM <= self._packet):
            return [(len(rows), statement)]
        if len(rows) == 1:
            raise Unstorable(f"1153 a row needs a larger packet: `max_allowed_packet` is {self._packet + 1} bytes")
        half = len(rows) // 2
        return self.documents(rows[:half]) + self.documents(rows[half:])

    def flush(self) -> None:
        """Sends whatever waits, and reads all answers. Raises pymysql.MySQLError; then nothing waits any longer."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        if not waiting:
            return
        conn = self.conn
        try:
            conn.query(b";".join([data for data, _ in waiting]))
            for at, (_, question) in enumerate(waiting):
                if at:
                    conn.next_result()
                result = conn._result
                assert result is not None, "a statement has a result"
                question.answer = Answered(result.affected_rows or 0, result.rows or ())
        except pymysql.MySQLError:
            self.failed = next((question for _, question in waiting if question.answer is None), None)
            raise
        except BaseException:
            # Half an answer may still be under way: the next question would get it.
            conn._force_close()
            raise

    def forget(self) -> None:
        """What waits is not sent."""
        self._waiting, self._size = [], 0


UNSTORABLE: Final = "half of a surrogate pair, which is no text"


def _escaped(document: bytes) -> bytes:
    """A document as it stands between apostrophes."""
    if b"\\" in document:
        document = document.replace(b"\\", b"\\\\")
    return document.replace(b"'", b"\\'") if b"'" in document else document
