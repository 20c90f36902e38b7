"""Plugins over real connections: each API, whole and streamed, relayed where nothing was changed, and what it costs."""

from __future__ import annotations

import io
import json
from typing import Any

import anthropic
import msgspec
import openai
import pytest
import trio

from conformance.replay import Answer, Play, ReplayServer
from conformance.replay.faults import Stall, after_events
from providers.errors import ErrorKind, GatewayError
from providers.model import LLMResponse, TextPart, finish_chunk, text_chunk, text_response
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.plugins import ContextUpdate, Plugin, PluginContext, PluginResult, changed
from tests.support import facts
from tests.support.client import PATHS, RawClient, body_for
from tests.support.gateway import HI, Running, gateway_to, model, serving, wait_until
from tests.support.plugins import plugin_class

APIS = ["openai-chat", "anthropic-messages"]
KINDS = ["text", "reasoning", "tools"]


def play(api: str, kind: str = "text", shape: str = "stream") -> Play:
    return Play(load_recording(BUNDLED / api / shape / f"{kind}.json"))


def map_text(chunk: LLMResponse, change: Any) -> LLMResponse:
    choices = [
        msgspec.structs.replace(
            choice,
            delta=msgspec.structs.replace(
                choice.delta,
                content=[
                    msgspec.structs.replace(part, text=change(part.text)) if isinstance(part, TextPart) else part
                    for part in choice.delta.content
                ],
            ),
        )
        if choice.delta is not None
        else choice
        for choice in chunk.choices
    ]
    return changed(chunk, choices=choices)


async def post(gateway: Running, api: str, *, stream: bool = True, **more: Any) -> Any:
    async with gateway.http() as client:
        headers = more.pop("headers", {})
        return await client.post(PATHS[api], json=body_for(api, stream=stream, **more), headers=headers)


async def said(gateway: Running, api: str) -> facts.Facts:
    """What the API's SDK makes of the stream."""
    if api == "openai-chat":
        async with gateway.openai() as client:
            stream = await client.chat.completions.create(
                model="m", messages=HI, stream=True, stream_options={"include_usage": True}
            )
            return facts.of_openai_stream([chunk.model_dump() async for chunk in stream])
    async with gateway.anthropic() as other:
        async with other.messages.stream(model="m", messages=HI, max_tokens=100) as events:
            message = await events.get_final_message()
    return facts.of_anthropic(message.model_dump())


# -- relayed and encoded ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", APIS)
async def test_a_stream_that_no_plugin_changes_is_relayed_byte_for_byte(api: str, kind: str) -> None:
    seen: list[str] = []
    watcher = plugin_class("watcher", after_chunk=lambda context: seen.append(context.phase))
    async with ReplayServer(play(api, kind)) as upstream:
        entry = model(api, upstream.url)
        async with serving([entry]) as plain:
            expected = (await post(plain, api)).content
        async with serving([entry], plugins=[watcher]) as gateway:
            assert (await post(gateway, api)).content == expected
    assert len(seen) > 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
@pytest.mark.parametrize("every", [1, 2, 3, 7])
async def test_chunks_changed_in_between_leave_the_sdk_the_rest_as_it_was(
    client: str, provider: str, kind: str, every: int
) -> None:
    """Some chunks are encoded again, some relayed: the message is the same but for what was changed."""
    count = 0

    def change(context: PluginContext) -> PluginResult | None:
        nonlocal count
        count += 1
        if context.final_chunk or count % every:
            return None
        assert context.chunk is not None
        return PluginResult(context=ContextUpdate(chunk=map_text(context.chunk, lambda text: text)))

    async with ReplayServer(play(provider, kind)) as upstream:
        entry = model(provider, upstream.url)
        async with serving([entry]) as plain:
            expected = await said(plain, client)
        async with serving([entry], plugins=[plugin_class("changes", after_chunk=change)]) as gateway:
            assert await said(gateway, client) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("hold", [2, 3, 5, 1000])
async def test_what_was_held_back_comes_in_order_and_whole(api: str, kind: str, hold: int) -> None:
    """Every `hold` chunks are let go at once, merged into one that is encoded."""

    def hold_back(context: PluginContext) -> PluginResult | None:
        data = context.plugin_data
        data["n"] = data.get("n", 0) + 1
        if context.final_chunk:
            return None
        if data["n"] % hold:
            return PluginResult(emit_chunk=False)
        assert context.buffered_chunk is not None
        return PluginResult(context=ContextUpdate(chunk=changed(context.buffered_chunk)))

    async with ReplayServer(play(api, kind)) as upstream:
        entry = model(api, upstream.url)
        async with serving([entry]) as plain:
            expected = await said(plain, api)
        async with serving([entry], plugins=[plugin_class("holds", after_chunk=hold_back)]) as gateway:
            assert await said(gateway, api) == expected


@pytest.mark.parametrize("api", APIS)
async def test_what_is_let_go_unchanged_is_relayed(api: str) -> None:
    def hold_back(context: PluginContext) -> PluginResult:
        return PluginResult(emit_chunk=False)

    async with ReplayServer(play(api, "reasoning")) as upstream:
        entry = model(api, upstream.url)
        async with serving([entry]) as plain:
            expected = (await post(plain, api)).content
        async with serving([entry], plugins=[plugin_class("holds", after_chunk=hold_back)]) as gateway:
            assert (await post(gateway, api)).content == expected


@pytest.mark.parametrize("api", APIS)
async def test_text_kept_to_the_end_comes_before_the_finish_reason(api: str) -> None:
    def keep_last(context: PluginContext) -> PluginResult | None:
        """Keeps the last five characters of text, as a plugin does that looks for a word."""
        kept = context.plugin_data.get("kept", "")
        if context.final_chunk:
            return PluginResult(context=ContextUpdate(chunk=text_chunk(kept + "!")))
        assert context.chunk is not None
        whole = ""

        def cut(text: str) -> str:
            nonlocal whole
            whole = kept + text
            return whole[:-5]

        leaving = map_text(context.chunk, cut)
        if whole:
            context.plugin_data["kept"] = whole[-5:]
        return PluginResult(context=ContextUpdate(chunk=leaving))

    async with ReplayServer(play(api)) as upstream:
        entry = model(api, upstream.url)
        async with serving([entry]) as plain:
            expected = await said(plain, api)
        async with serving([entry], plugins=[plugin_class("keeps", after_chunk=keep_last)]) as gateway:
            found = await said(gateway, api)
    assert found.text == expected.text + "!"
    assert (found.finish, found.prompt_tokens) == (expected.finish, expected.prompt_tokens)


@pytest.mark.parametrize("api", APIS)
async def test_a_plugin_can_end_a_stream_well(api: str) -> None:
    def stop(context: PluginContext) -> PluginResult | None:
        context.plugin_data["n"] = context.plugin_data.get("n", 0) + 1
        return PluginResult(terminate=True) if context.plugin_data["n"] == 2 else None

    async with gateway_to(api, play(api), plugins=[plugin_class("stops", after_chunk=stop)]) as (upstream, gateway):
        found = await said(gateway, api)
        await wait_until(lambda: not upstream.open_connections)
    assert found.text
    assert found.finish == "stop"


# -- whole answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", APIS)
@pytest.mark.parametrize("provider", APIS)
async def test_a_whole_answer_is_changed(client: str, provider: str) -> None:
    def sign(context: PluginContext) -> PluginResult:
        assert context.response is not None
        choice = context.response.choices[0]
        assert choice.message is not None
        message = msgspec.structs.replace(choice.message, content=[*choice.message.content, TextPart(text=" -- ed.")])
        return PluginResult(
            context=ContextUpdate(
                response=changed(context.response, choices=[msgspec.structs.replace(choice, message=message)]),
                response_headers={"x-signed": "yes"},
            )
        )

    signs = plugin_class("signs", after_model=sign)
    async with gateway_to(provider, play(provider, shape="json"), plugins=[signs]) as (_, gateway):
        answer = await post(gateway, client, stream=False)
    assert answer.headers["x-signed"] == "yes"
    assert " -- ed." in answer.text


async def test_a_request_is_changed_and_sent_elsewhere() -> None:
    def prepare(context: PluginContext) -> PluginResult:
        request = changed(context.request, temperature=0.25)
        return PluginResult(context=ContextUpdate(request=request, target_model="other"))

    async with ReplayServer(play("openai-chat", shape="json")) as upstream:
        models = [
            model("openai-chat", "http://127.0.0.1:9", name="m"),
            model("openai-chat", upstream.url, name="other"),
        ]
        async with serving(models, plugins=[plugin_class("prepares", before_model=prepare)]) as gateway:
            answer = await post(gateway, "openai-chat", stream=False)
        assert answer.status_code == 200
        assert answer.headers["x-triway-model"] == "other"
        assert json.loads(upstream.requests[0].body)["temperature"] == 0.25


# -- answers and refusals of a plugin's own ---------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
async def test_a_plugin_answers_itself(api: str, stream: bool) -> None:
    def answer(context: PluginContext) -> PluginResult:
        return PluginResult(terminate=True, context=ContextUpdate(response=text_response("From the cache")))

    log = io.StringIO()
    async with gateway_to(api, play(api), plugins=[plugin_class("hits", before_model=answer)], log=log) as (
        up,
        gateway,
    ):
        found = await post(gateway, api, stream=stream)
        assert up.received == 0
    assert found.status_code == 200
    assert "From the cache" in found.text
    assert any(json.loads(line).get("answered_by") == "hits" for line in log.getvalue().splitlines())


@pytest.mark.parametrize("api", APIS)
async def test_a_plugin_plays_a_stream_again(api: str) -> None:
    def answer(context: PluginContext) -> PluginResult:
        return PluginResult(terminate=True, chunks=[text_chunk("From "), text_chunk("the cache"), finish_chunk("stop")])

    async with gateway_to(api, play(api), plugins=[plugin_class("hits", before_model=answer)]) as (_, gateway):
        found = await said(gateway, api)
    assert (found.text, found.finish) == ("From the cache", "stop")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refusal_has_the_api_s_shape_status_and_headers(stream: bool) -> None:
    def refuse(context: PluginContext) -> PluginResult:
        error = GatewayError("slow down", kind=ErrorKind.RATE_LIMIT, status=429, retry_after=7)
        return PluginResult(success=False, error=error, context=ContextUpdate(response_headers={"x-left": "0"}))

    plugins: list[Any] = [plugin_class("refuses", before_model=refuse)]
    async with gateway_to("openai-chat", play("openai-chat"), plugins=plugins) as (upstream, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.RateLimitError, match="slow down") as first:
                await client.chat.completions.create(model="m", messages=HI, stream=stream)
        async with gateway.anthropic() as other:
            with pytest.raises(anthropic.RateLimitError, match="slow down"):
                await other.messages.create(model="m", messages=HI, max_tokens=5, stream=stream)
        assert upstream.received == 0
    assert first.value.response.headers["retry-after"] == "7"
    assert first.value.response.headers["x-left"] == "0"


@pytest.mark.parametrize("api", APIS)
async def test_a_refusal_in_mid_stream_is_told_in_band(api: str) -> None:
    def refuse(context: PluginContext) -> PluginResult | None:
        context.plugin_data["n"] = context.plugin_data.get("n", 0) + 1
        return PluginResult(success=False, error="that is enough") if context.plugin_data["n"] == 3 else None

    async with gateway_to(api, play(api), plugins=[plugin_class("refuses", after_chunk=refuse)]) as (_, gateway):
        answer = await post(gateway, api)
        with pytest.raises((openai.APIError, anthropic.APIError), match="that is enough"):
            await said(gateway, api)
    assert answer.status_code == 200
    assert "that is enough" in answer.text
    assert "[DONE]" not in answer.text
    assert "message_stop" not in answer.text


# -- asking again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_failed_model_is_replaced_by_a_plugin(stream: bool) -> None:
    def elsewhere(context: PluginContext) -> PluginResult:
        assert context.error is not None
        assert context.error.status == 503
        return PluginResult(reevaluate_request=True, context=ContextUpdate(target_model="spare"))

    shape = "stream" if stream else "json"
    async with ReplayServer(Play(Answer(status=503))) as broken, ReplayServer(play("openai-chat", shape=shape)) as good:
        models = [model("openai-chat", broken.url), model("openai-chat", good.url, name="spare")]
        async with serving(models, plugins=[plugin_class("saves", on_model_error=elsewhere)]) as gateway:
            answer = await post(gateway, "openai-chat", stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-triway-model"] == "spare"


# -- afterwards -------------------------------------------------------------------------------------------------------


class Afterwards:
    """A plugin that keeps what it was told after the response."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.plugin: type[Plugin] = plugin_class("afterwards", detached_after_response=self.tell)

    async def tell(self, context: PluginContext) -> None:
        response = context.response
        message = response.choices[0].message if response is not None and response.choices else None
        self.told.append(
            {
                "status": context.status,
                "departed": context.departed,
                "text": message.text if message is not None else None,
                "error": context.error.status if context.error is not None else None,
                "duration": context.metrics["duration_ms"],
            }
        )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_detached_work_sees_the_answer(stream: bool) -> None:
    after = Afterwards()
    entry = play("openai-chat", shape="stream" if stream else "json")
    async with gateway_to("openai-chat", entry, plugins=[after.plugin]) as (_, gateway):
        await post(gateway, "openai-chat", stream=stream)
        await wait_until(lambda: after.told)
    assert after.told[0]["status"] == 200
    assert after.told[0]["text"]
    assert after.told[0]["duration"] > 0


async def test_detached_work_runs_for_failed_and_abandoned_requests() -> None:
    after = Afterwards()
    stalled = Play(play("openai-chat").what, fault=Stall(after_events(4)))
    async with ReplayServer([Play(Answer(status=500)), stalled]) as upstream:
        async with serving([model("openai-chat", upstream.url)], plugins=[after.plugin]) as gateway:
            assert (await post(gateway, "openai-chat")).status_code == 500
            await wait_until(lambda: len(after.told) == 1)
            async with RawClient(gateway.port) as client:
                await client.ask()
                await client.read_until(b"data: ")
                client.leave()
            await wait_until(lambda: len(after.told) == 2)
    assert after.told[0]["error"] == 500
    assert after.told[1]["departed"] == "disconnect"
    assert after.told[1]["status"] == 499


async def test_detached_work_is_finished_when_the_gateway_stops() -> None:
    done: list[str] = []

    async def slow(context: PluginContext) -> None:
        await trio.sleep(0.3)
        done.append(context.request_id)

    slow_one = plugin_class("slow", detached_after_response=slow)
    async with gateway_to("openai-chat", play("openai-chat", shape="json"), plugins=[slow_one]) as (_, gateway):
        await post(gateway, "openai-chat", stream=False)
    assert len(done) == 1


# -- credentials ------------------------------------------------------------------------------------------------------


async def test_only_who_asks_sees_credentials() -> None:
    seen: dict[str, Any] = {}

    def look(name: str) -> Any:
        def before(context: PluginContext) -> None:
            seen[name] = (dict(context.credentials), dict(context.headers), dict(context.query_params), repr(context))

        return before

    plugins = [
        plugin_class("curious", before_model=look("curious")),
        plugin_class("auth", before_model=look("auth"), sees_credentials=True),
    ]
    async with gateway_to("openai-chat", play("openai-chat", shape="json"), plugins=plugins) as (_, gateway):
        async with gateway.http() as client:
            headers = {"authorization": "Bearer sk-canary", "x-api-key": "sk-canary", "cookie": "canary", "x-team": "b"}
            await client.post("/v1/chat/completions?key=canary&a=1", json=body_for("openai-chat"), headers=headers)
    assert "canary" not in repr(seen["curious"])
    assert seen["curious"][1]["x-team"] == "b"
    assert seen["curious"][2] == {"a": "1"}
    assert seen["auth"][0] == {
        "authorization": "Bearer sk-canary", "x-api-key": "sk-canary", "cookie": "canary", "?key": "canary",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/embeddings"])
async def test_plugins_guard_every_operation(path: str) -> None:
    seen: list[str] = []

    def refuse(context: PluginContext) -> PluginResult:
        seen.append(context.operation)
        return PluginResult(success=False, status=401, error="who are you?")

    async with gateway_to("openai-chat", play("openai-chat"), plugins=[plugin_class("no", before_model=refuse)]) as (
        upstream,
        gateway,
    ):
        async with gateway.http() as client:
            answer = await client.post(path, json={"model": "m", "messages": HI, "input": "x", "max_tokens": 1})
        assert upstream.received == 0
    assert answer.status_code == 401
    assert len(seen) == 1
