"""What adapters of SQL databases do alike, whatever the database: pure, without a driver, and without SQL.

A database is spoken to through one door, `speech`: the statements that an adapter puts into its own words. Around it,
`executor` writes lists of writes, `assembled` those of records that lie in several tables or have keys of the system's
own, `isolation` finds the rows to blame when a batch is not taken as a whole, `answers` understands what comes back,
`looking` looks again. `live` and `layout` are the tables as the catalog and the rules have them, `refused` the words
for what cannot be written, `ledger` what is remembered of a batch. Of reading a log, `spool` keeps the transaction that
is being received, and `picking` takes the bound columns out of its rows. Of judging a database, `judging` and `rights`
are what is found and asked for in the same way everywhere.
"""
