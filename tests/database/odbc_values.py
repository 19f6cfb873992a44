"""Values of PostgreSQL's types at which an ODBC driver, pyodbc or Python may lose something, as the house spells them.

`VALUES` says for each type which texts a column of it takes and gives back unchanged. Those of MariaDB's types are in
`maria_values`.
"""

from __future__ import annotations

from collections.abc import Mapping

LONG = "x" * 200_000
EMOJI = "\U0001f600" * 100
MEGABYTE = "\\x" + "00ff" * 524_288
NASTY = "\x01\x1f'\"\\\\n\n\r\t%_%s?:x{}`\u200b\ufeffe\u0301"
AROUND = tuple("x" * length for length in (254, 255, 256, 1999, 2000, 8190, 65_536))
"""Texts about as long as the buffers of drivers."""

VALUES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("t", "f"),
    "smallint": ("-32768", "32767"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("9223372036854775807", "-9223372036854775808", "0"),
    "numeric": ("0", "-1.005", "18446744073709551616", "NaN", "Infinity", "1" * 60, "0." + "0" * 29 + "1", "1.50"),
    "numeric(60,30)": ("1" * 30 + "." + "2" * 30,),
    "numeric(12,2)": ("0.00", "-0.01", "9999999999.99", "NaN"),
    "real": ("1.5", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e+38", "-0", "0.1", "1.6777216e+07"),
    "double precision": (
        "5e-324", "NaN", "-0", "0.1", "1.7976931348623157e+308", "Infinity", "2.2250738585072014e-308",
        "1.2345678901234568e+17", "9.007199254740992e+15",
    ),
    "text": ("", "a ", " ", "中", LONG, EMOJI, NASTY, *AROUND),
    "varchar(300)": ("x" * 300, "ü" * 255, EMOJI),
    "char(4)": ("a   ", "abcd", "中文字符"),
    "date": ("2026-01-31", "0001-01-01", "9999-12-31", "20000-01-01", "0044-03-15 BC", "infinity", "-infinity"),
    "time": ("12:00:00", "23:59:59.999999", "24:00:00", "00:00:00.000001"),
    "timestamp": (
        "2026-01-31 12:00:00.123456", "20000-01-01 00:00:00", "0044-03-15 00:00:00 BC", "infinity",
        "0001-01-01 00:00:00",
    ),
    "timestamptz": (
        "2026-01-31 12:00:00.123456+00", "20000-01-01 00:00:00+00", "0044-03-15 00:00:00+00 BC", "infinity",
        "-infinity",
    ),
    "interval": ("P1DT2H", "PT0.000001S", "P-1Y-2M"),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",),
    "bytea": ("\\x", "\\x00ff", "\\x27225c", MEGABYTE),
    "json": ('{"a" : 1.0}', '"\\u00fc"', "[1, 2]"),
    "jsonb": ('{"a": 1.0}', "[]", '"?"'),
    "integer[]": ("{1,2}", "{}"),
    "text[]": ('{a,"b c",NULL,"NULL"}',),
    "inet": ("10.0.0.1/8",),
    "bit(8)": ("10000001",),
    "bit varying(300)": ("1" * 300,),
    "point": ("(1,2)",),
    "stage": ("a", "Bc", "中", "b c"),
}  # fmt: skip
