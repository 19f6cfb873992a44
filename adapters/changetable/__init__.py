"""A database whose log nobody here can read: triggers write what its users do into a change table, which is read in
the order of stamps. Everything else is SQLAlchemy's (`adapters.alchemy`). See `docs/decisions/0040`.
"""
