"""Turns `commit: synchronous` into PostgreSQL's own switch: whether commits wait for our reader, who waits, since when.

The contract is `relational.switch`. The switch is `synchronous_standby_names`, which is the whole server's; our reader
stands first in it, under the name of its slot, and others stay named (`setting`). It never waits for itself: all
sessions here commit locally. When to arm and when to let go, the service decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from adapters.postgresql import degraded as ranges
from adapters.postgresql import session, setting
from adapters.postgresql.probe import Probe
from adapters.postgresql.session import lsn_number
from adapters.postgresql.standbys import ANYBODY, Standbys
from adapters.relational.switch import Degraded, SwitchState, Withholding
from engine.errors import AccessDenied, NotSetUp, SystemStopped, SystemUnavailable
from engine.vocabulary import Position

TIMEOUT: Final = "SET statement_timeout = '5s'"
"""Whatever holds one of our own small statements, a watchdog must not hang with it."""
armed_within_s: Final = 10.0
"""So long a server may take until it is seen that commits wait."""
hold_s: Final = 0.5
"""For so long at a time users are held back for that."""
answered_within_s: Final = 1.0
"""So long a proof's own commit is waited for afterwards; then it is left to be answered with the others."""
_look_every_s: Final = 0.002

LOOK: Final = """
SELECT current_setting('synchronous_standby_names') AS names, to_jsonb(s) AS slot,
       (SELECT to_jsonb(w) FROM pg_stat_replication w WHERE w.pid = s.active_pid) AS reader,
       (SELECT count(*) FROM pg_stat_replication o
         WHERE o.sync_priority > 0 AND o.state = 'streaming' AND o.pid IS DISTINCT FROM s.active_pid) AS others,
       ARRAY(SELECT a.pid || ' ' || coalesce(a.xact_start, a.query_start)::text FROM pg_stat_activity a
             WHERE a.wait_event = 'SyncRep') AS waiting,
       (SELECT to_jsonb(d) || jsonb_build_object('since_s', extract(epoch FROM d.since_at), 'version', d.xmin::text)
          FROM duolog.degraded d WHERE d.engine = %(engine)s AND d.until_position IS NULL) AS degraded,
       to_jsonb(e) AS ended, (SELECT w.backend_start > e.until_at FROM pg_stat_replication w
                               WHERE w.pid = s.active_pid) AS came_later,
       pg_has_role('pg_read_all_stats', 'USAGE') AS may_see, pg_current_wal_flush_lsn()::text AS log_end
FROM (VALUES (1)) AS one LEFT JOIN pg_replication_slots s ON s.slot_name = %(slot)s
LEFT JOIN LATERAL (SELECT * FROM duolog.degraded d WHERE d.engine = %(engine)s AND d.until_position IS NOT NULL
                    ORDER BY d.until_at DESC LIMIT 1) AS e ON true
"""
"""The log's end comes last: the commits of those who wait end before it."""

SETUP: Final = "`duolog setup RULES`"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one query told."""

    names: Standbys
    slot: dict[str, Any] | None
    reader: dict[str, Any] | None
    """Our walsender's row of pg_stat_replication."""
    others: int
    """Standbys beside us that are connected and named."""
    waiting: list[str]
    degraded: dict[str, Any] | None
    ended: dict[str, Any]
    """The last range that is over; empty: none is."""
    came_later: bool
    """Our reader connected when that range was over: it was away meanwhile."""
    end: Position

    @property
    def pid(self) -> int:
        """The process that our reader reads from; 0: it does not read."""
        return int(self.reader["pid"]) if self.reader is not None and self.reader["state"] == "streaming" else 0

    @property
    def confirmed(self) -> Position:
        """What the slot knows to be delivered."""
        return lsn_number((self.slot or {}).get("confirmed_flush_lsn") or "0/0")

    def told(self, column: str) -> Position:
        """What our reader told, by a column of pg_stat_replication; 0: nothing."""
        return lsn_number((self.reader or {}).get(column) or "0/0")

    @property
    def armed_at(self) -> Position:
        """Where the last range ended."""
        return lsn_number(self.ended.get("until_position") or "0/0")

    @property
    def readable(self) -> bool:
        """The slot is there, and has the log that it needs."""
        slot = self.slot
        if slot is None or slot.get("wal_status") == "lost":
            return False
        return not slot.get("invalidation_reason") and not slot.get("conflicting")


class PostgresSwitch:
    """The switch of one PostgreSQL database (see `relational.switch.Switch`), with a connection of its own.

    `slot`: our reader's, which bears its name; `engine`: whose ranges of `duolog.degraded` are ours. Used by one
    thread, but for `close`."""

    def __init__(self, system: str, url: str, *, slot: str, engine: str) -> None:
        self.system = system
        self._url = url
        self._slot = slot
        self._engine = engine
        self._conn: psycopg.Connection[Any] | None = None
        self._lock = threading.RLock()
        """Held by whoever is at work."""
        self._closing = threading.Event()
        self._first_seen: dict[str, tuple[float, Position]] = {}
        """When a waiting session was first seen, and the log's end then."""
        self._sure: Position = 0
        """Delivered, while everything was in order when it was last looked at."""
        self._missed: Position = 0
        """After here commits returned without us, as our reader was away and others stood in; 0: none did."""

    def look(self) -> SwitchState:
        """How it stands, by one query. Where commits cease to wait though nobody of ours let go, that is recorded."""
        with self._at_work() as conn:
            seen = self._see(conn)
            if seen.degraded is None and not seen.names.name(self._slot) and self._is_unnamed():
                self._record(conn, seen, f"`{setting.NAME}` was changed by hand", "server", stays=False)
                seen = self._see(conn)
            return self._state(seen)

    def arm(self, withholding: Withholding) -> Position:
        """Puts us into the setting, proves that commits wait, and ends the open range there. 0: a person wants it to
        stay off, and nothing was done.

        Raises SystemUnavailable if it could not be done now (then all is as it was before), SystemStopped."""
        with self._at_work() as conn:
            seen = self._see(conn)
            if seen.degraded is not None and seen.degraded["stays"]:
                return 0
            if seen.degraded is None and seen.names.name(self._slot):
                return seen.armed_at
            self._may_arm(seen)
            row = seen.degraded or self._record(conn, seen, f"`{setting.NAME}` was changed by hand", "server")
            others = str(seen.names.without(self._slot))
            try:
                others = setting.put_in(conn, self.system, self._slot)
                until = self._prove(conn, withholding)
                ended = {"until": session.lsn_text(until), "others": others, "version": row["version"]}
                if conn.execute(ranges.END.encode(), {"engine": self._engine, **ended}).fetchone() is None:
                    raise self._unarmed("somebody let go meanwhile")
            except BaseException:
                self._undo(others)
                raise
            self._sure, self._missed = until, 0
            return until

    def release(self, why: str, by: str, *, stays: bool = False) -> Degraded:
        """Records the range, takes us out of the setting, and waits until that is in force.

        Raises NotSetUp if there was nowhere to record it: then, too, everybody has been let go."""
        with self._at_work() as conn:
            try:
                seen = self._see(conn, waiting=False)
            except psycopg.errors.UndefinedTable:
                setting.take_out(conn, self.system, self._slot)
                raise
            row = self._record(conn, seen, why, by, stays=stays)
            setting.take_out(conn, self.system, self._slot, seen.ended.get("others"))
            if self._see(conn, waiting=False).degraded is None:  # it was being armed, and was ended between the two
                row = self._record(conn, seen, why, by, stays=stays)
            self._missed = 0
            return ranges.degraded(row)

    def allow(self) -> bool:
        """Ends `stays`; False if there was nothing to end."""
        with self._at_work() as conn:
            return conn.execute(ranges.ALLOW.encode(), {"engine": self._engine}).fetchone() is not None

    def history(self) -> list[Degraded]:
        """All ranges, the latest first."""
        with self._at_work() as conn:
            rows = conn.execute(ranges.HISTORY.encode(), {"engine": self._engine}).fetchall()
            return [ranges.degraded(row) for (row,) in rows]

    def close(self) -> None:
        """Hangs up. Any thread may: an `arm` under way is given up, and what it did undone."""
        self._closing.set()
        with self._lock:
            self._closing.clear()
            self._hang_up()

    # ------------------------------------------------------------ looking

    def _see(self, conn: psycopg.Connection[Any], *, waiting: bool = True) -> _Seen:
        """Looks; with `waiting` only where our role can see who waits. Raises psycopg.Error, SystemStopped."""
        row = conn.execute(LOOK.encode(), {"slot": self._slot, "engine": self._engine}).fetchone()
        assert row is not None
        names, slot, reader, others, waiters, degraded, ended, came_later, may_see, end = row
        if waiting and not may_see:
            role = sql.Identifier(conn.info.user).as_string()
            said = f"the role `{conn.info.user}` may not see who waits"
            raise AccessDenied(said, system=self.system, mend=f"GRANT pg_read_all_stats TO {role};")
        return _Seen(
            setting.understood(names, self.system), slot, reader, others, waiters, degraded,
            ended or {}, bool(came_later), lsn_number(end),
        )  # fmt: skip

    def _state(self, seen: _Seen) -> SwitchState:
        named = seen.names.name(self._slot)
        stood_in = named and seen.names.stand_in(self._slot, seen.others)
        reading = seen.pid != 0
        if named and seen.degraded is None:
            reading = self._follow(seen, stood_in=stood_in)
        now = time.monotonic()
        waits = self._waits(seen, now) if named else []
        return SwitchState(
            armed=named,
            reading=reading,
            readable=seen.readable,
            waiting=len(waits),
            longest_s=max((now - since for since in waits), default=0.0),
            delivered=max(seen.confirmed, seen.told("replay_lsn")),
            end=seen.end,
            degraded=None if seen.degraded is None else ranges.degraded(seen.degraded),
            stood_in=stood_in,
        )

    def _follow(self, seen: _Seen, *, stood_in: bool) -> bool:
        """True if our reader reads, and, where others stand in for it, never was away since we were armed."""
        reading = seen.pid != 0
        if stood_in and (not reading or seen.came_later):
            self._missed = self._missed or self._sure or seen.armed_at
        if not self._missed:
            self._sure = max(self._sure, seen.confirmed)
        return reading and not self._missed

    def _waits(self, seen: _Seen, now: float) -> list[float]:
        """When each session that waits for us was first seen. Where others are named, too, one that we have answered
        waits for them."""
        self._first_seen = {each: self._first_seen.get(each, (now, seen.end)) for each in seen.waiting}
        told = min(seen.told("write_lsn"), seen.told("flush_lsn")) if seen.pid else 0
        alone = len(seen.names.names) == 1
        return [since for since, end in self._first_seen.values() if alone or told < end]

    def _is_unnamed(self) -> bool:
        """Whether a new session, too, finds us unnamed: this one may not have read the settings again yet."""
        conn = session.connect(self.system, self._url, application_name="duolog switch")
        try:
            return not setting.current(conn, self.system).name(self._slot)
        finally:
            conn.close()

    # ------------------------------------------------------------ recording

    def _record(
        self, conn: psycopg.Connection[Any], seen: _Seen, why: str, by: str, *, stays: bool = False
    ) -> dict[str, Any]:
        """Opens a range where we are sure that all before it waited, or answers the open one; its row."""
        since = seen.confirmed if seen.slot is not None else max(self._sure, seen.armed_at)
        if self._missed:
            since = min(since, self._missed)
        if not seen.names.name(self._slot):
            since = min(since, self._sure or seen.armed_at)
        given = {"engine": self._engine, "since": session.lsn_text(since), "why": why, "by": by, "stays": stays}
        row = conn.execute(ranges.OPEN.encode(), given).fetchone()
        assert row is not None
        made: dict[str, Any] = row[0]
        return made

    # ------------------------------------------------------------ arming

    def _may_arm(self, seen: _Seen) -> None:
        if not seen.readable:
            raise self._unarmed(f"the slot `{self._slot}` is gone, or has lost its log")
        if not seen.pid:
            raise self._unarmed("our reader does not stream")
        if ANYBODY in seen.names.names:
            raise SystemStopped(
                f"`{setting.NAME}` is `{seen.names}`: whoever connects could stand in for us",
                system=self.system,
                mend=f"name the standbys: ALTER SYSTEM SET {setting.NAME} = 'NAME'; SELECT pg_reload_conf();",
            )

    def _prove(self, conn: psycopg.Connection[Any], withholding: Withholding) -> Position:
        """Commits until one is seen to hang; answers a position after which all do."""
        deadline = time.monotonic() + armed_within_s
        probe = Probe(self.system, self._url)
        try:
            while time.monotonic() < deadline:
                names = setting.current(conn, self.system)
                if not names.name(self._slot):
                    raise self._unarmed("somebody let go meanwhile")
                with withholding():
                    until = self._hang(conn, probe, names)
                if until:
                    probe.return_within(answered_within_s, self._pause)
                    return until
                probe.return_within(max(0.0, deadline - time.monotonic()), self._pause)
                self._pause(_look_every_s)
        finally:
            probe.close()
        raise self._unarmed(f"no commit was seen to wait within {armed_within_s:g} s")

    def _hang(self, conn: psycopg.Connection[Any], probe: Probe, names: Standbys) -> Position:
        """One commit; 0 if it did not hang, or not for all of `names`."""
        probe.send()
        deadline = time.monotonic() + hold_s
        while not probe.returned() and time.monotonic() < deadline:
            until = probe.hangs(conn, names)
            if until:
                return until
            self._pause(_look_every_s)
        return 0

    def _undo(self, others: str) -> None:
        """Takes us out again, if that is possible. If it is not, commits wait, and the range is still open."""
        try:
            with self._at_work() as conn:
                setting.take_out(conn, self.system, self._slot, others)
        except (SystemUnavailable, SystemStopped):
            pass  # what is raised already tells more

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise self._unarmed("duolog is being stopped")

    def _unarmed(self, why: str) -> SystemUnavailable:
        return SystemUnavailable(
            f"commits do not wait for the other systems: {why}", system=self.system, mend=session.KEEPS_TRYING
        )

    # ------------------------------------------------------------ the connection

    @contextmanager
    def _at_work(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection, opened if there is none. Errors of the driver leave as ours; a broken one is hung up."""
        with self._lock:
            try:
                if self._conn is None or self._conn.broken or self._conn.closed:
                    self._conn = session.connect(self.system, self._url, application_name="duolog switch")
                    self._conn.execute(TIMEOUT)
                yield self._conn
            except psycopg.errors.UndefinedTable:
                raise NotSetUp(f"there is no table `{ranges.TABLE}`", system=self.system, mend=SETUP) from None
            except psycopg.Error as error:
                if self._conn is not None and (self._conn.broken or self._conn.closed):
                    self._hang_up()
                raise session.translate(error, self.system) from None

    def _hang_up(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
