"""Fields of messages and parts that are not known here: back to the client's API as they came, named to others."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from providers.model import LLMRequest
from providers.wire import load_wire
from providers.wire.base import Translation, Wire
from providers.wire.extra_fields import OpenReader, put_back, says_something, split_fields

CLIENTS = ("anthropic-messages", "gemini-generate", "openai-chat", "openai-responses")
OTHERS = (*CLIENTS, "bedrock-converse", "cohere-chat", "ollama-chat")


def claude(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": list(messages), **fields}


def gemini(*contents: Any) -> dict[str, Any]:
    return {"contents": list(contents)}


def responses(*items: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items)}


def user(*blocks: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks), **fields}


HI = {"type": "text", "text": "hi"}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
DIRECT = {"caller": {"type": "direct"}}
CALLED = {"functionCall": {"id": "c", "name": "f", "args": {}}}
ANSWERED = {"functionResponse": {"id": "c", "name": "f", "response": {"output": "a"}}}
FUNCTION_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "a"}
PDF = "data:application/pdf;base64,AA=="
SAID = {"type": "output_text", "text": "so", "annotations": []}

CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "tool_use": (
        "anthropic-messages",
        claude(
            user(HI),
            {"role": "assistant", "content": [{**USE, **DIRECT}]},
            user({"type": "tool_result", "tool_use_id": "t", "content": [{**HI, "x": 1}], "y": 2}),
        ),
        [
            "messages[].content[tool_call].caller",
            "messages[].content[tool_result].y",
            "messages[].content[text].x",
        ],
    ),
    "blocks": (
        "anthropic-messages",
        claude(
            user(
                {**HI, "x": 1},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}, "y": 2},
                z=3,
            ),
            system=[{"type": "text", "text": "s", "w": 4}],
        ),
        [
            "messages[].content[text].w",
            "messages[].z",
            "messages[].content[text].x",
            "messages[].content[image].y",
        ],
    ),
    "parts": (
        "gemini-generate",
        gemini(
            {
                "role": "user",
                "parts": [
                    {"text": "a", "partMetadata": {"a": 1}},
                    {
                        "inlineData": {"mimeType": "image/png", "data": "AA=="},
                        "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"},
                    },
                ],
                "x": 1,
            }
        ),
        ["messages[].x", "messages[].content[text].partMetadata", "messages[].content[image].mediaResolution"],
    ),
    "calls": (
        "gemini-generate",
        gemini(
            {"role": "user", "parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"text": "hm", "thought": True, "w": 1}, {**CALLED, "x": 1}]},
            {"role": "user", "parts": [{**ANSWERED, "y": 2}]},
        ),
        [
            "messages[].content[reasoning].w",
            "messages[].content[tool_call].x",
            "messages[].content[tool_result].y",
        ],
    ),
    "items": (
        "openai-responses",
        responses(
            {"type": "message", "role": "user", "id": "m_1", "content": [{"type": "input_text", "text": "a", "x": 1}]},
            {"type": "reasoning", "id": "rs_1", "status": "completed", "summary": [], "encrypted_content": "e", "w": 1},
            {"type": "message", "role": "assistant", "id": "m_2", "status": "completed", "y": 1, "content": [SAID]},
            {**FUNCTION_CALL, "id": "fc_1", "status": "completed", "namespace": "n"},
            {**OUTPUT, "id": "fo_1", "z": 1},
        ),
        [
            "messages[].content[text].x",
            "messages[].content[reasoning].w",
            "messages[].content[text].item.y",
            "messages[].content[tool_call].namespace",
            "messages[].content[tool_result].z",
        ],
    ),
    "two messages in a turn": (
        "openai-responses",
        responses(
            {"role": "user", "content": "a"},
            {"type": "message", "role": "assistant", "id": "m_1", "content": [SAID], "phase": "commentary"},
            {**FUNCTION_CALL, "id": "fc_1"},
            {"type": "message", "role": "assistant", "id": "m_2", "content": [SAID], "phase": "final_answer"},
            OUTPUT,
        ),
        [],
    ),
}
ASKED = {"type": "input_text", "text": "a"}
FILE = responses(user(ASKED, {"type": "input_file", "file_data": PDF, "filename": "a.pdf", "detail": "high"}))
CASES["input_file"] = ("openai-responses", FILE, ["messages[].content[file].detail"])


def decoded(api: str, body: dict[str, Any]) -> LLMRequest:
    wire = load_wire(api)
    assert isinstance(wire, Wire)
    return wire.decode_request(json.dumps(body).encode())


@pytest.mark.parametrize("case", CASES)
def test_they_go_back_after_a_change(case: str) -> None:
    client, body, _ = CASES[case]
    request = decoded(client, body)
    request.raw = None
    sent = json.loads(load_wire(client).encode_request(request, "m", Translation(client)).body)
    assert {name: sent[name] for name in body} == body


@pytest.mark.parametrize("api", OTHERS)
@pytest.mark.parametrize("case", CASES)
def test_they_are_named_to_clients_of_others(case: str, api: str) -> None:
    client, body, names = CASES[case]
    if client == api:
        pytest.skip("the client's own")
    translation = Translation(api, drop_unsupported=True)
    load_wire(api).encode_request(decoded(client, body), "m", translation)
    assert translation.dropped[: len(names)] == names
    assert not [name for name in translation.dropped if name.endswith((".id", ".status"))]


class Inner(msgspec.Struct, rename="camel"):
    a_b: int = 0


def test_a_reader_tells_what_is_beside() -> None:
    reader = OpenReader(Inner, "type")
    assert reader.read(Raw(b'{"type":"x","aB":1}'))[1] is None
    value, extra = reader.read(Raw(b'{"type":"x","aB":1,"c":[2],"d":null}'))
    assert (value.a_b, extra) == (1, {"c": Raw(b"[2]")})
    with pytest.raises(msgspec.ValidationError):
        reader.read(Raw(b'{"aB":"x"}'))


def test_split_and_put_back() -> None:
    whole = Raw(b'{"a":1,"b":{"c":2,"d":3},"e":4}')
    known, extra = split_fields(whole, {"a", "b"}, {"b": {"c"}})
    assert json.loads(bytes(known)) == {"a": 1, "b": {"c": 2}}
    assert {name: bytes(value) for name, value in extra.items()} == {"e": b"4", "b.d": b"3"}
    wire = json.loads(bytes(known))
    put_back(wire, extra)
    assert json.loads(msgspec.json.encode(wire)) == json.loads(bytes(whole))


@pytest.mark.parametrize(("value", "says"), [(b"null", False), (b"[]", False), (b"false", False), (b"0", True)])
def test_empty_fields_say_nothing(value: bytes, says: bool) -> None:
    assert says_something(Raw(value)) is says
