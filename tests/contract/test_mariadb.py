"""MariaDB keeps what every adapter promises."""

from tests.contract.sql_ground import sql_ground
from tests.contract.suite import contract
from tests.ground import MARIADB

TestMariaDB = contract(sql_ground(MARIADB))
