"""Legacy completions: requests read and written, answers in both forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.errors import RequestError
from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.model.response import text_chunk
from providers.wire.base import Translation
from providers.wire.openai_completions import WIRE

STREAM = (
    b"".join(
        b"data: " + json.dumps(event).encode() + b"\n\n"
        for event in (
            {
                "id": "c1",
                "object": "text_completion",
                "created": 5,
                "model": "real",
                "choices": [{"text": "Hel", "index": 0}],
            },
            {
                "id": "c1",
                "object": "text_completion",
                "created": 5,
                "model": "real",
                "choices": [{"text": "lo", "index": 0, "logprobs": None, "finish_reason": "length"}],
            },
            {
                "id": "c1",
                "object": "text_completion",
                "choices": [],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2},
            },
        )
    )
    + b"data: [DONE]\n\n"
)


def decode(**parameters: Any) -> LLMRequest:
    return WIRE.decode_request(json.dumps({"model": "m", **parameters}).encode())


def encode(request: LLMRequest) -> dict[str, Any]:
    request.raw = None
    body: dict[str, Any] = json.loads(WIRE.encode_request(request, "real", Translation("x")).body)
    return body


def test_a_prompt_of_one_text_is_a_message_that_can_be_changed() -> None:
    asked = {
        "prompt": "Once",
        "max_tokens": 5,
        "stop": ["."],
        "echo": True,
        "suffix": "end",
        "user": "u",
        "store": True,
    }
    request = decode(**asked)
    assert [message.text for message in request.messages] == ["Once"]
    assert request.max_tokens == 5
    assert encode(request) == {"model": "real", **asked}
    request.messages[0].content[0].text = "Twice"  # type: ignore[union-attr]
    assert encode(request)["prompt"] == "Twice"


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1], [2]]])
def test_several_prompts_and_tokens_go_on_as_they_are(prompt: Any) -> None:
    request = decode(prompt=prompt)
    assert request.messages == []
    assert encode(request)["prompt"] == prompt


def test_it_is_bound_to_its_api() -> None:
    with pytest.raises(RequestError, match="openai-completions"):
        Translation("anthropic-messages", drop_unsupported=True).refuse_bound(decode(prompt="a"))


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"model": 1}, "model"),
    ],
)
def test_what_is_wrong_is_named(parameters: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as wrong:
        decode(**{"prompt": "a", **parameters})
    assert wrong.value.param == param


def test_the_relay_changes_the_model_and_asks_for_usage() -> None:
    request = decode(prompt="h\u00e9", stream=True, odd=1)
    sent = json.loads(WIRE.relay_request(request, "real"))
    assert sent == {
        "model": "real",
        "prompt": "h\u00e9",
        "stream": True,
        "odd": 1,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_is_read_and_written_again(size: int) -> None:
    decoder = WIRE.stream_decoder()
    chunks = [chunk for at in range(0, len(STREAM), size) for chunk in decoder.feed(STREAM[at : at + size])]
    chunks += decoder.eof()
    assert b"".join(chunk.raw.body for chunk in chunks if chunk.raw) == STREAM
    assert {chunk.raw.api for chunk in chunks if chunk.raw} == {"openai-completions"}
    accumulator = Accumulator()
    encoder = WIRE.stream_encoder(LLMRequest(model="m", include_usage=True))
    out = b""
    for chunk in chunks:
        accumulator.add(chunk)
        out += encoder.encode(chunk)
    whole = accumulator.response()
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 2
    out += encoder.finish(whole)
    *events, done = out.decode().strip().split("\n\n")
    read = [json.loads(event.removeprefix("data: ")) for event in events]
    assert done == "data: [DONE]"
    assert [choice["text"] for event in read for choice in event["choices"]] == ["Hel", "lo"]
    assert read[-2]["choices"][0]["finish_reason"] == "length"
    assert read[-1]["usage"]["completion_tokens"] == 2
    assert {event["id"] for event in read} == {"c1"}


def test_a_stream_without_id_and_end_gets_both() -> None:
    encoder = WIRE.stream_encoder(LLMRequest(model="m"))
    out = encoder.encode(text_chunk("a")) + encoder.encode(text_chunk("b"))
    accumulator = Accumulator()
    accumulator.add(text_chunk("ab"))
    out += encoder.finish(accumulator.response())
    *events, _ = out.decode().strip().split("\n\n")
    read = [json.loads(event.removeprefix("data: ")) for event in events]
    assert len({event["id"] for event in read}) == 1
    assert [event["choices"][0]["finish_reason"] for event in read] == [None, None, "stop"]


def test_a_whole_answer_both_ways() -> None:
    choice = {"text": "Hello", "index": 0, "logprobs": {"tokens": ["Hello"]}, "finish_reason": "stop"}
    body = {"id": "c1", "object": "text_completion", "created": 5, "model": "real", "choices": [choice]}
    response: LLMResponse = WIRE.decode_response(json.dumps(body).encode())
    assert response.raw is not None
    assert response.raw.api == "openai-completions"
    assert json.loads(WIRE.encode_response(response, LLMRequest(model="m"))) == body
