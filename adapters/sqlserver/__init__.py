"""Turns SQL Server's change tables, or its change tracking, into whole transactions; around `adapters.alchemy`, which
writes the database and takes its pictures. It never reads the log itself, which SQL Server shows to nobody.
"""
