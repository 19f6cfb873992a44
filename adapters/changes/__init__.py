"""The change topic: what one reader of a system's log publishes, and every partition's engine reads.

`encoding` is what stands in a message, `topic` where messages are, `publisher` fills it, `source` reads a partition of
it as if it were the database's log: with the database's own positions.
"""
