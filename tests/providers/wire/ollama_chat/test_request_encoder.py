"""Requests of other APIs as bodies of /api/chat, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import ollama
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
from providers.wire.ollama_chat import WIRE

HI = Message(role="user", content=[TextPart(text="hi")])
TOOL = Tool(name="t", description="d", parameters={"properties": {"a": {"type": "string"}}})


def request_of(*messages: Message, **fields: Any) -> LLMRequest:
    return LLMRequest(model="m", messages=list(messages) or [HI], metadata=RequestMetadata(api="openai-chat"), **fields)


def assistant(*parts: Part) -> Message:
    return Message(role="assistant", content=list(parts))


def encoded(request: LLMRequest, model: str = "qwen3", *, drop: bool = False) -> tuple[dict[str, Any], list[str]]:
    result = WIRE.encode_request(request, model, Translation("ollama-chat", drop_unsupported=drop))
    body = msgspec.json.decode(result.body)
    ollama._types.ChatRequest.model_validate(body)  # the official client's own types
    return body, result.dropped


def test_a_simple_request() -> None:
    body = {"model": "qwen3", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert encoded(request_of()) == (body, [])


def test_options() -> None:
    body, dropped = encoded(
        request_of(
            max_tokens=9,
            temperature=0.5,
            top_p=0.9,
            top_k=4,
            stop=["a"],
            seed=1,
            frequency_penalty=0.5,
            presence_penalty=-0.5,
            logprobs=True,
            top_logprobs=2,
            stream=True,
        )
    )
    assert body["options"] == {
        "num_predict": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "seed": 1,
        "stop": ["a"],
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
    }
    assert (body["stream"], body["logprobs"], body["top_logprobs"], dropped) == (True, True, 2, [])


@pytest.mark.parametrize(
    ("model", "reasoning", "think"),
    [
        ("qwen3", Reasoning(effort="low"), True),
        ("qwen3", Reasoning(enabled=False), False),
        ("qwen3", Reasoning(effort="none"), False),
        ("gpt-oss:20b", Reasoning(effort="minimal"), "low"),
        ("gpt-oss:20b", Reasoning(effort="max"), "high"),
        ("gpt-oss:20b", Reasoning(budget_tokens=4000), "medium"),
        ("gpt-oss:20b", Reasoning(enabled=True), "medium"),
    ],
)
def test_thinking(model: str, reasoning: Reasoning, think: bool | str) -> None:
    assert encoded(request_of(reasoning=reasoning), model)[0]["think"] == think


@pytest.mark.parametrize(
    ("form", "wire"),
    [
        (ResponseFormat(kind="text"), None),
        (ResponseFormat(kind="json_object"), "json"),
        (ResponseFormat(kind="json_schema", schema={"type": "object"}), {"type": "object"}),
    ],
)
def test_structured_output(form: ResponseFormat, wire: Any) -> None:
    assert encoded(request_of(response_format=form))[0].get("format") == wire


def test_tools() -> None:
    body, dropped = encoded(request_of(tools=[TOOL, Tool(name="s", strict=True)], tool_choice=ToolChoice(mode="auto")))
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert body["tools"][0] == {
        "type": "function",
        "function": {"name": "t", "description": "d", "parameters": schema},
    }
    assert dropped == ["tools.strict"]
    assert "tools" not in encoded(request_of(tools=[TOOL], tool_choice=ToolChoice(mode="none")))[0]


def test_a_conversation_with_tools_and_pictures() -> None:
    picture = ImagePart(url="data:image/png;base64,AAAA", detail="high")
    body, dropped = encoded(
        request_of(
            Message(role="developer", content=[TextPart(text="Be brief.")]),
            Message(role="user", name="Ann", content=[TextPart(text="a"), picture, FilePart(text="b")]),
            assistant(
                ReasoningPart(text="hm"),
                ReasoningPart(text="x", signature="s", format="anthropic-claude-v1"),
                ToolCallPart(id="1", name="t", arguments='{"a": 1.50}'),
            ),
            Message(
                role="tool", content=[ToolResultPart(tool_call_id="1", content=[ImagePart(data="BBBB")], is_error=True)]
            ),
            Message(role="tool", content=[ToolResultPart(tool_call_id="2", content=[TextPart(text="r")])]),
        )
    )
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\nb", "images": ["AAAA"]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "1", "function": {"name": "t", "arguments": {"a": 1.5}}}],
        },
        {
            "role": "tool",
            "content": "The result is in the next user message.",
            "tool_call_id": "1",
            "tool_name": "t",
        },
        {"role": "tool", "content": "r", "tool_call_id": "2"},
        {"role": "user", "content": "Result of tool call 1:", "images": ["BBBB"]},
    ]
    assert dropped == [
        "messages.name",
        "messages.content.image_url.detail",
        "messages.reasoning",
        "messages.content.tool_result.is_error",
    ]


FOREIGN = msgspec.Raw(b"1")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (request_of(logit_bias={"1": 2}), "logit_bias"),
        (request_of(n=2), "n"),
        (request_of(tools=[TOOL], tool_choice=ToolChoice(mode="required")), "tool_choice"),
        (request_of(tools=[TOOL], tool_choice=ToolChoice(mode="tool", name="t")), "tool_choice"),
        (request_of(tools=[TOOL], parallel_tool_calls=False), "parallel_tool_calls"),
        (request_of(tools=[Tool(name="x", kind="custom", api="openai-chat", raw={})]), "tools"),
        (request_of(extra={"modalities": FOREIGN}), "modalities"),
        (request_of(Message(role="user", content=[AudioPart(data="AA==")])), "messages.content.input_audio"),
        (request_of(Message(role="user", content=[FilePart(data="AA==")])), "messages.content.file"),
        (request_of(Message(role="user", content=[ImagePart(url="https://x/y.png")])), "messages.content.image_url"),
        (request_of(Message(role="user", content=[ImagePart(file_id="f")])), "messages.content.image.file_id"),
        (request_of(HI, assistant(ToolCallPart(id="1", name="x", kind="custom"))), "messages.tool_calls.custom"),
    ],
)
def test_what_would_change_the_answer_is_refused_or_dropped_by_name(request_: LLMRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(request_)
    assert caught.value.param == param
    assert encoded(request_, drop=True)[1] == [param]


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
def test_arguments_that_are_no_object_are_named(arguments: str) -> None:
    with pytest.raises(RequestError, match="'c1' of 'f'"):
        encoded(request_of(HI, assistant(ToolCallPart(id="c1", name="f", arguments=arguments))))


def test_a_conversation_without_content_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one message"):
        encoded(request_of(Message(role="user", content=[])))
