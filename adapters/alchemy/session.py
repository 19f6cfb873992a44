"""Turns an address into a connection of SQLAlchemy's on which every value prints the same text, and its errors into
ours.

Transactions begin and end where we say it. No password leaves it in a message, and no message of a driver's that may
quote a row: what was refused is told by what kind of refusal it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy import file
from adapters.alchemy.abilities import Abilities, abilities, by_odbc
from adapters.alchemy.file import OpenFile
from adapters.alchemy.refusals import Meaning, code, meaning
from adapters.odbc import address as odbc_address
from adapters.odbc import connecting as odbc
from adapters.odbc.refusals import is_odbc, refused_to_connect
from engine.errors import (
    AccessDenied,
    DuologError,
    SchemaChanged,
    SystemStopped,
    SystemUnavailable,
    ValueRefused,
)

Prepare: TypeAlias = "Callable[[sa.Connection], None]"
"""What else a session is told that writes: so that its transactions are known in the log. Commits nothing."""

KEEPS_TRYING: Final = "none needed if it passes: duolog keeps trying"
READ: Final = "read"
WRITE: Final = "write"


class Session:
    """One connection. `can`: what its dialect can do."""

    def __init__(self, system: str, url: str, conn: sa.Connection, engine: sa.Engine, can: Abilities) -> None:
        self.system = system
        self.url = url
        self.conn = conn
        self.can = can
        self._engine = engine

    @property
    def dialect(self) -> sa.Dialect:
        """SQLAlchemy's."""
        return self.conn.dialect

    @property
    def name(self) -> str:
        """The dialect's name."""
        return self.conn.dialect.name

    def rollback(self) -> None:
        """Ends the transaction, if there is one. Raises sqlalchemy.exc.DBAPIError."""
        self.conn.rollback()

    def close(self) -> None:
        """Hangs up, whatever is still to come."""
        try:
            if not self.conn.closed and not self.conn.invalidated:
                self.conn.invalidate()
            self.conn.close()
        except (exc.SQLAlchemyError, OSError):  # it may have been lost before
            pass
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction of its own, for a question or two. Raises sqlalchemy.exc.DBAPIError."""
        with self.conn.begin():
            yield self.conn


def url_of(url: str, system: str = "") -> sa.URL:
    """The address as SQLAlchemy has it, its driver named. One of ODBC that does not say which database it is leads to a
    connection, once, that asks. Raises AccessDenied, without quoting it; SystemUnavailable."""
    try:
        made = sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise AccessDenied(
            "the address is not one that SQLAlchemy understands", system=system,
            mend="write it as dialect://user@host:port/database, special characters percent-encoded",
        ) from None  # fmt: skip
    if made.drivername == odbc_address.SCHEME:
        return odbc.resolved(made, system)
    driver = abilities(made.drivername).driver
    return made.set(drivername=f"{made.drivername}+{driver}") if driver and "+" not in made.drivername else made


def connect(system: str, url: str, *, purpose: str = READ, prepare: Prepare | None = None) -> Session:
    """Connects. `purpose`: WRITE where a writer has the whole database, and is to have it from the beginning.

    Raises SystemUnavailable, AccessDenied."""
    address = url_of(url, system)
    can = _can(address, system)
    try:
        given = {**_isolation(can), **_by_odbc(address, system, purpose)}
        engine = sa.create_engine(address, poolclass=sa.NullPool, hide_parameters=True, **given)
        _listen(engine, can, purpose, file.at(address.database, system) if can.being == "file" else None)
        conn = engine.connect()
    except exc.NoSuchModuleError:
        raise _no_driver(address, system) from None
    except ModuleNotFoundError as missing:
        raise _no_driver(address, system, missing.name or "") from None
    except exc.DBAPIError as error:
        raise translate_connect(error, system, address) from None
    made = Session(system, url, conn, engine, can)
    try:
        with conn.begin():
            if prepare is not None:
                prepare(conn)
    except exc.DBAPIError as error:
        made.close()
        raise translate(error, system) from None
    return made


def _isolation(can: Abilities) -> dict[str, Any]:
    return {"isolation_level": can.isolation} if can.isolation is not None else {}


def _can(address: sa.URL, system: str) -> Abilities:
    can = abilities(address.get_backend_name())
    return by_odbc(can, odbc.driver_behind(address, system)) if _is_odbc(address) else can


def _is_odbc(address: sa.URL) -> bool:
    return address.drivername.partition("+")[2] == odbc.DRIVER


def _by_odbc(address: sa.URL, system: str, purpose: str) -> dict[str, Any]:
    """Who opens the connection, where that is pyodbc. Whoever reads streams: a large table never fills the memory."""
    if not _is_odbc(address):
        return {}
    return {"creator": odbc.connector(address, system, streaming=purpose == READ)}


def _listen(engine: sa.Engine, can: Abilities, purpose: str, opened: OpenFile | None) -> None:
    """Has every connection told what `can.session` says; where transactions are not begun for us, begins them: in the
    file that was opened, where it is one."""

    def connected(wire: Any, _: Any) -> None:
        if can.locking == "whole":
            wire.isolation_level = None  # the driver would begin transactions where it thinks right
        cursor = wire.cursor()
        for statement in can.session:
            cursor.execute(statement)
        cursor.close()
        if can.locking != "whole":
            wire.commit()

    sa.event.listen(engine, "connect", connected)
    if can.locking == "whole":

        def begin(conn: sa.Connection) -> None:
            if opened is not None:
                opened.check()
            if purpose == WRITE:
                file.begin_to_write(conn)
            else:
                conn.exec_driver_sql("BEGIN")

        sa.event.listen(engine, "begin", begin)


def translate_connect(error: exc.DBAPIError, system: str, address: sa.URL) -> DuologError:
    """A failure to connect, as one of ours."""
    if is_odbc(error.orig):
        return refused_to_connect(error.orig, odbc_address.address(address, system), system, odbc.drivers())
    said = " ".join(str(error.orig).split())
    if address.password:
        said = said.replace(str(address.password), "********")
    if meaning(error) in (Meaning.DENIED,) or "authentication failed" in said or "does not exist" in said:
        return AccessDenied(said, system=system, mend="check user, password and database name in the address")
    return SystemUnavailable(said, system=system, mend=KEEPS_TRYING)


def translate(error: exc.DBAPIError, system: str) -> DuologError:
    """An error of a statement or a connection in use, as one of ours. No value of a row is ever quoted."""
    number = code(error)
    said = f"{type(error.orig).__name__} ({number})" if number else type(error.orig).__name__
    match meaning(error):
        case Meaning.GONE:
            return SystemUnavailable(f"the connection was lost: {said}", system=system, mend=KEEPS_TRYING)
        case Meaning.BLOCKED | Meaning.LOST:
            return SystemUnavailable(f"somebody else holds a lock: {said}", system=system, mend=KEEPS_TRYING)
        case Meaning.DENIED:
            return AccessDenied(f"{said}: {_named(error)}", system=system, mend="`duolog check` tells what is missing")
        case Meaning.CHANGED:
            return SchemaChanged(f"{said}: {_named(error)}", system=system, mend="`duolog check` tells what changed")
        case Meaning.REFUSED:
            return ValueRefused(said, system=system)
        case _:
            return SystemStopped(said, system=system, mend="see the database's log for this error")


def _named(error: exc.DBAPIError) -> str:
    """The driver's words, which at these errors hold names of things only; one line of them."""
    return " ".join(str(error.orig).split("\n")[0].split())


def _no_driver(address: sa.URL, system: str, module: str = "") -> AccessDenied:
    wanted = module or address.get_backend_name()
    return AccessDenied(
        f"there is no Python module `{wanted}` for addresses that begin with `{address.drivername}`", system=system,
        mend="install the driver into duolog's environment: pip install oracledb, pyodbc or ibm_db_sa",
    )  # fmt: skip
