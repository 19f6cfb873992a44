"""The judge: reads the databases row by row and says what is not as promised. It shares no code with the engine.

It knows only the tables' names (`schema.py`), what the users were told (`users.Told`), and the journal as `duolog
journal --json` prints it. Every judgement is a list of sentences; an empty one is what a test asks for.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from tests.engine_live.schema import EVENT, EVENT_FIELDS, FIELDS, THING, Names, table
from tests.engine_live.users import Told
from tests.ground import MARIADB, POSTGRESQL, SQLITE, Session, file_of, kind, quoted

SAID_MAX: Final = 10

MARK: Final = "(SELECT md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ctid)) FROM {})"
KEPT: Final = """
CREATE PUBLICATION tally FOR TABLE {tables};
SELECT pg_create_logical_replication_slot('tally_' || md5(current_database()), 'pgoutput')
"""
COUNTED: Final = """
SELECT chr(get_byte(data, 0)), ('x' || encode(substr(data, 2, 4), 'hex'))::bit(32)::bigint::oid, count(*)
FROM pg_logical_slot_peek_binary_changes(
    'tally_' || md5(current_database()), NULL, NULL, 'proto_version', '1', 'publication_names', 'tally')
GROUP BY 1, 2
"""
"""Of each message of the log its kind, and the table: in a message of another kind that is no table's number."""
TALLY: Final = """
CREATE TABLE IF NOT EXISTS tally (what text PRIMARY KEY, n integer NOT NULL DEFAULT 0);
INSERT INTO tally (what) VALUES ('{what}');
CREATE TRIGGER "{what}" AFTER {event} ON {table} FOR EACH ROW BEGIN
UPDATE tally SET n = n + 1 WHERE what = '{what}'; END
"""
HOW: Final = {UpdateRowsEvent: "updated", WriteRowsEvent: "inserted", DeleteRowsEvent: "deleted"}
READER_ID: Final = 4711
"""No other reader of a test's server has this one."""

Rows = dict[str, tuple[Any, ...]]


def read(address: str, names: Names, key: str, fields: Iterable[str]) -> Rows:
    """A whole table: by key, the values of these fields in their order."""
    with Session(address) as session:
        columns = ", ".join(quoted(session.kind, names[name]) for name in (key, *fields))
        query = f"SELECT {columns} FROM {quoted(session.kind, table(names, session.kind))}"  # noqa: S608 - quoted
        return {row[0]: tuple(row[1:]) for row in session.rows(query)}


def things(address: str, system: str) -> Rows:
    """All things of a system."""
    return read(address, THING[system], "code", FIELDS)


def events(address: str, system: str) -> Rows:
    """All events of a system."""
    return read(address, EVENT[system], "token", EVENT_FIELDS)


def differences(addresses: Mapping[str, str]) -> list[str]:
    """What is not the same in all systems, row by row."""
    said: list[str] = []
    for what, reading in (("thing", things), ("event", events)):
        rows = {system: reading(address, system) for system, address in addresses.items()}
        first, *others = rows
        for other in others:
            for key in sorted(rows[first].keys() | rows[other].keys()):
                ours, theirs = rows[first].get(key), rows[other].get(key)
                if ours != theirs:
                    said.append(f"{what} {key}: {first} has {ours}, {other} has {theirs}")
    return said[:SAID_MAX] + ([f"... {len(said)} in all"] if len(said) > SAID_MAX else [])


def lost(addresses: Mapping[str, str], told: Told) -> list[str]:
    """Transactions that a database confirmed, and that are not everywhere."""
    found = {system: set(events(address, system)) for system, address in addresses.items()}
    return [
        f"event {token}: confirmed to its user, and not in {system}"
        for system, tokens in found.items() for token in sorted(told.committed - tokens)
    ][:SAID_MAX]  # fmt: skip


def unexplained(
    address: str, system: str, journal: Iterable[Mapping[str, Any]], start: Mapping[str, Sequence[str | None]]
) -> list[str]:
    """Tokens that are neither current, nor overwritten by a user who saw them, nor in the journal as the loser; and
    tokens of a column with one writer that are not simply the last.

    `start`: what may stand in each field that nobody wrote. To be asked when all systems are equal."""
    overruled: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for entry in journal:
        for name, value in zip(entry["fields"], entry["lost"], strict=False):
            overruled[entry["key"], name].add(value)
    written: dict[tuple[str, str], set[str]] = defaultdict(set)
    seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for token, (thing, name, saw, _) in events(address, system).items():
        written[thing, name].add(token)
        seen[thing, name][saw] += 1
    said: list[str] = []
    for key, row in things(address, system).items():
        values = dict(zip(FIELDS, row, strict=True))
        for name in start:
            place, current = (key, name), values[name]
            tokens = written[place]
            said += [
                f"thing {key}.{name}: `{token}` is neither current, seen, nor in the journal"
                for token in sorted(tokens)
                if token != current and not seen[place][token] and token not in overruled[place]
            ]
            if current not in tokens and current not in start[name]:
                said.append(f"thing {key}.{name}: `{current}` was written by nobody")
            if name != "shared":
                said += _chain(f"thing {key}.{name}", seen[place], current, overruled[place] & tokens)
    return said[:SAID_MAX]


def _chain(place: str, seen: Counter[str], current: str, overruled: Iterable[str]) -> list[str]:
    """A column with one writer: nothing is overwritten twice, the last is current, nothing was ever overruled."""
    said = [f"{place}: `{token}` was overwritten {n} times" for token, n in seen.items() if n > 1]
    if seen[current]:
        said.append(f"{place}: `{current}` is current although it was overwritten")
    return said + [f"{place}: `{token}` was overruled" for token in overruled]


def missums(address: str, system: str, start: Decimal = Decimal(1000)) -> list[str]:
    """Things whose amount is not what they began with and all that was ever added."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for thing, _, _, delta in events(address, system).values():
        sums[thing] += delta
    return [
        f"thing {key}: the amount is {row[-1]}, and should be {start + sums[key]}"
        for key, row in things(address, system).items() if row[-1] != start + sums[key]
    ][:SAID_MAX]  # fmt: skip


def written_twice(address: str, system: str) -> list[str]:
    """By the trail of the triggers: tokens that duolog wrote more than once into the same row."""
    query = "SELECT who, relation, operation, image FROM trail ORDER BY number"
    before: dict[str, str | None] = {}
    times: Counter[tuple[str, str]] = Counter()
    event = ("event", EVENT[system]["table"].split(".")[1])
    with Session(address) as session:
        for who, relation, operation, image in session.rows(query):
            row = image if isinstance(image, dict) else json.loads(image)
            if relation.endswith(event):
                place, value = "event", row[EVENT[system]["token"]]
                times[place, f"{operation} {value}"] += who.startswith("duolog")
                continue
            place, value = row[THING[system]["code"]], row[THING[system]["shared"]]
            if before.get(place) != value and operation != "DELETE":
                times[place, value] += who.startswith("duolog")
            before[place] = value
    return [f"{place}: duolog wrote `{value}` {n} times" for (place, value), n in times.items() if n > 1][:SAID_MAX]


def trail(address: str, who: str) -> int:
    """By the triggers' trail: how many rows were written by sessions whose name is like this."""
    with Session(address) as session:
        return int(session.value("SELECT count(*) FROM trail WHERE who LIKE %s", [who]))


def mark(address: str, system: str) -> str:
    """Changes whenever anybody writes a row of these tables, even one that stays the same; and when duolog writes its
    ledger."""
    if kind(address) == SQLITE:  # whatever is written is in its log, and at last in the file itself
        files = sorted(Path(file_of(address)).parent.glob(f"{Path(file_of(address)).name}*"))
        return " ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.suffix != ".sqlite-shm")
    with Session(address) as session:
        if session.kind == MARIADB:  # whatever is written to any database of the server is in its log
            return str(session.rows("SHOW MASTER STATUS"))
        tables = (THING[system]["table"], EVENT[system]["table"], "duolog.ledger")
        parts = [MARK.replace("{}", quoted(session.kind, name)) for name in tables]
        return str(session.value("SELECT concat_ws(' ', " + ", ".join(parts) + ")"))


class Tally:
    """How many rows of each table were updated and inserted since it was made, by anybody, and committed.

    What a server's statistics count was rolled back in part, and how much of it depends on how busy the machine is. So
    the logs are counted: PostgreSQL counts its own, MariaDB's is read by a library that duolog does not use. SQLite has
    none: there triggers count."""

    def __init__(self, address: str, system: str) -> None:
        self._address = address
        self._tables = {what: names[system] for what, names in (("thing", THING), ("event", EVENT))}
        with Session(address) as session:
            self._kind = session.kind
            if self._kind == SQLITE:
                self._count(session)
            if self._kind == POSTGRESQL:
                self._keep(session)
            self._before = _end_of_log(session) if self._kind == MARIADB else ("", 0)

    def so_far(self) -> dict[str, int]:
        """By `thing updated`, `event inserted` and so on."""
        if self._kind == MARIADB:
            return self._logged()
        with Session(self._address) as session:
            return dict(session.rows("SELECT what, n FROM tally")) if self._kind == SQLITE else self._kept(session)

    def _keep(self, session: Session) -> None:
        """From here on the log of these tables is kept."""
        tables = ", ".join(quoted(self._kind, names["table"]) for names in self._tables.values())
        for statement in KEPT.format(tables=tables).split(";"):
            session.execute(statement)

    def _kept(self, session: Session) -> dict[str, int]:
        found = {(letter, table): n for letter, table, n in session.rows(COUNTED)}
        counted = {}
        for what, names in self._tables.items():
            table = session.value("SELECT %s::regclass::oid", [names["table"]])
            for letter, how in (("U", "updated"), ("I", "inserted")):
                counted[f"{what} {how}"] = int(found.get((letter, table), 0))
        return counted

    def _count(self, session: Session) -> None:
        """From here on every row is."""
        for what, names in self._tables.items():
            where = quoted(SQLITE, table(names, SQLITE))
            for event, how in (("UPDATE", "updated"), ("INSERT", "inserted")):
                session.execute(TALLY.format(what=f"{what} {how}", event=event, table=where))

    def _logged(self) -> dict[str, int]:
        place = urlsplit(self._address)
        tables = {table(names, self._kind): what for what, names in self._tables.items()}
        file, position = self._before
        with Session(self._address) as session:
            end = _end_of_log(session)
        stream = BinLogStreamReader(
            connection_settings={"host": place.hostname, "port": place.port, "user": place.username, "passwd": ""},
            server_id=READER_ID, log_file=file, log_pos=position, resume_stream=True, blocking=False,
            only_schemas=[place.path[1:]], only_tables=list(tables),
            only_events=[UpdateRowsEvent, WriteRowsEvent, DeleteRowsEvent],
        )  # fmt: skip
        found = {f"{what} {how}": 0 for what in tables.values() for how in ("updated", "inserted", "deleted")}
        for event in stream:
            if (stream.log_file, event.packet.log_pos) > end:
                break
            found[f"{tables[event.table]} {HOW[type(event)]}"] += len(event.rows)
        stream.close()
        return found


def _end_of_log(session: Session) -> tuple[str, int]:
    ((file, position, *_),) = session.rows("SHOW MASTER STATUS")
    return file, int(position)
