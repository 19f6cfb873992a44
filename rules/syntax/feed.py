"""The words of `feed:`: what of the agreed changes is told in Kafka, where, and in which form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rules.syntax.words import OnceEach, Syntax, Truth, Whole


class FeedSyntax(Syntax):
    """`feed: {kafka: "${KAFKA_URL}", topics: "agreed.{entity}", form: debezium}`"""

    kafka: str = Field(repr=False, description="Where the brokers are: `kafka://user@host:9093,other:9093/?ca=...`.")
    insecure: Truth = Field(default=False, description="Allow a connection without TLS to another machine.")
    topics: str | None = Field(
        default=None, description="What topics are called, with `{entity}`; default: `duolog.NAME.{entity}`."
    )
    entities: Annotated[list[str], OnceEach] | None = Field(default=None, description="Which; all unless said.")
    form: Literal["debezium", "cloudevents"] = Field(
        default="debezium", description="Debezium's envelope, or CloudEvents 1.0 in JSON."
    )
    schema_: Literal["none", "inline"] = Field(
        default="none", alias="schema", description="Whether every message states its schema."
    )
    journal: str | None = Field(
        default=None, description="A topic for conflicts, overruled and held writes, and quarantine."
    )
    values: Truth = Field(default=False, description="Whether those tell the values, too.")
    partitions: Whole | None = Field(default=None, description="Of topics that are made; the brokers' own default.")
    copies: Whole | None = Field(default=None, description="Replicas of topics that are made; the brokers' default.")
