"""Keeps the engine's durable state (`SqlStore`) in one SQLite file or one PostgreSQL schema.

`store.py` is the port; `opening.py` finds or makes the tables of `schema.py`; `writing.py` turns a delta into
statements; `place.py` says what the two databases do differently, `sqlite.py` and `postgresql.py` do it; `lock.py` lets
one engine in; `requests.py` is the way in for people; `journal.py` is the way back for what was overruled;
`bookmarks.py` says where sources that need more than a position may begin.
"""

from adapters.store.journal import JournalRow
from adapters.store.store import HoldRow, SqlStore

__all__ = ["HoldRow", "JournalRow", "SqlStore"]
