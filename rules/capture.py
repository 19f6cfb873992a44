"""What a rule file says of how SQL Server tells its changes, and what is wrong with that.

Judged from the file alone: whether it is enabled on a server is for the adapter to find out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rules.findings import Findings
from rules.problem import quoted
from rules.syntax import SystemSyntax

CAPTURED: Final = "sqlserver"
"""The adapter whose systems tell their changes in one of several ways."""


def check_capture(systems: Mapping[str, SystemSyntax], findings: Findings) -> None:
    """`capture` stands at an SQL Server only: every other database has one way."""
    for name, words in systems.items():
        if words.capture is not None and words.adapter != CAPTURED:
            findings.error("R345", ("systems", name, "capture"), f"{quoted(name)} tells its changes in one way only",
                           key=True, found=quoted(f"adapter: {words.adapter}"),
                           mend="take it out, or say `adapter: sqlserver`")  # fmt: skip
