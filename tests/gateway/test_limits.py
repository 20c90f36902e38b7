"""`rate-limit` in a gateway: what requests cost in the end, and what clients are told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
import trio

from conformance.replay import FAULTS, Answer, Play, ReplayServer
from conformance.replay.faults.connection import Stall, after_events
from conformance.wires.openai_chat import WIRE as OPENAI_CHAT
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.plugins import PluginContext
from proxy.plugins.builtin.rate_limit.plugin import RateLimit
from tests.support.client import RawClient, body_for
from tests.support.gateway import HI, Running, gateway_to, model, serving, wait_until
from tests.support.plugins import plugin_class
from tests.support.redis_server import needs_redis, redis_server

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")
TOKENS = {"name": "rate-limit", "priority": 5, "config": {"limits": [{"name": "t", "tokens": 10_000, "per": "day"}]}}
INPUT = "x" * 400
"""A hundred tokens, as they are estimated."""


def spent(gateway: Running) -> int:
    """Of the 10000."""
    plugin = gateway.gateway.generation.default.pipeline.plugins[0].plugin
    assert isinstance(plugin, RateLimit)
    ((balance, _),) = plugin._local._buckets.values()
    return round(10_000 - balance)


async def over(gateway: Running) -> None:
    await wait_until(lambda: not gateway.gateway.exchanges)


MESSAGES = [{"role": "user", "content": INPUT}]


def stream_of(texts: list[str], *, stalls_after: int) -> Play:
    """An answer that says these texts, an event each, of which so many events come."""
    body = b"".join(OPENAI_CHAT.framing.write(event) for event in OPENAI_CHAT.synthetic(texts))
    answer = Answer(headers={"content-type": "text/event-stream"}, body=body, api="openai-chat")
    return Play(answer, fault=Stall(after_events(stalls_after)))


async def test_who_leaves_a_stream_early_pays_for_the_input_and_what_was_sent() -> None:
    play = stream_of(["y" * 200, "z" * 200, "never"], stalls_after=3)
    async with gateway_to("openai-chat", play, plugins=[TOKENS]) as (_, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask(messages=MESSAGES)
            await client.read_until(b"z" * 200)
        await over(gateway)
        assert spent(gateway) == 200


async def test_what_the_provider_told_first_is_not_all_that_it_took() -> None:
    """Anthropic's streams begin with the input's tokens, and one of the output."""
    play = Play(load_recording(BUNDLED / "anthropic-messages" / "stream" / "text.json"), fault=Stall(after_events(6)))
    async with gateway_to("anthropic-messages", play, plugins=[TOKENS]) as (_, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask("anthropic-messages", messages=MESSAGES)
            await client.read_until(b"text_delta")
            with trio.move_on_after(0.5):  # all that comes before the stall
                await client.read_to_end()
        await over(gateway)
        cost = spent(gateway)
        sent = [line for line in client.received.split(b"\n") if line.startswith(b"data: ")]
    events = [json.loads(line[6:]) for line in sent]
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    usage = next(event["message"]["usage"] for event in events if event["type"] == "message_start")
    read = sum(usage[key] for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
    assert cost == read + max(usage["output_tokens"], -(-len(text) // 4))


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_before_the_first_token_pays_for_the_input(stream: bool) -> None:
    async with gateway_to("openai-chat", Play(TEXT, fault=FAULTS["silent"]), plugins=[TOKENS]) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask(messages=MESSAGES, stream=stream)
            await upstream.wait_received()
        await over(gateway)
        assert spent(gateway) == 100


async def test_what_failed_without_an_answer_costs_nothing() -> None:
    async with gateway_to("openai-chat", Play(TEXT, fault=FAULTS["500-json"]), plugins=[TOKENS]) as (_, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="m", messages=MESSAGES)
        await over(gateway)
        assert spent(gateway) == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_a_whole_answer_costs_what_the_provider_says(stream: bool) -> None:
    recording = TEXT if stream else WHOLE
    async with gateway_to("openai-chat", Play(recording), plugins=[TOKENS]) as (_, gateway):
        async with gateway.openai() as client:
            options: Any = {"stream_options": {"include_usage": True}} if stream else {}
            answer = await client.chat.completions.create(model="m", messages=MESSAGES, stream=stream, **options)
            usage = [chunk.usage async for chunk in answer][-1] if stream else answer.usage
        await over(gateway)
        assert spent(gateway) == usage.total_tokens


async def test_embeddings_are_charged() -> None:
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    body = {"object": "list", "data": data, "model": "e", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    play = Play(Answer(headers={"content-type": "application/json"}, body=json.dumps(body).encode()))
    async with gateway_to("openai-chat", play, plugins=[TOKENS]) as (_, gateway), gateway.openai() as client:
        await client.embeddings.create(model="m", input="a")
        await over(gateway)
        assert spent(gateway) == 7


@pytest.mark.parametrize("stream", [True, False])
async def test_what_a_plugin_answers_costs_nothing(stream: bool) -> None:
    recording = TEXT if stream else WHOLE
    async with gateway_to("openai-chat", Play(recording), plugins=[TOKENS, {"name": "cache"}]) as (upstream, gateway):
        async with gateway.http() as client:
            for outcome in ("miss", "hit", "hit"):
                body = body_for("openai-chat", stream=stream, messages=MESSAGES)
                response = await client.post("/v1/chat/completions", json=body)
                assert response.headers["x-triway-cache"] == outcome
                await over(gateway)
                if outcome == "miss":
                    cost = spent(gateway)
                    await wait_until(lambda: len(cache_of(gateway)) == 1)
        assert upstream.received == 1
        assert spent(gateway) == cost > 0


def cache_of(gateway: Running) -> Any:
    plugin: Any = gateway.gateway.generation.default.pipeline.plugins[1].plugin
    return plugin._store._kept


@needs_redis
async def test_slots_do_not_wait_for_detached_work(tmp_path: Path) -> None:
    """Which may be slow, or dropped."""

    async def slow(context: PluginContext) -> None:
        await trio.sleep(2)

    watcher = plugin_class("slow-watcher", detached_after_response=slow)
    limits = [{"name": "x", "concurrency": 1}]
    with redis_server(tmp_path) as url:
        limiter = {"name": "rate-limit", "config": {"limits": limits, "redis": {"url": url, "timeout": 5000}}}
        async with ReplayServer(Play(WHOLE)) as upstream:
            models = [model("openai-chat", upstream.url)]
            narrow = {"pipeline": {"detachedQueue": 1, "detachedConcurrency": 1}}
            async with serving(models, plugins=[watcher, limiter], config=narrow) as gateway:
                async with gateway.openai() as client:
                    for _ in range(10):
                        await client.chat.completions.create(model="m", messages=HI)
                        await over(gateway)


async def test_models_are_counted_by_their_entry_however_clients_call_them() -> None:
    limiter = {"name": "rate-limit", "config": {"limits": [{"name": "x", "by": ["model"], "requests": 2}]}}
    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [
            model("openai-chat", upstream.url, name="gpt-*"),
            model("openai-chat", upstream.url, name="rest", isDefault=True),
        ]
        async with serving(models, plugins=[limiter]) as gateway, gateway.openai() as client:
            for name in ("gpt-1", "gpt-2", "made-up", "rest"):
                await client.chat.completions.create(model=name, messages=HI)
            for name in ("gpt-3", "made-up-too"):
                with pytest.raises(openai.RateLimitError):
                    await client.chat.completions.create(model=name, messages=HI)


async def test_a_limit_for_a_model_holds_for_every_name_of_it() -> None:
    limiter = {"name": "rate-limit", "config": {"limits": [{"name": "x", "models": ["dear"], "requests": 1}]}}
    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [model("openai-chat", upstream.url, name="dear", isDefault=True)]
        async with serving(models, plugins=[limiter]) as gateway, gateway.openai() as client:
            await client.chat.completions.create(model="made-up", messages=HI)
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(model="dear", messages=HI)


@pytest.mark.parametrize(("status", "stream"), [(200, False), (200, True), (429, False)])
async def test_what_is_left_is_told_once_and_by_the_gateway(status: int, stream: bool) -> None:
    limiter = {"name": "rate-limit", "config": {"limits": [{"name": "x", "requests": 5, "per": "day"}]}}
    recorded = (TEXT if stream else WHOLE).response
    told = {"X-RateLimit-Remaining-Requests": "4999", "x-ratelimit-remaining-tokens": "70"}
    body = recorded.body if status == 200 else b'{"error":{"message":"slow down"}}'
    answer = Answer(status=status, headers={**recorded.headers, **told}, body=body, api="openai-chat")
    async with gateway_to("openai-chat", Play(answer), plugins=[limiter]) as (_, gateway), gateway.http() as client:
        response = await client.post("/v1/chat/completions", json=body_for("openai-chat", stream=stream))
    assert response.status_code == status
    assert response.headers.get_list("x-ratelimit-remaining-requests") == ["4"]
    assert response.headers.get_list("x-ratelimit-remaining-tokens") == ["70"], "of these the gateway says nothing"
