"""Turns the text of an address into what it says: where the Kafka brokers are, who we are there, how safely.

And what the driver raises into our errors. Opens no connection, and no password leaves it in a message.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from kafka.errors import (
    AuthorizationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from engine.errors import AccessDenied, SystemUnavailable

Security: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]

SCHEME: Final = "kafka"
EXAMPLE: Final = "kafka://user@host:9093,other:9093/?ca=/path/to/ca.pem, special characters percent-encoded"
PORT: Final = 9092
OPTIONS: Final = ("tls", "ca", "cert", "key", "mechanism")
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Broker:
    """What an address of Kafka says. `repr` leaves its password out."""

    servers: tuple[str, ...]
    """`host:port` each; the first that answers tells of the others."""
    security: Security
    user: str = ""
    password: str = field(default="", repr=False)
    mechanism: str = MECHANISMS[0]
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def where(self) -> str:
        """The address as it may be shown."""
        return f"{SCHEME}://{','.join(self.servers)}"

    def arguments(self, client: str, *, system: str = "") -> dict[str, Any]:
        """What any client of the driver is made with. `client`: how it names itself. Raises AccessDenied."""
        given: dict[str, Any] = {
            "bootstrap_servers": list(self.servers), "client_id": client, "security_protocol": self.security,
        }  # fmt: skip
        if self.security in ("SSL", "SASL_SSL"):
            given["ssl_context"] = _context(self, system)
        if self.security.startswith("SASL"):
            given |= {
                "sasl_mechanism": self.mechanism, "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }  # fmt: skip
        return given


def broker(url: str, *, system: str = "", insecure: bool = False) -> Broker:
    """What `kafka://user:password@host:9093,other:9093/?ca=...` says. TLS is on, unless all hosts are this machine or
    the address says `tls=off`; that is refused for other machines without `insecure`.

    Raises AccessDenied (without quoting it, as it may hold a password) if it cannot be understood."""
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        who, _, hosts = parts.netloc.rpartition("@")
        servers = tuple(_server(host) for host in hosts.split(","))
    except ValueError:
        raise _misspelled("the address is not one of Kafka", system) from None
    options = dict(given)
    if parts.scheme.lower() != SCHEME or not hosts or parts.path.strip("/") or parts.fragment:
        raise _misspelled("the address is not one of Kafka", system)
    if len(options) < len(given) or not options.keys() <= set(OPTIONS):
        raise _misspelled(f"the address has an option twice, or one that is not known: {', '.join(OPTIONS)}", system)
    if options.get("tls", "on") not in ("on", "off") or options.get("mechanism", MECHANISMS[0]) not in MECHANISMS:
        raise _misspelled(f"`tls` is `on` or `off`, `mechanism` one of {', '.join(MECHANISMS)}", system)
    here = all(server.rpartition(":")[0] in LOOPBACK for server in servers)
    tls = options.get("tls", "off" if here and "ca" not in options else "on") == "on"
    if not tls and not here and not insecure:
        raise AccessDenied(
            "`tls=off` stands in the address of a broker on another machine", system=system,
            mend="take it out, or say `insecure: true` beside the address",
        )  # fmt: skip
    user, _, password = who.partition(":")
    security: Security = ("SASL_SSL" if tls else "SASL_PLAINTEXT") if user else ("SSL" if tls else "PLAINTEXT")
    return Broker(
        servers, security, unquote(user), unquote(password), options.get("mechanism", MECHANISMS[0]),
        options.get("ca", ""), options.get("cert", ""), options.get("key", ""),
    )  # fmt: skip


@contextmanager
def translated(system: str, what: str) -> Iterator[None]:
    """Errors of the driver leave as ours. `what`: what was being done, in words. Raises SystemUnavailable for what may
    pass, AccessDenied for what a person has to mend."""
    try:
        yield
    except (SaslAuthenticationFailedError, UnsupportedSaslMechanismError) as error:
        raise AccessDenied(
            f"{what}: Kafka does not let us in ({type(error).__name__})", system=system,
            mend="correct user, password or `mechanism` in the address",
        ) from None  # fmt: skip
    except AuthorizationError as error:
        raise AccessDenied(
            f"{what}: Kafka does not allow it ({type(error).__name__})", system=system,
            mend="grant it: `duolog check RULES --role NAME` prints the ACLs that suffice",
        ) from None  # fmt: skip
    except KafkaError as error:
        raise SystemUnavailable(f"{what}: Kafka does not answer as it should ({type(error).__name__})",
                                system=system) from None  # fmt: skip


def _server(text: str) -> str:
    """`host:port` of `host` or `host:port`. Raises ValueError."""
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    name = (host if colon else text).removeprefix("[").removesuffix("]")
    if not name:
        raise ValueError(text)
    return f"{name}:{int(port) if colon else PORT}"


def _context(said: Broker, system: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=said.ca or None)
        if said.certificate:
            context.load_cert_chain(said.certificate, said.key or None)
    except OSError as error:
        raise AccessDenied(
            f"a file that the address names for TLS cannot be used ({type(error).__name__})", system=system,
            mend="correct ca, cert or key in the address",
        ) from None  # fmt: skip
    return context


def _misspelled(found: str, system: str) -> AccessDenied:
    return AccessDenied(found, system=system, mend=f"write it as {EXAMPLE}")
