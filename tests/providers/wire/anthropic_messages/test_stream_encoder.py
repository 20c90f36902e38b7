"""What Anthropic clients get, from Anthropic providers and from others: a valid stream that the SDK reads right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.model import (
    AudioPart,
    Choice,
    Citation,
    Delta,
    ErrorInfo,
    EventKind,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenDetails,
    ToolCallPart,
    Usage,
    finish_chunk,
    reasoning_chunk,
    text_chunk,
    tool_call_chunk,
)
from providers.wire.anthropic_messages import WIRE
from tests.providers.wire.anthropic_messages.grammar import check, events_of
from tests.providers.wire.anthropic_messages.support import (
    CLIENT_REQUEST,
    accumulate,
    as_message,
    block,
    decode,
    encode,
    end,
    event,
    recordings,
    sdk_message,
    start,
    text_block,
    without_raw,
)


def chunk(*parts: Part) -> LLMResponse:
    return LLMResponse(choices=[Choice(delta=Delta(content=list(parts)))])


def content(stream: bytes) -> list[dict[str, Any]]:
    """The blocks that the SDK accumulates, without its empty fields."""
    blocks = sdk_message(stream)["content"]
    return [{name: value for name, value in block.items() if value is not None} for block in blocks]


@pytest.mark.parametrize("path", recordings("stream"))
def test_an_unchanged_stream_of_the_same_api_is_relayed_byte_for_byte(path: Path) -> None:
    body = path.read_bytes()
    assert encode(decode(body)) == body


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_encoded_again_reads_the_same(path: Path) -> None:
    chunks = decode(path.read_bytes())
    again = encode(map(without_raw, chunks))
    check(again)
    kept = [block for block in as_message(accumulate(chunks))["content"] if block.get("text") != ""]
    read = content(again)
    for ours, theirs in zip(kept, read, strict=True):
        if ours["type"] == "mcp_tool_use" or ours.get("id") == "toolu_first":  # the SDK reads no such input; a cut call
            ours["input"] = theirs["input"]
        assert {name: value for name, value in ours.items() if value is not None} == theirs
    message, told = sdk_message(again), as_message(accumulate(chunks))
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == (
        told["stop_reason"],
        told["usage"]["output_tokens"],
    )
    assert message["usage"]["input_tokens"] == told["usage"]["input_tokens"]


def test_a_text_answer_of_another_api() -> None:
    chunks = [
        LLMResponse(id="chatcmpl-1", model="gpt-x", choices=[Choice(delta=Delta(role="assistant"))]),
        text_chunk("Hel"),
        text_chunk("lo"),
        finish_chunk("stop"),
        LLMResponse(
            kind=EventKind.USAGE,
            usage=Usage(
                prompt_tokens=30, completion_tokens=7, details=TokenDetails(cached_tokens=10, reasoning_tokens=3)
            ),
        ),
        LLMResponse(kind=EventKind.DONE),
    ]
    stream = encode(chunks)
    events = check(stream)
    assert events[0]["message"]["usage"]["input_tokens"] == 0
    message = sdk_message(stream)
    assert (message["id"], message["model"], message["role"]) == ("chatcmpl-1", "gpt-x", "assistant")
    assert content(stream) == [{"type": "text", "text": "Hello"}]
    assert message["stop_reason"] == "end_turn"
    usage = message["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (20, 10, 7)
    assert usage["output_tokens_details"]["thinking_tokens"] == 3


def test_usage_that_is_known_at_the_start_is_told_there() -> None:
    first = LLMResponse(usage=Usage(prompt_tokens=9), choices=[Choice(delta=Delta(role="assistant"))])
    assert check(encode([first, text_chunk("x")]))[0]["message"]["usage"]["input_tokens"] == 9


def test_id_and_model_are_made_up_when_the_provider_gives_none() -> None:
    message = check(encode([text_chunk("x")]))[0]["message"]
    assert message["id"].startswith("msg_")
    assert message["model"] == "the-model"


def test_an_answer_without_any_chunk_is_a_valid_empty_message() -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    check(encoder.finish(LLMResponse()))
    assert encoder.finish(LLMResponse()) == b""


def test_reasoning_text_tool_text_in_order() -> None:
    stream = encode(
        [
            reasoning_chunk("think"),
            reasoning_chunk("ing", signature="si"),
            reasoning_chunk("", signature="g=="),
            text_chunk("A"),
            tool_call_chunk('{"a":', index=0, id="c1", name="f"),
            tool_call_chunk("1}", index=0),
            text_chunk("B"),
            finish_chunk("tool_calls"),
        ]
    )
    check(stream)
    assert content(stream) == [
        {"type": "thinking", "thinking": "thinking", "signature": "sig=="},
        {"type": "text", "text": "A"},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "text", "text": "B"},
    ]
    assert sdk_message(stream)["stop_reason"] == "tool_use"


def test_reasoning_that_nobody_signed_has_the_empty_signature() -> None:
    stream = encode([reasoning_chunk("hm"), text_chunk("x")])
    assert content(stream)[0] == {"type": "thinking", "thinking": "hm", "signature": ""}


def test_redacted_reasoning() -> None:
    stream = encode([chunk(ReasoningPart(redacted="xyz")), text_chunk("x")])
    check(stream)
    assert content(stream)[0] == {"type": "redacted_thinking", "data": "xyz"}


def test_a_complete_call_ends_before_the_next_begins() -> None:
    stream = encode(
        [
            tool_call_chunk('{"a":1}', index=0, id="c1", name="f"),
            tool_call_chunk("{}", index=1, id="c2", name="g"),
        ]
    )
    kinds = [event["type"] for event in check(stream)]
    assert kinds.index("content_block_stop") < len(kinds) - 1 - kinds[::-1].index("content_block_start")


def test_interleaved_parallel_calls_are_told_by_index() -> None:
    stream = encode(
        [
            tool_call_chunk("", index=0, id="c1", name="f"),
            tool_call_chunk("", index=1, id="c2", name="g"),
            tool_call_chunk('{"a":', index=0),
            tool_call_chunk('{"b":', index=1),
            tool_call_chunk("1}", index=0),
            tool_call_chunk("2}", index=1),
            finish_chunk("tool_calls"),
        ]
    )
    check(stream)
    assert [block["input"] for block in content(stream)] == [{"a": 1}, {"b": 2}]


def test_calls_that_a_vendor_numbers_all_0_are_told_apart_by_id() -> None:
    stream = encode(
        [
            tool_call_chunk('{"a":1}', index=0, id="c1", name="f"),
            tool_call_chunk('{"b":', index=0, id="c2", name="g"),
            tool_call_chunk("2}", index=0),
        ]
    )
    check(stream)
    assert [(block["id"], block["input"]) for block in content(stream)] == [("c1", {"a": 1}), ("c2", {"b": 2})]


def test_an_id_repeated_in_every_delta_is_the_same_call() -> None:
    stream = encode([tool_call_chunk(text, index=0, id="c1", name="f") for text in ('{"a"', ":", "1}")])
    assert [block["input"] for block in content(stream)] == [{"a": 1}]


def test_a_call_whose_name_comes_late_waits_for_it() -> None:
    stream = encode([tool_call_chunk('{"a"', index=0, id="c1"), tool_call_chunk(":1}", index=0, name="f")])
    check(stream)
    assert content(stream) == [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]


def test_a_call_that_never_gets_a_name_is_counted() -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    stream = encoder.encode(tool_call_chunk("{}", index=0, id="c1")) + encoder.finish(LLMResponse())
    check(stream)
    assert encoder.dropped_blocks == 1


def test_a_call_without_arguments_has_empty_input() -> None:
    stream = encode([tool_call_chunk(index=0, id="c1", name="f"), finish_chunk("tool_calls")])
    check(stream)
    assert content(stream)[0]["input"] == {}


def test_a_call_without_an_id_gets_one() -> None:
    assert content(encode([tool_call_chunk("{}", index=0, name="f")]))[0]["id"].startswith("toolu_")


@pytest.mark.parametrize(
    ("finish", "native", "sequence", "expected"),
    [
        ("stop", None, None, "end_turn"),
        ("stop", "stop", None, "end_turn"),
        ("stop", "pause_turn", None, "pause_turn"),
        ("stop", "stop_sequence", "END", "stop_sequence"),
        ("stop", None, "END", "stop_sequence"),
        ("length", "length", None, "max_tokens"),
        ("length", "model_context_window_exceeded", None, "model_context_window_exceeded"),
        ("content_filter", "content_filter", None, "refusal"),
        ("content_filter", "refusal", None, "refusal"),
        ("length", "end_turn", None, "max_tokens"),  # a plugin changed it
        (None, None, None, "end_turn"),
        ("eos", "eos", None, "end_turn"),
    ],
)
def test_stop_reasons(finish: str | None, native: str | None, sequence: str | None, expected: str) -> None:
    last = Choice(delta=Delta(), finish_reason=finish, native_finish_reason=native, stop_sequence=sequence)
    message = sdk_message(encode([text_chunk("x"), LLMResponse(choices=[last])]))
    assert (message["stop_reason"], message["stop_sequence"]) == (expected, sequence)


def test_a_forced_call_that_openai_says_stopped_is_tool_use() -> None:
    stream = encode([tool_call_chunk("{}", index=0, id="c", name="f"), finish_chunk("stop")])
    assert sdk_message(stream)["stop_reason"] == "tool_use"


def test_a_refusal_is_text() -> None:
    stream = encode([chunk(RefusalPart(text="I can't")), finish_chunk("content_filter")])
    assert content(stream) == [{"type": "text", "text": "I can't"}]
    assert sdk_message(stream)["stop_reason"] == "refusal"


def test_what_the_client_has_no_block_for_is_counted() -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    foreign = OpaquePart(index=1, kind="web_search_call", api="openai-responses", raw=msgspec.Raw(b"{}"))
    cited = TextPart(text="x", citations=[Citation(kind="url_citation", url="http://x", api="openai-chat")])
    stream = encoder.encode(chunk(AudioPart(data="AA"), foreign))
    stream += encoder.encode(chunk(AudioPart(data="AA"), cited))
    other = LLMResponse(choices=[Choice(index=1, delta=Delta(content=[TextPart(text="no")]))])
    stream += encoder.encode(other) + encoder.encode(other) + encoder.finish(LLMResponse())
    check(stream)
    assert content(stream) == [{"type": "text", "text": "x"}]
    assert encoder.dropped_blocks == 4


def test_keep_alives_of_others_become_pings() -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    assert events_of(encoder.encode(LLMResponse(kind=EventKind.KEEP_ALIVE))) == [{"type": "ping"}]


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        (ErrorInfo(message="m", type="overloaded_error", status=529), "overloaded_error"),
        (ErrorInfo(message="m", type="insufficient_quota", status=429), "rate_limit_error"),
        (ErrorInfo(message="m"), "api_error"),
    ],
)
def test_an_error_ends_the_stream_without_message_stop(info: ErrorInfo, kind: str) -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    encoder.encode(text_chunk("x"))
    error = encoder.encode(LLMResponse(kind=EventKind.ERROR, error=info))
    assert events_of(error) == [{"type": "error", "error": {"type": kind, "message": "m"}}]
    assert encoder.finish(LLMResponse()) == b""


def test_a_changed_chunk_within_a_relayed_block() -> None:
    chunks = decode(start() + text_block(0, "one", "two", "three") + end())
    chunks[3] = text_chunk("TWO")
    stream = encode(chunks)
    check(stream)
    assert content(stream) == [{"type": "text", "text": "oneTWOthree"}]
    assert stream.count(b'"type": "content_block_stop"') == 1  # the provider's own spelling: still relayed


def test_a_block_put_in_by_a_plugin_shifts_what_follows() -> None:
    tool = block(
        1, {"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": "{}"}
    )
    chunks = decode(start() + text_block(0, "one") + tool + end("tool_use"))
    at = next(number for number, chunk in enumerate(chunks) if b"content_block_stop" in chunk.raw.body) + 1  # type: ignore[union-attr]
    chunks.insert(at, text_chunk("[footer]", index=7))
    stream = encode(chunks)
    check(stream)
    assert [block.get("text") or block["id"] for block in content(stream)] == ["one", "[footer]", "t"]


def test_a_changed_end_is_told_once() -> None:
    chunks = decode(start() + text_block(0, "one") + end("max_tokens"))
    chunks[-2] = without_raw(chunks[-2])
    chunks[-2].choices[0].finish_reason = "stop"
    stream = encode(chunks)
    check(stream)
    assert sdk_message(stream)["stop_reason"] == "end_turn"


def test_a_relayed_stream_without_its_stop_gets_it() -> None:
    chunks = decode(start() + text_block(0, "one") + end())[:-1]
    check(encode(chunks))


def test_relayed_unknown_fields_stay() -> None:
    body = event({"type": "message_start", "message": {"id": "m", "new": 1, "content": [], "usage": {}}}) + end()
    assert encode(decode(body)) == body


PIECES = st.one_of(
    st.text(min_size=1, max_size=5).map(text_chunk),
    st.text(min_size=1, max_size=5).map(reasoning_chunk),
    st.text(alphabet="ab=", min_size=1, max_size=3).map(lambda signature: reasoning_chunk("", signature=signature)),
    st.tuples(st.integers(0, 2), st.sampled_from(["", "{", '"a"', ":", "1", "}", "{}"])).map(
        lambda drawn: tool_call_chunk(drawn[1], index=drawn[0], id=f"c{drawn[0]}", name="f")
    ),
    st.just(LLMResponse(kind=EventKind.KEEP_ALIVE)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=25))
def test_any_chunks_make_a_valid_stream_that_says_them_all(chunks: list[LLMResponse]) -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    whole = accumulate(chunks)
    stream = b"".join(map(encoder.encode, chunks)) + encoder.finish(whole)
    told: dict[str, str] = {"text": "", "thinking": ""}
    tools: dict[int, str] = {}
    names: dict[int, str] = {}
    for one in check(stream):
        if one["type"] == "content_block_start" and one["content_block"]["type"] == "tool_use":
            names[one["index"]] = one["content_block"]["id"]
        if one["type"] == "content_block_delta":
            delta = one["delta"]
            for field in told:
                told[field] += delta.get(field, "")
            if "partial_json" in delta:
                tools[one["index"]] = tools.get(one["index"], "") + delta["partial_json"]
    message = whole.choices[0].message if whole.choices else None
    assert told["text"] == (message.text if message else "")
    assert told["thinking"] == (message.reasoning if message else "")
    for index, call_id in names.items():
        expected = next(call.arguments for call in message.tool_calls if call.id == call_id) if message else ""
        said = tools.get(index, "")
        # What follows a complete object cannot be said: its block has ended.
        assert said == expected or (expected.startswith(said) and isinstance(json.loads(said), dict))


def test_the_free_text_of_a_custom_tool_becomes_an_object() -> None:
    pieces = ['say "hi"', "\nnow"]
    chunks = [
        LLMResponse(choices=[Choice(delta=Delta(content=[ToolCallPart(id="c", name="t", kind="custom")]))]),
        *(
            LLMResponse(choices=[Choice(delta=Delta(content=[ToolCallPart(arguments=piece, kind="custom")]))])
            for piece in pieces
        ),
        finish_chunk("tool_calls"),
    ]
    stream = encode(chunks)
    check(stream)
    [call] = sdk_message(stream)["content"]
    assert (call["name"], call["input"]) == ("t", {"input": "".join(pieces)})
