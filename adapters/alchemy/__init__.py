"""Any database that SQLAlchemy has a dialect of, as a target and a picture: its tables are read, written, looked at.

What is asked is portable SQL, built of the catalog's names and bound values; whatever no two databases do alike (how a
row is locked without waiting, how a moment is spelled, where the log ends) stands in `abilities`, by dialect, with a
floor that is right everywhere. Rows are locked, read, compared here as exact texts, and only then written.

It reads no log. Who wraps it (`service.wiring`) does, and says where a separator lies in that log.
"""
