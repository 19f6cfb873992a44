"""Records of several tables: the words of a binding to the engine's `Assembly`.

    sql        a piece of SQL as a tree that knows its place
    condition  `where`: which rows belong
    joins      `on`: by which columns the rows of a part are found, and the parts in order
    created    `on_create`: what a new row gets besides
    columns    the tables in use, and the columns that are read of them
    removal    `deactivate`, `reactivate`, `remove`
    assemble   all of it, for one entity in one system
    bindings   all entities in all systems: the tables, each once
    checked    what the catalogs have against it
    filled     what a new row needs and nobody gives it

Everything is done twice: without catalogs when a file is loaded, so that what it says by itself is judged offline; and
with them when the rule book is compiled.
"""
