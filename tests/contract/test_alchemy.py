"""What SQLAlchemy writes and shows of a database keeps what every adapter promises of a target and a picture."""

from tests.contract.alchemy_ground import alchemy_ground
from tests.contract.snapshot_promises import SnapshotPromises
from tests.contract.suite import contract
from tests.contract.target_promises import TargetPromises
from tests.contract.waiting_promises import WaitingPromises
from tests.contract.whole_promises import WholePromises
from tests.ground import MARIADB, POSTGRESQL

PROMISES = (TargetPromises, WaitingPromises, SnapshotPromises, WholePromises)

TestPostgreSQL = contract(alchemy_ground(POSTGRESQL), *PROMISES)
TestMariaDB = contract(alchemy_ground(MARIADB), *PROMISES)
TestSQLite = contract(alchemy_ground("sqlite"), *PROMISES)
TestFloor = contract(alchemy_ground("floor"), TargetPromises, WholePromises)
"""Of a database of which nothing is known."""
