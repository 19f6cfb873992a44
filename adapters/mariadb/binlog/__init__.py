"""The binlog's bytes: packets, events, tables' descriptions, rows. Everything here is pure: bytes in, values out.

    bytes of the connection ─frames→ packets ─events→ events ─tables→ what a table is like ─rows→ rows of texts
                                                      └─statements→ what SQL in the log does to bound tables
"""
