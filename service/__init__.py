"""The shell that knows everybody: puts rules, adapters and engine together and runs them for people.

`cli` is the command and `commands` its verbs, `daemon` is `duolog run`, `wiring` the one place that knows all adapters.
`failpoints` and `profiling` are for tests and measurements; `embedded` and `demo` start servers of their own, for the
demo, the tests and the benchmarks. Nothing here decides anything about a change.
"""
