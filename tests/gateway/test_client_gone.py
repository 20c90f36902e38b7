"""The client leaves: whatever the gateway was doing for it stops, and nothing is left behind."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
import trio
import trio.testing

from conformance.replay import DELIVERIES, FAULTS, Answer, Play, ReplayServer
from conformance.replay.deliveries import slow_drip
from conformance.replay.faults.connection import Stall, after_events
from providers.http import HTTPProvider
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.server.app import ClientDisconnectedError, Disconnect
from tests.support.client import RawClient, body_for
from tests.support.gateway import Running, gateway_to, openai_client, serving, wait_until
from tests.support.gateway import model as entry
from tests.support.reading import read_openai_stream

SOON = 0.1
"""How soon the upstream connection must be closed, in seconds: the promise under test."""

APIS = ["openai-chat", "anthropic-messages"]
TEXT = {api: load_recording(BUNDLED / api / "stream" / "text.json") for api in APIS}
OVERLOADED = Answer(status=529, headers={"content-type": "application/json", "retry-after": "30"}, body=b'{"error":{}}')


def providers_of(gateway: Running) -> list[HTTPProvider]:
    project = gateway.gateway.generation.default
    providers = [project.resolve(card.id)[0].provider for card in project.cards]
    return [provider for provider in providers if isinstance(provider, HTTPProvider)]


def slots(gateway: Running) -> int:
    """Pool slots in use, over all providers."""
    return sum(provider.upstream.used_slots for provider in providers_of(gateway))


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("api", APIS)
async def test_before_the_first_token(api: str, stream: bool, reset: bool) -> None:
    silent = Play(TEXT[api], fault=FAULTS["silent"])
    async with gateway_to(api, silent) as (upstream, gateway), RawClient(gateway.port) as client:
        await client.ask(api, stream=stream)
        exchange = await upstream.wait_received()
        left_at = trio.current_time()
        client.leave(reset=reset)
        await exchange.peer_closed.wait()
        assert exchange.peer_closed.time is not None
        assert exchange.peer_closed.time - left_at < SOON
        await wait_until(lambda: not gateway.gateway.exchanges and not slots(gateway))


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("provider_api", APIS)
@pytest.mark.parametrize("api", APIS)
async def test_in_mid_stream(api: str, provider_api: str, reset: bool) -> None:
    stalled = Play(TEXT[provider_api], fault=Stall(after_events(4)))
    async with gateway_to(provider_api, stalled) as (upstream, gateway), RawClient(gateway.port) as client:
        await client.ask(api)
        await client.read_until(b"data: ")
        exchange = await upstream.wait_received()
        left_at = trio.current_time()
        client.leave(reset=reset)
        await exchange.peer_closed.wait()
        assert exchange.peer_closed.time is not None
        assert exchange.peer_closed.time - left_at < SOON
        await wait_until(lambda: not gateway.gateway.exchanges and not slots(gateway))


async def test_in_mid_stream_while_the_provider_goes_on_sending() -> None:
    dripping = Play(TEXT["openai-chat"], delivery=slow_drip(20, 0.01))
    async with gateway_to("openai-chat", dripping) as (upstream, gateway), RawClient(gateway.port) as client:
        await client.ask()
        await client.read_until(b"data: ")
        exchange = await upstream.wait_received()
        left_at = trio.current_time()
        client.leave()
        await exchange.peer_closed.wait()
        assert exchange.peer_closed.time is not None
        assert exchange.peer_closed.time - left_at < SOON


async def test_in_a_retry_s_sleep() -> None:
    config = {"retryAttempts": 5}
    async with gateway_to("openai-chat", Play(OVERLOADED), config=config) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask()
            exchange = await upstream.wait_received()
            await exchange.completed.wait()
            await trio.sleep(0.05)
            client.leave()
            await wait_until(lambda: not gateway.gateway.exchanges, seconds=SOON)
        await trio.sleep(0.05)
        assert upstream.received == 1


async def test_while_it_waits_for_a_connection() -> None:
    stalled = Play(TEXT["openai-chat"], fault=Stall(after_events(2)))
    async with gateway_to("openai-chat", stalled, config={"maxConnections": 1}) as (upstream, gateway):
        async with RawClient(gateway.port) as first, RawClient(gateway.port) as second:
            await first.ask()
            await first.read_until(b"data: ")
            await second.ask()
            await wait_until(lambda: len(gateway.gateway.exchanges) == 2)
            await trio.sleep(0.05)
            second.leave()
            await wait_until(lambda: len(gateway.gateway.exchanges) == 1, seconds=SOON)
            assert upstream.received == 1
            first.leave()
            await wait_until(lambda: not slots(gateway))


async def test_while_it_sends_its_request() -> None:
    async with gateway_to("openai-chat", Play(TEXT["openai-chat"])) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
            await wait_until(lambda: len(gateway.gateway.exchanges) == 1)
            client.leave()
            await wait_until(lambda: not gateway.gateway.exchanges, seconds=SOON)
        assert upstream.received == 0


async def test_drain_reads_on_for_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    dripping = Play(TEXT["openai-chat"], delivery=slow_drip(200, 0.01))
    async with gateway_to("openai-chat", dripping, onDisconnect="drain") as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask()
            await client.read_until(b"data: ")
            client.leave()
        exchange = await upstream.wait_received()
        await exchange.completed.wait()
        await wait_until(lambda: not gateway.gateway.exchanges)
        assert not exchange.peer_reset
        async with gateway.openai() as other:
            counted = (await other.get("/../metrics", cast_to=str)).splitlines()
    tokens = [line for line in counted if line.startswith("triway_tokens_total") and 'kind="completion"' in line]
    assert any(float(line.rsplit(" ", 1)[1]) > 0 for line in tokens)


async def test_drain_is_bounded() -> None:
    stalled = Play(TEXT["openai-chat"], fault=Stall(after_events(4)))
    async with gateway_to("openai-chat", stalled, onDisconnect="drain", drainTimeout=100) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask()
            await client.read_until(b"data: ")
            client.leave()
        exchange = await upstream.wait_received()
        with trio.fail_after(5):
            await exchange.peer_closed.wait()
        await wait_until(lambda: not gateway.gateway.exchanges and not slots(gateway))


@pytest.mark.parametrize("max_connections", [1000, 20], ids=["roomy pool", "contended pool"])
async def test_two_hundred_streams_abandoned_at_random_leave_nothing_and_the_next_two_hundred_succeed(
    max_connections: int,
) -> None:
    random_moments = random.Random(7)
    plays = [
        Play(TEXT["openai-chat"], delivery=slow_drip(60, 0.01)),
        Play(TEXT["openai-chat"], fault=Stall(after_events(3))),
        Play(TEXT["openai-chat"], fault=FAULTS["silent"]),
    ]
    healthy = False

    def script(request: Any) -> Play:
        return Play(TEXT["openai-chat"], DELIVERIES["whole"]) if healthy else random_moments.choice(plays)

    async with ReplayServer(script) as upstream:
        models = [entry("openai-chat", upstream.url, config={"maxConnections": max_connections})]
        async with serving(models) as gateway:

            async def abandon() -> None:
                async with RawClient(gateway.port) as client:
                    await client.ask()
                    with trio.move_on_after(random_moments.uniform(0, 0.5)):
                        await client.read_to_end()
                    client.leave(reset=random_moments.random() < 0.5)

            await trio.testing.wait_all_tasks_blocked()
            tasks_before = trio.lowlevel.current_statistics().tasks_living
            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(abandon)
            await wait_until(lambda: not gateway.gateway.exchanges and not slots(gateway))
            await wait_until(lambda: upstream.open_connections == idle_connections(gateway))
            healthy = True
            expected: list[Any] = []
            async with openai_client(upstream.url) as straight:
                expected += await read_openai_stream(straight)
            readings: list[Any] = []

            async def succeed() -> None:
                async with gateway.openai() as client:
                    readings.append(await read_openai_stream(client))

            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(succeed)
            assert readings == [expected] * 200
            for provider in providers_of(gateway):
                await provider.upstream.aclose()
            await wait_until(lambda: not upstream.open_connections)
            await wait_until(lambda: trio.lowlevel.current_statistics().tasks_living <= tasks_before)


def idle_connections(gateway: Running) -> int:
    """Upstream sockets that the gateway still has open (all idle once no slot is used)."""
    return sum(provider.upstream.open_connections for provider in providers_of(gateway))


async def test_a_write_that_finds_the_client_gone_is_no_internal_error() -> None:
    """A write may see a reset before the server's reader does: `send` then raises, as ASGI 2.4 has it."""
    log = io.StringIO()
    body = json.dumps(body_for("openai-chat")).encode()
    sent = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal sent
        sent += 1
        if sent > 2:
            raise ClientDisconnectedError("disconnect")

    async with ReplayServer(Play(TEXT["openai-chat"])) as upstream:
        async with serving([entry("openai-chat", upstream.url)], log=log) as gateway:
            await gateway.gateway(
                {
                    "type": "http",
                    "http_version": "1.1",
                    "method": "POST",
                    "path": "/v1/chat/completions",
                    "query_string": b"",
                    "headers": [],
                    "extensions": {"triway.disconnect": Disconnect()},
                },
                receive,
                send,
            )
            assert not slots(gateway)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert not [line for line in lines if line["event"] == "unexpected exception"]
    [request] = [line for line in lines if line["event"] == "request"]
    assert (request["status"], request["departed"]) == (499, "disconnect")
