"""Anthropic requests are read whole, and a wrong field is named as Anthropic names it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from providers.errors import RequestError
from providers.model import (
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire.anthropic_messages import WIRE, decode_count_request

MINIMAL: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}


def read(**fields: Any) -> LLMRequest:
    return WIRE.decode_request(json.dumps({**MINIMAL, **fields}).encode())


def with_blocks(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x"}, {"role": role, "content": list(blocks)}]}


def test_the_smallest_request() -> None:
    body = json.dumps(MINIMAL).encode()
    request = WIRE.decode_request(body)
    assert request.raw is not None
    assert (request.raw.api, request.raw.body) == ("anthropic-messages", body)
    assert request.metadata.api == "anthropic-messages"
    assert (request.model, request.max_tokens, request.stream) == ("m", 5, False)
    assert request.messages == [Message(role="user", content=[TextPart(text="hi")])]


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"model": ...}, "model", "model: field required"),
        ({"model": None}, "model", "model: expected str, got null"),
        ({"model": ""}, "model", "model: must not be empty"),
        ({"model": 5}, "model", "model: expected str, got int"),
        ({"max_tokens": ...}, "max_tokens", "max_tokens: field required"),
        ({"max_tokens": "5"}, "max_tokens", "max_tokens: expected int, got str"),
        ({"max_tokens": True}, "max_tokens", "max_tokens: expected int, got bool"),
        ({"max_tokens": -1}, "max_tokens", "max_tokens: expected 0 or more, got -1"),
        ({"messages": ...}, "messages", "messages: field required"),
        ({"messages": {}}, "messages", "messages: expected array, got object"),
        ({"messages": []}, "messages", "messages: at least one message is required"),
        ({"messages": ["hi"]}, "messages.0", "messages.0: expected object, got str"),
        ({"messages": [{"content": "x"}]}, "messages.0.role", "messages.0.role: field required"),
        ({"messages": [{"role": "user"}]}, "messages.0.content", "messages.0.content: field required"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages.0.role",
            "messages.0.role: expected one of 'user', 'assistant', 'system', got 'tool'",
        ),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "messages.0.content",
            "messages.0.content: expected str or array, got int",
        ),
        (with_blocks({"text": "x"}), "messages.1.content.0.type", "messages.1.content.0.type: field required"),
        (with_blocks({"type": 5}), "messages.1.content.0.type", "messages.1.content.0.type: expected str, got int"),
        (with_blocks("x"), "messages.1.content.0", "messages.1.content.0: expected object, got str"),
        (with_blocks({"type": "text"}), "messages.1.content.0.text", "messages.1.content.0.text: field required"),
        (
            with_blocks({"type": "text", "text": "x", "cache_control": "y"}),
            "messages.1.content.0.cache_control",
            "messages.1.content.0.cache_control: expected object or null, got str",
        ),
        (
            with_blocks({"type": "image", "source": {"type": "base64", "data": "A"}}),
            "messages.1.content.0.source.media_type",
            "messages.1.content.0.source.media_type: field required",
        ),
        (
            with_blocks({"type": "image", "source": {"type": "text", "data": "A"}}),
            "messages.1.content.0.source.type",
            "messages.1.content.0.source.type: expected one of 'base64', 'url', 'file', got 'text'",
        ),
        (
            with_blocks({"type": "document", "source": {"type": "url", "url": 5}}),
            "messages.1.content.0.source.url",
            "messages.1.content.0.source.url: expected str or null, got int",
        ),
        (
            with_blocks({"type": "tool_use", "id": "a", "name": "f", "input": "x"}, role="assistant"),
            "messages.1.content.0.input",
            "messages.1.content.0.input: expected object",
        ),
        (
            with_blocks({"type": "tool_use", "id": "a", "name": "f", "input": {}}),
            "messages.1.content.0.type",
            "messages.1.content.0.type: 'tool_use' blocks cannot stand in a message of role 'user'",
        ),
        (
            with_blocks({"type": "tool_result", "tool_use_id": "a"}, role="assistant"),
            "messages.1.content.0.type",
            "messages.1.content.0.type: 'tool_result' blocks cannot stand in a message of role 'assistant'",
        ),
        (
            with_blocks({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": 1}]}),
            "messages.1.content.0.content.0.text",
            "messages.1.content.0.content.0.text: expected str, got int",
        ),
        ({"system": 5}, "system", "system: expected str or array, got int"),
        ({"system": [{"type": "text"}]}, "system.0.text", "system.0.text: field required"),
        ({"temperature": "hot"}, "temperature", "temperature: expected float, got str"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences.1", "stop_sequences.1: expected str, got int"),
        ({"stream": "yes"}, "stream", "stream: expected bool, got str"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema", "tools.0.input_schema: field required"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name", "tools.0.name: field required"),
        (
            {"tool_choice": {"type": "some"}},
            "tool_choice.type",
            "tool_choice.type: expected one of 'auto', 'any', 'tool', 'none', got 'some'",
        ),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name", "tool_choice.name: field required"),
        ({"tool_choice": "auto"}, "tool_choice", "tool_choice: expected object, got str"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens", "thinking.budget_tokens: field required"),
        ({"output_config": {"effort": 5}}, "output_config.effort", "output_config.effort: expected str, got int"),
        (
            {"output_config": {"format": {"type": "json_schema"}}},
            "output_config.format.schema",
            "output_config.format.schema: field required",
        ),
        ({"metadata": {"user_id": 5}}, "metadata.user_id", "metadata.user_id: expected str or null, got int"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, message: str) -> None:
    body = {name: value for name, value in {**MINIMAL, **fields}.items() if value is not ...}
    with pytest.raises(RequestError) as caught:
        WIRE.decode_request(json.dumps(body).encode())
    assert (caught.value.param, caught.value.message, caught.value.status) == (param, message, 400)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the request body is not valid JSON in UTF-8"),
        (b"{", "the request body is not valid JSON in UTF-8"),
        (b"[]", "the request body: expected a JSON object"),
        (b"\xff{}", "the request body is not valid JSON in UTF-8"),
        (b'{"model":' + b"[" * 100_000, "the request body is not valid JSON in UTF-8"),
    ],
)
def test_a_body_that_is_no_json_object(body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        WIRE.decode_request(body)
    assert caught.value.message == message


def test_bytes_that_are_not_utf_8_inside_a_field() -> None:
    with pytest.raises(RequestError) as caught:
        WIRE.decode_request(b'{"model":"\xff","max_tokens":1,"messages":[{"role":"user","content":"x"}]}')
    assert caught.value.param == "model"


def test_sampling_and_stream() -> None:
    request = read(temperature=1, top_p=0.5, top_k=3, stop_sequences=["a"], stream=True, container=None)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (1.0, 0.5, 3, ["a"])
    assert request.stream
    assert request.extra == {}


def test_system_comes_first_wherever_it_is_written() -> None:
    cached = {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    request = read(system=[{"type": "text", "text": "a"}, cached])
    assert request.messages[0] == Message(
        role="system",
        content=[TextPart(text="a"), TextPart(index=1, text="b", cache_control={"type": "ephemeral", "ttl": "1h"})],
    )
    assert read(system="s").messages[0] == Message(role="system", content=[TextPart(text="s")])


def test_a_system_message_in_mid_conversation_keeps_its_place() -> None:
    request = read(messages=[{"role": role, "content": "x"} for role in ("user", "system", "assistant")])
    assert [message.role for message in request.messages] == ["user", "system", "assistant"]


def test_images_and_documents() -> None:
    def image(**source: str) -> dict[str, Any]:
        return {"type": "image", "source": source}

    def document(**fields: Any) -> dict[str, Any]:
        return {"type": "document", **fields}

    whole = document(source={"type": "content", "content": "x"})
    request = read(
        messages=[
            {
                "role": "user",
                "content": [
                    image(type="base64", media_type="image/png", data="AA"),
                    image(type="url", url="http://i"),
                    image(type="file", file_id="file_1"),
                    document(source={"type": "base64", "media_type": "application/pdf", "data": "BB"}, title="T"),
                    document(source={"type": "text", "media_type": "text/plain", "data": "t"}, context="c"),
                    document(source={"type": "url", "url": "http://d"}, citations={"enabled": True}),
                    document(source={"type": "file", "file_id": "file_2"}),
                    whole,
                ],
            }
        ]
    )
    *parts, opaque = request.messages[0].content
    assert parts == [
        ImagePart(index=0, media_type="image/png", data="AA"),
        ImagePart(index=1, url="http://i"),
        ImagePart(index=2, file_id="file_1"),
        FilePart(index=3, media_type="application/pdf", data="BB", filename="T"),
        FilePart(index=4, text="t", media_type="text/plain", context="c"),
        FilePart(index=5, url="http://d", citations=True),
        FilePart(index=6, file_id="file_2"),
    ]
    assert isinstance(opaque, OpaquePart)
    assert opaque.kind == "document"
    assert msgspec.json.decode(opaque.raw) == whole


def test_the_assistants_blocks() -> None:
    citation = {"type": "web_search_result_location", "url": "http://u", "title": "T", "cited_text": "c"}
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":['
        b'{"type":"thinking","thinking":"hm","signature":"s=="},{"type":"redacted_thinking","data":"xyz"},'
        b'{"type":"text","text":"a","citations":[%b]},'
        b'{"type":"tool_use","id":"t1","name":"f","input":{"b": 1.0,  "a":[ ]}},'
        b'{"type":"server_tool_use","id":"s1","name":"web_search","input":{}},'
        b'{"type":"quantum_result", "content":7}]}]}' % json.dumps(citation).encode()
    )
    thinking, redacted, text, call, run, future = WIRE.decode_request(body).messages[1].content
    assert thinking == ReasoningPart(index=0, text="hm", signature="s==", format="anthropic-claude-v1")
    assert redacted == ReasoningPart(index=1, redacted="xyz", format="anthropic-claude-v1")
    assert isinstance(text, TextPart)
    assert (text.citations[0].url, text.citations[0].raw) == ("http://u", citation)
    assert call == ToolCallPart(index=3, id="t1", name="f", arguments='{"b": 1.0,  "a":[ ]}')
    assert isinstance(run, OpaquePart)
    assert isinstance(future, OpaquePart)
    assert (run.kind, future.kind) == ("server_tool_use", "quantum_result")
    assert bytes(future.raw) == b'{"type":"quantum_result", "content":7}'


def test_a_users_turn_is_split_at_its_tool_results() -> None:
    def result(call: str, **fields: Any) -> dict[str, Any]:
        return {"type": "tool_result", "tool_use_id": call, **fields}

    picture = {"type": "image", "source": {"type": "url", "url": "http://i"}}
    request = read(
        messages=[
            {
                "role": "user",
                "content": [
                    result("a", content="out", cache_control={"type": "ephemeral"}),
                    result("b", content=[picture, {"type": "tool_reference", "tool_name": "x"}], is_error=True),
                    {"type": "text", "text": "now?"},
                    result("c"),
                ],
            }
        ]
    )
    first, second, third = request.messages
    assert [message.role for message in request.messages] == ["tool", "user", "tool"]
    one, two = first.content
    assert one == ToolResultPart(tool_call_id="a", content=[TextPart(text="out")], cache_control={"type": "ephemeral"})
    assert isinstance(two, ToolResultPart)
    assert two.is_error
    assert two.content[0] == ImagePart(url="http://i")
    assert isinstance(two.content[1], OpaquePart)
    assert second.content == [TextPart(text="now?")]
    assert third.content == [ToolResultPart(tool_call_id="c")]


def test_tools() -> None:
    schema = {"type": "object", "properties": {}}
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    deferred = {"name": "g", "input_schema": schema, "defer_loading": True}
    toolset = {"type": "mcp_toolset", "mcp_server_name": "srv"}
    request = read(
        tools=[
            {"name": "f", "description": "d", "input_schema": schema, "strict": True, "cache_control": {"type": "e"}},
            deferred,
            search,
            toolset,
        ]
    )
    assert request.tools == [
        Tool(name="f", description="d", parameters=schema, strict=True, cache_control={"type": "e"}),
        Tool(name="g", parameters=schema, api="anthropic-messages", raw=deferred),
        Tool(name="web_search", kind="opaque", api="anthropic-messages", raw=search),
        Tool(name="srv", kind="opaque", api="anthropic-messages", raw=toolset),
    ]


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "tool", "name": "f"}, ToolChoice(mode="tool", name="f"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(mode="auto"), True),
    ],
)
def test_tool_choice(choice: dict[str, Any], expected: ToolChoice, parallel: bool | None) -> None:
    request = read(tool_choice=choice)
    assert (request.tool_choice, request.parallel_tool_calls) == (expected, parallel)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(enabled=True, budget_tokens=2000)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Reasoning(enabled=True, adaptive=True, display="omitted", effort="max"),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
    ],
)
def test_reasoning(fields: dict[str, Any], reasoning: Reasoning) -> None:
    assert read(**fields).reasoning == reasoning


def test_structured_output_in_both_spellings() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    expected = ResponseFormat(kind="json_schema", schema={"type": "object"})
    assert read(output_config={"format": form}).response_format == expected
    assert read(output_format=form).response_format == expected


def test_extras_change_the_answer_and_hints_do_not() -> None:
    request = read(
        service_tier="auto",
        speed="fast",
        cache_control={"type": "ephemeral"},
        container="c",
        mcp_servers=[],
        context_management={"edits": []},
        inference_geo="eu",
        thinking={"type": "between_tools"},
        output_config={"effort": "low", "task_budget": {"n": 1}},
        metadata={"user_id": "u", "label": "l"},
        future_parameter=1,
    )
    assert set(request.hints) == {"service_tier", "speed", "cache_control", "metadata"}
    assert set(request.extra) == {
        "container",
        "mcp_servers",
        "context_management",
        "inference_geo",
        "thinking",
        "output_config",
        "future_parameter",
    }
    assert bytes(request.extra["output_config"]) == b'{"task_budget":{"n": 1}}'
    assert request.metadata.user_id == "u"


def test_a_count_request_needs_no_max_tokens() -> None:
    body = {name: value for name, value in MINIMAL.items() if name != "max_tokens"}
    assert decode_count_request(json.dumps(body).encode()).max_tokens is None
    with pytest.raises(RequestError) as caught:
        decode_count_request(b'{"model":"m"}')
    assert caught.value.param == "messages"
