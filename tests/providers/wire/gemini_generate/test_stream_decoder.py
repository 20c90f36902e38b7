"""Events that are not in the recordings: every kind of part, blocks, errors, odd shapes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from providers.errors import BadResponseError
from providers.model import (
    AudioPart,
    EventKind,
    FilePart,
    ImagePart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.gemini_generate import WIRE
from tests.providers.wire.gemini_generate.support import END, accumulate, data, decode, event


def parts_of(*events: bytes) -> list[Part]:
    [choice] = accumulate(decode(*events)).choices
    assert choice.message is not None
    return choice.message.content


def call(name: str = "f", **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **more}}


def test_texts_go_on_and_signatures_close() -> None:
    parts = parts_of(
        event({"text": "Think", "thought": True}),
        event({"text": "ing", "thought": True}),
        event({"text": "A"}, {"text": "B"}),
        event({"text": "C", "thoughtSignature": "s1"}),
        event({"text": "D"}),
        event({"text": "", "thoughtSignature": "s2"}, finish="STOP"),
    )
    assert parts == [
        ReasoningPart(index=0, text="Thinking"),
        TextPart(index=1, text="AB"),
        TextPart(index=2, text="C", signature="s1"),
        TextPart(index=3, text="D"),
        TextPart(index=4, signature="s2"),
    ]


def test_media_and_what_google_runs() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s"}
    parts = parts_of(
        event({"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "i"}),
        event({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "BB=="}}),
        event({"inlineData": {"mimeType": "application/pdf", "data": "CC=="}}),
        event({"fileData": {"fileUri": "https://x/y.png", "mimeType": "image/png"}}),
        event(code, {"somethingNew": {"a": 1}}),
        END,
    )
    assert parts[:4] == [
        ImagePart(index=0, data="AA==", media_type="image/png", signature="i"),
        AudioPart(index=1, data="BB==", format="L16;rate=24000"),
        FilePart(index=2, data="CC==", media_type="application/pdf"),
        ImagePart(index=3, url="https://x/y.png", media_type="image/png"),
    ]
    opaque = [part for part in parts[4:] if isinstance(part, OpaquePart)]
    assert [part.kind for part in opaque] == ["executableCode", "somethingNew"]
    assert json.loads(bytes(opaque[0].raw)) == code


def test_what_google_runs_is_counted_and_is_no_call() -> None:
    decoder = WIRE.stream_decoder()
    chunks = decoder.feed(event({"executableCode": {}}, {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB"}}, finish="STOP"))
    assert decoder.dropped_blocks == 2
    assert chunks[0].choices[0].finish_reason == "stop"


def test_calls_without_ids_get_ids_that_differ_and_stay_the_same() -> None:
    events = [event(call(args={"a": 1}), call(args={"a": 2})), event(call("g", id="own")), END]
    first, second, third = parts_of(*events)
    assert isinstance(first, ToolCallPart)
    assert isinstance(second, ToolCallPart)
    assert (first.arguments, second.arguments) == ('{"a": 1}', '{"a": 2}')
    assert first.id != second.id
    assert third == ToolCallPart(index=2, id="own", name="g", arguments="{}")
    assert parts_of(*events) == [first, second, third]


def test_ids_of_an_answer_without_its_own_id_come_from_its_bytes() -> None:
    def body(text: str) -> bytes:
        parts = [{"text": text}, call()]
        return data({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})

    ids = [parts_of(body(text))[1].id for text in ("a", "a", "b")]  # type: ignore[union-attr]
    assert ids[0] == ids[1] != ids[2]


def test_arguments_in_pieces() -> None:
    def piece(*args: dict[str, Any], more: bool = True, **extra: Any) -> bytes:
        body: dict[str, Any] = {**extra}
        if args:
            body["partialArgs"] = list(args)
        if more:
            body["willContinue"] = True
        return event({"functionCall": body})

    parts = parts_of(
        piece(name="write", id="c1"),
        piece({"jsonPath": "$.path", "stringValue": "a/", "willContinue": True}),
        piece({"jsonPath": "$.path", "stringValue": "b"}, {"jsonPath": "$.lines[0].n", "numberValue": 1}),
        piece({"jsonPath": "$.lines[0].last", "boolValue": False}, {"jsonPath": "$.lines[1]", "nullValue": None}),
        piece({"jsonPath": "$['odd name']", "numberValue": 0.5}, {"jsonPath": "??", "stringValue": "x"}),
        piece(more=False),
        piece(name="again", id="c2"),
        event({"text": "done"}, finish="STOP"),
    )
    arguments = {"path": "a/b", "lines": [{"n": 1, "last": False}, None], "odd name": 0.5}
    assert [type(part) for part in parts] == [ToolCallPart, ToolCallPart, TextPart]
    assert json.loads(parts[0].arguments) == arguments  # type: ignore[union-attr]
    assert parts[1] == ToolCallPart(index=1, id="c2", name="again", arguments="{}")


def test_several_candidates_end_each_for_itself() -> None:
    head = [event({"text": "a"}, index=0), event({"text": "b"}, index=1), event(index=0, finish="STOP")]
    with pytest.raises(BadResponseError, match="before the answer was complete"):
        decode(*head)
    response = accumulate(decode(*head, event(index=1, finish="MAX_TOKENS")))
    assert [(c.index, c.message and c.message.text, c.finish_reason) for c in response.choices] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "length"),
        ("UNEXPECTED_TOOL_CALL", "length"),
        ("OTHER", "length"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    [choice] = accumulate(decode(event({"text": "x"}, finish=reason))).choices
    assert (choice.finish_reason, choice.native_finish_reason) == (finish, reason)


def test_a_blocked_prompt_is_a_whole_answer() -> None:
    chunks = decode(data({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}))
    [choice] = accumulate(chunks).choices
    assert choice.message is not None
    assert choice.message.content == []
    assert (choice.finish_reason, choice.native_finish_reason) == ("content_filter", "SAFETY")


def test_each_counter_is_the_last_that_was_reported() -> None:
    usage = accumulate(
        decode(
            event({"text": "a"}, usage={"trafficType": "ON_DEMAND"}),
            event({"text": "b"}, usage={"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5}),
            event(
                usage={"promptTokenCount": 10, "toolUsePromptTokenCount": 4, "cachedContentTokenCount": 6},
                finish="STOP",
            ),
            data({"usageMetadata": {"totalTokenCount": 21, "candidatesTokenCount": 3}, "responseId": "r-1"}),
        )
    ).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (14, 8, 21)
    assert usage.details is not None
    assert (usage.details.cached_tokens, usage.details.reasoning_tokens) == (6, 5)


def test_usage_is_never_hidden_from_a_client_of_this_api() -> None:
    chunks = decode(event({"text": "a"}, finish="STOP"), data({"usageMetadata": {"promptTokenCount": 1}}))
    assert all(chunk.kind is EventKind.CHUNK for chunk in chunks)


def test_sources_stand_at_characters() -> None:
    text = "Größe: 5 €. Ende."
    supports = [
        {"segment": {"startIndex": 0, "endIndex": len(b"".join([text[:11].encode()]))}, "groundingChunkIndices": [0, 1]}
    ]
    chunks = [{"web": {"uri": "https://a", "title": "A"}}, {"retrievedContext": {"title": "B"}}]
    [part] = parts_of(
        event({"text": text[:9]}),
        event({"text": text[9:]}),
        event(
            finish="STOP", candidate={"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": supports}}
        ),
    )
    assert isinstance(part, TextPart)
    assert part.text == text
    assert [(c.url, c.title, c.start, c.end) for c in part.citations] == [
        ("https://a", "A", 0, 11),
        (None, "B", 0, 11),
    ]


def test_log_probabilities_are_in_openais_shape() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}],
    }
    [choice] = accumulate(decode(event({"text": "é"}, finish="STOP", candidate={"logprobsResult": result}))).choices
    token = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    assert choice.logprobs == {"content": [{**token, "top_logprobs": [token]}]}


def test_an_error_in_the_stream() -> None:
    error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
    chunks = decode(event({"text": "a"}), data({"error": error}))
    assert chunks[-1].kind is EventKind.ERROR
    assert chunks[-1].error is not None
    assert (chunks[-1].error.message, chunks[-1].error.type, chunks[-1].error.status) == (
        error["message"],
        "UNAVAILABLE",
        503,
    )


def test_malformed_events_are_skipped_and_odd_fields_left_out() -> None:
    decoder = WIRE.stream_decoder()
    odd = {"candidates": [{"content": {"parts": [{"text": "b", "thought": "no"}]}, "index": "first"}], "responseId": 7}
    chunks = decoder.feed(event({"text": "a"}) + b"data: {not json\n\n" + data(odd) + b"data: [1]\n\n: ping\n\n" + END)
    assert decoder.eof() == []
    assert decoder.skipped == 1
    assert [chunk.kind for chunk in chunks] == [EventKind.CHUNK] * 3 + [EventKind.KEEP_ALIVE, EventKind.CHUNK]
    [choice] = accumulate(chunks).choices
    assert choice.message is not None
    assert choice.message.text == "ab"


def test_halves_of_a_character_in_two_events() -> None:
    def half(text: str) -> bytes:
        return b'data: {"candidates":[{"content":{"parts":[{"text":"' + text.encode() + b'"}]}}],"responseId":"r"}\n\n'

    parts = parts_of(half("\\ud83d"), half("\\ude00!"), END)
    assert parts == [TextPart(index=0, text="😀!")]


@pytest.mark.parametrize("body", [b"", b": only a comment\n\n"])
def test_a_body_without_events_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadResponseError, match="without any event"):
        decode(body)


def test_a_body_cut_in_an_event_is_cut() -> None:
    with pytest.raises(BadResponseError, match="in the middle of an event"):
        decode(event({"text": "a"}) + END[:-20])


def test_a_last_event_without_its_blank_line_is_taken() -> None:
    assert accumulate(decode(event({"text": "a"}) + END.rstrip())).choices[0].finish_reason == "stop"


def test_each_event_keeps_its_bytes() -> None:
    body = b": hi\r\n\r\n" + event({"text": "a"}) + END
    assert b"".join(chunk.raw.body for chunk in decode(body) if chunk.raw) == body


def test_a_whole_answer_is_folded_and_keeps_its_bytes() -> None:
    body = msgspec.json.encode(
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": "a"}, {"text": "b"}, call(args={"x": 1})]},
                    "finishReason": "STOP",
                }
            ],
            "createTime": "2026-01-02T03:04:05.678901Z",
            "responseId": "r",
            "modelVersion": "gemini-x",
        }
    )
    response = WIRE.decode_response(body)
    assert response.raw is not None
    assert response.raw.body == body
    assert response.created == 1767323045
    assert response.choices[0].finish_reason == "tool_calls"
    assert response.choices[0].message is not None
    assert response.choices[0].message.text == "ab"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b'"x"', b"{" * 100_000])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        WIRE.decode_response(body)
