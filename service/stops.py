"""An entity that broke a limit, as `status` and `allow` tell it: what happened, since when, and the ways out.

Turns a stop into a document. It reads and writes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.desk.limits import Stop
from service.commands.terms import moment


def stop_document(stop: Stop, rules: Path) -> dict[str, Any]:
    """For people and programs."""
    return {
        "entity": stop.entity, "system": stop.system, "what": stop.what, "count": stop.count, "allowed": stop.limit,
        "seconds": stop.seconds, "since": moment(stop.committed_at), "why": stop.words(),
        "mend": f"`duolog allow {rules} {stop.entity}` lets it go; with `--undo {stop.system}`, what its users did "
        "since is taken back, as the others still have it",
    }  # fmt: skip
