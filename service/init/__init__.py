"""From live databases to a first rule file: tables and columns that look alike, a question wherever that is a guess.

`names` says how alike two names are, `inheriting` takes tables with one key for one, `pairing` which tables and columns
go together, `drafting` what a pair amounts to (keys, identity, references, code tables, maps), `writing` puts it down
as YAML with its questions as comments, and `proving` takes out again whatever the rule language has something against.
Nothing here opens a database.
"""
