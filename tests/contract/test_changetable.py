"""What triggers keep of a database, SQLAlchemy writes and shows keeps the whole contract."""

from tests.contract.changetable_ground import changetable_ground
from tests.contract.suite import contract
from tests.ground import MARIADB, POSTGRESQL

TestSQLite = contract(changetable_ground("sqlite"))
TestPostgreSQL = contract(changetable_ground(POSTGRESQL))
TestMariaDB = contract(changetable_ground(MARIADB))
TestPostgreSQLByOdbc = contract(changetable_ground(POSTGRESQL, odbc=True))
TestMariaDBByOdbc = contract(changetable_ground(MARIADB, odbc=True))
