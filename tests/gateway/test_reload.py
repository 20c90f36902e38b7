"""A new configuration is taken over without dropping a request; a bad one changes nothing and says why."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import httpx
import openai
import pytest
import trio
import trio.testing

from conformance.replay import Play, ReplayServer
from conformance.replay.deliveries import slow_drip
from providers.extension import check_config, extension
from providers.registry import provider_registry
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.apis import api_registry
from proxy.config import GatewayConfig, ModelEntry, PluginEntry, ProjectConfig, ServerConfig
from proxy.generation import Generation, StartError
from proxy.life import fixed_keys
from proxy.plugins import Plugin, plugin_registry
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


def limited(requests: int, **more: Any) -> dict[str, Any]:
    """At most so many requests a day."""
    limits = [{"name": "few", "requests": requests, "per": "day"}]
    return {"plugins": [{"name": "rate-limit", "config": {"limits": limits}, **more}]}


async def test_counts_outlive_a_reload_that_does_not_touch_them(tmp_path: Path) -> None:
    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [model("openai-chat", upstream.url, name="whole")]
        async with (
            triway_serving(tmp_path, models, **limited(2)) as gateway,
            httpx.AsyncClient(base_url=gateway.url) as client,
        ):

            async def ask() -> int:
                response = await client.post("/v1/chat/completions", json={"model": "whole", "messages": HI})
                return response.status_code

            async def reload(times: int, **content: Any) -> None:
                write_config(tmp_path / "gateway.yaml", content_of(models, {"port": 0}, **content))
                gateway.send(signal.SIGHUP)
                await gateway.wait_logged(RELOADED, times)

            assert [await ask() for _ in range(3)] == [200, 200, 429]
            await reload(1, **limited(2, priority=7))
            assert await ask() == 429, "the counts are gone"
            broken = limited(2)
            broken["plugins"][0]["config"]["limits"][0]["per"] = "fortnight"
            write_config(tmp_path / "gateway.yaml", content_of(models, {"port": 0}, **broken))
            gateway.send(signal.SIGHUP)
            await gateway.wait_logged(re.compile(r'"event":"reload failed'))
            assert await ask() == 429, "a bad file has changed something"
            await reload(2, **limited(3))
            assert await ask() == 200, "another limit, another count"


@pytest.mark.parametrize("content", ["{}\n1\n", "{}\n"])
async def test_a_file_that_a_killed_gateway_left_brings_no_signal_to_anybody(tmp_path: Path, content: str) -> None:
    """Its process id is somebody else's by now, whom SIGHUP would end."""
    pid_file = tmp_path / "triway.pid"
    bystander = await trio.lowlevel.open_process(["sleep", "600"])
    try:
        pid_file.write_text(content.format(bystander.pid))
        told = await run_reload("--pid-file", pid_file)
        assert told.returncode == 1
        assert (b"is not running" if "1" in content else b"is no process id file") in told.stderr
        assert bystander.poll() is None
    finally:
        bystander.kill()
        await bystander.wait()


async def test_the_file_of_a_gateway_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    pid_file = tmp_path / "triway.pid"
    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [model("openai-chat", upstream.url, name="whole")]
        async with triway_serving(tmp_path, models, arguments=["--pid-file", pid_file]) as gateway:
            told = await run_reload("--pid-file", pid_file)
            assert told.returncode == 0, told.stderr
            gateway.send(signal.SIGKILL)
            await gateway.wait()
        assert pid_file.exists()
        told = await run_reload("--pid-file", pid_file)
        assert (told.returncode, b"is not running" in told.stderr) == (1, True)
        async with triway_serving(tmp_path, models, arguments=["--pid-file", pid_file]) as gateway:
            told = await run_reload("--pid-file", pid_file)
            assert told.returncode == 0, told.stderr


def pid_files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "triway.pid" in path.name and path.suffix != ".reload")


async def test_two_gateways_do_not_share_a_file(tmp_path: Path) -> None:
    pid_file = tmp_path / "triway.pid"
    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [model("openai-chat", upstream.url, name="whole")]
        async with triway_serving(tmp_path, models, arguments=["--pid-file", pid_file]):
            before = pid_file.read_text()
            with trio.fail_after(60):
                second = await trio.run_process(
                    command("serve", "-c", tmp_path / "gateway.yaml", "--pid-file", pid_file),
                    capture_stderr=True,
                    check=False,
                    env=environment(),
                )
            assert second.returncode == 1
            assert b"is the file of a gateway that is running" in second.stderr
            assert pid_file.read_text() == before
            told = await run_reload("--pid-file", pid_file)
            assert told.returncode == 0, told.stderr
    assert pid_files_in(tmp_path) == ["triway.pid"], "something was left behind"


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


@extension(name="lives", version="1")
class Lives(Plugin):
    """Counts what becomes of its instances."""

    made: ClassVar[list[Lives]] = []

    def __init__(self) -> None:
        self.configured = 0
        self.closed = 0
        self.used = 0
        Lives.made.append(self)

    async def configure(self, config: Any) -> None:
        self.configured += 1
        if config.get("breaks"):
            raise ValueError

    def outlives_reload(self, config: Any) -> bool:
        return not config.get("reads")

    async def before_model(self, context: Any) -> None:
        assert not self.closed, "a request has seen a closed instance"
        self.used += 1

    async def aclose(self) -> None:
        self.closed += 1


def with_plugins(*configs: dict[str, Any], project: str = "p") -> GatewayConfig:
    plugins = tuple(
        PluginEntry(name=f"plugin-{place}", type="lives", plugin_class=Lives, config=config)
        for place, config in enumerate(configs)
    )
    return GatewayConfig(projects=(ProjectConfig(name=project, plugins=plugins),))


def serves(generation: Generation) -> list[Lives]:
    return [loaded.plugin for loaded in generation.default.pipeline.plugins]  # type: ignore[misc]


async def generation_of(config: GatewayConfig, before: Generation | None = None) -> Generation:
    generation = Generation(config, api_registry(), before=before)
    await generation.start()
    return generation


@pytest.fixture
def lives() -> Iterator[list[Lives]]:
    Lives.made = []
    yield Lives.made
    assert all((one.configured, one.closed) == (1, 1) for one in Lives.made), "not each closed once"


async def test_what_is_as_it_was_keeps_its_instance(lives: list[Lives]) -> None:
    first = await generation_of(with_plugins({"a": 1}, {"b": 1}))
    second = await generation_of(with_plugins({"a": 1}, {"b": 2}), first)
    assert serves(second)[0] is serves(first)[0]
    assert serves(second)[1] is not serves(first)[1]
    await first.stop()
    assert [one.closed for one in lives] == [0, 1, 0]
    elsewhere = await generation_of(with_plugins({"a": 1}, {"b": 2}, project="q"), second)
    assert not set(serves(elsewhere)) & set(serves(second)), "another project's counts"
    await second.stop()
    await elsewhere.stop()


async def test_what_reads_a_file_of_its_own_is_made_anew(lives: list[Lives]) -> None:
    first = await generation_of(with_plugins({"reads": True}))
    second = await generation_of(with_plugins({"reads": True}), first)
    assert serves(second)[0] is not serves(first)[0]
    await first.stop()
    await second.stop()


@pytest.mark.parametrize(
    ("kind", "config", "kept"),
    [
        ("basic-apikey-auth", {"keys": []}, True),
        ("basic-apikey-auth", {"keysFile": "keys.yaml"}, False),
        ("openai", {"apiKey": "k"}, True),
        ("openai", {"apiKey": "k", "caBundle": "ca.pem"}, False),
        ("vertex", {"apiKey": "k"}, True),
        ("vertex", {"credentialsFile": "google.json"}, False),
        ("bedrock", {"profile": "mine"}, False),
        ("replay", {"api": "openai-chat"}, True),
        ("replay", {"api": "openai-chat", "file": "mine.json"}, False),
    ],
)
def test_who_reads_more_than_its_configuration_says_so(kind: str, config: dict[str, Any], kept: bool) -> None:
    plugins = plugin_registry()
    registry = plugins if kind in dict(plugins.items()) else provider_registry()
    assert registry.get(kind)().outlives_reload(config) is kept


@pytest.mark.parametrize("registry", [provider_registry, plugin_registry, api_registry])
def test_a_type_is_the_same_class_after_a_reload(registry: Any) -> None:
    before, after = dict(registry().items()), dict(registry().items())
    assert before == after


async def test_a_generation_that_cannot_start_leaves_the_other_as_it_was(lives: list[Lives]) -> None:
    first = await generation_of(with_plugins({"a": 1}))
    broken = Generation(with_plugins({"a": 1}, {"breaks": True}), api_registry(), before=first)
    with pytest.raises(StartError):
        await broken.start()
    assert [one.closed for one in lives] == [0, 1]
    second = await generation_of(with_plugins({"a": 1}), first)
    assert serves(second) == serves(first)
    await first.stop()
    await second.stop()


async def test_fifty_reloads_with_requests_on_old_generations_leak_nothing(
    lives: list[Lives], autojump_clock: trio.testing.MockClock
) -> None:
    """Requests end long after their generation was replaced; what they use is closed after them, and once."""
    random = Random(5)

    async def request(generation: Generation) -> None:
        generation.acquire()
        try:
            for _ in range(random.randrange(6)):
                await trio.sleep(random.random() * 30)
                for plugin in serves(generation):
                    await plugin.before_model(None)
        finally:
            generation.release()

    with trio.fail_after(600):
        async with trio.open_nursery() as nursery:
            current = await generation_of(with_plugins({"same": 1}, {"other": 0}))
            for number in range(1, RELOADS + 1):
                for _ in range(3):
                    nursery.start_soon(request, current)
                await trio.sleep(random.random() * 10)
                fresh = await generation_of(with_plugins({"same": 1}, {"other": number // 2}), current)
                nursery.start_soon(current.stop_when_idle, 3600)
                current = fresh
            nursery.start_soon(current.stop_when_idle, 3600)
    assert len(lives) == 1 + RELOADS // 2 + 1
    assert lives[0].used > 0


async def test_a_model_s_health_and_connections_go_on_while_it_is_the_same() -> None:
    def config(name: str, url: str) -> GatewayConfig:
        cls = provider_registry().get("openai")
        settings, problems = check_config(cls.metadata.configuration_schema, {"apiKey": "k", "baseUrl": url})
        assert not problems
        entry = ModelEntry(name=name, type="openai", provider_class=cls, config=settings)
        return GatewayConfig(projects=(ProjectConfig(name="p", models=(entry,)),))

    first = await generation_of(config("m", "http://127.0.0.1:1/v1"))
    (was,) = first.default.models
    same, moved, renamed = [
        await generation_of(config(name, url), first)
        for name, url in (
            ("m", "http://127.0.0.1:1/v1"),
            ("m", "http://127.0.0.1:2/v1"),
            ("n", "http://127.0.0.1:1/v1"),
        )
    ]
    assert same.default.models[0].health is was.health
    assert same.default.models[0].provider is was.provider
    assert moved.default.models[0].health is not was.health
    assert moved.default.models[0].provider is not was.provider
    assert renamed.default.models[0].health is not was.health
    assert renamed.default.models[0].provider is was.provider, "connections belong to no name"
    for generation in (first, same, moved, renamed):
        await generation.stop()


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
