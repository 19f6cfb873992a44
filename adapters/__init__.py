"""The world outside, a folder a kind: databases that take part, and the store that remembers. Each knows `engine` only.

`postgresql` reads, writes, snapshots and judges PostgreSQL databases, `mariadb` those of MariaDB and MySQL, and
`relational` is what both do alike, `kafka` what all that speaks to Kafka does; `store` keeps the engine's state in
SQLite or PostgreSQL; `memory` does both in memory, for simulations and tests, with the same promises. What they promise
stands in `engine.ports`; `service.wiring` puts them together.
"""
