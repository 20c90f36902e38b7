"""ConverseStream's frames become chunks that lose nothing and say what botocore's own client reads."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import EventStreamError
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError, ErrorKind, error_of_event
from providers.model import EventKind, OpaquePart, ReasoningPart, TextPart, ToolCallPart
from providers.replay.recording import Recording
from providers.wire.bedrock_converse import WIRE
from tests.providers.wire.bedrock_converse.support import (
    START,
    blocks_of_ours,
    blocks_of_sdk_stream,
    decode,
    delta,
    end,
    sdk_stream,
    start,
    stop,
    text,
)
from tests.providers.wire.reading import accumulate, decode_pieces, message_of, pieces_of, recorded_streams
from tests.support.amazon import event, exception, frame
from tests.support.recordings import recordings

TOOLS = (
    START
    + text(0, "Let me ", "look. é🙂")
    + start(1, {"toolUse": {"toolUseId": "t1", "name": "get_tide"}})
    + delta(1, {"toolUse": {"input": '{"har'}})
    + delta(1, {"toolUse": {"input": 'bour": "Brest"}'}})
    + stop(1)
    + start(2, {"toolUse": {"toolUseId": "t2", "name": "now"}})
    + delta(2, {"toolUse": {"input": ""}})
    + stop(2)
    + end("tool_use")
)
CITATION = {
    "title": "Tide table",
    "source": "https://tides.example/brest",
    "sourceContent": [{"text": "High "}, {"text": "water 14:23"}],
    "location": {"documentChar": {"documentIndex": 0, "start": 4, "end": 21}},
}
RICH = (
    START
    + delta(0, {"reasoningContent": {"text": "Think"}})
    + delta(0, {"reasoningContent": {"text": "ing."}})
    + delta(0, {"reasoningContent": {"signature": "c2lnbmF0dXJl"}})
    + stop(0)
    + delta(1, {"reasoningContent": {"redactedContent": base64.b64encode(b"EqQBCkYIBxgC").decode()}})
    + stop(1)
    + delta(2, {"text": "High water at 14:23"})
    + delta(2, {"citation": CITATION})
    + stop(2)
    + start(3, {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"}})
    + delta(3, {"toolUse": {"input": '{"q":1}'}})
    + stop(3)
    + start(4, {"toolResult": {"toolUseId": "s1", "status": "success"}})
    + delta(4, {"toolResult": [{"text": "found"}]})
    + stop(4)
    + text(5, " Done.")
    + end(trace={"guardrail": {"actionReason": "none", "modelOutput": ["x"]}})
)


BODIES = [TOOLS, RICH, *(recording.response.body for recording in recorded_streams("bedrock-converse"))]


@pytest.mark.parametrize("recording", recordings("bedrock-converse", "stream"))
def test_every_recording_keeps_its_bytes_and_says_what_botocore_reads(recording: Recording) -> None:
    check_against_botocore(recording.response.body)


@pytest.mark.parametrize("body", [TOOLS, RICH], ids=["tools", "rich"])
def test_every_kind_of_block_is_what_botocore_reads(body: bytes) -> None:
    check_against_botocore(body)


def check_against_botocore(body: bytes) -> None:
    decoder = WIRE.stream_decoder()
    chunks = decoder.feed(body) + decoder.eof()
    assert b"".join(chunk.raw.body for chunk in chunks if chunk.raw) == body
    assert decoder.skipped == 0
    assert chunks[-1].kind is EventKind.DONE
    ours = accumulate(chunks)
    events = sdk_stream(body)
    assert len(events) == len(chunks)
    theirs = [without_empty_input(block) for block in blocks_of_sdk_stream(events)]
    assert [without_tool_results(block) for block in blocks_of_ours(ours)] == theirs
    stopped = next(one["messageStop"] for one in events if "messageStop" in one)
    usage = events[-1]["metadata"]["usage"]
    assert ours.choices[0].native_finish_reason == stopped["stopReason"]
    assert ours.usage is not None
    assert ours.usage.total_tokens == usage["totalTokens"]
    assert ours.usage.completion_tokens == usage["outputTokens"]
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    assert ours.usage.prompt_tokens == usage["inputTokens"] + cached


def without_empty_input(block: dict[str, Any]) -> dict[str, Any]:
    """As ours: a call without arguments has an empty object; what a server's tool returned is not read."""
    call = block.get("start", {}).get("toolUse", {})
    if call.get("type") == "tool_use":
        del call["type"]  # Claude's own word for an ordinary call
    if "type" not in block.get("start", {}).get("toolUse", {"type": ""}):
        return {"start": block["start"], "input": block.get("toolUse.input") or "{}"}
    return without_tool_results(block)


def without_tool_results(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "toolResult."}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_split_gives_the_same_chunks(data: st.DataObject) -> None:
    body, pieces = pieces_of(data, BODIES)
    assert decode_pieces("bedrock-converse", pieces) == decode(body)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_one_byte_at_a_time(body: bytes) -> None:
    assert decode_pieces("bedrock-converse", (bytes([byte]) for byte in body)) == decode(body)


def test_reasoning_citations_and_what_the_provider_ran_itself() -> None:
    decoder = WIRE.stream_decoder()
    response = accumulate(decoder.feed(RICH) + decoder.eof())
    thinking, redacted, cited, server_run, result, tail, trace = message_of(response)
    assert (thinking.text, thinking.signature, thinking.format) == ("Thinking.", "c2lnbmF0dXJl", "anthropic-claude-v1")
    assert isinstance(redacted, ReasoningPart)
    assert (redacted.redacted, redacted.format) == ("EqQBCkYIBxgC", "anthropic-claude-v1")
    assert isinstance(cited, TextPart)
    (citation,) = cited.citations
    assert (citation.kind, citation.url, citation.title, citation.cited_text) == (
        "documentChar",
        "https://tides.example/brest",
        "Tide table",
        "High water 14:23",
    )
    assert (citation.api, citation.raw) == ("bedrock-converse", CITATION)
    assert [type(part) for part in (server_run, result, trace)] == [OpaquePart] * 3
    assert [part.kind for part in (server_run, result, trace)] == ["toolUse", "toolResult", "guardrail"]
    assert server_run.input == '{"q":1}'
    assert tail.text == " Done."
    assert decoder.dropped_blocks == 3


def test_tool_calls_come_whole_and_one_without_arguments_gets_an_object() -> None:
    response = accumulate(decode(TOOLS))
    calls = [part for part in message_of(response) if isinstance(part, ToolCallPart)]
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        ("t1", "get_tide", '{"harbour": "Brest"}'),
        ("t2", "now", "{}"),
    ]
    assert response.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("with_stop", [True, False])
def test_an_input_that_is_an_object_and_a_block_that_never_stops(with_stop: bool) -> None:
    call = start(0, {"toolUse": {"toolUseId": "t", "name": "f"}})
    body = START + call + delta(0, {"toolUse": {"input": {"a": 1}}}) + (stop(0) if with_stop else b"")
    body += start(1, {"toolUse": {"toolUseId": "u", "name": "g"}}) + end("tool_use")
    calls = message_of(accumulate(decode(body)))
    assert [part.arguments for part in calls] == ['{"a":1}', "{}"]


@pytest.mark.parametrize(
    ("native", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "length"),
        ("malformed_model_output", "length"),
        ("news_of_tomorrow", "stop"),
    ],
)
def test_stop_reasons(native: str, finish: str) -> None:
    choice = accumulate(decode(START + text(0, "x") + end(native))).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (finish, native)


def test_the_stop_sequence_the_tier_and_the_routers_model() -> None:
    stopped = {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}}
    metadata = {
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
        "serviceTier": {"type": "flex"},
        "trace": {"promptRouter": {"invokedModelId": "arn:x/y"}},
    }
    body = START + text(0, "x") + event("messageStop", stopped) + event("metadata", metadata)
    response = accumulate(decode(body))
    assert response.choices[0].stop_sequence == "END"
    assert (response.service_tier, decode(body)[-1].model) == ("flex", "arn:x/y")


def test_cached_tokens_are_input_tokens() -> None:
    usage = {
        "inputTokens": 10,
        "outputTokens": 2,
        "totalTokens": 119,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 7,
        "cacheReadInputTokenCount": 100,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 5}, {"ttl": "5m", "inputTokens": 2}],
        "serverToolUsage": {},
    }
    found = accumulate(decode(START + text(0, "x") + end(usage=usage))).usage
    assert found is not None
    assert found.details is not None
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (117, 2, 119)
    assert (found.details.cached_tokens, found.details.cache_creation_tokens) == (100, 7)
    assert (found.details.cache_creation_1h_tokens, found.details.cache_creation_5m_tokens) == (5, 2)
    assert list(found.extra) == ["serverToolUsage"]


@pytest.mark.parametrize(
    ("kind", "status", "error_kind"),
    [
        ("throttlingException", 429, ErrorKind.RATE_LIMIT),
        ("validationException", 400, ErrorKind.INVALID_REQUEST),
        ("internalServerException", 500, ErrorKind.SERVER),
        ("serviceUnavailableException", 503, ErrorKind.UNAVAILABLE),
        ("modelStreamErrorException", 502, ErrorKind.SERVER),
        ("newsException", 500, ErrorKind.SERVER),
    ],
)
def test_exceptions_end_the_stream_with_an_error(kind: str, status: int, error_kind: ErrorKind) -> None:
    raised = exception(kind, "Too many tokens, please wait")
    body = START + delta(0, {"text": "x"}) + raised
    *_, last = chunks = decode(body)
    assert [chunk.kind for chunk in chunks] == [EventKind.CHUNK, EventKind.CHUNK, EventKind.ERROR]
    assert last.error is not None
    error = error_of_event(last.error, last.raw)
    assert (error.status, error.kind, error.type) == (status, error_kind, kind)
    assert error.message == "Too many tokens, please wait"
    assert error.raw is not None
    assert error.raw.body == raised
    if kind != "newsException":
        with pytest.raises(EventStreamError, match="Too many tokens"):
            sdk_stream(body)


def test_an_error_message_without_a_modelled_exception() -> None:
    body = START + frame(b"", message_type="error", error_code="InternalFailure", error_message="It broke")
    info = decode(body)[-1].error
    assert info is not None
    assert (info.type, info.message, info.status) == ("InternalFailure", "It broke", 500)


def test_a_damaged_frame_ends_the_stream_as_in_botocores_client() -> None:
    good = delta(0, {"text": "x"})
    damaged = good[:-1] + bytes((good[-1] ^ 1,))
    decoder = WIRE.stream_decoder()
    assert len(decoder.feed(START + good + damaged + end())) == 2
    with pytest.raises(BadResponseError, match="checksum"):
        decoder.eof()
    with pytest.raises(ChecksumMismatch):
        sdk_stream(START + good + damaged + end())


def test_malformed_events_are_skipped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    good = delta(0, {"text": "x"})
    wrong = event("contentBlockDelta", b"{not json")
    shapeless = event("contentBlockDelta", ["no", "object"])
    without_index = event("contentBlockDelta", {"delta": {"text": "y"}})
    decoder = WIRE.stream_decoder()
    with caplog.at_level(logging.WARNING, "triway.wire"):
        chunks = decoder.feed(START + wrong + shapeless + without_index + good + end()) + decoder.eof()
    assert decoder.skipped == 3
    assert len(caplog.records) == 3
    assert message_of(accumulate(chunks))[0].text == "x"


def test_one_odd_field_does_not_cost_the_event() -> None:
    odd = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x", "toolUse": 7}})
    assert message_of(accumulate(decode(START + odd + end())))[0].text == "x"


def test_events_of_tomorrow_change_nothing() -> None:
    news = event("contentBlockNews", {"contentBlockIndex": 0}) + delta(0, {"video": {"bytes": ""}})
    news += frame({}, event_type="initial-response", message_type="event")
    assert accumulate(decode(START + news + text(0, "x") + end())) == accumulate(decode(START + text(0, "x") + end()))


@pytest.mark.parametrize("body", [START, START + delta(0, {"text": "x"}), START + text(0, "x")])
def test_a_stream_without_its_stop_reason_is_cut(body: bytes) -> None:
    with pytest.raises(BadResponseError, match="before the answer was complete"):
        decode(body)


def test_a_stream_cut_in_a_frame_and_one_without_any() -> None:
    with pytest.raises(BadResponseError, match="middle of an event"):
        decode((START + text(0, "x"))[:-3])
    with pytest.raises(BadResponseError, match="without any event"):
        decode(b"")


def test_after_its_stop_reason_an_answer_is_whole() -> None:
    stopped = event("messageStop", {"stopReason": "end_turn"})
    assert decode(START + text(0, "x") + stopped + b"\0\0")[-1].choices[0].finish_reason == "stop"


def test_a_character_in_two_halves() -> None:
    halves = [event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"%s"}}' % half) for half in HALVES]
    assert message_of(accumulate(decode(START + b"".join(halves) + end())))[0].text == "a\U0001f600b"


HALVES = (b"a\\ud83d", b"\\ude00b")


def test_text_in_a_block_that_no_client_could_read_is_not_the_answers() -> None:
    body = START + start(0, {"video": {"format": "mp4"}}) + delta(0, {"text": "caption"}) + stop(0) + text(1, "x")
    opaque, said = message_of(accumulate(decode(body + end())))
    assert (opaque.kind, said.text) == ("video", "x")
