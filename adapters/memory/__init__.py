"""A system in memory: a whole database with a log, users, locks and triggers, for simulations and examples.

It keeps the promises of `engine.ports` and passes the same contract tests as the real adapters, so that it may be
trusted as their stand-in. It never touches a disk or a network.
"""

from adapters.memory.store import MemoryStore
from adapters.memory.system import MemorySource, MemorySystem, MemoryTarget

__all__ = ["MemorySource", "MemoryStore", "MemorySystem", "MemoryTarget"]
