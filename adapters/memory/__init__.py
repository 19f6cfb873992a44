"""A system in memory: a whole database with a log, users, locks and triggers, for simulations and examples.

It keeps the promises of `engine.ports` and passes the same contract tests as the real adapters, so that it may be
trusted as their stand-in. It never touches a disk or a network.

`system.py` is the database; `source.py`, `target.py` and `snapshot.py` are its ports; `assembled.py` and `work.py`
write records of several tables; `store.py` is a store.
"""

from adapters.memory.snapshot import MemorySnapshot
from adapters.memory.source import MemorySource
from adapters.memory.store import MemoryStore
from adapters.memory.system import MemorySystem
from adapters.memory.target import MemoryTarget

__all__ = ["MemorySnapshot", "MemorySource", "MemoryStore", "MemorySystem", "MemoryTarget"]
