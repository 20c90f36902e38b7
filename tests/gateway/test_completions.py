"""POST /v1/completions, with the official SDK: relayed where the provider has it, refused where it has not."""

from __future__ import annotations

import io
import json
from typing import Any

import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from tests.providers.wire.openai_completions.test_completions import STREAM
from tests.support.gateway import gateway_to, serving, wait_until

WHOLE = {
    "id": "c1",
    "object": "text_completion",
    "created": 5,
    "model": "real",
    "choices": [{"text": "Hello", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "odd": 1,
}
PLAY = Play(Answer(headers={"content-type": "application/json"}, body=json.dumps(WHOLE).encode()))
STREAMED = Play(Answer(headers={"content-type": "text/event-stream"}, body=STREAM, api="openai-chat"))


async def test_a_whole_completion_is_relayed_and_counted() -> None:
    log = io.StringIO()
    async with gateway_to("openai-chat", PLAY, log=log) as (upstream, gateway), gateway.openai() as client:
        answer = await client.completions.create(model="m", prompt=["a", "b"], echo=True, max_tokens=5)
        [request] = upstream.requests
        await wait_until(lambda: '"completion_tokens"' in log.getvalue())
    assert answer.model_dump(exclude_unset=True) == WHOLE
    assert request.target == "/v1/completions"
    assert json.loads(request.body) == {"model": "gpt-4.1-mini", "prompt": ["a", "b"], "echo": True, "max_tokens": 5}
    [line] = [json.loads(text) for text in log.getvalue().splitlines() if '"completion_tokens"' in text]
    assert (line["prompt_tokens"], line["completion_tokens"], line["api"]) == (3, 2, "openai-completions")


@pytest.mark.parametrize("usage", [False, True])
async def test_a_stream_is_relayed_with_usage_for_who_asked(usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if usage else {}
    async with gateway_to("openai-chat", STREAMED) as (upstream, gateway), gateway.openai() as client:
        stream = await client.completions.create(model="m", prompt="a", stream=True, **options)
        chunks = [chunk async for chunk in stream]
        sent = json.loads(upstream.requests[0].body)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "Hello"
    assert [chunk.usage is not None for chunk in chunks] == [False, False, *([True] if usage else [])]
    assert sent["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("kind", ["anthropic", "groq", "mistral"])
async def test_a_provider_without_it_refuses(kind: str) -> None:
    async with ReplayServer(PLAY) as upstream:
        entry = {"name": "m", "type": kind, "config": {"baseUrl": upstream.url, "apiKey": "k"}}
        async with serving([entry]) as gateway, gateway.openai() as client:
            with pytest.raises(openai.BadRequestError, match="speaks openai-completions") as refused:
                await client.completions.create(model="m", prompt="a")
        assert upstream.requests == []
    assert refused.value.param == "prompt"
