"""Records of several tables, under keys of this system's own: how they are found, written and taken away.

`shapes` says how an entity's parts lie in the catalog (`places`). `patterns` says which rows a record needs, `values`
are the records of one list of writes on their way, `finding` locks and looks at what is there and holds it against
that. What is to be done to a record's rows is a form (`forms`), the same for all records of one pattern: which rows are
made, in what order, and where the values of their keys come from; `making` carries it out, row by row only where one
needs the key that another is told. `codebook` translates what is looked up, `writer` does it all in order. What each
adapter has to say of this in its own SQL is told by `speech`.
"""
