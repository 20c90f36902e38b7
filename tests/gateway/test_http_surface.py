"""Everything but the answers: health, metrics, the list of models, the mount paths, unknown paths and methods."""

from __future__ import annotations

import json

import anthropic
import openai
import pytest

from conformance.replay import FAULTS, Play
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.client import RawClient, body_for
from tests.support.gateway import HI, Running, anthropic_client, gateway_to, model, openai_client, serving

NOWHERE = "http://127.0.0.1:9"
"""A base URL of models that are listed and never called."""

WHOLE = {api: load_recording(BUNDLED / api / "json" / "text.json") for api in ("openai-chat", "anthropic-messages")}
VERSION = {"anthropic-version": "2023-06-01"}

OPENAI_MOUNTS = ["/v1", "/openai/v1", "/openai"]
ANTHROPIC_MOUNTS = ["/v1", "/anthropic/v1", "/anthropic"]


def listed_models() -> list[dict[str, object]]:
    return [
        model("openai-chat", NOWHERE, name="plain", description="The plain one"),
        model("openai-chat", NOWHERE, name="acme/large/v2"),
        model("anthropic-messages", NOWHERE, name="claude-*"),
    ]


async def test_health_and_readiness() -> None:
    async with serving(listed_models()) as gateway, gateway.http() as http:
        health, ready = await http.get("/health"), await http.get("/ready")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert health.headers["x-request-id"]


async def test_ready_turns_503_when_a_stop_was_asked_for_while_health_stays() -> None:
    async with serving(listed_models()) as gateway, gateway.http() as http:
        gateway.gateway.start_draining()
        ready, health = await http.get("/ready"), await http.get("/health")
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
    assert health.status_code == 200


@pytest.mark.parametrize("path", ["//v1/chat/completions", "//v1/models", "///health"])
async def test_a_base_url_that_ends_with_a_slash(path: str) -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (_, gateway), gateway.http() as http:
        url = f"{gateway.url}{path}"
        answer = await (http.post(url, json=body_for("openai-chat")) if "chat" in path else http.get(url))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/v1/realtime?model=plain", "openai"), ("/anthropic/v1/messages", "anthropic"), ("/x", "openai")],
)
async def test_a_websocket_is_refused_in_the_shape_of_the_api(path: str, shape: str) -> None:
    async with serving(listed_models()) as gateway, RawClient(gateway.port) as client:
        await client.send(
            b"GET %s HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n" % path.encode()
        )
        await client.read_to_end()
    head, _, body = client.received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    error = json.loads(body)
    assert (error.get("type") == "error") == (shape == "anthropic")
    assert error["error"]["message"].startswith("there is no WebSocket at /")


async def test_metrics_are_served_as_text() -> None:
    async with serving(listed_models()) as gateway, gateway.http() as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "\ntriway_open_requests 0.0\n" in answer.text


@pytest.mark.parametrize("mount", OPENAI_MOUNTS)
async def test_the_openai_sdk_lists_and_retrieves_models(mount: str) -> None:
    async with serving(listed_models()) as gateway:
        async with openai_client(gateway.url, base_url=gateway.url + mount) as client:
            page = await client.models.list()
            one = await client.models.retrieve("plain")
            with_slashes = await client.models.retrieve("acme/large/v2")
            of_pattern = await client.models.retrieve("claude-opus-9")
            with pytest.raises(openai.NotFoundError) as missing:
                await client.models.retrieve("nothing")
    assert [card.id for card in page.data] == ["plain", "acme/large/v2", "claude-*"]
    assert one.object == "model"
    assert one.owned_by == "openai"
    assert one.created > 1_700_000_000
    assert (one.model_extra or {})["description"] == "The plain one"
    assert with_slashes.id == "acme/large/v2"
    assert (of_pattern.id, of_pattern.owned_by) == ("claude-opus-9", "anthropic")
    assert missing.value.code == "model_not_found"


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
async def test_the_anthropic_sdk_lists_and_retrieves_models(prefix: str) -> None:
    async with serving(listed_models()) as gateway:
        async with anthropic_client(gateway.url + prefix) as client:
            page = await client.models.list()
            one = await client.models.retrieve("plain")
            with_slashes = await client.models.retrieve("acme/large/v2")
            of_pattern = await client.models.retrieve("claude-opus-9")
            with pytest.raises(anthropic.NotFoundError):
                await client.models.retrieve("nothing")
    assert [card.id for card in page.data] == ["plain", "acme/large/v2", "claude-*"]
    assert (page.first_id, page.last_id, page.has_more) == ("plain", "claude-*", False)
    assert (one.type, one.display_name) == ("model", "The plain one")
    assert one.created_at.year > 2023
    assert with_slashes.id == "acme/large/v2"
    assert of_pattern.id == "claude-opus-9"


async def test_the_shape_of_the_list_goes_by_path_and_version_header() -> None:
    async with serving(listed_models()) as gateway, gateway.http() as http:
        assert (await http.get("/v1/models")).json()["object"] == "list"
        assert "has_more" in (await http.get("/v1/models", headers=VERSION)).json()
        for mount in ANTHROPIC_MOUNTS[1:]:
            assert "has_more" in (await http.get(f"{mount}/models")).json()


@pytest.mark.parametrize("mount", OPENAI_MOUNTS)
async def test_the_openai_sdk_is_answered_under_every_mount(mount: str) -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (_, gateway):
        async with openai_client(gateway.url, base_url=gateway.url + mount) as client:
            answer = await client.chat.completions.create(model="m", messages=HI)
    assert answer.choices[0].message.content


@pytest.mark.parametrize("mount", ANTHROPIC_MOUNTS)
async def test_anthropic_messages_are_answered_under_every_mount(mount: str) -> None:
    async with gateway_to("anthropic-messages", Play(WHOLE["anthropic-messages"])) as (_, gateway):
        async with gateway.http() as http:
            answer = await http.post(f"{mount}/messages", json=body_for("anthropic-messages", stream=False))
    assert answer.json()["content"][0]["text"]


def check_error_shape(api: str, body: bytes, kind: str) -> str:
    """The error's message, after a check that the body is an error of `api`."""
    data = json.loads(body)
    if api == "anthropic-messages":
        assert set(data) == {"type", "error", "request_id"}
        assert data["type"] == "error"
    else:
        assert set(data["error"]) == {"message", "type", "param", "code"}
    assert data["error"]["type"] == kind
    message: str = data["error"]["message"]
    return message


UNKNOWN_PATHS = [
    ("openai-chat", "/", {}),
    ("openai-chat", "/v1/nothing", {}),
    ("openai-chat", "/openai/v1/audio/speech", {}),
    ("anthropic-messages", "/anthropic/v1/nothing", {}),
    ("anthropic-messages", "/v1/messages/batches", VERSION),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("api", "path", "headers"), UNKNOWN_PATHS)
async def test_an_unknown_path_is_a_404_in_the_api_s_shape(
    api: str, path: str, headers: dict[str, str], method: str
) -> None:
    async with serving(listed_models()) as gateway, gateway.http() as http:
        answer = await http.request(method, path, headers=headers)
    assert answer.status_code == 404
    kind = "not_found_error" if api == "anthropic-messages" else "invalid_request_error"
    assert path in check_error_shape(api, answer.content, kind)


WRONG_METHODS = [
    ("openai-chat", "GET", "/v1/chat/completions", "POST"),
    ("openai-chat", "PUT", "/openai/chat/completions", "POST"),
    ("openai-chat", "DELETE", "/v1/models", "GET"),
    ("openai-chat", "POST", "/health", "GET"),
    ("anthropic-messages", "GET", "/v1/messages", "POST"),
    ("anthropic-messages", "GET", "/anthropic/v1/messages/count_tokens", "POST"),
]


@pytest.mark.parametrize(("api", "method", "path", "allowed"), WRONG_METHODS)
async def test_a_wrong_method_is_a_405_in_the_api_s_shape(api: str, method: str, path: str, allowed: str) -> None:
    async with serving(listed_models()) as gateway, gateway.http() as http:
        answer = await http.request(method, path)
    assert answer.status_code == 405
    assert allowed in answer.headers["allow"]
    check_error_shape(api, answer.content, "invalid_request_error")


async def test_an_unknown_model_is_a_404_that_the_sdks_know() -> None:
    async with serving(listed_models()) as gateway:
        async with gateway.openai() as client:
            with pytest.raises(openai.NotFoundError) as error:
                await client.chat.completions.create(model="gpt-0", messages=HI)
            assert (error.value.param, error.value.code) == ("model", "model_not_found")
            assert "gpt-0" in str(error.value)
        async with gateway.anthropic() as other:
            with pytest.raises(anthropic.NotFoundError) as missing:
                await other.messages.create(model="gpt-0", max_tokens=1, messages=HI)
            assert missing.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]


async def sent_models(gateway: Running, names: list[str]) -> None:
    async with gateway.openai() as client:
        for name in names:
            await client.chat.completions.create(model=name, messages=HI)


async def test_exact_names_win_over_longer_patterns_over_shorter_ones_over_the_default() -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (upstream, _):
        entries = [("acme/*", False), ("*", False), ("acme/fast-*", False), ("acme/fast-1", False), ("rest", True)]
        models = [
            model("openai-chat", upstream.url, name=name, isDefault=default, config={"model": f"from {name}"})
            for name, default in entries
        ]
        async with serving(models) as gateway:
            await sent_models(gateway, ["acme/fast-1", "acme/fast-2", "acme/slow", "other", "rest"])
        without_star = [entry for entry in models if entry["name"] != "*"]
        async with serving(without_star) as gateway:
            await sent_models(gateway, ["other", "acme/"])
        sent = [json.loads(request.body)["model"] for request in upstream.requests]
    assert sent == [
        "from acme/fast-1",
        "from acme/fast-*",
        "from acme/*",
        "from *",
        "from rest",
        "from rest",
        "from rest",
    ]


async def test_bypass_model_sends_what_the_star_stood_for() -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (upstream, _):
        config = {"bypassModel": True, "model": "unused"}
        names = ["openai/*", "plain", "*-latest"]
        models = [model("openai-chat", upstream.url, name=name, config=config) for name in names]
        async with serving(models) as gateway:
            await sent_models(gateway, ["openai/gpt-4.1", "openai/org/model", "plain", "o9-latest"])
        sent = [json.loads(request.body)["model"] for request in upstream.requests]
    assert sent == ["gpt-4.1", "org/model", "plain", "o9"]


async def test_without_bypass_model_the_configured_or_default_model_is_sent() -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (upstream, _):
        models = [
            model("openai-chat", upstream.url, name="a/*", config={"model": "configured"}),
            model("openai-chat", upstream.url, name="b"),
        ]
        async with serving(models) as gateway:
            await sent_models(gateway, ["a/x", "b"])
        sent = [json.loads(request.body)["model"] for request in upstream.requests]
    assert sent == ["configured", "gpt-4.1-mini"]


async def test_more_requests_at_once_than_allowed_are_told_when_to_come_back() -> None:
    silent = Play(WHOLE["openai-chat"], fault=FAULTS["silent"])
    async with gateway_to("openai-chat", silent, server={"maxConcurrentRequests": 1}) as (upstream, gateway):
        async with RawClient(gateway.port) as first:
            await first.ask()
            await upstream.wait_received()
            async with gateway.openai() as client:
                with pytest.raises(openai.InternalServerError) as refused:
                    await client.chat.completions.create(model="m", messages=HI)
            async with gateway.anthropic() as other:
                with pytest.raises(anthropic.APIStatusError) as also_refused:
                    await other.messages.create(model="m", max_tokens=1, messages=HI)
        assert upstream.received == 1
    for error in (refused.value, also_refused.value):
        assert error.status_code == 503
        assert error.response.headers["retry-after"] == "1"
