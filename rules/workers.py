"""What a rule file says of workers: who shares the work over Kafka, into how many parts, and what is wrong with that.

Turns words into `Workers`, judged from the file alone: what is in Kafka and in the store is for others to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rules.addresses import kafka_address
from rules.findings import Findings
from rules.problem import quoted
from rules.secrets import Secret
from rules.syntax import FileSyntax

PARTITIONS: Final = range(1, 257)

_NOT_SHARED: Final = {
    "sqlserver": "what tells our own transactions there apart is made for one engine",
    "sqlite": "its change table is read, and its file written, by one engine",
    "odbc": "its change table is read by one engine",
}
"""By adapter: why several engines cannot take part in such a system yet."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Several processes that share the work."""

    kafka: Secret | None
    """Where the brokers are; None if the file was loaded without an environment."""
    partitions: int
    """Into how many parts the records are shared out."""

    def engines(self, name: str) -> tuple[str, ...]:
        """The names of the partitions' engines, in order, of the rules of this name: no rules can have such a name."""
        return tuple(f"{name}.p{number}" for number in range(self.partitions))


def workers_of(
    syntax: FileSyntax, store: Secret | None, folder: Path, environ: Mapping[str, str] | None, findings: Findings
) -> Workers | None:
    """What the words amount to; None without any. `store`: where the store is, if that is known."""
    words = syntax.workers
    if words is None:
        return None
    if words.partitions not in PARTITIONS:
        allowed = (f"{PARTITIONS.start} to {PARTITIONS.stop - 1}",)
        findings.error("R379", ("workers", "partitions"), "the records cannot be shared out so",
                       found=str(words.partitions), allowed=allowed)  # fmt: skip
    if syntax.store is None or (store is not None and store.reveal().startswith("sqlite")):
        findings.error("R379", ("workers",), "workers on several machines need a store that all of them can reach",
                       key=True, mend="`store: ${STORE_URL}`, a PostgreSQL database of its own")  # fmt: skip
    for name, system in syntax.systems.items():
        if system.commit == "synchronous":
            findings.error("R379", ("systems", name, "commit"), f"with workers, nobody can wait at COMMIT in"
                           f" {quoted(name)}: a transaction may be in several partitions",
                           mend="take out `commit: synchronous`, or `workers`")  # fmt: skip
        if system.kafka is not None:
            findings.error("R379", ("systems", name, "kafka"), f"workers cannot read {quoted(name)} from Debezium's"
                           " topics yet", mend="take out `workers`: one engine reads them")  # fmt: skip
        if system.adapter in _NOT_SHARED:
            findings.error("R379", ("systems", name, "adapter"), f"workers cannot share {quoted(name)} yet:"
                           f" {_NOT_SHARED[system.adapter]}", found=quoted(f"adapter: {system.adapter}"),
                           mend="take out `workers`: one engine does all of it")  # fmt: skip
    kafka = kafka_address(words.kafka, ("workers", "kafka"), folder, environ, findings)
    return Workers(kafka, words.partitions)
