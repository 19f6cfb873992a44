"""A DBA's desk: one rule file, the `duolog` command in processes of its own, and everything that it ever said.

Turns arguments into finished commands, as a person would give them. The rules of `SHOP` are small and have one of each:
an owner, every kind of decision that a test needs, a value map, a key of two fields, a parent and a child, a deletion
that is not carried over.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from service.cli import app
from service.demo.engine import COMMAND, Engine, quiet
from tests.crowd import within
from tests.ground import MARIADB, ODBC, POSTGRESQL, Session, account, adapter, kind

PATIENCE_S = within(60.0)
NOTED = {"sqlite", "odbc"}
"""Adapters whose databases tell what triggers noted."""
Found = TypeVar("Found")

SHOP = """\
duolog: 1
name: shop

systems:
  erp: {adapter: postgresql, url: "${ERP_URL}"}
  crm: {adapter: postgresql, url: "${CRM_URL}"}

entities:
  customer:
    identity: [no]
    conflict: last_writer
    order: [erp, crm]
    delete: {erp: propagate, crm: restore}
    bind:
      erp: {table: customer}
      crm: {table: sales.account}
    fields:
      no:     {erp: no, crm: account_no}
      name:   {erp: name, crm: account_name}
      city:   {erp: city, crm: billing_city}
      stage:  {erp: {column: stage, map: {P: prospect, A: active}}, crm: stage}
      limit:  {erp: credit_limit, crm: credit_limit, owner: erp}
      terms:  {erp: terms, crm: terms, conflict: hold}

  line:
    identity: [doc, pos]
    conflict: last_writer
    bind:
      erp: {table: doc_line}
      crm: {table: sales.line}
    fields:
      doc:      doc
      pos:      {erp: pos, crm: number}
      customer: {erp: customer_no, crm: account_no, reference: customer}
      amount:   {erp: amount, crm: amount}
"""

ERP_TABLES = """
CREATE TABLE customer (
    no varchar(20) PRIMARY KEY, name varchar(80) NOT NULL, city text, stage char(1) CHECK (stage IN ('P', 'A')),
    credit_limit numeric(12,2), terms varchar(8), vat_remark text
);
CREATE TABLE doc_line (
    doc varchar(12), pos integer, customer_no varchar(20) REFERENCES customer, amount numeric(12,2),
    PRIMARY KEY (doc, pos)
);
"""

CRM_TABLES = """
CREATE SCHEMA sales;
CREATE TABLE sales.account (
    account_no varchar(20) PRIMARY KEY, account_name varchar(80) NOT NULL, billing_city varchar(40),
    stage text CHECK (stage IN ('prospect', 'active')), credit_limit numeric(12,2), terms varchar(8),
    score integer
);
CREATE TABLE sales.line (
    doc varchar(12), number integer, account_no varchar(20) REFERENCES sales.account, amount numeric(12,2),
    PRIMARY KEY (doc, number)
);
"""


class Desk(Engine):
    """One rule file in a folder of its own, the databases behind it, and every word that was printed."""

    stop_within_s: ClassVar[float] = within(Engine.stop_within_s)

    def __init__(self, text: str, urls: Mapping[str, str], folder: Path, name: str = "shop.yaml") -> None:
        """`urls`: by system; the rule file asks for them as `${ERP_URL}` and so on."""
        drafts = folder / "draft"
        drafts.mkdir(exist_ok=True)
        (drafts / name).write_text(text, encoding="utf-8")
        self.urls = dict(urls)
        self.said: list[str] = []
        known = {system: account(url) if adapter(url) == "odbc" else url for system, url in urls.items()}
        self.addresses = {f"{system.upper()}_URL": url for system, url in known.items()}
        super().__init__(drafts / name, self.addresses, folder)

    def arrive_as(self, role: str) -> None:
        """From now on every command comes as this role; the users' own SQL stays the superuser's."""
        for system, url in self.urls.items():
            if kind(url) == MARIADB:
                self.addresses[f"{system.upper()}_URL"] = url.replace("//root@", f"//{role}@")
                continue
            place = conninfo_to_dict(url)
            address = f"postgresql://{role}@{place['host']}:{place['port']}/{place['dbname']}"
            self.addresses[f"{system.upper()}_URL"] = address
        self._environment.update(self.addresses)

    def ask(
        self, *arguments: str, environment: Mapping[str, str] | None = None, typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs one command to its end, whatever its exit code. `typed`: what is answered to a question."""
        verb, *rest = arguments
        found = subprocess.run(
            [*COMMAND, verb, str(self.rules), *rest],
            env={**self._environment, **(environment or {})}, cwd=self.folder, input=typed,
            capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        self.said += [found.stdout, found.stderr]
        return found

    def here(self, *arguments: str) -> Any:
        """Runs one command to its end in this process: for the hundredth `check`, without the start of a program."""
        verb, *rest = arguments
        found = CliRunner().invoke(app, [verb, str(self.rules), *rest], env=self.addresses)
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        self.said += [found.stdout, found.stderr]
        return found

    def status(self) -> dict[str, Any]:
        """`duolog status --json`, asked in this process: it is asked for ever."""
        found: dict[str, Any] = json.loads(self.here("status", "--json").stdout)
        return found

    def rewrite(self, old: str, new: str) -> None:
        """Changes the rule file."""
        text = self.rules.read_text(encoding="utf-8")
        assert old in text
        self.rules.write_text(text.replace(old, new), encoding="utf-8")

    def sql(self, system: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a user of that database does, or sees."""
        if kind(self.urls[system]) != POSTGRESQL:
            with Session(self.urls[system]) as session:
                return session.rows(statement, values or None)
        with psycopg.connect(self.urls[system].removeprefix(ODBC), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def quietly(self, system: str, statement: str) -> None:
        """A write that the running engine never hears of. In PostgreSQL it bears the mark of some other replication,
        and a server of which `check` had found no other replication was asked to leave such writes out; MariaDB's
        superuser may keep it out of the log."""
        if kind(self.urls[system]) == MARIADB:
            self.sql(system, f"SET sql_log_bin = 0; {statement}")
            return
        with psycopg.connect(self.urls[system], autocommit=True) as connection:
            connection.execute("SELECT pg_replication_origin_create('elsewhere')")
            connection.execute("SELECT pg_replication_origin_session_setup('elsewhere')")
            connection.execute(statement.encode())
            connection.execute("SELECT pg_replication_origin_session_reset()")
            connection.execute("SELECT pg_replication_origin_drop('elsewhere')")

    def start_with(self, *options: str) -> None:
        """Starts `duolog run` with options, its output going to the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "run", str(self.rules), *options], env=self._environment, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @contextmanager
    def running(self, environment: Mapping[str, str] | None = None) -> Iterator[Desk]:
        """`duolog run`, from quiet to SIGTERM."""
        self.start(environment)
        try:
            self.settle()
            yield self
        finally:
            code = self.stop()
        assert code == 0, self.log_tail()

    def settle(self) -> dict[str, Any]:
        """Waits until everything that was written is everywhere; the status then."""
        noted = {system for system, url in self.urls.items() if adapter(url) in NOTED}
        pending = {system: self._end_of_log(system) for system in self.urls if system not in noted}

        def there(status: dict[str, Any]) -> bool:
            read = {system: told["position"] for system, told in status.get("systems", {}).items()}
            return quiet(status) and all(
                system in read and self._is_noted(system, read[system])
                if system in noted
                else system in read and _position(read[system]) >= pending[system]
                for system in self.urls
            )

        for system, url in self.urls.items():  # a commit after the positions above, so that the readers pass them
            if adapter(url) == POSTGRESQL:
                self.sql(system, "SELECT pg_log_standby_snapshot()")
                if self._reads_debezium():  # which tells of commits only
                    self.sql(system, "SELECT pg_logical_emit_message(true, 'desk', '')")
        status = self.until(there, PATIENCE_S)
        assert status is not None, f"not quiet: {self.status()}\n{self.log_tail()}"
        return status

    def _reads_debezium(self) -> bool:
        files = sorted(self.rules.glob("*.yaml")) if self.rules.is_dir() else [self.rules]
        return any("adapter: debezium" in file.read_text(encoding="utf-8") for file in files)

    def _is_noted(self, system: str, position: str) -> bool:
        """Whether all that triggers have noted is read."""
        new, mark = "SELECT count(*) FROM duolog_change WHERE stamp IS NULL", "SELECT n FROM duolog_mark"
        if kind(self.urls[system]) == POSTGRESQL:
            new, mark = new.replace("duolog_", "duolog."), mark.replace("duolog_", "duolog.")
        ((unread,),), ((last,),) = self.sql(system, new), self.sql(system, mark)
        return not unread and int(position.partition(".")[0]) >= last

    def _end_of_log(self, system: str) -> int:
        if kind(self.urls[system]) == POSTGRESQL:
            return _position(self.sql(system, "SELECT pg_current_wal_insert_lsn()::text")[0][0])
        file, offset, *_ = self.sql(system, "SHOW MASTER STATUS")[0]
        return _position(f"{file.rpartition('.')[2]}:{offset}")

    def eventually(self, look: Callable[[], Found | None]) -> Found:
        """What `look` finds, as soon as it finds anything."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = look()
            if found:
                return found
            self.must_live()
            assert time.monotonic() < deadline, f"never happened\n{self.log_tail()}"
            time.sleep(0.05)

    def output(self) -> str:
        """Every word that any command printed, and the engine's log."""
        log = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join([*self.said, log])


def _position(text: str) -> int:
    """A position as it is printed, of either database, as a number."""
    if ":" in text:
        file, offset = text.split(":")
        return int(file) << 40 | int(offset)
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)
