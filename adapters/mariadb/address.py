"""Turns the text of an address into what it says: where a MariaDB or MySQL server is, who we are there, how safely.

Opens no connection, and no password leaves it in a message.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from engine.errors import AccessDenied

TlsMode: TypeAlias = Literal["disabled", "required", "verify_ca", "verify_identity"]

SCHEMES: Final = ("mariadb", "mysql")
OPTIONS: Final = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "socket", "connect_timeout")
"""What may stand after the `?` of an address."""
TLS_MODES: Final = ("disabled", "required", "verify_ca", "verify_identity")

CONNECT_TIMEOUT_S: Final = 10
EXAMPLE: Final = "mariadb://user@host:3306/database, special characters percent-encoded"

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Address:
    """What an address says. `repr` leaves its password out."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    socket: str = ""
    tls: TlsMode = "verify_identity"
    ca: str = ""
    certificate: str = ""
    key: str = ""
    connect_timeout_s: int = CONNECT_TIMEOUT_S


def address(url: str, *, system: str = "") -> Address:
    """What `mariadb://user:password@host:3306/database?ssl_ca=...` says.

    Raises AccessDenied (without quoting it, as it may hold a password) if it cannot be understood."""
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _misspelled("the address is not a MariaDB or MySQL URL", system) from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme.lower() not in SCHEMES or not database or "/" in database or parts.fragment:
        raise _misspelled("the address is not a MariaDB or MySQL URL with a database", system)
    options = dict(given)
    if len(options) < len(given) or not options.keys() <= set(OPTIONS):
        raise _misspelled(f"the address has an option twice, or one that is not known: {', '.join(OPTIONS)}", system)
    host, path = unquote(parts.hostname or ""), options.get("socket", "")
    tls = options.get("ssl_mode", "")
    if tls not in ("", *TLS_MODES):
        raise _misspelled(f"`ssl_mode` is one of {', '.join(TLS_MODES)}", system)
    timeout = options.get("connect_timeout", str(CONNECT_TIMEOUT_S))
    if not timeout.isdecimal() or not 0 < int(timeout) < 3600:
        raise _misspelled("`connect_timeout` is a number of seconds", system)
    near = bool(path) or not host or host in LOOPBACK
    asked = any(option in options for option in ("ssl_ca", "ssl_cert", "ssl_key"))
    mode: Any = tls or ("disabled" if near and not asked else "verify_identity")
    return Address(
        host=host or "localhost", port=port, user=unquote(parts.username or ""),
        password=unquote(parts.password or ""), database=database, socket=path, tls=mode,
        ca=options.get("ssl_ca", ""), certificate=options.get("ssl_cert", ""), key=options.get("ssl_key", ""),
        connect_timeout_s=int(timeout),
    )  # fmt: skip


def without_password(text: str, url: str) -> str:
    """`text` with the password that `url` holds blotted out, in both spellings."""
    try:
        secret = urlsplit(url).password
    except ValueError:
        return "the address cannot be understood"
    for spelled in {secret, unquote(secret)} if secret else ():
        text = text.replace(spelled, "********")
    return text


def tls_arguments(where: Address, system: str) -> dict[str, Any]:
    """How the connection is kept from being overheard, as the driver wants it told. Raises AccessDenied."""
    if where.tls == "disabled" or where.socket:
        return {"ssl_disabled": True}
    try:
        context = ssl.create_default_context(cafile=where.ca or None)
        # Certificates that servers make for themselves lack what the strict rules want of an authority's.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = where.tls == "verify_identity"
        if where.tls == "required":
            context.verify_mode = ssl.CERT_NONE
        if where.certificate:
            context.load_cert_chain(where.certificate, where.key or None)
    except OSError as error:
        raise AccessDenied(
            f"a file that the address names for TLS cannot be used ({type(error).__name__})", system=system,
            mend="correct ssl_ca, ssl_cert or ssl_key in the address",
        ) from None  # fmt: skip
    return {"ssl": context}


def _misspelled(found: str, system: str) -> AccessDenied:
    return AccessDenied(found, system=system, mend=f"write it as {EXAMPLE}")
