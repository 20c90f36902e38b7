"""Real answers: what the decoder reads must be what google-genai holds, and nothing may be lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError
from providers.model import LLMResponse, OpaquePart, ReasoningPart, TextPart, ToolCallPart
from providers.wire.gemini_generate import WIRE
from tests.providers.wire.gemini_generate.support import (
    Said,
    accumulate,
    decode,
    encode,
    is_answer,
    recordings,
    sdk_answer,
    sdk_stream,
)

_SPLITS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

ARGUMENTS_IN_PIECES = "no-args-tool-call"
"""google-genai does not put `partialArgs` together."""


def assert_says(response: LLMResponse, said: Said, *, with_arguments: bool = True) -> None:
    [choice] = response.choices
    assert choice.message is not None
    assert choice.message.text == said.text
    assert choice.message.reasoning == said.thoughts
    calls = [(call.name, json.loads(call.arguments)) for call in choice.message.tool_calls]
    if with_arguments:
        assert calls == said.calls
    assert [name for name, _ in calls] == [name for name, _ in said.calls]
    assert len({call.id for call in choice.message.tool_calls}) == len(calls)
    assert all(call.id for call in choice.message.tool_calls)
    kept = [
        part.signature
        for part in choice.message.content
        if isinstance(part, TextPart | ReasoningPart | ToolCallPart) and part.signature
    ]
    opaque = [json.loads(bytes(part.raw)) for part in choice.message.content if isinstance(part, OpaquePart)]
    kept += [part["thoughtSignature"] for part in opaque if "thoughtSignature" in part]
    assert sorted(kept) == sorted(said.signatures)
    assert choice.native_finish_reason == said.finish == "STOP"
    assert choice.finish_reason == ("tool_calls" if calls else "stop")
    usage, counts = response.usage, said.usage
    assert usage is not None
    assert usage.prompt_tokens == counts["prompt_token_count"] + counts.get("tool_use_prompt_token_count", 0)
    assert usage.completion_tokens == counts.get("candidates_token_count", 0) + counts.get("thoughts_token_count", 0)
    assert usage.total_tokens == counts["total_token_count"]


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_says_what_the_sdk_reads(path: Path) -> None:
    body = path.read_bytes()
    response = accumulate(decode(body))
    if not is_answer(body):
        assert response.choices == []
        return
    assert response.id
    assert response.model
    assert_says(response, Said(sdk_stream(body)), with_arguments=ARGUMENTS_IN_PIECES not in path.stem)


def test_arguments_in_pieces_are_put_together() -> None:
    [param] = [param for param in recordings("stream") if ARGUMENTS_IN_PIECES in (param.id or "")] or [None]
    if param is None:
        pytest.skip("the shared recordings are not beside this checkout")
    [path] = param.values
    [choice] = accumulate(decode(path.read_bytes())).choices
    assert choice.message is not None
    assert [(call.name, json.loads(call.arguments)) for call in choice.message.tool_calls] == [
        ("read_theme", {}),
        ("read_screen", {"id": "A"}),
        ("read_screen", {"id": "B"}),
        ("read_screen", {"id": "C"}),
    ]


@pytest.mark.parametrize("path", recordings("json"))
def test_a_whole_answer_says_what_the_sdk_reads(path: Path) -> None:
    body = path.read_bytes()
    response = WIRE.decode_response(body)
    assert response.raw is not None
    assert response.raw.body == body
    assert_says(response, Said([sdk_answer(body)]))


@pytest.mark.parametrize("path", recordings("stream"))
def test_nothing_is_lost(path: Path) -> None:
    body = path.read_bytes()
    assert b"".join(chunk.raw.body for chunk in decode(body) if chunk.raw) == body


@pytest.mark.parametrize("path", recordings("stream"))
@_SPLITS
@given(data=st.data())
def test_any_split_gives_the_same_chunks(path: Path, data: st.DataObject) -> None:
    body = path.read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decode(*pieces) == decode(body)


@pytest.mark.parametrize("path", recordings("stream"))
def test_byte_by_byte_gives_the_same_chunks(path: Path) -> None:
    whole = path.read_bytes()
    # The end holds every kind of event; the rest is more of the same.
    body = whole if len(whole) < 6000 else whole[whole.rfind(b"data: ", 0, len(whole) - 6000) :]
    assert decode(*(body[at : at + 1] for at in range(len(body)))) == decode(body)


@pytest.mark.parametrize("path", recordings("stream"))
def test_encoded_again_the_sdk_reads_the_same(path: Path) -> None:
    body = path.read_bytes()
    if not is_answer(body):
        return
    chunks = decode(body)
    out = encode(chunks)
    assert_says(accumulate(chunks), Said(sdk_stream(out)))
    # Read back by our own decoder it is the same answer in the model, part for part.
    again, before = accumulate(decode(out)).choices[0].message, accumulate(chunks).choices[0].message
    assert again is not None
    assert before is not None
    assert [_plain(part) for part in again.content] == [_plain(part) for part in before.content]


def _plain(part: object) -> object:
    if isinstance(part, OpaquePart):
        return part.kind, json.loads(bytes(part.raw))
    if isinstance(part, TextPart):
        return part.text, part.signature
    if isinstance(part, ToolCallPart):
        return part.id, part.name, json.loads(part.arguments), part.signature
    return part


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_without_its_last_event_is_cut(path: Path) -> None:
    body = path.read_bytes()
    if not is_answer(body):
        return
    events = body.replace(b"\r\n", b"\n").strip().split(b"\n\n")
    if len(events) == 1:
        return
    with pytest.raises(BadResponseError, match="before the answer was complete"):
        decode(b"\n\n".join(events[:-1]) + b"\n\n")
