"""PostgreSQL as a system: its log in, guarded writes out, everything as the text that a column prints.

Reading: `source` is the connection and its loop around the pure parts `walsender` (frames), `pgoutput` (messages) and
`assemble` (whole transactions); `resume` says whether reading may go on. Writing: `target` is one transaction a batch,
what goes into it is worked out in `relational`, which asks here by `speech`; `statements` make its SQL out of
`phrases`, `assembled` that of records of several tables, `layouts` reads what both have to know of live tables,
`refusals` and `blame` understand errors, `ledger` remembers what was committed, `reread` looks again. Before all that:
`catalog`, `facts`, `preflight`, `table_findings` and `rights` judge a database, `setup` makes what is needed there,
under `names`, and `snapshot` is a picture of it at a known position. `session` opens every connection; `kit` is the
door for the service.
"""
