"""Blocks that only the client's API knows, on their way to every other wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.errors import UnsupportedParameterError
from providers.model import ImagePart, LLMRequest, Message, TextPart, ToolResultPart
from providers.wire import load_wire
from providers.wire.base import Translation, Wire
from providers.wire.leftover_parts import messages_for

CLIENTS = ["anthropic-messages", "gemini-generate", "openai-chat", "openai-responses"]
WIRES = [*CLIENTS, "bedrock-converse", "cohere-chat", "ollama-chat"]

UPLOAD = {"type": "container_upload", "file_id": "file_1"}
REFERENCE = {"type": "tool_reference", "tool_name": "t"}
CLIP = {"fileData": {"fileUri": "https://h/v", "mimeType": "video/mp4"}, "videoMetadata": {"startOffset": "1s"}}
VIDEO = {"type": "video_url", "video_url": {"url": "https://h/v"}}
HI = {"type": "text", "text": "hi"}
SEARCHED = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}


def anthropic(*content: Any, system: Any = None) -> dict[str, Any]:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(content)}]}
    return body if system is None else {**body, "system": system}


def decoded(api: str, body: dict[str, Any]) -> LLMRequest:
    wire = load_wire(api)
    assert isinstance(wire, Wire)
    return wire.decode_request(json.dumps(body).encode())


CASES = {
    "openai-chat": (
        "openai-chat",
        {"model": "m", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [HI, VIDEO]}]},
        "messages[1].content[1]",
        "video_url",
    ),
    "anthropic-messages": ("anthropic-messages", anthropic(HI, UPLOAD), "messages.0.content.1", "container_upload"),
    "system": ("anthropic-messages", anthropic(HI, system=[UPLOAD]), "system.0", "container_upload"),
    "tool result": (
        "anthropic-messages",
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [HI, REFERENCE]}]},
            ],
        },
        "messages.2.content.0.content.1",
        "tool_reference",
    ),
    "gemini-generate": (
        "gemini-generate",
        {"contents": [{"role": "user", "parts": [{"text": "a"}, CLIP]}]},
        "contents[0].parts[1]",
        "fileData",
    ),
    "openai-responses": (
        "openai-responses",
        {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "new"}]}]},
        "input[0].content[1]",
        "new",
    ),
}


@pytest.mark.parametrize("api", WIRES)
@pytest.mark.parametrize("case", CASES)
def test_what_a_client_says_is_refused_by_its_place_and_type(case: str, api: str) -> None:
    client, body, place, kind = CASES[case]
    if client == api:
        pytest.skip("the API's own")
    request = decoded(client, body)
    wire = load_wire(api)
    with pytest.raises(UnsupportedParameterError, match=kind) as caught:
        wire.encode_request(request, "m", Translation(api))
    assert caught.value.param == place
    assert caught.value.status == 400
    encoded = wire.encode_request(request, "m", Translation(api, drop_unsupported=True))
    assert f"messages[].content[{kind}]" in encoded.dropped
    assert kind.encode() not in encoded.body


@pytest.mark.parametrize("api", WIRES[1:])
def test_what_the_model_did_is_left_out_by_name(api: str) -> None:
    body = anthropic(HI)
    body["messages"] += [{"role": "assistant", "content": [SEARCHED, HI]}, {"role": "user", "content": "b"}]
    encoded = load_wire(api).encode_request(decoded("anthropic-messages", body), "m", Translation(api))
    assert encoded.dropped == ["messages[].content[server_tool_use]"]


SEARCH = {
    "type": "search_result",
    "source": "https://h/p",
    "title": "Page",
    "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://h/i.png"}}


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (SEARCH, [TextPart(text="Page\nhttps://h/p\n\none\n\ntwo")]),
        (
            {**SEARCH, "cache_control": {"type": "ephemeral"}},
            [TextPart(text="Page\nhttps://h/p\n\none\n\ntwo", cache_control={"type": "ephemeral"})],
        ),
        (
            {"type": "document", "title": "T", "context": "C", "source": {"type": "content", "content": "all"}},
            [TextPart(text="T\nC\n\nall")],
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [HI, IMAGE]}},
            [TextPart(text="hi"), ImagePart(url="https://h/i.png")],
        ),
    ],
)
def test_blocks_that_can_be_said_in_words(block: dict[str, Any], parts: list[Any]) -> None:
    translation = Translation("x")
    [message] = messages_for("x", decoded("anthropic-messages", anthropic(block)), translation)
    assert message.content == parts
    assert translation.dropped == []


def test_words_for_a_result_that_holds_nothing_else() -> None:
    block = {"type": "tool_result", "tool_use_id": "t", "content": [{**SEARCH, "citations": {"enabled": True}}]}
    translation = Translation("x")
    [message] = messages_for("x", decoded("anthropic-messages", anthropic(block)), translation)
    [result] = message.content
    assert isinstance(result, ToolResultPart)
    assert result.content == [TextPart(text="Page\nhttps://h/p\n\none\n\ntwo")]
    assert translation.dropped == ["messages[].content[search_result].citations"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "new"}]},
        {"type": "search_result", "source": "s", "title": "t", "content": 5},
    ],
)
def test_a_block_that_is_only_half_understood_is_refused(block: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameterError, match="search_result"):
        messages_for("x", decoded("anthropic-messages", anthropic(block)), Translation("x"))


def test_the_apis_own_blocks_stay_and_the_request_is_not_changed() -> None:
    request = decoded("anthropic-messages", anthropic(SEARCH, UPLOAD))
    assert messages_for("anthropic-messages", request, Translation("x")) == request.messages
    body = json.loads(load_wire("anthropic-messages").encode_request(request, "m", Translation("x")).body)
    assert body["messages"] == [{"role": "user", "content": [SEARCH, UPLOAD]}]
    before = list(request.messages)
    messages_for("x", request, Translation("x", drop_unsupported=True))
    assert request.messages == before


def test_a_part_of_a_gemini_result_that_is_not_known_goes_back() -> None:
    call = {"functionCall": {"id": "c", "name": "f", "args": {}}}
    result = {"functionResponse": {"id": "c", "name": "f", "response": {"output": "a"}, "parts": [{"new": {"a": 1}}]}}
    contents = [{"role": "model", "parts": [call]}, {"role": "user", "parts": [result]}]
    request = decoded("gemini-generate", {"contents": contents})
    body = json.loads(load_wire("gemini-generate").encode_request(request, "gemini-3-pro", Translation("x")).body)
    assert body["contents"] == contents
    with pytest.raises(UnsupportedParameterError) as caught:
        messages_for("x", request, Translation("x"))
    assert caught.value.param == "contents[1].parts[0].functionResponse.parts[0]"


def test_only_what_has_to_change_is_made_again() -> None:
    message = Message(role="user", content=[TextPart(text="a")])
    [found] = messages_for("x", LLMRequest(model="m", messages=[message]), Translation("x"))
    assert found is message
