"""What tests of Debezium's messages share: catalogs of the recorded tables, and decoders made as a rule file would."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from adapters.debezium.decoding.decoder import Decoder
from adapters.debezium.decoding.modes import OPTIONS, Modes, modes
from engine.catalog import Column
from engine.rulebook import Table
from tests.kafka.recordings import Recording
from tests.rules.catalogs import column
from tests.rules.maria import maria_column

DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "postgresql": {
        "decimal.handling.mode": "precise", "time.precision.mode": "adaptive", "binary.handling.mode": "bytes",
        "interval.handling.mode": "numeric",
    },
    "mariadb": {
        "decimal.handling.mode": "precise", "time.precision.mode": "adaptive_time_microseconds",
        "binary.handling.mode": "bytes",
    },
}  # fmt: skip
"""What a connector does that nobody has told otherwise."""

_OWN: Final[Mapping[str, tuple[str, str]]] = {
    "stage": ("enum stage(a, Bc, 中)", ""), "amount": ("numeric(12,2)", "amount"), "code": ("varchar(10)", "code"),
}  # fmt: skip
"""Types that a recorded database has made: what they are, and how a domain is called."""


def postgresql_column(name: str, kind: str) -> Column:
    """The column that the catalog of PostgreSQL would tell."""
    if kind.endswith("[]"):
        known = postgresql_column(name, kind.removesuffix("[]"))
        return Column(name, known.type + "[]", "array", labels=known.labels)
    said, domain = _OWN.get(kind, (kind, ""))
    if kind in ("name", '"char"'):
        return Column(name, kind, "text", length=63 if kind == "name" else 1)
    if kind == "oid":
        return Column(name, kind, "integer", precision=32)
    found = replace(column(f"x {said}"), name=name)
    return replace(found, type=domain) if domain else found


def mariadb_column(name: str, kind: str) -> Column:
    """The column that MariaDB's information schema would tell."""
    return replace(maria_column(name, kind).shape, nullable=name != "id")


def catalog(database: str, columns: Sequence[Sequence[str]]) -> dict[str, Column]:
    """Columns, told as (name, type), by name."""
    known = postgresql_column if database == "postgresql" else mariadb_column
    return {name: known(name, kind) for name, kind in columns}


def told_modes(recording: Recording, database: str) -> Modes:
    """What a rule file says of the connector that was recorded."""
    said = {name: str(value).lower() for name, value in recording.facts["options"].items() if name in OPTIONS}
    nulls = {"value.converter.replace.null.with.default": "false"}
    return modes({**DEFAULTS[database], **nulls, **said})


def decoder(
    database: str,
    tables: Sequence[Table],
    columns: Mapping[tuple[str, str], Mapping[str, Column]],
    told: Modes,
    *,
    whole: Collection[int] = (),
) -> Decoder:
    """A decoder of these tables."""
    return Decoder("erp", database, tables, columns, told, whole=whole)
