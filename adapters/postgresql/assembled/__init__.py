"""Records of several tables, under keys of this system's own: how they are found, written and taken away.

`shapes` reads once how an entity's parts lie in the catalog (`places`); `belonging` says in SQL which rows count and
what is a record. A record is found by `locating`, which locks its rows and then looks. What is to be done to its rows
is a form (`forms`), the same for all records of one pattern: which rows are made, in what order, and where the values
of their keys come from. `rows` are the statements of a form, by a row's own key; `codes` translates what is looked
up. `patterns` says which rows a record needs, `values` are the records of one list of writes on their way, `finding`
holds them against what is there, `making` carries out their forms, `writer` does it all in order, `reread` looks
again.
"""
