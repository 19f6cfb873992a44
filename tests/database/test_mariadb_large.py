"""Tries values that MariaDB keeps, and whose printed form is larger than a packet of its may be: its functions answer
NULL for these, with a warning. Taken for a NULL, such a value would be lost, or written over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from adapters.mariadb import positions
from adapters.mariadb.snapshot import MariaSnapshot
from engine.errors import LogReset, SystemStopped
from engine.vocabulary import ABSENT
from tests.database.books import Bound, row, write
from tests.database.maria_erp import MariaErp, names, transaction
from tests.database.maria_target import User, batch, opened, rules

FILE = Bound("file", ("id", "data", "note"), ("id",))
REFUSED = "(?s)no packets as large as one row needs.*SET GLOBAL max_allowed_packet = 1073741824"


@pytest.fixture
def user(erp_maria: str) -> Iterator[User]:
    """A user, and a table with one value of 700 kB in each column, where a packet may have 1 MB."""
    made = User(erp_maria)
    made.do("CREATE TABLE file (id int PRIMARY KEY, data longblob, note longtext)")
    ((before,),) = made.do("SELECT @@global.max_allowed_packet")
    made.do("INSERT INTO file VALUES (1, REPEAT('x', 700000), REPEAT('y', 1200000)), (2, NULL, NULL)")
    made.do("SET GLOBAL max_allowed_packet = 1048576")
    yield made
    made.do(f"SET GLOBAL max_allowed_packet = {before}")
    made.conn.close()


def test_a_value_that_the_server_cannot_print_is_no_null_in_a_picture(erp_maria: str, user: User) -> None:
    with (
        closing(MariaSnapshot("erp", erp_maria, rules(erp_maria, FILE))) as picture,
        pytest.raises(SystemStopped, match=REFUSED) as stopped,
    ):
        list(picture.rows("file"))
    assert "xxx" not in str(stopped.value)


def test_a_value_that_the_server_cannot_print_is_no_null_when_it_is_looked_at_again(erp_maria: str, user: User) -> None:
    with opened(erp_maria, rules(erp_maria, FILE)) as erp:
        assert erp.reread("file", ["2"])[0].row == ("2", None, None)
        with pytest.raises(SystemStopped, match=REFUSED):
            erp.reread("file", ["1"])


@pytest.mark.parametrize(("number", "column"), [(1, "data"), (2, "note")])
def test_a_value_that_the_server_cannot_print_is_not_written_over_as_if_it_were_null(
    erp_maria: str, user: User, number: int, column: str
) -> None:
    new = "\\x00" if column == "data" else "new"
    with opened(erp_maria, rules(erp_maria, FILE)) as erp:
        update = write("update", "file", (number,), [row(1, "1", (new,), (None,)), row(2, "2", (new,), (None,))])
        outcome = erp.apply(batch(1, update))

    assert [(result.key, result.kind) for result in outcome.exceptions] == [("1", "unmatched")]
    assert user.do(f"SELECT id, LENGTH({column}) FROM file ORDER BY id")[0][1] in (700_000, 1_200_000)


def test_a_long_text_is_read_whatever_the_packet(erp_maria: str, user: User) -> None:
    bound = Bound("file", ("id", "note"), ("id",), missing=("more",))
    with opened(erp_maria, rules(erp_maria, bound)) as erp:
        assert erp.reread("file", ["1"])[0].row == ("1", "y" * 1_200_000, ABSENT)


def test_reading_goes_on_behind_an_event_that_is_larger_than_a_packet(erp_maria: str) -> None:
    erp = MariaErp(erp_maria)
    try:
        erp.run("CREATE TABLE file (id int PRIMARY KEY, data longblob); FLUSH BINARY LOGS")
        before = erp.position()
        packet = int(erp.sql.value("SELECT @@global.max_allowed_packet"))
        erp.run(f"INSERT INTO file VALUES (1, REPEAT('x', {packet * 3 // 4}))")
        erp.run("UPDATE file SET data = REVERSE(data), id = 2")  # both images are in one event
        resume = erp.position()
        erp.write_batch("unit")
        erp.run("INSERT INTO item VALUES (1, 'one')")

        assert names(transaction(erp.opened(resume))) == ["one"]
        for nowhere in (before + 1, resume - 1, resume + 1):
            with pytest.raises(LogReset, match="no event ends at our position"):
                erp.opened(nowhere)

        separator = positions.text(erp.position() - 1)
        erp.run(f"UPDATE duolog.ledger SET `separator` = '{separator}' WHERE engine = 'unit'")
        with pytest.raises(LogReset, match="our last batch was written at"):
            erp.opened(resume)
    finally:
        erp.run("DELETE FROM duolog.ledger WHERE engine = 'unit'")
        erp.close()
