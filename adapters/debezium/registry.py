"""Asks a registry of schemas (Confluent's, or one that answers like it) for the text of a schema, once for each number.

HTTP by the standard library, with TLS and a user's name and password from the address. No password leaves it in a
message.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from engine.errors import AccessDenied, DuologError, LogUnreadable, SystemUnavailable

EXAMPLE: Final = "https://user@registry.example.com:8081/?ca=/path/to/ca.pem, special characters percent-encoded"
TIMEOUT_S: Final = 10.0
_DENIED: Final = (401, 403)
_GONE: Final = 404


class Registry:
    """The schemas that one registry has. Used by one thread; asks anew for nothing that it was told."""

    def __init__(self, url: str, *, system: str = "") -> None:
        """`url`: where it answers, with the user in it, `?ca=` for a certificate of one's own. Raises AccessDenied."""
        self._system = system
        try:
            parts = urlsplit(url)
            options = parse_qs(parts.query, strict_parsing=bool(parts.query))
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            raise self._misspelled() from None
        if parts.scheme not in ("http", "https") or not parts.hostname or options.keys() - {"ca"}:
            raise self._misspelled()
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.where = urlunsplit((parts.scheme, host + port, parts.path.rstrip("/"), "", ""))
        """The address as it may be shown."""
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + b64encode(user.encode()).decode()
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if parts.scheme == "https":
            handlers.append(urllib.request.HTTPSHandler(context=self._context(options.get("ca", [""])[0])))
        self._open = urllib.request.build_opener(*handlers).open
        self._known: dict[int, str] = {}

    def schema(self, number: int) -> str:
        """The text of the schema with this number.

        Raises SystemUnavailable (try again), AccessDenied, or LogUnreadable where it has none."""
        if number not in self._known:
            self._known[number] = self._ask(number)
        return self._known[number]

    def _ask(self, number: int) -> str:
        request = urllib.request.Request(f"{self.where}/schemas/ids/{number}", headers=self._headers)
        try:
            with self._open(request, timeout=TIMEOUT_S) as answer:
                said = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise self._refused(error.code, number) from None
        except (OSError, ValueError) as error:
            raise SystemUnavailable(
                f"the registry {self.where} does not answer as it should ({type(error).__name__})", system=self._system,
                mend="none needed if it passes: duolog keeps trying",
            ) from None  # fmt: skip
        text = said.get("schema") if isinstance(said, dict) else None
        if not isinstance(text, str) or said.get("schemaType", "AVRO") != "AVRO" or said.get("references"):
            raise LogUnreadable(
                f"the registry {self.where} has no whole Avro schema with the number {number}", system=self._system,
                mend="let the connector write Avro (AvroConverter) or JSON",
            )  # fmt: skip
        return text

    def _refused(self, code: int, number: int) -> DuologError:
        if code in _DENIED:
            return AccessDenied(
                f"the registry {self.where} does not let us in ({code})", system=self._system,
                mend="correct the user or the password in the address of the registry",
            )  # fmt: skip
        if code == _GONE:
            return LogUnreadable(
                f"the registry {self.where} has no schema with the number {number}", system=self._system,
                mend="correct the address of the registry: it must be the one that the connector writes to",
            )  # fmt: skip
        return SystemUnavailable(
            f"the registry {self.where} answers with {code}", system=self._system,
            mend="none needed if it passes: duolog keeps trying",
        )  # fmt: skip

    def _context(self, ca: str) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=ca or None)
        except OSError as error:
            raise AccessDenied(
                f"the file that the registry's address names for TLS cannot be used ({type(error).__name__})",
                system=self._system, mend="correct `ca` in the address",
            ) from None  # fmt: skip

    def _misspelled(self) -> AccessDenied:
        return AccessDenied(
            "the address of the registry of schemas is none", system=self._system, mend=f"write it as {EXAMPLE}"
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody: the name and password are for the registry alone."""

    def redirect_request(self, *_: object) -> None:
        """Nowhere."""
