"""`guard`: caps, and structured output held against its schema, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.errors import GatewayError
from providers.extension import check_config
from providers.model import (
    LLMRequest,
    LLMResponse,
    Message,
    RawBody,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
    finish_chunk,
    text_chunk,
    text_response,
)
from proxy.plugins.builtin.guard import SCHEMA, Guard
from tests.proxy.plugins.runs import configured, let_in, streamed

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


def request(text: str = "hello", **fields: Any) -> LLMRequest:
    messages = [Message(role="user", content=[TextPart(text=text)])]
    return LLMRequest(model="m", messages=messages, raw=RawBody("x", b"{}"), **fields)


def wanting(schema: dict[str, Any] | None = PERSON) -> LLMRequest:
    kind = "json_object" if schema is None else "json_schema"
    return request(response_format=ResponseFormat(kind=kind, schema=schema))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "given", "status", "words"),
    [
        ({"maxMessages": 1}, request(), None, ""),
        (
            {"maxMessages": 1},
            LLMRequest(model="m", messages=[Message(role="user"), Message(role="user")]),
            400,
            "messages: at most 1 here, got 2",
        ),
        ({"maxTools": 1}, request(tools=[Tool(name="a"), Tool(name="b")]), 400, "tools: at most 1 here, got 2"),
        ({"maxInputChars": 5}, request("12345"), None, ""),
        ({"maxInputChars": 5}, request("123456"), 413, "at most 5 characters here, got 6"),
        ({"maxInputTokens": 2}, request("12345678"), None, ""),
        ({"maxInputTokens": 2}, request("123456789"), 413, "at most about 2 tokens here, got about 3"),
        ({"maxOutputTokens": 10, "overOutput": "refuse"}, request(max_tokens=11), 400, "max_tokens: at most 10 here"),
        ({"maxOutputTokens": 10, "overOutput": "refuse"}, request(max_tokens=10), None, ""),
    ],
)
async def test_caps(config: dict[str, Any], given: LLMRequest, status: int | None, words: str) -> None:
    plugin = await configured(Guard, **config)
    if status is None:
        await let_in(plugin, request=given)
        return
    with pytest.raises(GatewayError) as caught:
        await let_in(plugin, request=given)
    assert caught.value.status == status
    assert words in caught.value.message


async def test_what_tools_said_counts_too() -> None:
    given = request("12")
    given.messages.append(
        Message(role="tool", content=[ToolResultPart(tool_call_id="1", content=[TextPart(text="345")])])
    )
    with pytest.raises(GatewayError, match="got 5"):
        await let_in(await configured(Guard, maxInputChars=4), request=given)


@pytest.mark.parametrize(("asked", "sent"), [(50, 10), (None, 10), (7, 7)])
async def test_output_is_clamped(asked: int | None, sent: int) -> None:
    run = await let_in(await configured(Guard, maxOutputTokens=10), request=request(max_tokens=asked))
    assert run.context.request.max_tokens == sent
    assert (run.context.request.raw is None) == (asked != sent), "bytes are only given up for a change"


async def judged(answer: LLMResponse, given: LLMRequest, **config: Any) -> str | None:
    """Why the whole answer is refused; None: it is not."""
    plugin = await configured(Guard, **{"structuredOutput": "check", **config})
    run = await let_in(plugin, request=given)
    run.context.response = answer
    try:
        await run.after_model()
    except GatewayError as error:
        return error.message if (error.status, error.code) == (502, "schema_violation") else repr(error)
    return None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"name": "Ann", "age": 3}', None),
        ('{"name": "Ann", "age": -1}', "age fails the schema's 'minimum'"),
        ('{"name": "ann"}', "name fails the schema's 'pattern'"),
        ('{"age": 3}', "the answer fails the schema's 'required'"),
        ('{"name": "Ann", "canary": 1}', "the answer fails the schema's 'additionalProperties'"),
        ('{"name": "Ann"', "it is not JSON"),
        ("[]", "the answer fails the schema's 'type'"),
    ],
)
async def test_an_answer_is_held_against_the_request_s_schema(text: str, fault: str | None) -> None:
    told = await judged(text_response(text), wanting())
    assert told == (None if fault is None else f"the model's answer does not follow the JSON schema that was asked "
                    f"for: {fault}")  # fmt: skip
    assert "canary" not in (told or "")
    run = await let_in(await configured(Guard, structuredOutput="check"), request=wanting())
    chunks = [*(text_chunk(character) for character in text), finish_chunk("stop")]
    if fault is None:
        out = await streamed(run, *chunks)
        assert all(new is old for new, old in zip(out, chunks, strict=True)), "the stream's bytes were touched"
    else:
        with pytest.raises(GatewayError, match="does not follow"):
            await streamed(run, *chunks)


async def test_what_is_not_held_against_it() -> None:
    call = text_response("")
    assert call.choices[0].message is not None
    call.choices[0].message.content = [ToolCallPart(id="1", name="f", arguments="{}")]
    assert await judged(call, wanting()) is None
    assert await judged(text_response("{", finish_reason="length"), wanting()) is None
    assert await judged(text_response("hello"), request()) is None
    assert await judged(text_response("hello"), wanting(), structuredOutput="off") is None
    assert await judged(text_response("{}"), wanting(None)) is None
    assert await judged(text_response("[]"), wanting(None)) is not None


async def test_the_configuration_s_schema_is_for_every_answer() -> None:
    assert await judged(text_response("{}"), request(), schema=PERSON) is not None


async def test_the_model_is_asked_again_once() -> None:
    run = await let_in(await configured(Guard, structuredOutput="retry"), request=wanting())
    run.context.response = text_response("nonsense")
    assert await run.after_model() is True
    run.again()
    run.context.response = text_response("nonsense")
    with pytest.raises(GatewayError, match="it is not JSON"):
        await run.after_model()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}},
        {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False},
        {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
    ],
)
async def test_a_client_s_pattern_cannot_hang_the_gateway(schema: dict[str, Any]) -> None:
    evil = "a" * 5000 + "!"
    await judged(text_response(json.dumps({"x": evil, evil: 1})), wanting(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:1/never-fetched"},
        {"$ref": "#"},
        {"type": "nonsense"},
        {"minimum": "x"},
        {"pattern": "(?=x)"},
        {"properties": 5},
    ],
)
async def test_a_schema_that_cannot_be_applied_is_not_the_answer_s_fault(schema: dict[str, Any]) -> None:
    assert await judged(text_response('{"a": 1}'), wanting(schema)) is None


def test_what_is_wrong_is_told() -> None:
    filled, _ = check_config(SCHEMA, {"schema": {"type": 5}, "structuredOutput": "check"})
    assert "schema: 5 is not valid" in str(Guard().validate_config(filled))
    filled, _ = check_config(SCHEMA, {"schema": {}})
    assert "nothing is held against it" in str(Guard().validate_config(filled))
