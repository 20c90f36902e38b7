"""Streams in which a plugin changed some chunks: relayed and encoded events share one grammar."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from providers.wire.anthropic_messages import WIRE as ANTHROPIC
from providers.wire.base import Wire
from providers.wire.openai_chat import WIRE as OPENAI
from tests.providers.wire.anthropic_messages.grammar import check

KINDS = ["text", "reasoning", "tools"]
SPANS = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=30)
"""How many chunks in a row, and whether they are merged into a changed one."""


def chunks_of(wire: Wire, kind: str) -> list[LLMResponse]:
    decoder = wire.stream_decoder()
    body = load_recording(BUNDLED / wire.api / "stream" / f"{kind}.json").response.body
    return [*decoder.feed(body), *decoder.eof()]


def mixed(wire: Wire, kind: str, spans: list[tuple[int, bool]]) -> tuple[bytes, Accumulator]:
    """The stream with the spans applied to its content. As in the gateway, the terminator comes last and unmerged."""
    *content, done = chunks_of(wire, kind)
    encoder = wire.stream_encoder(LLMRequest(model="m", include_usage=True))
    sent = Accumulator()
    out = []

    def send(chunk: LLMResponse) -> None:
        sent.add(chunk)
        out.append(encoder.encode(chunk))

    while content:
        size, merges = spans.pop(0) if spans else (len(content), False)
        taken, content = content[:size], content[size:]
        if not merges:
            for chunk in taken:
                send(chunk)
            continue
        merged = Accumulator()
        for chunk in taken:
            merged.add(chunk)
        send(msgspec.structs.replace(merged.chunk(), raw=None))
    out += [encoder.encode(done), encoder.finish(sent.response())]
    return b"".join(out), sent


def said_by(wire: Wire, body: bytes) -> object:
    decoder = wire.stream_decoder()
    accumulator = Accumulator()
    for chunk in [*decoder.feed(body), *decoder.eof()]:
        accumulator.add(chunk)
    choice = accumulator.response().choices[0]
    assert choice.message is not None
    parts = [msgspec.structs.replace(part, index=0) for part in choice.message.content]
    return parts, choice.finish_reason, accumulator.usage and accumulator.usage.completion_tokens


def as_it_was(wire: Wire, kind: str) -> object:
    return said_by(wire, load_recording(BUNDLED / wire.api / "stream" / f"{kind}.json").response.body)


@pytest.mark.parametrize("kind", KINDS)
@given(spans=SPANS)
def test_anthropic(kind: str, spans: list[tuple[int, bool]]) -> None:
    body, _ = mixed(ANTHROPIC, kind, spans)
    check(body)
    assert said_by(ANTHROPIC, body) == as_it_was(ANTHROPIC, kind)


@pytest.mark.parametrize("kind", KINDS)
@given(spans=SPANS)
def test_openai(kind: str, spans: list[tuple[int, bool]]) -> None:
    body, _ = mixed(OPENAI, kind, spans)
    *events, last = [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]
    assert last == "[DONE]"
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    assert sum(1 for choice in choices if choice["finish_reason"]) == 1
    encoded = [choice for choice in choices if set(choice) == {"index", "delta", "logprobs", "finish_reason"}]
    assert sum(1 for choice in encoded if choice["delta"].get("role") and choice is not choices[0]) == 0
    assert said_by(OPENAI, body) == as_it_was(OPENAI, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wire", [ANTHROPIC, OPENAI], ids=["anthropic", "openai"])
def test_what_nobody_changes_is_relayed(wire: Wire, kind: str) -> None:
    body, _ = mixed(wire, kind, [(1000, False)])
    assert body == load_recording(BUNDLED / wire.api / "stream" / f"{kind}.json").response.body


def test_a_delta_whose_block_the_client_never_saw_begin_is_not_relayed() -> None:
    """A plugin swallowed a block's end and a tool call's start, and left its arguments: the grammar stands."""
    encoder = ANTHROPIC.stream_encoder(LLMRequest(model="m"))
    chunks = chunks_of(ANTHROPIC, "tools")
    place = next(i for i, chunk in enumerate(chunks) if chunk.raw is not None and b'"tool_use"' in chunk.raw.body)
    chunks[place - 1 : place + 1] = [LLMResponse()]
    sent = Accumulator()
    out = []
    for chunk in chunks:
        sent.add(chunk)
        out.append(encoder.encode(chunk))
    check(b"".join([*out, encoder.finish(sent.response())]))
    assert encoder.dropped_blocks == 1
