"""Turns a folder into a running database server and back: for the demo, the tests and the benchmarks.

`process` is what all servers do alike; `postgresql` and `mariadb` say what is their own. Nothing else in duolog starts
another program, and nothing here is imported by the service itself.
"""

from __future__ import annotations

from service.embedded.mariadb import EmbeddedMariaDB
from service.embedded.postgresql import DEFAULTS, EmbeddedServer, find_programs
from service.embedded.process import NoServerProgram, ServerProcess

__all__ = ["DEFAULTS", "EmbeddedMariaDB", "EmbeddedServer", "NoServerProgram", "ServerProcess", "find_programs"]
