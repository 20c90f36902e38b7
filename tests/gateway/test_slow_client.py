"""A client that stops reading: it slows its own provider, is cut off in the end, and holds nobody else up."""

from __future__ import annotations

import pytest
import trio

from conformance.replay import Play, ReceivedRequest
from conformance.replay.deliveries import slow_drip
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.client import RawClient
from tests.support.flood import FLOOD
from tests.support.gateway import gateway_to, openai_client, wait_until
from tests.support.reading import read_openai_stream

APIS = ["openai-chat", "anthropic-messages"]
TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")

BOUND = 8 * 1024 * 1024
"""What the kernel's socket buffers on the way may take, with room to spare; the gateway itself holds some KiB."""


def flood_or_text(request: ReceivedRequest) -> Play:
    return FLOOD if b"flood" in request.body else Play(TEXT, delivery=slow_drip(100, 0.005))


@pytest.mark.parametrize("client_api", APIS)
async def test_it_is_cut_off_while_twenty_others_are_served(client_api: str) -> None:
    server = {"writeTimeout": 400}
    async with gateway_to("openai-chat", flood_or_text, server=server) as (upstream, gateway):
        async with openai_client(upstream.url) as straight:
            expected = await read_openai_stream(straight)
        assert len(expected) > 3
        async with RawClient(gateway.port, receive_buffer=4096) as stuck:
            await stuck.ask(client_api, messages=[{"role": "user", "content": "flood"}])
            await stuck.read_until(b"data: ")
            exchange = await upstream.wait_received(2)
            readings = []

            async def read_along() -> None:
                async with gateway.openai() as client:
                    readings.append(await read_openai_stream(client))

            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(read_along)
            assert readings == [expected] * 20
            with trio.fail_after(10):
                await exchange.peer_closed.wait()
            assert not exchange.completed.is_set()
            assert exchange.bytes_written < BOUND
            await wait_until(lambda: not gateway.gateway.exchanges)
            # What was written to it before is still there for it; behind that the connection is dead, not ended well.
            with trio.fail_after(10):
                received = await stuck.read_to_end()
    assert b"[DONE]" not in received
    assert b"message_stop" not in received
    assert not received.endswith(b"0\r\n\r\n"), "a cut stream must not look complete"


@pytest.mark.parametrize("client_api", APIS)
async def test_the_provider_waits_as_long_as_the_client_does(client_api: str) -> None:
    server = {"writeTimeout": 30_000, "gracefulTimeout": 0}
    async with gateway_to("openai-chat", FLOOD, server=server) as (upstream, gateway):
        async with RawClient(gateway.port, receive_buffer=4096) as client:
            await client.ask(client_api)
            await client.read_until(b"data: ")
            exchange = await upstream.wait_received()
            written = -1
            while written != exchange.bytes_written:
                written = exchange.bytes_written
                await trio.sleep(0.2)
            assert written < BOUND
            assert not exchange.ended.is_set()
            # It goes on as soon as the client does.
            with trio.fail_after(20):
                while exchange.bytes_written < written + 4 * 1024 * 1024:
                    await client.read()


async def test_a_slow_client_s_time_is_not_counted_as_the_provider_s_silence() -> None:
    config = {"idleTimeout": 150}
    async with gateway_to("openai-chat", FLOOD, config=config) as (upstream, gateway):
        async with RawClient(gateway.port, receive_buffer=4096) as client:
            await client.ask()
            await client.read_until(b"data: ")
            exchange = await upstream.wait_received()
            written = -1
            while written != exchange.bytes_written:
                written = exchange.bytes_written
                await trio.sleep(0.3)
            assert not exchange.ended.is_set()
            for _ in range(50):
                await client.read()
            assert b'"error"' not in client.received
            assert not exchange.peer_closed.is_set()
