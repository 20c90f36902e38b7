"""A new configuration is taken over without dropping a request; a bad one changes nothing and says why."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import trio
import trio.testing

from conformance.replay import Play, ReplayServer
from conformance.replay.deliveries import slow_drip
from providers.extension import extension
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.apis import api_registry
from proxy.config import GatewayConfig, PluginEntry, ProjectConfig, ServerConfig
from proxy.generation import Generation
from proxy.life import fixed_keys
from proxy.plugins import Plugin
from tests.support.gateway import HI, model, openai_client
from tests.support.process import command, content_of, environment, triway_serving, write_config

STREAM = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")
RELOADED = re.compile(r'"event":"reloaded')
RELOADS = 50


async def run_reload(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(60):
        return await trio.run_process(
            command("reload", *arguments), capture_stdout=True, capture_stderr=True, check=False, env=environment()
        )


class Load:
    """Clients that ask without a pause, and what came of it."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self.client = client
        self.done = 0
        self.failed: list[str] = []
        self.stop = False

    async def stream(self) -> None:
        while not self.stop:
            try:
                stream = await self.client.chat.completions.create(model="m", messages=HI, stream=True)
                last = [chunk async for chunk in stream][-1]
                assert last.choices[0].finish_reason == "stop"
                self.done += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed request
                self.failed.append(repr(error))

    async def whole(self) -> None:
        while not self.stop:
            try:
                answer = await self.client.chat.completions.create(model="whole", messages=HI)
                assert answer.choices[0].message.content
                self.done += 1
                await trio.sleep(0.01)
            except Exception as error:  # noqa: BLE001
                self.failed.append(repr(error))


async def test_no_request_fails_over_fifty_reloads_under_load(tmp_path: Path) -> None:
    async with ReplayServer(lambda _: Play(STREAM, slow_drip(256, 0.02))) as slow, ReplayServer(Play(WHOLE)) as quick:
        models = [model("openai-chat", slow.url), model("openai-chat", quick.url, name="whole")]
        async with triway_serving(tmp_path, models) as gateway, openai_client(gateway.url) as client:
            load = Load(client)
            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(load.stream)
                nursery.start_soon(load.whole)
                with trio.fail_after(120):
                    for number in range(1, RELOADS + 1):
                        more = [{**models[0], "name": f"new-{number}"}]
                        write_config(tmp_path / "gateway.yaml", content_of(models + more, {"port": 0}))
                        gateway.send(signal.SIGHUP)
                        await gateway.wait_logged(RELOADED, number)
                        # However slow this machine is, requests end between the reloads.
                        while load.done < number:
                            await trio.sleep(0.01)
                load.stop = True
            async with httpx.AsyncClient(base_url=gateway.url) as http:
                names = [card["id"] for card in (await http.get("/v1/models")).json()["data"]]
    assert load.failed == []
    assert load.done >= RELOADS
    assert names == ["m", "whole", f"new-{RELOADS}"]


async def test_a_stream_that_began_before_finishes_on_what_it_began_with(tmp_path: Path) -> None:
    async with ReplayServer(lambda _: Play(STREAM, slow_drip(256, 0.1))) as upstream:
        models = [model("openai-chat", upstream.url)]
        async with triway_serving(tmp_path, models) as gateway, openai_client(gateway.url) as client:
            stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
            chunks = [await anext(stream)]
            gone = [{**models[0], "name": "another"}]
            write_config(tmp_path / "gateway.yaml", content_of(gone, {"port": 0}))
            gateway.send(signal.SIGHUP)
            await gateway.wait_logged(RELOADED)
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="m", messages=HI)
            chunks += [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_a_bad_file_changes_nothing_and_the_command_says_why(tmp_path: Path) -> None:
    pid_file = tmp_path / "triway.pid"
    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [model("openai-chat", upstream.url, name="whole")]
        async with triway_serving(tmp_path, models, arguments=["--pid-file", pid_file]) as gateway:
            broken = [{**models[0], "onDisconect": "drain"}]
            write_config(tmp_path / "gateway.yaml", content_of(broken, {"port": 0}))
            told = await run_reload("--pid-file", pid_file)
            assert told.returncode == 2
            assert b"onDisconect: unknown key; did you mean 'onDisconnect'?" in told.stderr
            assert b"gateway.yaml:" in told.stderr
            async with openai_client(gateway.url) as client:
                assert (await client.chat.completions.create(model="whole", messages=HI)).choices
            assert any(line["event"].startswith("reload failed") for line in gateway.lines)
            write_config(tmp_path / "gateway.yaml", content_of(models, {"port": 4711}))
            told = await run_reload("--pid-file", pid_file)
            assert told.returncode == 0
            assert told.stdout.decode().splitlines() == ["reloaded, 1 worker", "from the next start only: server.port"]
            gateway.send(signal.SIGTERM)
            assert await gateway.wait() == 0
    assert not pid_file.exists()


async def test_every_worker_reloads(tmp_path: Path) -> None:
    pid_file = tmp_path / "triway.pid"
    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [model("openai-chat", upstream.url, name="whole")]
        server = {"workers": 2}
        async with triway_serving(tmp_path, models, server=server, arguments=["--pid-file", pid_file]) as gateway:
            renamed = [{**models[0], "name": "renamed"}]
            write_config(tmp_path / "gateway.yaml", content_of(renamed, {"port": 0, **server}))
            told = await run_reload("--pid-file", pid_file)
            assert (told.returncode, told.stdout) == (0, b"reloaded, 2 workers\n"), told.stderr
            for _ in range(8):  # new connections, so that both workers are asked
                async with openai_client(gateway.url) as client:
                    assert (await client.chat.completions.create(model="renamed", messages=HI)).choices


async def test_who_cannot_be_asked_is_said(tmp_path: Path) -> None:
    told = await run_reload("--pid-file", tmp_path / "nothing")
    assert told.returncode == 1
    assert b"is the gateway running, with --pid-file?" in told.stderr
    told = await run_reload()
    assert told.returncode == 2
    assert b"--pid" in told.stderr


# -- generations ------------------------------------------------------------------------------------------------------


@extension(name="closing", version="1")
class Closing(Plugin):
    closed: int = 0

    async def before_model(self, context: Any) -> None:
        pass

    async def aclose(self) -> None:
        type(self).closed += 1


async def test_an_old_generation_is_closed_when_its_last_request_is_over() -> None:
    Closing.closed = 0
    entry = PluginEntry(name="closing", type="closing", plugin_class=Closing, config={})
    generation = Generation(GatewayConfig(projects=(ProjectConfig(name="p", plugins=(entry,)),)), api_registry())
    await generation.start()
    generation.acquire()
    generation.acquire()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(generation.stop_when_idle, 60)
        await trio.testing.wait_all_tasks_blocked()
        generation.release()
        await trio.testing.wait_all_tasks_blocked()
        assert Closing.closed == 0
        generation.release()
    assert Closing.closed == 1


async def test_a_request_that_does_not_end_keeps_no_generation_for_ever(autojump_clock: Any) -> None:
    Closing.closed = 0
    entry = PluginEntry(name="closing", type="closing", plugin_class=Closing, config={})
    generation = Generation(GatewayConfig(projects=(ProjectConfig(name="p", plugins=(entry,)),)), api_registry())
    await generation.start()
    generation.acquire()
    await generation.stop_when_idle(60)
    assert Closing.closed == 1


def test_what_cannot_change_is_named() -> None:
    old = GatewayConfig(projects=())
    new = GatewayConfig(projects=(), server=ServerConfig(port=1, workers=2, max_body_bytes=5, write_timeout=1))
    assert fixed_keys(old, old) == []
    assert fixed_keys(old, new) == ["server.port", "server.workers", "server.writeTimeout"]
