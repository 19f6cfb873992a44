"""Tries each way in which reading MariaDB's log ends or cannot begin, with its whole message, on servers of its own."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.mariadb import positions
from adapters.mariadb.borrowed import BorrowedSource, drawn_id
from adapters.mariadb.resume import ServerIdentity
from adapters.mariadb.source import MariaSource
from engine.errors import (
    AccessDenied,
    DuologError,
    LogIncomplete,
    LogLost,
    LogReset,
    PositionForeign,
    ReaderBusy,
    SchemaChanged,
    SystemUnavailable,
    WrongServer,
)
from engine.vocabulary import Transaction
from service.embedded import EmbeddedMariaDB
from tests.crowd import within
from tests.database.maria_erp import MariaErp, names, patience_s, transaction
from tests.engine_live.proxy import Proxy

COMPARE = "`duolog run RULES --merge-again` compares both sides"
POINT = (
    "point the address at the server that was set up; if this is to be the server from now on: "
    "`duolog setup RULES`, then `duolog run RULES --merge-again`"
)


@pytest.fixture
def erp(erp_maria: str) -> Iterator[MariaErp]:
    made = MariaErp(erp_maria)
    yield made
    made.close()


def own(server: EmbeddedMariaDB, **settings: str) -> MariaErp:
    """A world on a server that this test may do anything to."""
    server.settings |= settings
    server.start()
    return MariaErp(server.create_database("erp_1"))


def read_until_it_ends(source: MariaSource) -> DuologError:
    """Why it ends."""
    deadline = time.monotonic() + patience_s
    with pytest.raises(DuologError) as ended:
        while time.monotonic() < deadline:
            source.read(0.2)
    return ended.value


def refused(erp: MariaErp, source: MariaSource, resume: int) -> str:
    """How opening is refused: the class of the error, its code and its text."""
    with pytest.raises(DuologError) as stopped:
        source.open(resume)
    return f"{type(stopped.value).__name__} {erp.plain(str(stopped.value))}"


# Faults that pass


def test_a_server_that_is_stopped_and_started_is_read_on(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria)
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    first = transaction(source)

    own_maria.stop("fast")
    assert isinstance(read_until_it_ends(source), SystemUnavailable)
    with pytest.raises(SystemUnavailable):
        source.open(first.position)
    own_maria.start()
    erp.another().run("INSERT INTO item VALUES (2, 'two')")
    source.open(first.position)

    assert names(transaction(source)) == ["two"]


def test_a_server_that_crashes_is_read_on(own_maria: EmbeddedMariaDB) -> None:
    own_maria.settings |= {"sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1"}
    erp = own(own_maria)
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    first = transaction(source)
    erp.run("INSERT INTO item VALUES (2, 'two')")

    own_maria.stop("immediate")
    own_maria.start()
    erp.another().run("INSERT INTO item VALUES (3, 'three')")
    source.open(first.position)

    assert [names(transaction(source)) for _ in range(2)] == [["two"], ["three"]]


@pytest.fixture
def line(erp: MariaErp) -> Iterator[Proxy]:
    made = Proxy(int(re.findall(r":(\d+)/", erp.url)[0]))
    yield made
    made.close()


def test_a_cut_connection_is_unavailable(erp: MariaErp, line: Proxy) -> None:
    source = erp.opened(url=line.address(erp.url))
    erp.run("INSERT INTO item VALUES (1, 'one')")
    assert names(transaction(source)) == ["one"]
    line.cut()

    assert isinstance(read_until_it_ends(source), SystemUnavailable)


def test_everything_comes_once_and_in_order_while_the_connection_breaks(erp: MariaErp, line: Proxy) -> None:
    """Four users write; the log's files change; the line is cut again and again, and reading resumes where it was."""
    each, users = 150, 4
    source = erp.opened(url=line.address(erp.url))
    sessions = [erp.another() for _ in range(users)]

    def write(user: int) -> None:
        for number in range(each):
            first = (user * each + number) * 2
            sessions[user].run(f"INSERT INTO item VALUES ({first}, '{user}'), ({first + 1}, '{user}')")
            if number % 50 == 49:
                sessions[user].run("FLUSH BINARY LOGS")

    writers = [threading.Thread(target=write, args=(user,)) for user in range(users)]
    for writer in writers:
        writer.start()
    read: list[int] = []
    resume, cuts = erp.start, 0
    deadline = time.monotonic() + within(60)
    while len(read) < each * users and time.monotonic() < deadline:
        if len(read) // 70 > cuts:
            line.cut()
            cuts += 1
        try:
            item = source.read(0.1)
        except SystemUnavailable:
            with contextlib.suppress(SystemUnavailable):
                source.open(resume)
            continue
        if item is not None:
            assert item.position > resume
            resume = item.position
        if isinstance(item, Transaction):
            (first, second) = (int(str(new[0])) for _, _, new, _ in item.changes if new)
            assert second == first + 1
            read.append(first // 2)
    for writer in writers:
        writer.join(patience_s)

    assert cuts == 8
    assert sorted(read) == list(range(each * users))
    for user in range(users):
        assert [number for number in read if number // each == user] == list(range(user * each, (user + 1) * each))


def test_packets_may_come_in_pieces(erp: MariaErp, line: Proxy) -> None:
    source = erp.opened(url=line.address(erp.url))
    line.slow(0.001, 7)
    erp.run("INSERT INTO item VALUES (1, 'one'), (2, 'two'); INSERT INTO item VALUES (3, 'three')")

    assert [names(transaction(source)) for _ in range(2)] == [["one", "two"], ["three"]]


def test_a_server_that_falls_silent_is_taken_for_dead(
    erp: MariaErp, line: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.mariadb.source.silence_max_s", 10.0)
    source = erp.opened(url=line.address(erp.url))
    until = time.monotonic() + 12.0
    while time.monotonic() < until:  # its heartbeats are enough
        source.read(0.5)
    line.stall()

    assert read_until_it_ends(source).found == "the server has given no sign of life for 10 s"


def test_the_server_waits_while_nobody_reads(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria, net_write_timeout="1")
    source = erp.opened()
    erp.run("INSERT INTO item SELECT seq, REPEAT('x', 1000) FROM seq_1_to_30000")
    pause = threading.Event()
    for _ in range(15):  # three times the patience that it was set up with, more than its buffers can hold
        source.keep_alive()
        pause.wait(0.2)
    erp.run("INSERT INTO item VALUES (0, 'still there')")

    assert transaction(source).rows == 30_000
    assert names(transaction(source)) == ["still there"]


def test_a_second_reader_of_the_same_number_takes_over(erp: MariaErp) -> None:
    first = erp.opened()
    second = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")

    ended = read_until_it_ends(first)

    assert names(transaction(second)) == ["one"]
    assert isinstance(ended, ReaderBusy)
    assert "SHOW PROCESSLIST" in ended.mend


def test_a_borrowed_source_reads_beside_the_engines_own(erp: MariaErp) -> None:
    source = erp.opened(skip_own=True)
    borrowed = BorrowedSource(
        "erp", erp.url, engine="unit", tables=[erp.item], identity=erp.identity, server_id=drawn_id()
    )
    borrowed.reserve()
    borrowed.open(erp.start)
    erp.run(f"{erp.as_engine('unit')}; INSERT INTO item VALUES (1, 'ours'); COMMIT")
    erp.run("INSERT INTO item VALUES (2, 'a user''s')")
    try:
        assert [names(transaction(borrowed)) for _ in range(2)] == [["ours"], ["a user's"]]
        assert names(transaction(source)) == ["a user's"]
    finally:
        borrowed.let_go()


# Positions that mean nothing any more


def test_a_position_beyond_the_servers_log(erp: MariaErp) -> None:
    assert refused(erp, erp.source(), erp.position() + (7 << 40)) == (
        f"{PositionForeign.__name__} D206 erp: our store has read up to POSITION, but the server's log ends at "
        "POSITION: it was restored from a backup, or its log was begun anew (RESET MASTER)\n"
        f"  mend: restore our store of the same time; or {COMPARE}"
    )


def test_a_position_in_the_midst_of_an_event(erp: MariaErp) -> None:
    erp.run("INSERT INTO item VALUES (1, 'one')")

    assert refused(erp, erp.source(), erp.start + 3) == (
        f"{LogReset.__name__} D213 erp: no event ends at our position POSITION in `log.000001`: the log was begun anew "
        "(RESET MASTER), is another server's, or lost its end in a crash (sync_binlog)\n"
        f"  mend: {POINT}; after a crash: {COMPARE}"
    ).replace("log.000001", f"log.{positions.parts(erp.start)[0]:06}")


def test_a_purged_log(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria)
    erp.run("INSERT INTO item VALUES (1, 'never read'); FLUSH BINARY LOGS")
    until = time.monotonic() + patience_s
    while erp.sql.value("SHOW BINARY LOGS") == "log.000001":  # it needs its old log for a moment still
        assert time.monotonic() < until
        erp.run("PURGE BINARY LOGS TO 'log.000002'")

    assert refused(erp, erp.source(), erp.start) == (
        f"{LogLost.__name__} D212 erp: the server has purged `log.000001`, in which our position POSITION is: what was "
        f"written after it cannot be read any more\n  mend: {COMPARE}; have the server keep its log for longer "
        "(binlog_expire_logs_seconds)"
    )


def test_a_log_that_is_begun_anew_while_it_is_read(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria)
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    first = transaction(source)
    source.verify()
    erp.run("RESET MASTER; INSERT INTO item VALUES (2, 'two')")

    assert source.read(2.5) is None  # not a word of it in the stream
    with pytest.raises(PositionForeign):
        source.verify()

    erp.run("INSERT INTO item SELECT seq, REPEAT('x', 100) FROM seq_3_to_100")
    assert isinstance(read_until_it_ends(source), SystemUnavailable)
    assert refused(erp, source, first.position).startswith(f"{LogReset.__name__} D213 erp: no event ends")


def test_a_log_of_several_files_that_is_begun_anew_while_it_is_read(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria)
    erp.run("FLUSH BINARY LOGS")
    source = erp.opened(erp.position())
    erp.run("INSERT INTO item VALUES (1, 'one')")
    transaction(source)  # the server has begun to send: else it says that it cannot find the file, as of a purged one
    erp.run("RESET MASTER; INSERT INTO item VALUES (2, 'two')")

    assert isinstance(read_until_it_ends(source), LogReset | SystemUnavailable)
    assert refused(erp, source, erp.start + (1 << 40)).startswith(PositionForeign.__name__)


def test_a_log_that_was_begun_anew_and_has_grown_past_our_position(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria)
    erp.run("INSERT INTO item VALUES (1, 'one')")
    erp.write_batch("unit")
    erp.opened(erp.position()).close()

    erp.run("RESET MASTER")
    erp.run("INSERT INTO item SELECT seq, REPEAT('x', 100) FROM seq_2_to_100")
    # A transaction ends here: only what the ledger tells shows that this is not the log that we know.
    said = refused(erp, erp.source(), erp.position())

    assert re.sub(r"\d+-\d+-\d+", "GTID", said) == (
        f"{LogReset.__name__} D213 erp: our last batch was written at POSITION, after the transactions GTID; the "
        "server's log has others there: it was begun anew (RESET MASTER), or is another server's\n"
        f"  mend: {POINT}"
    )


# Other servers


def test_another_server_with_the_same_number(erp: MariaErp, third_maria: str) -> None:
    other = MariaErp(third_maria)
    try:
        said = refused(erp, erp.source(url=third_maria), erp.start)
    finally:
        other.close()

    assert said.replace(other.identity.uid, "OTHER") == (
        f"{WrongServer.__name__} D201 erp: this is not the server of our position: the server_uid is OTHER, not UID\n"
        f"  mend: {POINT}"
    )


def test_a_promoted_replica_is_another_server(erp: MariaErp) -> None:
    replica = replace(erp.identity, server_id="77")

    assert refused(erp, erp.source(identity=replica), erp.start) == (
        f"{WrongServer.__name__} D201 erp: this is not the server of our position: the server_id is 1, not 77\n"
        f"  mend: {POINT}"
    )


def test_a_server_whose_network_card_is_another_is_known_by_our_newest_batch(erp: MariaErp) -> None:
    elsewhere = replace(erp.identity, uid="of a container that is gone")
    assert refused(erp, erp.source(identity=elsewhere), erp.start).startswith(WrongServer.__name__)
    erp.write_batch("unit")

    source = erp.opened(erp.position(), identity=elsewhere)
    erp.run("INSERT INTO item VALUES (1, 'one')")

    assert names(transaction(source)) == ["one"]
    source.verify()


def test_an_identity_survives_its_text(erp: MariaErp) -> None:
    assert ServerIdentity.parse(str(erp.identity)) == erp.identity
    assert erp.identity.flavour == "mariadb"
    assert ServerIdentity.parse("mysql/1/a/b=").uid == "a/b="


# Settings


@pytest.mark.parametrize(("variable", "value", "wanted"), [
    ("binlog_format", "MIXED", "ROW"), ("binlog_row_metadata", "MINIMAL", "FULL"),
])  # fmt: skip
def test_a_log_that_tells_too_little(erp: MariaErp, variable: str, value: str, wanted: str) -> None:
    source = erp.opened()
    source.verify()
    erp.run(f"SET GLOBAL {variable} = {value}")
    try:
        with pytest.raises(LogIncomplete) as stopped:
            source.verify()
        assert refused(erp, erp.source(), erp.start) == f"{LogIncomplete.__name__} {erp.plain(str(stopped.value))}"
    finally:
        erp.run(f"SET GLOBAL {variable} = {wanted}")

    assert str(stopped.value) == (
        f"D214 erp: `{variable}` is {value}, where {wanted} is needed\n  mend: SET GLOBAL {variable} = '{wanted}', and "
        f"in its configuration; sessions that are open keep the old one; then {COMPARE}"
    )


def test_a_server_without_a_log(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria)
    del own_maria.settings["log_bin"]
    own_maria.stop("fast")
    own_maria.start()

    assert refused(erp, erp.source(), erp.start) == (
        f"{LogIncomplete.__name__} D214 erp: the server writes no binlog\n  mend: put `log_bin`, `binlog_format = ROW` "
        f"and `binlog_row_metadata = FULL` into its configuration, start it again; then {COMPARE}"
    )


def test_a_database_that_is_left_out_of_the_log(own_maria: EmbeddedMariaDB) -> None:
    erp = own(own_maria, binlog_ignore_db="erp_1,other")

    assert refused(erp, erp.source(), erp.start) == (
        f"{LogIncomplete.__name__} D214 erp: the server leaves the database `DB` out of its log (binlog_do_db, "
        f"binlog_ignore_db)\n  mend: take these options out of its configuration, start it again; then {COMPARE}"
    )


def test_a_table_that_is_gone(erp: MariaErp) -> None:
    source = erp.opened()
    erp.run("RENAME TABLE item TO items")
    gone = (
        f"{SchemaChanged.__name__} D210 erp: the table `DB.item` does not exist\n"
        "  mend: rename it back; or change the rules, and let `duolog check RULES` confirm it"
    )

    assert refused(erp, erp.source(), erp.start) == gone
    with pytest.raises(SchemaChanged):
        source.verify()


# Rights and addresses


def test_a_user_without_the_right_to_replicate(erp: MariaErp) -> None:
    erp.run(f"CREATE USER reader@'%' IDENTIFIED BY 'hush'; GRANT SELECT ON `{erp.database}`.* TO reader@'%'")
    try:
        source = erp.source(url=erp.url.replace("root@", "reader:hush@"))
        source.open(erp.start)
        error = read_until_it_ends(source)
        erp.run("GRANT REPLICATION SLAVE ON *.* TO reader@'%'")
        enough = erp.opened(url=erp.url.replace("root@", "reader:hush@"))
        erp.run("INSERT INTO item VALUES (1, 'one')")
        assert names(transaction(enough)) == ["one"]
    finally:
        erp.run("DROP USER reader@'%'")

    assert isinstance(error, AccessDenied)
    assert "hush" not in str(error)
    assert error.mend == "GRANT REPLICATION SLAVE ON *.* to the user of the address"


def test_an_unknown_user_and_an_unreachable_server_are_told_apart(erp: MariaErp) -> None:
    assert refused(erp, erp.source(url=erp.url.replace("root@", "nobody:hush@")), erp.start).startswith(
        f"{AccessDenied.__name__} D211 erp: "
    )
    text = refused(erp, erp.source(url="mariadb://root:hush@127.0.0.1:1/erp"), erp.start)
    assert text.startswith(f"{SystemUnavailable.__name__} D100 erp: ")
    assert "hush" not in text


@pytest.fixture
def certificate() -> Iterator[tuple[Path, Path]]:
    """A key, and the certificate that it signed itself, where a server of another user may read them."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    with tempfile.TemporaryDirectory() as folder:
        key, made = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=erp -addext subjectAltName=IP:127.0.0.1"
        command = ["openssl", *words.split(), "-keyout", str(key), "-out", str(made)]
        subprocess.run(command, check=True, capture_output=True)
        for path, rights in ((Path(folder), 0o755), (key, 0o644), (made, 0o644)):
            path.chmod(rights)
        yield key, made


def test_reading_goes_over_tls(own_maria: EmbeddedMariaDB, certificate: tuple[Path, Path]) -> None:
    key, made = certificate
    erp = own(own_maria, ssl_key=str(key), ssl_cert=str(made))
    source = erp.opened(url=f"{erp.url}?ssl_ca={made}")
    erp.run("INSERT INTO item SELECT seq, REPEAT('over TLS ', 100) FROM seq_1_to_5000")
    erp.run("INSERT INTO item VALUES (0, 'one')")

    assert transaction(source).rows == 5000
    assert names(transaction(source)) == ["one"]
    assert source.read(3.0) is None
