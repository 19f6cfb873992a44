"""A database as Debezium tells of it: its changes are read from Kafka's topics, its rows are written by the adapter of
the database itself.
"""
