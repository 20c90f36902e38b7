"""`triway serve` as a process of its own: how it stops, and how it says that it cannot start."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from conformance.replay import Answer, Play, ReplayServer
from conformance.replay.answer import Piece
from conformance.replay.deliveries import Delivery
from conformance.replay.faults.connection import Stall, after_events
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.client import RawClient
from tests.support.flood import FLOOD
from tests.support.gateway import model, openai_client
from tests.support.process import command, environment, triway_serving, write_config
from tests.support.reading import read_openai_stream

APIS = ["openai-chat", "anthropic-messages"]
TEXT = {api: load_recording(BUNDLED / api / "stream" / "text.json") for api in APIS}
TERMINATORS = {"openai-chat": b"[DONE]", "anthropic-messages": b"message_stop"}
LAST_CHUNK = b"0\r\n\r\n"
STOPPING = re.compile("stopping: ")


def all_but_the_end_at_once(answer: Answer) -> Iterator[Piece]:
    yield Piece(answer.body[:-100])
    yield Piece(answer.body[-100:], delay=2.5)


LONG = Play(TEXT["openai-chat"], Delivery(name="long", sentence="the end comes late", cut=all_but_the_end_at_once))
STALLED = {api: Play(TEXT[api], fault=Stall(after_events(4))) for api in APIS}


async def refused(port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return True
    await stream.aclose()
    return False


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGTERM, 2), (signal.SIGINT, 2)]
)
async def test_a_running_stream_is_finished_and_new_connections_are_refused(
    tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    async with ReplayServer([Play(TEXT["openai-chat"]), LONG, LONG, LONG, LONG]) as upstream:
        async with openai_client(upstream.url) as straight:
            expected = await read_openai_stream(straight)
        models = [model("openai-chat", upstream.url)]
        server = {"gracefulTimeout": 20_000, "workers": workers}
        async with triway_serving(tmp_path, models, server=server) as gateway:
            readings: list[Any] = []

            async def read() -> None:
                async with openai_client(gateway.url) as client:
                    readings.append(await read_openai_stream(client))

            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(read)
                await upstream.wait_received(5)
                gateway.send(number)
                await gateway.wait_logged(STOPPING, workers)
                assert not readings, "the streams should still run"
                with trio.fail_after(5):
                    while not await refused(gateway.port):
                        await trio.sleep(0.01)
            assert readings == [expected] * 4
            assert await gateway.wait() == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("api", APIS)
async def test_a_stream_that_never_ends_gets_an_in_band_error(tmp_path: Path, api: str, workers: int) -> None:
    async with ReplayServer(STALLED[api]) as upstream:
        server = {"gracefulTimeout": 300, "workers": workers}
        async with triway_serving(tmp_path, [model(api, upstream.url)], server=server) as gateway:
            async with RawClient(gateway.port) as client:
                await client.ask(api)
                await client.read_until(b"data: ")
                gateway.send(signal.SIGTERM)
                with trio.fail_after(20):
                    received = await client.read_to_end()
            assert await gateway.wait() == 0
            exchange = await upstream.wait_received()
            with trio.fail_after(5):
                await exchange.peer_closed.wait()
        assert b"the gateway is shutting down" in received
        assert b"error" in received
        assert TERMINATORS[api] not in received
        assert received.endswith(LAST_CHUNK), "the response itself ends in good order"
        line = next(line for line in gateway.lines if line["event"] == "request")
        assert (line["status"], line["error"], line["in_band"]) == (503, "unavailable", True)


async def test_a_request_without_answer_yet_gets_a_503(tmp_path: Path) -> None:
    silent = Play(TEXT["openai-chat"], fault=Stall(after_events(0)))
    async with ReplayServer(silent) as upstream:
        models = [model("openai-chat", upstream.url)]
        async with triway_serving(tmp_path, models, server={"gracefulTimeout": 200}) as gateway:
            async with RawClient(gateway.port) as client:
                await client.ask()
                await upstream.wait_received()
                gateway.send(signal.SIGTERM)
                with trio.fail_after(20):
                    received = await client.read_to_end()
            assert await gateway.wait() == 0
    assert received.startswith(b"HTTP/1.1 503 ")


async def test_a_client_that_does_not_read_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    async with ReplayServer(FLOOD) as upstream:
        models = [model("openai-chat", upstream.url)]
        server = {"gracefulTimeout": 200, "writeTimeout": 600_000}
        async with triway_serving(tmp_path, models, server=server) as gateway:
            async with RawClient(gateway.port, receive_buffer=4096) as client:
                await client.ask()
                await client.read_until(b"data: ")
                exchange = await upstream.wait_received()
                written = -1
                while written != exchange.bytes_written:
                    written = exchange.bytes_written
                    await trio.sleep(0.1)
                gateway.send(signal.SIGTERM)
                assert await gateway.wait() == 0
                assert not exchange.completed.is_set()


async def test_ready_says_503_during_the_drain_delay_while_requests_are_still_taken(tmp_path: Path) -> None:
    play = Play(load_recording(BUNDLED / "openai-chat" / "json" / "text.json"))
    async with ReplayServer(play) as upstream:
        models = [model("openai-chat", upstream.url)]
        async with triway_serving(tmp_path, models, server={"drainDelay": 1500}) as gateway:
            async with openai_client(gateway.url) as client:
                assert (await client.get("/../ready", cast_to=str)) == '{"status":"ready"}'
            gateway.send(signal.SIGTERM)
            await gateway.wait_logged(STOPPING)
            async with RawClient(gateway.port) as raw:
                await raw.send(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert (await raw.read_to_end()).startswith(b"HTTP/1.1 503 ")
            async with RawClient(gateway.port) as raw:
                await raw.ask(stream=False, headers={"connection": "close"})
                assert (await raw.read_to_end()).startswith(b"HTTP/1.1 200 ")
            assert await gateway.wait() == 0


async def run_triway(config: Path) -> tuple[int, str]:
    """Exit code and stderr of a `triway serve` that ends by itself."""
    with trio.fail_after(30):
        done = await trio.run_process(
            command("serve", "-c", config),
            capture_stderr=True,
            stdin=subprocess.DEVNULL,
            check=False,
            env=environment(),
        )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path, workers: int) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        models = [model("openai-chat", "http://127.0.0.1:9")]
        config = write_config(tmp_path / "g.yaml", {"server": {"port": port, "workers": workers}, "models": models})
        code, said = await run_triway(config)
    assert code == 1
    assert said == f"cannot start: cannot listen on 127.0.0.1:{port}: Address already in use\n"


BROKEN_PROVIDER = """
from providers import Provider, extension

@extension(name="broken", version="1.0.0", description="does not start", configuration_schema={"type": "object"})
class Broken(Provider):
    async def configure(self, config):
        raise RuntimeError(f"no luck with {config['apiKey']}")
    async def execute(self, request):
        raise RuntimeError
    async def execute_streaming(self, request, emitter):
        raise RuntimeError
"""


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_provider_that_cannot_be_configured_is_said_in_a_clear_line_without_its_secrets(
    tmp_path: Path, workers: int
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN_PROVIDER)
    content = {
        "server": {"port": 0, "workers": workers},
        "availableExtensions": [{"path": "./broken.py"}],
        "models": [{"name": "sick", "type": "broken", "config": {"apiKey": "sk-secret-canary"}}],
    }
    code, said = await run_triway(write_config(tmp_path / "g.yaml", content))
    assert code == 1
    lines = [line for line in said.splitlines() if "cannot start" in line]
    assert lines, said
    assert all("sick" in line and "broken.configure raised RuntimeError" in line for line in lines)
    assert "sk-secret-canary" not in said
    assert "Traceback" not in said
