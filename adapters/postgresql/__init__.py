"""PostgreSQL as a system: its log in, guarded writes out, everything as the text that a column prints.

Reading: `source` is the connection and its loop around the pure parts `walsender` (frames), `pgoutput` (messages) and
`assemble` (whole transactions); `resume` says whether reading may go on. Writing: `target` is one transaction a batch;
`layouts` and `statements` make its SQL out of `phrases`, `executor` runs it, `assembled` does the same for records of
several tables and under keys of this system's own, `answers` and `refusals` understand what comes back,
`isolation` finds the rows to blame, `ledger` remembers what was committed, `reread` looks again. Before all that:
`catalog`, `facts`, `preflight`, `table_findings` and `rights` judge a database, `setup` makes what is needed there,
under `names`, and `snapshot` is a picture of it at a known position. `session` opens every connection; `kit` is the
door for the service.
"""
