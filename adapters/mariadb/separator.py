"""Turns what a server tells of the end of its binlog into a position, and what it knows to be in the log by then.

MariaDB's status counts what has been committed in the storage engine too: a change before that position can be seen by
everybody, and under a row's lock every earlier change of that row is before it. No right is needed to ask for it.
MySQL has only the end of the file, which may be a moment ahead of what can be seen.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.mariadb.positions import file_number, number
from adapters.mariadb.sending import Sending
from engine.vocabulary import Position

End = tuple[Position, str]
"""(the end of the log, GTIDs: see `ledger.COLUMNS`)"""


def send(sending: Sending) -> Callable[[], End]:
    """Asks for the end of the log at the moment when the server comes to it. The answer raises pymysql.MySQLError."""
    if sending.conn.server.flavour == "mysql":
        words = "BINARY LOG STATUS" if sending.conn.server.version >= (8, 2, 0) else "MASTER STATUS"
        shown = sending.send(f"SHOW {words}")

        def of_mysql() -> End:
            file, offset, _, _, executed = shown.ask().rows[0]
            return number(file_number(file), int(offset)), "".join(executed.split())

        return of_mysql
    status = sending.send("SHOW SESSION STATUS LIKE 'Binlog_snapshot_%'")
    known = sending.send("SELECT @@gtid_binlog_pos")

    def of_mariadb() -> End:
        told = {name.lower(): value for name, value in status.ask().rows}
        position = number(file_number(told["binlog_snapshot_file"]), int(told["binlog_snapshot_position"]))
        return position, known.ask().rows[0][0]

    return of_mariadb
