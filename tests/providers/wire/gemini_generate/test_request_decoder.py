"""Clients' requests in, in both of Google's spellings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import RequestError
from providers.model import (
    GOOGLE_SIGNATURE,
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    OpaquePart,
    Reasoning,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire.gemini_generate import WIRE, decode_count_request
from providers.wire.gemini_generate.spelling import camel, in_camel_case


def decode(body: Any, **fields: Any) -> LLMRequest:
    if isinstance(body, list):
        body = {"contents": body, **fields}
    return WIRE.decode_request(json.dumps(body).encode())


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


HI = [user({"text": "hi"})]


def config(**fields: Any) -> LLMRequest:
    return decode(HI, generationConfig=fields)


def test_sampling() -> None:
    request = config(
        temperature=0.5,
        topP=0.9,
        topK=40.0,
        maxOutputTokens="100",
        candidateCount=2,
        seed=7,
        stopSequences=["END"],
        presencePenalty=0.1,
        frequencyPenalty=0.2,
        responseLogprobs=True,
        logprobs=3,
    )
    assert (request.temperature, request.top_p, request.top_k, request.max_tokens) == (0.5, 0.9, 40, 100)
    assert (request.n, request.seed, request.stop) == (2, 7, ["END"])
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, 0.2)
    assert (request.logprobs, request.top_logprobs) == (True, 3)
    assert request.extra == request.hints == {}
    assert request.raw is not None
    assert (request.metadata.api, request.raw.api) == ("gemini-generate", "gemini-generate")


@pytest.mark.parametrize(
    ("wire", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning(enabled=False)),
        ({"thinkingBudget": -1}, Reasoning(enabled=True, adaptive=True)),
        ({"thinkingBudget": 512}, Reasoning(enabled=True, budget_tokens=512)),
        ({"thinkingLevel": "HIGH"}, Reasoning(effort="high")),
        (
            {"thinking_level": "low", "include_thoughts": True},
            Reasoning(enabled=True, effort="low", display="summarized"),
        ),
        ({"thinkingBudget": 0, "includeThoughts": True}, Reasoning(enabled=False, display="summarized")),
        ({"includeThoughts": False}, Reasoning(display="omitted")),
        ({}, None),
    ],
)
def test_thinking(wire: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert config(thinkingConfig=wire).reasoning == reasoning


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({"responseMimeType": "text/plain"}, ResponseFormat(kind="text")),
        ({"responseMimeType": "application/json"}, ResponseFormat(kind="json_object")),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
            ResponseFormat(kind="json_schema", schema={"type": "object"}),
        ),
        (
            {"response_mime_type": "application/json", "response_schema": {"type": "STRING", "nullable": True}},
            ResponseFormat(kind="json_schema", schema={"type": ["string", "null"]}),
        ),
    ],
)
def test_the_form_of_the_answer(fields: dict[str, Any], form: ResponseFormat) -> None:
    assert config(**fields).response_format == form


def test_a_form_that_only_google_has() -> None:
    request = config(responseMimeType="text/x.enum", responseSchema={"type": "STRING", "enum": ["a"]})
    assert request.response_format is None
    assert set(request.extra) == {"generationConfig.responseMimeType", "generationConfig.responseSchema"}


def test_parameters_without_a_field() -> None:
    request = decode(
        HI,
        safetySettings=[],
        labels={"team_name": "x"},
        cachedContent="cachedContents/1",
        somethingNew=None,
        future={"a": 1},
        generationConfig={"speechConfig": {}, "mediaResolution": "M", "responseModalities": ["TEXT"]},
        toolConfig={"retrievalConfig": {}, "includeServerSideToolInvocations": True},
    )
    assert set(request.hints) == {"safetySettings", "labels", "generationConfig.mediaResolution"}
    assert set(request.extra) == {
        "cachedContent",
        "future",
        "generationConfig.speechConfig",
        "toolConfig.retrievalConfig",
    }
    assert set(request.kept) == {
        "generationConfig.responseModalities",
        "toolConfig.includeServerSideToolInvocations",
    }
    assert set(config(responseModalities=["IMAGE"]).extra) == {"generationConfig.responseModalities"}


def test_tools() -> None:
    request = decode(
        HI,
        tools=[
            {
                "function_declarations": [
                    {
                        "name": "old_style",
                        "description": "d",
                        "parameters": {
                            "type": "OBJECT",
                            "properties": {
                                "max_items": {"type": "ARRAY", "items": {"type": "STRING"}, "min_items": "1"}
                            },
                            "required": ["max_items"],
                        },
                        "behavior": "BLOCKING",
                    },
                    {"name": "new_style", "parameters_json_schema": {"type": "object", "properties": {"a_b": {}}}},
                ]
            },
            {"googleSearch": {}, "code_execution": {}},
        ],
    )
    old, new, search, code = request.tools
    assert old.parameters == {
        "type": "object",
        "properties": {"max_items": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
        "required": ["max_items"],
    }
    assert old.raw == {"behavior": "BLOCKING"}
    assert new.parameters == {"type": "object", "properties": {"a_b": {}}}
    assert [(tool.kind, tool.name, tool.raw) for tool in (search, code)] == [
        ("opaque", "googleSearch", {"googleSearch": {}}),
        ("opaque", "codeExecution", {"codeExecution": {}}),
    ]


@pytest.mark.parametrize(
    ("wire", "choice", "rest"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), set()),
        ({"mode": "none"}, ToolChoice(mode="none"), set()),
        ({"mode": "ANY"}, ToolChoice(mode="required"), set()),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode="tool", name="f"), set()),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice(mode="required", allowed=["f", "g"]), set()),
        ({"mode": "VALIDATED"}, ToolChoice(mode="auto"), {"hints"}),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ToolChoice(mode="auto", allowed=["f"]), set()),
        ({"mode": "AUTO", "allowedFunctionNames": ["f"]}, ToolChoice(mode="auto", allowed=["f"]), {"kept"}),
        ({"mode": "NONE", "allowedFunctionNames": ["f"]}, ToolChoice(mode="none"), {"kept"}),
        ({"mode": "AUTO", "streamFunctionCallArguments": True}, ToolChoice(mode="auto"), {"kept"}),
    ],
)
def test_tool_choice(wire: dict[str, Any], choice: ToolChoice, rest: set[str]) -> None:
    request = decode(HI, toolConfig={"functionCallingConfig": wire})
    assert request.tool_choice == choice
    assert {name for name in ("extra", "hints", "kept") if getattr(request, name)} == rest


def test_a_conversation_with_calls() -> None:
    request = decode(
        [
            user({"text": "q"}),
            model(
                {"text": "Hm", "thought": True},
                {"text": "Look", "thoughtSignature": "s1"},
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s2"},
                {"function_call": {"name": "f"}},
                {"functionCall": {"name": "g", "id": "own"}},
            ),
            user(
                {"functionResponse": {"name": "g", "id": "own", "response": {"output": "text"}}},
                {"functionResponse": {"name": "f", "response": {"error": "failed"}}},
                {
                    "functionResponse": {
                        "name": "f",
                        "response": {"x": [1]},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
                    }
                },
                {"text": "and?"},
            ),
        ],
        systemInstruction="Be brief.",
    )
    system, _, answer, results, rest = request.messages
    assert (system.role, system.text) == ("system", "Be brief.")
    assert answer.content == [
        ReasoningPart(index=0, text="Hm"),
        TextPart(index=1, text="Look", signature="s1"),
        ToolCallPart(index=2, id="call_1_2", name="f", arguments='{"a":1}', signature="s2"),
        ToolCallPart(index=3, id="call_1_3", name="f", arguments="{}"),
        ToolCallPart(index=4, id="own", name="g", arguments="{}"),
    ]
    assert results.role == "tool"
    assert results.content == [
        ToolResultPart(index=0, tool_call_id="own", content=[TextPart(text="text")]),
        ToolResultPart(index=1, tool_call_id="call_1_2", content=[TextPart(text="failed")], is_error=True),
        ToolResultPart(
            index=2,
            tool_call_id="call_1_3",
            content=[TextPart(text='{"x":[1]}'), ImagePart(index=1, data="AA==", media_type="image/png")],
        ),
    ]
    assert (rest.role, rest.text) == ("user", "and?")


def test_media() -> None:
    [message] = decode(
        [
            user(
                {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}},
                {"inline_data": {"mime_type": "audio/mpeg", "data": "BA=="}},
                {"inlineData": {"mimeType": "application/pdf", "data": "CA==", "displayName": "a.pdf"}},
                {"fileData": {"fileUri": "https://host/a.png", "mimeType": "image/png"}},
                {"file_data": {"file_uri": "gs://bucket/a.pdf", "mime_type": "application/pdf"}},
                {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"startOffset": "1s"}},
                {"executableCode": {"code": "1"}},
            )
        ]
    ).messages
    assert message.content[:5] == [
        ImagePart(index=0, data="AA==", media_type="image/jpeg"),
        AudioPart(index=1, data="BA==", format="mp3"),
        FilePart(index=2, data="CA==", media_type="application/pdf", filename="a.pdf"),
        ImagePart(index=3, url="https://host/a.png", media_type="image/png"),
        FilePart(index=4, file_id="gs://bucket/a.pdf", media_type="application/pdf"),
    ]
    assert [part.kind for part in message.content[5:] if isinstance(part, OpaquePart)] == ["fileData", "executableCode"]


def test_a_single_item_stands_for_a_list() -> None:
    request = decode({"contents": {"parts": {"text": "hi"}}, "system_instruction": {"parts": {"text": "s"}}})
    assert [(message.role, message.text) for message in request.messages] == [("system", "s"), ("user", "hi")]


def test_a_signed_thought_of_google() -> None:
    [message] = decode([model({"text": "th", "thought": True, "thoughtSignature": "c2ln"})]).messages
    assert message.content == [ReasoningPart(text="th", signature="c2ln", format=GOOGLE_SIGNATURE)]


def test_names_inside_the_clients_own_data_are_left_alone() -> None:
    args = {"snake_case": {"inner_name": 1}}
    [message] = decode([model({"function_call": {"name": "f", "args": args}})]).messages
    [call] = message.content
    assert isinstance(call, ToolCallPart)
    assert json.loads(call.arguments) == args


@pytest.mark.parametrize(
    ("body", "param", "what"),
    [
        ({}, "contents", "required"),
        ({"contents": []}, "contents", "at least one content"),
        ({"contents": "hi"}, "contents", "expected an array"),
        ([{"role": "boss", "parts": []}], "contents[0].role", "'user', 'model'"),
        ([user({"text": 1})], "contents[0].parts[0].text", "expected a string"),
        ([user({"functionCall": {"name": "f"}})], "contents[0].parts[0].functionCall", "role 'model'"),
        ([model({"functionCall": {}})], "contents[0].parts[0].functionCall.name", "required"),
        ([model({"functionCall": {"name": "f", "args": [1]}})], "contents[0].parts[0].functionCall.args", "an object"),
        ([user({"functionResponse": {"response": {}}})], "contents[0].parts[0].functionResponse.name", "required"),
        ({"contents": HI, "generationConfig": {"topP": "x"}}, "generationConfig.topP", "expected a number"),
        (
            {"contents": HI, "toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}},
            "toolConfig.functionCallingConfig.mode",
            "'AUTO', 'ANY'",
        ),
        ({"contents": HI, "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name", "requ"),
    ],
)
def test_mistakes_are_named(body: Any, param: str, what: str) -> None:
    with pytest.raises(RequestError, match=what.replace("[", r"\[")) as caught:
        decode(body)
    assert caught.value.param == param
    assert caught.value.status == 400


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a_b":' * 100_000])
def test_what_is_no_json_object(raw: bytes) -> None:
    with pytest.raises(RequestError):
        WIRE.decode_request(raw)


def test_the_two_shapes_of_a_count_request() -> None:
    inner = {"model": "models/x", "contents": HI}
    for body in ({"contents": HI}, {"generateContentRequest": inner}, {"generate_content_request": inner}):
        request = decode_count_request(json.dumps(body).encode())
        assert [message.text for message in request.messages] == ["hi"]


@given(st.text(alphabet="abc_X", max_size=12))
def test_a_camel_case_name_stays(name: str) -> None:
    assert camel(camel(name)) == camel(name)


def test_a_body_in_camel_case_is_not_made_again() -> None:
    body = b'{"contents" : [ ], "x": 1.0e2}'
    assert in_camel_case(body) is body
