"""When a user who waits at COMMIT may go on: every rule of `engine.desk.delivery`, one at a time."""

from __future__ import annotations

from engine.rulebook import Limit, Limits
from tests.unit.delivery_rig import Rig

SHOUTING = "constraint `no shouting`"


def refusing(rig: Rig, system: str, word: str = "BAD") -> None:
    """A constraint of a system that the others' users do not know."""
    rig.databases[system].constraint = lambda entity, row: "no shouting" if word in row else ""


def test_nobody_is_answered_before_the_other_system_has_it() -> None:
    rig = Rig()
    at = rig.user("erp", "k0", name="new")

    rig.read("erp")
    assert rig.decider.delivered("erp") < at
    rig.decider.commit()
    assert rig.decider.delivered("erp") < at

    rig.write("crm")
    assert rig.decider.delivered("erp") == at
    assert rig.has("crm", "k0", "name") == "new"


def test_nobody_is_answered_before_all_the_others_have_it() -> None:
    rig = Rig(("erp", "crm", "mes"), waiting=("erp",))
    at = rig.user("erp", "k0", name="new")
    rig.read("erp")

    rig.write("crm")
    assert rig.decider.delivered("erp") < at
    rig.write("mes")

    assert rig.decider.delivered("erp") == at


def test_whoever_writes_what_another_one_just_wrote_is_answered_when_all_have_it() -> None:
    rig = Rig(("erp", "crm", "mes"), waiting=("erp",))
    rig.both("k0", "k1")
    rig.user("crm", "k0", name="same")
    rig.databases["crm"].commit(rig.databases["crm"].delete("item", "k1"), rig.now)
    rig.read("crm")
    rig.user("erp", "k0", name="same")
    ended = rig.databases["erp"].commit(rig.databases["erp"].delete("item", "k1"), rig.now, waits=True)
    rig.read("erp")
    rig.decider.commit()
    rig.tell()
    assert len(rig.waits("erp")) == 2

    rig.write("erp")
    rig.write("mes")
    rig.tell()

    assert rig.waits("erp") == []
    assert rig.decider.delivered("erp") >= ended
    assert rig.has("mes", "k0", "name") == "same"
    assert "k1" not in rig.databases["mes"].rows["item"]


def test_whoever_writes_what_a_person_has_just_decided_is_answered_when_the_others_have_it() -> None:
    rig = Rig(waiting=("erp",))
    rig.both("k0")
    rig.user("erp", "k0", terms="ours", waits=False)
    rig.user("crm", "k0", terms="theirs")
    rig.work()
    rig.ask("resolve", entity="item", key="k0", field="terms", take="crm", by="Ada")
    at = rig.user("erp", "k0", terms="theirs")
    rig.read("erp")
    rig.decider.commit()
    assert rig.decider.delivered("erp") < at

    rig.work()

    assert rig.decider.delivered("erp") >= at
    assert rig.has("crm", "k0", "terms") == "theirs"


def test_whoever_is_overruled_is_answered_when_the_journal_says_so_durably() -> None:
    rig = Rig()
    rig.both("k0")
    first = rig.user("crm", "k0", note="mine")
    rig.user("erp", "k0", note="theirs")  # the system of record wins
    rig.read("erp")
    rig.read("crm")

    assert rig.decider.delivered("crm") < first
    rig.decider.commit()

    assert rig.decider.delivered("crm") >= first
    assert [entry.lost for entry in rig.store.journal] == [("mine",)]
    assert "acknowledged, then overruled" in rig.store.journal[0].because


def test_the_answer_to_the_loser_frees_his_lock_for_the_winner() -> None:
    rig = Rig()
    rig.both("k0")
    rig.user("crm", "k0", note="mine")
    rig.user("erp", "k0", note="theirs")

    rig.work()

    assert rig.waits("erp") == rig.waits("crm") == []
    assert rig.has("crm", "k0", "note") == rig.has("erp", "k0", "note") == "theirs"
    assert rig.kinds() == []


def test_a_row_that_somebody_has_locked_is_waited_for_however_often_it_is_tried() -> None:
    rig = Rig()
    rig.both("k0", "k1")
    rig.databases["crm"].locked.add(("item", "k0"))
    at = rig.user("erp", "k0", name="new")
    rig.read("erp")
    for _ in range(3):
        rig.write("crm")
        assert rig.decider.delivered("erp") < at
        rig.decider.retry_deferred("crm")
        assert rig.decider.delivered("erp") < at
    assert "somebody has locked it" in rig.decider.told("erp")

    rig.databases["crm"].locked.clear()
    rig.write("crm")

    assert rig.decider.delivered("erp") == at


def test_one_locked_row_does_not_keep_out_what_came_with_another_transaction() -> None:
    rig = Rig()
    rig.both("k0", "k1")
    rig.databases["crm"].locked.update({("item", "k0"), ("item", "k1")})
    rig.user("erp", "k0", name="locked for long")
    rig.user("erp", "k1", name="locked for a moment")
    rig.read("erp")
    rig.write("crm")
    rig.databases["crm"].locked.remove(("item", "k1"))

    rig.again("crm")

    assert rig.has("crm", "k1", "name") == "locked for a moment"
    assert rig.has("crm", "k0", "name") == "name0"


def test_a_guard_that_did_not_match_is_waited_for() -> None:
    rig = Rig(waiting=("erp",))
    rig.both("k0")
    at = rig.user("erp", "k0", name="new")
    rig.user("crm", "k0", name="unread", terms="other")
    rig.read("erp")
    rig.write("crm")  # meets what its log has not told yet

    assert rig.decider.delivered("erp") < at
    rig.work(answering=False)

    assert rig.decider.delivered("erp") >= at


def test_an_answer_reaches_only_up_to_the_first_who_has_to_wait() -> None:
    rig = Rig()
    rig.both("k0", "k1")
    rig.databases["crm"].locked.add(("item", "k0"))
    first = rig.user("erp", "k0", name="new")
    second = rig.user("erp", "k1", name="new")
    rig.read("erp")
    rig.write("crm")

    assert rig.has("crm", "k1", "name") == "new"
    assert rig.decider.delivered("erp") < first
    rig.databases["crm"].locked.clear()
    rig.again("crm")

    assert rig.decider.delivered("erp") >= second


def test_what_is_due_nowhere_is_passed_in_order() -> None:
    rig = Rig()
    rig.both("k0")
    idle = rig.databases["erp"].commit([], 0)
    rig.read("erp")
    assert rig.decider.delivered("erp") == idle

    at = rig.user("erp", "k0", name="new")
    behind = rig.databases["erp"].commit([], 0)
    rig.read("erp")
    assert rig.decider.delivered("erp") == idle
    rig.write("crm")

    assert at < behind == rig.decider.delivered("erp")


def test_a_transaction_of_ours_that_waits_for_its_own_answer_is_passed() -> None:
    rig = Rig()
    rig.both("k0")
    before = rig.decider.delivered("erp")

    rig.decider.pass_own("erp", before + 5)

    assert rig.decider.delivered("erp") == before + 5


def test_what_was_due_when_the_engine_starts_comes_before_everybody() -> None:
    rig = Rig()
    rig.both("k0", "k1")
    rig.databases["crm"].locked.add(("item", "k0"))
    first = rig.user("erp", "k0", name="new")
    rig.read("erp")
    rig.write("crm")
    rig.decider.commit()

    rig.start()
    rig.user("erp", "k1", name="new")
    rig.work(2, answering=False)
    assert rig.decider.delivered("erp") < first
    rig.databases["crm"].locked.clear()
    rig.again("crm")

    assert rig.decider.delivered("erp") > first


def test_whoever_was_read_before_a_crash_is_answered_after_it() -> None:
    rig = Rig()
    rig.user("erp", "k0", name="new")
    rig.read("erp")
    rig.decider.commit()

    rig.start()
    rig.work()

    assert rig.waits("erp") == []


def test_a_refused_write_is_answered_when_the_journal_says_so() -> None:
    rig = Rig(refused="release")
    refusing(rig, "crm")
    at = rig.user("erp", "k0", name="BAD")
    rig.read("erp")
    rig.write("crm")

    assert rig.decider.delivered("erp") < at
    rig.decider.commit()

    assert rig.decider.delivered("erp") == at
    assert rig.kinds() == ["k0: crm refused it: acknowledged all the same"]


def test_a_refused_write_is_waited_for_where_the_rules_say_so() -> None:
    rig = Rig(refused="wait")
    refusing(rig, "crm")
    at = rig.user("erp", "k0", name="BAD")
    rig.work()
    assert rig.waits("erp") == [at]
    assert rig.decider.told("erp").endswith(SHOUTING)

    rig.databases["crm"].constraint = lambda entity, row: ""
    rig.ask("retry")
    assert rig.decider.delivered("erp") < at
    rig.work()

    assert rig.waits("erp") == []
    assert rig.has("crm", "k0", "name") == "BAD"


def test_a_refused_write_is_waited_for_after_a_restart_too_but_only_by_its_own_system() -> None:
    rig = Rig(refused="wait")
    rig.both("k1")
    refusing(rig, "crm")
    at = rig.user("erp", "k0", name="BAD")
    rig.work()

    rig.start()
    other = rig.user("crm", "k1", name="good")
    rig.work()

    assert rig.waits("erp") == [at]
    assert other not in rig.waits("crm")


def test_what_is_left_to_a_person_is_waited_for_until_all_have_what_he_took() -> None:
    rig = Rig(refused="wait")
    rig.both("k0")
    ours = rig.user("erp", "k0", terms="ours")
    theirs = rig.user("crm", "k0", terms="theirs")
    rig.work()
    assert (rig.waits("erp"), rig.waits("crm")) == ([ours], [theirs])
    assert "left to a person" in rig.decider.told("erp")

    rig.ask("resolve", entity="item", key="k0", field="terms", take="erp", by="Ada")
    assert rig.decider.delivered("erp") < ours
    rig.work()

    assert rig.waits("crm") == []
    assert rig.waits("erp") == []
    assert rig.has("crm", "k0", "terms") == "ours"


def test_who_writes_what_was_left_to_a_person_before_waits_for_him_too() -> None:
    rig = Rig(("erp", "crm", "mes"), waiting=("erp",), refused="wait")
    rig.both("k0")
    rig.user("crm", "k0", terms="ours")
    rig.user("mes", "k0", terms="theirs")
    rig.work()
    at = rig.user("erp", "k0", terms="mine")
    rig.work()
    assert rig.waits("erp") == [at]

    rig.ask("resolve", entity="item", key="k0", field="terms", take="erp", by="Ada")
    rig.work()

    assert rig.waits("erp") == []
    assert rig.has("crm", "k0", "terms") == rig.has("mes", "k0", "terms") == "mine"


def test_what_is_left_to_a_person_is_answered_at_once_by_default() -> None:
    rig = Rig(refused="release")
    rig.both("k0")
    rig.user("erp", "k0", terms="ours")
    rig.user("crm", "k0", terms="theirs")

    rig.work()

    assert rig.waits("erp") == rig.waits("crm") == []
    assert rig.store.holds


def test_what_a_limit_stopped_is_answered_and_told() -> None:
    rig = Rig(limits=Limits(inserts=Limit(1, 60)))
    rig.user("erp", "k0")
    rig.user("erp", "k1")

    rig.work()

    assert rig.waits("erp") == []
    assert rig.kinds()
    assert all("a limit stopped `item`" in line for line in rig.kinds())


def test_systems_that_wait_for_each_others_locks_are_untied_at_once_and_one_is_told_so() -> None:
    rig = Rig()
    rig.both("k0", "k1")
    erp, crm = rig.databases["erp"], rig.databases["crm"]
    rig.now += 1_000
    erp.commit(erp.update("item", "k0", {"name": "a"}) + erp.update("item", "k1", {"note": "a"}), rig.now, waits=True)
    rig.now += 1_000
    crm.commit(crm.update("item", "k0", {"note": "b"}) + crm.update("item", "k1", {"name": "b"}), rig.now, waits=True)
    rig.work(2)
    assert rig.waits("erp")
    assert rig.waits("crm")
    rig.decider.retry_deferred("erp")
    rig.decider.retry_deferred("crm")

    rig.decider.untangle(0.0)
    before = rig.waits("erp"), rig.waits("crm")
    rig.tell()
    assert (rig.waits("erp"), rig.waits("crm")) == before  # the journal is not durable yet
    rig.work()

    assert rig.waits("erp") == rig.waits("crm") == []
    assert {line.partition(": ")[0] for line in rig.kinds()} == {"k0", "k1"}
    for key in ("k0", "k1"):
        assert [rig.has("erp", key, name) for name in ("name", "note")] == [
            rig.has("crm", key, name) for name in ("name", "note")
        ]


def test_a_lock_of_somebody_who_has_not_come_to_his_commit_is_no_knot() -> None:
    rig = Rig()
    rig.both("k0", "k1")
    rig.user("erp", "k0", name="a")
    rig.user("crm", "k1", name="b")
    rig.databases["crm"].locked.add(("item", "k0"))
    rig.databases["erp"].locked.add(("item", "k1"))
    rig.work(2)

    rig.decider.untangle(0.0)
    rig.decider.untangle(100.0)
    rig.work(2)

    assert rig.waits("erp")
    assert rig.waits("crm")
    assert rig.kinds() == []


def test_a_transaction_larger_than_memory_is_delivered_when_all_of_it_is() -> None:
    rig = Rig(rows_max=2)
    rig.both("k9")
    erp = rig.databases["erp"]
    rig.databases["crm"].locked.add(("item", "k9"))
    changes = [change for n in range(5) for change in erp.insert("item", {"code": f"k{n}"})]
    at = erp.commit([*changes, *erp.update("item", "k9", {"name": "last"})], 5_000, waits=True)
    rig.work(2)
    assert rig.waits("erp") == [at]

    rig.databases["crm"].locked.clear()
    rig.work()

    assert rig.waits("erp") == []


def test_what_was_refused_of_a_transaction_larger_than_memory_is_told_by_name() -> None:
    rig = Rig(rows_max=2)
    rig.both("k8")
    refusing(rig, "crm")
    rig.user("erp", "k8", name="BAD", waits=False)
    rig.work()
    erp = rig.databases["erp"]
    rows = [{"code": f"k{n}", "name": "BAD" if n % 2 else "good"} for n in range(5)]
    changes = [change for row in rows for change in erp.insert("item", dict(row))]
    erp.commit(changes, 5_000, waits=True)

    rig.work()

    assert rig.waits("erp") == []
    assert [line for line in rig.kinds() if not line.startswith("k8")] == [
        "k1: crm refused it: acknowledged all the same", "k3: crm refused it: acknowledged all the same",
    ]  # fmt: skip


def test_a_position_that_was_written_in_parts_is_told_to_be_durable() -> None:
    rig = Rig(rows_max=2)
    erp, crm = rig.databases["erp"], rig.databases["crm"]
    at = rig.user("erp", "k0", name="small")
    rig.read("erp")
    crm.commit([change for n in range(1, 6) for change in crm.insert("item", {"code": f"k{n}"})], 5_000, waits=True)
    rig.read("crm")  # goes into the store's open transaction, the position of `erp` with it
    rig.decider.commit()

    assert rig.decider.durable_positions["erp"] == erp.end == at


def test_a_child_of_a_row_that_only_its_waiting_user_sees_is_late_and_not_refused() -> None:
    rig = Rig(("erp", "crm", "mes"), orders=True)
    rig.databases["mes"].locked.add(("item", "k0"))
    made = rig.user("crm", "k0")
    rig.work(2)
    assert "k0" in rig.databases["erp"].rows["item"]
    assert rig.waits("crm") == [made]

    rig.user("erp", "o0", "order", item="k0", memo="early")
    rig.work(2)
    assert rig.store.quarantine == {}
    rig.databases["mes"].locked.clear()
    rig.work()

    assert rig.waits("crm") == rig.waits("erp") == []
    assert "o0" in rig.databases["crm"].rows["order"]


def test_a_row_of_ones_own_that_cannot_be_read_is_what_one_waits_for() -> None:
    rig = Rig(codecs=True, refused="wait")
    rig.both("k0")
    at = rig.user("crm", "k0", grade="9")  # no counterpart: nobody knows what to write elsewhere
    rig.work()

    assert rig.waits("crm") == [at]


def test_a_row_that_has_to_be_read_again_and_that_its_own_user_has_locked_is_a_knot_of_one() -> None:
    rig = Rig()
    rig.databases["erp"].rows["item"]["k0"] = [*rig.databases["erp"].made(0, {"code": "k0", "note": "unlogged"})]
    at = rig.user("erp", "k0", name="new")  # its log leaves out what did not change: nobody knows the whole row
    rig.work(2)
    assert rig.waits("erp") == [at]

    rig.decider.untangle(0.0)
    rig.decider.commit()
    rig.tell()

    assert rig.waits("erp") == []
    assert rig.kinds() == [
        "k0: its row has to be read again in erp, and is locked until its user is answered: acknowledged before it was "
        "everywhere"
    ]


def test_answers_never_go_back_and_are_told_in_words() -> None:
    rig = Rig()
    rig.user("erp", "k0", name="new")
    rig.work()
    high = rig.decider.delivered("erp")

    rig.decider.pass_position("erp", 1)

    assert rig.decider.delivered("erp") == high
    assert rig.decider.told("erp") == ""
