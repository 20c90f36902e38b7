"""`guard`: caps, and structured output held against its schema, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from providers.errors import GatewayError
from providers.extension import check_config
from providers.model import (
    AudioPart,
    FilePart,
    LLMRequest,
    LLMResponse,
    Message,
    OpaquePart,
    RawBody,
    Reasoning,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
    finish_chunk,
    text_chunk,
    text_response,
)
from proxy.plugins import PluginContext
from proxy.plugins.builtin.guard.plugin import SCHEMA, Guard
from proxy.plugins.builtin.guard.schemas import MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH
from proxy.plugins.pipeline import Pipeline, PipelineRun
from tests.proxy.plugins.runs import configured, let_in, streamed


def deep(levels: int) -> dict[str, Any]:
    """A schema of that many levels below the first."""
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


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


@pytest.mark.parametrize(
    ("more", "chars"),
    [
        ({"content": [ToolResultPart(tool_call_id="1", content=[TextPart(text="345")])]}, 5),
        ({"content": [OpaquePart(kind="search_result", raw=msgspec.Raw(b'{"content":"345"}'), input="6")]}, 20),
        ({"content": [RefusalPart(text="345"), AudioPart(transcript="67"), FilePart(text="8", context="9")]}, 9),
        ({"tools": [Tool(name="345", description="67", parameters={"a": 1})]}, 14),
        ({"tools": [Tool(name="own", kind="opaque", raw={"type": "own"})]}, 16),
        ({"response_format": ResponseFormat(kind="json_schema", schema={"a": 1})}, 9),
    ],
)
async def test_all_that_a_model_reads_counts(more: dict[str, Any], chars: int) -> None:
    given = request("12", **{name: value for name, value in more.items() if name != "content"})
    given.messages.append(Message(role="user", content=more.get("content", [])))
    await let_in(await configured(Guard, maxInputChars=chars), request=given)
    with pytest.raises(GatewayError, match=f"got {chars}"):
        await let_in(await configured(Guard, maxInputChars=chars - 1), request=given)


async def test_the_tokens_of_an_embedding_are_counted_as_such() -> None:
    given = LLMRequest(
        model="m", messages=[Message(role="user", content=[OpaquePart(kind="tokens", raw=msgspec.Raw(b"[1,2,3]"))])]
    )
    plugin = await configured(Guard, maxInputTokens=3, maxOutputTokens=9)
    run = await let_in(plugin, request=given, operation="embed")
    assert run.context.request is given, "an embedding has no output to cap"
    with pytest.raises(GatewayError, match="input: at most about 2 tokens here, got about 3"):
        await let_in(await configured(Guard, maxInputTokens=2), request=given, operation="embed")


@pytest.mark.parametrize(("asked", "sent"), [(50, 10), (None, 10), (7, 7)])
async def test_output_is_clamped(asked: int | None, sent: int) -> None:
    run = await let_in(await configured(Guard, maxOutputTokens=10), request=request(max_tokens=asked))
    assert run.context.request.max_tokens == sent
    assert (run.context.request.raw is None) == (asked != sent), "bytes are only given up for a change"


@pytest.mark.parametrize(
    ("cap", "fields", "sent"),
    [
        (10, {"n": 3}, 3),
        (10, {"n": 3, "max_tokens": 4}, 3),
        (10, {"n": 3, "max_tokens": 3}, None),
        (10, {"n": 11}, "n: at most 10 tokens here, which are too few for 11 answers"),
    ],
)
async def test_several_answers_share_the_cap(cap: int, fields: dict[str, int], sent: int | str | None) -> None:
    plugin = await configured(Guard, maxOutputTokens=cap)
    given = request(**fields)
    if isinstance(sent, str):
        with pytest.raises(GatewayError, match=sent):
            await let_in(plugin, request=given)
        return
    run = await let_in(plugin, request=given)
    assert run.context.request.max_tokens == (sent if sent is not None else given.max_tokens)
    refusing = await configured(Guard, maxOutputTokens=cap, overOutput="refuse")
    if fields.get("max_tokens") == 4:
        with pytest.raises(GatewayError, match="max_tokens: at most 3 for each of 3 answers here, got 4"):
            await let_in(refusing, request=given)


@pytest.mark.parametrize(
    ("asked", "budget", "cap", "sent"),
    [
        (9000, 8000, 4096, (4096, 4095)),
        (9000, 2000, 4096, (4096, 2000)),
        (4000, 2000, 4096, (4000, 2000)),
        (9000, 4096, 4096, (4096, 4095)),
        (9000, 8000, 1025, (1025, 1024)),
        (9000, 8000, 1024, None),
        (None, 8000, 4096, (4096, 4095)),
    ],
)
async def test_a_budget_for_thinking_stays_below_the_cap(
    asked: int | None, budget: int, cap: int, sent: tuple[int, int] | None
) -> None:
    given = request(max_tokens=asked, reasoning=Reasoning(enabled=True, budget_tokens=budget))
    plugin = await configured(Guard, maxOutputTokens=cap)
    if sent is None:
        with pytest.raises(GatewayError, match="the budget is 8000 tokens, and an answer has at most 1024 here"):
            await let_in(plugin, request=given)
        return
    made = (await let_in(plugin, request=given)).context.request
    assert made.reasoning is not None
    assert (made.max_tokens, made.reasoning.budget_tokens) == sent
    assert given.reasoning is not None
    assert given.reasoning.budget_tokens == budget, "nothing is changed in place"


async def test_caps_alone_take_no_part_in_answers() -> None:
    assert set((await configured(Guard, maxMessages=1)).calls) == {"before_model"}
    assert "after_chunk" in (await configured(Guard, structuredOutput="check")).calls


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


@pytest.mark.parametrize("spent_by_others", [0, 2])
async def test_an_answer_that_may_not_be_asked_for_again_is_withheld(spent_by_others: int) -> None:
    plugin = await configured(Guard, structuredOutput="retry")
    context = PluginContext(request=wanting())
    run = PipelineRun(Pipeline([plugin], max_retries=spent_by_others), context)
    await run.before_model()
    for _ in range(spent_by_others):
        run.again()
    context.response = text_response("nonsense")
    with pytest.raises(GatewayError, match="it is not JSON"):
        await run.after_model()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}},
        {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False},
        {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
        {"properties": {"x": {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "^(a+)+$"}}},
    ],
)
async def test_a_client_s_pattern_cannot_hang_the_gateway(schema: dict[str, Any]) -> None:
    evil = "a" * 5000 + "!"
    await judged(text_response(json.dumps({"x": evil, evil: 1})), wanting(schema))


def doubled(depth: int) -> dict[str, Any]:
    """Each level asks twice for the next one."""
    levels = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(depth)}
    return {"$ref": "#/$defs/d0", "$defs": {**levels, f"d{depth}": {"type": "string"}}}


async def test_a_client_s_schema_has_so_many_steps_for_an_answer() -> None:
    plugin = await configured(Guard, structuredOutput="retry")
    run = await let_in(plugin, request=wanting(doubled(40)))
    run.context.response = text_response("1")
    with pytest.raises(GatewayError, match="response_format: it takes too long") as caught:
        await run.after_model()
    assert (caught.value.status, getattr(caught.value, "param", None)) == (400, "response_format")
    run = await let_in(plugin, request=wanting(doubled(40)))
    with pytest.raises(GatewayError, match="response_format: it takes too long"):
        await streamed(run, text_chunk("1"), finish_chunk("stop"))
    assert "it takes too long to tell" in (await judged(text_response("1"), request(), schema=doubled(40)) or "")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"description": "x" * MAX_SCHEMA_BYTES}, f"response_format: at most {MAX_SCHEMA_BYTES} bytes here"),
        (deep(MAX_SCHEMA_DEPTH), f"response_format: at most {MAX_SCHEMA_DEPTH} levels here"),
    ],
)
async def test_a_schema_that_is_too_large_is_refused_before_a_model_is_asked(
    schema: dict[str, Any], words: str
) -> None:
    with pytest.raises(GatewayError, match=words) as caught:
        await let_in(await configured(Guard, structuredOutput="check"), request=wanting(schema))
    assert caught.value.status == 400
    await let_in(await configured(Guard, maxMessages=1), request=wanting(schema))
    await let_in(await configured(Guard, structuredOutput="check"), request=wanting(deep(MAX_SCHEMA_DEPTH - 1)))


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
