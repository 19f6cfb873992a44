"""Turns the figures of one run into `latest.json` and a Markdown table with duolog's ratio to built-in
replication.

Judges nothing; a measure that failed is told as failed, with its reason.
"""

from __future__ import annotations

import json
import os
import platform
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from benchmarks.mariadb import MariaDB
from benchmarks.pairs import PAIRS
from benchmarks.postgresql import PostgreSQL
from benchmarks.sizes import Sizes
from benchmarks.values.variants import VARIANTS

RESULTS: Final = Path(__file__).with_name("results")

LINES: Final = (
    ("drain_one_way", "rows_per_s", "drain, one way, rows/s", True),
    ("drain_one_way", "rows_per_s_until_read", "the same until what was written is read back, rows/s", True),
    ("drain_one_way", "rows_per_s_with_start", "the same with starting, rows/s", True),
    ("drain_one_way", "cpu_us_per_row", "CPU a row, µs", False),
    ("drain_one_way", "private_mb", "peak memory, MB (private)", False),
    ("drain_both_ways", "rows_per_s", "drain, both ways, rows/s of both", True),
    ("drain_both_ways", "rows_per_s_with_start", "the same with starting, rows/s", True),
    ("drain_both_ways", "cpu_us_per_row", "CPU a row, µs", False),
    ("drain_both_ways", "private_mb", "peak memory, MB (private)", False),
    ("latency", "p50_from_sending_ms", "latency from sending COMMIT, p50, ms", False),
    ("latency", "p95_from_sending_ms", "p95, ms", False),
    ("latency", "p99_from_sending_ms", "p99, ms", False),
    ("latency", "p50_ms", "latency from COMMIT's answer, p50, ms", False),
    ("latency", "p95_ms", "p95, ms", False),
    ("latency", "p99_ms", "p99, ms", False),
    ("latency", "private_mb", "peak memory, MB (private)", False),
    ("synchronous", "remote_apply_p50_ms", "COMMIT of one row that waits (`remote_apply`), p50, ms", False),
    ("big_transaction", "rows_per_s", "one large transaction, rows/s", True),
    ("big_transaction", "private_mb", "peak memory, MB (private)", False),
    ("big_transaction", "rss_mb", "peak memory, MB (resident, with shared buffers)", False),
    ("records_out", "rows_per_s", "records, CRM to ERP, rows/s of the source's log", True),
    ("records_out", "target_rows_per_s", "rows/s written in the target", True),
    ("records_out", "rows_per_s_until_read", "of the source's log, until what was written is read back, rows/s", True),
    ("records_out", "cpu_us_per_row", "CPU a row of the source's log, µs", False),
    ("records_out", "private_mb", "peak memory, MB (private)", False),
    ("records_in", "rows_per_s", "records, ERP to CRM, rows/s of the source's log", True),
    ("records_in", "target_rows_per_s", "rows/s written in the target", True),
    ("records_in", "rows_per_s_until_read", "of the source's log, until what was written is read back, rows/s", True),
    ("records_in", "cpu_us_per_row", "CPU a row of the source's log, µs", False),
    ("records_in", "private_mb", "peak memory, MB (private)", False),
    *chain.from_iterable(
        (
            (measure, "rows_per_s", f"{measure.replace('_', ', ')}, rows/s", True),
            (measure, "cpu_us_per_row", "CPU a row, µs", False),
        )
        for measure in VARIANTS
    ),
    *chain.from_iterable(
        (
            (measure, "rows_per_s", f"{one.called}, rows/s", True),
            (measure, "rows_per_s_until_read", "the same until what was written is read back, rows/s", True),
            (measure, "cpu_us_per_row", "CPU a row, µs", False),
            (measure, "server_cpu_us_per_row", "CPU a row of both servers, µs", False),
            (measure, "private_mb", "peak memory, MB (private; built-in: in the servers)", False),
        )
        if one.sides
        else (
            (measure, "p50_from_sending_ms", f"{one.called}, latency from sending COMMIT, p50, ms", False),
            (measure, "p99_from_sending_ms", "p99, ms", False),
            (measure, "p50_ms", "latency from COMMIT's answer, p50, ms", False),
            (measure, "p99_ms", "p99, ms", False),
        )
        for measure, one in PAIRS.items()
    ),
    ("debezium_backlog", "into_kafka_rows_per_s", "PostgreSQL → Debezium → Kafka, duolog is stopped, rows/s", True),
    ("debezium_backlog", "rows_per_s", "Kafka → duolog → PostgreSQL, Debezium is done, rows/s", True),
    ("debezium_backlog", "rows_per_s_until_read", "the same until what was written is read back, rows/s", True),
    ("debezium_backlog", "cpu_us_per_row", "CPU a row, µs", False),
    ("debezium_backlog", "private_mb", "peak memory, MB (private)", False),
    ("debezium_end_to_end", "rows_per_s", "PostgreSQL → Debezium → Kafka → duolog → PostgreSQL, rows/s", True),
    ("debezium_end_to_end", "cpu_us_per_row", "CPU a row, µs", False),
    ("debezium_end_to_end", "kafka_cpu_us_per_row", "CPU a row of Kafka, Connect and Debezium, µs", False),
    ("debezium_end_to_end", "private_mb", "peak memory, MB (private)", False),
    ("debezium_latency", "p50_from_sending_ms", "ERP by Debezium → CRM, latency from sending COMMIT, p50, ms", False),
    ("debezium_latency", "p99_from_sending_ms", "p99, ms", False),
    ("debezium_latency", "p50_ms", "latency from COMMIT's answer, p50, ms", False),
    ("debezium_latency", "p99_ms", "p99, ms", False),
    ("debezium_latency", "private_mb", "peak memory, MB (private)", False),
)
"""(measure, figure, how it is called, True if more is better)"""

DRAINS: Final = {
    "drain_one_way": "PostgreSQL → PostgreSQL",
    "drain_both_ways": "PostgreSQL ↔ PostgreSQL",
    **{measure: one.called for measure, one in PAIRS.items() if one.sides},
    "debezium_backlog": "Kafka → PostgreSQL",
    "debezium_end_to_end": "PostgreSQL → Kafka → PostgreSQL",
}
"""Plain rows: how each drain is called."""

SYNCHRONOUS: Final = "synchronous"
"""The measure of what a COMMIT takes its user."""

RECORDS: Final = ("records_out", "records_in")
PLAIN: Final = "drain_one_way"
"""What records are measured against, besides built-in replication: duolog's own drain of plain rows."""

PLAIN_VALUES: Final = "values_plain"
"""What is stored otherwise is measured against what is stored alike, besides built-in replication."""

Results = dict[str, dict[str, dict[str, Any]]]
"""measure → contender → figure"""


def machine() -> dict[str, Any]:
    """What it ran on: never a name or a path of the machine."""
    return {
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": PostgreSQL().version(),
        "mariadb": MariaDB().version(),
        "load_before": [round(one, 2) for one in os.getloadavg()],
    }


def write(folder: Path, results: Results, sizes: Sizes, about: Mapping[str, Any]) -> None:
    """Writes both files; what this run has not measured stays as an earlier one had it."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {**earlier(folder, sizes), **results}
    whole = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": about,
        "settings": {"postgresql": PostgreSQL().settings(), "mariadb": MariaDB().settings()},
        "sizes": asdict(sizes),
        "results": results,
    }
    (folder / "latest.json").write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "latest.md").write_text(markdown(results, sizes, about), encoding="utf-8")


def earlier(folder: Path, sizes: Sizes) -> Results:
    """The measures of an earlier run of the same sizes, with the time and the load at which they were made."""
    file = folder / "latest.json"
    if not file.exists():
        return {}
    whole = json.loads(file.read_text(encoding="utf-8"))
    same = {name: size for name, size in asdict(sizes).items() if name != "rounds"}
    if any(size != same.get(name) for name, size in whole["sizes"].items() if name != "rounds"):
        return {}
    then = {"made_at": whole["made_at"], "load": whole["machine"]["load_before"][0]}
    return {
        measure: {name: {**then, **figures} for name, figures in contenders.items()}
        for measure, contenders in whole["results"].items()
    }


def markdown(results: Results, sizes: Sizes, about: Mapping[str, Any]) -> str:
    """The report as a person reads it."""
    settings = ", ".join(f"`{name} = {value}`" for name, value in PostgreSQL().settings().items())
    of_mariadb = ", ".join(f"`{name} = {value}`" for name, value in MariaDB().settings().items())
    lines = [
        "# duolog against the built-in replication of PostgreSQL and of MariaDB",
        "",
        f"One run on one machine: {about['cpus']} CPUs, {about['system']}, {about['postgresql']}, "
        f"Python {about['python']}, load before the run {about['load_before'][0]}. Both servers, the contender and the "
        f"load share it. PostgreSQL's defaults but {settings}. {about['mariadb']}, its defaults but {of_mariadb}.",
        "",
        f"One table of 13 columns, {sizes.preload_rows:,} rows before; backlog of {sizes.backlog_changes:,} changes "
        f"on each side that writes, transactions of {sizes.transaction_rows} (70 % updates of two or three columns, "
        f"20 % inserts, 10 % deletes); latency at {sizes.latency_per_s} transactions/s on each side for "
        f"{sizes.latency_s:g} s; the large transaction inserts {sizes.big_rows:,} rows.",
        "",
        f"Records: {sizes.preload_records:,} companies with {sizes.preload_records * 4 // 5:,} orders before, in the "
        f"CRM one row each, in the ERP six and one; keys of each system's own, recognised by VAT number and order "
        f"number; a backlog of {sizes.record_changes:,} changes on the side that writes. Built-in replication copies "
        f"the writing side's tables as they are.",
        "",
        f"Values: the plain table with {sizes.value_rows:,} rows and as many changes in the ERP, some of it stored "
        f"otherwise in the CRM. Built-in replication copies the ERP's table.",
        "",
        f"Each measure {sizes.rounds} times, the contenders in turn; the median round is told. Ratio: duolog / "
        f"built-in.",
        "",
        "| measure | built-in | duolog | ratio | better |",
        "|---|---:|---:|---:|---|",
    ]
    lines += [line(results, *one) for one in LINES if one[0] in results]
    lines += ["", *commits(results), *shares(results), *dearer(results), *otherwise(results), *remarks(results), ""]
    return "\n".join(lines)


def line(results: Results, measure: str, figure: str, called: str, more_is_better: bool) -> str:
    """One line of the table."""
    values = [results[measure].get(name, {}).get(figure) for name in ("built-in", "duolog")]
    ratio = f"{values[1] / values[0]:.2f}" if values[0] and values[1] is not None else ""
    shown = [f"{value:,}" if value is not None else "–" for value in values]
    return f"| {called} | {shown[0]} | {shown[1]} | {ratio} | {'more' if more_is_better else 'less'} |"


def commits(results: Results) -> list[str]:
    """What a COMMIT of one row takes: by contender and kind, and how many times what it takes alone."""
    measured = {name: figures["kinds"] for name, figures in results.get(SYNCHRONOUS, {}).items() if "kinds" in figures}
    if not measured:
        return []
    lines = [
        "What a COMMIT of one row takes its user, ms (`alone`: `synchronous_commit = local`, before there is any "
        "contender; `local`: the same while others wait); the ratios are of the median with one client.",
        "",
        "| carried by | kind | p50 | p99 | to `alone` | to `local` | commits/s: 1 client | 8 | 32 |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, kinds in measured.items():
        for kind, clients in kinds.items():
            one = clients["1"]
            ratios = [f"{one['p50_ms'] / kinds[base]['1']['p50_ms']:.1f}" for base in ("alone", "local")]
            rates = [f"{each['per_s']:,.0f}" for each in clients.values()]
            cells = [name, f"`{kind}`", f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.1f}", *ratios, *rates]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def shares(results: Results) -> list[str]:
    """Where duolog's CPU time goes: by drain and thread."""
    drains = [(measure, figures["duolog"]) for measure, figures in results.items() if measure in DRAINS]
    told = [(measure, figures) for measure, figures in drains if figures.get("threads_us_per_row")]
    if not told:
        return []
    lines = [
        "Where the CPU time of a drain goes, µs a row: of duolog's threads (both systems' together), of its whole "
        "process without starting, and of both servers.",
        "",
        "| drain | reading | deciding | store | writing | process | servers |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for measure, figures in told:
        threads: Mapping[str, float] = figures["threads_us_per_row"]
        cells = [
            f"{sum(spent for name, spent in threads.items() if name.startswith(kind)):.1f}"
            for kind in ("reader", "Main", "store", "writer")
        ]
        cells += [f"{figures[name]:.1f}" for name in ("cpu_us_per_row", "server_cpu_us_per_row")]
        lines.append(f"| {DRAINS[measure]} | {' | '.join(cells)} |")
    return [*lines, ""]


def dearer(results: Results) -> list[str]:
    """What a row of assembled records costs duolog, against a plain one of the same run."""
    plain = results.get(PLAIN, {}).get("duolog", {})
    lines = []
    for measure in RECORDS:
        figures = results.get(measure, {}).get("duolog", {})
        if plain.get("cpu_us_per_row") and figures.get("cpu_us_per_row"):
            seen, read, written = (
                plain[name] / figures[name] for name in ("rows_per_s", "rows_per_s_until_read", "target_rows_per_s")
            )
            cpu = figures["cpu_us_per_row"] / plain["cpu_us_per_row"]
            lines.append(
                f"- What assembled records cost, `{measure}`: a row of the source's log takes {seen:.1f} times as long "
                f"as a plain row of `{PLAIN}` ({read:.1f} until all is read back), and {cpu:.1f} times the CPU; a row "
                f"written in the target takes {written:.1f} times as long."
            )
    return lines


def otherwise(results: Results) -> list[str]:
    """What a row costs duolog that is stored otherwise in the two systems, against one that is stored alike."""
    plain = results.get(PLAIN_VALUES, {}).get("duolog", {})
    return [
        f"- What is stored otherwise, `{measure}`: {figures['rows_per_s'] / plain['rows_per_s']:.2f} of the rows/s of "
        f"`{PLAIN_VALUES}`, {figures['cpu_us_per_row'] / plain['cpu_us_per_row']:.2f} times its CPU a row."
        for measure in VARIANTS
        if measure != PLAIN_VALUES
        and plain.get("cpu_us_per_row")
        and (figures := results.get(measure, {}).get("duolog", {})).get("cpu_us_per_row")
    ]


def remarks(results: Results) -> list[str]:
    """What a reader must know who only sees the table."""
    notes = [
        f"- `{measure}`, {name}: **{reason}**"
        for measure, contenders in results.items()
        for name, figures in contenders.items()
        if (reason := figures.get("failed") or ("" if figures.get("equal", True) else "the tables differ at the end"))
    ]
    spread = [
        f"- `{measure}`, {name}, all rounds: {', '.join(f'{one:,}' for one in figures['rounds'])}"
        for measure, contenders in results.items()
        for name, figures in contenders.items()
        if len(figures.get("rounds", ())) > 1
    ]
    return [
        *notes,
        *spread,
        "- Drains count from the moment when the source's slot has a reader; those with starting, from the start of "
        "the process or the enabling of the subscription. Latency ends when another session there sees the row.",
        "- With MariaDB, built-in is MariaDB's own circular replication of the same rows between two MariaDB servers, "
        "also where duolog has PostgreSQL on one side: no server replicates into one of another kind.",
        "- By ODBC and on SQLite, nobody reads a log: those drains count from the start of the process. By ODBC, "
        "built-in is the servers' own replication; for SQLite it is a plain copy of the whole table from file to file "
        "(`INSERT … SELECT`), which knows of no change and merges nothing.",
        "- With Debezium, built-in carries the same rows from PostgreSQL to PostgreSQL directly. The JVMs of Kafka and "
        "Kafka Connect are warm, and no part of duolog's memory and CPU; Debezium looks every 50 ms for changes "
        "(`poll.interval.ms`), as JSON without schemas.",
        *loads(results),
        "- Built-in replication detects conflicts but merges nothing; no measure gives it anything to merge.",
        "- What is read back: duolog's own writes, of which its other direction must know. Built-in has no other one.",
        "- Memory and CPU (of a drain, until then): built-in's walsenders and apply workers; duolog's process.",
        "- duolog always runs both ways, also in the one-way measure.",
    ]


def loads(results: Results) -> list[str]:
    """When measures were made, and how busy the machine was, with whatever."""
    days: dict[str, dict[str, float]] = defaultdict(dict)
    for measure, contenders in results.items():
        figures = next(iter(contenders.values()))
        busiest = max(float(each.get("load", 0.0)) for each in contenders.values())
        days[str(figures.get("made_at", ""))[:10]][measure] = busiest
    told = [
        f"- Made on {day}, at a load average of {min(found.values()):g} to {max(found.values()):g}: "
        f"{', '.join(f'`{measure}`' for measure in found)}."
        for day, found in days.items()
        if day
    ]
    return [
        *told,
        "- A measure by itself makes a load of about 2. Where it was far more, others worked on the machine: then look "
        "at CPU a row, and not at rows/s.",
    ]
