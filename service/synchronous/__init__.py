"""Synchronous commit as a service: when a database is armed and let go, who watches that nobody waits for ever, and
what is told of it. How one database does it is in `adapters/*/switch.py`."""
