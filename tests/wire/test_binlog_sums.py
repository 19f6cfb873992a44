"""Holds the checksum of the binlog's events to its definition: any event with its own sum passes, no other does."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mariadb.binlog import events
from adapters.mariadb.binlog.frames import Frames
from engine.errors import WireError

bodies = st.binary(min_size=events.HEADER, max_size=200)


def packet(event: bytes) -> bytes:
    """An event as it is sent, with its sum."""
    return b"\0" + event + struct.pack("<I", zlib.crc32(event))


@given(bodies)
def test_an_event_with_its_own_sum_ends_before_it(event: bytes) -> None:
    assert events.check_sum(packet(event)) == events.sum_end(packet(event)) == 1 + len(event)


@given(bodies, st.data())
def test_an_event_of_which_one_bit_changed_is_refused(event: bytes, data: st.DataObject) -> None:
    whole = bytearray(packet(event))
    bit = data.draw(st.integers(8, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireError, match="another checksum expected"):
        events.check_sum(bytes(whole))
    assert events.sum_end(bytes(whole)) == len(whole)


@given(st.binary(max_size=60))
def test_a_header_that_is_not_the_packets_is_refused_in_the_same_words_by_both_readers(data: bytes) -> None:
    told = []
    for read in (events.read_header, events.opened):
        try:
            found = read(data)
            told.append((found.kind, found.end, found.flags) if isinstance(found, events.Header) else found)
        except WireError as error:
            told.append(str(error))
    assert told[0] == told[1]


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_packets_come_out_whole_however_the_stream_is_cut(packets: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(len(one).to_bytes(3, "little") + bytes([at + 1]) + one for at, one in enumerate(packets))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    frames, found = Frames(), []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        frames.feed(stream[start:stop])
        while (one := frames.take()) is not None:
            found.append(one)
    assert found == packets
