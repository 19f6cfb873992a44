"""Measures duolog against PostgreSQL's and MariaDB's own replication, in one run, on one machine, with the same rows.

`python -m benchmarks` runs everything and writes `benchmarks/results/latest.json` and `latest.md`; `--quick`
is a small smoke version, `--only NAME` one measure, `--system NAME` one contender.

`sizes` says how much, `workload` what is asked of rows, `items` makes those of one plain table, `records` those that
are assembled of several, `values` those that are stored otherwise in the other system, `pairs` those of one plain table
where MariaDB takes part. `database` is what is asked of a server, `postgresql` and `mariadb` are its two kinds, `bench`
makes two of them. `builtin`, `circular` and `duolog` are the contenders, `measures` what is done with each, `probe`
reads memory and CPU time, `synchronous` measures what a COMMIT takes its user, `standby` has a server wait for its
reader, `report` writes.

Commands of their own: `profile` (where the engine's time goes), `binlog` (what its readers cost), `match`.

Nothing here is a timed test: it states figures and judges nothing.
"""
