"""Encoded streams: the official SDK's accumulator, which asserts on the order, builds the right response from them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.model import (
    Choice,
    Citation,
    Delta,
    LLMRequest,
    LLMResponse,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    finish_chunk,
)
from providers.replay.recording import Recording
from providers.wire import load_wire
from providers.wire.openai_responses import WIRE
from tests.providers.wire.openai_responses.support import accumulate, check_grammar, encode, sdk_response
from tests.support.recordings import recordings

FOREIGN = [*recordings("openai-chat", "stream"), *recordings("anthropic-messages", "stream")]


def chunk(*parts: Part) -> LLMResponse:
    return LLMResponse(choices=[Choice(delta=Delta(content=list(parts)))])


@pytest.mark.parametrize("recording", FOREIGN)
def test_real_streams_of_other_apis(recording: Recording) -> None:
    decoder = load_wire(recording.api).stream_decoder()
    chunks = decoder.feed(recording.response.body) + decoder.eof()
    if any(one.error for one in chunks):
        pytest.skip("an error in band")
    stream = encode(chunks)
    last = check_grammar(stream)
    built = sdk_response(stream)
    whole = json.loads(WIRE.encode_response(accumulate(chunks), LLMRequest(model="the-model")))
    assert without_ids(whole["output"]) == without_ids(last["output"])
    if last["status"] == "completed":
        assert built is not None
        assert [item.type for item in built.output] == [item["type"] for item in last["output"]]


def without_ids(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name != "id"} for item in output]


_TEXT = st.text(max_size=6)
_INDEX = st.integers(0, 3)
_PARTS = st.one_of(
    st.builds(TextPart, index=_INDEX, text=_TEXT),
    st.builds(RefusalPart, index=_INDEX, text=_TEXT),
    st.builds(
        ReasoningPart,
        index=_INDEX,
        text=_TEXT,
        signature=st.sampled_from(["", "c2ln"]),
        id=st.sampled_from([None, "rs_1", "rs_2"]),
        format=st.sampled_from([None, "openai-responses-v1", "openai-responses-content-v1", "anthropic-claude-v1"]),
    ),
    st.builds(
        ToolCallPart,
        index=_INDEX,
        id=st.sampled_from(["", "a", "b"]),
        name=st.sampled_from(["", "f"]),
        arguments=st.sampled_from(["", "{}", '{"a":', "1}"]),
        kind=st.sampled_from(["function", "custom"]),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_PARTS, max_size=3), max_size=8), st.sampled_from(["stop", "length", None]))
def test_whatever_comes_keeps_the_grammar(deltas: list[list[Part]], reason: str | None) -> None:
    chunks = [chunk(*parts) for parts in deltas]
    stream = encode([*chunks, finish_chunk(reason)] if reason else chunks)
    last = check_grammar(stream)
    sdk_response(stream)
    said = "".join(part.text for parts in deltas for part in parts if isinstance(part, TextPart))
    contents = [content for item in last["output"] if item["type"] == "message" for content in item["content"]]
    assert "".join(content.get("text", "") for content in contents) == said


def test_parallel_calls_that_arrive_interleaved_stay_whole() -> None:
    stream = encode(
        [
            chunk(ToolCallPart(index=0, id="a", name="f", arguments='{"x"')),
            chunk(ToolCallPart(index=1, id="b", name="g", arguments='{"y"')),
            chunk(ToolCallPart(index=0, arguments=":1}")),
            chunk(ToolCallPart(index=1, arguments=":2}")),
            finish_chunk("tool_calls"),
        ]
    )
    calls = [(item["name"], item["call_id"], item["arguments"]) for item in check_grammar(stream)["output"]]
    assert calls == [("f", "a", '{"x":1}'), ("g", "b", '{"y":2}')]


def test_a_citation_counts_from_its_own_text() -> None:
    cited = Citation(kind="url_citation", url="http://u", title="T", start=6, end=9, api="openai-chat")
    stream = encode(
        [
            chunk(TextPart(index=0, text="Hello")),
            chunk(TextPart(index=1, text=" sea.", citations=[cited])),
            chunk(TextPart(index=1, citations=[Citation(kind="char_location", api="anthropic-messages")])),
        ]
    )
    [message] = check_grammar(stream)["output"]
    assert message["content"][1]["annotations"] == [
        {"type": "url_citation", "url": "http://u", "title": "T", "start_index": 1, "end_index": 4}
    ]


def test_the_answer_repeats_the_request() -> None:
    body = {"model": "m", "input": "hi", "instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.5}
    request = WIRE.decode_request(json.dumps(body).encode())
    for raw in (request.raw, None):
        request.raw = raw
        last = check_grammar(encode([chunk(TextPart(text="x"))], request))
        assert {name: last[name] for name in ("instructions", "metadata", "temperature")} == {
            name: body[name] for name in ("instructions", "metadata", "temperature")
        }
