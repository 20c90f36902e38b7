"""Real streams: what the decoder reads is what the official SDK's models hold, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.types.responses import Response

from providers.model import (
    EventKind,
    LLMResponse,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from providers.replay.recording import Recording
from providers.wire.openai_responses import WIRE
from tests.providers.wire.openai_responses.support import accumulate, decode
from tests.support.recordings import recordings

STREAMS = recordings("openai-responses", "stream")
WHOLES = recordings("openai-responses", "json")

_SPLITS = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def completed(body: bytes) -> list[Any]:
    """The SDK's `Response` at each answer's end."""
    found = []
    for sse in SSEDecoder().iter_bytes(iter([body])):
        data = json.loads(sse.data)
        if data["type"] in ("response.completed", "response.incomplete"):
            found.append(construct_type(type_=Response, value=data["response"]))
    return found


def assert_says(response: LLMResponse, *expected: Any) -> None:
    """The response says what the SDK's `Response`s say, one after the other."""
    items = [item for answer in expected for item in answer.output]
    contents = [content for item in items if item.type == "message" for content in item.content]
    thoughts = [item for item in items if item.type == "reasoning"]
    calls = [item for item in items if item.type in ("function_call", "custom_tool_call")]
    message = response.choices[0].message
    assert message is not None
    texts = [part for part in message.content if isinstance(part, TextPart)]
    assert [part.text for part in texts] == [content.text for content in contents if content.type == "output_text"]
    assert [len(part.citations) for part in texts] == [
        len(content.annotations or []) for content in contents if content.type == "output_text"
    ]
    refusals = [part.text for part in message.content if isinstance(part, RefusalPart)]
    assert refusals == [content.refusal for content in contents if content.type == "refusal"]
    told = [text.text for item in thoughts for text in [*(item.summary or []), *(item.content or [])]]
    assert message.reasoning == "".join(told)
    sealed = [
        part.redacted or part.signature
        for part in message.content
        if isinstance(part, ReasoningPart) and (part.redacted or part.signature)
    ]
    assert len(sealed) == len([item for item in thoughts if item.encrypted_content])
    assert [(call.id, call.name, call.arguments) for call in message.tool_calls] == [
        (call.call_id, call.name, call.arguments if call.type == "function_call" else call.input) for call in calls
    ]
    opaque = [part.kind for part in message.content if isinstance(part, OpaquePart)]
    known = ("message", "reasoning", "function_call", "custom_tool_call")
    assert opaque == [item.type for item in items if item.type not in known]
    assert response.choices[0].finish_reason == ("tool_calls" if has_calls(expected[-1]) else "stop")
    last = expected[-1].usage
    assert response.usage is not None
    assert response.usage.prompt_tokens == last.input_tokens
    assert response.usage.completion_tokens == last.output_tokens
    assert response.usage.total_tokens == last.total_tokens
    if last.output_tokens_details is not None:
        assert response.usage.details is not None
        assert response.usage.details.reasoning_tokens == last.output_tokens_details.reasoning_tokens


def has_calls(answer: Any) -> bool:
    return any(item.type in ("function_call", "custom_tool_call") for item in answer.output)


@pytest.mark.parametrize("recording", STREAMS)
def test_reads_what_the_sdk_reads(recording: Recording) -> None:
    body = recording.response.body
    chunks = decode(body)
    expected = completed(body)
    if not expected or expected[-1].status != "completed":
        assert chunks[-1].kind in (EventKind.ERROR, EventKind.DONE)
        return
    assert chunks[-1].kind is EventKind.DONE
    response = accumulate(chunks)
    if "shell-container-1" in recording.name:
        pytest.skip("the recording's deltas and its end do not say the same text")
    assert_says(response, *expected)
    assert (response.id, response.created) == (expected[0].id, int(expected[0].created_at)) or "rotation" in (
        recording.name
    )


@pytest.mark.parametrize("recording", WHOLES)
def test_a_whole_answer_says_what_the_sdk_reads(recording: Recording) -> None:
    answer = construct_type(type_=Response, value=json.loads(recording.response.body))
    response = WIRE.decode_response(recording.response.body)
    assert response.raw is not None
    assert response.raw.body == recording.response.body
    assert_says(response, answer)


@pytest.mark.parametrize("recording", STREAMS)
def test_nothing_is_lost(recording: Recording) -> None:
    body = recording.response.body
    assert b"".join(chunk.raw.body for chunk in decode(body) if chunk.raw) == body


@pytest.mark.parametrize("recording", STREAMS)
@_SPLITS
@given(data=st.data())
def test_any_split_gives_the_same_chunks(recording: Recording, data: st.DataObject) -> None:
    body = recording.response.body
    if len(body) > 60_000:  # the head and the tail hold every kind of event; between is more of the same
        body = body[:30_000]
        expected = feed(body)
    else:
        expected = feed(body)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=30)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert feed(*pieces) == expected


def feed(*pieces: bytes) -> list[LLMResponse]:
    decoder = WIRE.stream_decoder()
    return [chunk for piece in pieces for chunk in decoder.feed(piece)]


@pytest.mark.parametrize("recording", STREAMS)
def test_byte_by_byte(recording: Recording) -> None:
    body = recording.response.body[:20_000]
    assert feed(*(body[i : i + 1] for i in range(len(body)))) == feed(body)


@pytest.mark.parametrize("recording", STREAMS)
def test_tools_that_the_provider_runs_are_never_calls(recording: Recording) -> None:
    for chunk in decode(recording.response.body):
        for choice in chunk.choices:
            for part in choice.delta.content if choice.delta else ():
                if isinstance(part, ToolCallPart) and part.name:
                    raw = chunk.raw.body if chunk.raw else b""
                    assert b'"function_call"' in raw or b'"custom_tool_call"' in raw
