"""A parameter that is refused or dropped is named as the client wrote it, whatever encoder met it."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.replay import Play
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.gateway import HI, gateway_to

JSON_WANTED = {"type": "json_object"}
CALL = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai-chat": ("/v1/chat/completions", {"model": "m", "messages": HI}),
    "openai-responses": ("/v1/responses", {"model": "m", "input": HI}),
    "anthropic-messages": ("/v1/messages", {"model": "m", "messages": HI, "max_tokens": 9}),
    "gemini-generate": (
        "/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}

REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("gemini-generate", "openai-chat", {"generationConfig": {"topK": 3}}, "generationConfig.topK"),
    ("gemini-generate", "openai-chat", {"generationConfig": {"top_k": 3}}, "generationConfig.topK"),
    ("gemini-generate", "openai-responses", {"generationConfig": {"topK": 3}}, "generationConfig.topK"),
    ("gemini-generate", "bedrock-converse", {"generationConfig": {"topK": 3}}, "generationConfig.topK"),
    (
        "gemini-generate",
        "openai-responses",
        {"generationConfig": {"stopSequences": ["x"]}},
        "generationConfig.stopSequences",
    ),
    (
        "gemini-generate",
        "anthropic-messages",
        {"generationConfig": {"candidateCount": 2}},
        "generationConfig.candidateCount",
    ),
    (
        "gemini-generate",
        "anthropic-messages",
        {"generationConfig": {"temperature": 1.5}},
        "generationConfig.temperature",
    ),
    (
        "gemini-generate",
        "anthropic-messages",
        {"generationConfig": {"frequencyPenalty": 1}},
        "generationConfig.frequencyPenalty",
    ),
    (
        "gemini-generate",
        "anthropic-messages",
        {"generationConfig": {"responseLogprobs": True}},
        "generationConfig.responseLogprobs",
    ),
    (
        "gemini-generate",
        "anthropic-messages",
        {"generationConfig": {"responseMimeType": "application/json"}},
        "generationConfig.responseMimeType",
    ),
    ("gemini-generate", "openai-chat", {"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig"),
    ("gemini-generate", "openai-chat", {"tools": [{"googleSearch": {}}]}, "tools"),
    ("gemini-generate", "anthropic-messages", {"contents": [{"role": "user", "parts": []}]}, "contents"),
    (
        "gemini-generate",
        "ollama-chat",
        {
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        },
        "toolConfig.functionCallingConfig",
    ),
    ("anthropic-messages", "openai-chat", {"top_k": 3}, "top_k"),
    ("anthropic-messages", "openai-responses", {"stop_sequences": ["x"]}, "stop_sequences"),
    ("anthropic-messages", "openai-responses", {"stop": ["x"]}, "stop"),
    (
        "anthropic-messages",
        "gemini-generate",
        {
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
        "tool_choice.disable_parallel_tool_use",
    ),
    ("anthropic-messages", "openai-chat", {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
    ("openai-responses", "anthropic-messages", {"text": {"format": JSON_WANTED}}, "text.format"),
    ("openai-responses", "anthropic-messages", {"include": ["message.output_text.logprobs"]}, "include"),
    ("openai-responses", "anthropic-messages", {"temperature": 1.5}, "temperature"),
    (
        "openai-responses",
        "anthropic-messages",
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "["}]},
        "input[function_call].arguments",
    ),
    ("openai-responses", "openai-chat", {"stop": ["x"]}, "stop"),
    ("openai-chat", "openai-responses", {"stop": "x"}, "stop"),
    ("openai-chat", "anthropic-messages", {"n": 2}, "n"),
    ("openai-chat", "anthropic-messages", {"response_format": JSON_WANTED}, "response_format"),
    (
        "openai-chat",
        "anthropic-messages",
        {"messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}]},
        "messages.tool_calls.custom",
    ),
]

DROPPED: list[tuple[str, str, dict[str, Any], str]] = [
    ("gemini-generate", "anthropic-messages", {"generationConfig": {"seed": 3}}, "generationConfig.seed"),
    ("gemini-generate", "anthropic-messages", {"labels": {"a": "b"}}, "labels"),
    ("anthropic-messages", "gemini-generate", {"metadata": {"user_id": "u"}}, "metadata.user_id"),
    ("anthropic-messages", "openai-chat", {"thinking": {"type": "disabled"}}, "thinking"),
    ("openai-chat", "gemini-generate", {"user": "u"}, "user"),
    ("openai-chat", "openai-responses", {"reasoning": {"enabled": False}}, "reasoning"),
    ("openai-responses", "gemini-generate", {"user": "u"}, "user"),
]


def field_of(client: str, error: dict[str, Any]) -> str | None:
    """The field that an error names, where the client's API has a place for it."""
    match client:
        case "anthropic-messages":
            return None
        case "gemini-generate":
            return str(error["details"][0]["fieldViolations"][0]["field"])
        case _:
            return str(error["param"])


@pytest.mark.parametrize(("client", "provider", "fields", "name"), REFUSED)
async def test_in_a_refusal(client: str, provider: str, fields: dict[str, Any], name: str) -> None:
    path, body = CLIENTS[client]
    config = {"model": "openai.gpt-oss-20b-1:0"} if provider == "bedrock-converse" else {}
    async with gateway_to(provider, lambda _: pytest.fail("asked"), config=config) as (upstream, gateway):
        async with gateway.http() as http:
            answer = await http.post(path, json={**body, **fields})
        assert upstream.received == 0
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert error["message"].lstrip("'").startswith(name)
    assert field_of(client, error) in (None, name)


@pytest.mark.parametrize(("client", "provider", "fields", "name"), DROPPED)
async def test_in_the_header(client: str, provider: str, fields: dict[str, Any], name: str) -> None:
    path, body = CLIENTS[client]
    play = Play(load_recording(BUNDLED / provider / "json" / "text.json"))
    async with gateway_to(provider, play) as (_, gateway), gateway.http() as http:
        answer = await http.post(path, json={**body, **fields})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-triway-dropped"] == name


@pytest.mark.parametrize("provider", ["openai-chat", "openai-responses"])
@pytest.mark.parametrize("tool", ["bash_20250124", "text_editor_20250728", "computer_20250124", "web_search_20250305"])
async def test_a_tool_of_another_api_is_not_said_to_be_run_by_anybody(provider: str, tool: str) -> None:
    path, body = CLIENTS["anthropic-messages"]
    async with gateway_to(provider, lambda _: pytest.fail("asked")) as (_, gateway), gateway.http() as http:
        answer = await http.post(path, json={**body, "tools": [{"type": tool, "name": "it"}]})
    message = answer.json()["error"]["message"]
    assert answer.status_code == 400
    assert "'it' is a tool that anthropic-messages defines" in message
    assert "run by" not in message
