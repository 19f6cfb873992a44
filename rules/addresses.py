"""The addresses in a rule file: of the systems and of the store. References are resolved, forms judged.

Turns `url:` and `store:` into Secrets, and tells which database an address names, never opening a connection. What it
finds is told without the text of any address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from rules import secrets
from rules.findings import Findings
from rules.odbc import ODBC, database_behind, is_complete, is_odbc, kind_behind
from rules.problem import Path as TreePath
from rules.problem import quoted
from rules.ruling import part_path, parts_of, table_of
from rules.secrets import Secret
from rules.syntax import EntitySyntax, FileSyntax


@dataclass(frozen=True, slots=True)
class _Form:
    """How the addresses of one kind of database are written."""

    schemes: tuple[str, ...]
    port: str
    """Where the server is if the address does not say."""
    example: str
    several_hosts: bool
    """An address may list hosts, for a standby to take over."""
    named_by: str = ""
    """An option that may name the database instead of the path."""
    database: bool = True
    """An address names a database."""
    server: bool = True
    """There is a server; otherwise a file."""
    by_driver: bool = False
    """An address names an ODBC driver, or a data source in which one is named."""


_POSTGRESQL = _Form(("postgresql", "postgres"), "5432", "`postgresql://user@host:5432/database`", True, "dbname=")
_MARIADB = _Form(("mariadb", "mysql"), "3306", "`mariadb://user@host:3306/database`", False)
_SERVICE = "`oracle+oracledb://user@host:1521/?service_name=erp`"
_DRIVER = "`mssql+pyodbc://user@host:1433/erp?driver=ODBC+Driver+18+for+SQL+Server`"
_MSSQL = _Form(("mssql",), "1433", _DRIVER, False)
_SQLITE = _Form(("sqlite",), "", "`sqlite:////path/to/erp.sqlite`", False, server=False)
_BY_DRIVER = "`odbc://user@host:5432/erp?driver=PostgreSQL+Unicode`, or `odbc://user@DSN`"
_ODBC = _Form((ODBC,), "", _BY_DRIVER, False, by_driver=True)
_DATABASES: Mapping[str, _Form] = {
    "postgresql": _POSTGRESQL, "mariadb": _MARIADB, "mysql": replace(_MARIADB, schemes=("mysql", "mariadb")),
    "oracle": _Form(("oracle",), "1521", _SERVICE, False, "service_name="),
    "mssql": _MSSQL,
    "db2": _Form(("db2", "ibm_db_sa"), "50000", "`db2+ibm_db://user@host:50000/erp`", False),
}  # fmt: skip
"""By kind of database, as `database_of` calls it, of those that Debezium reads."""

_FORMS: Mapping[str, Mapping[str, _Form]] = {
    **{kind: {kind: _DATABASES[kind]} for kind in ("postgresql", "mariadb", "mysql")}, "debezium": _DATABASES,
    "sqlserver": {"mssql": replace(_MSSQL, schemes=("mssql", "sqlserver"), by_driver=True)},
    "sqlite": {"sqlite": _SQLITE}, "odbc": {ODBC: _ODBC},
}  # fmt: skip
"""By adapter: which kinds of databases it may be, and how their addresses are written."""
_PORTS: Mapping[str, str] = {kind: form.port for forms in _FORMS.values() for kind, form in forms.items()}

_KAFKA = _Form(("kafka",), "9092", "`kafka://user@host:9093,other:9093/?ca=/path/to/ca.pem`", True, database=False)
_REGISTRY = _Form(("https", "http"), "443", "`https://user@host:8081`", False, database=False)

SQLITE: Final = "sqlite"
STORE_SCHEMES = ("sqlite", "postgresql", "postgres")

_SHOWN_SCHEMES = frozenset({
    "mysql", "mariadb", "oracle", "mssql", "sqlserver", "db2", "ibm_db_sa", "kafka",
    "mongodb", "redis", "http", "https", "jdbc", "odbc",
    "file", "sqlite", "postgres", "postgresql",
})  # fmt: skip
"""A wrong scheme is named only if it is one: with a slip of the pen, anything could stand there."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the addresses of a file resolve to."""

    systems: Mapping[str, Secret]
    store: Secret
    kafka: Mapping[str, Secret]
    """By system, of those whose changes come over Kafka: the brokers."""
    registries: Mapping[str, Secret]
    """By system, of those that name one: the schema registry."""


def addresses(
    syntax: FileSyntax, name: str, folder: Path, environ: Mapping[str, str] | None, findings: Findings
) -> tuple[Addresses | None, Mapping[str, Secret]]:
    """All addresses, None without an environment, or if one of them cannot be had; and those systems' that can."""
    systems: dict[str, Secret] = {}
    brokers: dict[str, Secret] = {}
    registries: dict[str, Secret] = {}
    wanted = 0
    for system, entry in syntax.systems.items():
        for word, template, forms, into in (
            ("url", entry.url, [*_FORMS[entry.adapter].values()], systems),
            ("kafka", entry.kafka, [_KAFKA], brokers),
            ("registry", entry.registry, [_REGISTRY], registries),
        ):
            if template is not None:
                wanted += 1
                address = _system_address(template, ("systems", system, word), forms, folder, environ, findings)
                if address is not None:
                    into[system] = _beside(address, folder)
    store = store_address(syntax.store, name, folder, environ, findings)
    if store is None or len(systems) + len(brokers) + len(registries) < wanted:
        return None, systems
    return Addresses(systems, store, brokers, registries), systems


def kafka_address(
    template: str, path: TreePath, folder: Path, environ: Mapping[str, str] | None, findings: Findings
) -> Secret | None:
    """Where Kafka's brokers are, `kafka://user@host:9093,other:9093/?ca=...`; None without an environment, or if it
    cannot be had. `path`: where it stands in the file. What its options mean, its adapter knows."""
    return _system_address(template, path, [_KAFKA], folder, environ, findings)


def _system_address(
    template: str, path: TreePath, forms: Sequence[_Form], folder: Path, environ: Mapping[str, str] | None,
    findings: Findings,
) -> Secret | None:  # fmt: skip
    """An address in one of these forms."""
    schemes = tuple(dict.fromkeys(scheme for form in forms for scheme in form.schemes))
    url = _address(template, path, schemes, folder, environ, findings)
    if url is None:
        return None
    form = next(form for form in forms if _scheme(url.reveal()) in form.schemes)
    return url if _complete(url, form, path, findings) else None


def store_address(
    template: str | None, name: str, folder: Path, environ: Mapping[str, str] | None, findings: Findings
) -> Secret | None:
    """Where the store is: where `store:` says, or else beside the rules."""
    if template is None:
        return Secret(f"sqlite:///{folder / f'{name}.store.db'}")
    store = _address(template, ("store",), STORE_SCHEMES, folder, environ, findings)
    return _beside(store, folder) if store is not None else None


def _address(
    template: str, path: TreePath, schemes: tuple[str, ...], folder: Path, environ: Mapping[str, str] | None,
    findings: Findings,
) -> Secret | None:  # fmt: skip
    """One address, resolved and of a scheme that is known here."""
    if secrets.has_literal_password(template):
        findings.error("R501", path, "a password stands in the file",
                       mend="write `${NAME}` or `${file:/path}` instead, and change the password")  # fmt: skip
        return None
    if environ is None:
        resolved, refusals = None, secrets.malformed(template)
        if not refusals and not template.startswith("${"):
            _scheme_known(template, path, "", schemes, findings)
    else:
        resolved, refusals = secrets.resolve(template, environ, folder)
    for refusal in refusals:
        findings.error(refusal.code, path, refusal.what, found=refusal.found, mend=refusal.mend)
    if resolved is None:
        return None
    names = secrets.references(template)
    source = f" in {quoted(names[0])}" if template.startswith("${") and names else ""
    return resolved if _scheme_known(resolved.reveal(), path, source, schemes, findings) else None


def _scheme_known(url: str, path: TreePath, source: str, schemes: tuple[str, ...], findings: Findings) -> bool:
    base, colon = _scheme(url), "://" in url
    if colon and base in schemes:
        return True
    if colon:
        found = quoted(base + "://") if base in _SHOWN_SCHEMES else "another scheme"
    else:
        found = "no scheme"
    findings.error("R506", path, f"the address{source} is of a scheme that cannot be used here", found=found,
                   allowed=tuple(f"{known}://" for known in schemes))  # fmt: skip
    return False


def _scheme(url: str) -> str:
    """What an address begins with, without a driver's name."""
    return url.partition("://")[0].lower().partition("+")[0]


def _complete(url: Secret, form: _Form, path: TreePath, findings: Findings) -> bool:
    """The database is named, and the port is one. (No host at all is lawful for a database: the socket of this
    machine.)"""
    try:
        parts = urlsplit(url.reveal())
        if not form.server and (parts.netloc or parts.query):
            raise ValueError
        if form.by_driver and not is_complete(url.reveal()):
            raise ValueError
        if not form.several_hosts and len(_hosts(parts.netloc)) > 1:
            raise ValueError
        if not form.database and (not all(_hosts(parts.netloc)) or parts.path.strip("/")):
            raise ValueError
        ports = [host.rpartition(":")[2] for host in _hosts(parts.netloc) if not host.endswith("]") and ":" in host]
        if not all(port.isdecimal() and 0 < int(port) < 65_536 for port in ports):
            raise ValueError
    except ValueError:
        findings.error("R507", path, "the address cannot be understood", mend=f"write it as {form.example}")
        return False
    named = parts.path.strip("/") if parts.path.strip("/") != ":memory:" else ""  # which nobody else would see
    if not form.database or form.by_driver or named or (form.named_by and form.named_by in parts.query):
        return True
    findings.error("R507", path, "the address names no database", mend=f"write it as {form.example}")
    return False


def _hosts(netloc: str) -> list[str]:
    """One, or several for a standby to take over."""
    return netloc.rpartition("@")[2].split(",")


def database_of(adapter: str, url: Secret | None) -> str:
    """The kind of database behind a system: what its adapter is called, or what its address says, where an adapter
    reads several kinds. `url`: None if it is not known; then such a one counts as PostgreSQL."""
    kinds = _FORMS[adapter]
    scheme = _scheme(url.reveal()) if url is not None else ""
    if ODBC in kinds:
        return kind_behind(url.reveal()) if url is not None else next(iter(_DATABASES))
    if scheme in kinds:
        return scheme
    return next((kind for kind, form in kinds.items() if scheme in form.schemes), next(iter(kinds)))


def database(url: Secret) -> str:
    """The name of the database that an address names; empty if it names none."""
    if is_odbc(url.reveal()):
        return database_behind(url.reveal())
    return unquote(urlsplit(url.reveal()).path.strip("/"))


def check_loops(syntax: FileSyntax, systems: Mapping[str, Secret], findings: Findings) -> None:
    """One table of one database as two systems would be a loop. `syntax`: with every table's schema."""
    names = list(systems)
    ends = {name: _end(url, syntax.systems[name].database) for name, url in systems.items()}
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            if ends[one] != ends[other]:
                continue
            for name, entity in syntax.entities.items():
                here, there = _tables(name, entity, one), _tables(name, entity, other)
                for table in there.keys() & here.keys():
                    findings.error(
                        "R324", there[table], f"{quoted(one)} and {quoted(other)} are the same database, and this is"
                        " the same table: it would loop", mend="correct one of the addresses, or the table",
                        also=((f"{quoted(one)} has it too", here[table]),),
                    )  # fmt: skip


def _tables(name: str, entity: EntitySyntax, system: str) -> dict[tuple[str, str], TreePath]:
    """All tables of an entity in one system, with the place of each. Code tables may be shared."""
    parts = parts_of(entity.bind[system]) if system in entity.bind else {}
    return {table_of(words): (*part_path(name, system, part), "table") for part, words in reversed(parts.items())}


def _end(url: Secret, kind: str) -> tuple[str, ...]:
    """What two addresses of one database have in common: the hosts with their ports, the database, the options. Two
    names of one host are told apart here; the live check knows better. A MariaDB server is one as a whole: the names of
    tables say in which of its databases they are."""
    parts = urlsplit(url.reveal())
    if kind in (SQLITE, ODBC) or "odbc_connect=" in parts.query:  # a data source or connection string is one name
        return (kind, parts.netloc.rpartition("@")[2], parts.path, parts.query)
    hosts = []
    for host in _hosts(parts.netloc.lower()):
        name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        name, port = (name, port) if colon else (host, _PORTS[kind])
        hosts.append(f"{'localhost' if name in ('', '127.0.0.1', '[::1]') else name}:{port}")
    if kind not in ("mariadb", "mysql"):
        # The options in an ODBC address are its driver's: they tell nothing that would set two databases apart.
        return (kind, *hosts, database(url), "" if is_odbc(url.reveal()) else parts.query)
    sockets = [option for option in parts.query.split("&") if option.startswith("socket=")]
    return ("mariadb", *(sockets or hosts))


def _beside(url: Secret, folder: Path) -> Secret:
    """A relative SQLite file stands beside the rule file, wherever duolog is started."""
    text = url.reveal()
    prefix, slashes, path = text.partition(":///")
    if _scheme(text) != SQLITE or not slashes or path.startswith("/") or path == ":memory:":
        return url
    return Secret(f"{prefix}:///{folder / path}")
