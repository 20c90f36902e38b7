"""Requests for a Gemini provider, from clients of other APIs (held by golden files), and its own after a change.

A golden file holds what the provider gets and what was dropped. To write them again after a change of the translation:
`TRIWAY_WRITE_GOLDEN=1 pytest tests/providers/wire/gemini_generate/test_request_encoder.py`, and read the diff as data.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from providers.errors import RequestError, UnsupportedParameterError
from providers.model import (
    GOOGLE_SIGNATURE,
    LLMRequest,
    Message,
    OpaquePart,
    RawBody,
    ReasoningPart,
    RequestMetadata,
    TextPart,
    ToolCallPart,
)
from providers.wire import load_wire
from providers.wire.base import Translation, Wire
from providers.wire.gemini_generate import VERTEX_WIRE, WIRE, encode_count_request, relay_count_request
from providers.wire.gemini_generate.spelling import in_camel_case
from tests.providers.wire.gemini_generate.support import RECORDINGS

GOLDEN = Path(__file__).parent / "golden"
MODEL = "gemini-2.5-flash"
PIXEL = "iVBORw0KGgo="

CHAT, CLAUDE = "openai-chat", "anthropic-messages"

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def chat(*messages: dict[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return CHAT, {"model": "m", "messages": list(messages), **fields}


def claude(*messages: dict[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return CLAUDE, {"model": "m", "max_tokens": 500, "messages": list(messages), **fields}


def says(role: str, content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **fields}


def function(name: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "description": "Looks it up.", "parameters": WEATHER, "strict": True},
    }


CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
    {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
]

CASES: dict[str, tuple[str, tuple[str, dict[str, Any]]]] = {
    "sampling": (
        MODEL,
        chat(
            says("user", "Hi"),
            temperature=1.5,
            top_p=0.9,
            max_completion_tokens=100,
            stop=["END"],
            seed=7,
            n=2,
            presence_penalty=0.5,
            frequency_penalty=0.25,
            logprobs=True,
            top_logprobs=2,
            user="u1",
            store=True,
        ),
    ),
    "system_and_developer": (
        MODEL,
        chat(
            says("system", "Be brief."),
            says("user", "Hi", name="ann"),
            says("developer", "And kind."),
            says("assistant", "Hello."),
            says("user", "Bye"),
        ),
    ),
    "images_and_files": (
        MODEL,
        chat(
            says(
                "user",
                [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": "https://host/a.webp?x=1", "detail": "high"}},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,BA==", "filename": "a.pdf"}},
                ],
            )
        ),
    ),
    "documents": (
        MODEL,
        claude(
            says(
                "user",
                [
                    {"type": "document", "source": {"type": "url", "url": "https://host/a.pdf"}, "title": "A"},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "plain"},
                        "citations": {"enabled": True},
                        "context": "c",
                        "cache_control": {"type": "ephemeral"},
                    },
                    {"type": "search_result", "source": "s", "title": "t", "content": []},
                    {"type": "text", "text": "Read."},
                ],
            ),
            system=[{"type": "text", "text": "One.", "cache_control": {"type": "ephemeral"}}],
        ),
    ),
    "tools": (
        MODEL,
        chat(
            says("user", "Weather in Oslo and Rome?"),
            says("assistant", "Let me look.", tool_calls=CALLS),
            says("tool", "rain", tool_call_id="c1"),
            says("tool", '{"sky": "clear"}', tool_call_id="c2"),
            says("user", "And now?"),
            tools=[function("weather"), function("time")],
            tool_choice={"type": "function", "function": {"name": "time"}},
            parallel_tool_calls=True,
        ),
    ),
    "tools_of_gemini_3": (
        "gemini-3-flash",
        chat(
            says("user", "Weather in Oslo and Rome?"),
            says("assistant", None, tool_calls=CALLS),
            says("tool", "rain", tool_call_id="c1"),
            says("tool", "sun", tool_call_id="c2"),
            says(
                "assistant",
                None,
                tool_calls=[
                    {**CALLS[0], "id": "c3", "extra_content": {"google": {"thought_signature": "c2ln"}}},
                    {**CALLS[1], "id": "c4"},
                ],
            ),
            says("tool", "snow", tool_call_id="c3"),
            says("tool", "hail", tool_call_id="c4"),
            tools=[function("weather")],
            tool_choice="required",
        ),
    ),
    "pictures_in_results": (
        MODEL,
        claude(
            says("user", "See"),
            says("assistant", [{"type": "tool_use", "id": "t1", "name": "see", "input": {}}]),
            says(
                "user",
                [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [
                            {"type": "text", "text": "here"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                        ],
                    },
                    {"type": "text", "text": "What is it?"},
                ],
            ),
            tools=[{"name": "see", "input_schema": {"type": "object"}}],
            tool_choice={"type": "none"},
        ),
    ),
    "pictures_in_results_of_gemini_3": (
        "gemini-3-pro",
        claude(
            says("user", "See"),
            says("assistant", [{"type": "tool_use", "id": "t1", "name": "see", "input": {}}]),
            says(
                "user",
                [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "broken"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                        ],
                    }
                ],
            ),
        ),
    ),
    "pictures_by_url_in_results_of_gemini_3": (
        "gemini-3-pro",
        claude(
            says("user", "See"),
            says("assistant", [{"type": "tool_use", "id": "t1", "name": "see", "input": {}}]),
            says(
                "user",
                [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "broken"},
                            {"type": "image", "source": {"type": "url", "url": "https://host/a.png"}},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                        ],
                    }
                ],
            ),
        ),
    ),
    "structured": (
        MODEL,
        chat(
            says("user", "Where?"),
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": WEATHER, "strict": True}},
        ),
    ),
    "any_json": (MODEL, chat(says("user", "JSON!"), response_format={"type": "json_object"})),
    "effort": (MODEL, chat(says("user", "Think"), reasoning_effort="high")),
    "effort_of_gemini_3": ("gemini-3-flash", chat(says("user", "Think"), reasoning_effort="minimal")),
    "effort_that_gemini_3_pro_lacks": ("gemini-3-pro", chat(says("user", "Think"), reasoning_effort="minimal")),
    "no_reasoning": (MODEL, chat(says("user", "Think"), reasoning_effort="none")),
    "no_reasoning_of_gemini_3": ("gemini-3-flash", claude(says("user", "Think"), thinking={"type": "disabled"})),
    "budget": (
        MODEL,
        claude(says("user", "Think"), thinking={"type": "enabled", "budget_tokens": 4000}, top_k=3),
    ),
    "budget_of_gemini_3": (
        "gemini-3-pro",
        claude(says("user", "Think"), thinking={"type": "enabled", "budget_tokens": 4000}, metadata={"user_id": "u"}),
    ),
    "reasoning_history": (
        MODEL,
        claude(
            says("user", "q"),
            says(
                "assistant",
                [
                    {"type": "thinking", "thinking": "Claude's", "signature": "claudes"},
                    {"type": "redacted_thinking", "data": "claudes"},
                    {"type": "thinking", "thinking": "Google's", "signature": "google-gemini-v1:c2lnMQ=="},
                    {"type": "thinking", "thinking": "", "signature": "google-gemini-v1:c2lnMg=="},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                    {"type": "thinking", "thinking": "", "signature": "google-gemini-v1:c2lnMw=="},
                ],
            ),
            says("user", [{"type": "tool_result", "tool_use_id": "t1", "content": "out"}]),
        ),
    ),
}


def decoded(api: str, body: dict[str, Any]) -> LLMRequest:
    wire = load_wire(api)
    assert isinstance(wire, Wire)
    return wire.decode_request(json.dumps(body).encode())


def encode(request: LLMRequest, model: str = MODEL, *, drop_unsupported: bool = False) -> tuple[Any, list[str]]:
    encoded = WIRE.encode_request(request, model, Translation(WIRE.api, drop_unsupported=drop_unsupported))
    assert encoded.headers == {}
    return json.loads(encoded.body), encoded.dropped


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    model, (api, body) = CASES[name]
    sent, dropped = encode(decoded(api, body), model)
    path = GOLDEN / f"{name}.json"
    text = json.dumps({"body": sent, "dropped": dropped}, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("TRIWAY_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CASES)


@pytest.mark.parametrize(
    ("param", "given"),
    [
        ("logit_bias", chat(says("user", "x"), logit_bias={"1": 5})),
        ("parallel_tool_calls", chat(says("user", "x"), tools=[function("f")], parallel_tool_calls=False)),
        ("prediction", chat(says("user", "x"), prediction={"type": "content", "content": ""})),
        ("tools", chat(says("user", "x"), tools=[{"type": "custom", "custom": {"name": "c"}}])),
        ("tools", claude(says("user", "x"), tools=[{"type": "web_search_20250305", "name": "web_search"}])),
        ("container", claude(says("user", "x"), container="c")),
        (
            "messages[].content[image].file_id",
            claude(says("user", [{"type": "image", "source": {"type": "file", "file_id": "f"}}])),
        ),
    ],
)
def test_what_would_change_the_answer_is_refused_or_named(param: str, given: tuple[str, dict[str, Any]]) -> None:
    request = decoded(*given)
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(request)
    assert caught.value.param == param
    if param != "messages[].content[image].file_id":  # nothing else would be left of that one
        assert param in encode(request, drop_unsupported=True)[1]


def test_a_result_without_its_call_is_a_mistake() -> None:
    with pytest.raises(RequestError, match="'c9' answers no tool call"):
        encode(decoded(*chat(says("user", "x"), says("tool", "y", tool_call_id="c9"))))


def test_arguments_must_be_an_object() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1]"}}]
    with pytest.raises(RequestError, match="expected a JSON object"):
        encode(decoded(*chat(says("user", "x"), says("assistant", None, tool_calls=calls))))


def test_vertex_takes_urls_in_results() -> None:
    model, (api, body) = CASES["pictures_by_url_in_results_of_gemini_3"]
    encoded = VERTEX_WIRE.encode_request(decoded(api, body), model, Translation(WIRE.api))
    *_, last = json.loads(encoded.body)["contents"]
    assert last["parts"][0]["functionResponse"]["parts"] == [
        {"fileData": {"fileUri": "https://host/a.png", "mimeType": "image/png"}},
        {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
    ]


def test_a_lost_signature_finds_its_part_again() -> None:
    def block(signature: str) -> ReasoningPart:
        return ReasoningPart(signature=signature, format=GOOGLE_SIGNATURE)

    answer = Message(
        role="assistant",
        content=[block("a"), block("b"), TextPart(text="t"), ToolCallPart(id="c", name="f"), block("e")],
    )
    request = LLMRequest(model="m", messages=[answer], metadata=RequestMetadata(api=CHAT))
    sent, dropped = encode(request, "gemini-3-pro")
    assert sent["contents"][0]["parts"] == [
        {"text": "", "thoughtSignature": "a"},
        {"text": "t", "thoughtSignature": "b"},
        {
            "functionCall": {"id": "c", "name": "f", "args": {}},
            "thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
        },
        {"text": "", "thoughtSignature": "e"},
    ]
    assert dropped == []


def test_opaque_parts_of_this_api_go_back_verbatim() -> None:
    raw = msgspec.Raw(b'{"executableCode": {"code": "1e2"}}')
    part = OpaquePart(kind="executableCode", api=WIRE.api, raw=raw)
    request = LLMRequest(model="m", messages=[Message(role="assistant", content=[part])])
    assert b'{"executableCode": {"code": "1e2"}}' in WIRE.encode_request(request, "m", Translation("x")).body


# -- its own requests after a change ----------------------------------------------------------------------------------

RICH: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Look:"},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
                {"fileData": {"fileUri": "gs://b/a.pdf", "mimeType": "application/pdf"}},
                {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"startOffset": "1s"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm", "thought": True, "thoughtSignature": "c2ln"},
                {"executableCode": {"code": "1", "language": "PYTHON"}, "thoughtSignature": "c2lo"},
                {"text": "I see", "thoughtSignature": "c2lp"},
                {"functionCall": {"id": "c", "name": "f", "args": {"a": [1, 2.5, None]}}, "thoughtSignature": "c2lq"},
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"output": "text"}}}],
        },
        {"role": "user", "parts": [{"text": "and?"}]},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "d",
                    "parametersJsonSchema": WEATHER,
                    "behavior": "BLOCKING",
                }
            ]
        },
        {"googleSearch": {}},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        "retrievalConfig": {"languageCode": "en"},
    },
    "generationConfig": {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 100,
        "candidateCount": 2,
        "seed": 7,
        "stopSequences": ["END"],
        "responseLogprobs": True,
        "logprobs": 2,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "responseModalities": ["TEXT"],
        "speechConfig": {"x": 1},
        "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
    },
    "safetySettings": [{"category": "C", "threshold": "BLOCK_NONE"}],
    "cachedContent": "cachedContents/1",
    "labels": {"team_name": "x"},
    "future": {"x": [1]},
}


def test_a_rich_request_comes_back_the_same() -> None:
    request = decoded(WIRE.api, RICH)
    request.raw = None
    assert encode(request) == (RICH, [])


def test_every_recorded_request_comes_back_the_same() -> None:
    bodies = [json.loads(path.read_text())["request"] for path in sorted(RECORDINGS.glob("*/*.json"))]
    bodies = [request["body"] for request in bodies if request]
    if not bodies:
        pytest.skip("the shared recordings are not beside this checkout")
    for body in bodies:
        expected = json.loads(in_camel_case(json.dumps(body).encode()))
        if "systemInstruction" in expected:
            expected["systemInstruction"].pop("role", None)
        if expected.get("generationConfig") == {}:
            del expected["generationConfig"]
        if "functionDeclarations" in json.dumps(expected) and '"parameters"' in json.dumps(expected):
            expected.pop("tools")  # Google's dialect of schemas has become JSON Schema
        again, dropped = encode(decoded(WIRE.api, body))
        assert {name: again[name] for name in again if name in expected} == expected
        assert dropped == []


@pytest.mark.parametrize(
    ("model", "effort", "level"),
    [
        ("gemini-3-pro-preview", "minimal", "LOW"),
        ("gemini-3-pro-preview", "low", "LOW"),
        ("gemini-3-pro-preview", "medium", "HIGH"),
        ("gemini-3-pro-preview", "max", "HIGH"),
        ("gemini-3-pro-preview", "none", "LOW"),
        ("gemini-3.1-pro-preview", "minimal", "LOW"),
        ("gemini-3.1-pro-preview", "medium", "MEDIUM"),
        ("gemini-3-flash-preview", "minimal", "MINIMAL"),
        ("gemini-3-flash-preview", "none", "MINIMAL"),
        ("gemini-3.1-flash-lite", "none", "MINIMAL"),
        ("google/gemini-3.5-flash", "minimal", "MINIMAL"),
        ("gemini-3.1-flash-image-preview", "low", "MINIMAL"),
        ("gemini-3.1-flash-lite-image", "medium", "HIGH"),
        ("gemini-3.7-flash", "minimal", "LOW"),
        ("gemini-3.7-flash", "none", "LOW"),
        ("gemini-3.8-flash", "xhigh", "HIGH"),
        ("gemini-4-flash", "none", "LOW"),
        ("gemini-4-ultra", "medium", "MEDIUM"),
    ],
)
def test_thinking_levels_are_those_that_the_model_takes(model: str, effort: str, level: str) -> None:
    request = decoded(*chat(says("user", "Think"), reasoning_effort=effort))
    sent, _ = encode(request, model)
    assert sent["generationConfig"]["thinkingConfig"]["thinkingLevel"] == level


@pytest.mark.parametrize(
    "thinking",
    [
        {"thinkingBudget": 0},
        {"thinkingBudget": -1, "includeThoughts": True},
        {"thinkingBudget": 100, "includeThoughts": False},
        {"thinkingLevel": "LOW"},
    ],
)
def test_thinking_comes_back_the_same(thinking: dict[str, Any]) -> None:
    body = {"contents": RICH["contents"][3:], "generationConfig": {"thinkingConfig": thinking}}
    assert encode(decoded(WIRE.api, body)) == (body, [])


def test_a_plugins_change_goes_out() -> None:
    request = decoded(WIRE.api, RICH)
    request.raw = None
    request.messages[1].content[0] = TextPart(text="[redacted]")
    request.tools[0].description = "new"
    sent, _ = encode(request)
    assert sent["contents"][0]["parts"][0] == {"text": "[redacted]"}
    assert sent["tools"][0]["functionDeclarations"][0]["description"] == "new"


def test_relay_changes_only_a_model_in_the_body() -> None:
    plain = b'{ "contents" :[{"role":"model","parts":[ ]}], "x":1.0e1}'
    request = LLMRequest(model="m", raw=load_raw(plain))
    assert WIRE.relay_request(request, "n") == plain
    request.raw = load_raw(b'{"model": "models/m", "x" : [ 1.0e1 ]}')
    assert WIRE.relay_request(request, "n") == b'{"model":"models/n","x":[ 1.0e1 ]}'
    request.raw = None
    with pytest.raises(ValueError, match="encoded, not relayed"):
        WIRE.relay_request(request, "n")


def load_raw(body: bytes) -> Any:
    return RawBody(WIRE.api, body)


def test_count_requests_in_both_shapes() -> None:
    request = decoded(WIRE.api, RICH)
    assert json.loads(relay_count_request(request, "n", on_vertex=False)) == {
        "generateContentRequest": {**RICH, "model": "models/n"}
    }
    vertex = {name: RICH[name] for name in ("contents", "systemInstruction", "tools", "generationConfig")}
    assert json.loads(relay_count_request(request, "n", on_vertex=True)) == vertex
    encoded = encode_count_request(request, MODEL, Translation(WIRE.api), on_vertex=True)
    assert json.loads(encoded.body) == vertex
    wrapped = LLMRequest(model="m", raw=load_raw(b'{"generate_content_request": {"contents": [1], "model": "x"}}'))
    assert relay_count_request(wrapped, "n", on_vertex=True) == b'{"contents":[1]}'
