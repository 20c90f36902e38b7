"""POST /v1/embeddings, with the official SDK."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from typing import Any

import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from tests.support.gateway import gateway_to, serving

JSON = {"content-type": "application/json"}
VECTORS = [[0.25, -1.5, 3.0], [1.0, 0.0, -0.5]]


def answer(*vectors: Any) -> Play:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    body = {
        "object": "list",
        "data": data,
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
        "odd": {"kept": True},
    }
    return Play(Answer(headers=JSON, body=json.dumps(body).encode()))


def packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


@pytest.mark.parametrize("form", ["base64", "float"])
async def test_the_sdk_reads_the_vectors_in_its_form(form: Any) -> None:
    # Left to itself the SDK asks for base64 and unpacks it.
    vectors = [packed(vector) for vector in VECTORS] if form == "base64" else VECTORS
    async with gateway_to("openai-chat", answer(*vectors)) as (upstream, gateway), gateway.openai() as client:
        options = {} if form == "base64" else {"encoding_format": "float"}
        response = await client.embeddings.create(model="m", input=["a", "b"], dimensions=3, **options)
        [request] = upstream.requests
    assert [one.embedding for one in response.data] == VECTORS
    assert response.usage.prompt_tokens == 7
    assert response.model_extra == {"odd": {"kept": True}}
    assert request.target == "/v1/embeddings"
    assert request.header(b"authorization") == b"Bearer sk-upstream"
    assert json.loads(request.body) == {
        "model": "gpt-4.1-mini",
        "input": ["a", "b"],
        "dimensions": 3,
        "encoding_format": form,
    }


async def test_a_wrong_request_is_told_in_openais_shape() -> None:
    async with gateway_to("openai-chat", answer()) as (upstream, gateway), gateway.openai() as client:
        with pytest.raises(openai.BadRequestError) as wrong:
            await client.embeddings.create(model="m", input=[])
        with pytest.raises(openai.NotFoundError):
            await client.embeddings.create(model="none", input="a")
        assert upstream.requests == []
    assert wrong.value.param == "input"


async def test_a_provider_without_embeddings_says_so() -> None:
    async with gateway_to("anthropic-messages", answer()) as (upstream, gateway), gateway.openai() as client:
        with pytest.raises(openai.NotFoundError, match="has no embeddings"):
            await client.embeddings.create(model="m", input="a")
        assert upstream.requests == []


async def test_what_the_provider_refuses_reaches_the_client_as_it_came() -> None:
    error = {"error": {"message": "too long", "type": "invalid_request_error", "param": "input", "code": "x"}}
    play = Play(Answer(status=400, headers=JSON, body=json.dumps(error).encode()))
    async with gateway_to("openai-chat", play) as (_, gateway), gateway.openai() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.embeddings.create(model="m", input="a")
    assert refused.value.body == error["error"]


async def test_mistral_is_asked_in_its_words() -> None:
    entry = {"name": "m", "type": "mistral", "config": {"apiKey": "k", "model": "mistral-embed"}}
    async with ReplayServer(answer(*VECTORS)) as upstream:
        entry["config"]["baseUrl"] = f"{upstream.url}/v1"  # type: ignore[index]
        async with serving([entry]) as gateway, gateway.openai() as client:
            response = await client.embeddings.create(
                model="m", input=["a", "b"], dimensions=3, encoding_format="float", user="u"
            )
        sent = json.loads(upstream.requests[0].body)
    assert [one.embedding for one in response.data] == VECTORS
    assert sent == {"model": "mistral-embed", "input": ["a", "b"], "output_dimension": 3, "encoding_format": "float"}


GOOGLE = {"baseUrl": "", "apiKey": "k", "model": "text-embedding-005"}


@pytest.mark.parametrize(
    ("kind", "target", "body"),
    [
        (
            "gemini",
            "/v1beta/models/text-embedding-005:batchEmbedContents",
            {"embeddings": [{"values": vector} for vector in VECTORS], "usageMetadata": {"promptTokenCount": 7}},
        ),
        (
            "vertex",
            "/v1beta1/publishers/google/models/text-embedding-005:predict",
            {
                "predictions": [
                    {"embeddings": {"values": vector, "statistics": {"token_count": count}}}
                    for vector, count in zip(VECTORS, (3, 4), strict=True)
                ]
            },
        ),
    ],
)
async def test_google_gives_the_sdk_what_openai_would(
    kind: str, target: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION"):
        monkeypatch.delenv(name, raising=False)
    play = Play(Answer(headers=JSON, body=json.dumps(body).encode()))
    async with ReplayServer([play, play]) as upstream:
        entry = {"name": "m", "type": kind, "config": {**GOOGLE, "baseUrl": upstream.url}}
        async with serving([entry]) as gateway, gateway.openai() as client:
            for options in ({}, {"encoding_format": "float"}):
                response = await client.embeddings.create(model="m", input=["a", "b"], **options)  # type: ignore[arg-type]
                assert [one.embedding for one in response.data] == VECTORS
                assert response.usage.prompt_tokens == 7
                assert response.model == "m"
        assert {request.target for request in upstream.requests} == {target}
        assert upstream.requests[0].header(b"x-goog-api-key") == b"k"


# -- through plugins ---------------------------------------------------------------------------------------------------

MAIL = {"name": "mail", "pattern": r"[a-z]+@[a-z]+\.com"}
HIDER = {"name": "regex-hider", "config": {"rules": [MAIL]}}


async def test_what_is_hidden_in_requests_is_hidden_in_inputs() -> None:
    prompts = {"name": "prompt-manager", "config": {"prompt": {"mode": "after", "content": "Hi", "target": "user"}}}
    async with (
        gateway_to("openai-chat", answer(*VECTORS), plugins=[prompts, HIDER]) as (upstream, gateway),
        gateway.openai() as client,
    ):
        options: dict[str, Any] = {"encoding_format": "float", "extra_body": {"note": {"of": "bob@b.com"}}}
        await client.embeddings.create(model="m", input=["to ann@b.com", "b"], user="ann@b.com", **options)
        [request] = upstream.requests
    assert json.loads(request.body) == {
        "model": "gpt-4.1-mini",
        "input": ["to [MAIL]", "b"],
        "user": "[MAIL]",
        "note": {"of": "[MAIL]"},
    }


async def test_inputs_in_which_nothing_is_hidden_go_as_they_came() -> None:
    body = b'{"model" : "gpt-4.1-mini", "input":"a",  "odd": 1.0}'
    async with (
        gateway_to("openai-chat", answer(VECTORS[0]), plugins=[HIDER]) as (upstream, gateway),
        gateway.http() as client,
    ):
        await client.post("/v1/embeddings", content=body.replace(b"gpt-4.1-mini", b"m"), headers=JSON)
        [request] = upstream.requests
    assert json.loads(request.body) == json.loads(body)


async def test_tokens_cannot_be_searched_and_are_refused() -> None:
    async with (
        gateway_to("openai-chat", answer(VECTORS[0]), plugins=[HIDER]) as (upstream, gateway),
        gateway.openai() as client,
    ):
        with pytest.raises(openai.BadRequestError, match="tokens cannot be searched") as refused:
            await client.embeddings.create(model="m", input=[1, 2, 3])
        assert upstream.requests == []
    assert refused.value.param == "input"


async def test_inputs_have_the_caps_of_requests() -> None:
    guard = {"name": "guard", "config": {"maxInputTokens": 3, "maxOutputTokens": 9, "maxMessages": 1}}
    async with (
        gateway_to("openai-chat", answer(VECTORS[0]), plugins=[guard]) as (upstream, gateway),
        gateway.openai() as client,
    ):
        for given in (["x" * 13], [[1, 2], [3, 4]]):
            with pytest.raises(openai.APIStatusError, match="at most about 3 tokens") as refused:
                await client.embeddings.create(model="m", input=given)  # type: ignore[arg-type]
            assert refused.value.status_code == 413
        await client.embeddings.create(model="m", input=[[1, 2, 3]], encoding_format="float")
        await client.embeddings.create(model="m", input=["x", "y"][:1], encoding_format="float")
    assert [json.loads(request.body) for request in upstream.requests] == [
        {"model": "gpt-4.1-mini", "input": given, "encoding_format": "float"} for given in ([[1, 2, 3]], ["x"])
    ]
