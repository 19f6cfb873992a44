"""What is written and shown of a database through its ODBC driver keeps what every adapter promises of a target and a
picture."""

from tests.contract.odbc_ground import odbc_ground
from tests.contract.suite import contract
from tests.contract.test_alchemy import PROMISES
from tests.ground import MARIADB, POSTGRESQL

TestPostgreSQL = contract(odbc_ground(POSTGRESQL), *PROMISES)
TestMariaDB = contract(odbc_ground(MARIADB), *PROMISES)
