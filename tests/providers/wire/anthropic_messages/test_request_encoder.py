"""Requests of other APIs as Anthropic bodies: golden files, and what is refused.

Each file in `golden/` holds a request as the model in the middle has it (here in the shape that an OpenAI client's
request decodes to), the model it goes to, and the body and the dropped names that must come out. To renew the outputs
after a wanted change, run with TRIWAY_UPDATE_GOLDEN=1 and review the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from providers.errors import RequestError, UnsupportedParameterError
from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    OpaquePart,
    Part,
    Reasoning,
    ReasoningPart,
    RequestMetadata,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
)
from providers.wire.anthropic_messages import WIRE
from providers.wire.base import Translation

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


class Golden(msgspec.Struct):
    model: str
    request: LLMRequest
    body: dict[str, Any] = {}
    dropped: list[str] = []


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    golden = msgspec.json.decode(path.read_bytes(), type=Golden)
    encoded = WIRE.encode_request(golden.request, golden.model, Translation("anthropic-messages"))
    body = msgspec.json.decode(encoded.body)
    if os.environ.get("TRIWAY_UPDATE_GOLDEN"):
        whole = {**msgspec.json.decode(path.read_bytes()), "body": body, "dropped": encoded.dropped}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")
    assert (body, encoded.dropped) == (golden.body, golden.dropped)


def openai(*messages: Message, **fields: Any) -> LLMRequest:
    messages = messages or (Message(role="user", content=[TextPart(text="hi")]),)
    return LLMRequest(model="m", messages=list(messages), metadata=RequestMetadata(api="openai-chat"), **fields)


def saying(*parts: Part) -> LLMRequest:
    hi = Message(role="user", content=[TextPart(text="hi")])
    return openai(hi, Message(role="assistant" if isinstance(parts[0], ToolCallPart) else "user", content=list(parts)))


def encoded(request: LLMRequest, model: str = "claude-sonnet-4-5", *, drop: bool = False) -> tuple[Any, list[str]]:
    result = WIRE.encode_request(request, model, Translation("anthropic-messages", drop_unsupported=drop))
    return msgspec.json.decode(result.body), result.dropped


FOREIGN_RAW = msgspec.Raw(b"1")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (openai(temperature=1.5), "temperature"),
        (openai(frequency_penalty=0.1), "frequency_penalty"),
        (openai(presence_penalty=-0.1), "presence_penalty"),
        (openai(logit_bias={"1": 5}), "logit_bias"),
        (openai(logprobs=True), "logprobs"),
        (openai(top_logprobs=3), "top_logprobs"),
        (openai(n=2), "n"),
        (openai(response_format=ResponseFormat(kind="json_object")), "response_format"),
        (openai(tools=[Tool(name="t", kind="custom", api="openai-chat", raw={})]), "tools"),
        (openai(tools=[Tool(name="t", kind="opaque", api="openai-responses", raw={})]), "tools"),
        (openai(extra={"modalities": FOREIGN_RAW}), "modalities"),
        (saying(AudioPart(data="AA", format="wav")), "messages.content.input_audio"),
        (saying(ImagePart(file_id="file-1")), "messages.content.image.file_id"),
        (saying(FilePart(file_id="file-1")), "messages.content.file.file_id"),
        (saying(FilePart(data="AA==", media_type="application/zip")), "messages.content.file"),
        (saying(ToolCallPart(id="c", name="t", arguments="free text", kind="custom")), "messages.tool_calls.custom"),
    ],
)
def test_what_would_change_the_answer_is_refused_or_dropped_by_name(request_: LLMRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(request_)
    assert (caught.value.param, caught.value.status) == (param, 400)
    body, dropped = encoded(request_, drop=True)
    assert dropped == [param]
    assert param not in body


@pytest.mark.parametrize(
    "request_",
    [
        openai(temperature=1.0, frequency_penalty=0, presence_penalty=0.0, logit_bias={}, logprobs=False, n=1),
        openai(response_format=ResponseFormat(kind="text"), parallel_tool_calls=True),
    ],
)
def test_what_asks_for_nothing_is_not_named(request_: LLMRequest) -> None:
    assert encoded(request_)[1] == []


def test_what_is_harmless_is_dropped_by_name() -> None:
    opaque = OpaquePart(kind="web_search_call", api="openai-responses", raw=msgspec.Raw(b"{}"))
    request = openai(
        Message(role="user", name="Ann", content=[TextPart(text="x"), ImagePart(url="http://i", detail="high")]),
        Message(role="assistant", content=[ReasoningPart(text="unsigned"), opaque, TextPart(text="y")]),
        seed=1,
        hints={"store": FOREIGN_RAW},
    )
    body, dropped = encoded(request)
    assert sorted(dropped) == [
        "messages.content.image_url.detail",
        "messages.name",
        "messages.reasoning",
        "messages[].content[web_search_call]",
        "seed",
        "store",
    ]
    assert body["messages"][1]["content"] == [{"type": "text", "text": "y"}]


def test_a_signature_of_another_service_is_not_sent() -> None:
    foreign = ReasoningPart(text="t", signature="s", format="google-gemini-v1")
    own = ReasoningPart(text="t", signature="s", format="anthropic-claude-v1")
    hi = Message(role="user", content=[TextPart(text="hi")])
    body, dropped = encoded(openai(hi, Message(role="assistant", content=[foreign, own])))
    assert body["messages"][1]["content"] == [{"type": "thinking", "thinking": "t", "signature": "s"}]
    assert dropped == ["messages.reasoning"]


@pytest.mark.parametrize("arguments", ["{", "[1]", "7", '{"a":1} {"b":2}', "null"])
def test_arguments_that_are_no_object_are_named(arguments: str) -> None:
    with pytest.raises(RequestError) as caught:
        encoded(saying(ToolCallPart(id="c1", name="f", arguments=arguments)), drop=True)
    assert caught.value.param == "messages.tool_calls.function.arguments"
    assert "'c1' of 'f'" in caught.value.message


@pytest.mark.parametrize(
    "messages",
    [
        (Message(role="system", content=[TextPart(text="only this")]),),
        (Message(role="user", content=[TextPart(text=" \n")]),),
    ],
)
def test_a_conversation_without_a_turn_is_refused(messages: tuple[Message, ...]) -> None:
    with pytest.raises(RequestError) as caught:
        encoded(openai(*messages))
    assert caught.value.param == "messages"


BUDGET, ADAPTIVE = "claude-sonnet-4-5-20250929", "claude-opus-4-7"


@pytest.mark.parametrize(
    ("model", "reasoning", "max_tokens", "expected"),
    [
        (BUDGET, Reasoning(effort="none"), None, ({"type": "disabled"}, None, 4096)),
        (BUDGET, Reasoning(enabled=False), None, ({"type": "disabled"}, None, 4096)),
        (BUDGET, Reasoning(effort="minimal"), None, ({"type": "enabled", "budget_tokens": 1024}, None, 5120)),
        (BUDGET, Reasoning(effort="low"), None, ({"type": "enabled", "budget_tokens": 2048}, None, 6144)),
        (BUDGET, Reasoning(effort="medium"), None, ({"type": "enabled", "budget_tokens": 8192}, None, 12288)),
        (BUDGET, Reasoning(effort="high"), 1000, ({"type": "enabled", "budget_tokens": 16384}, None, 17384)),
        (BUDGET, Reasoning(effort="high"), 20000, ({"type": "enabled", "budget_tokens": 16384}, None, 20000)),
        (BUDGET, Reasoning(effort="max"), None, ({"type": "enabled", "budget_tokens": 24576}, None, 28672)),
        (BUDGET, Reasoning(enabled=True), 9000, ({"type": "enabled", "budget_tokens": 8192}, None, 9000)),
        (BUDGET, Reasoning(budget_tokens=5), 2000, ({"type": "enabled", "budget_tokens": 1024}, None, 2000)),
        (ADAPTIVE, Reasoning(effort="none"), None, ({"type": "disabled"}, None, 4096)),
        (ADAPTIVE, Reasoning(effort="minimal"), None, ({"type": "adaptive"}, "low", 6144)),
        (ADAPTIVE, Reasoning(effort="xhigh"), 100, ({"type": "adaptive"}, "xhigh", 100)),
        (ADAPTIVE, Reasoning(budget_tokens=9000), None, ({"type": "adaptive"}, "high", 20480)),
        (ADAPTIVE, Reasoning(enabled=True), None, ({"type": "adaptive"}, None, 12288)),
        (
            "claude-sonnet-4-20250514",
            Reasoning(effort="low"),
            None,
            ({"type": "enabled", "budget_tokens": 2048}, None, 6144),
        ),
        ("anthropic/claude-opus-4.6", Reasoning(effort="low"), None, ({"type": "adaptive"}, "low", 6144)),
        ("claude-sonnet-5", Reasoning(effort="low"), None, ({"type": "adaptive"}, "low", 6144)),
        ("kimi-k2", Reasoning(effort="low"), None, ({"type": "enabled", "budget_tokens": 2048}, None, 6144)),
    ],
)
def test_reasoning(model: str, reasoning: Reasoning, max_tokens: int | None, expected: tuple[Any, Any, int]) -> None:
    body, _ = encoded(openai(reasoning=reasoning, max_tokens=max_tokens), model)
    effort = body.get("output_config", {}).get("effort")
    assert (body["thinking"], effort, body["max_tokens"]) == expected


def test_an_id_that_the_api_refuses_is_written_alike_in_call_and_result() -> None:
    golden = next(path for path in GOLDEN if path.stem == "tools")
    text = golden.read_text()
    assert text.count('"functions.get_weather:0"') == 2
    assert text.count('"functions_get_weather_0"') == 2
