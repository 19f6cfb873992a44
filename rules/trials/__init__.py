"""Tests inside rule files: what users wrote in which system, and what all are to have in the end.

`naming` finds what a test says that cannot be, before anything runs; `values` puts what it says into the forms in
which the engine has values; `bench` carries it out, by the engine's own merge, on rows in memory; `verdict` holds what
came out against what was expected; `running` does all of it for a whole rule book.

Pure: opens no file and no connection. The page about it is `docs/testing-rules.md`.
"""

from rules.trials.naming import check_tests
from rules.trials.running import Trial, disagreements, failures, run_tests

__all__ = ["Trial", "check_tests", "disagreements", "failures", "run_tests"]
