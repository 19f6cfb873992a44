"""The database in memory, which simulations trust, keeps what every adapter promises."""

from tests.contract.memory_ground import memory_ground
from tests.contract.suite import contract

TestMemory = contract(memory_ground)
