"""Turns `commit: synchronous` into the switch of MariaDB or MySQL: semi-synchronous replication, waiting AFTER_SYNC.

The contract is `relational.switch`. Unlike PostgreSQL's, this server lets go by itself: after its own timeout, when a
waiting session is ended, when it is started again. So `look` finds out whether commits have ceased to wait, and records
that. Nothing of ours can commit past the wait: a range is written when its users have been let go, and is ended while
the wait is short. When to arm and when to let go, the service decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

import pymysql

from adapters.mariadb import degraded as ranges
from adapters.mariadb import settings
from adapters.mariadb.alone import lock_name, reader_lock
from adapters.mariadb.positions import from_text, parts
from adapters.mariadb.resume import read_facts
from adapters.mariadb.semisync import committed_before
from adapters.mariadb.session import KEEPS_TRYING, Connection, ask, connect, error_number, execute, translate
from adapters.mariadb.settings import AFTER_SYNC, Look
from adapters.relational.switch import Degraded, SwitchState, Withholding
from engine.errors import NotSetUp, SystemStopped, SystemUnavailable
from engine.rulebook import Synchronous
from engine.vocabulary import Position

armed_within_s: Final = 10.0
"""So long it may take until commits are seen to wait and to be answered."""
short_ms: Final = 1000
"""So long commits wait while that is being found out. Who is on his way into the log at the moment when the server is
armed is never asked for by it (seen in the source of 10.11): he would wait as long as he may, with all behind him."""
answer_s: Final = 4.0
"""A statement of our own that takes longer is given up: it may have begun to wait with others."""
RESTARTED_S: Final = 2.0
"""By how much two clocks of one server may differ."""
missed_s: Final = 3.0
"""A server counts a reader that is gone for a second or so."""
OFF: Final = "semi-synchronous replication was off: the server was started again, or somebody set it"
NOT_ALL: Final = "commits returned without us: the server's own timeout, or a waiting session was ended"
OTHERS: Final = "another semi-synchronous replica answers at COMMIT in our stead"

_NO_TABLE: Final = 1146
_DUPLICATE: Final = 1062


class MariaSwitch:
    """The switch of one MariaDB or MySQL server (see `relational.switch.Switch`), with a connection of its own.

    `engine`: whose ranges of `duolog.degraded` are ours; `rule`: how long a commit waits, by the server's own timeout.
    Used by one thread, but for `close`."""

    def __init__(self, system: str, url: str, *, engine: str, rule: Synchronous) -> None:
        self.system = system
        self._url = url
        self._engine = engine
        self._rule = rule
        self._conn: Connection | None = None
        self._lock = threading.RLock()
        """Held by whoever is at work."""
        self._closing = threading.Event()
        self._sure: tuple[Position, str] | None = None
        """(a place before which all commits have waited or are in a range, what the server had counted then)"""
        self._others_since = 0.0
        """Since when other semi-synchronous replicas are connected, that are enough; 0: none are."""
        self._head: Position = 0
        """Where the log was first seen to be done in its newest file: while somebody waits, that proves nothing."""

    def look(self) -> SwitchState:
        """How it stands. Where commits have ceased to wait though nobody of ours let go, that is recorded."""
        with self._at_work() as conn:
            seen = self._see(conn)
            why = self._why_degraded(seen)
            # A commit of ours waits with the others, if any: then it is recorded by a later look.
            if why and not (seen.settings.waits and seen.settings.held):
                self._record(conn, seen, why)
                seen = self._see(conn)
            return self._state(seen)

    def arm(self, withholding: Withholding) -> Position:
        """Sets the server, proves by commits of our own that they wait and are answered, and ends the open range.
        0: a person wants it to stay off, and nothing was done. `withholding` is not needed: the server tells.

        Raises SystemUnavailable if it could not be done now, and nobody waits then; SystemStopped."""
        with self._at_work() as conn:
            seen = self._see(conn)
            row = _open(seen)
            if row is not None and row["stays"] == "1":
                return 0
            if row is None and seen.settings.waits and not self._why_degraded(seen):
                self._set(conn, seen, timeout=str(self._whole_ms(conn)))  # the rules may have changed since
                return from_text(_last(seen)["until_position"] or "")
            self._may_arm(seen)
            if row is None:
                self._set(conn, seen, enabled="OFF")
                self._record(conn, seen, self._why_degraded(seen) or OFF)
            try:
                return self._arm(conn, seen)
            except BaseException:
                self._undo()
                raise

    def release(self, why: str, by: str, *, stays: bool = False) -> Degraded:
        """Lets go of everybody at once, then records the range: no commit of ours could pass before.

        Raises NotSetUp if there was nowhere to record it: then, too, everybody has been let go."""
        with self._at_work() as conn:
            before = committed_before(conn, read_facts(conn))
            try:
                seen = self._see(conn)
            except pymysql.MySQLError as error:
                if error_number(error) == _NO_TABLE:
                    for statement in settings.LET_GO:
                        with suppress(pymysql.MySQLError):  # the server has one of the two
                            execute(conn, statement)
                raise
            since = self._since(seen, before)
            self._set(conn, seen, enabled="OFF")
            self._begin(conn, since, why, by, stays=stays)
            row = _open(self._see(conn))
            if row is None:
                raise self._unarmed("the range that was recorded has just been ended by somebody else")
            return ranges.degraded(row)

    def allow(self) -> bool:
        """Ends `stays`; False if there was nothing to end."""
        with self._at_work() as conn:
            return execute(conn, ranges.allow(self._engine)) > 0

    def history(self) -> list[Degraded]:
        """All ranges, the latest first."""
        with self._at_work() as conn:
            rows = ask(conn, ranges.history(self._engine))
            return [ranges.degraded(dict(zip(ranges.NAMES, row, strict=True))) for row in rows]

    def close(self) -> None:
        """Hangs up. Any thread may: an `arm` under way is given up, and what it did undone."""
        self._closing.set()
        with self._lock:
            self._closing.clear()
            self._hang_up()

    # ------------------------------------------------------------ looking

    def _see(self, conn: Connection) -> Look:
        seen = settings.look(
            conn, self._engine, reader_lock=reader_lock(self._engine, self.system),
            writer_lock=lock_name(self._engine, self.system),
        )  # fmt: skip
        if not seen.settings.prefix:
            raise SystemStopped(
                "the server has no semi-synchronous replication", system=self.system,
                mend="MySQL: INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';",
            )  # fmt: skip
        if not self._head or parts(seen.done)[0] != parts(self._head)[0]:
            self._head = seen.done
        self._follow(seen, past_head=conn.server.flavour == "mariadb" and seen.done > self._head)
        return seen

    def _follow(self, seen: Look, *, past_head: bool) -> None:
        """Moves on what we are sure of, as long as all commits wait for us alone."""
        others = _others(seen)
        self._others_since = (self._others_since or time.monotonic()) if others else 0.0
        if _open(seen) is not None:
            self._sure = None
        elif self._sure is None and seen.settings.waits and self._is_as_counted(seen):
            self._sure = from_text(_last(seen)["until_position"] or ""), seen.settings.counted
        if self._sure is None or self._sure[1] != seen.settings.counted or others or not seen.settings.waits:
            return
        if not seen.settings.held or past_head:
            self._sure = max(self._sure[0], seen.done), seen.settings.counted

    def _stood_in(self) -> bool:
        """Others answer in our stead, and it is not a connection of ours that the server has not missed yet."""
        return self._others_since > 0 and time.monotonic() - self._others_since > missed_s

    def _is_as_counted(self, seen: Look) -> bool:
        """Since the last range ended, every commit has waited: also while nobody of ours looked on."""
        last = _last(seen)
        if not last or last["until_s"] is None:
            return False
        if seen.settings.uptime_s < seen.now - float(last["until_s"]) - RESTARTED_S:
            return seen.settings.counted == "0 0"
        return seen.settings.counted == last["counted"]

    def _why_degraded(self, seen: Look) -> str:
        """Why commits do not wait though no range is open; empty if they do."""
        if _open(seen) is not None:
            return ""
        if not seen.settings.enabled:
            return OFF
        if self._stood_in():
            return OTHERS
        if not seen.settings.waits or self._sure is None or self._sure[1] != seen.settings.counted:
            return NOT_ALL
        return ""

    def _state(self, seen: Look) -> SwitchState:
        row = _open(seen)
        return SwitchState(
            armed=seen.settings.enabled,
            reading=seen.reading,
            readable=True,
            waiting=max(len(seen.waits_s), int(seen.settings.held)),
            longest_s=max(seen.waits_s, default=0.0),
            delivered=self._sure[0] if self._sure is not None else 0,
            end=seen.done,
            degraded=None if row is None else ranges.degraded(row),
            stood_in=self._stood_in(),
        )

    # ------------------------------------------------------------ recording

    def _since(self, seen: Look, before: Position = 0) -> Position:
        """A place before which all commits have waited, or are in a range that is over. `before`: one before which
        all are done that were when `seen` was not yet asked."""
        if self._sure is not None:
            return max(self._sure[0], before if self._sure[1] == seen.settings.counted else 0)
        last = _last(seen)
        # Where nothing of ours is known of this server, we never made anybody wait.
        return from_text(last["until_position"] or "") if last else seen.done

    def _record(self, conn: Connection, seen: Look, why: str) -> None:
        self._begin(conn, self._since(seen), why, "server", stays=False)

    def _begin(self, conn: Connection, since: Position, why: str, by: str, *, stays: bool) -> None:
        execute(conn, ranges.begin(self._engine, since, why, by, stays=stays))
        self._sure = None

    # ------------------------------------------------------------ arming

    def _may_arm(self, seen: Look) -> None:
        if not seen.reading:
            raise self._unarmed("our reader is not connected")
        if _others(seen):
            raise self._unarmed(
                f"{OTHERS}: {seen.settings.clients} are connected, and the answer of {seen.settings.needed} is enough"
            )

    def _arm(self, conn: Connection, before: Look) -> Position:
        """Has commits wait, for a short time at first."""
        whole = self._whole_ms(conn)
        self._set(conn, before, wait_point=AFTER_SYNC, timeout=str(min(short_ms, whole)), patient="ON", enabled="ON")
        deadline = time.monotonic() + armed_within_s
        while time.monotonic() < deadline:
            began = self._see(conn)
            row = _open(began)
            if row is None or row["stays"] == "1" or not began.settings.enabled:
                raise self._unarmed("somebody let go meanwhile")
            if not began.settings.waits:
                # Where users never pause, no answer of ours is ever one to the last commit, on which the server waits.
                self._set(conn, before, enabled="OFF")
                self._set(conn, before, enabled="ON")
                self._pause(0.05)
                continue
            until = self._prove(conn, began, row)
            if until:
                self._set(conn, before, timeout=str(whole))
                if self._still(self._see(conn), began.settings.counted):
                    self._sure = until, began.settings.counted
                    return until
                with suppress(pymysql.IntegrityError):  # another range has begun
                    execute(conn, ranges.reopen(int(row["number"] or 0)))
                self._set(conn, before, timeout=str(min(short_ms, whole)))
            self._pause(0.05)
        raise self._unarmed(f"no commit was seen to wait and to be answered within {armed_within_s:g} s")

    def _whole_ms(self, conn: Connection) -> int:
        """For how long a commit waits while nobody answers, as the rule says."""
        closed = settings.closed_ms[conn.server.flavour]
        return closed if self._rule.open_after_s is None else max(1, round(self._rule.open_after_s * 1000))

    def _prove(self, conn: Connection, began: Look, row: Mapping[str, str | None]) -> Position:
        """Commits, and so gets behind everybody who was on his way before the server was armed; then ends the range.
        0: commits returned meanwhile without an answer."""
        number = int(row["number"] or 0)
        execute(conn, ranges.touch(number))
        passed = self._see(conn)
        if not passed.settings.waits or passed.settings.counted != began.settings.counted:
            return 0
        if not execute(conn, ranges.end(number, passed.done, began.settings.counted)):
            raise self._unarmed("somebody let go meanwhile")
        return passed.done

    def _still(self, seen: Look, counted: str) -> bool:
        return seen.settings.waits and seen.settings.counted == counted and _open(seen) is None and not _others(seen)

    def _set(self, conn: Connection, seen: Look, **wanted: str) -> None:
        """Sets what is not so already; `patient`: commits wait even if no replica is connected."""
        now = seen.settings
        slave = "wait_no_slave" if "wait_no_slave" in now.variables else "wait_no_replica"
        for name, value in wanted.items():
            execute(conn, now.set(slave if name == "patient" else name, value))

    def _undo(self) -> None:
        """Lets go again, if that is possible. If it is not, the server's timeout does; the range is still open."""
        with suppress(SystemUnavailable, SystemStopped), self._at_work() as conn:  # what is raised already tells more
            seen = self._see(conn)
            self._set(conn, seen, enabled="OFF")
            if _open(seen) is None:
                self._begin(conn, self._since(seen), "arming was given up", "engine", stays=False)

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise self._unarmed("duolog is being stopped")

    def _unarmed(self, why: str) -> SystemUnavailable:
        return SystemUnavailable(
            f"commits do not wait for the other systems: {why}", system=self.system, mend=KEEPS_TRYING
        )

    # ------------------------------------------------------------ the connection

    @contextmanager
    def _at_work(self) -> Iterator[Connection]:
        """The connection, opened if there is none. Errors of the driver leave as ours; a broken one is hung up."""
        with self._lock:
            try:
                if self._conn is None or not self._conn.open:
                    self._conn = connect(self.system, self._url, application_name="duolog switch")
                    self._conn._read_timeout = answer_s
                yield self._conn
            except (pymysql.MySQLError, OSError) as error:
                if self._conn is not None and not self._conn.open:
                    self._hang_up()
                if error_number(error) == _NO_TABLE:
                    raise NotSetUp(
                        f"there is no table `{'.'.join(ranges.TABLE)}`", system=self.system, mend="`duolog setup RULES`"
                    ) from None
                raise translate(error, self.system) from None

    def _hang_up(self) -> None:
        if self._conn is not None and self._conn.open:
            self._conn._force_close()
        self._conn = None


def _open(seen: Look) -> Mapping[str, str | None] | None:
    """The range that is open."""
    return next((row for row in seen.rows if row["until_position"] is None), None)


def _last(seen: Look) -> Mapping[str, str | None]:
    """The last range that is over; empty: none is."""
    return next((row for row in seen.rows if row["until_position"] is not None), {})


def _others(seen: Look) -> bool:
    """True if others' answers are enough for a commit to return."""
    return seen.settings.clients - seen.reading >= seen.settings.needed
