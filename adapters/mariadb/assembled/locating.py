"""Turns the keys of records into SQL that locks their rows, and SQL that then reads all rows that may count.

Pure. Of a part, all rows are locked that are joined to the record, not only the one that counts, as a change of another
may make that one count. A row that is added can be locked by nobody; but it takes a shared lock on the row that its
foreign key points at, and FOR UPDATE, the only lock that is taken here, waits for that too. MariaDB has no `FOR UPDATE
OF`: with the rows of a part, those that it is joined through are locked again, which are ours already.

The rows `u` of all statements are the root's keys, one column each.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.mariadb.assembled.belonging import alias, chain, condition, joined, live
from adapters.mariadb.busy import FREE
from adapters.mariadb.phrases import comma, given, key_matches, lettered, printed, quoted
from adapters.relational.assembled.places import Place


def lock(places: Sequence[Place], at: int) -> str:
    """Locks all rows of a part that are joined to the records; waits for them. Answers their number."""
    return f"SELECT COUNT(*) FROM {found(places, at)} FOR UPDATE"


def free(places: Sequence[Place], at: int) -> str:
    """Locks those of the same rows that nobody else has locked (`busy.find` goes before). Answers (ordinal of the
    record, key of the row)."""
    return f"{there(places, at)} WHERE {FREE} FOR UPDATE SKIP LOCKED"


def there(places: Sequence[Place], at: int) -> str:
    """Answers (ordinal of the record, key of the row) of all of them."""
    key = comma(printed(column, alias(at)) for column in live(places[at].key_columns()))
    return f"SELECT u.ord, {key} FROM {found(places, at)}"


def read(places: Sequence[Place], at: int) -> str:
    """Answers (ordinal of the record, columns of the row) of those rows of a part that may count."""
    place = places[at]
    listed = comma(printed(column, alias(at)) for column in live(place.columns))
    where = place.part.where if at else None
    belongs = condition(where, live(place.columns), alias(at)) if where is not None else None
    return f"SELECT u.ord, {listed} FROM {found(places, at)}" + (f" WHERE {belongs}" if belongs is not None else "")


def found(places: Sequence[Place], at: int) -> str:
    """The given keys `u`, their root rows `t`, and the rows by which those of a part are found, that part's too."""
    root = places[0]
    tables = [given(lettered("k", len(root.key)))]
    tables.append(f"{quoted(*root.table)} AS t ON {key_matches(live(root.key_columns()))}")
    for each in chain(places, [at])[1:]:
        table = f"{quoted(*places[each].table)} AS {alias(each)}{_by_index(places[each])}"
        tables.append(f"{table} ON {joined(places, each)}")
    return " STRAIGHT_JOIN ".join(tables)


def _by_index(place: Place) -> str:
    """Has rows found by an index if there is one. A small table would be read as a whole otherwise, and so be locked:
    rows that others have locked would be in the way of records that they are no rows of."""
    columns = live([place.columns[join.column] for join in place.part.joins])
    names = dict.fromkeys(name for column in columns for name in column.indexes)
    return f" FORCE INDEX FOR JOIN ({comma(map(quoted, names))})" if names else ""
