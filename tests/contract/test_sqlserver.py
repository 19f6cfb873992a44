"""What reads SQL Server's change data capture keeps what every adapter promises, on a PostgreSQL that plays it.

No SQL Server is asked here; `tests/sqlserver/` does that where Docker runs.
"""

from tests.contract.sqlserver_ground import played_ground
from tests.contract.suite import contract

TestPlayed = contract(played_ground)
