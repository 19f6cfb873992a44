"""PostgreSQL keeps what every adapter promises."""

from tests.contract.sql_ground import sql_ground
from tests.contract.suite import contract
from tests.ground import POSTGRESQL

TestPostgreSQL = contract(sql_ground(POSTGRESQL))
