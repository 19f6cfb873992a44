"""An address by ODBC says what the driver is told, in its own words, and never leads out of this machine without TLS
unless the rules allow that."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from adapters.odbc.address import address, connection_string, told_insecure
from adapters.odbc.drivers import MARIADB, MSODBCSQL, PSQLODBC, UNKNOWN, dialect_of, driver_of
from engine.errors import AccessDenied

HERE = "odbc://ann:sesame@127.0.0.1:5433/erp?driver=PostgreSQL+Unicode"
FAR = "odbc://ann:sesame@db.example:5433/erp?driver={driver}"


def said(url: str, *, streaming: bool = False) -> dict[str, str]:
    """What the driver is told, by keyword."""
    where = address(sa.make_url(url))
    told = connection_string(where, driver_of(where.driver), streaming=streaming)
    return dict(pair.split("=", 1) for pair in told.split(";"))


def test_the_driver_is_told_where_to_go_and_what_keeps_values_whole() -> None:
    told = said(HERE)

    where = {"DRIVER": "{PostgreSQL Unicode}", "SERVER": "127.0.0.1", "PORT": "5433", "DATABASE": "erp"}
    assert where | {"UID": "ann", "PWD": "sesame", "BoolsAsChar": "0", "Protocol": "7.4-0"} == {
        word: told[word] for word in (*where, "UID", "PWD", "BoolsAsChar", "Protocol")
    }
    assert "UseDeclareFetch" not in told


def test_what_the_address_says_goes_before_what_is_usual_however_it_is_spelled() -> None:
    told = connection_string(address(sa.make_url(f"{HERE}&boolsaschar=1&MyOwn=a%3Bb")), PSQLODBC, streaming=False)

    assert ";boolsaschar=1;MyOwn={a;b};" in told
    assert "BoolsAsChar" not in told


def test_a_password_may_hold_whatever_a_connection_string_is_made_of() -> None:
    where = address(sa.make_url("odbc://ann:a%3Bb%7Dc%3D@localhost/erp?driver=MariaDB+Unicode"))

    assert "PWD={a;b}}c=};" in connection_string(where, MARIADB, streaming=False)
    assert "sesame" not in repr(address(sa.make_url(HERE)))


def test_a_reader_is_told_to_fetch_as_it_reads() -> None:
    assert said(HERE, streaming=True)["UseDeclareFetch"] == "1"


def test_sql_server_has_its_port_behind_the_host() -> None:
    told = said("mssql+pyodbc://ann:sesame@127.0.0.1:1434/erp?driver=ODBC+Driver+18+for+SQL+Server")

    assert told["SERVER"] == "{127.0.0.1,1434}"
    assert "Trusted_Connection" not in told
    assert said("mssql+pyodbc://127.0.0.1/erp?driver=ODBC+Driver+18+for+SQL+Server")["Trusted_Connection"] == "Yes"


TLS = {
    "PostgreSQL+Unicode": {"SSLmode": "verify-full"},
    "MariaDB+Unicode": {"FORCETLS": "1", "SSLVERIFY": "1"},
    "MySQL+ODBC+9.1+Unicode+Driver": {"SSLMODE": "VERIFY_IDENTITY"},
    "ODBC+Driver+18+for+SQL+Server": {"Encrypt": "yes", "TrustServerCertificate": "no"},
    "FreeTDS": {"Encryption": "require"},
}


@pytest.mark.parametrize("driver", TLS)
def test_whoever_leaves_this_machine_does_so_by_tls_in_the_words_of_each_driver(driver: str) -> None:
    url = FAR.format(driver=driver)

    assert TLS[driver].items() <= said(url).items()
    assert not TLS[driver].keys() & said(told_insecure(url, insecure=True)).keys()


@pytest.mark.parametrize("words", ["SSLmode=disable", "sslmode=prefer"])
def test_an_address_that_would_do_without_tls_is_refused_unless_the_rules_allow_it(words: str) -> None:
    url = f"{FAR.format(driver='PostgreSQL+Unicode')}&{words}"

    with pytest.raises(AccessDenied, match="without TLS"):
        said(url)
    assert words.partition("=")[2] in said(told_insecure(url, insecure=True)).values()


def test_a_driver_that_nobody_knows_goes_no_further_than_this_machine() -> None:
    with pytest.raises(AccessDenied, match="nobody here knows how the driver `Sybase` is asked for TLS"):
        said(FAR.format(driver="Sybase"))
    assert said(told_insecure(FAR.format(driver="Sybase"), insecure=True))["SERVER"] == "db.example"
    assert said("odbc://127.0.0.1/erp?driver=Sybase")["DATABASE"] == "erp"


def test_a_data_source_or_a_whole_connection_string_may_stand_for_a_host() -> None:
    assert "DSN=ledger;UID=ann;PWD=sesame" in connection_string(
        address(sa.make_url(told_insecure("odbc://ann:sesame@ledger", insecure=True))), UNKNOWN, streaming=False
    )
    whole = "odbc:///?odbc_connect=Driver%3D%7BPostgreSQL+Unicode%7D%3BServer%3Dlocalhost%3BPwd%3D%7Ba%7D%7Db%7D"
    where = address(sa.make_url(whole))
    assert (where.driver, where.host, where.passwords) == ("PostgreSQL Unicode", "localhost", ("a}b",))


def test_a_host_inside_a_connection_string_is_a_host() -> None:
    whole = "odbc:///?odbc_connect=Driver%3DODBC+Driver+18+for+SQL+Server%3BServer%3Dtcp%3Adb.example%2C1433"

    where = address(sa.make_url(whole))

    assert where.host == "db.example"
    assert "Encrypt=yes" in connection_string(where, MSODBCSQL, streaming=False)


@pytest.mark.parametrize(
    "url",
    ["odbc://ann:sesame@host/erp", "odbc:///?odbc_connect=Driver", "odbc://ann:sesame@h/e?driver=a&driver=b",
     "odbc://ann:sesame@h/e?driver=a&Encrypt=yes&Encrypt=no"],
)  # fmt: skip
def test_an_address_that_says_too_little_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        address(sa.make_url(url), "erp")

    assert "sesame" not in str(refused.value)


def test_drivers_are_known_by_their_names_and_by_their_files() -> None:
    names = {
        "PostgreSQL ANSI": "psqlodbc", "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so": "psqlodbc",
        "MariaDB Unicode": "MariaDB Connector/ODBC", "/opt/lib/libmsodbcsql-18.6.so.2.1":
        "Microsoft ODBC Driver for SQL Server", "SQL Server Native Client 11.0": "Microsoft ODBC Driver for SQL Server",
        "FreeTDS": "FreeTDS", "SQLite3": "",
    }  # fmt: skip
    assert {name: driver_of(name).called for name in names} == names


def test_databases_are_known_by_what_they_call_themselves() -> None:
    told = ("PostgreSQL", "MariaDB", "MySQL", "Microsoft SQL Server", "DB2/LINUXX8664", "HDB")

    assert [dialect_of(name) for name in told] == ["postgresql", "mariadb", "mysql", "mssql", "ibm_db_sa", ""]
