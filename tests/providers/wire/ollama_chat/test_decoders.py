"""Ollama's answers, streamed and whole, errors and embeddings; every stream in every split."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError, ErrorKind, ProviderError, error_of_event
from providers.model import EmbeddingRequest, EventKind, LLMResponse, ToolCallPart
from providers.replay.recording import Recording
from providers.wire.base import Translation
from providers.wire.ollama_chat import EMBEDDINGS, WIRE
from tests.providers.wire.reading import accumulate, decode_pieces, message_of, pieces_of, recorded_streams
from tests.providers.wire.reading import decode as decode_any
from tests.support.recordings import recordings

API = "ollama-chat"


def decode(body: bytes) -> list[LLMResponse]:
    return decode_any(API, body)


def line(at: str = "2026-03-21T07:42:00.1234567Z", **more: Any) -> bytes:
    message = more.pop("message", {"role": "assistant", "content": ""})
    whole = {"model": "qwen3", "created_at": at, "message": message, "done": False, **more}
    return json.dumps(whole).encode() + b"\n"


def says(**message: Any) -> bytes:
    return line(message={"role": "assistant", "content": "", **message})


def end(reason: str = "stop", **more: Any) -> bytes:
    return line(done=True, done_reason=reason, **more)


def calling(*calls: dict[str, Any]) -> bytes:
    return says(tool_calls=[{"function": call} if "name" in call else call for call in calls])


@pytest.mark.parametrize("recording", recordings(API, "stream"))
def test_every_recording_keeps_its_bytes(recording: Recording) -> None:
    decoder = WIRE.stream_decoder()
    chunks = decoder.feed(recording.response.body) + decoder.eof()
    assert b"".join(chunk.raw.body for chunk in chunks if chunk.raw) == recording.response.body
    assert decoder.skipped == 0
    assert chunks[-1].kind is EventKind.DONE


OWN = says(thinking="é") + b"\n" + says(content="🙂\u2028") + calling({"name": "f", "arguments": {}}) + end()
BODIES = [OWN, OWN.replace(b"\n", b"\r\n"), OWN[:-1], *(one.response.body for one in recorded_streams(API))]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_split_gives_the_same_chunks(data: st.DataObject) -> None:
    body, pieces = pieces_of(data, BODIES)
    assert decode_pieces(API, pieces) == decode(body)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_one_byte_at_a_time(body: bytes) -> None:
    assert decode_pieces(API, (bytes([byte]) for byte in body)) == decode(body)


@pytest.mark.parametrize("name", ["text", "reasoning"])
def test_a_whole_answer_says_what_its_stream_says(name: str) -> None:
    streamed = next(one for one in recorded_streams(API) if one.name == name)
    whole = next(one.values[0] for one in recordings(API, "json") if one.id == f"bundled-{name}")  # type: ignore[attr-defined]
    ours, theirs = accumulate(decode(streamed.response.body)), WIRE.decode_response(whole.response.body)
    assert {type(part): part.text for part in message_of(ours)} == {
        type(part): part.text for part in message_of(theirs)
    }
    assert ours.choices[0].finish_reason == theirs.choices[0].finish_reason
    assert ours.usage is not None
    assert theirs.usage is not None
    assert ours.usage.total_tokens == theirs.usage.total_tokens


def test_thinking_text_and_calls_are_parts_of_their_own() -> None:
    body = says(thinking="h") + says(thinking="m", content="a") + says(content="b")
    body += calling({"name": "f", "arguments": {"x": 1.5}}) + calling(
        {"name": "f", "arguments": {"x": 1.5}}, {"id": "call_own", "function": {"name": "g", "arguments": {}}}
    )
    response = accumulate(decode(body + end(prompt_eval_count=3, eval_count=4, total_duration=9)))
    thinking, text, *calls = message_of(response)
    assert (thinking.text, text.text) == ("hm", "ab")
    assert [(call.name, call.arguments) for call in calls] == [
        ("f", '{"x": 1.5}'),
        ("f", '{"x": 1.5}'),
        ("g", "{}"),
    ]
    assert response.choices[0].finish_reason == "tool_calls"
    assert response.choices[0].native_finish_reason == "stop"
    assert (response.model, response.created) == ("qwen3", 1774078920)
    assert response.usage is not None
    assert (response.usage.prompt_tokens, response.usage.completion_tokens, response.usage.total_tokens) == (3, 4, 7)
    assert list(response.usage.extra) == ["total_duration"]


def test_ids_that_the_server_does_not_give_are_made_from_what_it_says() -> None:
    def ids(body: bytes) -> list[str]:
        return [part.id for part in message_of(accumulate(decode(body + end()))) if isinstance(part, ToolCallPart)]

    one, other, own = ids(
        calling(
            {"name": "f", "arguments": {}},
            {"name": "f", "arguments": {}},
            {"id": "call_own", "function": {"name": "g", "arguments": {}}},
        )
    )
    assert own == "call_own"
    assert one != other
    assert ids(calling({"name": "f", "arguments": {}})) == [one]
    later = line(
        "2026-03-21T07:43:00Z",
        message={"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
    )
    assert ids(later) != [one]


@pytest.mark.parametrize(
    ("native", "finish"), [("stop", "stop"), ("length", "length"), ("load", "stop"), ("tomorrow", "stop")]
)
def test_done_reasons(native: str, finish: str) -> None:
    choice = accumulate(decode(says(content="x") + end(native))).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (finish, native)
    whole = json.dumps({"message": {"content": "x"}, "done": True, "done_reason": native}).encode()
    assert WIRE.decode_response(whole).choices[0].finish_reason == finish


def test_a_call_that_the_limit_ended_is_not_finished() -> None:
    assert (
        accumulate(decode(calling({"name": "f", "arguments": {}}) + end("length"))).choices[0].finish_reason == "length"
    )


def test_counts_that_are_left_out_are_not_told() -> None:
    usage = accumulate(decode(says(content="x") + end(eval_count=4))).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (None, 4, None)


def test_log_probabilities() -> None:
    entry = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
    response = accumulate(decode(line(message={"content": "x"}, logprobs=[entry]) + end()))
    assert response.choices[0].logprobs == {"content": [entry]}


def test_an_error_line_ends_the_stream() -> None:
    *_, last = decode(says(content="x") + b'{"error":"an error was encountered while running the model"}\n')
    assert last.error is not None
    error = error_of_event(last.error, last.raw)
    assert (error.status, error.kind) == (500, ErrorKind.SERVER)
    assert error.message == "an error was encountered while running the model"


def test_malformed_lines_are_skipped_and_one_odd_field_costs_no_line() -> None:
    decoder = WIRE.stream_decoder()
    bad = b"{\n" + b"[1]\n" + b'{"message":{"content":"\xff"}}\n'
    odd = line(message={"content": "x", "tool_calls": 7}, created_at="no time")
    chunks = decoder.feed(bad + odd + end()) + decoder.eof()
    assert decoder.skipped == 3
    assert message_of(accumulate(chunks))[0].text == "x"


def test_streams_that_are_cut() -> None:
    for body, why in (
        (says(content="x"), "before the answer was complete"),
        (says(content="x") + b'{"mess', "middle of an event"),
        (b"", "without any event"),
    ):
        with pytest.raises(BadResponseError, match=why):
            decode(body)
    assert decode(says(content="x") + end() + b"{")[-1].kind is EventKind.DONE


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>"])
def test_what_is_no_answer_is_a_bad_response(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        WIRE.decode_response(body)


def test_an_error_under_a_good_status() -> None:
    with pytest.raises(ProviderError, match="it broke"):
        WIRE.decode_response(b'{"error":"it broke"}')


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, b'{"error":"model \'x\' not found"}', ErrorKind.NOT_FOUND, "model 'x' not found"),
        (503, b'{"error":"server busy"}', ErrorKind.OVERLOADED, "server busy"),
        (500, b'{"error":[1]}', ErrorKind.SERVER, "the provider answered with status 500 (Internal Server Error)"),
    ],
)
def test_errors(status: int, body: bytes, kind: ErrorKind, message: str) -> None:
    error = WIRE.decode_error(status, body)
    assert (error.kind, error.message, error.status) == (kind, message, status)


def test_embeddings() -> None:
    request = EmbeddingRequest(model="m", texts=["a"], dimensions=2, input_type="query")
    encoded = EMBEDDINGS.encode(request, "nomic-embed-text", Translation("ollama"))
    assert json.loads(encoded.body) == {"model": "nomic-embed-text", "input": ["a"], "dimensions": 2}
    assert encoded.dropped == ["input_type"]
    response = EMBEDDINGS.decode(b'{"model":"n","embeddings":[[0.5,1]],"prompt_eval_count":3}', request)
    assert [one.vector for one in response.embeddings] == [[0.5, 1]]
    assert response.usage is not None
    assert response.usage.prompt_tokens == 3
    with pytest.raises(BadResponseError):
        EMBEDDINGS.decode(b'{"embeddings":[]}', request)
