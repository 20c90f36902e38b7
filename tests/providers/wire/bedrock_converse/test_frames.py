"""Amazon's event stream is cut into frames that lose nothing; a damaged one ends it."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError, OversizedEventError
from providers.wire.bedrock_converse.frames import Frame, FrameDecoder
from tests.support.amazon import event, frame

FRAMES = [event("a", {"x": 1}), frame(b"", message_type="event"), frame(b"\x00\xff" * 40), event("é", {"t": "é🙂"})]
BODY = b"".join(FRAMES)


def damaged(whole: bytes, place: int) -> bytes:
    return whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :]


def test_frames_have_their_bytes_headers_and_payload() -> None:
    frames = FrameDecoder().feed(BODY)
    assert [one.raw for one in frames] == FRAMES
    assert frames[0].headers == {
        ":event-type": "a",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert frames[0].text(":event-type") == "a"
    assert frames[0].text(":exception-type") == ""
    assert [one.payload for one in frames] == [b'{"x": 1}', b"", b"\x00\xff" * 40, b'{"t": "\\u00e9\\ud83d\\ude42"}']


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, len(BODY)), max_size=30))
def test_any_split_gives_the_same_frames(cuts: list[int]) -> None:
    decoder = FrameDecoder()
    frames: list[Frame] = []
    places = [0, *sorted(cuts), len(BODY)]
    for left, right in pairwise(places):
        frames += decoder.feed(BODY[left:right])
    assert frames == FrameDecoder().feed(BODY)
    assert decoder.pending == b""


@pytest.mark.parametrize("place", [0, 5, 9, 12, 30, 80, -5, -1])
def test_a_damaged_frame_ends_the_stream_but_no_frame_before_it_is_lost(place: int) -> None:
    bad = damaged(FRAMES[0], place % len(FRAMES[0]))
    decoder = FrameDecoder()
    assert [one.raw for one in decoder.feed(FRAMES[1] + bad + BODY)] == FRAMES[1:2]
    with pytest.raises(BadResponseError, match="damaged"):
        decoder.feed(b"")
    with pytest.raises(BadResponseError, match="damaged"):
        FrameDecoder().feed(bad)


def test_headers_of_another_layout_than_their_length_are_damage() -> None:
    headers = b"\x05:name\x63"  # type 99
    prelude = struct.pack(">II", 16 + len(headers), len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    whole = prelude + headers
    whole += struct.pack(">I", zlib.crc32(whole))
    with pytest.raises(BadResponseError, match="damaged"):
        FrameDecoder().feed(whole)


def test_a_page_of_html_is_no_stream() -> None:
    with pytest.raises(BadResponseError, match="damaged"):
        FrameDecoder().feed(b"<!doctype html><html></html>")


@pytest.mark.parametrize(("size", "headers"), [(15, 0), (16, 1), (40, 30)])
def test_a_frame_of_impossible_size_is_damage(size: int, headers: int) -> None:
    prelude = struct.pack(">II", size, headers)
    with pytest.raises(BadResponseError, match="impossible size"):
        FrameDecoder().feed(prelude + struct.pack(">I", zlib.crc32(prelude)))


@pytest.mark.parametrize("size", [1000, 40 * 1024 * 1024])
def test_an_oversized_frame_is_refused_by_its_prelude(size: int) -> None:
    prelude = struct.pack(">II", size, 0)
    prelude += struct.pack(">I", zlib.crc32(prelude))
    decoder = FrameDecoder(max_frame_bytes=999)
    assert len(decoder.feed(FRAMES[0] + prelude)) == 1
    with pytest.raises(OversizedEventError):
        decoder.feed(b"x")
    assert len(FrameDecoder(max_frame_bytes=len(FRAMES[0])).feed(FRAMES[0])) == 1


def test_the_cost_is_linear() -> None:
    """A large frame in small pieces: as many parses as frames, whatever the number of reads."""
    big = frame(b"x" * 300_000)
    decoder = FrameDecoder()
    found = [one for place in range(0, len(big), 100) for one in decoder.feed(big[place : place + 100])]
    assert [len(one.payload) for one in found] == [300_000]
