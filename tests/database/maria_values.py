"""Values of every type that MariaDB has, as SQL writes them and as the house spells them: one table for all tests.

`KINDS` says for each type which texts a column of it takes and gives back unchanged (`texts`), and what it may hold
besides that is written another way (`raw`: an SQL expression, and the text that it is then). What a SELECT prints, what
the log is decoded to and what a read after a write finds is the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.mariadb.session import SQL_MODE, Connection, ask, execute

LONG = "中" * 20_000 + "😀" * 20_000
NASTY = "\x00\x01\x1f'\"\\\\n\n\r\t%_`\u200b\ufeffe\u0301"


@dataclass(frozen=True)
class Kind:
    """A type of column."""

    texts: tuple[str, ...]
    raw: tuple[tuple[str, str], ...] = ()
    """(SQL expression, the text that it becomes), in a session that is not strict."""


def _integers(bits: int, *more: str) -> Kind:
    half = 1 << (bits - 1)
    return Kind(("0", "1", "-1", "42", str(half - 1), str(-half), *more))


def _unsigned(bits: int) -> Kind:
    return Kind(("0", "1", "42", str((1 << bits) - 1)))


def _octets(*values: bytes) -> tuple[str, ...]:
    return tuple("\\x" + value.hex() for value in values)


_TEXTS = ("", " ", "a", "A", "a ", "ä", "ß", "'", '"', "\\", "\\n", "a\nb", "%_", "{}", "NULL", "0", "\x1f")

KINDS: Mapping[str, Kind] = {
    "tinyint": _integers(8),
    "tinyint(1)": Kind(("0", "1", "-1", "127")),
    "smallint": _integers(16),
    "mediumint": _integers(24),
    "int": _integers(32),
    "bigint": _integers(64),
    "tinyint unsigned": _unsigned(8),
    "smallint unsigned": _unsigned(16),
    "mediumint unsigned": _unsigned(24),
    "int unsigned": _unsigned(32),
    "bigint unsigned": _unsigned(64),
    "int(7) zerofill": Kind(("0", "42", "4294967295")),
    "bigint zerofill": Kind(("0", "42", "18446744073709551615")),
    "boolean": Kind(("0", "1"), (("true", "1"), ("false", "0"))),
    "decimal(5,0)": Kind(("0", "-99999", "99999")),
    "decimal(12,2)": Kind(("0.00", "0.01", "-0.01", "1.50", "9999999999.99", "-9999999999.99")),
    "decimal(65,30)": Kind((
        "0." + "0" * 30, "0." + "0" * 29 + "1", "-" + "9" * 35 + "." + "9" * 30, "12345." + "123456789" * 3 + "123",
    )),
    "decimal(10,10)": Kind(("0.0000000001", "-0.9999999999", "0.1234567890")),
    "decimal(9,3) unsigned zerofill": Kind(("0.000", "1.500", "999999.999")),
    "float": Kind(
        ("0", "1.1", "-2.5", "0.1", "123456", "1e+06", "1.6777216e+07", "3.4028235e+38", "1.1754944e-38", "1e-45",
         "1e-05", "0.0001", "1.234567e+06", "3.3554448e+07"),
    ),
    "double": Kind(
        ("0", "1.1", "-2.5", "0.1", "1e+15", "123456789012345", "1e+20", "1.7976931348623157e+308", "5e-324", "1.5e-07",
         "0.0001", "9.007199254740992e+15", "1.2345678901234568e+18", "2.2250738585072014e-308"),
    ),
    "float(7,2)": Kind(("0", "1.5", "12345.67")),
    "double(10,3)": Kind(("0", "1.5", "1234567.891")),
    "bit(1)": Kind(("0", "1")),
    "bit(5)": Kind(("00000", "00101", "11111")),
    "bit(8)": Kind(("00000000", "10000001")),
    "bit(9)": Kind(("000000000", "100000001")),
    "bit(64)": Kind(("0" * 64, "1" * 64, "10" * 32, "0" * 63 + "1")),
    "char(4)": Kind(("", "a", "A", "ä", "中文字符", " a", "😀", "'"), (("'a  '", "a"),)),
    "char(4) collate utf8mb4_bin": Kind(("", "a", "A")),
    "varchar(40)": Kind((*_TEXTS, NASTY, "e\u0301", "中文", "😀")),
    "varchar(400)": Kind(("x" * 256, "中" * 400)),
    "varchar(40) collate utf8mb4_nopad_bin": Kind((*_TEXTS, "😀")),
    "tinytext": Kind((*_TEXTS, "x" * 255, "ä" * 127)),
    "text": Kind((*_TEXTS, NASTY, "x" * 65_535)),
    "mediumtext": Kind((*_TEXTS, LONG)),
    "longtext": Kind((*_TEXTS, LONG)),
    "varchar(40) character set latin1": Kind((*_TEXTS, "€", "ÿ", "\x81")),
    "char(6) character set latin1": Kind(("", "a", "é€")),
    "tinytext character set latin1": Kind(("", "ä" * 255)),
    "varchar(40) character set latin2": Kind(("", "a", "ąęłž")),
    "varchar(40) character set cp1251": Kind(("", "a", "Ж")),
    "varchar(40) character set greek": Kind(("", "a", "Ω")),
    "varchar(40) character set ascii": Kind(("", "a", "~")),
    "varchar(40) character set utf8mb3": Kind((*_TEXTS, "中文")),
    "varchar(40) character set ucs2": Kind((*_TEXTS, "中文")),
    "varchar(40) character set utf16": Kind((*_TEXTS, "中文", "😀")),
    "varchar(40) character set utf32": Kind((*_TEXTS, "中文", "😀")),
    "text character set utf16": Kind(("", "中" * 100)),
    "binary(4)": Kind(_octets(b"\0\0\0\0", b"a\0\0\0", b"\0\0\0a", b"\xff\xff\xff\xff"), (("'a'", "\\x61000000"),)),
    "binary(255)": Kind(_octets(b"a" * 255, b"a" + b"\0" * 254)),
    "varbinary(40)": Kind(_octets(b"", b"\0", b"a\0", b" ", b"'\\\"", bytes(range(40)), b"\xff" * 40)),
    "varbinary(400)": Kind(_octets(b"", b"\xfe" * 400)),
    "tinyblob": Kind(_octets(b"", b"\0\xff")),
    "blob": Kind(_octets(b"", bytes(range(256)) * 40)),
    "mediumblob": Kind(_octets(b"", b"\0" * 70_000)),
    "longblob": Kind(_octets(b"", b"\xff")),
    "enum('a','B','it''s','c\\\\d','ü','e,f',' g')": Kind(("a", "B", "it's", "c\\d", "ü", "e,f", " g"), (("''", ""),)),
    "enum('2','1') character set latin1": Kind(("2", "1"), (("1", "2"),)),
    "set('a','B','it''s','ü')": Kind(("", "a", "a,B", "B,it's,ü", "a,B,it's,ü"), (("'ü,a'", "a,ü"), ("''", ""))),
    "json": Kind(("{}", "[]", "null", '"ä"', ' {"b":1,  "a":[1.50,1e2]} ', '"\\u00e9"')),
    "date": Kind(
        ("2026-01-31", "2024-02-29", "0001-01-01", "9999-12-31", "0000-00-00", "2026-00-10", "2026-02-00"),
    ),
    "datetime": Kind(("2026-01-31 12:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "0000-00-00 00:00:00",
                      "2026-00-00 01:02:03")),
    "datetime(1)": Kind(("2026-01-31 12:00:00", "2026-01-31 12:00:00.5")),
    "datetime(2)": Kind(("2026-01-31 12:00:00.05", "2026-01-31 12:00:00.5")),
    "datetime(3)": Kind(("2026-01-31 12:00:00.005", "2026-01-31 12:00:00.5")),
    "datetime(4)": Kind(("2026-01-31 12:00:00.0005",)),
    "datetime(5)": Kind(("2026-01-31 12:00:00.00005",)),
    "datetime(6)": Kind(("2026-01-31 12:00:00", "2026-01-31 12:00:00.000001", "9999-12-31 23:59:59.999999",
                         "0000-00-00 00:00:00")),
    "timestamp null": Kind(("2026-01-31 12:00:00+00", "1970-01-01 00:00:01+00", "2038-01-19 03:14:07+00",
                            "0000-00-00 00:00:00+00")),
    "timestamp(3) null": Kind(("2026-10-25 00:30:00.5+00", "2026-01-31 12:00:00+00")),
    "timestamp(6) null": Kind(("2038-01-19 03:14:07.999999+00", "1970-01-01 00:00:01.000001+00",
                               "0000-00-00 00:00:00+00")),
    "time": Kind(("00:00:00", "12:34:56", "-00:00:01", "-12:34:56", "838:59:59", "-838:59:59", "24:00:00")),
    "time(1)": Kind(("00:00:00.5", "-00:00:00.5", "-12:34:56.1")),
    "time(2)": Kind(("00:00:00.05", "-00:00:00.05")),
    "time(3)": Kind(("00:00:00.005", "-00:00:00.005", "-00:00:01")),
    "time(4)": Kind(("00:00:00.0005", "-00:00:00.0005")),
    "time(5)": Kind(("00:00:00.00005", "-838:59:59.99999")),
    "time(6)": Kind(("00:00:00.000001", "-00:00:00.000001", "-838:59:59.000001", "838:59:59.999999", "12:00:00")),
    "year": Kind(("2026", "1901", "2155", "0000")),
    "uuid": Kind(("00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                  "ffffffff-ffff-ffff-ffff-ffffffffffff", "018f3c9e-1c2b-7def-8123-0123456789ab")),
    "inet6": Kind(("::", "::1", "2001:db8::1", "::ffff:1.2.3.4", "::1.2.3.4", "ff02::1:2", "1:0:0:2::",
                   "1:2:3:4:5:6:7:8", "::ffff:0.0.0.0", "::2", "64:ff9b::102:304", "0:0:1::",
                   "2001:db8::1:1:1:1:1", "::0.1.0.2", "::ffff:0.0.0.1")),
    "inet4": Kind(("0.0.0.0", "1.2.3.4", "255.255.255.255")),
    "varchar(40) compressed": Kind((*_TEXTS, "x" * 40)),
    "varchar(400) compressed": Kind(("", "x" * 400)),
    "varbinary(40) compressed": Kind(_octets(b"", b"\0a")),
    "text compressed": Kind(("", "a", "x" * 60_000, "中" * 10_000)),
    "blob compressed": Kind(_octets(b"", b"a", b"\0" * 50_000)),
    "mediumtext compressed character set latin1": Kind(("", "é" * 1000)),
    "point": Kind(("\\x00000000" + "0101000000000000000000f03f0000000000000040",)),
    "geometry": Kind(("\\x00000000" + "0101000000000000000000f03f0000000000000040",)),
}  # fmt: skip
"""By the type of a column, as DDL writes it."""


def table(number: int) -> str:
    """The name of the table of the kind with that place in `KINDS`."""
    return f"kind_{number}"


def make(conn: Connection) -> None:
    """A table for each kind, `kind_0` and so on, of the columns `id` and `x`; none of their rows."""
    for number, ddl in enumerate(KINDS):
        execute(conn, f"CREATE TABLE {table(number)} (id int PRIMARY KEY, x {ddl})")


def fill_raw(conn: Connection) -> dict[int, dict[int, str]]:
    """What `raw` says, into the tables of `make`: by the number of the kind, the text under each id (from 1001)."""
    execute(conn, "SET SESSION sql_mode = ''")
    told: dict[int, dict[int, str]] = {}
    for number, kind in enumerate(KINDS.values()):
        for id_, (said, text) in enumerate(kind.raw, 1001):
            execute(conn, f"INSERT IGNORE INTO {table(number)} VALUES ({id_}, {said})")
            told.setdefault(number, {})[id_] = text
    execute(conn, f"SET SESSION sql_mode = '{SQL_MODE}'")
    assert ask(conn, "SELECT 1") == [("1",)]
    return told
