"""Databases that are reached by ODBC: which driver leads to which dialect of SQLAlchemy's, what each driver gets wrong,
and the cure.

Whoever speaks SQL (`adapters.alchemy`) is given connections on which every value arrives as it was sent. Nothing here
knows a table.
"""
