"""`EventStreamDecoder`: server-sent events through a provider's `chunk_in`."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError, OversizedEventError
from providers.http.event_stream import EventStreamDecoder
from providers.model import Accumulator, EventKind, LLMResponse, Usage, finish_chunk, text_chunk
from providers.wire.sse import SSEvent


def chunk_in(event: SSEvent) -> LLMResponse | None:
    data = json.loads(event.data or b"")
    match data:
        case {"text": text}:
            return text_chunk(text)
        case {"why": why}:
            return finish_chunk(why)
        case {"done": _}:
            return LLMResponse(kind=EventKind.DONE)
        case {"beat": _}:
            return LLMResponse(kind=EventKind.KEEP_ALIVE)
        case {"usage": count}:
            return LLMResponse(kind=EventKind.USAGE, usage=Usage(completion_tokens=count))
        case _:
            return None


def events(*data: object) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(item).encode() for item in data)


BODY = b": hello\n\n" + events({"text": "höi "}, {"beat": 1}, {"text": "you 🌊"}, {"other": 1}, {"why": "length"})


def read(pieces: list[bytes]) -> tuple[str, str | None, int]:
    decoder = EventStreamDecoder(chunk_in)
    accumulator = Accumulator()
    kinds = 0
    for chunk in [chunk for piece in pieces for chunk in decoder.feed(piece)] + decoder.eof():
        kinds += 1
        if chunk.kind is EventKind.CHUNK:
            accumulator.add(chunk)
    choice = accumulator.response().choices[0]
    assert choice.message is not None
    return choice.message.text, choice.finish_reason, kinds


@settings(deadline=None, max_examples=200)
@given(cuts=st.sets(st.integers(0, len(BODY)), max_size=12), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_split_and_any_line_end_gives_the_same(cuts: set[int], line_end: bytes) -> None:
    body = BODY.replace(b"\n", line_end)
    places = [0, *sorted(cuts), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(places)]
    assert read(pieces) == ("höi you 🌊", "length", 5)


def test_comments_are_keep_alives_and_events_that_say_nothing_are_nothing() -> None:
    decoder = EventStreamDecoder(chunk_in)
    assert [chunk.kind for chunk in decoder.feed(b": ping\n\n" + events({"other": 1}))] == [EventKind.KEEP_ALIVE]


def test_malformed_events_are_skipped_and_counted() -> None:
    decoder = EventStreamDecoder(chunk_in)
    chunks = decoder.feed(events({"text": "a"}) + b"data: {nope\n\ndata: \xff\n\n" + events({"why": "stop"}))
    assert len(chunks) == 2
    assert decoder.skipped == 2
    assert decoder.eof() == []


def test_an_error_of_the_provider_s_own_goes_through() -> None:
    def failing(event: SSEvent) -> LLMResponse | None:
        raise BadResponseError("no stream here")

    with pytest.raises(BadResponseError, match="no stream here"):
        EventStreamDecoder(failing).feed(events({}))


@pytest.mark.parametrize("last", [{"why": "stop"}, {"done": 1}], ids=["finish reason", "terminator"])
def test_a_finish_reason_or_a_terminator_makes_the_answer_complete(last: object) -> None:
    decoder = EventStreamDecoder(chunk_in)
    decoder.feed(events({"text": "a"}, last))
    assert decoder.eof() == []


@pytest.mark.parametrize("last", [{"text": "b"}, {"beat": 1}, {"usage": 3}, {"other": 1}], ids=str)
def test_without_either_the_answer_was_cut(last: object) -> None:
    decoder = EventStreamDecoder(chunk_in)
    decoder.feed(events({"text": "a"}, last))
    with pytest.raises(BadResponseError, match="before the answer was complete"):
        decoder.eof()


def test_an_empty_body_is_no_answer() -> None:
    with pytest.raises(BadResponseError):
        EventStreamDecoder(chunk_in).eof()


def test_a_body_that_ends_inside_an_event_was_cut() -> None:
    decoder = EventStreamDecoder(chunk_in)
    decoder.feed(events({"text": "a"}) + b'data: {"wh')
    with pytest.raises(BadResponseError):
        decoder.eof()


def test_a_last_event_without_its_empty_line_counts_if_it_is_whole() -> None:
    decoder = EventStreamDecoder(chunk_in)
    decoder.feed(events({"text": "a"}) + b'data: {"why": "stop"}\n')
    assert [chunk.choices[0].finish_reason for chunk in decoder.eof()] == ["stop"]


def test_an_event_that_is_too_large_ends_the_stream() -> None:
    decoder = EventStreamDecoder(chunk_in)
    with pytest.raises(OversizedEventError):
        for _ in range(20):
            decoder.feed(b"x" * 1024 * 1024)
