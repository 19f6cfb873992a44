"""The databases that these tests keep in step: two tables a system, each system with names of its own.

`thing` is written to by everybody: a column of each system's own, one that all write, and an amount that all add to.
`event` is only ever added to: every user's transaction notes there what it wrote, and what it saw and overwrote. So
the databases themselves hold all that the auditor needs to know, whatever became of the users.

Nothing here knows duolog: the auditor reads by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests import ground
from tests.ground import MARIADB, POSTGRESQL, SQLITE, Session

Names = dict[str, str]

THING: Final[dict[str, Names]] = {
    "erp": {"table": "public.thing", "code": "code", "of_erp": "of_erp", "of_crm": "of_crm", "of_web": "of_web",
            "shared": "shared", "amount": "amount"},
    "crm": {"table": "sales.gadget", "code": "ref", "of_erp": "erp_text", "of_crm": "own_text", "of_web": "web_text",
            "shared": "joint_text", "amount": "total"},
    "web": {"table": "shop.item", "code": "slug", "of_erp": "backend", "of_crm": "office", "of_web": "mine",
            "shared": "common", "amount": "stock"},
}  # fmt: skip
"""By system: the table of `thing`, and its columns by field."""

EVENT: Final[dict[str, Names]] = {
    "erp": {"table": "public.event", "token": "token", "thing": "thing", "field": "field", "saw": "saw",
            "delta": "delta"},
    "crm": {"table": "sales.happening", "token": "mark", "thing": "ref", "field": "what", "saw": "before",
            "delta": "difference"},
    "web": {"table": "shop.log", "token": "id", "thing": "slug", "field": "kind", "saw": "was", "delta": "change"},
}  # fmt: skip

FIELDS: Final = ("of_erp", "of_crm", "of_web", "shared", "amount")
EVENT_FIELDS: Final = ("thing", "field", "saw", "delta")

DDL: Final = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {thing} (
    {code} text PRIMARY KEY, {of_erp} text, {of_crm} text, {of_web} text, {shared} text,
    {amount} numeric(20, 2) NOT NULL DEFAULT 0
);
CREATE TABLE {event} (
    {token} text PRIMARY KEY, {of} text NOT NULL REFERENCES {thing}, {field} text NOT NULL, {saw} text,
    {delta} numeric(20, 2) NOT NULL
);
CREATE TABLE public.trail (
    number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), who text NOT NULL,
    relation text NOT NULL, operation text NOT NULL, image jsonb NOT NULL
);
CREATE FUNCTION public.leave_trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.trail (who, relation, operation, image)
    VALUES (current_setting('application_name'), TG_RELID::regclass::text, TG_OP, to_jsonb(coalesce(NEW, OLD)));
    RETURN NULL;
END $$;
"""
MARIA_DDL: Final = """
CREATE TABLE {thing} (
    {code} varchar(40) PRIMARY KEY, {of_erp} varchar(80), {of_crm} varchar(80), {of_web} text, {shared} text,
    {amount} decimal(20, 2) NOT NULL DEFAULT 0
);
CREATE TABLE {event} (
    {token} varchar(60) PRIMARY KEY, {of} varchar(40) NOT NULL, {field} varchar(40) NOT NULL, {saw} text,
    {delta} decimal(20, 2) NOT NULL, FOREIGN KEY ({of}) REFERENCES {thing} ({code})
);
CREATE TABLE trail (
    number bigint AUTO_INCREMENT PRIMARY KEY, at timestamp(6) NOT NULL DEFAULT current_timestamp(6),
    who varchar(80) NOT NULL, relation varchar(80) NOT NULL, operation varchar(10) NOT NULL, image json NOT NULL
);
"""

SQLITE_DDL: Final = """
CREATE TABLE {thing} (
    {code} varchar(40) NOT NULL PRIMARY KEY, {of_erp} varchar(80), {of_crm} varchar(80), {of_web} text, {shared} text,
    {amount} decimal(20, 2) NOT NULL DEFAULT 0
);
CREATE TABLE {event} (
    {token} varchar(60) NOT NULL PRIMARY KEY, {of} varchar(40) NOT NULL REFERENCES {thing},
    {field} varchar(40) NOT NULL, {saw} text, {delta} decimal(20, 2) NOT NULL
);
CREATE TABLE trail (
    number integer PRIMARY KEY, at text DEFAULT (strftime('%Y-%m-%d %H:%M:%f')), who text NOT NULL DEFAULT 'duolog',
    relation text NOT NULL, operation text NOT NULL, image text NOT NULL
);
"""
"""Who is not a user of these tests, whose sessions say so, is duolog."""
DDLS: Final = {POSTGRESQL: DDL, MARIADB: MARIA_DDL, SQLITE: SQLITE_DDL}

TRAILED: Final = (
    "CREATE TRIGGER trail AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION public.leave_trail()"
)
MARIA_TRAILED: Final = """
CREATE TRIGGER trail_{operation}_{what} AFTER {operation} ON {table} FOR EACH ROW
INSERT INTO trail (who, relation, operation, image) VALUES (USER(), '{what}', '{operation}', JSON_OBJECT({columns}))
"""
SQLITE_TRAILED: Final = """
CREATE TRIGGER trail_{operation}_{what} AFTER {operation} ON {table} FOR EACH ROW BEGIN
INSERT INTO trail (relation, operation, image) VALUES ('{what}', '{operation}', json_object({columns})); END
"""

FILL: Final = """
INSERT INTO {thing} ({code}, {of_erp}, {of_crm}, {of_web}, {shared}, {amount})
SELECT to_char(i, 'FM"T"000000'), 'erp 0', 'crm 0', 'web 0', 'start', 1000 FROM generate_series(%s::int, %s::int) AS i
"""
MARIA_FILL: Final = """
INSERT INTO {thing} ({code}, {of_erp}, {of_crm}, {of_web}, {shared}, {amount})
SELECT concat('T', lpad(i, 6, '0')), 'erp 0', 'crm 0', 'web 0', 'start', 1000 FROM
"""
SQLITE_FILL: Final = MARIA_FILL.replace("concat('T', lpad(i, 6, '0'))", "printf('T%06d', i)")


def table(names: Mapping[str, str], of: str) -> str:
    """A table's name as a rule file and SQL have it: MariaDB knows no schema within a database."""
    return names["table"] if of == POSTGRESQL else names["table"].split(".")[-1]


def code(number: int) -> str:
    """The key of the n-th thing."""
    return f"T{number:06d}"


def placed(template: str, system: str, of: str = POSTGRESQL) -> str:
    """SQL with one system's names put in: `{thing}`, `{event}` are tables, `{of}` is the event's thing. `of`: the kind
    of its database."""
    thing, event = THING[system], EVENT[system]
    columns = {name: column for name, column in {**event, **thing}.items() if name not in ("table", "thing")}
    names = {name: ground.quoted(of, column) for name, column in columns.items()}
    return template.format(
        schema=ground.quoted(of, thing["table"].split(".")[0]), thing=ground.quoted(of, table(thing, of)),
        event=ground.quoted(of, table(event, of)), of=ground.quoted(of, event["thing"]), **names,
    )


def create(address: str, system: str, *, trailed: bool = False) -> None:
    """Makes the tables. `trailed`: with a trigger that notes who did what, which makes our own writes come back."""
    of = ground.kind(address)
    with Session(address) as session:
        session.execute(placed(DDLS[of], system, of))
        for what, names in (("thing", THING[system]), ("event", EVENT[system])) if trailed else ():
            if of == POSTGRESQL:
                session.execute(TRAILED.format(ground.quoted(of, names["table"])))
            else:
                _leave_trails(session, what, names)


def _leave_trails(session: Session, what: str, names: Names) -> None:
    """MariaDB and SQLite have a trigger for each operation."""
    template = MARIA_TRAILED if session.kind == MARIADB else SQLITE_TRAILED
    for operation, image in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        told = [column for name, column in names.items() if name != "table"]
        columns = ", ".join(f"'{column}', {image}.{ground.quoted(session.kind, column)}" for column in told)
        where = ground.quoted(session.kind, table(names, session.kind))
        session.execute(template.format(operation=operation, what=what, table=where, columns=columns))


def fill(address: str, system: str, first: int, last: int) -> None:
    """Things number `first` to `last`, all alike in every system."""
    with Session(address) as session:
        if session.kind == POSTGRESQL:
            session.execute(placed(FILL, system), [first, last])
        else:
            template = MARIA_FILL if session.kind == MARIADB else SQLITE_FILL
            session.execute(placed(template, system, session.kind) + ground.series(session.kind, first, last))


def rules(
    name: str, at: Mapping[str, str], *, shared: str = "last_writer", amount: str = "delta", owners: bool = False
) -> str:
    """A rule file for these tables. `at`: by system, its address; `shared`, `amount`: the policies of the fields that
    all write; `owners`: each system owns its own column, which decides at the first merge, too."""
    systems = tuple(at)
    kinds = {system: ground.kind(address) for system, address in at.items()}
    options = {"shared": f"conflict: {shared}", "amount": f"conflict: {amount}"}
    if owners:
        options |= {f"of_{system}": f"owner: {system}" for system in systems}
    thing = [_field("code", THING, systems, "")] + [_field(f, THING, systems, options.get(f, "")) for f in FIELDS]
    event = [_field("token", EVENT, systems, "")]
    event += [_field(f, EVENT, systems, "reference: thing" if f == "thing" else "") for f in EVENT_FIELDS]
    addresses = [f'  {s}: {{adapter: {ground.adapter(a)}, url: "${{{s.upper()}_URL}}"}}' for s, a in at.items()]
    parts = ["duolog: 1", f"name: {name}", "systems:", *addresses, "entities:"]
    for entity, key, tables, fields in (("thing", "code", THING, thing), ("event", "token", EVENT, event)):
        bound = ", ".join(f"{s}: {{table: {table(tables[s], kinds[s])}}}" for s in systems)
        parts += [f"  {entity}:", f"    identity: [{key}]", "    conflict: last_writer"]
        parts += [f"    {word}: [{', '.join(systems)}]" for word in ("order", "create")]
        parts += ["    delete: propagate", f"    bind: {{{bound}}}", "    fields:"]
        parts += [f"      {line}" for line in fields]
    return "\n".join(parts) + "\n"


def _field(name: str, tables: dict[str, Names], systems: Sequence[str], option: str) -> str:
    columns = ", ".join(f"{s}: {tables[s][name]}" for s in systems)
    return f"{name}: {{{columns}{', ' + option if option else ''}}}"
