"""Whole answers, both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion

from providers.errors import BadResponseError, ErrorKind, ProviderError
from providers.model import (
    AssistantMessage,
    AudioPart,
    Choice,
    Citation,
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    RawBody,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Usage,
    text_response,
)
from providers.wire.openai_chat import WIRE

REQUEST = LLMRequest(model="asked-for")


def answer(message: dict[str, Any], finish: str | None = "stop", **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **fields}
    ).encode()


def decoded(message: dict[str, Any], finish: str | None = "stop") -> Choice:
    return WIRE.decode_response(answer(message, finish)).choices[0]


def content(message: dict[str, Any]) -> list[Part]:
    choice = decoded(message)
    assert choice.message is not None
    return choice.message.content


def encoded(*parts: Part, finish: str | None = "stop") -> ChatCompletion:
    """What the SDK's strict models hold of an answer of these parts."""
    choice = Choice(message=AssistantMessage(content=list(parts)), finish_reason=finish)
    return ChatCompletion.model_validate(json.loads(WIRE.encode_response(LLMResponse(choices=[choice]), REQUEST)))


# --- decoding ---


def test_recordings(json_recording: Path) -> None:
    body = json_recording.read_bytes()
    wire = json.loads(body)
    if "choices" not in wire:
        assert WIRE.decode_response(body).choices == []
        return
    response = WIRE.decode_response(body)
    assert response.raw is not None
    assert (response.raw.api, response.raw.body) == ("openai-chat", body)
    assert (response.id, response.model, response.created) == (wire["id"], wire["model"], wire["created"])
    completion = ChatCompletion.construct(**wire)
    for choice, expected in zip(response.choices, completion.choices, strict=True):
        assert choice.message is not None
        _compare(choice, expected.message, wire["choices"][choice.index]["message"])
        assert choice.finish_reason == (
            expected.finish_reason or ("tool_calls" if choice.message.tool_calls else "stop")
        )
    assert response.usage is not None
    assert response.usage.prompt_tokens == wire["usage"]["prompt_tokens"]
    assert response.usage.completion_tokens == wire["usage"]["completion_tokens"]


def _compare(choice: Choice, expected: Any, wire: dict[str, Any]) -> None:
    message = choice.message
    assert message is not None
    assert message.text or message.tool_calls
    if isinstance(expected.content, list):
        assert message.text == "".join(item["text"] for item in wire["content"] if item["type"] == "text")
        assert message.reasoning
    else:
        assert message.text == (expected.content or "")
        details = [item.get("text") or item.get("summary") or "" for item in wire.get("reasoning_details") or ()]
        plain = wire.get("reasoning_content") or wire.get("reasoning") or ""
        assert message.reasoning == ("".join(details) or plain)
    got = [(call.id, call.name, json.loads(call.arguments)) for call in message.tool_calls]
    calls = expected.tool_calls or []
    assert got == [(call.id, call.function.name, json.loads(call.function.arguments)) for call in calls]
    assert [part.index for part in message.content] == list(range(len(message.content)))


def test_recordings_encoded_again_say_the_same(json_recording: Path) -> None:
    body = json_recording.read_bytes()
    if b'"choices"' not in body:
        return
    first = WIRE.decode_response(body)
    out = WIRE.encode_response(first, REQUEST)
    ChatCompletion.model_validate(json.loads(out))
    second = WIRE.decode_response(out)
    for one, other in zip(first.choices, second.choices, strict=True):
        assert one.message is not None
        assert other.message is not None
        assert other.message.text == one.message.text
        assert other.message.tool_calls == one.message.tool_calls
        assert other.finish_reason == one.finish_reason
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.details == first.usage.details
    assert second.usage.total_tokens == first.usage.total_tokens


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"text"', b"null"])
def test_what_is_no_completion(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        WIRE.decode_response(body)


@pytest.mark.parametrize("body", [b"{}", b'{"choices":null}', b'{"some":"thing"}'])
def test_an_object_without_choices_is_passed_on(body: bytes) -> None:
    response = WIRE.decode_response(body)
    assert response.choices == []
    assert response.raw == RawBody("openai-chat", body)


def test_an_error_with_status_200() -> None:
    body = b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded","status":429}}'
    with pytest.raises(ProviderError, match="slow down") as caught:
        WIRE.decode_response(body)
    assert (caught.value.kind, caught.value.status, caught.value.retryable) == (ErrorKind.RATE_LIMIT, 429, True)
    assert caught.value.raw is not None
    with pytest.raises(ProviderError, match="broken") as caught:
        WIRE.decode_response(b'{"error":"broken"}')
    assert (caught.value.kind, caught.value.status) == (ErrorKind.SERVER, 502)


def test_error_of_null_is_none() -> None:
    assert WIRE.decode_response(answer({"content": "a"}, error=None)).choices[0].message == AssistantMessage(
        content=[TextPart(text="a")]
    )


def test_every_kind_of_part_in_order() -> None:
    details = [
        {"type": "reasoning.text", "text": "why", "signature": "S", "format": "f", "index": 0},
        {"type": "reasoning.encrypted", "data": "X", "index": 1},
    ]
    assert content(
        {
            "content": "so",
            "reasoning_content": "why",
            "reasoning_details": details,
            "refusal": "no",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0},
                {"id": "b", "type": "function", "function": {"name": "f", "arguments": {}}, "index": 0},
                {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
            ],
            "audio": {"id": "au", "data": "AA", "transcript": "t", "expires_at": 4},
        }
    ) == [
        ReasoningPart(index=0, text="why", signature="S", format="f"),
        ReasoningPart(index=1, redacted="X"),
        TextPart(index=2, text="so"),
        RefusalPart(index=3, text="no"),
        ToolCallPart(index=4, id="a", name="f", arguments="{}"),
        ToolCallPart(index=5, id="b", name="f", arguments="{}"),
        ToolCallPart(index=6, id="a", name="sh", arguments="ls", kind="custom"),
        AudioPart(index=7, id="au", data="AA", transcript="t", expires_at=4),
    ]


def test_calls_of_a_whole_message_are_never_joined() -> None:
    call = {"id": "", "type": "function", "function": {"name": "f", "arguments": "{}"}, "index": 0}
    assert content({"content": None, "tool_calls": [call, call]}) == [
        ToolCallPart(index=0, name="f", arguments="{}"),
        ToolCallPart(index=1, name="f", arguments="{}"),
    ]


def test_legacy_function_call() -> None:
    choice = decoded({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "function_call")
    assert choice.finish_reason == "tool_calls"
    assert choice.native_finish_reason == "function_call"
    assert choice.message is not None
    assert choice.message.content == [ToolCallPart(id="call_f", name="f", arguments="{}")]


def test_snowflakes_empty_finish_reason() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert decoded({"content": "a"}, "").finish_reason == "stop"
    assert decoded({"content": "", "tool_calls": [call]}, "").finish_reason == "tool_calls"
    assert decoded({"content": "a"}, None).finish_reason is None


def test_a_field_of_a_wrong_type_costs_only_itself() -> None:
    assert content({"content": "a", "audio": "none", "refusal": {"x": []}}) == [TextPart(text="a")]


# --- encoding ---


def test_text_answer() -> None:
    response = text_response("Hi é", usage=Usage(prompt_tokens=3, completion_tokens=2))
    completion = ChatCompletion.model_validate(json.loads(WIRE.encode_response(response, REQUEST)))
    assert completion.id.startswith("chatcmpl-")
    assert (completion.object, completion.model) == ("chat.completion", "asked-for")
    assert completion.created > 1_700_000_000
    assert completion.choices[0].message.content == "Hi é"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5


def test_parts_of_an_answer() -> None:
    url = Citation(kind="web_search_result_location", url="https://e.org", api="anthropic-messages")
    completion = encoded(
        ReasoningPart(text="why", signature="S", format="f"),
        ReasoningPart(redacted="X", id="r"),
        TextPart(text="one "),
        OpaquePart(kind="server_tool_use", api="anthropic-messages", raw=msgspec.Raw(b"{}")),
        TextPart(text="two", citations=[url, Citation(kind="char_location")]),
        ToolCallPart(id="a", name="f", arguments="{}"),
        ToolCallPart(name="sh", arguments="ls", kind="custom"),
        RefusalPart(text="no"),
        finish=None,
    )
    [choice] = completion.choices
    message = choice.message
    assert (message.content, message.refusal, choice.finish_reason) == ("one two", "no", "tool_calls")
    extra = message.model_extra or {}
    assert extra["reasoning_content"] == "why"
    assert extra["reasoning_details"] == [
        {"type": "reasoning.text", "text": "why", "signature": "S", "format": "f", "index": 0},
        {"type": "reasoning.encrypted", "data": "X", "id": "r", "index": 1},
    ]
    [annotation] = message.annotations or []
    assert (annotation.url_citation.start_index, annotation.url_citation.end_index) == (4, 7)
    first, second = message.tool_calls or []
    assert first.type == "function"
    assert second.type == "custom"
    assert (first.id, first.function.name, second.custom.input) == ("a", "f", "ls")
    assert second.id.startswith("call_")


@pytest.mark.parametrize(
    ("parts", "text"),
    [([], ""), ([ToolCallPart(id="a", name="f", arguments="{}")], None), ([RefusalPart(text="no")], None)],
)
def test_content_without_text(parts: list[Part], text: str | None) -> None:
    assert encoded(*parts).choices[0].message.content == text


def test_no_finish_reason_becomes_stop() -> None:
    assert encoded(TextPart(text="a"), finish=None).choices[0].finish_reason == "stop"
