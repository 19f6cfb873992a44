"""Finds which of the rows that were sent somebody else has locked, and takes the locks of the others.

A lock that is asked for with a timeout of 0 is refused at once and never stands in the queue. SKIP LOCKED, too, leaves
out what is locked, but MariaDB puts its request in the queue first and takes it back then: a user who asks in that
moment for a row of ours is told that there is a deadlock, and may be its victim (decision 0045: 5 of 26,000
transactions of a user who crossed ours). So rows are asked for one after the other, and at a lock it is found out which
row that was. What is found is left out of the statements with SKIP LOCKED that follow (`FREE`); those then meet no
lock, but for a row that has come into being since, and for what is locked beyond `met_max` rows.

Nothing is waited for, and nothing is read but ordinals.
"""

from __future__ import annotations

from typing import Final

import pymysql

from adapters.mariadb.refusals import LOCK_TIMEOUT
from adapters.mariadb.sending import Sending
from adapters.mariadb.session import error_number

met_max: Final = 16
"""So many locked rows are found one by one, with two round trips each."""

_LAST: Final = "@duolog_last"
"""The ordinal of the last row that was locked."""
_AFTER: Final = "@duolog_after"
_BUSY: Final = "@duolog_busy"

FREE: Final = f"NOT FIND_IN_SET(u.ord, {_BUSY})"
"""The condition that a row `u` is none of those that were found."""


def find(sending: Sending, rows: str) -> None:
    """Locks `rows` (what stands behind FROM: the rows `u` that were sent, in their order, with those they find) but
    for those that somebody else has locked, of which `FREE` knows from then on. Raises pymysql.MySQLError, also if it
    is a table that is locked."""
    found: list[int] = []
    after = 0
    while len(found) < met_max:
        sending.send(f"SET {_LAST} = {after}, {_AFTER} = {after}")
        try:
            sending.ask(f"SELECT MAX({_LAST} := u.ord) FROM {rows} WHERE u.ord > {_AFTER} FOR UPDATE")
            break
        except pymysql.MySQLError as error:
            if error_number(error) != LOCK_TIMEOUT:
                raise
            met = _met(sending, rows)
            if met == after:
                raise  # not even the first could be asked for
        if met is None:
            break
        found.append(met)
        after = met
    know(sending, found)


def know(sending: Sending, found: list[int]) -> None:
    """Has `FREE` leave out the rows with these ordinals."""
    sending.send(f"SET {_BUSY} = '{','.join(map(str, found))}'")


def _met(sending: Sending, rows: str) -> int | None:
    """The ordinal at which the last statement met a lock: that of the last row it got, if that finds several rows of
    which one is locked; otherwise the next that finds any. None: what is locked there cannot be seen yet."""
    last = sending.send(f"SELECT {_LAST}")
    sending.send(f"SELECT COUNT(*) FROM {rows} WHERE u.ord = {_LAST} AND u.ord > {_AFTER} FOR UPDATE")
    following = sending.send(f"SELECT MIN(u.ord) FROM {rows} WHERE u.ord > {_LAST}")
    try:
        told = following.ask().rows[0][0]
    except pymysql.MySQLError as error:
        if error_number(error) != LOCK_TIMEOUT or last.answer is None:
            raise
        told = last.answer.rows[0][0]
    return None if told is None else int(told)
