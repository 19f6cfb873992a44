"""`duolog demo`, small: the whole story with a CRM on either database, and what it says where there is no MariaDB."""

from __future__ import annotations

import os
import subprocess

import pytest
from rich.console import Console

from service.demo.engine import COMMAND
from service.demo.show import run_demo
from tests.ground import MARIADB, POSTGRESQL
from tests.servers import without_mariadb


@pytest.mark.parametrize("crm", [POSTGRESQL, MARIADB])
def test_a_small_demo_comes_to_a_good_end(crm: str, capsys: pytest.CaptureFixture[str]) -> None:
    if crm == MARIADB:
        without_mariadb()

    code = run_demo(seconds=4, customers=400, rate=40, crm=crm, console=Console(width=200, soft_wrap=True))

    said = capsys.readouterr().out
    assert code == 0, said
    assert ("a PostgreSQL and a MariaDB server" in said) == (crm == MARIADB)
    assert "Everything agrees." in said


def test_a_demo_without_mariadb_says_how_to_get_one() -> None:
    environment = {**os.environ, "MARIADB_BIN": "/nowhere"}

    found = subprocess.run(
        [*COMMAND, "demo", "--crm", "mariadb"], env=environment, capture_output=True, text=True, check=False
    )

    assert found.returncode == 1
    assert found.stderr.startswith("D600 no MariaDB server program was found in `MARIADB_BIN`")
    assert "mend: install MariaDB (Debian: apt install mariadb-server;" in found.stderr
