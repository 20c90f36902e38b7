"""Embeddings in OpenAI's format: what is read, what is refused, and vectors that stay what they were."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import BadResponseError, ProviderError, RequestError, UnsupportedParameterError
from providers.model import Embedding, EmbeddingRequest, EmbeddingResponse, Usage
from providers.wire.base import Translation
from providers.wire.openai_chat.embeddings import (
    EMBEDDINGS,
    decode_embedding_request,
    decode_embedding_response,
    embedding_wire,
    encode_embedding_response,
    pack,
    unpack,
)
from providers.wire.openai_chat.mistral import EMBEDDING_DIALECT


def decode(**parameters: Any) -> EmbeddingRequest:
    return decode_embedding_request(json.dumps({"model": "m", **parameters}).encode())


@pytest.mark.parametrize(
    ("given_input", "texts", "tokens"),
    [
        ("one", ["one"], []),
        (["one", "two"], ["one", "two"], []),
        ([1, 2], [], [[1, 2]]),
        ([[1], [2, 3]], [], [[1], [2, 3]]),
    ],
)
def test_every_form_of_input_is_read(given_input: Any, texts: list[str], tokens: list[list[int]]) -> None:
    request = decode(input=given_input, dimensions=3, encoding_format="base64", user="u", odd=[1])
    assert (request.texts, request.tokens) == (texts, tokens)
    assert request.size == len(texts) + len(tokens)
    assert (request.dimensions, request.encoding_format, request.metadata.user_id) == (3, "base64", "u")
    assert request.extra == {"odd": msgspec.Raw(b"[1]")}


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [["a"]]}, "input[0]"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": "a", "dimensions": "3"}, "dimensions"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "model": ""}, "model"),
        ({"input": "a", "model": 5}, "model"),
    ],
)
def test_what_is_wrong_is_named(parameters: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as wrong:
        decode(**parameters)
    assert wrong.value.param is not None
    assert wrong.value.param.startswith(param)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_told(body: bytes) -> None:
    with pytest.raises(RequestError):
        decode_embedding_request(body)


def test_the_same_api_relays_bytes_and_changes_the_model_only() -> None:
    body = b'{"model":"m","input":["h\\u00e9", "b"],"odd":1e2,"encoding_format":"base64"}'
    request = decode_embedding_request(body)
    assert EMBEDDINGS.relay is not None
    assert EMBEDDINGS.relay(request, "m", Translation("openai")).body == body
    assert EMBEDDINGS.relay(request, "x", Translation("openai")).body == body.replace(b'"m"', b'"x"').replace(
        b'", "b"', b'", "b"'
    )


def test_a_vendors_dialect_renames_drops_and_refuses() -> None:
    wire = embedding_wire(EMBEDDING_DIALECT)
    request = decode(input=["a"], dimensions=3, user="u")
    assert wire.relay is not None
    encoded = wire.relay(request, "mistral-embed", Translation("mistral"))
    assert json.loads(encoded.body) == {"model": "mistral-embed", "input": ["a"], "output_dimension": 3}
    assert encoded.dropped == ["user"]
    with pytest.raises(UnsupportedParameterError, match="odd"):
        wire.relay(decode(input=["a"], odd=1), "m", Translation("mistral"))


def answer(*vectors: Any, **more: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return json.dumps({"object": "list", "data": data, "model": "real", "usage": usage, **more}).encode()


PACKED = b64encode(struct.pack("<2f", 0.25, -1.5)).decode()


@pytest.mark.parametrize("vector", [[0.25, -1.5], PACKED])
def test_an_answer_is_read_in_both_forms(vector: Any) -> None:
    response = decode_embedding_response(answer(vector), EmbeddingRequest(model="m", texts=["a"]))
    assert response.embeddings == [Embedding(index=0, vector=[0.25, -1.5])]
    assert response.usage is not None
    assert response.usage.prompt_tokens == 5
    assert response.model == "real"


def test_the_vectors_of_an_answer_that_is_relayed_stay_unread() -> None:
    body = answer([0.1], "never looked at")
    response = decode_embedding_response(body, decode(input=["a", "b"]))
    assert response.embeddings == []
    assert response.raw is not None
    assert response.raw.body == body


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b"[]", answer([0.1]), answer([0.1], "%%%"), answer([0.1], "QUI="), answer([0.1], {})]
)
def test_what_is_not_a_vector_for_each_input_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadResponseError):
        decode_embedding_response(body, EmbeddingRequest(model="m", texts=["a", "b"]))


def test_an_error_with_a_good_status_is_that_error() -> None:
    body = json.dumps({"error": {"message": "no such model", "type": "invalid_request_error"}}).encode()
    with pytest.raises(ProviderError, match="no such model"):
        decode_embedding_response(body, EmbeddingRequest(model="m", texts=["a"]))


def test_the_client_gets_the_form_that_it_asked_for() -> None:
    response = EmbeddingResponse(
        embeddings=[Embedding(index=0, vector=[0.25, -1.5])], usage=Usage(prompt_tokens=5, total_tokens=5)
    )
    plain = json.loads(encode_embedding_response(response, EmbeddingRequest(model="m", texts=["a"])))
    assert plain == {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -1.5]}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    packed = json.loads(
        encode_embedding_response(response, EmbeddingRequest(model="m", texts=["a"], encoding_format="base64"))
    )
    assert packed["data"][0]["embedding"] == PACKED


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_packing_loses_nothing(vector: list[float]) -> None:
    assert unpack(pack(vector)) == vector
    assert pack(vector) == b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
