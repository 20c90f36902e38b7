"""Google's embeddings, by AI Studio and by Vertex AI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.errors import BadResponseError, RequestError, UnsupportedParameterError
from providers.model import EmbeddingRequest, Usage
from providers.wire.base import Translation
from providers.wire.embedding import EmbeddingWire
from providers.wire.gemini_generate.embeddings import GEMINI, vertex_embeddings
from providers.wire.openai_chat.embeddings import decode_embedding_request

VERTEX = vertex_embeddings("text-embedding-005")


def encode(wire: EmbeddingWire, model: str = "gemini-embedding-001", **parameters: Any) -> tuple[Any, list[str]]:
    request = decode_embedding_request(json.dumps({"model": "m", "input": ["a", "b"], **parameters}).encode())
    encoded = wire.encode(request, model, Translation("gemini"))
    return json.loads(encoded.body), encoded.dropped


def test_ai_studio_gets_a_batch() -> None:
    body, dropped = encode(GEMINI, dimensions=5, input_type="search_query", user="u", encoding_format="base64")
    shared = {"model": "models/gemini-embedding-001", "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 5}
    assert body == {
        "requests": [
            {**shared, "content": {"parts": [{"text": "a"}]}},
            {**shared, "content": {"parts": [{"text": "b"}]}},
        ]
    }
    assert dropped == ["user"]
    assert GEMINI.target("gemini-embedding-001") == "/models/gemini-embedding-001:batchEmbedContents"


def test_vertex_gets_instances() -> None:
    body, dropped = encode(VERTEX, dimensions=5, input_type="RETRIEVAL_DOCUMENT")
    assert body == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_DOCUMENT"},
            {"content": "b", "task_type": "RETRIEVAL_DOCUMENT"},
        ],
        "parameters": {"outputDimensionality": 5},
    }
    assert dropped == []


@pytest.mark.parametrize(
    ("word", "task"),
    [
        ("query", "RETRIEVAL_QUERY"),
        ("passage", "RETRIEVAL_DOCUMENT"),
        ("classification", "CLASSIFICATION"),
        ("SEMANTIC_SIMILARITY", "SEMANTIC_SIMILARITY"),
        ("code_retrieval_query", "CODE_RETRIEVAL_QUERY"),
    ],
)
def test_another_vendors_word_for_a_use_becomes_googles(word: str, task: str) -> None:
    assert encode(GEMINI, input_type=word)[0]["requests"][0]["taskType"] == task


@pytest.mark.parametrize("wire", [GEMINI, VERTEX])
def test_tokens_and_what_nobody_knows_are_refused(wire: EmbeddingWire) -> None:
    with pytest.raises(RequestError, match="takes texts, not tokens"):
        encode(wire, input=[[1, 2]])
    with pytest.raises(UnsupportedParameterError, match="odd"):
        encode(wire, odd=1)


TWO = EmbeddingRequest(model="m", texts=["a", "b"])


def test_answers_are_read() -> None:
    batch = {"embeddings": [{"values": [0.5]}, {"values": [1, 2.5]}], "usageMetadata": {"promptTokenCount": 4}}
    response = GEMINI.decode(json.dumps(batch).encode(), TWO)
    assert [(one.index, one.vector) for one in response.embeddings] == [(0, [0.5]), (1, [1.0, 2.5])]
    assert response.usage == Usage(prompt_tokens=4, total_tokens=4)
    predicted = {
        "predictions": [
            {"embeddings": {"values": [0.5], "statistics": {"token_count": 3, "truncated": False}}},
            {"embeddings": {"values": [1.5], "statistics": {"token_count": 4.0, "truncated": False}}},
        ]
    }
    response = VERTEX.decode(json.dumps(predicted).encode(), TWO)
    assert [one.vector for one in response.embeddings] == [[0.5], [1.5]]
    assert response.usage == Usage(prompt_tokens=7, total_tokens=7)


@pytest.mark.parametrize("wire", [GEMINI, VERTEX])
@pytest.mark.parametrize(
    "body",
    [b"<html>", b"{}", b'{"embeddings":[{"values":[1]}]}', b'{"predictions":[{"embeddings":{"values":[1]}}]}'],
)
def test_what_is_not_a_vector_for_each_input_is_a_bad_answer(wire: EmbeddingWire, body: bytes) -> None:
    with pytest.raises(BadResponseError):
        wire.decode(body, TWO)


def test_vertex_takes_one_text_a_call_for_gemini_models() -> None:
    assert vertex_embeddings("gemini-embedding-001").max_batch == 1
    assert vertex_embeddings("text-embedding-005").max_batch == 250
