"""Records that have a key of its own in each system: whose rows they are, and which of them are the same.

Turns rows of several tables into images whose references are record ids. `entries` keeps what is durable, `rows` the
rows of assembled records, `keys` the cross-reference, `identity` the recognition at first sight, `translate` the way
from a system's keys and codes to ours. It decides nothing about values: that is `engine.merge`'s.
"""

from engine.crossing.crossing import Crossing
from engine.crossing.keys import OWN_KEYS, shown

__all__ = ["OWN_KEYS", "Crossing", "shown"]
