"""What may befall change tables, each with its own answer: on a PostgreSQL that plays an SQL Server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from adapters.sqlserver import source, windows
from adapters.sqlserver.windows import Run
from engine.errors import (
    AccessDenied,
    CaptureMissing,
    CaptureStopped,
    DuologError,
    LogLost,
    PositionForeign,
    SchemaChanged,
    SystemUnavailable,
    WrongServer,
)
from engine.vocabulary import ABSENT, Position, Progress, Transaction
from tests.contract.ground import Made, User, batch, changes, meanwhile, next_one
from tests.contract.sqlserver_ground import PlayedGround, played_ground
from tests.database.books import row, write

ITEM = Made("item", {"id": "integer", "name": "word", "note": "text"})
SECOND = Made("second", {"id": "integer"})


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Iterator[PlayedGround]:
    """A server that plays."""
    with closing(played_ground(request)) as made:
        assert isinstance(made, PlayedGround)
        yield made


def stopped(ground: PlayedGround, rules: object, kind: type[DuologError], at: Position | None = None) -> str:
    """What the source says that cannot be opened."""
    with pytest.raises(kind) as raised:
        made = ground.source(rules)  # type: ignore[arg-type]
        with closing(made):
            made.open(ground.end() if at is None else at)
    assert raised.value.code == kind.code and raised.value.mend
    return raised.value.found


def keys(items: list[Transaction]) -> list[object]:
    """The keys of all rows, in order."""
    return [(new or old or ("?",))[0] for item in items for _, _, new, old in changes(item)]


def test_changes_that_were_cleaned_up_stop_it_and_say_so(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    before = ground.end()
    user.insert("item", ("1", "one", None))
    user.insert("item", ("2", "two", None))
    ground.played.clean_up()

    assert "were cleaned up" in stopped(ground, rules, LogLost, before)


def test_a_cleanup_while_it_reads_is_noticed_before_anything_is_told(
    ground: PlayedGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "transactions_at_once", 2)
    rules, user = ground.make(ITEM), ground.user()
    with ground.reading(rules, ground.end()) as reader:
        for number in range(5):
            user.insert("item", (str(number), None, None))
        assert keys([next_one(reader), next_one(reader)]) == ["0", "1"]
        ground.played.clean_up()
        with pytest.raises(LogLost, match="cleaned up"):
            while not isinstance(reader.read(0.5), Transaction):
                pass


def test_a_cleanup_in_the_middle_of_a_window_is_noticed_too(
    ground: PlayedGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, user = ground.make(ITEM, SECOND), ground.user()

    def read_and_cleaned_up(*given: Any) -> Run:
        run = windows.run_of(*given)
        ground.played.clean_up()
        return run

    with ground.reading(rules, ground.end()) as reader:
        for number in range(3):
            user.insert("item", (str(number), None, None))
        monkeypatch.setattr(source, "run_of", read_and_cleaned_up)
        with pytest.raises(LogLost, match="cleaned up"):
            next_one(reader)


def test_an_instance_that_was_made_anew_has_a_gap(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM, SECOND), ground.user()
    before = ground.end()
    ground.played.disable("public_item")
    user.insert("item", ("1", "nobody saw it", None))
    ground.played.enable("public", "item")
    ground.played.tick()

    assert "begun anew" in stopped(ground, rules, CaptureMissing, before)


def test_an_instance_that_is_gone_stops_it_also_while_it_reads(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM, SECOND), ground.user()
    with ground.reading(rules, ground.end()) as reader:
        ground.played.disable("public_item")
        with pytest.raises(CaptureMissing, match=r"`public\.item`"):
            reader.verify()
        user.insert("second", ("1",))
        with pytest.raises(CaptureMissing, match=r"`public\.item`"):
            next_one(reader)


def test_a_newer_instance_takes_over_without_gap_or_repetition(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    start = ground.end()

    def work(writer: User, number: int) -> None:
        writer.insert("item", (f"{id(writer) % 10_000_000}{number:06}", "x", None))

    with ground.reading(rules, start) as reader:
        read: list[Transaction] = []
        with meanwhile(ground, work, users=2):
            read += [next_one(reader) for _ in range(20)]
            # Writers wait while an instance is made, as SQL Server's do.
            ground.place.session.execute("BEGIN; LOCK TABLE public.item IN SHARE MODE")
            ground.played.enable("public", "item", instance="newer")
            ground.place.session.execute("COMMIT")
            read += [next_one(reader) for _ in range(60)]
        end = ground.end()
        while read[-1].position < end:
            read.append(next_one(reader))
    written = sorted(int(str(each[0])) for each in user.rows("item"))

    assert sorted(int(str(each)) for each in keys(read)) == written
    ground.played.disable("public_item")
    user.insert("item", ("-1", "by the newer one", None))
    with ground.reading(rules, end) as reader:
        assert keys([next_one(reader)]) == ["-1"]


def test_a_column_that_is_not_captured_is_named(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    ground.played.disable("public_item")
    ground.played.enable("public", "item", ["id", "name"])
    ground.played.tick()

    assert stopped(ground, rules, SchemaChanged) == (
        "changes of `note` of `public.item` are not captured (by `public_item`)"
    )


def test_a_bound_column_that_is_dropped_stops_it_before_null_is_told(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    with ground.reading(rules, ground.end()) as reader:
        user.insert("item", ("1", "one", None))
        assert keys([next_one(reader)]) == ["1"]
        ground.place.session.execute("ALTER TABLE item ADD COLUMN other text")
        ground.played.altered("public", "item")
        user.update("item", ["1"], name="uno")
        assert keys([next_one(reader)]) == ["1"]
        ground.place.session.execute("ALTER TABLE item RENAME COLUMN note TO remark")
        ground.played.altered("public", "item")
        with pytest.raises(SchemaChanged, match="no column `note`"):
            next_one(reader)


def test_a_column_that_was_dropped_and_added_again_is_not_the_captured_one(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    before = ground.end()
    with ground.reading(rules, before) as reader:
        user.insert("item", ("1", "one", None))
        assert keys([next_one(reader)]) == ["1"]
        ground.place.session.execute("ALTER TABLE item DROP COLUMN note")
        ground.place.session.execute("ALTER TABLE item ADD COLUMN note text")
        ground.played.altered("public", "item")
        with pytest.raises(SchemaChanged, match=r"changes of `note` of `public\.item` are not captured"):
            next_one(reader)
    assert "are not captured" in stopped(ground, rules, SchemaChanged)


def test_a_job_that_does_nothing_is_noticed_and_passes(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    with ground.reading(rules, ground.end()) as reader:
        reader.verify()
        ground.played.stop(hours=3)
        with pytest.raises(CaptureStopped, match="no capture since"):
            reader.verify()
        assert "no capture since" in stopped(ground, rules, CaptureStopped)
        scanning = "(7, sysdatetime() - interval '2 days', NULL)"
        ground.played.run(f"INSERT INTO sys.dm_cdc_log_scan_sessions VALUES {scanning}")
        reader.verify()
        user.insert("item", ("1", None, None))
        assert keys([next_one(reader)]) == ["1"]


def test_capture_that_is_off_stops_it(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    ground.played.run("UPDATE sys.databases SET is_cdc_enabled = false")

    assert "change data capture of the database" in stopped(ground, rules, CaptureMissing)


def test_changes_that_the_role_may_not_read_are_told_as_that(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    ground.played.run(
        "CREATE OR REPLACE FUNCTION sys.fn_cdc_get_min_lsn(instance text) RETURNS bytea LANGUAGE sql AS "
        "$$ SELECT decode('00000000000000000000', 'hex') $$"
    )

    assert stopped(ground, rules, AccessDenied) == "the role may not read the captured changes of `public.item`"


def test_an_instance_that_has_not_begun_is_waited_for(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    ground.played.run("UPDATE cdc.change_tables SET start_lsn = NULL WHERE capture_instance = 'public_item'")

    assert "the capture job has not run" in stopped(ground, rules, CaptureStopped)


def test_another_database_and_a_restored_one_are_refused(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    made = ground.source(rules)
    ground.played.run("UPDATE sys.database_recovery_status SET recovery_fork_guid = gen_random_uuid()")
    with closing(made), pytest.raises(WrongServer, match="restored from a backup"):
        made.open(ground.end())

    assert "beyond the log's end" in stopped(ground, rules, PositionForeign, ground.end() + (1 << 41))


def test_who_may_not_see_the_fork_is_known_by_name_and_age(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    made = ground.source(rules)
    ground.played.run("UPDATE sys.database_recovery_status SET recovery_fork_guid = NULL, family_guid = NULL")
    with closing(made):
        made.open(ground.end())
        ground.played.run("UPDATE sys.databases SET create_date = '2026-02-02'")
        with pytest.raises(WrongServer):
            made.verify()


def test_azure_s_database_which_tells_of_no_recovery_is_known_by_name_and_age(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    ground.played.run("UPDATE played.edition SET number = 5")
    ground.played.run("DROP TABLE sys.database_recovery_status")
    with ground.reading(rules, ground.end()) as reader:
        reader.verify()


def test_old_values_that_are_not_told_are_unknown_and_never_null(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    user.insert("item", ("1", "one", "a long text"), ("2", "two", None))
    with ground.reading(rules, ground.end()) as reader:
        user.update("item", ["1"], id="7", name="uno")
        user.update("item", ["2"], name="dos")
        user.delete("item", ["7"])
        moved, changed, gone = (changes(next_one(reader)) for _ in range(3))

    assert moved == [(0, "U", ("7", "uno", "a long text"), ("1", "one", ABSENT))]
    assert changed == [(0, "U", ("2", "dos", ABSENT), None)]  # the mask says that it was not changed: that is all
    assert gone == [(0, "D", None, ("7", "uno", ABSENT))]


def test_a_row_that_came_and_went_in_one_transaction_is_not_told(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    with ground.reading(rules, ground.end()) as reader:
        with user.transaction():
            user.insert("item", ("1", "one", None))
            user.delete("item", ["1"])
        with user.transaction():
            user.insert("item", ("2", "two", None))
            user.delete("item", ["2"])
            user.insert("item", ("2", "deux", None))
        assert [change[:3] for change in changes(next_one(reader))] == [(0, "I", ("2", "deux", None))]


def test_many_windows_tell_the_same_as_one(ground: PlayedGround, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, user = ground.make(ITEM, SECOND), ground.user()
    start = ground.end()
    for number in range(25):
        with user.transaction():
            user.insert("second", (str(number),))
            user.insert("item", (str(number), "x", None))
            user.update("item", [str(number)], name="y")
    whole = [(item.position, item.changes) for item in ground.told(rules, start)]
    monkeypatch.setattr(source, "transactions_at_once", 4)

    assert [(item.position, item.changes) for item in ground.told(rules, start)] == whole
    assert len(whole) == 25 and [change[0] for change in whole[0][1]] == [1, 0, 0]


def test_a_transaction_of_ours_is_told_with_its_batch_and_its_engine(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    start = ground.end()
    with ground.writing(rules) as target:
        target.apply(batch(17, write("insert", "item", (1, 2), [row(17, "1", ("ours", None))])))
        target.apply(batch(18, write("update", "item", (1,), [row(18, "1", ("again",), ("ours",))]), forget_to=17))
    told = ground.told(rules, start)

    assert [(item.own, item.number, item.engine) for item in told] == [(True, 17, rules.name), (True, 18, rules.name)]


def test_without_the_right_to_see_a_transaction_the_log_s_end_divides(ground: PlayedGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    user.insert("item", ("1", "one", None))
    start = ground.end()
    ground.played.run("DELETE FROM played.rights WHERE name = 'VIEW SERVER STATE'")
    with ground.writing(rules) as target:
        user.update("item", ["1"], name="before")
        outcome = target.apply(batch(1, write("update", "item", (1,), [row(1, "1", ("ours",), ("before",))])))
        user.update("item", ["1"], name="after")
    before, ours, after = ground.told(rules, start)

    assert outcome.exceptions == []
    assert before.position < outcome.separator < ours.position < after.position


def test_nothing_is_told_of_an_idle_database_but_how_far_it_has_come(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    with ground.reading(rules, ground.end()) as reader:
        assert reader.read(0.0) is None
        ground.played.tick()
        told = reader.read(5.0)
        assert isinstance(told, Progress) and told.position == ground.end()


def test_a_source_that_was_closed_is_unavailable(ground: PlayedGround) -> None:
    rules = ground.make(ITEM)
    made = ground.source(rules)
    with pytest.raises(SystemUnavailable, match="never opened"):
        made.read(0.0)
