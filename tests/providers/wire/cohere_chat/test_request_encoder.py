"""Requests of other APIs as bodies of Cohere's chat, and what is refused."""

from __future__ import annotations

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
    Part,
    Reasoning,
    ReasoningPart,
    RequestMetadata,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire.base import Translation
from providers.wire.cohere_chat import WIRE

PLAIN, THINKS = "command-a-03-2025", "command-a-reasoning-08-2025"
HI = Message(role="user", content=[TextPart(text="hi")])
TOOL = Tool(name="t", description="d", parameters={"properties": {"a": {"type": "string"}}})


def request_of(*messages: Message, **fields: Any) -> LLMRequest:
    return LLMRequest(model="m", messages=list(messages) or [HI], metadata=RequestMetadata(api="openai-chat"), **fields)


def assistant(*parts: Part) -> Message:
    return Message(role="assistant", content=list(parts))


def encoded(request: LLMRequest, model: str = PLAIN, *, drop: bool = False) -> tuple[dict[str, Any], list[str]]:
    result = WIRE.encode_request(request, model, Translation("cohere-chat", drop_unsupported=drop))
    return msgspec.json.decode(result.body), result.dropped


def test_a_simple_request() -> None:
    body = {"model": PLAIN, "messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert encoded(request_of()) == (body, [])


def test_sampling() -> None:
    body, dropped = encoded(
        request_of(
            max_tokens=9,
            temperature=0.5,
            top_p=0.995,
            top_k=4,
            stop=["a"],
            seed=1,
            frequency_penalty=0.5,
            presence_penalty=0.0,
            logprobs=True,
            stream=True,
        )
    )
    del body["messages"], body["model"]
    assert body == {
        "stream": True,
        "max_tokens": 9,
        "temperature": 0.5,
        "p": 0.99,
        "k": 4,
        "stop_sequences": ["a"],
        "seed": 1,
        "frequency_penalty": 0.5,
        "logprobs": True,
    }
    assert dropped == []
    assert "p" not in encoded(request_of(top_p=1.0))[0]


@pytest.mark.parametrize(
    ("choice", "wire", "names"),
    [
        (None, None, ["t", "u"]),
        (ToolChoice(mode="auto"), None, ["t", "u"]),
        (ToolChoice(mode="none"), "NONE", ["t", "u"]),
        (ToolChoice(mode="required"), "REQUIRED", ["t", "u"]),
        (ToolChoice(mode="tool", name="u"), "REQUIRED", ["u"]),
    ],
)
def test_tool_choice(choice: ToolChoice | None, wire: str | None, names: list[str]) -> None:
    body, _ = encoded(request_of(tools=[TOOL, Tool(name="u")], tool_choice=choice))
    assert body.get("tool_choice") == wire
    assert [tool["function"]["name"] for tool in body["tools"]] == names


def test_tools_are_strict_together() -> None:
    strict = Tool(name="s", strict=True)
    assert encoded(request_of(tools=[strict, strict]))[0]["strict_tools"] is True
    body, dropped = encoded(request_of(tools=[strict, TOOL]))
    assert ("strict_tools" in body, dropped) == (False, ["tools.strict"])


@pytest.mark.parametrize(
    ("form", "wire"),
    [
        (ResponseFormat(kind="text"), None),
        (ResponseFormat(kind="json_object"), {"type": "json_object"}),
        (
            ResponseFormat(kind="json_schema", name="n", schema={"type": "object"}),
            {"type": "json_object", "json_schema": {"type": "object"}},
        ),
    ],
)
def test_structured_output(form: ResponseFormat, wire: dict[str, Any] | None) -> None:
    assert encoded(request_of(response_format=form))[0].get("response_format") == wire


@pytest.mark.parametrize(
    ("model", "reasoning", "wire", "dropped"),
    [
        (THINKS, Reasoning(effort="low"), {"type": "enabled", "token_budget": 2048}, []),
        (THINKS, Reasoning(effort="high"), {"type": "enabled"}, []),
        (THINKS, Reasoning(budget_tokens=500), {"type": "enabled", "token_budget": 500}, []),
        (THINKS, Reasoning(enabled=True), {"type": "enabled"}, []),
        (THINKS, Reasoning(enabled=False), {"type": "disabled"}, []),
        (PLAIN, Reasoning(effort="none"), None, ["reasoning"]),
        (THINKS, Reasoning(enabled=True, display="omitted"), {"type": "enabled"}, ["thinking.display"]),
    ],
)
def test_reasoning(model: str, reasoning: Reasoning, wire: dict[str, Any] | None, dropped: list[str]) -> None:
    body, told = encoded(request_of(reasoning=reasoning), model)
    assert (body.get("thinking"), told) == (wire, dropped)


def test_a_conversation_with_tools() -> None:
    body, dropped = encoded(
        request_of(
            Message(role="developer", content=[TextPart(text="Be brief.")]),
            Message(
                role="user", name="Ann", content=[TextPart(text="a"), ImagePart(url="https://x/y.png", detail="low")]
            ),
            assistant(ReasoningPart(text="plan"), ToolCallPart(id="1", name="t", arguments='{"a": 1.50}')),
            Message(
                role="tool",
                content=[ToolResultPart(tool_call_id="1", content=[TextPart(text="r"), ImagePart(data="AA==")])],
            ),
            assistant(TextPart(text="b", cache_control={"type": "ephemeral"}), ReasoningPart(text="unsigned")),
        )
    )
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "t", "arguments": '{"a": 1.50}'}}],
            "tool_plan": "plan",
        },
        {"role": "tool", "tool_call_id": "1", "content": "r"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Result of tool call 1:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        },
        {"role": "assistant", "content": "b"},
    ]
    assert dropped == ["messages.name", "cache_control", "messages.reasoning"]


def test_a_model_that_thinks_gets_its_thoughts_back() -> None:
    body, dropped = encoded(request_of(HI, assistant(ReasoningPart(text="t"), TextPart(text="b"))), THINKS)
    thoughts = [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "b"}]
    assert (body["messages"][1], dropped) == ({"role": "assistant", "content": thoughts}, [])
    signed = assistant(ReasoningPart(text="t", signature="s", format="anthropic-claude-v1"), TextPart(text="b"))
    body, dropped = encoded(request_of(HI, signed), THINKS)
    assert (body["messages"][1]["content"], dropped) == ("b", ["messages.reasoning"])


def test_documents_that_may_be_cited() -> None:
    cited = FilePart(text="High water 20:03", filename="Notice", citations=True)
    plain = FilePart(text="Low water 14:00")
    body, _ = encoded(request_of(Message(role="user", content=[cited, plain, TextPart(text="when?")])))
    assert body["documents"] == [{"data": {"title": "Notice", "text": "High water 20:03"}}]
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "Low water 14:00"},
        {"type": "text", "text": "when?"},
    ]


FOREIGN = msgspec.Raw(b"1")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (request_of(frequency_penalty=-0.5), "frequency_penalty"),
        (request_of(presence_penalty=1.5), "presence_penalty"),
        (request_of(logit_bias={"1": 2}), "logit_bias"),
        (request_of(top_logprobs=2), "top_logprobs"),
        (request_of(n=2), "n"),
        (request_of(tools=[TOOL], parallel_tool_calls=False), "parallel_tool_calls"),
        (request_of(tools=[Tool(name="x", kind="custom", api="openai-chat", raw={})]), "tools"),
        (request_of(extra={"modalities": FOREIGN}), "modalities"),
        (request_of(Message(role="user", content=[AudioPart(data="AA==")])), "messages.content.input_audio"),
        (request_of(Message(role="user", content=[FilePart(data="AA==")])), "messages.content.file"),
        (request_of(Message(role="user", content=[ImagePart(file_id="f")])), "messages.content.image.file_id"),
        (request_of(HI, assistant(ToolCallPart(id="1", name="x", kind="custom"))), "messages.tool_calls.custom"),
    ],
)
def test_what_would_change_the_answer_is_refused_or_dropped_by_name(request_: LLMRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(request_)
    assert caught.value.param == param
    request_.messages.append(HI)
    assert encoded(request_, drop=True)[1] == [param]


def test_a_conversation_without_content_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one message"):
        encoded(request_of(Message(role="user", content=[])))
