"""Measures day one: two full tables, not alike and in use, from `duolog match` to the first quiet.

`python -m benchmarks.match` (`--rows N`, `--rate N`) makes the servers, lets users write from before the comparison to
after the acceptance, and tells time, rows a second and memory of each step. At the end both tables must be equal, row
by row, and hold what the users wrote last: a gap would show.
"""
