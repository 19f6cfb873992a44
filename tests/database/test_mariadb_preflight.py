"""Preflight on a real MariaDB: a fit one is found fit, each fault is seen, and the mend that is told mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.mariadb.facts import Facts, gather
from adapters.mariadb.preflight import Capabilities, assess, capabilities
from adapters.mariadb.rights import grants
from adapters.mariadb.session import Connection, ask, connect, execute
from adapters.mariadb.setup import setup
from engine.catalog import Finding
from engine.rulebook import RuleBook
from service.embedded import EmbeddedMariaDB
from tests.database.books import Bound, book
from tests.servers import without_mariadb

ITEM = Bound("item", ("id", "v"), ("id",), schema="shop")
BOOK = book(ITEM)
ALWAYS_TOLD = {"P107", "P157"}
"""Of a server for tests: nothing is synced, and the log is kept for ever."""


CHANGED = (
    "read_only", "binlog_format", "binlog_row_image", "binlog_row_metadata", "max_allowed_packet", "sql_mode",
    "binlog_expire_logs_seconds", "sync_binlog", "innodb_flush_log_at_trx_commit", "server_id", "init_connect",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedMariaDB]:
    """A MariaDB whose settings these tests may change."""
    without_mariadb()
    with EmbeddedMariaDB() as found:
        yield found


@pytest.fixture
def dba(server: EmbeddedMariaDB) -> Iterator[Connection]:
    """The superuser's connection, and a table; what a test sets is set back."""
    server.create_database("shop")
    conn = connect("erp", server.url("shop"), application_name="test")
    before = dict(ask(conn, "SHOW GLOBAL VARIABLES"))
    execute(conn, "CREATE TABLE item (id int PRIMARY KEY, v text)")
    setup(conn, BOOK, "erp")
    yield conn
    for name in CHANGED:
        value = before[name]
        execute(conn, f"SET GLOBAL {name} = {value if value.isdigit() else repr(value)}")
    conn.close()
    server.drop_database("shop")
    server.drop_database("duolog")


def facts(conn: Connection, server: EmbeddedMariaDB, rules: RuleBook = BOOK) -> Facts:
    return gather(conn, rules, "erp", url=server.url("shop"))


def findings(conn: Connection, server: EmbeddedMariaDB, rules: RuleBook = BOOK) -> dict[str, Finding]:
    return {found.code: found for found in assess(facts(conn, server, rules)) if found.code not in ALWAYS_TOLD}


def test_a_fit_server_is_found_fit(dba: Connection, server: EmbeddedMariaDB) -> None:
    assert findings(dba, server) == {}
    assert capabilities(facts(dba, server)) == Capabilities(skip_own=True)


SETTINGS = [
    ("read_only = ON", "P103"),
    ("binlog_format = 'MIXED'", "P151"),
    ("binlog_format = 'STATEMENT'", "P151"),
    ("binlog_row_image = 'MINIMAL'", "P152"),
    ("binlog_row_image = 'NOBLOB'", "P152"),
    ("binlog_row_metadata = 'NO_LOG'", "P153"),
    ("binlog_row_metadata = 'MINIMAL'", "P153"),
    ("max_allowed_packet = 1048576", "P158"),
    ("sql_mode = ''", "P163"),
]


@pytest.mark.parametrize(("setting", "code"), SETTINGS, ids=[setting for setting, _ in SETTINGS])
def test_each_setting_that_does_not_do_is_seen_and_the_mend_mends_it(
    dba: Connection, server: EmbeddedMariaDB, setting: str, code: str
) -> None:
    execute(dba, f"SET GLOBAL {setting}")

    told = findings(dba, server)
    assert set(told) == {code}
    execute(dba, _sql(told[code].mend))

    assert findings(dba, server) == {}


def test_how_long_the_log_is_kept_and_what_a_crash_may_cost_is_told(
    dba: Connection, server: EmbeddedMariaDB
) -> None:
    execute(dba, "SET GLOBAL binlog_expire_logs_seconds = 172800")
    told = {found.code: found for found in assess(facts(dba, server))}
    assert told.keys() == {"P108", "P157"}
    assert "for 2 days" in told["P108"].found
    assert "`sync_binlog = 0`, `innodb_flush_log_at_trx_commit = 2`" in told["P157"].found

    execute(dba, _sql(told["P157"].mend))
    assert {found.code for found in assess(facts(dba, server))} == {"P108"}


def test_a_server_of_our_readers_number_is_refused(dba: Connection, server: EmbeddedMariaDB) -> None:
    execute(dba, f"SET GLOBAL server_id = {facts(dba, server).server.reader_id}")

    told = findings(dba, server)
    assert set(told) == {"P156"}
    execute(dba, _sql(told["P156"].mend))
    assert findings(dba, server) == {}


def test_sessions_of_ours_that_write_no_log_are_refused(dba: Connection, server: EmbeddedMariaDB) -> None:
    execute(dba, "CREATE USER keeper@'127.0.0.1'; GRANT ALL ON *.* TO keeper@'127.0.0.1'")
    execute(dba, "REVOKE SUPER, CONNECTION ADMIN ON *.* FROM keeper@'127.0.0.1'")
    execute(dba, "SET GLOBAL init_connect = 'SET sql_log_bin = 0'")
    url = server.url("shop").replace("root@", "keeper@")
    try:
        keeper = connect("erp", url, application_name="test")
        told = findings(keeper, server)
        keeper.close()
        execute(dba, _sql(told["P160"].mend))
        keeper = connect("erp", url, application_name="test")
        left = findings(keeper, server)
        keeper.close()
    finally:
        execute(dba, "DROP USER keeper@'127.0.0.1'")

    assert set(told) == {"P160"}
    assert left == {}


FAULTS = [
    ("DROP TABLE item; CREATE TABLE Item (id int PRIMARY KEY, v text)", "P201", ""),
    ("DROP TABLE item; CREATE VIEW item AS SELECT 1 AS id, '' AS v", "P202", ""),
    ("DROP TABLE item; CREATE SEQUENCE item", "P202", ""),
    ("ALTER TABLE item ENGINE = MyISAM", "P202", "ALTER TABLE `shop`.`item` ENGINE = InnoDB;"),
    ("ALTER TABLE item ENGINE = Aria", "P202", "ALTER TABLE `shop`.`item` ENGINE = InnoDB;"),
    ("ALTER TABLE item ADD SYSTEM VERSIONING", "P202", "ALTER TABLE `shop`.`item` DROP SYSTEM VERSIONING;"),
    ("ALTER TABLE item CHANGE v V2 text", "P203", ""),
    ("ALTER TABLE item DROP v, ADD v int AS (id + 1) STORED", "P204", ""),
    ("ALTER TABLE item DROP PRIMARY KEY", "P210", "ALTER TABLE `shop`.`item` ADD UNIQUE (`id`);"),
    (
        "ALTER TABLE item DROP PRIMARY KEY, MODIFY id varchar(20) COLLATE utf8mb4_nopad_bin NOT NULL, "
        "ADD UNIQUE (id(3))",
        "P210",
        "",
    ),
    (
        "ALTER TABLE item DROP PRIMARY KEY, MODIFY id int NULL, ADD UNIQUE (id)", "P211",
        "ALTER TABLE `shop`.`item` MODIFY `id` int(11) NOT NULL;",
    ),
    ("ALTER TABLE item MODIFY id double", "P212", ""),
    ("ALTER TABLE item MODIFY id varchar(20)", "P213", ""),
    ("ALTER TABLE item MODIFY id varchar(20) COLLATE utf8mb4_bin", "P213", ""),  # it still ignores blanks at the end
    ("ALTER TABLE item MODIFY id int AUTO_INCREMENT", "P214", ""),
    ("CREATE SEQUENCE s; ALTER TABLE item MODIFY id int DEFAULT nextval(s)", "P214", ""),
    ("CREATE TRIGGER t BEFORE UPDATE ON item FOR EACH ROW SET NEW.v = 'x'", "P240", ""),
    ("ALTER TABLE item MODIFY v text CHARACTER SET latin1", "P252",
     "ALTER TABLE `shop`.`item` CONVERT TO CHARACTER SET utf8mb4;"),
    ("ALTER TABLE item MODIFY v text CHARACTER SET utf8mb3", "P252",
     "ALTER TABLE `shop`.`item` CONVERT TO CHARACTER SET utf8mb4;"),
    ("ALTER TABLE item ADD COLUMN p int; CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE item ADD CONSTRAINT `a``k` "
     "FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL", "P250",
     "ALTER TABLE `shop`.`item` DROP FOREIGN KEY `a``k`; ALTER TABLE `shop`.`item` ADD CONSTRAINT `a``k` "
     "FOREIGN KEY (`p`) REFERENCES `shop`.`p` (`id`);"),
    ("CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE item ADD FOREIGN KEY (id) REFERENCES p (id) ON UPDATE CASCADE",
     "P250", "ALTER TABLE `shop`.`item` DROP FOREIGN KEY `item_ibfk_1`; ALTER TABLE `shop`.`item` ADD CONSTRAINT "
     "`item_ibfk_1` FOREIGN KEY (`id`) REFERENCES `shop`.`p` (`id`);"),
]  # fmt: skip


@pytest.mark.parametrize(("ddl", "code", "mend"), FAULTS, ids=[f"{code} {ddl[:40]}" for ddl, code, _ in FAULTS])
def test_each_fault_of_a_table_is_seen_and_the_mend_mends_it(
    dba: Connection, server: EmbeddedMariaDB, ddl: str, code: str, mend: str
) -> None:
    execute(dba, ddl)

    told = findings(dba, server)
    assert set(told) == {code}
    if mend:
        assert told[code].mend.partition("  --")[0] == mend
        execute(dba, mend)
        assert findings(dba, server) == {}


def test_a_partitioned_table_is_fit(dba: Connection, server: EmbeddedMariaDB) -> None:
    execute(dba, "ALTER TABLE item PARTITION BY HASH (id) PARTITIONS 3")

    assert findings(dba, server) == {}


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TRIGGER t AFTER INSERT ON item FOR EACH ROW SET @x = 1",
        "ALTER TABLE item MODIFY v timestamp NULL ON UPDATE current_timestamp()",
    ],
)
def test_our_own_transactions_are_read_where_something_bound_can_change_beside_them(
    dba: Connection, server: EmbeddedMariaDB, ddl: str
) -> None:
    execute(dba, ddl)

    assert capabilities(facts(dba, server)) == Capabilities(skip_own=False)


def test_databases_that_are_kept_out_of_the_log_are_named_and_ours_is_one_of_them(own_maria: EmbeddedMariaDB) -> None:
    own_maria.settings = {**own_maria.settings, "binlog_do_db": "shop"}
    with own_maria as server:
        server.create_database("shop")
        conn = connect("erp", server.url("shop"), application_name="test")
        execute(conn, "CREATE TABLE item (id int PRIMARY KEY, v text)")
        told = findings(conn, server)
        conn.close()

    assert set(told) == {"P159"}
    assert "keeps out of the log: `duolog`" in told["P159"].found


def test_names_are_as_the_server_keeps_them(own_maria: EmbeddedMariaDB) -> None:
    own_maria.settings = {**own_maria.settings, "lower_case_table_names": "1"}
    with own_maria as server:
        server.create_database("shop")
        conn = connect("erp", server.url("shop"), application_name="test")
        execute(conn, "CREATE TABLE Item (id int PRIMARY KEY, v text)")
        setup(conn, BOOK, "erp")
        told = findings(conn, server, book(Bound("item", ("id", "v"), ("id",), table="Item", schema="shop")))
        left = findings(conn, server)
        conn.close()

    assert (set(told), told["P201"].mend) == ({"P201"}, "write it as `shop.item`: upper and lower case count")
    assert left == {}


def test_a_server_without_a_log_is_told_that_and_nothing_that_follows_from_it(own_maria: EmbeddedMariaDB) -> None:
    own_maria.settings = {name: value for name, value in own_maria.settings.items() if name != "log_bin"}
    with own_maria as server:
        server.create_database("shop")
        conn = connect("erp", server.url("shop"), application_name="test")
        execute(conn, "CREATE TABLE item (id int PRIMARY KEY, v text)")
        told = findings(conn, server)
        conn.close()

    assert set(told) == {"P150"}


def test_a_role_without_rights_is_told_each_and_the_mends_are_enough(
    dba: Connection, server: EmbeddedMariaDB
) -> None:
    execute(dba, "CREATE TABLE part (id int PRIMARY KEY, v text)")
    execute(dba, "CREATE USER clerk@'127.0.0.1'; GRANT INSERT (id, v) ON part TO clerk@'127.0.0.1'")
    execute(dba, "GRANT SELECT ON item TO clerk@'127.0.0.1'")
    rules = book(ITEM, Bound("part", ("id", "v"), ("id",), schema="shop"))
    clerk = connect("erp", server.url("shop").replace("root@", "clerk@"), application_name="test")
    try:
        told = assess(facts(clerk, server, rules))
        for found in told:
            if found.mend.startswith("GRANT"):
                execute(dba, found.mend)
        clerk.close()
        clerk = connect("erp", server.url("shop").replace("root@", "clerk@"), application_name="test")
        left = assess(facts(clerk, server, rules))
        held = ask(dba, "SHOW GRANTS FOR clerk@'127.0.0.1'")
        execute(dba, "DROP USER clerk@'127.0.0.1'; CREATE USER clerk@'127.0.0.1'")
        for grant in grants(rules, "erp", "clerk@127.0.0.1", "mariadb", "shop"):
            execute(dba, grant)
        printed = ask(dba, "SHOW GRANTS FOR clerk@'127.0.0.1'")
    finally:
        clerk.close()
        execute(dba, "DROP USER clerk@'127.0.0.1'")

    rights = {"P120", "P123", "P124", "P230", "P231", "P232", "P233"}
    assert {found.code for found in told} == rights | ALWAYS_TOLD
    assert {found.code for found in left} == ALWAYS_TOLD
    assert _without_columns(held) == _without_columns(printed)


def test_rights_that_come_by_a_role_or_a_pattern_count(dba: Connection, server: EmbeddedMariaDB) -> None:
    execute(dba, "CREATE ROLE copier; GRANT ALL ON `sho_`.* TO copier; GRANT ALL ON `duolog`.* TO copier")
    execute(dba, "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO copier")
    execute(dba, "CREATE USER clerk@'127.0.0.1'; GRANT copier TO clerk@'127.0.0.1'")
    execute(dba, "SET DEFAULT ROLE copier FOR clerk@'127.0.0.1'")
    try:
        clerk = connect("erp", server.url("shop").replace("root@", "clerk@"), application_name="test")
        told = findings(clerk, server)
        clerk.close()
    finally:
        execute(dba, "DROP USER clerk@'127.0.0.1'; DROP ROLE copier")

    assert told == {}


# ---------------------------------------------------------------- what this machine cannot show, by the facts alone


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"binlog_row_value_options": "PARTIAL_JSON"}, "P161"),
        ({"binlog_transaction_compression": "ON"}, "P162"),
        ({"server_id": "0"}, "P156"),
    ],
)
def test_settings_that_only_mysql_has_are_judged(
    dba: Connection, server: EmbeddedMariaDB, setting: dict[str, str], code: str
) -> None:
    known = facts(dba, server)
    told = assess(replace(known, server=replace(known.server, settings={**known.server.settings, **setting})))

    assert {found.code for found in told} - ALWAYS_TOLD == {code}


def test_columns_that_the_log_tells_in_a_form_that_is_not_read_are_refused(
    dba: Connection, server: EmbeddedMariaDB
) -> None:
    known = facts(dba, server)
    item = known.tables["shop", "item"]

    def codes(**changes: str) -> set[str]:
        columns = {**item.columns, "v": replace(item.columns["v"], **changes)}  # type: ignore[arg-type]
        tables = {("shop", "item"): replace(item, columns=columns)}
        return {found.code for found in assess(replace(known, tables=tables))} - ALWAYS_TOLD

    assert codes(data_type="json", charset="") == {"P251"}
    assert codes(data_type="json") == set(), "MariaDB's is a text"
    assert codes(charset="geostd9") == {"P251", "P252"}


def test_replication_into_the_server_is_told_and_has_to_be_in_its_log(
    dba: Connection, server: EmbeddedMariaDB
) -> None:
    known = facts(dba, server)
    replica = replace(known.server, replicas=1)

    def codes(**settings: str) -> set[str]:
        changed = replace(replica, settings={**replica.settings, **settings})
        return {found.code for found in assess(replace(known, server=changed))} - ALWAYS_TOLD

    assert codes(log_slave_updates="OFF") == {"P141", "P164"}
    assert codes(log_slave_updates="ON") == {"P141"}


def test_the_line_the_clock_and_the_version_are_judged(dba: Connection, server: EmbeddedMariaDB) -> None:
    known = facts(dba, server)
    assert known.loopback

    open_line = replace(known, loopback=False)
    assert {found.code for found in assess(open_line)} - ALWAYS_TOLD == {"P130"}
    assert {found.code for found in assess(replace(open_line, insecure=True))} - ALWAYS_TOLD == set()
    late = replace(known, clock_offset_us=-3_000_000, clock_error_us=500_000)
    assert {found.code for found in assess(late)} - ALWAYS_TOLD == {"P131"}
    newer = replace(known, server=replace(known.server, version=(13, 0, 1)))
    assert {found.code for found in assess(newer)} - ALWAYS_TOLD == {"P102"}
    frozen = replace(known, server=replace(known.server, may_freeze=False))
    assert {found.code for found in assess(frozen)} - ALWAYS_TOLD == {"P125"}


def _sql(mend: str) -> str:
    return mend.partition("  --")[0].rstrip(";")


def _without_columns(grants: list[tuple[str, ...]]) -> set[str]:
    """The lists of columns come in the server's own order."""
    return {"".join(sorted(grant)) for (grant,) in grants}
