"""Embeddings on Bedrock: one text a call for Titan, signed as any other request."""

from __future__ import annotations

import json

import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from conformance.replay.exchange import ReceivedRequest
from providers.errors import BadResponseError, RequestError, UnsupportedParameterError
from providers.model import EmbeddingRequest
from providers.wire.base import Translation
from providers.wire.bedrock_converse.embeddings import COHERE, TITAN, bedrock_embeddings
from tests.support.gateway import serving


def titan(request: ReceivedRequest) -> Play:
    """Answers with the text's own number, as Titan would."""
    asked = json.loads(request.body)
    body = {"embedding": [float(asked["inputText"])], "inputTextTokenCount": 2}
    return Play(Answer(headers={"content-type": "application/json"}, body=json.dumps(body).encode()))


async def test_several_texts_are_several_calls() -> None:
    async with ReplayServer(titan) as upstream:
        entry = {
            "name": "m",
            "type": "bedrock",
            "config": {
                "baseUrl": upstream.url,
                "region": "us-east-1",
                "accessKeyId": "AKIA",
                "secretAccessKey": "secret",
                "model": "amazon.titan-embed-text-v2:0",
            },
        }
        async with serving([entry]) as gateway, gateway.openai() as client:
            response = await client.embeddings.create(model="m", input=["3", "1", "2"], dimensions=256)
        requests = upstream.requests
    assert [one.embedding for one in response.data] == [[3.0], [1.0], [2.0]]
    assert response.usage.prompt_tokens == 6
    assert {request.target for request in requests} == {"/model/amazon.titan-embed-text-v2%3A0/invoke"}
    assert sorted(json.loads(request.body)["inputText"] for request in requests) == ["1", "2", "3"]
    assert all(json.loads(request.body)["dimensions"] == 256 for request in requests)
    assert all((request.header(b"authorization") or b"").startswith(b"AWS4-HMAC-SHA256") for request in requests)


async def test_a_model_that_makes_none_is_told() -> None:
    async with ReplayServer(titan) as upstream:
        config = {"baseUrl": upstream.url, "region": "us-east-1", "apiKey": "k", "model": "us.anthropic.claude-x"}
        async with serving([{"name": "m", "type": "bedrock", "config": config}]) as gateway, gateway.openai() as client:
            with pytest.raises(openai.NotFoundError, match="not known to make embeddings"):
                await client.embeddings.create(model="m", input="1")
        assert upstream.requests == []


def test_titans_first_model_has_one_length() -> None:
    request = EmbeddingRequest(model="m", texts=["a"], dimensions=5)
    with pytest.raises(UnsupportedParameterError, match="dimensions"):
        TITAN.encode(request, "amazon.titan-embed-text-v1", Translation("bedrock"))


def test_what_is_no_answer_is_told() -> None:
    with pytest.raises(BadResponseError):
        TITAN.decode(b"{}", EmbeddingRequest(model="m", texts=["a"]))
    with pytest.raises(RequestError):
        bedrock_embeddings("meta.llama3")


def test_cohere_on_bedrock_names_no_model_in_the_body() -> None:
    wire = bedrock_embeddings("us.cohere.embed-v4:0")
    assert wire is COHERE
    request = EmbeddingRequest(model="m", texts=["a", "b"], dimensions=256)
    body = json.loads(wire.encode(request, "us.cohere.embed-v4:0", Translation("bedrock")).body)
    assert body == {
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }
    answer = b'{"id":"x","response_type":"embeddings_by_type","embeddings":{"float":[[1],[2]]}}'
    assert [one.vector for one in wire.decode(answer, request).embeddings] == [[1], [2]]
