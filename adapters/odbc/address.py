"""Turns an address into what an ODBC connection is told: which driver, where to, who we are, how safely.

Opens no connection, and no password leaves it in a message. Written as SQLAlchemy writes it:
`odbc://user@host:5432/erp?driver=PostgreSQL+Unicode&Keyword=value`, `odbc://user@DSN`, `odbc:///?odbc_connect=...`; the
same with `mssql://` or `mariadb+pyodbc://` where the database is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import URL

from adapters.odbc.drivers import Driver, driver_of
from engine.errors import AccessDenied

SCHEME: Final = "odbc"
"""Of an address that leaves it to the driver which database it is."""
INSECURE: Final = "duolog_insecure"
"""The word by which an address carries on what the rules say: TLS may be off."""
LOOPBACK: Final = frozenset({"", "localhost", "127.0.0.1", "::1"})
OWN: Final = ("driver", "dsn", "odbc_connect", INSECURE)
"""Words of an address that are no keywords of a driver's."""
EXAMPLE: Final = "odbc://user@host:5432/erp?driver=PostgreSQL+Unicode, special characters percent-encoded"
_PAIR: Final = re.compile(r"\s*([^=;{}]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)\s*(?:;|$)")
_HOSTS: Final = ("server", "servername", "host", "address", "addr")
_PASSWORDS: Final = ("pwd", "password")


@dataclass(frozen=True, slots=True)
class Address:
    """What an address says. `repr` leaves its password out."""

    driver: str
    """The driver's registered name, or the path of its file; empty: the data source knows it."""
    source: str
    """The data source's name (DSN); empty: there is none."""
    host: str
    """Empty: this machine, or nobody knows."""
    insecure: bool
    """The rules say that TLS may be off."""
    keywords: Mapping[str, str] = field(repr=False)
    """What the connection string says in the driver's own words, in this order."""

    @property
    def near(self) -> bool:
        """It leads to this machine. Of a data source's host nothing is known here."""
        return (self.host.lower() in LOOPBACK and not self.source) or self.host.startswith("/")

    @property
    def passwords(self) -> tuple[str, ...]:
        """What no message may hold."""
        return tuple(text for word, text in self.keywords.items() if word.lower() in _PASSWORDS and text)


def is_by_odbc(url: str) -> bool:
    """True if an address is reached by ODBC, as far as its first word tells."""
    scheme = url.partition("://")[0].lower()
    return scheme in (SCHEME, "mssql", "sqlserver") or scheme.endswith("+pyodbc")


def told_insecure(url: str, *, insecure: bool) -> str:
    """The address, which says besides whether TLS may be off."""
    if not insecure or not is_by_odbc(url):
        return url
    return f"{url}{'&' if '?' in url else '?'}{INSECURE}=yes"


def address(url: URL, system: str = "") -> Address:
    """What an address says. Raises AccessDenied if it names neither a driver nor a data source, or a keyword twice."""
    query: dict[str, str] = {}
    for word, text in url.query.items():
        if not isinstance(text, str):
            raise _misspelled(f"the address says `{word}` twice", system)
        query[word] = text
    insecure = query.get(INSECURE) == "yes"
    if "odbc_connect" in query:
        given = _pairs(query["odbc_connect"], system)
        folded = {word.lower(): text for word, text in given.items()}
        host = next((folded[word] for word in _HOSTS if word in folded), "")
        return Address(folded.get("driver", ""), folded.get("dsn", ""), _host(host), insecure, given)
    source = query.get("dsn", "") or (url.host or "" if "driver" not in query and not url.database else "")
    driver = query.get("driver", "")
    if not driver and not source:
        raise _misspelled("the address names neither a driver nor a data source", system)
    given = {"DSN": source} if source else {"DRIVER": driver, **_place(url, driver_of(driver))}
    if url.username:
        given |= {"UID": url.username, "PWD": str(url.password or "")}
    elif driver_of(driver).comma:
        given |= {"Trusted_Connection": "Yes"}
    given |= {word: text for word, text in query.items() if word not in OWN}
    host = next((text for word, text in query.items() if word.lower() in _HOSTS), "" if source else url.host or "")
    return Address(driver, source, host, insecure, given)


def connection_string(where: Address, driver: Driver, *, streaming: bool, system: str = "") -> str:
    """What the driver manager is told. Raises AccessDenied if it would lead out of this machine without TLS, which the
    rules do not allow."""
    said = {word.lower(): text.lower() for word, text in where.keywords.items()}
    given = dict(where.keywords)
    wanted = [driver.keywords, *([driver.streaming] if streaming else [])]
    if not where.near and not where.insecure:
        _need_tls(where, driver, said, system)
        wanted.append(driver.tls)
    for words in wanted:
        given |= {word: text for word, text in words.items() if word.lower() not in said}
    return ";".join(f"{word}={_quoted(text)}" for word, text in given.items())


def _need_tls(where: Address, driver: Driver, said: Mapping[str, str], system: str) -> None:
    if not driver.tls:
        raise AccessDenied(
            f"nobody here knows how the driver `{where.driver or where.source}` is asked for TLS", system=system,
            mend="have it use TLS by its own keywords in the address, and say `insecure: true` in the rules, as duolog "
            "cannot see to it",
        )  # fmt: skip
    plain = [word for word, texts in driver.plain.items() if said.get(word) in texts]
    if plain:
        raise AccessDenied(
            f"the address lets `{plain[0]}` do without TLS, or without a look at the certificate", system=system,
            mend=f"leave `{plain[0]}` out of the address, or say `insecure: true` in the rules",
        )  # fmt: skip


def _place(url: URL, driver: Driver) -> dict[str, str]:
    """Which server and which database on it."""
    given = {"SERVER": url.host or "localhost"}
    if url.port and driver.comma:
        given["SERVER"] += f",{url.port}"
    elif url.port:
        given["PORT"] = str(url.port)
    return given | ({"DATABASE": url.database} if url.database else {})


def _pairs(said: str, system: str) -> dict[str, str]:
    """A connection string, taken apart."""
    found: dict[str, str] = {}
    at = 0
    while at < len(said.rstrip("; ")):
        pair = _PAIR.match(said, at)
        if pair is None:
            raise _misspelled("`odbc_connect` is not of the form `Keyword=value;Keyword=value`", system)
        text = pair[2].strip()
        found[pair[1]] = text[1:-1].replace("}}", "}") if text.startswith("{") else text
        at = pair.end()
    return found


def _host(text: str) -> str:
    """Of SQL Server's `tcp:host,1433` or `host\\instance`: the host."""
    return text.removeprefix("tcp:").partition(",")[0].partition("\\")[0]


def _quoted(text: str) -> str:
    """A value in braces, where it would be read otherwise."""
    return "{" + text.replace("}", "}}") + "}" if text != text.strip() or set(text) & set(";{}[]()=,?*!@ ") else text


def _misspelled(found: str, system: str) -> AccessDenied:
    return AccessDenied(found, system=system, mend=f"write it as {EXAMPLE}")
