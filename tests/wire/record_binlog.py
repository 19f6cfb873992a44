"""Records what a real MariaDB sends, case by case, into `golden/binlog/*.hex`: one packet a line, in hexadecimal.

Run it as `python -m tests.wire.record_binlog` after adding a case; look at the difference before committing it. Times,
numbers of tables and positions differ from run to run, so only new cases are written unless `--all` is given.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from engine.rulebook import Table
from engine.vocabulary import Progress, Transaction
from service.embedded import EmbeddedMariaDB
from tests.database.maria_erp import MariaErp

GOLDEN: Final = Path(__file__).parent / "golden" / "binlog"

ITEM: Final = Table("golden", "item", ("id", "name", "price"), (0,))
KINDS: Final = Table("golden", "kinds", ("id", *"abcdefghijklmnopqrstuvwx"), (0,))

SETUP: Final = """
    DROP TABLE item;
    CREATE TABLE item (id int PRIMARY KEY, name text, price decimal(12,2));
    CREATE TABLE kinds (id int PRIMARY KEY, a bigint unsigned, b mediumint, c decimal(65,30), d float, e double,
        f bit(9), g char(4), h varchar(300), i varchar(20) CHARACTER SET latin1, j binary(4), k mediumblob,
        l enum('x','高兴'), m set('a','b','c'), n date, o datetime(6), p timestamp(3) NULL, q time(6), r year,
        s uuid, t inet6, u json, v text COMPRESSED, w varchar(20) CHARACTER SET ucs2, x tinyint(1));
    INSERT INTO item VALUES (1, 'one', 1.5), (2, NULL, 2.5), (3, 'three', NULL)"""

CASES: Final[dict[str, str]] = {
    "insert": "INSERT INTO item VALUES (10, 'ten', 10), (11, NULL, NULL), (12, '', -0.01)",
    "update": "UPDATE item SET name = 'uno' WHERE id = 1",
    "update_key": "UPDATE item SET id = 20 WHERE id = 2",
    "update_minimal": "SET STATEMENT binlog_row_image = MINIMAL FOR UPDATE item SET price = 7 WHERE id = 1",
    "delete": "DELETE FROM item WHERE id = 3",
    "kinds": """INSERT INTO kinds VALUES (1, 18446744073709551615, -8388608, -1.000000000000000000000000000001, 0.1,
        1e-20,
        b'100000001', 'ab', '上海市 🙂', 'é€', 'a', X'00ff', '高兴', 'a,c', '2026-01-31', '2026-01-31 12:00:00.5',
        '2038-01-19 03:14:07.999', '-838:59:59.000001', 0, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2001:db8::1',
        '{"a": [1, null]}', REPEAT('compressed ', 50), '中', 1)""",
    "kinds_null": "INSERT INTO kinds (id) VALUES (2)",
    "kinds_zero": """SET STATEMENT sql_mode = '' FOR INSERT INTO kinds (id, c, l, m, n, o, p, q, r) VALUES
        (3, 0, '', '', '0000-00-00', '2026-00-10', '0000-00-00', '-00:00:00.1', '2155')""",
    "truncate": "TRUNCATE TABLE item",
    "own": "BEGIN; {ledger}; INSERT INTO item VALUES (30, 'ours', 1); COMMIT",
    "another_database": "INSERT INTO elsewhere.item VALUES (1)",
    "xa": "XA START 'x'; INSERT INTO item VALUES (40, 'xa', 1); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
    "rolled_back": "BEGIN; INSERT INTO item VALUES (50, 'undone', 1); INSERT INTO plain VALUES (1); ROLLBACK",
    "altered": "ALTER TABLE item ADD extra int; INSERT INTO item VALUES (60, 'six', 6, 6)",
    "files": "FLUSH BINARY LOGS; INSERT INTO item (id) VALUES (70)",
    "compressed": "SET GLOBAL log_bin_compress = ON; INSERT INTO item (id, name) VALUES (80, REPEAT('long ', 100))",
    "statement": "SET STATEMENT binlog_format = STATEMENT FOR DELETE FROM item",
}
"""What is done, by the name of its case."""


def record(erp: MariaErp, statements: str) -> list[bytes]:
    """Carries the statements out; returns the packets that the server sent of them, from the beginning of a stream."""
    begun = erp.position()
    erp.another().run(statements.replace("{ledger}", erp.ledger_row("unit", 1)))
    end = erp.position()
    packets: list[bytes] = []
    source = erp.source(tables=[], server_id=70)
    folded = source._assembler.feed

    def feed(packet: bytes) -> Transaction | Progress | None:
        packets.append(packet)
        return folded(packet)

    source._assembler.feed = feed  # type: ignore[method-assign]
    source.open(begun)
    while (item := source.read(5.0)) is None or item.position < end:
        pass
    source.close()
    return packets


def main() -> None:
    """Writes the golden files that are missing, or all."""
    GOLDEN.mkdir(exist_ok=True)
    with EmbeddedMariaDB() as server:
        server.settings["log_bin_compress_min_len"] = "100"
        server.start()
        erp = MariaErp(server.create_database("golden"))
        erp.run(SETUP)
        erp.run("CREATE TABLE plain (id int) ENGINE = MyISAM; CREATE DATABASE elsewhere")
        erp.run("CREATE TABLE elsewhere.item (id int)")
        for case, statements in CASES.items():
            path = GOLDEN / f"{case}.hex"
            packets = record(erp, statements)
            if "--all" in sys.argv or not path.exists():
                path.write_text("".join(f"{packet.hex()}\n" for packet in packets))
                print(f"{case}: {len(packets)} packets")
        erp.close()


if __name__ == "__main__":
    main()
