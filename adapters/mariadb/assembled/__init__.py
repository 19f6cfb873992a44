"""Turns what the writing of records asks of MariaDB's tables into SQL, where a record lies in rows of several tables.

What SQL says plainly is asked in SQL: which rows are joined, which are locked, what is stored. Which of them counts,
and whether they are a record, `engine.assembly` says, the same code that answers for rows in memory. It never decides
what is written; `adapters.relational.assembled` does.
"""
