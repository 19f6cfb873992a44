"""Turns the words by which a server ends the reading of its log into one of our errors, with what is to be done.

Nothing is asked of the server here, and nothing tried again: the words are all there is. Its error 1236 means many
things, and only the text tells them apart.
"""

from __future__ import annotations

import pymysql

from adapters.mariadb import positions, resume, session, unlogged
from adapters.mariadb.binlog.frames import Failure
from adapters.mariadb.resume import LogFacts
from engine.errors import AccessDenied, DuologError, LogIncomplete, LogUnreadable, ReaderBusy, SystemStopped
from engine.vocabulary import Position


def failed(system: str, facts: LogFacts, told: Position, why: Failure, *, engine: str, server_id: int) -> DuologError:
    """Why reading ended. `told`: how far it had come; `engine`, `server_id`: who was reading."""
    said = why.said.lower()
    quoted = f"{why.said} (error {why.number}, after {positions.text(told)})"
    if "same server_uuid/server_id" in said or why.number == 1927:
        return _taken(system, quoted, engine, server_id)
    if why.number == 1236:
        return _fatal(system, facts, told, said, quoted)
    if why.number in (1227, 1045):
        return AccessDenied(quoted, system=system, mend="GRANT REPLICATION SLAVE ON *.* to the user of the address")
    error = session.translate(pymysql.err.OperationalError(why.number, why.said), system)
    return SystemStopped(quoted, system=system) if type(error) is SystemStopped else error


def _fatal(system: str, facts: LogFacts, told: Position, said: str, quoted: str) -> DuologError:
    if "could not find first log" in said:
        return resume.lost(system, facts, told)
    if "could not find next log" in said:
        return resume.reset(system, facts, told)
    if "impossible position" in said or "position > file size" in said:
        return resume.foreign(system, told, "less than that (error 1236)")
    if "server id was not set" in said or "server_id was not set" in said:
        mend = "SET GLOBAL server_id to a number of its own, and in its configuration"
        return LogIncomplete(quoted, system=system, mend=mend)
    if "binary log is not open" in said:
        mend = f"put `log_bin` into its configuration, start it again; then {unlogged.COMPARE}"
        return LogIncomplete(quoted, system=system, mend=mend)
    if "max_allowed_packet" in said:
        mend = (
            "SET GLOBAL max_allowed_packet = 1073741824; if it is that already, the log's file is damaged: "
            + unlogged.COMPARE
        )
        return LogUnreadable(f"the server cannot send an event: {quoted}", system=system, mend=mend)
    mend = f"see the server's error log; if the log's file is damaged: {unlogged.COMPARE}"
    return LogUnreadable(f"the server cannot read its log: {quoted}", system=system, mend=mend)


def _taken(system: str, quoted: str, engine: str, server_id: int) -> ReaderBusy:
    return ReaderBusy(
        f"the server ended our reading: {quoted}; another reader has our number {server_id}, or somebody ended the "
        "connection",
        system=system,
        mend=f"if it comes again: SHOW PROCESSLIST tells who else reads; end the second engine called `{engine}`",
    )
