"""A character that a provider cut into two escapes, one in each of two events, comes out whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.wire import load_wire
from providers.wire.surrogates import mark, unmark
from tests.support import facts

APIS = ["openai-chat", "anthropic-messages"]


def stream(api: str, pieces: list[str]) -> bytes:
    """A stream of text pieces, which may hold lone surrogates; JSON escapes keep them apart."""
    if api == "openai-chat":
        events = [{"id": "c", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
        body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
        return body + b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces
    ]
    events = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "model": "x"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def decoded(api: str, body: bytes) -> tuple[str, list[LLMResponse], int]:
    decoder = load_wire(api).stream_decoder()
    chunks = [*decoder.feed(body), *decoder.eof()]
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    message = accumulator.response().choices[0].message
    assert message is not None
    return message.text, chunks, decoder.skipped


@pytest.mark.parametrize("api", APIS)
def test_halves_in_two_events_are_joined_and_the_bytes_relayed(api: str) -> None:
    body = stream(api, ["smile \ud83d", "\ude00 and on", " \ud83d", "", "\ude02"])
    text, chunks, skipped = decoded(api, body)
    assert text == "smile \U0001f600 and on \U0001f602"
    assert skipped == 0
    assert b"".join(chunk.raw.body for chunk in chunks if chunk.raw is not None) == body


@pytest.mark.parametrize("api", APIS)
def test_a_half_that_stays_alone_is_replaced(api: str) -> None:
    text, _, _ = decoded(api, stream(api, ["a\ude00b", "\ud83d", "c"]))
    assert text == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("target", APIS)
@pytest.mark.parametrize("source", APIS)
def test_another_api_can_say_it(source: str, target: str) -> None:
    _, chunks, _ = decoded(source, stream(source, ["x\ud83d", "\ude00"]))
    encoder = load_wire(target).stream_encoder(LLMRequest(model="m", stream=True))
    for chunk in chunks:
        chunk.raw = None
    written = b"".join(encoder.encode(chunk) for chunk in chunks)
    events = [json.loads(line[6:]) for line in written.split(b"\n") if line.startswith(b"data: {")]
    read = facts.of_openai_stream if target == "openai-chat" else facts.of_anthropic_stream
    assert read(events).text == "x\U0001f600"


@settings(deadline=None, max_examples=200)
@given(text=st.text(max_size=30), cut=st.integers(0, 60))
def test_any_cut_of_utf_16_comes_out_as_the_text(text: str, cut: int) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    place = min(cut * 2, len(units))
    pieces = [units[:place].decode("utf-16-le", "surrogatepass"), units[place:].decode("utf-16-le", "surrogatepass")]
    for api in APIS:
        assert decoded(api, stream(api, [piece for piece in pieces if piece] or [""]))[0] == text


@given(text=st.text(st.characters(exclude_categories=()), max_size=20))
def test_marked_text_can_be_written_and_unmarked(text: str) -> None:
    mark(text).encode()
    assert not any(0xD800 <= ord(char) <= 0xDFFF for char in unmark(mark(text)))
