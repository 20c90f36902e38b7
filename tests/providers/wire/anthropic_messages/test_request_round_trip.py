"""A changed Anthropic request reaches an Anthropic provider with all it said; an unchanged one, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from providers.model import LLMRequest, RawBody, TextPart
from providers.wire.anthropic_messages import WIRE, decode_count_request, encode_count_request, relay_count_request
from providers.wire.base import Translation
from tests.providers.wire.anthropic_messages.support import RECORDINGS

CACHE = {"type": "ephemeral", "ttl": "5m"}

RICH: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 1000,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": CACHE}, {"type": "text", "text": "And kind."}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look:", "cache_control": CACHE},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "cache_control": CACHE},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "BB=="},
                    "title": "T",
                    "context": "C",
                    "citations": {"enabled": True},
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "in"}]}},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "r"}]},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s=="},
                {"type": "redacted_thinking", "data": "xyz"},
                {
                    "type": "text",
                    "text": "It says",
                    "citations": [{"type": "page_location", "cited_text": "c", "document_index": 0, "new": None}],
                },
                {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"encrypted_content": "e"}]},
                {"type": "tool_use", "id": "t_1", "name": "f", "input": {"a": [1, 2.5, None]}, "cache_control": CACHE},
                {"type": "tool_use", "id": "t_2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t_1",
                    "content": [
                        {"type": "text", "text": "out"},
                        {"type": "image", "source": {"type": "url", "url": "http://i"}},
                        {"type": "tool_reference", "tool_name": "x"},
                    ],
                    "cache_control": CACHE,
                },
                {"type": "tool_result", "tool_use_id": "t_2", "is_error": True},
                {"type": "text", "text": "and?"},
            ],
        },
        {"role": "system", "content": [{"type": "text", "text": "From now on, in French."}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Voici"}]},
    ],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 7,
    "stop_sequences": ["END"],
    "tools": [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object", "properties": {"a": {"type": "array"}}},
            "strict": True,
            "cache_control": CACHE,
        },
        {"type": "custom", "name": "g", "input_schema": {"type": "object"}, "input_examples": [{}]},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "cache_control": CACHE},
        {"type": "mcp_toolset", "mcp_server_name": "srv"},
    ],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
    "output_config": {
        "effort": "high",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
        "task_budget": {"type": "tokens", "total": 9},
    },
    "metadata": {"user_id": "u", "other": 1},
    "service_tier": "standard_only",
    "cache_control": CACHE,
    "container": {"skills": []},
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    "mcp_servers": [{"type": "url", "url": "http://mcp", "name": "srv"}],
    "inference_geo": "eu",
    "future": {"x": [1]},
    "stream": True,
}


def changed(request: LLMRequest) -> LLMRequest:
    request.raw = None
    return request


def encoded(request: LLMRequest, model: str = "claude-x") -> Any:
    return msgspec.json.decode(WIRE.encode_request(request, model, Translation("anthropic-messages")).body)


def test_a_rich_request_comes_back_the_same() -> None:
    translation = Translation("anthropic-messages")
    request = changed(WIRE.decode_request(json.dumps(RICH).encode()))
    assert msgspec.json.decode(WIRE.encode_request(request, "claude-x", translation).body) == RICH
    assert translation.dropped == []


def test_every_recorded_request_comes_back_the_same() -> None:
    bodies = [json.loads(path.read_text())["request"] for path in sorted(RECORDINGS.glob("*/*.json"))]
    bodies = [request["body"] for request in bodies if request]
    if not bodies:
        pytest.skip("the shared recordings are not beside this checkout")
    for body in bodies:
        again = encoded(changed(WIRE.decode_request(json.dumps(body).encode())), body["model"])
        expected = {name: value for name, value in body.items() if value is not False}  # stream: false
        for message in expected["messages"]:
            for block in message["content"]:
                if block.get("is_error") is False:
                    del block["is_error"]
        if isinstance(expected.get("system"), str):
            expected["system"] = [{"type": "text", "text": expected["system"]}]
        assert again == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "adaptive"}},
        {"thinking": {"type": "between_tools"}},
        {"output_config": {"effort": "low"}},
        {"tool_choice": {"type": "none"}, "tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        {"max_tokens": 0},
        {"temperature": 1.5},
    ],
)
def test_other_parameters_come_back_the_same(fields: dict[str, Any]) -> None:
    turn = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    body = {"model": "claude-x", "max_tokens": 5, "messages": [turn], **fields}
    assert encoded(changed(WIRE.decode_request(json.dumps(body).encode()))) == body


def test_a_plugins_change_goes_out() -> None:
    request = changed(WIRE.decode_request(json.dumps(RICH).encode()))
    request.messages[1].content[0] = TextPart(text="[redacted]")
    request.tools[1].description = "new"
    request.metadata.user_id = "someone else"
    body = encoded(request, "other")
    assert body["model"] == "other"
    assert body["messages"][0]["content"][0] == {"type": "text", "text": "[redacted]"}
    assert body["tools"][1] == {**RICH["tools"][1], "description": "new"}
    assert body["metadata"] == {"user_id": "someone else", "other": 1}


def test_tool_input_goes_back_verbatim() -> None:
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":'
        b'[{"type":"tool_use","id":"t","name":"f","input":{"b": 1.0e2,  "a":"\\u00e9"}}]}]}'
    )
    request = changed(WIRE.decode_request(body))
    assert b'{"b": 1.0e2,  "a":"\\u00e9"}' in WIRE.encode_request(request, "m", Translation("x")).body


def test_relay_replaces_the_model_and_nothing_else() -> None:
    body = b'{ "max_tokens" :1.0e1, "model":"a", "messages":[ {"role": "user"} ],  "x":{"b" : "\\u00e9\xc3\xa9"}}'
    request = LLMRequest(model="a", raw=RawBody("anthropic-messages", body))
    assert (
        WIRE.relay_request(request, 'b"')
        == b'{"max_tokens":1.0e1,"model":"b\\"","messages":[ {"role": "user"} ],"x":{"b" : "\\u00e9\xc3\xa9"}}'
    )


def test_relay_needs_the_raw_body() -> None:
    with pytest.raises(ValueError, match="encoded, not relayed"):
        WIRE.relay_request(LLMRequest(model="a"), "b")


def test_count_requests_leave_out_what_the_endpoint_refuses() -> None:
    counted = {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"}
    counted |= {"mcp_servers", "context_management", "future"}
    whole = json.dumps(RICH).encode()
    relayed = msgspec.json.decode(relay_count_request(WIRE.decode_request(whole), "b"))
    assert relayed == {**{name: RICH[name] for name in counted}, "model": "b"}
    request = changed(decode_count_request(whole))
    again = encode_count_request(request, "b", Translation("anthropic-messages"))
    assert msgspec.json.decode(again.body) == relayed
