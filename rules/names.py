"""The names of tables and columns as the rules write them, against a catalog: found, or a problem with the nearest.

Turns a name into what the catalog says of it. It never looks at a column's type.
"""

from __future__ import annotations

from engine.catalog import Catalog, Column, TableShape
from rules.findings import Findings
from rules.problem import Path, did_you_mean, quoted


def find_table(path: Path, name: tuple[str, str], catalog: Catalog, findings: Findings) -> TableShape | None:
    """The table that stands at `path`; told as a problem if there is none."""
    shape = catalog.tables.get(name)
    if shape is not None:
        return shape
    wanted = ".".join(name)
    dotted = [".".join(other) for other in catalog.names]
    alike = [other for other in dotted if other.casefold() == wanted.casefold()]
    if alike:
        findings.error("R403", path, f"{quoted(catalog.system)} has no table {quoted(wanted)}",
                       mend=f"write it as the catalog does: `{alike[0]}`")  # fmt: skip
        return None
    moved = [other for other, names in zip(dotted, catalog.names, strict=True) if names[1] == name[1]]
    findings.error("R401", path, f"{quoted(catalog.system)} has no table {quoted(wanted)}, or our role may not see it",
                   allowed=tuple(sorted(dotted)), mend=did_you_mean(wanted, moved or dotted))  # fmt: skip
    return None


def find_column(path: Path, system: str, name: str, shape: TableShape, findings: Findings, *, key: bool = False,
                within: tuple[int, int] | None = None) -> Column | None:  # fmt: skip
    """The column that stands at `path` (or `within` the text there); told as a problem if there is none."""
    column = shape.columns.get(name)
    if column is not None:
        return column
    what = f"{system}'s {shape.schema}.{shape.name} has no column {quoted(name)}"
    alike = [other for other in shape.columns if other.casefold() == name.casefold()]
    if alike:
        findings.error("R403", path, what, key=key, mend=f"write it as the catalog does: `{alike[0]}`", within=within)
    else:
        findings.error("R402", path, what, key=key, allowed=tuple(shape.columns),
                       mend=did_you_mean(name, shape.columns), within=within)  # fmt: skip
    return None


def check_writable(path: Path, system: str, column: Column, shape: TableShape, findings: Findings) -> None:
    """A generated column cannot be written."""
    if column.generated:
        findings.error("R404", path, f"{system}'s {shape.schema}.{shape.name} computes {quoted(column.name)} itself:"
                       " it cannot be written",
                       mend="bind the columns that it is computed from, or take it out")  # fmt: skip
