"""Kafka Connect itself reads what a feed states: schema and payload agree, as its sinks need it."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from adapters.feed.debezium import DebeziumForm
from adapters.feed.message import Message
from engine.agreed import Event
from engine.vocabulary import JournalEntry
from tests.kafka.programs import jars
from tests.unit.test_feed_forms import VERSION, WHERE, changed, entity_of

READER = Path(__file__).with_name("JsonReader.java")
FAMILIES = (
    "integer", "numeric", "float", "boolean", "date", "time", "timestamp", "timestamptz", "bytes", "json", "text",
)  # fmt: skip
FULL = ("K1", "7", "1.50", "0.25", "t", "1970-01-02", "00:00:01", "1970-01-01 00:00:01", "2026-11-22 10:00:00+00",
        "\\x00ff", "{}", "Ada")  # fmt: skip
EMPTY = ("K1", *[None] * len(FAMILIES))


def read(messages: list[Message]) -> list[str]:
    """What Kafka Connect understands of keys and values, a line each. Fails if it does not."""
    lines = [" ".join(base64.b64encode(part or b"").decode() for part in (m.key, m.value)) for m in messages if m.value]
    path = os.pathsep.join(str(jars() / folder / "*") for folder in ("kafka", "connect"))
    ran = subprocess.run(
        ["java", "-cp", path, str(READER)], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout.splitlines()


def test_kafka_connect_reads_every_message_of_a_feed(real_kafka: str) -> None:
    form = DebeziumForm({"thing": entity_of(*FAMILIES)}, replace(WHERE, inline=True, values=True))
    entry = JournalEntry("thing", "K1", ("text",), "hold", "…", VERSION, ("Ada",), None, (), 7)
    messages = [
        *form.change("thing", changed(None, FULL), 1), *form.change("thing", changed(FULL, EMPTY), 1),
        *form.change("thing", changed(EMPTY, None), 1),
        *form.change("thing", replace(changed(None, FULL), beginning=True), 1), form.event(Event(1, 0, entry), 1),
    ]  # fmt: skip

    said = read(messages)

    assert [line.split(" ")[0] for line in said] == [
        *["agreed.thing.Key", "agreed.thing.Envelope"] * 4, "agreed.journal.Key", "agreed.journal.Envelope",
    ]  # fmt: skip
    assert "integer=7,numeric=1.50,float=0.25,boolean=true,date=1,time=1000000,timestamp=1000000" in said[1]
    assert "op=u" in said[3]
    assert "won={" in said[-1]
