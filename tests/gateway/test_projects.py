"""Projects: paths of their own, what they inherit and change, and their names in logs and metrics."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from conformance.replay import Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.observe.metrics import REQUESTS
from proxy.plugins import ContextUpdate, PluginContext, PluginResult
from tests.support.client import PATHS, body_for
from tests.support.gateway import HI, Running, anthropic_client, model, openai_client, serving
from tests.support.plugins import plugin_class

WHOLE = {api: Play(load_recording(BUNDLED / api / "json" / "text.json")) for api in PATHS}


def stamp(name: str) -> Any:
    """A plugin that leaves its name and the project's in a header."""

    def before(context: PluginContext) -> PluginResult:
        seen = f"{name} in {context.project} at {context.http_request.path}"
        return PluginResult(context=ContextUpdate(response_headers={f"x-{name}": seen}))

    return plugin_class(name, before_model=before)


async def ask(gateway: Running, path: str, name: str = "m") -> Any:
    async with gateway.http() as client:
        return await client.post(path, json=body_for("openai-chat", stream=False, model=name))


async def models_at(gateway: Running, path: str) -> list[str]:
    async with gateway.http() as client:
        return [card["id"] for card in (await client.get(path)).json()["data"]]


async def test_a_project_has_models_and_plugins_of_its_own_and_what_it_inherits() -> None:
    async with ReplayServer(WHOLE["openai-chat"]) as upstream:
        models = [model("openai-chat", upstream.url), model("openai-chat", upstream.url, name="costly")]
        extra = model("openai-chat", upstream.url, name="extra")
        config = {
            "projects": [
                {
                    "name": "blue",
                    "models": [{"name": "costly", "enabled": False}, extra],
                    "plugins": [{"name": "first", "enabled": False}],
                },
                {"name": "plain"},
            ]
        }
        plugins = [stamp("first"), stamp("second")]
        async with serving(models, plugins=plugins, config=config) as gateway:
            assert await models_at(gateway, "/v1/models") == ["m", "costly"]
            assert await models_at(gateway, "/blue/v1/models") == ["m", "extra"]
            assert await models_at(gateway, "/plain/openai/v1/models") == ["m", "costly"]
            top = await ask(gateway, "/v1/chat/completions")
            assert top.headers["x-first"] == "first in default at /v1/chat/completions"
            blue = await ask(gateway, "/blue/v1/chat/completions", "extra")
            assert blue.status_code == 200
            assert "x-first" not in blue.headers
            assert blue.headers["x-second"] == "second in blue at /v1/chat/completions"
            assert (await ask(gateway, "/blue/v1/chat/completions", "costly")).status_code == 404
            assert (await ask(gateway, "/v1/chat/completions", "extra")).status_code == 404
            assert (await ask(gateway, "/default/v1/chat/completions")).status_code == 200


async def test_both_sdks_take_a_project_as_base_url() -> None:
    async with ReplayServer(WHOLE["openai-chat"]) as upstream:
        async with serving([model("openai-chat", upstream.url)], config={"projects": [{"name": "blue"}]}) as gateway:
            async with openai_client(f"{gateway.url}/blue") as client:
                assert (await client.chat.completions.create(model="m", messages=HI)).choices
                assert [card.id async for card in client.models.list()] == ["m"]
            async with anthropic_client(f"{gateway.url}/blue") as other:
                assert (await other.messages.create(model="m", messages=HI, max_tokens=5)).content


async def test_what_a_project_changes_is_laid_over_what_it_inherits() -> None:
    async with ReplayServer(WHOLE["openai-chat"]) as upstream:
        base = model("openai-chat", upstream.url, config={"model": "inner", "customHeaders": {"x-a": "1", "x-b": "1"}})
        own = {"name": "m", "config": {"model": "other", "customHeaders": {"x-b": "2"}}}
        config = {"projects": [{"name": "blue", "models": [own]}]}
        async with serving([base], config=config) as gateway:
            await ask(gateway, "/v1/chat/completions")
            await ask(gateway, "/blue/v1/chat/completions")
        first, second = upstream.requests
    assert json.loads(first.body)["model"] == "inner"
    assert json.loads(second.body)["model"] == "other"
    assert [(r.header(b"x-a"), r.header(b"x-b")) for r in (first, second)] == [(b"1", b"1"), (b"1", b"2")]
    assert second.header(b"authorization") == b"Bearer sk-upstream"


async def test_the_default_project_may_be_one_of_the_list() -> None:
    async with ReplayServer(WHOLE["openai-chat"]) as upstream:
        config = {
            "defaultProject": "blue",
            "projects": [{"name": "red"}, {"name": "blue", "models": [model("openai-chat", upstream.url, name="own")]}],
        }
        async with serving([model("openai-chat", upstream.url)], config=config) as gateway:
            assert await models_at(gateway, "/v1/models") == ["m", "own"]
            assert await models_at(gateway, "/blue/v1/models") == ["m", "own"]
            assert await models_at(gateway, "/red/v1/models") == ["m"]


async def test_a_project_may_speak_fewer_apis() -> None:
    async with ReplayServer(WHOLE["openai-chat"]) as upstream:
        config = {"projects": [{"name": "blue", "adapters": [{"name": "anthropic-messages", "enabled": False}]}]}
        async with serving([model("openai-chat", upstream.url)], config=config) as gateway, gateway.http() as client:
            body = body_for("anthropic-messages", stream=False)
            assert (await client.post("/v1/messages", json=body)).status_code == 200
            assert (await client.post("/blue/v1/messages", json=body)).status_code == 404
            assert (await client.post("/blue/v1/chat/completions", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/nobody/v1/chat/completions", 404),
        ("GET", "/blue/v1/chat/completions", 405),
        ("POST", "/blue/v1/models", 405),
        ("GET", "/blue/v1/models/m", 200),
        ("GET", "/blue/v1/models/x", 404),
        ("GET", "/blue", 404),
        ("GET", "/blue/health", 404),
        ("POST", "/blue/blue/v1/chat/completions", 404),
    ],
)
async def test_paths_below_a_project(method: str, path: str, status: int) -> None:
    async with serving(
        [model("openai-chat", "http://127.0.0.1:9")], config={"projects": [{"name": "blue"}]}
    ) as gateway:
        async with gateway.http() as client:
            answer = await client.request(method, path)
    assert answer.status_code == status
    if status >= 400:
        assert answer.json()["error"]["message"]
        assert path.split("/")[1] in answer.json()["error"]["message"] or status == 404
        assert answer.headers["x-request-id"]


async def test_logs_and_metrics_name_the_project() -> None:
    log = io.StringIO()
    async with ReplayServer(WHOLE["openai-chat"]) as upstream:
        models = [model("openai-chat", upstream.url, name="named")]
        async with serving(models, config={"projects": [{"name": "blue"}]}, log=log) as gateway:
            for path in ("/v1/chat/completions", "/blue/v1/chat/completions"):
                await ask(gateway, path, "named")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["project"] for line in lines if line["event"] == "request"] == ["default", "blue"]
    labels = [
        s.labels for s in REQUESTS.collect()[0].samples if s.labels.get("model") == "named" and s.name[-5:] == "total"
    ]
    assert {found["project"] for found in labels} == {"default", "blue"}
