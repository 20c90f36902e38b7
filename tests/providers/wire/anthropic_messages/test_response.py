"""Whole answers and token counts, both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from providers.errors import BadResponseError, ErrorKind, ProviderError
from providers.model import (
    AssistantMessage,
    AudioPart,
    Choice,
    Citation,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenDetails,
    ToolCallPart,
    Usage,
    text_response,
)
from providers.wire.anthropic_messages import WIRE, decode_token_count, encode_token_count
from tests.providers.wire.anthropic_messages.support import CLIENT_REQUEST, as_message, recordings, sdk_client


def sdk_reads(body: bytes) -> dict[str, Any]:
    with sdk_client(200, body) as client:
        ask = [{"role": "user", "content": "x"}]
        return client.messages.create(model="m", max_tokens=1, messages=ask).model_dump(  # type: ignore[arg-type]
            warnings=False, exclude_unset=True
        )


@pytest.mark.parametrize("path", recordings("json"))
def test_every_recording_decodes_and_encodes_to_what_the_sdk_reads(path: Path) -> None:
    body = path.read_bytes()
    response = WIRE.decode_response(body)
    assert WIRE.encode_response(response, CLIENT_REQUEST) == body
    again, original = as_message(response), json.loads(body)
    assert again["content"] == original["content"]
    assert again["usage"] == original["usage"]
    assert sdk_reads(json.dumps(again).encode()).keys() >= {"id", "model", "content", "stop_reason", "usage"}
    for field in ("id", "model", "role", "type", "stop_reason", "stop_sequence"):
        assert again[field] == original[field]


def test_every_kind_of_block() -> None:
    citation = {"type": "char_location", "cited_text": "c"}
    body = json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "text", "text": "a", "citations": [citation]},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
            "stop_reason": "stop_sequence",
            "stop_sequence": "END",
            "usage": {
                "input_tokens": 1,
                "cache_read_input_tokens": 2,
                "cache_creation_input_tokens": 3,
                "output_tokens": 4,
            },
        }
    ).encode()
    response = WIRE.decode_response(body)
    (choice,) = response.choices
    assert choice.message is not None
    thinking, redacted, text, run, call = choice.message.content
    assert thinking == ReasoningPart(index=0, text="hm", signature="s", format="anthropic-claude-v1")
    assert redacted == ReasoningPart(index=1, redacted="xyz", format="anthropic-claude-v1")
    assert isinstance(text, TextPart)
    assert text.citations[0].raw == citation
    assert isinstance(run, OpaquePart)
    assert call == ToolCallPart(index=4, id="t", name="f", arguments='{"a": 1}')
    assert (choice.finish_reason, choice.native_finish_reason, choice.stop_sequence) == ("stop", "stop_sequence", "END")
    assert response.usage is not None
    assert (response.usage.prompt_tokens, response.usage.total_tokens) == (6, 10)
    assert response.raw is not None
    assert response.raw.body == body
    assert as_message(response) == json.loads(body)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"type":"message"}', b'{"content":[{}]}', b'{"content":7}']
)
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        WIRE.decode_response(body)


def test_an_error_under_status_200_is_an_error() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    with pytest.raises(ProviderError) as caught:
        WIRE.decode_response(body)
    error = caught.value
    assert (error.status, error.kind, error.message, error.retryable) == (529, ErrorKind.OVERLOADED, "busy", True)
    assert error.raw is not None
    assert error.raw.body == body


def answer(*parts: Part, **fields: Any) -> LLMResponse:
    return LLMResponse(choices=[Choice(message=AssistantMessage(content=list(parts)), **fields)])


def test_another_apis_answer() -> None:
    response = text_response("hi", model="gpt-x")
    response.usage = Usage(prompt_tokens=30, completion_tokens=5, details=TokenDetails(cached_tokens=10))
    message = sdk_reads(WIRE.encode_response(response, CLIENT_REQUEST))
    assert message["content"] == [{"type": "text", "text": "hi"}]
    assert message["stop_reason"] == "end_turn"
    assert message["id"].startswith("msg_")
    assert message["model"] == "gpt-x"
    assert message["usage"] == {
        "input_tokens": 20,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 10,
        "output_tokens": 5,
    }


def test_parts_of_other_apis() -> None:
    response = answer(
        ReasoningPart(text="unsigned"),
        RefusalPart(text="no"),
        TextPart(text="x", citations=[Citation(kind="url_citation", url="http://u", api="openai-chat")]),
        TextPart(text=""),
        AudioPart(data="AA"),
        OpaquePart(kind="web_search_call", api="openai-responses", raw=msgspec.Raw(b"{}")),
        ToolCallPart(id="c", name="f", arguments=""),
        ToolCallPart(id="d", name="f", arguments='{"cut": '),
        finish_reason="stop",
    )
    message = as_message(response)
    assert message["content"] == [
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "text", "text": "no"},
        {"type": "text", "text": "x", "citations": None},
        {"type": "tool_use", "id": "c", "name": "f", "input": {}},
        {"type": "tool_use", "id": "d", "name": "f", "input": {}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["model"] == "the-model"


def test_streamed_input_of_an_opaque_block_is_put_in() -> None:
    start = msgspec.Raw(b'{"type":"server_tool_use","id":"s","name":"n","input":{}}')
    part = OpaquePart(kind="server_tool_use", api="anthropic-messages", raw=start, input='{"q":1}')
    assert as_message(answer(part))["content"] == [
        {"type": "server_tool_use", "id": "s", "name": "n", "input": {"q": 1}}
    ]
    part.input = '{"q":'
    assert as_message(answer(part))["content"][0]["input"] == {}


def test_token_counts() -> None:
    counted = decode_token_count(b'{"input_tokens": 7,"new":1}')
    assert counted.usage == Usage(prompt_tokens=7)
    assert encode_token_count(counted) == b'{"input_tokens": 7,"new":1}'
    assert encode_token_count(LLMResponse(usage=Usage(prompt_tokens=7))) == b'{"input_tokens":7}'


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_tokens":"7"}', b"<html>"])
def test_what_is_no_token_count(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        decode_token_count(body)
