"""The stream decoder on what the recordings do not hold: vendors' ways, errors, and ends that are none."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError, OversizedEventError
from providers.model import (
    Accumulator,
    AudioPart,
    EventKind,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.openai_chat import WIRE

DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish}],
    }


def decode(*events: bytes | dict[str, Any]) -> list[LLMResponse]:
    decoder = WIRE.stream_decoder()
    body = b"".join(item if isinstance(item, bytes) else event(item) for item in events)
    return decoder.feed(body) + decoder.eof()


def parts(*deltas: dict[str, Any]) -> list[Part]:
    """The whole message of a stream of these deltas."""
    accumulator = Accumulator()
    for chunk in decode(*deltas, DONE):
        accumulator.add(chunk)
    [choice] = accumulator.response().choices
    assert choice.message is not None
    return choice.message.content


def calls(*lists: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    found = parts(*(delta(tool_calls=pieces) for pieces in lists))
    return [(part.id, part.name, part.arguments) for part in found if isinstance(part, ToolCallPart)]


def piece(arguments: object = None, *, name: str | None = None, **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"name": name, "arguments": arguments}}


# --- kinds of events ---


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b": OPENROUTER PROCESSING\n\n", EventKind.KEEP_ALIVE),
        (b"data: [DONE]\n\n", EventKind.DONE),
        (b"data:[DONE]\n\n", EventKind.DONE),
        (b"data:\n\n", EventKind.KEEP_ALIVE),
        (event({"choices": [], "usage": {"prompt_tokens": 1}}), EventKind.USAGE),
        (event({"choices": [], "prompt_filter_results": []}), EventKind.CHUNK),
        (event({"choices": [], "usage": None}), EventKind.CHUNK),
        (event({"type": "session.created"}), EventKind.CHUNK),
        (event([1, 2]), EventKind.CHUNK),
        (event("text"), EventKind.CHUNK),
        (event({"error": {"message": "no"}}), EventKind.ERROR),
        (event({"error": "no"}), EventKind.ERROR),
        (event({"object": "error", "message": "no", "code": 400}), EventKind.ERROR),
        (b'event: error\ndata: {"message":"no"}\n\n', EventKind.ERROR),
        (b"event: error\ndata: it broke\n\n", EventKind.ERROR),
    ],
)
def test_kind_of_an_event(raw: bytes, kind: EventKind) -> None:
    [chunk, *_] = decode(raw, DONE)
    assert chunk.kind is kind
    assert chunk.raw is not None
    assert (chunk.raw.api, chunk.raw.body) == ("openai-chat", raw)
    assert chunk.choices == []


def test_an_error_of_null_is_none() -> None:
    [chunk, _] = decode({**delta(content="a"), "error": None}, DONE)
    assert chunk.kind is EventKind.CHUNK
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == [TextPart(text="a")]


def test_error_event_says_what_the_vendor_said() -> None:
    [chunk] = decode({**delta(finish="error", content=""), "error": {"code": 502, "message": "Provider disconnected"}})
    assert chunk.kind is EventKind.ERROR
    assert chunk.error is not None
    assert (chunk.error.message, chunk.error.code, chunk.error.status) == ("Provider disconnected", "502", 502)


def test_malformed_event_is_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    decoder = WIRE.stream_decoder()
    with caplog.at_level(logging.WARNING, "triway.wire"):
        chunks = decoder.feed(
            event(delta(content="a")) + b'data: {"secret": tru\n\n' + event(delta("stop", content="b"))
        )
    assert decoder.skipped == 1
    assert [chunk.choices[0].delta.content[0].text for chunk in chunks] == ["a", "b"]  # type: ignore[union-attr]
    assert "secret" not in caplog.text
    assert "malformed" in caplog.text


def test_oversized_event_ends_the_stream() -> None:
    decoder = WIRE.stream_decoder()
    with pytest.raises(OversizedEventError):
        decoder.feed(b"data: " + b"x" * (16 * 1024 * 1024 + 1))


def test_a_field_of_a_wrong_type_costs_only_itself() -> None:
    odd = delta(content="a", refusal={"no": 1}, tool_calls=[{"index": "x", "id": "c", "function": {"name": "f"}}])
    [chunk, _] = decode({**odd, "created": "yesterday", "system_fingerprint": 7}, DONE)
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == [
        TextPart(index=0, text="a"),
        ToolCallPart(index=1, id="c", name="f"),
    ]
    assert (chunk.created, chunk.model) == (0, "m")


def test_what_pythons_json_takes_is_taken() -> None:
    raw = rb'data: {"choices":[{"index":0,"delta":{"content":"half \ud83d"},"score":NaN}]}' + b"\n\n"
    [chunk, _] = decode(raw, DONE)
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == [TextPart(text="half ")]
    assert chunk.raw is not None
    assert chunk.raw.body == raw


@pytest.mark.parametrize("raw", [b"data: " + b"[" * 100_000 + b"\n\n", b"data: \xff\xfe\n\n", b"data: {\n\n"])
def test_no_bytes_break_the_decoder(raw: bytes) -> None:
    decoder = WIRE.stream_decoder()
    assert decoder.feed(raw) == []
    assert decoder.skipped == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = (
    "content",
    "role",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "tool_calls",
    "function_call",
    "refusal",
    "annotations",
    "audio",
)


@settings(max_examples=150, deadline=None)
@given(
    top=st.dictionaries(st.sampled_from(["id", "created", "model", "usage", "x_groq", "citations", "error"]), _JSON),
    choice=st.dictionaries(st.sampled_from(["index", "finish_reason", "logprobs", "usage", "stop_reason"]), _JSON),
    fields=st.dictionaries(st.sampled_from(_FIELDS), _JSON | st.lists(st.dictionaries(st.sampled_from(
        ["index", "id", "type", "function", "text", "thinking", "signature", "data"]), _JSON, max_size=4), max_size=3)),
)  # fmt: skip
def test_any_json_is_one_chunk_with_its_own_bytes(
    top: dict[str, Any], choice: dict[str, Any], fields: dict[str, Any]
) -> None:
    raw = event({**top, "choices": [{**choice, "delta": fields}]})
    decoder = WIRE.stream_decoder()
    [chunk] = decoder.feed(raw)
    assert chunk.raw is not None
    assert chunk.raw.body == raw
    encoder = WIRE.stream_encoder(WIRE.decode_request(b'{"model":"m","messages":[{"role":"user","content":""}]}'))
    encoder.encode(chunk)


# --- the end of a stream ---


def test_cut_in_mid_event() -> None:
    decoder = WIRE.stream_decoder()
    decoder.feed(event(delta(content="a")) + b'data: {"choi')
    with pytest.raises(BadResponseError, match="in the middle of an event"):
        decoder.eof()


def test_ended_before_the_answer_was_complete() -> None:
    decoder = WIRE.stream_decoder()
    decoder.feed(event(delta(content="a")))
    with pytest.raises(BadResponseError, match="before the answer was complete"):
        decoder.eof()


def test_last_event_may_lack_its_blank_line() -> None:
    decoder = WIRE.stream_decoder()
    assert decoder.feed(event(delta("stop", content="a")) + b"data: [DONE]") != []
    assert [chunk.kind for chunk in decoder.eof()] == [EventKind.DONE]


@pytest.mark.parametrize(
    "last", [delta("stop"), DONE, {"error": {"message": "no"}}], ids=["finish reason", "[DONE]", "error"]
)
def test_complete_with(last: bytes | dict[str, Any]) -> None:
    assert len(decode(delta(content="a"), last)) == 2


def test_nothing_chat_like_is_never_incomplete() -> None:
    assert len(decode({"type": "session.created"})) == 1


@pytest.mark.parametrize("body", [b"", b": comment\n\n"])
def test_a_body_without_any_event_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadResponseError, match="without any event"):
        decode(body)


def test_junk_after_done_is_no_error() -> None:
    decoder = WIRE.stream_decoder()
    assert len(decoder.feed(event(delta("stop")) + DONE + b"data: {")) == 2
    assert decoder.eof() == []


# --- text, reasoning, refusal, audio ---


def test_parts_get_their_place_when_they_first_speak() -> None:
    first, second, third, _ = decode(
        delta(role="assistant", content=""),
        delta(reasoning_content="r"),
        delta(content="t", reasoning_content="r2", refusal="no", tool_calls=[piece("{}", index=0, id="c", name="f")]),
        DONE,
    )
    assert first.choices[0].delta is not None
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", [])
    assert second.choices[0].delta is not None
    assert second.choices[0].delta.content == [ReasoningPart(index=0, text="r")]
    assert third.choices[0].delta is not None
    assert third.choices[0].delta.content == [
        ReasoningPart(index=0, text="r2"),
        TextPart(index=1, text="t"),
        RefusalPart(index=2, text="no"),
        ToolCallPart(index=3, id="c", name="f", arguments="{}"),
    ]


def test_each_choice_counts_its_own_parts() -> None:
    def chunk(index: int, **fields: Any) -> dict[str, Any]:
        return {"choices": [{"index": index, "delta": fields}]}

    chunks = decode(chunk(0, reasoning="r"), chunk(1, content="b"), chunk(0, content="a"), DONE)
    places = [(c.choices[0].index, c.choices[0].delta.content[0].index) for c in chunks[:-1]]  # type: ignore[union-attr]
    assert places == [(0, 0), (1, 0), (0, 1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "why"},
        {"reasoning": "why"},
        {"reasoning_content": "why", "reasoning": "why"},
        {"reasoning": "why", "reasoning_details": [{"type": "reasoning.text", "text": "why", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "why"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}]},
        {"content": [{"type": "thinking", "thinking": "why"}]},
    ],
)
def test_reasoning_counts_once_wherever_it_stands(fields: dict[str, Any]) -> None:
    [part] = parts(delta(**fields))
    assert part == ReasoningPart(text="why")


def test_signature_and_redacted_blocks() -> None:
    def details(*items: dict[str, Any]) -> dict[str, Any]:
        return delta(reasoning_details=list(items))

    claude = "anthropic-claude-v1"
    found = parts(
        details({"type": "reasoning.text", "text": "be", "index": 0, "format": claude}),
        details({"type": "reasoning.text", "text": "cause", "index": 0, "format": claude}),
        details({"type": "reasoning.text", "signature": "SIG", "index": 0, "format": claude}),
        details({"type": "reasoning.encrypted", "data": "XYZ", "id": "rs_1", "index": 1}),
        delta("stop", content="so"),
    )
    assert found == [
        ReasoningPart(index=0, text="because", signature="SIG", format=claude),
        ReasoningPart(index=1, redacted="XYZ", id="rs_1"),
        TextPart(index=2, text="so"),
    ]


def test_encrypted_details_do_not_hide_the_plain_text() -> None:
    found = parts(delta(reasoning="why", reasoning_details=[{"type": "reasoning.encrypted", "data": "X", "index": 0}]))
    assert found == [ReasoningPart(index=0, text="why"), ReasoningPart(index=1, redacted="X")]


def test_a_block_given_whole_after_its_text_is_not_read_twice() -> None:
    """As this gateway's own stream encoder says it."""

    def whole(text: str, signature: str, index: int) -> dict[str, Any]:
        detail = {"type": "reasoning.text", "text": text, "signature": signature, "index": index}
        return delta(reasoning_details=[detail])

    found = parts(
        delta(reasoning_content="one "),
        delta(reasoning_content="two"),
        whole("one two", "S1", 0),
        delta(reasoning_content="three"),
        whole("three", "S2", 1),
        delta("stop", content="so"),
    )
    assert found == [
        ReasoningPart(index=0, text="one two", signature="S1"),
        ReasoningPart(index=1, text="three", signature="S2"),
        TextPart(index=2, text="so"),
    ]


def test_blocks_without_a_place_in_the_model_are_opaque() -> None:
    decoder = WIRE.stream_decoder()
    item = {"type": "tool_file", "file_id": "f"}
    [chunk] = decoder.feed(event(delta(content=[{"type": "text", "text": "a"}, item])))
    assert decoder.dropped_blocks == 1
    assert chunk.choices[0].delta is not None
    [text, opaque] = chunk.choices[0].delta.content
    assert text == TextPart(index=0, text="a")
    assert isinstance(opaque, OpaquePart)
    assert (opaque.index, opaque.kind, json.loads(bytes(opaque.raw))) == (1, "tool_file", item)


def test_annotations_cite_the_text() -> None:
    raw = {
        "type": "url_citation",
        "url_citation": {"url": "https://e.org", "title": "E", "start_index": 1, "end_index": 4, "content": "cited"},
    }
    [part] = parts(delta(content="abcd"), delta(annotations=[raw]))
    assert isinstance(part, TextPart)
    assert part.text == "abcd"
    [citation] = part.citations
    assert (citation.url, citation.title, citation.start, citation.end, citation.cited_text, citation.raw) == (
        "https://e.org",
        "E",
        1,
        4,
        "cited",
        raw,
    )


def test_perplexitys_sources_are_cited_once() -> None:
    chunk = {**delta(content="a"), "citations": ["https://a.org", "https://b.org"]}
    [part] = parts(chunk, chunk, {**chunk, "citations": ["https://a.org", "https://c.org"]})
    assert isinstance(part, TextPart)
    assert part.text == "aaa"
    assert [citation.url for citation in part.citations] == ["https://a.org", "https://b.org", "https://c.org"]


def test_audio() -> None:
    [part] = parts(
        delta(audio={"id": "au", "transcript": "he"}),
        delta(audio={"data": "AAA="}),
        delta(audio={"transcript": "llo", "expires_at": 9}),
    )
    assert part == AudioPart(id="au", data="AAA=", transcript="hello", expires_at=9)


def test_legacy_completion_text() -> None:
    [chunk, _] = decode({"object": "text_completion", "choices": [{"text": "a", "index": 0}]}, DONE)
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == [TextPart(text="a")]
    assert chunk.object == "text_completion"


# --- tool calls ---


def test_parallel_calls_by_index() -> None:
    assert calls(
        [piece("", index=0, id="a", name="f")],
        [piece('{"x"', index=0)],
        [piece("", index=1, id="b", name="g")],
        [piece(":1}", index=0), piece("{}", index=1)],
    ) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_all_numbered_zero_but_with_ids() -> None:
    assert calls(
        [piece('{"x":', index=0, id="a", name="f")],
        [piece("{}", index=0, id="b", name="g")],
        [piece("1}", index=0, id="a")],
    ) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_all_numbered_zero_without_ids() -> None:
    assert calls([piece("{}", index=0, name="f"), piece("{}", index=0, name="g")]) == [("", "f", "{}"), ("", "g", "{}")]


def test_without_index_by_id() -> None:
    assert calls(
        [piece("{", id="a", name="f"), piece("{", id="b", name="g")],
        [piece("}", id="a"), piece("}", id="b")],
    ) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_without_index_and_id_by_order() -> None:
    assert calls([piece("", name="f")], [piece("{}")], [piece("[]", name="g")]) == [("", "f", "{}"), ("", "g", "[]")]


def test_ids_and_names_come_late_are_repeated_or_empty() -> None:
    assert calls(
        [piece(None, index=0, id="a", name="")],
        [piece(None, index=0, id="", name="f")],
        [piece("{}", index=0, id="a", name="f")],
        [piece(None, index=0, id="", name="")],
    ) == [("a", "f", "{}")]
    assert calls([piece("", index=0, name="f")], [piece("{}", index=0, id="late")]) == [("late", "f", "{}")]


def test_arguments_as_an_object() -> None:
    assert calls([piece({"x": ["é"]}, index=0, id="a", name="f")]) == [("a", "f", '{"x":["é"]}')]
    assert calls([piece({}, index=0, id="a", name="f")]) == [("a", "f", "{}")]


def test_custom_call() -> None:
    first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "l"}}
    [part] = parts(delta(tool_calls=[first]), delta(tool_calls=[{"index": 0, "custom": {"input": "s"}}]))
    assert part == ToolCallPart(id="a", name="sh", arguments="ls", kind="custom")


def test_legacy_function_call() -> None:
    [part] = parts(
        delta(function_call={"name": "f", "arguments": ""}), delta("function_call", function_call={"arguments": "{}"})
    )
    assert part == ToolCallPart(id="call_f", name="f", arguments="{}")
    assert parts(delta(content="a", function_call={"name": "", "arguments": ""})) == [TextPart(text="a")]


_CALL = st.tuples(st.text("abc", min_size=1, max_size=3), st.lists(st.text("{}1", min_size=1, max_size=3), max_size=4))


@settings(max_examples=80, deadline=None)
@given(wanted=st.lists(_CALL, min_size=1, max_size=4), data=st.data())
def test_interleaved_calls_come_apart_again(wanted: list[tuple[str, list[str]]], data: st.DataObject) -> None:
    """Calls with an index, whose pieces come in any order that keeps each call's own."""
    queues = [
        [piece("", index=i, id=f"id{i}", name=name), *(piece(text, index=i) for text in texts)]
        for i, (name, texts) in enumerate(wanted)
    ]
    lists: list[list[dict[str, Any]]] = [[queue.pop(0)] for queue in queues]
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        lists.append([queue.pop(0)])
    assert calls(*lists) == [(f"id{i}", name, "".join(texts)) for i, (name, texts) in enumerate(wanted)]


# --- finish reasons and usage ---


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("sensitive", "content_filter"),
        ("insufficient_system_resource", "length"),
        ("something new", "stop"),
    ],
)
def test_finish_reason(word: str, reason: str) -> None:
    [chunk] = decode(delta(word))
    assert (chunk.choices[0].finish_reason, chunk.choices[0].native_finish_reason) == (reason, word)


def test_no_finish_reason() -> None:
    first, second, _ = decode(delta(None, content="a"), delta("", content="b"), DONE)
    assert first.choices[0].finish_reason is None
    assert second.choices[0].finish_reason is None


def test_stop_sequence_of_vllm() -> None:
    chunk = delta("stop")
    chunk["choices"][0]["stop_reason"] = "\n\n"
    assert decode(chunk)[0].choices[0].stop_sequence == "\n\n"
    chunk["choices"][0]["stop_reason"] = 154829
    assert decode(chunk)[0].choices[0].stop_sequence is None


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}},
        {"choices": [{"delta": {}, "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}]},
    ],
)
def test_places_of_usage(chunk: dict[str, Any]) -> None:
    usage = decode(chunk, DONE)[0].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.details) == (3, 2, 5, None)


@pytest.mark.parametrize(
    ("completion", "reasoning", "total", "told"),
    [
        (2, 340, 354, 342),  # xAI: beside the completion
        (342, 340, 354, 342),  # everyone else: within
        (2, 0, 354, 2),
        (2, 340, 360, 2),  # some other sum: nothing is known of it
        (2, 340, None, 2),
    ],
)
def test_reasoning_counts_as_output(completion: int, reasoning: int, total: int | None, told: int) -> None:
    counts = {"prompt_tokens": 12, "completion_tokens": completion, "total_tokens": total}
    details = {"completion_tokens_details": {"reasoning_tokens": reasoning}}
    usage = decode({"choices": [], "usage": counts | details}, DONE)[0].usage
    assert usage is not None
    assert usage.details is not None
    assert (usage.completion_tokens, usage.details.reasoning_tokens) == (told, reasoning)


def test_details_of_usage() -> None:
    usage = decode(
        {
            "choices": [],
            "usage": {
                "prompt_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1, "cache_write_tokens": 9},
                "completion_tokens_details": {
                    "reasoning_tokens": 5,
                    "audio_tokens": 2,
                    "accepted_prediction_tokens": 6,
                    "rejected_prediction_tokens": 7,
                },
                "cost": 0.25,
                "cost_details": None,
            },
        }
    )[0].usage
    assert usage is not None
    assert usage.details is not None
    details = usage.details
    assert (details.cached_tokens, details.cache_creation_tokens, details.reasoning_tokens) == (4, 9, 5)
    assert (details.prompt_audio_tokens, details.completion_audio_tokens) == (1, 2)
    assert (details.accepted_prediction_tokens, details.rejected_prediction_tokens) == (6, 7)
    assert {name: bytes(value) for name, value in usage.extra.items()} == {"cost": b"0.25"}


@pytest.mark.parametrize("name", ["prompt_cache_hit_tokens", "cached_tokens"])
def test_vendors_names_for_cached_tokens(name: str) -> None:
    usage = decode({"choices": [], "usage": {"prompt_tokens": 30, name: 20}})[0].usage
    assert usage is not None
    assert usage.details is not None
    assert usage.details.cached_tokens == 20


def test_logprobs_are_kept() -> None:
    chunk = delta(content="a")
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}], "refusal": None}
    chunk["choices"][0]["logprobs"] = logprobs
    assert decode(chunk, DONE)[0].choices[0].logprobs == logprobs
