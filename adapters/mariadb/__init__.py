"""MariaDB and MySQL: a source that tails the binlog, and a target that writes guarded batches.

    binlog bytes ─binlog, assemble→ transactions ─source→ the engine ─target→ statements over whole documents of rows
    catalog ─preflight→ findings ─setup→ the SQL that puts them right

Everything that is particular to MariaDB and MySQL is here, and nothing else knows of it.
"""
