"""The demo: two real servers with an ERP and a CRM in them, their users, and duolog between the two. The ERP
is on PostgreSQL, the CRM on PostgreSQL or MariaDB.

`data` makes the records, `places` says under which names each system keeps them, `sessions` is the way to
either database, `traffic` is the users of both applications, `engine` calls the `duolog` command as a person
would, `screen` shows what happens, and `show` is the story from the first server to the verdict. The schemas
and the rule files are in `examples/demo/`.

Nothing here is imported by the service itself.
"""
