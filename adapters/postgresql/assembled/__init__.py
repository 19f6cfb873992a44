"""The SQL of records that lie in several tables, for `relational.assembled`.

`belonging` says which rows count and what is a record. A record is found by `locating`, which locks its rows and then
looks. `rows` are the statements that make, change and remove rows by their own keys; `codes` are those of code tables.
"""
