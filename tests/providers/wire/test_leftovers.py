"""What a target API has no word for: the same way on every wire."""

from __future__ import annotations

import msgspec
import pytest

from providers.errors import UnsupportedParameterError
from providers.model import LLMRequest, Message, RequestMetadata, TextPart, Tool, ToolChoice
from providers.wire import load_wire
from providers.wire.base import Translation

PROVIDER_WIRES = ["bedrock-converse", "cohere-chat", "ollama-chat"]
WIRES = ["anthropic-messages", "bedrock-converse", "gemini-generate", "openai-chat", "openai-responses"]


def choosing(choice: ToolChoice, *tools: Tool) -> LLMRequest:
    return LLMRequest(
        model="m",
        messages=[Message(role="user", content=[TextPart(text="hi")])],
        tools=list(tools),
        tool_choice=choice,
        metadata=RequestMetadata(api="another-api"),
    )


F, G = Tool(name="fff"), Tool(name="ggg")
ALLOWED = ToolChoice(mode="required", allowed=["fff", "ggg"])

WIRES_WITH_ALLOWED_TOOLS = {
    "gemini-generate": {"mode": "ANY", "allowedFunctionNames": ["fff", "ggg"]},
    "openai-chat": {
        "mode": "required",
        "tools": [
            {"type": "function", "function": {"name": "fff"}},
            {"type": "function", "function": {"name": "ggg"}},
        ],
    },
    "openai-responses": {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "fff"}, {"type": "function", "name": "ggg"}],
    },
}


@pytest.mark.parametrize("api", WIRES_WITH_ALLOWED_TOOLS)
def test_allowed_tools_are_named(api: str) -> None:
    translation = Translation(api)
    request = choosing(ALLOWED, F, G, Tool(name="hhh"))
    body = msgspec.json.decode(load_wire(api).encode_request(request, "m", translation).body)
    config = body.get("toolConfig") or {}
    choice = config.get("functionCallingConfig") or body["tool_choice"]
    assert choice.get("allowed_tools", choice) == WIRES_WITH_ALLOWED_TOOLS[api]
    assert "hhh" in str(body)
    assert translation.dropped == []


@pytest.mark.parametrize("api", sorted({*PROVIDER_WIRES, *WIRES} - {*WIRES_WITH_ALLOWED_TOOLS}))
def test_elsewhere_only_allowed_tools_are_sent(api: str) -> None:
    marked = Tool(name="hhh", cache_control={"type": "ephemeral"})
    translation = Translation(api, drop_unsupported=True)
    request = choosing(msgspec.structs.replace(ALLOWED, mode="auto"), F, G, marked)
    body = load_wire(api).encode_request(request, "anthropic.claude-x", translation).body
    assert b"fff" in body
    assert b"ggg" in body
    assert b"hhh" not in body
    assert translation.dropped == ["tools[].cache_control"]


@pytest.mark.parametrize("api", WIRES)
def test_a_choice_among_tools_that_are_not_there(api: str) -> None:
    hosted = [Tool(name=name, kind="opaque", api="another-api", raw={"type": name}) for name in ("search", "shell")]
    request = choosing(ToolChoice(mode="required", allowed=["search", "shell"]), F, *hosted)
    with pytest.raises(UnsupportedParameterError):
        load_wire(api).encode_request(request, "anthropic.claude-x", Translation(api))
    translation = Translation(api, drop_unsupported=True)
    body = load_wire(api).encode_request(request, "anthropic.claude-x", translation).body
    assert b"shell" not in body
    assert "tool_choice" in translation.dropped or "tools" in translation.dropped


@pytest.mark.parametrize("api", [*WIRES[2:], "cohere-chat", "ollama-chat"])
def test_a_header_that_asks_for_something_is_named(api: str) -> None:
    asked = RequestMetadata(api="anthropic-messages", headers={"anthropic-beta": "b", "anthropic-version": "v"})
    said = Message(role="user", content=[TextPart(text="hi")])
    translation = Translation(api)
    load_wire(api).encode_request(LLMRequest(model="m", messages=[said], metadata=asked), "m", translation)
    assert translation.dropped == ["anthropic-beta"]


@pytest.mark.parametrize("api", WIRES)
def test_a_choice_goes_with_its_tool(api: str) -> None:
    hosted = Tool(name="search", kind="opaque", api="another-api", raw={"type": "search"})
    request = LLMRequest(
        model="m",
        messages=[Message(role="user", content=[TextPart(text="hi")])],
        tools=[hosted, Tool(name="f", parameters={"type": "object"})],
        tool_choice=ToolChoice(mode="tool", name="search"),
        metadata=RequestMetadata(api="another-api"),
    )
    translation = Translation(api, drop_unsupported=True)
    body = load_wire(api).encode_request(request, "anthropic.claude-x", translation).body
    assert b"search" not in body
    assert "tool_choice" in translation.dropped
    with pytest.raises(UnsupportedParameterError, match="search"):
        load_wire(api).encode_request(request, "anthropic.claude-x", Translation(api))
