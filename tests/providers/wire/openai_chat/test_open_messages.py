"""What vendors of this API take beyond OpenAI: kept for them, told to others."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import RequestError
from providers.model import LLMRequest, OpaquePart, TextPart, ToolCallPart
from providers.wire import load_wire
from providers.wire.base import Translation
from providers.wire.openai_chat import WIRE, mistral
from providers.wire.openai_chat.dialect import Dialect
from providers.wire.openai_chat.dialect_request import encode_in_dialect, relay_in_dialect

OTHERS = ("anthropic-messages", "bedrock-converse", "cohere-chat", "gemini-generate", "openai-responses", "ollama-chat")
HI = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "r"}


def decode(*messages: dict[str, Any], **fields: Any) -> tuple[LLMRequest, bytes]:
    body = json.dumps({"model": "m", "messages": [HI, *messages], **fields}).encode()
    return WIRE.decode_request(body), body


def changed(request: LLMRequest) -> dict[str, Any]:
    """What a provider of this API gets if a plugin changed the request."""
    request.raw = None
    body: dict[str, Any] = json.loads(WIRE.encode_request(request, "m", Translation("openai-chat")).body)
    return body


PARTS = [
    {"type": "video", "video": ["https://h/1.jpg", "https://h/2.jpg"], "fps": 2},
    {"type": "video_url", "video_url": {"url": "https://h/v.mp4"}, "fps": 2},
    {"type": "file_url", "file_url": {"url": "https://h/a.pdf"}},
    {"type": "image_embeds", "image_embeds": "AA=="},
    {"type": "input_text", "text": "a"},
    {"type": "document_url", "document_url": "https://h/a.pdf", "document_name": "a"},
    {"type": "input_audio", "input_audio": "AA=="},
    {"type": "file", "file_id": "f_1"},
]


@pytest.mark.parametrize("part", PARTS, ids=[part["type"] for part in PARTS])
def test_any_part_goes_to_a_provider_of_this_api(part: dict[str, Any]) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "a"}, part]}
    request, body = decode(message)
    assert WIRE.relay_request(request, "m") == body
    opaque = request.messages[1].content[1]
    assert isinstance(opaque, OpaquePart)
    assert (opaque.kind, opaque.place) == (part["type"], "messages[1].content[1]")
    assert changed(request)["messages"][1] == message
    for api in OTHERS:
        with pytest.raises(RequestError) as caught:
            load_wire(api).encode_request(request, "m", Translation(api))
        assert (caught.value.param or "").startswith("messages[1].content[1]")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "context", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [{key: CALL[key] for key in ("type", "function")}]},
        {"role": "assistant", "content": "a", "reasoning_details": [{"type": "x", "summary": ["a"]}]},
        {"role": "assistant", "content": "a", "reasoning_details": "a"},
        {"role": "assistant", "content": "a", "reasoning": {"a": 1}},
        {"role": "assistant", "content": "a", "audio": "x"},
        {"role": "assistant", "content": None, "tool_calls": [{**CALL, "type": "builtin_function"}]},
        {"role": "tool", "name": "f", "content": "r"},
        {"role": "user", "content": "a", "name": 5},
    ],
    ids=str,
)
def test_any_message_goes_to_a_provider_of_this_api(message: dict[str, Any]) -> None:
    request, body = decode(message)
    assert WIRE.relay_request(request, "m") == body
    assert changed(request)["messages"] == [HI, message]


def test_what_somebody_unheard_of_says_can_be_seen() -> None:
    request, _ = decode({"role": "context", "content": [{"type": "text", "text": "secret"}]})
    assert request.messages[1].text == "secret"


def test_the_reasoning_of_others_is_told_and_not_refused() -> None:
    request, _ = decode({"role": "assistant", "content": "a", "reasoning_details": [{"summary": ["a"]}]}, HI)
    translation = Translation("anthropic-messages")
    load_wire("anthropic-messages").encode_request(request, "m", translation)
    assert translation.dropped == ["messages[].reasoning_details"]


ASSISTANT = {"role": "assistant", "content": "a"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

PIXEL = "data:image/png;base64,AA=="

FIELDS: list[tuple[list[dict[str, Any]], dict[str, Any], list[str]]] = [
    ([{**ASSISTANT, "images": [{"a": 1}]}], {}, ["messages[].images"]),
    ([{**ASSISTANT, "prefix": True}], {}, ["messages[].prefix"]),
    ([{**ASSISTANT, "thinking_blocks": [1]}], {}, ["messages[].thinking_blocks"]),
    ([{**ASSISTANT, "annotations": [{"type": "url_citation"}]}], {}, ["messages[].annotations"]),
    ([{**HI, "cache_control": {"type": "ephemeral"}}], {}, ["messages[].cache_control"]),
    ([{"role": "system", "content": "a", "x": 1}], {}, ["messages[].x"]),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}, "fps": 2}]}],
        {},
        ["messages[].content[image].fps"],
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL, "x": 2}}]}],
        {},
        ["messages[].content[image].image_url.x"],
    ),
    ([{"role": "user", "content": [{"type": "text", "text": "a", "x": 2}]}], {}, ["messages[].content[text].x"]),
    (
        [{"role": "assistant", "content": None, "tool_calls": [{**CALL, "x": 1}]}, {**RESULT, "y": 2}],
        {},
        ["messages[].content[tool_call].x", "messages[].y"],
    ),
    ([], {"tools": [{**FUNCTION, "defer_loading": True}]}, ["tools[].defer_loading"]),
    (
        [],
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "x": 1}}]},
        ["tools[].function.x"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "fields", "names"), FIELDS, ids=[case[2][0] for case in FIELDS])
def test_fields_that_are_not_known_go_back_and_are_named_elsewhere(
    messages: list[dict[str, Any]], fields: dict[str, Any], names: list[str]
) -> None:
    for api in OTHERS:
        request, _ = decode(*messages, HI, **fields)
        translation = Translation(api)
        encoded = load_wire(api).encode_request(request, "claude", translation)
        assert [name for name in translation.dropped if name in names] == names
        assert b'"images"' not in encoded.body or api == "ollama-chat"
    request, body = decode(*messages, HI, **fields)
    assert WIRE.relay_request(request, "m") == body
    sent = json.loads(body)
    got = changed(request)
    assert (got["messages"], got.get("tools")) == (sent["messages"], sent.get("tools"))


def test_what_an_sdk_sends_back_of_an_answer_is_not_named() -> None:
    empty = {"annotations": [], "refusal": None, "audio": None, "function_call": None, "tool_calls": None, "new": None}
    request, _ = decode({**ASSISTANT, **empty}, HI)
    assert request.messages[1].extra is None
    assert request.messages[1].content == [TextPart(text="a")]
    translation = Translation("anthropic-messages")
    load_wire("anthropic-messages").encode_request(request, "m", translation)
    assert translation.dropped == []


_NAMES = ["type", "role", "content", "text", "name", "id", "function", "tool_calls", "image_url", "input_audio", "file"]
_WORDS = ["user", "assistant", "tool", "text", "image_url", "file", "function", "custom", "wizard", "input_audio"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5),
    max_leaves=10,
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "function", "wizard"])},
    optional={name: _JSON for name in _NAMES if name != "role"},
)
_TOOL = st.fixed_dictionaries({}, optional={"type": _JSON, "function": _JSON, "custom": _JSON, "name": _JSON})
_PARAMETERS = ("tool_choice", "stop", "response_format", "reasoning", "functions", "user", "logit_bias")
DIALECTS = [
    (mistral.DIALECT, mistral.patch_message),
    (Dialect(developer_role="system", message_names=False, tool_parameters=True), None),
]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    messages=st.lists(_MESSAGE, min_size=1, max_size=3),
    tools=st.lists(_TOOL, max_size=2),
    fields=st.dictionaries(st.sampled_from(_PARAMETERS), _JSON),
)
def test_whatever_is_read_is_sent_or_told(messages: list[Any], tools: list[Any], fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", "messages": messages, "tools": tools, **fields}).encode()
    with contextlib.suppress(RequestError):
        request = WIRE.decode_request(body)
        for dialect, patch in DIALECTS:
            for send in (relay_in_dialect, encode_in_dialect):
                with contextlib.suppress(RequestError):
                    send(request, "m", Translation("openai-chat", drop_unsupported=True), dialect, patch)
        for api in (*OTHERS, "openai-chat"):
            with contextlib.suppress(RequestError):
                load_wire(api).encode_request(request, "m", Translation(api, drop_unsupported=True))


def test_the_index_of_a_streamed_call_says_nothing() -> None:
    request, _ = decode({"role": "assistant", "content": None, "tool_calls": [{"index": 0, **CALL}]}, RESULT)
    assert request.messages[1].content == [ToolCallPart(id="call_1", name="f", arguments="{}")]


def test_a_client_that_makes_up_fields_gets_no_endless_header() -> None:
    request, _ = decode({**ASSISTANT, **{f"f{number}": 1 for number in range(1000)}, "x" * 500: 1}, HI)
    translation = Translation("anthropic-messages")
    load_wire("anthropic-messages").encode_request(request, "m", translation)
    assert len(translation.dropped) == 31
    assert translation.dropped[-1] == "messages[].*"
