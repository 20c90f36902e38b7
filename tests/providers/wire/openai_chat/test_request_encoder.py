"""Requests for a provider of this API: from clients of other APIs (held by golden files), and its own after a change.

A golden file holds what the provider gets and what was dropped. To write them again after a change of the translation:
`TRIWAY_WRITE_GOLDEN=1 pytest tests/providers/wire/openai_chat/test_request_encoder.py`, and read the diff as data.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from providers.errors import UnsupportedParameterError
from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    RequestMetadata,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire.base import Translation
from providers.wire.openai_chat import WIRE

GOLDEN = Path(__file__).parent / "golden"
EPHEMERAL = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def foreign(messages: list[Message], user_id: str | None = None, **fields: Any) -> LLMRequest:
    """As the Anthropic codec decodes a client's request."""
    return LLMRequest(
        model="claude",
        messages=messages,
        metadata=RequestMetadata(api="anthropic-messages", user_id=user_id),
        **fields,
    )


def user(*parts: Any) -> Message:
    return Message(role="user", content=[TextPart(text=part) if isinstance(part, str) else part for part in parts])


def encode(request: LLMRequest, *, drop_unsupported: bool = False) -> tuple[dict[str, Any], list[str]]:
    encoded = WIRE.encode_request(request, "gpt-x", Translation("openai-chat", drop_unsupported=drop_unsupported))
    assert encoded.headers == {}
    return json.loads(encoded.body), encoded.dropped


CASES: dict[str, LLMRequest] = {
    "text": foreign(
        [Message(role="system", content=[TextPart(text="Be brief.")]), user("Hi")],
        user_id="u1",
        max_tokens=1024,
        temperature=0.5,
        top_p=0.9,
        stop=["END"],
        stream=True,
    ),
    "cached_blocks": foreign(
        [
            Message(
                role="system",
                content=[TextPart(text="One."), TextPart(index=1, text="Two.", cache_control=EPHEMERAL)],
            ),
            user("a", TextPart(index=1, text="b", cache_control=EPHEMERAL)),
        ],
        max_tokens=10,
        tools=[Tool(name="f", parameters=SCHEMA, cache_control=EPHEMERAL)],
    ),
    "tool_round_trip": foreign(
        [
            user("Weather?"),
            Message(
                role="assistant",
                content=[
                    ReasoningPart(text="think", signature="S"),
                    ReasoningPart(index=1, redacted="X"),
                    TextPart(index=2, text="Let me look."),
                    ToolCallPart(index=3, id="toolu_1", name="weather", arguments='{"city":"Oslo"}'),
                    ToolCallPart(index=4, id="toolu_2", name="weather", arguments='{"city":"Rome"}'),
                ],
            ),
            Message(
                role="tool",
                content=[
                    ToolResultPart(tool_call_id="toolu_1", content=[TextPart(text="rain")]),
                    ToolResultPart(index=1, tool_call_id="toolu_2", content=[TextPart(text="no data")], is_error=True),
                ],
            ),
            user("And now?"),
        ],
        max_tokens=10,
        tools=[Tool(name="weather", description="Looks it up.", parameters=SCHEMA)],
        tool_choice=ToolChoice(mode="auto"),
        parallel_tool_calls=False,
        reasoning=Reasoning(enabled=True, budget_tokens=4096),
    ),
    "pictures_in_tool_results": foreign(
        [
            user("Look"),
            Message(
                role="assistant",
                content=[
                    ToolCallPart(id="a", name="shot", arguments="{}"),
                    ToolCallPart(index=1, id="b", name="shot", arguments="{}"),
                ],
            ),
            Message(
                role="tool",
                content=[
                    ToolResultPart(
                        tool_call_id="a",
                        content=[TextPart(text="done"), ImagePart(index=1, data="AAAA", media_type="image/png")],
                    )
                ],
            ),
            Message(
                role="tool",
                content=[ToolResultPart(tool_call_id="b", content=[ImagePart(url="https://e.org/b.png")])],
            ),
            user("What do you see?"),
        ],
        tools=[Tool(name="shot", parameters={"type": "object"})],
        tool_choice=ToolChoice(mode="tool", name="shot"),
    ),
    "answer_right_after_a_picture": foreign(
        [
            user("Look"),
            Message(role="assistant", content=[ToolCallPart(id="a", name="shot", arguments="{}")]),
            Message(role="tool", content=[ToolResultPart(tool_call_id="a", content=[ImagePart(url="u")])]),
            Message(role="assistant", content=[TextPart(text="I see")]),
            user(ToolResultPart(tool_call_id="b", content=[TextPart(text="stray")]), TextPart(index=1, text="Go on")),
        ],
    ),
    "media": foreign(
        [
            user(
                ImagePart(data="AAAA", media_type="image/jpeg"),
                ImagePart(index=1, url="https://e.org/a.png"),
                FilePart(index=2, data="CCCC", media_type="application/pdf", citations=True, context="c"),
                FilePart(index=3, data="CCCC", media_type="application/pdf", filename="a.pdf"),
                FilePart(index=4, text="a plain document", media_type="text/plain"),
                AudioPart(index=5, data="BBBB", format="mp3"),
                "What is it?",
            )
        ],
    ),
    "opaque_history": foreign(
        [
            user("Search"),
            Message(
                role="assistant",
                content=[
                    OpaquePart(kind="server_tool_use", api="anthropic-messages", raw=msgspec.Raw(b'{"id":"s"}')),
                    OpaquePart(index=1, kind="web_search_tool_result", api="anthropic-messages"),
                    TextPart(index=2, text="Found "),
                    TextPart(index=3, text="it."),
                ],
            ),
            user("More"),
        ],
        hints={"service_tier": msgspec.Raw(b'"auto"'), "metadata": msgspec.Raw(b"{}")},
    ),
    "structured": foreign(
        [user("Hi")],
        response_format=ResponseFormat(kind="json_schema", schema=SCHEMA),
        reasoning=Reasoning(adaptive=True, effort="high", display="omitted"),
        tools=[Tool(name="strict", parameters=SCHEMA, strict=True), Tool(name="bare")],
        tool_choice=ToolChoice(mode="required"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    body, dropped = encode(CASES[name])
    file = GOLDEN / f"{name}.json"
    if os.environ.get("TRIWAY_WRITE_GOLDEN"):
        file.write_text(json.dumps({"body": body, "dropped": dropped}, indent=2, ensure_ascii=False) + "\n")
    assert {"body": body, "dropped": dropped} == json.loads(file.read_text())


def test_every_golden_file_has_its_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(CASES)


SERVER_TOOL = Tool(name="web_search", kind="opaque", api="anthropic-messages", raw={"type": "web_search_20250305"})
UNSUPPORTED: list[tuple[str, LLMRequest]] = [
    ("top_k", foreign([user("a")], top_k=5)),
    ("tools[1]", foreign([user("a")], tools=[Tool(name="f"), SERVER_TOOL])),
    ("container", foreign([user("a")], extra={"container": msgspec.Raw(b'"c"')})),
    ("messages[].content[document].source.url", foreign([user(FilePart(url="https://e.org/a.pdf"))])),
    ("messages[].content[document].source.file_id", foreign([user(FilePart(file_id="file_1"))])),
    ("messages[].content[image].source.file_id", foreign([user(ImagePart(file_id="file_1"))])),
    ("messages[].content[image]", foreign([Message(role="assistant", content=[ImagePart(url="u")])])),
    ("messages[].content[tool_call]", foreign([user(ToolCallPart(id="a", name="f", arguments="{}"))])),
]


@pytest.mark.parametrize(("param", "request_"), UNSUPPORTED, ids=[name for name, _ in UNSUPPORTED])
def test_what_would_change_the_answer_is_refused_by_name(param: str, request_: LLMRequest) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(request_)
    assert caught.value.param == param
    assert encode(request_, drop_unsupported=True)[1] == [param]


def test_no_tools_no_choice() -> None:
    request = foreign([user("a")], tools=[SERVER_TOOL], tool_choice=ToolChoice(mode="auto"), parallel_tool_calls=True)
    body, _ = encode(request, drop_unsupported=True)
    assert sorted(body) == ["messages", "model"]


@pytest.mark.parametrize(
    ("reasoning", "effort", "dropped"),
    [
        (Reasoning(enabled=True, budget_tokens=1024), "low", []),
        (Reasoning(enabled=True, budget_tokens=2048), "low", []),
        (Reasoning(enabled=True, budget_tokens=8192), "medium", []),
        (Reasoning(enabled=True, budget_tokens=8193), "high", []),
        (Reasoning(enabled=True, budget_tokens=1024, effort="xhigh"), "xhigh", []),
        (Reasoning(enabled=False), None, ["thinking"]),
        (Reasoning(adaptive=True), None, []),
    ],
)
def test_thinking_becomes_effort(reasoning: Reasoning, effort: str | None, dropped: list[str]) -> None:
    body, names = encode(foreign([user("a")], reasoning=reasoning))
    assert body.get("reasoning_effort") == effort
    assert names == dropped


RICH: dict[str, Any] = {
    "model": "gpt-x",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "x", "cache_control": EPHEMERAL}], "name": "s"},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}},
                {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "mp3"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,CCCC"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "video_url", "video_url": {"url": "https://e.org/v.mp4"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "why",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "why", "signature": "S", "format": "f", "index": 0},
                {"type": "reasoning.encrypted", "data": "X", "id": "r", "index": 1},
            ],
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                {"id": "d", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "42"},
        {
            "role": "tool",
            "tool_call_id": "d",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "assistant", "content": "so", "refusal": "no"},
        {"role": "assistant", "content": None, "audio": {"id": "au"}},
        {"role": "user", "content": "go on"},
    ],
    "max_completion_tokens": 9,
    "temperature": 0.5,
    "top_p": 0.75,
    "top_k": 4,
    "stop": ["a", "b"],
    "seed": 3,
    "frequency_penalty": 0.25,
    "presence_penalty": -0.25,
    "logit_bias": {"50256": -100.0},
    "logprobs": True,
    "top_logprobs": 2,
    "n": 2,
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}},
        {"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}},
        {"type": "openrouter:advisor", "parameters": {"model": "x"}},
    ],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
    "reasoning_effort": "low",
    "user": "u1",
    "store": True,
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "prediction": {"type": "content", "content": "x"},
    "min_p": 0.125,
    "stream": True,
    "stream_options": {"include_obfuscation": False, "include_usage": True},
}


def test_a_clients_own_request_comes_out_as_it_went_in() -> None:
    request = WIRE.decode_request(json.dumps(RICH).encode())
    request.raw = None
    body, dropped = encode(request)
    assert dropped == []
    assert body == RICH


CUSTOM_TOOL = {"type": "custom", "custom": {"name": "f"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": {"max_tokens": 900, "exclude": True}},
        {"reasoning": {"enabled": False}},
        {"reasoning": {"effort": "high", "exclude": True}},
        {"reasoning_effort": "none"},
        {"tool_choice": "none", "tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tool_choice": {"type": "custom", "custom": {"name": "f"}}, "tools": [CUSTOM_TOOL]},
        {"response_format": {"type": "grammar", "grammar": "g"}},
        {"response_format": {"type": "json_object"}},
        {"modalities": ["text"]},
    ],
    ids=str,
)  # fmt: skip
def test_forms_that_survive(fields: dict[str, Any]) -> None:
    value = {"model": "gpt-x", "messages": [{"role": "user", "content": "a"}], **fields}
    request = WIRE.decode_request(json.dumps(value).encode())
    assert encode(request) == (value, [])


def test_a_request_made_by_hand_may_use_this_apis_own_parameters() -> None:
    request = LLMRequest(model="x", messages=[user("a")], top_k=3, extra={"min_p": msgspec.Raw(b"0.5")})
    body, dropped = encode(request)
    assert (body["top_k"], body["min_p"], dropped) == (3, 0.5, [])


def test_a_changed_message_is_what_is_sent() -> None:
    request = WIRE.decode_request(json.dumps(RICH).encode())
    request.raw = None
    request.messages[-1].content = [TextPart(text="changed")]
    assert encode(request)[0]["messages"][-1] == {"role": "user", "content": "changed"}


def test_streams_are_asked_for_usage() -> None:
    assert encode(foreign([user("a")], stream=True))[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in encode(foreign([user("a")]))[0]
