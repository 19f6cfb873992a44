"""The demo: two real PostgreSQL servers with an ERP and a CRM in them, their users, and duolog between the
two.

`data` makes the records, `places` says under which names each system keeps them, `traffic` is the users of
both applications, `engine` calls the `duolog` command as a person would, `screen` shows what happens, and
`show` is the story from the first server to the verdict. The schemas and the rule file are in
`examples/demo/`.

Nothing here is imported by the service itself.
"""
