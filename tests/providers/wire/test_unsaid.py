"""What a client's API cannot say of an answer: named when it is whole, counted in a stream, and the same either way."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from providers.model import (
    AssistantMessage,
    AudioPart,
    Choice,
    Citation,
    FilePart,
    ImagePart,
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    chunk_of_whole,
)
from providers.wire import anthropic_messages, gemini_generate, openai_chat, openai_completions, openai_responses
from providers.wire.base import Wire

WIRES = {
    module.WIRE.api: module.WIRE
    for module in (openai_chat, openai_responses, openai_completions, anthropic_messages, gemini_generate)
}
SEARCH = OpaquePart(kind="web_search", api="elsewhere", raw=msgspec.Raw(b'{"type":"web_search"}'))
PARTS: list[Part] = [
    ReasoningPart(text="hm"),
    SEARCH,
    TextPart(text="Hello", citations=[Citation(kind="their_own", api="elsewhere", raw={"no": "url"})]),
    ToolCallPart(id="c1", name="f", arguments="{}"),
    AudioPart(data="QQ==", format="wav"),
    ImagePart(file_id="files/1"),
    FilePart(data="QQ==", media_type="application/pdf"),
    SEARCH,
    RefusalPart(text="no"),
    TextPart(),
]
UNSAID = {
    "openai-chat": ["web_search", "image", "file", "web_search", "citation"],
    "openai-responses": ["web_search", "audio", "image", "file", "web_search", "citation"],
    "openai-completions": ["reasoning", "web_search", "tool_call", "audio", "image", "file", "web_search", "refusal"],
    "anthropic-messages": ["web_search", "citation", "audio", "image", "file", "web_search"],
    "gemini-generate": ["web_search", "web_search", "citation"],
}


def answer(*parts: Part, choices: int = 1) -> LLMResponse:
    content = [msgspec.structs.replace(part, index=index) for index, part in enumerate(parts)]
    message = AssistantMessage(content=content)
    return LLMResponse(
        id="1",
        model="m",
        choices=[Choice(index=index, message=message, finish_reason="stop") for index in range(choices)],
    )


def unsaid_of(wire: Wire, response: LLMResponse) -> list[str]:
    request = LLMRequest(model="m")
    wire.encode_response(response, request)
    return request.notes.unsaid


def counted_of(wire: Wire, response: LLMResponse) -> int:
    encoder = wire.stream_encoder(LLMRequest(model="m", stream=True))
    encoder.encode(chunk_of_whole(response))
    encoder.finish(response)
    return encoder.dropped_blocks


def test_every_client_wire_is_asked() -> None:
    assert set(WIRES) == set(UNSAID)


@pytest.mark.parametrize("api", WIRES)
def test_a_whole_answer_names_what_a_stream_counts(api: str) -> None:
    response = answer(*PARTS)
    unsaid = unsaid_of(WIRES[api], response)
    assert Counter(unsaid) == Counter(UNSAID[api])
    assert len(unsaid) == counted_of(WIRES[api], response)


@pytest.mark.parametrize("api", WIRES)
def test_what_can_be_said_is_not_named(api: str) -> None:
    assert unsaid_of(WIRES[api], answer(TextPart(text="Hello"))) == []


@pytest.mark.parametrize("api", ["anthropic-messages", "openai-responses"])
def test_an_api_of_one_answer_names_the_others(api: str) -> None:
    response = answer(TextPart(text="Hello"), choices=3)
    assert unsaid_of(WIRES[api], response) == ["choice", "choice"]
    assert counted_of(WIRES[api], response) == 2


@pytest.mark.parametrize(
    ("api", "named"), [("anthropic-messages", ["arguments"]), ("gemini-generate", ["tool_call"]), ("openai-chat", [])]
)
def test_arguments_that_were_cut_off(api: str, named: list[str]) -> None:
    assert unsaid_of(WIRES[api], answer(ToolCallPart(id="c1", name="f", arguments='{"a": '))) == named
