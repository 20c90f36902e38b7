"""What plugins do beside requests: begun when they are configured, ended before they are closed."""

from __future__ import annotations

import io
import json
import re
import signal
from pathlib import Path
from typing import Any

import trio

from conformance.replay import Play, ReplayServer
from providers.extension import Config, extension
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.plugins import Plugin
from tests.support.gateway import HI, gateway_to, model, wait_until
from tests.support.process import content_of, triway_serving, write_config

WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")


async def test_it_runs_from_configured_to_closed() -> None:
    seen: list[str] = []

    @extension(name="beside", version="1")
    class Beside(Plugin):
        async def configure(self, config: Config) -> None:
            seen.append("configured")

        async def run_beside(self) -> None:
            seen.append("begun")
            try:
                await trio.sleep_forever()
            finally:
                seen.append("ended")

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()
            seen.append("closed")

    async with gateway_to("openai-chat", Play(WHOLE), plugins=[Beside]) as (_, gateway):
        await wait_until(lambda: "begun" in seen)
        async with gateway.openai() as client:
            await client.chat.completions.create(model="m", messages=HI)
        assert seen == ["configured", "begun"]
    assert seen == ["configured", "begun", "ended", "closed"]


async def test_one_that_fails_is_logged_and_takes_nothing_with_it() -> None:
    begun = trio.Event()

    @extension(name="broken", version="1")
    class Broken(Plugin):
        async def run_beside(self) -> None:
            raise ValueError("sk-secret")

    @extension(name="sound", version="1")
    class Sound(Plugin):
        async def run_beside(self) -> None:
            await trio.sleep(0.05)
            begun.set()

    log = io.StringIO()
    async with gateway_to("openai-chat", Play(WHOLE), plugins=[Broken, Sound], log=log) as (_, gateway):
        with trio.fail_after(10):
            await begun.wait()
        async with gateway.openai() as client:
            await client.chat.completions.create(model="m", messages=HI)
    (line,) = [line for line in map(json.loads, log.getvalue().splitlines()) if "beside" in line["event"]]
    assert (line["plugin"], line["exception"]) == ("plugin 'broken'", "ValueError")
    assert "sk-secret" not in log.getvalue()


RELOADED = re.compile(r'"event":"reloaded')

EXTENSION = """
import os

import trio

from providers import extension
from proxy.plugins import Plugin


def note(word):
    with open(os.path.join(os.path.dirname(__file__), "notes"), "a") as file:
        file.write(f"{word}\\n")


@extension(name="noting", version="1.0.0", description="")
class Noting(Plugin):
    async def run_beside(self):
        note("begun")
        try:
            await trio.sleep_forever()
        finally:
            note("ended")
"""


async def test_a_reload_leaves_it_alone_but_for_what_has_changed(tmp_path: Path) -> None:
    (tmp_path / "noting.py").write_text(EXTENSION)
    notes = tmp_path / "notes"

    def noted() -> list[str]:
        return notes.read_text().split() if notes.exists() else []

    async with ReplayServer(Play(WHOLE)) as upstream:
        models = [model("openai-chat", upstream.url)]
        more: dict[str, Any] = {"availableExtensions": [{"path": "./noting.py"}], "plugins": [{"name": "noting"}]}
        async with triway_serving(tmp_path, models, **more) as gateway:
            await wait_until(lambda: noted() == ["begun"], seconds=30)
            gateway.send(signal.SIGHUP)
            await gateway.wait_logged(RELOADED, 1)
            assert noted() == ["begun"]
            write_config(tmp_path / "gateway.yaml", content_of(models, {"port": 0}, **{**more, "plugins": []}))
            gateway.send(signal.SIGHUP)
            await wait_until(lambda: noted() == ["begun", "ended"], seconds=30)
            write_config(tmp_path / "gateway.yaml", content_of(models, {"port": 0}, **more))
            gateway.send(signal.SIGHUP)
            await wait_until(lambda: noted() == ["begun", "ended", "begun"], seconds=30)
            gateway.send(signal.SIGTERM)
            assert await gateway.wait() == 0
            assert noted() == ["begun", "ended", "begun", "ended"]
