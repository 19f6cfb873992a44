"""What an ODBC address tells of the database behind it: which kind it is, as its driver is called, and what it names.

Turns `odbc://` addresses into words, never opening a connection. A data source (DSN) tells nothing: what it means is
in files of the machine. What a server really is, the adapter asks it.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

ODBC: Final = "odbc"
"""The scheme; and the kind of database, of which nothing is known."""

_DRIVERS: Final = (
    ("postgresql", re.compile("postgres|psqlodbc", re.IGNORECASE)),
    ("mariadb", re.compile("mariadb|maodbc", re.IGNORECASE)),
    ("mysql", re.compile("mysql|myodbc", re.IGNORECASE)),
    ("mssql", re.compile("sql ?server|msodbcsql|freetds|tdsodbc", re.IGNORECASE)),
)
"""What occurs in the names, or in the files, of the drivers of each kind of database."""
_KEYWORD: Final = re.compile(r"\s*([^=;{}]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)(?:;|$)")
"""`DRIVER={PostgreSQL Unicode};SERVER=erp.example`, one of them."""


def is_odbc(url: str) -> bool:
    """Whether an address is one for ODBC."""
    return url.partition("://")[0].lower().partition("+")[0] == ODBC


def kind_behind(url: str) -> str:
    """The kind of database that the driver in an address is for; `odbc` if the address does not tell."""
    driver = _said(url, "driver")
    return next((kind for kind, name in _DRIVERS if name.search(driver)), ODBC)


def database_behind(url: str) -> str:
    """The database that an address names; empty if it names none."""
    return unquote(urlsplit(url).path.strip("/")) or _said(url, "database")


def is_complete(url: str) -> bool:
    """Whether an address can be one: a driver with a server, a data source, or a whole connection string."""
    parts = urlsplit(url)
    options = _options(url)
    if "odbc_connect" in options:
        return bool(_keywords(options["odbc_connect"])) and not parts.netloc and not parts.path.strip("/")
    named = bool(parts.netloc.rpartition("@")[2])
    return named and bool("driver" in options or not parts.path.strip("/"))


def _said(url: str, word: str) -> str:
    """A keyword of an address, or of the connection string in it."""
    options = _options(url)
    return options.get(word) or _keywords(options.get("odbc_connect", "")).get(word, "")


def _options(url: str) -> dict[str, str]:
    return {name.lower(): values[-1] for name, values in parse_qs(urlsplit(url).query).items()}


def _keywords(text: str) -> dict[str, str]:
    found = {}
    for name, value in _KEYWORD.findall(text):
        found[name.lower()] = value[1:-1].replace("}}", "}") if value.startswith("{") else value.strip()
    return found
