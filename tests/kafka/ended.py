"""Waits until a connector has told all that was committed by now. Reads its topics, and parses no values."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from tests.crowd import within
from tests.kafka import recordings
from tests.kafka.connect import Connector

END_TIMEOUT_S: Final = within(60.0)
PROBE_INTERVAL_S: Final = 0.3


def until_ended(connector: Connector, execute: Callable[[str], object], schema: str) -> tuple[recordings.Message, ...]:
    """Commits a row in the table `marker`, waits for the end of its transaction, and gives all that was told by then.

    Raises TimeoutError, or ConnectorEnded."""
    execute("INSERT INTO marker VALUES (1)")
    bootstrap = connector.server.settings["bootstrap.servers"]
    deadline = time.monotonic() + END_TIMEOUT_S
    while True:
        messages = recordings.told(bootstrap, connector.prefix)
        ends = [_payload(message.value) for message in messages if message.topic == connector.transactions]
        marked = [message for message in messages if message.topic == f"{connector.prefix}.{schema}.marker"]
        if marked and any(_counts(end, f"{schema}.marker") for end in ends):
            return messages
        connector.must_live()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{connector.name}: {len(messages)} messages, no marker: {connector.status()}")
        time.sleep(PROBE_INTERVAL_S)


def _payload(value: bytes | None) -> dict[str, Any]:
    parsed = json.loads(value or b"{}")
    found: dict[str, Any] = parsed.get("payload", parsed)
    return found


def _counts(end: dict[str, Any], table: str) -> bool:
    return any(each["data_collection"] == table for each in end.get("data_collections") or ())
