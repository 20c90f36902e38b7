"""Several models for one request: what the client sees when the first one fails, and what becomes of who lost."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from conformance.replay import FAULTS, Answer, Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.plugins import PluginResult
from tests.support import facts
from tests.support.client import RawClient, body_for
from tests.support.gateway import HI, Running, model, serving, wait_until
from tests.support.plugins import plugin_class

APIS = ["openai-chat", "anthropic-messages"]
PATHS = {"openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages"}
TEXT = {api: load_recording(BUNDLED / api / "stream" / "text.json") for api in APIS}
TOOLS = {api: load_recording(BUNDLED / api / "stream" / "tools.json") for api in APIS}
WHOLE = {api: load_recording(BUNDLED / api / "json" / "text.json") for api in APIS}
TERMINATORS = {"openai-chat": b"[DONE]", "anthropic-messages": b"message_stop"}
SOON = 0.1
"""How soon a loser's upstream connection must be closed, in seconds: the promise under test."""

SHORT = {"firstTokenTimeout": 300, "idleTimeout": 300, "timeout": 600}
OTHERS = [name for name in FAULTS if name != "corrupt-event"]


@asynccontextmanager
async def two_models(
    first: Play,
    second: Play,
    api: str = "openai-chat",
    *,
    patient: bool = True,
    log: io.StringIO | None = None,
    **router: Any,
) -> AsyncIterator[tuple[ReplayServer, ReplayServer, Running]]:
    """Models `a` and `b` behind a router that asks them in this order."""
    plugin = {"name": "model-router", "config": {"model": "a", "fallbacks": ["b"], **router}}
    async with ReplayServer(first) as one, ReplayServer(second) as two:
        models = [
            model(api, one.url, name="a", config={} if patient else SHORT),
            model("openai-chat", two.url, name="b"),
        ]
        async with serving(models, plugins=[plugin], log=log) as gateway:
            yield one, two, gateway


async def post(gateway: Running, api: str, *, stream: bool = True) -> httpx.Response:
    async with gateway.http() as client:
        return await client.post(PATHS[api], json=body_for(api, stream=stream, model="anything"))


def asking_usage(*, stream: bool) -> dict[str, Any]:
    """A request whose answer comes with nothing left out."""
    more = {"stream_options": {"include_usage": True}} if stream else {}
    return body_for("openai-chat", stream=stream, model="x", **more)


def said(api: str, body: bytes) -> facts.Facts:
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    return (facts.of_openai_stream if api == "openai-chat" else facts.of_anthropic_stream)(events)


def is_patient(fault: str) -> bool:
    """Whether the model is given time: not where it is to run out."""
    return "stall" not in fault and "silent" not in fault


# -- fallback ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", OTHERS)
@pytest.mark.parametrize("client_api", APIS)
async def test_a_first_model_that_fails_in_any_way(client_api: str, fault: str) -> None:
    """Before the first token the next one's answer is all there is to see; after it, the error is told in band."""
    first = Play(TOOLS["anthropic-messages"], fault=FAULTS[fault])
    expected = FAULTS[fault].expect(first.answer)
    good = said("openai-chat", TEXT["openai-chat"].response.body)
    second = Play(TEXT["openai-chat"])
    async with two_models(first, second, "anthropic-messages", patient=is_patient(fault)) as (one, two, gateway):
        response = await post(gateway, client_api)
        assert response.status_code == 200
        assert one.received == 1
        if expected.outcome == "error" and not expected.in_band:
            assert response.headers["x-triway-model"] == "b"
            answer = said(client_api, response.content)
            assert (answer.text, answer.finish, answer.tool_calls) == (good.text, good.finish, [])
            assert TERMINATORS[client_api] in response.content
            return
        assert response.headers["x-triway-model"] == "a"
        assert two.received == 0
        if expected.outcome == "error":
            assert TERMINATORS[client_api] not in response.content
            assert b'"error"' in response.content


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if not fault.streams_only])
async def test_whole_answers_fall_back_too(fault: str) -> None:
    first = Play(WHOLE["openai-chat"], fault=FAULTS[fault])
    expected = FAULTS[fault].expect(first.answer)
    async with two_models(first, Play(WHOLE["openai-chat"]), patient=is_patient(fault)) as (_, two, gateway):
        response = await post(gateway, "openai-chat", stream=False)
        assert response.status_code == 200
        if expected.outcome == "error":
            assert response.headers["x-triway-model"] == "b"
            assert response.content == WHOLE["openai-chat"].response.body
        elif expected.outcome == "success":
            assert two.received == 0


async def test_a_request_that_is_wrong_in_itself_is_tried_nowhere_else() -> None:
    wrong = Answer(status=400, headers={"content-type": "application/json"}, body=b'{"error":{"message":"no"}}')
    async with two_models(Play(wrong), Play(TEXT["openai-chat"])) as (_, two, gateway):
        response = await post(gateway, "openai-chat")
        assert response.status_code == 400
        assert two.received == 0


async def test_when_all_fail_the_last_one_s_error_is_told() -> None:
    def failing(status: int, words: str) -> Play:
        body = json.dumps({"error": {"message": words}}).encode()
        return Play(Answer(status=status, headers={"content-type": "application/json"}, body=body))

    async with two_models(failing(500, "first"), failing(429, "second")) as (_, _, gateway):
        response = await post(gateway, "openai-chat")
        assert response.status_code == 429
        assert response.json()["error"]["message"] == "second"


async def test_the_fallback_gets_the_client_s_own_bytes() -> None:
    """The lossless lane stays open: only the model's name is another."""
    overloaded = Answer(status=529, headers={"content-type": "application/json"}, body=b"{}")
    async with two_models(Play(overloaded), Play(TEXT["openai-chat"])) as (_, two, gateway):
        async with gateway.http() as client:
            body = {**asking_usage(stream=True), "unknown_field": {"kept": 1.50}}
            response = await client.post(PATHS["openai-chat"], json=body)
        assert response.content == TEXT["openai-chat"].response.body
        sent = json.loads(two.requests[0].body)
        assert sent["unknown_field"] == {"kept": 1.5}


async def test_a_retry_budget_bounds_what_is_asked_again() -> None:
    overloaded = Answer(status=529, headers={"content-type": "application/json"}, body=b"{}")
    budget = {"share": 0.0, "perSecond": 0}
    async with two_models(Play(overloaded), Play(TEXT["openai-chat"]), retryBudget=budget) as (one, two, gateway):
        for _ in range(5):
            assert (await post(gateway, "openai-chat")).status_code == 529
        assert (one.received, two.received) == (5, 0)


async def test_a_model_that_keeps_failing_is_left_alone() -> None:
    overloaded = Answer(status=529, headers={"content-type": "application/json"}, body=b"{}")
    async with two_models(Play(overloaded), Play(TEXT["openai-chat"]), failureThreshold=3) as (one, two, gateway):
        for _ in range(10):
            response = await post(gateway, "openai-chat")
            assert response.headers["x-triway-model"] == "b"
        assert (one.received, two.received) == (3, 10)


@pytest.mark.parametrize("fault", ["fin-in-event", "reset-between-events", "error-late"])
@pytest.mark.parametrize("client_api", APIS)
async def test_a_model_whose_answers_break_off_is_left_alone(client_api: str, fault: str) -> None:
    """Each client had the beginning, and then the error in band: the model has failed all the same."""
    cut = Play(TEXT["openai-chat"], fault=FAULTS[fault])
    async with two_models(cut, Play(TEXT["openai-chat"]), failureThreshold=3) as (one, two, gateway):
        served = [(await post(gateway, client_api)).headers["x-triway-model"] for _ in range(6)]
        assert served == ["a"] * 3 + ["b"] * 3
        assert (one.received, two.received) == (3, 3)


async def test_a_response_that_says_it_failed_counts() -> None:
    """With a good status, and relayed as it is to a client of the same API."""
    failed = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "failed",
        "error": {"code": "server_error", "message": "broke"},
        "output": [],
    }
    router = {"name": "model-router", "config": {"model": "a", "failureThreshold": 9}}
    async with ReplayServer(answer(200, failed)) as upstream:
        models = [model("openai-responses", upstream.url, name="a")]
        async with serving(models, plugins=[router]) as gateway, gateway.http() as client:
            response = await client.post("/v1/responses", json={"model": "a", "input": "hi"})
            assert response.json() == failed
            health = gateway.gateway.generation.default.health_of("a")
            assert health is not None
            assert health.failures == 1


async def test_a_stream_that_a_plugin_has_enough_of_is_no_failure() -> None:
    enough = plugin_class("enough", after_chunk=lambda context: PluginResult(terminate=True))
    async with ReplayServer(Play(TEXT["openai-chat"])) as upstream:
        router = {"name": "model-router", "config": {"model": "a", "failureThreshold": 2}}
        models = [model("openai-chat", upstream.url, name="a")]
        async with serving(models, plugins=[router, enough]) as gateway:
            health = gateway.gateway.generation.default.health_of("a")
            assert health is not None
            health.failures = 1
            assert (await post(gateway, "openai-chat")).status_code == 200
            assert health.failures == 0


async def test_a_model_that_is_silent_until_the_plan_s_deadline_is_left_alone() -> None:
    silent = Play(TEXT["openai-chat"], fault=FAULTS["silent"])
    router = {"deadline": 150, "failureThreshold": 2}
    async with two_models(silent, Play(TEXT["openai-chat"]), **router) as (one, two, gateway):
        statuses = [(await post(gateway, "openai-chat")).status_code for _ in range(4)]
        assert statuses == [504, 504, 200, 200]
        assert (one.received, two.received) == (2, 2)


async def test_a_first_token_timeout_below_the_deadline_brings_the_next_model() -> None:
    silent = Play(TEXT["anthropic-messages"], fault=FAULTS["silent"])
    second = Play(TEXT["openai-chat"])
    async with two_models(silent, second, "anthropic-messages", patient=False, deadline=10_000) as (_, _, gateway):
        response = await post(gateway, "openai-chat")
        assert (response.status_code, response.headers["x-triway-model"]) == (200, "b")


async def test_what_plugins_ask_again_earns_no_retries() -> None:
    again = plugin_class("again", after_model=lambda context: PluginResult(reevaluate_request=context.retry_count < 3))
    async with ReplayServer(Play(WHOLE["openai-chat"])) as upstream:
        router = {"name": "model-router", "config": {"model": "a", "retryBudget": {"share": 0.25, "perSecond": 0}}}
        models = [model("openai-chat", upstream.url, name="a")]
        async with serving(models, plugins=[router, again]) as gateway:
            await post(gateway, "openai-chat", stream=False)
            assert upstream.received == 4
            budget = gateway.gateway.generation.default.pipeline.plugins[0].plugin._budget  # type: ignore[attr-defined]
            assert not budget.withdraw(), "four requests of one client's"


# -- what is no conversation -------------------------------------------------------------------------------------------

VECTORS = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}
EMBED = {"model": "x", "input": "text"}


def answer(status: int, body: dict[str, Any]) -> Play:
    return Play(Answer(status=status, headers={"content-type": "application/json"}, body=json.dumps(body).encode()))


async def test_embeddings_fall_back_and_count() -> None:
    async with two_models(answer(529, {}), answer(200, VECTORS), failureThreshold=2) as (one, two, gateway):
        async with gateway.http() as client:
            for _ in range(3):
                response = await client.post("/v1/embeddings", json=EMBED)
                assert response.json() == VECTORS
                assert response.headers["x-triway-model"] == "b"
        assert (one.received, two.received) == (2, 3)


async def test_embeddings_are_not_raced() -> None:
    silent = Play(WHOLE["openai-chat"], fault=FAULTS["silent"])
    router = {"hedgeAfter": 10, "deadline": 200}
    async with two_models(silent, answer(200, VECTORS), **router) as (one, two, gateway):
        async with gateway.http() as client:
            assert (await client.post("/v1/embeddings", json=EMBED)).status_code == 504
        assert (one.received, two.received) == (1, 0)


async def test_token_counts_fall_back() -> None:
    router = {"name": "model-router", "config": {"model": "a", "fallbacks": ["b"]}}
    counted = answer(200, {"input_tokens": 7})
    async with ReplayServer(answer(529, {})) as one, ReplayServer(counted) as two:
        models = [model("anthropic-messages", server.url, name=name) for server, name in ((one, "a"), (two, "b"))]
        async with serving(models, plugins=[router]) as gateway, gateway.http() as client:
            body = {"model": "x", "messages": HI}
            response = await client.post("/v1/messages/count_tokens", json=body)
            assert response.json() == {"input_tokens": 7}
            assert response.headers["x-triway-model"] == "b"


async def test_an_embedding_does_not_keep_a_recovered_model_away() -> None:
    """It is the probe of a model that then cannot embed: the next conversation is another one."""
    down_once = [answer(529, {}), answer(404, {}), Play(WHOLE["openai-chat"])]
    router = {"failureThreshold": 1, "cooldown": 100}
    async with ReplayServer(down_once) as one, ReplayServer(Play(WHOLE["openai-chat"])) as two:
        models = [model("openai-chat", server.url, name=name) for server, name in ((one, "a"), (two, "b"))]
        plugin = {"name": "model-router", "config": {"model": "a", "fallbacks": ["b"], **router}}
        async with serving(models, plugins=[plugin]) as gateway, gateway.http() as client:
            assert (await post(gateway, "openai-chat", stream=False)).headers["x-triway-model"] == "b"
            await trio.sleep(0.15)
            await client.post("/v1/embeddings", json=EMBED)
            assert one.received == 2
            response = await post(gateway, "openai-chat", stream=False)
            assert response.headers["x-triway-model"] == "a"


# -- which plugins take part -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chosen", "hidden"), [("far", True), ("near", False)])
async def test_a_plugin_for_a_model_that_the_router_chose_takes_part(chosen: str, hidden: bool) -> None:
    hider = {
        "name": "regex-hider",
        "conditions": {"models": ["far"]},
        "config": {"rules": [{"name": "key", "pattern": "hi"}]},
    }
    router = {"name": "model-router", "priority": 1, "config": {"model": chosen}}
    async with ReplayServer(Play(WHOLE["openai-chat"])) as upstream:
        models = [model("openai-chat", upstream.url, name=name) for name in ("near", "far")]
        async with serving(models, plugins=[router, hider]) as gateway, gateway.http() as client:
            await client.post(PATHS["openai-chat"], json={"model": "near", "messages": HI})
    assert (b"[KEY]" in upstream.requests[0].body) is hidden


async def test_a_guard_of_the_fallback_guards_the_request() -> None:
    hider = {
        "name": "regex-hider",
        "conditions": {"models": ["b"]},
        "config": {"rules": [{"name": "key", "pattern": "hi"}]},
    }
    router = {"name": "model-router", "priority": 1, "config": {"model": "a", "fallbacks": ["b"]}}
    async with ReplayServer(answer(529, {})) as one, ReplayServer(Play(WHOLE["openai-chat"])) as two:
        models = [model("openai-chat", server.url, name=name) for server, name in ((one, "a"), (two, "b"))]
        async with serving(models, plugins=[router, hider]) as gateway, gateway.http() as client:
            await client.post(PATHS["openai-chat"], json={"model": "a", "messages": HI})
    assert b"[KEY]" in two.requests[0].body


def billed_to(entry: str, metrics: str) -> list[str]:
    """The counters of a model's tokens. They are the process', so only differences tell."""
    return [row for row in metrics.splitlines() if row.startswith("triway_tokens_total") and f'model="{entry}"' in row]


# -- hedging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_the_loser_of_a_hedge_is_gone_at_once_and_paid_for_once(stream: bool) -> None:
    recordings = TEXT if stream else WHOLE
    silent = Play(recordings["openai-chat"], fault=FAULTS["silent"])
    log = io.StringIO()
    async with two_models(silent, Play(recordings["openai-chat"]), hedgeAfter=50, log=log) as (one, two, gateway):
        async with gateway.http() as client:
            before = billed_to("a", (await client.get("/metrics")).text)
            async with client.stream("POST", PATHS["openai-chat"], json=asking_usage(stream=stream)) as response:
                won_at = trio.current_time()
                assert response.headers["x-triway-model"] == "b"
                assert await response.aread() == recordings["openai-chat"].response.body
        loser = one.exchanges[0]
        await loser.peer_closed.wait()
        assert loser.peer_closed.time is not None
        assert loser.peer_closed.time - won_at < SOON
        assert (one.received, two.received) == (1, 1)
        await wait_until(lambda: not gateway.gateway.exchanges)
        (line,) = [json.loads(text) for text in log.getvalue().splitlines() if '"event":"request"' in text]
        usage = said("openai-chat", TEXT["openai-chat"].response.body)
        if stream:
            assert (line["prompt_tokens"], line["completion_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)
        assert line["entry"] == "b"
        async with gateway.http() as client:
            metrics = (await client.get("/metrics")).text
        assert billed_to("a", metrics) == before
        hedges = [row for row in metrics.splitlines() if row.startswith("triway_hedges_total")]
        assert any('outcome="lost"' in row and 'model="a"' in row for row in hedges), hedges


async def test_by_latency_a_model_that_lost_is_not_asked_first_again() -> None:
    silent = Play(TEXT["openai-chat"], fault=FAULTS["silent"])
    targets = {"targets": [{"model": "a"}, {"model": "b"}], "strategy": "lowest-latency", "hedgeAfter": 100}
    plugin = {"name": "model-router", "config": targets}
    async with ReplayServer(silent) as one, ReplayServer(Play(TEXT["openai-chat"])) as two:
        models = [model("openai-chat", server.url, name=name) for server, name in ((one, "a"), (two, "b"))]
        async with serving(models, plugins=[plugin]) as gateway:
            for _ in range(4):
                assert (await post(gateway, "openai-chat")).headers["x-triway-model"] == "b"
        assert (one.received, two.received) == (1, 4)


async def test_a_client_that_leaves_a_race_ends_both() -> None:
    silent = Play(TEXT["openai-chat"], fault=FAULTS["silent"])
    async with two_models(silent, silent, hedgeAfter=20) as (one, two, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask()
            await one.wait_received()
            await two.wait_received()
            left_at = trio.current_time()
            client.leave()
        for upstream in (one, two):
            closed = upstream.exchanges[0].peer_closed
            await closed.wait()
            assert closed.time is not None
            assert closed.time - left_at < SOON
        await wait_until(lambda: not gateway.gateway.exchanges)
