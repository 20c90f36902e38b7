"""Anthropic streams become chunks that lose nothing, however the bytes are cut."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError
from providers.model import EventKind, LLMResponse, OpaquePart, ReasoningPart, TextPart, ToolCallPart
from providers.wire.anthropic_messages import WIRE
from tests.providers.wire.anthropic_messages.support import (
    RECORDINGS,
    STOP,
    accumulate,
    as_message,
    block,
    decode,
    end,
    event,
    recordings,
    sdk_message,
    start,
    text_block,
)

SDK_CANNOT = {
    "anthropic-anthropic-tool-search-bm25-1-v": "two messages in one body: the SDK merges their blocks by position",
    "anthropic-spliced-message-start-v": "two messages in one body: the SDK merges their blocks by position",
}


@pytest.mark.parametrize("path", recordings("stream"))
def test_every_recording_keeps_its_bytes(path: Path) -> None:
    body = path.read_bytes()
    decoder = WIRE.stream_decoder()
    chunks = decoder.feed(body) + decoder.eof()
    assert b"".join(chunk.raw.body for chunk in chunks if chunk.raw) == body
    assert decoder.skipped == 0
    assert chunks[-1].kind is EventKind.DONE
    opaque = {part.index for chunk in chunks for part in parts(chunk) if isinstance(part, OpaquePart)}
    assert decoder.dropped_blocks == len(opaque)


@pytest.mark.parametrize("path", recordings("stream"))
def test_every_recording_accumulates_to_what_the_sdk_makes_of_it(path: Path) -> None:
    if path.stem in SDK_CANNOT:
        pytest.skip(SDK_CANNOT[path.stem])
    body = path.read_bytes()
    ours, theirs = as_message(accumulate(decode(body))), sdk_message(body)
    assert [normal(block) for block in ours["content"]] == [normal(block) for block in theirs["content"]]
    for field in ("id", "model", "stop_reason", "stop_sequence"):
        assert ours[field] == theirs[field]
    told = {name: count for name, count in theirs["usage"].items() if count is not None}
    assert {name: ours["usage"][name] for name in told} == told


def normal(content: dict[str, Any]) -> dict[str, Any]:
    """A block without what the SDK does not read (`mcp_tool_use` input) or the model has no field for (`caller`)."""
    left_out = {"caller"} | ({"input"} if content["type"] == "mcp_tool_use" else set())
    return {name: value for name, value in content.items() if name not in left_out and value is not None}


def parts(chunk: LLMResponse) -> list[Any]:
    return [part for choice in chunk.choices if choice.delta for part in choice.delta.content]


def bodies() -> list[bytes]:
    own = (
        start()
        + text_block(0, "é🙂", "\u2028x")
        + block(1, {"type": "tool_use", "id": "t", "name": "n", "input": {}}, piece('{"é":'), piece("1}"))
        + b": comment\n\n"
        + event({"type": "ping"})
        + event("not json")
        + end()
    )
    recorded = [path.read_bytes() for path in sorted((RECORDINGS / "stream").glob("*.body"))]
    return [own, own.replace(b"\n", b"\r\n"), *(body for body in recorded if len(body) < 20_000)]


def piece(text: str) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": text}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_split_gives_the_same_chunks(data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(bodies()))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=40)))
    decoder = WIRE.stream_decoder()
    chunks = []
    for left, right in zip([0, *cuts], [*cuts, len(body)], strict=True):
        chunks += decoder.feed(body[left:right])
    chunks += decoder.eof()
    assert chunks == decode(body)


def test_one_byte_at_a_time() -> None:
    body = start() + text_block(0, "é🙂") + end()
    decoder = WIRE.stream_decoder()
    chunks = [chunk for byte in body for chunk in decoder.feed(bytes([byte]))] + decoder.eof()
    assert chunks == decode(body)


def test_input_tokens_are_summed_over_fields_that_different_events_report() -> None:
    first = {"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 1, "service_tier": "standard"}
    chunks = decode(
        start(first) + text_block(0, "x") + end(usage={"cache_creation_input_tokens": 7, "output_tokens": 9})
    )
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert [usage.prompt_tokens for usage in usages] == [110, 117]
    usage = accumulate(chunks).usage
    assert usage is not None
    assert usage.details is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (117, 9, 126)
    assert (usage.details.cached_tokens, usage.details.cache_creation_tokens) == (100, 7)
    assert list(usage.extra) == ["service_tier"]


def test_a_later_null_does_not_take_a_counter_back() -> None:
    usage = {"input_tokens": None, "output_tokens": 5, "cache_read_input_tokens": None}
    total = accumulate(
        decode(start({"input_tokens": 8, "output_tokens": 1}) + text_block(0, "x") + end(usage=usage))
    ).usage
    assert total is not None
    assert (total.prompt_tokens, total.completion_tokens) == (8, 5)


def test_cache_writes_by_lifetime_and_thinking_tokens() -> None:
    first = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
        "output_tokens": 1,
    }
    last = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    usage = accumulate(decode(start(first) + text_block(0, "x") + end(usage=last))).usage
    assert usage is not None
    assert usage.details is not None
    assert (usage.details.cache_creation_5m_tokens, usage.details.cache_creation_1h_tokens) == (2, 3)
    assert usage.details.reasoning_tokens == 4


@pytest.mark.parametrize(
    ("native", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("word_of_the_future", "stop"),
    ],
)
def test_stop_reasons(native: str, finish: str) -> None:
    choice = accumulate(decode(start() + text_block(0, "x") + end(native, sequence="END"))).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason, choice.stop_sequence) == (finish, native, "END")


def test_a_duplicate_message_start_changes_nothing() -> None:
    once, twice = start() + text_block(0, "hi") + end(), start() + start() + text_block(0, "hi") + end()
    assert accumulate(decode(twice)).choices == accumulate(decode(once)).choices


def test_a_spliced_message_is_not_merged_into_the_first() -> None:
    cut = block(1, {"type": "tool_use", "id": "a", "name": "n", "input": {}}, piece('{"x":'), stop=False)
    body = start() + text_block(0, "one") + cut + start(id="msg_2") + text_block(0, "two") + end()
    content = accumulate(decode(body)).choices[0].message.content  # type: ignore[union-attr]
    assert [getattr(part, "text", "") or getattr(part, "arguments", "") for part in content] == ["one", '{"x":', "two"]


def test_two_messages_in_one_body_end_twice_and_count_their_own_tokens() -> None:
    second = start({"input_tokens": 5, "output_tokens": 1}, id="msg_2")
    body = start({"input_tokens": 3, "cache_read_input_tokens": 50, "output_tokens": 1}) + text_block(0, "one") + end()
    chunks = decode(body + second + text_block(0, "two") + end())
    assert [chunk.kind for chunk in chunks].count(EventKind.DONE) == 2
    assert [part.text for part in accumulate(chunks).choices[0].message.content] == ["one", "two"]  # type: ignore[union-attr]
    assert [chunk.usage.prompt_tokens for chunk in chunks if chunk.usage][-2:] == [5, 5]


def test_a_second_message_that_is_cut_is_an_error() -> None:
    decoder = WIRE.stream_decoder()
    decoder.feed(start() + text_block(0, "one") + end() + start(id="msg_2") + text_block(0, "tw", stop=False))
    with pytest.raises(BadResponseError, match="before the answer was complete"):
        decoder.eof()


def test_a_message_start_that_brings_blocks() -> None:
    content = [{"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1}}]
    chunks = decode(start(content=content) + text_block(1, "x") + end())
    call, text = accumulate(chunks).choices[0].message.content  # type: ignore[union-attr]
    assert (call.arguments, text.text) == ('{"a": 1}', "x")


@pytest.mark.parametrize(
    ("given", "pieces", "arguments"),
    [
        ({}, [], "{}"),
        ({}, [""], "{}"),
        ({"a": 1}, [], '{"a": 1}'),
        ({"a": 1}, ["", '{"b":', "2}"], '{"b":2}'),
        ({}, ['{"b":', "2}"], '{"b":2}'),
    ],
)
@pytest.mark.parametrize("stop", [True, False], ids=["with block stop", "without"])
def test_tool_arguments(given: dict[str, Any], pieces: list[str], arguments: str, stop: bool) -> None:
    tool = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": given}
    chunks = decode(start() + block(0, tool, *map(piece, pieces), stop=stop) + end("tool_use"))
    assert accumulate(chunks).choices[0].message.tool_calls == [  # type: ignore[union-attr]
        ToolCallPart(id="toolu_1", name="f", arguments=arguments)
    ]


def test_what_the_provider_runs_is_never_a_tool_call() -> None:
    run = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    future = {"type": "quantum_tool_use", "id": "q", "name": "leap", "input": {}}
    decoder = WIRE.stream_decoder()
    chunks = decoder.feed(
        start()
        + block(0, run, piece('{"q":'), piece("1}"))
        + block(1, future, piece("{}"), {"type": "leap_delta", "x": 1}, {"type": "text_delta", "text": "hidden"})
        + text_block(2, "found")
        + end()
    )
    message = accumulate(chunks).choices[0].message
    assert message is not None
    assert message.tool_calls == []
    assert message.text == "found"
    first = message.content[0]
    assert isinstance(first, OpaquePart)
    assert (first.kind, first.api, first.input) == ("server_tool_use", "anthropic-messages", '{"q":1}')
    assert decoder.dropped_blocks == 2


def test_reasoning_with_signature_and_redacted() -> None:
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "sig=="},
    )
    chunks = decode(start() + thinking + block(1, {"type": "redacted_thinking", "data": "xyz"}) + end())
    assert accumulate(chunks).choices[0].message.content == [  # type: ignore[union-attr]
        ReasoningPart(text="hm", signature="sig==", format="anthropic-claude-v1"),
        ReasoningPart(index=1, redacted="xyz", format="anthropic-claude-v1"),
    ]


def test_citations_keep_their_own_spelling() -> None:
    citation = {"type": "char_location", "cited_text": "c", "document_title": "T", "start_char_index": 1, "new": [1]}
    chunks = decode(
        start() + block(0, {"type": "text", "text": "a"}, {"type": "citations_delta", "citation": citation}) + end()
    )
    text = accumulate(chunks).choices[0].message.content[0]  # type: ignore[union-attr]
    assert isinstance(text, TextPart)
    assert text.text == "a"
    (cited,) = text.citations
    assert (cited.kind, cited.title, cited.cited_text, cited.raw) == ("char_location", "T", "c", citation)


def test_unknown_events_are_relayed_without_content() -> None:
    chunk = decode(start() + event({"type": "weather", "x": 1}) + text_block(0, "x") + end())[1]
    assert chunk.kind is EventKind.CHUNK
    assert chunk.choices == []
    assert chunk.raw is not None
    assert b'"weather"' in chunk.raw.body


@pytest.mark.parametrize("alive", [event({"type": "ping"}), b": hello\n\n", b"data:\n\n", b"retry: 10\n\n"])
def test_keep_alives(alive: bytes) -> None:
    chunk = decode(start() + alive + text_block(0, "x") + end())[1]
    assert chunk.kind is EventKind.KEEP_ALIVE
    assert chunk.raw is not None
    assert chunk.raw.body == alive


@pytest.mark.parametrize(
    "bad",
    [
        event("{"),
        event("[DONE]"),
        event("[1]"),
        event("7"),
        event('{"no": "type"}', name=""),
        event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}),
        event({"type": "content_block_delta", "index": 0}),
        event({"type": "content_block_start", "index": 1}),
        event({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "x"}}),
        event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}),
        event({"type": "message_start"}),
        b'data: {"type":"ping\xff"}\n\n',
        b'data: {"type":"x","delta":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
    ],
)
def test_malformed_events_are_skipped_counted_and_logged_without_content(bad: bytes, caplog: Any) -> None:
    decoder = WIRE.stream_decoder()
    with caplog.at_level(logging.WARNING, logger="triway.wire"):
        chunks = decoder.feed(start() + text_block(0, "before", stop=False) + bad + end()) + decoder.eof()
    assert decoder.skipped == 1
    assert accumulate(chunks).choices[0].message.text == "before"  # type: ignore[union-attr]
    assert [record.getMessage() for record in caplog.records] == [
        f"malformed anthropic-messages event skipped ({len(bad)} bytes)"
    ]


def test_the_type_in_the_json_wins_over_the_event_line_and_may_stand_alone() -> None:
    plain = start() + text_block(0, "hi") + end()
    unnamed = b"".join(line for line in plain.splitlines(keepends=True) if not line.startswith(b"event:"))
    misnamed = plain.replace(b"event: content_block_delta", b"event: ping")
    untyped = plain.replace(b'"type": "content_block_stop", ', b"").replace(b'{"type": "message_stop"}', b"{}")
    assert untyped != plain
    for body in (unnamed, misnamed, untyped):
        assert accumulate(decode(body)) == accumulate(decode(plain))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("overloaded_error", 529),
        ("rate_limit_error", 429),
        ("api_error", 500),
        ("invalid_request_error", 400),
        ("authentication_error", 401),
        ("permission_error", 403),
        ("not_found_error", 404),
        ("request_too_large", 413),
        ("timeout_error", 504),
        ("billing_error", 402),
        ("error_of_the_future", 500),
    ],
)
def test_errors_in_the_stream(kind: str, status: int) -> None:
    chunk = decode(start() + event({"type": "error", "error": {"type": kind, "message": "no"}}))[-1]
    assert chunk.kind is EventKind.ERROR
    assert chunk.error is not None
    assert (chunk.error.type, chunk.error.message, chunk.error.status) == (kind, "no", status)


@pytest.mark.parametrize("body", ['{"error":{"message":"no"}}', '{"type":"error","error":"no"}', '{"type":"error"}'])
def test_errors_in_any_shape_are_errors(body: str) -> None:
    assert decode(event(body, name=""))[-1].kind is EventKind.ERROR


@pytest.mark.parametrize(
    "tail", [b'data: {"type":"message_stop"}', b'event: message_stop\ndata: {"type":"message_stop"}\n']
)
def test_a_last_event_without_its_blank_line_counts(tail: bytes) -> None:
    body = (start() + text_block(0, "x") + end()).removesuffix(STOP) + tail
    chunks = decode(body)
    assert chunks[-1].kind is EventKind.DONE
    assert b"".join(chunk.raw.body for chunk in chunks if chunk.raw) == body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "without any event"),
        (b": only comments\n\n", "without any event"),
        (start(), "before the answer was complete"),
        (start() + text_block(0, "x"), "before the answer was complete"),
        ((start() + text_block(0, "x") + end()).removesuffix(STOP), "before the answer was complete"),
        (start() + b'event: content_block_delta\ndata: {"type":"content_bl', "in the middle of an event"),
        (start() + b"event: content_blo", "in the middle of an event"),
        (start() + text_block(0, "x") + end() + b"data: {", "in the middle of an event"),
    ],
)
def test_a_stream_that_ends_too_early(body: bytes, message: str) -> None:
    decoder = WIRE.stream_decoder()
    decoder.feed(body)
    with pytest.raises(BadResponseError, match=message):
        decoder.eof()


def test_a_stream_that_ends_after_an_error_has_said_why() -> None:
    assert decode(start() + event({"type": "error", "error": {"type": "api_error", "message": "x"}}))


def test_a_comment_after_the_end_is_no_cut_event() -> None:
    assert decode(start() + text_block(0, "x") + end() + b": bye")[-1].kind is EventKind.KEEP_ALIVE
