"""`duolog run --worker`: several processes share the work of one rule file over Kafka.

`share` makes of a wired rule file what one partition's engine needs; `partition` runs such an engine, `reading` one
system's reader, each a `job` under a `lease` that whoever comes later takes over; `membership` hears from Kafka which
of them are this worker's, and `worker` starts and ends them accordingly. `looking` reads what all of them tell.
"""
