"""The decoder follows the WHATWG rules, gives the same events for any split, and loses no byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import OversizedEventError
from providers.wire.sse import SSEDecoder, SSEvent


def decode(body: bytes, sizes: list[int] | None = None) -> tuple[list[SSEvent], bytes]:
    """All blocks of `body`, fed in pieces of the given sizes (over and over), and what was left at the end."""
    decoder = SSEDecoder()
    events: list[SSEvent] = []
    position = 0
    turn = 0
    while position < len(body):
        size = sizes[turn % len(sizes)] if sizes else len(body)
        events += decoder.feed(body[position : position + size])
        position += size
        turn += 1
    rest = decoder.pending
    last = decoder.eof()
    if last is not None:
        events.append(last)
    return events, rest


def told(events: list[SSEvent]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in events if event.data is not None]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"data: a\n\n", [("", b"a")], id="LF"),
        pytest.param(b"data: a\r\n\r\n", [("", b"a")], id="CRLF"),
        pytest.param(b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")], id="CR"),
        pytest.param(
            b"data: a\r\n\ndata: b\n\r\ndata: c\n\rx", [("", b"a"), ("", b"b"), ("", b"c")], id="mixed line ends"
        ),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("", b"a")], id="BOM at the start"),
        pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("", b"a")], id="BOM later is part of the field's name"),
        pytest.param(b": comment\ndata: a\n\n", [("", b"a")], id="comment"),
        pytest.param(b"data: a\ndata: b\n\n", [("", b"a\nb")], id="several data lines"),
        pytest.param(b"data\n\n", [("", b"")], id="no colon"),
        pytest.param(b"data:a\n\n", [("", b"a")], id="no space"),
        pytest.param(b"data:  a\n\n", [("", b" a")], id="only one space is dropped"),
        pytest.param(b"event: e\ndata: a\n\n", [("e", b"a")], id="event name"),
        pytest.param(b"event: e\n\ndata: a\n\n", [("", b"a")], id="a name does not outlive its block"),
        pytest.param(b"data: a\n\n\n\n\ndata: b\n\n", [("", b"a"), ("", b"b")], id="extra blank lines"),
        pytest.param("data: é漢\U0001f600\n\n".encode(), [("", "é漢\U0001f600".encode())], id="multi-byte characters"),
        pytest.param(b"data: a:b: c\n\n", [("", b"a:b: c")], id="colons in the value"),
        pytest.param(b"foo: x\ndata: a\n\n", [("", b"a")], id="unknown field"),
    ],
)
def test_reads_by_the_standard(body: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert told(decode(body)[0]) == expected


def test_id_and_retry() -> None:
    events, _ = decode(b"id: 7\nretry: 250\ndata: a\n\nid: x\0y\nretry: 2s\ndata: b\n\n")
    assert (events[0].id, events[0].retry) == ("7", 250)
    assert (events[1].id, events[1].retry) == (None, None)


def test_an_event_is_given_out_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert told(decoder.feed(b"\n")) == [("", b"a")]
    assert told(decoder.feed(b"data: b\r\r")) == [("", b"b")]  # also when a CR might be half of a CRLF


def test_an_unfinished_block_is_given_out_only_at_the_end() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a") == []
    last = decoder.eof()
    assert last is not None
    assert last.data == b"a"
    assert decoder.eof() is None


PIECES = st.sampled_from(
    [
        b"data: x",
        b"data:y",
        b"event: e",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r",
        b":c",
        b"data",
        b"id: 1",
        "é漢".encode(),
    ]
)
BODIES = st.lists(PIECES, max_size=16).map(b"".join)


@settings(deadline=None, max_examples=600)
@given(body=BODIES, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), bom=st.booleans())
def test_any_split_gives_the_same_events_and_every_byte_is_kept(body: bytes, sizes: list[int], bom: bool) -> None:
    if bom:
        body = b"\xef\xbb\xbf" + body
    whole, _ = decode(body)
    split, _ = decode(body, sizes)
    assert split == whole
    assert b"".join(event.raw for event in split) == body


@settings(deadline=None, max_examples=300)
@given(body=BODIES)
def test_line_ends_are_interchangeable(body: bytes) -> None:
    plain = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + b"\n\n"
    expected = told(decode(plain)[0])
    assert told(decode(plain.replace(b"\n", b"\r\n"))[0]) == expected
    assert told(decode(plain.replace(b"\n", b"\r"))[0]) == expected


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_an_oversized_event_is_refused_and_costs_no_more_memory_than_the_limit(end: bytes, piece: int) -> None:
    decoder = SSEDecoder(max_event_bytes=1000)
    body = b"data: " + b"x" * 5000 + end + end
    with pytest.raises(OversizedEventError):
        for start in range(0, len(body), piece):
            decoder.feed(body[start : start + piece])
            assert len(decoder.pending) <= 1000 + piece


def test_events_before_an_oversized_one_are_not_lost() -> None:
    decoder = SSEDecoder(max_event_bytes=100)
    assert told(decoder.feed(b"data: a\n\ndata: " + b"x" * 200)) == [("", b"a")]
    with pytest.raises(OversizedEventError):
        decoder.feed(b"\n\n")
    with pytest.raises(OversizedEventError):
        decoder.eof()
