"""Google signs texts and tool calls. The signatures survive the way to a client of another API and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from providers.model import (
    GOOGLE_SIGNATURE,
    Accumulator,
    AssistantMessage,
    Choice,
    LLMRequest,
    LLMResponse,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    chunk_of_whole,
)
from providers.wire import load_wire
from providers.wire.base import Translation
from tests.providers.wire.anthropic_messages.support import sdk_message

ASKED = LLMRequest(model="m", stream=True)

PARTS: list[Part] = [
    ReasoningPart(index=0, text="Hm.", signature="sig-thought", format=GOOGLE_SIGNATURE),
    TextPart(index=1, text="Looking ", signature="sig-text"),
    ToolCallPart(index=2, id="call_1", name="look", arguments='{"at":1}', signature="sig-call"),
    ToolCallPart(index=3, id="call_2", name="look", arguments='{"at":2}'),
    TextPart(index=4, signature="sig-end"),
]
SIGNATURES = ["sig-thought", "sig-text", "sig-call", "sig-end"]

ANSWER = LLMResponse(choices=[Choice(message=AssistantMessage(content=PARTS), finish_reason="tool_calls")])


def chat_message(streamed: bool) -> dict[str, Any]:
    """The assistant's message as a client of the OpenAI SDK keeps it."""
    wire = load_wire("openai-chat")
    if not streamed:
        return json.loads(wire.encode_response(ANSWER, ASKED))["choices"][0]["message"]
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for line in stream("openai-chat").split(b"\n\n"):
        if line.startswith(b"data: {"):
            state.handle_chunk(ChatCompletionChunk.model_validate_json(line[6:]))
    return state.current_completion_snapshot.choices[0].message.model_dump(exclude_none=True)


def anthropic_message(streamed: bool) -> dict[str, Any]:
    """The same with the Anthropic SDK."""
    body = (
        sdk_message(stream("anthropic-messages"))
        if streamed
        else json.loads(load_wire("anthropic-messages").encode_response(ANSWER, ASKED))
    )
    return {"role": "assistant", "content": body["content"]}


def stream(api: str) -> bytes:
    encoder = load_wire(api).stream_encoder(ASKED)
    chunk = chunk_of_whole(ANSWER)
    accumulator = Accumulator()
    accumulator.add(chunk)
    return encoder.encode(chunk) + encoder.finish(accumulator.response())


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("api", "keep"), [("openai-chat", chat_message), ("anthropic-messages", anthropic_message)], ids=["chat", "claude"]
)
def test_signatures_come_back_from_a_client(api: str, keep: Callable[[bool], dict[str, Any]], streamed: bool) -> None:
    history = [{"role": "user", "content": "go"}, keep(streamed)]
    body = {"model": "m", "max_tokens": 9, "messages": history}
    request = load_wire(api).decode_request(json.dumps(body).encode())
    parts = request.messages[1].content
    found = [part.signature for part in parts if isinstance(part, ReasoningPart | TextPart | ToolCallPart)]
    assert sorted(filter(None, found)) == sorted(SIGNATURES)
    for part in parts:
        if isinstance(part, ReasoningPart):
            assert part.format == GOOGLE_SIGNATURE
    if api == "anthropic-messages":  # right before what it signs
        call = next(place for place, part in enumerate(parts) if isinstance(part, ToolCallPart))
        before = parts[call - 1]
        assert isinstance(before, ReasoningPart)
        assert (before.text, before.signature) == ("", "sig-call")


@pytest.mark.parametrize("api", ["openai-chat", "anthropic-messages"])
def test_another_provider_never_sees_them(api: str) -> None:
    request = LLMRequest(model="m")
    request.metadata.api = "some-other-api"
    request.messages = (
        load_wire("openai-chat")
        .decode_request(
            json.dumps({"model": "m", "messages": [{"role": "user", "content": "go"}, chat_message(False)]}).encode()
        )
        .messages
    )
    encoded = load_wire(api).encode_request(request, "m", Translation(api))
    assert b"sig-" not in encoded.body
    assert encoded.dropped


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("api", "keep"), [("openai-chat", chat_message), ("anthropic-messages", anthropic_message)], ids=["chat", "claude"]
)
def test_google_gets_back_what_it_signed(api: str, keep: Callable[[bool], dict[str, Any]], streamed: bool) -> None:
    results = {
        "openai-chat": [{"role": "tool", "tool_call_id": call, "content": "seen"} for call in ("call_1", "call_2")],
        "anthropic-messages": [
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": call, "content": "seen"} for call in ("call_1", "call_2")
                ],
            }
        ],
    }
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "go"}, keep(streamed)]}
    body["messages"] += results[api]
    request = load_wire(api).decode_request(json.dumps(body).encode())
    encoded = load_wire("gemini-generate").encode_request(request, "gemini-3-pro", Translation("gemini-generate"))
    answer = json.loads(encoded.body)["contents"][1]["parts"]
    signed = {part["thoughtSignature"]: part for part in answer if "thoughtSignature" in part}
    assert sorted(signed) == sorted(SIGNATURES)
    assert signed["sig-call"]["functionCall"]["args"] == {"at": 1}
    assert (signed["sig-thought"]["text"], signed["sig-thought"]["thought"]) == ("Hm.", True)
    assert "functionCall" not in signed["sig-text"]
    if api == "anthropic-messages":  # OpenAI's wire has no order between a message's fields
        assert signed["sig-text"]["text"] == "Looking "
        assert list(signed) == SIGNATURES


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_googles_own_openai_endpoint_is_read(streamed: bool) -> None:
    def signed(signature: str) -> dict[str, Any]:
        return {"extra_content": {"google": {"thought_signature": signature}}}

    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, **signed("s1")}
    message = {"role": "assistant", "content": "hi", "tool_calls": [call], **signed("s2")}
    choice = {"index": 0, "delta" if streamed else "message": message, "finish_reason": "tool_calls"}
    body = json.dumps({"id": "x", "choices": [choice]}).encode()
    wire = load_wire("openai-chat")
    accumulator = Accumulator()
    if streamed:
        decoder = wire.stream_decoder()
        for chunk in (*decoder.feed(b"data: " + body + b"\n\ndata: [DONE]\n\n"), *decoder.eof()):
            if isinstance(chunk, LLMResponse):
                accumulator.add(chunk)
            else:
                accumulator.add_run(chunk)
    else:
        accumulator.add(wire.decode_response(body))
    answer = accumulator.response().choices[0].message
    assert answer is not None
    assert [call.signature for call in answer.tool_calls] == ["s1"]
    assert "".join(part.signature for part in answer.content if isinstance(part, TextPart)) == "s2"
