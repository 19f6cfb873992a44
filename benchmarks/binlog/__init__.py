"""Measures what reading MariaDB's binlog costs: duolog's own reader against mysql-replication, on the same log.

`python -m benchmarks.binlog` starts a server, writes the backlog of the plain workload, and has each reader read it,
in turn, best of some rounds: time on the wall, and CPU time of the process.
"""
