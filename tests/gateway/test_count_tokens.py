"""Counting tokens: every provider type that says it can, asked by every client API that has a count."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from conformance.replay.exchange import ReceivedRequest
from conformance.subjects.builtin import builtin_speakers
from conformance.subjects.configs import complete_config
from conformance.subjects.gateway import client_apis
from conformance.subjects.speaker import Speaker
from providers.registry import provider_registry
from proxy.apis import api_registry
from tests.support.gateway import HI, serving

JSON = {"content-type": "application/json"}

COUNTS = {
    "/messages/count_tokens": {"input_tokens": 7},
    "/count-tokens:rawPredict": {"input_tokens": 7},
    "/count-tokens": {"inputTokens": 7},
    ":countTokens": {"totalTokens": 7},
    "/responses/input_tokens": {"object": "response.input_tokens", "input_tokens": 7},
    "/tokenizers/estimate-token-count": {"data": {"total_tokens": 7}},
}
"""What a service answers at a path that ends like this."""

CLIENTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "anthropic-messages": ("/v1/messages/count_tokens", {"model": "m", "messages": HI}, {"input_tokens": 7}),
    "gemini-generate": (
        "/v1beta/models/m:countTokens",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        {"totalTokens": 7},
    ),
    "openai-responses": (
        "/v1/responses/input_tokens",
        {"model": "m", "input": "hi"},
        {"object": "response.input_tokens", "input_tokens": 7},
    ),
}
"""Path, body and answer."""

SPEAKERS = {speaker.name: speaker for speaker in builtin_speakers()}
COUNTING = {
    "anthropic",
    "bedrock",
    "gemini",
    "moonshot",
    "moonshot[openai-responses]",
    "openai",
    "openai[openai-responses]",
    "vertex",
    "vertex[anthropic-messages]",
}


def service(request: ReceivedRequest) -> Play:
    path = request.target.partition("?")[0]
    body = next((body for ending, body in COUNTS.items() if path.endswith(ending)), None)
    if body is None:
        return Play(Answer(status=404, headers=JSON, body=b'{"error":{"message":"no such path"}}'))
    return Play(Answer(headers=JSON, body=json.dumps(body).encode()))


def entry(speaker: Speaker, url: str, name: str = "m") -> dict[str, Any]:
    config = complete_config(speaker.cls, url, {**speaker.config, "retryAttempts": 0})
    return {"name": name, "type": speaker.cls.metadata.name, "config": config}


def test_every_client_api_with_a_count_is_asked() -> None:
    assert set(CLIENTS) == {
        api.api for _, api in api_registry().items() if "count_tokens" in getattr(api, "operations", {}).values()
    }
    assert set(CLIENTS) < set(client_apis())


def test_these_count() -> None:
    assert {name for name, speaker in SPEAKERS.items() if "count_tokens" in speaker.cls.capabilities()} == COUNTING
    types = {name for name, cls in provider_registry().items() if "count_tokens" in cls.capabilities()}
    assert types == {name.partition("[")[0] for name in COUNTING}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", sorted(COUNTING))
async def test_a_provider_that_says_it_can_count_does(name: str, client: str) -> None:
    path, body, answer = CLIENTS[client]
    async with ReplayServer(service) as upstream, serving([entry(SPEAKERS[name], upstream.url)]) as gateway:
        async with gateway.http() as http:
            counted = await http.post(path, json=body)
        assert len(upstream.requests) == 1
    assert counted.status_code == 200, counted.text
    assert counted.json() == answer


@pytest.mark.parametrize("client", CLIENTS)
async def test_one_that_cannot_says_so(client: str) -> None:
    path, body, _ = CLIENTS[client]
    others = {speaker.model: speaker for name, speaker in SPEAKERS.items() if name not in COUNTING}
    async with ReplayServer(service) as upstream:
        models = [entry(speaker, upstream.url, name) for name, speaker in others.items()]
        async with serving(models) as gateway, gateway.http() as http:
            for name in others:
                asked = {**body, "model": name} if "model" in body else body
                refused = await http.post(path.replace("models/m:", f"models/{name}:"), json=asked)
                told = (refused.status_code, refused.json()["error"]["message"])
                assert told == (404, f"the provider of model '{name}' cannot count tokens")
        assert upstream.requests == []
    assert len(others) > 30


async def test_the_openai_sdk_counts_and_its_own_body_is_relayed() -> None:
    async with ReplayServer(service) as upstream:
        speaker = SPEAKERS["openai"]
        async with serving([entry(speaker, upstream.url)]) as gateway, gateway.openai() as client:
            counted = await client.responses.input_tokens.count(
                model="m", conversation="conv_1", personality="friendly", extra_query={"x": "1"}
            )
        [request] = upstream.requests
    assert (counted.input_tokens, counted.object) == (7, "response.input_tokens")
    assert request.target == "/responses/input_tokens?x=1"
    sent = json.loads(request.body)
    assert sent == {"model": sent["model"], "conversation": "conv_1", "personality": "friendly"}


SAMPLING: dict[str, dict[str, Any]] = {
    "anthropic-messages": {
        "max_tokens": 9,
        "temperature": 1.0,
        "top_k": 5,
        "top_p": 0.5,
        "stop_sequences": ["x"],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    "gemini-generate": {
        "generationConfig": {
            "candidateCount": 2,
            "frequencyPenalty": 0.5,
            "logprobs": 2,
            "presencePenalty": 0.5,
            "responseLogprobs": True,
            "responseModalities": ["TEXT", "IMAGE"],
            "seed": 1,
            "stopSequences": ["x"],
            "temperature": 1.5,
            "topK": 40,
            "topP": 0.9,
        }
    },
    "openai-responses": {"parallel_tool_calls": False, "temperature": 1.5, "top_logprobs": 2},
}
"""What a client may leave in a request that it has counted before it sends it."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", sorted(COUNTING))
async def test_what_makes_only_the_answer_does_not_matter(name: str, client: str) -> None:
    path, body, answer = CLIENTS[client]
    whole = {**body, **SAMPLING[client]}
    if client == "gemini-generate":
        whole = {"generateContentRequest": {**whole, "model": "models/m"}}
    async with ReplayServer(service) as upstream, serving([entry(SPEAKERS[name], upstream.url)]) as gateway:
        async with gateway.http() as http:
            counted = await http.post(path, json=whole)
        [request] = upstream.requests
    assert (counted.status_code, counted.json()) == (200, answer), counted.text
    if not SPEAKERS[name].wire.api == client == "gemini-generate":  # Google takes it
        assert b"temperature" not in request.body
    assert "x-triway-dropped" not in counted.headers


async def test_what_changes_the_input_still_matters() -> None:
    async with ReplayServer(service) as upstream:
        async with serving([entry(SPEAKERS["openai"], upstream.url)]) as gateway, gateway.http() as http:
            body = {**CLIENTS["gemini-generate"][1], "cachedContent": "cachedContents/1"}
            refused = await http.post("/v1beta/models/m:countTokens", json={"generateContentRequest": body})
        assert upstream.requests == []
    assert refused.status_code == 400
    assert "'cachedContent'" in refused.json()["error"]["message"]


async def test_a_conversation_that_is_stored_elsewhere_cannot_be_counted() -> None:
    async with ReplayServer(service) as upstream:
        async with serving([entry(SPEAKERS["anthropic"], upstream.url)]) as gateway, gateway.openai() as client:
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.input_tokens.count(model="m", input="hi", previous_response_id="resp_1")
        assert upstream.requests == []
    assert refused.value.param == "previous_response_id"
