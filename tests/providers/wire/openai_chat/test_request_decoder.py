"""Requests of OpenAI clients: every parameter in its place, every mistake told with its field."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import ErrorKind, RequestError
from providers.model import (
    AssistantMessage,
    AudioPart,
    Choice,
    FilePart,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    OpaquePart,
    RawBody,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire import load_wire
from providers.wire.base import Translation
from providers.wire.openai_chat import WIRE

OTHERS = (
    "anthropic-messages",
    "bedrock-converse",
    "cohere-chat",
    "gemini-generate",
    "ollama-chat",
    "openai-responses",
)

HI = [{"role": "user", "content": "Hi"}]


def decode(messages: object = HI, **fields: Any) -> LLMRequest:
    return WIRE.decode_request(json.dumps({"model": "m", "messages": messages, **fields}).encode())


def message(**fields: Any) -> Message:
    """The last message, after a user's."""
    return decode([*HI, fields]).messages[-1]


def user(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "first"}, {"role": "user", "content": list(content)}]


def raw(value: msgspec.Raw) -> Any:
    return json.loads(bytes(value))


# --- mistakes ---


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"model": "m",}', "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a":' + b"[" * 100_000, "not valid JSON"),
    ],
)
def test_not_a_json_object(body: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        WIRE.decode_request(body)
    assert (caught.value.status, caught.value.kind) == (400, ErrorKind.INVALID_REQUEST)
    assert caught.value.param is None


ROLES = "one of 'system', 'developer', 'user', 'assistant', 'tool', 'function'"
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

CALL_WITHOUT_ID = {"type": "function", "function": {"name": "f", "arguments": "{}"}}

MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"model": None}, "model", "'model' is required"),
    ({"model": ""}, "model", "'model' is required"),
    ({"model": 4}, "model", "'model': expected a string, got an integer"),
    ({"messages": None}, "messages", "'messages' is required"),
    ({"messages": "Hi"}, "messages", "'messages': expected an array, got a string"),
    ({"messages": []}, "messages", "'messages': expected at least one message, got an empty array"),
    ({"messages": ["Hi"]}, "messages[0]", "'messages[0]': expected an object, got a string"),
    ({"messages": [*HI, {"content": "a"}]}, "messages[1].role", "'messages[1].role' is required"),
    ({"messages": [{"role": 1, "content": "a"}]}, "messages[0].role", "'messages[0].role': expected a string"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "'messages[0].content' is required"),
    (
        {"messages": [{"role": "user", "content": None}]},
        "messages[0].content",
        "'messages[0].content': expected a string or an array, got null",
    ),
    (
        {"messages": [{"role": "assistant", "content": 1}]},
        "messages[0].content",
        "'messages[0].content': expected a string or an array or null, got an integer",
    ),
    (
        {"messages": [{"role": "user", "content": [{"text": "a"}]}]},
        "messages[0].content[0].type",
        "'messages[0].content[0].type' is required",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
        "'messages[0].content[0].text' is required",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 1}}]}]},
        "messages[0].content[0].image_url.url",
        "'messages[0].content[0].image_url.url': expected a string, got an integer",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}]},
        "messages[0].tool_calls[0].function",
        "'messages[0].tool_calls[0].function' is required",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom"}]}]},
        "messages[0].tool_calls[0].custom",
        "'messages[0].tool_calls[0].custom' is required",
    ),
    ({"temperature": "hot"}, "temperature", "'temperature': expected a number, got a string"),
    ({"max_tokens": 1.5}, "max_tokens", "'max_tokens': expected an integer, got a number"),
    (
        {"max_completion_tokens": "9"},
        "max_completion_tokens",
        "'max_completion_tokens': expected an integer, got a string",
    ),
    ({"stream": "yes"}, "stream", "'stream': expected a boolean, got a string"),
    ({"stream_options": True}, "stream_options", "'stream_options': expected an object, got a boolean"),
    (
        {"stream_options": {"include_usage": 1}},
        "stream_options.include_usage",
        "'stream_options.include_usage': expected a boolean or null, got an integer",
    ),
    ({"tools": {}}, "tools", "'tools': expected an array, got an object"),
]  # fmt: skip
"""What no vendor takes."""

UNREAD: list[tuple[dict[str, Any], str, str]] = [
    (
        {"messages": [{"role": "robot", "content": "a"}]},
        "messages[0].role",
        f"'messages[0].role': expected {ROLES}, got 'robot'",
    ),
    (
        {"messages": [{"role": "tool", "content": "a"}]},
        "messages[0].tool_call_id",
        "'messages[0].tool_call_id' is required",
    ),
    (
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [CALL, CALL_WITHOUT_ID]}]},
        "messages[0].tool_calls[1].id",
        "'messages[0].tool_calls[1].id' is required",
    ),
    ({"stop": ["a", 1]}, "stop[1]", "'stop[1]': expected a string, got an integer"),
    ({"stop": 1}, "stop", "'stop': expected a string or an array, got an integer"),
    ({"logit_bias": {"50256": "no"}}, "logit_bias", "'logit_bias': expected a number, got a string"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "'tools[0].function' is required"),
    ({"tools": [{"type": "custom"}]}, "tools[0].custom", "'tools[0].custom' is required"),
    (
        {"tools": [{"type": "function", "function": {"description": "d"}}]},
        "tools[0].function.name",
        "'tools[0].function.name' is required",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": "{}"}}]},
        "tools[0].function.parameters",
        "'tools[0].function.parameters': expected an object or null, got a string",
    ),
    ({"functions": [{}]}, "functions[0].name", "'functions[0].name' is required"),
    ({"tool_choice": "maybe"}, "tool_choice", "'tool_choice': expected one of 'none', 'auto', 'required', got 'maybe'"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function", "'tool_choice.function' is required"),
    ({"tool_choice": {"function": {"name": "f"}}}, "tool_choice.type", "'tool_choice.type' is required"),
    (
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "some"}}},
        "tool_choice.allowed_tools.mode",
        "'tool_choice.allowed_tools.mode': expected one of 'none', 'auto', 'required', got 'some'",
    ),
    ({"response_format": "json"}, "response_format", "'response_format': expected an object, got a string"),
    ({"response_format": {}}, "response_format.type", "'response_format.type' is required"),
    (
        {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        "'response_format.json_schema' is required",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": []}}},
        "response_format.json_schema.schema",
        "'response_format.json_schema.schema': expected an object or null, got an array",
    ),
    ({"reasoning_effort": 3}, "reasoning_effort", "'reasoning_effort': expected a string, got an integer"),
    (
        {"reasoning": {"max_tokens": "many"}},
        "reasoning.max_tokens",
        "'reasoning.max_tokens': expected an integer or null, got a string",
    ),
    ({"user": 7}, "user", "'user': expected a string, got an integer"),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": "AA=="}]}]},
        "messages[0].content[0].input_audio",
        "'messages[0].content[0].input_audio': expected an object, got a string",
    ),
    ({"reasoning": True}, "reasoning", "'reasoning': expected an object, got a boolean"),
    ({"logprobs": 5}, "logprobs", "'logprobs': expected a boolean, got an integer"),
]  # fmt: skip
"""What some vendor may take, but no other API can be told."""


@pytest.mark.parametrize(("fields", "param", "text"), MISTAKES, ids=[f"{m[1]}-{n}" for n, m in enumerate(MISTAKES)])
def test_mistake_is_told_with_its_field(fields: dict[str, Any], param: str, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        WIRE.decode_request(json.dumps({"model": "m", "messages": HI, **fields}).encode())
    assert caught.value.param == param
    assert caught.value.message == text
    assert caught.value.status == 400
    assert caught.value.code in ("invalid_type", "invalid_value", "missing_required_parameter")


@pytest.mark.parametrize(("fields", "param", "text"), UNREAD, ids=[f"{m[1]}-{n}" for n, m in enumerate(UNREAD)])
def test_what_vendors_may_take_is_told_where_it_has_to_be_translated(
    fields: dict[str, Any], param: str, text: str
) -> None:
    body = json.dumps({"model": "m", "messages": HI, **fields}).encode()
    request = WIRE.decode_request(body)
    assert WIRE.relay_request(request, "m") == body
    changed = json.loads(WIRE.encode_request(request, "m", Translation("openai-chat")).body)
    assert {name: changed[name] for name in fields} == fields
    for api in OTHERS:
        for drop in (False, True):
            with pytest.raises(RequestError) as caught:
                load_wire(api).encode_request(request, "m", Translation(api, drop_unsupported=drop))
            assert (caught.value.param, caught.value.message, caught.value.status) == (param, text, 400)
            assert caught.value.code in ("invalid_type", "invalid_value", "missing_required_parameter")


def test_a_tool_that_cannot_be_read_is_still_seen() -> None:
    odd = {"type": "function", "function": {"name": "f", "parameters": "{}"}}
    flat = {"type": "function", "name": "g"}
    request = decode(tools=[odd, flat, {"type": "function", "function": {"name": "h"}}])
    assert [(tool.name, tool.kind) for tool in request.tools] == [("f", "opaque"), ("g", "opaque"), ("h", "function")]
    assert list(request.unread) == ["tools[0].function.parameters", "tools[1].function"]


def test_missing_altogether() -> None:
    for body, param in ((b'{"messages":[]}', "model"), (b'{"model":"m"}', "messages")):
        with pytest.raises(RequestError) as caught:
            WIRE.decode_request(body)
        assert caught.value.param == param


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "role", "content", "text", "name", "id", "function", "tool_calls", "image_url"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
_NAMES = ("messages", "tools", "tool_choice", "stop", "response_format", "reasoning", "stream_options", "model", "new")


@settings(max_examples=300, deadline=None)
@given(fields=st.dictionaries(st.sampled_from(_NAMES), _JSON))
def test_any_json_is_a_request_or_a_request_error(fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", "messages": HI, **fields}).encode()
    error: RequestError | None = None
    request: LLMRequest | None = None
    try:
        request = WIRE.decode_request(body)
    except RequestError as raised:
        error = raised
    assert request is None or request.raw == RawBody("openai-chat", body)
    assert error is None or (error.param or "").startswith(tuple(fields))


# --- parameters ---


def test_the_body_is_kept() -> None:
    body = b'{ "messages":[{"role":"user","content":"Hi"}] , "model":"m", "new": [1, 2]}'
    request = WIRE.decode_request(body)
    assert request.raw == RawBody("openai-chat", body)
    assert request.metadata.api == "openai-chat"
    assert bytes(request.extra["new"]) == b"[1, 2]"


def test_null_means_not_given() -> None:
    names = ("max_tokens", "max_completion_tokens", "temperature", "stop", "tools", "tool_choice", "stream", "user")
    names += ("stream_options", "response_format", "reasoning_effort", "reasoning", "modalities", "store", "new")
    assert decode(**dict.fromkeys(names)) == msgspec.structs.replace(decode(), raw=decode(**dict.fromkeys(names)).raw)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_completion_tokens": 6}, "max_tokens", 6),
        ({"max_completion_tokens": 6, "max_tokens": 5}, "max_tokens", 6),
        ({"temperature": 1}, "temperature", 1.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"top_k": 40}, "top_k", 40),
        ({"stop": "a"}, "stop", ["a"]),
        ({"stop": ["a", "b"]}, "stop", ["a", "b"]),
        ({"seed": 2**62}, "seed", 2**62),
        ({"frequency_penalty": -1}, "frequency_penalty", -1.0),
        ({"presence_penalty": 1.5}, "presence_penalty", 1.5),
        ({"logit_bias": {"50256": -100}}, "logit_bias", {"50256": -100.0}),
        ({"logprobs": True}, "logprobs", True),
        ({"top_logprobs": 3}, "top_logprobs", 3),
        ({"n": 2}, "n", 2),
        ({"parallel_tool_calls": False}, "parallel_tool_calls", False),
        ({"stream": True}, "stream", True),
        ({"stream_options": {"include_usage": True}}, "include_usage", True),
        ({"response_format": {"type": "text"}}, "response_format", ResponseFormat(kind="text")),
        ({"response_format": {"type": "json_object"}}, "response_format", ResponseFormat(kind="json_object")),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}},
            "response_format",
            ResponseFormat(kind="json_schema", name="n", schema={}, strict=True),
        ),
        ({"reasoning_effort": "low"}, "reasoning", Reasoning(effort="low")),
        ({"reasoning_effort": "none"}, "reasoning", Reasoning(effort="none", enabled=False)),
        ({"reasoning": {"effort": "high"}}, "reasoning", Reasoning(effort="high")),
        ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, "reasoning", Reasoning(effort="high")),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, "reasoning", Reasoning(effort="high")),
        (
            {"reasoning": {"max_tokens": 900, "enabled": True, "exclude": True}},
            "reasoning",
            Reasoning(budget_tokens=900, enabled=True, display="omitted"),
        ),
        ({"tool_choice": "auto"}, "tool_choice", ToolChoice(mode="auto")),
        ({"tool_choice": "required"}, "tool_choice", ToolChoice(mode="required")),
        ({"tool_choice": "any"}, "tool_choice", ToolChoice(mode="required")),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            "tool_choice",
            ToolChoice(mode="tool", name="f"),
        ),
        (
            {"tool_choice": {"type": "custom", "custom": {"name": "f"}}},
            "tool_choice",
            ToolChoice(mode="tool", name="f"),
        ),
        ({"function_call": "none"}, "tool_choice", ToolChoice(mode="none")),
        ({"function_call": {"name": "f"}}, "tool_choice", ToolChoice(mode="tool", name="f")),
    ],
)  # fmt: skip
def test_parameter_is_a_field(fields: dict[str, Any], name: str, value: object) -> None:
    request = decode(**fields)
    assert getattr(request, name) == value
    assert request.extra == {}
    assert request.hints == {}


@pytest.mark.parametrize(
    "name", ["store", "metadata", "service_tier", "prompt_cache_key", "safety_identifier", "verbosity"]
)
def test_hints(name: str) -> None:
    request = decode(**{name: {"a": 1}})
    assert {key: raw(value) for key, value in request.hints.items()} == {name: {"a": 1}}
    assert request.extra == {}


@pytest.mark.parametrize("name", ["audio", "prediction", "web_search_options", "min_p", "heard_of_never"])
def test_extra(name: str) -> None:
    request = decode(**{name: {"a": 1}})
    assert {key: raw(value) for key, value in request.extra.items()} == {name: {"a": 1}}
    assert request.hints == {}


def test_modalities() -> None:
    assert list(decode(modalities=["text"]).hints) == ["modalities"]
    assert list(decode(modalities=["text", "audio"]).extra) == ["modalities"]


def test_user() -> None:
    assert decode(user="u1").metadata.user_id == "u1"


def test_other_stream_options_are_hints() -> None:
    request = decode(stream_options={"include_usage": True, "include_obfuscation": False})
    assert request.include_usage
    assert raw(request.hints["stream_options"]) == {"include_usage": True, "include_obfuscation": False}
    assert decode(stream_options={"include_usage": False}).hints == {}


def test_tools() -> None:
    custom = {"type": "custom", "custom": {"name": "sh", "description": "d", "format": {"type": "text"}}}
    opaque = {"type": "openrouter:advisor", "parameters": {"model": "x"}}
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    cached = {"type": "function", "function": {"name": "g"}, "cache_control": {"type": "ephemeral"}}
    request = decode(tools=[{"type": "function", "function": function}, custom, opaque, cached])
    assert request.tools == [
        Tool(name="f", description="d", parameters={"type": "object"}, strict=True),
        Tool(name="sh", description="d", kind="custom", api="openai-chat", raw=custom),
        Tool(name="openrouter:advisor", kind="opaque", api="openai-chat", raw=opaque),
        Tool(name="g", cache_control={"type": "ephemeral"}),
    ]


def test_legacy_functions() -> None:
    assert decode(functions=[{"name": "f", "parameters": {}}]).tools == [Tool(name="f", parameters={})]


FUNCTION = {"type": "function", "function": {"name": "f"}}
CUSTOM = {"type": "custom", "custom": {"name": "shell"}}


@pytest.mark.parametrize(
    ("mode", "tools", "choice", "is_extra"),
    [
        ("auto", [FUNCTION], ToolChoice(mode="auto", allowed=["f"]), False),
        ("required", [FUNCTION, CUSTOM], ToolChoice(mode="required", allowed=["f", "shell"]), False),
        ("required", [FUNCTION], ToolChoice(mode="tool", name="f"), False),
        ("required", [], ToolChoice(mode="required"), True),
        ("auto", [FUNCTION, {"type": "web_search"}], ToolChoice(mode="auto", allowed=["f"]), True),
    ],
)
def test_allowed_tools(mode: str, tools: list[Any], choice: ToolChoice, is_extra: bool) -> None:
    wire = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
    request = decode(tool_choice=wire)
    assert request.tool_choice == choice
    assert (raw(request.extra["tool_choice"]) == wire) if is_extra else not request.extra


def test_unknown_forms_of_known_parameters_are_kept() -> None:
    request = decode(response_format={"type": "grammar", "grammar": "g"}, tool_choice={"type": "web_search"})
    assert sorted(request.extra) == ["response_format", "tool_choice"]
    assert request.response_format is None
    assert request.tool_choice is None


# --- messages ---


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_plain_message(role: str) -> None:
    assert message(role=role, content="a", name="n") == Message(role=role, content=[TextPart(text="a")], name="n")  # type: ignore[arg-type]


def test_content_parts() -> None:
    ephemeral = {"type": "ephemeral"}
    request = decode(
        user(
            {"type": "text", "text": "a", "cache_control": ephemeral},
            {"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image_url", "image_url": "https://e.org/b.png"},
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}},
            {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "mp3"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,CCCC"}},
            {"type": "file", "file": {"filename": "a.txt", "file_data": "CCCC"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://h/a.pdf"}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "video_url", "video_url": {"url": "https://e.org/v.mp4"}},
        )
    )
    parts = request.messages[1].content
    assert parts[:10] == [
        TextPart(index=0, text="a", cache_control=ephemeral),
        ImagePart(index=1, url="https://e.org/a.png", detail="low"),
        ImagePart(index=2, data="AAAA", media_type="image/png"),
        ImagePart(index=3, url="https://e.org/b.png"),
        ImagePart(index=4, url="data:image/svg+xml,<svg/>"),
        AudioPart(index=5, data="BBBB", format="mp3"),
        FilePart(index=6, data="CCCC", media_type="application/pdf", filename="a.pdf"),
        FilePart(index=7, data="CCCC", filename="a.txt"),
        FilePart(index=8, url="https://h/a.pdf", filename="a.pdf"),
        FilePart(index=9, file_id="file-1"),
    ]
    video = parts[10]
    assert isinstance(video, OpaquePart)
    assert (video.kind, video.api) == ("video_url", "openai-chat")
    assert raw(video.raw) == {"type": "video_url", "video_url": {"url": "https://e.org/v.mp4"}}


def test_assistant_message() -> None:
    assert message(
        role="assistant",
        content="so",
        refusal="no",
        reasoning_content="why",
        tool_calls=[CALL, {"id": "d", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
        audio={"id": "au"},
        name="n",
    ) == Message(
        role="assistant",
        name="n",
        content=[
            ReasoningPart(index=0, text="why"),
            TextPart(index=1, text="so"),
            RefusalPart(index=2, text="no"),
            ToolCallPart(index=3, id="c", name="f", arguments="{}"),
            ToolCallPart(index=4, id="d", name="sh", arguments="ls", kind="custom"),
            AudioPart(index=5, id="au"),
        ],
    )


@pytest.mark.parametrize("content", [None, "", []])
def test_assistant_without_content(content: object) -> None:
    assert message(role="assistant", content=content, tool_calls=[CALL]).content == [
        ToolCallPart(id="c", name="f", arguments="{}")
    ]
    assert message(role="assistant", content=content, tool_calls=None).content == []


def test_assistants_content_as_a_list() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}
    parts = [thinking, {"type": "text", "text": "so"}, {"type": "refusal", "refusal": "no"}]
    assert message(role="assistant", content=parts).content == [
        ReasoningPart(index=0, text="why"),
        TextPart(index=1, text="so"),
        RefusalPart(index=2, text="no"),
    ]


def test_reasoning_details_win_over_the_plain_text() -> None:
    details = [
        {"type": "reasoning.text", "text": "why", "signature": "S", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "X", "format": None, "index": 1},
        {"type": "reasoning.summary", "summary": "in short", "id": "rs"},
    ]
    assert message(role="assistant", content="so", reasoning_content="why", reasoning_details=details).content == [
        ReasoningPart(index=0, text="why", signature="S", format="anthropic-claude-v1"),
        ReasoningPart(index=1, redacted="X"),
        ReasoningPart(index=2, text="in short", id="rs"),
        TextPart(index=3, text="so"),
    ]


def test_what_a_client_got_in_reasoning_details_it_can_send_back() -> None:
    parts = [
        ReasoningPart(index=0, text="why", signature="S", format="f"),
        ReasoningPart(index=1, redacted="X"),
        TextPart(index=2, text="so"),
    ]
    response = LLMResponse(choices=[Choice(message=AssistantMessage(content=list(parts)))])
    answer = json.loads(WIRE.encode_response(response, LLMRequest(model="m")))
    assert message(**answer["choices"][0]["message"]).content == parts


def test_tool_message() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]
    result = ToolResultPart(tool_call_id="c", content=[TextPart(index=0, text="a"), ImagePart(index=1, url="u")])
    assert message(role="tool", tool_call_id="c", content=content) == Message(role="tool", content=[result])
    assert message(role="tool", tool_call_id="c", content=None).content == [ToolResultPart(tool_call_id="c")]


def test_legacy_call_and_its_result_find_each_other() -> None:
    request = decode(
        [
            *HI,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ]
    )
    [call] = request.messages[1].content
    [result] = request.messages[2].content
    assert isinstance(call, ToolCallPart)
    assert isinstance(result, ToolResultPart)
    assert (call.name, call.arguments) == ("f", "{}")
    assert result.tool_call_id == call.id
    assert result.content == [TextPart(text="42")]
