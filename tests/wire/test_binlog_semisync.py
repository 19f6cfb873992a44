"""Holds what a semi-synchronous reader is asked and answers to the bytes of the protocol; nothing else is needed."""

from __future__ import annotations

import pytest

from adapters.mariadb.binlog.frames import Frames
from adapters.mariadb.semisync import Answers, answer
from engine.errors import WireError


def test_an_answer_is_the_magic_byte_the_offset_and_the_file_as_packet_number_0() -> None:
    sent = answer("bin.000003", 4711)

    assert sent == bytes.fromhex("13000000 ef 6712000000000000") + b"bin.000003"


def test_an_offset_beyond_4_gigabytes_is_told_whole() -> None:
    assert answer("b.000001", 5 << 30)[5:13] == (5 << 30).to_bytes(8, "little")


@pytest.mark.parametrize(("flag", "wanted"), [(0, False), (1, True)])
def test_what_goes_before_an_event_is_taken_off(flag: int, wanted: bool) -> None:
    assert Answers().stripped(bytes([0, 0xEF, flag]) + b"event") == (b"\0event", wanted)


@pytest.mark.parametrize("packet", [b"\0event", b"\0", b"\0\xef"])
def test_an_event_without_it_is_a_break_of_the_protocol(packet: bytes) -> None:
    with pytest.raises(WireError, match="0xef and a flag before an event expected"):
        Answers().stripped(packet)


def test_nothing_is_answered_before_it_is_delivered_and_nothing_twice() -> None:
    answers = Answers()
    for position in (10, 20, 20, 30):
        answers.want(position)
    told = []
    for answers.delivered in (9, 10, 19, 29, 30, 40):
        told.append(answers.due())

    assert told == [None, 10, None, 20, 30, None]
    assert not answers


def test_what_nobody_asked_for_is_not_answered() -> None:
    answers = Answers()
    answers.delivered = 100

    assert answers.due() is None
    answers.want(50)
    assert answers.due() == 50


def test_what_another_connection_asked_is_forgotten_and_what_is_delivered_is_not() -> None:
    answers = Answers()
    answers.want(10)
    answers.forget()
    answers.delivered = 10

    assert answers.due() is None
    answers.want(7)
    assert answers.due() == 7


def packet(number: int, body: bytes = b"x") -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def test_packets_are_counted_anew_behind_one_that_wants_an_answer() -> None:
    frames = Frames()
    frames.feed(b"".join(map(packet, (1, 2, 1, 2, 3))))
    assert [frames.take(), frames.take()] == [b"x", b"x"]
    frames.restart()

    assert [frames.take() for _ in range(4)] == [b"x", b"x", b"x", None]


def test_or_are_counted_on_but_never_otherwise() -> None:
    frames = Frames()
    frames.feed(b"".join(map(packet, (1, 2, 1))))
    frames.take()
    frames.restart()
    assert frames.take() == b"x"

    with pytest.raises(WireError, match="packet number 3 expected, found 1"):
        frames.take()
