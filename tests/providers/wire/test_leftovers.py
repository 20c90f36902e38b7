"""What a target API has no word for: the same way on every wire."""

from __future__ import annotations

import pytest

from providers.errors import UnsupportedParameterError
from providers.model import LLMRequest, Message, RequestMetadata, TextPart, Tool, ToolChoice
from providers.wire import load_wire
from providers.wire.base import Translation

WIRES = ["anthropic-messages", "bedrock-converse", "gemini-generate", "openai-chat", "openai-responses"]


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
