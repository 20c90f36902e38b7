"""However an answer is delivered, the same answer arrives."""

from __future__ import annotations

import re

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from conformance.replay import DELIVERIES, Answer, Delivery, Play, ReplayServer, every_split
from conformance.replay.answer import Piece
from conformance.replay.deliveries import (
    bytes_each,
    original_timing,
    random_splits,
    slow_drip,
    with_comments,
    with_line_ends,
)
from conformance.replay.framing import CHUNKED, ONE_BYTE_CHUNKS, PACKED, SPLIT_HEADERS, Framing
from providers.replay.events import has_data
from providers.replay.recording import BUNDLED, Recording, load_recording, load_recordings
from tests.support.raw_client import fetch, read_response, request_bytes

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
CITATIONS = load_recording(BUNDLED / "anthropic-messages" / "stream" / "citations.json")
FAST = [delivery for name, delivery in DELIVERIES.items() if name not in ("slow-drip", "original-timing")]


def events_of(body: bytes) -> list[bytes]:
    """What a reader must get out of an event stream: for each event its lines, comments and empty blocks left out."""
    text = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return [block for block in re.split(rb"\n\n+", text) if block.startswith((b"data", b"event")) or b"\ndata" in block]


@pytest.mark.parametrize("delivery", FAST, ids=lambda delivery: delivery.name)
@pytest.mark.parametrize("recording", [TEXT, CITATIONS], ids=lambda recording: recording.api)
async def test_the_events_arrive_whatever_the_delivery(delivery: Delivery, recording: Recording) -> None:
    async with ReplayServer(Play(recording, delivery)) as server:
        response = await fetch(server.address)
    assert response.complete
    assert response.status == 200
    assert response.headers["content-type"] == recording.response.headers["content-type"]
    if delivery.name == "comments":
        assert [e for e in events_of(response.body) if b"ping" not in e] == [
            e for e in events_of(recording.response.body) if b"ping" not in e
        ]
    elif delivery.name in ("crlf", "cr"):
        assert events_of(response.body) == events_of(recording.response.body)
    else:
        assert response.body == recording.response.body


@pytest.mark.parametrize("delivery", FAST, ids=lambda delivery: delivery.name)
@pytest.mark.parametrize("recording", load_recordings(BUNDLED, kind="json")[:1], ids=lambda recording: recording.name)
async def test_a_whole_document_arrives_unchanged(delivery: Delivery, recording: Recording) -> None:
    async with ReplayServer(Play(recording, delivery)) as server:
        response = await fetch(server.address)
    assert response.complete
    assert response.body == recording.response.body


async def test_single_bytes_really_arrive_in_small_reads() -> None:
    async with ReplayServer(Play(TEXT, bytes_each(1))) as server:
        response = await fetch(server.address)
    # A few writes may share a read; if they were gathered there would be a handful of reads.
    assert len(response.reads) > len(TEXT.response.body) / 4
    assert response.body == TEXT.response.body


async def test_a_long_body_byte_by_byte_takes_no_sleep() -> None:
    answer = msgspec.structs.replace(Answer.of(TEXT), body=(TEXT.response.body * 20)[:60_000])
    assert all(piece.delay == 0 for piece in Play(answer, bytes_each(1)).plan().pieces)
    async with ReplayServer(Play(answer, bytes_each(1))) as server:
        response = await fetch(server.address)
    assert response.body == answer.body


async def test_every_split_of_a_short_stream() -> None:
    answer = Answer.of(TEXT)
    short = msgspec.structs.replace(answer, body='data: {"é": "漢字"}\n\ndata: [DONE]\n\n'.encode())
    deliveries = list(every_split(short))
    assert len(deliveries) == len(short.body) - 1
    async with ReplayServer([Play(short, delivery) for delivery in deliveries]) as server:
        async with await trio.open_tcp_stream(*server.address) as stream:
            for _ in deliveries:
                await stream.send_all(request_bytes())
                response = await read_response(stream)
                assert response.complete
                assert response.body == short.body
        assert server.accepted == 1


@given(body=st.binary(max_size=400), seed=st.integers(0, 1000), mean=st.integers(1, 50))
def test_random_splits_lose_nothing_and_repeat_themselves(body: bytes, seed: int, mean: int) -> None:
    answer = Answer(body=body)
    pieces = list(random_splits(seed, mean).cut(answer))
    assert b"".join(piece.data for piece in pieces) == body
    assert all(piece.data for piece in pieces)
    assert list(random_splits(seed, mean).cut(answer)) == pieces


@given(
    pieces=st.lists(st.binary(max_size=90), max_size=12),
    framing=st.sampled_from([CHUNKED, ONE_BYTE_CHUNKS, SPLIT_HEADERS, PACKED]),
    delay=st.sampled_from([0.0, 0.01]),
)
def test_chunk_framings_say_the_same_body(pieces: list[bytes], framing: Framing, delay: float) -> None:
    wire = b"".join(piece.data for piece in framing.frame(Piece(data, delay) for data in pieces)) + framing.end
    assert unchunk(wire) == b"".join(pieces)


def unchunk(wire: bytes) -> bytes:
    """RFC 9112, 7.1.3, as plainly as it can be written."""
    body = b""
    while True:
        size_line, wire = wire.split(b"\r\n", 1)
        size = int(size_line.split(b";")[0], 16)
        if size == 0:
            assert wire == b"\r\n"
            return body
        body += wire[:size]
        assert wire[size : size + 2] == b"\r\n"
        wire = wire[size + 2 :]


def test_packed_chunks_cut_writes_inside_chunks() -> None:
    writes = [piece.data for piece in PACKED.frame([Piece(TEXT.response.body)])]
    assert {len(write) for write in writes[:-1]} == {97}
    assert sum(not write.endswith(b"\r\n") for write in writes) > len(writes) / 2


def test_line_ends_are_replaced_everywhere_and_mean_the_same() -> None:
    for line_end in (b"\r\n", b"\r"):
        body = with_line_ends(Answer.of(CITATIONS), line_end).body
        assert body.count(line_end) == CITATIONS.response.body.count(b"\n")
        assert (b"\n" in body) == (line_end == b"\r\n")
        assert events_of(body) == events_of(CITATIONS.response.body)


def test_comments_stand_before_every_event_and_pings_only_inside_the_message() -> None:
    answer = with_comments(Answer.of(CITATIONS))
    blocks = answer.blocks
    assert sum(not has_data(block) for block in blocks) == len(Answer.of(CITATIONS).blocks)
    events = [block for block in blocks if has_data(block)]
    assert b"message_start" in events[0]
    assert b"message_stop" in events[-1]
    assert sum(b"ping" in event for event in events) > 3


def test_original_timing_keeps_the_gaps_and_scales_them() -> None:
    answer = Answer(body=b"abcdef", timing=[(100.0, 2), (150.0, 3), (400.0, 1)])
    pieces = list(original_timing(0.5).cut(answer))
    assert [piece.data for piece in pieces] == [b"ab", b"cde", b"f"]
    assert [piece.delay for piece in pieces] == pytest.approx([0.05, 0.025, 0.125])


async def test_delays_are_kept(autojump_clock: trio.testing.MockClock) -> None:
    """The plan's delays are what the server sleeps; the clock is a test's, so nothing really waits."""
    answer = Answer(body=b"abcdef", timing=[(1000.0, 2), (5000.0, 4)])
    begin = trio.current_time()
    for piece in Play(answer, original_timing()).plan().pieces:
        await trio.sleep(piece.delay)
    assert trio.current_time() - begin == pytest.approx(5.0)


async def test_a_slow_drip_arrives_piece_by_piece() -> None:
    async with ReplayServer(Play(Answer(body=b"x" * 50), slow_drip(size=10, delay=0.02))) as server:
        response = await fetch(server.address)
    assert response.body == b"x" * 50
    assert [read for read in response.reads if len(read) == 10] == [b"x" * 10] * 5


async def test_gzip_can_be_read_event_by_event() -> None:
    async with ReplayServer(Play(TEXT, DELIVERIES["gzip"])) as server:
        response = await fetch(server.address)
    assert response.complete
    assert response.headers["content-encoding"] == "gzip"
    assert response.body == TEXT.response.body
    assert len(response.reads) > len(Answer.of(TEXT).blocks) / 2


async def test_until_close_has_no_length_and_ends_with_the_connection() -> None:
    async with ReplayServer(Play(TEXT, DELIVERIES["until-close"])) as server:
        response = await fetch(server.address)
    assert response.complete
    assert not {"content-length", "transfer-encoding"} & set(response.headers)


async def test_the_head_can_come_byte_by_byte() -> None:
    async with ReplayServer(Play(TEXT, DELIVERIES["split-head"])) as server:
        response = await fetch(server.address)
    assert len(response.reads[0]) < 10
    assert response.body == TEXT.response.body


def test_every_delivery_has_a_name_and_a_sentence() -> None:
    assert all(delivery.name == name and delivery.sentence for name, delivery in DELIVERIES.items())
