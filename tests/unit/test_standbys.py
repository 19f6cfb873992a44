"""The text of `synchronous_standby_names`: read as PostgreSQL does, and with us in it and out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgresql.standbys import Standbys, Unreadable, left

US = "duolog_demo_erp"

names = st.one_of(
    st.sampled_from(["s1", "S1", "any", "First", "*", "7", "a b", 'q"q', "é", "", US, US.upper(), "walreceiver"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
standbys = st.builds(
    Standbys, count=st.integers(1, 9), names=st.lists(names, min_size=1, max_size=6).map(tuple),
    method=st.sampled_from(["FIRST", "ANY"]),
)  # fmt: skip
anything = st.one_of(standbys, st.just(Standbys()))

READ = [
    ("", Standbys()),
    ("a", Standbys(1, ("a",))),
    (" a ,\tb\n", Standbys(1, ("a", "b"))),
    ("2 (a,b,c)", Standbys(2, ("a", "b", "c"))),
    ("2(a,b)", Standbys(2, ("a", "b"))),
    ("First 2 (a, b)", Standbys(2, ("a", "b"))),
    ("aNY 1 (a, *)", Standbys(1, ("a", "*"), "ANY")),
    ('"any", "x""y", "a, b"', Standbys(1, ("any", 'x"y', "a, b"))),
    ("5, 6", Standbys(1, ("5", "6"))),
    ("ANY 2 (1, a$b, _c)", Standbys(2, ("1", "a$b", "_c"), "ANY")),
]
REFUSED = [
    " ", "any", "first", "a b", "a,", ",", "2 ()", "2 (a", "0 (a)", "any (a)", "ANY 2 a", '"a', "a;b", "2 (a) b",
    "-1 (a)",
]  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), READ)
def test_a_text_is_understood(text: str, meant: Standbys) -> None:
    assert Standbys.parse(text) == meant


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_server_refuses_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        Standbys.parse(text)


@given(anything)
def test_what_is_printed_means_the_same(some: Standbys) -> None:
    assert Standbys.parse(str(some)) == some


@given(anything)
def test_with_us_in_it_we_are_waited_for_before_all_others(some: Standbys) -> None:
    ours = some.with_us(US)

    assert ours.name(US) and ours.rank(US.upper()) == 1
    assert ours.with_us(US) == ours
    assert not ours.without(US).name(US)


@given(anything.filter(lambda some: not some.name(US)), st.booleans())
def test_out_again_the_others_are_waited_for_as_before(some: Standbys, known: bool) -> None:
    ours = some.with_us(US)
    without = ours.without(US)

    assert (without.count, without.names) == (some.count if some.names else 1, some.names)
    assert without == some or some.method == "ANY"  # which of them is not told any more; but what was set is kept:
    assert left(str(ours), US, str(some) if known else None) == str(some if known else without)


@given(anything, anything)
def test_a_list_that_was_changed_meanwhile_is_only_left(some: Standbys, former: Standbys) -> None:
    if former.with_us(US) != some:
        assert left(str(some), US, str(former)) == str(some.without(US))


@pytest.mark.parametrize(
    ("text", "connected", "stand_in"),
    [
        (US, 0, False),
        (US, 1, True),  # somebody else reads under our name
        (f"FIRST 2 ({US}, s1)", 1, False),
        (f"FIRST 2 ({US}, s1)", 2, True),  # two that are called s1
        (f"FIRST 2 ({US}, s1, s2)", 0, True),
        (f"ANY 1 ({US}, s1)", 0, True),
        (f"{US}, s1", 0, True),
        (f"FIRST 2 ({US}, *)", 0, True),
        ("s1, s2", 2, False),  # nobody waits for us
    ],
)
def test_who_could_answer_in_our_stead(text: str, connected: int, stand_in: bool) -> None:
    assert Standbys.parse(text).stand_in(US, connected) is stand_in


def test_the_rank_of_a_standby_is_its_place_where_the_first_count() -> None:
    some = Standbys.parse("FIRST 2 (a, B, *)")

    assert [some.rank(name) for name in ("A", "b", "c")] == [1, 2, 3]
    assert [Standbys.parse("ANY 2 (a, b)").rank(name) for name in ("a", "b", "c")] == [1, 1, 0]
