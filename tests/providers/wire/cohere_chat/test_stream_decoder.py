"""Cohere's streams become chunks that lose nothing, however the bytes are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError, ErrorKind, error_of_event
from providers.model import EventKind, LLMResponse, ReasoningPart, TextPart, ToolCallPart
from providers.replay.recording import Recording
from providers.wire.cohere_chat import WIRE
from tests.providers.wire.reading import accumulate, decode_pieces, message_of, pieces_of, recorded_streams
from tests.providers.wire.reading import decode as decode_any
from tests.support.recordings import recordings

API = "cohere-chat"


def decode(body: bytes) -> list[LLMResponse]:
    return decode_any(API, body)


def event(kind: str, *, named: bool = True, **more: Any) -> bytes:
    head = f"event: {kind}\n" if named else ""
    return f"{head}data: {json.dumps({'type': kind, **more})}\n\n".encode()


def content(index: int, named: bool = True, **item: Any) -> bytes:
    return event("content-delta", named=named, index=index, delta={"message": {"content": item}})


def call(index: int, **call: Any) -> bytes:
    kind = "tool-call-start" if "id" in call else "tool-call-delta"
    return event(kind, index=index, delta={"message": {"tool_calls": call}})


START = event("message-start", id="m1", delta={"message": {"role": "assistant"}})


def end(reason: str = "COMPLETE", usage: Any = None, **more: Any) -> bytes:
    return event("message-end", delta={"finish_reason": reason, "usage": usage, **more})


@pytest.mark.parametrize("recording", recordings(API, "stream"))
def test_every_recording_keeps_its_bytes(recording: Recording) -> None:
    decoder = WIRE.stream_decoder()
    chunks = decoder.feed(recording.response.body) + decoder.eof()
    assert b"".join(chunk.raw.body for chunk in chunks if chunk.raw) == recording.response.body
    assert (decoder.skipped, decoder.dropped_blocks) == (0, 0)
    assert chunks[-1].kind is EventKind.DONE


OWN = START + content(0, text="é🙂") + b": comment\n\n" + content(0, named=False, text="\u2028x") + end()
BODIES = [OWN, OWN.replace(b"\n", b"\r\n"), *(one.response.body for one in recorded_streams(API))]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_split_gives_the_same_chunks(data: st.DataObject) -> None:
    body, pieces = pieces_of(data, BODIES)
    assert decode_pieces(API, pieces) == decode(body)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_one_byte_at_a_time(body: bytes) -> None:
    assert decode_pieces(API, (bytes([byte]) for byte in body)) == decode(body)


def test_plan_thinking_text_and_calls_are_parts_of_their_own() -> None:
    body = (
        START
        + event("tool-plan-delta", delta={"message": {"tool_plan": "First "}})
        + event("tool-plan-delta", delta={"message": {"tool_plan": "this."}})
        + event("content-start", index=0, delta={"message": {"content": {"type": "thinking", "thinking": ""}}})
        + content(0, thinking="hm")
        + content(1, text="Text")
        + call(0, id="a", function={"name": "f", "arguments": ""})
        + call(1, id="b", function={"name": "g", "arguments": ""})
        + call(1, function={"arguments": '{"x"'})
        + call(0, function={"arguments": "{}"})
        + call(1, function={"arguments": ": 1}"})
        + event("tool-call-end", index=0)
        + event("tool-call-end", index=1)
        + call(2, id="c", function={"name": "h"})
        + end("TOOL_CALL")
    )
    chunks = decode(body)
    seen = [(part.index, type(part)) for chunk in chunks for choice in chunk.choices for part in choice.delta.content]
    assert len({index for index, _ in seen}) == len(set(seen)) == 6
    plan, thinking, text, *calls = message_of(accumulate(chunks))
    assert isinstance(plan, ReasoningPart)
    assert (plan.text, thinking.text, text.text) == ("First this.", "hm", "Text")
    assert [(part.id, part.name, part.arguments) for part in calls] == [
        ("a", "f", "{}"),
        ("b", "g", '{"x": 1}'),
        ("c", "h", "{}"),
    ]


def test_citations_keep_place_and_sources() -> None:
    document = {"id": "d", "title": "T", "url": "https://x.example", "snippet": "said"}
    wire = {
        "start": 0,
        "end": 4,
        "text": "Text",
        "sources": [
            {"type": "document", "id": "d", "document": document},
            {"type": "tool", "id": "t:0", "tool_output": {"content": "out"}},
        ],
        "type": "TEXT_CONTENT",
        "content_index": 1,
    }
    of_plan = {**wire, "type": "PLAN"}
    body = START + content(0, text="First") + content(1, text="Text")
    body += b"".join(event("citation-start", index=0, delta={"message": {"citations": one}}) for one in (wire, of_plan))
    decoder = WIRE.stream_decoder()
    response = accumulate(decoder.feed(body + event("citation-end", index=0) + end()) + decoder.eof())
    text = message_of(response)[1]
    assert isinstance(text, TextPart)
    assert [(one.kind, one.url, one.title, one.cited_text, one.start, one.end) for one in text.citations] == [
        ("document", "https://x.example", "T", "said", 0, 4),
        ("tool", None, None, "out", 0, 4),
    ]
    assert text.citations[0].raw == wire
    assert decoder.dropped_blocks == 1


@pytest.mark.parametrize(
    ("native", "finish"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
        ("ERROR_LIMIT", "length"),
        ("TOMORROW", "stop"),
    ],
)
def test_finish_reasons(native: str, finish: str) -> None:
    choice = accumulate(decode(START + content(0, text="x") + end(native))).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (finish, native)


@pytest.mark.parametrize(
    ("reason", "status", "kind"), [("ERROR", 500, ErrorKind.SERVER), ("TIMEOUT", 504, ErrorKind.TIMEOUT)]
)
def test_an_answer_that_failed_is_an_error(reason: str, status: int, kind: ErrorKind) -> None:
    *_, last = decode(START + content(0, text="x") + end(reason, error="The model failed."))
    assert last.kind is EventKind.ERROR
    assert last.error is not None
    error = error_of_event(last.error, last.raw)
    assert (error.status, error.kind, error.message, error.type) == (status, kind, "The model failed.", reason)


def test_an_error_outside_of_the_grammar() -> None:
    *_, last = decode(START + b'data: {"message":"internal error"}\n\n')
    assert (last.kind, last.error and last.error.message) == (EventKind.ERROR, "internal error")


def test_tokens_count_and_what_is_billed_stays_beside_them() -> None:
    usage = {
        "billed_units": {"input_tokens": 9.0, "output_tokens": 5.0},
        "tokens": {"input_tokens": 500.0, "output_tokens": 7.0},
        "cached_tokens": 448.0,
    }
    found = accumulate(decode(START + content(0, text="x") + end(usage=usage))).usage
    assert found is not None
    assert found.details is not None
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (500, 7, 507)
    assert found.details.cached_tokens == 448
    assert list(found.extra) == ["billed_units"]
    billed = accumulate(decode(START + content(0, text="x") + end(usage={"billed_units": usage["billed_units"]}))).usage
    assert billed is not None
    assert (billed.prompt_tokens, billed.completion_tokens) == (9, 5)


def test_log_probabilities_are_in_openais_shape() -> None:
    item = {"text": "é", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}
    delta = {"message": {"content": {"text": "é"}}}
    response = accumulate(decode(START + event("content-delta", index=0, delta=delta, logprobs=item) + end()))
    entry = {"token": "é", "logprob": -0.75, "bytes": [195, 169], "top_logprobs": []}
    assert response.choices[0].logprobs == {"content": [entry]}


def test_malformed_events_are_skipped_and_those_of_tomorrow_change_nothing() -> None:
    decoder = WIRE.stream_decoder()
    bad = b"data: {\n\n" + b"data: [1]\n\n" + b'data: {"type":"debug","x":"\xff"}\n\n'
    news = event("news", index=0)
    chunks = decoder.feed(START + bad + news + content(0, text="x") + end()) + decoder.eof()
    assert decoder.skipped == 3
    assert accumulate(chunks) == accumulate(decode(START + content(0, text="x") + end()))


def test_a_character_in_two_halves() -> None:
    def escaped(text: str) -> bytes:
        return (
            b'data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"%s"}}}}\n\n'
            % text.encode()
        )

    body = START + escaped("a\\ud83d") + escaped("\\ude00b") + end()
    assert message_of(accumulate(decode(body)))[0].text == "a\U0001f600b"


@pytest.mark.parametrize("body", [START, START + content(0, text="x"), START + event("content-end", index=0)])
def test_a_stream_without_its_end_is_cut(body: bytes) -> None:
    with pytest.raises(BadResponseError, match="before the answer was complete"):
        decode(body)
    with pytest.raises(BadResponseError, match="middle of an event"):
        decode(body + b'data: {"type":"cont')
    with pytest.raises(BadResponseError, match="without any event"):
        decode(b"")


def test_done_and_a_last_event_without_its_blank_line() -> None:
    assert decode(START + end() + b"data: [DONE]\n\n")[-1].kind is EventKind.DONE
    assert decode(START + content(0, text="x") + end().rstrip(b"\n"))[-1].choices[0].finish_reason == "stop"


def test_a_call_in_one_piece() -> None:
    body = START + call(0, id="a", function={"name": "f", "arguments": {"x": 1}}) + end("TOOL_CALL")
    (part,) = message_of(accumulate(decode(body)))
    assert isinstance(part, ToolCallPart)
    assert part.arguments == '{"x":1}'
