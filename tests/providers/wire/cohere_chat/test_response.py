"""Whole answers of Cohere, errors and embeddings."""

from __future__ import annotations

import json

import pytest

from providers.errors import BadResponseError, ErrorKind, ProviderError, RequestError
from providers.model import EmbeddingRequest, OpaquePart, RawBody, ReasoningPart, TextPart
from providers.replay.recording import Recording
from providers.wire.base import Translation
from providers.wire.cohere_chat import EMBEDDINGS, WIRE
from tests.providers.wire.reading import accumulate, decode, message_of, recorded_streams
from tests.support.recordings import recordings


@pytest.mark.parametrize("recording", recordings("cohere-chat", "json"))
def test_every_recording(recording: Recording) -> None:
    body = recording.response.body
    told = json.loads(body)
    response = WIRE.decode_response(body)
    assert response.raw == RawBody("cohere-chat", body)
    assert response.id == told["id"]
    texts = [item["text"] for item in told["message"].get("content", []) if item["type"] == "text"]
    assert [part.text for part in message_of(response) if isinstance(part, TextPart)] == texts
    assert response.choices[0].native_finish_reason == told["finish_reason"]
    assert response.usage is not None
    assert response.usage.prompt_tokens == told["usage"]["tokens"]["input_tokens"]


@pytest.mark.parametrize("name", ["text", "tools", "reasoning", "citations"])
def test_a_whole_answer_says_what_its_stream_says(name: str) -> None:
    streamed = next(one for one in recorded_streams("cohere-chat") if one.name == name)
    whole = next(one.values[0] for one in recordings("cohere-chat", "json") if one.id == f"bundled-{name}")  # type: ignore[attr-defined]
    ours = accumulate(decode("cohere-chat", streamed.response.body))
    assert message_of(ours) == message_of(WIRE.decode_response(whole.response.body))
    assert ours.usage == WIRE.decode_response(whole.response.body).usage


def test_plan_and_items_of_other_kinds() -> None:
    message = {"tool_plan": "plan", "content": [{"type": "thinking", "thinking": "t"}, {"type": "news", "x": 1}]}
    plan, thinking, news = message_of(WIRE.decode_response(json.dumps({"message": message}).encode()))
    assert [type(part) for part in (plan, thinking)] == [ReasoningPart, ReasoningPart]
    assert isinstance(news, OpaquePart)
    assert (news.kind, bytes(news.raw)) == ("news", b'{"type": "news", "x": 1}')


def test_an_answer_that_failed_raises() -> None:
    with pytest.raises(ProviderError, match="it broke") as caught:
        WIRE.decode_response(b'{"message":{"content":[]},"finish_reason":"ERROR","error":"it broke"}')
    assert caught.value.kind is ErrorKind.SERVER


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"message":{"content":[7]}}'])
def test_what_is_no_answer_is_a_bad_response(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        WIRE.decode_response(body)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"message":"no"}', ErrorKind.INVALID_REQUEST, "no"),
        (429, b'{"message":"slow"}', ErrorKind.RATE_LIMIT, "slow"),
        (498, b'{"message":"blocked"}', ErrorKind.INVALID_REQUEST, "blocked"),
        (503, b'{"message":"full"}', ErrorKind.OVERLOADED, "full"),
        (404, b'{"detail":"Not Found"}', ErrorKind.NOT_FOUND, "Not Found"),
        (502, b"<html>", ErrorKind.SERVER, "the provider answered with status 502 (Bad Gateway)"),
    ],
)
def test_errors(status: int, body: bytes, kind: ErrorKind, message: str) -> None:
    error = WIRE.decode_error(status, body)
    assert (error.kind, error.message, error.status) == (kind, message, status)
    assert (error.raw is not None) == (b'"message"' in body)


def test_embeddings() -> None:
    request = EmbeddingRequest(model="m", texts=["a", "b"], dimensions=2, input_type="search_query")
    request.metadata.user_id = "u"
    encoded = EMBEDDINGS.encode(request, "embed-v4.0", Translation("cohere"))
    assert json.loads(encoded.body) == {
        "model": "embed-v4.0",
        "texts": ["a", "b"],
        "input_type": "search_query",
        "embedding_types": ["float"],
        "output_dimension": 2,
    }
    assert encoded.dropped == ["user"]
    body = b'{"id":"x","embeddings":{"float":[[0.5,1],[2,3]]},"meta":{"billed_units":{"input_tokens":4.0}}}'
    response = EMBEDDINGS.decode(body, request)
    assert [(one.index, one.vector) for one in response.embeddings] == [(0, [0.5, 1]), (1, [2, 3])]
    assert response.usage is not None
    assert (response.usage.prompt_tokens, response.usage.total_tokens) == (4, 4)
    with pytest.raises(BadResponseError, match="2 embeddings for 1 inputs"):
        EMBEDDINGS.decode(body, EmbeddingRequest(model="m", texts=["a"]))
    with pytest.raises(BadResponseError):
        EMBEDDINGS.decode(b"{}", request)
    with pytest.raises(RequestError, match="texts, not tokens"):
        EMBEDDINGS.encode(EmbeddingRequest(model="m", tokens=[[1]]), "m", Translation("cohere"))
