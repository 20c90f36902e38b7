"""Streams for Gemini clients, from chunks of other APIs; google-genai is the judge of what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import errors

from providers.errors import ErrorKind, GatewayError
from providers.model import (
    AssistantMessage,
    AudioPart,
    Choice,
    Citation,
    Delta,
    ErrorInfo,
    EventKind,
    FilePart,
    ImagePart,
    LLMResponse,
    OpaquePart,
    Part,
    RawBody,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenDetails,
    ToolCallPart,
    Usage,
    finish_chunk,
    text_chunk,
    tool_call_chunk,
)
from providers.wire.gemini_generate import WIRE, encode_token_count
from tests.providers.wire.gemini_generate.support import (
    CLIENT_REQUEST,
    Said,
    encode,
    sdk_answer,
    sdk_stream,
)


def chunk(*parts: Part, index: int = 0, **more: Any) -> LLMResponse:
    return LLMResponse(choices=[Choice(index=index, delta=Delta(content=list(parts)), **more)])


def sent(body: bytes) -> list[dict[str, Any]]:
    """The events' JSON."""
    return [json.loads(line[6:]) for line in body.split(b"\r\n\r\n") if line.startswith(b"data: ")]


def sent_parts(body: bytes, index: int = 0) -> list[dict[str, Any]]:
    return [
        part
        for event in sent(body)
        for candidate in event["candidates"]
        if candidate["index"] == index
        for part in candidate["content"]["parts"]
    ]


def test_text_thoughts_and_the_end() -> None:
    usage = Usage(
        prompt_tokens=9,
        completion_tokens=7,
        details=TokenDetails(cached_tokens=4, reasoning_tokens=5),
    )
    body = encode(
        [
            chunk(ReasoningPart(text="Hm")),
            chunk(TextPart(index=1, text="Hel")),
            chunk(TextPart(index=1, text="lo")),
            finish_chunk("stop", usage),
        ]
    )
    events = sdk_stream(body)
    said = Said(events)
    assert (said.thoughts, said.text, said.finish) == ("Hm", "Hello", "STOP")
    assert said.usage == {
        "prompt_token_count": 9,
        "candidates_token_count": 2,
        "thoughts_token_count": 5,
        "cached_content_token_count": 4,
        "total_token_count": 16,
    }
    assert {event.response_id for event in events} == {events[0].response_id}
    assert {event.model_version for event in events} == {"the-model"}


def test_calls_are_said_whole_and_in_order() -> None:
    body = encode(
        [
            tool_call_chunk(index=0, id="c1", name="f"),
            tool_call_chunk('{"a":', index=0),
            tool_call_chunk("1}", index=0),
            tool_call_chunk('{"b":', index=1, id="c2", name="g"),
            tool_call_chunk("", index=2, id="c3", name="h"),
            tool_call_chunk("2}", index=1),
            finish_chunk("tool_calls"),
        ]
    )
    assert sent_parts(body)[:3] == [
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c1"}},
        {"functionCall": {"name": "h", "args": {}, "id": "c3"}},
        {"functionCall": {"name": "g", "args": {"b": 2}, "id": "c2"}},
    ]
    assert Said(sdk_stream(body)).finish == "STOP"


def test_another_id_under_the_same_index_is_another_call() -> None:
    body = encode([tool_call_chunk("{}", index=0, id=name, name=name) for name in ("a", "b")])
    assert [part["functionCall"]["id"] for part in sent_parts(body) if "functionCall" in part] == ["a", "b"]


def test_a_call_that_is_not_complete_is_left_out_and_counted() -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    body = encoder.encode(tool_call_chunk('{"a":', index=0, id="c", name="f"))
    body += encoder.finish(LLMResponse(choices=[Choice(finish_reason="length")]))
    assert encoder.dropped_blocks == 1
    said = Said(sdk_stream(body))
    assert (said.calls, said.finish) == ([], "MAX_TOKENS")


def test_googles_signatures_stand_on_their_parts_and_others_are_sealed() -> None:
    body = encode(
        [
            chunk(TextPart(index=0, text="a", signature="czE=")),
            chunk(ToolCallPart(index=1, id="c", name="f", signature="czI=")),
            chunk(ReasoningPart(index=2, text="th", format="anthropic-claude-v1")),
            chunk(ReasoningPart(index=2, text="ink")),
            chunk(ReasoningPart(index=2, signature="their/own+")),
            chunk(ReasoningPart(index=3, redacted="secret", format="anthropic-claude-v1")),
            chunk(TextPart(index=4, text="b")),
            finish_chunk("stop"),
        ]
    )
    parts = sent_parts(body)
    signed = {json.dumps(part): part.pop("thoughtSignature") for part in parts if "thoughtSignature" in part}
    assert [*signed.values()][:2] == ["czE=", "czI="]
    assert parts[2:6] == [{"text": text, "thought": True} for text in ("th", "ink", "", "")]
    # The client gives its turn back as the SDK kept it.
    turns = [
        {"role": "user", "parts": [{"text": "q"}]},
        *(
            candidate.content.model_dump(mode="json", exclude_none=True)
            for event in sdk_stream(body)
            for candidate in event.candidates or ()
            if candidate.content is not None
        ),
    ]
    request = WIRE.decode_request(json.dumps({"contents": _joined(turns)}).encode())
    kept = [part for part in request.messages[1].content if isinstance(part, ReasoningPart)]
    assert kept == [
        ReasoningPart(index=2, text="think", signature="their/own+", format="anthropic-claude-v1"),
        ReasoningPart(index=3, redacted="secret", format="anthropic-claude-v1"),
    ]


def _joined(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    question, *answers = turns
    return [question, {"role": "model", "parts": [part for answer in answers for part in answer["parts"]]}]


def test_media_refusals_citations_and_what_cannot_be_said() -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    source = Citation(kind="url_citation", url="https://a", title="A", start=0, end=2)
    foreign = OpaquePart(index=4, kind="server_tool_use", api="anthropic-messages")
    body = encoder.encode(
        chunk(
            ImagePart(index=0, data="AA==", media_type="image/webp"),
            AudioPart(index=1, data="BA==", format="mp3"),
            RefusalPart(index=2, text="No."),
            TextPart(index=3, text="ok", citations=[source, Citation(kind="char_location")]),
            foreign,
            foreign,
            FilePart(index=5, text="plain"),
        )
    )
    body += encoder.finish(LLMResponse(choices=[Choice(finish_reason="content_filter")]))
    assert sent_parts(body)[:5] == [
        {"inlineData": {"mimeType": "image/webp", "data": "AA=="}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "BA=="}},
        {"text": "No."},
        {"text": "ok"},
        {"inlineData": {"mimeType": "text/plain", "data": "cGxhaW4="}},
    ]
    last = sent(body)[-1]["candidates"][0]
    assert last["citationMetadata"] == {
        "citations": [{"uri": "https://a", "title": "A", "startIndex": 0, "endIndex": 2}]
    }
    assert last["finishReason"] == "SAFETY"
    assert encoder.dropped_blocks == 2  # the foreign block once, and a citation without a place to point at
    sdk_stream(body)


def test_several_candidates() -> None:
    body = encode(
        [
            chunk(TextPart(text="a")),
            chunk(TextPart(text="b"), index=1),
            chunk(finish_reason="stop"),
            chunk(index=1, finish_reason="length"),
        ]
    )
    events = sdk_stream(body)
    assert [(Said(events, index).text, Said(events, index).finish) for index in (0, 1)] == [
        ("a", "STOP"),
        ("b", "MAX_TOKENS"),
    ]


def test_a_stream_without_a_chunk_is_an_empty_answer() -> None:
    body = WIRE.stream_encoder(CLIENT_REQUEST).finish(LLMResponse())
    assert (Said(sdk_stream(body)).text, Said(sdk_stream(body)).finish) == ("", "STOP")


def test_a_keep_alive_does_not_disturb_the_sdk() -> None:
    keep_alive = WIRE.stream_encoder(CLIENT_REQUEST).encode(LLMResponse(kind=EventKind.KEEP_ALIVE))
    assert keep_alive
    body = encode([text_chunk("a"), finish_chunk("stop")])
    assert Said(sdk_stream(keep_alive + keep_alive + body.replace(b"\r\n\r\n", b"\r\n\r\n" + keep_alive))).text == "a"


def test_an_error_ends_the_stream_and_the_sdk_raises() -> None:
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    body = encoder.encode(text_chunk("a"))
    info = ErrorInfo(message="overloaded", type="overloaded_error", status=529)
    body += encoder.encode(LLMResponse(kind=EventKind.ERROR, error=info))
    assert encoder.finish(LLMResponse()) == b""
    with pytest.raises(errors.ServerError, match="overloaded"):
        sdk_stream(body)


def test_an_event_of_this_api_passes_as_it_came() -> None:
    raw = RawBody("gemini-generate", b'data: {"candidates": [ ]}\n\n')
    assert WIRE.stream_encoder(CLIENT_REQUEST).encode(LLMResponse(raw=raw)) == raw.body


def test_log_probabilities_come_back() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97]}
    given = {"content": [{**token, "top_logprobs": [token]}]}
    response = LLMResponse(
        choices=[Choice(message=AssistantMessage(content=[TextPart(text="a")]), logprobs=given, finish_reason="stop")]
    )
    body = WIRE.encode_response(response, CLIENT_REQUEST)
    assert sdk_answer(body).candidates[0].logprobs_result.chosen_candidates[0].token == "a"  # type: ignore[index,union-attr]
    assert WIRE.decode_response(body).choices[0].logprobs == given


def test_a_whole_answer_reads_the_same_in_the_sdk() -> None:
    parts: list[Part] = [
        ReasoningPart(text="Hm"),
        TextPart(index=1, text="Hi"),
        ToolCallPart(index=2, id="c", name="f", arguments='{"a": 1}'),
        ToolCallPart(index=3, id="d", name="g", arguments='{"a": '),
    ]
    response = LLMResponse(
        model="other",
        choices=[Choice(message=AssistantMessage(content=parts), finish_reason="tool_calls")],
        usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
    )
    answer = sdk_answer(WIRE.encode_response(response, CLIENT_REQUEST))
    said = Said([answer])
    assert (said.thoughts, said.text, said.calls, said.finish) == ("Hm", "Hi", [("f", {"a": 1})], "STOP")
    assert said.usage["total_token_count"] == 3
    assert answer.model_version == "other"


def test_token_counts() -> None:
    assert encode_token_count(LLMResponse(usage=Usage(prompt_tokens=7))) == b'{"totalTokens":7}'


def test_errors_in_a_stream_have_the_shape_of_errors() -> None:
    error = GatewayError("cut", kind=ErrorKind.TIMEOUT, status=504)
    with pytest.raises(errors.ServerError) as caught:
        sdk_stream(encode([text_chunk("a")])[:0] + WIRE.encode_stream_error(error))
    assert (caught.value.code, caught.value.status) == (504, "DEADLINE_EXCEEDED")
