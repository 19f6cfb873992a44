"""The errors of duolog: one tree, each with a code, what happened in words, and the mend.

A message never carries a password or a row's content. `code` is stable and documented in `docs/errors.md`.
"""

from __future__ import annotations

from typing import ClassVar


class DuologError(Exception):
    """Something duolog cannot go on with."""

    code: ClassVar[str] = "D000"

    def __init__(self, found: str, *, system: str = "", mend: str = "") -> None:
        """`found`: what is wrong, in words; `system`: where; `mend`: what to do about it, the exact SQL if there is
        one."""
        super().__init__(found)
        self.found = found
        self.system = system
        self.mend = mend

    def __str__(self) -> str:
        where = f"{self.system}: " if self.system else ""
        mend = f"\n  mend: {self.mend}" if self.mend else ""
        return f"{self.code} {where}{self.found}{mend}"


class SystemUnavailable(DuologError):
    """A system cannot be reached, or its connection broke. Retried for ever, with growing pauses."""

    code = "D100"


class SystemStopped(DuologError):
    """A system must not be read or written until a person has done something. Never retried by itself."""

    code = "D200"


class WrongServer(SystemStopped):
    """The server, database or timeline behind an address is not the one whose positions are in the store."""

    code = "D201"


class SlotMissing(SystemStopped):
    """The replication slot that holds our position is gone: changes may be lost."""

    code = "D202"


class SlotLost(SystemStopped):
    """The server has given up the log that our slot needed (`wal_status = lost`)."""

    code = "D203"


class SlotBusy(SystemUnavailable):
    """Another process is reading our slot. Retried: the server may not have noticed yet that the former reader died."""

    code = "D204"


class StoreBehind(SystemStopped):
    """The server knows of more than the store does: its slot was confirmed, or its ledger written, by a newer one."""

    code = "D205"


class PositionForeign(SystemStopped):
    """The position in the store lies beyond the server's log: the database was restored from a backup."""

    code = "D206"


class PublicationMissing(SystemStopped):
    """The publication is gone, or a bound table is not in it."""

    code = "D207"


class NotSetUp(SystemStopped):
    """Something that `duolog setup` makes (ledger, origin, slot, publication) is not there."""

    code = "D208"


class TableTruncated(SystemStopped):
    """A user emptied a bound table with TRUNCATE. duolog never turns that into a mass deletion by itself."""

    code = "D209"


class SchemaChanged(SystemStopped):
    """A bound table no longer has a bound column, or the key, that the rules name."""

    code = "D210"


class AccessDenied(SystemStopped):
    """The role lacks a right that it needs, or cannot log in."""

    code = "D211"


class LogLost(SystemStopped):
    """The server no longer has the log that follows the position in the store: it was purged."""

    code = "D212"


class LogReset(SystemStopped):
    """The server began its log anew, or has another one: the position in the store means nothing in it."""

    code = "D213"


class LogIncomplete(SystemStopped):
    """The log does not tell, row by row and whole, what was done to a bound table."""

    code = "D214"


class LogUnreadable(SystemStopped):
    """The log has something that this duolog cannot read, or the server cannot send."""

    code = "D215"


class ReaderBusy(SystemUnavailable):
    """Another reader of the log came under our number, and the server hung up on us. Retried."""

    code = "D216"


class CaptureStopped(SystemUnavailable):
    """Nobody carries changes from the database's log into its change tables: a job, or SQL Server's Agent, is stopped.
    Retried."""

    code = "D217"


class CaptureMissing(SystemStopped):
    """Changes are not captured, or were begun to be captured anew after our position: some were not kept."""

    code = "D218"


class WireError(DuologError):
    """Bytes from a server that do not follow its documented protocol."""

    code = "D300"

    def __init__(self, expected: str, offset: int, *, system: str = "") -> None:
        """`expected`: what should have stood there; `offset`: in bytes, from the start of the message."""
        super().__init__(f"at byte {offset}: {expected}", system=system)
        self.offset = offset
        self.expected = expected


class ValueRefused(DuologError):
    """A value has no counterpart on the other side of a mapping. Its record waits in quarantine; the rest flows."""

    code = "D400"


class StoreBusy(DuologError):
    """Another engine is running on this store."""

    code = "D500"


class StoreUnfit(DuologError):
    """The store cannot be used: unreadable, of a newer version, of another rule set, or not writable."""

    code = "D501"


class StoreMissing(StoreUnfit):
    """There is no store yet: no engine has ever run on these rules."""

    code = "D502"


class WrongStage(StoreUnfit):
    """What is asked for does not fit how far the first merge has come: found but not accepted, or agreed already."""

    code = "D503"


class Fenced(DuologError):
    """Another worker has taken over what this one was doing. It writes nothing any more, and goes on with the rest."""

    code = "D504"


class EngineFault(DuologError):
    """duolog contradicts itself: a defect. It stops rather than guess."""

    code = "D900"
