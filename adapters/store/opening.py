"""Turns an address into a place with the right tables: makes them, brings older ones forward, or refuses what is there.

It never changes a store of a newer format or of another rule set, and never makes or changes one unasked: only the
engine asks for that, not a command that reads.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from adapters.store.place import Place, told
from adapters.store.postgresql import PostgresSchema
from adapters.store.requests import make_inbox
from adapters.store.schema import FORMAT, PUT_META, desk, entry, meta, tables
from adapters.store.sqlite import SqliteFile
from engine.errors import StoreMissing, StoreUnfit


def open_place(url: str, *, name: str, create: bool, part: str | None = None) -> Place:
    """The place at `url`, holding a store of the rule set `name` in our format; `create`: it may be made, or brought
    forward. Raises StoreUnfit."""
    place = find_place(url, part)
    if not place.exists():
        if not create:
            raise _missing(place)
        place.create()
    with told(place.where):
        if _is_empty(place):
            if not create:
                raise _missing(place)  # an engine that is just starting has made the file, and no table yet
            _make_tables(place, name)
        with place.connect(writing=False) as reading:
            older = _judge(place.where, reading, name, older_too=create)
        if older:
            _bring_forward(place)
        if create:
            with place.connect(writing=False) as reading, place.inbox() as asking:
                make_inbox(asking, reading)
    return place


def find_place(url: str, part: str | None = None) -> Place:
    """The kind of place that `url` names; of several, `part`. Raises StoreUnfit for any other."""
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise StoreUnfit("the store's address is not one that can be read", mend=_MEND_ADDRESS) from error
    if address.get_backend_name() == "postgresql":
        return PostgresSchema(url, part)
    if part is not None:
        raise StoreUnfit("workers need a store on PostgreSQL", mend="store: postgresql://user@host/database")
    if address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:"):
        return SqliteFile(str(address.database))
    raise StoreUnfit(f"a store cannot live in `{address.drivername}`", mend=_MEND_ADDRESS)


def _missing(place: Place) -> StoreMissing:
    return StoreMissing(f"{place.where}: there is no store yet", mend="`duolog run` makes it")


def _is_empty(place: Place) -> bool:
    """True if there is no table at all; only then may we make ours."""
    with place.connect(writing=False) as reading:
        return not inspect(reading).get_table_names()


def _make_tables(place: Place, name: str) -> None:
    """Makes all tables in one transaction, unless another process has just done so."""
    with place.connect(writing=True) as writing:
        place.begin(writing)
        if not inspect(writing).get_table_names():
            tables.create_all(writing)
            desk.create_all(writing)
            place.insert(writing, PUT_META, [("format", str(FORMAT)), ("rules", name)])
        place.end(writing, 0)


def _bring_forward(place: Place) -> None:
    """Adds to a store of format 1 what it lacks, in one transaction, unless another process has just done so."""
    with place.connect(writing=True) as writing:
        place.begin(writing)
        tables.create_all(writing, tables=[entry])
        place.insert(writing, PUT_META, [("format", str(FORMAT))])
        place.end(writing, 0)


def _judge(where: str, reading: Connection, name: str, *, older_too: bool) -> bool:
    """True if the tables are of an older format, which is refused unless `older_too`. Raises StoreUnfit unless they are
    of a format that we know and of the rule set `name`."""
    if not inspect(reading).has_table(meta.name):
        raise StoreUnfit(f"{where}: not a store of duolog", mend="correct the address")
    named = {row.name: row.value for row in reading.execute(select(meta))}
    format_found = int(named.get("format", "0"))
    older = 1 <= format_found < FORMAT
    if format_found != FORMAT and not (older and older_too):
        raise StoreUnfit(
            f"{where}: the store has format {format_found}, this duolog knows format {FORMAT}",
            mend="`duolog run` brings it forward" if older else "start the newer duolog that wrote it",
        )
    if named.get("rules") != name:
        raise StoreUnfit(
            f"{where}: the store belongs to the rule set `{named.get('rules')}`, not to `{name}`",
            mend="correct the address, or the rule set's name",
        )
    return older


_MEND_ADDRESS = "use sqlite:////folder/file.db or postgresql+psycopg://user@host/database"
