"""Azure OpenAI through the gateway: both layouts of the path, each way of credentials, and its own fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.config import ConfigError
from tests.support.entra import TokenServer
from tests.support.gateway import HI, serving

JSON = {"content-type": "application/json"}
FILTERS = {"hate": {"filtered": False, "severity": "safe"}}
WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 5,
    "model": "gpt-4o-2024-08-06",
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}],
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello"},
            "content_filter_results": FILTERS,
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
EVENTS: list[dict[str, Any]] = [
    {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}],
    },
    {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "finish_reason": None,
                "content_filter_results": {},
            }
        ],
    },
    {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "delta": {"content": "Hello"}, "finish_reason": None, "content_filter_results": FILTERS}
        ],
    },
    {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "content_filter_results": {}}],
    },
    {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "gpt-4o",
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    },
]
ANSWER = Play(Answer(headers=JSON, body=json.dumps(WHOLE).encode()))
STREAM = Play(
    Answer(
        headers={"content-type": "text/event-stream"},
        body=b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS) + b"data: [DONE]\n\n",
        api="openai-chat",
    )
)


def entry(url: str, **config: Any) -> dict[str, Any]:
    config = {"baseUrl": url, "model": "my deployment", "retryAttempts": 0, **config}
    return {"name": "m", "type": "azure-openai", "config": config}


@pytest.mark.parametrize(
    ("version", "chat", "embeddings"),
    [
        (None, "/openai/v1/chat/completions", "/openai/v1/embeddings"),
        (
            "2024-10-21",
            "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21",
            "/openai/deployments/my%20deployment/embeddings?api-version=2024-10-21",
        ),
    ],
)
async def test_the_deployment_is_in_the_path_or_in_the_body(version: str | None, chat: str, embeddings: str) -> None:
    dated = {} if version is None else {"apiVersion": version}
    data = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}], "model": "e"}
    vectors = Play(Answer(headers=JSON, body=json.dumps(data).encode()))
    async with ReplayServer([ANSWER, vectors]) as upstream:
        async with serving([entry(upstream.url, apiKey="sk-az", **dated)]) as gateway, gateway.openai() as client:
            answer = await client.chat.completions.create(model="m", messages=HI)
            await client.embeddings.create(model="m", input="a", encoding_format="float")
        first, second = upstream.requests
    assert answer.model_dump(exclude_unset=True) == WHOLE
    assert (first.target, second.target) == (chat, embeddings)
    assert first.header(b"api-key") == b"sk-az"
    assert first.header(b"authorization") is None
    assert json.loads(first.body) == {"model": "my deployment", "messages": HI}


async def test_an_azure_clients_own_version_gives_way_to_the_models() -> None:
    async with ReplayServer(ANSWER) as upstream:
        async with serving([entry(upstream.url, apiKey="k", apiVersion="2024-10-21")]) as gateway:
            async with gateway.openai(default_query={"api-version": "2023-05-15", "x": "1"}) as client:
                await client.chat.completions.create(model="m", messages=HI)
        [request] = upstream.requests
    assert request.target.endswith("/chat/completions?x=1&api-version=2024-10-21")


async def test_the_content_filters_reach_a_client_of_the_same_api() -> None:
    async with ReplayServer(STREAM) as upstream, serving([entry(upstream.url, apiKey="k")]) as gateway:
        async with gateway.openai() as client:
            stream = await client.chat.completions.create(
                model="m", messages=HI, stream=True, stream_options={"include_usage": True}
            )
            read = [chunk.model_dump(exclude_unset=True) async for chunk in stream]
    assert read == EVENTS


async def test_the_first_chunk_without_choices_disturbs_no_other_client() -> None:
    async with ReplayServer(STREAM) as upstream, serving([entry(upstream.url, apiKey="k")]) as gateway:
        async with gateway.anthropic() as client:
            async with client.messages.stream(model="m", max_tokens=5, messages=HI) as stream:
                message = await stream.get_final_message()
    assert [block.text for block in message.content if block.type == "text"] == ["Hello"]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 2)


async def test_a_filtered_prompt_is_told_as_azure_tells_it() -> None:
    error = {
        "error": {
            "message": "The response was filtered",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTERS},
        }
    }
    play = Play(Answer(status=400, headers=JSON, body=json.dumps(error).encode()))
    async with ReplayServer(play) as upstream, serving([entry(upstream.url, apiKey="k")]) as gateway:
        async with gateway.openai() as client:
            with pytest.raises(openai.BadRequestError) as refused:
                await client.chat.completions.create(model="m", messages=HI)
    assert refused.value.body == error["error"]


async def test_a_given_token_is_a_bearer() -> None:
    async with ReplayServer(ANSWER) as upstream, serving([entry(upstream.url, token="eyJ.x.y")]) as gateway:
        async with gateway.openai() as client:
            await client.chat.completions.create(model="m", messages=HI)
        [request] = upstream.requests
    assert request.header(b"authorization") == b"Bearer eyJ.x.y"
    assert request.header(b"api-key") is None


async def test_a_managed_identitys_token_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    script = TokenServer()
    async with ReplayServer(script) as identity, ReplayServer([ANSWER, STREAM]) as upstream:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "h")
        async with serving([entry(upstream.url, entra={"managedIdentity": True})]) as gateway:
            async with gateway.openai() as client:
                await client.chat.completions.create(model="m", messages=HI)
                stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
                assert [chunk async for chunk in stream]
        tokens = [request.header(b"authorization") for request in upstream.requests]
    assert tokens == [b"Bearer token-1", b"Bearer token-1"]
    assert script.issued == 1


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "give one of apiKey, token, entra"),
        ({"apiKey": "k", "token": "t"}, "there are apiKey and token"),
        ({"apiKey": "k", "apiVersion": "v1"}, "a date, as in 2024-10-21"),
        ({"entra": {"clientSecret": "s"}}, "'clientSecret' needs it"),
        ({"entra": {"authority": "http://x"}}, "an https:// URL"),
        (
            {"entra": {"clientSecret": "s", "tenantId": "t", "clientId": "c", "managedIdentity": True}},
            "clientSecret or managedIdentity, not both",
        ),
    ],
)
async def test_a_wrong_configuration_is_told(config: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as wrong:
        async with serving([entry("http://127.0.0.1:9", **config)]):
            pass
    assert told in str(wrong.value)


@pytest.mark.parametrize(
    ("version", "target"),
    [(None, "/openai/v1/responses"), ("2025-03-01-preview", "/openai/responses?api-version=2025-03-01-preview")],
)
async def test_responses_name_the_deployment_in_the_body(version: str | None, target: str) -> None:
    dated = {} if version is None else {"apiVersion": version}
    recording = load_recording(BUNDLED / "openai-responses" / "json" / "text.json")
    async with ReplayServer(Play(recording)) as upstream:
        async with serving([entry(upstream.url, apiKey="k", api="responses", **dated)]) as gateway:
            async with gateway.openai() as client:
                response = await client.responses.create(model="m", input="hi")
        [request] = upstream.requests
    assert response.output_text
    assert request.target == target
    assert json.loads(request.body)["model"] == "my deployment"
