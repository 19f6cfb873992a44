"""A database that Debezium reads keeps what every adapter promises."""

from tests.contract.debezium_ground import debezium_ground
from tests.contract.snapshot_promises import SnapshotPromises
from tests.contract.source_promises import SourcePromises
from tests.contract.suite import contract
from tests.contract.whole_promises import WholePromises
from tests.ground import MARIADB, POSTGRESQL

# Its target is the database's own, whose promises are tried there.
TestDebeziumOverPostgreSQL = contract(debezium_ground(POSTGRESQL), SourcePromises, SnapshotPromises, WholePromises)
TestDebeziumOverMariaDB = contract(debezium_ground(MARIADB), SourcePromises, SnapshotPromises, WholePromises)
